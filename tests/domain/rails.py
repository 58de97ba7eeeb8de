"""Guard-rails in full, and pasts to hold them against: builders with defaults, and strategies over all that they can be."""

from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from hypothesis import strategies as st

from domain import strategies
from domain.builders import some_rules
from safety_governor.domain import digests, freezes, guardrails, history, plans, values, verification

NOW = datetime(2026, 7, 3, 14, 0, tzinfo=UTC)
"""A Friday afternoon."""
Outcome = verification.Outcome


def before(**ago: float) -> datetime:
    return NOW - timedelta(**ago)


def after(**ahead: float) -> datetime:
    return NOW + timedelta(**ahead)


def a_window(schedule: str = "0 18 * * *", *, hours: float = 12, **changes: Any) -> freezes.FreezeWindow:
    known = {"name": "nights", "schedule": schedule, "duration_seconds": int(hours * 3600)}
    return freezes.FreezeWindow(**{**known, **changes})


def an_action(claimed_at: datetime, outcome: str | None = "Verified", *, minutes: float = 1, **changes: Any) -> history.Past:
    """An action that another incident of the shop took on Deployment/payments and that took a minute."""
    known = {
        "key": digests.digest(f"{claimed_at} {changes}"),
        "incident": "shop/earlier",
        "namespace": "shop",
        "target": plans.Target(name="payments"),
        "claimed_at": claimed_at,
        "ended_at": claimed_at + timedelta(minutes=minutes) if outcome else None,
        "outcome": outcome,
    }
    return history.Past(**{**known, **changes})


def free_rules(**changes: Any) -> guardrails.Guardrails:
    """Rules that hold nothing back but for what a test adds."""
    known = {"cooldown": guardrails.Cooldown(after_failure_seconds=0), "breaker_reset_at": NOW}
    return some_rules(**{**known, **changes})


_Made = TypeVar("_Made", bound=values.Value)


def _values(made: type[_Made], /, **fields: st.SearchStrategy[Any]) -> st.SearchStrategy[_Made]:
    return st.fixed_dictionaries(fields).map(lambda drawn: made(**drawn))


def _some(one: st.SearchStrategy[Any], most: int = 2) -> st.SearchStrategy[tuple[Any, ...]]:
    return st.lists(one, max_size=most, unique=True).map(tuple)


SMALL = st.none() | st.integers(0, 4)
SHARES = st.integers(0, 100).map("{}%".format)
UNAVAILABLE = st.integers(0, 9).map(str) | SHARES | st.tuples(st.integers(0, 9), SHARES).map(lambda both: f"{both[0]},{both[1]}")
WINDOWS = _values(
    freezes.FreezeWindow,
    name=st.sampled_from(("nights", "sale")),
    schedule=st.sampled_from(("0 13 * * *", "30 14 * * 5", "0 0 1 7 *", "* * * * *", "0 0 30 2 *", "*/20 * * * *", "0 2 29 3 *")),
    duration_seconds=st.sampled_from((60, 1200, 3600, 86_400, 3 * 86_400)),
    time_zone=st.sampled_from(("UTC", "Europe/Berlin", "America/New_York")),
)
OWN = {
    "max_unavailable": st.none() | UNAVAILABLE,
    "actions_per_hour": _values(guardrails.ActionsPerHour, target=SMALL, namespace=SMALL, cluster=SMALL),
    "targets_per_hour": SMALL,
    "cluster_targets_per_hour": SMALL,
    "cooldown": _values(
        guardrails.Cooldown,
        after_success_seconds=st.integers(0, 1200),
        after_failure_seconds=st.integers(0, 1200),
        longest_seconds=st.integers(0, 7200),
    ),
    "freeze_windows": _some(WINDOWS),
    "job_templates": st.none() | _some(st.sampled_from(("report", "reindex"))),
    "patchable": st.none()
    | _some(_values(guardrails.PatchableField, kind=st.just("Deployment"), path=st.sampled_from(("spec.minReadySeconds", "spec.paused")))),
    "webhooks": st.none() | _some(st.sampled_from(("failover", "scale-out"))),
    "git_ops": st.sampled_from(guardrails.GitOps),
    "verification": _values(
        guardrails.VerificationRules,
        soak_seconds=st.none() | st.integers(0, 600),
        timeout_seconds=st.none() | st.integers(1, 600),
        require_alert_resolved=st.booleans(),
    ),
    # A time in the future is no word yet, so it is not among what two policies agree on.
    "breaker_reset_at": st.none() | st.integers(0, 200).map(lambda minutes: before(minutes=minutes)),
}


@st.composite
def any_rules(draw: st.DrawFn) -> guardrails.Guardrails:
    """Guard-rails of which some fields are drawn freely and the others say nothing."""
    free = draw(st.sets(st.sampled_from(sorted(OWN))))
    return draw(strategies.RULES).model_copy(update={name: draw(OWN[name]) for name in sorted(free)})


NAMED = _values(guardrails.Named, name=st.sampled_from(("a", "b", "c")), rules=any_rules())

CEILINGS = _values(
    guardrails.Ceilings,
    actions_per_hour=_values(guardrails.HourlyCeilings, target=st.integers(0, 4), namespace=st.integers(0, 4), cluster=st.integers(0, 4)),
    targets_per_hour=st.integers(0, 4),
)

TARGETS = _values(plans.Target, kind=st.sampled_from(("Deployment", "Node")), name=st.sampled_from(("payments", "cart")))
OUTCOMES = st.none() | st.sampled_from(Outcome)


@st.composite
def past_actions(draw: st.DrawFn, *, outcomes: st.SearchStrategy[Any] = OUTCOMES, furthest: int = 0) -> history.Past:
    """An action of the last hours; with `furthest`, of up to so many minutes in the future."""
    namespace, claimed_at = draw(st.sampled_from(("shop", "bank"))), before(seconds=draw(st.integers(-furthest * 60, 3 * 3600)))
    outcome = draw(outcomes)
    ended_at = min(claimed_at + timedelta(seconds=draw(st.integers(0, 900))), after(minutes=furthest)) if outcome else None
    return history.Past(
        key=digests.digest(draw(st.integers(0, 10**9))),
        incident=f"{namespace}/{draw(st.sampled_from('abc'))}",
        namespace=namespace,
        target=draw(TARGETS),
        undoes=draw(st.booleans()),
        claimed_at=claimed_at,
        ended_at=ended_at,
        outcome=outcome,
    )
