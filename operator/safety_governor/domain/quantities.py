"""Amounts as Kubernetes writes them, such as 512Mi or 0.5.

The API server stores an amount in a form of its own (1024Mi becomes 1Gi, 0.5 becomes 500m), so what was set and what is
there then may read differently and be the same.
"""

import re
from decimal import Decimal

from pydantic import JsonValue

_FORM = re.compile(r"(?P<number>[+-]?([0-9]+\.?[0-9]*|\.[0-9]+))(?P<unit>[numkMGTPE]|[KMGTPE]i|[eE][+-]?[0-9]{1,2})?")
_DECIMAL = {"n": -9, "u": -6, "m": -3, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY = ("Ki", "Mi", "Gi", "Ti", "Pi", "Ei")


def same(one: JsonValue, other: JsonValue) -> bool:
    """Whether both are the same value, or the same amount in two forms."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if one == other:
        return True
    amounts = _amount(one), _amount(other)
    return None not in amounts and amounts[0] == amounts[1]


def _amount(value: JsonValue) -> Decimal | None:
    found = _FORM.fullmatch(str(value)) if isinstance(value, int | float | str) else None
    if found is None:
        return None
    number, unit = Decimal(found["number"]), found["unit"] or ""
    if unit in _BINARY:
        return number * Decimal(1024) ** (_BINARY.index(unit) + 1)
    if unit in _DECIMAL:
        return number.scaleb(_DECIMAL[unit])
    return number.scaleb(int(unit[1:])) if unit else number
