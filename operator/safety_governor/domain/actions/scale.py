"""Have a certain number of replicas. Absolute, so that a second try changes nothing."""

from pydantic import Field

from safety_governor.domain import guardrails, marks, plans, requests, snapshots, values, workloads
from safety_governor.domain.actions import base


class Parameters(base.Parameters):
    """How many."""

    replicas: int = Field(ge=0, le=10_000)


class Scale(base.Action[Parameters]):
    """Written on the object itself and not on its scale, as only so number and key are written together."""

    action_type = values.ActionType.SCALE
    kinds = frozenset({"Deployment", "StatefulSet"})
    reads = frozenset({workloads.Related.AUTOSCALERS, workloads.Related.DISRUPTIONS})
    parameters = Parameters

    def describe(self, step: plans.Step, target: str) -> str:
        """In one line."""
        return f"scales {target} to {self.read(step).replicas} replicas"

    def objections(self, step: plans.Step, scene: workloads.Scene, rules: guardrails.Guardrails) -> tuple[str, ...]:
        """Somebody else decides on the number, or data would go."""
        del rules
        found = []
        if scene.autoscaler is None:
            found.append(f"it is not known whether an autoscaler decides on the replicas of {scene.name}")
        elif scene.autoscaler:
            found.append(f"{scene.autoscaler} decides on the replicas of {scene.name} and would undo the change; change its limits instead")
        kept = scene.target.body.get("spec", {}).get("persistentVolumeClaimRetentionPolicy") or {}
        if kept.get("whenScaled") == "Delete" and self.takes_down(step, scene):
            found.append(f"{scene.name} deletes the volumes of replicas that go away, which nothing could undo")
        return tuple(found)

    def needless(self, step: plans.Step, scene: workloads.Scene) -> str:
        """It is that number already."""
        if scene.target.replicas != self.read(step).replicas:
            return ""
        return f"{scene.name} has {scene.target.replicas} replicas already, so nothing would change"

    def takes_down(self, step: plans.Step, scene: workloads.Scene) -> int:
        """The replicas that go away."""
        return max(0, scene.target.rollout.wanted - self.read(step).replicas)

    def request(self, step: plans.Step, scene: workloads.Scene, intent: base.Intent) -> requests.Request | None:
        """A merge patch against the version that was read."""
        target = scene.target
        if target.marks.get(marks.LAST_ACTION) == intent.key:
            return None
        body = {
            "metadata": {"resourceVersion": target.resource_version, "annotations": intent.annotations},
            "spec": {"replicas": self.read(step).replicas},
        }
        return requests.Patch(kind=target.kind, name=target.name, style=requests.PatchStyle.MERGE, body=body)

    def taken_back(self, step: plans.Step, scene: workloads.Scene, intent: base.Intent) -> str:
        """It is to have another number by now."""
        del intent
        wanted, now = self.read(step).replicas, scene.target.replicas
        return "" if now == wanted else f"{scene.name} was scaled to {now} replicas by somebody else"

    def inverse(self, step: plans.Step, before: snapshots.Snapshot) -> plans.Step | None:
        """Back to the number of before."""
        if before.replicas is None:
            return None
        return plans.Step(id=f"{step.id}-undo", type=self.action_type, parameters={"replicas": str(before.replicas)})
