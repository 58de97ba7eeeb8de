"""Incidents and records of their status with defaults, so that a test spells out only what matters to it."""

from datetime import UTC, datetime
from typing import Any

from safety_governor.api import records, v1alpha1
from safety_governor.domain import digests, ledger, plans, snapshots, values, verdicts, verification

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
DIGEST = digests.digest("a plan")


def an_incident(*, status: v1alpha1.IncidentStatus | None = None, generation: int = 1) -> v1alpha1.Incident:
    return v1alpha1.Incident(
        metadata=v1alpha1.Metadata(name="pool", namespace="shop", generation=generation),
        spec=v1alpha1.IncidentSpec(service="checkout", severity=values.Severity.MEDIUM, summary="Customers cannot pay."),
        status=status or v1alpha1.IncidentStatus(),
    )


def a_plan(**changes: Any) -> plans.Plan:
    known = {"action": "restart-checkout", "resolution": plans.Resolution.RESOLVED, "confidence_initial": 8.0, "runbook": "rb-1"}
    return plans.Plan(**{**known, **changes})


def a_stress(**changes: Any) -> records.Stress:
    return records.Stress(**{"ledger": ledger.Ledger(), "contradiction_count": 1, "evidence_coverage": 0.5, **changes})


def a_gate(required: values.Release = values.Release.NOT_NEEDED, **changes: Any) -> records.Gate:
    decision = verdicts.Decision.EXECUTE if required is values.Release.NOT_NEEDED else verdicts.Decision.BLOCK_AND_ESCALATE
    known = {
        "decision": decision,
        "required_approval": required,
        "reason": "NoFindings",
        "plan_digest": DIGEST,
        "input_digest": DIGEST,
        "version": "1",
        "decided_at": NOON,
        "expires_at": "2026-03-01T12:30:00Z",
    }
    return records.Gate(**{**known, **changes})


def an_action(state: records.ActionState, **changes: Any) -> records.Action:
    known = {
        "id": "step-1",
        "type": values.ActionType.ROLLOUT_RESTART,
        "key": DIGEST,
        "target": plans.Target(name="checkout"),
        "state": state,
        "before": snapshots.Snapshot(uid="1", resource_version="2", generation=1, template_hash="3"),
        "claimed_at": NOON,
    }
    return records.Action(**{**known, **changes})


def an_execution(state: records.ActionState, **changes: Any) -> records.Execution:
    return records.Execution(actions=(an_action(state, **changes),))


def a_verification(outcome: verification.Outcome) -> records.Verification:
    return records.Verification(outcome=outcome, message="3 of 3 replicas are new and available", started_at=NOON, finished_at=NOON)
