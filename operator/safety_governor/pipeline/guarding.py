"""The guard-rails of a namespace, as they are asked when an incident is gated, claimed and carried out: the same three times."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from safety_governor.api import v1alpha1
from safety_governor.domain import actions, errors, guardrails, holds, plans, requests, workloads
from safety_governor.pipeline import ports, register


@dataclass(frozen=True, slots=True, kw_only=True)
class Rails:
    """What was read of the guard-rails at one moment."""

    named: tuple[guardrails.Named, ...]
    rules: guardrails.Guardrails | None
    """The strictest of all of them and of the ceilings; None when the namespace has not opted in."""


_HOLD_LATER = frozenset({holds.Guard.SUSPENDED, holds.Guard.FROZEN})
"""What holds a step of a remediation that was begun: it was let in as a whole, so budgets do not stop it halfway."""
_HOLD_UNDOING = frozenset({holds.Guard.SUSPENDED})
"""Freeze windows and budgets are about changes; this takes a change back."""


class Guarding:
    """Answers what is forbidden, and what has to wait."""

    def __init__(
        self,
        *,
        rails: ports.Guardrails,
        actuator: ports.Actuator,
        past: register.Register,
        ceilings: guardrails.Ceilings,
        own_namespace: str,
    ) -> None:
        self._rails = rails
        self._actuator = actuator
        self._past = past
        self._ceilings = ceilings
        self._own_namespace = own_namespace

    async def read(self, namespace: str) -> Rails:
        """The guard-rails as they are now."""
        named = tuple(await self._rails.fetch(namespace))
        rules = guardrails.strictest(named)
        return Rails(named=named, rules=guardrails.tightened(rules, self._ceilings) if rules is not None else None)

    def refusals(
        self, rails: Rails, *, namespace: str, target: plans.Target, steps: Sequence[plans.Step], scenes: Sequence[workloads.Scene]
    ) -> tuple[str, ...]:
        """Why these steps may not run on this target at all. `scenes` has one for each step, or none when there is no target."""
        forbidden = guardrails.objections(rails.rules, namespace=namespace, own_namespace=self._own_namespace, target=target, steps=steps)
        if rails.rules is None:
            return forbidden
        refused = [
            reason
            for step, scene in zip(steps, scenes, strict=False)
            for reason in actions.of(step.type).refusals(step, scene, rails.rules)
        ]
        return tuple(dict.fromkeys((*forbidden, *refused)))

    def holds(
        self, rails: Rails, incident: v1alpha1.Incident, *, now: datetime, begun: bool = False, undoing: bool = False
    ) -> tuple[holds.Hold, ...]:
        """What has to pass before the incident may act on its target; `begun` when it has taken a step of its remediation already."""
        if rails.rules is None:
            message = f"namespace {incident.metadata.namespace} has no RemediationPolicy any more; nothing is done until it has one"
            return (holds.Hold(guard=holds.Guard.SUSPENDED, message=message, until=None),)
        found = self._past.judge(rails.rules, namespace=incident.metadata.namespace, target=incident.target, incident=incident.key, now=now)
        if undoing:
            return tuple(one for one in found if one.guard in _HOLD_UNDOING)
        return tuple(one for one in found if one.guard in _HOLD_LATER) if begun else found

    async def disruption(self, namespace: str, step: plans.Step, scene: workloads.Scene) -> str:
        """Why the disruption budgets do not let a pod go now that would, as the API server says in a dry run; empty when they do."""
        pod = actions.of(step.type).first_to_go(step, scene)
        if pod is None:
            return ""
        try:
            await self._actuator.dry_run(namespace, requests.Evict(pod=pod.name, uid=pod.uid))
        except errors.DisruptionRefusedError as error:
            return str(error)
        except errors.ClusterRefusedError as error:
            return f"it is not known whether the disruption budgets let a pod go: {error}"
        except errors.ConflictError:
            # That pod is on its way out by itself; which others may go is asked when it comes to them.
            return ""
        return ""
