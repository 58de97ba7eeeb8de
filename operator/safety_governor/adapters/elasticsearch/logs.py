"""Figures over live logs, whoever writes them: Elasticsearch counts, and only the texts of errors come here.

The logs are others' indices, so nothing is assumed of them: which fields there are, and of which types, is asked first. Known
are the Elastic Common Schema, Kibana's sample data (where `response` is text and no field names a service) and flat lines.
"""

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from safety_governor.adapters.elasticsearch import client, failures
from safety_governor.domain import loglines, telemetry

EVERY_LINE = "*"
"""As the configured field of the service: the whole index is about every service."""

_SERVICES = ("service.name", "service", "kubernetes.labels.app", "kubernetes.deployment.name", "host.name", "host")
_TIMES = ("@timestamp", "timestamp")
_LEVELS = ("log.level", "level", "severity")
_CODES = ("http.response.status_code", "response", "status")
_MESSAGES = ("message", "msg")
_EXACT = frozenset({"keyword", "constant_keyword", "wildcard"})
_NUMBERS = frozenset({"byte", "short", "integer", "long", "unsigned_long", "float", "double", "half_float", "scaled_float"})
_DATES = frozenset({"date", "date_nanos"})
_MOST_MESSAGES = 500
"""Different ones that are looked at; of more than these, how often an error was seen is a lower bound."""
_REMEMBERED_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Shape:
    """Which fields of the logs say what."""

    time: str
    service: str | None
    """None: every line is about every service."""
    level: str | None
    code: str | None
    code_is_number: bool
    message: str | None
    """A field whose values can be counted."""
    text: str | None
    """The field in the line itself."""


class Logs:
    """The live logs of one name, which may stand for several indices."""

    def __init__(self, cluster: client.Cluster, index: str, *, service_field: str = "", now: Callable[[], float] = time.monotonic) -> None:
        self._cluster = cluster
        self._index = index
        self._service_field = service_field
        self._now = now
        self._shape: tuple[float, Shape] | None = None

    async def summarise(self, *, service: str, since: datetime, until: datetime) -> telemetry.Telemetry:
        """The figures of the lines in the window, both its ends included."""
        shape = await self._current_shape()
        answer = await self._cluster.search(
            self._index, question(shape, service=service, since=since, until=until), ignore_unavailable="false"
        )
        failed = answer["aggregations"]["errors"]
        total, errors = int(answer["hits"]["total"]["value"]), int(failed["doc_count"])
        messages = _messages(shape, failed)
        frequent = sorted(messages.items(), key=lambda pair: (-pair[1], pair[0]))[: loglines.TOP]
        return telemetry.Telemetry(
            service=service,
            since=since,
            until=until,
            lines=total,
            errors=errors,
            error_ratio=errors / total if total else None,
            top_errors=tuple(telemetry.TopError(message=message, count=count) for message, count in frequent),
        )

    async def _current_shape(self) -> Shape:
        if self._shape is not None and self._now() - self._shape[0] < _REMEMBERED_SECONDS:
            return self._shape[1]
        asked = {self._service_field} - {"", EVERY_LINE} | {*_SERVICES, *_TIMES, *_LEVELS, *_CODES, *_MESSAGES}
        with failures.translated(self._cluster.name, self._index):
            answer = await self._cluster.client.field_caps(
                index=self._index, fields=sorted(asked | {f"{one}.keyword" for one in asked}), allow_no_indices=False
            )
        shape = self._shape_of({name: frozenset(types) - {"unmapped"} for name, types in answer["fields"].items()})
        self._shape = (self._now(), shape)
        return shape

    def _shape_of(self, fields: Mapping[str, frozenset[str]]) -> Shape:
        moment = _first(fields, _TIMES, _DATES)
        if moment is None:
            raise self._unreadable("no field of type date among @timestamp and timestamp", "name an index of logs")
        service = None
        if self._service_field != EVERY_LINE:
            service = _exact(fields, [self._service_field] if self._service_field else _SERVICES)
            if service is None:
                wanted = self._service_field or ", ".join(_SERVICES)
                raise self._unreadable(f"no field that names the service ({wanted})", "set GOVERNOR_ELASTICSEARCH__LOG_SERVICE_FIELD")
        code = _first(fields, _CODES, _NUMBERS)
        level, exact_code = _exact(fields, _LEVELS), _exact(fields, _CODES)
        if level is None and code is None and exact_code is None:
            raise self._unreadable("neither a level nor a response code", "name logs that tell errors from other lines")
        text = next((one for one in _MESSAGES if one in fields), None)
        return Shape(
            time=moment,
            service=service,
            level=level,
            code=code or exact_code,
            code_is_number=code is not None,
            message=_exact(fields, _MESSAGES),
            text=text,
        )

    def _unreadable(self, lacks: str, remedy: str) -> Exception:
        return failures.unavailable(self._cluster.name, failures.Failure(what=f"has in {self._index} {lacks}", remedy=remedy))


def question(shape: Shape, *, service: str, since: datetime, until: datetime) -> dict[str, Any]:
    """How many lines, how many of them errors, and what those say."""
    # To the microsecond: Elasticsearch takes an end without a fraction for the end of that second.
    first, last = (moment.isoformat(timespec="microseconds") for moment in (since, until))
    within: list[dict[str, Any]] = [{"range": {shape.time: {"gte": first, "lte": last}}}]
    if shape.service is not None:
        within.append({"term": {shape.service: service}})
    errors: dict[str, Any] = {"filter": {"bool": {"should": _error(shape), "minimum_should_match": 1}}}
    if shape.message is not None:
        # Many more than are shown, as messages become one when their numbers are left out.
        errors["aggs"] = {"messages": {"terms": {"field": shape.message, "size": _MOST_MESSAGES, "missing": ""}}}
    elif shape.text is not None:
        newest = {"size": 100, "sort": [{shape.time: "desc"}], "_source": [shape.text]}
        errors["aggs"] = {"sample": {"top_hits": newest}}
    return {"size": 0, "track_total_hits": True, "query": {"bool": {"filter": within}}, "aggs": {"errors": errors}}


def _error(shape: Shape) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    if shape.level is not None:
        found += [{"term": {shape.level: {"value": level, "case_insensitive": True}}} for level in sorted(loglines.ERROR_LEVELS)]
    if shape.code is not None and shape.code_is_number:
        found.append({"range": {shape.code: {"gte": loglines.FIRST_ERROR_CODE}}})
    elif shape.code is not None:
        # A number written as text: of three digits from 400 on, or of more.
        found.append({"regexp": {shape.code: {"value": "0*([4-9][0-9]{2}|[1-9][0-9]{3,8})"}}})
    return found


def _messages(shape: Shape, failed: Mapping[str, Any]) -> Counter[str]:
    counted: Counter[str] = Counter()
    if shape.message is not None:
        for bucket in failed["messages"]["buckets"]:
            counted[loglines.fold(str(bucket["key"]))] += int(bucket["doc_count"])
    elif shape.text is not None:
        for hit in failed["sample"]["hits"]["hits"]:
            counted[loglines.fold(str(_value(hit["_source"], shape.text)))] += 1
    return counted


def _value(source: Mapping[str, Any], field: str) -> object:
    return source.get(field, "")


def _first(fields: Mapping[str, frozenset[str]], names: Sequence[str], types: frozenset[str]) -> str | None:
    """The first of the names that has one of these types in every index that has it."""
    return next((name for name in names if fields.get(name) and fields[name] <= types), None)


def _exact(fields: Mapping[str, frozenset[str]], names: Sequence[str]) -> str | None:
    """The first of the names, or its `.keyword`, that can be compared exactly."""
    either = [form for name in names for form in (name, f"{name}.keyword")]
    return _first(fields, either, _EXACT)
