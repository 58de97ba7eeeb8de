"""Around every call: who calls, how often, with what, and what was returned."""

import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

import mcp_types
import structlog
from fastmcp.exceptions import NotFoundError, ValidationError
from fastmcp.server.auth import AccessToken
from fastmcp.server.dependencies import get_access_token, get_http_request
from fastmcp.server.middleware import CallNext, Middleware, MiddlewareContext
from fastmcp.tools import Tool
from fastmcp.tools.base import ToolResult
from mcp.shared.exceptions import MCPError

from safety_governor.domain import digests, values
from safety_governor_mcp import figures, tools, trace, wrong
from safety_governor_mcp.results import Result, Status

ALONE = "stdio"
"""The caller where there is only one: the process that has started us."""
ANYBODY = "anybody"
"""Every caller where no tokens are configured."""
RUN_HEADER = "x-governor-run"
UNKNOWN = "unknown"
"""The tool of a call of none of ours."""
TOO_MANY = -32000
"""The code of JSON-RPC for what is the server's own reason."""
CALLERS = 1024
"""Of so many callers it is known how often they called; with JWTs there may be any number."""

_log = structlog.get_logger()


class Attending(Middleware):
    """Answers wrong and too many calls with a sentence, and records every call."""

    def __init__(
        self, *, traced: trace.Trace, counted: figures.Figures, now: Callable[[], datetime], over_http: bool, calls_per_minute: int
    ) -> None:
        self._traced = traced
        self._counted = counted
        self._now = now
        self._nobody = ANYBODY if over_http else ALONE
        self._allowance = Allowance(calls_per_minute)
        # Clients list before they call, so neither is to use up the other.
        self._listings = Allowance(calls_per_minute)

    async def on_call_tool(
        self, context: MiddlewareContext[mcp_types.CallToolRequestParams], call_next: CallNext[mcp_types.CallToolRequestParams, Any]
    ) -> Any:  # noqa: ANN401 - whatever the next one answers
        """Record, and say what is wrong in a result."""
        at, began = self._now(), time.monotonic()
        who, run = self._caller()
        # Names that callers make up are not kept: there is no end of them.
        tool = context.message.name if context.message.name in tools.NAMES else UNKNOWN
        wait = self._allowance.spend(who, began)

        def note(status: str, *, documents: tuple[str, ...] = (), problem: str = "") -> None:
            seconds = time.monotonic() - began
            self._counted.called(tool, status, seconds)
            if wait:
                # Nothing was shown, and whoever calls without end must not fill the disk.
                return
            self._traced.record(
                trace.Call(
                    tool=tool,
                    caller=who,
                    run=run,
                    asked=context.message.arguments or {},
                    documents=documents,
                    status=status,
                    at=at,
                    milliseconds=int(seconds * 1000),
                    problem=problem,
                )
            )

        try:
            if wait:
                result = self._refused(Status.UNAVAILABLE, self._allowance.sentence(who, wait))
            else:
                result = await call_next(context)
        except ValidationError as error:
            result = self._refused(Status.INVALID, wrong.sentence(error))
        except NotFoundError:
            # The protocol has an answer of its own for that.
            note("invalid", problem="there is no such tool")
            raise
        except Exception:
            _log.exception("a tool failed by an error nobody foresaw", tool=tool)
            note("failed", problem="unforeseen error")
            raise
        answered = result.structured_content or {}
        status = str(answered.get("status", "ok"))
        note(status, documents=_documents(answered), problem="" if status in ("ok", "empty") else str(answered.get("reason") or ""))
        return result

    async def on_list_tools(
        self, context: MiddlewareContext[mcp_types.ListToolsRequest], call_next: CallNext[mcp_types.ListToolsRequest, Sequence[Tool]]
    ) -> Sequence[Tool]:
        """Asking what there is costs more than most calls."""
        who, _ = self._caller()
        if wait := self._listings.spend(who, time.monotonic()):
            raise MCPError(code=TOO_MANY, message=self._listings.sentence(who, wait))
        return await call_next(context)

    def _caller(self) -> tuple[str, str]:
        token = get_access_token()
        who = named(token) if token is not None else ""
        run = get_http_request().headers.get(RUN_HEADER, "") if self._nobody != ALONE else ""
        return who or self._nobody, values.clip("".join(sign for sign in run if sign.isprintable()), values.LINE_LIMIT)

    def _refused(self, status: Status, reason: str) -> ToolResult:
        told: Result[None] = Result(status=status, reason=values.clip(reason, 2000), source="mcp server", as_of=self._now())
        return ToolResult(structured_content=told.model_dump(mode="json"))


def named(token: AccessToken) -> str:
    """One name for one caller: two must never share one, or one could cite what only the other was shown."""
    # What FastMCP makes of the name where both tokens and JWTs are let in is the same for all tokens.
    own = token.original_client_id or token.client_id
    if not token.claims:
        return own
    # A name in the file of tokens has no colon, so nobody gets it by a JWT; nor does one client get the name of another's user.
    subject = token.claims.get("sub")
    name = f"jwt:{subject}" if subject else f"jwt-client:{own}"
    # What is cut or left out of one name could make it another's.
    return name if len(name) <= values.LINE_LIMIT and name.isprintable() else f"jwt-{digests.digest_of_bytes(repr(name).encode())}"


class Allowance:
    """So many calls a minute for each caller, as a bucket that fills again evenly. Callers that were silent longest are forgotten."""

    def __init__(self, per_minute: int) -> None:
        self.per_minute = per_minute
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def sentence(self, caller: str, wait: float) -> str:
        """What a caller is told who has to wait so many seconds."""
        return f"{caller} has called more than {self.per_minute} times a minute; go on in {wait:.0f} s with fewer, better questions"

    def spend(self, caller: str, now: float) -> float:
        """Take one; 0 when there was one, else the seconds after which there is."""
        left, at = self._left.pop(caller, (float(self.per_minute), now))
        left = min(float(self.per_minute), left + (now - at) * self.per_minute / 60)
        wait = 0.0 if left >= 1 else (1 - left) * 60 / self.per_minute
        self._left[caller] = (left - 1 if not wait else left, now)
        if len(self._left) > CALLERS:
            self._left.popitem(last=False)
        return wait


def _documents(answered: dict[str, Any]) -> tuple[str, ...]:
    data = answered.get("data")
    found = data.get("documents", ()) if isinstance(data, dict) else ()
    return tuple(str(one["id"]) for one in found)
