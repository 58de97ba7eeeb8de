"""Names of single fields: what they mean, what is refused, and that reading, building and looking up agree."""

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import JsonValue

from safety_governor.domain import paths

PATHS: dict[str, tuple[str, tuple[paths.Part, ...]]] = {
    "one field": ("spec", ("spec",)),
    "a field of a field": ("spec.minReadySeconds", ("spec", "minReadySeconds")),
    "a field of an element": (
        "spec.template.spec.containers[name=app].image",
        ("spec", "template", "spec", "containers", ("name", "app"), "image"),
    ),
    "an element of an element": (
        "spec.containers[name=app].env[name=A].value",
        ("spec", "containers", ("name", "app"), "env", ("name", "A"), "value"),
    ),
    "an entry whose name has dots": (
        "metadata.annotations[example.com/tier]",
        ("metadata", "annotations", "example.com/tier"),
    ),
    "a field below such an entry": ("spec[a.b].c", ("spec", "a.b", "c")),
    "an element whose key has an equals sign": ("spec.x[name=a=b].y", ("spec", "x", ("name", "a=b"), "y")),
    "an element whose key has dots": ("spec.hosts[host=a.example.com].port", ("spec", "hosts", ("host", "a.example.com"), "port")),
    "an element whose key ends in a line break": ("spec.x[name=a\n].y", ("spec", "x", ("name", "a\n"), "y")),
}


@pytest.mark.parametrize(("text", "parts"), PATHS.values(), ids=PATHS.keys())
def test_path_names(text: str, parts: tuple[paths.Part, ...]) -> None:
    assert paths.parse(text) == parts


NOT_A_FIELD = "does not name a field; write it like spec.template.spec.containers[name=app].image"
REFUSED = {
    "nothing": ("", "names no single field"),
    "a dot": (".", NOT_A_FIELD),
    "a leading dot": (".spec", NOT_A_FIELD),
    "a trailing dot": ("spec.", NOT_A_FIELD),
    "two dots": ("spec..a", NOT_A_FIELD),
    "a leading bracket": ("[name=a].x", NOT_A_FIELD),
    "an open bracket": ("spec[name=a", NOT_A_FIELD),
    "a bracket too many": ("spec.a]", NOT_A_FIELD),
    "empty brackets": ("spec.a[]", NOT_A_FIELD),
    "brackets in brackets": ("spec.a[[b]]", NOT_A_FIELD),
    "no dot after brackets": ("spec.a[name=b]c", NOT_A_FIELD),
    "a dot before brackets": ("spec.a.[name=b].c", NOT_A_FIELD),
    "a position": ("spec.containers.0.image", NOT_A_FIELD),
    "a dash": ("spec.min-ready", NOT_A_FIELD),
    "white space": ("spec. a", NOT_A_FIELD),
    "a JSON pointer": ("/spec/a", NOT_A_FIELD),
    "a wildcard": ("spec.containers[*]..image", NOT_A_FIELD),
    "a whole element": ("spec.containers[name=app]", "names no single field"),
    "an element of an element of nothing": ("spec.a[name=b][name=c].d", "a list of lists is not known"),
    "the key that chooses the element": ("spec.containers[name=app].name", "the very key by which the element is chosen"),
}


@pytest.mark.parametrize(("text", "why"), REFUSED.values(), ids=REFUSED.keys())
def test_path_is_refused_that_is(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=re.escape(repr(text))) as caught:
        paths.parse(text)
    assert why in str(caught.value)


BODY: dict[str, Any] = {
    "spec": {
        "replicas": 3,
        "paused": False,
        "nothing": None,
        "containers": [{"name": "app", "image": "v1"}, {"name": "sidecar"}, "not an element"],
        "ports": [{"containerPort": 80, "protocol": "TCP"}],
        "labels": {"example.com/tier": "gold"},
    }
}

LOOKED_UP: dict[str, tuple[str, JsonValue]] = {
    "a field": ("spec.replicas", 3),
    "a false one": ("spec.paused", False),
    "one that is null": ("spec.nothing", None),
    "one that is not there": ("spec.strategy", None),
    "one below one that is not there": ("spec.strategy.rollingUpdate.maxSurge", None),
    "one below a single value": ("spec.replicas.more", None),
    "one of an element": ("spec.containers[name=app].image", "v1"),
    "one that the element does not have": ("spec.containers[name=sidecar].image", None),
    "one of an element that is not there": ("spec.containers[name=other].image", None),
    "one of an element of what is no list": ("spec.replicas[name=app].image", None),
    "one of an element that a number chooses": ("spec.ports[containerPort=80].protocol", "TCP"),
    "an entry": ("spec.labels[example.com/tier]", "gold"),
    "a whole list": ("spec.ports", BODY["spec"]["ports"]),
}


@pytest.mark.parametrize(("text", "value"), LOOKED_UP.values(), ids=LOOKED_UP.keys())
def test_looking_up(text: str, value: JsonValue) -> None:
    found = paths.look_up(BODY, paths.parse(text))
    assert (found, type(found)) == (value, type(value))


def test_building_gives_the_smallest_object_that_has_the_value() -> None:
    parts = paths.parse("spec.containers[name=app].resources.limits.memory")
    assert paths.build(parts, "1Gi") == {"spec": {"containers": [{"name": "app", "resources": {"limits": {"memory": "1Gi"}}}]}}


SCALARS: dict[str, tuple[str, JsonValue]] = {
    "a number": ("3", 3),
    "a fraction": ("0.5", 0.5),
    "a negative number": ("-1", -1),
    "true": ("true", True),
    "null": ("null", None),
    "a text in quotes": ('"3"', "3"),
    "a text": ("512Mi", "512Mi"),
    "a text that begins like a number": ("3 pods", "3 pods"),
    "a text that Python would take for true": ("True", "True"),
    "an empty text": ("", ""),
    "no number": ("NaN", "NaN"),
    "endless": ("-Infinity", "-Infinity"),
    "a number that no number can hold": ("1e999", "1e999"),
    "an object": ('{"a": [1]}', {"a": [1]}),
}


@pytest.mark.parametrize(("text", "value"), SCALARS.values(), ids=SCALARS.keys())
def test_runbook_means_by_its_text(text: str, value: JsonValue) -> None:
    found = paths.scalar(text)
    assert (found, type(found)) == (value, type(value))


NAMES = st.from_regex(r"[A-Za-z][A-Za-z0-9]{0,8}", fullmatch=True)
ENTRIES = st.from_regex(r"[a-z]{1,4}\.example/[a-z]{1,4}", fullmatch=True)
CHOSEN = st.tuples(NAMES, st.from_regex(r"[^\[\]]{1,8}", fullmatch=True))


@st.composite
def any_parts(draw: st.DrawFn) -> tuple[paths.Part, ...]:
    """A path that can be written: begins and ends with a field, and chooses among elements of fields only."""
    parts: list[paths.Part] = [draw(NAMES)]
    for chosen, field in draw(st.lists(st.tuples(st.none() | CHOSEN, NAMES | ENTRIES), max_size=4)):
        if chosen is not None and chosen[0] != field:
            parts.append(chosen)
        parts.append(field)
    return tuple(parts)


def written(parts: tuple[paths.Part, ...]) -> str:
    texts = (f"[{one[0]}={one[1]}]" if isinstance(one, tuple) else f"[{one}]" if "/" in one else f".{one}" for one in parts)
    return "".join(texts).removeprefix(".")


VALUES = st.none() | st.booleans() | st.integers() | st.text(max_size=8)


@given(any_parts(), VALUES)
def test_what_is_built_is_found_again(parts: tuple[paths.Part, ...], value: JsonValue) -> None:
    assert paths.parse(written(parts)) == parts
    assert paths.look_up(paths.build(parts, value), parts) == value


@given(st.text(max_size=40) | st.text(alphabet="spec.[]=a\n 0*/", max_size=40))
def test_any_text_is_a_path_that_can_be_used_or_is_refused_with_a_sentence(text: str) -> None:
    refused, parts = "", tuple[paths.Part, ...]()
    try:
        parts = paths.parse(text)
    except ValueError as error:
        refused = str(error)
    if parts:
        assert paths.look_up(paths.build(parts, 1), parts) == 1
        assert paths.look_up({}, parts) is None
    else:
        assert refused.startswith(repr(text))


@given(st.text(max_size=40))
def test_any_text_means_a_value_that_json_can_carry(text: str) -> None:
    value = paths.scalar(text)
    assert json.loads(json.dumps(value, allow_nan=False)) == value
