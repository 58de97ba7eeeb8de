"""What a score service measures: the figures, under which keys they come, between which bounds, and which rows say nothing."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from safety_governor.domain import scores

Row: TypeAlias = Mapping[str, Any]
"""One row as a service sends it: foreign, so nothing in it has a type."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One figure."""

    name: str
    keys: tuple[str, ...]
    """How services spell it; the first that a row has counts."""
    low: float = 0.0
    high: float = 1.0

    def allows(self, number: float) -> bool:
        """Whether such a figure can have been measured."""
        return self.low <= number <= self.high

    @property
    def bounds(self) -> str:
        """For people."""
        return f"{self.low:g}..{self.high:g}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Instrument:
    """One service."""

    service: scores.Service
    metrics: tuple[Metric, ...]
    weed: Callable[[Row], Row | None]
    """The row without artefacts; None when all of it is one."""


def number(raw: object) -> float | None:
    """The number, if it is one: no truth value, no text, nothing that is not finite."""
    if isinstance(raw, bool) or not isinstance(raw, int | float):
        return None
    try:
        found = float(raw)
    except OverflowError:
        return None
    return found if math.isfinite(found) else None
