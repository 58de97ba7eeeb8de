"""Which documents an agent has really been shown, from the trail of its tool calls: whoever cites another one has made it up."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from safety_governor.domain.audit.events import Kind


def seen(
    lines: Iterable[Mapping[str, Any]], *, caller: str, run: str = "", since: datetime | None = None, until: datetime | None = None
) -> frozenset[str]:
    """Ids of what this caller was shown, in a run or in a window of time, both its ends included.

    `lines` are those of the stream tool_trace. A call of another caller never counts, whatever run it names: a run is a word that
    everybody can say.
    """
    return frozenset(
        document
        for line in lines
        if line.get("kind") == Kind.TOOL_CALLED and _counts(line, caller=caller, run=run, since=since, until=until)
        for document in line["data"].get("documents", ())
    )


def _counts(line: Mapping[str, Any], *, caller: str, run: str, since: datetime | None, until: datetime | None) -> bool:
    data, at = line.get("data"), _time(line.get("at"))
    if not isinstance(data, Mapping) or at is None:
        # A line that does not say what was shown, or when, shows nothing: whoever cites it has no proof of it.
        return False
    if data.get("caller") != caller or (run and data.get("run") != run):
        return False
    return (since is None or at >= since) and (until is None or at <= until)


def _time(text: object) -> datetime | None:
    try:
        at = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return at if at.tzinfo else None
