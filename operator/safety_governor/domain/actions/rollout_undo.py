"""Go back to an earlier pod template that the controller has kept, as `kubectl rollout undo` does, but against one certain version."""

from pydantic import Field

from safety_governor.domain import errors, guardrails, marks, plans, requests, snapshots, values, workloads
from safety_governor.domain.actions import base


class Parameters(base.Parameters):
    """Which template."""

    revision: int | None = Field(default=None, ge=1)
    """Its number, as `kubectl rollout history` shows it; absent means the one before the present one."""
    template: values.Digest | None = None
    """Digest of the template; how the governor names the one that it goes back to."""


class RolloutUndo(base.Action[Parameters]):
    """The template of a ReplicaSet or ControllerRevision, put in the place of the present one."""

    action_type = values.ActionType.ROLLOUT_UNDO
    kinds = workloads.ROLLING
    reads = frozenset({workloads.Related.REVISIONS, workloads.Related.DISRUPTIONS})
    parameters = Parameters

    def describe(self, step: plans.Step, target: str) -> str:
        """In one line."""
        given = self.read(step)
        if given.template is not None:
            return f"rolls {target} back to the template that it had before"
        which = f"revision {given.revision}" if given.revision is not None else "the revision before the present one"
        return f"rolls {target} back to {which}"

    def objections(self, step: plans.Step, scene: workloads.Scene, rules: guardrails.Guardrails) -> tuple[str, ...]:
        """Paused, or nothing to go back to."""
        del rules
        if self._chosen(step, scene) is None:
            return (*rollout_objections(scene), f"{scene.name} has no such earlier revision any more")
        return rollout_objections(scene)

    def needless(self, step: plans.Step, scene: workloads.Scene) -> str:
        """It is there already."""
        chosen = self._chosen(step, scene)
        there = chosen is not None and chosen.template_hash == scene.target.template_hash
        return f"{scene.name} is at revision {chosen.number} already, so nothing would change" if chosen and there else ""

    def takes_down(self, step: plans.Step, scene: workloads.Scene) -> int:
        """What its own rollout may take down."""
        del step
        return scene.target.max_unavailable

    def request(self, step: plans.Step, scene: workloads.Scene, intent: base.Intent) -> requests.Request | None:
        """A JSON patch that replaces the whole template; a merge would keep what the earlier one did not have."""
        target = scene.target
        if target.marks.get(marks.LAST_ACTION) == intent.key:
            return None
        chosen = self._chosen(step, scene)
        if chosen is None:
            raise errors.ClusterRefusedError(f"{scene.name} has no such earlier revision any more, so there is nothing to go back to")
        return requests.Patch(
            kind=target.kind, name=target.name, style=requests.PatchStyle.JSON, body=_replacing(target, dict(chosen.template), intent)
        )

    def taken_back(self, step: plans.Step, scene: workloads.Scene, intent: base.Intent) -> str:
        """It has the template of before, or one that is neither."""
        wanted, now = self.read(step).template, scene.target.template_hash
        is_gone = now != wanted if wanted is not None else now == intent.before.template_hash
        return f"{scene.name} was given another template by somebody else" if is_gone else paused_since(scene)

    def inverse(self, step: plans.Step, before: snapshots.Snapshot) -> plans.Step:
        """Forward again."""
        return back_to(step, before)

    def _chosen(self, step: plans.Step, scene: workloads.Scene) -> workloads.Revision | None:
        given, revisions = self.read(step), scene.revisions or ()
        if given.template is not None:
            return next((one for one in revisions if one.template_hash == given.template), None)
        if given.revision is not None:
            return next((one for one in revisions if one.number == given.revision), None)
        return next((one for one in revisions if one.template_hash != scene.target.template_hash), None)


def _replacing(target: workloads.Workload, template: dict[str, object], intent: base.Intent) -> list[dict[str, object]]:
    annotations = {**(target.body.get("metadata", {}).get("annotations") or {}), **intent.annotations}
    return [
        # Replaced by what was read: when it has changed since, the API server answers with a conflict.
        {"op": "replace", "path": "/metadata/resourceVersion", "value": target.resource_version},
        {"op": "add", "path": "/metadata/annotations", "value": annotations},
        {"op": "replace", "path": "/spec/template", "value": template},
    ]


def paused_since(scene: workloads.Scene) -> str:
    """Why a rollout that was started does not go on."""
    return f"{scene.name} was paused by somebody else, so the rollout does not go on" if scene.target.paused else ""


def rollout_objections(scene: workloads.Scene) -> tuple[str, ...]:
    """Why a change of the template would not be rolled out."""
    if scene.target.paused:
        return (f"{scene.name} is paused, so nothing would roll out; resume it first (kubectl rollout resume)",)
    if scene.target.on_delete:
        return (f"{scene.name} only replaces pods that somebody deletes (updateStrategy OnDelete), so nothing would roll out",)
    if scene.target.kept_back and scene.target.kept_back >= scene.target.rollout.wanted:
        return (f"{scene.name} keeps every pod at its earlier template (partition {scene.target.kept_back}), so nothing would roll out",)
    return ()


def back_to(step: plans.Step, before: snapshots.Snapshot) -> plans.Step:
    """The step that goes back to the template of this snapshot."""
    return plans.Step(id=f"{step.id}-undo", type=values.ActionType.ROLLOUT_UNDO, parameters={"template": before.template_hash})
