"""From an agent's proposal to the typed steps of a trusted runbook, or to the reason why there are none."""

from collections.abc import Sequence
from typing import Any

import pytest
from pydantic import ValidationError

from domain.builders import ACTION, SERVICE, a_proposal, a_runbook, a_step
from safety_governor.domain import documents, plans, resolution, values

Resolution = plans.Resolution
ActionType = values.ActionType
UNPROMOTED = documents.Trust.PROPOSED

RESOLUTIONS: dict[str, tuple[str | None, Sequence[documents.Runbook], Resolution]] = {
    "a trusted runbook of the service": (ACTION, [a_runbook()], Resolution.RESOLVED),
    "a trusted runbook for every service": (ACTION, [a_runbook(service="*")], Resolution.RESOLVED),
    "nothing is proposed": (None, [a_runbook()], Resolution.NOTHING_PROPOSED),
    "no runbook at all": (ACTION, [], Resolution.UNKNOWN_ACTION),
    "no runbook knows the action": ("drop-database", [a_runbook()], Resolution.UNKNOWN_ACTION),
    "the name is compared exactly": (ACTION.upper(), [a_runbook()], Resolution.UNKNOWN_ACTION),
    "a runbook of another service": (ACTION, [a_runbook(service="cart")], Resolution.UNKNOWN_ACTION),
    "a runbook that no person has promoted": (ACTION, [a_runbook(state=UNPROMOTED)], Resolution.UNTRUSTED_RUNBOOK),
    "an unpromoted runbook of another service": (ACTION, [a_runbook(service="cart", state=UNPROMOTED)], Resolution.UNKNOWN_ACTION),
    "an unpromoted and a trusted runbook": (ACTION, [a_runbook(id="rb-0", state=UNPROMOTED), a_runbook()], Resolution.RESOLVED),
    "a step that cannot be carried out": (ACTION, [a_runbook(steps=[a_step(ActionType.SCALE)])], Resolution.UNSUPPORTED_STEP),
    "one of two steps that cannot be carried out": (
        ACTION,
        [a_runbook(steps=[a_step(), a_step(ActionType.WEBHOOK)])],
        Resolution.UNSUPPORTED_STEP,
    ),
    "a step for people": (ACTION, [a_runbook(steps=[a_step(ActionType.MANUAL, text="Call the DBA")])], Resolution.RESOLVED),
}


@pytest.mark.parametrize(("action", "runbooks", "expected"), RESOLUTIONS.values(), ids=RESOLUTIONS.keys())
def test_resolution(action: str | None, runbooks: Sequence[documents.Runbook], expected: Resolution) -> None:
    plan = resolution.resolve(a_proposal(action), runbooks, service=SERVICE)
    assert plan.resolution is expected
    assert bool(plan.resolution_detail) is (expected is not Resolution.RESOLVED)
    assert plan.action == action


@pytest.mark.parametrize(
    ("action", "runbooks"),
    [
        (action, runbooks)
        for action, runbooks, expected in RESOLUTIONS.values()
        if expected not in (Resolution.RESOLVED, Resolution.UNSUPPORTED_STEP)
    ],
    ids=[sentence for sentence, row in RESOLUTIONS.items() if row[2] not in (Resolution.RESOLVED, Resolution.UNSUPPORTED_STEP)],
)
def test_unresolved_plan_has_no_steps(action: str | None, runbooks: Sequence[documents.Runbook]) -> None:
    plan = resolution.resolve(a_proposal(action), runbooks, service=SERVICE)
    assert (plan.steps, plan.runbook, plan.runbook_digest) == ((), None, None)


def test_steps_come_from_the_runbook() -> None:
    runbook = a_runbook(steps=[a_step(parameters={"timeout": "5m"}, text="Restart"), a_step()])
    plan = resolution.resolve(a_proposal(), [runbook], service=SERVICE)
    assert [(one.id, one.type, one.parameters, one.text) for one in plan.steps] == [
        ("step-1", ActionType.ROLLOUT_RESTART, {"timeout": "5m"}, "Restart"),
        ("step-2", ActionType.ROLLOUT_RESTART, {}, ""),
    ]


def test_alternative_of_a_runbook_may_be_proposed() -> None:
    remediations = tuple(documents.Remediation(action=name, steps=(a_step(text=name),)) for name in ("recommended", "alternative"))
    runbook = a_runbook("recommended", remediations=remediations)
    assert resolution.resolve(a_proposal("alternative"), [runbook], service=SERVICE).steps[0].text == "alternative"


def test_first_trusted_runbook_that_knows_the_action_wins() -> None:
    plan = resolution.resolve(a_proposal(), [a_runbook("other", id="rb-0"), a_runbook(id="rb-1"), a_runbook(id="rb-2")], service=SERVICE)
    assert plan.runbook == "rb-1"


def test_changed_runbook_leads_to_another_digest() -> None:
    first = resolution.resolve(a_proposal(), [a_runbook()], service=SERVICE)
    second = resolution.resolve(a_proposal(), [a_runbook(body="Changed.")], service=SERVICE)
    assert first.runbook_digest != second.runbook_digest


def test_plan_with_one_step_for_people_is_manual_as_a_whole() -> None:
    runbook = a_runbook(steps=[a_step(), a_step(ActionType.MANUAL)])
    assert resolution.resolve(a_proposal(), [runbook], service=SERVICE).is_manual
    assert not resolution.resolve(a_proposal(), [a_runbook()], service=SERVICE).is_manual


def test_policies_may_forbid_the_action_and_the_types_of_its_steps() -> None:
    assert resolution.resolve(a_proposal(), [a_runbook()], service=SERVICE).names == (ACTION, "RolloutRestart")
    assert resolution.resolve(a_proposal(None), [], service=SERVICE).names == ()


def test_long_rationale_is_cut() -> None:
    plan = resolution.resolve(a_proposal(rationale="x" * 4000), [a_runbook()], service=SERVICE)
    assert len(plan.rationale) == values.TEXT_LIMIT


BROKEN_RUNBOOKS: dict[str, dict[str, Any]] = {
    "it recommends what it does not contain": {"recommended_action": "other"},
    "it has no remediation": {"remediations": ()},
    "it names an action twice": {"remediations": (documents.Remediation(action=ACTION, steps=(a_step(),)),) * 2},
    "it has a field that nobody knows": {"recomended_action": ACTION},
    "its service is a pattern": {"service": "check*"},
}


@pytest.mark.parametrize("changes", BROKEN_RUNBOOKS.values(), ids=BROKEN_RUNBOOKS.keys())
def test_runbook_document_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        a_runbook(**changes)
