"""Values with defaults that nothing speaks against, so that a test spells out only what matters to it."""

from collections.abc import Sequence
from typing import Any

from safety_governor.domain import (
    approvals,
    authorities,
    checks,
    digests,
    documents,
    facts,
    guardrails,
    ledger,
    plans,
    policies,
    values,
    verdicts,
)

SERVICE = "checkout"
ACTION = "restart-checkout"
CLAIM = "The connection pool of checkout is exhausted"
DIGEST = digests.digest("a plan")
OTHER_DIGEST = digests.digest("another plan")


def clean_facts(**changes: Any) -> facts.Facts:
    """Facts that speak for executing: everything is known and nothing is wrong."""
    known: dict[str, Any] = {
        "severity": values.Severity.MEDIUM,
        "answer_problems": (),
        "proposed_action": ACTION,
        "resolution": plans.Resolution.RESOLVED,
        "target": plans.Target(name=SERVICE),
        "target_exists": True,
        "protections": (),
        "conflicts": (),
        "contradictions": 0,
        "coverage": 1.0,
        "supporting": 2,
        "fabricated": (),
        "final_action": ACTION,
        "telemetry_known": True,
    }
    return facts.Facts(**{**known, **changes})


def changed(known: facts.Facts, **changes: Any) -> facts.Facts:
    """The same facts but for these."""
    return facts.Facts(**{**{name: getattr(known, name) for name in facts.Facts.model_fields}, **changes})


def judged(known: facts.Facts, **thresholds: Any) -> verdicts.Verdict:
    """The verdict under the default thresholds but for these."""
    return verdicts.judge(known, checks.Thresholds(**thresholds))


def conflict(identifier: str = "pol-1", *, release: values.Release = values.Release.APPROVE) -> policies.Conflict:
    return policies.Conflict(policy=identifier, rule="No restarts in business hours.", release=release)


def authority(named: str = "The DBA approved this") -> authorities.Authority:
    return authorities.Authority(named=named, found_in="the rationale", why="no such approval is on record")


def a_policy(**changes: Any) -> documents.Policy:
    known = {
        "id": "pol-1",
        "service": SERVICE,
        "blocked_actions": (ACTION,),
        "severities": ("*",),
        "rule": "No restarts in business hours.",
    }
    return documents.Policy(**{**known, **changes})


def a_step(kind: values.ActionType = values.ActionType.ROLLOUT_RESTART, **changes: Any) -> documents.RunbookStep:
    return documents.RunbookStep(type=kind, **changes)


def a_runbook(action: str = ACTION, *, steps: Sequence[documents.RunbookStep] = (), **changes: Any) -> documents.Runbook:
    remediation = documents.Remediation(action=action, steps=tuple(steps) or (a_step(),))
    known = {"id": "rb-1", "service": SERVICE, "title": "Exhausted pool", "recommended_action": action, "remediations": (remediation,)}
    return documents.Runbook(**{**known, **changes})


def a_proposal(action: str | None = ACTION, **changes: Any) -> plans.Proposal:
    return plans.Proposal(**{"proposed_action": action, "key_claims": (CLAIM,), "confidence_initial": 8.0, **changes})


def a_plan(**changes: Any) -> plans.Plan:
    known = {
        "action": ACTION,
        "resolution": plans.Resolution.RESOLVED,
        "confidence_initial": 8.0,
        "runbook": "rb-1",
        "runbook_title": "Exhausted pool",
    }
    return plans.Plan(**{**known, **changes})


def a_document(identifier: str = "ev-1", *, stance: str = "supports", **changes: Any) -> documents.Evidence:
    return documents.Evidence(
        **{"id": identifier, "service": SERVICE, "stance": stance, "text": f"{CLAIM}, as it was in March.", **changes}
    )


def a_citation(identifier: str, *, by: ledger.FoundBy = ledger.FoundBy.AGENT) -> ledger.Citation:
    return ledger.Citation(document=identifier, found_by=by, digest=DIGEST)


def an_entry(claim: str = CLAIM, *, supporting: Sequence[str] = (), contradicting: Sequence[str] = ()) -> ledger.Entry:
    return ledger.Entry(
        claim=claim, supporting=tuple(a_citation(one) for one in supporting), contradicting=tuple(a_citation(one) for one in contradicting)
    )


def a_ledger(*contradicting: Sequence[str], action: Sequence[str] | None = None) -> ledger.Ledger:
    """One claim for each sequence of contradicting documents, and the action with its own."""
    return ledger.Ledger(
        claims=tuple(an_entry(f"claim {number}", contradicting=one) for number, one in enumerate(contradicting, start=1)),
        action=None if action is None else an_entry(ACTION, contradicting=action),
    )


def an_approval(decision: str = "APPROVE", **changes: Any) -> approvals.Approval:
    return approvals.Approval(**{"decision": decision, "plan_digest": DIGEST, "approver": "bob@example.com", **changes})


def some_rules(*allowed: values.ActionType, **changes: Any) -> guardrails.Guardrails:
    return guardrails.Guardrails(allowed_actions=allowed or (values.ActionType.ROLLOUT_RESTART,), **changes)
