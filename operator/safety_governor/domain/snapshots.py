"""The state of a target before and after an action: what tells an effect from a claim, and what an undo goes back to."""

from collections.abc import Sequence

from pydantic import Field

from safety_governor.domain import values, workloads

POD_LIMIT = 64


class PodName(values.Value):
    """One certain pod."""

    name: values.Name
    """Its name."""
    uid: values.Line
    """Its uid; another pod of the same name is another pod."""


class Snapshot(values.Value):
    """A target as it was at one moment."""

    uid: values.Line
    """Its uid."""
    resource_version: values.Line
    """Its resourceVersion."""
    generation: int = Field(default=0, ge=0)
    """Its generation; it never goes back, so that a change that was undone is a change. 0 where the kind has none."""
    template_hash: values.Line = ""
    """Digest of its pod template."""
    replicas: int | None = Field(default=None, ge=0)
    """How many replicas it was to have."""
    unschedulable: bool | None = None
    """Of a node: whether it was cordoned."""
    value: values.Text | None = None
    """Of the field that is patched: its value as JSON; absent when the field was not there."""
    pods: tuple[PodName, ...] = Field(default=(), max_length=POD_LIMIT)
    """The pods that the action is about, where it is about certain pods."""
    source: values.Digest | None = None
    """Digest of the template that a Job is started from."""


def take(
    scene: workloads.Scene,
    *,
    value: str | None = None,
    pods: Sequence[workloads.Pod] = (),
) -> Snapshot:
    """The target as it is in this scene."""
    target = scene.target
    return Snapshot(
        uid=target.uid,
        resource_version=target.resource_version,
        generation=target.generation,
        template_hash=target.template_hash,
        replicas=target.replicas,
        unschedulable=target.unschedulable,
        value=value,
        pods=tuple(PodName(name=pod.name, uid=pod.uid) for pod in pods),
        source=scene.job_template.digest if scene.job_template else None,
    )


def difference(before: Snapshot, now: Snapshot) -> str:
    """How the target differs from what it was, in a phrase; empty when nothing that matters has changed."""
    if before.uid != now.uid:
        return "was replaced by another of the same name"
    if before.source != now.source:
        return "is as it was, but the template of the Job was changed"
    # Who reports about a workload changes its resourceVersion all the time; what it is to be is told by the others.
    same = (before.generation, before.template_hash, before.replicas, before.unschedulable) == (
        now.generation,
        now.template_hash,
        now.replicas,
        now.unschedulable,
    )
    return "" if same else "was changed by somebody else"
