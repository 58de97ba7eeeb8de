"""A namespace that has opted in, its people and its workloads, and what tests do there."""

import itertools
import json
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import yaml

from safety_governor.domain import lifecycle, marks
from testbed import BEHAVIOUR_ANNOTATION, Behaviour, ControlPlane, WorkloadKind, mutating_requests, wait_until, workload_yaml

_numbers = itertools.count(1)

_COLLECTIONS = {
    "ServiceAccount": "/api/v1/{}/serviceaccounts",
    "Pod": "/api/v1/{}/pods",
    "RoleBinding": "/apis/rbac.authorization.k8s.io/v1/{}/rolebindings",
    "RemediationPolicy": "/apis/safetygovernor.io/v1alpha1/{}/remediationpolicies",
    "Incident": "/apis/safetygovernor.io/v1alpha1/{}/incidents",
    "Deployment": "/apis/apps/v1/{}/deployments",
    "StatefulSet": "/apis/apps/v1/{}/statefulsets",
    "DaemonSet": "/apis/apps/v1/{}/daemonsets",
    "CronJob": "/apis/batch/v1/{}/cronjobs",
    "Job": "/apis/batch/v1/{}/jobs",
    "HorizontalPodAutoscaler": "/apis/autoscaling/v2/{}/horizontalpodautoscalers",
    "PodDisruptionBudget": "/apis/policy/v1/{}/poddisruptionbudgets",
}


def _annotations(event: Mapping[str, Any]) -> Mapping[str, str]:
    """What a request would leave on its object."""
    body = event.get("requestObject") or {}
    if isinstance(body, list):
        return next((one["value"] for one in body if one["path"] == "/metadata/annotations"), {})
    return body.get("metadata", {}).get("annotations") or {}


def _key(annotations: Mapping[str, str]) -> str:
    """The key of the action that a request is for."""
    # The whole of the annotations may be written, with marks of earlier patches among them.
    return annotations.get(marks.LAST_ACTION) or next((key for name, key in annotations.items() if name.startswith("patch.")), "")


@dataclass(frozen=True, kw_only=True)
class Act:
    """One effect, as the API server saw it."""

    what: str
    """Such as `patch deployments` or `create pods/eviction`."""
    name: str
    """Of the object."""
    key: str
    """Of the action, where the request carries it."""
    by: tuple[str, str]
    """Who asked, and in whose name."""
    at: datetime


def _act(event: Mapping[str, Any]) -> Act:
    target = event["objectRef"]
    resource = "/".join(target[part] for part in ("resource", "subresource") if part in target)
    return Act(
        what=f"{event['verb']} {resource}",
        name=target.get("name", ""),
        key=_key(_annotations(event)),
        by=(event["user"]["username"], event.get("impersonatedUser", {}).get("username", "")),
        at=datetime.fromisoformat(event["requestReceivedTimestamp"]),
    )


def _collection(body: Mapping[str, Any], namespace: str) -> str:
    return _COLLECTIONS[body["kind"]].format(f"namespaces/{namespace}")


_OPTED_IN = """
apiVersion: v1
kind: ServiceAccount
metadata: {{name: governor-executor, namespace: {namespace}}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {{name: governor-executor, namespace: {namespace}}}
roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: governor-executor}}
subjects: [{{kind: ServiceAccount, name: governor-executor, namespace: {namespace}}}]
---
apiVersion: safetygovernor.io/v1alpha1
kind: RemediationPolicy
metadata: {{name: default, namespace: {namespace}}}
spec: {{allowedActions: [RolloutRestart]}}
"""

_PEOPLE = """
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {{name: reporters, namespace: {namespace}}}
roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: governor-reporter}}
subjects:
- {{kind: User, name: alice, apiGroup: rbac.authorization.k8s.io}}
- {{kind: User, name: bob, apiGroup: rbac.authorization.k8s.io}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {{name: approvers, namespace: {namespace}}}
roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: governor-approver}}
subjects:
- {{kind: User, name: bob, apiGroup: rbac.authorization.k8s.io}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {{name: overriders, namespace: {namespace}}}
roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: governor-overrider}}
subjects: [{{kind: User, name: carol, apiGroup: rbac.authorization.k8s.io}}]
"""


class Shop:
    """One namespace of the shared cluster."""

    def __init__(self, cluster: ControlPlane, *, opted_in: bool = True) -> None:
        self.cluster = cluster
        self.namespace = f"shop-{next(_numbers)}"
        status, answer = cluster.request("POST", "/api/v1/namespaces", {"metadata": {"name": self.namespace}})
        assert status == 201, answer
        self.create(_PEOPLE.format(namespace=self.namespace) + "---" + (_OPTED_IN.format(namespace=self.namespace) if opted_in else ""))

    def create(self, manifests: str) -> None:
        """Create objects as an administrator; what is there already is replaced. A request costs a tenth of a kubectl."""
        for body in yaml.safe_load_all(manifests):
            if body is None:
                continue
            path = _collection(body, self.namespace)
            status, answer = self.cluster.request("POST", path, body)
            while status == 409:  # a controller may write its status between reading and replacing
                _, present = self.cluster.request("GET", f"{path}/{body['metadata']['name']}")
                metadata = {**body["metadata"], "resourceVersion": present["metadata"]["resourceVersion"]}
                status, answer = self.cluster.request("PUT", f"{path}/{body['metadata']['name']}", {**body, "metadata": metadata})
            assert status in (200, 201), answer

    def deploy(self, name: str, *, kind: WorkloadKind = "Deployment", **options: Any) -> None:
        """A workload that is available, unless it is told to misbehave."""
        self.create(workload_yaml(kind, name, namespace=self.namespace, **options))
        if "behaviour" not in options:
            self.wait_until_rolled_out(name, kind)

    def wait_until_rolled_out(self, name: str, kind: WorkloadKind = "Deployment") -> None:
        """All its pods are from its present template, and available."""
        self.wait_until(lambda: self._is_rolled_out(kind, name), f"{kind} {name} to be rolled out")

    def wait_until(self, predicate: Callable[[], bool], what: str, *, timeout: float = 60) -> None:
        """Wait for something in this namespace."""
        wait_until(predicate, timeout, f"{what} in {self.namespace}")

    def _is_rolled_out(self, kind: WorkloadKind, name: str) -> bool:
        body = self.get(kind, name)
        status = body.get("status", {})
        if status.get("observedGeneration", 0) < body["metadata"]["generation"]:
            return False
        if kind == "DaemonSet":
            figures = {status.get(figure, 0) for figure in ("desiredNumberScheduled", "updatedNumberScheduled", "numberAvailable")}
            return len(figures) == 1
        figures = {status.get(figure, 0) for figure in ("replicas", "updatedReplicas", "availableReplicas")}
        return figures == {body["spec"]["replicas"]} and status.get("currentRevision") == status.get("updateRevision")

    def pods(self, name: str) -> list[dict[str, Any]]:
        """The pods of a workload that are not on their way out, oldest first."""
        status, body = self.cluster.request("GET", f"{self.path('Pod')}?labelSelector=app%3D{name}")
        assert status == 200, body
        there = [one for one in body["items"] if "deletionTimestamp" not in one["metadata"]]
        return sorted(there, key=lambda one: (one["metadata"]["creationTimestamp"], one["metadata"]["name"]))

    def patch(self, kind: str, name: str, body: Mapping[str, Any]) -> None:
        """Merge something into an object, as an administrator."""
        status, answer = self.cluster.request("PATCH", f"{self.path(kind)}/{name}", body)
        assert status == 200, answer

    def misbehave(self, pod: str, behaviour: Behaviour) -> None:
        """From now on this pod behaves so; those that come after it do not."""
        self.patch("Pod", pod, {"metadata": {"annotations": {BEHAVIOUR_ANNOTATION: behaviour}}})

    def allow(self, *actions: str, **rules: Any) -> None:
        """What the policy allows from now on; other fields than those that are named stay as they are, and None takes one away."""
        self.patch("RemediationPolicy", "default", {"spec": {"allowedActions": list(actions), **rules}})

    def add_node(self, *, cordoned: bool = False) -> None:
        """The node that is only this shop's, ready in a moment, and the right of its executor to touch nodes."""
        body = {"metadata": {"name": self.node, "labels": {"shop": self.namespace}}, "spec": {"unschedulable": cordoned}}
        status, answer = self.cluster.request("POST", "/api/v1/nodes", body)
        assert status == 201, answer
        binding = {
            "metadata": {"name": f"governor-executor-nodes:{self.namespace}"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "governor-executor-nodes"},
            "subjects": [{"kind": "ServiceAccount", "name": "governor-executor", "namespace": self.namespace}],
        }
        status, answer = self.cluster.request("POST", "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", binding)
        assert status == 201, answer

    def remove_node(self) -> None:
        """Where one was made: no DaemonSet of another test should wait for it, as nobody keeps it alive."""
        status, answer = self.cluster.request("DELETE", f"/api/v1/nodes/{self.node}")
        assert status in (200, 404), answer

    @property
    def node(self) -> str:
        """Name of a node that is only this shop's, where a test makes one."""
        return f"node-{self.namespace}"

    def path(self, kind: str) -> str:
        """Path of the objects of a kind of this namespace on the API server."""
        return _collection({"kind": kind}, self.namespace)

    def get(self, kind: str, name: str) -> dict[str, Any]:
        """An object of this namespace as it is now."""
        status, body = self.cluster.request("GET", f"{_collection({'kind': kind}, self.namespace)}/{name}")
        assert status == 200, body
        return body

    def kubectl(self, *args: str, user: str = "admin", stdin: str | None = None, check: bool = True) -> str:
        """What kubectl prints in this namespace; with `check=False` also what it complains about."""
        done = self.cluster.kubectl("-n", self.namespace, *args, user=user, stdin=stdin, check=check)
        return done.stdout if check else done.stdout + done.stderr

    def report(self, name: str, *, user: str = "alice", **spec: Any) -> None:
        """Apply an incident."""
        body = {
            "apiVersion": "safetygovernor.io/v1alpha1",
            "kind": "Incident",
            "metadata": {"name": name, "namespace": self.namespace},
            "spec": {
                "service": "payments",
                "severity": "medium",
                "summary": "The connection pool is exhausted",
                "requestedBy": user,
                **spec,
            },
        }
        status, answer = self.cluster.request("POST", self.incidents, body, user=user)
        if status == 409:
            self.kubectl("apply", "-f", "-", user=user, stdin=json.dumps(body))
        else:
            assert status == 201, answer

    def incident(self, name: str) -> dict[str, Any]:
        """The incident as it is now."""
        return self.get("Incident", name)

    def status(self, name: str) -> dict[str, Any]:
        """Its status as it is now."""
        status: dict[str, Any] = self.incident(name).get("status", {})
        return status

    def wait_for(self, name: str, condition: Callable[[dict[str, Any]], bool], what: str, *, timeout: float = 30) -> dict[str, Any]:
        """The status once the condition holds for it."""

        last: dict[str, Any] = {}

        def holds() -> bool:
            last.update(status=self.status(name))
            return condition(last["status"])

        try:
            wait_until(holds, timeout, f"incident {name} {what}")
        except TimeoutError as error:
            shown = {part: last["status"].get(part) for part in ("phase", "execution", "conditions")}
            raise TimeoutError(f"{error}; its status was {json.dumps(shown)}") from None
        status: dict[str, Any] = last["status"]
        return status

    def wait_for_end(self, name: str, *, timeout: float = 90) -> dict[str, Any]:
        """The status once nothing about it will change any more."""
        return self.wait_for(name, lambda status: status.get("phase") in lifecycle.TERMINAL, "to be finished", timeout=timeout)

    def wait_for_phase(self, name: str, phase: str, *, timeout: float = 30) -> dict[str, Any]:
        """The status once it has this phase."""
        return self.wait_for(name, lambda status: status.get("phase") == phase, f"to be {phase}", timeout=timeout)

    def decide(self, name: str, decision: str, *, user: str, reason: str = "", digest: str = "", check: bool = True) -> str:
        """Patch an approval into the incident, as a person does."""
        approval = {"decision": decision, "planDigest": digest or self.status(name)["gate"]["planDigest"], "approver": user}
        if reason:
            approval["reason"] = reason
        return self.kubectl(
            "patch", "incident", name, "--type=merge", "-p", json.dumps({"spec": {"approval": approval}}), user=user, check=check
        )

    @property
    def incidents(self) -> str:
        """Path of the incidents of this namespace on the API server."""
        return f"/apis/safetygovernor.io/v1alpha1/namespaces/{self.namespace}/incidents"

    def write_status(self, name: str, phase: str, digest: str, *, user: str = "operator") -> str:
        """Replace the status by that of an incident that was blocked, as the operator does where it runs; what it is told against it."""
        gate = {
            "decision": "block_and_escalate",
            "requiredApproval": "APPROVE",
            "reason": "PolicyForbidsAction",
            "planDigest": digest,
            "inputDigest": digest,
            "version": "1",
            "decidedAt": "2026-01-01T00:00:00Z",
        }
        _, body = self.cluster.request("GET", f"{self.incidents}/{name}")
        code, answer = self.cluster.request(
            "PUT", f"{self.incidents}/{name}/status", {**body, "status": {"phase": phase, "gate": gate}}, user=user
        )
        return "" if code == 200 else str(answer["message"])

    def writes(self, since: int) -> list[dict[str, Any]]:
        """Mutating requests of the operator about this namespace since the mark; Events and what is only shown are not counted."""
        found = mutating_requests(self.cluster.audit_events(since), username=self.cluster.username("operator"), namespace=self.namespace)
        return [one for one in found if one["objectRef"]["resource"] not in ("events", "leases", "remediationpolicies")]

    def acts(self, since: int) -> list[Act]:
        """What the operator has done to something of this shop since the mark, in order."""
        writes = mutating_requests(self.cluster.audit_events(since), username=self.cluster.username("operator"))
        return [_act(one) for one in writes if self._is_act(one)]

    def _is_act(self, event: Mapping[str, Any]) -> bool:
        target = event["objectRef"]
        if target["resource"] in ("incidents", "remediationpolicies", "leases", "events"):
            return False
        if marks.TAKEN_BACK in _annotations(event):
            # It does nothing but keep an earlier request from being taken late.
            return False
        return bool(target["namespace"] == self.namespace if "namespace" in target else target["name"] == self.node)

    def effects(self, since: int) -> Counter[str]:
        """How often each action has taken effect on something of this shop since the mark: by its key, and for a pod by its name."""
        return Counter(one.key or one.name for one in self.acts(since))

    @property
    def executor(self) -> str:
        """In whose name everything is done here."""
        return f"system:serviceaccount:{self.namespace}:governor-executor"

    def touched_incidents(self, since: int) -> set[str]:
        """Names of the incidents that the operator has read one by one or written since the mark."""
        username = self.cluster.username("operator")
        here = [one for one in self.cluster.audit_events(since) if one.get("objectRef", {}).get("namespace") == self.namespace]
        events = [one for one in here if one["user"]["username"] == username]
        return {one["objectRef"]["name"] for one in events if one["objectRef"]["resource"] == "incidents" and "name" in one["objectRef"]}

    def restarts(self, name: str, since: int) -> int:
        """How often the governor has acted on the Deployment since the mark."""
        return sum(one.what == "patch deployments" and one.name == name for one in self.acts(since))
