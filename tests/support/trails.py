"""Audit trails for tests: events with defaults, and whole folders of them."""

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from safety_governor.adapters.audit import reading
from safety_governor.adapters.audit.trail import Trail
from safety_governor.domain import digests, journal, plans, values, verdicts
from safety_governor.domain.audit import events, proof
from safety_governor.domain.audit.events import Event, Position
from support.fakes import NOON

SMALL = 4096
"""So small that a few dozen events fill several files."""


def an_event(number: int = 1, *, at: datetime | None = None, message: str = "", **more: Any) -> Event:
    """An event that differs from the others by its number."""
    content = events.Ended(phase="Resolved", message=message or f"number {number}")
    when = at or NOON + timedelta(seconds=number)
    return events.happened(content, at=when, incident=f"shop/i-{number}", uid=f"uid-{number}", once=("Resolved",), **more)


def a_question(number: int = 1) -> Event:
    """A question to an agent."""
    content = events.AgentAsked(question="plan", prompt=digests.digest(number), milliseconds=number)
    return events.happened(
        content, at=NOON + timedelta(seconds=number), incident=f"shop/i-{number}", uid=f"uid-{number}", once=(str(number),)
    )


def a_decision(number: int = 1, **changes: Any) -> Event:
    """A verdict, which names where the other streams are."""
    known: dict[str, Any] = {
        "attempt": 1,
        "decision": verdicts.Decision.EXECUTE,
        "required_approval": "NotNeeded",
        "reason": "NoFindings",
        "plan_digest": digests.digest(number),
        "input_digest": digests.digest("facts"),
        "gate": "1",
        "decided_at": NOON,
        "service": "payments",
        "severity": "medium",
        "mode": "Enforce",
    }
    content = events.Gated.model_validate({**known, **changes})
    return events.happened(
        content, at=NOON + timedelta(seconds=number), incident=f"shop/i-{number}", uid=f"uid-{number}", once=(str(number),)
    )


def some_figures(number: int = 1) -> Event:
    """The figures of a decision."""
    content = events.Scored(plan_digest=digests.digest(number), decision=verdicts.Decision.EXECUTE)
    return events.happened(
        content, at=NOON + timedelta(seconds=number), incident=f"shop/i-{number}", uid=f"uid-{number}", once=(str(number),)
    )


def an_end_of_an_action(number: int = 1) -> Event:
    """An action was done."""
    content = events.ActionEnded(
        key=f"sha256:{number:064x}", type=values.ActionType.ROLLOUT_RESTART, target=plans.Target(name="web"), state="Done"
    )
    return events.happened(
        content, at=NOON + timedelta(seconds=number), incident=f"shop/i-{number}", uid=f"uid-{number}", once=(str(number),)
    )


def an_intent(number: int = 1) -> journal.Intent:
    """The intent to restart something."""
    return journal.Intent(
        key=f"sha256:{number:064x}",
        incident="shop/slow",
        uid="uid-1",
        namespace="shop",
        target=plans.Target(name="web"),
        type=values.ActionType.ROLLOUT_RESTART,
        claimed_at=NOON,
    )


def write(
    folder: Path,
    *happened: Event,
    limit: int = SMALL,
    one_by_one: bool = True,
    journal: Callable[[], Position | None] = lambda: None,
) -> Position | None:
    """A trail with these; where it ends."""

    async def main(trail: Trail) -> Position | None:
        last = None
        for batch in [[one] for one in happened] if one_by_one else [list(happened)]:
            last = await trail.append(batch)
        return last

    with contextlib.closing(Trail.open(folder, now=lambda: NOON, limit=limit, journal=journal)) as trail:
        return asyncio.run(main(trail))


def verify(folder: Path, anchors: Sequence[proof.Anchor] = ()) -> list[proof.Finding]:
    """What is found in all streams."""
    found = list(reading.verify(folder, anchors={"workflow_events": list(anchors)}))
    return [finding for one in found for finding in one.findings]


def faults(folder: Path, anchors: Sequence[proof.Anchor] = ()) -> set[proof.Fault]:
    """Only their kinds."""
    return {one.fault for one in verify(folder, anchors)}
