"""Reading the settings, and saying of each that is wrong what it is called, what is wrong and what it should look like."""

import difflib
import json
import os
import re
import typing
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pydantic
import pydantic_settings

from safety_governor.domain import elastic, errors
from safety_governor.settings.fields import Settings

_PREFIX = "GOVERNOR_"
_OF_KUBERNETES = re.compile(r"_SERVICE_HOST$|_SERVICE_PORT(_\w+)?$|_PORT(_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?$")
"""What every container is told about a Service whose name begins as our variables do."""
_EXPECTED = {
    "time_delta_parsing": "is not a duration; write it such as PT30S, PT5M or P1D, or in seconds",
    "time_delta_type": "is not a duration; write it such as PT30S, PT5M or P1D, or in seconds",
    "int_parsing": "is not a whole number",
    "float_parsing": "is not a number",
    "bool_parsing": "is neither true nor false",
    "model_type": "has settings below it, each with a name of its own after two underscores",
    "string_type": "is not text",
    "list_type": 'is not a JSON list, such as ["one", "another"]',
    "tuple_type": 'is not a JSON list, such as ["one", "another"]',
    "dict_type": 'is not a JSON object, such as {"name": …}',
    "url_parsing": "is not an address that begins with http:// or https:// and names a host",
    "url_scheme": "is not an address that begins with http:// or https:// and names a host",
}


def read(*, store: Path | None = None) -> Settings:
    """The settings of the environment; with a store, that file is meant, whatever the environment says.

    Raises ConfigurationError, with a line for every setting that is wrong.
    """
    try:
        settings = Settings()
    except pydantic.ValidationError as error:
        problems = [_told(one) for one in error.errors(include_url=False, include_input=False)]
        raise errors.ConfigurationError("\n".join(problems)) from error
    except pydantic_settings.SettingsError as error:
        raise errors.ConfigurationError("\n".join(_not_json(os.environ)) or f"{_PREFIX}*: {error}") from error
    if misspelt := list(_unknown(os.environ)):
        raise errors.ConfigurationError("\n".join(misspelt))
    if store is not None:
        return settings.model_copy(update={"store": store, "elasticsearch": elastic.Elasticsearch()})
    if "store" in settings.model_fields_set and settings.elasticsearch.configured:
        raise errors.ConfigurationError(
            f"{_PREFIX}STORE: names a file, and {_PREFIX}ELASTICSEARCH__… a cluster; knowledge is in one of them, so unset the other"
        )
    return settings


def _told(problem: Mapping[str, Any]) -> str:
    path = [str(part) for part in problem["loc"]]
    name = _PREFIX + "__".join(path).upper().removeprefix(_PREFIX)
    if name not in os.environ and name.removeprefix(_PREFIX) in os.environ:
        name = name.removeprefix(_PREFIX)  # what others call CDCT_API_URL and the like
    if problem["type"] == "extra_forbidden":
        near = difflib.get_close_matches(path[-1], _fields(path[:-1]), n=1)
        return f"{name}: there is no such setting{f'; did you mean {name[: -len(path[-1])]}{near[0].upper()}?' if near else ''}"
    if problem["type"] == "missing":
        return f"{name}: is missing"
    told = _EXPECTED.get(problem["type"]) or problem["msg"].removeprefix("Value error, ")
    return f"{name}: {told.replace('Input should be', 'should be')}"


def _unknown(names: Iterable[str]) -> Iterator[str]:
    """Of every variable that looks like a setting and is none: it would silently not count."""
    for name in names:
        first = name.upper().removeprefix(_PREFIX).lower().split("__")[0]
        if name.upper().startswith(_PREFIX) and first not in Settings.model_fields and not _OF_KUBERNETES.search(name.upper()):
            near = difflib.get_close_matches(first, Settings.model_fields, n=1, cutoff=0.75)
            yield f"{name}: there is no such setting{f'; did you mean {_PREFIX}{near[0].upper()}?' if near else ''}"


def _fields(path: list[str]) -> list[str]:
    """The settings that there are below that one."""
    model: Any = Settings
    for name in path:
        field = model.model_fields.get(name)
        model = None if field is None else field.annotation
        if not (isinstance(model, type) and issubclass(model, pydantic.BaseModel)):
            return []
    return list(model.model_fields)


def _not_json(environment: Mapping[str, str]) -> Iterator[str]:
    """Of every setting that has several values, and whose text is not JSON."""
    for name, text in environment.items():
        path = name.upper().removeprefix(_PREFIX).lower().split("__")
        if name.upper().startswith(_PREFIX) and (form := _form(path)):
            try:
                json.loads(text)
            except ValueError:
                yield f"{name}: is not JSON; write {form}"


def _form(path: list[str]) -> str:
    """What a setting looks like that has several values, as JSON; empty for all others."""
    model: Any = Settings
    for name in path:
        field = getattr(model, "model_fields", {}).get(name)
        if field is None:
            return ""
        model = field.annotation
    if typing.get_origin(model) in (tuple, list, frozenset, set):
        return '["one", "another"]'
    return '{"name": …}' if typing.get_origin(model) is dict or (isinstance(model, type) and issubclass(model, pydantic.BaseModel)) else ""
