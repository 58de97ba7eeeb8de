"""Gate: gather the facts, judge them, and put the question to people where one is needed.

The gate reads the target and the guard-rails of the namespace itself, at the last moment. It asks nobody.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from safety_governor.api import records, v1alpha1
from safety_governor.domain import (
    actions,
    adaptability,
    approvals,
    changes,
    checks,
    confidence,
    digests,
    errors,
    facts,
    guardrails,
    lifecycle,
    plans,
    policies,
    previews,
    requests,
    scores,
    values,
    verdicts,
    verification,
    workloads,
)
from safety_governor.pipeline import cases, guarding, outcomes, ports


class Gate:
    """Ends with status.gate and the phase that follows from it."""

    def __init__(
        self,
        *,
        knowledge: ports.Knowledge,
        targets: ports.Workloads,
        actuator: ports.Actuator,
        guard: guarding.Guarding,
        thresholds: checks.Thresholds,
        expiry: timedelta = guardrails.DEFAULT_EXPIRY,
        on_judged: Callable[[facts.Facts, checks.Thresholds], None] = lambda *_: None,
    ) -> None:
        self._knowledge = knowledge
        self._targets = targets
        self._actuator = actuator
        self._guard = guard
        self._thresholds = thresholds
        self._expiry = expiry
        self._on_judged = on_judged

    async def run(self, case: cases.Case) -> outcomes.Outcome:
        """Judge what is known now."""
        plan, stress = case.status.plan, case.status.stress
        assert plan is not None, "the runner plans before it gates"  # noqa: S101
        assert stress is not None, "the runner stresses before it gates"  # noqa: S101
        incident = case.incident
        namespace = incident.metadata.namespace
        scenes = await self._scenes(case, plan)
        found = scenes[0].target if scenes else None
        rails = await self._guard.read(namespace)
        rules = rails.rules
        forbidden = self._guard.refusals(
            rails, namespace=namespace, target=incident.target, steps=plan.steps, scenes=scenes if _is_ours(plan) else ()
        )
        # What is forbidden anyway is not tried.
        previewed, contents, refused = await self._previews(case, plan, scenes, self._guard.watch(rails)) if not forbidden else ((), (), ())
        conflicts = await self._conflicts(case, plan, stress)
        known = _facts(case, plan, stress, target=found, rules=rules, conflicts=conflicts, objections=(*forbidden, *refused))
        verdict = verdicts.judge(known, self._thresholds)
        self._on_judged(known, self._thresholds)
        target = _target_state(incident, found)
        # The same attempt when an approval is being honoured: whether the digest comes out the same is the whole question.
        attempt = case.status.attempt if case.rechecking else case.status.attempt + 1
        parts = {
            "plan": digests.digest(plan),
            "target": digests.digest(target),
            "dryRun": digests.digest([*(one.model_dump(mode="json") for one in previewed), *contents]),
            "evidence": digests.digest(stress.ledger),
            "policies": digests.digest(stress.policies),
            "guardrails": digests.digest([_lasting(one).model_dump(mode="json") for one in rails.named]),
            "scores": digests.digest(case.status.scores or scores.Profile()),
            "thresholds": digests.digest(self._thresholds),
            "verdict": digests.digest([verdict.decision.value, verdict.required_approval.value, verdict.reason]),
        }
        asked = records.Gate(
            **_judged(known, verdict),
            plan_digest=digests.digest_of(incident=incident.metadata.uid, attempt=attempt, gate=verdicts.GATE_VERSION, **parts),
            parts=parts,
            previews=previewed,
            contents={step.id: content for step, content in zip(plan.steps, contents, strict=False)},
            held_by=self._held_by(rails, incident, plan, now=case.now) if rules and previewed else (),
            two_persons=_takes_two(rules, verdict, incident),
            decided_at=case.now,
            expires_at=_expires_at(case.now, rules, self._expiry) if approvals.needed(verdict) else "",
        )
        gate = _with_confidence(asked, plan, stress, case.status.scores or scores.Profile(), conflicts=len(known.conflicts or ()))
        status = case.status.model_copy(update={"attempt": attempt, "target": target, "gate": gate})
        return _outcome(case, status, verdict)

    def _held_by(self, rails: guarding.Rails, incident: v1alpha1.Incident, plan: plans.Plan, *, now: datetime) -> tuple[str, ...]:
        return tuple(one.message for one in self._guard.holds(rails, incident, now=now, steps=len(plan.steps)))[:16]

    async def _conflicts(self, case: cases.Case, plan: plans.Plan, stress: records.Stress) -> tuple[policies.Conflict, ...] | None:
        if stress.policies is None:
            return None
        try:
            read = await self._knowledge.fetch_policies(service=case.incident.spec.service)
        except errors.RetryableError:
            if not case.give_up_reading:
                raise
            return None
        return policies.PolicySet(read).conflicts(actions=plan.names, severity=case.incident.spec.severity)

    async def _scenes(self, case: cases.Case, plan: plans.Plan) -> tuple[workloads.Scene, ...]:
        """The target as each step has to see it; empty when there is certainly no target."""
        namespace, target = case.incident.metadata.namespace, case.incident.target
        seen = [await self._targets.look(namespace, target, step=step) for step in plan.steps or (None,)]
        return tuple(one for one in seen if one is not None)

    async def _previews(
        self, case: cases.Case, plan: plans.Plan, scenes: Sequence[workloads.Scene], watch: verification.Watch
    ) -> tuple[tuple[changes.Preview, ...], tuple[str, ...], tuple[str, ...]]:
        """What each step would change, the digests of that, and why the API server would not let it, if it would not."""
        if not _is_ours(plan):
            return (), (), ()
        found, contents = [], []
        for step, scene in zip(plan.steps, scenes, strict=False):
            action = actions.of(step.type)
            request: requests.Request | None = None
            result: Mapping[str, Any] = {}
            try:
                request = action.request(step, scene, previews.intent(action.snapshot(step, scene), watch))
                result = await self._actuator.dry_run(case.incident.metadata.namespace, request) if request is not None else {}
            except errors.DisruptionRefusedError:
                pass  # That passes by; it holds the action back when its time comes.
            except errors.TerminalError as error:
                return (), (), (f"a dry run of {step.id} ({step.type}) is refused: {error}",)
            found.append(previews.of(step, scene, request, result))
            contents.append(previews.content(request, result))
        return tuple(found), tuple(contents), ()


def _lasting(named: guardrails.Named) -> guardrails.Named:
    """Without the switches that only say when: a kill switch holds what people have released, it does not take their word back."""
    return named.model_copy(update={"rules": named.rules.model_copy(update={"suspend": False, "breaker_reset_at": None})})


def _is_ours(plan: plans.Plan) -> bool:
    return plan.resolution is plans.Resolution.RESOLVED and not plan.is_manual


def _facts(
    case: cases.Case,
    plan: plans.Plan,
    stress: records.Stress,
    *,
    target: workloads.Workload | None,
    rules: guardrails.Guardrails | None,
    conflicts: tuple[policies.Conflict, ...] | None,
    objections: tuple[str, ...],
) -> facts.Facts:
    incident, evidence = case.incident, stress.ledger
    return facts.Facts(
        severity=incident.spec.severity,
        answer_problems=stress.answer_problems,
        proposed_action=plan.action,
        is_manual=plan.is_manual,
        resolution=plan.resolution,
        resolution_detail=plan.resolution_detail,
        target=incident.target,
        target_exists=target is not None,
        protections=tuple(values.clip(one, values.TEXT_LIMIT) for one in objections)[:80],
        conflicts=conflicts,
        contradictions=stress.contradiction_count,
        coverage=stress.evidence_coverage,
        supporting=evidence.supporting_count if evidence else None,
        fabricated=stress.fabricated if evidence is not None else None,
        final_action=stress.agent.final_action if stress.agent else None,
        telemetry_known=stress.telemetry is not None,
        require_telemetry=rules.require_telemetry if rules else False,
        unknowns=stress.unknowns,
    )


def _outcome(case: cases.Case, status: v1alpha1.IncidentStatus, verdict: verdicts.Verdict) -> outcomes.Outcome:
    phases = {
        verdicts.Decision.HAND_OVER: lifecycle.Phase.HANDED_OVER,
        verdicts.Decision.EXECUTE: lifecycle.Phase.GATED,
        verdicts.Decision.BLOCK_AND_ESCALATE: lifecycle.Phase.AWAITING_APPROVAL if approvals.needed(verdict) else lifecycle.Phase.BLOCKED,
    }
    phase = phases[verdict.decision]
    if case.incident.spec.mode is values.Mode.OBSERVE:
        phase = lifecycle.Phase.OBSERVED
    if case.rechecking:
        # What the new digest means for the approval is for the approve stage to say.
        return outcomes.Advance(status=status)
    question = records.ApprovalState(
        summary=_summary(phase, verdict, two_persons=status.gate is not None and status.gate.two_persons),
        refusals=case.status.approval.refusals if case.status.approval else (),
    )
    # What held the last verdict back says nothing about this one.
    status = status.model_copy(update={"phase": phase, "approval": question, "execution": None})
    if phase in lifecycle.TERMINAL:
        return outcomes.Halt(status=status)
    return outcomes.Advance(status=status)


def _summary(phase: lifecycle.Phase, verdict: verdicts.Verdict, *, two_persons: bool) -> str:
    if phase is lifecycle.Phase.AWAITING_APPROVAL:
        return f"{verdict.required_approval} needed" + (" by two people" if two_persons else "")
    if phase is lifecycle.Phase.BLOCKED:
        return "none can release it"
    if phase is lifecycle.Phase.HANDED_OVER:
        return "for people to do"
    return "not needed" if verdict.decision is verdicts.Decision.EXECUTE else f"{verdict.required_approval} would be needed"


def _target_state(incident: v1alpha1.Incident, found: workloads.Workload | None) -> records.TargetState:
    target = incident.target
    if found is None:
        return records.TargetState(kind=target.kind, name=target.name, exists=False)
    return records.TargetState(kind=target.kind, name=target.name, exists=True, uid=found.uid, template_hash=found.template_hash)


def _judged(known: facts.Facts, verdict: verdicts.Verdict) -> dict[str, Any]:
    disagreement = bool(known.contradictions or known.conflicts or known.final_action != known.proposed_action)
    return {
        "decision": verdict.decision,
        "required_approval": verdict.required_approval,
        "reason": verdict.reason,
        "findings": verdict.findings,
        "input_digest": digests.digest(known),
        "version": verdicts.GATE_VERSION,
        "initial_action": known.proposed_action,
        "final_action": known.final_action,
        "disagreement_detected": disagreement,
        "arbiter_resolution": _resolution(verdict, disagreement=disagreement),
    }


def _with_confidence(
    gate: records.Gate, plan: plans.Plan, stress: records.Stress, profile: scores.Profile, *, conflicts: int
) -> records.Gate:
    """The gate with the figures that inform people. Unknown evidence leaves them absent."""
    if stress.agent is None or stress.contradiction_count is None:
        return gate
    stated = stress.agent.confidence_post
    shift = confidence.Shift(
        initial=confidence.initial(plan.confidence_initial, profile),
        post=confidence.post(stated, contradictions=stress.contradiction_count, policy_conflict=conflicts > 0, profile=profile),
    )
    on_record = conflicts + len({one.document for entry in (stress.ledger.entries if stress.ledger else ()) for one in entry.contradicting})
    adapted = adaptability.score(
        reported=stress.agent.reported, on_record=on_record, coverage=stress.evidence_coverage or 0.0, shift=shift, stated_post=stated
    )
    figures = {
        "confidence": str(shift),
        "confidence_initial": shift.initial,
        "confidence_post": shift.post,
        "confidence_delta": shift.delta,
        "adaptability": adapted,
    }
    return gate.model_copy(update=figures)


def _resolution(verdict: verdicts.Verdict, *, disagreement: bool) -> str:
    if not disagreement:
        return "no disagreement"
    if verdict.decision is verdicts.Decision.EXECUTE:
        return "recorded; below the thresholds that block"
    return "left to people" if approvals.needed(verdict) else "not resolved here"


def _takes_two(rules: guardrails.Guardrails | None, verdict: verdicts.Verdict, incident: v1alpha1.Incident) -> bool:
    if rules is None or not approvals.needed(verdict):
        return False
    return approvals.takes_two(rules.approval.two_person_rule, required=verdict.required_approval, severity=incident.spec.severity)


def _expires_at(now: datetime, rules: guardrails.Guardrails | None, default: timedelta) -> str:
    allowed = rules.approval.expires_after_seconds if rules else None
    expiry = min(default, timedelta(seconds=allowed)) if allowed is not None else default
    # Rounded up to a whole second: the text is what people read and what is held against the clock.
    return f"{(now + expiry).replace(microsecond=0) + timedelta(seconds=1):%Y-%m-%dT%H:%M:%SZ}"
