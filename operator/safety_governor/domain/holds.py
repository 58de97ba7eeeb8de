"""What has to pass before the next action may be taken: the guard-rails that look at the past and at the clock.

Each guard is one small pure function and names every reason for which it holds the action back, and until when. The rules are
those of `guardrails`, already the strictest of all policies and ceilings. What takes an action back is not asked here: it is a
part of the past like any other, but nothing here keeps it from being done.
"""

import enum
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from pydantic import Field

from safety_governor.domain import freezes, guardrails, history, plans, values

IN_A_ROW = 2
"""So many actions in a row that did not help open the circuit breaker."""

_ALMOST_A_SECOND = timedelta(microseconds=999_999)


class Guard(enum.StrEnum):
    """Every guard-rail that may make an action wait, in the order in which they are told."""

    SUSPENDED = "Suspended"
    """A person has switched remediation off."""
    IN_FLIGHT = "InFlight"
    """Another incident is acting on the target."""
    BREAKER = "Breaker"
    """The last actions in the namespace did not help."""
    COOLDOWN = "Cooldown"
    """The target was acted on a moment ago."""
    FROZEN = "Frozen"
    """A freeze window is open."""
    TARGET_BUDGET = "TargetBudget"
    """Enough was done to the target within the last hour."""
    NAMESPACE_BUDGET = "NamespaceBudget"
    """Enough was done in the namespace within the last hour."""
    CLUSTER_BUDGET = "ClusterBudget"
    """Enough was done in the cluster within the last hour."""
    BLAST_RADIUS = "BlastRadius"
    """Enough different targets were acted on within the last hour."""
    DISRUPTION = "Disruption"
    """A disruption budget does not spare a pod now. Only the API server knows, so it is not judged here."""


class Breaker(enum.StrEnum):
    """Whether the circuit breaker lets actions through."""

    CLOSED = "Closed"
    OPEN = "Open"


class Hold(values.Value):
    """One reason for which an action has to wait."""

    guard: Guard
    message: values.Text
    """What holds it, how much of how much is used up, and what to do or wait for."""
    until: datetime | None
    """When it is over if nothing else happens; None: when a person has changed something, or, of InFlight, when the other is done."""


class Standing(values.Value):
    """How a namespace stands with its guard-rails, for people to see."""

    actions_last_hour: int = Field(ge=0)
    """Taken for incidents of the namespace."""
    budget: values.Line
    """What is left of the budget that will be used up first; empty when there is none."""
    breaker: Breaker
    frozen_until: values.Line
    """Until when a freeze lasts, or which window cannot be read; empty when nothing is frozen."""
    suspended: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """What is asked: whether this incident may act on this target now."""

    rules: guardrails.Guardrails
    past: tuple[history.Past, ...]
    recent: tuple[history.Past, ...]
    """The last hour of the past, oldest first."""
    namespace: str
    target: plans.Target
    incident: str
    steps: int
    """So many actions are to be let in together."""
    now: datetime

    @property
    def lock(self) -> history.Lock:
        return history.lock(self.namespace, self.target)

    @property
    def name(self) -> str:
        return f"{self.target.kind}/{self.target.name}"

    def hold(self, guard: Guard, message: str, *, until: datetime | None = None) -> Hold:
        return Hold(guard=guard, message=values.clip(message, values.TEXT_LIMIT), until=until)


def judge(
    rules: guardrails.Guardrails,
    past: Sequence[history.Past],
    *,
    namespace: str,
    target: plans.Target,
    incident: str,
    now: datetime,
    steps: int = 1,
) -> tuple[Hold, ...]:
    """Everything that holds this incident's next action on this target back, in the order of `Guard`; empty when it may be taken.

    All of the past counts: who asks about an action that is on record already leaves that action out. A remediation is let in
    as a whole, so the budgets have to have room for all of its `steps`.
    """
    known = history.as_of(past, now)
    recent = history.last_hour(known, now)
    asked = _Asked(rules=rules, past=known, recent=recent, namespace=namespace, target=target, incident=incident, steps=steps, now=now)
    return (
        *_suspended(asked),
        *_in_flight(asked),
        *_breaker(asked),
        *_cooling_down(asked),
        *_frozen(asked),
        *_spent_on_target(asked),
        *_spent_in_namespace(asked),
        *_spent_in_cluster(asked),
        *_spread_too_far(asked),
    )


def strongest_until(holds: Sequence[Hold]) -> datetime | None:
    """When it is worth looking again: the latest end; None where a person is needed, or nothing has an end that is known.

    When the action of another incident is done is not known, so it counts only where nothing else holds.
    """
    timed = [hold.until for hold in holds if hold.guard is not Guard.IN_FLIGHT]
    known = [until for until in timed if until is not None]
    return max(known, default=None) if len(known) == len(timed) else None


def standing(rules: guardrails.Guardrails, past: Sequence[history.Past], *, namespace: str, now: datetime) -> Standing:
    """How the namespace stands. `past` is that of the whole cluster."""
    known = history.as_of(past, now)
    recent = history.last_hour(known, now)
    own = [one for one in recent if one.namespace == namespace]
    return Standing(
        actions_last_hour=len(own),
        budget=_left(rules.actions_per_hour, namespace=len(own), cluster=len(recent)),
        breaker=Breaker.OPEN if _failed_in_a_row(rules, known, namespace, now) else Breaker.CLOSED,
        frozen_until=_frozen_text(freezes.frozen_until(rules.freeze_windows, now)),
        suspended=rules.suspend,
    )


def _left(budgets: guardrails.ActionsPerHour, *, namespace: int, cluster: int) -> str:
    limits = ((budgets.namespace, namespace, "left this hour"), (budgets.cluster, cluster, "left this hour in the cluster"))
    left = [(max(limit - used, 0), limit, text) for limit, used, text in limits if limit is not None]
    if not left:
        return ""
    least, limit, text = min(left, key=lambda one: one[0])
    return f"{least} of {limit} {text}"


def _frozen_text(frozen: freezes.Frozen | None) -> str:
    if frozen is None:
        return ""
    if frozen.until is None:
        return f"unreadable: {frozen.window.name}"
    return f"{'at least ' if frozen.at_least else ''}{frozen.until:%Y-%m-%dT%H:%M:%SZ}"


def _suspended(asked: _Asked) -> Iterator[Hold]:
    if asked.rules.suspend:
        message = "remediation is suspended in this namespace (RemediationPolicy spec.suspend); nothing is done until that is taken back"
        yield asked.hold(Guard.SUSPENDED, message)


def _in_flight(asked: _Asked) -> Iterator[Hold]:
    busy = [one for one in asked.past if one.is_under_way and history.excludes(one.lock, asked.lock)]
    others = sorted({one.incident for one in busy if one.incident != asked.incident})
    if others:
        acting = f"incident {others[0]} is" if len(others) == 1 else f"incidents {', '.join(others)} are"
        yield asked.hold(Guard.IN_FLIGHT, f"{acting} acting on {asked.name}; this one is looked at again after that")


def _breaker(asked: _Asked) -> Iterator[Hold]:
    failed = _failed_in_a_row(asked.rules, asked.past, asked.namespace, asked.now)
    if not failed:
        return
    reset = asked.rules.breaker_reset_at
    told = " and ".join(f"{one.incident} ({one.outcome})" for one in failed)
    message = f"the last {len(failed)} actions in namespace {asked.namespace} did not help: {told}; nothing is done until "
    if reset is not None and reset > asked.now:
        yield asked.hold(Guard.BREAKER, f"{message}{_shown(reset, asked.now)}, the time in spec.breakerResetAt", until=reset)
    else:
        again = "a person has looked into them and sets spec.breakerResetAt of every RemediationPolicy here to the present time"
        yield asked.hold(Guard.BREAKER, message + again)


def _failed_in_a_row(rules: guardrails.Guardrails, past: Sequence[history.Past], namespace: str, now: datetime) -> tuple[history.Past, ...]:
    """The last actions of the namespace, if that many failed; what undoes an action says nothing about whether actions help."""
    reset = rules.breaker_reset_at
    if reset is not None and reset > now:
        # Else a date in the far future would switch the breaker off for good.
        reset = None
    counting = [
        one
        for one in history.finished(past)
        if one.namespace == namespace and not one.undoes and (reset is None or one.finished_at >= reset)
    ]
    last = tuple(counting[-IN_A_ROW:])
    return last if len(last) == IN_A_ROW and all(one.has_failed for one in last) else ()


def _cooling_down(asked: _Asked) -> Iterator[Hold]:
    ended = [one for one in history.finished(asked.past) if one.lock == asked.lock]
    if not ended:
        return
    failures = _failures_at_the_end([one for one in ended if not one.undoes])
    pause = _pause(asked.rules.cooldown, failures)
    until = ended[-1].finished_at + pause
    if asked.now < until:
        pausing = f"{asked.name} is left alone for {_length(pause)} after an action"
        message = f"{pausing}: {_told(failures)}the next may run at {_shown(until, asked.now)}"
        yield asked.hold(Guard.COOLDOWN, message, until=until)


def _failures_at_the_end(ended: Sequence[history.Past]) -> int:
    for count, one in enumerate(reversed(ended)):
        if not one.has_failed:
            return count
    return len(ended)


def _told(failures: int) -> str:
    if not failures:
        return ""
    return "the last one did not help, and " if failures == 1 else f"the last {failures} did not help, and "


def _pause(cooldown: guardrails.Cooldown, failures: int) -> timedelta:
    grown = min(cooldown.after_failure_seconds * 2 ** (failures - 1), cooldown.longest_seconds) if failures else 0
    # Never shorter than after an action that helped.
    return timedelta(seconds=max(grown, cooldown.after_success_seconds))


def _frozen(asked: _Asked) -> Iterator[Hold]:
    frozen = freezes.frozen_until(asked.rules.freeze_windows, asked.now)
    if frozen is not None:
        yield asked.hold(Guard.FROZEN, frozen.message, until=frozen.until)


def _spent_on_target(asked: _Asked) -> Iterator[Hold]:
    entries = [one for one in asked.recent if one.lock == asked.lock]
    yield from _spent(asked, Guard.TARGET_BUDGET, asked.rules.actions_per_hour.target, entries, where=f"on {asked.name}")


def _spent_in_namespace(asked: _Asked) -> Iterator[Hold]:
    entries = [one for one in asked.recent if one.namespace == asked.namespace]
    yield from _spent(
        asked, Guard.NAMESPACE_BUDGET, asked.rules.actions_per_hour.namespace, entries, where=f"in namespace {asked.namespace}"
    )


def _spent_in_cluster(asked: _Asked) -> Iterator[Hold]:
    yield from _spent(asked, Guard.CLUSTER_BUDGET, asked.rules.actions_per_hour.cluster, asked.recent, where="in the cluster")


def _spent(asked: _Asked, guard: Guard, limit: int | None, entries: Sequence[history.Past], *, where: str) -> Iterator[Hold]:
    if limit is None or len(entries) + asked.steps <= limit:
        return
    if asked.steps > limit > 0:
        never = f"it takes {asked.steps} actions, and {limit} {where} are all that an hour has; none runs until a person raises that"
        yield asked.hold(guard, never)
        return
    # For so many of those of the last hour there is room beside it.
    until = _room_at(limit - asked.steps + 1, [one.claimed_at for one in entries]) if limit else None
    wanted = f", and it takes {asked.steps}" if asked.steps > 1 else ""
    yield asked.hold(guard, f"{len(entries)} of {limit} actions {where} in the last hour{wanted}; {_next(asked, until)}", until=until)


def _spread_too_far(asked: _Asked) -> Iterator[Hold]:
    own = [one for one in asked.recent if one.namespace == asked.namespace]
    yield from _spread(asked, asked.rules.targets_per_hour, own, where=f"in namespace {asked.namespace}")
    yield from _spread(asked, asked.rules.cluster_targets_per_hour, asked.recent, where="in the cluster")


def _spread(asked: _Asked, limit: int | None, entries: Sequence[history.Past], *, where: str) -> Iterator[Hold]:
    # Oldest first, so that of each target the latest action stays.
    others = {one.lock: one.claimed_at for one in entries if one.lock != asked.lock}
    if limit is None or len(others) < limit:
        return
    until = _room_at(limit, sorted(others.values()))
    used = f"{len(others)} of {limit} different targets {where} were acted on in the last hour"
    message = f"{used}, and {asked.name} would be one more; {_next(asked, until)}"
    yield asked.hold(Guard.BLAST_RADIUS, message, until=until)


def _room_at(limit: int, claimed: Sequence[datetime]) -> datetime | None:
    """When so many of these have left the hour, oldest first, that there is room for one more; None: never."""
    return claimed[len(claimed) - limit] + history.HOUR if limit else None


def _next(asked: _Asked, until: datetime | None) -> str:
    return f"the next may run at {_shown(until, asked.now)}" if until else "none may run until a person raises that"


def _shown(until: datetime, now: datetime) -> str:
    """A time as people read it, never too early; with its date unless that is today's."""
    shown, today = (until + _ALMOST_A_SECOND).astimezone(UTC), now.astimezone(UTC)
    return f"{shown:%H:%M:%S}" if shown.date() == today.date() else f"{shown:%Y-%m-%d %H:%M:%S}"


def _length(pause: timedelta) -> str:
    minutes, seconds = divmod(int(pause.total_seconds()), 60)
    hours, minutes = divmod(minutes, 60)
    parts = (f"{hours} h" if hours else "", f"{minutes} min" if minutes else "", f"{seconds} s" if seconds else "")
    return " ".join(part for part in parts if part)
