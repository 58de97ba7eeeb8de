"""Which store, which services and which trail the tools work with, and how they are served."""

import asyncio
import contextlib
import itertools
from collections.abc import Mapping
from typing import Any

import structlog

from safety_governor import logs, sources
from safety_governor.domain import digests, errors, values
from safety_governor.domain.audit import events
from safety_governor.pipeline import ports
from safety_governor.settings import Settings, read
from safety_governor_mcp import attending, figures, http, limits, listening, readiness, server, trace
from safety_governor_mcp.tools.knowledge import KnowledgeTools
from safety_governor_mcp.tools.reliability import ReliabilityTools

READY_WITHIN = 3.0
"""Seconds that the store may take to show that it can be read."""
TOGETHER = 0.1
"""Seconds for which calls are held, to be written together."""

_log = structlog.get_logger()


async def run(*, over_http: bool, address: str | None) -> None:
    """Serve until told to stop, or until standard input ends. Raises ConfigurationError with what is missing."""
    settings = read()
    if address is not None:
        settings = settings.model_copy(update={"mcp": settings.mcp.model_copy(update={"address": address})})
    logs.configure(log_format=settings.log_format, level=settings.log_level)
    # Before anything is opened: who may not be served finds out at once.
    tokens = http.tokens(settings.mcp) if over_http else None
    auth = http.auth(settings.mcp, tokens) if over_http else None
    counted = figures.Figures()
    async with contextlib.AsyncExitStack() as stack:
        knowledge = await stack.enter_async_context(sources.knowledge(settings))
        services = await stack.enter_async_context(sources.scores(settings, complain=_log.warning, from_services=True))
        trail = stack.enter_context(sources.tool_trail(settings, shared=over_http))
        traced = Trailed(trail)
        stack.callback(traced.flush)
        built = server.build(
            KnowledgeTools(knowledge, source=_store(settings), now=sources.now),
            ReliabilityTools(services, now=sources.now),
            attending=attending.Attending(
                traced=traced,
                counted=counted,
                now=sources.now,
                over_http=over_http,
                calls_per_minute=settings.mcp.calls_per_minute,
            ),
            auth=auth,
        )
        if not over_http:
            await built.run_stdio_async()
            return
        doubts: list[readiness.Doubt] = [lambda: _doubt(knowledge)]
        if tokens is not None and settings.mcp.jwks_uri is None:
            doubts.append(tokens.doubt)
        ready = readiness.Readiness(doubts, good_for=limits.READY_FOR)
        app = http.application(built, settings=settings.mcp, figures=counted, is_ready=ready.is_ready)
        who = "whoever has a token" if auth is not None else "everybody on this machine, as no tokens are configured"
        _log.info("serving eight tools", url=f"http://{settings.mcp.address}{http.PATH}", to=who, store=_store(settings))
        host, port = http.host_and_port(settings.mcp.address)
        await listening.serve(app, host=host, port=port)


class Trailed:
    """The trail of tool calls, as the audit trail keeps events.

    Calls of a short while are written together: a disk that confirms each on its own would cost every call more than its search.
    """

    def __init__(self, trail: ports.Trail) -> None:
        self._trail = trail
        self._numbers = itertools.count()
        self._held: list[trace.Call] = []

    def record(self, call: trace.Call) -> None:
        """Written soon; nobody waits for it. What a crash takes with it cannot be shown to have been seen, and counts as not seen."""
        self._held.append(call)
        if len(self._held) == 1:
            asyncio.get_running_loop().call_later(TOGETHER, self.flush)

    def flush(self) -> None:
        """Write what is held."""
        held, self._held = self._held, []
        for call in held:
            try:
                self._write(call)
            except Exception:  # noqa: BLE001 - whatever is wrong with one call, those that others made are kept
                _log.exception("a call of a tool is not in the trail; what it showed counts as not seen", tool=call.tool)

    def _write(self, call: trace.Call) -> None:
        called = events.ToolCalled(
            tool=call.tool,
            caller=call.caller,
            run=call.run,
            arguments=_digest(call.asked),
            documents=call.documents,
            status=call.status,
            milliseconds=call.milliseconds,
            problem=values.clip(call.problem, values.TEXT_LIMIT),
        )
        # Two calls of one moment are two calls.
        self._trail.note(events.happened(called, at=call.at, once=(call.caller, call.at.isoformat(), str(next(self._numbers)))))


def _digest(asked: Mapping[str, Any]) -> str:
    try:
        return digests.digest(dict(asked))
    except (ValueError, TypeError):
        # Such as numbers beyond what JSON can hold everywhere.
        return digests.digest(repr(asked))


def _store(settings: Settings) -> str:
    return "elasticsearch" if settings.elasticsearch.configured else f"embedded store {settings.store.name}"


async def _doubt(knowledge: ports.Knowledge) -> str:
    """Why the store cannot be read now; empty when it can."""
    try:
        async with asyncio.timeout(READY_WITHIN):
            await knowledge.fetch_policies(service="*")
    except errors.GovernorError as error:
        return str(error)
    except TimeoutError:
        return f"the store does not answer within {READY_WITHIN:.0f} s"
    return ""
