"""`safety-governor metrics summary`: figures about the gate, from the trail alone."""

import json
from collections.abc import Mapping
from pathlib import Path

from rich.console import Console
from rich.table import Table

from safety_governor import bootstrap
from safety_governor.cli import gaps, screen, trails, words
from safety_governor.domain import errors
from safety_governor.domain.audit import figures
from safety_governor.domain.audit.events import Stream

EXIT_ERROR = 1


def run(folder: Path, *, named: bool, as_json: bool) -> int:
    """Print the figures; returns the exit code."""
    tally, missing = figures.Tally(), gaps.Gaps()
    try:
        for line in bootstrap.trail_lines(folder, Stream.WORKFLOW_EVENTS, left_out=missing.note):
            tally.take(line.fields)
    except errors.GovernorError as error:
        said = trails.explained(error, named=named)
        Console(stderr=True, highlight=False).print(f"safety-governor metrics summary: {said}", soft_wrap=True, markup=False)
        return EXIT_ERROR
    found = tally.summary()
    if as_json:
        print(json.dumps({**found.model_dump(mode="json"), "leftOut": missing.plain()}, indent=2))  # noqa: T201 - for other programs
    else:
        _tell(found, screen.screen())
    missing.tell("metrics summary")
    return EXIT_ERROR if missing else 0


def _tell(found: figures.Summary, console: Console) -> None:
    if found.since is None or found.until is None:
        console.print("the trail has no event yet")
        return
    many = words.counted(found.incidents, "incident")
    console.print(f"[bold]{many}[/], {found.since:%Y-%m-%d %H:%M} to {found.until:%Y-%m-%d %H:%M} UTC", soft_wrap=True)
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    table.add_row("Decisions", _counts(found.decisions))
    table.add_row("Blocked by", _counts(found.block_reasons))
    table.add_row("Releasable by", _counts(found.required))
    shift = found.confidence
    if shift.initial is not None and shift.post is not None and shift.delta is not None:
        change = f"{shift.initial:.1f} → {shift.post:.1f} on average ({shift.delta:+.1f}), largest loss {shift.largest_loss:+.1f}"
        table.add_row("Confidence", f"{change}, over {words.counted(shift.decisions, 'decision')}")
    else:
        table.add_row("Confidence", "not known of any decision")
    table.add_row("People", _counts(found.approvals))
    if found.seconds_to_answer is not None:
        table.add_row("Answered", f"after {found.seconds_to_answer:.0f} s (median)")
    table.add_row("Overrides", str(found.overrides))
    table.add_row("Actions", _counts(found.actions))
    table.add_row("Ended", _counts(found.outcomes))
    naive = found.naive
    table.add_row(
        "Without gate",
        f"{naive.executed} would have been executed; with it {naive.executed_with_the_gate} were, {naive.executed_after_people} of them released by people",
    )
    if naive.not_executed:
        table.add_row("Not executed", _counts(naive.not_executed))
    console.print(table)


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in counts.items()) or "none"
