"""What a namespace allows: the strictest of several policies, and each objection as a sentence."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from domain import rails, strategies
from domain.builders import some_rules
from safety_governor.domain import approvals, guardrails, plans, values

ActionType = values.ActionType
RESTART = (plans.Step(id="step-1", type=ActionType.ROLLOUT_RESTART),)
MANUAL = (plans.Step(id="step-1", type=ActionType.MANUAL),)
SCALE = (plans.Step(id="step-1", type=ActionType.SCALE),)
CHECKOUT = plans.Target(name="checkout")


NIGHTS = rails.a_window()
SALE = rails.a_window("0 0 24 11 *", hours=96, name="sale")
SECONDS = guardrails.PatchableField(path="spec.minReadySeconds")
PAUSED = guardrails.PatchableField(path="spec.paused")


def named(*rules: guardrails.Guardrails) -> list[guardrails.Named]:
    return [guardrails.Named(name=f"rules-{number}", rules=one) for number, one in enumerate(rules)]


def protecting(name: str, kind: str = "Deployment") -> guardrails.Guardrails:
    return some_rules(protected_targets=(guardrails.ProtectedTarget(kind=kind, name=name),))


OBJECTIONS: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "the namespace has opted in and allows it": ({}, ()),
    "the namespace has not opted in": ({"rules": None}, ("namespace shop has no RemediationPolicy, so nothing may be done in it",)),
    "a namespace that is protected for good": ({"namespace": "kube-system"}, ("namespace kube-system is protected for good",)),
    "the governor's own namespace": ({"namespace": "governor-system"}, ("namespace governor-system is protected for good",)),
    "a protected kind": ({"target": plans.Target(kind="Secret", name="checkout")}, ("Secret is a protected kind",)),
    "a kind that this version cannot act on": (
        {"target": plans.Target(kind="ReplicaSet", name="checkout")},
        ("this version cannot act on a ReplicaSet",),
    ),
    "a protected target": ({"rules": protecting("checkout")}, ("Deployment/checkout is a protected target",)),
    "every target of the kind is protected": ({"rules": protecting("*")}, ("Deployment/checkout is a protected target",)),
    "another target is protected": ({"rules": protecting("cart")}, ()),
    "a target of the same name and another kind is protected": ({"rules": protecting("checkout", "StatefulSet")}, ()),
    "a kind of step that is not allowed": ({"steps": SCALE}, ("Scale is not among the allowed actions (RolloutRestart)",)),
    "an empty list allows nothing": (
        {"rules": guardrails.Guardrails(allowed_actions=())},
        ("RolloutRestart is not among the allowed actions (none)",),
    ),
    "what people do needs no permission of ours": ({"steps": MANUAL}, ()),
    "all objections are told": (
        {"namespace": "kube-system", "target": plans.Target(kind="Secret", name="checkout"), "rules": None},
        (
            "namespace kube-system is protected for good",
            "Secret is a protected kind",
            "namespace kube-system has no RemediationPolicy, so nothing may be done in it",
        ),
    ),
}


@pytest.mark.parametrize(("changes", "expected"), OBJECTIONS.values(), ids=OBJECTIONS.keys())
def test_objections(changes: dict[str, Any], expected: tuple[str, ...]) -> None:
    asked = {"rules": some_rules(), "namespace": "shop", "target": CHECKOUT, "steps": RESTART, **changes}
    rules = asked.pop("rules")
    assert guardrails.objections(rules, **asked) == expected


def test_without_a_policy_there_are_no_rules() -> None:
    assert guardrails.strictest([]) is None


def test_single_policy_holds_as_it_is() -> None:
    rules = protecting("checkout")
    assert guardrails.strictest(named(rules)) == rules


STRICTEST: dict[str, tuple[list[guardrails.Guardrails], guardrails.Guardrails]] = {
    "only what all allow": (
        [some_rules(ActionType.SCALE, ActionType.ROLLOUT_RESTART), some_rules(ActionType.ROLLOUT_RESTART)],
        some_rules(ActionType.ROLLOUT_RESTART),
    ),
    "nothing that all allow": ([some_rules(ActionType.SCALE), some_rules()], guardrails.Guardrails(allowed_actions=())),
    "what any protects": (
        [protecting("a"), protecting("b")],
        some_rules(protected_targets=(guardrails.ProtectedTarget(name="a"), guardrails.ProtectedTarget(name="b"))),
    ),
    "the shortest time for people": (
        [some_rules(approval={"expires_after_seconds": 600}), some_rules(), some_rules(approval={"expires_after_seconds": 90})],
        some_rules(approval={"expires_after_seconds": 90}),
    ),
    "two people wherever any demands them": (
        [some_rules(approval={"two_person_rule": ("critical",)}), some_rules(approval={"two_person_rule": ("FORCE_OVERRIDE",)})],
        some_rules(approval={"two_person_rule": ("FORCE_OVERRIDE", "critical")}),
    ),
    "telemetry where any requires it": ([some_rules(), some_rules(require_telemetry=True)], some_rules(require_telemetry=True)),
    "suspended where any is": ([some_rules(suspend=True), some_rules()], some_rules(suspend=True)),
    "the smaller of two shares of pods": (
        [some_rules(max_unavailable="25%"), some_rules(), some_rules(max_unavailable="10%")],
        some_rules(max_unavailable="10%"),
    ),
    "the smaller of two numbers of pods": (
        [some_rules(max_unavailable="10"), some_rules(max_unavailable="9")],
        some_rules(max_unavailable="9"),
    ),
    "a share and a number of pods together": (
        [some_rules(max_unavailable="25%"), some_rules(max_unavailable="2"), some_rules(max_unavailable="3,20%")],
        some_rules(max_unavailable="2,20%"),
    ),
    "the smallest of each budget": (
        [
            some_rules(actions_per_hour={"target": 3, "namespace": 10}, targets_per_hour=4),
            some_rules(actions_per_hour={"namespace": 5, "cluster": 0}, targets_per_hour=9, cluster_targets_per_hour=8),
        ],
        some_rules(actions_per_hour={"target": 3, "namespace": 5, "cluster": 0}, targets_per_hour=4, cluster_targets_per_hour=8),
    ),
    "the longest of each pause": (
        [
            some_rules(cooldown={"after_success_seconds": 60, "after_failure_seconds": 60, "longest_seconds": 600}),
            some_rules(cooldown={"after_failure_seconds": 30, "longest_seconds": 900}),
        ],
        some_rules(cooldown={"after_success_seconds": 60, "after_failure_seconds": 60, "longest_seconds": 900}),
    ),
    "the usual pause where one policy does not speak of it": (
        [some_rules(cooldown={"after_failure_seconds": 60}), some_rules()],
        some_rules(),
    ),
    "frozen whenever any is": (
        [some_rules(freeze_windows=(NIGHTS,)), some_rules(freeze_windows=(SALE, NIGHTS))],
        some_rules(freeze_windows=(NIGHTS, SALE)),
    ),
    "only the jobs, fields and webhooks that all name who name any": (
        [
            some_rules(job_templates=("report", "reindex"), patchable=(SECONDS, PAUSED), webhooks=("failover",)),
            some_rules(),
            some_rules(job_templates=("reindex", "vacuum"), patchable=(PAUSED,), webhooks=()),
        ],
        some_rules(job_templates=("reindex",), patchable=(PAUSED,), webhooks=()),
    ),
    "no target from Git where any refuses it": (
        [some_rules(), some_rules(git_ops=guardrails.GitOps.REFUSE)],
        some_rules(git_ops=guardrails.GitOps.REFUSE),
    ),
    "watched as closely as any demands": (
        [
            some_rules(verification={"soak_seconds": 60, "timeout_seconds": 600}),
            some_rules(verification={"soak_seconds": 300, "require_alert_resolved": True}),
            some_rules(verification={"timeout_seconds": 90}),
        ],
        some_rules(verification={"soak_seconds": 300, "timeout_seconds": 90, "require_alert_resolved": True}),
    ),
    "the circuit breaker since the earliest of all resets": (
        [some_rules(breaker_reset_at=rails.before(hours=1)), some_rules(breaker_reset_at=rails.before(hours=2))],
        some_rules(breaker_reset_at=rails.before(hours=2)),
    ),
    "the circuit breaker without a reset that not all have": ([some_rules(breaker_reset_at=rails.NOW), some_rules()], some_rules()),
}


@pytest.mark.parametrize(("rules", "expected"), STRICTEST.values(), ids=STRICTEST.keys())
def test_of_several_policies_the_strictest_holds(rules: list[guardrails.Guardrails], expected: guardrails.Guardrails) -> None:
    assert guardrails.strictest(named(*rules)) == expected


def test_no_protected_target_falls_off_the_end_of_many() -> None:
    many = [
        some_rules(protected_targets=tuple(guardrails.ProtectedTarget(name=f"{policy}-{number}") for number in range(64)))
        for policy in "abc"
    ]
    rules = guardrails.strictest(named(*many))
    assert guardrails.objections(rules, namespace="shop", target=plans.Target(name="c-63"), steps=RESTART)


def forbidden(rules: guardrails.Guardrails | None, target: plans.Target, step: plans.Step) -> bool:
    return bool(guardrails.objections(rules, namespace="shop", target=target, steps=(step,)))


Rules = guardrails.Guardrails
LIMITS: tuple[Callable[[Rules], int | None], ...] = (
    lambda rules: rules.actions_per_hour.target,
    lambda rules: rules.actions_per_hour.namespace,
    lambda rules: rules.actions_per_hour.cluster,
    lambda rules: rules.targets_per_hour,
    lambda rules: rules.cluster_targets_per_hour,
    lambda rules: guardrails.unavailable_limit(rules, 3),
    lambda rules: guardrails.unavailable_limit(rules, 40),
    lambda rules: rules.verification.timeout_seconds,
    lambda rules: rules.approval.expires_after_seconds,
)
DUTIES: tuple[Callable[[Rules], Any], ...] = (
    lambda rules: set(rules.protected_targets),
    lambda rules: set(rules.freeze_windows),
    lambda rules: set(rules.approval.two_person_rule),
    lambda rules: rules.cooldown.after_success_seconds,
    lambda rules: rules.cooldown.after_failure_seconds,
    lambda rules: rules.cooldown.longest_seconds,
    lambda rules: rules.verification.soak_seconds or 0,
    lambda rules: rules.verification.require_alert_resolved,
    lambda rules: rules.git_ops is guardrails.GitOps.REFUSE,
    lambda rules: rules.breaker_reset_at is None,
    lambda rules: rules.require_telemetry,
    lambda rules: rules.suspend,
)
ALLOWED: tuple[Callable[[Rules], tuple[Any, ...] | None], ...] = (
    lambda rules: rules.allowed_actions,
    lambda rules: rules.job_templates,
    lambda rules: rules.patchable,
    lambda rules: rules.webhooks,
)


def no_looser(after: Rules, before: Rules) -> bool:
    """Whether no limit has grown, no list has got longer, and nothing is demanded no more."""
    limits = [(limit(before), limit(after)) for limit in LIMITS]
    # A list that is absent says nothing, so the first list of all is the first to allow anything.
    allowed = [(listed(before), listed(after)) for listed in ALLOWED]
    return (
        all(new is not None and new <= old for old, new in limits if old is not None)
        and all(duty(before) <= duty(after) for duty in DUTIES)
        and all(set(new or ()) <= set(old) for old, new in allowed if old is not None)
    )


@given(
    present=st.lists(rails.NAMED, min_size=1, max_size=3),
    more=rails.NAMED,
    target=strategies.TARGETS,
    kind=strategies.KINDS,
    at=st.integers(0, 3),
)
def test_one_more_policy_never_allows_more(
    present: list[guardrails.Named], more: guardrails.Named, target: plans.Target, kind: ActionType, at: int
) -> None:
    before, after = guardrails.strictest(present), guardrails.strictest([*present[:at], more, *present[at:]])
    assert before is not None
    assert after is not None
    step = plans.Step(id="step-1", type=kind)
    assert forbidden(after, target, step) >= forbidden(before, target, step)
    assert no_looser(after, before)


@given(rules=rails.any_rules(), ceilings=rails.CEILINGS, lower=rails.CEILINGS)
def test_ceilings_only_tighten(rules: guardrails.Guardrails, ceilings: guardrails.Ceilings, lower: guardrails.Ceilings) -> None:
    tight = guardrails.tightened(rules, ceilings)
    assert no_looser(tight, rules)
    assert guardrails.tightened(tight, ceilings) == tight
    assert guardrails.tightened(tight, lower) == guardrails.tightened(guardrails.tightened(rules, lower), ceilings)
    assert tight.actions_per_hour.cluster is not None
    assert tight.actions_per_hour.cluster <= ceilings.actions_per_hour.cluster


def test_ceilings_hold_where_no_policy_sets_a_limit() -> None:
    tight = guardrails.tightened(some_rules(), guardrails.Ceilings())
    assert tight == some_rules(actions_per_hour={"target": 6, "namespace": 20, "cluster": 60}, cluster_targets_per_hour=30)


@given(present=st.lists(rails.NAMED, min_size=1, max_size=3))
def test_order_and_repetition_of_policies_do_not_matter(present: list[guardrails.Named]) -> None:
    first, second = guardrails.strictest(present), guardrails.strictest([*present[::-1], present[0]])
    assert first is not None
    assert second is not None
    assert no_looser(first, second)
    assert no_looser(second, first)
    ordered = {"protected_targets": (), "freeze_windows": ()}
    assert first.model_copy(update=ordered) == second.model_copy(update=ordered)


ORIGINS: dict[str, tuple[dict[str, guardrails.Guardrails], dict[str, tuple[str, ...]]]] = {
    "one policy that says little": ({"a": some_rules()}, {"allowedActions": ("a",)}),
    "each says something else": (
        {"a": some_rules(suspend=True), "b": some_rules(actions_per_hour={"namespace": 5})},
        {"allowedActions": ("a", "b"), "actionsPerHour.namespace": ("b",), "suspend": ("a",)},
    ),
    "the stricter of two": (
        {"a": some_rules(max_unavailable="25%"), "b": some_rules(max_unavailable="10%"), "c": some_rules(max_unavailable="10%")},
        {"allowedActions": ("a", "b", "c"), "maxUnavailable": ("b", "c")},
    ),
    "only both together": (
        {
            "a": some_rules(ActionType.SCALE, ActionType.ROLLOUT_RESTART, max_unavailable="25%"),
            "b": some_rules(ActionType.CORDON, ActionType.ROLLOUT_RESTART, max_unavailable="2"),
        },
        {"allowedActions": ("a", "b"), "maxUnavailable": ("a", "b")},
    ),
    "one that alone is as strict as both": (
        {"a": some_rules(ActionType.SCALE, ActionType.ROLLOUT_RESTART), "b": some_rules(ActionType.ROLLOUT_RESTART)},
        {"allowedActions": ("b",)},
    ),
    "what holds is what holds anyway": (
        {"a": some_rules(cooldown={"after_failure_seconds": 60}), "b": some_rules(breaker_reset_at=rails.NOW)},
        {"allowedActions": ("a", "b")},
    ),
    "a list that allows nothing says something": (
        {"a": some_rules(webhooks=("failover",)), "b": some_rules(webhooks=())},
        {"allowedActions": ("a", "b"), "webhooks": ("b",)},
    ),
    "the same in another order": (
        {
            "a": some_rules(freeze_windows=(NIGHTS, SALE)),
            "b": some_rules(freeze_windows=(SALE, NIGHTS)),
            "c": some_rules(freeze_windows=(SALE,)),
        },
        {"allowedActions": ("a", "b", "c"), "freezeWindows": ("a", "b")},
    ),
    "no policy at all": ({}, {}),
}


@pytest.mark.parametrize(("policies", "expected"), ORIGINS.values(), ids=ORIGINS.keys())
def test_origins(policies: dict[str, guardrails.Guardrails], expected: dict[str, tuple[str, ...]]) -> None:
    found = guardrails.origins([guardrails.Named(name=name, rules=rules) for name, rules in policies.items()])
    assert found == expected


@pytest.mark.parametrize(
    ("max_unavailable", "wanted", "limit"),
    [
        (None, 10, None),
        ("2", 10, 2),
        ("2", 1, 2),
        ("0", 10, 0),
        ("25%", 10, 2),
        ("25%", 8, 2),
        ("25%", 7, 1),
        ("25%", 3, 1),
        ("1%", 1, 1),
        ("0%", 10, 0),
        ("100%", 7, 7),
        ("2,25%", 100, 2),
        ("2,25%", 4, 1),
        ("0,100%", 4, 0),
    ],
)
def test_unavailable_limit(max_unavailable: str | None, wanted: int, limit: int | None) -> None:
    assert guardrails.unavailable_limit(some_rules(max_unavailable=max_unavailable), wanted) == limit


@pytest.mark.parametrize("limit", ["", "25", "2,25%", "0%"])
def test_limit_of_pods_that_is_one(limit: str) -> None:
    assert some_rules(max_unavailable=limit or None).max_unavailable == (limit or None)


@pytest.mark.parametrize("limit", ["", "101%", "-1", "25 %", "%", "2.5", "25%,2", "2,3", "2,", "all", "007", "100000"])
def test_limit_of_pods_that_is_none_is_refused(limit: str) -> None:
    with pytest.raises(ValidationError):
        some_rules(max_unavailable=limit)


def test_what_no_policy_names_may_not_be_started_set_or_called() -> None:
    for rules in (some_rules(), some_rules(job_templates=(), patchable=(), webhooks=())):
        assert not guardrails.may_start(rules, "reindex")
        assert not guardrails.may_patch(rules, kind="Deployment", path="spec.paused")
        assert not guardrails.may_call(rules, "failover")


def test_what_is_named_may_be_started_set_and_called() -> None:
    rules = some_rules(job_templates=("reindex",), patchable=(PAUSED,), webhooks=("failover",))
    assert guardrails.may_start(rules, "reindex")
    assert guardrails.may_patch(rules, kind="Deployment", path="spec.paused")
    assert not guardrails.may_patch(rules, kind="StatefulSet", path="spec.paused")
    assert not guardrails.may_patch(rules, kind="Deployment", path="spec")
    assert guardrails.may_call(rules, "failover")


@pytest.mark.parametrize(
    "changes",
    [
        {"actions_per_hour": {"target": -1}},
        {"targets_per_hour": -1},
        {"cooldown": {"after_failure_seconds": -1}},
        {"cooldown": {"longest_seconds": 8 * 86_400}},
        {"verification": {"timeout_seconds": 0}},
        {"breaker_reset_at": "2026-07-03T14:00:00"},
        {"git_ops": "Ignore"},
        {"freeze_windows": (NIGHTS,) * 33},
        {"patchable": ({"kind": "Deployment"},)},
    ],
    ids=str,
)
def test_what_makes_no_sense_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        some_rules(**changes)


@pytest.mark.parametrize("seconds", [0, 59, 1801, -1])
def test_time_for_people_outside_its_bounds_is_refused(seconds: int) -> None:
    with pytest.raises(ValidationError):
        approvals.ApprovalRules(expires_after_seconds=seconds)
