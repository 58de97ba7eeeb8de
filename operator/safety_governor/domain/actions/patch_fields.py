"""Set one field of the target by server-side apply. Never forced: a field that somebody else owns is theirs, and people decide.

Each field has a manager of its own, so that setting one does not take back another, and so that taking one back is an
apply without it.
"""

import hashlib
import json
from typing import Any

from pydantic import field_validator

from safety_governor.domain import changes, guardrails, paths, plans, quantities, requests, rollouts, snapshots, values, workloads
from safety_governor.domain import marks as marking
from safety_governor.domain.actions import base, rollout_undo

_VERSIONS = {"Deployment": "apps/v1", "StatefulSet": "apps/v1", "DaemonSet": "apps/v1", "Job": "batch/v1"}


class Parameters(base.Parameters):
    """Which field and what it becomes."""

    path: values.Line
    value: values.Line | None = None
    """Absent: what the governor has set there is taken back."""

    @field_validator("path")
    @classmethod
    def _names_a_field_of_spec(cls, path: str) -> str:
        parts = paths.parse(path)
        if parts[0] != "spec" or len(parts) == 1:
            raise ValueError("only fields of spec can be patched")
        if parts == ("spec", "replicas"):
            raise ValueError("replicas are changed by Scale, which asks who else decides on them and what goes away")
        return path

    @property
    def is_rolled_out(self) -> bool:
        """Whether the field is part of the pod template."""
        return paths.parse(self.path)[1] == "template"

    @field_validator("value")
    @classmethod
    def _is_a_single_value(cls, value: str | None) -> str | None:
        if value is not None and isinstance(paths.scalar(value), dict | list | None):
            raise ValueError("it takes a single value, not an object, a list or null")
        return value


class PatchFields(base.Action[Parameters]):
    """One field, one value."""

    action_type = values.ActionType.PATCH_FIELDS
    kinds = frozenset(_VERSIONS)
    reads = frozenset({workloads.Related.DISRUPTIONS})
    parameters = Parameters

    def describe(self, step: plans.Step, target: str) -> str:
        """In one line."""
        given = self.read(step)
        if given.value is None:
            return f"takes back what was set at {given.path} of {target}"
        shown = changes.HIDDEN if changes.may_be_secret(given.path) else given.value
        return f"sets {given.path} of {target} to {shown}"

    def objections(self, step: plans.Step, scene: workloads.Scene, rules: guardrails.Guardrails) -> tuple[str, ...]:
        """Not listed, more than a value, or nothing to be put on record."""
        given, found = self.read(step), []
        if changes.may_be_secret(given.path):
            found.append(f"{given.path} may hold a secret, and what it was would have to stand in the incident; people have to change it")
        if not guardrails.may_patch(rules, kind=scene.target.kind, path=given.path):
            found.append(f"{given.path} of a {scene.target.kind} is not among the patchable fields of the RemediationPolicy")
        present = paths.look_up(scene.target.body, paths.parse(given.path))
        if isinstance(present, dict | list):
            found.append(f"{given.path} of {scene.name} is not a single value")
        elif len(json.dumps(present)) > values.LINE_LIMIT:
            found.append(f"{given.path} of {scene.name} is too long to be put on record, so it could not be brought back")
        if given.is_rolled_out:
            found += rollout_undo.rollout_objections(scene)
        return tuple(found)

    def needless(self, step: plans.Step, scene: workloads.Scene) -> str:
        """That value already."""
        given = self.read(step)
        present = paths.look_up(scene.target.body, paths.parse(given.path))
        same = given.value is not None and quantities.same(present, paths.scalar(given.value))
        return f"{given.path} of {scene.name} is {given.value} already, so nothing would change" if same else ""

    def takes_down(self, step: plans.Step, scene: workloads.Scene) -> int:
        """A change of the template is rolled out."""
        return scene.target.max_unavailable if self.read(step).is_rolled_out else 0

    def snapshot(self, step: plans.Step, scene: workloads.Scene) -> snapshots.Snapshot:
        """With the value of the field."""
        present = paths.look_up(scene.target.body, paths.parse(self.read(step).path))
        # What is longer than can be put on record is objected to; here it may be somebody else's since.
        return snapshots.take(scene, value=None if present is None else values.clip(json.dumps(present), values.TEXT_LIMIT))

    def request(self, step: plans.Step, scene: workloads.Scene, intent: base.Intent) -> requests.Request | None:
        """An apply of the field and of the mark that tells that it was us."""
        given, target = self.read(step), scene.target
        digest = hashlib.sha256(given.path.encode()).hexdigest()[:8]
        mark = marking.of_field(digest)
        if target.marks.get(mark) == intent.key:
            return None
        body: dict[str, Any] = {
            "apiVersion": _VERSIONS[target.kind],
            "kind": target.kind,
            "metadata": {"name": target.name, "resourceVersion": target.resource_version, "annotations": {mark: intent.key}},
        }
        if given.value is not None:
            body |= paths.build(paths.parse(given.path), paths.scalar(given.value))
        return requests.Patch(
            kind=target.kind, name=target.name, style=requests.PatchStyle.APPLY, body=body, manager=f"safety-governor-{digest}"
        )

    def progress(self, step: plans.Step, scene: workloads.Scene) -> tuple[rollouts.Progress, str]:
        """Gone back on, or rolled out."""
        given = self.read(step)
        present = paths.look_up(scene.target.body, paths.parse(given.path))
        if given.value is not None and not quantities.same(present, paths.scalar(given.value)):
            return rollouts.Progress.OVERTAKEN, f"{given.path} of {scene.name} was changed again by somebody else"
        if given.value is None and present is not None:
            return rollouts.Progress.OVERTAKEN, f"{given.path} of {scene.name} still has a value, which somebody else keeps there"
        return super().progress(step, scene)

    def taken_back(self, step: plans.Step, scene: workloads.Scene, intent: base.Intent) -> str:
        """The rollout does not go on; of the value itself progress tells."""
        del intent
        return rollout_undo.paused_since(scene) if self.read(step).is_rolled_out else ""

    def inverse(self, step: plans.Step, before: snapshots.Snapshot) -> plans.Step:
        """The value of before, or none."""
        parameters = {"path": self.read(step).path, **({} if before.value is None else {"value": before.value})}
        return plans.Step(id=f"{step.id}-undo", type=self.action_type, parameters=parameters)
