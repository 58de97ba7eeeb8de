"""One control plane for the tests that only look; those that break something start their own."""

from collections.abc import Iterator

import pytest

from testbed import ControlPlane, binaries


@pytest.fixture(scope="session")
def servers() -> None:
    """The compiled servers; compiling takes minutes, which would look like a hanging test."""
    if absent := binaries.missing():
        pytest.fail(f"not compiled yet: {', '.join(absent)}; run `python -m testbed.binaries` first")


@pytest.fixture(scope="session")
def cluster(servers: None) -> Iterator[ControlPlane]:
    with ControlPlane() as running:
        yield running
