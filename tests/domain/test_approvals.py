"""What a person's word releases: the table, and that no word releases more than it says."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from domain.builders import DIGEST, OTHER_DIGEST, an_approval, clean_facts, conflict, judged
from safety_governor.domain import approvals, values, verdicts

Answer = approvals.Answer
Release = values.Release
RELEASED, REJECTED, REFUSED = Answer.RELEASED, Answer.REJECTED, Answer.REFUSED
UNANSWERED, EXPIRED, SECOND_MISSING = Answer.UNANSWERED, Answer.EXPIRED, Answer.SECOND_MISSING
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
EXPIRY = NOON + timedelta(minutes=30)
SECOND = timedelta(seconds=1)
REASON = "The primary is down and customers cannot pay."


def given_by(person: str = "bob@example.com", decision: str = "APPROVE", *, at: datetime = NOON, **changes: Any) -> approvals.Given:
    return approvals.Given(approval=an_approval(decision, approver=person, **changes), at=at)


def answered(*given_: approvals.Given, now: datetime = NOON, **changes: Any) -> approvals.Judged:
    known = {"plan_digest": DIGEST, "required": Release.APPROVE, "requested_by": "alice@example.com", "expires_at": EXPIRY}
    return approvals.judge(given_, approvals.Question(**{**known, **changes}), now=now)


OVERRIDE: dict[str, Any] = {"decision": "FORCE_OVERRIDE", "reason": REASON}
TOO_SHORT = "FORCE_OVERRIDE takes a reason of at least 20 characters"
SEPARATION = "alice@example.com reported the incident and cannot release it (separation of duties)"
EXPIRED_WHY = "nobody released it until 12:30:00"

ANSWERS: dict[str, tuple[dict[str, Any], dict[str, Any], Answer, str]] = {
    "APPROVE where APPROVE is needed": ({}, {}, RELEASED, ""),
    "FORCE_OVERRIDE where APPROVE is needed": (OVERRIDE, {}, RELEASED, ""),
    "FORCE_OVERRIDE where it is needed": (OVERRIDE, {"required": Release.FORCE_OVERRIDE}, RELEASED, ""),
    "APPROVE where FORCE_OVERRIDE is needed": (
        {},
        {"required": Release.FORCE_OVERRIDE},
        REFUSED,
        "APPROVE does not release this verdict; it takes FORCE_OVERRIDE",
    ),
    "FORCE_OVERRIDE of what nobody can release": (
        OVERRIDE,
        {"required": Release.IMPOSSIBLE},
        REFUSED,
        "FORCE_OVERRIDE does not release this verdict; it takes Impossible",
    ),
    "FORCE_OVERRIDE without a reason": ({"decision": "FORCE_OVERRIDE"}, {}, REFUSED, TOO_SHORT),
    "FORCE_OVERRIDE with a reason one character short": ({**OVERRIDE, "reason": "x" * 19}, {}, REFUSED, TOO_SHORT),
    "FORCE_OVERRIDE with a reason of blanks": ({**OVERRIDE, "reason": f"x{' ' * 30}"}, {}, REFUSED, TOO_SHORT),
    "FORCE_OVERRIDE with a reason just long enough": ({**OVERRIDE, "reason": "x" * 20}, {}, RELEASED, ""),
    "an approval of another plan": ({"plan_digest": OTHER_DIGEST}, {}, UNANSWERED, ""),
    "a rejection of another plan": ({"decision": "REJECT", "plan_digest": OTHER_DIGEST}, {}, UNANSWERED, ""),
    "an approval at the last moment": ({"at": EXPIRY - SECOND}, {"now": EXPIRY - SECOND}, RELEASED, ""),
    "an approval at the moment of expiry": ({"at": EXPIRY}, {"now": EXPIRY}, EXPIRED, EXPIRED_WHY),
    "a rejection after expiry": ({"decision": "REJECT", "at": EXPIRY}, {"now": EXPIRY}, EXPIRED, EXPIRED_WHY),
    "a rejection": ({"decision": "REJECT", "reason": "Not today."}, {}, REJECTED, "Not today."),
    "a rejection by the one who reported it": ({"decision": "REJECT", "person": "alice@example.com"}, {}, REJECTED, ""),
    "an approval by the one who reported it": ({"person": "alice@example.com"}, {}, REFUSED, SEPARATION),
    "an approval for the one who reported it": ({"person": "bridge", "on_behalf_of": "alice@example.com"}, {}, REFUSED, SEPARATION),
    "an approval on behalf of another person": ({"person": "bridge", "on_behalf_of": "bob@example.com"}, {}, RELEASED, ""),
    "an override by the one who reported it": ({**OVERRIDE, "person": "alice@example.com"}, {}, REFUSED, SEPARATION),
    "an approval that is just fresh enough": ({}, {"now": NOON + approvals.GOOD_FOR - SECOND}, RELEASED, ""),
    "an approval that has grown old": (
        {},
        {"now": NOON + approvals.GOOD_FOR},
        REFUSED,
        "it was given at 12:00:00, more than 15 minutes ago",
    ),
    "an approval within the difference of two clocks": ({"at": NOON + approvals.SKEW}, {}, RELEASED, ""),
    "an approval out of the future": (
        {"at": NOON + approvals.SKEW + SECOND},
        {},
        REFUSED,
        "it was given at 12:00:31, which is in the future; the clocks of API server and operator disagree",
    ),
    "one approval where two people must agree": ({}, {"two_persons": True}, SECOND_MISSING, ""),
}


@pytest.mark.parametrize(("said", "asked", "answer", "why"), ANSWERS.values(), ids=ANSWERS.keys())
def test_answer(said: dict[str, Any], asked: dict[str, Any], answer: Answer, why: str) -> None:
    judged_answer = answered(given_by(**said), **asked)
    assert (judged_answer.answer, judged_answer.why) == (answer, why)


def test_nobody_has_answered() -> None:
    assert answered().answer is UNANSWERED
    assert answered(now=EXPIRY).answer is EXPIRED


BOB = given_by("bob@example.com")
CAROL = given_by("carol@example.com")
TWO_PEOPLE: dict[str, tuple[tuple[approvals.Given, ...], bool, Answer]] = {
    "two people where two must agree": ((BOB, CAROL), True, RELEASED),
    "two people where one is enough": ((BOB, CAROL), False, RELEASED),
    "the same person twice": ((BOB, BOB), True, REFUSED),
    "the same person directly and through a bridge": ((BOB, given_by("bridge", on_behalf_of="bob@example.com")), True, REFUSED),
    "two people through the same bridge": (
        (given_by("bridge", on_behalf_of="bob@example.com"), given_by("bridge", on_behalf_of="carol@example.com")),
        True,
        RELEASED,
    ),
    "an override and an approval where APPROVE is needed": ((given_by("bob@example.com", **OVERRIDE), CAROL), True, RELEASED),
    "the second rejects": ((BOB, given_by("carol@example.com", "REJECT")), True, REJECTED),
    "the first rejects": ((given_by("bob@example.com", "REJECT"), CAROL), True, REJECTED),
    "the second rejects although one is enough": ((BOB, given_by("carol@example.com", "REJECT")), False, REJECTED),
    "the second reported the incident": ((BOB, given_by("alice@example.com")), True, REFUSED),
    "the second is about another plan": ((BOB, given_by("carol@example.com", plan_digest=OTHER_DIGEST)), True, SECOND_MISSING),
    "the second has grown old": ((BOB, given_by("carol@example.com", at=NOON - approvals.GOOD_FOR)), True, REFUSED),
}


@pytest.mark.parametrize(("said", "two_persons", "answer"), TWO_PEOPLE.values(), ids=TWO_PEOPLE.keys())
def test_answer_of_two_people(said: tuple[approvals.Given, ...], two_persons: bool, answer: Answer) -> None:
    assert answered(*said, two_persons=two_persons).answer is answer


def test_second_person_must_say_as_much_as_the_first() -> None:
    said = (given_by("bob@example.com", **OVERRIDE), CAROL)
    assert answered(*said, required=Release.FORCE_OVERRIDE, two_persons=True).answer is REFUSED


PEOPLE = ("alice@example.com", "bob@example.com", "carol@example.com")
WORDS = st.builds(
    given_by,
    st.sampled_from(PEOPLE),
    st.sampled_from(approvals.Word).map(lambda word: word.value),
    at=st.integers(-20, 2).map(lambda minutes: NOON + timedelta(minutes=minutes)),
    plan_digest=st.sampled_from((DIGEST, OTHER_DIGEST)),
    reason=st.sampled_from(("short", REASON)),
)


@given(
    said=st.lists(WORDS, max_size=2),
    required=st.sampled_from(Release),
    two_persons=st.booleans(),
    minutes=st.integers(0, 40),
)
def test_released_means_that_every_condition_holds(said: list[approvals.Given], required: Release, two_persons: bool, minutes: int) -> None:
    now = NOON + timedelta(minutes=minutes)
    judged_answer = answered(*said, required=required, two_persons=two_persons, now=now)
    if judged_answer.answer is not RELEASED:
        return
    current = [one for one in said if one.approval.plan_digest == DIGEST]
    enough = {
        Release.NOT_NEEDED: ("APPROVE", "FORCE_OVERRIDE"),
        Release.APPROVE: ("APPROVE", "FORCE_OVERRIDE"),
        Release.FORCE_OVERRIDE: ("FORCE_OVERRIDE",),
    }
    assert minutes < 30
    assert len({one.approval.approver for one in current}) >= (2 if two_persons else 1)
    for one in current:
        assert one.approval.decision in enough[required]
        assert one.approval.approver != "alice@example.com"
        assert one.approval.decision == "APPROVE" or one.approval.reason == REASON
        assert timedelta(seconds=-30) <= now - one.at < timedelta(minutes=15)


@given(said=st.lists(WORDS, max_size=2), required=st.sampled_from(Release), minutes=st.integers(0, 40))
def test_rejection_of_what_is_gated_ends_it_whoever_says_what_else(said: list[approvals.Given], required: Release, minutes: int) -> None:
    rejection = given_by("carol@example.com", "REJECT")
    answer = answered(*said, rejection, required=required, now=NOON + timedelta(minutes=minutes)).answer
    assert answer is (REJECTED if minutes < 30 else EXPIRED)


TAKES_TWO: dict[str, tuple[tuple[str, ...], Release, values.Severity, bool]] = {
    "no rule": ((), Release.FORCE_OVERRIDE, values.Severity.CRITICAL, False),
    "the required release is named": (("FORCE_OVERRIDE",), Release.FORCE_OVERRIDE, values.Severity.LOW, True),
    "another release is named": (("APPROVE",), Release.FORCE_OVERRIDE, values.Severity.LOW, False),
    "the severity is named": (("low", "critical"), Release.APPROVE, values.Severity.CRITICAL, True),
    "another severity is named": (("high",), Release.APPROVE, values.Severity.CRITICAL, False),
}


@pytest.mark.parametrize(("cases", "required", "severity", "expected"), TAKES_TWO.values(), ids=TAKES_TWO.keys())
def test_two_people_must_agree(cases: tuple[str, ...], required: Release, severity: values.Severity, expected: bool) -> None:
    rule = tuple(approvals.TwoPersonCase(one) for one in cases)
    assert approvals.takes_two(rule, required=required, severity=severity) is expected


NEEDED: dict[str, tuple[verdicts.Verdict, bool]] = {
    "nothing speaks against it": (judged(clean_facts()), False),
    "a person can approve": (judged(clean_facts(contradictions=2)), True),
    "a person can override": (judged(clean_facts(severity=values.Severity.CRITICAL)), True),
    "nobody can release it": (judged(clean_facts(target_exists=False)), False),
    "a policy lets nobody release it": (judged(clean_facts(conflicts=(conflict(release=Release.IMPOSSIBLE),))), False),
    "it is handed over": (judged(clean_facts(is_manual=True)), False),
}


@pytest.mark.parametrize(("verdict", "expected"), NEEDED.values(), ids=NEEDED.keys())
def test_people_are_asked_only_where_they_can_release(verdict: verdicts.Verdict, expected: bool) -> None:
    assert approvals.needed(verdict) is expected


@pytest.mark.parametrize("digest", ["", "sha256:abc", f"sha256:{'A' * 64}", f"{DIGEST}0", f"{DIGEST}\n"])
def test_approval_must_name_a_whole_digest(digest: str) -> None:
    with pytest.raises(ValidationError):
        an_approval(plan_digest=digest)
