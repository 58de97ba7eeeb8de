"""Figures over live logs in the shapes in which they are found: Kibana's sample data, the Elastic Common Schema, flat lines."""

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from safety_governor.domain import errors, telemetry
from support.elastic import ElasticIndices

pytestmark = pytest.mark.timeout(300)

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
TEXT = {"type": "text", "fields": {"keyword": {"type": "keyword", "ignore_above": 256}}}
KEYWORD = {"type": "keyword"}
SAMPLE = {
    "@timestamp": {"type": "date"},
    "timestamp": {"type": "alias", "path": "@timestamp"},
    **dict.fromkeys(("response", "agent", "host", "message", "extension", "request", "tags", "url"), TEXT),
    "clientip": {"type": "ip"},
    "bytes": {"type": "long"},
}
ECS = {
    "@timestamp": {"type": "date"},
    "message": {"type": "text"},
    "service": {"properties": {"name": KEYWORD}},
    "log": {"properties": {"level": KEYWORD}},
    "http": {"properties": {"response": {"properties": {"status_code": {"type": "long"}}}}},
}


def visit(response: str, path: str, *, host: str = "www.elastic.co", minutes: int = 5) -> dict[str, Any]:
    moment = (NOON - timedelta(minutes=minutes)).isoformat()
    message = f'10.0.0.{minutes} - - [{moment}] "GET {path} HTTP/1.1" {response} 6219'
    return {"@timestamp": moment, "response": response, "host": host, "agent": "Mozilla/5.0", "message": message, "bytes": 6219}


def line(message: str, *, level: str = "info", code: int | None = None, service: str = "checkout") -> dict[str, Any]:
    http = {} if code is None else {"http": {"response": {"status_code": code}}}
    return {"@timestamp": NOON.isoformat(), "service": {"name": service}, "log": {"level": level}, "message": message, **http}


async def figures(
    url: str, properties: dict[str, Any], lines: list[dict[str, Any]], *, service: str = "checkout", **settings: Any
) -> telemetry.Telemetry:
    async with ElasticIndices(url, **settings) as indices:
        name = await indices.create("logs", {"mappings": {"properties": properties}})
        create: dict[str, Any] = {"index": {}}
        operations = [part for one in lines for part in (create, one)]
        assert not (await indices.client.bulk(index=name, operations=operations, refresh=True))["errors"]
        return await indices.knowledge().summarise_logs(service=service, until=NOON, window=timedelta(hours=1))


VISITS = [visit("200", "/"), visit("200", "/"), visit("404", "/a"), visit("503", "/b"), visit("503", "/b", minutes=7)]


async def test_sample_data_of_kibana_is_counted_by_its_response_which_is_text(elasticsearch_url: str) -> None:
    lines = [*VISITS, visit("503", "/b", minutes=90), visit("503", "/b", host="cdn.elastic.co")]
    found = await figures(elasticsearch_url, SAMPLE, lines, service="www.elastic.co")
    assert (found.lines, found.errors, found.error_ratio) == (5, 3, 0.6)
    assert [one.count for one in found.top_errors] == [2, 1]
    assert '"GET /b HTTP/<n>" <n>' in found.top_errors[0].message


async def test_service_that_the_sample_data_do_not_know_is_unknown(elasticsearch_url: str) -> None:
    found = await figures(elasticsearch_url, SAMPLE, VISITS, service="checkout")
    assert (found.lines, found.error_ratio) == (0, None)


async def test_logs_can_be_declared_to_be_about_every_service(elasticsearch_url: str) -> None:
    found = await figures(elasticsearch_url, SAMPLE, VISITS, service="checkout", log_service_field="*")
    assert (found.lines, found.errors) == (5, 3)


async def test_service_is_found_in_the_field_that_is_named(elasticsearch_url: str) -> None:
    lines = [{**one, "tags": "checkout"} for one in VISITS[:2]] + VISITS[2:]
    found = await figures(elasticsearch_url, SAMPLE, lines, service="checkout", log_service_field="tags")
    assert (found.lines, found.errors) == (2, 0)


async def test_common_schema_is_counted_by_level_and_by_status(elasticsearch_url: str) -> None:
    lines = [
        line("fine"),
        line("lost 17 orders", level="ERROR"),
        line("lost 4 orders", level="error"),
        line("no", code=500),
        line("ok", code=399),
    ]
    found = await figures(elasticsearch_url, ECS, [*lines, line("other", level="error", service="cart")])
    assert (found.lines, found.errors, found.error_ratio) == (5, 3, 0.6)
    assert [(one.message, one.count) for one in found.top_errors] == [("lost <n> orders", 2), ("no", 1)]


async def test_flat_lines_with_a_code_that_is_text_are_counted(elasticsearch_url: str) -> None:
    flat = {"timestamp": {"type": "date"}, "service": KEYWORD, "level": KEYWORD, "response": KEYWORD, "message": TEXT}
    codes = ["200", "399", "400", "0404", "-", "1000", "40", "4xx"]
    lines = [{"timestamp": NOON.isoformat(), "service": "checkout", "level": "info", "response": code, "message": code} for code in codes]
    found = await figures(elasticsearch_url, flat, lines)
    assert (found.lines, found.errors) == (8, 3)


@pytest.mark.parametrize(
    ("lacking", "said"),
    [
        ({"message": TEXT, "service": KEYWORD, "level": KEYWORD}, "no field of type date among @timestamp and timestamp"),
        ({"@timestamp": {"type": "date"}, "level": KEYWORD}, "no field that names the service"),
        ({"@timestamp": {"type": "date"}, "service": KEYWORD, "message": TEXT}, "neither a level nor a response code"),
    ],
)
async def test_logs_that_cannot_be_told_apart_are_unknown(lacking: dict[str, Any], said: str, elasticsearch_url: str) -> None:
    with pytest.raises(errors.KnowledgeUnavailableError, match=said):
        await figures(elasticsearch_url, lacking, [{}])


async def test_index_that_several_write_to_is_counted_by_what_each_line_has(elasticsearch_url: str) -> None:
    both = {**ECS, "kubernetes": {"properties": {"labels": {"properties": {"app": KEYWORD}}}}, "severity": KEYWORD}
    other = {"@timestamp": NOON.isoformat(), "kubernetes": {"labels": {"app": "checkout"}}, "message": "out of memory", "severity": "Error"}
    renamed = {**line("fine"), "kubernetes": {"labels": {"app": "cart"}}}
    foreign = {**line("fine", service="cart"), "kubernetes": {"labels": {"app": "checkout"}}}
    found = await figures(elasticsearch_url, both, [line("no", level="error"), other, renamed, foreign])
    assert (found.lines, found.errors) == (3, 2)


FLAT = {"timestamp": {"type": "date"}, "service": KEYWORD, "severity": KEYWORD, "msg": TEXT}
FLAT_LINES = [
    {"timestamp": NOON.isoformat(), "service": "checkout", "severity": severity, "msg": "lost 3 orders"}
    for severity in ("info", "ERROR", "fatal")
]


async def several(url: str, *kinds: tuple[dict[str, Any], list[dict[str, Any]]]) -> telemetry.Telemetry:
    """The figures over several indices under one pattern."""
    prefix = f"several-{uuid.uuid4().hex}"
    async with ElasticIndices(url, indices={"logs": f"{prefix}-*"}) as indices:
        names = [f"{prefix}-{number}" for number in range(len(kinds))]
        try:
            for name, (properties, lines) in zip(names, kinds, strict=True):
                await indices.client.indices.create(index=name, mappings={"properties": properties})
                create: dict[str, Any] = {"index": {}}
                operations = [part for one in lines for part in (create, one)]
                if operations:
                    assert not (await indices.client.bulk(index=name, operations=operations, refresh=True))["errors"]
            return await indices.knowledge().summarise_logs(service="checkout", until=NOON, window=timedelta(hours=1))
        finally:
            await indices.client.indices.delete(index=names, ignore_unavailable=True)


async def test_indices_that_look_different_are_each_counted_by_their_own_fields(elasticsearch_url: str) -> None:
    lines = [line("lost 17 orders", level="error"), line("fine")]
    found = await several(elasticsearch_url, (ECS, lines), (FLAT, FLAT_LINES), (ECS, lines), ({}, []))
    assert (found.lines, found.errors) == (7, 4)
    assert [(one.message, one.count) for one in found.top_errors] == [("lost <n> orders", 4)]


async def test_index_whose_lines_have_another_form_makes_all_of_them_unknown(elasticsearch_url: str) -> None:
    odd = {"ts": {"type": "date"}, "svc": KEYWORD, "sev": KEYWORD}
    lines = [{"ts": NOON.isoformat(), "svc": "checkout", "sev": "error"}]
    with pytest.raises(errors.KnowledgeUnavailableError, match=r"several-[a-f0-9]+-1 lines in a form that is not known"):
        await several(elasticsearch_url, (ECS, [line("fine")]), (odd, lines))
    assert (await several(elasticsearch_url, (ECS, [line("fine")]), (odd, []))).lines == 1


async def test_indices_one_of_which_cannot_tell_errors_are_unknown(elasticsearch_url: str) -> None:
    lacking = {name: FLAT[name] for name in ("timestamp", "service", "msg")}
    with pytest.raises(errors.KnowledgeUnavailableError, match=r"several-[a-f0-9]+-1 neither a level nor a response code"):
        await several(elasticsearch_url, (ECS, [line("fine")]), (lacking, [{name: FLAT_LINES[0][name] for name in lacking}]))


async def test_pattern_of_logs_that_matches_nothing_is_unknown(elasticsearch_url: str) -> None:
    async with ElasticIndices(elasticsearch_url, indices={"logs": "no-such-logs-*"}) as indices:
        with pytest.raises(errors.KnowledgeUnavailableError, match=r"no-such-logs-\*"):
            await indices.knowledge().summarise_logs(service="checkout", until=NOON, window=timedelta(hours=1))
