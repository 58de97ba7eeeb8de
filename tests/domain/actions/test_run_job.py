"""RunJob: a Job from a template that the platform team has listed."""

from typing import Any

import pytest

from domain.actions.builders import (
    INCIDENT,
    JOB_TEMPLATE,
    KEY,
    NAME,
    OTHER_KEY,
    ActionType,
    a_scene,
    a_step,
    a_workload,
    an_intent,
    problems,
    refusals,
    request,
)
from safety_governor.domain import actions, errors, marks, requests, rollouts, workloads
from safety_governor.domain.actions import run_job
from safety_governor.domain.workloads import JobState

RUN = actions.of(ActionType.RUN_JOB)
STEP = a_step(ActionType.RUN_JOB, template="report")
HOURS = 60 * 60

BAD_NAME = "parameter 'template': String should match pattern '^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$'"
PARAMETERS: dict[str, tuple[dict[str, str], str]] = {
    "a name": ({"template": "nightly-report.v2"}, ""),
    "nothing": ({}, "parameter 'template' is missing"),
    "an empty name": ({"template": ""}, "parameter 'template': String should have at least 1 character"),
    "a way out of the namespace": ({"template": "../../../bank/cronjobs/report"}, BAD_NAME),
    "a query": ({"template": "report?watch=1"}, BAD_NAME),
    "a command": ({"template": "report", "command": "rm"}, "parameter 'command' is not known"),
}


@pytest.mark.parametrize(("parameters", "told"), PARAMETERS.values(), ids=PARAMETERS.keys())
def test_takes_as_parameter(parameters: dict[str, str], told: str) -> None:
    assert problems(ActionType.RUN_JOB, **parameters) == ((told,) if told else ())


@pytest.mark.parametrize("listed", [None, (), ("reports",), ("repor",)])
def test_of_a_template_that_is_not_listed_is_refused(listed: tuple[str, ...] | None) -> None:
    told = "CronJob/report is not among the jobTemplates of the RemediationPolicy"
    assert refusals(STEP, a_scene(), job_templates=listed) == (told,)


def test_of_a_template_that_is_not_there_is_refused() -> None:
    assert refusals(STEP, a_scene(job_template=None)) == ("there is no CronJob report in the namespace to take the Job from",)


def made(**changes: Any) -> requests.Create:
    asked = request(STEP, a_scene(job_template=JOB_TEMPLATE.model_copy(update=changes)))
    assert isinstance(asked, requests.Create)
    return asked


def test_asks_for_a_job_with_limits_and_without_a_token() -> None:
    name = f"gov-{KEY.removeprefix('sha256:')[:12]}"
    assert made() == requests.Create(
        kind="Job",
        name=name,
        body={
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": {
                "name": name,
                "labels": {"team": "shop"},
                "annotations": {
                    marks.LAST_ACTION: KEY,
                    marks.ACTED_FOR: INCIDENT,
                    "cronjob.kubernetes.io/instantiate": "manual",
                },
            },
            "spec": {
                "backoffLimit": 0,
                "activeDeadlineSeconds": 600,
                "ttlSecondsAfterFinished": 24 * HOURS,
                "template": {
                    "metadata": {"labels": {"a": "b"}},
                    "spec": {"automountServiceAccountToken": False, "restartPolicy": "Never", "containers": [{"name": "a"}]},
                },
            },
        },
    )


@pytest.mark.parametrize(("wanted", "patience", "given"), [(None, 3600, 900), (None, 60, 60), (7200, 600, 600), (30, 600, 30)])
def test_ends_before_nobody_looks_at_it_any_more(wanted: int | None, patience: int, given: int) -> None:
    template = JOB_TEMPLATE.model_copy(update={"spec": {**JOB_TEMPLATE.spec, "activeDeadlineSeconds": wanted}})
    asked = request(STEP, a_scene(job_template=template), patience_seconds=patience)
    assert isinstance(asked, requests.Create)
    assert asked.body["spec"]["activeDeadlineSeconds"] == given


def test_keeps_the_limits_of_its_template() -> None:
    spec = made(spec={**JOB_TEMPLATE.spec, "backoffLimit": 3, "activeDeadlineSeconds": 60, "parallelism": 2}).body["spec"]
    assert (spec["backoffLimit"], spec["activeDeadlineSeconds"], spec["parallelism"]) == (3, 60, 2)


@pytest.mark.parametrize(("asked", "kept"), [(None, 24 * HOURS), (0, 24 * HOURS), (60, 24 * HOURS), (48 * HOURS, 48 * HOURS)])
def test_keeps_the_job_long_enough_to_be_found_again(asked: int | None, kept: int) -> None:
    assert made(spec={**JOB_TEMPLATE.spec, "ttlSecondsAfterFinished": asked}).body["spec"]["ttlSecondsAfterFinished"] == kept


def test_gives_the_job_a_token_only_where_its_template_asks_for_one() -> None:
    pod = {"automountServiceAccountToken": True, "containers": []}
    assert made(spec={"template": {"spec": pod}}).body["spec"]["template"]["spec"]["automountServiceAccountToken"] is True


def test_of_a_template_without_a_pod_leaves_the_refusal_to_the_api_server() -> None:
    assert made(spec={}).body["spec"]["template"] == {"spec": {"automountServiceAccountToken": False}}


def test_leaves_its_template_as_it_is() -> None:
    before = JOB_TEMPLATE.model_dump_json()
    made()
    assert JOB_TEMPLATE.model_dump_json() == before


@pytest.mark.parametrize("state", JobState)
def test_asks_for_nothing_once_its_job_is_there(state: JobState) -> None:
    assert request(STEP, a_scene(job=workloads.Job(name="gov-1", state=state), job_template=None)) is None


def test_does_not_start_another_when_somebody_deletes_the_job() -> None:
    assert request(STEP, a_scene(job=None), acknowledged=True) is None


def test_whose_template_has_gone_is_refused_instead_of_taken_for_done() -> None:
    intent = an_intent(STEP, a_scene())
    with pytest.raises(errors.ClusterRefusedError, match="there is no CronJob report in the namespace any more"):
        RUN.request(STEP, a_scene(job_template=None), intent)


def test_of_another_key_has_another_name() -> None:
    assert run_job.name_of(KEY) != run_job.name_of(OTHER_KEY)
    assert len(run_job.name_of(KEY)) == len("gov-") + 12


def test_records_which_template_it_was() -> None:
    assert RUN.snapshot(STEP, a_scene()).source == JOB_TEMPLATE.digest
    assert RUN.snapshot(STEP, a_scene(job_template=None)).source is None


BROKEN = rollouts.Observed(generation=3, observed_generation=3, wanted=3, replicas=3, updated=3, available=1)
PROGRESS: dict[str, tuple[workloads.Job | None, rollouts.Observed | None, rollouts.Progress, str]] = {
    "the Job runs": (workloads.Job(name="gov-1", state=JobState.RUNNING), None, rollouts.Progress.GOING_ON, "Job/gov-1 is running"),
    "the Job has failed": (
        workloads.Job(name="gov-1", state=JobState.FAILED, reason="BackoffLimitExceeded"),
        None,
        rollouts.Progress.STUCK,
        "Job/gov-1 failed: BackoffLimitExceeded",
    ),
    "the Job has failed and nobody says why": (
        workloads.Job(name="gov-1", state=JobState.FAILED),
        None,
        rollouts.Progress.STUCK,
        "Job/gov-1 failed",
    ),
    "the Job is complete and the target is well": (
        workloads.Job(name="gov-1", state=JobState.COMPLETE),
        None,
        rollouts.Progress.COMPLETE,
        "Job/gov-1 is complete; 3 of 3 replicas are new and available",
    ),
    "the Job is complete and the target is not": (
        workloads.Job(name="gov-1", state=JobState.COMPLETE),
        BROKEN,
        rollouts.Progress.GOING_ON,
        "Job/gov-1 is complete; 1 of 3 new replicas are available",
    ),
    "the Job was deleted": (None, None, rollouts.Progress.OVERTAKEN, "the Job was deleted by somebody else"),
}


@pytest.mark.parametrize(("job", "rollout", "progress", "told"), PROGRESS.values(), ids=PROGRESS.keys())
def test_progress_when(job: workloads.Job | None, rollout: rollouts.Observed | None, progress: rollouts.Progress, told: str) -> None:
    target = a_workload() if rollout is None else a_workload(rollout=rollout)
    assert RUN.progress(STEP, a_scene(target, job=job)) == (progress, told)


def test_cannot_be_undone_and_takes_nothing_down() -> None:
    assert RUN.inverse(STEP, RUN.snapshot(STEP, a_scene())) is None
    assert refusals(STEP, a_scene(), max_unavailable="0") == ()


def test_is_described() -> None:
    assert RUN.describe(STEP, f"Deployment/{NAME}") == f"starts a Job from the template CronJob/report for Deployment/{NAME}"
