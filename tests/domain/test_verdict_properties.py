"""What holds for every verdict, over all facts: nothing unknown, added or written loosens it, and execute means that all is well."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain import strategies
from domain.builders import authority, changed, conflict, judged
from safety_governor.domain import checks, facts, values, verdicts

Decision = verdicts.Decision
Release = values.Release


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
