"""What is wrong with a setting, in one sentence that names the variable in full and says what is expected in it."""

import difflib
import json
import re
import types
import typing
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import pydantic
import pydantic_core

PREFIX = "GOVERNOR_"
_BETWEEN = "__"
_OF_KUBERNETES = re.compile(r"_SERVICE_HOST$|_SERVICE_PORT(_\w+)?$|_PORT(_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?$")
"""What the kubelet tells every container about a Service whose name begins as our variables do."""

_EXPECTED = {
    "time_delta_parsing": "expected a duration such as PT5S (five seconds), PT10M or PT1H",
    "time_delta_type": "expected a duration such as PT5S (five seconds), PT10M or PT1H",
    "int_parsing": "expected a whole number",
    "int_type": "expected a whole number",
    "int_from_float": "expected a whole number",
    "float_parsing": "expected a number",
    "float_type": "expected a number",
    "bool_parsing": "expected true or false",
    "bool_type": "expected true or false",
    "string_type": "expected text",
    "url_parsing": "expected an address that begins with http:// or https:// and names a host",
    "url_scheme": "expected an address that begins with http:// or https:// and names a host",
}
_LIST = 'expected a JSON list, such as ["a.example"]'
_OBJECT = 'expected a JSON object, such as {"NAME": …}'


def refused(model: type[pydantic.BaseModel], error: pydantic.ValidationError, *, given: Iterable[str]) -> list[str]:
    """A sentence for everything that is wrong. `given` are the names of the variables that are set."""
    names = {name.upper() for name in given}
    return [_sentence(model, one, names) for one in error.errors(include_url=False, include_input=False)]


def unreadable(model: type[pydantic.BaseModel], given: Mapping[str, str]) -> list[str]:
    """A sentence for every variable that has to be JSON and is not."""
    return [
        f"{name.upper()} is not JSON; {_form(_type_at(model, path), name.upper())}"
        for name, path, value in _ours(given)
        if _is_broken(model, path, value)
    ]


def unknown(model: type[pydantic.BaseModel], given: Iterable[str]) -> list[str]:
    """A sentence for every variable that looks like ours and is none: a setting that is misspelt would silently not count."""
    known = {_variable(name): name for name in model.model_fields}
    found = []
    for name, path, _ in _ours(dict.fromkeys(given, "")):
        if path[0] not in model.model_fields and not _OF_KUBERNETES.search(name.upper()):
            found.append(f"there is no setting {name.upper()}{_meant(_variable(path[0]), known)}")
    return found


def _sentence(model: type[pydantic.BaseModel], problem: pydantic_core.ErrorDetails, given: set[str]) -> str:
    steps = [str(step).lower() for step in problem["loc"] if step != "[key]"]
    path = [steps[0].removeprefix(PREFIX.lower()), *steps[1:]] if steps else []
    name, kind = _named(path, given), problem["type"]
    if kind == "missing":
        return f"{name} is missing; it is needed beside the others of its group"
    if kind == "extra_forbidden":
        group = _model_of(_type_at(model, path[:-1]))
        known = {_variable(*path[:-1], one): one for one in group.model_fields} if group is not None else {}
        return f"there is no setting {name}{_meant(name, known)}"
    if kind == "value_error":
        told = problem["msg"].removeprefix("Value error, ")
        return (
            f"{name}{_BETWEEN}…: {told}" if path and _model_of(_type_at(model, path)) is not None else f"{name}: {told}".removeprefix(": ")
        )
    if kind in ("model_type", "dict_type", "model_attributes_type"):
        return f"{name}: {_form(_type_at(model, path), name)}"
    if kind in ("list_type", "tuple_type", "set_type"):
        return f"{name}: {_LIST}"
    return f"{name}: {_EXPECTED.get(kind) or _plain(problem['msg'])}"


def _plain(message: str) -> str:
    """Pydantic's own words, without those that only programmers know."""
    return message.replace("Input should be ", "must be ").replace("String should ", "must ").replace("Value should ", "must ")


def _named(path: Sequence[str], given: set[str]) -> str:
    """The variable by which that setting was given: under its conventional name, or as a part of what is JSON, if it was given so."""
    if not path:
        return ""
    ours = _variable(*path)
    if ours not in given and ours.removeprefix(PREFIX) in given:
        return ours.removeprefix(PREFIX)
    for length in range(len(path) - 1, 0, -1):
        if ours not in given and _variable(*path[:length]) in given:
            return f"{_variable(*path[:length])} ({'.'.join(path[length:])})"
    return ours


def _variable(*path: str) -> str:
    return PREFIX + _BETWEEN.join(path).upper()


def _meant(name: str, known: Mapping[str, str]) -> str:
    close = difflib.get_close_matches(name, known, 1, cutoff=0.75)
    return f"; did you mean {close[0]}?" if close else "; the README lists those that there are"


def _ours(given: Mapping[str, str]) -> Iterator[tuple[str, list[str], str]]:
    for name, value in given.items():
        if name.upper().startswith(PREFIX):
            yield name, name.upper().removeprefix(PREFIX).lower().split(_BETWEEN), value


def _is_broken(model: type[pydantic.BaseModel], path: Sequence[str], value: str) -> bool:
    expected = _type_at(model, path)
    if expected is None or not value or not (_model_of(expected) or _is_list(expected) or _values_of(expected) is not None):
        return False
    try:
        json.loads(value)
    except (ValueError, RecursionError):
        return True
    return False


def _form(expected: object, name: str) -> str:
    group = _model_of(expected)
    if group is None:
        return _LIST if _is_list(expected) else _OBJECT
    return f"it is a group of settings; set them one by one, such as {name}{_BETWEEN}{next(iter(group.model_fields)).upper()}"


def _type_at(model: type[pydantic.BaseModel], path: Sequence[str]) -> object:
    """The type of the setting that this way leads to; None where there is none."""
    found: object = model
    for step in path:
        group = _model_of(found)
        if group is not None:
            if step not in group.model_fields:
                return None
            found = group.model_fields[step].annotation
        else:
            found = _values_of(found)
    return found


def _choices(annotation: object) -> Iterator[object]:
    """The type without what is said about it, or each of several."""
    origin = typing.get_origin(annotation)
    if origin is typing.Annotated:
        yield from _choices(typing.get_args(annotation)[0])
    elif origin in (typing.Union, types.UnionType):
        for one in typing.get_args(annotation):
            yield from _choices(one)
    else:
        yield annotation


def _model_of(annotation: object) -> type[pydantic.BaseModel] | None:
    found = (one for one in _choices(annotation) if isinstance(one, type) and issubclass(one, pydantic.BaseModel))
    return next(found, None)


def _is_list(annotation: object) -> bool:
    return any(typing.get_origin(one) in (list, tuple, set, frozenset) for one in _choices(annotation))


def _values_of(annotation: object) -> Any:  # noqa: ANN401 - a type is what there is
    """What a mapping maps to; None when it is no mapping."""
    mappings = (one for one in _choices(annotation) if typing.get_origin(one) in (dict, Mapping))
    found = next(mappings, None)
    return None if found is None else typing.get_args(found)[1]
