"""Fixtures that more than one folder of tests uses. Helpers stand in tests/support."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from support.admission import wait_until_guarded
from testbed import ControlPlane
from testbed.binaries import missing

# Machines are of different speed and several tests run at once; what is too slow is seen by the timeout.
settings.register_profile("governor", deadline=None)
settings.load_profile("governor")

CRDS = Path(__file__).parent.parent / "crds"


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
