"""`safety-governor audit show` and `audit tail`: events for people."""

import itertools
import json
import sys
import threading
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console

from safety_governor import bootstrap
from safety_governor.cli import story, timeline
from safety_governor.domain import errors
from safety_governor.domain.audit import sight
from safety_governor.domain.audit.events import Stream

EXIT_ERROR = 1
LOOK_AGAIN = 0.5
"""Seconds between two looks for new lines."""

_STREAMS = (Stream.WORKFLOW_EVENTS, Stream.AGENT_RUNS, Stream.TOOL_TRACE, Stream.RELIABILITY_METRICS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Where:
    """Which trail."""

    folder: Path
    journal: Path | None


def show(incident: str, where: Where, *, as_json: bool) -> int:
    """One incident's story; returns the exit code."""
    try:
        found = _in_order(list(_of(incident, where)))
    except errors.GovernorError as error:
        return _complain("show", str(error))
    if not found:
        return _complain(
            "show", f"the trail in {where.folder} has no event of {incident!r}; it is NAMESPACE/NAME, for example shop/slow, or a uid"
        )
    if as_json:
        print(json.dumps([{"stream": stream, **fields} for stream, fields in found], indent=2))  # noqa: T201 - for other programs
        return 0
    console = Console(highlight=False)
    uids = list(dict.fromkeys(str(fields["uid"]) for _, fields in found if fields.get("uid")))
    console.print(f"[bold]{story.plain(str(found[0][1].get('incident')))}[/]  [dim]{', '.join(uids)}[/]", soft_wrap=True)
    if len(uids) > 1:
        console.print(f"[yellow]![/] {len(uids)} incidents of that name, one after the other; a uid shows one of them", soft_wrap=True)
    first = _at(found[0][1])
    for _, fields in found:
        console.print(f"[dim]{_since(first, _at(fields)):>10}[/]  {_told(fields)}", soft_wrap=True)
    return 0


def seen(folder: Path, *, caller: str, run: str, since: datetime | None, until: datetime | None) -> int:
    """The documents that somebody was shown, an id a line; returns the exit code."""
    try:
        lines = (one.fields for one in bootstrap.trail_lines(folder, Stream.TOOL_TRACE))
        found = sight.seen(lines, caller=caller, run=run, since=since, until=until)
    except errors.GovernorError as error:
        return _complain("seen", str(error))
    if not found:
        return _complain(
            "seen", f"{caller!r} was shown no document there{f' in run {run!r}' if run else ''}, as far as the trail in {folder} tells"
        )
    for document in sorted(found):
        print(document)  # noqa: T201 - for people and programs alike
    return 0


def tail(where: Where, *, count: int, follow: bool, as_json: bool) -> int:
    """The newest events, and with `follow` those to come; returns the exit code."""
    console = Console(highlight=False)
    try:
        follower = bootstrap.trail_follower(where.folder)
        follower.skip()
        newest = [
            fields for stream in _STREAMS for fields in deque((one.fields for one in bootstrap.trail_lines(where.folder, stream)), count)
        ]
    except errors.GovernorError as error:
        return _complain("tail", str(error))
    shown = {str(one.get("id")) for one in newest}
    _print(sorted(newest, key=_at)[-count:] if count else [], console, as_json=as_json)
    pause = threading.Event()
    for _ in itertools.count() if follow else ():
        # What came between the two looks is in both.
        fresh = [one.fields for one in follower.read() if str(one.fields.get("id")) not in shown]
        _print(sorted(fresh, key=_at), console, as_json=as_json)
        pause.wait(LOOK_AGAIN)
    follower.close()
    return 0


def _print(found: Sequence[Mapping[str, Any]], console: Console, *, as_json: bool) -> None:
    for fields in found:
        if as_json:
            print(json.dumps(fields), flush=True)  # noqa: T201 - for other programs
        else:
            about = f"[bold]{story.plain(str(fields['incident']))}[/]  " if fields.get("incident") else ""
            console.print(f"[dim]{_at(fields):%Y-%m-%d %H:%M:%S}[/]  {about}{_told(fields)}", soft_wrap=True)
    sys.stdout.flush()


def _of(incident: str, where: Where) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for stream in _STREAMS:
        for line in bootstrap.trail_lines(where.folder, stream):
            if incident in (line.fields.get("incident"), line.fields.get("uid")):
                yield stream.value, line.fields
    journal = where.journal or where.folder / f"{Stream.JOURNAL}.jsonl"
    # What the journal says of an end is in workflow_events as well, with more.
    for line in bootstrap.file_lines(journal) if journal.is_file() else ():
        if line.fields.get("kind") == "ActionIntended" and incident in (line.fields.get("incident"), line.fields.get("uid")):
            yield Stream.JOURNAL.value, line.fields


def _in_order(found: Sequence[tuple[str, Mapping[str, Any]]]) -> list[tuple[str, Mapping[str, Any]]]:
    """By time; an intent carries the time of its claim, and is written once the claim is on record."""
    claimed = {fields["data"].get("key"): _at(fields) for _, fields in found if fields.get("kind") == "Claimed"}
    return sorted(found, key=lambda one: max(_at(one[1]), claimed.get(one[1].get("key"), _at(one[1]))))


def _told(fields: Mapping[str, Any]) -> str:
    kind = story.plain(str(fields.get("kind")))
    return f"[{timeline.style(fields)}]{kind:<16}[/] {story.plain(timeline.sentence(fields))}"


def _at(fields: Mapping[str, Any]) -> datetime:
    try:
        at = datetime.fromisoformat(str(fields.get("at")))
    except ValueError:
        return datetime.min.replace(tzinfo=UTC)
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def _since(first: datetime, at: datetime) -> str:
    seconds = (at - first).total_seconds()
    if abs(seconds) < 120:
        return f"+{seconds:.2f} s"
    return f"+{seconds / 60:.1f} min" if seconds < 7200 else f"+{seconds / 3600:.1f} h"


def _complain(command: str, sentence: str) -> int:
    Console(stderr=True, highlight=False).print(f"safety-governor audit {command}: {sentence}", soft_wrap=True, markup=False)
    return EXIT_ERROR
