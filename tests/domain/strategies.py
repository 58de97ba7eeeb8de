"""Strategies over everything that a recorded fact can be, known or unknown, consistent or not."""

from typing import Any, TypeVar

from hypothesis import strategies as st

from domain import builders
from safety_governor.domain import approvals, authorities, checks, documents, facts, guardrails, plans, policies, values

ACTIONS = st.sampled_from((builders.ACTION, "scale-checkout"))
TEXTS = st.text(alphabet=st.characters(codec="utf-8"), max_size=60)
DEMANDS = st.sampled_from((values.Release.APPROVE, values.Release.FORCE_OVERRIDE, values.Release.IMPOSSIBLE))

_Made = TypeVar("_Made", bound=values.Value)


def _values(made: type[_Made], /, **fields: st.SearchStrategy[Any]) -> st.SearchStrategy[_Made]:
    """Values of a type; `st.builds` would add the camelCase names of the fields as well."""
    return st.fixed_dictionaries(fields).map(lambda drawn: made(**drawn))


def _some(one: st.SearchStrategy[Any]) -> st.SearchStrategy[tuple[Any, ...]]:
    return st.lists(one, max_size=3).map(tuple)


CONFLICTS = _values(policies.Conflict, policy=st.sampled_from(("pol-1", "pol-2", "pol-3")), rule=TEXTS, release=DEMANDS)
AUTHORITIES = _values(authorities.Authority, named=TEXTS, found_in=TEXTS, why=TEXTS)


FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "severity": st.none() | st.sampled_from(values.Severity),
    "answer_problems": st.none() | _some(TEXTS),
    "proposed_action": st.none() | ACTIONS,
    "is_manual": st.booleans(),
    "resolution": st.none() | st.sampled_from(plans.Resolution),
    "resolution_detail": TEXTS,
    "target": st.none() | _values(plans.Target, name=st.just(builders.SERVICE)),
    "target_exists": st.none() | st.booleans(),
    "protections": st.none() | _some(TEXTS),
    "conflicts": st.none() | _some(CONFLICTS),
    "contradictions": st.none() | st.integers(0, 4),
    "coverage": st.none() | st.floats(0.0, 1.0),
    "supporting": st.none() | st.integers(0, 3),
    "fabricated": st.none() | _some(AUTHORITIES),
    "final_action": st.none() | ACTIONS,
    "telemetry_known": st.none() | st.booleans(),
    "require_telemetry": st.booleans(),
    "unknowns": _some(TEXTS),
}
_CLEAN = {name: getattr(builders.clean_facts(), name) for name in FIELDS}


@st.composite
def any_facts(draw: st.DrawFn) -> facts.Facts:
    """Facts of which some are drawn freely and the others speak for executing, so that every verdict is met often."""
    free = draw(st.sets(st.sampled_from(sorted(FIELDS))))
    return facts.Facts(**{**_CLEAN, **{name: draw(FIELDS[name]) for name in sorted(free)}})


THRESHOLDS = _values(checks.Thresholds, contradictions=st.integers(1, 2), coverage=st.floats(0.34, 1.0), require_telemetry=st.booleans())

KINDS = st.sampled_from(values.ActionType)
TARGETS = _values(plans.Target, kind=st.sampled_from(("Deployment", "StatefulSet", "Secret")), name=st.sampled_from(("checkout", "cart")))
RULES = _values(
    guardrails.Guardrails,
    allowed_actions=st.lists(KINDS, max_size=5).map(tuple),
    protected_targets=_some(
        _values(
            guardrails.ProtectedTarget, kind=st.sampled_from(("Deployment", "StatefulSet")), name=st.sampled_from(("checkout", "cart", "*"))
        )
    ),
    approval=_values(
        approvals.ApprovalRules,
        expires_after_seconds=st.none() | st.integers(60, 1800),
        two_person_rule=_some(st.sampled_from(approvals.TwoPersonCase)),
    ),
    require_telemetry=st.booleans(),
    suspend=st.booleans(),
)
NAMED = _values(guardrails.Named, name=st.just("rules"), rules=RULES)
STEPS = st.lists(_values(plans.Step, id=st.just("step-1"), type=KINDS), max_size=3)

STANCES = st.sampled_from(documents.Stance)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda children: st.lists(children, max_size=3) | st.dictionaries(TEXTS, children, max_size=3),
    max_leaves=8,
)
