"""Fixtures that more than one folder of tests uses. Helpers stand in tests/support."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from support import crash
from support.admission import wait_until_guarded
from testbed import ControlPlane
from testbed.binaries import missing
from testbed.elasticsearch import ElasticsearchError, SharedElasticsearch

# Machines are of different speed and several tests run at once; what is too slow is seen by the timeout.
settings.register_profile("governor", deadline=None)
settings.load_profile("governor")

CRDS = Path(__file__).parent.parent / "crds"


def pytest_addoption(parser: pytest.Parser) -> None:
    """`make crashes` plays every instant and every outage; the suite plays those that tell most."""
    parser.addoption("--thorough", action="store_true", help="kill the operator at every instant, and take the cluster away in every way")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """What takes minutes is left to `make crashes`."""
    if config.getoption("--thorough"):
        return
    left = [one for one in items if one.get_closest_marker("thorough")]
    if left:
        config.hook.pytest_deselected(items=left)
        items[:] = [one for one in items if one not in left]


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """The table of the crash enumeration, when it was played; workers hand their rows over with their reports."""
    reports = [one for outcome in ("passed", "failed") for one in terminalreporter.stats.get(outcome, ())]
    rows = [row for report in reports for name, row in getattr(report, "user_properties", ()) if name == "crash"]
    if rows:
        terminalreporter.section("the operator killed before and after every request")
        for line in crash.table(rows):
            terminalreporter.write_line(line)


@pytest.fixture(scope="session")
def elasticsearch_url() -> Iterator[str]:
    """A real Elasticsearch, shared with every other process that tests; tests keep to indices of their own."""
    try:
        with SharedElasticsearch() as server:
            yield server.url
    except ElasticsearchError as error:
        pytest.fail(str(error), pytrace=False)


@pytest.fixture(scope="session")
def cluster() -> Iterator[ControlPlane]:
    """A real control plane with our resources and roles, shared by the whole run; tests keep to a namespace of their own."""
    absent = missing()
    if absent:
        pytest.fail(f"the test bed lacks {', '.join(absent)}; `make servers` builds them", pytrace=False)
    with ControlPlane() as plane:
        plane.apply_crds(CRDS)
        wait_until_guarded(plane)
        yield plane
