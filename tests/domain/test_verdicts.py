"""The verdict: all checks run, all reasons are kept, and the strongest demand wins."""

from typing import Any

import pytest

from domain.builders import authority, clean_facts, conflict, judged
from safety_governor.domain import checks, facts, plans, values, verdicts

Check = checks.Check
Decision = verdicts.Decision
Release = values.Release
EVERYTHING_WRONG: dict[str, Any] = {
    "severity": values.Severity.CRITICAL,
    "answer_problems": ("the plan is missing",),
    "target_exists": False,
    "protections": ("no opt-in",),
    "conflicts": (conflict(),),
    "contradictions": None,
    "coverage": 0.0,
    "supporting": 0,
    "fabricated": (authority(),),
    "final_action": None,
    "telemetry_known": False,
}
MANUAL: dict[str, Any] = {"is_manual": True}
NOTHING_PROPOSED: dict[str, Any] = {"proposed_action": None, "final_action": None, "resolution": plans.Resolution.NOTHING_PROPOSED}

VERDICTS: dict[str, tuple[dict[str, Any], Decision, Release]] = {
    "nothing is wrong": ({}, Decision.EXECUTE, Release.NOT_NEEDED),
    "a warning does not block": ({"telemetry_known": False}, Decision.EXECUTE, Release.NOT_NEEDED),
    "required telemetry blocks": ({"telemetry_known": False, "require_telemetry": True}, Decision.BLOCK_AND_ESCALATE, Release.APPROVE),
    "one contradiction does not block": ({"contradictions": 1}, Decision.EXECUTE, Release.NOT_NEEDED),
    "two contradictions take an approval": ({"contradictions": 2}, Decision.BLOCK_AND_ESCALATE, Release.APPROVE),
    "critical takes an override": ({"severity": values.Severity.CRITICAL}, Decision.BLOCK_AND_ESCALATE, Release.FORCE_OVERRIDE),
    "a policy takes an approval": ({"conflicts": (conflict(),)}, Decision.BLOCK_AND_ESCALATE, Release.APPROVE),
    "a policy may demand an override": (
        {"conflicts": (conflict(release=Release.FORCE_OVERRIDE),)},
        Decision.BLOCK_AND_ESCALATE,
        Release.FORCE_OVERRIDE,
    ),
    "a policy may let nobody through": (
        {"conflicts": (conflict(release=Release.IMPOSSIBLE),)},
        Decision.BLOCK_AND_ESCALATE,
        Release.IMPOSSIBLE,
    ),
    "of an approval and an override the override wins": (
        {"contradictions": 2, "fabricated": (authority(),)},
        Decision.BLOCK_AND_ESCALATE,
        Release.FORCE_OVERRIDE,
    ),
    "what nobody can release outweighs everything": (EVERYTHING_WRONG, Decision.BLOCK_AND_ESCALATE, Release.IMPOSSIBLE),
    "manual steps are handed over": (MANUAL, Decision.HAND_OVER, Release.IMPOSSIBLE),
    "nothing proposed is handed over": (NOTHING_PROPOSED, Decision.HAND_OVER, Release.IMPOSSIBLE),
    "a hand-over keeps its findings and touches nothing": (
        {**MANUAL, "severity": values.Severity.CRITICAL},
        Decision.HAND_OVER,
        Release.IMPOSSIBLE,
    ),
    "a hand-over that cannot be read is blocked": (
        {**NOTHING_PROPOSED, "answer_problems": ("the plan is missing",)},
        Decision.BLOCK_AND_ESCALATE,
        Release.IMPOSSIBLE,
    ),
}


@pytest.mark.parametrize(("changes", "decision", "required"), VERDICTS.values(), ids=VERDICTS.keys())
def test_verdict_is_what_the_table_says(changes: dict[str, Any], decision: Decision, required: Release) -> None:
    verdict = judged(clean_facts(**changes))
    assert (verdict.decision, verdict.required_approval) == (decision, required)


def test_all_checks_run_and_all_reasons_are_kept_in_order() -> None:
    found = [one.check for one in judged(clean_facts(**EVERYTHING_WRONG)).findings]
    assert found == [one for one in Check if one in found]
    assert set(Check) - set(found) == {Check.POLICY_UNKNOWN, Check.CONTRADICTIONS_REACHED}


def test_reason_names_every_check_that_blocks_and_no_warning() -> None:
    verdict = judged(clean_facts(contradictions=2, severity=values.Severity.CRITICAL, telemetry_known=False))
    assert verdict.reason == "ContradictionsReached,SeverityCritical"


def test_reason_without_findings_says_so() -> None:
    assert judged(clean_facts()).reason == "NoFindings"


def test_facts_that_nobody_established_never_execute() -> None:
    verdict = judged(facts.Facts())
    assert verdict.decision is Decision.BLOCK_AND_ESCALATE
    assert verdict.required_approval is Release.IMPOSSIBLE


@pytest.mark.parametrize(
    "missing", sorted(set(facts.Facts.model_fields) - {"is_manual", "resolution_detail", "target", "require_telemetry", "unknowns"})
)
def test_one_fact_that_nobody_established_is_found(missing: str) -> None:
    known = {name: getattr(clean_facts(), name) for name in facts.Facts.model_fields if name != missing}
    assert judged(facts.Facts(**known)).findings
