"""What a trail says about the gate in sum, against an agent that would act on every plan that can be carried out."""

import statistics
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from pydantic import Field

from safety_governor.domain import approvals, plans, values, verdicts
from safety_governor.domain.audit import events
from safety_governor.domain.audit.events import Kind


class Shift(values.Value):
    """How the stress test moved confidence, over the decisions where it is known."""

    decisions: int = 0
    initial: float | None = None
    """Mean before, of 10."""
    post: float | None = None
    """Mean after."""
    delta: float | None = None
    """Mean change."""
    largest_loss: float | None = None


class Naive(values.Value):
    """What would have been done without the gate, and what was done with it."""

    executed: int = 0
    """Incidents with a plan that could be carried out: an agent without a gate would have."""
    executed_with_the_gate: int = 0
    """Of these, incidents in which an action was done, or may have been; not those in which it was refused or taken back."""
    not_executed: dict[str, int] = Field(default_factory=dict)
    """The others, by how they ended; StillOpen where they have not."""
    executed_after_people: int = 0
    """Of those that were executed, incidents in which a person had released what was done."""


class Summary(values.Value):
    """All figures."""

    since: datetime | None = None
    until: datetime | None = None
    incidents: int = 0
    decisions: dict[str, int] = Field(default_factory=dict)
    required: dict[str, int] = Field(default_factory=dict)
    """What it took to release what was blocked."""
    block_reasons: dict[str, int] = Field(default_factory=dict)
    """How often each check blocked; several may block one decision."""
    confidence: Shift = Shift()
    approvals: dict[str, int] = Field(default_factory=dict)
    """Asked, honoured by word, refused, expired."""
    overrides: int = 0
    seconds_to_answer: float | None = None
    """Median from the question to the word that was honoured."""
    outcomes: dict[str, int] = Field(default_factory=dict)
    """How incidents ended."""
    actions: dict[str, int] = Field(default_factory=dict)
    """What became of actions; undos are counted by themselves."""
    naive: Naive = Naive()


_REFUSED = "Failed"
"""State of an action that the API server refused."""

_COUNTED = ("decisions", "required", "block_reasons", "approvals", "overrides", "outcomes", "actions")


@dataclass(slots=True)
class _Incident:
    """What has to be known of an incident until it is summed up."""

    plan_can_be_done: bool = False
    target_exists: bool = True
    """As far as the newest decision tells."""
    acted: bool = False
    released: bool = False
    """Whether a person had released what was done."""
    phase: str = ""
    release_digests: set[str] = field(default_factory=set)
    """Of the plans that a person released."""
    claims: dict[str, str] = field(default_factory=dict)
    """Digest of the plan that an action was claimed for, by the key of the action."""
    undos: set[str] = field(default_factory=set)
    """Keys of actions that undo others."""
    seen: set[str] = field(default_factory=set)
    """Ids of its events."""


def _counters() -> dict[str, Counter[str]]:
    return {name: Counter() for name in _COUNTED}


@dataclass(slots=True)
class Tally:
    """Takes the lines of workflow_events, oldest first; what it keeps grows with the incidents, not with the lines."""

    _incidents: dict[str, _Incident] = field(default_factory=dict)
    _counts: dict[str, Counter[str]] = field(default_factory=_counters)
    _initial: list[float] = field(default_factory=list)
    _post: list[float] = field(default_factory=list)
    _asked: dict[str, datetime] = field(default_factory=dict)
    _answered: list[float] = field(default_factory=list)
    _since: datetime | None = None
    _until: datetime | None = None

    def take(self, fields: Mapping[str, Any]) -> None:
        """One line; a line of a form that is not known says nothing."""
        data, uid = fields.get("data"), str(fields.get("uid") or "")
        if not isinstance(data, Mapping) or not uid or events.UNWRITTEN in data:
            return
        at = _time(fields.get("at"))
        self._since, self._until = self._since or at, at or self._until
        incident = self._incidents.setdefault(uid, _Incident())
        kind, identifier = fields.get("kind"), str(fields.get("id"))
        if identifier in incident.seen:
            # Told again after a crash.
            return
        incident.seen.add(identifier)
        self._take_decision(kind, data, incident)
        self._take_people(kind, data, incident, at)
        self._take_action(kind, data, incident)

    def _take_decision(self, kind: object, data: Mapping[str, Any], incident: _Incident) -> None:
        if kind == Kind.PLANNED:
            incident.plan_can_be_done = _can_be_done(data.get("plan"))
        elif kind == Kind.GATED:
            self._gated(data, incident)
        elif kind == Kind.ENDED:
            incident.phase = str(data.get("phase"))
            self._count("outcomes", incident.phase)

    def _take_people(self, kind: object, data: Mapping[str, Any], incident: _Incident, at: datetime | None) -> None:
        if kind == Kind.APPROVAL_ASKED:
            self._count("approvals", "asked")
            if at is not None:
                self._asked[str(data.get("planDigest"))] = at
        elif kind == Kind.APPROVAL_HONOURED:
            self._honoured(data, incident, at)
        elif kind == Kind.APPROVAL_REFUSED:
            self._count("approvals", f"{data.get('decision')} refused")
        elif kind == Kind.OVERRIDDEN:
            self._count("overrides", "overridden")
        elif kind == Kind.EXPIRED:
            self._count("approvals", "expired")

    def _take_action(self, kind: object, data: Mapping[str, Any], incident: _Incident) -> None:
        key = str(data.get("key"))
        if kind == Kind.CLAIMED and data.get("undoes"):
            incident.undos.add(key)
        elif kind == Kind.CLAIMED:
            incident.claims[key] = str(data.get("planDigest"))
        elif kind == Kind.ACTION_ENDED:
            undoes = key in incident.undos
            self._count("actions", f"{'undo ' if undoes else ''}{data.get('outcome') or data.get('state')}")
            if not undoes and data.get("state") != _REFUSED:
                incident.acted = True
                incident.released = incident.released or incident.claims.get(key) in incident.release_digests

    def summary(self) -> Summary:
        """What came out so far."""
        counts = {name: dict(sorted(counter.items(), key=lambda one: (-one[1], one[0]))) for name, counter in self._counts.items()}
        overrides = counts.pop("overrides").get("overridden", 0)
        return Summary(
            since=self._since,
            until=self._until,
            incidents=len(self._incidents),
            confidence=self._shift(),
            overrides=overrides,
            seconds_to_answer=round(statistics.median(self._answered), 1) if self._answered else None,
            naive=self._naive(),
            decisions=counts["decisions"],
            required=counts["required"],
            block_reasons=counts["block_reasons"],
            approvals=counts["approvals"],
            outcomes=counts["outcomes"],
            actions=counts["actions"],
        )

    def _count(self, what: str, name: str) -> None:
        self._counts[what][name] += 1

    def _gated(self, data: Mapping[str, Any], incident: _Incident) -> None:
        self._count("decisions", str(data.get("decision")))
        known = data.get("facts")
        if isinstance(known, Mapping):
            incident.target_exists = bool(known.get("targetExists"))
        if data.get("decision") == verdicts.Decision.BLOCK_AND_ESCALATE:
            self._count("required", str(data.get("requiredApproval")))
            for reason in str(data.get("reason", "")).split(","):
                self._count("block_reasons", reason)
        initial, post = data.get("confidenceInitial"), data.get("confidencePost")
        if isinstance(initial, int | float) and isinstance(post, int | float):
            self._initial.append(initial)
            self._post.append(post)

    def _honoured(self, data: Mapping[str, Any], incident: _Incident, at: datetime | None) -> None:
        word = str(data.get("decision"))
        self._count("approvals", f"{word} honoured")
        if word != approvals.Word.REJECT:
            incident.release_digests.add(str(data.get("planDigest")))
        asked = self._asked.pop(str(data.get("planDigest")), None)
        if asked is not None and at is not None:
            self._answered.append((at - asked).total_seconds())

    def _shift(self) -> Shift:
        if not self._initial:
            return Shift()
        deltas = [post - initial for initial, post in zip(self._initial, self._post, strict=True)]
        return Shift(
            decisions=len(deltas),
            initial=round(statistics.fmean(self._initial), 2),
            post=round(statistics.fmean(self._post), 2),
            delta=round(statistics.fmean(deltas), 2),
            largest_loss=round(min(0.0, *deltas), 2),
        )

    def _naive(self) -> Naive:
        able = [one for one in self._incidents.values() if one.acted or (one.plan_can_be_done and one.target_exists)]
        acted = [one for one in able if one.acted]
        others = Counter(one.phase or "StillOpen" for one in able if not one.acted)
        return Naive(
            executed=len(able),
            executed_with_the_gate=len(acted),
            executed_after_people=sum(one.released for one in acted),
            not_executed=dict(sorted(others.items(), key=lambda one: (-one[1], one[0]))),
        )


def _can_be_done(plan: object) -> bool:
    """Whether an agent without a gate could carry it out."""
    if not isinstance(plan, Mapping) or plan.get("resolution") != plans.Resolution.RESOLVED:
        return False
    steps = plan.get("steps") or []
    return bool(steps) and not any(one.get("type") == values.ActionType.MANUAL for one in steps if isinstance(one, Mapping))


def _time(text: object) -> datetime | None:
    try:
        return datetime.fromisoformat(str(text))
    except ValueError:
        return None
