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

    def holds(self, rails: Rails, incident: v1alpha1.Incident, *, now: datetime) -> tuple[holds.Hold, ...]:
        """What has to pass before the incident may act on its target."""
        if rails.rules is None:
            message = f"namespace {incident.metadata.namespace} has no RemediationPolicy any more; nothing is done until it has one"
            return (holds.Hold(guard=holds.Guard.SUSPENDED, message=message, until=None),)
        return self._past.judge(
            rails.rules, namespace=incident.metadata.namespace, target=incident.target, incident=incident.key, now=now
        )

    async def disruption(self, namespace: str, step: plans.Step, scene: workloads.Scene) -> str:
        """Why the disruption budgets do not allow to take a ready pod down now, as the API server says in a dry run; empty when they do."""
        if not actions.of(step.type).takes_down(step, scene):
            return ""
        ready = next((pod for pod in scene.pods or () if pod.ready and not pod.terminating), None)
        if ready is None:
            return ""
        try:
            await self._actuator.dry_run(namespace, requests.Evict(pod=ready.name, uid=ready.uid))
        except errors.DisruptionRefusedError as error:
            return str(error)
        except errors.ConflictError:
            # That pod is on its way out by itself; which others may go is asked when it comes to them.
            return ""
        return ""
