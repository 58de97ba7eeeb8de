"""Claim: put the intent on record, with a key and the state of the target, before anything is touched.

What was claimed is done at most once: the key is left on what is touched, so that after a crash the effect is recognised.
The stage also says what comes after a step: the next one, its undo, or the end.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from safety_governor.api import records, v1alpha1
from safety_governor.domain import (
    actions,
    approvals,
    digests,
    holds,
    lifecycle,
    plans,
    previews,
    requests,
    snapshots,
    values,
    verification,
    workloads,
)
from safety_governor.pipeline import cases, guarding, outcomes, ports, register, sequence

LOOK_AGAIN = timedelta(minutes=1)
"""How long an action waits that is held until a person changes something; a change of the guard-rails is looked at at once."""
LONGEST = timedelta(minutes=5)
"""How long one waits at most that is held until a certain time."""
TURN = timedelta(seconds=2)
"""How long an action waits until it looks whether it is its turn."""
HALFWAY = approvals.GOOD_FOR
"""So long may a remediation that was begun be held between its steps; a person takes over then."""


class Claim:
    """Ends with the claimed action in status.execution, or with the phase that follows from what was done."""

    def __init__(
        self,
        *,
        targets: ports.Workloads,
        actuator: ports.Actuator,
        guard: guarding.Guarding,
        past: register.Register,
        fence: ports.Fence,
    ) -> None:
        self._targets = targets
        self._actuator = actuator
        self._guard = guard
        self._past = past
        self._fence = fence

    def turn(self, case: cases.Case) -> outcomes.Wait | None:
        """When to look again while another incident is still acting on the target: until then nothing has to be judged anew."""
        incident, execution = case.incident, case.status.execution
        waits = execution is not None and not execution.actions and execution.held_because
        if waits and self._past.is_busy(namespace=incident.metadata.namespace, target=incident.target, incident=incident.key):
            return outcomes.Wait(status=case.status, until=case.now + TURN)
        return None

    async def run(self, case: cases.Case) -> outcomes.Outcome:
        """Record the next step, unless something holds it back. The gate has judged a moment ago what may never be done."""
        plan, done = case.status.plan, _done(case.status)
        assert plan is not None, "the runner plans before it claims"  # noqa: S101
        following = sequence.following(plan, done)
        if isinstance(following, sequence.End):
            return outcomes.Halt(status=_ended(case.status, following))
        incident, step = case.incident, following.step
        if done and not following.undoes and (incident.spec.abort or incident.spec.mode is values.Mode.OBSERVE):
            return outcomes.Halt(status=_stopped(case.status, f"stopped by a person after {done[-1].id} of {len(plan.steps)} steps"))
        namespace = incident.metadata.namespace
        rails = await self._guard.read(namespace)
        scene = await self._targets.look(namespace, incident.target, step=step)
        if scene is None:
            return _missing(case, done)
        if done and (changed := _changed_since(done[-1], scene)):
            return outcomes.Halt(status=_stopped(case.status, f"{scene.name} {changed} after {done[-1].id}; a person finds out what to do"))
        if done and (refused := await self._refused(rails, case, following, scene)):
            return outcomes.Halt(status=_stopped(case.status, f"{step.id} must not be done any more after {done[-1].id}: {refused}"))
        disrupted = "" if following.undoes else await self._guard.disruption(namespace, step, scene)
        # From here on nothing may wait: what is judged and what is reserved must be one.
        self._past.release(incident.key)
        held = self._guard.holds(rails, incident, now=case.now, steps=len(plan.steps), begun=bool(done), undoing=bool(following.undoes))
        if disrupted:
            held = (*held, holds.Hold(guard=holds.Guard.DISRUPTION, message=disrupted, until=None))
        if held:
            return _waiting(case, held, done)
        if done and case.now - (done[-1].done_at or done[-1].claimed_at) >= HALFWAY:
            # Claimed and taken back again and again: what keeps it from being done does not pass.
            why = case.status.execution.held_because if case.status.execution else ""
            return outcomes.Halt(status=_stopped(case.status, f"{step.id} could not be done for too long after {done[-1].id}: {why}"))
        to_come = 0 if following.undoes else len(plan.steps) - len(done) - 1
        action = _claimed(case, following, scene, watch=self._guard.watch(rails, undoing=bool(following.undoes), is_last=not to_come))
        self._past.reserve(incident, action, to_come=to_come)
        claimed = records.Execution(actions=(*done, action), holder=self._fence.holder)
        return outcomes.Record(status=case.status.model_copy(update={"phase": lifecycle.Phase.EXECUTING, "execution": claimed}))

    async def _refused(self, rails: guarding.Rails, case: cases.Case, following: sequence.Begin, scene: workloads.Scene) -> str:
        """Why a later step or an undo may not be done at all; the gate has judged the target as it was before the first."""
        step, namespace, target = following.step, case.incident.metadata.namespace, case.incident.target
        if rails.rules is None:
            return ""
        if following.undoes:
            return "; ".join(self._guard.undo_refusals(rails, step=step, scene=scene))
        refused = self._guard.refusals(rails, namespace=namespace, target=target, steps=(step,), scenes=(scene,))
        return "; ".join(refused) or await self._other_content(rails, case, step, scene)

    async def _other_content(self, rails: guarding.Rails, case: cases.Case, step: plans.Step, scene: workloads.Scene) -> str:
        """How a later step is not any more what the gate has judged and people have seen."""
        request = actions.of(step.type).request(
            step, scene, previews.intent(actions.of(step.type).snapshot(step, scene), self._guard.watch(rails))
        )
        # Where automation is called tells only a dry run.
        result = await self._actuator.dry_run(case.incident.metadata.namespace, request) if isinstance(request, requests.Call) else {}
        assert case.status.gate is not None, "the runner gates before it claims"  # noqa: S101
        if previews.content(request, result) == case.status.gate.contents.get(step.id):
            return ""
        return "what it would do has changed since it was judged"


def _done(status: v1alpha1.IncidentStatus) -> tuple[records.Action, ...]:
    return status.execution.actions if status.execution is not None else ()


def _waiting(case: cases.Case, held: Sequence[holds.Hold], done: Sequence[records.Action]) -> outcomes.Outcome:
    """What it waits for, and until when."""
    if done and case.now - (done[-1].done_at or done[-1].claimed_at) >= HALFWAY:
        return outcomes.Halt(status=_stopped(case.status, f"held halfway for too long: {held[0].message}"))
    until = holds.strongest_until(held)
    told = values.clip("; ".join(one.message for one in held), values.TEXT_LIMIT)
    shown = f"{until:%Y-%m-%dT%H:%M:%SZ}" if until is not None else ""
    waiting = records.Execution(actions=tuple(done), held_because=told, held_until=shown)
    pause = TURN if all(one.guard is holds.Guard.IN_FLIGHT for one in held) else LOOK_AGAIN
    if any(one.guard is holds.Guard.DISRUPTION for one in held):
        pause = timedelta(seconds=15)
    again = case.now + pause
    if until is not None:
        # A little later, as the wait must not end a moment too early.
        again = min(case.now + LONGEST, until + timedelta(milliseconds=100))
    return outcomes.Wait(status=case.status.model_copy(update={"execution": waiting}), until=again)


def _missing(case: cases.Case, done: Sequence[records.Action]) -> outcomes.Outcome:
    target = case.incident.target
    if done:
        return outcomes.Halt(status=_stopped(case.status, f"{target.kind}/{target.name} is gone after {done[-1].id}"))
    message = f"{target.kind}/{target.name} does not exist any more; nothing is done unless it comes back"
    waiting = records.Execution(held_because=message)
    return outcomes.Wait(status=case.status.model_copy(update={"execution": waiting}), until=case.now + timedelta(seconds=30))


def _changed_since(last: records.Action, scene: workloads.Scene) -> str:
    if last.after is None:
        return ""
    now = snapshots.take(scene).model_copy(update={"source": None})
    return snapshots.difference(last.after.model_copy(update={"source": None}), now)


def _stopped(status: v1alpha1.IncidentStatus, why: str) -> v1alpha1.IncidentStatus:
    return _ended(status, sequence.End(phase=lifecycle.Phase.INDETERMINATE, message=why))


def _ended(status: v1alpha1.IncidentStatus, end: sequence.End) -> v1alpha1.IncidentStatus:
    execution = status.execution
    if execution is not None and end.phase is lifecycle.Phase.INDETERMINATE:
        execution = execution.model_copy(update={"held_because": values.clip(end.message, values.TEXT_LIMIT), "held_until": ""})
    return status.model_copy(update={"phase": end.phase, "execution": execution})


def _claimed(case: cases.Case, following: sequence.Begin, scene: workloads.Scene, *, watch: verification.Watch) -> records.Action:
    gate, stress, step = case.status.gate, case.status.stress, following.step
    assert gate is not None, "the runner gates before it claims"  # noqa: S101
    telemetry = stress.telemetry if stress is not None else None
    return records.Action(
        id=step.id,
        type=step.type,
        parameters=step.parameters,
        undoes=following.undoes,
        key=digests.digest_of(incident=case.incident.metadata.uid, plan=gate.plan_digest, step=step.id, attempt=case.status.attempt),
        target=case.incident.target,
        state=records.ActionState.CLAIMED,
        before=actions.of(step.type).snapshot(step, scene),
        baseline=verification.Baseline(
            troubled=tuple(pod.uid for pod in scene.pods or () if pod.is_in_trouble(case.now))[: verification.TROUBLED_LIMIT],
            error_ratio=verification.ratio_of(telemetry) if not following.undoes else None,
        ),
        watch=watch,
        # Whole seconds, as the time goes into an annotation of the target and must read the same after a restart.
        claimed_at=_whole(case.now),
    )


def _whole(now: datetime) -> datetime:
    return now.replace(microsecond=0)
