"""Manual: what people do."""

from domain.actions.builders import ActionType, a_scene, a_step, problems, refusals, request
from safety_governor.domain import actions, plans

MANUAL = actions.of(ActionType.MANUAL)


def test_takes_whatever_helps_the_people_who_do_it() -> None:
    assert problems(ActionType.MANUAL, owner="DBA team", page="https://wiki/failover") == ()


def test_asks_nothing_of_any_program() -> None:
    assert request(a_step(ActionType.MANUAL), a_scene()) is None
    assert refusals(a_step(ActionType.MANUAL), a_scene(), allowed_actions=()) == ()


def test_is_described_in_the_words_of_the_runbook() -> None:
    step = plans.Step(id="step-1", type=ActionType.MANUAL, text="Call the DBA team.")
    assert MANUAL.describe(step, "Deployment/x") == "Call the DBA team."
    assert MANUAL.describe(a_step(ActionType.MANUAL), "Deployment/x") == "people do something about Deployment/x"


def test_cannot_be_undone() -> None:
    assert MANUAL.inverse(a_step(ActionType.MANUAL), MANUAL.snapshot(a_step(ActionType.MANUAL), a_scene())) is None
