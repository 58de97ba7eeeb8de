"""Replace every pod by a new one from the same template, as `kubectl rollout restart` does."""

from safety_governor.domain import guardrails, marks, plans, requests, snapshots, values, workloads
from safety_governor.domain.actions import base, rollout_undo


class Parameters(base.Parameters):
    """Nothing to choose."""


class RolloutRestart(base.Action[Parameters]):
    """A fixed time in an annotation of the template; the same time again changes nothing."""

    action_type = values.ActionType.ROLLOUT_RESTART
    kinds = workloads.ROLLING
    parameters = Parameters

    def describe(self, step: plans.Step, target: str) -> str:
        """In one line."""
        del step
        return f"replaces every pod of {target} by a new one from the same template"

    def objections(self, step: plans.Step, scene: workloads.Scene, rules: guardrails.Guardrails) -> tuple[str, ...]:
        """Nothing to replace, paused, or not rolled out by anybody."""
        del step, rules
        found = rollout_undo.rollout_objections(scene)
        return found if scene.target.rollout.wanted else (*found, f"{scene.name} is to have no pods, so there is nothing to replace")

    def takes_down(self, step: plans.Step, scene: workloads.Scene) -> int:
        """What its own rollout may take down."""
        del step
        return scene.target.max_unavailable

    def request(self, step: plans.Step, scene: workloads.Scene, intent: base.Intent) -> requests.Request | None:
        """A merge patch against the version that was read."""
        del step
        target = scene.target
        if target.marks.get(marks.LAST_ACTION) == intent.key:
            return None
        body = {
            "metadata": {"resourceVersion": target.resource_version, "annotations": intent.annotations},
            "spec": {"template": {"metadata": {"annotations": {marks.RESTARTED_AT: f"{intent.at:%Y-%m-%dT%H:%M:%SZ}"}}}},
        }
        return requests.Patch(kind=target.kind, name=target.name, style=requests.PatchStyle.MERGE, body=body)

    def inverse(self, step: plans.Step, before: snapshots.Snapshot) -> plans.Step:
        """Back to the template of before, whose pods may still be there."""
        return rollout_undo.back_to(step, before)
