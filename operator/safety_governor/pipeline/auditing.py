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

    def holds(self, position: events.Position) -> bool:
        """Nothing is missing either."""
        del position
        return True

    def note(self, event: events.Event) -> None:
        """Nothing is kept."""


class Chronicler:
    """Tells the trail what is about to be put on record."""

    def __init__(self, trail: ports.Trail, *, clock: ports.Clock, judgements: Judgements | None = None) -> None:
        self._trail = trail
        self._clock = clock
        self._judgements = judgements or Judgements()
        self._under_way: dict[str, v1alpha1.Incident] = {}

    async def tell(self, incident: v1alpha1.Incident, status: v1alpha1.IncidentStatus) -> v1alpha1.IncidentStatus:
        """The status with the place of the last line in it, which says that all it tells is in the trail.

        Where the trail cannot be written now, it has no place, and people still see it.
        """
        now, find = self._clock.now(), self._judgements.find
        news = chronicle.told(incident, status, at=now, judged=find)
        if incident.status.audit is not None:
            old = {one.id for one in chronicle.told(incident, incident.status, at=now)}
            news = tuple(one for one in news if one.id not in old)
        if not news:
            return status
        position = await self._trail.append(news)
        anchor = None if position is None else records.AuditAnchor(seq=position.seq, hash=position.hash)
        return status.model_copy(update={"audit": anchor})

    async def catch_up(self, incident: v1alpha1.Incident) -> None:
        """Tell what a process that ended may have put on record and not told."""
        now, anchor = self._clock.now(), incident.status.audit
        await self.learn(incident)
        if incident.status.phase == lifecycle.Phase.PENDING or (incident.is_finished and _ended_at(incident) < now - RECENT):
            return
        if anchor is not None and self._trail.holds(events.Position(seq=anchor.seq, hash=anchor.hash)):
            return
        await self._trail.append(chronicle.told(incident, incident.status, at=now, judged=self._judgements.find))

    async def deleted(self, key: str) -> None:
        """The incident `namespace/name` is gone. Told as an end where it had not come to one."""
        incident = self._under_way.pop(key, None)
        if incident is not None:
            await self._trail.append(chronicle.deleted(incident, at=self._clock.now()))

    async def learn(self, incident: v1alpha1.Incident) -> None:
        """This is on record. What is told by the change alone is told now: before, the write might still have failed."""
        before = self._under_way.pop(incident.key, None)
        if not incident.is_finished:
            self._under_way[incident.key] = incident
        if before is None:
            return
        same, now = before.metadata.uid == incident.metadata.uid, self._clock.now()
        happened = chronicle.changed(before, incident, at=now) if same else chronicle.deleted(before, at=now)
        if happened:
            await self._trail.append(happened)


def _ended_at(incident: v1alpha1.Incident) -> datetime:
    ended = conditions.find(incident.status.conditions, conditions.Type.SUCCEEDED)
    return ended.last_transition_time if ended is not None else datetime.min.replace(tzinfo=UTC)
