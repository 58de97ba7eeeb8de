"""What a step would change, as the API server itself computed it in a dry run: field by field, for the person who decides."""

import json
import re
from collections.abc import Iterator, Mapping

from pydantic import Field, JsonValue

from safety_governor.domain import values

HIDDEN = "(hidden)"
"""Stands for a value that may be a secret."""

_BOOKKEEPING = frozenset({"managedFields", "resourceVersion", "generation"})
_SECRET_FIELDS = frozenset({"data", "stringData", "value", "env", "envFrom", "args", "command"})
"""Below these a value may be a secret: data of Secrets, values and command lines of containers."""

CHANGE_LIMIT = 32


class Change(values.Value):
    """One field that differs."""

    path: values.Line
    """Such as spec.template.metadata.annotations[kubectl.kubernetes.io/restartedAt]."""
    before: values.Line = ""
    """Empty when the field was not there."""
    after: values.Line = ""
    """Empty when the field goes away."""


class Preview(values.Value):
    """What one step would change on its target, as the API server computed it without doing it."""

    step: values.Word
    """The step's id in status.plan."""
    summary: values.Line = ""
    """In a sentence."""
    changes: tuple[Change, ...] = Field(default=(), max_length=CHANGE_LIMIT)
    """Every field that would differ; values that may be secrets are hidden."""
    undo: values.Line = ""
    """How it is undone if it makes things worse; empty when nothing can undo it."""
    warnings: tuple[values.Text, ...] = Field(default=(), max_length=4)
    """What a person should know who releases it."""


def between(before: dict[str, JsonValue], after: dict[str, JsonValue], *, known: Mapping[str, str]) -> tuple[Change, ...]:
    """The fields that differ, ordered by path; status and bookkeeping of the API server left out.

    `known` replaces values that are only settled when the step is claimed, such as its time and key, by words for them, so
    that the same step gives the same preview at any time.
    """
    found = [
        Change(path=values.clip(path, values.LINE_LIMIT), before=_shown(path, old, known), after=_shown(path, new, known))
        for path, old, new in sorted(_differing(before, after, ""), key=lambda one: one[0])
    ]
    return tuple(found[:CHANGE_LIMIT])


def _differing(before: JsonValue, after: JsonValue, path: str) -> Iterator[tuple[str, JsonValue, JsonValue]]:
    before, after = _by_name(before), _by_name(after)
    if isinstance(before, dict) and isinstance(after, dict):
        for name in before.keys() | after.keys():
            if not _is_bookkeeping(path, name):
                yield from _differing(before.get(name), after.get(name), _below(path, name))
    elif isinstance(before, dict) or isinstance(after, dict):
        # One side is absent: its fields are told one by one, never as a lump of JSON.
        yield from _differing(before if isinstance(before, dict) else {}, after if isinstance(after, dict) else {}, path)
    elif before != after:
        yield path, before, after


def _is_bookkeeping(path: str, name: str) -> bool:
    return (path == "" and name == "status") or (path == "metadata" and name in _BOOKKEEPING)


def _by_name(value: JsonValue) -> JsonValue:
    """A list whose elements have names, such as containers, as a map; then it can be told which of them differ, and how."""
    if not isinstance(value, list):
        return value
    found: dict[str, JsonValue] = {}
    for one in value:
        if not isinstance(one, dict) or not isinstance(one.get("name"), str):
            return value
        found[f"[name={one['name']}]"] = {name: part for name, part in one.items() if name != "name"} or "there"
    return found if found and len(found) == len(value) else value


def _below(path: str, name: str) -> str:
    if name.startswith("["):
        return f"{path}{name}"
    if "." in name or "/" in name:
        return f"{path}[{name}]"
    return f"{path}.{name}" if path else name


def may_be_secret(path: str) -> bool:
    """Whether the value of this field may be a secret."""
    return not _SECRET_FIELDS.isdisjoint(re.split(r"[.\[\]]", path))


def _shown(path: str, value: JsonValue, known: Mapping[str, str]) -> str:
    if value is None:
        return ""
    if may_be_secret(path):
        return HIDDEN
    if isinstance(value, list):
        # A list may hold containers with their environment; how many entries it has is all that is safe to show.
        return f"{len(value)} entries" if any(isinstance(one, dict) for one in value) else values.clip(json.dumps(value), values.LINE_LIMIT)
    text = value if isinstance(value, str) else json.dumps(value)
    return known.get(text, values.clip(text, values.LINE_LIMIT))
