"""Which policies forbid an action, found by index: a thousand policies cost a decision no more than ten."""

from collections import defaultdict
from collections.abc import Iterable

from safety_governor.domain import documents, values

_EVERY = "*"

LIMIT = 64
"""So many conflicts are shown at most; of more, those that demand most."""


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
        self._by_action_and_severity: dict[tuple[str, str], list[documents.Policy]] = defaultdict(list)
        for policy in policies:
            for action in policy.blocked_actions:
                for severity in policy.severities:
                    self._by_action_and_severity[action, severity].append(policy)

    def conflicts(self, *, actions: Iterable[str], severity: values.Severity) -> tuple[Conflict, ...]:
        """Every policy that forbids one of these names (of the action or of the types of its steps), ordered by id; of too many the strongest."""
        found = {
            policy.id: policy
            for action in (*(name.lower() for name in actions), _EVERY)
            for level in (severity.value, _EVERY)
            for policy in self._by_action_and_severity.get((action, level), ())
        }
        # Sorted twice: of too many those that demand most are kept, and these are shown by id.
        by_id = (found[identifier] for identifier in sorted(found))
        kept = sorted(by_id, key=lambda one: -one.release.strength)[:LIMIT]
        return tuple(Conflict(policy=one.id, rule=one.rule, release=one.release) for one in sorted(kept, key=lambda one: one.id))
