"""A workload and what surrounds it, as far as decisions about it need to know them."""

import enum
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from pydantic import Field, JsonValue

from safety_governor.domain import rollouts, values

ROLLING = frozenset({"Deployment", "StatefulSet", "DaemonSet"})
"""Kinds whose pods are replaced by a rollout of their template."""

FORGIVEN = timedelta(minutes=10)
"""After so long without a restart the kubelet, too, forgets those of before."""

_NEVER = frozenset(
    {
        "CreateContainerConfigError",
        "CreateContainerError",
        "ErrImageNeverPull",
        "ErrImagePull",
        "ImagePullBackOff",
        "InvalidImageName",
        "RunContainerError",
    }
)
"""What the kubelet says of containers that do not start until somebody changes something."""

NODE = "Node"
JOB = "Job"


class Workload(values.Value):
    """One version of a workload or node, as the API server had it."""

    kind: values.Word
    name: values.Name
    uid: values.Line
    resource_version: values.Line
    generation: int = Field(default=0, ge=0)
    """Never goes back; 0 where the kind has none."""
    template_hash: values.Line = ""
    """Digest of its pod template; empty where it has none."""
    replicas: int | None = Field(default=None, ge=0)
    """spec.replicas; absent where the kind has none."""
    unschedulable: bool | None = None
    """Of a node: whether it is cordoned."""
    paused: bool = False
    """A paused Deployment does not roll out."""
    on_delete: bool = False
    """Its pods are only replaced when somebody deletes them."""
    kept_back: int = Field(default=0, ge=0)
    """So many of its pods stay at the earlier template (the partition of a StatefulSet)."""
    max_unavailable: int = Field(default=0, ge=0)
    """So many of its ready pods may its own rollout take down at once."""
    controller: values.Line = ""
    """Kind/name of the object that owns it and would put back what is changed; empty when nobody does."""
    git_ops: values.Line = ""
    """The tool that keeps it as it is in Git; empty when none is known."""
    marks: Mapping[str, str] = Field(default_factory=dict)
    """Annotations that the governor has left on it."""
    rollout: rollouts.Observed
    body: Mapping[str, Any] = Field(default_factory=dict, repr=False, exclude=True)
    """The whole object, for actions that look at single fields."""


class Pod(values.Value):
    """One pod of a workload."""

    name: values.Name
    uid: values.Line
    created_at: datetime
    ready: bool
    ready_since: datetime | None = None
    """When it became ready or stopped being ready; absent before the first time."""
    terminating: bool = False
    restarts: int = Field(default=0, ge=0)
    """Of all its containers."""
    waiting: values.Line = ""
    """Why a container does not run, such as CrashLoopBackOff."""
    last_ended_at: datetime | None = None
    """When a container of it last ended."""
    last_ended_reason: values.Line = ""
    """Why, such as OOMKilled."""

    @property
    def is_crash_looping(self) -> bool:
        """Whether the kubelet has begun to wait between restarts."""
        return self.waiting == "CrashLoopBackOff"

    @property
    def cannot_start(self) -> bool:
        """Whether a container of it does not even begin to run."""
        return self.waiting in _NEVER

    def is_in_trouble(self, now: datetime) -> bool:
        """Whether it crash-loops, or was restarted a short while ago: for most of its back-off the kubelet does not say that it waits."""
        return self.is_crash_looping or (self.restarts > 0 and self.last_ended_at is not None and now - self.last_ended_at < FORGIVEN)


class Revision(values.Value):
    """An earlier or the present pod template of a workload, as its controller keeps it."""

    name: values.Name
    """Of the ReplicaSet or ControllerRevision."""
    number: int
    """Higher is newer."""
    template: Mapping[str, JsonValue] = Field(repr=False)
    template_hash: values.Line


class JobTemplate(values.Value):
    """What a CronJob would start."""

    name: values.Name
    digest: values.Digest
    """Of its content."""
    spec: Mapping[str, Any] = Field(repr=False)
    """A Job's spec."""
    labels: Mapping[str, str] = Field(default_factory=dict)


class JobState(enum.StrEnum):
    """How far a Job is."""

    RUNNING = "Running"
    COMPLETE = "Complete"
    FAILED = "Failed"


class Job(values.Value):
    """A Job that an action has started."""

    name: values.Name
    state: JobState
    reason: values.Line = ""
    ended_at: datetime | None = None
    """When it came to its end."""
    marks: Mapping[str, str] = Field(default_factory=dict)


class Disruptions(values.Value):
    """How many pods a disruption budget lets go at present."""

    budget: values.Name
    """Name of the PodDisruptionBudget."""
    allowed: int = Field(ge=0)


class Related(enum.StrEnum):
    """What else an action has to see than its target."""

    PODS = "Pods"
    REVISIONS = "Revisions"
    AUTOSCALERS = "Autoscalers"
    DISRUPTIONS = "Disruptions"
    NODES = "Nodes"
    JOBS = "Jobs"


class Scene(values.Value):
    """A target with what was read around it. What an action did not ask for is absent, which is unknown, not empty."""

    target: Workload
    executor_exists: bool
    """Whether the namespace has the ServiceAccount that acts in it."""
    pods: tuple[Pod, ...] | None = None
    """All pods of the target."""
    revisions: tuple[Revision, ...] | None = None
    """Newest first; the present one among them."""
    autoscaler: values.Line | None = None
    """Who decides on the replicas, as Kind/name; empty when nobody does."""
    disruptions: Disruptions | None = None
    """What the tightest of the disruption budgets over its pods allows; absent when there is none, or nobody asked."""
    other_nodes: int | None = Field(default=None, ge=0)
    """How many other nodes are ready and take pods."""
    job_template: JobTemplate | None = None
    """The CronJob of the step; absent when there is none of that name."""
    job: Job | None = None
    """The Job that this action has started, if it has."""

    @property
    def name(self) -> str:
        """Kind/name of the target."""
        return f"{self.target.kind}/{self.target.name}"
