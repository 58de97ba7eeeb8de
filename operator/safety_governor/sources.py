"""What is read, from wherever it is configured to be: knowledge, and figures about models. For the operator, the command line and the tools.

Nothing here decides, and nothing here can touch a cluster.
"""

import contextlib
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import datetime, timedelta

from safety_governor.adapters import clock
from safety_governor.adapters.audit.trail import Trail
from safety_governor.adapters.embedded import EmbeddedKnowledge
from safety_governor.adapters.scores.kept import KeptScores
from safety_governor.adapters.scores.services import ServiceScores
from safety_governor.adapters.scores.shelf import Shelf
from safety_governor.domain import errors
from safety_governor.domain.scores import Service
from safety_governor.pipeline import ports
from safety_governor.settings import Settings


def now() -> datetime:
    """The time, in UTC."""
    return clock.SystemClock().now()


@asynccontextmanager
async def knowledge(settings: Settings) -> AsyncIterator[ports.Knowledge]:
    """The store that is configured. Raises ConfigurationError; what it cannot answer it says when it is asked."""
    if settings.elasticsearch.configured:
        # Its client takes a quarter of a second to load, and most keep their knowledge in a file.
        from safety_governor.adapters.elasticsearch import ElasticsearchKnowledge  # noqa: PLC0415

        cluster = ElasticsearchKnowledge.connect(settings.elasticsearch)
        try:
            yield cluster
        finally:
            await cluster.close()
    else:
        with contextlib.closing(EmbeddedKnowledge.open(settings.store)) as store:
            yield store


@asynccontextmanager
async def scores(
    settings: Settings, *, complain: Callable[[str], None], ask_again: bool = False, from_services: bool = False
) -> AsyncIterator[KeptScores | None]:
    """Whoever is asked how reliable models are; None when nobody is configured. Raises ConfigurationError.

    `ask_again` passes over what an earlier process has kept; `from_services` asks the services themselves whatever is configured.
    """
    kept = _kept(settings, complain=complain, ask_again=ask_again, from_services=from_services)
    try:
        yield kept
    finally:
        if kept is not None:
            await kept.aclose()


AT_ONCE = 16
"""So many processes may serve one caller each from one machine, each with a trail of its own."""


@contextmanager
def tool_trail(settings: Settings, *, shared: bool) -> Iterator[ports.Trail]:
    """The trail of the calls of tools, which the process that serves them writes. Raises ConfigurationError.

    `shared`: that of the one process that serves many; else the first of those for one caller that nobody else is writing.
    """
    trail = Trail.open(settings.mcp_audit / "http", now=now, limit=settings.audit_file_bytes) if shared else _first_free(settings)
    try:
        yield trail
    finally:
        trail.close()


def _first_free(settings: Settings) -> Trail:
    for number in range(1, AT_ONCE):
        with contextlib.suppress(errors.InUseError):
            return Trail.open(settings.mcp_audit / f"stdio-{number}", now=now, limit=settings.audit_file_bytes, patience=timedelta(0))
    # What is wrong is told by the last.
    return Trail.open(settings.mcp_audit / f"stdio-{AT_ONCE}", now=now, limit=settings.audit_file_bytes, patience=timedelta(0))


def _kept(settings: Settings, *, complain: Callable[[str], None], ask_again: bool, from_services: bool) -> KeptScores | None:
    source: ports.Scores
    origins: dict[Service, str] = settings.score_services
    if settings.reliability_profile_source == "mcp" and not from_services:
        if settings.mcp_url is None:
            raise errors.ConfigurationError(
                "RELIABILITY_PROFILE_SOURCE is mcp, but GOVERNOR_MCP_URL does not say where the MCP server is; set it, "
                "or set RELIABILITY_PROFILE_SOURCE=direct to ask the score services themselves"
            )
        # Loading it takes seconds, and most never use it.
        from safety_governor.adapters.scores.tools import ToolScores  # noqa: PLC0415

        origins = dict.fromkeys(Service, settings.mcp_url)
        source = ToolScores(settings.mcp_url, timeout=settings.scores_timeout, now=now, token_file=settings.mcp_token_file)
    elif settings.score_services:
        source = ServiceScores(settings.score_services, timeout=settings.scores_timeout, now=now)
    else:
        return None
    keep_unknown = settings.scores_keep_unknown
    shelf = Shelf(settings.scores_file, origins=origins, complain=complain, blank=ask_again)
    return KeptScores(source, now=now, keep=settings.scores_keep, keep_unknown=keep_unknown, shelf=shelf)
