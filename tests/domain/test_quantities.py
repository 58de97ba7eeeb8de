"""Amounts in different forms."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import JsonValue

from safety_governor.domain import quantities

SAME: list[tuple[JsonValue, JsonValue]] = [
    ("512Mi", "512Mi"),
    ("1024Mi", "1Gi"),
    ("0.5Gi", "512Mi"),
    ("0.5", "500m"),
    (0.5, "500m"),
    (2, "2"),
    ("2.0", "2"),
    ("1500m", 1.5),
    ("1k", 1000),
    ("1e3", "1k"),
    ("1E3", 1000),
    (".5", "0.5"),
    ("+1", "1"),
    ("100n", "0.1u"),
    (True, True),
    ("text", "text"),
    (None, None),
]
DIFFERENT: list[tuple[JsonValue, JsonValue]] = [
    ("512Mi", "512M"),
    ("1Gi", "1024M"),
    ("1", "1m"),
    ("1E", "1e"),
    ("1", "one"),
    (True, 1),
    (1, True),
    (False, 0),
    (True, "true"),
    (None, 0),
    (None, ""),
    ("", 0),
    ("1 Gi", "1Gi"),
    ("1Gib", "1Gi"),
    ("1.2.3", "1.2"),
]


@pytest.mark.parametrize(("one", "other"), SAME)
def test_amounts_are_the_same(one: JsonValue, other: JsonValue) -> None:
    assert quantities.same(one, other)
    assert quantities.same(other, one)


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_amounts_are_different(one: JsonValue, other: JsonValue) -> None:
    assert not quantities.same(one, other)
    assert not quantities.same(other, one)


@given(st.integers(1, 10**6), st.sampled_from(("Ki", "Mi", "Gi", "Ti")))
def test_amount_is_the_same_in_the_next_smaller_unit(number: int, unit: str) -> None:
    smaller = {"Ki": "", "Mi": "Ki", "Gi": "Mi", "Ti": "Gi"}[unit]
    assert quantities.same(f"{number}{unit}", f"{number * 1024}{smaller}")
    assert not quantities.same(f"{number}{unit}", f"{number * 1024 + 1}{smaller}")


@given(st.text(max_size=12))
def test_any_text_is_the_same_as_itself(text: str) -> None:
    assert quantities.same(text, text)
