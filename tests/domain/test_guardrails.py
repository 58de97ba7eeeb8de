"""What a namespace allows: the strictest of several policies, and each objection as a sentence."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from domain import strategies
from domain.builders import some_rules
from safety_governor.domain import approvals, guardrails, plans, values

ActionType = values.ActionType
RESTART = (plans.Step(id="step-1", type=ActionType.ROLLOUT_RESTART),)
MANUAL = (plans.Step(id="step-1", type=ActionType.MANUAL),)
SCALE = (plans.Step(id="step-1", type=ActionType.SCALE),)
CHECKOUT = plans.Target(name="checkout")


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


@given(
    present=st.lists(strategies.NAMED, min_size=1, max_size=3),
    more=strategies.NAMED,
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
    assert set(after.allowed_actions) <= set(before.allowed_actions)
    assert set(after.protected_targets) >= set(before.protected_targets)
    assert after.suspend >= before.suspend
    assert after.require_telemetry >= before.require_telemetry
    assert set(after.approval.two_person_rule) >= set(before.approval.two_person_rule)
    assert (after.approval.expires_after_seconds or 1800) <= (before.approval.expires_after_seconds or 1800)


@given(present=st.lists(strategies.NAMED, min_size=1, max_size=3), target=strategies.TARGETS, steps=strategies.STEPS)
def test_order_of_policies_does_not_matter(present: list[guardrails.Named], target: plans.Target, steps: list[plans.Step]) -> None:
    first, second = guardrails.strictest(present), guardrails.strictest(present[::-1])
    assert guardrails.objections(first, namespace="shop", target=target, steps=steps) == guardrails.objections(
        second, namespace="shop", target=target, steps=steps
    )


@pytest.mark.parametrize("seconds", [0, 59, 1801, -1])
def test_time_for_people_outside_its_bounds_is_refused(seconds: int) -> None:
    with pytest.raises(ValidationError):
        approvals.ApprovalRules(expires_after_seconds=seconds)
