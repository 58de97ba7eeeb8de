"""Which policies forbid an action, found by index: a thousand policies cost a decision no more than ten."""

from collections import defaultdict
from collections.abc import Iterable

from safety_governor.domain import documents, values

_EVERY = "*"


class Conflict(values.Value):
    """A policy that forbids what is planned."""

    policy: values.DocumentId
    rule: values.Text
    """The rule in the organisation's own words."""
    release: values.Release
    """What it takes to act against it."""


class PolicySet:
    """All policies of one service, ready to be asked. Matching is exact and lower case; `*` means all; an empty list matches nothing."""

    def __init__(self, policies: Iterable[documents.Policy]) -> None:
        self._by_action_and_severity: dict[tuple[str, str], list[Conflict]] = defaultdict(list)
        for policy in sorted(policies, key=lambda one: one.id):
            conflict = Conflict(policy=policy.id, rule=policy.rule, release=policy.release)
            for action in set(policy.blocked_actions):
                for severity in set(policy.severities):
                    self._by_action_and_severity[action, severity].append(conflict)

    def conflicts(self, *, actions: Iterable[str], severity: values.Severity) -> tuple[Conflict, ...]:
        """Every policy that forbids one of these names (of the action or of the types of its steps), ordered by id."""
        found = {
            conflict.policy: conflict
            for action in (*(name.lower() for name in actions), _EVERY)
            for level in (severity.value, _EVERY)
            for conflict in self._by_action_and_severity.get((action, level), ())
        }
        return tuple(found[identifier] for identifier in sorted(found))
