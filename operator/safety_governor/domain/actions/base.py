"""What every typed action can say about itself. All of it is pure: the scene is read and the request carried out elsewhere.

An action is atomic where one request brings it about; its key is left on what it touched, so that the effect is
recognised. Everything is asked again on every pass: `request` answers None once nothing remains to be done.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar, Generic, TypeVar

import pydantic

from safety_governor.domain import guardrails, marks, plans, requests, rollouts, snapshots, values, workloads


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """An action that was claimed, as far as its request depends on it."""

    key: str
    """Unique for incident, digest, step and attempt."""
    incident: str
    """namespace/name."""
    at: datetime
    """When it was claimed; whole seconds."""
    before: snapshots.Snapshot
    patience_seconds: int = 600
    """So long is waited for it to come to its end."""
    acknowledged: bool = False
    """Whether it is on record that what was asked for was taken; for what may leave no trace, or one that others clear away."""

    @property
    def annotations(self) -> dict[str, str]:
        """The marks that go onto what is touched."""
        return {marks.LAST_ACTION: self.key, marks.ACTED_FOR: self.incident}


class Parameters(values.Value):
    """What a runbook may say about a step, as text; checked before anything is planned."""


Given = TypeVar("Given", bound=Parameters)


class Action(ABC, Generic[Given]):
    """One kind of step."""

    action_type: ClassVar[values.ActionType]
    kinds: ClassVar[frozenset[str]]
    """Kinds of target that it makes sense for."""
    reads: ClassVar[frozenset[workloads.Related]] = frozenset()
    """What it has to see besides its target."""
    changes_target: ClassVar[bool] = True
    """Whether it writes the target's spec, so that whoever keeps that spec would undo it."""
    shows_effect: ClassVar[bool] = True
    """Whether the cluster tells if it took effect. If not, a claim that is not acknowledged may have taken effect."""
    parameters: type[Given]

    def read(self, step: plans.Step) -> Given:
        """The parameters of the step. Raises pydantic.ValidationError."""
        return self.parameters.model_validate(dict(step.parameters))

    def problems(self, step: plans.Step) -> tuple[str, ...]:
        """What is wrong with the step as its author wrote it."""
        try:
            self.read(step)
        except pydantic.ValidationError as error:
            return tuple(_told(one) for one in error.errors(include_url=False, include_input=False))
        return ()

    @abstractmethod
    def describe(self, step: plans.Step, target: str) -> str:
        """What it does, in one line for people. `target` is Kind/name."""

    def refusals(self, step: plans.Step, scene: workloads.Scene, rules: guardrails.Guardrails) -> tuple[str, ...]:
        """Why it must not be done to this target as it is now, each as a sentence; empty when it may."""
        if scene.target.kind not in self.kinds:
            return (f"{self.action_type} makes no sense for a {scene.target.kind}; it is for {', '.join(sorted(self.kinds))}",)
        return (*self._refused_for_all(step, scene, rules), *self.objections(step, scene, rules))

    def objections(self, step: plans.Step, scene: workloads.Scene, rules: guardrails.Guardrails) -> tuple[str, ...]:
        """What of the refusals is about this kind of action, whether it is a remedy or takes one back."""
        del step, scene, rules
        return ()

    def needless(self, step: plans.Step, scene: workloads.Scene) -> str:
        """Why nothing would change; empty when something would. Of a later step that is known when the earlier ones are done."""
        del step, scene
        return ""

    def warnings(self, scene: workloads.Scene) -> tuple[str, ...]:
        """What a person should know who releases it."""
        if self.changes_target and scene.target.git_ops:
            return (f"{scene.name} is kept as it is in Git by {scene.target.git_ops}, which may undo the change",)
        return ()

    def takes_down(self, step: plans.Step, scene: workloads.Scene) -> int:
        """How many ready pods it may make unavailable at once, by itself or by the rollout that it starts."""
        del step, scene
        return 0

    def first_to_go(self, step: plans.Step, scene: workloads.Scene) -> workloads.Pod | None:
        """A pod that would go, for which the disruption budgets are asked beforehand; None when none that they spare would."""
        if not self.takes_down(step, scene):
            return None
        return next((pod for pod in scene.pods or () if pod.ready and not pod.terminating), None)

    def snapshot(self, step: plans.Step, scene: workloads.Scene) -> snapshots.Snapshot:
        """The target as it is, as far as an undo has to know it."""
        del step
        return snapshots.take(scene)

    def waits(self, step: plans.Step, scene: workloads.Scene, intent: Intent) -> str:
        """What has to come about before the next part of it is asked for; empty when nothing has to."""
        del step, scene, intent
        return ""

    @abstractmethod
    def request(self, step: plans.Step, scene: workloads.Scene, intent: Intent) -> requests.Request | None:
        """What to ask of the outside next; None when the effect is there."""

    def has_begun(self, scene: workloads.Scene, intent: Intent) -> bool:
        """Whether a part of the effect is there. An action that one request brings about has no parts."""
        del scene, intent
        return False

    def progress(self, step: plans.Step, scene: workloads.Scene) -> tuple[rollouts.Progress, str]:
        """How far what it started is."""
        del step
        return rollouts.progress(scene.target.rollout)

    def taken_back(self, step: plans.Step, scene: workloads.Scene, intent: Intent) -> str:
        """What shows that somebody else has taken back what was done; empty when nothing does."""
        del step, scene, intent
        return ""

    def inverse(self, step: plans.Step, before: snapshots.Snapshot) -> plans.Step | None:
        """The step that brings back what was before; None when nothing can."""
        del step, before
        return None

    def _refused_for_all(self, step: plans.Step, scene: workloads.Scene, rules: guardrails.Guardrails) -> Sequence[str]:
        target, found = scene.target, []
        if not scene.executor_exists:
            found.append("the namespace has no ServiceAccount governor-executor, so nothing may be done in it")
        if self.changes_target and target.controller:
            found.append(f"{scene.name} belongs to {target.controller}, which would undo the change; change that instead")
        if self.changes_target and target.git_ops and rules.git_ops is guardrails.GitOps.REFUSE:
            found.append(
                f"{scene.name} is kept as it is in Git by {target.git_ops}, and the RemediationPolicy says to leave such targets alone"
            )
        limit = guardrails.unavailable_limit(rules, target.rollout.wanted)
        down = self.takes_down(step, scene)
        if limit is not None and down > limit:
            found.append(
                f"it may make {down} of {target.rollout.wanted} pods unavailable at once, and the RemediationPolicy allows {limit}"
            )
        return found


def _told(problem: Any) -> str:  # noqa: ANN401 - pydantic's description of an error
    field = ".".join(str(part) for part in problem["loc"])
    if problem["type"] == "missing":
        return f"parameter {field!r} is missing"
    if problem["type"] == "extra_forbidden":
        return f"parameter {field!r} is not known"
    said = str(problem["msg"]).removeprefix("Value error, ")
    return f"parameter {field!r}: {said}" if field else said
