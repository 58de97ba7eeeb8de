"""What a stage may answer. Blocked and waiting are outcomes, not exceptions."""

from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

from safety_governor.api import v1alpha1


@dataclass(frozen=True, slots=True, kw_only=True)
class Advance:
    """Go on with the next stage; nothing needs to be on record yet."""

    status: v1alpha1.IncidentStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """Put this on record, and only then go on: what follows has an effect."""

    status: v1alpha1.IncidentStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """Nothing to do before `until` or before somebody changes the incident."""

    status: v1alpha1.IncidentStatus
    until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Halt:
    """The end: the status has a terminal phase."""

    status: v1alpha1.IncidentStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class Stall:
    """Something outside does not answer; the incident says what it waits for, and is tried again."""

    status: v1alpha1.IncidentStatus
    reason: str
    message: str
    retry_after: float | None = None
    """Seconds that the outside asked for."""


Outcome: TypeAlias = Advance | Record | Wait | Halt | Stall
