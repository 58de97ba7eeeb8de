"""The world of a test: fakes around the real pipeline, and one incident that nothing speaks against."""

import pytest

from support.builders import CONTRADICTIONS, World


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
