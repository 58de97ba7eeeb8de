"""Tampers with an audit trail in every way we know and prints what the verifier finds: `PYTHONPATH=tests python tests/tools/tamper.py`."""

import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safety_governor.domain import journal
from safety_governor.domain.audit import chain, proof
from safety_governor.domain.audit.events import Position, Stream
from safety_governor.domain.audit.proof import Fault
from support import trails

CURRENT = "workflow_events.jsonl"
FIRST = "workflow_events.000001.jsonl"
SECOND = "workflow_events.000002.jsonl"
JOURNAL = "journal.jsonl"


@dataclass(frozen=True)
class Attempt:
    """One kind of tampering, and what has to be found at least."""

    name: str
    tamper: Callable[[Path], object]
    fault: Fault
    needs_anchors: bool = False
    """Whether it is only found by what incidents note."""


def _lines(path: Path) -> list[bytes]:
    return path.read_bytes().splitlines(keepends=True)


def _put(path: Path, lines: list[bytes]) -> None:
    path.write_bytes(b"".join(lines))


def _edit(change: Callable[[list[bytes]], object], name: str = SECOND) -> Callable[[Path], None]:
    def tamper(folder: Path) -> None:
        lines = _lines(folder / name)
        change(lines)
        _put(folder / name, lines)

    return tamper


def _rehashed(line: bytes, **changes: Any) -> bytes:
    """The line, changed, with a hash that fits."""
    fields = {**json.loads(line), **changes}
    fields.pop("hash")
    own = "sha256:" + hashlib.sha256(chain.canonical(fields)).hexdigest()
    return chain.canonical({**fields, "hash": own}) + b"\n"


def _written_anew(folder: Path, *, stream: str = "workflow_events", skip: int | None = None) -> None:
    """Every line of the stream from a changed one on, with all hashes made anew: the best that an attacker can do."""
    files = [*sorted(folder.glob(f"{stream}.0*.jsonl")), folder / f"{stream}.jsonl"]
    last: Position | None = None
    number = 0
    for path in files:
        written = []
        for line in _lines(path):
            number += 1
            if number == skip:
                continue
            fields = {name: value for name, value in json.loads(line).items() if name not in ("seq", "prev", "hash")}
            if number == 3:
                fields["data"] |= {"message": "nothing happened"}
            if fields["kind"] == "FileBegun" and last is not None:
                fields["data"]["previous"] |= {"seq": last.seq, "hash": last.hash}
            new, last = chain.linked(fields, after=last)
            written.append(new)
        _put(path, written)


def _swap(lines: list[bytes]) -> None:
    lines[2], lines[3] = lines[3], lines[2]


def _exchange(folder: Path) -> None:
    first, second = (folder / FIRST).read_bytes(), (folder / SECOND).read_bytes()
    (folder / FIRST).write_bytes(second)
    (folder / SECOND).write_bytes(first)


def _remove_all(folder: Path) -> None:
    for path in folder.glob("workflow_events*.jsonl"):
        path.unlink()


def _rename_last_full(folder: Path) -> None:
    (folder / SECOND).rename(folder / "workflow_events.000009.jsonl")


def _empty_all(folder: Path) -> None:
    _remove_all(folder)
    (folder / CURRENT).touch()


def _unchained(line: bytes) -> bytes:
    """As a line of a journal without a chain might look."""
    return chain.canonical({name: value for name, value in json.loads(line).items() if name not in ("seq", "prev", "hash")}) + b"\n"


def _other_stream(folder: Path) -> None:
    _put(folder / "agent_runs.jsonl", _lines(folder / CURRENT))


def _cut_agent_runs(folder: Path) -> None:
    _put(folder / "agent_runs.jsonl", _lines(folder / "agent_runs.jsonl")[:-2])


def _add_valid(lines: list[bytes]) -> None:
    """A line that continues the one before it correctly."""
    before = json.loads(lines[2])
    forged = json.loads(lines[3]) | {"seq": before["seq"] + 1, "prev": before["hash"], "id": "0" * 32}
    forged["data"] = {"phase": "Resolved", "message": "approved by everybody"}
    lines.insert(3, _rehashed(chain.canonical(forged)))


def _end_with(lines: list[bytes]) -> None:
    lines[-1] = lines[-1][: len(lines[-1]) // 2]


ATTEMPTS = (
    Attempt("a word in a line changed", _edit(lambda lines: lines.__setitem__(3, lines[3].replace(b"shop", b"shed"))), Fault.CHANGED),
    Attempt(
        "a number in a line changed", _edit(lambda lines: lines.__setitem__(3, lines[3].replace(b'"seq":', b'"seq":9'))), Fault.CHANGED
    ),
    Attempt("the time of a line changed", _edit(lambda lines: lines.__setitem__(3, lines[3].replace(b"T12:", b"T11:", 1))), Fault.CHANGED),
    Attempt("only the hash of a line changed", _edit(lambda lines: lines.__setitem__(3, _other_hash(lines[3]))), Fault.CHANGED),
    Attempt(
        "a line changed and its hash made anew",
        _edit(lambda lines: lines.__setitem__(3, _rehashed(lines[3], data={"phase": "Rejected"}))),
        Fault.UNLINKED,
    ),
    Attempt("spaces put into a line", _edit(lambda lines: lines.__setitem__(3, lines[3].replace(b'":"', b'": "'))), Fault.REFORMATTED),
    Attempt("a line removed", _edit(lambda lines: lines.pop(3)), Fault.REMOVED),
    Attempt("several lines removed", _edit(lambda lines: lines.__delitem__(slice(2, 5))), Fault.REMOVED),
    Attempt("the first line of a file removed", _edit(lambda lines: lines.pop(0)), Fault.REMOVED),
    Attempt("the last line of a full file removed", _edit(lambda lines: lines.pop(), FIRST), Fault.REMOVED),
    Attempt("a line doubled", _edit(lambda lines: lines.insert(3, lines[3])), Fault.DUPLICATED),
    Attempt("an old line appended again", _edit(lambda lines: lines.append(lines[2])), Fault.DUPLICATED),
    Attempt("two lines exchanged", _edit(_swap), Fault.REORDERED),
    Attempt("a line of our form added, correctly linked", _edit(_add_valid), Fault.ADDED),
    Attempt("a foreign line added", _edit(lambda lines: lines.insert(3, b"approved, honestly\n")), Fault.FOREIGN),
    Attempt("JSON that is no line of ours added", _edit(lambda lines: lines.insert(3, b'{"kind":"Gated"}\n')), Fault.FOREIGN),
    Attempt("the last line cut in the middle", _edit(_end_with, CURRENT), Fault.TORN),
    Attempt("zeros over a line, as after a power failure", _edit(lambda lines: lines.__setitem__(3, b"\0" * 80 + b"\n")), Fault.FOREIGN),
    Attempt("a full file removed", lambda folder: (folder / SECOND).unlink(), Fault.MISSING_FILE),
    Attempt("the first file removed", lambda folder: (folder / FIRST).unlink(), Fault.MISSING_FILE),
    Attempt("a full file renamed", _rename_last_full, Fault.MISPLACED_FILE),
    Attempt("two full files exchanged", _exchange, Fault.MISPLACED_FILE),
    Attempt("a full file emptied", lambda folder: (folder / FIRST).write_bytes(b""), Fault.EMPTY),
    Attempt("one trail put in the place of another", _other_stream, Fault.MISPLACED_FILE),
    Attempt("the end of agent_runs cut off", _cut_agent_runs, Fault.CUT_OFF),
    Attempt("all of agent_runs written anew", lambda folder: _written_anew(folder, stream="agent_runs"), Fault.REWRITTEN),
    Attempt(
        "the end of the trail cut off", _edit(lambda lines: lines.__delitem__(slice(-2, None)), CURRENT), Fault.CUT_OFF, needs_anchors=True
    ),
    Attempt("the newest file removed", lambda folder: (folder / CURRENT).unlink(), Fault.CUT_OFF, needs_anchors=True),
    Attempt("a line changed and all the rest written anew", _written_anew, Fault.REWRITTEN, needs_anchors=True),
    Attempt(
        "a line removed and all the rest written anew", lambda folder: _written_anew(folder, skip=4), Fault.CUT_OFF, needs_anchors=True
    ),
    Attempt("every file of workflow_events removed", _remove_all, Fault.MISSING_FILE),
    Attempt("workflow_events emptied", _empty_all, Fault.EMPTY),
    Attempt("the last line of the journal cut off", _edit(lambda lines: lines.pop(), JOURNAL), Fault.CUT_OFF),
    Attempt("the journal emptied", lambda folder: (folder / JOURNAL).write_bytes(b""), Fault.CUT_OFF),
    Attempt("the journal removed", lambda folder: (folder / JOURNAL).unlink(), Fault.MISSING_FILE),
    Attempt(
        "an action without a chain put before the journal",
        _edit(lambda lines: lines.insert(0, _unchained(lines[3])), JOURNAL),
        Fault.FOREIGN,
    ),
    Attempt(
        "the journal written anew without a chain",
        _edit(lambda lines: lines.__setitem__(slice(None), [_unchained(one) for one in lines]), JOURNAL),
        Fault.FOREIGN,
    ),
)


def _other_hash(line: bytes) -> bytes:
    own = json.loads(line)["hash"].encode()
    return line.replace(own, b"sha256:" + b"a" * 64, 1)


def prepare(folder: Path) -> list[proof.Anchor]:
    """A trail of several files, and what incidents note of it."""
    happened = [one for number in range(1, 30) for one in (trails.a_question(number), trails.an_event(number), trails.a_decision(number))]
    actions, noted = b"", None
    for number in range(1, 10):
        line, noted = journal.linked(trails.an_intent(number), after=noted)
        actions += line
    folder.mkdir(parents=True, exist_ok=True)
    (folder / JOURNAL).write_bytes(actions)
    last = trails.write(folder, *happened, journal=lambda: noted)
    assert last is not None
    middle = chain.read(_lines(folder / SECOND)[1][:-1])
    return [proof.Anchor(middle.position, "incident shop/i-9"), proof.Anchor(last, "incident shop/i-29")]


def tried(attempt: Attempt, folder: Path, anchors: list[proof.Anchor]) -> tuple[list[proof.Finding], list[proof.Finding]]:
    """What is found in a prepared folder by the chain alone, and with what incidents note."""
    attempt.tamper(folder)
    return trails.verify(folder), trails.verify(folder, anchors)


def main() -> None:
    """Print the table."""
    print(f"{'TAMPERING':<48} {'FOUND BY':<8} {'AS':<15} {'AT':<34} MESSAGE")
    for attempt in ATTEMPTS:
        folder = Path(tempfile.mkdtemp())
        alone, anchored = tried(attempt, folder, prepare(folder))
        found = [one for one in anchored if one.fault is attempt.fault]
        by = "chain" if any(one.fault is attempt.fault for one in alone) else "anchor" if found else "NOBODY"
        place = f"{found[0].file}:{found[0].line}" if found else ""
        print(f"{attempt.name:<48} {by:<8} {attempt.fault:<15} {place:<34} {found[0].message if found else ''}")
        shutil.rmtree(folder)
    print(f"{len(ATTEMPTS)} kinds of tampering; streams: {', '.join(Stream)}")


if __name__ == "__main__":
    main()
