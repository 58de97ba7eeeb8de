"""Start a Job from the template of a CronJob that the platform team has listed, as `kubectl create job --from` does."""

from typing import Annotated

from pydantic import StringConstraints

from safety_governor.domain import errors, guardrails, plans, requests, rollouts, values, workloads
from safety_governor.domain.actions import base

DEADLINE = 15 * 60
"""Seconds after which a Job ends whose template sets no deadline."""
KEPT = 24 * 60 * 60
"""Seconds for which a Job is kept after its end: as long as it is there, a crash cannot start it a second time."""


class Parameters(base.Parameters):
    """Which template."""

    template: Annotated[values.Name, StringConstraints(pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$")]
    """Name of a CronJob in the incident's namespace; it may be suspended."""


class RunJob(base.Action[Parameters]):
    """Its name comes from the key, so that a second try finds the first."""

    action_type = values.ActionType.RUN_JOB
    kinds = workloads.ROLLING | {workloads.JOB}
    reads = frozenset({workloads.Related.JOBS})
    changes_target = False
    parameters = Parameters

    def describe(self, step: plans.Step, target: str) -> str:
        """In one line."""
        return f"starts a Job from the template CronJob/{self.read(step).template} for {target}"

    def objections(self, step: plans.Step, scene: workloads.Scene, rules: guardrails.Guardrails) -> tuple[str, ...]:
        """Not listed, or not there."""
        template = self.read(step).template
        if not guardrails.may_start(rules, template):
            return (f"CronJob/{template} is not among the jobTemplates of the RemediationPolicy",)
        return () if scene.job_template else (f"there is no CronJob {template} in the namespace to take the Job from",)

    def request(self, step: plans.Step, scene: workloads.Scene, intent: base.Intent) -> requests.Request | None:
        """A Job with limits, and without a token unless its template asks for one."""
        if scene.job is not None or intent.acknowledged:
            # Whoever deletes the Job does not want another one.
            return None
        template = scene.job_template
        if template is None:
            raise errors.ClusterRefusedError(f"there is no CronJob {self.read(step).template} in the namespace any more")
        pod = dict(template.spec.get("template", {}))
        pod["spec"] = {"automountServiceAccountToken": False, **pod.get("spec", {})}
        spec = {
            "backoffLimit": 0,
            **template.spec,
            # Nobody looks at a Job that outlives its watch, and the next incident might start another beside it.
            "activeDeadlineSeconds": min(int(template.spec.get("activeDeadlineSeconds") or DEADLINE), intent.patience_seconds),
            "ttlSecondsAfterFinished": max(KEPT, int(template.spec.get("ttlSecondsAfterFinished") or 0)),
            "template": pod,
        }
        name = name_of(intent.key)
        metadata = {
            "name": name,
            "labels": dict(template.labels),
            "annotations": {**intent.annotations, "cronjob.kubernetes.io/instantiate": "manual"},
        }
        return requests.Create(
            kind=workloads.JOB, name=name, body={"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": spec}
        )

    def progress(self, step: plans.Step, scene: workloads.Scene) -> tuple[rollouts.Progress, str]:
        """First the Job, then its target."""
        job = scene.job
        if job is None:
            return rollouts.Progress.OVERTAKEN, "the Job was deleted by somebody else"
        if job.state is workloads.JobState.FAILED:
            return rollouts.Progress.STUCK, f"Job/{job.name} failed{': ' + job.reason if job.reason else ''}"
        if job.state is workloads.JobState.RUNNING:
            return rollouts.Progress.GOING_ON, f"Job/{job.name} is running"
        progress, sentence = super().progress(step, scene)
        return progress, f"Job/{job.name} is complete; {sentence}"


def name_of(key: str) -> str:
    """The name of the Job that an action starts."""
    return f"gov-{key.removeprefix('sha256:')[:12]}"
