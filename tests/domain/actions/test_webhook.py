"""Webhook: automation that was there before us, called until it has acknowledged."""

from typing import Any

import pytest

from domain.actions.builders import (
    INCIDENT,
    KEY,
    NAME,
    ActionType,
    a_scene,
    a_step,
    a_workload,
    an_intent,
    problems,
    refusals,
    request,
)
from safety_governor.domain import actions, requests, rollouts

WEBHOOK = actions.of(ActionType.WEBHOOK)
STEP = a_step(ActionType.WEBHOOK, webhook="failover", inverse="failback", argument="eu-west-1")

PARAMETERS: dict[str, tuple[dict[str, str], str]] = {
    "a name": ({"webhook": "failover"}, ""),
    "all there is": ({"webhook": "failover", "inverse": "failback", "argument": "eu-west-1"}, ""),
    "nothing": ({}, "parameter 'webhook' is missing"),
    "an empty name": ({"webhook": ""}, "parameter 'webhook': String should have at least 1 character"),
    "an address": ({"webhook": "failover", "url": "https://evil"}, "parameter 'url' is not known"),
    "an empty undo": ({"webhook": "failover", "inverse": ""}, "parameter 'inverse': String should have at least 1 character"),
}


@pytest.mark.parametrize(("parameters", "told"), PARAMETERS.values(), ids=PARAMETERS.keys())
def test_takes_as_parameter(parameters: dict[str, str], told: str) -> None:
    assert problems(ActionType.WEBHOOK, **parameters) == ((told,) if told else ())


@pytest.mark.parametrize(
    ("listed", "missing"),
    [(None, ("failover", "failback")), (("failover",), ("failback",)), (("failback",), ("failover",)), (("failover", "failback"), ())],
)
def test_that_is_not_listed_is_refused_and_so_is_one_whose_undo_is_not(listed: tuple[str, ...] | None, missing: tuple[str, ...]) -> None:
    told = tuple(f"webhook {one} is not among the webhooks of the RemediationPolicy" for one in missing)
    assert refusals(STEP, a_scene(), webhooks=listed) == told


@pytest.mark.parametrize("kind", sorted(WEBHOOK.kinds))
def test_tells_the_automation_what_for_and_gives_it_the_key(kind: str) -> None:
    assert request(STEP, a_scene(a_workload(kind))) == requests.Call(
        webhook="failover",
        key=KEY,
        body={
            "incident": INCIDENT,
            "action": KEY,
            "target": {"kind": kind, "name": NAME, "uid": "uid-1"},
            "argument": "eu-west-1",
            "claimedAt": "2026-03-01T12:00:00Z",
        },
    )


def test_says_the_same_whatever_has_become_of_the_target_meanwhile() -> None:
    """The same key must mean the same request."""
    intent = an_intent(STEP, a_scene())
    later = a_scene(a_workload(resource_version="99", generation=12, paused=True))
    assert WEBHOOK.request(STEP, later, intent) == WEBHOOK.request(STEP, a_scene(), intent)


def test_asks_for_nothing_once_it_is_acknowledged() -> None:
    assert request(STEP, a_scene(), acknowledged=True) is None


def test_leaves_no_trace_in_the_cluster() -> None:
    assert not WEBHOOK.shows_effect
    assert all(actions.of(kind).shows_effect for kind in ActionType if kind is not ActionType.WEBHOOK)


def test_is_undone_by_the_webhook_that_the_runbook_names() -> None:
    inverse = WEBHOOK.inverse(STEP, an_intent(STEP, a_scene()).before)
    assert inverse is not None
    assert (inverse.type, inverse.parameters) == (ActionType.WEBHOOK, {"webhook": "failback", "argument": "eu-west-1"})
    assert WEBHOOK.inverse(inverse, an_intent(STEP, a_scene()).before) is None


def test_cannot_be_undone_where_the_runbook_names_nothing() -> None:
    step = a_step(ActionType.WEBHOOK, webhook="failover")
    assert WEBHOOK.inverse(step, an_intent(step, a_scene()).before) is None


@pytest.mark.parametrize(("available", "progress"), [(3, rollouts.Progress.COMPLETE), (1, rollouts.Progress.GOING_ON)])
def test_is_as_far_as_the_target_is_well(available: int, progress: rollouts.Progress) -> None:
    target = a_workload()
    scene = a_scene(target.model_copy(update={"rollout": target.rollout.model_copy(update={"available": available})}))
    assert WEBHOOK.progress(STEP, scene)[0] is progress


def test_takes_nothing_down_that_is_known_of() -> None:
    assert refusals(STEP, a_scene(), max_unavailable="0") == ()


def test_is_described() -> None:
    step: Any = STEP
    assert WEBHOOK.describe(step, "Deployment/x") == "calls the automation failover for Deployment/x"
