"""What was asked through the tools, and what came back: who may later claim to have seen a document is held against this record."""

from collections.abc import Iterable
from datetime import datetime
from typing import Protocol

from pydantic import Field

from safety_governor.domain import values


class Call(values.Value):
    """One call of a tool."""

    tool: values.Word
    """Its name."""
    caller: values.Line
    """Who called: the name of the token or the subject of the JWT; `stdio` for the process that started us."""
    run: values.Line = ""
    """The agent's run, as it names it in X-Governor-Run; empty when it does not."""
    arguments: values.Digest
    """Digest of what was asked; the words themselves may be private."""
    documents: tuple[values.DocumentId, ...] = Field(default=(), max_length=256)
    """Ids of the documents that were returned."""
    at: datetime
    """When it began."""
    milliseconds: int = Field(ge=0)
    """How long it took."""
    problem: values.Text = ""
    """Why nothing was returned; empty when something was, or when there certainly is nothing."""


class Trace(Protocol):
    """Where calls are recorded."""

    def record(self, call: Call) -> None:
        """Take note of it. Never raises and never waits: no answer is held up by its record."""


def seen(
    calls: Iterable[Call], *, caller: str, run: str = "", since: datetime | None = None, until: datetime | None = None
) -> frozenset[str]:
    """The documents that this caller has really been shown: in a run, or in a window of time, both ends included.

    A call of another caller never counts, whatever run it names: a run is a word that everybody can say.
    """
    return frozenset(
        document
        for call in calls
        if call.caller == caller
        and (not run or call.run == run)
        and (since is None or call.at >= since)
        and (until is None or call.at <= until)
        for document in call.documents
    )
