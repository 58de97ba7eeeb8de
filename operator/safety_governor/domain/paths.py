"""Names of single fields of an object, such as spec.template.spec.containers[name=app].resources.limits.memory.

Brackets choose an element of a list by its key (`[name=app]`) or an entry of a map whose name has dots (`[example.com/tier]`).
"""

import itertools
import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import JsonValue

_STEP = re.compile(r"\.?(?P<name>[A-Za-z][A-Za-z0-9]*)|\[(?P<inner>[^\[\]]+)\]")
_CHOSEN = re.compile(r"(?P<key>[A-Za-z][A-Za-z0-9]*)=(?P<value>.+)", re.DOTALL)

Part = str | tuple[str, str]
"""The name of a field or entry, or key and value of a list's element."""


def parse(path: str) -> tuple[Part, ...]:
    """The parts of the path. Raises ValueError with a sentence."""
    parts: list[Part] = []
    position = 0
    while position < len(path):
        found = _STEP.match(path, position)
        if found is None or (position == 0) == path.startswith((".", "["), position):
            raise ValueError(f"{path!r} does not name a field; write it like spec.template.spec.containers[name=app].image")
        inner = found["inner"]
        chosen = _CHOSEN.fullmatch(inner) if inner else None
        parts.append((chosen["key"], chosen["value"]) if chosen else inner or found["name"])
        position = found.end()
    if not parts or isinstance(parts[-1], tuple):
        raise ValueError(f"{path!r} names no single field")
    for before, part in itertools.pairwise(parts):
        if isinstance(before, tuple) and isinstance(part, tuple):
            raise ValueError(f"{path!r} chooses an element of an element; a list of lists is not known")  # noqa: TRY004 - about the text
        if isinstance(before, tuple) and part == before[0]:
            raise ValueError(f"{path!r} would change the very key by which the element is chosen")
    return tuple(parts)


def look_up(body: Mapping[str, Any], parts: Sequence[Part]) -> JsonValue:
    """The value of the field; None when it is not there."""
    found: Any = body
    for part in parts:
        if isinstance(part, tuple):
            elements = found if isinstance(found, list) else []
            found = next((one for one in elements if isinstance(one, dict) and str(one.get(part[0])) == part[1]), None)
        else:
            found = found.get(part) if isinstance(found, dict) else None
    return found  # type: ignore[no-any-return]


def build(parts: Sequence[Part], value: JsonValue) -> dict[str, Any]:
    """The smallest object that has this value there."""
    built: Any = value
    for part in reversed(parts):
        built = [{part[0]: part[1], **built}] if isinstance(part, tuple) else {part: built}
    return dict(built)


def scalar(text: str) -> JsonValue:
    """A value as a runbook writes it: JSON where it is JSON, else text. `"3"` is text, 3 a number."""
    try:
        value: JsonValue = json.loads(text)
    except ValueError:
        return text
    # Python takes NaN and 1e999 for numbers; JSON knows neither.
    return text if isinstance(value, float) and not math.isfinite(value) else value
