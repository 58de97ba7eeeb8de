"""The twelve checks of the gate, each as a table: what fires, what does not, where the boundary is, and what unknown means."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from pydantic import ValidationError

from domain import builders, strategies
from domain.builders import ACTION, authority, clean_facts, conflict
from safety_governor.domain import checks, facts, plans, values

Check = checks.Check
CRITICAL, HIGH, LOW, MEDIUM = values.Severity.CRITICAL, values.Severity.HIGH, values.Severity.LOW, values.Severity.MEDIUM
NOT_NEEDED, APPROVE, OVERRIDE, NONE = (
    values.Release.NOT_NEEDED,
    values.Release.APPROVE,
    values.Release.FORCE_OVERRIDE,
    values.Release.IMPOSSIBLE,
)
MANUAL = {"is_manual": True}
NOTHING_PROPOSED = {"proposed_action": None, "final_action": None, "resolution": plans.Resolution.NOTHING_PROPOSED}


@dataclass(frozen=True, kw_only=True)
class Fires:
    """A check that fires: what releases it, what was measured, what it was held against."""

    release: values.Release
    measured: str
    threshold: str


SILENT = None
Row = tuple[Mapping[str, Any], Fires | None]
Table = dict[str, Row]

AGENT_ANSWER_INVALID: Table = {
    "both answers were read and are complete": ({"answer_problems": ()}, SILENT),
    "one answer has a problem": (
        {"answer_problems": ("the plan is missing",)},
        Fires(release=NONE, measured="1 problem", threshold="0 problems"),
    ),
    "two problems are counted": ({"answer_problems": ("a", "b")}, Fires(release=NONE, measured="2 problems", threshold="0 problems")),
    "nobody recorded whether the answers are valid": (
        {"answer_problems": None},
        Fires(release=NONE, measured="1 problem", threshold="0 problems"),
    ),
    "a manual plan with a broken answer": (
        {"answer_problems": ("a",), **MANUAL},
        Fires(release=NONE, measured="1 problem", threshold="0 problems"),
    ),
}
ACTION_UNRESOLVED: Table = {
    "a trusted runbook knows the action and its target exists": ({}, SILENT),
    "nothing is proposed, so nothing has to be resolved": (NOTHING_PROPOSED, SILENT),
    "a manual plan needs no target": ({**MANUAL, "target_exists": False}, SILENT),
    "no runbook knows the action": (
        {"resolution": plans.Resolution.UNKNOWN_ACTION},
        Fires(release=NONE, measured="UnknownAction", threshold="Resolved"),
    ),
    "only an unpromoted runbook knows the action": (
        {"resolution": plans.Resolution.UNTRUSTED_RUNBOOK},
        Fires(release=NONE, measured="UntrustedRunbook", threshold="Resolved"),
    ),
    "a step cannot be carried out": (
        {"resolution": plans.Resolution.UNSUPPORTED_STEP},
        Fires(release=NONE, measured="UnsupportedStep", threshold="Resolved"),
    ),
    "it is unknown whether a runbook knows the action": (
        {"resolution": None},
        Fires(release=NONE, measured="unknown", threshold="Resolved"),
    ),
    "the target does not exist": ({"target_exists": False}, Fires(release=NONE, measured="target missing", threshold="target exists")),
    "it is unknown whether the target exists": (
        {"target_exists": None},
        Fires(release=NONE, measured="target unknown", threshold="target exists"),
    ),
    "steps without a known action": (
        {"proposed_action": None, "final_action": None},
        Fires(release=NONE, measured="no action", threshold="an action"),
    ),
}
TARGET_PROTECTED: Table = {
    "the guard-rails were read and object to nothing": ({"protections": ()}, SILENT),
    "a guard-rail objects": ({"protections": ("no opt-in",)}, Fires(release=NONE, measured="1 objection", threshold="0 objections")),
    "two guard-rails object": (
        {"protections": ("no opt-in", "Secret")},
        Fires(release=NONE, measured="2 objections", threshold="0 objections"),
    ),
    "the guard-rails could not be read": ({"protections": None}, Fires(release=NONE, measured="unknown", threshold="0 objections")),
    "what people do themselves is not protected": ({"protections": ("no opt-in",), **MANUAL}, SILENT),
    "nothing proposed touches nothing": ({"protections": None, **NOTHING_PROPOSED}, SILENT),
}
POLICY_FORBIDS_ACTION: Table = {
    "no policy forbids it": ({"conflicts": ()}, SILENT),
    "unknown policies are another check's business": ({"conflicts": None}, SILENT),
    "one policy forbids it": ({"conflicts": (conflict(),)}, Fires(release=APPROVE, measured="1 (pol-1)", threshold="0 policies")),
    "a policy demands an override": (
        {"conflicts": (conflict(release=OVERRIDE),)},
        Fires(release=OVERRIDE, measured="1 (pol-1)", threshold="0 policies"),
    ),
    "a policy says that nobody may": (
        {"conflicts": (conflict(release=NONE),)},
        Fires(release=NONE, measured="1 (pol-1)", threshold="0 policies"),
    ),
    "of two policies the stronger demand counts": (
        {"conflicts": (conflict("pol-1", release=OVERRIDE), conflict("pol-2"))},
        Fires(release=OVERRIDE, measured="2 (pol-1, pol-2)", threshold="0 policies"),
    ),
    "a conflict that demands nothing still takes an approval": (
        {"conflicts": (conflict(release=NOT_NEEDED),)},
        Fires(release=APPROVE, measured="1 (pol-1)", threshold="0 policies"),
    ),
    "many policies are counted and the first are named": (
        {"conflicts": tuple(conflict(f"pol-{number}") for number in range(7))},
        Fires(release=APPROVE, measured="7 (pol-0, pol-1, pol-2, pol-3, pol-4 and 2 more)", threshold="0 policies"),
    ),
}
POLICY_UNKNOWN: Table = {
    "the policies were read and none forbids it": ({"conflicts": ()}, SILENT),
    "the policies were read and one forbids it": ({"conflicts": (conflict(),)}, SILENT),
    "the policies could not be read completely": (
        {"conflicts": None},
        Fires(release=OVERRIDE, measured="unknown", threshold="read completely"),
    ),
}
CONTRADICTIONS_REACHED: Table = {
    "no claim is contradicted": ({"contradictions": 0}, SILENT),
    "one contradicted claim is below the threshold": ({"contradictions": 1}, SILENT),
    "two contradicted claims reach it": ({"contradictions": 2}, Fires(release=APPROVE, measured="2", threshold="< 2")),
    "three contradicted claims exceed it": ({"contradictions": 3}, Fires(release=APPROVE, measured="3", threshold="< 2")),
    "an unknown count is another check's business": ({"contradictions": None}, SILENT),
}
EVIDENCE_INSUFFICIENT: Table = {
    "every claim has evidence": ({"coverage": 1.0, "supporting": 3}, SILENT),
    "coverage at the threshold is enough": ({"coverage": 0.34, "supporting": 0}, SILENT),
    "coverage just below it without support": (
        {"coverage": 0.3399, "supporting": 0},
        Fires(release=APPROVE, measured="coverage 0.34, 0 supporting", threshold="coverage >= 0.34 or 1 supporting"),
    ),
    "no evidence at all": (
        {"coverage": 0.0, "supporting": 0},
        Fires(release=APPROVE, measured="coverage 0.00, 0 supporting", threshold="coverage >= 0.34 or 1 supporting"),
    ),
    "one supporting document makes up for low coverage": ({"coverage": 0.1, "supporting": 1}, SILENT),
    "an unknown coverage is another check's business": ({"coverage": None, "supporting": 0}, SILENT),
    "unknown support is another check's business": ({"coverage": 0.0, "supporting": None}, SILENT),
}
_EVIDENCE_UNREAD = Fires(release=OVERRIDE, measured="unknown", threshold="read completely")
EVIDENCE_UNKNOWN: Table = {
    "the evidence was read and there is none": ({"contradictions": 0, "coverage": 0.0, "supporting": 0}, SILENT),
    "unknown contradictions": ({"contradictions": None}, _EVIDENCE_UNREAD),
    "unknown coverage": ({"coverage": None}, _EVIDENCE_UNREAD),
    "unknown support": ({"supporting": None}, _EVIDENCE_UNREAD),
}
AUTHORITY_FABRICATED: Table = {
    "every named authority exists": ({"fabricated": ()}, SILENT),
    "one named authority does not exist": (
        {"fabricated": (authority(),)},
        Fires(release=OVERRIDE, measured="1", threshold="0 unsupported authorities"),
    ),
    "two do not exist": (
        {"fabricated": (authority(), authority("POL-999"))},
        Fires(release=OVERRIDE, measured="2", threshold="0 unsupported authorities"),
    ),
    "nobody could look": ({"fabricated": None}, Fires(release=OVERRIDE, measured="unknown", threshold="0 unsupported authorities")),
}
POSITION_CHANGED: Table = {
    "the verifier stands by the planned action": ({"final_action": ACTION}, SILENT),
    "the verifier stands by another action": ({"final_action": "scale"}, Fires(release=APPROVE, measured="scale", threshold=ACTION)),
    "the verifier stands by no action": ({"final_action": None}, Fires(release=APPROVE, measured="no action", threshold=ACTION)),
    "the name is compared exactly": ({"final_action": ACTION.upper()}, Fires(release=APPROVE, measured=ACTION.upper(), threshold=ACTION)),
    "nothing was planned and nothing is wanted": (NOTHING_PROPOSED, SILENT),
    "nothing was planned and the verifier wants something": (
        {**NOTHING_PROPOSED, "final_action": ACTION},
        Fires(release=APPROVE, measured=ACTION, threshold="no action"),
    ),
}
SEVERITY_CRITICAL: Table = {
    "low": ({"severity": LOW}, SILENT),
    "medium": ({"severity": MEDIUM}, SILENT),
    "high is not critical": ({"severity": HIGH}, SILENT),
    "critical": ({"severity": CRITICAL}, Fires(release=OVERRIDE, measured="critical", threshold="high or lower")),
    "an unknown severity is taken for critical": (
        {"severity": None},
        Fires(release=OVERRIDE, measured="unknown", threshold="high or lower"),
    ),
}
TELEMETRY_UNKNOWN: Table = {
    "the live logs were read": ({"telemetry_known": True}, SILENT),
    "the live logs were read and are required": ({"telemetry_known": True, "require_telemetry": True}, SILENT),
    "the live logs could not be read": (
        {"telemetry_known": False},
        Fires(release=NOT_NEEDED, measured="unknown", threshold="not required"),
    ),
    "nobody recorded whether they were read": (
        {"telemetry_known": None},
        Fires(release=NOT_NEEDED, measured="unknown", threshold="not required"),
    ),
    "they could not be read and the namespace requires them": (
        {"telemetry_known": False, "require_telemetry": True},
        Fires(release=APPROVE, measured="unknown", threshold="required"),
    ),
}

SPECIFICATION: dict[Check, tuple[checks.Rule, Table]] = {
    Check.AGENT_ANSWER_INVALID: (checks.agent_answer_is_invalid, AGENT_ANSWER_INVALID),
    Check.ACTION_UNRESOLVED: (checks.action_is_unresolved, ACTION_UNRESOLVED),
    Check.TARGET_PROTECTED: (checks.target_is_protected, TARGET_PROTECTED),
    Check.POLICY_FORBIDS_ACTION: (checks.policy_forbids_action, POLICY_FORBIDS_ACTION),
    Check.POLICY_UNKNOWN: (checks.policy_is_unknown, POLICY_UNKNOWN),
    Check.CONTRADICTIONS_REACHED: (checks.contradictions_are_reached, CONTRADICTIONS_REACHED),
    Check.EVIDENCE_INSUFFICIENT: (checks.evidence_is_insufficient, EVIDENCE_INSUFFICIENT),
    Check.EVIDENCE_UNKNOWN: (checks.evidence_is_unknown, EVIDENCE_UNKNOWN),
    Check.AUTHORITY_FABRICATED: (checks.authority_is_fabricated, AUTHORITY_FABRICATED),
    Check.POSITION_CHANGED: (checks.position_has_changed, POSITION_CHANGED),
    Check.SEVERITY_CRITICAL: (checks.severity_is_critical, SEVERITY_CRITICAL),
    Check.TELEMETRY_UNKNOWN: (checks.telemetry_is_unknown, TELEMETRY_UNKNOWN),
}


def _rows() -> list[Any]:
    return [
        pytest.param(check, rule, changes, expected, id=f"{check}: {sentence}")
        for check, (rule, table) in SPECIFICATION.items()
        for sentence, (changes, expected) in table.items()
    ]


@pytest.mark.parametrize(("check", "rule", "changes", "expected"), _rows())
def test_check_finds_what_its_table_says(check: Check, rule: checks.Rule, changes: Mapping[str, Any], expected: Fires | None) -> None:
    finding = rule(clean_facts(**changes), checks.Thresholds())
    if expected is None:
        assert finding is None
    else:
        assert finding is not None
        assert (finding.check, finding.release, finding.measured, finding.threshold) == (
            check,
            expected.release,
            expected.measured,
            expected.threshold,
        )
        assert finding.message


def test_every_check_stands_in_the_chain_in_the_order_of_the_design() -> None:
    assert tuple(rule for rule, _ in SPECIFICATION.values()) == checks.CHAIN
    assert tuple(SPECIFICATION) == tuple(Check)


@pytest.mark.parametrize(
    ("limits", "changes", "check"),
    [
        pytest.param(
            {"contradictions": 1}, {"contradictions": 1}, Check.CONTRADICTIONS_REACHED, id="one contradiction blocks where one is allowed"
        ),
        pytest.param(
            {"coverage": 0.8}, {"coverage": 0.79, "supporting": 0}, Check.EVIDENCE_INSUFFICIENT, id="more coverage can be demanded"
        ),
        pytest.param(
            {"require_telemetry": True}, {"telemetry_known": False}, Check.TELEMETRY_UNKNOWN, id="telemetry can be required everywhere"
        ),
    ],
)
def test_stricter_threshold_is_held_against(limits: dict[str, Any], changes: dict[str, Any], check: Check) -> None:
    findings = builders.judged(clean_facts(**changes), **limits).findings
    assert [one.check for one in findings if one.release is not NOT_NEEDED] == [check]


@pytest.mark.parametrize(
    "looser",
    [
        {"contradictions": 3},
        {"contradictions": 0},
        {"coverage": 0.33},
        {"coverage": 1.01},
        {"coverage": float("nan")},
        {"contradiction": 2},
    ],
    ids=lambda one: ", ".join(f"{name}={value}" for name, value in one.items()),
)
def test_looser_or_meaningless_threshold_is_refused(looser: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        checks.Thresholds(**looser)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        pytest.param({"answer_problems": ("the plan is missing",)}, "the plan is missing", id="the problem of the answer"),
        pytest.param({"target_exists": False}, "Deployment/checkout does not exist", id="the missing target"),
        pytest.param(
            {"resolution": plans.Resolution.UNKNOWN_ACTION, "resolution_detail": "no runbook"}, "no runbook", id="why it is unresolved"
        ),
        pytest.param({"protections": ("Secret is a protected kind",)}, "Secret is a protected kind", id="the objection"),
        pytest.param({"conflicts": (conflict(),)}, "pol-1: No restarts in business hours.", id="the policy's own words"),
        pytest.param(
            {"fabricated": (authority(),)}, "“The DBA approved this” in the rationale", id="the invented words and where they stand"
        ),
        pytest.param(
            {"final_action": "scale"}, f"planned was {ACTION}; after the stress test the agent stands by scale", id="both positions"
        ),
    ],
)
def test_message_tells_people(changes: dict[str, Any], words: str) -> None:
    (finding,) = builders.judged(clean_facts(**changes)).findings
    assert words in finding.message


@given(known=strategies.any_facts(), limits=strategies.THRESHOLDS)
def test_every_finding_names_what_was_measured_and_what_it_was_held_against(known: facts.Facts, limits: checks.Thresholds) -> None:
    for rule in checks.CHAIN:
        finding = rule(known, limits)
        assert finding is None or (finding.measured and finding.threshold)
