"""Verify: success must be proved. A rollout that never comes to its end is not a success that nobody saw."""

from datetime import timedelta

from safety_governor.api import records
from safety_governor.domain import lifecycle, rollouts
from safety_governor.pipeline import cases, outcomes, ports

TIMEOUT = timedelta(minutes=10)
"""After this a rollout that is still going on is inconclusive."""

SLOW = timedelta(seconds=20)
"""A rollout that takes longer is shown as Verifying, at the price of one more write."""


class Verify:
    """Ends with status.verification."""

    def __init__(self, *, targets: ports.Workloads, timeout: timedelta = TIMEOUT) -> None:
        self._targets = targets
        self._timeout = timeout

    async def run(self, case: cases.Case) -> outcomes.Outcome:
        """Look once."""
        assert case.status.execution is not None, "the runner claims before it verifies"  # noqa: S101
        action = case.status.execution.actions[-1]
        found = await self._targets.find(case.incident.metadata.namespace, action.target)
        progress, sentence = rollouts.progress(found.rollout) if found else (rollouts.Progress.STUCK, "the target is gone")
        waited = case.now - action.claimed_at
        if progress is rollouts.Progress.COMPLETE:
            return self._ended(case, action, records.Outcome.VERIFIED, sentence)
        if progress is rollouts.Progress.STUCK:
            return self._ended(case, action, records.Outcome.REGRESSED, sentence)
        if waited >= self._timeout:
            return self._ended(case, action, records.Outcome.INCONCLUSIVE, f"{sentence}, after {self._timeout.seconds // 60} minutes")
        phase = lifecycle.Phase.VERIFYING if waited >= SLOW else case.status.phase
        pause = timedelta(seconds=min(max(waited.total_seconds() / 5, 0.5), 5.0))
        return outcomes.Wait(status=case.status.model_copy(update={"phase": phase}), until=case.now + pause)

    @staticmethod
    def _ended(case: cases.Case, action: records.Action, outcome: records.Outcome, sentence: str) -> outcomes.Outcome:
        done = action.model_copy(update={"state": records.ActionState.DONE, "done_at": case.now, "message": sentence})
        verification = records.Verification(outcome=outcome, message=sentence, started_at=action.claimed_at, finished_at=case.now)
        status = case.status.with_action(done).model_copy(update={"verification": verification})
        phase = lifecycle.Phase.RESOLVED if outcome is records.Outcome.VERIFIED else lifecycle.Phase.INDETERMINATE
        return outcomes.Halt(status=status.model_copy(update={"phase": phase}))
