"""Recorded decisions, decided again: under the gate as it is now, and under other thresholds or policies."""

import enum
from collections.abc import Callable, Mapping
from typing import Any

from pydantic import ValidationError

from safety_governor.domain import checks, digests, policies, values, verdicts
from safety_governor.domain.audit import events
from safety_governor.domain.facts import Facts


class Decided(values.Value):
    """A decision as it was recorded."""

    id: events.EventId
    """Of the event; the same wherever the decision is recorded."""
    incident: values.Line
    service: values.ServiceName
    plan_digest: values.Digest
    at: values.Line
    """When."""
    decision: verdicts.Decision
    required_approval: values.Release
    reason: values.Text
    gate: values.Word
    facts: Facts
    """What was judged."""
    is_exact: bool
    """Whether the facts are wholly those that were judged, by their digest."""
    thresholds: checks.Thresholds
    """What it was judged by; the defaults where that was not recorded."""
    names: tuple[values.ActionName, ...] = ()
    severity: values.Severity

    @property
    def strictness(self) -> int:
        """As of a verdict."""
        return _strictness(self.decision, self.required_approval)


class Direction(enum.StrEnum):
    """Which way a decision goes."""

    SAME = "Same"
    STRICTER = "Stricter"
    LOOSER = "Looser"
    OTHER = "Other"
    """As strict, for other reasons."""


class Replayed(values.Value):
    """A decision and what it would be."""

    decided: Decided
    verdict: verdicts.Verdict
    direction: Direction
    because: tuple[values.Line, ...] = ()
    """Which checks fire now and did not, or did and do not: +PolicyForbidsAction, -EvidenceInsufficient."""
    is_reproduced: bool = True
    """Whether the same gate comes to the same decision under the thresholds of then. If not, record or gate is not what it says."""


class NotReplayableError(ValueError):
    """A decision that cannot be decided again, and why."""


def from_line(fields: Mapping[str, Any]) -> Decided:
    """The decision of a line of kind Gated. Raises NotReplayableError."""
    try:
        gated = events.Gated.model_validate(fields.get("data"), extra="ignore")
    except ValidationError as error:
        where = ".".join(str(part) for part in error.errors(include_input=False)[0]["loc"])
        raise NotReplayableError(f"its field {where} is not as this version knows it") from None
    if gated.facts is None:
        raise NotReplayableError(
            "the facts were not recorded, as the operator ended between deciding and recording; replay the Incident itself"
        )
    return Decided(
        id=events.event_id(events.Kind.GATED, str(fields.get("uid", "")), gated.plan_digest),
        incident=str(fields.get("incident", "")),
        service=gated.service,
        plan_digest=gated.plan_digest,
        at=gated.decided_at.isoformat(),
        decision=gated.decision,
        required_approval=gated.required_approval,
        reason=gated.reason,
        gate=gated.gate,
        facts=gated.facts,
        is_exact=digests.digest(gated.facts) == gated.input_digest,
        thresholds=gated.thresholds or checks.Thresholds(),
        names=gated.names,
        severity=gated.severity,
    )


def again(decided: Decided, thresholds: checks.Thresholds | None, known: Callable[[str], policies.PolicySet] | None) -> Replayed:
    """Decide it under these thresholds and the policies of its service; None of either means those of then."""
    facts = decided.facts
    then = verdicts.judge(facts, decided.thresholds)
    same_gate = decided.gate == verdicts.GATE_VERSION
    reproduced = (
        not same_gate or not decided.is_exact or (then.decision, then.required_approval) == (decided.decision, decided.required_approval)
    )
    if known is not None:
        facts = facts.model_copy(update={"conflicts": known(decided.service).conflicts(actions=decided.names, severity=decided.severity)})
    now = verdicts.judge(facts, thresholds or decided.thresholds)
    before, after = _checks(decided.reason), _checks(now.reason)
    because = (*(f"+{one}" for one in after if one not in before), *(f"-{one}" for one in before if one not in after))
    return Replayed(decided=decided, verdict=now, direction=_direction(decided, now, because), because=because, is_reproduced=reproduced)


def _direction(decided: Decided, now: verdicts.Verdict, because: tuple[str, ...]) -> Direction:
    before, after = decided.strictness, _strictness(now.decision, now.required_approval)
    if (decided.decision, decided.required_approval) == (now.decision, now.required_approval):
        return Direction.OTHER if because else Direction.SAME
    if after == before:
        return Direction.OTHER
    return Direction.STRICTER if after > before else Direction.LOOSER


def _strictness(decision: verdicts.Decision, required: values.Release) -> int:
    return verdicts.Verdict(decision=decision, required_approval=required).strictness


def _checks(reason: str) -> tuple[str, ...]:
    return tuple(one for one in reason.split(",") if one and one != "NoFindings")
