"""What was asked through the tools, and what came back: who may later claim to have seen a document is held against this record."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call of a tool, as it was; what is kept of it is worked out when it is written, which no caller waits for."""

    tool: str
    """Its name."""
    caller: str
    """Who called: the name of the token, or `jwt:` and the subject of the JWT, or `jwt-` and a digest where that is no short text;
    `jwt-client:` and the client where it has none; `stdio` for the process that started us."""
    run: str
    """The agent's run, as it names it in X-Governor-Run; empty when it does not."""
    asked: Mapping[str, Any]
    """The arguments. Only their digest is kept; the words themselves may be private."""
    documents: tuple[str, ...] = ()
    """Ids of the documents that were returned."""
    status: str
    """Of the answer; `invalid` and `failed` where there was none."""
    at: datetime
    """When it began."""
    milliseconds: int
    """How long it took."""
    problem: str = ""
    """Why nothing was returned; empty when something was, or when there certainly is nothing."""


class Trace(Protocol):
    """Where calls are recorded."""

    def record(self, call: Call) -> None:
        """Take note of it. Never raises and never waits: no answer is held up by its record."""
