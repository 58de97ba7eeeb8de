"""The guard-rails of a namespace, as they are asked when an incident is gated, claimed and carried out: the same three times."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from safety_governor.api import v1alpha1
from safety_governor.domain import actions, errors, guardrails, holds, plans, requests, verification, workloads
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
        watch: verification.Watch,
        own_namespace: str,
    ) -> None:
        self._rails = rails
        self._actuator = actuator
        self._past = past
        self._ceilings = ceilings
        self._watch = watch
        self._own_namespace = own_namespace

    async def read(self, namespace: str) -> Rails:
        """The guard-rails as they are now."""
        named = tuple(await self._rails.fetch(namespace))
        rules = guardrails.strictest(named)
        return Rails(named=named, rules=guardrails.tightened(rules, self._ceilings) if rules is not None else None)

    def refusals(
        self, rails: Rails, *, namespace: str, target: plans.Target, steps: Sequence[plans.Step], scenes: Sequence[workloads.Scene]
    ) -> tuple[str, ...]:
        """Why these steps may not run on this target at all. `scenes` has one for each step, or none when there is no target.

        Whether a later step would change anything is not asked: the earlier ones have not been done yet.
        """
        forbidden = guardrails.objections(rails.rules, namespace=namespace, own_namespace=self._own_namespace, target=target, steps=steps)
        if rails.rules is None:
            return forbidden
        refused = [
            reason
            for step, scene in zip(steps, scenes, strict=False)
            for reason in actions.of(step.type).refusals(step, scene, rails.rules)
        ]
        if refused or forbidden or not scenes:
            return tuple(dict.fromkeys((*forbidden, *refused)))
        needless = actions.of(steps[0].type).needless(steps[0], scenes[0])
        return (needless,) if needless else ()

    def watch(self, rails: Rails, *, undoing: bool = False, is_last: bool = True) -> verification.Watch:
        """The stricter of what the operator and what the namespace say.

        An undo brings back how things were when the alert was raised; neither the alert nor the logs can tell that it went well.
        Whether the remedy has helped is told by its last step.
        """
        configured, rules = self._watch, rails.rules
        if rules is None:
            return configured
        asked = rules.verification
        return verification.Watch(
            timeout_seconds=min(configured.timeout_seconds, asked.timeout_seconds or configured.timeout_seconds),
            soak_seconds=max(configured.soak_seconds, asked.soak_seconds or 0),
            require_alert_resolved=not undoing and is_last and (configured.require_alert_resolved or asked.require_alert_resolved),
            require_telemetry=not undoing and (configured.require_telemetry or rules.require_telemetry),
            must_help=is_last,
        )

    def undo_refusals(self, rails: Rails, *, step: plans.Step, scene: workloads.Scene) -> tuple[str, ...]:
        """Why a change may not be taken back either: the guard-rails that limit changes are not asked, what makes it unsafe is."""
        if rails.rules is None:
            return ("the namespace has no RemediationPolicy any more",)
        kind = actions.of(step.type)
        executor = () if scene.executor_exists else ("the namespace has no ServiceAccount governor-executor, so nothing may be done in it",)
        return (*executor, *kind.objections(step, scene, rails.rules))

    def holds(
        self, rails: Rails, incident: v1alpha1.Incident, *, now: datetime, steps: int = 1, begun: bool = False, undoing: bool = False
    ) -> tuple[holds.Hold, ...]:
        """What has to pass before the incident may take so many steps; `begun` when it has taken one of its remediation already."""
        if rails.rules is None:
            message = f"namespace {incident.metadata.namespace} has no RemediationPolicy any more; nothing is done until it has one"
            return (holds.Hold(guard=holds.Guard.SUSPENDED, message=message, until=None),)
        found = self._past.judge(
            rails.rules, namespace=incident.metadata.namespace, target=incident.target, incident=incident.key, now=now, steps=steps
        )
        if undoing:
            return tuple(one for one in found if one.guard in _HOLD_UNDOING)
        return tuple(one for one in found if one.guard in _HOLD_LATER) if begun else found

    async def disruption(self, namespace: str, step: plans.Step, scene: workloads.Scene) -> str:
        """Why the disruption budgets do not let the pods go now that would, as the API server says in a dry run; empty when they do."""
        kind = actions.of(step.type)
        pod = kind.first_to_go(step, scene)
        if pod is None:
            return ""
        down, budget = kind.takes_down(step, scene), scene.disruptions
        if budget is not None and down > budget.allowed > 0:
            return f"it may take {down} pods down at once, and PodDisruptionBudget/{budget.budget} lets {budget.allowed} go at present"
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
