"""From plain data to documents: which kind it is, what may be left out, and what is wrong with it, in words.

The types in `domain.documents` are the rules; here they are only made easier to meet and their complaints easier to read.
"""

import difflib
import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pydantic
import pydantic_core

from safety_governor.adapters.document_files.findings import Entry, FormatError, Path, Problem, show
from safety_governor.domain import documents, values

KINDS: dict[str, type[documents.Document]] = {
    "Runbook": documents.Runbook,
    "Evidence": documents.Evidence,
    "Policy": documents.Policy,
    "LogLine": documents.LogLine,
}
_TELLTALE = {"blocked_actions": "Policy", "stance": "Evidence", "recommended_action": "Runbook", "message": "LogLine"}
"""Fields that only one kind has, for indices that do not name their kind."""

_IN_WORDS = {
    "service": "lower-case letters, digits, - and ., beginning and ending with a letter or digit, or * for all services",
    "severities": "low, medium, high, critical or *",
}
"""What a pattern means, by the field that has it."""
_PLAIN = {"input should": "it should", "string": "text", "tuple": "list", " after validation": ""}


def kind_of(entry: Entry) -> str:
    """The kind that the entry names, or the only one that it can be."""
    if "kind" in entry.data:
        named = entry.data["kind"]
        if not isinstance(named, str) or named not in KINDS:
            manifest = named if isinstance(named, str) and "apiVersion" in entry.data else ""
            message = f"is {named!r}; expected one of {', '.join(KINDS)}"
            raise FormatError(message, line=entry.line_of(("kind",)), field="kind", manifest=manifest)
        return named
    possible = sorted({kind for field, kind in _TELLTALE.items() if field in entry.data})
    if len(possible) > 1:
        raise FormatError(f"is missing, and by its fields it could be {' or '.join(possible)}", line=entry.line_of(()), field="kind")
    if not possible:
        raise FormatError(f"is missing; expected one of {', '.join(KINDS)}", line=entry.line_of(()), field="kind")
    return possible[0]


def complete(kind: str, data: Mapping[str, object], *, now: datetime, origin: str) -> dict[str, Any]:
    """The data with what may be left out filled in. `origin` tells apart two log lines that read the same."""
    known = {field: value for field, value in data.items() if field != "kind"}
    if kind == "Runbook":
        return _complete_runbook(known)
    if kind == "LogLine":
        return _complete_log_line(known, now=now, origin=origin)
    return known


def manual_remediation(action: object, text: str) -> dict[str, object]:
    """A remediation that hands a text to people."""
    return {"action": action, "steps": [{"type": "Manual", "text": values.clip(text.strip(), values.TEXT_LIMIT)}]}


def validated(kind: str, entry: Entry, data: Mapping[str, object]) -> documents.Document | tuple[Problem, ...]:
    """The document, or everything that is wrong with it."""
    model = KINDS[kind]
    try:
        document = model.model_validate(data)
    except pydantic.ValidationError as error:
        found = error.errors(include_url=False)
        return tuple(_problem(entry, one, model) for one in found if not _follows_from_another(one, found))
    if isinstance(document, documents.LogLine) and document.timestamp.tzinfo is None:
        return document.model_copy(update={"timestamp": document.timestamp.replace(tzinfo=UTC)})
    return document


def _complete_runbook(data: dict[str, Any]) -> dict[str, Any]:
    body = data.get("body")
    if "remediations" not in data and "recommended_action" in data and isinstance(body, str) and body.strip():
        return data | {"remediations": [manual_remediation(data["recommended_action"], body)]}
    if isinstance(data.get("remediations"), list):
        return data | {"remediations": [_with_parameters_as_text(one) for one in data["remediations"]]}
    return data


def _with_parameters_as_text(remediation: object) -> object:
    """`replicas: 3` is what people write; parameters are text."""
    if not isinstance(remediation, dict) or not isinstance(remediation.get("steps"), list):
        return remediation
    return remediation | {"steps": [_step_as_text(step) for step in remediation["steps"]]}


def _step_as_text(step: object) -> object:
    if not isinstance(step, dict) or not isinstance(step.get("parameters"), dict):
        return step
    return step | {"parameters": {name: _as_text(value) for name, value in step["parameters"].items()}}


def _as_text(value: object) -> object:
    return json.dumps(value) if isinstance(value, int | float) else value


def _complete_log_line(data: dict[str, Any], *, now: datetime, origin: str) -> dict[str, Any]:
    known = dict(data)
    if "id" not in known:
        content = json.dumps([origin, data], sort_keys=True, default=str)
        known["id"] = "log-" + hashlib.sha256(content.encode(errors="replace")).hexdigest()[:40]
    if isinstance(known.get("response"), int) and not isinstance(known["response"], bool):
        known["response"] = str(known["response"])
    if "minutes_ago" in known and "timestamp" in known:
        raise FormatError("is given beside `timestamp`; expected one of them", field="minutes_ago")
    if "minutes_ago" in known:
        minutes = known.pop("minutes_ago")
        if isinstance(minutes, bool) or not isinstance(minutes, int | float) or not 0 <= minutes <= 1e7:
            raise FormatError(f"is {minutes!r}; expected a number of minutes, 0 or more", field="minutes_ago")
        known["timestamp"] = now - timedelta(minutes=minutes)
    return known


def _follows_from_another(error: pydantic_core.ErrorDetails, found: Sequence[pydantic_core.ErrorDetails]) -> bool:
    """A list of one bad thing counts as empty, too; the bad thing is what people must mend."""
    depth = len(error["loc"])
    return error["type"] == "too_short" and any(other["loc"][:depth] == error["loc"] and len(other["loc"]) > depth for other in found)


def _problem(entry: Entry, error: pydantic_core.ErrorDetails, model: type[pydantic.BaseModel]) -> Problem:
    path: Path = tuple(step for step in error["loc"] if step != "[key]")
    message = _message(error, model)
    first, _, rest = message.partition(" ")
    if not path and first in model.model_fields:  # a rule over several fields, told by the one that breaks it
        path, message = (first,), rest
    return Problem(line=entry.line_of(path), field=show(path), message=message)


def _message(error: pydantic_core.ErrorDetails, model: type[pydantic.BaseModel]) -> str:
    match error["type"]:
        case "missing":
            return "is missing; it is required"
        case "extra_forbidden":
            known = _fields_at(model, error["loc"][:-1])
            name = str(error["loc"][-1])
            close = difflib.get_close_matches(name, known, 1)
            return f"is not a field here; did you mean {close[0]}?" if close else f"is not a field here; expected one of {', '.join(known)}"
        case "string_pattern_mismatch" if names := [step for step in error["loc"] if step in _IN_WORDS]:
            return f"is {_short(error['input'])}; expected {_IN_WORDS[str(names[-1])]}"
        case "string_type":
            return f"is {_short(error['input'])}; expected text (put it in quotes)"
        case "value_error":
            return error["msg"].removeprefix("Value error, ")
        case _:
            message = error["msg"][:1].lower() + error["msg"][1:]
            for technical, plain in _PLAIN.items():
                message = message.replace(technical, plain)
            return f"is {_short(error['input'])}; {message}"


def _short(value: object) -> str:
    if isinstance(value, str | int | float | bool):
        return values.clip(repr(value), 60)
    return "empty" if value is None else "a list" if isinstance(value, list | tuple) else "a mapping"


def _fields_at(model: type[pydantic.BaseModel], path: tuple[str | int, ...]) -> list[str]:
    """The fields of the model that this way leads to."""
    for step in path:
        if isinstance(step, str):
            inner = model.model_fields[step].annotation
            model = next(
                (one for one in getattr(inner, "__args__", ()) if isinstance(one, type) and issubclass(one, pydantic.BaseModel)), model
            )
    return list(model.model_fields)
