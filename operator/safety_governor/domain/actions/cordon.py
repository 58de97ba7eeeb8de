"""Keep new pods away from a node, and let them in again. Pods that run there are left alone."""

from typing import ClassVar

from safety_governor.domain import guardrails, marks, plans, requests, rollouts, snapshots, values, workloads
from safety_governor.domain.actions import base


class Parameters(base.Parameters):
    """Nothing to choose."""


class _Schedulability(base.Action[Parameters]):
    kinds = frozenset({workloads.NODE})
    parameters = Parameters
    unschedulable: ClassVar[bool]

    def request(self, step: plans.Step, scene: workloads.Scene, intent: base.Intent) -> requests.Request | None:
        """A merge patch against the version that was read."""
        del step
        node = scene.target
        if node.marks.get(marks.LAST_ACTION) == intent.key:
            return None
        body = {
            "metadata": {"resourceVersion": node.resource_version, "annotations": intent.annotations},
            "spec": {"unschedulable": self.unschedulable or None},
        }
        return requests.Patch(kind=node.kind, name=node.name, style=requests.PatchStyle.MERGE, body=body)

    def progress(self, step: plans.Step, scene: workloads.Scene) -> tuple[rollouts.Progress, str]:
        """There is nothing to wait for, unless somebody has turned it back."""
        del step
        if bool(scene.target.unschedulable) is self.unschedulable:
            return rollouts.Progress.COMPLETE, f"{scene.name} {'takes no new pods' if self.unschedulable else 'takes new pods'}"
        return rollouts.Progress.OVERTAKEN, f"{scene.name} was turned back by somebody else"


class Cordon(_Schedulability):
    """No new pods."""

    action_type = values.ActionType.CORDON
    reads = frozenset({workloads.Related.NODES})
    unschedulable = True

    def describe(self, step: plans.Step, target: str) -> str:
        """In one line."""
        del step
        return f"keeps new pods away from {target}; what runs there is left alone"

    def objections(self, step: plans.Step, scene: workloads.Scene, rules: guardrails.Guardrails) -> tuple[str, ...]:
        """The last one, or not known."""
        del step, rules
        if scene.other_nodes is None:
            return (f"it is not known whether {scene.name} is the last node that takes pods",)
        return () if scene.other_nodes else (f"{scene.name} is the last ready node that takes pods; without it none could start anywhere",)

    def needless(self, step: plans.Step, scene: workloads.Scene) -> str:
        """Cordoned already."""
        del step
        return f"{scene.name} is cordoned already, so nothing would change" if scene.target.unschedulable else ""

    def inverse(self, step: plans.Step, before: snapshots.Snapshot) -> plans.Step:
        """Let them in again."""
        del before
        return plans.Step(id=f"{step.id}-undo", type=values.ActionType.UNCORDON)


class Uncordon(_Schedulability):
    """New pods again."""

    action_type = values.ActionType.UNCORDON
    unschedulable = False

    def describe(self, step: plans.Step, target: str) -> str:
        """In one line."""
        del step
        return f"lets new pods onto {target} again"

    def needless(self, step: plans.Step, scene: workloads.Scene) -> str:
        """Not cordoned."""
        del step
        return "" if scene.target.unschedulable else f"{scene.name} is not cordoned, so nothing would change"

    def inverse(self, step: plans.Step, before: snapshots.Snapshot) -> plans.Step:
        """Keep them away again."""
        del before
        return plans.Step(id=f"{step.id}-undo", type=values.ActionType.CORDON)
