"""Objects as the API server (1.36) writes them, and the values that decisions are made of."""

import copy
from datetime import UTC, datetime
from typing import Any

import pytest

from safety_governor.adapters.kubernetes import reading
from safety_governor.domain import digests, rollouts, workloads
from safety_governor.domain.rollouts import Progress
from safety_governor.domain.workloads import JobState

POD_SPEC: dict[str, Any] = {
    "containers": [{"name": "app", "image": "registry.example/app:1", "ports": [{"containerPort": 80, "protocol": "TCP"}]}],
    "restartPolicy": "Always",
    "securityContext": {},
}
TEMPLATE: dict[str, Any] = {"metadata": {"labels": {"app": "web"}, "creationTimestamp": None}, "spec": POD_SPEC}


def an_object(spec: dict[str, Any], status: dict[str, Any], **metadata: Any) -> dict[str, Any]:
    known = {"name": "web", "uid": "uid-1", "resourceVersion": "42", "generation": 3}
    return {"metadata": {**known, **metadata}, "spec": spec, "status": status}


def a_deployment(*, spec: dict[str, Any] | None = None, **status: Any) -> dict[str, Any]:
    figures = {"observedGeneration": 3, "replicas": 3, "updatedReplicas": 3, "readyReplicas": 3, "availableReplicas": 3}
    return an_object({"replicas": 3, "template": TEMPLATE, **(spec or {})}, {**figures, **status})


def a_stateful_set(*, partition: int = 0, spec: dict[str, Any] | None = None, **status: Any) -> dict[str, Any]:
    figures = {
        "observedGeneration": 3,
        "replicas": 3,
        "updatedReplicas": 3,
        "currentReplicas": 3,
        "readyReplicas": 3,
        "availableReplicas": 3,
    }
    strategy = {"updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": partition}}}
    return an_object({"replicas": 3, "template": TEMPLATE, **strategy, **(spec or {})}, {**figures, **status})


def a_daemon_set(*, spec: dict[str, Any] | None = None, **status: Any) -> dict[str, Any]:
    figures = {"observedGeneration": 3, "desiredNumberScheduled": 3, "updatedNumberScheduled": 3, "numberAvailable": 3}
    return an_object({"template": TEMPLATE, **(spec or {})}, {**figures, **status})


def a_job(*conditions: dict[str, Any], **status: Any) -> dict[str, Any]:
    return an_object({"template": TEMPLATE}, {"active": 1, "ready": 1, "conditions": list(conditions), **status})


def progress(kind: str, body: dict[str, Any]) -> tuple[Progress, str]:
    return rollouts.progress(reading.workload(kind, body).rollout)


def a_condition(kind: str, status: str = "True", **changes: Any) -> dict[str, Any]:
    times = {"lastUpdateTime": "2026-03-01T12:00:05Z", "lastTransitionTime": "2026-03-01T12:00:00Z"}
    return {"type": kind, "status": status, "reason": "Because", **times, **changes}


EXCEEDED = a_condition("Progressing", "False", reason="ProgressDeadlineExceeded")

ROLLOUTS: dict[str, tuple[str, dict[str, Any], Progress, str]] = {
    "Deployment that is complete": ("Deployment", a_deployment(), Progress.COMPLETE, "3 of 3 replicas are new and available"),
    "Deployment that nobody has looked at": (
        "Deployment",
        an_object({"replicas": 3, "template": TEMPLATE}, {}),
        Progress.GOING_ON,
        "the controller has not seen the change yet",
    ),
    "Deployment that is half new": (
        "Deployment",
        a_deployment(updatedReplicas=1, replicas=4),
        Progress.GOING_ON,
        "1 of 3 new replicas have been created",
    ),
    "Deployment whose figures are left out because they are zero": (
        "Deployment",
        an_object({"replicas": 3, "template": TEMPLATE}, {"observedGeneration": 3, "conditions": []}),
        Progress.GOING_ON,
        "0 of 3 new replicas have been created",
    ),
    "Deployment without a number, which means one": (
        "Deployment",
        an_object({"template": TEMPLATE}, {"observedGeneration": 3, "replicas": 1, "updatedReplicas": 1, "availableReplicas": 1}),
        Progress.COMPLETE,
        "1 of 1 replicas are new and available",
    ),
    "Deployment that is stuck": (
        "Deployment",
        a_deployment(availableReplicas=0, conditions=[a_condition("Available", "False"), EXCEEDED]),
        Progress.STUCK,
        "the rollout exceeded its progress deadline",
    ),
    "Deployment that is paused with a changed template": (
        "Deployment",
        a_deployment(spec={"paused": True}, updatedReplicas=0),
        Progress.COMPLETE,
        "3 of 3 replicas are new and available",
    ),
    "Deployment that is paused and grows": (
        "Deployment",
        a_deployment(spec={"paused": True, "replicas": 5}),
        Progress.GOING_ON,
        "3 of 5 new replicas have been created",
    ),
    "StatefulSet that is complete": ("StatefulSet", a_stateful_set(), Progress.COMPLETE, "3 of 3 replicas are new and available"),
    "StatefulSet that is half new": (
        "StatefulSet",
        a_stateful_set(updatedReplicas=1, currentReplicas=2, currentRevision="a", updateRevision="b"),
        Progress.GOING_ON,
        "1 of 3 new replicas have been created",
    ),
    "StatefulSet that goes back before its rollout was complete": (
        "StatefulSet",
        a_stateful_set(updatedReplicas=2, currentReplicas=2, currentRevision="a", updateRevision="a"),
        Progress.GOING_ON,
        "2 of 3 new replicas have been created",
    ),
    "StatefulSet whose last pod is not available": (
        "StatefulSet",
        a_stateful_set(availableReplicas=2),
        Progress.GOING_ON,
        "2 of 3 new replicas are available",
    ),
    "StatefulSet of a server that does not count who is available": (
        "StatefulSet",
        {**a_stateful_set(), "status": {"observedGeneration": 3, "replicas": 3, "updatedReplicas": 3, "readyReplicas": 2}},
        Progress.GOING_ON,
        "2 of 3 new replicas are available",
    ),
    "StatefulSet that shrinks": (
        "StatefulSet",
        a_stateful_set(spec={"replicas": 2}),
        Progress.GOING_ON,
        "1 old replicas are still going away",
    ),
    "StatefulSet with a partition, as far as it goes": (
        "StatefulSet",
        a_stateful_set(partition=2, updatedReplicas=1),
        Progress.COMPLETE,
        "3 of 3 replicas are new and available",
    ),
    "StatefulSet with a partition, before it is there": (
        "StatefulSet",
        a_stateful_set(partition=2, updatedReplicas=0),
        Progress.GOING_ON,
        "2 of 3 new replicas have been created",
    ),
    "StatefulSet with a partition beyond its end": (
        "StatefulSet",
        a_stateful_set(partition=9, updatedReplicas=0),
        Progress.COMPLETE,
        "3 of 3 replicas are new and available",
    ),
    "StatefulSet that only a deletion makes new": (
        "StatefulSet",
        a_stateful_set(spec={"updateStrategy": {"type": "OnDelete"}}, updatedReplicas=0),
        Progress.COMPLETE,
        "3 of 3 replicas are new and available",
    ),
    "DaemonSet that is complete": ("DaemonSet", a_daemon_set(), Progress.COMPLETE, "3 of 3 replicas are new and available"),
    "DaemonSet that is half new": (
        "DaemonSet",
        a_daemon_set(updatedNumberScheduled=1),
        Progress.GOING_ON,
        "1 of 3 new replicas have been created",
    ),
    "DaemonSet whose last pod is not available": (
        "DaemonSet",
        a_daemon_set(numberAvailable=2),
        Progress.GOING_ON,
        "2 of 3 new replicas are available",
    ),
    "DaemonSet of which no figure but that is left": (
        "DaemonSet",
        an_object({"template": TEMPLATE}, {"observedGeneration": 3, "desiredNumberScheduled": 2}),
        Progress.GOING_ON,
        "0 of 2 new replicas have been created",
    ),
    "DaemonSet without nodes": (
        "DaemonSet",
        an_object({"template": TEMPLATE}, {"observedGeneration": 3}),
        Progress.COMPLETE,
        "0 of 0 replicas are new and available",
    ),
    "DaemonSet that only a deletion makes new": (
        "DaemonSet",
        a_daemon_set(spec={"updateStrategy": {"type": "OnDelete"}}, updatedNumberScheduled=0),
        Progress.COMPLETE,
        "3 of 3 replicas are new and available",
    ),
    "Job that runs": ("Job", a_job(), Progress.COMPLETE, "1 of 1 replicas are new and available"),
    "Job whose pod is not ready": ("Job", a_job(ready=0), Progress.GOING_ON, "0 of 1 new replicas are available"),
    "Job that is complete": ("Job", an_object({}, {"conditions": [a_condition("Complete")]}), Progress.COMPLETE, "0 of 0"),
    "Job that has failed": ("Job", a_job(a_condition("Failed")), Progress.STUCK, "the Job has failed"),
    "Job that is about to fail": ("Job", a_job(a_condition("Failed", "False")), Progress.COMPLETE, "1 of 1"),
    "Node": ("Node", an_object({}, {}), Progress.COMPLETE, "0 of 0 replicas are new and available"),
}


@pytest.mark.parametrize(("kind", "body", "expected", "told"), ROLLOUTS.values(), ids=ROLLOUTS.keys())
def test_rollout_of_a(kind: str, body: dict[str, Any], expected: Progress, told: str) -> None:
    found, sentence = progress(kind, body)
    assert (found, told in sentence) == (expected, True), sentence


TIMES: dict[str, tuple[str, dict[str, Any], datetime | None]] = {
    "a Deployment": ("Deployment", a_deployment(conditions=[EXCEEDED]), datetime(2026, 3, 1, 12, 0, 5, tzinfo=UTC)),
    "a Job": ("Job", a_job(a_condition("Failed")), datetime(2026, 3, 1, 12, tzinfo=UTC)),
    "a Deployment that has said nothing": ("Deployment", a_deployment(), None),
}


@pytest.mark.parametrize(("kind", "body", "expected"), TIMES.values(), ids=TIMES.keys())
def test_time_of_the_complaint_of(kind: str, body: dict[str, Any], expected: datetime | None) -> None:
    assert reading.workload(kind, body).rollout.progressing_since == expected


class TestWorkload:
    @pytest.mark.parametrize("kind", sorted(reading.KINDS))
    def test_of_every_kind_is_read_when_it_is_brand_new(self, kind: str) -> None:
        spec = {} if kind == "Node" else {"template": TEMPLATE}
        found = reading.workload(kind, {"metadata": {"name": "web", "uid": "u", "resourceVersion": "1", "generation": 1}, "spec": spec})
        assert (found.kind, found.name, found.uid, found.resource_version) == (kind, "web", "u", "1")

    def test_of_a_node_has_no_generation_and_says_whether_it_is_cordoned(self) -> None:
        body = {"metadata": {"name": "node-1", "uid": "u", "resourceVersion": "1"}, "spec": {"unschedulable": True}}
        found = reading.workload("Node", body)
        assert (found.generation, found.unschedulable, found.replicas, found.template_hash) == (0, True, None, "")
        assert reading.workload("Node", {**body, "spec": {}}).unschedulable is False

    @pytest.mark.parametrize(
        ("kind", "spec", "expected"),
        [
            ("Deployment", {"replicas": 0}, 0),
            ("Deployment", {}, 1),
            ("StatefulSet", {}, 1),
            ("DaemonSet", {}, None),
            ("Job", {"parallelism": 3}, None),
        ],
    )
    def test_has_replicas_where_its_kind_has_any(self, kind: str, spec: dict[str, Any], expected: int | None) -> None:
        found = reading.workload(kind, an_object({"template": TEMPLATE, **spec}, {}))
        assert (found.replicas, found.unschedulable) == (expected, None)

    @pytest.mark.parametrize(
        ("kind", "spec", "paused"),
        [
            ("Deployment", {"paused": True}, True),
            ("Deployment", {}, False),
            ("Job", {"suspend": True}, True),
            ("Job", {}, False),
            ("Deployment", {"suspend": True}, False),
        ],
    )
    def test_is_paused(self, kind: str, spec: dict[str, Any], paused: bool) -> None:
        assert reading.workload(kind, an_object({"template": TEMPLATE, **spec}, {})).paused is paused

    @pytest.mark.parametrize(("kind", "make"), [("StatefulSet", a_stateful_set), ("DaemonSet", a_daemon_set)])
    def test_is_only_replaced_on_deletion(self, kind: str, make: Any) -> None:
        assert reading.workload(kind, make(spec={"updateStrategy": {"type": "OnDelete"}})).on_delete
        assert not reading.workload(kind, make()).on_delete

    def test_keeps_back_what_is_below_the_partition(self) -> None:
        assert reading.workload("StatefulSet", a_stateful_set(partition=2)).kept_back == 2
        assert reading.workload("StatefulSet", a_stateful_set(spec={"updateStrategy": {"type": "RollingUpdate"}})).kept_back == 0
        assert reading.workload("Deployment", a_deployment()).kept_back == 0

    def test_has_only_the_annotations_that_are_ours(self) -> None:
        annotations = {
            "safetygovernor.io/last-action": "sha256:a",
            "patch.safetygovernor.io/1a2b3c4d": "sha256:b",
            "evilsafetygovernor.io/last-action": "sha256:c",
            "safetygovernor.io.evil.com/last-action": "sha256:d",
            "kubectl.kubernetes.io/last-applied-configuration": "{}",
        }
        body = a_deployment()
        body["metadata"]["annotations"] = annotations
        assert reading.workload("Deployment", body).marks == dict(list(annotations.items())[:2])

    @pytest.mark.parametrize("absent", [None, {}])
    def test_without_annotations_labels_and_owners_has_none(self, absent: dict[str, str] | None) -> None:
        body = a_deployment()
        body["metadata"] |= {"annotations": absent, "labels": absent, "ownerReferences": None}
        found = reading.workload("Deployment", body)
        assert (found.marks, found.controller, found.git_ops) == ({}, "", "")

    @pytest.mark.parametrize(("controls", "expected"), [(True, "Rollout/web"), (False, "")])
    def test_belongs_to_whoever_controls_it(self, controls: bool, expected: str) -> None:
        body = a_deployment()
        body["metadata"]["ownerReferences"] = [{"kind": "Rollout", "name": "web", "uid": "u", "controller": controls}]
        assert reading.workload("Deployment", body).controller == expected

    @pytest.mark.parametrize(
        ("where", "name", "value", "tool"),
        [
            ("annotations", "argocd.argoproj.io/tracking-id", "shop:apps/Deployment:shop/web", "Argo CD"),
            ("labels", "kustomize.toolkit.fluxcd.io/name", "apps", "Flux"),
            ("labels", "helm.toolkit.fluxcd.io/name", "web", "Flux"),
            ("labels", "app.kubernetes.io/managed-by", "Helm", "Helm"),
            ("annotations", "meta.helm.sh/release-name", "web", "Helm"),
            ("labels", "app.kubernetes.io/managed-by", "kubectl", ""),
            ("labels", "app", "web", ""),
        ],
    )
    def test_is_kept_in_git_by(self, where: str, name: str, value: str, tool: str) -> None:
        body = a_deployment()
        body["metadata"][where] = {name: value}
        assert reading.workload("Deployment", body).git_ops == tool

    @pytest.mark.parametrize(("manager", "tool"), [("argocd-controller", "Argo CD"), ("kustomize-controller", "Flux"), ("kubectl", "")])
    def test_is_kept_in_git_by_who_writes_its_fields(self, manager: str, tool: str) -> None:
        body = a_deployment()
        body["metadata"]["managedFields"] = [{"manager": "kube-controller-manager"}, {"manager": manager}]
        assert reading.workload("Deployment", body).git_ops == tool


def rolling(**limits: Any) -> dict[str, Any]:
    return {"strategy": {"type": "RollingUpdate", "rollingUpdate": limits}}


def updating(**limits: Any) -> dict[str, Any]:
    return {"updateStrategy": {"type": "RollingUpdate", "rollingUpdate": limits}}


UNAVAILABLE: dict[str, tuple[str, int, dict[str, Any], int]] = {
    "Deployment of 3 by default, rounded down": ("Deployment", 3, {}, 0),
    "Deployment of 4 by default": ("Deployment", 4, {}, 1),
    "Deployment of 7, a quarter, rounded down": ("Deployment", 7, rolling(maxUnavailable="25%", maxSurge="25%"), 1),
    "Deployment of 10 by number": ("Deployment", 10, rolling(maxUnavailable=3, maxSurge=0), 3),
    "Deployment of 2 by a larger number": ("Deployment", 2, rolling(maxUnavailable=3), 2),
    "Deployment of 3 that may neither take nor add by share": ("Deployment", 3, rolling(maxUnavailable="1%", maxSurge=0), 1),
    "Deployment of 3 that may add one by share, rounded up": ("Deployment", 3, rolling(maxUnavailable="1%", maxSurge="1%"), 0),
    "Deployment of 0 that may neither": ("Deployment", 0, rolling(maxUnavailable=0, maxSurge=0), 0),
    "Deployment that is made anew as a whole": ("Deployment", 5, {"strategy": {"type": "Recreate"}}, 5),
    "Deployment whose strategy has no limits": ("Deployment", 8, {"strategy": {"type": "RollingUpdate", "rollingUpdate": None}}, 2),
    "StatefulSet by default": ("StatefulSet", 3, updating(partition=0), 1),
    "StatefulSet of 10, a quarter, rounded down": ("StatefulSet", 10, updating(maxUnavailable="25%"), 2),
    "StatefulSet of 3, a quarter, but one at least": ("StatefulSet", 3, updating(maxUnavailable="25%"), 1),
    "StatefulSet of 0": ("StatefulSet", 0, updating(), 0),
    "DaemonSet by default": ("DaemonSet", 3, {}, 1),
    "DaemonSet on 10, a quarter, rounded up": ("DaemonSet", 10, updating(maxUnavailable="25%"), 3),
    "DaemonSet on 10 by number": ("DaemonSet", 10, updating(maxUnavailable=4), 4),
    "DaemonSet that adds first": ("DaemonSet", 10, updating(maxUnavailable=0, maxSurge="10%"), 0),
    "DaemonSet on no node": ("DaemonSet", 0, updating(maxUnavailable=4), 0),
    "Job": ("Job", 3, {}, 0),
    "Node": ("Node", 0, {}, 0),
}


@pytest.mark.parametrize(("kind", "count", "spec", "expected"), UNAVAILABLE.values(), ids=UNAVAILABLE.keys())
def test_rollout_takes_down_at_once_of_a(kind: str, count: int, spec: dict[str, Any], expected: int) -> None:
    status = {"observedGeneration": 3, "desiredNumberScheduled": count, "active": count}
    assert reading.workload(kind, an_object({"replicas": count, "template": TEMPLATE, **spec}, status)).max_unavailable == expected


def a_container(*, restarts: int = 0, waiting: str = "", last: dict[str, Any] | None = None) -> dict[str, Any]:
    state = {"waiting": {"reason": waiting}} if waiting else {"running": {"startedAt": "2026-03-01T12:00:00Z"}}
    return {"name": "app", "restartCount": restarts, "state": state, "lastState": {"terminated": last} if last else {}}


def ended(at: str, reason: str = "Error") -> dict[str, Any]:
    return {"exitCode": 1, "reason": reason, "finishedAt": f"2026-03-01T{at}Z"}


def a_pod(*containers: dict[str, Any], ready: str = "True", **changes: Any) -> dict[str, Any]:
    conditions = [a_condition("PodScheduled"), a_condition("Ready", ready)]
    metadata = {"name": "web-1", "uid": "uid-web-1", "creationTimestamp": "2026-03-01T11:59:00Z", **changes.pop("metadata", {})}
    return {
        "metadata": metadata,
        "status": {"phase": "Running", "conditions": conditions, "containerStatuses": list(containers), **changes},
    }


class TestPod:
    def test_that_is_well(self) -> None:
        assert reading.pod(a_pod(a_container())) == workloads.Pod(
            name="web-1",
            uid="uid-web-1",
            created_at=datetime(2026, 3, 1, 11, 59, tzinfo=UTC),
            ready=True,
            ready_since=datetime(2026, 3, 1, 12, tzinfo=UTC),
        )

    @pytest.mark.parametrize("status", [{}, {"phase": "Pending"}, {"conditions": None, "containerStatuses": None}])
    def test_that_is_brand_new_is_not_ready(self, status: dict[str, Any]) -> None:
        found = reading.pod({"metadata": a_pod()["metadata"], "status": status})
        assert (found.ready, found.ready_since, found.restarts, found.waiting) == (False, None, 0, "")

    def test_without_a_status_is_not_ready(self) -> None:
        assert not reading.pod({"metadata": a_pod()["metadata"]}).ready

    @pytest.mark.parametrize(("state", "ready"), [("True", True), ("False", False), ("Unknown", False)])
    def test_is_ready_when_its_condition_says_so(self, state: str, ready: bool) -> None:
        assert reading.pod(a_pod(a_container(), ready=state)).ready is ready

    def test_that_crash_loops_tells_how_often_and_why_it_ended(self) -> None:
        found = reading.pod(a_pod(a_container(restarts=4, waiting="CrashLoopBackOff", last=ended("12:03:00")), ready="False"))
        assert found.is_crash_looping
        assert (found.restarts, found.last_ended_reason) == (4, "Error")
        assert found.last_ended_at == datetime(2026, 3, 1, 12, 3, tzinfo=UTC)

    def test_that_ran_out_of_memory_and_runs_again(self) -> None:
        found = reading.pod(a_pod(a_container(restarts=1, last=ended("12:03:00", "OOMKilled"))))
        assert (found.is_crash_looping, found.restarts, found.last_ended_reason) == (False, 1, "OOMKilled")

    def test_of_several_containers_counts_all_and_tells_of_the_last(self) -> None:
        first, second = a_container(restarts=2, last=ended("12:03:00", "OOMKilled")), a_container(restarts=3, last=ended("12:02:00"))
        found = reading.pod(a_pod(first, second, a_container()))
        assert (found.restarts, found.last_ended_reason) == (5, "OOMKilled")

    def test_of_which_one_container_crash_loops_crash_loops(self) -> None:
        assert reading.pod(a_pod(a_container(waiting="ContainerCreating"), a_container(waiting="CrashLoopBackOff"))).is_crash_looping

    @pytest.mark.parametrize("reason", ["ImagePullBackOff", "ContainerCreating", "CreateContainerConfigError"])
    def test_that_waits_for_something_else_says_for_what(self, reason: str) -> None:
        found = reading.pod(a_pod(a_container(waiting=reason)))
        assert (found.waiting, found.is_crash_looping) == (reason, False)

    def test_whose_init_container_crash_loops_crash_loops(self) -> None:
        failing = a_container(restarts=3, waiting="CrashLoopBackOff", last=ended("12:03:00"))
        found = reading.pod(a_pod(a_container(waiting="PodInitializing"), ready="False", initContainerStatuses=[failing]))
        assert found.is_crash_looping
        assert (found.restarts, found.last_ended_reason) == (3, "Error")

    def test_whose_init_container_has_done_its_work_was_not_restarted(self) -> None:
        done = {"name": "init", "restartCount": 0, "state": {"terminated": ended("11:59:30", "Completed")}, "lastState": {}}
        found = reading.pod(a_pod(a_container(), initContainerStatuses=[done]))
        assert (found.restarts, found.last_ended_at, found.last_ended_reason) == (0, None, "")

    def test_that_is_leaving(self) -> None:
        assert reading.pod(a_pod(metadata={"deletionTimestamp": "2026-03-01T12:00:00Z"})).terminating
        assert not reading.pod(a_pod()).terminating

    def test_with_very_long_reasons_is_read_all_the_same(self) -> None:
        found = reading.pod(a_pod(a_container(waiting="x" * 999, last=ended("12:00:00", "y" * 999))))
        assert (len(found.waiting), len(found.last_ended_reason)) == (256, 256)

    def test_of_a_server_that_leaves_reasons_out(self) -> None:
        container = {"name": "app", "restartCount": 1, "state": {"waiting": {}}, "lastState": {"terminated": {"exitCode": 1}}}
        found = reading.pod(a_pod(container))
        assert (found.restarts, found.waiting, found.last_ended_at) == (1, "", None)


class TestRevision:
    """The controllers keep the template in forms of their own; it has to come out as it stands in the workload."""

    LIVE = reading.workload("Deployment", a_deployment()).template_hash

    def test_of_a_replica_set_is_the_template_without_the_label_of_the_controller(self) -> None:
        template = copy.deepcopy(TEMPLATE)
        template["metadata"]["labels"]["pod-template-hash"] = "5484f449c7"
        annotations = {"deployment.kubernetes.io/revision": "12"}
        body = {"metadata": {"name": "web-5484f449c7", "annotations": annotations}, "spec": {"template": template}}
        before = copy.deepcopy(body)
        found = reading.replica_set(body)
        assert (found.name, found.number, found.template_hash) == ("web-5484f449c7", 12, self.LIVE)
        assert body == before

    @pytest.mark.parametrize("annotations", [None, {}])
    def test_of_a_replica_set_without_a_number_is_the_oldest(self, annotations: dict[str, str] | None) -> None:
        found = reading.replica_set({"metadata": {"name": "x", "annotations": annotations}, "spec": {"template": TEMPLATE}})
        assert found.number == 0

    def test_of_a_controller_revision_is_the_template_without_the_directive(self) -> None:
        template = {**TEMPLATE, "$patch": "replace"}
        found = reading.controller_revision({"metadata": {"name": "db-1"}, "revision": 4, "data": {"spec": {"template": template}}})
        assert (found.name, found.number, found.template_hash) == ("db-1", 4, self.LIVE)
        assert "$patch" not in found.template

    def test_of_another_template_is_another(self) -> None:
        other = {**TEMPLATE, "spec": {**POD_SPEC, "restartPolicy": "Never"}}
        assert reading.replica_set({"metadata": {"name": "x"}, "spec": {"template": other}}).template_hash != self.LIVE

    def test_of_a_null_is_that_of_nothing(self) -> None:
        """An older server writes creationTimestamp: null into one of them and not into the other."""
        bare = {**TEMPLATE, "metadata": {"labels": {"app": "web"}}}
        assert digests.digest(bare) == self.LIVE


JOBS: dict[str, tuple[list[dict[str, Any]] | None, JobState, str]] = {
    "has no conditions": (None, JobState.RUNNING, ""),
    "is complete": ([a_condition("Complete", reason="CompletionsReached")], JobState.COMPLETE, "CompletionsReached"),
    "is about to be complete": ([a_condition("SuccessCriteriaMet")], JobState.RUNNING, ""),
    "has failed": ([a_condition("Failed", reason="DeadlineExceeded")], JobState.FAILED, "DeadlineExceeded"),
    "is about to fail": ([a_condition("FailureTarget")], JobState.RUNNING, ""),
    "is not complete": ([a_condition("Complete", "False")], JobState.RUNNING, ""),
    "is suspended": ([a_condition("Suspended")], JobState.RUNNING, ""),
}


@pytest.mark.parametrize(("conditions", "state", "reason"), JOBS.values(), ids=JOBS.keys())
def test_job_that(conditions: list[dict[str, Any]] | None, state: JobState, reason: str) -> None:
    body = {"metadata": {"name": "gov-1", "annotations": {"a": "b"}}, "status": {"conditions": conditions}}
    ended_at = None if state is JobState.RUNNING else datetime(2026, 3, 1, 12, tzinfo=UTC)
    assert reading.job(body) == workloads.Job(name="gov-1", state=state, reason=reason, ended_at=ended_at, marks={"a": "b"})


def test_job_that_is_brand_new_runs() -> None:
    assert reading.job({"metadata": {"name": "gov-1"}}).state is JobState.RUNNING


class TestJobTemplate:
    BODY: dict[str, Any] = {  # noqa: RUF012 - read only
        "metadata": {"name": "report", "labels": {"of": "the CronJob"}},
        "spec": {
            "suspend": True,
            "schedule": "@daily",
            "jobTemplate": {"metadata": {"labels": {"team": "shop"}}, "spec": {"template": TEMPLATE}},
        },
    }

    def test_is_what_the_cron_job_would_start(self) -> None:
        found = reading.job_template(self.BODY)
        assert (found.name, found.labels, found.spec) == ("report", {"team": "shop"}, {"template": TEMPLATE})

    def test_of_another_content_has_another_digest_and_of_another_schedule_has_not(self) -> None:
        spec = self.BODY["spec"]
        hourly = {**self.BODY, "spec": {**spec, "schedule": "@hourly", "suspend": False}}
        other = {**self.BODY, "spec": {**spec, "jobTemplate": {"spec": {"template": {}}}}}
        digest = reading.job_template(self.BODY).digest
        assert (reading.job_template(hourly).digest == digest, reading.job_template(other).digest == digest) == (True, False)

    def test_without_metadata_has_no_labels(self) -> None:
        body = {**self.BODY, "spec": {"jobTemplate": {"metadata": None, "spec": {}}}}
        assert reading.job_template(body).labels == {}
