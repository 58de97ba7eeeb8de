"""The audit trail of what becomes of incidents: told before it is put on record, so that nothing is on record that the trail does not know.

The place of the last line goes into the status that is about to be written anyway.
"""

from collections import OrderedDict
from collections.abc import Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from safety_governor.api import chronicle, conditions, records, v1alpha1
from safety_governor.domain import checks, digests, facts, lifecycle
from safety_governor.domain.audit import events
from safety_governor.pipeline import ports

RECENT = timedelta(hours=48)
"""What ended longer ago is in the trail, or was lost for good."""
REMEMBERED = 1024
"""So many judgements are remembered until they are told; there are never more than a few under way."""

MET = 10_000
"""So many incidents are known to be told up to now; one that is deleted never says so, and of one forgotten all is told again."""


@dataclass(frozen=True, slots=True)
class Subject:
    """The incident that is being attended."""

    incident: str = ""
    uid: str = ""


subject: ContextVar[Subject | None] = ContextVar("subject", default=None)
"""Whom an agent is being asked about; set by whoever attends, read by whoever records."""


class Judgements:
    """What the gate judged, by the digest of it, until it is told."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, chronicle.Judged] = OrderedDict()

    def remember(self, known: facts.Facts, thresholds: checks.Thresholds) -> None:
        """To be given to the gate stage."""
        digest = digests.digest(known)
        self._known[digest] = (known, thresholds)
        self._known.move_to_end(digest)
        while len(self._known) > REMEMBERED:
            self._known.popitem(last=False)

    def find(self, digest: str) -> chronicle.Judged | None:
        """None when the operator was started anew since."""
        return self._known.get(digest)


class NoTrail:
    """Where nothing is audited: a rehearsal, which decides about nothing."""

    async def append(self, happened: Sequence[events.Event]) -> events.Position | None:
        """Nothing is kept."""
        del happened
        return None

    def note(self, event: events.Event) -> None:
        """Nothing is kept."""


class Chronicler:
    """Tells the trail what is about to be put on record."""

    def __init__(self, trail: ports.Trail, *, clock: ports.Clock, judgements: Judgements | None = None) -> None:
        self._trail = trail
        self._clock = clock
        self._judgements = judgements or Judgements()
        self._met: OrderedDict[str, None] = OrderedDict()

    async def tell(self, incident: v1alpha1.Incident, status: v1alpha1.IncidentStatus) -> v1alpha1.IncidentStatus:
        """The status with the place of the last line in it. Where the trail cannot be written, the status as it is: people still see it."""
        now, find = self._clock.now(), self._judgements.find
        news = chronicle.told(incident, status, at=now, judged=find)
        if incident.metadata.uid in self._met:
            old = {one.id for one in chronicle.told(incident, incident.status, at=now)}
            news = tuple(one for one in news if one.id not in old)
        if not news:
            return status
        position = await self._trail.append(news)
        if position is None:
            return status
        # From now on only news are told; before, what a process that ended might have left out was told as well.
        self._met.pop(incident.metadata.uid, None)
        if status.phase not in lifecycle.TERMINAL:
            self._met[incident.metadata.uid] = None
        if len(self._met) > MET:
            self._met.popitem(last=False)
        return status.model_copy(update={"audit": records.AuditAnchor(seq=position.seq, hash=position.hash)})

    async def catch_up(self, incident: v1alpha1.Incident) -> None:
        """Tell what a process that ended may have put on record and not told. What the trail has already is not written again."""
        now = self._clock.now()
        if incident.status.phase == lifecycle.Phase.PENDING or (incident.is_finished and _ended_at(incident) < now - RECENT):
            return
        await self._trail.append(chronicle.told(incident, incident.status, at=now, judged=self._judgements.find))


def _ended_at(incident: v1alpha1.Incident) -> datetime:
    ended = conditions.find(incident.status.conditions, conditions.Type.SUCCEEDED)
    return ended.last_transition_time if ended is not None else datetime.min.replace(tzinfo=UTC)
