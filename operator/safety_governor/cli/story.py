"""An incident told for people: what is proposed, what speaks against it, what it takes. Reads the resource and nothing else."""

from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from safety_governor.api import records, v1alpha1
from safety_governor.domain import changes, digests, ledger, lifecycle, scores, values, verification

_STYLES = {
    lifecycle.Phase.RESOLVED: "green",
    lifecycle.Phase.GATED: "green",
    lifecycle.Phase.EXECUTING: "cyan",
    lifecycle.Phase.VERIFYING: "cyan",
    lifecycle.Phase.AWAITING_APPROVAL: "yellow",
    lifecycle.Phase.HANDED_OVER: "yellow",
    lifecycle.Phase.ROLLED_BACK: "yellow",
}


_OUTCOMES = {
    verification.Outcome.VERIFIED: "green",
    verification.Outcome.REGRESSED: "red",
    verification.Outcome.INCONCLUSIVE: "yellow",
}

_BETWEEN = 2
"""Blanks between two columns."""

_OBEYED = (*range(0x09), *range(0x0B, 0x20), *range(0x7F, 0xA0), *range(0x202A, 0x202F), *range(0x2066, 0x206A))
_UNSHOWN = dict.fromkeys(_OBEYED, "\ufffd")


def plain(text: str) -> str:
    """Text from outside as it may be shown: without markup, and without control characters that a terminal would obey."""
    return escape(text.translate(_UNSHOWN))


def missing(namespace: str, name: str) -> str:
    """What a person reads who asks for an incident that is not there."""
    return f"there is no incident {name!r} in namespace {namespace!r}; `kubectl get incidents -A` lists them all"


def tell(incident: v1alpha1.Incident, console: Console, *, rehearsed: bool = False) -> None:
    """Print the whole story; of a rehearsal without the command to decide, as there is nothing to decide about."""
    spec, status = incident.spec, incident.status
    style = _STYLES.get(lifecycle.Phase(status.phase), "red") if status.phase in set(lifecycle.Phase) else "white"
    console.print(f"[bold]{plain(incident.key)}[/]  {spec.service}, {spec.severity}  [{style}]{status.phase}[/]", soft_wrap=True)
    console.print(Padding(plain(f"“{values.clip(' '.join(spec.summary.split()), 300)}”"), (0, 0, 0, 2), expand=False))
    _tell_plan(incident, console)
    _tell_scores(status, console)
    _tell_gate(status, console)
    _tell_previews(status, console)
    _tell_evidence(status, console)
    _tell_approval(incident, console, rehearsed=rehearsed)
    _tell_execution(status, console)
    _tell_stalled(status, console)


def _head(console: Console, title: str, text: str) -> None:
    console.print()
    console.print(f"[bold]{title:<10}[/]{text}", soft_wrap=True)


def _grid(console: Console, rows: Sequence[Sequence[str]], *, indent: int = 10) -> None:
    table = Table.grid(padding=(0, _BETWEEN))
    for column in range(max(len(row) for row in rows)):
        table.add_column(overflow="fold", no_wrap=column == 0)
    for row in rows:
        table.add_row(*row)
    console.print(Padding(table, (0, 0, 0, indent), expand=False))


def _tell_plan(incident: v1alpha1.Incident, console: Console) -> None:
    plan = incident.status.plan
    if plan is None:
        _head(console, "Plan", "not made yet")
        return
    if plan.action is None:
        _head(console, "Plan", plain(plan.resolution_detail))
        return
    source = (
        f" of runbook [cyan]{plain(plan.runbook)}[/] ({plain(plan.runbook_title)})"
        if plan.runbook
        else f": {plain(plan.resolution_detail)}"
    )
    _head(console, "Plan", f"[bold]{plain(plan.action)}[/]{source}")
    target = incident.target
    rows = []
    for number, step in enumerate(plan.steps, start=1):
        what = plain(values.clip(" ".join(step.text.split()), 240))
        where = "" if step.type is values.ActionType.MANUAL else f" {target.kind}/{target.name}"
        rows.append((f"{number}.", f"{step.type}{where}" + (f" [dim]{what}[/]" if what else "")))
    if rows:
        _grid(console, rows)


def _tell_scores(status: v1alpha1.IncidentStatus, console: Console) -> None:
    profile = status.scores
    if profile is None or profile.state is scores.ScoreState.NOT_ASKED:
        return
    figures = (("ECS", profile.ecs), ("CI", profile.comprehension_integrity), ("u-curve", profile.u_curve_magnitude))
    told = ", ".join(f"{name} {'[yellow]unknown[/]' if figure is None else f'{figure:.2f}'}" for name, figure in figures)
    _head(console, "Scores", f"of {plain(profile.model)}: {told}")
    for origin in profile.origins:
        if origin.reason:
            console.print(Padding(f"[yellow]?[/] {plain(origin.reason)}", (0, 0, 0, 10), expand=False))


def _tell_gate(status: v1alpha1.IncidentStatus, console: Console) -> None:
    gate = status.gate
    if gate is None:
        _head(console, "Gate", "has not decided yet")
        return
    shift = f"  confidence {gate.confidence.replace('->', ' → ')}" if gate.confidence else ""
    _head(console, "Gate", f"[bold]{gate.decision}[/]{shift}  [dim]{digests.short(gate.plan_digest)}, gate version {gate.version}[/]")
    if not gate.findings:
        console.print(Padding("[green]✓[/] no check fired", (0, 0, 0, 10), expand=False))
        return
    for finding in gate.findings:
        warns = finding.release is values.Release.NOT_NEEDED
        mark, release = ("[yellow]![/]", "warning") if warns else ("[red]✗[/]", _released_by(finding.release))
        measured = f"measured {finding.measured}, allowed {finding.threshold}"
        console.print(Padding(f"{mark} [bold]{finding.check}[/]  {plain(measured)}  [dim]{release}[/]", (0, 0, 0, 10), expand=False))
        console.print(Padding(plain(finding.message), (0, 0, 0, 12), expand=False))


def _tell_previews(status: v1alpha1.IncidentStatus, console: Console) -> None:
    previews = [one for one in (status.gate.previews if status.gate else ()) if one.changes or one.warnings]
    if not previews:
        return
    _head(console, "Dry run", "what would change, as the API server computed it")
    for preview in previews:
        console.print(Padding(f"[dim]{preview.step}[/] {plain(preview.summary)}", (0, 0, 0, 10), expand=False))
        _tell_changes(preview.changes, console, indent=12)
        for warning in preview.warnings:
            console.print(Padding(f"[yellow]![/] {plain(warning)}", (0, 0, 0, 12), expand=False))
        undo = f"if it makes things worse, it {plain(preview.undo)}" if preview.undo else "[yellow]nothing can undo it[/]"
        console.print(Padding(f"[dim]undo[/] {undo}", (0, 0, 0, 12), expand=False))
    for held in status.gate.held_by if status.gate and status.phase not in lifecycle.TERMINAL else ():
        console.print(Padding(f"[yellow]would be held now[/] {plain(held)}", (0, 0, 0, 10), expand=False))


def _tell_changes(found: Sequence[changes.Change], console: Console, *, indent: int) -> None:
    """Every path with what stands there before and after: side by side where that fits, else below each other. Nothing is cut."""
    rows = []
    for change in found:
        before = f"[red]- {plain(change.before)}[/]" if change.before else ""
        after = f"[green]+ {plain(change.after)}[/]" if change.after else ""
        rows.append((plain(change.path), [part for part in (before, after) if part]))
    table = [(path, " ".join(parts)) for path, parts in rows]
    widths = [max((Text.from_markup(row[column]).cell_len for row in table), default=0) for column in (0, 1)]
    if indent + sum(widths) + _BETWEEN <= console.width:
        if table:
            _grid(console, table, indent=indent)
        return
    for path, parts in rows:
        console.print(Padding(path, (0, 0, 0, indent - 2), expand=False))
        for part in parts:
            console.print(Padding(part, (0, 0, 0, indent), expand=False))


def _released_by(release: values.Release) -> str:
    return "no approval releases it" if release is values.Release.IMPOSSIBLE else f"released by {release}"


def _tell_evidence(status: v1alpha1.IncidentStatus, console: Console) -> None:
    stress = status.stress
    if stress is None:
        return
    if stress.ledger is None:
        _head(console, "Evidence", "unknown")
    else:
        counted = (
            f"{stress.contradiction_count} contradicted, coverage {stress.evidence_coverage:.0%}"
            if stress.ledger.claims
            else "no claim to check"
        )
        _head(console, "Evidence", counted)
        for entry in stress.ledger.claims:
            _tell_entry(entry, console, title="claim")
        if stress.ledger.action is not None:
            _tell_entry(stress.ledger.action, console, title="action")
    for unknown in stress.unknowns:
        console.print(Padding(f"[yellow]?[/] {plain(unknown)}", (0, 0, 0, 10), expand=False))


def _tell_entry(entry: ledger.Entry, console: Console, *, title: str) -> None:
    found = entry.supporting or entry.contradicting or entry.unchecked
    if title == "action" and not found:
        return
    console.print(
        Padding(f"[dim]{title}[/] {plain(entry.claim)}" + ("" if found else " [dim](nothing on record)[/]"), (0, 0, 0, 10), expand=False)
    )
    rows = [("[green]for[/]", plain(one.document), f"[dim]{plain(one.excerpt)}[/]") for one in entry.supporting]
    rows += [("[red]against[/]", plain(one.document), f"[dim]{plain(one.excerpt)}[/]") for one in entry.contradicting]
    rows += [("[yellow]not believed[/]", plain(one.document), f"[dim]{one.why}[/]") for one in entry.unchecked]
    if rows:
        _grid(console, rows, indent=12)


def _tell_approval(incident: v1alpha1.Incident, console: Console, *, rehearsed: bool) -> None:
    status = incident.status
    gate, approval = status.gate, status.approval
    if gate is None or approval is None:
        return
    _head(console, "Approval", plain(approval.summary))
    for refusal in approval.refusals:
        console.print(
            Padding(f"[red]refused[/] {refusal.decision} by {plain(refusal.approver)}: {plain(refusal.why)}", (0, 0, 0, 10), expand=False)
        )
    if status.phase != lifecycle.Phase.AWAITING_APPROVAL or rehearsed:
        return
    console.print(
        Padding(f"until {gate.expires_at}; after that the incident expires, which is a denial. To decide:", (0, 0, 0, 10), expand=False)
    )
    console.print(commands_for(incident, gate), soft_wrap=True, markup=False, highlight=False)


def commands_for(incident: v1alpha1.Incident, gate: records.Gate) -> str:
    """What a person types to release what is gated now, with the kubectl plugin and without it."""
    where, name = incident.metadata.namespace, incident.metadata.name
    overrides = gate.required_approval is values.Release.FORCE_OVERRIDE
    reason = ',"reason":"WHY, IN AT LEAST 20 CHARACTERS"' if overrides else ""
    who = "'\"$(kubectl auth whoami -o jsonpath='{.status.userInfo.username}')\"'"
    body = (
        f'{{"spec":{{"approval":{{"decision":"{gate.required_approval}","planDigest":"{gate.plan_digest}","approver":"{who}"{reason}}}}}}}'
    )
    plugin = f"kubectl incident {'override' if overrides else 'approve'} {name} -n {where}" + (' -m "WHY"' if overrides else "")
    return f"  {plugin}\nor, without the plugin:\n  kubectl -n {where} patch incident {name} --type=merge -p '{body}'"


def _tell_execution(status: v1alpha1.IncidentStatus, console: Console) -> None:
    execution = status.execution
    if execution is None:
        return
    until = f"[dim] until {execution.held_until}[/]" if execution.held_until else ""
    stopped = "stopped" if status.phase in lifecycle.TERMINAL else "held"
    _head(
        console,
        "Execution",
        f"{stopped}: {plain(execution.held_because)}{until}" if execution.held_because else f"by {plain(execution.holder)}",
    )
    for action in execution.actions:
        _tell_action(action, console)


def _tell_action(action: records.Action, console: Console) -> None:
    target = f"{action.target.kind}/{action.target.name}"
    given = " ".join(f"{name}={text}" for name, text in sorted(action.parameters.items()) if name != "template")
    what = f"undo of {action.undoes}: " if action.undoes else ""
    outcome = f"[{_OUTCOMES[action.outcome]}]{action.outcome}[/]" if action.outcome is not None else str(action.state)
    line = f"[dim]{action.id}[/] {what}[bold]{action.type}[/] {plain(target)} {plain(given)}".rstrip()
    console.print(Padding(f"{line}  {outcome}  [dim]{digests.short(action.key)}[/]", (0, 0, 0, 10), expand=False))
    if action.message:
        console.print(Padding(plain(action.message), (0, 0, 0, 12), expand=False))
    elif action.state is records.ActionState.CLAIMED:
        watched = f"watched for {action.watch.soak_seconds} s after the rollout, which may take {action.watch.timeout_seconds} s"
        console.print(Padding(f"[dim]{watched}[/]", (0, 0, 0, 12), expand=False))
    moved = _moved(action)
    if moved:
        console.print(Padding(f"[dim]{moved}[/]", (0, 0, 0, 12), expand=False))


def _moved(action: records.Action) -> str:
    """How the target was before and after, where that differs."""
    before, after = action.before, action.after
    if after is None:
        return ""
    told = []
    if before.template_hash != after.template_hash:
        told.append(f"template {digests.short(before.template_hash)} → {digests.short(after.template_hash)}")
    if before.replicas != after.replicas:
        told.append(f"replicas {before.replicas} → {after.replicas}")
    if before.unschedulable != after.unschedulable:
        told.append("cordoned" if after.unschedulable else "uncordoned")
    return "; ".join(told)


def _tell_stalled(status: v1alpha1.IncidentStatus, console: Console) -> None:
    stalled = next((one for one in status.conditions if one.type == "Stalled" and one.status == "True" and one.message), None)
    if stalled is not None:
        _head(console, "Waiting", plain(f"{stalled.reason}: {stalled.message}"))
