"""What a status tells, as events: pure, so that the same status always tells the same events under the same ids.

What is new is what the status of after tells and the status of before did not. Told from the beginning, it says nothing twice
either, because whoever keeps the events knows their ids. What a status does not tell for good is told by the change itself.
"""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime

from safety_governor.api import conditions, records, v1alpha1
from safety_governor.domain import approvals, checks, digests, facts, lifecycle, policies, values
from safety_governor.domain.audit import events

Judged = tuple[facts.Facts, checks.Thresholds]
"""What a gate judged, and by which thresholds."""

DELETED = "Deleted"
"""In place of a phase: the resource is gone."""

_Told = tuple[values.Value, tuple[str, ...]]
"""What happened, and what tells it from another event of the same kind and incident."""
_Add = Callable[..., None]


def told(
    incident: v1alpha1.Incident,
    status: v1alpha1.IncidentStatus,
    *,
    at: datetime,
    judged: Callable[[str], Judged | None] = lambda _: None,
) -> tuple[events.Event, ...]:
    """Everything that this status of the incident tells, in the order in which it happened.

    `judged` finds the facts by the digest that the gate recorded of them.
    """
    found: list[_Told] = []

    def add(content: values.Value, *once: str) -> None:
        found.append((content, once))

    add(_reported(incident))
    if status.plan is not None:
        add(events.Planned(plan=status.plan), digests.digest(status.plan))
    if status.stress is not None:
        stressed = _stressed(status.stress)
        add(stressed, digests.digest(stressed))
    if status.gate is not None:
        _tell_gate(add, incident, status, judged(status.gate.input_digest))
    if status.approval is not None:
        for refusal in status.approval.refusals:
            add(
                events.ApprovalRefused(
                    decision=refusal.decision, approver=refusal.approver, why=refusal.why, plan_digest=refusal.plan_digest
                ),
                *(refusal.plan_digest, refusal.decision, refusal.approver),
            )
        _tell_answer(add, status, status.approval)
    if status.execution is not None:
        _tell_actions(add, status, status.execution)
    if status.phase in lifecycle.TERMINAL:
        _tell_end(add, incident, status)
    return _happened(found, incident, at=at)


def changed(before: v1alpha1.Incident, after: v1alpha1.Incident, *, at: datetime) -> tuple[events.Event, ...]:
    """Claims that were taken back, and a hold that has begun, between two states of an incident that are on record."""
    was, now = before.status.execution or records.Execution(), after.status.execution or records.Execution()
    kept = {(one.key, one.claimed_at) for one in now.actions}
    found: list[_Told] = [
        (
            events.TakenBack(key=one.key, type=one.type, target=one.target, why=now.held_because),
            (one.key, one.claimed_at.isoformat()),
        )
        for one in was.actions
        if one.state is records.ActionState.CLAIMED and (one.key, one.claimed_at) not in kept
    ]
    if now.held_because and now.held_because != was.held_because:
        held = events.Held(why=now.held_because, until=now.held_until, plan_digest=_plan_digest(after.status))
        found.append((held, (now.held_because, at.isoformat())))
    return _happened(found, after, at=at)


def deleted(incident: v1alpha1.Incident, *, at: datetime) -> tuple[events.Event, ...]:
    """The end of an incident that somebody deleted while it stood like this."""
    status = incident.status
    found: list[_Told] = [
        (
            events.ActionEnded(
                key=one.key,
                type=one.type,
                target=one.target,
                state=records.ActionState.INDETERMINATE.value,
                message="the incident was deleted before it was clear how the action ended; whoever deleted it has to find out",
            ),
            (one.key, one.claimed_at.isoformat(), DELETED),
        )
        for one in (status.execution.actions if status.execution else ())
        if one.state is records.ActionState.CLAIMED
    ]
    message = f"somebody deleted the incident, which was {status.phase}"
    ended = _ended(incident, status, phase=DELETED, reason=DELETED, message=message)
    return _happened([*found, (ended, (DELETED,))], incident, at=at)


def _happened(found: Sequence[_Told], incident: v1alpha1.Incident, *, at: datetime) -> tuple[events.Event, ...]:
    return tuple(events.happened(content, at=at, incident=incident.key, uid=incident.metadata.uid, once=once) for content, once in found)


def _plan_digest(status: v1alpha1.IncidentStatus) -> str | None:
    return status.gate.plan_digest if status.gate else None


def _reported(incident: v1alpha1.Incident) -> events.Reported:
    spec = incident.spec
    return events.Reported(
        service=spec.service,
        severity=spec.severity,
        summary=spec.summary,
        symptoms=spec.symptoms,
        target=incident.target,
        mode=spec.mode,
        requested_by=values.clip(spec.requested_by or "", values.LINE_LIMIT),
        source=f"{spec.source.kind} {spec.source.id}".strip()[: values.LINE_LIMIT] if spec.source else "",
    )


def _stressed(stress: records.Stress) -> events.Stressed:
    entries = stress.ledger.entries if stress.ledger else ()
    return events.Stressed(
        contradiction_count=stress.contradiction_count,
        evidence_coverage=stress.evidence_coverage,
        claims=tuple(
            events.CheckedClaim(
                claim=entry.claim,
                supporting=tuple(one.document for one in entry.supporting),
                contradicting=tuple(one.document for one in entry.contradicting),
                unchecked=tuple(one.document for one in entry.unchecked),
            )
            for entry in entries
        ),
        ledger_digest=digests.digest(stress.ledger) if stress.ledger else None,
        policies=stress.policies.count if stress.policies else None,
        policies_digest=stress.policies.digest if stress.policies else None,
        fabricated=stress.fabricated,
        telemetry_known=stress.telemetry is not None,
        unknowns=stress.unknowns,
        answer_problems=stress.answer_problems,
    )


def _tell_gate(add: _Add, incident: v1alpha1.Incident, status: v1alpha1.IncidentStatus, known: Judged | None) -> None:
    gate = status.gate
    assert gate is not None, "it is told once there is one"  # noqa: S101
    confidence = {
        "confidence_initial": gate.confidence_initial,
        "confidence_post": gate.confidence_post,
        "confidence_delta": gate.confidence_delta,
    }
    add(
        events.Gated(
            attempt=status.attempt,
            decision=gate.decision,
            required_approval=gate.required_approval,
            reason=gate.reason,
            findings=gate.findings,
            plan_digest=gate.plan_digest,
            input_digest=gate.input_digest,
            facts=known[0] if known else None,
            thresholds=known[1] if known else None,
            gate=gate.version,
            decided_at=gate.decided_at,
            service=incident.spec.service,
            severity=incident.spec.severity,
            summary=incident.spec.summary,
            mode=incident.spec.mode,
            names=status.plan.names if status.plan else (),
            parts=gate.parts,
            **confidence,
        ),
        gate.plan_digest,
    )
    scored = events.Scored(
        plan_digest=gate.plan_digest, decision=gate.decision, adaptability=gate.adaptability, scores=status.scores, **confidence
    )
    add(scored, gate.plan_digest)
    if gate.expires_at:
        asked = events.ApprovalAsked(
            required=gate.required_approval, plan_digest=gate.plan_digest, expires_at=gate.expires_at, two_persons=gate.two_persons
        )
        add(asked, gate.plan_digest)


def _tell_answer(add: _Add, status: v1alpha1.IncidentStatus, approval: records.ApprovalState) -> None:
    if approval.decision is None:
        return
    once = (approval.plan_digest or "", approval.decision, approval.approver)
    add(
        events.ApprovalHonoured(
            decision=approval.decision, approver=approval.approver, reason=approval.reason, plan_digest=approval.plan_digest
        ),
        *once,
    )
    if approval.decision is approvals.Word.FORCE_OVERRIDE:
        against = status.gate.reason if status.gate else ""
        overridden = events.Overridden(
            approver=approval.approver, reason=approval.reason, against=against, plan_digest=approval.plan_digest
        )
        add(overridden, *once)


def _tell_actions(add: _Add, status: v1alpha1.IncidentStatus, execution: records.Execution) -> None:
    for action in execution.actions:
        add(
            events.Claimed(
                key=action.key,
                type=action.type,
                target=action.target,
                parameters=action.parameters,
                undoes=action.undoes,
                plan_digest=_plan_digest(status),
                before=digests.digest(action.before),
                holder=execution.holder,
                claimed_at=action.claimed_at,
            ),
            *(action.key, action.claimed_at.isoformat()),
        )
        if action.state is records.ActionState.CLAIMED:
            continue
        ended = events.ActionEnded(
            key=action.key,
            type=action.type,
            target=action.target,
            state=action.state.value,
            outcome=action.outcome,
            message=action.message,
        )
        add(ended, *(action.key, action.claimed_at.isoformat(), action.state, action.outcome or ""))


def _tell_end(add: _Add, incident: v1alpha1.Incident, status: v1alpha1.IncidentStatus) -> None:
    if status.phase == lifecycle.Phase.EXPIRED:
        digest = _plan_digest(status)
        add(events.Expired(required=status.gate.required_approval if status.gate else None, plan_digest=digest), digest or "")
    why = conditions.find(status.conditions, conditions.Type.SUCCEEDED)
    reason, message = (why.reason, values.clip(why.message, values.TEXT_LIMIT)) if why else ("", "")
    add(_ended(incident, status, phase=status.phase, reason=reason, message=message), status.phase)


def _ended(incident: v1alpha1.Incident, status: v1alpha1.IncidentStatus, *, phase: str, reason: str, message: str) -> events.Ended:
    return events.Ended(
        phase=phase,
        reason=reason,
        message=message,
        service=incident.spec.service,
        severity=incident.spec.severity,
        summary=incident.spec.summary,
        decision=status.gate.decision if status.gate else None,
        approver=status.approval.approver if status.approval else "",
        plan_digest=_plan_digest(status),
        actions=len(status.execution.actions) if status.execution else 0,
    )


def facts_of(incident: v1alpha1.Incident) -> facts.Facts | None:
    """The facts behind a recorded decision, put together again from the resource; exact if their digest is the gate's inputDigest.

    Two of them are kept only as the finding that they led to: what objects to the target, and which policies conflict.
    """
    status, gate, plan, stress = incident.status, incident.status.gate, incident.status.plan, incident.status.stress
    if gate is None or plan is None or stress is None:
        return None
    found = {one.check: one for one in gate.findings}
    protected, telemetry = found.get(checks.Check.TARGET_PROTECTED), found.get(checks.Check.TELEMETRY_UNKNOWN)
    return facts.Facts(
        severity=incident.spec.severity,
        answer_problems=stress.answer_problems,
        proposed_action=plan.action,
        is_manual=plan.is_manual,
        resolution=plan.resolution,
        resolution_detail=plan.resolution_detail,
        target=incident.target,
        target_exists=status.target.exists if status.target else None,
        protections=(protected.message,) if protected else (),
        conflicts=None if stress.policies is None else tuple(_conflicts(found.get(checks.Check.POLICY_FORBIDS_ACTION))),
        contradictions=stress.contradiction_count,
        coverage=stress.evidence_coverage,
        supporting=stress.ledger.supporting_count if stress.ledger else None,
        fabricated=stress.fabricated if stress.ledger is not None else None,
        final_action=stress.agent.final_action if stress.agent else None,
        telemetry_known=stress.telemetry is not None,
        require_telemetry=telemetry is not None and telemetry.release is not values.Release.NOT_NEEDED,
        unknowns=stress.unknowns,
    )


def _conflicts(finding: checks.Finding | None) -> Iterator[policies.Conflict]:
    if finding is not None:
        policy, _, rule = finding.message.partition(": ")
        yield policies.Conflict(policy=policy[:128] or "unknown", rule=rule, release=finding.release)
