"""A trail against its chain, a line at a time: what does not fit is named by file and line, with what it means.

Memory does not grow with the trail. What a chain cannot prove by itself, that nobody has written all of it anew or cut off its
end, is proved by anchors: places of lines that were noted elsewhere.
"""

import enum
from collections import Counter, OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from pydantic import ValidationError

from safety_governor.domain import values
from safety_governor.domain.audit import chain, events
from safety_governor.domain.audit.events import Position, Stream

NEAR = 4096
"""So many lines back a copy of a line is recognised."""
LISTED = 200
"""So many faults, and so many warnings, are kept of a stream; the others are counted."""


class Fault(enum.StrEnum):
    """What may be wrong with a trail."""

    CHANGED = "Changed"
    REFORMATTED = "Reformatted"
    REMOVED = "Removed"
    ADDED = "Added"
    REORDERED = "Reordered"
    DUPLICATED = "Duplicated"
    UNLINKED = "Unlinked"
    """A line names another line before it than the one that stands there."""
    FOREIGN = "Foreign"
    TORN = "Torn"
    MISSING_FILE = "MissingFile"
    MISPLACED_FILE = "MisplacedFile"
    EMPTY = "Empty"
    REWRITTEN = "Rewritten"
    """What was noted elsewhere says something else."""
    CUT_OFF = "CutOff"
    UNKNOWN_FORM = "UnknownForm"
    CLOCK_WENT_BACK = "ClockWentBack"
    """A warning: clocks do that by themselves."""


WARNINGS = frozenset({Fault.CLOCK_WENT_BACK})

_KINDS = frozenset(events.Kind)

_AT_ONCE = frozenset({Stream.AGENT_RUNS, Stream.TOOL_TRACE})
"""Their times are those of the questions, several of which are asked at once."""


class Finding(values.Value):
    """Something that does not fit."""

    fault: Fault
    file: values.Line
    line: int = 0
    """Counted from 1; 0 where it is about the file."""
    message: values.Text
    """What it means."""

    @property
    def is_warning(self) -> bool:
        """Whether it proves nothing."""
        return self.fault in WARNINGS


@dataclass(frozen=True, slots=True)
class Anchor:
    """A place in the chain that was noted elsewhere, and by whom."""

    position: Position
    where: str


@dataclass(slots=True)
class Verified:
    """What came out for one stream."""

    stream: Stream
    files: int = 0
    lines: int = 0
    last: Position | None = None
    anchors: int = 0
    """How many places noted elsewhere agree."""
    findings: list[Finding] = field(default_factory=list)
    unlisted: int = 0
    """How many more faults there are."""
    unlisted_warnings: int = 0
    heads: dict[str, Anchor] = field(default_factory=dict)
    """The newest places of other streams that this one notes."""

    @property
    def is_proved(self) -> bool:
        """Whether nothing but warnings was found."""
        return all(one.is_warning for one in self.findings)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a line stands."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


class Verifier:
    """Takes the files of one stream in order, and their lines in order."""

    def __init__(self, stream: Stream, anchors: Iterable[Anchor] = ()) -> None:
        self._found = Verified(stream=stream)
        self._anchors: dict[int, list[Anchor]] = {}
        for anchor in anchors:
            self._anchors.setdefault(anchor.position.seq, []).append(anchor)
        self._last: Position | None = None
        self._last_place = Place("", 0)
        self._last_at: datetime | None = None
        self._near: OrderedDict[str, Place] = OrderedDict()
        self._gaps: list[tuple[int, int, Place]] = []
        self._counts: Counter[bool] = Counter()
        self._has_events = False
        self._file = ""
        self._number: int | None = None
        self._line = 0

    @property
    def stream(self) -> Stream:
        """Which one it is."""
        return self._found.stream

    @property
    def has_events(self) -> bool:
        """Whether there was any line but those that begin files."""
        return self._has_events

    def begin(self, file: str, *, number: int | None) -> None:
        """The next file: its name, and the number in it; None for the one that is written."""
        self._file, self._line, self._number = file, 0, number
        self._found.files += 1
        if not self._last_place.file:
            self._last_place = Place(file, 0)

    def take(self, raw: bytes) -> None:
        """The next line, its end included if it has one."""
        self._line += 1
        self._found.lines += 1
        place = Place(self._file, self._line)
        if not raw.endswith(b"\n"):
            self._add(
                Fault.TORN, place, "the line has no end: it was torn by a crash, is being written just now, or the file was cut there"
            )
            return
        try:
            line = chain.read(raw[:-1])
        except chain.NotALineError as error:
            self._add(Fault.FOREIGN, place, f"this is no line of the trail: {error}; it was added, or damaged beyond recognition")
            return
        if not line.intact:
            if line.reformatted:
                self._add(Fault.REFORMATTED, place, "the content is what was written, but not its form; somebody has saved the file anew")
            else:
                self._add(
                    Fault.CHANGED,
                    place,
                    f"line number {line.seq} was changed after it was written: it does not have the hash that it names",
                )
        self._has_events = self._has_events or line.fields.get("kind") != events.Kind.FILE_BEGUN
        if self._line == 1 and self._found.stream is not Stream.JOURNAL:
            self._check_beginning(line, place)
        self._place(line, place)
        self._check_form(line, place)
        self._check_anchors(line, place)

    def finish(self) -> Verified:
        """What came out."""
        for first, last, place in self._gaps:
            what = f"line number {first} is" if first == last else f"lines number {first} to {last} are"
            self._add(Fault.REMOVED, place, f"{what} missing before this line")
        for seq, anchors in self._anchors.items():
            reached = self._last.seq if self._last else 0
            if seq > reached:
                who = _listed([one.where for one in anchors])
                message = (
                    f"the trail ends at line number {reached}, and {who} noted line number {seq}: the end was cut off or the trail replaced"
                )
                self._add(Fault.CUT_OFF, self._last_place, message)
            elif not any(first <= seq <= last for first, last, _ in self._gaps):
                message = f"{_listed([one.where for one in anchors])} noted line number {seq}, which is not there"
                self._add(Fault.REMOVED, self._last_place, message)
        self._found.last = self._last
        return self._found

    def missing_file(self, file: str, number: int) -> None:
        """A file that the numbers of the others say there must be."""
        self._add(Fault.MISSING_FILE, Place(file, 0), f"file number {number} of {self._found.stream} is missing; it was removed or renamed")

    def no_files(self, witnesses: Sequence[str] = ()) -> None:
        """There is no file at all. `witnesses` are files whose content is only written where this one is."""
        where = _listed([one.where for anchors in self._anchors.values() for one in anchors])
        self._anchors.clear()
        if where:
            self._missing(f"the trail is missing, and {where} noted lines of it")
        elif witnesses:
            what = f"what stands in {_listed(list(witnesses))} is never written without it"
            self._missing(f"the trail is missing, and {what}: it was removed or moved")

    def no_events(self, witnesses: Sequence[str]) -> None:
        """There is a file, and nothing in it. `witnesses` are files whose content is only written after this one's."""
        if witnesses:
            what = f"what stands in {_listed(list(witnesses))} is only written after it"
            self._add(Fault.EMPTY, Place(f"{self._found.stream}.jsonl", 0), f"the trail is empty, and {what}: it was cut off")

    def no_journal(self) -> None:
        """The journal is not where the trail is, and nobody said where it is. Said only where it is known that there is one."""
        where = _listed([one.where for anchors in self._anchors.values() for one in anchors])
        self._anchors.clear()
        self._missing(f"no journal was looked at, and {where} noted lines of it; where it is elsewhere, say --journal FILE")

    def _missing(self, message: str) -> None:
        self._add(Fault.MISSING_FILE, Place(f"{self._found.stream}.jsonl", 0), message)

    def empty_file(self, file: str) -> None:
        """A file without a line that is not the one being written."""
        self._add(Fault.EMPTY, Place(file, 0), "the file is empty; every file begins with a line that says which one it is")

    def _add(self, fault: Fault, place: Place, message: str) -> None:
        # Counted apart, so that no number of warnings hides a fault.
        self._counts[fault in WARNINGS] += 1
        if self._counts[fault in WARNINGS] <= LISTED:
            clipped = values.clip(message, values.TEXT_LIMIT)
            self._found.findings.append(Finding(fault=fault, file=place.file, line=place.line, message=clipped))
        elif fault in WARNINGS:
            self._found.unlisted_warnings += 1
        else:
            self._found.unlisted += 1

    def _check_beginning(self, line: chain.Line, place: Place) -> None:
        """Every file says first which one it is."""
        data = line.fields.get("data")
        if line.fields.get("kind") != events.Kind.FILE_BEGUN or not isinstance(data, dict):
            self._add(Fault.REMOVED, place, "the first line of the file, which says which file it is, is missing")
            return
        number = data.get("number")
        if self._number is not None and number != self._number:
            message = f"the file says that it is number {number}, and is called number {self._number}: it was renamed or swapped"
            self._add(Fault.MISPLACED_FILE, place, message)

    def _place(self, line: chain.Line, place: Place) -> None:
        """Where it belongs by its number and by what it names as the line before."""
        expected = self._last.seq + 1 if self._last else 1
        if not line.intact and not line.reformatted:
            # What it says of itself is worth nothing; it stands where it stands.
            self._last, self._last_place = Position(seq=expected, hash=line.hash if _is_digest(line.hash) else chain.GENESIS), place
            return
        copy = self._near.get(line.hash)
        self._remember(line.hash, place)
        if line.seq == expected:
            self._follow(line, place)
        elif line.seq > expected:
            self._gaps.append((expected, line.seq - 1, place))
            self._go_on(line, place)
        elif copy is not None:
            self._add(Fault.DUPLICATED, place, f"line number {line.seq} stands here a second time; it is at {copy} already")
        elif self._fill(line.seq):
            self._add(
                Fault.REORDERED,
                place,
                f"line number {line.seq} stands behind line number {expected - 1}: lines were put into another order",
            )
        else:
            message = (
                f"a second line number {line.seq} that is not the first one: a line was added, or parts of two trails were put together"
            )
            self._add(Fault.ADDED, place, message)

    def _follow(self, line: chain.Line, place: Place) -> None:
        before = self._last.hash if self._last else chain.GENESIS
        if line.prev != before and not self._gaps_just_before(place):
            if self._last is None:
                message = "the first line names a line before it: what stood before was removed"
            else:
                message = f"it was written after another line than the one at {self._last_place}: that one was changed or replaced, and its hash made anew"
            self._add(Fault.UNLINKED, place, message)
        self._go_on(line, place)

    def _gaps_just_before(self, place: Place) -> bool:
        return bool(self._gaps) and self._gaps[-1][2] == place

    def _go_on(self, line: chain.Line, place: Place) -> None:
        self._last, self._last_place = line.position if _is_digest(line.hash) else Position(seq=line.seq, hash=chain.GENESIS), place

    def _fill(self, seq: int) -> bool:
        for number, (first, last, place) in enumerate(self._gaps):
            if first <= seq <= last:
                parts = [(first, seq - 1, place), (seq + 1, last, place)]
                self._gaps[number : number + 1] = [part for part in parts if part[0] <= part[1]]
                return True
        return False

    def _remember(self, own: str, place: Place) -> None:
        self._near.setdefault(own, place)
        while len(self._near) > NEAR:
            self._near.popitem(last=False)

    def _check_form(self, line: chain.Line, place: Place) -> None:
        fields = line.fields
        if self._found.stream is Stream.JOURNAL or not (line.intact or line.reformatted):
            return
        if fields.get("stream") != self._found.stream:
            message = f"it is a line of {fields.get('stream')!s:.40}, not of {self._found.stream}: files were swapped or lines put in"
            self._add(Fault.MISPLACED_FILE, place, message)
            return
        if fields.get("v") != events.VERSION or str(fields.get("kind")) not in _KINDS:
            self._add(Fault.UNKNOWN_FORM, place, "this version of the program does not know lines of that version or kind; use a newer one")
            return
        self._check_clock(fields.get("at"), place)
        self._note_heads(fields.get("heads"), line)

    def _check_clock(self, text: object, place: Place) -> None:
        try:
            at = datetime.fromisoformat(str(text))
        except ValueError:
            at = None
        if at is None or at.tzinfo is None:
            self._add(Fault.UNKNOWN_FORM, place, "its time cannot be read")
            return
        if self._last_at is not None and at < self._last_at and self._found.stream not in _AT_ONCE:
            back = (self._last_at - at).total_seconds()
            if back > 1:
                self._add(Fault.CLOCK_WENT_BACK, place, f"its time is {back:.0f} s before that of the line before")
        self._last_at = at

    def _note_heads(self, heads: object, line: chain.Line) -> None:
        if not isinstance(heads, Mapping):
            return
        for name, position in heads.items():
            try:
                noted = Position.model_validate(position)
            except ValidationError:
                continue
            self._found.heads[str(name)] = Anchor(noted, f"line number {line.seq} of {self._found.stream}")

    def _check_anchors(self, line: chain.Line, place: Place) -> None:
        for anchor in self._anchors.pop(line.seq, ()):
            if anchor.position.hash == line.hash and line.intact:
                self._found.anchors += 1
            elif anchor.position.hash != line.hash:
                message = f"{anchor.where} noted another line number {line.seq}: the trail was written anew up to here or further"
                self._add(Fault.REWRITTEN, place, message)


def _is_digest(text: str) -> bool:
    return len(text) == len(chain.GENESIS) and text.startswith("sha256:") and all(one in "0123456789abcdef" for one in text[7:])


def _listed(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
