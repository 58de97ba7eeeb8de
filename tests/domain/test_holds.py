"""What holds the next action back: each guard-rail over time, with its sentence and the moment in which it is over."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest

from domain.builders import some_rules
from domain.rails import NOW, a_window, after, an_action, before, free_rules
from safety_governor.domain import guardrails, history, holds, plans

Guard = holds.Guard
PAYMENTS, CART, NODE = plans.Target(name="payments"), plans.Target(name="cart"), plans.Target(kind="Node", name="node-1")


def judge(rules: guardrails.Guardrails, past: Sequence[history.Past], now: datetime = NOW, **changes: Any) -> tuple[holds.Hold, ...]:
    asked = {"namespace": "shop", "target": PAYMENTS, "incident": "shop/this", **changes}
    return holds.judge(rules, past, now=now, **asked)


def hourly(**limits: int) -> guardrails.Guardrails:
    return free_rules(actions_per_hour=limits)


def cooling(*, success: int = 0, failure: int = 300, longest: int = 86_400) -> guardrails.Guardrails:
    pauses = {"after_success_seconds": success, "after_failure_seconds": failure, "longest_seconds": longest}
    return free_rules(cooldown=pauses)


def failed(minutes_ago: float, outcome: str = "Regressed", **changes: Any) -> history.Past:
    """An action that ended so long ago."""
    return an_action(before(minutes=minutes_ago + 1), outcome, **changes)


def elsewhere(*minutes_ago: float, **changes: Any) -> list[history.Past]:
    """Actions on one target each."""
    return [an_action(before(minutes=ago), target=plans.Target(name=f"target-{ago}"), **changes) for ago in minutes_ago]


ARMED = {"breaker_reset_at": None}
FAILURES = [failed(20, incident="shop/first"), failed(10, "Inconclusive", incident="shop/second")]

Expected = list[tuple[Guard, datetime | None]]
SITUATIONS: dict[str, tuple[guardrails.Guardrails, list[history.Past], Expected]] = {
    "nothing has happened": (free_rules(), [], []),
    "the default rules and nothing has happened": (some_rules(), [], []),
    "suspended": (free_rules(suspend=True), [], [(Guard.SUSPENDED, None)]),
    # In flight
    "another incident is acting on the target": (free_rules(), [an_action(before(minutes=1), None)], [(Guard.IN_FLIGHT, None)]),
    "this incident itself is acting on the target": (free_rules(), [an_action(before(minutes=1), None, incident="shop/this")], []),
    "another incident is acting on another target": (free_rules(), [an_action(before(minutes=1), None, target=CART)], []),
    "another incident is acting on the same name elsewhere": (free_rules(), [an_action(before(minutes=1), None, namespace="bank")], []),
    "another incident is undoing its action on the target": (
        free_rules(),
        [an_action(before(minutes=1), None, undoes=True)],
        [(Guard.IN_FLIGHT, None)],
    ),
    "another incident acted on the target and is done": (free_rules(), [an_action(before(minutes=1))], []),
    # Circuit breaker
    "one action has failed": (free_rules(**ARMED), FAILURES[1:], []),
    "two actions have failed": (free_rules(**ARMED), FAILURES, [(Guard.BREAKER, None)]),
    "two actions have failed long ago": (
        free_rules(**ARMED),
        [failed(60 * 24 * 6), failed(60 * 24 * 5)],
        [(Guard.BREAKER, None)],
    ),
    "two actions on different targets have failed": (
        free_rules(**ARMED),
        [failed(20), failed(10, target=CART)],
        [(Guard.BREAKER, None)],
    ),
    "one failed, one helped, one failed": (free_rules(**ARMED), [failed(30), an_action(before(minutes=20)), failed(10)], []),
    "two failed, and then one helped": (free_rules(**ARMED), [*FAILURES, an_action(before(minutes=5))], []),
    "one helped, and then two failed": (
        free_rules(**ARMED),
        [an_action(before(minutes=40)), *FAILURES],
        [(Guard.BREAKER, None)],
    ),
    "what began first ended last": (
        free_rules(**ARMED),
        [*FAILURES, an_action(before(minutes=50), minutes=45)],
        [],
    ),
    "two failed, the undo of the second helped": (
        free_rules(**ARMED),
        [*FAILURES, an_action(before(minutes=5), undoes=True)],
        [(Guard.BREAKER, None)],
    ),
    "one failed, and so did its undo": (free_rules(**ARMED), [failed(20), failed(10, undoes=True)], []),
    "two failed in different namespaces": (free_rules(**ARMED), [failed(20), failed(10, namespace="bank")], []),
    "two failed and another is under way elsewhere": (
        free_rules(**ARMED),
        [*FAILURES, an_action(before(minutes=5), None, target=CART)],
        [(Guard.BREAKER, None)],
    ),
    "two failed before the reset": (free_rules(breaker_reset_at=before(minutes=9)), FAILURES, []),
    "one failed before the reset, one after": (free_rules(breaker_reset_at=before(minutes=15)), FAILURES, []),
    "two failed after the reset": (free_rules(breaker_reset_at=before(minutes=21)), FAILURES, [(Guard.BREAKER, None)]),
    "two failed in the moment of the reset and after it": (
        free_rules(breaker_reset_at=before(minutes=20)),
        FAILURES,
        [(Guard.BREAKER, None)],
    ),
    "a reset in the future": (free_rules(breaker_reset_at=after(minutes=5)), FAILURES, [(Guard.BREAKER, after(minutes=5))]),
    # Cooldown
    "an action failed a moment ago": (cooling(), [failed(1)], [(Guard.COOLDOWN, after(minutes=4))]),
    "an action failed, and the pause is over": (cooling(), [failed(5)], []),
    "an action failed, and the pause is almost over": (
        cooling(),
        [failed(5 - 1 / 60)],
        [(Guard.COOLDOWN, after(seconds=1))],
    ),
    "an action on another target failed": (cooling(), [failed(1, target=CART)], []),
    "the second in a row failed": (cooling(), [failed(12), failed(1)], [(Guard.COOLDOWN, after(minutes=9))]),
    "the third in a row failed": (cooling(), [failed(50), failed(30), failed(1)], [(Guard.COOLDOWN, after(minutes=19))]),
    "the pause has an upper bound": (cooling(longest=700), [failed(50), failed(30), failed(1)], [(Guard.COOLDOWN, after(seconds=640))]),
    "the hundredth in a row failed": (
        cooling(),
        [failed(number) for number in range(1, 101)],
        [(Guard.COOLDOWN, before(minutes=1) + timedelta(days=1))],
    ),
    "the failures before one that helped do not count": (
        cooling(),
        [failed(50), failed(40), an_action(before(minutes=30)), failed(1)],
        [(Guard.COOLDOWN, after(minutes=4))],
    ),
    "an action helped a moment ago": (cooling(), [an_action(before(minutes=2))], []),
    "an action helped a moment ago, and there is a pause for that": (
        cooling(success=120),
        [an_action(before(minutes=2))],
        [(Guard.COOLDOWN, after(minutes=1))],
    ),
    "a failure pauses no shorter than a success": (cooling(success=600, failure=60), [failed(1)], [(Guard.COOLDOWN, after(minutes=9))]),
    "the pause begins when the failed action was undone": (
        cooling(),
        [failed(6), an_action(before(minutes=3), undoes=True)],
        [(Guard.COOLDOWN, after(minutes=3))],
    ),
    "an undo that fails is no failure of its own": (
        cooling(),
        [failed(6), failed(1, undoes=True)],
        [(Guard.COOLDOWN, after(minutes=4))],
    ),
    # Freeze windows
    "a freeze window is open": (
        free_rules(freeze_windows=(a_window("0 12 * * *", hours=3),)),
        [],
        [(Guard.FROZEN, after(hours=1))],
    ),
    "a freeze window is over": (free_rules(freeze_windows=(a_window("0 12 * * *", hours=2),)), [], []),
    "a freeze window that cannot be read": (
        free_rules(freeze_windows=(a_window("0 99 * * *"),)),
        [],
        [(Guard.FROZEN, None)],
    ),
    # Budgets
    "less than the budget": (hourly(target=2, namespace=2, cluster=2), [an_action(before(minutes=10))], []),
    "as much on the target as its budget": (
        hourly(target=2),
        [an_action(before(minutes=10)), an_action(before(minutes=50))],
        [(Guard.TARGET_BUDGET, after(minutes=10))],
    ),
    "more than the budget": (
        hourly(target=2),
        [an_action(before(minutes=minutes)) for minutes in (50, 40, 30, 20)],
        [(Guard.TARGET_BUDGET, after(minutes=30))],
    ),
    "the last moment of an hour": (
        hourly(target=1),
        [an_action(before(minutes=59, seconds=59))],
        [(Guard.TARGET_BUDGET, after(seconds=1))],
    ),
    "an hour ago": (hourly(target=1), [an_action(before(minutes=60))], []),
    "the undo of an action is an action": (
        hourly(target=2),
        [an_action(before(minutes=50), "Regressed"), an_action(before(minutes=40), undoes=True)],
        [(Guard.TARGET_BUDGET, after(minutes=10))],
    ),
    "on other targets of the namespace": (
        hourly(target=1, namespace=2, cluster=3),
        elsewhere(50, 20),
        [(Guard.NAMESPACE_BUDGET, after(minutes=10))],
    ),
    "in other namespaces": (
        hourly(target=1, namespace=1, cluster=2),
        elsewhere(50, 20, namespace="bank"),
        [(Guard.CLUSTER_BUDGET, after(minutes=10))],
    ),
    "all budgets at once": (
        hourly(target=1, namespace=1, cluster=1),
        [an_action(before(minutes=30))],
        [(guard, after(minutes=30)) for guard in (Guard.TARGET_BUDGET, Guard.NAMESPACE_BUDGET, Guard.CLUSTER_BUDGET)],
    ),
    "a budget of nothing": (hourly(cluster=0), [], [(Guard.CLUSTER_BUDGET, None)]),
    "a clock that runs ahead": (
        hourly(target=1),
        [an_action(after(minutes=10))],
        [(Guard.TARGET_BUDGET, after(hours=1))],
    ),
    "a failure that a clock puts into the future": (
        cooling(),
        [an_action(after(minutes=10), "Regressed")],
        [(Guard.COOLDOWN, after(minutes=5))],
    ),
    # Blast radius
    "as many targets as may be": (
        free_rules(targets_per_hour=2),
        elsewhere(50, 20),
        [(Guard.BLAST_RADIUS, after(minutes=10))],
    ),
    "as many targets as may be, and this is one of them": (
        free_rules(targets_per_hour=2),
        [*elsewhere(50), an_action(before(minutes=20))],
        [],
    ),
    "more targets than may be, and this is one of them": (
        free_rules(targets_per_hour=2),
        [*elsewhere(50, 40), an_action(before(minutes=20))],
        [(Guard.BLAST_RADIUS, after(minutes=10))],
    ),
    "many actions on few targets": (
        free_rules(targets_per_hour=2),
        [an_action(before(minutes=minutes), target=CART) for minutes in (50, 40, 30)],
        [],
    ),
    "a target leaves the hour with its last action": (
        free_rules(targets_per_hour=1),
        [an_action(before(minutes=minutes), target=CART) for minutes in (50, 40, 30)],
        [(Guard.BLAST_RADIUS, after(minutes=30))],
    ),
    "targets of other namespaces": (free_rules(targets_per_hour=2), elsewhere(50, 20, namespace="bank"), []),
    "targets of the whole cluster": (
        free_rules(cluster_targets_per_hour=2),
        [*elsewhere(50, namespace="bank"), *elsewhere(20)],
        [(Guard.BLAST_RADIUS, after(minutes=10))],
    ),
    "no target at all": (free_rules(targets_per_hour=0), [], [(Guard.BLAST_RADIUS, None)]),
}


@pytest.mark.parametrize(("rules", "past", "expected"), SITUATIONS.values(), ids=SITUATIONS.keys())
def test_holds(rules: guardrails.Guardrails, past: list[history.Past], expected: Expected) -> None:
    assert [(hold.guard, hold.until) for hold in judge(rules, past)] == expected
    assert judge(rules, past[::-1]) == judge(rules, past)


def test_all_holds_are_told_in_order() -> None:
    rules = some_rules(
        suspend=True,
        freeze_windows=(a_window("0 12 * * *", hours=3),),
        actions_per_hour={"target": 1, "namespace": 1, "cluster": 1},
        targets_per_hour=1,
    )
    past = [failed(2), failed(1), an_action(before(minutes=1), None), *elsewhere(30)]
    held = judge(rules, past)
    assert [hold.guard for hold in held] == [guard for guard in Guard if guard is not Guard.DISRUPTION]
    assert holds.strongest_until(held) is None


def test_node_is_the_same_one_for_every_namespace() -> None:
    acting = an_action(before(minutes=1), None, namespace="bank", incident="bank/other", target=NODE)
    assert [hold.guard for hold in judge(free_rules(), [acting], target=NODE)] == [Guard.IN_FLIGHT]
    done = acting.model_copy(update={"outcome": "Verified", "ended_at": NOW})
    assert [hold.guard for hold in judge(hourly(target=1, namespace=1), [done], target=NODE)] == [Guard.TARGET_BUDGET]


BROKEN = "the last 2 actions in namespace shop did not help: shop/first (Regressed) and shop/second (Inconclusive); nothing is done until"
SPREAD = "were acted on in the last hour, and Deployment/payments would be one more"
MESSAGES: dict[str, tuple[guardrails.Guardrails, list[history.Past], str]] = {
    "suspended": (
        free_rules(suspend=True),
        [],
        "remediation is suspended in this namespace (RemediationPolicy spec.suspend); nothing is done until that is taken back",
    ),
    "in flight": (
        free_rules(),
        [an_action(before(minutes=1), None)],
        "incident shop/earlier is acting on Deployment/payments; this one is looked at again after that",
    ),
    "the circuit breaker": (
        free_rules(**ARMED),
        FAILURES,
        f"{BROKEN} a person has looked into them and sets spec.breakerResetAt of every RemediationPolicy here to the present time",
    ),
    "the circuit breaker and a reset in the future": (
        free_rules(breaker_reset_at=after(days=1)),
        FAILURES,
        f"{BROKEN} 2026-07-04 14:00:00, the time in spec.breakerResetAt",
    ),
    "one failure": (
        cooling(),
        [failed(1)],
        "Deployment/payments is left alone for 5 min after an action: the last one did not help, and the next may run at 14:04:00",
    ),
    "several failures": (
        cooling(failure=3601),
        [failed(2), failed(1)],
        "Deployment/payments is left alone for 2 h 2 s after an action: the last 2 did not help, and the next may run at 15:59:02",
    ),
    "a pause after an action that helped": (
        cooling(success=90),
        [an_action(before(minutes=2))],
        "Deployment/payments is left alone for 1 min 30 s after an action: the next may run at 14:00:30",
    ),
    "a freeze window": (
        free_rules(freeze_windows=(a_window("0 12 * * *", hours=3),)),
        [],
        "freeze window nights (0 12 * * *, UTC) lasts until 2026-07-03 15:00:00 UTC",
    ),
    "the budget of the target": (
        hourly(target=1),
        [an_action(before(minutes=54, seconds=49.5))],
        "1 of 1 actions on Deployment/payments in the last hour; the next may run at 14:05:11",
    ),
    "the budget of the namespace": (
        hourly(namespace=1),
        [an_action(before(minutes=30))],
        "1 of 1 actions in namespace shop in the last hour; the next may run at 14:30:00",
    ),
    "a budget of nothing": (
        hourly(cluster=0),
        [],
        "0 of 0 actions in the cluster in the last hour; none may run until a person raises that",
    ),
    "the blast radius": (
        free_rules(targets_per_hour=1),
        elsewhere(30),
        f"1 of 1 different targets in namespace shop {SPREAD}; the next may run at 14:30:00",
    ),
}


@pytest.mark.parametrize(("rules", "past", "message"), MESSAGES.values(), ids=MESSAGES.keys())
def test_message(rules: guardrails.Guardrails, past: list[history.Past], message: str) -> None:
    assert [hold.message for hold in judge(rules, past)] == [message]


def a_hold(until: datetime | None, guard: Guard = Guard.FROZEN) -> holds.Hold:
    return holds.Hold(guard=guard, message="", until=until)


@pytest.mark.parametrize(
    ("held", "until"),
    [
        ([], None),
        ([a_hold(NOW)], NOW),
        ([a_hold(NOW), a_hold(after(hours=1)), a_hold(NOW)], after(hours=1)),
        ([a_hold(NOW), a_hold(None)], None),
        ([a_hold(None, Guard.IN_FLIGHT)], None),
        ([a_hold(None, Guard.IN_FLIGHT), a_hold(NOW)], NOW),
    ],
)
def test_strongest_until(held: list[holds.Hold], until: datetime | None) -> None:
    assert holds.strongest_until(held) == until


STANDINGS: dict[str, tuple[guardrails.Guardrails, list[history.Past], dict[str, Any]]] = {
    "nothing set, nothing done": (free_rules(), [], {}),
    "some of the budget is used": (
        hourly(namespace=10, cluster=60),
        [*elsewhere(10, 20, 30), *elsewhere(70), *elsewhere(5, namespace="bank")],
        {"actions_last_hour": 3, "budget": "7 of 10 left this hour"},
    ),
    "the cluster has less left": (
        hourly(namespace=4, cluster=5),
        [*elsewhere(10), *elsewhere(20, 30, namespace="bank")],
        {"actions_last_hour": 1, "budget": "2 of 5 left this hour in the cluster"},
    ),
    "the budget was made smaller": (hourly(namespace=1), elsewhere(10, 20), {"actions_last_hour": 2, "budget": "0 of 1 left this hour"}),
    "the circuit breaker is open": (free_rules(**ARMED), FAILURES, {"actions_last_hour": 2, "breaker": "Open"}),
    "frozen": (free_rules(freeze_windows=(a_window("0 12 * * *", hours=3),)), [], {"frozen_until": "2026-07-03T15:00:00Z"}),
    "frozen for long": (
        free_rules(freeze_windows=(a_window("* * * * *", hours=1),)),
        [],
        {"frozen_until": "at least 2026-07-11T23:00:00Z"},
    ),
    "frozen by mistake": (free_rules(freeze_windows=(a_window("0 99 * * *"),)), [], {"frozen_until": "unreadable: nights"}),
    "suspended": (free_rules(suspend=True), [], {"suspended": True}),
}


@pytest.mark.parametrize(("rules", "past", "expected"), STANDINGS.values(), ids=STANDINGS.keys())
def test_standing(rules: guardrails.Guardrails, past: list[history.Past], expected: dict[str, Any]) -> None:
    quiet = {"actions_last_hour": 0, "budget": "", "breaker": "Closed", "frozen_until": "", "suspended": False}
    assert holds.standing(rules, past, namespace="shop", now=NOW).model_dump(by_alias=False) == {**quiet, **expected}


def test_long_names_fit_into_a_message() -> None:
    name = "shop/" + "x" * 250
    past = [an_action(before(minutes=minutes), None, incident=f"{name}{minutes}") for minutes in range(8)]
    (hold,) = judge(free_rules(), past)
    assert len(hold.message) == 1024


def test_nodes_are_taken_one_at_a_time_because_each_may_be_the_last_that_the_other_leaves() -> None:
    first, second = ("", "Node", "node-1"), ("", "Node", "node-2")
    assert history.excludes(first, second)
    assert not history.excludes(("shop", "Deployment", "web"), ("shop", "Deployment", "api"))
    assert history.excludes(("shop", "Deployment", "web"), ("shop", "Deployment", "web"))
