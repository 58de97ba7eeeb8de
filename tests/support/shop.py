"""A namespace that has opted in, its people and its workloads, and what tests do there."""

import itertools
import json
from collections.abc import Callable
from typing import Any

from testbed import ControlPlane, deployment_yaml, mutating_requests, wait_until

_numbers = itertools.count(1)

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
        cluster.kubectl("create", "namespace", self.namespace)
        cluster.apply(_PEOPLE.format(namespace=self.namespace))
        if opted_in:
            cluster.apply(_OPTED_IN.format(namespace=self.namespace))

    def deploy(self, name: str, **options: Any) -> None:
        """A Deployment that is available, unless it is told to misbehave."""
        self.cluster.apply(deployment_yaml(name, namespace=self.namespace, **options))
        if "behaviour" not in options:
            self.kubectl("rollout", "status", f"deployment/{name}", "--timeout=20s")

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
        self.kubectl("apply", "-f", "-", user=user, stdin=json.dumps(body))

    def incident(self, name: str) -> dict[str, Any]:
        """The incident as it is now."""
        body: dict[str, Any] = json.loads(self.kubectl("get", "incident", name, "-o", "json"))
        return body

    def status(self, name: str) -> dict[str, Any]:
        """Its status as it is now."""
        status: dict[str, Any] = self.incident(name).get("status", {})
        return status

    def wait_for(self, name: str, condition: Callable[[dict[str, Any]], bool], what: str, *, timeout: float = 30) -> dict[str, Any]:
        """The status once the condition holds for it."""

        def holds() -> dict[str, Any] | None:
            status = self.status(name)
            return status if condition(status) else None

        found = wait_until(holds, timeout, f"incident {name} {what}")
        assert found is not None
        return found

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

    def touched_incidents(self, since: int) -> set[str]:
        """Names of the incidents that the operator has read one by one or written since the mark."""
        username = self.cluster.username("operator")
        here = [one for one in self.cluster.audit_events(since) if one.get("objectRef", {}).get("namespace") == self.namespace]
        events = [one for one in here if one["user"]["username"] == username]
        return {one["objectRef"]["name"] for one in events if one["objectRef"]["resource"] == "incidents" and "name" in one["objectRef"]}

    def restarts(self, name: str, since: int) -> int:
        """How often the governor has touched the Deployment since the mark."""
        return sum(one["objectRef"]["resource"] == "deployments" and one["objectRef"]["name"] == name for one in self.writes(since))
