"""The last screen: each incident without and with the gate, and what was touched."""

from collections.abc import Mapping, Sequence

from rich.table import Table
from rich.text import Text

from demo.checks import Effect
from demo.expected import EXPECTED, Expectation
from demo.incidents import Seen
from demo.stage import Stage

_STYLES = {"Resolved": "green", "Rejected": "red", "Blocked": "red", "HandedOver": "yellow", "Observed": "blue"}
_RELEASES = {"execute": "execute", "block_and_escalate": "block", "hand_over": "hand over"}


def show(stage: Stage, seen: Mapping[str, Seen], naive: Mapping[str, str], found: Sequence[Effect], wrong: Mapping[str, Sequence[str]]) -> None:
    """The table, and below it the sum."""
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold", title="What happened", title_justify="left", title_style="bold")
    for heading in ("", "INCIDENT", "WITHOUT THE GATE: AT ONCE", "THE GATE", "BECAUSE", "PEOPLE", "ENDED", "TOUCHED"):
        table.add_column(heading, overflow="fold")
    for one in EXPECTED:
        table.add_row(*_row(one, seen[one.name], naive[one.name], found, is_right=one.name not in wrong))
    stage.console.print(table)
    stage.console.print()
    hasty = sum("restarts" in action for action in naive.values())
    stage.console.print(Text.assemble("Without the gate: ", (f"{hasty} restarts", "bold red"), ", at once, and nobody would know why."))
    executors = sorted({one.impersonating for one in found})
    summary = f", by {', '.join(executors)} (impersonated by the operator), as the API server's audit log says." if found else "."
    stage.console.print(Text.assemble("With the gate:    ", (f"{len(found)} restarts", "bold green"), summary))


def complain(stage: Stage, wrong: Mapping[str, Sequence[str]]) -> None:
    """What differs from what must happen."""
    stage.console.print()
    stage.console.print(Text("This is not what must happen:", style="bold red"))
    for name, sentences in wrong.items():
        for sentence in sentences:
            stage.console.print(Text.assemble(("✗ ", "red"), f"{name}: {sentence}" if name else sentence), soft_wrap=True)


def _row(one: Expectation, seen: Seen, naive: str, found: Sequence[Effect], *, is_right: bool) -> list[Text]:
    touched = [effect.deployment for effect in found if effect.incident == one.key]
    return [
        Text("✓", style="green") if is_right else Text("✗", style="red"),
        Text(one.name),
        Text(naive),
        Text(_decision(seen)),
        Text(str(seen.gate.get("reason", "")).replace(",", "\n").replace("NoFindings", "–") if one.reasons is not None else "–", style="dim"),
        _people(seen),
        Text(seen.phase, style=_STYLES.get(seen.phase, "red")),
        Text(", ".join(f"{name} ×{touched.count(name)}" for name in dict.fromkeys(touched)) or "nothing"),
    ]


def _decision(seen: Seen) -> str:
    decision, takes = _RELEASES.get(str(seen.gate.get("decision")), "?"), str(seen.gate.get("requiredApproval"))
    return f"{decision}, takes {takes}" if decision == "block" and takes != "Impossible" else f"{decision} for good" if decision == "block" else decision


def _people(seen: Seen) -> Text:
    lines = [Text(f"{one['approver']}: {one['decision']} (refused)", style="dim") for one in seen.approval.get("refusals") or ()]
    if seen.approval.get("decision"):
        lines.append(Text(f"{seen.approval['approver']}: {seen.approval['decision']}"))
    return Text("\n").join(lines) or Text("–", style="dim")
