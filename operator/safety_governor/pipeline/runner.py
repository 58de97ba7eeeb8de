"""Which stage comes next. The only module that orders stages; it writes nothing and waits for nothing.

Level-triggered: every pass starts from the incident as the API server has it, so that a restart, a missed event or a
second wake-up changes nothing.
"""

from dataclasses import dataclass
from typing import Protocol, assert_never

from safety_governor.api import records, v1alpha1
from safety_governor.domain import approvals, errors, lifecycle, values
from safety_governor.pipeline import cases, outcomes, ports
from safety_governor.pipeline.stages import approve, claim, execute, verify


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
    execute: execute.Execute
    verify: verify.Verify


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
        """Plan to gate, and on to what the gate decides. What is on record already is not asked for again."""
        steps = (
            (lifecycle.Phase.PLANNING, self._stages.plan, case.status.plan),
            (lifecycle.Phase.STRESSING, self._stages.stress, case.status.stress),
            (lifecycle.Phase.STRESSING, self._stages.compress, case.status.compress),
            (lifecycle.Phase.GATED, self._stages.gate, case.status.gate),
        )
        for phase, stage, present in steps:
            if present is not None:
                continue
            try:
                outcome = await stage.run(case)
            except errors.RetryableError as error:
                shown = phase if phase is not lifecycle.Phase.GATED else lifecycle.Phase.STRESSING
                return _stall(case.status.model_copy(update={"phase": shown}), error)
            if not isinstance(outcome, outcomes.Advance):
                return outcome
            case = case.with_status(outcome.status)
        if case.status.phase == lifecycle.Phase.AWAITING_APPROVAL:
            return await self._stages.approve.run(case)
        return await self._stalling(case, self._stages.claim.run)

    async def _hear(self, case: cases.Case) -> outcomes.Outcome:
        """Hear people; when they release, make sure that it is still what they saw."""
        heard = await self._stages.approve.run(case)
        if not isinstance(heard, outcomes.Advance):
            return heard
        if heard.status.gate is None:
            return await self._assess(case.with_status(heard.status))
        return await self._recheck(case, heard.status)

    async def _resume(self, case: cases.Case) -> outcomes.Outcome:
        """Something held a released action back; time has passed, so everything is looked at again, the approval included."""
        gate = case.status.gate
        if gate is not None and approvals.releasable(gate.decision, gate.required_approval):
            return await self._hear(case)
        return await self._recheck(case, case.status)

    async def _recheck(self, case: cases.Case, released: v1alpha1.IncidentStatus) -> outcomes.Outcome:
        unknown_then = case.status.stress is not None and case.status.stress.ledger is None
        fresh = cases.Case(
            incident=case.incident, status=case.status, now=case.now, rechecking=True, give_up_reading=case.give_up_reading or unknown_then
        )
        for stage in (self._stages.plan, self._stages.stress, self._stages.compress, self._stages.gate):
            outcome = await stage.run(fresh)
            fresh = fresh.with_status(outcome.status)
        confirmed = self._stages.approve.confirm(case, released=released, fresh=fresh.status)
        if confirmed.gate is None:
            return await self._assess(case.with_status(confirmed))
        return await self._stages.claim.run(case.with_status(confirmed))

    async def _act(self, case: cases.Case) -> outcomes.Outcome:
        """Bring about what was claimed, then prove it."""
        executed = await self._stages.execute.run(case)
        if not isinstance(executed, outcomes.Advance):
            return executed
        verified = await self._stages.verify.run(case)
        match verified:
            case outcomes.Advance():
                return await self._stages.claim.run(case.with_status(verified.status))
            case outcomes.Wait() | outcomes.Halt() | outcomes.Record() | outcomes.Stall():
                return verified
            case _:
                assert_never(verified)

    async def _stalling(self, case: cases.Case, step: "Step") -> outcomes.Outcome:
        try:
            return await step(case)
        except errors.RetryableError as error:
            return _stall(case.status, error)


class Step(Protocol):
    """A part of a pass."""

    async def __call__(self, case: cases.Case, /) -> outcomes.Outcome:
        """Take the case on."""


def _ended(incident: v1alpha1.Incident) -> v1alpha1.IncidentStatus:
    why = "aborted" if incident.spec.abort else "the alert has resolved itself"
    asked = (incident.status.approval or records.ApprovalState()).model_copy(update={"summary": why})
    return incident.status.model_copy(update={"phase": lifecycle.Phase.ABORTED, "approval": asked})


def _stall(status: v1alpha1.IncidentStatus, error: errors.RetryableError) -> outcomes.Stall:
    retry_after = error.retry_after if isinstance(error, errors.ClusterUnavailableError) else None
    reason = type(error).__name__.removesuffix("Error")
    return outcomes.Stall(status=status, reason=reason, message=str(error), retry_after=retry_after)
