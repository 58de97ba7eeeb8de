"""The world of a test: fakes around the real pipeline, and one incident that nothing speaks against."""

from collections.abc import Iterator

import pytest
from structlog.testing import capture_logs

from support.builders import CONTRADICTIONS, World


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """Tracebacks in many colours take seconds."""
    with capture_logs():
        yield


@pytest.fixture
def world() -> World:
    world = World()
    world.report()
    return world


@pytest.fixture
def contradicted(world: World) -> World:
    """Two claims are contradicted, so that a person is asked."""
    world.knowledge.put(*CONTRADICTIONS)
    return world
