"""The verdict: all checks run, the strongest demand wins, and nothing that is unknown, added or written loosens it."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from safety_governor.domain import checks, facts, plans, values, verdicts

from domain import builders, strategies
from domain.builders import authority, changed, clean_facts, conflict, judged

Check, Decision, Release = checks.Check, verdicts.Decision, values.Release
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


# ------------------------------------------------------------------ properties over all facts


def loosened(before: facts.Facts, after: facts.Facts, limits: checks.Thresholds) -> bool:
    """Whether the second facts are judged more leniently than the first."""
    first, second = verdicts.judge(before, limits), verdicts.judge(after, limits)
    begins_to_execute = second.decision is Decision.EXECUTE and first.decision is not Decision.EXECUTE
    return second.strictness < first.strictness or begins_to_execute


WORSE_SEVERITY = list(values.Severity)


def one_contradiction_more(known: facts.Facts) -> facts.Facts:
    return known if known.contradictions is None else changed(known, contradictions=known.contradictions + 1)


def one_conflict_more(known: facts.Facts) -> facts.Facts:
    return known if known.conflicts is None else changed(known, conflicts=(*known.conflicts, conflict("pol-9")))


def one_invented_authority_more(known: facts.Facts) -> facts.Facts:
    return known if known.fabricated is None else changed(known, fabricated=(*known.fabricated, authority()))


def one_objection_more(known: facts.Facts) -> facts.Facts:
    return known if known.protections is None else changed(known, protections=(*known.protections, "a protected kind"))


def one_answer_problem_more(known: facts.Facts) -> facts.Facts:
    return known if known.answer_problems is None else changed(known, answer_problems=(*known.answer_problems, "it is not JSON"))


def one_supporting_document_less(known: facts.Facts) -> facts.Facts:
    return changed(known, supporting=known.supporting - 1) if known.supporting else known


def half_the_coverage(known: facts.Facts) -> facts.Facts:
    return known if known.coverage is None else changed(known, coverage=known.coverage / 2)


def one_severity_higher(known: facts.Facts) -> facts.Facts:
    if known.severity in (None, values.Severity.CRITICAL):
        return known
    return changed(known, severity=WORSE_SEVERITY[WORSE_SEVERITY.index(known.severity) + 1])


def the_target_gone(known: facts.Facts) -> facts.Facts:
    return changed(known, target_exists=False)


def telemetry_gone(known: facts.Facts) -> facts.Facts:
    return changed(known, telemetry_known=False)


def telemetry_demanded(known: facts.Facts) -> facts.Facts:
    return changed(known, require_telemetry=True)


def steps_for_people(known: facts.Facts) -> facts.Facts:
    return changed(known, is_manual=True)


WORSE: list[Callable[[facts.Facts], facts.Facts]] = [
    one_contradiction_more,
    one_conflict_more,
    one_invented_authority_more,
    one_objection_more,
    one_answer_problem_more,
    one_supporting_document_less,
    half_the_coverage,
    one_severity_higher,
    the_target_gone,
    telemetry_gone,
    telemetry_demanded,
    steps_for_people,
]


@pytest.mark.parametrize("worse", WORSE, ids=lambda one: one.__name__.replace("_", " "))
@given(known=strategies.any_facts(), limits=strategies.THRESHOLDS)
def test_worse_fact_never_loosens(worse: Callable[[facts.Facts], facts.Facts], known: facts.Facts, limits: checks.Thresholds) -> None:
    assert not loosened(known, worse(known), limits)


SAFETY_FIELDS = [
    "severity",
    "answer_problems",
    "proposed_action",
    "resolution",
    "target_exists",
    "protections",
    "conflicts",
    "contradictions",
    "coverage",
    "supporting",
    "fabricated",
    "final_action",
    "telemetry_known",
]


@pytest.mark.parametrize("field", SAFETY_FIELDS)
@given(known=strategies.any_facts(), limits=strategies.THRESHOLDS)
def test_fact_that_becomes_unknown_never_begins_to_execute(field: str, known: facts.Facts, limits: checks.Thresholds) -> None:
    unknown = verdicts.judge(changed(known, **{field: None}), limits)
    assert unknown.decision is not Decision.EXECUTE or verdicts.judge(known, limits).decision is Decision.EXECUTE


@pytest.mark.parametrize("field", [one for one in SAFETY_FIELDS if one != "conflicts"])
@given(known=strategies.any_facts(), limits=strategies.THRESHOLDS)
def test_fact_that_becomes_unknown_never_loosens(field: str, known: facts.Facts, limits: checks.Thresholds) -> None:
    assert not loosened(known, changed(known, **{field: None}), limits)


@given(known=strategies.any_facts(), limits=strategies.THRESHOLDS)
def test_policies_that_become_unknown_take_at_least_an_override(known: facts.Facts, limits: checks.Thresholds) -> None:
    # A policy that lets nobody through cannot be known to do so when it cannot be read; all other demands are kept.
    verdict = verdicts.judge(changed(known, conflicts=None), limits)
    assert verdict.strictness >= Release.FORCE_OVERRIDE.strength
    assert verdict.strictness >= verdicts.judge(changed(known, conflicts=()), limits).strictness


@given(known=strategies.any_facts(), limits=strategies.THRESHOLDS)
def test_same_facts_have_the_same_verdict(known: facts.Facts, limits: checks.Thresholds) -> None:
    again = facts.Facts.model_validate_json(known.model_dump_json())
    assert verdicts.judge(again, limits) == verdicts.judge(known, limits)


@given(known=strategies.any_facts(), limits=strategies.THRESHOLDS)
def test_stricter_thresholds_never_loosen(known: facts.Facts, limits: checks.Thresholds) -> None:
    assert verdicts.judge(known, limits).strictness >= verdicts.judge(known, checks.Thresholds()).strictness


@given(known=strategies.any_facts(), free=st.fixed_dictionaries({"resolution_detail": strategies.TEXTS, "unknowns": st.just(("because",))}))
def test_free_text_changes_no_verdict(known: facts.Facts, free: dict[str, Any]) -> None:
    first, second = judged(known), judged(changed(known, **free))
    assert (first.decision, first.required_approval, first.reason) == (second.decision, second.required_approval, second.reason)


def may_execute(known: facts.Facts, limits: checks.Thresholds) -> bool:
    """Written from the table in the design, not from the code: everything that must be so before an action may run."""
    enough = known.coverage is not None and known.supporting is not None and (known.coverage >= limits.coverage or known.supporting >= 1)
    telemetry_needed = known.require_telemetry or limits.require_telemetry
    return (
        known.answer_problems == ()
        and known.proposed_action is not None
        and known.resolution == "Resolved"
        and not known.is_manual
        and known.target_exists is True
        and known.protections == ()
        and known.conflicts == ()
        and known.contradictions is not None
        and known.contradictions < limits.contradictions
        and enough
        and known.fabricated == ()
        and known.final_action == known.proposed_action
        and known.severity in ("low", "medium", "high")
        and (known.telemetry_known is True or not telemetry_needed)
    )


@given(known=strategies.any_facts(), limits=strategies.THRESHOLDS)
def test_execute_means_that_every_condition_holds(known: facts.Facts, limits: checks.Thresholds) -> None:
    assert (verdicts.judge(known, limits).decision is Decision.EXECUTE) == may_execute(known, limits)


@given(known=strategies.any_facts(), limits=strategies.THRESHOLDS)
def test_required_approval_is_the_strongest_that_a_finding_demands(known: facts.Facts, limits: checks.Thresholds) -> None:
    verdict = verdicts.judge(known, limits)
    strongest = max((one.release.strength for one in verdict.findings), default=0)
    expected = Release.IMPOSSIBLE.strength if verdict.decision is Decision.HAND_OVER else strongest
    assert verdict.required_approval.strength == expected


def test_clean_builder_is_what_executes() -> None:
    assert judged(builders.clean_facts()).decision is Decision.EXECUTE
