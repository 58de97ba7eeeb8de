"""When a document has to do with a claim: by shared words, and contradiction needs fewer of them than support."""

import concurrent.futures

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.builders import ACTION, a_document
from safety_governor.domain import documents, relevance

CLAIM = "The connection pool of checkout is exhausted"
SUPPORTS, CONTRADICTS = "supports", "contradicts"

CONCERNS: dict[str, tuple[str, str, str, bool]] = {
    "the same words": (CLAIM, CLAIM, SUPPORTS, True),
    "the same words in another order and form": (CLAIM, "Checkout exhausts its connections; the pools ran dry", SUPPORTS, True),
    "half of the words support": (CLAIM, "A connection pool is something else", SUPPORTS, True),
    "fewer than half of the words do not support": (
        "Connection pool of checkout exhausted after deploy",
        "The connection pool",
        SUPPORTS,
        False,
    ),
    "a third of the words contradicts": ("Connection pool of checkout exhausted after deploy", "The connection pool", CONTRADICTS, True),
    "one shared word is a coincidence": (CLAIM, "The pool was painted blue", SUPPORTS, False),
    "one shared word is a coincidence against it as well": (CLAIM, "The pool was painted blue", CONTRADICTS, False),
    "one of two words is a coincidence": ("The pool is exhausted", "The pool was painted blue", CONTRADICTS, False),
    "one shared word is all there is in a claim of one word": ("Deadlock", "A deadlock in the orders table", SUPPORTS, True),
    "words without meaning are not shared": ("It is the same as it was before", "It is the same as it was before", SUPPORTS, False),
    "nothing is claimed": ("", CLAIM, CONTRADICTS, False),
    "CamelCase counts as its words": ("PoolExhausted", "the pool is exhausted", SUPPORTS, True),
    "an action name counts as its words": ("rollout-restart", "We do a rollout and restart", SUPPORTS, True),
    "numbers are words": ("Error 1040 of the database", "the database says 1040", SUPPORTS, True),
    "case does not matter": (CLAIM.upper(), CLAIM.lower(), SUPPORTS, True),
    "something else entirely": (CLAIM, "Disk latency of the billing database doubled", CONTRADICTS, False),
}


@pytest.mark.parametrize(("claim", "text", "stance", "expected"), CONCERNS.values(), ids=CONCERNS.keys())
def test_document_concerns_the_claim(claim: str, text: str, stance: str, expected: bool) -> None:
    assert relevance.concerns(claim, a_document(text=text, stance=stance)) is expected


NAMED: dict[str, tuple[tuple[str, ...], str | None, bool]] = {
    "it names the action": ((ACTION,), ACTION, True),
    "it names the action in another case": ((ACTION.upper(),), ACTION.title(), True),
    "it names another action": (("scale",), ACTION, False),
    "it names no action": ((), ACTION, False),
    "it names the action and nobody asks about an action": ((ACTION,), None, False),
}


@pytest.mark.parametrize(("actions", "action", "expected"), NAMED.values(), ids=NAMED.keys())
def test_document_that_names_the_action(actions: tuple[str, ...], action: str | None, expected: bool) -> None:
    document = a_document(text="Nothing in common", actions=actions)
    assert relevance.concerns(CLAIM, document, action=action) is expected


_TEXT = st.lists(
    st.sampled_from(["pool", "checkout", "exhausted", "restart", "database", "latency", "connection", "deploy", "the", "is"]), min_size=1
).map(" ".join)


@given(claim=_TEXT, text=_TEXT)
def test_what_is_enough_to_support_is_enough_to_contradict(claim: str, text: str) -> None:
    supports = relevance.concerns(claim, a_document(text=text, stance=SUPPORTS))
    assert not supports or relevance.concerns(claim, a_document(text=text, stance=CONTRADICTS))


@given(claim=_TEXT, text=_TEXT, more=_TEXT, stance=st.sampled_from(documents.Stance))
def test_longer_document_is_no_less_relevant(claim: str, text: str, more: str, stance: documents.Stance) -> None:
    short = relevance.concerns(claim, a_document(text=text, stance=stance.value))
    assert not short or relevance.concerns(claim, a_document(text=f"{text} {more}", stance=stance.value))


def test_many_threads_find_the_same_words() -> None:
    texts = [f"{word}ations of the {word}ing pools were exhaustedly restarted" for word in map("gener{}".format, range(400))]
    alone = [relevance.words(text) for text in texts]
    relevance._stem.cache_clear()
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        assert list(pool.map(relevance.words, texts * 5)) == alone * 5
