"""Which policies forbid an action: exact names, lower case, `*`, and an empty list that matches nothing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from domain.builders import ACTION, a_policy
from safety_governor.domain import documents, policies, values

HIGH = values.Severity.HIGH
NAMES = (ACTION, "RolloutRestart")

MATCHES: dict[str, tuple[dict[str, tuple[str, ...]], bool]] = {
    "the action at every severity": ({"blocked_actions": (ACTION,), "severities": ("*",)}, True),
    "the action at this severity": ({"blocked_actions": (ACTION,), "severities": ("high",)}, True),
    "the action at this severity and others": ({"blocked_actions": (ACTION,), "severities": ("low", "HIGH")}, True),
    "the action at another severity": ({"blocked_actions": (ACTION,), "severities": ("critical",)}, False),
    "the action in another case": ({"blocked_actions": (ACTION.upper(),)}, True),
    "a part of the name": ({"blocked_actions": ("restart",)}, False),
    "a longer name": ({"blocked_actions": (f"{ACTION}-now",)}, False),
    "a pattern is a name like any other": ({"blocked_actions": ("restart-*",)}, False),
    "every action": ({"blocked_actions": ("*",)}, True),
    "the type of a step": ({"blocked_actions": ("rolloutrestart",)}, True),
    "the type of another step": ({"blocked_actions": ("Scale",)}, False),
    "no action is not every action": ({"blocked_actions": ()}, False),
    "no severity is not every severity": ({"severities": ()}, False),
    "one of several actions": ({"blocked_actions": ("scale", ACTION)}, True),
}


@pytest.mark.parametrize(("changes", "forbidden"), MATCHES.values(), ids=MATCHES.keys())
def test_policy_forbids(changes: dict[str, tuple[str, ...]], forbidden: bool) -> None:
    found = policies.PolicySet([a_policy(**changes)]).conflicts(actions=NAMES, severity=HIGH)
    assert [one.policy for one in found] == (["pol-1"] if forbidden else [])


def test_conflict_carries_the_rule_and_its_demand() -> None:
    (found,) = policies.PolicySet([a_policy(release="FORCE_OVERRIDE")]).conflicts(actions=NAMES, severity=HIGH)
    assert found == policies.Conflict(policy="pol-1", rule="No restarts in business hours.", release=values.Release.FORCE_OVERRIDE)


def test_policy_that_matches_in_several_ways_is_one_conflict() -> None:
    doubled = a_policy(blocked_actions=("*", ACTION, "rolloutrestart"), severities=("*", "high"))
    assert len(policies.PolicySet([doubled]).conflicts(actions=NAMES, severity=HIGH)) == 1


def test_conflicts_are_ordered_by_id_whatever_the_order_of_reading() -> None:
    read = [a_policy(id=identifier) for identifier in ("pol-3", "pol-1", "pol-2")]
    assert [one.policy for one in policies.PolicySet(read).conflicts(actions=NAMES, severity=HIGH)] == ["pol-1", "pol-2", "pol-3"]


def test_without_policies_nothing_is_forbidden() -> None:
    assert policies.PolicySet([]).conflicts(actions=NAMES, severity=HIGH) == ()


def test_of_too_many_conflicts_the_strongest_demand_is_kept() -> None:
    read = [a_policy(id=f"pol-{number:03}") for number in range(100)] + [a_policy(id="pol-zzz", release="Impossible")]
    found = policies.PolicySet(read).conflicts(actions=NAMES, severity=HIGH)
    assert len(found) == policies.LIMIT
    assert found[-1].release is values.Release.IMPOSSIBLE


_READ = st.lists(
    st.builds(
        a_policy,
        id=st.sampled_from([f"pol-{number}" for number in range(6)]),
        blocked_actions=st.lists(st.sampled_from(["*", ACTION, ACTION.upper(), "scale"]), max_size=2).map(tuple),
        severities=st.lists(st.sampled_from(["*", "high", "LOW"]), max_size=2).map(tuple),
    ),
    unique_by=lambda one: one.id,
)


@given(read=_READ, severity=st.sampled_from(values.Severity))
def test_index_finds_what_reading_one_by_one_finds(read: list[documents.Policy], severity: values.Severity) -> None:
    names = {name.lower() for name in NAMES} | {"*"}
    expected = {one.id for one in read if names & set(one.blocked_actions) and {severity.value, "*"} & set(one.severities)}
    assert {one.policy for one in policies.PolicySet(read).conflicts(actions=NAMES, severity=severity)} == expected


REFUSED: dict[str, dict[str, object]] = {
    "a misspelt field": {"blocked_action": (ACTION,)},
    "a severity that does not exist": {"severities": ("severe",)},
    "a demand for nothing": {"release": "NotNeeded"},
    "an unknown demand": {"release": "MAYBE"},
    "no rule in words": {"rule": None},
}


@pytest.mark.parametrize("changes", REFUSED.values(), ids=REFUSED.keys())
def test_policy_document_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        a_policy(**changes)
