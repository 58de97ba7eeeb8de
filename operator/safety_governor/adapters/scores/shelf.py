"""Keeps answers of score services in a file, so that a restart or a second call of the command line starts no further run.

A shelf that cannot be read or written is none: answers are then kept in the process alone.
"""

import asyncio
import contextlib
import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from pydantic import ValidationError

from safety_governor.domain import scores
from safety_governor.domain.scoring import answers

_WAIT = 1.0
"""Seconds for another process that is writing."""

_TABLE = """CREATE TABLE IF NOT EXISTS answers (
    origin TEXT NOT NULL, service TEXT NOT NULL, model TEXT NOT NULL, since TEXT NOT NULL, reading TEXT NOT NULL,
    PRIMARY KEY (origin, service, model)) WITHOUT ROWID"""


@dataclass(frozen=True, slots=True)
class Kept:
    """An answer and when it was put away."""

    reading: scores.Reading
    since: datetime


class Shelf:
    """One file for all processes of one machine. `origins` says whose answers count: another address is another origin.

    A `blank` one is written and not read, for whoever wants a new answer. `complain` is told, for people, when the file is of no use.
    """

    def __init__(self, path: Path, *, origins: Mapping[scores.Service, str], complain: Callable[[str], None], blank: bool = False) -> None:
        self._path = path
        self._tell = complain
        self._blank = blank
        self._origins = dict(origins)

    async def find(self, service: scores.Service, model: str) -> Kept | None:
        """What was put away, however old it is."""
        row = await asyncio.to_thread(self._find, service, model) if not self._blank else None
        if row is None:
            return None
        try:
            kept = Kept(scores.Reading.model_validate_json(row[1]), datetime.fromisoformat(row[0]))
        except (ValidationError, ValueError):
            # Written by another version.
            return None
        return kept if kept.since.tzinfo is not None and answers.can_be_measured(kept.reading) else None

    async def put(self, service: scores.Service, model: str, kept: Kept) -> None:
        """In place of what was there."""
        await asyncio.to_thread(self._put, service, model, kept)

    def _find(self, service: scores.Service, model: str) -> tuple[str, str] | None:
        question = "SELECT since, reading FROM answers WHERE origin = ? AND service = ? AND model = ?"
        try:
            # Opening would make an empty file where there is none.
            if not self._path.exists():
                return None
            with contextlib.closing(self._open()) as file:
                row: tuple[str, str] | None = file.execute(question, (self._origins.get(service, ""), service.value, model)).fetchone()
                return row
        except (sqlite3.Error, OSError) as error:
            self._complain(error)
            return None

    def _put(self, service: scores.Service, model: str, kept: Kept) -> None:
        row = (self._origins.get(service, ""), service.value, model, kept.since.isoformat(), kept.reading.model_dump_json())
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with contextlib.closing(self._open()) as file, file:
                file.execute("INSERT OR REPLACE INTO answers VALUES (?, ?, ?, ?, ?)", row)
        except (sqlite3.Error, OSError) as error:
            self._complain(error)

    def _open(self) -> sqlite3.Connection:
        file = sqlite3.connect(self._path, timeout=_WAIT)
        try:
            file.execute(_TABLE)
        except BaseException:
            file.close()
            raise
        return file

    def _complain(self, error: Exception) -> None:
        self._tell(
            f"answers of score services cannot be kept in {self._path} ({type(error).__name__}: {error}); the next process asks anew, "
            "which may start runs there; GOVERNOR_SCORES_FILE names the file"
        )
