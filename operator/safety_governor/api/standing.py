"""How a namespace's standing with its guard-rails reads as the status of a RemediationPolicy: computed anew each time."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from safety_governor.api import v1alpha1
from safety_governor.api.conditions import PolicyCondition, PolicyType, State, put_policy
from safety_governor.domain import holds


def described(
    policy: v1alpha1.RemediationPolicy, standing: holds.Standing, *, origins: Mapping[str, Sequence[str]], now: datetime
) -> v1alpha1.RemediationPolicyStatus:
    """The status of one of the policies of a namespace, all of which stand alike."""
    frozen, is_open = bool(standing.frozen_until), standing.breaker is holds.Breaker.OPEN
    active = not (standing.suspended or frozen or is_open)
    observations = (
        (PolicyType.ACTIVE, active, "Active" if active else "Held", ""),
        (PolicyType.SUSPENDED, standing.suspended, "SwitchedOff" if standing.suspended else "SwitchedOn", ""),
        (PolicyType.FROZEN, frozen, "WindowOpen" if frozen else "NoWindowOpen", f"until {standing.frozen_until}" if frozen else ""),
        (
            PolicyType.BREAKER_OPEN,
            is_open,
            "ActionsDidNotHelp" if is_open else "Closed",
            "look into the incidents, then set spec.breakerResetAt to the present time" if is_open else "",
        ),
        (PolicyType.STRICTEST, True, "Computed", _told(origins)),
    )
    conditions: tuple[PolicyCondition, ...] = policy.status.conditions
    for kind, state, reason, message in observations:
        conditions = put_policy(
            conditions,
            kind,
            State.TRUE if state else State.FALSE,
            reason=reason,
            message=message,
            generation=policy.metadata.generation,
            now=now,
        )
    return v1alpha1.RemediationPolicyStatus(
        observed_generation=policy.metadata.generation,
        conditions=conditions,
        budget=standing.budget,
        breaker=standing.breaker,
        frozen_until=standing.frozen_until,
        actions_last_hour=standing.actions_last_hour,
    )


def _told(origins: Mapping[str, Sequence[str]]) -> str:
    """Field by field, from which policy it comes."""
    return "; ".join(f"{field} from {' and '.join(names)}" for field, names in origins.items())
