"""What an agent without a gate would do with the same incidents: the recommended action of its first hit, at once."""

import asyncio
import contextlib
from collections.abc import Mapping
from pathlib import Path

from demo.expected import EXPECTED
from demo.incidents import Seen
from safety_governor import bootstrap
from safety_governor.domain import documents, values


def actions(store: Path, seen: Mapping[str, Seen]) -> dict[str, str]:
    """In words, by incident."""
    return asyncio.run(_actions(store, seen))


async def _actions(store: Path, seen: Mapping[str, Seen]) -> dict[str, str]:
    with contextlib.closing(bootstrap.open_store(store)) as knowledge:
        told: dict[str, str] = {}
        for one in EXPECTED:
            spec = seen[one.name].spec
            query = "\n".join((spec["summary"], *spec.get("symptoms", ())))
            hits = await knowledge.search_runbooks(query, service=spec["service"], limit=1)
            told[one.name] = _in_words(hits[0].document, one.deployment) if hits else "invents something"
        return told


def _in_words(runbook: documents.Runbook, deployment: str) -> str:
    action = runbook.recommended_action
    remediation = runbook.remediation(action)
    kinds = {step.type for step in remediation.steps} if remediation else set()
    if values.ActionType.ROLLOUT_RESTART in kinds:
        return f"restarts {deployment}"
    if values.ActionType.ROLLOUT_UNDO in kinds:
        return f"rolls {deployment} back"
    return f"follows “{runbook.title}”" if runbook.service == documents.ANY_SERVICE else "tries it by itself"
