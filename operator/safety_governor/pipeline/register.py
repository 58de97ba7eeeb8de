"""What has been done lately and what is being done: the memory that guard-rails over time are judged by.

It holds what the incidents themselves record, so a restart loses nothing; the journal adds what incidents recorded that
were deleted since. What is about to be claimed is reserved here first, as between looking and writing others may look.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta

from safety_governor.api import records, v1alpha1
from safety_governor.domain import digests, guardrails, history, holds, lifecycle, plans, verification

KEPT = timedelta(days=7)
"""Older actions matter to no guard-rail but the circuit breaker."""
_NOT_YET = datetime.max.replace(tzinfo=UTC)


class Register:
    """All actions of all incidents, by key."""

    def __init__(self) -> None:
        self._past: dict[str, history.Past] = {}
        self._reserved: dict[str, history.Past] = {}
        # Of remediations that were let in as a whole: the steps that they have not taken yet.
        self._to_come: dict[str, tuple[history.Past, ...]] = {}

    def learn(self, incident: v1alpha1.Incident) -> None:
        """Take note of what the incident records, as it was read or written a moment ago.

        What was reserved for it is on record by now, or was not claimed. What it was about and does not record any more was
        taken back, or belongs to another incident that had its name.
        """
        execution = incident.status.execution
        self.release(incident.key)
        recorded = {action.key for action in execution.actions} if execution is not None else set()
        for one in [one for one in self._past.values() if one.incident == incident.key and one.key not in recorded]:
            if one.is_under_way and execution is not None:
                del self._past[one.key]
                continue
            # It is not what this incident did itself, and keeps it away like everybody else: nobody gets a new budget by a new object.
            ended = _lost(one, one.claimed_at) if one.is_under_way else one
            self._past[one.key] = ended.model_copy(update={"incident": f"{one.incident} (deleted)"})
        if execution is None:
            return
        under_way = incident.status.phase in lifecycle.ACTING
        for action in execution.actions:
            if action.state is records.ActionState.FAILED:
                self._past.pop(action.key, None)
                continue
            # Between two steps the target is still this incident's.
            open_ended = action.state is records.ActionState.CLAIMED or (under_way and action is execution.actions[-1])
            self._past[action.key] = _past(incident, action, under_way=open_ended and under_way)
        if under_way and execution.actions and incident.status.plan is not None and not execution.actions[-1].undoes:
            self._expect(incident, execution.actions[-1], len(incident.status.plan.steps) - len(execution.actions))

    def abandon(self, incident: str, now: datetime) -> None:
        """The incident was deleted: whoever would know how its action ends is gone."""
        self.release(incident)
        for one in [one for one in self._past.values() if one.incident == incident and one.is_under_way]:
            self._past[one.key] = _lost(one, now)

    def remember(self, entries: Iterable[history.Past]) -> None:
        """Take note of what the journal has and no incident records any more. To be called when the incidents were learned.

        What was under way then has an end by now, but whoever would know how it ended is gone.
        """
        for entry in entries:
            if entry.outcome is None:
                self._past.setdefault(entry.key, _lost(entry, entry.claimed_at))
            self._past.setdefault(entry.key, entry)

    def prune(self, now: datetime) -> None:
        """Forget what no guard-rail asks for any more; a circuit breaker stays open however long nobody looks at it."""
        finished = history.finished([one for one in self._past.values() if not one.undoes])
        lasting = {one.key for namespace in {one.namespace for one in finished} for one in _last(finished, namespace)}
        self._past = {key: one for key, one in self._past.items() if one.is_under_way or key in lasting or now - one.claimed_at < KEPT}

    def judge(
        self, rules: guardrails.Guardrails, *, namespace: str, target: plans.Target, incident: str, now: datetime, steps: int = 1
    ) -> tuple[holds.Hold, ...]:
        """What keeps this incident from taking so many steps on the target now. What it did itself does not."""
        to_come = {one.key: one for entries in self._to_come.values() for one in entries}
        known = to_come | {one.key: one for one in self._reserved.values()} | self._past
        others = [one for one in known.values() if one.incident != incident]
        return holds.judge(rules, others, namespace=namespace, target=target, incident=incident, now=now, steps=steps)

    def is_busy(self, *, namespace: str, target: plans.Target, incident: str) -> bool:
        """Whether another incident is acting on the target."""
        lock = history.lock(namespace, target)
        known = [*self._reserved.values(), *self._past.values()]
        return any(one.is_under_way and one.incident != incident and history.excludes(one.lock, lock) for one in known)

    def standing(self, rules: guardrails.Guardrails, *, namespace: str, now: datetime) -> holds.Standing:
        """How much of its guard-rails a namespace has used up."""
        return holds.standing(rules, tuple(self._past.values()), namespace=namespace, now=now)

    def reserve(self, incident: v1alpha1.Incident, action: records.Action, *, to_come: int = 0) -> None:
        """From now on the action counts, whether or not it is on record yet; once it is, it counts as one.

        So do the steps that are to come after it, as nothing keeps those back any more.
        """
        self._reserved[incident.key] = _past(incident, action, under_way=True)
        self._expect(incident, action, to_come)

    def release(self, incident: str) -> None:
        """What was reserved is on record by now, or is not done."""
        self._reserved.pop(incident, None)
        self._to_come.pop(incident, None)

    def _expect(self, incident: v1alpha1.Incident, action: records.Action, to_come: int) -> None:
        expected = _past(incident, action, under_way=True).model_copy(update={"claimed_at": _NOT_YET})
        keys = [digests.digest([action.key, number]) for number in range(to_come)]
        self._to_come[incident.key] = tuple(expected.model_copy(update={"key": key}) for key in keys)


def _last(finished: Sequence[history.Past], namespace: str) -> Sequence[history.Past]:
    return [one for one in finished if one.namespace == namespace][-holds.IN_A_ROW :]


def _lost(entry: history.Past, at: datetime) -> history.Past:
    return entry.model_copy(update={"outcome": verification.Outcome.INCONCLUSIVE, "ended_at": at})


def _past(incident: v1alpha1.Incident, action: records.Action, *, under_way: bool) -> history.Past:
    outcome = None if under_way else action.outcome or verification.Outcome.INCONCLUSIVE
    return history.Past(
        key=action.key,
        incident=incident.key,
        namespace=incident.metadata.namespace,
        target=action.target,
        undoes=bool(action.undoes),
        claimed_at=action.claimed_at,
        ended_at=None if under_way else action.done_at or action.claimed_at,
        outcome=outcome,
    )
