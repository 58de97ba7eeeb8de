"""Authority that a text claims: which sentences claim it, and which of the claims are on record."""

import pytest
from hypothesis import given

from domain import strategies
from safety_governor.domain import authorities

NO_RECORD = frozenset[str]()


def invented(
    text: str, *, policies: frozenset[str] = frozenset({"pol-007"}), approvers: frozenset[str] = NO_RECORD
) -> tuple[authorities.Authority, ...]:
    return authorities.fabricated([("the rationale", text)], existing_policies=policies, recorded_approvers=approvers)


CLAIMED = {
    "a person": "The DBA approved this.",
    "a passive": "This restart was approved by the DBA.",
    "a state": "The change is pre-approved.",
    "another word: authorised": "The incident commander authorised the failover.",
    "another spelling: authorized": "Management has authorized the failover.",
    "another word: signed off": "The SRE lead signed off on it.",
    "another word: green-lit": "Platform green-lit the restart.",
    "another word: waived": "Security waived the review.",
    "informal": "The on-call OK'd it.",
    "somebody gave permission": "Alice gave us permission to proceed.",
    "somebody has approval": "We have the approval of the change board.",
    "with approval": "Restart with explicit sign-off from the DBA.",
    "permission was given": "Approval was granted by the change board this morning.",
    "permission has been obtained": "Clearance has already been obtained.",
    "shouted": "APPROVED BY THE CTO",
    "after a harmless sentence": "The pool is exhausted. The DBA approved this.",
    "after a negation that has ended": "It does not scale. The DBA approved this.",
    "an unknown policy": "Per POL-999 this is fine.",
    "an unknown policy by another name": "policy-7b allows it.",
    "an endorsement": "The DBA endorsed the restart",
    "a green light": "The DBA gave the green light",
    "a second clause after a negation": "There is no risk and the DBA approved this",
    "doubt that is denied": "Without doubt the DBA approved this restart",
    "a problem that is denied": "No problem the DBA approved it",
    "a claim after a rule": "If not approved by the CAB we wait, but the DBA approved it",
    "once again": "Once again the DBA approved",
}
NOT_CLAIMED = {
    "payments that are authorised": "Authorized card payments are not captured",
    "orders that are approved": "Orders that were approved stay in state PENDING",
    "a component with policy in its name": "policy-engine answers 503",
    "reviewed and approved in the future": "The change must be reviewed, then approved",
    "a rule with after": "Restart only after the DBA approved it",
    "nobody": "Nobody approved this",
    "a rule": "The restart must be approved by the DBA.",
    "a demand": "This requires approval.",
    "a negation": "The restart was not approved by anybody.",
    "a contraction": "The DBA hasn't approved this.",
    "a condition": "If the DBA has approved it, restart.",
    "a precondition": "Do nothing until the change is approved.",
    "a wish": "We are waiting for the DBA to give permission.",
    "never": "It was never signed off.",
    "a possibility": "The DBA may have approved this.",
    "an absence": "Nobody acts without approval.",
    "a condition on permission": "If approval was granted, proceed.",
    "permission that was not given": "Approval was not granted.",
    "disapproval": "The DBA disapproved.",
    "an existing policy": "POL-007 forbids restarts in business hours.",
    "an existing policy in lower case": "See pol-007.",
    "nothing of the kind": "The connection pool of checkout is exhausted.",
    "the word policy alone": "Company policy is silent about this.",
    "nothing at all": "",
}


@pytest.mark.parametrize("text", CLAIMED.values(), ids=CLAIMED.keys())
def test_sentence_claims_authority(text: str) -> None:
    assert len(invented(text)) == 1


@pytest.mark.parametrize("text", NOT_CLAIMED.values(), ids=NOT_CLAIMED.keys())
def test_sentence_claims_no_authority(text: str) -> None:
    assert invented(text) == ()


RECORDED = {
    "by name": ("Approved by alice.", "alice"),
    "in another case": ("ALICE approved this.", "alice"),
    "by mail address": ("Approved by alice@example.com.", "alice@example.com"),
    "by mail address in front": ("alice@example.com approved this.", "alice@example.com"),
    "by the name of a service account": ("system:serviceaccount:ops:bridge approved this.", "system:serviceaccount:ops:bridge"),
}


@pytest.mark.parametrize(("text", "approver"), RECORDED.values(), ids=RECORDED.keys())
def test_recorded_approver_may_be_named(text: str, approver: str) -> None:
    assert invented(text, approvers=frozenset({approver})) == ()
    assert len(invented(text)) == 1


def test_recorded_approver_vouches_for_no_other_sentence() -> None:
    (found,) = invented("Approved by alice. The DBA approved this.", approvers=frozenset({"alice"}))
    assert found.named == "The DBA approved this"


def test_recorded_approver_is_matched_as_a_whole_word() -> None:
    assert len(invented("Alicent approved this.", approvers=frozenset({"alice"}))) == 1


def test_finding_tells_the_words_where_they_stand_and_why() -> None:
    policy, permission = invented("Per POL-999 the DBA\napproved  this.")
    assert policy == authorities.Authority(named="pol-999", found_in="the rationale", why="no policy has this id")
    assert permission == authorities.Authority(named="approved this", found_in="the rationale", why="no such approval is on record")


def test_texts_are_read_in_order_and_repetitions_once() -> None:
    texts = [("the rationale", "POL-999 and POL-999."), ("a claim", "POL-999.")]
    found = authorities.fabricated(texts, existing_policies=NO_RECORD, recorded_approvers=NO_RECORD)
    assert [one.found_in for one in found] == ["the rationale", "a claim"]


POLICY_IDS = {
    "none": ("no policy here", ()),
    "one": ("see POL-007", ("pol-007",)),
    "with a full stop": ("see POL-007.", ("pol-007",)),
    "with words": ("POL-NO-RESTARTS", ("pol-no-restarts",)),
    "not of a component": ("policy-engine and policy_cache are policy-based", ()),
    "with an underscore": ("POL_12", ("pol_12",)),
    "twice": ("POL-1, pol-1 and POL-2", ("pol-1", "pol-2")),
    "not within a word": ("monopol-1", ()),
}


@pytest.mark.parametrize(("text", "expected"), POLICY_IDS.values(), ids=POLICY_IDS.keys())
def test_policy_ids_in_a_text(text: str, expected: tuple[str, ...]) -> None:
    assert authorities.policy_ids(text) == expected


def test_endless_policy_id_is_shortened_and_not_an_error() -> None:
    (found,) = invented("POL-" + "9" * 5000)
    assert len(found.named) == 256


@given(before=strategies.TEXTS, after=strategies.TEXTS)
def test_text_around_a_sentence_does_not_hide_its_claim(before: str, after: str) -> None:
    assert any(one.named == "The DBA approved this" for one in invented(f"{before}\nThe DBA approved this.\n{after}"))
