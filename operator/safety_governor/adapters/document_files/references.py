"""Remediations that a runbook takes over from another one: `{action: X, see: other-runbook}`.

The steps are copied when the files are read, so that what is stored stands for itself and later changes to the other
runbook need a new load to take effect. Chains are followed; a loop or a gap is refused, never cut short.
"""

from collections.abc import Callable, Mapping
from typing import Any

from safety_governor.adapters.document_files.findings import FormatError
from safety_governor.domain import documents

Stored = Callable[[str], documents.Runbook | None]
"""Finds a runbook that was loaded earlier."""


def resolved(data: dict[str, Any], *, loaded: Mapping[str, Mapping[str, Any]], stored: Stored) -> dict[str, Any]:
    """The runbook with the steps in place of its references. `loaded` are the runbooks of the same load, by id."""
    remediations = data.get("remediations")
    if not isinstance(remediations, list):
        return data
    whole = []
    for number, one in enumerate(remediations):
        field = f"remediations[{number}]"
        whole.append(_resolved_one(str(data.get("id")), one, field, loaded=loaded, stored=stored) if _refers(one) else one)
    return data | {"remediations": whole}


def _refers(remediation: object) -> bool:
    return isinstance(remediation, dict) and "see" in remediation


def _resolved_one(
    identifier: str, one: dict[str, Any], field: str, *, loaded: Mapping[str, Mapping[str, Any]], stored: Stored
) -> dict[str, Any]:
    action = one.get("action")
    if set(one) != {"action", "see"} or not isinstance(action, str) or not isinstance(one["see"], str):
        raise FormatError("gives `see`; expected only the name of an `action` beside it, and the id of a runbook", field=field)
    chain = [identifier]
    while _refers(one):
        other = str(one["see"])
        if other in chain:
            raise FormatError(f"refers to itself: {' → '.join([*chain[chain.index(other) :], other])}", field=f"{field}.see")
        chain.append(other)
        found = _remediations(other, loaded, stored)
        if found is None:
            raise FormatError(f"names the runbook {other!r}, which is neither in these files nor in the store", field=f"{field}.see")
        if action not in found:
            raise FormatError(f"names the runbook {other!r}, which has no remediation {action!r}{_instead(found)}", field=f"{field}.see")
        one = found[action]
    return {"action": action, "steps": one.get("steps")}


def _remediations(identifier: str, loaded: Mapping[str, Mapping[str, Any]], stored: Stored) -> dict[str, dict[str, Any]] | None:
    if identifier in loaded:
        raw = loaded[identifier].get("remediations")
        return (
            {one["action"]: one for one in raw if isinstance(one, dict) and isinstance(one.get("action"), str)}
            if isinstance(raw, list)
            else {}
        )
    runbook = stored(identifier)
    return None if runbook is None else {one.action: one.model_dump(mode="json") for one in runbook.remediations}


def _instead(found: Mapping[str, object]) -> str:
    return f"; it has {', '.join(found)}" if found else ""
