"""Figures over live logs, whoever writes them: Elasticsearch counts, and only the texts of errors come here.

The logs are others' indices, so nothing is assumed of them: which fields each has, and of which types, is asked first. Known are the
Elastic Common Schema, Kibana's sample data (where `response` is text and no field names a service) and flat lines.
"""

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
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
_MOST_SHAPES = 16
"""Each is a search of its own."""


@dataclass(frozen=True, slots=True)
class Shape:
    """Which fields of the logs say what."""

    time: str
    services: tuple[str, ...]
    """The first that a line has counts; none: every line is about every service."""
    levels: tuple[str, ...]
    number_codes: tuple[str, ...]
    text_codes: tuple[str, ...]
    message: str | None
    """A field whose values can be counted."""
    text: str | None
    """The field in the line itself."""
    indices: tuple[str, ...] = ()
    """Those that look so; empty: all but `others`, so that one that has begun since counts as well."""
    others: tuple[str, ...] = ()


class Logs:
    """The live logs of one name, which may stand for several indices."""

    def __init__(self, cluster: client.Cluster, index: str, *, service_field: str = "", now: Callable[[], float] = time.monotonic) -> None:
        self._cluster = cluster
        self._index = index
        self._service_field = service_field
        self._now = now
        self._shapes: tuple[float, list[Shape]] | None = None

    async def summarise(self, *, service: str, since: datetime, until: datetime) -> telemetry.Telemetry:
        """The figures of the lines in the window, both its ends included."""
        total = errors = 0
        messages: Counter[str] = Counter()
        for shape in await self._current_shapes():
            asked = question(shape, service=service, since=since, until=until)
            answer = await self._cluster.search(self._index, asked, ignore_unavailable="false")
            failed = answer["aggregations"]["errors"]
            total += int(answer["hits"]["total"]["value"])
            errors += int(failed["doc_count"])
            messages += _messages(shape, failed)
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

    async def _current_shapes(self) -> list[Shape]:
        if self._shapes is not None and self._now() - self._shapes[0] < _REMEMBERED_SECONDS:
            return self._shapes[1]
        asked = {self._service_field} - {"", EVERY_LINE} | {*_SERVICES, *_TIMES, *_LEVELS, *_CODES, *_MESSAGES}
        with failures.translated(self._cluster.name, self._index):
            answer = await self._cluster.client.field_caps(
                index=self._index,
                fields=sorted(asked | {f"{one}.keyword" for one in asked}),
                allow_no_indices=False,
                include_unmapped=True,
            )
        alike: dict[Shape, list[str]] = {}
        for index, fields in (await self._begun(_fields_of(answer["indices"], answer["fields"]))).items():
            alike.setdefault(self._shape_of(index, fields), []).append(index)
        if len(alike) > _MOST_SHAPES:
            raise self._unreadable(self._index, f"lines of {len(alike)} forms", f"name logs of at most {_MOST_SHAPES}")
        usual, *unusual = sorted(alike, key=lambda shape: -len(alike[shape]))
        others = tuple(name for shape in unusual for name in alike[shape])
        shapes = [replace(usual, others=others), *(replace(shape, indices=tuple(alike[shape])) for shape in unusual)]
        self._shapes = (self._now(), shapes)
        return shapes

    async def _begun(self, told: dict[str, dict[str, str]]) -> dict[str, dict[str, str]]:
        """Those of the indices that have any of the fields. Another has no line yet, or only such as say nothing to us."""
        begun = {name: fields for name, fields in told.items() if fields}
        blank = [name for name in told if name not in begun]
        if begun and blank and await self._has_lines(blank):
            which = f"{blank[0]}{' and others' if blank[1:] else ''}"
            raise self._unreadable(which, "lines in a form that is not known", "name other logs")
        return begun or told

    async def _has_lines(self, indices: Sequence[str]) -> bool:
        any_line = {"size": 0, "track_total_hits": 1, "query": {"terms": {"_index": list(indices)}}}
        answer = await self._cluster.search(self._index, any_line, ignore_unavailable="false")
        return int(answer["hits"]["total"]["value"]) > 0

    def _shape_of(self, index: str, fields: Mapping[str, str]) -> Shape:
        moment = _first(fields, _TIMES, _DATES)
        if moment is None:
            raise self._unreadable(index, "no field of type date among @timestamp and timestamp", "name an index of logs")
        services: tuple[str, ...] = ()
        if self._service_field != EVERY_LINE:
            services = _exact(fields, [self._service_field] if self._service_field else _SERVICES)
            if not services:
                wanted = self._service_field or ", ".join(_SERVICES)
                raise self._unreadable(
                    index, f"no field that names the service ({wanted})", "set GOVERNOR_ELASTICSEARCH__LOG_SERVICE_FIELD"
                )
        number_codes = tuple(one for one in _CODES if fields.get(one) in _NUMBERS)
        levels, text_codes = _exact(fields, _LEVELS), _exact(fields, _CODES)
        if not (levels or number_codes or text_codes):
            raise self._unreadable(index, "neither a level nor a response code", "name logs that tell errors from other lines")
        text = next((one for one in _MESSAGES if one in fields), None)
        return Shape(
            time=moment,
            services=services,
            levels=levels,
            number_codes=number_codes,
            text_codes=text_codes,
            message=next(iter(_exact(fields, _MESSAGES)), None),
            text=text,
        )

    def _unreadable(self, index: str, lacks: str, remedy: str) -> Exception:
        return failures.unavailable(self._cluster.name, failures.Failure(what=f"has in {index} {lacks}", remedy=remedy))


def question(shape: Shape, *, service: str, since: datetime, until: datetime) -> dict[str, Any]:
    """How many lines, how many of them errors, and what those say."""
    # To the microsecond: Elasticsearch takes an end without a fraction for the end of that second.
    first, last = (moment.isoformat(timespec="microseconds") for moment in (since, until))
    within: list[dict[str, Any]] = [{"range": {shape.time: {"gte": first, "lte": last}}}]
    if shape.services:
        within.append(_about(shape, service))
    if shape.indices:
        within.append({"terms": {"_index": list(shape.indices)}})
    lines: dict[str, Any] = {"filter": within, **({"must_not": {"terms": {"_index": list(shape.others)}}} if shape.others else {})}
    errors: dict[str, Any] = {"filter": {"bool": {"should": _error(shape), "minimum_should_match": 1}}}
    if shape.message is not None:
        # Many more than are shown, as messages become one when their numbers are left out.
        errors["aggs"] = {"messages": {"terms": {"field": shape.message, "size": _MOST_MESSAGES, "missing": ""}}}
    elif shape.text is not None:
        # Asked of indices without the field as well, though none of their lines count.
        order = {"order": "desc", "unmapped_type": "date"}
        newest = {"size": 100, "sort": [{shape.time: order}], "_source": [shape.text]}
        errors["aggs"] = {"sample": {"top_hits": newest}}
    return {"size": 0, "track_total_hits": True, "query": {"bool": lines}, "aggs": {"errors": errors}}


def _about(shape: Shape, service: str) -> dict[str, Any]:
    """The lines of the service by the first of the fields that a line has: several writers may share an index."""
    first, *others = shape.services
    found: list[dict[str, Any]] = [{"term": {first: service}}]
    for number, field in enumerate(others, start=1):
        has_none_before = [{"exists": {"field": one}} for one in shape.services[:number]]
        found.append({"bool": {"filter": {"term": {field: service}}, "must_not": has_none_before}})
    return found[0] if not others else {"bool": {"should": found, "minimum_should_match": 1}}


def _error(shape: Shape) -> list[dict[str, Any]]:
    """Whatever says so of a line: the field that another writer of the same index fills is missing in it."""
    levels = [(field, level) for field in shape.levels for level in sorted(loglines.ERROR_LEVELS)]
    return [
        *({"term": {field: {"value": level, "case_insensitive": True}}} for field, level in levels),
        *({"range": {field: {"gte": loglines.FIRST_ERROR_CODE}}} for field in shape.number_codes),
        # A number written as text: of three digits from 400 on, or of more.
        *({"regexp": {field: {"value": "0*([4-9][0-9]{2}|[1-9][0-9]{3,8})"}}} for field in shape.text_codes),
    ]


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


def _fields_of(indices: str | Sequence[str], answer: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, str]]:
    """The types of the fields of each index."""
    names = [indices] if isinstance(indices, str) else list(indices)
    found: dict[str, dict[str, str]] = {name: {} for name in names}
    for field, types in answer.items():
        for kind, told in types.items():
            # Where all indices agree they are not listed.
            for name in told.get("indices", names) if kind != "unmapped" else ():
                found[name][field] = kind
    return found


def _first(fields: Mapping[str, str], names: Sequence[str], types: frozenset[str]) -> str | None:
    """The first of the names that has one of these types."""
    return next((name for name in names if fields.get(name) in types), None)


def _exact(fields: Mapping[str, str], names: Sequence[str]) -> tuple[str, ...]:
    """Of each of the names that can be compared exactly the name, or else its `.keyword`."""
    found = (_first(fields, (name, f"{name}.keyword"), _EXACT) for name in names)
    return tuple(one for one in found if one is not None)
