"""The evidence ledger: which citations are believed, what the sweep adds, and what the counts are."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.builders import ACTION, CLAIM, SERVICE, a_document, a_ledger, an_entry
from safety_governor.domain import documents, ledger

Distrust = ledger.Distrust
FoundBy = ledger.FoundBy
FAR_AFIELD = "Disk latency of the billing database doubled."


def entered(
    *, cited: Mapping[str, Sequence[str]], known: Sequence[documents.Evidence] = (), seen: Sequence[str] | None = None, **changes: Any
) -> ledger.Entry:
    """The entry of one claim; by default every document that exists was seen."""
    shown = frozenset(one.id for one in known) if seen is None else frozenset(seen)
    return ledger.enter(
        CLAIM,
        **{
            "service": SERVICE,
            "cited": ledger.Cited.model_validate({name: tuple(ids) for name, ids in cited.items()}),
            "known": {one.id: one for one in known},
            "seen": shown,
            "swept": (),
            **changes,
        },
    )


def names(citations: Sequence[ledger.Citation]) -> list[str]:
    return [one.document for one in citations]


DISTRUSTED: dict[str, tuple[dict[str, Sequence[str]], list[documents.Evidence], Sequence[str] | None, Distrust]] = {
    "no such document exists": ({"supporting": ["ev-1"]}, [], ["ev-1"], Distrust.DOES_NOT_EXIST),
    "it is about another service": ({"supporting": ["ev-1"]}, [a_document(service="cart")], None, Distrust.OTHER_SERVICE),
    "it is cited for and stored as against": (
        {"supporting": ["ev-1"]},
        [a_document(stance="contradicts")],
        None,
        Distrust.STANCE_DISAGREES,
    ),
    "it is cited against and stored as for": ({"contradicting": ["ev-1"]}, [a_document()], None, Distrust.STANCE_DISAGREES),
    "it is stored as neutral": ({"supporting": ["ev-1"]}, [a_document(stance="neutral")], None, Distrust.STANCE_DISAGREES),
    "no recorded search returned it": ({"supporting": ["ev-1"]}, [a_document()], [], Distrust.NOT_SEEN),
    "it has nothing to do with the claim": ({"supporting": ["ev-1"]}, [a_document(text=FAR_AFIELD)], None, Distrust.OFF_TOPIC),
    "nothing against the claim has to do with it": (
        {"contradicting": ["ev-1"]},
        [a_document(stance="contradicts", text=FAR_AFIELD)],
        None,
        Distrust.OFF_TOPIC,
    ),
}


@pytest.mark.parametrize(("cited", "known", "seen", "why"), DISTRUSTED.values(), ids=DISTRUSTED.keys())
def test_citation_is_not_believed(
    cited: dict[str, Sequence[str]], known: list[documents.Evidence], seen: Sequence[str] | None, why: Distrust
) -> None:
    entry = entered(cited=cited, known=known, seen=seen)
    assert (entry.supporting, entry.contradicting) == ((), ())
    assert [(one.document, one.why) for one in entry.unchecked] == [("ev-1", why)]


def test_every_reason_for_distrust_has_its_row() -> None:
    assert {why for *_, why in DISTRUSTED.values()} == set(Distrust)


BELIEVED: dict[str, documents.Evidence] = {
    "a document of the service": a_document(),
    "a document for every service": a_document(service="*"),
    "a document against the claim": a_document(stance="contradicts"),
}


@pytest.mark.parametrize("document", BELIEVED.values(), ids=BELIEVED.keys())
def test_citation_is_believed(document: documents.Evidence) -> None:
    entry = entered(
        cited={document.stance.value.replace("supports", "supporting").replace("contradicts", "contradicting"): ["ev-1"]}, known=[document]
    )
    (citation,) = (*entry.supporting, *entry.contradicting)
    assert (citation.document, citation.found_by, entry.unchecked) == ("ev-1", FoundBy.AGENT, ())


def test_document_cited_on_both_sides_counts_only_as_it_is_stored() -> None:
    entry = entered(cited={"supporting": ["ev-1"], "contradicting": ["ev-1"]}, known=[a_document(stance="contradicts")])
    assert (names(entry.supporting), names(entry.contradicting)) == ([], ["ev-1"])
    assert [(one.document, one.why) for one in entry.unchecked] == [("ev-1", Distrust.STANCE_DISAGREES)]


def test_sweep_adds_the_contradiction_that_the_agent_hid() -> None:
    hidden = a_document("ev-2", stance="contradicts")
    entry = entered(cited={"supporting": ["ev-1"]}, known=[a_document()], swept=[hidden])
    assert [(one.document, one.found_by) for one in entry.contradicting] == [("ev-2", FoundBy.SWEEP)]


def test_sweep_leaves_the_agent_what_it_found_first() -> None:
    document = a_document(stance="contradicts")
    entry = entered(cited={"contradicting": ["ev-1"]}, known=[document], swept=[document])
    assert [one.found_by for one in entry.contradicting] == [FoundBy.AGENT]


def test_sweep_brings_in_what_the_agent_cited_without_having_seen_it() -> None:
    document = a_document(stance="contradicts")
    entry = entered(cited={"contradicting": ["ev-1"]}, known=[document], seen=[], swept=[document])
    assert [one.found_by for one in entry.contradicting] == [FoundBy.SWEEP]


@pytest.mark.parametrize(
    "document",
    [
        pytest.param(a_document(service="cart"), id="of another service"),
        pytest.param(a_document(stance="neutral"), id="that takes no side"),
        pytest.param(a_document(text=FAR_AFIELD), id="about something else"),
    ],
)
def test_sweep_leaves_out_a_document(document: documents.Evidence) -> None:
    entry = entered(cited={}, swept=[document])
    assert (entry.supporting, entry.contradicting, entry.unchecked) == ((), (), ())


def test_document_that_names_the_action_counts_for_the_action_whatever_its_words() -> None:
    named = a_document(stance="contradicts", text=FAR_AFIELD, actions=(ACTION.upper(),))
    assert names(entered(cited={}, swept=[named], action=ACTION).contradicting) == ["ev-1"]
    assert names(entered(cited={}, swept=[named]).contradicting) == []


def test_citation_keeps_a_digest_and_a_short_excerpt() -> None:
    long = a_document(text=f"{CLAIM}.\n  {'word ' * 100}")
    changed_document = a_document(text=f"{CLAIM}. Otherwise.")
    (citation,) = entered(cited={"supporting": ["ev-1"]}, known=[long]).supporting
    (other,) = entered(cited={"supporting": ["ev-1"]}, known=[changed_document]).supporting
    assert len(citation.excerpt) == ledger.EXCERPT_LIMIT
    assert "\n" not in citation.excerpt
    assert citation.digest != other.digest


def test_ledger_stays_small_however_much_is_cited() -> None:
    known = [a_document(f"ev-{number:02}") for number in range(40)]
    entry = entered(cited={"supporting": [one.id for one in known], "contradicting": [f"no-{number}" for number in range(40)]}, known=known)
    assert len(entry.supporting) == len(entry.unchecked) == ledger.CITATION_LIMIT


CONTRADICTIONS: dict[str, tuple[ledger.Ledger, int]] = {
    "no claim": (a_ledger(), 0),
    "two claims, none contradicted": (a_ledger([], []), 0),
    "one claim contradicted by one document": (a_ledger(["a"], []), 1),
    "one claim contradicted by two documents is one claim": (a_ledger(["a", "b"]), 1),
    "one document that contradicts two claims": (a_ledger(["a"], ["a"]), 2),
    "the action alone": (a_ledger(action=["a"]), 1),
    "the action by two documents is one action": (a_ledger(action=["a", "b"]), 1),
    "the action by the document that contradicts the claim": (a_ledger(["a"], action=["a"]), 1),
    "the action by another document than the claim": (a_ledger(["a"], action=["b"]), 2),
    "the action by another document as well": (a_ledger(["a"], action=["a", "b"]), 2),
    "the claim by another document as well": (a_ledger(["a", "b"], action=["a"]), 2),
    "the action by what is already all there is against two claims": (a_ledger(["a"], ["b"], action=["a", "b"]), 2),
    "an action that nothing contradicts": (a_ledger(["a"], action=[]), 1),
}


@pytest.mark.parametrize(("evidence", "expected"), CONTRADICTIONS.values(), ids=CONTRADICTIONS.keys())
def test_contradiction_count(evidence: ledger.Ledger, expected: int) -> None:
    assert evidence.contradiction_count == expected


_IDS = st.lists(st.sampled_from("abcd"), max_size=3, unique=True)


@given(claims=st.lists(_IDS, min_size=1, max_size=3), action=st.none() | _IDS, more=st.sampled_from("abcde"), data=st.data())
def test_one_more_contradicting_document_never_lowers_the_count(
    claims: list[list[str]], action: list[str] | None, more: str, data: st.DataObject
) -> None:
    index = data.draw(st.integers(0, len(claims) - 1))
    worse = [[*one, more] if number == index else one for number, one in enumerate(claims)]
    before = a_ledger(*claims, action=action).contradiction_count
    assert a_ledger(*worse, action=action).contradiction_count >= before
    assert a_ledger(*claims, action=[*(action or ()), more]).contradiction_count >= before


COVERAGE: dict[str, tuple[tuple[ledger.Entry, ...], float]] = {
    "nothing was claimed": ((), 0.0),
    "one of one by support": ((an_entry(supporting=["a"]),), 1.0),
    "one of one by contradiction": ((an_entry(contradicting=["a"]),), 1.0),
    "one of three": ((an_entry(supporting=["a"]), an_entry(), an_entry()), 0.3333),
    "none of two": ((an_entry(), an_entry()), 0.0),
    "a doubted citation covers nothing": (
        (ledger.Entry(claim="c", unchecked=(ledger.Doubt(document="a", cited_for=documents.Stance.SUPPORTS, why=Distrust.NOT_SEEN),)),),
        0.0,
    ),
}


@pytest.mark.parametrize(("claims", "expected"), COVERAGE.values(), ids=COVERAGE.keys())
def test_coverage(claims: tuple[ledger.Entry, ...], expected: float) -> None:
    assert ledger.Ledger(claims=claims, action=an_entry(supporting=["z"])).coverage == expected


def test_supporting_documents_are_counted_once_over_claims_and_action() -> None:
    claims = (an_entry(supporting=["a", "b"]), an_entry(supporting=["b"]))
    assert ledger.Ledger(claims=claims, action=an_entry(supporting=["b", "c"])).supporting_count == 3


_DOCUMENTS = st.lists(
    st.builds(
        a_document,
        st.sampled_from(["ev-1", "ev-2", "ev-3"]),
        stance=st.sampled_from(["supports", "contradicts", "neutral"]),
        service=st.sampled_from([SERVICE, "*", "cart"]),
        text=st.sampled_from([CLAIM, FAR_AFIELD]),
    ),
    max_size=3,
    unique_by=lambda one: one.id,
)
_CITED = st.fixed_dictionaries(
    {side: st.lists(st.sampled_from(["ev-1", "ev-2", "ev-3", "no"]), max_size=3) for side in ("supporting", "contradicting")}
)


@given(stored=_DOCUMENTS, cited=_CITED, seen=st.sets(st.sampled_from(["ev-1", "ev-2", "ev-3"])))
def test_no_citation_hides_a_contradiction_that_the_sweep_brings(
    stored: list[documents.Evidence], cited: dict[str, list[str]], seen: set[str]
) -> None:
    honest = entered(cited={}, swept=stored)
    entry = entered(cited=cited, known=stored, seen=sorted(seen), swept=stored)
    assert set(names(entry.contradicting)) >= set(names(honest.contradicting))
