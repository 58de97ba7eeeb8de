"""Verify: success must be proved. A rollout that never comes to its end is not a success that nobody saw."""

from datetime import datetime, timedelta

import structlog

from safety_governor.api import records
from safety_governor.domain import actions, errors, journal, lifecycle, rollouts, snapshots, telemetry, values, verification, workloads
from safety_governor.pipeline import cases, outcomes, ports, sequence

SLOW = timedelta(seconds=20)
"""A rollout that takes longer is shown as Verifying, at the price of one more write."""

_log = structlog.get_logger()


class Verify:
    """Ends with the outcome of the action that was claimed last; Advance means that there is one."""

    def __init__(self, *, targets: ports.Workloads, knowledge: ports.Knowledge, journal: ports.Journal) -> None:
        self._targets = targets
        self._knowledge = knowledge
        self._journal = journal

    async def run(self, case: cases.Case) -> outcomes.Outcome:
        """Look once."""
        assert case.status.execution is not None, "the runner claims before it verifies"  # noqa: S101
        action = case.status.execution.actions[-1]
        scene = await self._targets.look(case.incident.metadata.namespace, action.target, step=sequence.step_of(action), key=action.key)
        if scene is None:
            gone = verification.Judged(outcome=verification.Outcome.INCONCLUSIVE, message="the target is gone", until=case.now)
            return await self._ended(case, action, None, gone)
        if scene.target.uid != action.before.uid:
            replaced = f"{scene.name} was replaced by another of the same name"
            other = verification.Judged(outcome=verification.Outcome.INCONCLUSIVE, message=replaced, until=case.now)
            return await self._ended(case, action, scene, other)
        seen = await self._observed(case, action, scene)
        judged = verification.judge(seen, action.baseline, action.watch, since=action.claimed_at, now=case.now)
        if judged.outcome is not None:
            return await self._ended(case, action, scene, judged)
        slow = case.now - action.claimed_at >= SLOW and not _is_rolled_out(seen)
        phase = lifecycle.Phase.VERIFYING if slow else case.status.phase
        return outcomes.Wait(status=case.status.model_copy(update={"phase": phase}), until=judged.until)

    async def _observed(self, case: cases.Case, action: records.Action, scene: workloads.Scene) -> verification.Observation:
        kind = actions.of(action.type)
        # What its controller had given up before is not our doing.
        figures = rollouts.since(scene.target.rollout, action.claimed_at)
        scene = scene.model_copy(update={"target": scene.target.model_copy(update={"rollout": figures})})
        step, intent = sequence.step_of(action), sequence.intent_of(case.incident.key, action)
        progress, sentence = kind.progress(step, scene)
        if taken_back := kind.taken_back(step, scene, intent):
            progress, sentence = rollouts.Progress.OVERTAKEN, taken_back
        seen = verification.Observation(
            progress=progress,
            sentence=sentence,
            pods=scene.pods or (),
            alert_resolved=case.incident.spec.alert_resolved,
            effect_at=_effect_at(action, scene),
            # Our own change is one generation.
            meddled=scene.target.generation > action.before.generation + kind.changes_target,
        )
        # Only when the outcome may hang on them: the logs of the first seconds say nothing yet.
        soaked = verification.soaked_at(seen, action.watch, since=action.claimed_at)
        wanted = action.baseline.error_ratio is not None or action.watch.require_telemetry
        if action.undoes or not wanted or not _is_rolled_out(seen) or case.now < soaked:
            return seen
        found, problem = await self._telemetry(case, since=verification.took_effect_at(seen, since=action.claimed_at))
        return seen.model_copy(update={"telemetry": found, "telemetry_problem": problem})

    async def _telemetry(self, case: cases.Case, *, since: datetime) -> tuple[telemetry.Telemetry | None, str]:
        # Not a moment more: what was logged before says how bad it was, not whether it is better.
        window = max(case.now - since, timedelta(seconds=1))
        try:
            return await self._knowledge.summarise_logs(service=case.incident.spec.service, until=case.now, window=window), ""
        except errors.RetryableError as error:
            return None, values.clip(str(error), 300)

    async def _ended(
        self, case: cases.Case, action: records.Action, scene: workloads.Scene | None, judged: verification.Judged
    ) -> outcomes.Advance:
        assert judged.outcome is not None  # noqa: S101
        done = action.model_copy(
            update={
                "state": records.ActionState.DONE,
                "done_at": case.now,
                "outcome": judged.outcome,
                "message": judged.message,
                "after": snapshots.take(scene) if scene is not None else None,
            }
        )
        seen = records.Verification(outcome=judged.outcome, message=judged.message, started_at=action.claimed_at, finished_at=case.now)
        try:
            await self._journal.end(
                journal.End(key=action.key, incident=case.incident.key, outcome=judged.outcome, message=judged.message, at=case.now)
            )
        except errors.RetryableError as error:
            # The effect is there and the outcome stands in the incident; only the journal does not have it.
            _log.warning("the end of an action is not in the journal", incident=case.incident.key, key=action.key, error=str(error))
        status = case.status.with_action(done)
        # What stays on record about the incident is how the plan turned out, not how well it was undone.
        return outcomes.Advance(status=status if action.undoes else status.model_copy(update={"verification": seen}))


def _is_rolled_out(seen: verification.Observation) -> bool:
    return seen.progress is rollouts.Progress.COMPLETE


def _effect_at(action: records.Action, scene: workloads.Scene) -> datetime | None:
    """When what was asked for was done, by whoever tells: automation, the Job, or the controller about its rollout."""
    told = [action.acknowledged_at, scene.job.ended_at if scene.job is not None else None, rollouts.completed_at(scene.target.rollout)]
    return max((one for one in told if one is not None), default=None)
