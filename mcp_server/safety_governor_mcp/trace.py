"""What was asked through the tools, and what came back: who may later claim to have seen a document is held against this record."""

from datetime import datetime
from typing import Protocol

from pydantic import Field

from safety_governor.domain import values


class Call(values.Value):
    """One call of a tool."""

    tool: values.Word
    """Its name."""
    caller: values.Line
    """Who called: the name of the token, or `jwt:` and the subject of the JWT; `stdio` for the process that started us."""
    run: values.Line = ""
    """The agent's run, as it names it in X-Governor-Run; empty when it does not."""
    arguments: values.Digest
    """Digest of what was asked; the words themselves may be private."""
    documents: tuple[values.DocumentId, ...] = Field(default=(), max_length=256)
    """Ids of the documents that were returned."""
    status: values.Line
    """Of the answer; `invalid` and `failed` where there was none."""
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
