"""Variants of a test: some are played always, the others where there is time for it (`make crashes`)."""

from collections.abc import Mapping
from typing import Any

import pytest


def mostly_thorough(cases: Mapping[str, Any], *always: str) -> list[Any]:
    """The cases by their names, for `parametrize`; all but `always` are thorough. Values that are tuples are several arguments."""
    unknown = set(always) - cases.keys()
    assert not unknown, unknown
    return [
        pytest.param(*(given if isinstance(given, tuple) else (given,)), id=name, marks=() if name in always else (pytest.mark.thorough,))
        for name, given in cases.items()
    ]
