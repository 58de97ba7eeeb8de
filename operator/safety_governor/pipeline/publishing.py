"""Publishes the audit trail to wherever people search in it: at least once, in order, and never in anybody's way.

The trail on disk is the backlog. What was published is noted after it was; a crash in between publishes it again, under the same
ids, which changes nothing.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import structlog

from safety_governor.domain import errors
from safety_governor.domain.audit import documents
from safety_governor.domain.audit.documents import Record
from safety_governor.pipeline import ports

BATCH = 200
"""So many lines are published at once."""
IDLE = 1.0
"""Seconds until it is looked for new lines."""
FIRST_PAUSE = 1.0
LONGEST_PAUSE = 60.0

_log = structlog.get_logger()


class Publisher:
    """Hands the trail on, line after line."""

    def __init__(
        self, *, outbox: ports.Outbox, records: ports.Records, on_backlog: Callable[[int], None] = lambda _: None, batch: int = BATCH
    ) -> None:
        self._outbox = outbox
        self._records = records
        self._on_backlog = on_backlog
        self._batch = batch
        self._aside: set[tuple[str, str]] = set()
        """What was set aside of the lines that are not noted as published yet."""

    async def keep_publishing(self) -> None:
        """Again and again; returns only when it is cancelled. What does not answer is tried again with growing pauses."""
        pause = FIRST_PAUSE
        while True:
            try:
                published = await self.publish()
            except errors.RetryableError as error:
                _log.warning(
                    "the audit trail cannot be published now; it waits on disk and no decision does", error=str(error), seconds=pause
                )
            except errors.GovernorError as error:
                pause = LONGEST_PAUSE
                sentence = "the store refuses the audit trail as a whole; it waits on disk and no decision does"
                _log.error(sentence, error=str(error), seconds=pause)
            except Exception:  # noqa: BLE001 - whatever it is, decisions go on and the trail keeps everything
                pause = LONGEST_PAUSE
                _log.exception("an error nobody foresaw while the audit trail was published; it waits on disk", seconds=pause)
            else:
                pause = FIRST_PAUSE
                if published < self._batch:
                    await asyncio.sleep(IDLE)
                continue
            await self._count()
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE)

    async def publish(self) -> int:
        """One batch; how many lines it had. Raises what the store raises; then nothing is noted as published."""
        lines = await self._outbox.next(self._batch)
        if not lines:
            self._on_backlog(0)
            return 0
        found: list[Record] = []
        formless: list[tuple[Mapping[str, Any], Exception]] = []
        for line in lines:
            try:
                found += documents.records_of(line)
            except Exception as error:  # noqa: BLE001 - whatever is wrong with one line, the others go on
                formless.append((line, error))
        await self._write(found)
        # After what may have to be tried again, so that it is set aside once.
        for line, why in formless:
            _log.error("a line of the audit trail has no form to be published in; it is set aside", seq=line.get("seq"), error=str(why))
            reason = f"it has no form to be published in ({type(why).__name__})"
            await self._set_aside(("line", str(line.get("seq"))), {"line": line}, reason)
        await self._outbox.done(int(lines[-1]["seq"]))
        self._aside.clear()
        await self._count()
        return len(lines)

    async def _write(self, found: Sequence[Record]) -> None:
        newest = {(one.index, one.id): one for one in found}
        # Of several states of one incident in a batch only the last is of use.
        records = list(newest.values())
        if not records:
            return
        refused = await self._records.write(records)
        for one in records:
            why = refused.get((one.index, one.id))
            if why is not None:
                _log.error("the store refuses a record for good; it is set aside, the others go on", index=one.index, id=one.id, why=why)
                await self._set_aside((one.index, one.id), {"index": one.index, "id": one.id, "document": one.document}, why)

    async def _set_aside(self, which: tuple[str, str], content: Mapping[str, Any], why: str) -> None:
        """Once, also when its batch has to be published again."""
        if which not in self._aside:
            await self._outbox.set_aside(content, why)
            self._aside.add(which)

    async def _count(self) -> None:
        try:
            self._on_backlog(await self._outbox.backlog())
        except errors.GovernorError as error:
            _log.warning("it cannot be told how much of the audit trail waits to be published", error=str(error))
