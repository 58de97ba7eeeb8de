"""What has been done lately and what is being done: the memory that guard-rails over time are judged by.

It holds what the incidents themselves record, so a restart loses nothing; the journal adds what incidents recorded that
were deleted since. What is about to be claimed is reserved here first, as between looking and writing others may look.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta

from safety_governor.api import records, v1alpha1
from safety_governor.domain import guardrails, history, holds, lifecycle, plans, verification

KEPT = timedelta(days=7)
"""Older actions matter to no guard-rail, but to a circuit breaker that was never reset."""


class Register:
    """All actions of all incidents, by key."""

    def __init__(self) -> None:
        self._past: dict[str, history.Past] = {}
        self._reserved: dict[str, history.Past] = {}

    def learn(self, incident: v1alpha1.Incident) -> None:
        """Take note of what the incident records."""
        execution = incident.status.execution
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

    def forget(self, key: str) -> None:
        """The claim was taken back before anything was done."""
        self._past.pop(key, None)

    def remember(self, entries: Iterable[history.Past]) -> None:
        """Take note of what the journal has. What an incident records is newer."""
        for entry in entries:
            self._past.setdefault(entry.key, entry)

    def prune(self, now: datetime) -> None:
        """Forget what no guard-rail asks for any more."""
        self._past = {key: one for key, one in self._past.items() if one.outcome is None or now - one.claimed_at < KEPT}

    def judge(
        self, rules: guardrails.Guardrails, *, namespace: str, target: plans.Target, incident: str, now: datetime
    ) -> tuple[holds.Hold, ...]:
        """What keeps this incident from acting on the target now. What it did itself does not."""
        others = [one for one in (*self._past.values(), *self._reserved.values()) if one.incident != incident]
        return holds.judge(rules, others, namespace=namespace, target=target, incident=incident, now=now)

    def standing(self, rules: guardrails.Guardrails, *, namespace: str, now: datetime) -> holds.Standing:
        """How much of its guard-rails a namespace has used up."""
        return holds.standing(rules, tuple(self._past.values()), namespace=namespace, now=now)

    def reserve(self, incident: str, *, namespace: str, target: plans.Target, now: datetime) -> None:
        """From now on the action counts, whether or not it is on record yet."""
        self._reserved[incident] = history.Past(
            key="sha256:" + "0" * 64, incident=incident, namespace=namespace, target=target, claimed_at=now
        )

    def release(self, incident: str) -> None:
        """What was reserved is on record by now, or is not done."""
        self._reserved.pop(incident, None)


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
