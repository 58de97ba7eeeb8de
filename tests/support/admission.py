"""A namespace in which people, machines and intruders try to decide, and the patience until the API server guards it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from support.shop import Shop
from testbed import ControlPlane, deployment_yaml, wait_until

DIGEST = "sha256:" + "a" * 64
NEW_DIGEST = "sha256:" + "b" * 64

APPROVAL = "incident-approval.safetygovernor.io"
STATE = "incident-state.safetygovernor.io"
MARKS = "target-marks.safetygovernor.io"
STAMPS = ("incident-stamp.safetygovernor.io", "target-marks-kept.safetygovernor.io")

_UNSTAMPED = "testbed.safetygovernor.io/unstamped"
_BINDINGS = "/apis/admissionregistration.k8s.io/v1/mutatingadmissionpolicybindings"

_RIGHTS = """
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {{name: "{name}", namespace: {namespace}}}
roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: {role}}}
subjects: [{{kind: User, name: "{user}", apiGroup: rbac.authorization.k8s.io}}]
---
"""


def incident(name: str, namespace: str, **spec: Any) -> dict[str, Any]:
    """A manifest that names nobody."""
    return {
        "apiVersion": "safetygovernor.io/v1alpha1",
        "kind": "Incident",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"service": "payments", "severity": "medium", "summary": "slow", **spec},
    }


def word(decision: str, approver: str | None = None, *, digest: str = DIGEST, **more: str) -> dict[str, str]:
    """An approval."""
    named = {} if approver is None else {"approver": approver}
    return {"decision": decision, "planDigest": digest, **named, **more}


def wait_until_guarded(cluster: ControlPlane) -> None:
    """Policies hold a moment after they were applied, each from a moment of its own: try in a dry run what each of them must refuse."""
    incidents = "/apis/safetygovernor.io/v1alpha1/namespaces/default/incidents?dryRun=All"
    approved = incident("guarded", "default", requestedBy="admin", approval=word("APPROVE", "admin"))
    annotated = incident("guarded", "default", requestedBy="admin")
    annotated["metadata"]["annotations"] = {"safetygovernor.io/guarded": "yet"}
    marked = workload("Deployment", "guarded", marks={"safetygovernor.io/guarded": "yet"})
    forged = incident("guarded", "default", requestedBy="nobody")

    def refused(path: str, body: dict[str, Any], policy: str) -> bool:
        code, answer = cluster.request("POST", path, body)
        return code == 403 and policy in answer["message"]

    def stamped() -> bool:
        code, answer = cluster.request("POST", incidents, forged)
        return code == 201 and answer["spec"]["requestedBy"] == "admin"

    wait_until(lambda: refused(incidents, approved, APPROVAL), 30, f"{APPROVAL} to refuse")
    wait_until(lambda: refused(incidents, annotated, STATE), 30, f"{STATE} to refuse")
    wait_until(lambda: refused("/apis/apps/v1/namespaces/default/deployments?dryRun=All", marked, MARKS), 30, f"{MARKS} to refuse")
    wait_until(stamped, 30, f"{STAMPS[0]} to stamp")


@dataclass(frozen=True, kw_only=True)
class Stored:
    """The incident that somebody finds. Phases, digests and approvals are as the operator and people have left them."""

    reporter: str = "alice"
    phase: str | None = "AwaitingApproval"
    """None: the operator has not looked at it yet."""
    said: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Approvals by field, each written by its approver about the digest that was current then."""
    regated: bool = False
    """Asked anew under another digest since."""
    aborted: bool = False


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What somebody was told."""

    allowed: bool
    said: str


class Court(Shop):
    """A shop with everybody in it who may decide, and with the governor's own accounts, which hold every right there is.

    Whoever the cluster has no token for is impersonated by admin; `executor` is the one of this namespace.
    """

    def __init__(self, cluster: ControlPlane, *, stamped: bool) -> None:
        super().__init__(cluster)
        self._numbers = 0
        if not stamped:
            self._leave_unstamped()
        rights = {
            "governor-reporter": ["alice", "dave", "system:serviceaccount:governor-system:governor-alerts"],
            "governor-approver": ["bob", "dave", f"system:serviceaccount:{self.namespace}:robot", "system:kube-scheduler"],
            "governor-overrider": ["carol"],
            "governor-bridge": ["system:serviceaccount:governor-system:governor-slack"],
            "governor-policy-admin": ["grace"],
            "edit": ["eve"],
            "view": ["frank"],
            "admin": ["heidi"],
            "cluster-admin": [
                *(f"system:serviceaccount:governor-system:governor-{part}" for part in ("operator", "mcp", "alerts")),
                self.username("executor"),
                "system:serviceaccount:elsewhere:governor-executor",
            ],
        }
        bindings = "".join(
            _RIGHTS.format(name=f"{role}:{user}", namespace=self.namespace, role=role, user=user)
            for role, users in rights.items()
            for user in users
        )
        cluster.apply(bindings)
        if not stamped:
            self._wait_until_unstamped()

    def username(self, who: str) -> str:
        """What the API server calls somebody."""
        if who == "executor":
            return f"system:serviceaccount:{self.namespace}:governor-executor"
        try:
            return self.cluster.username(who)
        except KeyError:
            return who

    def ask(self, who: str, *args: str, stdin: str | None = None) -> Answer:
        """kubectl in this namespace, as somebody."""
        try:
            self.cluster.identity(who)
        except KeyError:
            args, who = (*args, f"--as={self.username(who)}"), "admin"
        done = self.cluster.kubectl("-n", self.namespace, *args, user=who, stdin=stdin, check=False)
        return Answer(allowed=done.returncode == 0, said=done.stdout + done.stderr)

    def find(self, stored: Stored) -> str:
        """The name of a fresh incident that is like this."""
        self._numbers += 1
        name = f"case-{self._numbers}"
        self._must("POST", "", incident(name, self.namespace, requestedBy=stored.reporter), user=stored.reporter)
        waiting = "AwaitingApproval" if stored.said else stored.phase
        if waiting is not None:
            self.write_status(name, waiting, DIGEST)
        for spoken, approval in stored.said.items():
            self._must("PATCH", f"/{name}", {"spec": {spoken: dict(approval)}}, user=approval["approver"])
        if stored.aborted:
            self._must("PATCH", f"/{name}", {"spec": {"abort": True}}, user=stored.reporter)
        if stored.phase is not None and (stored.regated or stored.phase != waiting):
            self.write_status(name, stored.phase, NEW_DIGEST if stored.regated else DIGEST)
        return name

    def _must(self, method: str, path: str, body: dict[str, Any], *, user: str) -> None:
        code, answer = self.cluster.request(method, f"{self.incidents}{path}", body, user=user)
        assert code < 300, answer

    def _leave_unstamped(self) -> None:
        """What mutates elsewhere does nothing here, as on a server before 1.36, which cannot."""
        self.cluster.kubectl("label", "namespace", self.namespace, f"{_UNSTAMPED}=true")
        elsewhere = {"namespaceSelector": {"matchExpressions": [{"key": _UNSTAMPED, "operator": "DoesNotExist"}]}}
        for one in STAMPS:
            code, answer = self.cluster.request("PATCH", f"{_BINDINGS}/{one}", {"spec": {"matchResources": elsewhere}})
            assert code == 200, answer

    def _wait_until_unstamped(self) -> None:
        forged = incident("unstamped", self.namespace, requestedBy="nobody")
        wait_until(
            lambda: self.cluster.request("POST", f"{self.incidents}?dryRun=All", forged, user="alice")[0] == 403,
            30,
            "nothing to be stamped in this namespace",
        )

    # Operations, each of them as somebody

    def asks_to_create(self, who: str, body: dict[str, Any]) -> Answer:
        """Create an object."""
        return self.ask(who, "create", "-f", "-", "-o", "json", stdin=json.dumps(body))

    def asks_to_patch(self, who: str, what: str, body: dict[str, Any], *args: str) -> Answer:
        """Merge a change into an object such as `incident/case-1`."""
        return self.ask(who, "patch", what, "--type=merge", "-p", json.dumps(body), "-o", "json", *args)

    def read(self, what: str) -> dict[str, Any]:
        """An object as it is now."""
        body: dict[str, Any] = json.loads(self.kubectl("get", what, "-o", "json"))
        return body

    def marked(self, kind: str = "Deployment") -> str:
        """A fresh workload that the executor has acted on, as `deployment/name`."""
        self._numbers += 1
        name = f"work-{self._numbers}"
        what = f"{kind.lower()}/{name}"
        assert self.asks_to_create("admin", workload(kind, name)).allowed
        self.restart(what, mark="first")
        return what

    def restart(self, what: str, *, mark: str) -> None:
        """What the executor does."""
        marks, restarted = {"safetygovernor.io/last-action": mark}, {"kubectl.kubernetes.io/restartedAt": mark}
        change = {"metadata": {"annotations": marks}, "spec": {"template": {"metadata": {"annotations": restarted}}}}
        told = self.asks_to_patch("executor", what, change)
        assert told.allowed, told.said


def workload(kind: str, name: str, *, marks: Mapping[str, str] | None = None) -> dict[str, Any]:
    """A manifest without a namespace."""
    body: dict[str, Any] = yaml.safe_load(deployment_yaml(name, replicas=1))
    body["kind"] = kind
    del body["metadata"]["namespace"]
    if kind == "DaemonSet":
        del body["spec"]["replicas"]
    if marks is not None:
        body["metadata"]["annotations"] = dict(marks)
    return body
