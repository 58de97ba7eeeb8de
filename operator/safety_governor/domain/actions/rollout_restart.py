"""Replace every pod by a new one from the same template, as `kubectl rollout restart` does."""

from safety_governor.domain import guardrails, marks, plans, requests, snapshots, values, workloads
from safety_governor.domain.actions import base, rollout_undo


class Parameters(base.Parameters):
    """Nothing to choose."""


class RolloutRestart(base.Action[Parameters]):
    """A fixed time in an annotation of the template; the same time again changes nothing."""

    action_type = values.ActionType.ROLLOUT_RESTART
    kinds = workloads.ROLLING
    reads = frozenset({workloads.Related.DISRUPTIONS})
    parameters = Parameters

    def describe(self, step: plans.Step, target: str) -> str:
        """In one line."""
        del step
        return f"replaces every pod of {target} by a new one from the same template"

    def objections(self, step: plans.Step, scene: workloads.Scene, rules: guardrails.Guardrails) -> tuple[str, ...]:
        """Paused, or not rolled out by anybody."""
        del step, rules
        return rollout_undo.rollout_objections(scene)

    def needless(self, step: plans.Step, scene: workloads.Scene) -> str:
        """Nothing to replace."""
        del step
        return "" if scene.target.rollout.wanted else f"{scene.name} is to have no pods, so there is nothing to replace"

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
            "spec": {"template": {"metadata": {"annotations": {marks.RESTARTED_AT: _moment(intent)}}}},
        }
        return requests.Patch(kind=target.kind, name=target.name, style=requests.PatchStyle.MERGE, body=body)

    def taken_back(self, step: plans.Step, scene: workloads.Scene, intent: base.Intent) -> str:
        """Its template does not name the moment any more."""
        del step
        annotations = scene.target.body.get("spec", {}).get("template", {}).get("metadata", {}).get("annotations") or {}
        if annotations.get(marks.RESTARTED_AT) != _moment(intent):
            return f"{scene.name} was given another template by somebody else"
        return rollout_undo.paused_since(scene)

    def inverse(self, step: plans.Step, before: snapshots.Snapshot) -> plans.Step:
        """Back to the template of before, whose pods may still be there."""
        return rollout_undo.back_to(step, before)


def _moment(intent: base.Intent) -> str:
    return f"{intent.at:%Y-%m-%dT%H:%M:%SZ}"
