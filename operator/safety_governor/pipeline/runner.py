"""Which stage comes next. The only module that orders stages; it writes nothing and waits for nothing.

Level-triggered: every pass starts from the incident as the API server has it, so that a restart, a missed event or a
second wake-up changes nothing.
"""

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Protocol

from safety_governor.api import records, v1alpha1
from safety_governor.domain import approvals, errors, lifecycle, values
from safety_governor.pipeline import cases, outcomes, ports
from safety_governor.pipeline.stages import approve, claim

LOOK_AGAIN = timedelta(seconds=15)
"""How long it takes until what could not be read is tried again while people are asked."""


class Stage(Protocol):
    """The shape of every stage."""

    async def run(self, case: cases.Case) -> outcomes.Outcome:
        """Read, have the domain judge, and answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stages:
    """All stages, wired."""

    plan: Stage
    stress: Stage
    compress: Stage
    gate: Stage
    approve: approve.Approve
    claim: claim.Claim
    execute: Stage
    verify: Stage


class Runner:
    """Takes an incident as far as it can go in one pass."""

    def __init__(self, *, stages: Stages, clock: ports.Clock) -> None:
        self._stages = stages
        self._clock = clock

    async def advance(self, incident: v1alpha1.Incident, *, give_up_reading: bool = False) -> outcomes.Outcome:
        """One pass. Never returns Advance. Raises only what is terminal."""
        case = cases.Case(incident=incident, status=incident.status, now=self._clock.now(), give_up_reading=give_up_reading)
        phase = incident.status.phase
        if phase in lifecycle.TERMINAL:
            return outcomes.Halt(status=incident.status)
        if phase in lifecycle.ACTING:
            return await self._stalling(case, self._act)
        if incident.spec.abort or incident.spec.alert_resolved:
            return outcomes.Halt(status=_ended(incident))
        if incident.spec.mode is values.Mode.OBSERVE and incident.status.gate is not None:
            return outcomes.Halt(status=incident.status.model_copy(update={"phase": lifecycle.Phase.OBSERVED}))
        if phase == lifecycle.Phase.AWAITING_APPROVAL:
            return await self._stalling(case, self._hear)
        if phase == lifecycle.Phase.GATED:
            return await self._stalling(case, self._resume)
        return await self._assess(case)

    async def _assess(self, case: cases.Case) -> outcomes.Outcome:
        """Plan to gate, and on to what the gate decides. What the agent said is on record; everything else is read anew."""
        judged = await self._judge(case)
        if not isinstance(judged, outcomes.Advance):
            return judged
        case = case.with_status(judged.status)
        if case.status.phase == lifecycle.Phase.AWAITING_APPROVAL:
            return _looked_at_again(case, await self._stages.approve.run(case))
        return await self._stalling(case, self._stages.claim.run)

    async def _judge(self, case: cases.Case) -> outcomes.Outcome:
        """The four stages that lead to a verdict, all of them, always."""
        stages = (
            (lifecycle.Phase.PLANNING, self._stages.plan),
            (lifecycle.Phase.STRESSING, self._stages.stress),
            (lifecycle.Phase.STRESSING, self._stages.compress),
            (lifecycle.Phase.STRESSING, self._stages.gate),
        )
        for phase, stage in stages:
            try:
                outcome = await stage.run(case)
            except errors.RetryableError as error:
                return _stall(case.status.model_copy(update={"phase": phase}), error)
            if not isinstance(outcome, outcomes.Advance):
                return outcome
            case = case.with_status(outcome.status)
        return outcomes.Advance(status=case.status)

    async def _hear(self, case: cases.Case) -> outcomes.Outcome:
        """Hear people; when they release, make sure that it is still what they saw."""
        heard = await self._stages.approve.run(case)
        if isinstance(heard, outcomes.Wait) and _rests_on_unknowns(case.status):
            return await self._read_again(case, heard)
        if not isinstance(heard, outcomes.Advance):
            return heard
        if heard.status.gate is None:
            return await self._assess(case.with_status(heard.status))
        return await self._recheck(case, heard.status)

    async def _read_again(self, case: cases.Case, waiting: outcomes.Wait) -> outcomes.Outcome:
        """People were asked because something could not be read; as soon as it can be, they are asked about what it says."""
        judged = await self._judge(replace(case, rechecking=True, give_up_reading=False))
        if isinstance(judged, outcomes.Stall):
            return _looked_at_again(case, waiting)
        return await self._assess(case.with_status(judged.status.model_copy(update={"gate": None})))

    async def _resume(self, case: cases.Case) -> outcomes.Outcome:
        """Something held a released action back; time has passed, so everything is looked at again, the approval included."""
        gate = case.status.gate
        if gate is not None and approvals.releasable(gate.decision, gate.required_approval):
            return await self._hear(case)
        return await self._recheck(case, case.status)

    async def _recheck(self, case: cases.Case, released: v1alpha1.IncidentStatus) -> outcomes.Outcome:
        """Judge again what was released; only if it comes out the same is it claimed."""
        if (waiting := self._stages.claim.turn(case)) is not None:
            return waiting
        unknown_then = case.status.stress is not None and case.status.stress.ledger is None
        again = replace(case, rechecking=True, give_up_reading=case.give_up_reading or unknown_then)
        judged = await self._judge(again)
        if isinstance(judged, outcomes.Stall):
            return replace(judged, status=case.status)
        confirmed = self._stages.approve.confirm(case, released=released, fresh=judged.status)
        if confirmed.gate is None:
            return await self._assess(case.with_status(confirmed))
        return await self._stages.claim.run(case.with_status(confirmed))

    async def _act(self, case: cases.Case) -> outcomes.Outcome:
        """Bring about what was claimed, prove it, and go on with what follows from that."""
        if _is_claimed(case.status):
            for stage in (self._stages.execute, self._stages.verify):
                outcome = await stage.run(case)
                if not isinstance(outcome, outcomes.Advance):
                    return outcome
                case = case.with_status(outcome.status)
        return await self._stages.claim.run(case)

    async def _stalling(self, case: cases.Case, step: "Step") -> outcomes.Outcome:
        try:
            return await step(case)
        except errors.RetryableError as error:
            return _stall(case.status, error)


class Step(Protocol):
    """A part of a pass."""

    async def __call__(self, case: cases.Case, /) -> outcomes.Outcome:
        """Take the case on."""


def _is_claimed(status: v1alpha1.IncidentStatus) -> bool:
    return status.execution is not None and status.execution.actions[-1].state is records.ActionState.CLAIMED


def _rests_on_unknowns(status: v1alpha1.IncidentStatus) -> bool:
    return status.stress is not None and (status.stress.ledger is None or status.stress.policies is None)


def _looked_at_again(case: cases.Case, outcome: outcomes.Outcome) -> outcomes.Outcome:
    """Nobody wakes an incident when the store is back, so one that rests on unknowns does not sleep until its question expires."""
    if isinstance(outcome, outcomes.Wait) and _rests_on_unknowns(outcome.status):
        return replace(outcome, until=min(outcome.until, case.now + LOOK_AGAIN))
    return outcome


def _ended(incident: v1alpha1.Incident) -> v1alpha1.IncidentStatus:
    why = "aborted" if incident.spec.abort else "the alert has resolved itself"
    asked = (incident.status.approval or records.ApprovalState()).model_copy(update={"summary": why})
    return incident.status.model_copy(update={"phase": lifecycle.Phase.ABORTED, "approval": asked})


def _stall(status: v1alpha1.IncidentStatus, error: errors.RetryableError) -> outcomes.Stall:
    retry_after = getattr(error, "retry_after", None)
    reason = type(error).__name__.removesuffix("Error")
    return outcomes.Stall(status=status, reason=reason, message=str(error), retry_after=retry_after)
