"""What more policies, more actions and more time do to what holds an action back, whatever the policies and the past are."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TypeAlias

from hypothesis import given
from hypothesis import strategies as st

from domain import rails
from domain.rails import NOW, after
from safety_governor.domain import freezes, guardrails, history, holds, plans

Guard = holds.Guard


def judge(
    rules: guardrails.Guardrails, past: Sequence[history.Past], *, target: plans.Target, now: datetime = NOW
) -> tuple[holds.Hold, ...]:
    return holds.judge(rules, past, namespace="shop", target=target, incident="shop/a", now=now)


PASTS = st.lists(rails.past_actions(), max_size=8)
Untils: TypeAlias = dict[tuple[Guard, str], datetime | None]


def untils(held: Sequence[holds.Hold]) -> Untils:
    """Of each hold the time at which it is over; the two of BlastRadius are told apart by what they speak of."""
    return {(hold.guard, "cluster" if " in the cluster" in hold.message else ""): hold.until for hold in held}


def no_weaker(now: Untils, then: Untils) -> bool:
    """Whether every hold of then is there now, and none is over any earlier."""
    never = datetime.max.replace(tzinfo=UTC)
    return all(hold in now and (now[hold] or never) >= (until or never) for hold, until in then.items())


def is_long(rules: guardrails.Guardrails) -> bool:
    """Whether more freeze windows follow each other than are looked at."""
    frozen = freezes.frozen_until(rules.freeze_windows, NOW)
    return frozen is not None and frozen.at_least


@given(present=st.lists(rails.NAMED, min_size=1, max_size=3), more=rails.NAMED, past=PASTS, target=rails.TARGETS)
def test_one_more_policy_never_lets_an_action_go(
    present: list[guardrails.Named], more: guardrails.Named, past: list[history.Past], target: plans.Target
) -> None:
    fewer, all_of_them = guardrails.strictest(present), guardrails.strictest([*present, more])
    assert fewer is not None and all_of_them is not None
    then, now = untils(judge(fewer, past, target=target)), untils(judge(all_of_them, past, target=target))
    assert set(now) >= set(then)
    # The more windows there are, the fewer links of a chain are looked at.
    assert no_weaker(now, {hold: until for hold, until in then.items() if hold[0] is not Guard.FROZEN or not is_long(all_of_them)})


@given(rules=rails.any_rules(), ceilings=rails.CEILINGS, past=PASTS, target=rails.TARGETS)
def test_ceilings_never_let_an_action_go(
    rules: guardrails.Guardrails, ceilings: guardrails.Ceilings, past: list[history.Past], target: plans.Target
) -> None:
    then = untils(judge(rules, past, target=target))
    assert no_weaker(untils(judge(guardrails.tightened(rules, ceilings), past, target=target)), then)


NOT_HELPFUL = st.none() | st.sampled_from((rails.Outcome.REGRESSED, rails.Outcome.INCONCLUSIVE))


@given(
    rules=rails.any_rules(),
    past=PASTS,
    more=rails.past_actions(outcomes=NOT_HELPFUL),
    target=rails.TARGETS,
)
def test_one_more_action_that_did_not_help_never_lets_an_action_go(
    rules: guardrails.Guardrails, past: list[history.Past], more: history.Past, target: plans.Target
) -> None:
    assert no_weaker(untils(judge(rules, [*past, more], target=target)), untils(judge(rules, past, target=target)))


@given(rules=rails.any_rules(), past=PASTS, more=rails.past_actions(), target=rails.TARGETS)
def test_one_more_action_that_helped_ends_failures_and_nothing_else(
    rules: guardrails.Guardrails, past: list[history.Past], more: history.Past, target: plans.Target
) -> None:
    then = untils(judge(rules, past, target=target))
    ended = {Guard.BREAKER, Guard.COOLDOWN} if more.outcome is rails.Outcome.VERIFIED and not more.undoes else set()
    kept = {hold: until for hold, until in then.items() if hold[0] not in ended}
    assert no_weaker(untils(judge(rules, [*past, more], target=target)), kept)


@given(rules=rails.any_rules(), past=st.lists(rails.past_actions(furthest=20), max_size=8), target=rails.TARGETS)
def test_hold_is_over_at_the_time_it_names(rules: guardrails.Guardrails, past: list[history.Past], target: plans.Target) -> None:
    for hold, until in untils(judge(rules, past, target=target)).items():
        if until is None:
            continue
        assert until > NOW
        again = untils(judge(rules, past, now=until, target=target))
        if hold not in again:
            continue
        # What a clock that runs ahead has put into the future counts until that is past.
        ahead = any(one.finished_at > NOW or one.claimed_at > NOW for one in past)
        assert ahead or (hold[0] is Guard.FROZEN and is_long(rules))
        later = again[hold]
        assert later is not None and later > until


@given(rules=rails.any_rules(), past=PASTS, target=rails.TARGETS, minutes=st.integers(0, 60))
def test_hold_stands_until_the_time_it_names(
    rules: guardrails.Guardrails, past: list[history.Past], target: plans.Target, minutes: int
) -> None:
    later = after(minutes=minutes)
    again = untils(judge(rules, past, now=later, target=target))
    for hold, until in untils(judge(rules, past, target=target)).items():
        assert hold in again or (until is not None and until <= later)


@given(rules=rails.any_rules(), past=PASTS)
def test_standing_tells_what_the_holds_tell(rules: guardrails.Guardrails, past: list[history.Past]) -> None:
    shown, held = (
        holds.standing(rules, past, namespace="shop", now=NOW),
        {hold.guard for hold in judge(rules, past, target=plans.Target(name="cart"))},
    )
    assert (shown.breaker is holds.Breaker.OPEN) == (Guard.BREAKER in held)
    assert (shown.frozen_until != "") == (Guard.FROZEN in held)
    assert shown.suspended == (Guard.SUSPENDED in held)
    assert shown.budget.startswith("0 ") == bool({Guard.NAMESPACE_BUDGET, Guard.CLUSTER_BUDGET} & held)
