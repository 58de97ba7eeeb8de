"""Reading an agent's answers: what is well formed is read, everything else is a problem with a text and never an exception."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain import strategies
from domain.builders import ACTION, CLAIM
from safety_governor.domain import answers, ledger, plans

PLAN: dict[str, Any] = {"proposed_action": ACTION, "key_claims": [CLAIM], "confidence_initial": 8.0}
CHECKED = {"claim": CLAIM, "supporting": ["ev-1"], "contradicting": []}
STRESS: dict[str, Any] = {"claims": [CHECKED], "final_action": ACTION, "confidence_post": 7.0}


def without(answer: dict[str, Any], field: str) -> dict[str, Any]:
    return {name: value for name, value in answer.items() if name != field}


READ: dict[str, object] = {
    "an object": PLAN,
    "the same as text": json.dumps(PLAN),
    "with names as Kubernetes writes them": {"proposedAction": ACTION, "keyClaims": [CLAIM], "confidenceInitial": 8.0},
    "with everything that is optional": {**PLAN, "rationale": "because", "runbook_ids": ["rb-1"]},
    "no remedy": {**PLAN, "proposed_action": None},
    "no claims": {**PLAN, "key_claims": []},
    "confidence at its lower bound": {**PLAN, "confidence_initial": 0},
    "confidence at its upper bound": {**PLAN, "confidence_initial": 10},
}


@pytest.mark.parametrize("answer", READ.values(), ids=READ.keys())
def test_plan_is_read(answer: object) -> None:
    assert isinstance(answers.read_proposal(answer), plans.Proposal)


UNUSABLE: dict[str, tuple[object, str]] = {
    "no answer": (None, "the plan is missing"),
    "an empty text": ("", "the plan is missing"),
    "prose": ("I would restart it.", "the plan is not JSON"),
    "JSON in a fence": (f"```json\n{json.dumps(PLAN)}\n```", "the plan is not JSON"),
    "half of it": (json.dumps(PLAN)[:-5], "the plan is not JSON"),
    "endlessly nested": ("[" * 100_000, "the plan is not JSON"),
    "a list": ([PLAN], "the plan is a list, not an object"),
    "a text within a text": (json.dumps("restart"), "the plan is a str, not an object"),
    "a number": (7, "the plan is a int, not an object"),
    "null as text": ("null", "the plan is a NoneType, not an object"),
    "an empty object": ({}, "the plan is invalid: proposedAction: Field required (and 2 more)"),
    "a question instead": ({"status": "awaiting_prompt"}, "the agent asks a question instead of giving a plan (awaiting_prompt)"),
    "a question in the form of a flag": ({**PLAN, "awaiting_prompt": True}, "the agent asks a question instead of giving a plan"),
    "a field that nobody knows": ({**PLAN, "approved": True}, "the plan is invalid: approved"),
    "an empty action": ({**PLAN, "proposed_action": ""}, "the plan is invalid: proposed_action"),
    "an action of the wrong type": ({**PLAN, "proposed_action": ["restart"]}, "the plan is invalid: proposed_action"),
    "claims in one text": ({**PLAN, "key_claims": CLAIM}, "the plan is invalid: key_claims"),
    "too many claims": ({**PLAN, "key_claims": ["claim"] * 17}, "the plan is invalid: key_claims"),
    "a claim that never ends": ({**PLAN, "key_claims": ["x" * 1025]}, "the plan is invalid: key_claims.0"),
    "confidence as a word": ({**PLAN, "confidence_initial": "high"}, "the plan is invalid: confidence_initial"),
    "confidence above the scale": ({**PLAN, "confidence_initial": 10.1}, "the plan is invalid: confidence_initial"),
    "confidence below the scale": ({**PLAN, "confidence_initial": -0.1}, "the plan is invalid: confidence_initial"),
    "confidence that is not a number": (
        json.dumps({**PLAN, "confidence_initial": float("nan")}),
        "the plan is invalid: confidence_initial",
    ),
    "confidence without end": (json.dumps({**PLAN, "confidence_initial": float("inf")}), "the plan is invalid: confidence_initial"),
    "half a character": (
        '{"proposed_action": "\\ud800", "key_claims": [], "confidence_initial": 5}',
        "the plan is invalid: proposed_action",
    ),
    "half a character as a name": ('{"\\ud800": 1}', "the plan is invalid"),
    **{f"without {field}": (without(PLAN, field), "Field required") for field in PLAN},
}


@pytest.mark.parametrize(("answer", "detail"), UNUSABLE.values(), ids=UNUSABLE.keys())
def test_plan_is_a_problem(answer: object, detail: str) -> None:
    read = answers.read_proposal(answer)
    assert isinstance(read, answers.Problem)
    assert detail in read.detail


STRESS_PROBLEMS: dict[str, tuple[object, str]] = {
    "no answer": (None, "the stress answer is missing"),
    "a question instead": ({"status": "awaiting_prompt"}, "the agent asks a question instead of giving a stress answer"),
    "a claim is left out": ({**STRESS, "claims": []}, "incomplete: it does not mention the claim"),
    "another claim is answered": ({**STRESS, "claims": [{**CHECKED, "claim": CLAIM.lower()}]}, "incomplete: it does not mention the claim"),
    "a claim without documents for it": ({**STRESS, "claims": [without(CHECKED, "supporting")]}, "claims.0.supporting: Field required"),
    "a claim without documents against it": (
        {**STRESS, "claims": [without(CHECKED, "contradicting")]},
        "claims.0.contradicting: Field required",
    ),
    "counts instead of documents": ({**STRESS, "claims": [{**CHECKED, "contradicting": 0}]}, "claims.0.contradicting"),
    "a count of its own": ({**STRESS, "contradiction_count": 0}, "contradiction_count"),
    "confidence above the scale": ({**STRESS, "confidence_post": 11}, "confidence_post"),
    **{f"without {field}": (without(STRESS, field), "Field required") for field in STRESS},
}


@pytest.mark.parametrize(("answer", "detail"), STRESS_PROBLEMS.values(), ids=STRESS_PROBLEMS.keys())
def test_stress_answer_is_a_problem(answer: object, detail: str) -> None:
    read = answers.read_stress(answer, claims=(CLAIM,))
    assert isinstance(read, answers.Problem)
    assert detail in read.detail


def test_stress_answer_tells_what_it_cites_for_a_claim() -> None:
    read = answers.read_stress({**STRESS, "final_action": None}, claims=(CLAIM,))
    assert isinstance(read, answers.StressAnswer)
    assert read.final_action is None
    assert read.cited(CLAIM) == ledger.Cited(supporting=("ev-1",))
    assert read.cited("another claim") == ledger.Cited()


def test_stress_answer_may_mention_more_than_it_was_asked() -> None:
    assert isinstance(answers.read_stress(STRESS, claims=()), answers.StressAnswer)


@given(
    answer=strategies.JSON | st.text() | st.dictionaries(st.sampled_from([*PLAN, *STRESS, "status", "awaiting_prompt"]), strategies.JSON)
)
def test_no_answer_whatever_is_an_exception(answer: object) -> None:
    assert isinstance(answers.read_proposal(answer), plans.Proposal | answers.Problem)
    assert isinstance(answers.read_stress(answer, claims=(CLAIM,)), answers.StressAnswer | answers.Problem)
    as_text = json.dumps(answer)
    assert isinstance(answers.read_proposal(as_text), plans.Proposal | answers.Problem)
