"""Claim: put the intent on record, with a key and the state of the target, before anything is touched.

What was claimed is done at most once: the key is left on the target, so that after a crash the effect is recognised.
"""

from datetime import timedelta

from safety_governor.api import records, v1alpha1
from safety_governor.domain import digests, guardrails, lifecycle, plans, workloads
from safety_governor.pipeline import cases, in_flight, outcomes, ports

LOOK_AGAIN = timedelta(seconds=30)
"""How long a held action waits until it is looked at again; a change of the namespace's guard-rails is looked at at once."""
TURN = timedelta(seconds=2)
"""How long an action waits until it looks whether it is its turn."""


class Claim:
    """Ends with the claimed action in status.execution."""

    def __init__(self, *, targets: ports.Workloads, rails: ports.Guardrails, fence: ports.Fence, acting: in_flight.InFlight) -> None:
        self._targets = targets
        self._rails = rails
        self._fence = fence
        self._acting = acting

    async def run(self, case: cases.Case) -> outcomes.Outcome:
        """Record the step, unless something holds it back. The gate has judged the guard-rails a moment ago; what holds is asked here."""
        incident, plan = case.incident, case.status.plan
        assert plan is not None, "the runner plans before it claims"  # noqa: S101
        namespace = incident.metadata.namespace
        rules = guardrails.strictest(await self._rails.fetch(namespace))
        found = await self._targets.find(namespace, incident.target)
        held = _held(rules, found, incident)
        if held or found is None:
            return _waiting(case, held, LOOK_AGAIN)
        holder = self._acting.take(namespace, incident.target, incident.key)
        if holder != incident.key:
            return _waiting(case, f"incident {holder} is acting on {found.kind}/{found.name}; this one is looked at again after it", TURN)
        action = _claimed(case, plan.steps[0], found)
        claimed = records.Execution(actions=(action,), holder=self._fence.holder)
        return outcomes.Record(status=case.status.model_copy(update={"phase": lifecycle.Phase.EXECUTING, "execution": claimed}))


def _waiting(case: cases.Case, held: str, pause: timedelta) -> outcomes.Wait:
    waiting = records.Execution(held_because=held)
    return outcomes.Wait(status=case.status.model_copy(update={"execution": waiting}), until=case.now + pause)


def _held(rules: guardrails.Guardrails | None, found: workloads.Workload | None, incident: v1alpha1.Incident) -> str:
    if rules is None:
        return f"namespace {incident.metadata.namespace} has no RemediationPolicy any more; nothing is done until it has one"
    if rules.suspend:
        return "remediation is suspended in this namespace (RemediationPolicy spec.suspend); nothing is done until that is taken back"
    if found is None:
        return f"{incident.target.kind}/{incident.target.name} does not exist any more; nothing is done unless it comes back"
    if found.paused:
        return f"{found.kind}/{found.name} is paused, so a restart would not roll out; nothing is done until it is resumed"
    return ""


def _claimed(case: cases.Case, step: plans.Step, found: workloads.Workload) -> records.Action:
    gate = case.status.gate
    assert gate is not None, "the runner gates before it claims"  # noqa: S101
    key = digests.digest_of(incident=case.incident.metadata.uid, plan=gate.plan_digest, step=step.id, attempt=case.status.attempt)
    return records.Action(
        id=step.id,
        type=step.type,
        key=key,
        target=case.incident.target,
        state=records.ActionState.CLAIMED,
        precondition=records.Precondition(
            uid=found.uid,
            resource_version=found.resource_version,
            generation=found.rollout.generation,
            template_hash=found.template_hash,
        ),
        # Whole seconds, as the time goes into an annotation of the target and must read the same after a restart.
        claimed_at=case.now.replace(microsecond=0),
    )
