"""Tests of the kopf edge."""

from collections.abc import Iterator

import pytest
from structlog.testing import capture_logs


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """Tracebacks in many colours take seconds."""
    with capture_logs():
        yield
