"""Execute: bring about what was claimed, once.

On every pass the target is asked first whether the effect is there already. It acts only while the target is as it was
claimed, its generation included: a generation never goes back, so an effect that somebody has undone is not taken for one that
never happened. While the effect is certainly not there, whatever would have kept the action from being claimed still keeps it
from being done. When neither is certain, a person decides.
"""

from datetime import timedelta

from safety_governor.api import records, v1alpha1
from safety_governor.domain import errors, guardrails, lifecycle, values, workloads
from safety_governor.pipeline import cases, in_flight, outcomes, ports

SOON = timedelta(milliseconds=250)
AGAIN = timedelta(seconds=1)
STALE = timedelta(minutes=2)
"""A claim that could not be carried out for so long is taken back: what it rests on is looked at again first."""


class Execute:
    """Ends with the effect on the target; Advance means that it is there."""

    def __init__(
        self, *, targets: ports.Workloads, rails: ports.Guardrails, fence: ports.Fence, acting: in_flight.InFlight, own_namespace: str
    ) -> None:
        self._targets = targets
        self._rails = rails
        self._fence = fence
        self._acting = acting
        self._own_namespace = own_namespace

    async def run(self, case: cases.Case) -> outcomes.Outcome:
        """Look for the effect; if it is certainly not there and may be brought about, bring it about."""
        action = claimed(case.status)
        incident, namespace = case.incident, case.incident.metadata.namespace
        self._acting.take(namespace, action.target, incident.key)
        found = await self._targets.find(namespace, action.target)
        if found is not None and found.last_action == action.key:
            return outcomes.Advance(status=case.status)
        if found is None or not _as_claimed(found, action):
            return outcomes.Halt(status=_undecided(case.status, action, found))
        objection = await self._objection(case, action)
        if objection:
            return self._taken_back(case, objection)
        if not self._fence.holds():
            raise errors.NotLeaderError("the Lease is not certainly ours; the claimed action is left to whoever holds it")
        try:
            await self._targets.restart(namespace, found, key=action.key, incident=incident.key, at=action.claimed_at)
        except errors.ConflictError:
            # Between reading and acting somebody touched the target; what that means is seen at the next look.
            return outcomes.Wait(status=case.status, until=case.now + AGAIN)
        except errors.ClusterRefusedError as error:
            return outcomes.Halt(status=_refused(case.status, action, str(error)))
        return outcomes.Wait(status=case.status, until=case.now + SOON)

    async def _objection(self, case: cases.Case, action: records.Action) -> str:
        """Why what was claimed must not be done after all; asked in the last moment."""
        spec, plan = case.incident.spec, case.status.plan
        if spec.abort or spec.alert_resolved or spec.mode is values.Mode.OBSERVE:
            return "the incident was stopped before anything was done"
        if case.now - action.claimed_at >= STALE:
            return f"the claim of {action.claimed_at:%H:%M:%S} is too old to act on"
        namespace = case.incident.metadata.namespace
        rules = guardrails.strictest(await self._rails.fetch(namespace))
        if rules is not None and rules.suspend:
            return "remediation was suspended in this namespace before anything was done"
        found = guardrails.objections(
            rules, namespace=namespace, own_namespace=self._own_namespace, target=action.target, steps=plan.steps if plan else ()
        )
        return "; ".join(found)

    def _taken_back(self, case: cases.Case, objection: str) -> outcomes.Record:
        """Nothing was done, so the incident goes back to where it was decided, and is judged again."""
        self._acting.release(case.incident.key)
        waiting = records.Execution(held_because=values.clip(objection, values.TEXT_LIMIT))
        return outcomes.Record(status=case.status.model_copy(update={"phase": lifecycle.Phase.GATED, "execution": waiting}))


def claimed(status: v1alpha1.IncidentStatus) -> records.Action:
    """The action that was claimed."""
    assert status.execution is not None, "the runner claims before it executes"  # noqa: S101
    return status.execution.actions[-1]


def _as_claimed(found: workloads.Workload, action: records.Action) -> bool:
    before = action.precondition
    return (found.uid, found.rollout.generation, found.template_hash) == (before.uid, before.generation, before.template_hash)


def _undecided(status: v1alpha1.IncidentStatus, action: records.Action, found: workloads.Workload | None) -> v1alpha1.IncidentStatus:
    seen = "is gone" if found is None else "was replaced" if found.uid != action.precondition.uid else "was changed by somebody else"
    name = f"{action.target.kind}/{action.target.name}"
    message = f"{name} {seen} after the action was claimed; whether it took effect is for a person to find out"
    ended = action.model_copy(update={"state": records.ActionState.INDETERMINATE, "message": message})
    return status.with_action(ended).model_copy(update={"phase": lifecycle.Phase.INDETERMINATE})


def _refused(status: v1alpha1.IncidentStatus, action: records.Action, why: str) -> v1alpha1.IncidentStatus:
    message = values.clip(f"the API server refused the action, so nothing was changed: {why}", values.TEXT_LIMIT)
    ended = action.model_copy(update={"state": records.ActionState.FAILED, "message": message})
    return status.with_action(ended).model_copy(update={"phase": lifecycle.Phase.FAILED})
