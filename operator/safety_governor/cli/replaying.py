"""`safety-governor gate replay`: past decisions under the gate of now, or under other thresholds and policies."""

import functools
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pydantic
from rich.console import Console

from safety_governor import bootstrap
from safety_governor.api import chronicle, v1alpha1
from safety_governor.cli import gaps, manifests, screen, story, trails, words
from safety_governor.domain import checks, digests, documents, errors, policies
from safety_governor.domain.audit import events, replay
from safety_governor.domain.audit.events import Kind, Stream

EXIT_ERROR = 1

_STYLES = {replay.Direction.STRICTER: "red", replay.Direction.LOOSER: "green", replay.Direction.OTHER: "yellow"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What was asked for."""

    files: tuple[Path, ...]
    named: bool
    """Whether they were named on the command line."""
    changes: tuple[str, ...]
    policies: tuple[Path, ...]
    as_json: bool


@dataclass(frozen=True, slots=True)
class _Unread:
    """A decision that could not be decided again."""

    where: str
    why: str


def run(asked: Request) -> int:
    """Print what would be different; returns the exit code."""
    missing = gaps.Gaps()
    try:
        changes = _changes(asked.changes)
        known = _policies(asked.policies) if asked.policies else None
        found = [one for path in asked.files for one in _decided(path, missing)]
        decided = _once(one for one in found if isinstance(one, replay.Decided))
        replayed = [replay.again(one, _thresholds(one.thresholds, changes), known) for one in decided]
    except (errors.GovernorError, ValueError) as error:
        said = trails.explained(error, named=asked.named) if isinstance(error, errors.GovernorError) else str(error)
        Console(stderr=True, highlight=False).print(f"safety-governor gate replay: {said}", soft_wrap=True, markup=False)
        return EXIT_ERROR
    unread = [one for one in found if isinstance(one, _Unread)]
    if asked.as_json:
        print(json.dumps({**_plain(replayed, unread), "leftOut": missing.plain()}, indent=2))  # noqa: T201 - for other programs
    else:
        _tell(replayed, unread, screen.screen())
    missing.tell("gate replay")
    return EXIT_ERROR if missing or unread or not all(one.is_reproduced for one in replayed) else 0


def _once(found: Iterable[replay.Decided]) -> list[replay.Decided]:
    """A decision may be recorded in several files: in the trail, and in the incident itself. Where these differ, it is all of them."""
    kept: dict[tuple[str, ...], replay.Decided] = {}
    for one in found:
        known = kept.setdefault((one.id, one.decision, one.required_approval, one.reason), one)
        if one.is_exact and not known.is_exact:
            kept[one.id, one.decision, one.required_approval, one.reason] = one
    return list(kept.values())


def _changes(changes: Sequence[str]) -> dict[str, str]:
    found = {}
    for change in changes:
        name, equals, value = change.partition("=")
        if not equals or name not in checks.Thresholds.model_fields:
            raise ValueError(f"--set {change}: say THRESHOLD=VALUE, where THRESHOLD is one of {', '.join(checks.Thresholds.model_fields)}")
        found[name] = value
    _thresholds(checks.Thresholds(), found)
    return found


def _thresholds(then: checks.Thresholds, changes: dict[str, str]) -> checks.Thresholds:
    try:
        return checks.Thresholds.model_validate({**then.model_dump(by_alias=False), **changes})
    except pydantic.ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise ValueError(
            f"--set {'.'.join(str(part) for part in first['loc'])}: {first['msg']}; thresholds can only be made stricter than the defaults"
        ) from error


def _policies(paths: Sequence[Path]) -> Callable[[str], policies.PolicySet]:
    """The policies of a service."""
    store, problems = bootstrap.knowledge_of(paths)
    store.close()
    if problems:
        # Of the kinds that there are, only one is welcome here.
        problem, other_kind, _ = problems[0].partition("; expected one of ")
        raise ValueError(f"the policies cannot be read: {problem}{'; expected Policy' if other_kind else ''}")
    known = bootstrap.documents_of(paths)
    found = [one for one in known if isinstance(one, documents.Policy)]
    if not found:
        kinds = ", ".join(sorted({type(one).__name__ for one in known})) or "no document"
        where = ", ".join(str(path) for path in paths)
        raise ValueError(f"there is no policy in {where}, but {kinds}; to hold decisions against no policy is not what --policies is for")

    @functools.cache
    def of_service(service: str) -> policies.PolicySet:
        return policies.PolicySet(one for one in found if one.concerns(service))

    return of_service


def _decided(path: Path, missing: gaps.Gaps) -> Iterator[replay.Decided | _Unread]:
    if path.is_dir() or not path.exists():
        for line in bootstrap.trail_lines(path, Stream.WORKFLOW_EVENTS, left_out=missing.note):
            yield from _of_line(line.fields, path)
    elif path.suffix == ".jsonl":
        for line in bootstrap.file_lines(path, left_out=missing.note):
            yield from _of_line(line.fields, path)
    else:
        count = 0
        for incident in manifests.incidents_of(path):
            count += 1
            yield _of_incident(incident)
        if not count:
            raise ValueError(f"{path} has neither an Incident nor a line of an audit trail in it")


def _of_line(fields: Mapping[str, Any], path: Path) -> Iterator[replay.Decided | _Unread]:
    if fields.get("kind") != Kind.GATED:
        return
    try:
        yield replay.from_line(fields)
    except replay.NotReplayableError as error:
        yield _Unread(f"{fields.get('incident')} (line number {fields.get('seq')} of {path.name})", str(error))


def _of_incident(incident: v1alpha1.Incident) -> replay.Decided | _Unread:
    gate, facts = incident.status.gate, chronicle.facts_of(incident)
    if gate is None or facts is None:
        return _Unread(incident.key, "it has not been decided, or is being decided anew")
    return replay.Decided(
        id=events.event_id(Kind.GATED, incident.metadata.uid, gate.plan_digest),
        incident=incident.key,
        service=incident.spec.service,
        plan_digest=gate.plan_digest,
        at=gate.decided_at.isoformat(),
        decision=gate.decision,
        required_approval=gate.required_approval,
        reason=gate.reason,
        gate=gate.version,
        facts=facts,
        # The thresholds themselves are not in the resource, only their digest.
        is_exact=digests.digest(facts) == gate.input_digest and gate.parts.get("thresholds") == digests.digest(checks.Thresholds()),
        thresholds=checks.Thresholds(),
        names=incident.status.plan.names if incident.status.plan else (),
        severity=incident.spec.severity,
    )


def _tell(replayed: Sequence[replay.Replayed], unread: Sequence[_Unread], console: Console) -> None:
    for one in replayed:
        if one.direction is not replay.Direction.SAME:
            then, now = (
                _spoken(one.decided.decision, one.decided.required_approval),
                _spoken(one.verdict.decision, one.verdict.required_approval),
            )
            style = _STYLES[one.direction]
            console.print(
                f"[{style}]{one.direction}[/] [bold]{story.plain(one.decided.incident)}[/] [dim]{digests.short(one.decided.plan_digest)}, "
                f"{one.decided.at[:19]}[/]  {then} → [bold]{now}[/]  {' '.join(one.because)}",
                soft_wrap=True,
            )
        if not one.is_reproduced:
            console.print(
                f"[bold red]✗[/] {story.plain(one.decided.incident)}: under the thresholds of then this gate does not come to the recorded decision; "
                "run `safety-governor audit verify`",
                soft_wrap=True,
            )
    for missing in unread:
        console.print(f"[yellow]![/] {story.plain(missing.where)}: {missing.why}", soft_wrap=True)
    counts = Counter(one.direction for one in replayed)
    inexact = sum(not one.decided.is_exact for one in replayed)
    said = ", ".join(f"{counts[one]} {one.lower()}" for one in replay.Direction if counts[one]) or "none"
    many = words.counted(len(replayed), "decision")
    console.print(f"{many} replayed: {said}" + (f"; {len(unread)} could not be" if unread else ""), soft_wrap=True)
    if inexact:
        console.print(
            f"[dim]Of {inexact} the facts are not wholly recorded: from an Incident, or with a secret left out.[/]", soft_wrap=True
        )


def _spoken(decision: str, required: str) -> str:
    return f"{decision} ({required})" if decision == "block_and_escalate" else decision


def _plain(replayed: Sequence[replay.Replayed], unread: Sequence[_Unread]) -> dict[str, object]:
    return {
        "replayed": [
            {
                "incident": one.decided.incident,
                "planDigest": one.decided.plan_digest,
                "at": one.decided.at,
                "recorded": {
                    "decision": one.decided.decision,
                    "requiredApproval": one.decided.required_approval,
                    "reason": one.decided.reason,
                },
                "now": {"decision": one.verdict.decision, "requiredApproval": one.verdict.required_approval, "reason": one.verdict.reason},
                "direction": one.direction,
                "because": list(one.because),
                "exact": one.decided.is_exact,
                "reproduced": one.is_reproduced,
            }
            for one in replayed
        ],
        "notReplayed": [{"where": one.where, "why": one.why} for one in unread],
    }
