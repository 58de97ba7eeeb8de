"""The last screen: each incident without and with the gate, and what was touched."""

from collections.abc import Mapping, Sequence

from rich.table import Table
from rich.text import Text

from demo.checks import Effect
from demo.expected import EXPECTED, Expectation
from demo.incidents import Seen
from demo.stage import Stage
from safety_governor.domain import values

_HEADINGS = ("INCIDENT", "WITHOUT THE GATE", "THE GATE", "BECAUSE", "PEOPLE", "ENDED", "TOUCHED")
_STYLES = {
    "Resolved": "green",
    "Rejected": "red",
    "Blocked": "red",
    "HandedOver": "yellow",
    "Observed": "blue",
    "RolledBack": "yellow",
    "Gated": "yellow",
}
_NEEDS_COLUMNS = {"BECAUSE": 138, "PEOPLE": 113, "ENDED": 113}
"""Narrower terminals are spared what `kubectl get` has just shown and `why` tells."""


def show(
    stage: Stage, seen: Mapping[str, Seen], naive: Mapping[str, str], found: Sequence[Effect], wrong: Mapping[str, Sequence[str]]
) -> None:
    """The table, and below it the sum."""
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("", no_wrap=True)
    headings = [one for one in _HEADINGS if stage.console.width >= _NEEDS_COLUMNS.get(one, 0)]
    for heading in headings:
        table.add_column(heading, overflow="fold", no_wrap=heading in ("INCIDENT", "ENDED", "TOUCHED"))
    for one in EXPECTED:
        cells = _cells(one, seen[one.name], naive[one.name], found)
        mark = Text("✓", style="green") if one.name not in wrong else Text("✗", style="red")
        table.add_row(mark, *(cells[heading] for heading in headings))
    stage.console.print(table)
    stage.console.print()
    hasty = sum(action.startswith(("restarts", "rolls")) for action in naive.values())
    stage.console.print(Text.assemble("Without the gate: ", (f"{hasty} changes", "bold red"), ", at once, and nobody would know why."))
    stage.console.print(Text.assemble("With the gate:    ", (f"{len(found)} changes", "bold green"), _by_whom(found)))


def complain(stage: Stage, wrong: Mapping[str, Sequence[str]]) -> None:
    """What differs from what must happen."""
    stage.console.print()
    stage.console.print(Text("This is not what must happen:", style="bold red"))
    for name, sentences in wrong.items():
        for sentence in sentences:
            stage.console.print(Text.assemble(("✗ ", "red"), f"{name}: {sentence}" if name else sentence), soft_wrap=True)


def _by_whom(found: Sequence[Effect]) -> str:
    names = sorted({f"{one.impersonating or one.by}" for one in found})
    back = len(found) - len({one.incident for one in found})
    once = ", one for each incident that was released" + (f" and {back} that took one back" if back else "")
    return f"{once}, by {' and '.join(names)}." if names else "."


def _cells(one: Expectation, seen: Seen, naive: str, found: Sequence[Effect]) -> dict[str, Text]:
    """What stands under the headings."""
    touched = [effect.target for effect in found if effect.incident == one.key]
    reason = str(seen.gate.get("reason", "")) if one.reasons is not None else ""
    because = reason.replace(",", "\n").replace("NoFindings", "")
    if seen.held:
        because = values.clip(seen.held.partition(";")[0].partition(" (")[0], 64)
    elif seen.phase == "RolledBack":
        because = "made it worse,\ntaken back"
    return {
        "INCIDENT": Text(one.name),
        "WITHOUT THE GATE": Text(naive),
        "THE GATE": Text(_decision(seen)),
        "BECAUSE": Text(because or "–", style="dim"),
        "PEOPLE": _people(seen),
        "ENDED": Text(seen.phase, style=_STYLES.get(seen.phase, "red")),
        "TOUCHED": Text("\n".join(f"{name} ×{touched.count(name)}" for name in dict.fromkeys(touched)) or "nothing"),
    }


def _decision(seen: Seen) -> str:
    decision, takes = str(seen.gate.get("decision") or "none"), str(seen.gate.get("requiredApproval"))
    if decision != "block_and_escalate":
        return "execute,\nheld" if seen.held else decision.replace("_", " ")
    return "block\nfor good" if takes == "Impossible" else f"block, takes\n{takes}"


def _people(seen: Seen) -> Text:
    lines = [Text(f"{one['approver']}: {one['decision']}, refused", style="dim") for one in seen.approval.get("refusals") or ()]
    if seen.approval.get("decision"):
        lines.append(Text(f"{seen.approval['approver']}: {seen.approval['decision']}"))
    return Text("\n").join(lines) if lines else Text("–", style="dim")
