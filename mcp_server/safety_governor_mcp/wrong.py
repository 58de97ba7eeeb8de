"""What is wrong with the arguments of a call, in words by which a model can correct them."""

from collections.abc import Mapping
from typing import Any

import pydantic
from fastmcp.exceptions import ValidationError

from safety_governor.domain import values

NAME_LIMIT = 64
"""Characters of an argument's name that are repeated; a caller may have made it up."""
AT_ONCE = 8
"""So many mistakes are told."""

_EXPECTED: Mapping[str, str] = {
    "missing": "is missing",
    "missing_argument": "is missing",
    "string_type": "has to be text",
    "string_too_short": "has to have characters, {min_length} at least",
    "string_too_long": "has to have {max_length} characters at most",
    # Services are all that has one; their names are those of Kubernetes.
    "string_pattern_mismatch": "has to be the name as the incident gives it: lower-case letters, digits, - and . only, "
    "beginning and ending with a letter or digit, such as checkout",
    "greater_than_equal": "has to be {ge} at least",
    "less_than_equal": "has to be {le} at most",
    "literal_error": "has to be {expected}",
    "enum": "has to be {expected}",
    "list_type": "has to be a list",
    "too_short": "has to have entries, {min_length} at least",
    "too_long": "has to have {max_length} entries at most",
    **dict.fromkeys(("int_type", "int_parsing", "int_from_float", "int_parsing_size", "finite_number"), "has to be a whole number"),
}
"""By the kind of the mistake."""


def sentence(error: ValidationError) -> str:
    """One part for each mistake, without repeating what was given."""
    cause = error.__cause__
    if not isinstance(cause, pydantic.ValidationError):
        return "the arguments do not fit the tool's input schema; look at it again"
    found = [_part(problem) for problem in cause.errors(include_url=False, include_input=False)[:AT_ONCE]]
    return f"{'; '.join(found)}. Correct that and call again."


def _part(problem: Mapping[str, Any]) -> str:
    kind = problem["type"]
    name = ".".join(str(part) for part in problem["loc"]) or "the arguments"
    shown = values.clip("".join(sign if sign.isprintable() else "?" for sign in name), NAME_LIMIT)
    if kind in ("unexpected_keyword_argument", "extra_forbidden"):
        return f"there is no argument {shown}"
    expected = _EXPECTED.get(kind)
    return f"{shown} {expected.format(**problem.get('ctx', {}))}" if expected is not None else f"{shown}: {problem['msg']}"
