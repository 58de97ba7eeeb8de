"""What a stage is given: the incident as it was read, the status as the stages before it left it, and the time."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Self

from safety_governor.api import v1alpha1
from safety_governor.domain import briefs


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One pass over one incident."""

    incident: v1alpha1.Incident
    status: v1alpha1.IncidentStatus
    now: datetime
    rechecking: bool = False
    """Something was released: the gate keeps the attempt, so that the digest comes out the same unless something changed."""
    give_up_reading: bool = False
    """Reading has failed for so long that people must be told: what cannot be read is recorded as unknown."""

    @property
    def brief(self) -> briefs.Brief:
        """What an agent is told."""
        spec = self.incident.spec
        return briefs.Brief(service=spec.service, severity=spec.severity.value, summary=spec.summary, symptoms=spec.symptoms)

    def with_status(self, status: v1alpha1.IncidentStatus) -> Self:
        """The same case with a later status."""
        return replace(self, status=status)
