"""Digests: the same content has the same digest however it was written, other content another one."""

import hashlib
import re

import pytest
from hypothesis import assume, given
from pydantic import JsonValue

from domain import builders, strategies
from safety_governor.domain import digests, facts

SAME: dict[str, tuple[JsonValue, JsonValue]] = {
    "keys in another order": ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
    "null and absent": ({"a": 1, "b": None}, {"a": 1}),
    "null and absent further inside": ({"a": [{"b": None}]}, {"a": [{}]}),
    "a whole number written as a fraction": ({"a": 1.0}, {"a": 1}),
    "an escaped letter": ("\u00e9", "é"),
}
DIFFERENT: dict[str, tuple[JsonValue, JsonValue]] = {
    "another order of a list": ([1, 2], [2, 1]),
    "a number and its text": (1, "1"),
    "true and one": (True, 1),
    "empty and absent": ({"a": []}, {}),
    "an empty text and absent": ({"a": ""}, {}),
    "another normal form of a letter": ("é", "e\u0301"),
    "null in a list has a place": ([None, 1], [1]),
}


@pytest.mark.parametrize(("first", "second"), SAME.values(), ids=SAME.keys())
def test_same_content_has_the_same_digest(first: JsonValue, second: JsonValue) -> None:
    assert digests.digest(first) == digests.digest(second)


@pytest.mark.parametrize(("first", "second"), DIFFERENT.values(), ids=DIFFERENT.keys())
def test_other_content_has_another_digest(first: JsonValue, second: JsonValue) -> None:
    assert digests.digest(first) != digests.digest(second)


def test_digest_is_that_of_the_canonical_json() -> None:
    canonical = '{"a":[1,"é"],"b":true}'.encode()
    assert digests.digest({"b": True, "a": [1, "é"]}) == "sha256:" + hashlib.sha256(canonical).hexdigest()


def test_digest_of_named_parts_is_that_of_the_object() -> None:
    plan = builders.a_plan()
    assert digests.digest_of(plan=plan, attempt=1) == digests.digest(
        {"attempt": 1, "plan": plan.model_dump(mode="json", exclude_none=True)}
    )


def test_unknown_and_empty_facts_have_different_digests() -> None:
    assert digests.digest(facts.Facts(conflicts=None)) != digests.digest(facts.Facts(conflicts=()))


def test_short_form_is_what_people_read() -> None:
    assert re.fullmatch(r"sha256:[0-9a-f]{12}…", digests.short(builders.DIGEST))


@given(first=strategies.any_facts(), second=strategies.any_facts())
def test_facts_have_the_same_digest_exactly_when_they_are_the_same(first: facts.Facts, second: facts.Facts) -> None:
    assert (digests.digest(first) == digests.digest(second)) == (first == second)


def without_null(content: JsonValue) -> JsonValue:
    if isinstance(content, dict):
        return {name: without_null(part) for name, part in content.items() if part is not None}
    return [without_null(part) for part in content] if isinstance(content, list) else content


@given(first=strategies.JSON, second=strategies.JSON)
def test_different_content_has_a_different_digest(first: JsonValue, second: JsonValue) -> None:
    # As text, because Python takes True for 1.
    assume(repr(without_null(first)) != repr(without_null(second)))
    assume(without_null(first) != without_null(second))
    assert digests.digest(first) != digests.digest(second)
