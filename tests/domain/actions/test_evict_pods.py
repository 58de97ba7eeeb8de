"""EvictPods: certain pods leave one after the other."""

from typing import Any

import pytest

from domain.actions.builders import NAME, ActionType, a_pod, a_scene, a_step, a_workload, an_intent, problems, refusals, request
from safety_governor.domain import actions, requests, rollouts, workloads

EVICT = actions.of(ActionType.EVICT_PODS)
OLDEST_TWO = a_step(ActionType.EVICT_PODS, which="oldest", most="2")
UNREADY = a_step(ActionType.EVICT_PODS)

PARAMETERS: dict[str, tuple[dict[str, str], str]] = {
    "nothing": ({}, ""),
    "which and how many": ({"which": "oldest", "most": "64"}, ""),
    "other pods": ({"which": "newest"}, "parameter 'which': Input should be 'unready' or 'oldest'"),
    "no pod": ({"most": "0"}, "parameter 'most': Input should be greater than or equal to 1"),
    "too many": ({"most": "65"}, "parameter 'most': Input should be less than or equal to 64"),
    "a word": ({"most": "all"}, "parameter 'most': Input should be a valid integer, unable to parse string as an integer"),
    "a name": ({"pod": "checkout-1"}, "parameter 'pod' is not known"),
}


@pytest.mark.parametrize(("parameters", "told"), PARAMETERS.values(), ids=PARAMETERS.keys())
def test_takes_as_parameter(parameters: dict[str, str], told: str) -> None:
    assert problems(ActionType.EVICT_PODS, **parameters) == ((told,) if told else ())


NOBODY = f"Deployment/{NAME} has no pod to evict, so nothing would change"
REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "its pods are not known": ({"pods": None}, f"the pods of Deployment/{NAME} are not known"),
    "it has no pods": ({"pods": ()}, NOBODY),
    "all its pods are ready": ({"pods": (a_pod(),)}, NOBODY),
    "those that are not ready are leaving": ({"pods": (a_pod(ready=False, terminating=True),)}, NOBODY),
}


@pytest.mark.parametrize(("around", "told"), REFUSED.values(), ids=REFUSED.keys())
def test_is_refused_when(around: dict[str, Any], told: str) -> None:
    assert refusals(UNREADY, a_scene(**around)) == (told,)


PODS = (
    a_pod("young", minutes_old=1, ready=False),
    a_pod("old", minutes_old=90),
    a_pod("leaving", minutes_old=99, ready=False, terminating=True),
    a_pod("middle", minutes_old=30, ready=False),
)

CHOICES = {
    "that are not ready, the oldest first": ({"most": "64"}, ["middle", "young"]),
    "but one at most unless it says more": ({}, ["middle"]),
    "that are oldest, ready or not": ({"which": "oldest", "most": "2"}, ["old", "middle"]),
    "that are all there are": ({"which": "oldest", "most": "64"}, ["old", "middle", "young"]),
}


@pytest.mark.parametrize(("parameters", "expected"), CHOICES.values(), ids=CHOICES.keys())
def test_records_the_pods(parameters: dict[str, str], expected: list[str]) -> None:
    taken = EVICT.snapshot(a_step(ActionType.EVICT_PODS, **parameters), a_scene(pods=PODS))
    assert [(one.name, one.uid) for one in taken.pods] == [(f"{NAME}-{name}", f"uid-{name}") for name in expected]


def test_of_pods_of_one_age_goes_by_name() -> None:
    taken = EVICT.snapshot(OLDEST_TWO, a_scene(pods=tuple(a_pod(name) for name in "cab")))
    assert [one.uid for one in taken.pods] == ["uid-a", "uid-b"]


def test_asks_for_one_after_the_other_by_name_and_uid_and_then_for_nothing() -> None:
    scene = a_scene(pods=PODS)
    intent = an_intent(OLDEST_TWO, scene)
    assert EVICT.request(OLDEST_TWO, scene, intent) == requests.Evict(pod=f"{NAME}-old", uid="uid-old")
    one_left = a_scene(pods=(PODS[0], PODS[3], a_pod("new", minutes_old=0)))
    assert EVICT.request(OLDEST_TWO, one_left, intent) == requests.Evict(pod=f"{NAME}-middle", uid="uid-middle")
    none_left = a_scene(pods=(PODS[0], a_pod("new", minutes_old=0), a_pod("newer", minutes_old=0)))
    assert EVICT.request(OLDEST_TWO, none_left, intent) is None


def test_does_not_ask_again_for_a_pod_that_is_leaving() -> None:
    intent = an_intent(OLDEST_TWO, a_scene(pods=PODS))
    leaving = a_scene(pods=tuple(pod.model_copy(update={"terminating": True}) for pod in PODS))
    assert EVICT.request(OLDEST_TWO, leaving, intent) is None


def test_leaves_a_pod_of_the_same_name_and_another_uid_alone() -> None:
    intent = an_intent(OLDEST_TWO, a_scene(pods=(a_pod("0"),)))
    assert EVICT.request(OLDEST_TWO, a_scene(pods=(a_pod("0", uid="uid-new"),)), intent) is None


def test_spares_a_pod_that_has_become_ready_meanwhile_and_comes_back_to_it_when_it_has_not() -> None:
    ill, well = a_pod("a", ready=False), a_pod("a", ready=True)
    intent = an_intent(UNREADY, a_scene(pods=(ill,)))
    assert EVICT.request(UNREADY, a_scene(pods=(well,)), intent) is None
    assert EVICT.request(UNREADY, a_scene(pods=(ill,)), intent) == requests.Evict(pod=f"{NAME}-a", uid="uid-a")


def test_that_is_for_the_oldest_does_not_care_whether_they_are_ready() -> None:
    assert request(OLDEST_TWO, a_scene(pods=(a_pod("a"),))) == requests.Evict(pod=f"{NAME}-a", uid="uid-a")


def test_has_begun_as_soon_as_one_has_left() -> None:
    intent = an_intent(OLDEST_TWO, a_scene(pods=PODS))
    assert not EVICT.has_begun(a_scene(pods=PODS), intent)
    assert EVICT.has_begun(a_scene(pods=PODS[:1]), intent)
    assert EVICT.has_begun(a_scene(pods=(PODS[0], PODS[1].model_copy(update={"terminating": True}), PODS[3])), intent)


@pytest.mark.parametrize(("pods", "down"), [(PODS, 1), ((a_pod("a"), a_pod("b")), 1), ((a_pod(ready=False),), 0), ((), 0)])
def test_takes_down_one_at_a_time_of_those_that_are_ready(pods: tuple[workloads.Pod, ...], down: int) -> None:
    assert EVICT.takes_down(OLDEST_TWO, a_scene(pods=pods)) == down


def test_has_the_budgets_asked_for_the_first_that_would_go_even_if_it_is_not_ready() -> None:
    first = EVICT.first_to_go(UNREADY, a_scene(pods=PODS))
    assert first is not None
    assert first.uid == "uid-middle"
    assert EVICT.first_to_go(UNREADY, a_scene(pods=())) is None


def test_goes_on_until_as_many_are_ready_as_there_should_be() -> None:
    three = tuple(a_pod(name) for name in "abc")
    assert EVICT.progress(UNREADY, a_scene(pods=three[:2])) == (rollouts.Progress.GOING_ON, "2 of 3 pods are ready")
    leaving = three[2].model_copy(update={"terminating": True})
    assert EVICT.progress(UNREADY, a_scene(pods=(*three[:2], leaving)))[0] is rollouts.Progress.GOING_ON
    assert EVICT.progress(UNREADY, a_scene(pods=three))[0] is rollouts.Progress.COMPLETE


def test_cannot_be_undone() -> None:
    assert EVICT.inverse(UNREADY, EVICT.snapshot(UNREADY, a_scene())) is None


def test_works_on_a_job_as_well() -> None:
    assert refusals(UNREADY, a_scene(a_workload("Job"))) == ()


@pytest.mark.parametrize(
    ("parameters", "told"),
    [
        ({}, "evicts up to 1 pods of Deployment/x that are not ready, one after the other"),
        ({"which": "oldest", "most": "3"}, "evicts up to 3 pods of Deployment/x that are the oldest, one after the other"),
    ],
)
def test_is_described(parameters: dict[str, str], told: str) -> None:
    assert EVICT.describe(a_step(ActionType.EVICT_PODS, **parameters), "Deployment/x") == told
