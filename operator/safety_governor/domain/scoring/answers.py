"""From an answer as it came to a reading. What cannot be read is never a number."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from safety_governor.domain import digests, scores, values
from safety_governor.domain.scores import Reading, Service, Status
from safety_governor.domain.scoring import cdct, ddft, eect
from safety_governor.domain.scoring.instruments import Instrument, Metric, Row, number

INSTRUMENTS: Mapping[Service, Instrument] = {one.service: one for one in (cdct.INSTRUMENT, ddft.INSTRUMENT, eect.INSTRUMENT)}

_NAMES = ("model", "model_name")
_INHERITED = (*_NAMES, "u_curve_magnitude")
"""What an object around the rows says of all of them."""

_FOUND = frozenset({None, "ok", "success", "complete", "completed"})
"""Words of `status` under which figures are believed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What was asked, of whom, and when."""

    service: Service
    model: str
    source: str
    as_of: datetime

    @property
    def who(self) -> str:
        """The service as people write it."""
        return self.service.upper()

    def unread(self, status: Status, reason: str, *, digest: str = "") -> Reading:
        """A reading without figures."""
        return scores.unread(self.service, self.model, status, reason, source=self.source, as_of=self.as_of, digest=digest)


def read(asked: Asked, *, status: int, body: bytes) -> Reading:
    """Read an HTTP answer that came in whole."""
    digest = digests.digest_of_bytes(body)
    if status == 404:
        return asked.unread(Status.UNKNOWN_MODEL, f"{asked.who} does not know the model (404{_detail(body)})", digest=digest)
    if status != 200:
        hint = "; redirects are not followed, name the final address" if 300 <= status < 400 else ""
        return asked.unread(Status.UNAVAILABLE, f"{asked.who} answered {status}{_detail(body)}{hint}", digest=digest)
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        return asked.unread(Status.UNAVAILABLE, f"{asked.who} answered with something that is not JSON", digest=digest)
    rows = _rows(asked, content)
    if isinstance(rows, Refused):
        return asked.unread(rows.status, rows.reason, digest=digest)
    return _aggregate(asked, rows, digest=digest)


@dataclass(frozen=True, slots=True)
class Refused:
    """An answer without rows, and what it means."""

    status: Status
    reason: str


def _rows(asked: Asked, content: object) -> list[Row] | Refused:
    """The rows of any of the known forms."""
    around: Row = {}
    if isinstance(content, dict):
        refused = _refused(asked, content)
        if refused is not None:
            return refused
        around = {key: content[key] for key in _INHERITED if key in content}
        content = content.get("results", [content])
        content = [content] if isinstance(content, dict) else content
    if not isinstance(content, list):
        return Refused(Status.UNAVAILABLE, f"{asked.who} answered in a form that is not known")
    if not content:
        return Refused(Status.EMPTY, f"{asked.who} has no rows about the model")
    return [{**around, **_with_details(row)} for row in content if isinstance(row, dict)]


def _refused(asked: Asked, content: Row) -> Refused | None:
    """What an object says in place of figures; None when it may hold some."""
    who, told = asked.who, content.get("status")
    if told == "started":
        why = f"{who} has no results for the model yet and has started a run{_message(content)}; it is not asked again soon"
        return Refused(Status.PENDING, why)
    if told == "error":
        return Refused(Status.UNAVAILABLE, f"{who} answered with an error{_message(content)}")
    if not (told is None or isinstance(told, str)) or told not in _FOUND:
        return Refused(Status.UNAVAILABLE, f"{who} answered with a status that is not known: {_shown(told)}")
    if not _is_found(content):
        return Refused(Status.UNKNOWN_MODEL, f"{who} has not found the model")
    return None


def _is_found(row: Row) -> bool:
    """Whether nothing in it says that the model was not found: of a service that did not find it, all figures are defaults."""
    return row.get("found") in (None, True)


def _with_details(row: Mapping[str, Any]) -> Row:
    details = row.get("details")
    return {**details, **row} if isinstance(details, dict) else row


def _aggregate(asked: Asked, rows: Sequence[Row], *, digest: str) -> Reading:
    instrument = INSTRUMENTS[asked.service]
    mine = _about(asked.model, rows)
    if not mine:
        return asked.unread(Status.EMPTY, f"{asked.who} answered, but not about this model", digest=digest)
    useful = [kept for kept in (instrument.weed(row) for row in mine if _is_found(row)) if kept is not None]
    if not useful:
        return asked.unread(
            Status.EMPTY, f"{asked.who} has rows about the model, {len(mine)} in all, and none of them holds a measurement", digest=digest
        )
    warnings: list[str] = []
    found = {metric.name: _figures(metric, useful, warnings) for metric in instrument.metrics}
    if not any(found.values()):
        why = f"; {warnings[0]}" if warnings else ""
        return asked.unread(Status.EMPTY, f"{asked.who} answered without any figure that can be used{why}", digest=digest)
    return Reading(
        service=asked.service,
        model=asked.model,
        status=Status.OK,
        metrics={name: _mean(figures) for name, figures in found.items()},
        spread={
            name: scores.Spread(lowest=min(figures), highest=max(figures), rows=len(figures)) for name, figures in found.items() if figures
        },
        rows_used=len(useful),
        rows_total=len(rows),
        warnings=tuple(warnings)[:16],
        source=asked.source,
        as_of=asked.as_of,
        digest=digest,
    )


def relayed(asked: Asked, metrics: Mapping[str, object], *, rows_used: int, rows_total: int, digest: str) -> Reading:
    """A reading of means that somebody else has computed; what cannot be such a figure is left out."""
    warnings: list[str] = []
    known = INSTRUMENTS[asked.service].metrics
    found = {metric.name: _figures(metric, [{metric.keys[0]: metrics.get(metric.name)}], warnings) for metric in known}
    if not any(found.values()):
        why = f"; {warnings[0]}" if warnings else ""
        return asked.unread(Status.EMPTY, f"{asked.who} answered without any figure that can be used{why}", digest=digest)
    return Reading(
        service=asked.service,
        model=asked.model,
        status=Status.OK,
        metrics={name: _mean(figures) for name, figures in found.items()},
        rows_used=rows_used,
        rows_total=rows_total,
        warnings=tuple(warnings)[:16],
        source=asked.source,
        as_of=asked.as_of,
        digest=digest,
    )


def can_be_measured(reading: Reading) -> bool:
    """Whether all its figures are ones that its service measures, within their bounds: not so where somebody else has written them."""
    known = {metric.name: metric for metric in INSTRUMENTS[reading.service].metrics}
    return all(name in known and (figure is None or known[name].allows(figure)) for name, figure in reading.metrics.items())


def _about(model: str, rows: Sequence[Row]) -> list[Row]:
    """The rows that name the model; where none does, those that name none. Never those of another one."""
    named = [(row, [row[key] for key in _NAMES if row.get(key) is not None]) for row in rows]
    same = [row for row, names in named if names and all(_is_name(name, model) for name in names)]
    return same or [row for row, names in named if not names]


def _is_name(name: object, model: str) -> bool:
    return isinstance(name, str) and name.casefold() == model.casefold()


def _figures(metric: Metric, rows: Sequence[Row], warnings: list[str]) -> list[float]:
    figures: list[float] = []
    junk = outside = 0
    for row in rows:
        raw = next((row[key] for key in metric.keys if key in row), None)
        figure = number(raw)
        if figure is None:
            junk += raw is not None
        elif metric.allows(figure):
            figures.append(figure)
        else:
            outside += 1
    if junk:
        warnings.append(f"{metric.name} is no finite number in {junk} of {len(rows)} rows; left out")
    if outside:
        warnings.append(f"{metric.name} is not within {metric.bounds} in {outside} of {len(rows)} rows; left out")
    return figures


def _mean(figures: Sequence[float]) -> float | None:
    # The sum is exact, so that a mean never leaves the bounds that its figures keep to.
    return round(math.fsum(figures) / len(figures), 6) if figures else None


def _detail(body: bytes) -> str:
    """What a refusal says about itself, for people."""
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        return ""
    told = content.get("detail") if isinstance(content, dict) else None
    return f": {_shown(told)}" if isinstance(told, str) and told else ""


def _message(content: Mapping[str, Any]) -> str:
    told = content.get("message")
    return f" ({_shown(told)})" if isinstance(told, str) and told else ""


def _shown(told: object) -> str:
    return values.clip(" ".join(str(told).split()), 160)
