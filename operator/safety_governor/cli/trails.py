"""`safety-governor audit show`, `audit tail` and `audit seen`: events for people."""

import itertools
import json
import sys
import threading
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from rich.console import Console

from safety_governor import bootstrap
from safety_governor.cli import gaps, ordering, screen, story, timeline
from safety_governor.domain import errors
from safety_governor.domain.audit import sight
from safety_governor.domain.audit.events import Stream

EXIT_ERROR = 1
LISTED = 10
"""So many incidents are named to whoever asked for one that is not there."""
LOOK_AGAIN = 0.5
"""Seconds between two looks for new lines."""

_STREAMS = (Stream.WORKFLOW_EVENTS, Stream.AGENT_RUNS, Stream.TOOL_TRACE, Stream.RELIABILITY_METRICS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Where:
    """Which trail."""

    folder: Path
    journal: Path | None
    named: bool
    """Whether the folder was named on the command line."""


def show(incident: str, where: Where, *, as_json: bool) -> int:
    """One incident's story; returns the exit code."""
    missing = gaps.Gaps()
    known: dict[str, None] = {}
    try:
        found = ordering.in_order(list(_of(incident, where, missing, known)))
    except errors.GovernorError as error:
        return _complain("show", explained(error, named=where.named))
    if not found:
        missing.tell("audit show")
        return _complain("show", f"the trail in {where.folder} has no event of {incident!r}; {_others(list(known))}")
    if as_json:
        print(json.dumps([{"stream": one.stream, **one.fields} for one in found], indent=2))  # noqa: T201 - for other programs
    else:
        _tell_story(found, screen.screen())
    missing.tell("audit show")
    return 0


def _tell_story(found: Sequence[ordering.Placed], console: Console) -> None:
    uids = list(dict.fromkeys(str(one.fields["uid"]) for one in found if one.fields.get("uid")))
    console.print(f"[bold]{story.plain(str(found[0].fields.get('incident')))}[/]  [dim]{', '.join(uids)}[/]", soft_wrap=True)
    if len(uids) > 1:
        console.print(f"[yellow]![/] {len(uids)} incidents of that name, one after the other; a uid shows one of them", soft_wrap=True)
    first = min(one.at for one in found)
    for one in found:
        when = f"{one.timing} {_since(first, one.at)}".strip()
        console.print(f"[dim]{when:>17}[/]  {_told(one.fields)}", soft_wrap=True)
    timings = {one.timing for one in found}
    console.print("[dim]Times are by the clock of the operator that wrote the line.[/]", soft_wrap=True)
    for timing in (one for one in ordering.Timing if one in timings and one is not ordering.Timing.EXACT):
        console.print(f"[dim]“{timing}”: {ordering.MEANINGS[timing]}[/]", soft_wrap=True)


def _others(known: Sequence[str]) -> str:
    if not known:
        return "it knows of no incident at all"
    newest = list(reversed(known))[:LISTED]
    more = f" and {len(known) - LISTED} older ones" if len(known) > LISTED else ""
    return f"it knows {', '.join(newest)}{more}; say one of these, or a uid"


def seen(where: Where, *, caller: str, run: str, since: datetime | None, until: datetime | None) -> int:
    """The documents that somebody was shown, an id a line; returns the exit code.

    A folder without a trail of its own stands for the trails in its folders: an MCP server has one for each way to be called.
    """
    missing = gaps.Gaps()
    try:
        folders = bootstrap.trails_below(where.folder)
        if not folders or bootstrap.holds_trail(where.folder):
            folders = [where.folder]
        lines = (one.fields for folder in folders for one in bootstrap.trail_lines(folder, Stream.TOOL_TRACE, left_out=missing.note))
        found = sight.seen(lines, caller=caller, run=run, since=since, until=until)
    except errors.GovernorError as error:
        return _complain("seen", explained(error, named=where.named, setting="GOVERNOR_MCP_AUDIT"))
    missing.tell("audit seen")
    if not found:
        during = f" in run {run!r}" if run else ""
        places = ", ".join(str(folder) for folder in folders)
        return _complain("seen", f"{caller!r} was shown no document{during}, as far as the trail in {places} tells")
    for document in sorted(found):
        print(document)  # noqa: T201 - for people and programs alike
    # What stands in a line that cannot be read may be a document as well.
    return EXIT_ERROR if missing else 0


def tail(where: Where, *, count: int, follow: bool, as_json: bool) -> int:
    """The newest events, and with `follow` those to come; returns the exit code."""
    console, missing = screen.screen(), gaps.Gaps()
    try:
        follower = bootstrap.trail_follower(where.folder, left_out=missing.note)
        follower.skip()
        newest: list[Mapping[str, Any]] = []
        for stream in _STREAMS:
            lines = bootstrap.trail_lines(where.folder, stream, left_out=missing.note)
            newest += deque((one.fields for one in lines), count)
    except errors.GovernorError as error:
        return _complain("tail", explained(error, named=where.named))
    shown = {str(one.get("id")) for one in newest}
    _print(sorted(newest, key=ordering.time_of)[-count:] if count else [], console, as_json=as_json)
    missing.tell("audit tail")
    pause = threading.Event()
    for _ in itertools.count() if follow else ():
        # What came between the two looks is in both.
        fresh = [one.fields for one in follower.read() if str(one.fields.get("id")) not in shown]
        _print(sorted(fresh, key=ordering.time_of), console, as_json=as_json)
        missing.tell("audit tail")
        pause.wait(LOOK_AGAIN)
    follower.close()
    return 0


def _print(found: Sequence[Mapping[str, Any]], console: Console, *, as_json: bool) -> None:
    width = max((len(str(fields.get("incident") or "")) for fields in found), default=0)
    for fields in found:
        if as_json:
            print(json.dumps(fields), flush=True)  # noqa: T201 - for other programs
        else:
            about = story.plain(str(fields.get("incident") or "").ljust(width))
            console.print(f"[dim]{ordering.time_of(fields):%Y-%m-%d %H:%M:%S}[/]  [bold]{about}[/]  {_told(fields)}", soft_wrap=True)
    sys.stdout.flush()


def _of(incident: str, where: Where, missing: gaps.Gaps, known: dict[str, None]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The lines about it, stream by stream; in `known` the names of all incidents, those last that were heard of last."""
    for stream in _STREAMS:
        for line in bootstrap.trail_lines(where.folder, stream, left_out=missing.note):
            if name := line.fields.get("incident"):
                known.pop(str(name), None)
                known[str(name)] = None
            if incident in (line.fields.get("incident"), line.fields.get("uid")):
                yield stream.value, line.fields
    journal = where.journal or where.folder / f"{Stream.JOURNAL}.jsonl"
    # What the journal says of an end is in workflow_events as well, with more.
    for line in bootstrap.file_lines(journal, left_out=missing.note) if journal.is_file() else ():
        if line.fields.get("kind") == "ActionIntended" and incident in (line.fields.get("incident"), line.fields.get("uid")):
            yield Stream.JOURNAL.value, line.fields


def _told(fields: Mapping[str, Any]) -> str:
    kind = story.plain(str(fields.get("kind")))
    return f"[{timeline.style(fields)}]{kind:<16}[/] {story.plain(timeline.sentence(fields))}"


def _since(first: datetime, at: datetime) -> str:
    seconds = (at - first).total_seconds()
    if abs(seconds) < 120:
        return f"+{seconds:.2f} s"
    return f"+{seconds / 60:.1f} min" if seconds < 7200 else f"+{seconds / 3600:.1f} h"


def explained(error: errors.GovernorError, *, named: bool, setting: str = "GOVERNOR_AUDIT") -> str:
    """What it says, and how to name another folder where none was named."""
    if named or not isinstance(error, errors.NoTrailError):
        return str(error)
    return f"{error}. Give the folder as an argument or set {setting}"


def _complain(command: str, sentence: str) -> int:
    Console(stderr=True, highlight=False).print(f"safety-governor audit {command}: {sentence}", soft_wrap=True, markup=False)
    return EXIT_ERROR
