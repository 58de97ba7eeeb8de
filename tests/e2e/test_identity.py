"""What the operator and the executors may do, by the API server's own answers: as themselves, and the one as the other. No operator runs.

The operator may ask for a few things in the name of the ServiceAccount governor-executor of a namespace, and gets them only where
that account is bound. The first part is for servers that can constrain this (1.36), the last one for those that cannot.
"""

import http.client
import json
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from safety_governor.adapters.kubernetes import preflight
from safety_governor.adapters.kubernetes.api import Api
from safety_governor.domain import errors
from support.admission import workload
from support.shop import Shop
from testbed import ControlPlane, commands, wait_until
from testbed.identities import GOVERNOR_NAMESPACE

CRDS = Path(__file__).parents[2] / "crds"
OLDER = CRDS / "older-servers" / "impersonation.yaml"

JSON_PATCH = "application/json-patch+json"
APPLY = "application/apply-patch+yaml"

_NODES = """
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {{name: "governor-executor-nodes:{namespace}"}}
roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: governor-executor-nodes}}
subjects: [{{kind: ServiceAccount, name: governor-executor, namespace: {namespace}}}]
"""

OPERATOR = "the operator"
ACTING = "the operator as the executor"
EXECUTOR = "the executor"
ELSEWHERE = "the operator as the executor of another namespace"
"""One that is bound for nodes as well."""


def executor_of(namespace: str) -> str:
    """What the API server calls it."""
    return f"system:serviceaccount:{namespace}:governor-executor"


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What the API server said."""

    code: int
    body: Mapping[str, Any]

    @property
    def told(self) -> str:
        return str(self.body.get("message", self.body))


@dataclass(frozen=True, kw_only=True)
class Caller:
    """Somebody with a token, who may put on another name."""

    cluster: ControlPlane
    token: str
    headers: Mapping[str, str] = field(default_factory=dict)

    def ask(self, method: str, path: str, body: object = None, *, kind: str = "") -> Answer:
        """One request. What it would change is not changed."""
        if method != "GET":
            path += ("&" if "?" in path else "?") + "dryRun=All&fieldManager=safety-governor"
        headers = {
            "Authorization": f"Bearer {self.token}",
            "Content-Type": kind or ("application/merge-patch+json" if method == "PATCH" else "application/json"),
            **self.headers,
        }
        context = ssl.create_default_context(cafile=str(self.cluster.ca_file))
        connection = http.client.HTTPSConnection(self.cluster.url.removeprefix("https://"), timeout=10, context=context)
        try:
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            answer = connection.getresponse()
            code, text = answer.status, answer.read().decode()
        finally:
            connection.close()
        return Answer(code=code, body=json.loads(text) if text.startswith("{") else {"text": text})

    def rights(self, namespace: str) -> set[str]:
        """All that RBAC gives there: "verb resource.group", and the name where it is about certain objects only."""
        review = {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectRulesReview", "spec": {"namespace": namespace}}
        answer = self.ask("POST", "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews", review)
        assert answer.code == 201, answer.told
        return {
            f"{verb} {resource}{'.' + group if group else ''}{' ' + name if name else ''}"
            for rule in answer.body["status"]["resourceRules"]
            for group in rule["apiGroups"]
            for resource in rule["resources"]
            for verb in rule["verbs"]
            for name in rule.get("resourceNames") or [""]
        }


_ROOTS = {
    "apps": "/apis/apps/v1",
    "batch": "/apis/batch/v1",
    "rbac": "/apis/rbac.authorization.k8s.io/v1",
    "admission": "/apis/admissionregistration.k8s.io/v1",
    "governor": "/apis/safetygovernor.io/v1alpha1",
}


class World:
    """A shop with one thing of every kind, another shop whose executor may cordon, and who asks."""

    def __init__(self, cluster: ControlPlane) -> None:
        self.cluster = cluster
        self.shop = Shop(cluster)
        self.other = Shop(cluster)
        cluster.apply(_NODES.format(namespace=self.other.namespace))
        self.namespace = self.shop.namespace
        for body in _things():
            self.shop.kubectl("create", "-f", "-", stdin=json.dumps(body))
        self.shop.kubectl("wait", "--for=create", "controllerrevision", "-l", "app=set", "--timeout=20s")
        self.replica_set, self.revision, self.pod = (self._first(kind) for kind in ("replicaset", "controllerrevision", "pod"))
        self.callers = {
            OPERATOR: self.operator(),
            ACTING: self.operator(**{"Impersonate-User": executor_of(self.namespace)}),
            EXECUTOR: Caller(cluster=cluster, token=_token_of_executor(self.shop)),
            ELSEWHERE: self.operator(**{"Impersonate-User": executor_of(self.other.namespace)}),
        }

    def operator(self, **headers: str) -> Caller:
        """The operator, with these headers."""
        return Caller(cluster=self.cluster, token=self.cluster.token("operator"), headers=headers)

    def path(self, template: str) -> str:
        """A path with the names that this world has."""
        names = {"ns": f"namespaces/{self.namespace}", "rs": self.replica_set, "revision": self.revision, "pod": self.pod}
        first, _, rest = template[1:].partition("/")
        return (f"{_ROOTS[first]}/{rest}" if first in _ROOTS else template).format(**names)

    def send(self, asked: "Request", caller: Caller) -> Answer:
        """One of the requests below."""
        body = json.loads(json.dumps(asked.body).replace("{pod}", self.pod))
        return caller.ask(asked.method, self.path(asked.path), body, kind=asked.kind)

    def _first(self, kind: str) -> str:
        names = wait_until(lambda: self.shop.kubectl("get", kind, "-l", "app in (target, set)", "-o", "name"), 20, f"a {kind}")
        return str(names).split()[0].partition("/")[2]


def _token_of_executor(shop: Shop) -> str:
    return shop.kubectl("create", "token", "governor-executor").strip()


def _things() -> Iterator[dict[str, Any]]:
    yield workload("Deployment", "target")
    yield workload("StatefulSet", "set")
    yield workload("DaemonSet", "daemons")
    yield _job("job")
    yield {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": {"name": "nightly"},
        "spec": {"schedule": "0 3 * * *", "suspend": True, "jobTemplate": {"spec": _job("x")["spec"]}},
    }
    yield {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "scaler"},
        "spec": {"scaleTargetRef": {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "set"}, "maxReplicas": 3},
    }
    yield {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "secret"}, "stringData": {"password": "x"}}
    yield {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"}, "data": {"a": "b"}}
    yield {
        "apiVersion": "safetygovernor.io/v1alpha1",
        "kind": "Incident",
        "metadata": {"name": "incident"},
        "spec": {"service": "target", "severity": "low", "summary": "slow", "requestedBy": "admin"},
    }


def _job(name: str, **annotations: str) -> dict[str, Any]:
    pod = {"restartPolicy": "Never", "containers": [{"name": "job", "image": "registry.example/job:1"}]}
    metadata = {"name": name, "annotations": annotations}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": {"suspend": True, "template": {"spec": pod}}}


@pytest.fixture(scope="module")
def world(cluster: ControlPlane) -> World:
    return World(cluster)


# Every verb on every kind that is near


@dataclass(frozen=True, kw_only=True)
class Request:
    """One request, and who is let. Everybody else is refused by RBAC."""

    method: str
    path: str
    let: tuple[str, ...]
    body: object = None
    kind: str = ""


MARKED = {"metadata": {"annotations": {"safetygovernor.io/last-action": "sha256:0"}}}
MARKED_BY_JSON = [{"op": "add", "path": "/metadata/annotations", "value": MARKED["metadata"]["annotations"]}]
MARKED_BY_APPLY = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "target", **MARKED["metadata"]}}
EVICTION = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "{pod}"}}
TOKEN = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
POD = {"kind": "Pod", "metadata": {"name": "new"}, "spec": {"containers": [{"name": "new", "image": "registry.example/new:1"}]}}
BINDING = {"metadata": {"name": "new"}, "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "admin"}}

ACTS = (ACTING, EXECUTOR)
LOOKS = (OPERATOR,)
LOOK = (OPERATOR, EXECUTOR)


def gets(path: str, *let: str) -> Request:
    return Request(method="GET", path=path, let=let)


def patches(path: str, *let: str, body: object = MARKED, kind: str = "") -> Request:
    return Request(method="PATCH", path=path, let=let, body=body, kind=kind)


def posts(path: str, *let: str, body: object = None) -> Request:
    return Request(method="POST", path=path, let=let, body=body)


def deletes(path: str) -> Request:
    return Request(method="DELETE", path=path, let=())


REQUESTS = {
    # What the executor is there for
    "patch a Deployment": patches("/apps/{ns}/deployments/target", *ACTS),
    "patch a Deployment by JSON patch": patches("/apps/{ns}/deployments/target", *ACTS, body=MARKED_BY_JSON, kind=JSON_PATCH),
    "apply to a Deployment": patches("/apps/{ns}/deployments/target", *ACTS, body=MARKED_BY_APPLY, kind=APPLY),
    "patch a StatefulSet": patches("/apps/{ns}/statefulsets/set", *ACTS),
    "patch a DaemonSet": patches("/apps/{ns}/daemonsets/daemons", *ACTS),
    "patch a Job": patches("/batch/{ns}/jobs/job", *ACTS),
    "create a Job": posts("/batch/{ns}/jobs", *ACTS, body=_job("new", **MARKED["metadata"]["annotations"])),
    "apply a Job that is not there": patches("/batch/{ns}/jobs/new", *ACTS, body=_job("new"), kind=APPLY),
    "evict a pod": posts("/api/v1/{ns}/pods/{pod}/eviction", *ACTS, body=EVICTION),
    "cordon a node": patches("/api/v1/nodes/node-1", ELSEWHERE, body={"spec": {"unschedulable": True}}),
    # What the operator looks at. The executor's own looking is not the operator's
    "read a Deployment": gets("/apps/{ns}/deployments/target", *LOOK),
    "read a StatefulSet": gets("/apps/{ns}/statefulsets/set", *LOOK),
    "read a DaemonSet": gets("/apps/{ns}/daemonsets/daemons", *LOOK),
    "read a Job": gets("/batch/{ns}/jobs/job", *LOOK),
    "read a CronJob": gets("/batch/{ns}/cronjobs/nightly", *LOOKS),
    "read a ReplicaSet": gets("/apps/{ns}/replicasets/{rs}", *LOOKS),
    "list ReplicaSets": gets("/apps/{ns}/replicasets", *LOOKS),
    "read a ControllerRevision": gets("/apps/{ns}/controllerrevisions/{revision}", *LOOKS),
    "list ControllerRevisions": gets("/apps/{ns}/controllerrevisions", *LOOKS),
    "list autoscalers": gets("/apis/autoscaling/v2/{ns}/horizontalpodautoscalers", *LOOKS),
    "list disruption budgets": gets("/apis/policy/v1/{ns}/poddisruptionbudgets", *LOOKS),
    "read a pod": gets("/api/v1/{ns}/pods/{pod}", *LOOKS),
    "list pods": gets("/api/v1/{ns}/pods", *LOOKS),
    "read a node": gets("/api/v1/nodes/node-1", *LOOKS),
    "list nodes": gets("/api/v1/nodes", *LOOKS),
    "read the executor": gets("/api/v1/{ns}/serviceaccounts/governor-executor", *LOOKS),
    "read an incident": gets("/governor/{ns}/incidents/incident", *LOOKS),
    "list incidents everywhere": gets("/governor/incidents", *LOOKS),
    "list guard-rails": gets("/governor/{ns}/remediationpolicies", *LOOKS),
    "read an admission policy": gets("/admission/validatingadmissionpolicies/incident-approval.safetygovernor.io", *LOOKS),
    # What none of them may
    "list Deployments": gets("/apps/{ns}/deployments"),
    "watch Deployments": gets("/apps/{ns}/deployments?watch=true"),
    "create a Deployment": posts("/apps/{ns}/deployments", body=workload("Deployment", "new")),
    "apply a Deployment that is not there": patches("/apps/{ns}/deployments/new", body=workload("Deployment", "new"), kind=APPLY),
    "replace a Deployment": Request(method="PUT", path="/apps/{ns}/deployments/target", body=workload("Deployment", "target"), let=()),
    "delete a Deployment": deletes("/apps/{ns}/deployments/target"),
    "delete all Deployments": deletes("/apps/{ns}/deployments"),
    "scale by the subresource": patches("/apps/{ns}/deployments/target/scale", body={"spec": {"replicas": 0}}),
    "patch the status of a Deployment": patches("/apps/{ns}/deployments/target/status"),
    "delete a StatefulSet": deletes("/apps/{ns}/statefulsets/set"),
    "patch a ReplicaSet": patches("/apps/{ns}/replicasets/{rs}"),
    "patch a ControllerRevision": patches("/apps/{ns}/controllerrevisions/{revision}"),
    "patch an autoscaler": patches("/apis/autoscaling/v2/{ns}/horizontalpodautoscalers/scaler"),
    "read an autoscaler": gets("/apis/autoscaling/v2/{ns}/horizontalpodautoscalers/scaler"),
    "delete a pod": deletes("/api/v1/{ns}/pods/{pod}"),
    "patch a pod": patches("/api/v1/{ns}/pods/{pod}"),
    "create a pod": posts("/api/v1/{ns}/pods", body=POD),
    "read the log of a pod": gets("/api/v1/{ns}/pods/{pod}/log"),
    "run a command in a pod": posts("/api/v1/{ns}/pods/{pod}/exec?command=id&stdout=true"),
    "add a container to a pod": patches("/api/v1/{ns}/pods/{pod}/ephemeralcontainers"),
    "delete a Job": deletes("/batch/{ns}/jobs/job"),
    "list Jobs": gets("/batch/{ns}/jobs"),
    "patch a CronJob": patches("/batch/{ns}/cronjobs/nightly", body={"spec": {"suspend": False}}),
    "read a secret": gets("/api/v1/{ns}/secrets/secret"),
    "list secrets": gets("/api/v1/{ns}/secrets"),
    "read a ConfigMap": gets("/api/v1/{ns}/configmaps/settings"),
    "read another account": gets("/api/v1/{ns}/serviceaccounts/default"),
    "get a token of the executor": posts("/api/v1/{ns}/serviceaccounts/governor-executor/token", body=TOKEN),
    "bind a role": posts("/rbac/{ns}/rolebindings", body=BINDING),
    "write a role": posts("/rbac/{ns}/roles", body={"metadata": {"name": "new"}}),
    "delete a node": deletes("/api/v1/nodes/node-1"),
    "patch the status of a node": patches("/api/v1/nodes/node-1/status"),
    "reach through a node": gets("/api/v1/nodes/node-1/proxy/pods"),
    "abort an incident": patches("/governor/{ns}/incidents/incident", body={"spec": {"abort": True}}),
    "report an incident": posts("/governor/{ns}/incidents", body={"metadata": {"name": "new"}, "spec": {}}),
    "delete an incident": deletes("/governor/{ns}/incidents/incident"),
    "loosen a guard-rail": patches("/governor/{ns}/remediationpolicies/default", body={"spec": {"suspend": False}}),
    "unbind an admission policy": deletes("/admission/validatingadmissionpolicybindings/incident-approval.safetygovernor.io"),
}


@pytest.mark.parametrize("who", [OPERATOR, ACTING, EXECUTOR, ELSEWHERE])
@pytest.mark.parametrize("asked", REQUESTS.values(), ids=REQUESTS.keys())
def test_only_who_is_meant_to_may(asked: Request, who: str, world: World) -> None:
    answer = world.send(asked, world.callers[who])
    if who in asked.let:
        assert answer.code in (200, 201), answer.told
    else:
        assert answer.code == 403, answer.told
        assert "forbidden: User" in answer.told


@pytest.mark.parametrize("resource", ["incidents/incident", "remediationpolicies/default"])
def test_status_is_written_by_the_operator_alone(resource: str, world: World) -> None:
    path = world.path(f"/governor/{{ns}}/{resource}")
    body = world.callers[OPERATOR].ask("GET", path).body
    written = {who: world.callers[who].ask("PUT", f"{path}/status", body).code for who in world.callers}
    assert written == {OPERATOR: 200, ACTING: 403, EXECUTOR: 403, ELSEWHERE: 403}


# Nothing else: the whole of what RBAC gives, with nothing in it that the tables above do not try

OPERATOR_RIGHTS = """
get incidents.safetygovernor.io; list incidents.safetygovernor.io; watch incidents.safetygovernor.io
get remediationpolicies.safetygovernor.io; list remediationpolicies.safetygovernor.io; watch remediationpolicies.safetygovernor.io
update incidents/status.safetygovernor.io; update remediationpolicies/status.safetygovernor.io
get deployments.apps; get statefulsets.apps; get daemonsets.apps
get replicasets.apps; list replicasets.apps; get controllerrevisions.apps; list controllerrevisions.apps
get pods; list pods; get nodes; list nodes
list horizontalpodautoscalers.autoscaling
list poddisruptionbudgets.policy
get cronjobs.batch; get jobs.batch
get serviceaccounts governor-executor
create events.events.k8s.io
get validatingadmissionpolicies.admissionregistration.k8s.io; get validatingadmissionpolicybindings.admissionregistration.k8s.io
impersonate:serviceaccount serviceaccounts.authentication.k8s.io governor-executor
impersonate-on:serviceaccount:patch deployments.apps
impersonate-on:serviceaccount:patch statefulsets.apps
impersonate-on:serviceaccount:patch daemonsets.apps
impersonate-on:serviceaccount:create jobs.batch; impersonate-on:serviceaccount:patch jobs.batch
impersonate-on:serviceaccount:create pods/eviction
impersonate-on:serviceaccount:patch nodes
"""
LEASE_RIGHTS = """
get leases.coordination.k8s.io; create leases.coordination.k8s.io; update leases.coordination.k8s.io
create incidents.safetygovernor.io
"""
EXECUTOR_RIGHTS = """
get deployments.apps; patch deployments.apps
get statefulsets.apps; patch statefulsets.apps
get daemonsets.apps; patch daemonsets.apps
get jobs.batch; create jobs.batch; patch jobs.batch
create pods/eviction
"""
NODE_RIGHTS = "get nodes; patch nodes"


def _lines(text: str) -> set[str]:
    return {one.strip() for line in text.splitlines() for one in line.split(";") if one.strip()}


def test_rights_are_these_and_no_others(world: World) -> None:
    here, there = world.namespace, world.other.namespace
    everybody = Caller(cluster=world.cluster, token=world.cluster.token("mcp")).rights(here)  # who may only ask about itself
    other = Caller(cluster=world.cluster, token=_token_of_executor(world.other))
    assert world.callers[OPERATOR].rights(here) - everybody == _lines(OPERATOR_RIGHTS)
    assert world.callers[OPERATOR].rights(GOVERNOR_NAMESPACE) - everybody == _lines(OPERATOR_RIGHTS) | _lines(LEASE_RIGHTS)
    assert world.callers[EXECUTOR].rights(here) - everybody == _lines(EXECUTOR_RIGHTS)
    assert world.callers[EXECUTOR].rights(there) - everybody == set()
    assert other.rights(there) - everybody == _lines(EXECUTOR_RIGHTS) | _lines(NODE_RIGHTS)
    assert other.rights(here) - everybody == _lines(NODE_RIGHTS)
    assert not any("*" in one for one in everybody)


# As whom

NOBODY_ELSE = {
    "a person": {"Impersonate-User": "bob"},
    "the administrator": {"Impersonate-User": "admin"},
    "nobody": {"Impersonate-User": "system:anonymous"},
    "a component of the cluster": {"Impersonate-User": "system:kube-scheduler"},
    "a node": {"Impersonate-User": "system:node:node-1"},
    "another account of the namespace": {"Impersonate-User": "system:serviceaccount:{namespace}:default"},
    "an account with a longer name": {"Impersonate-User": "system:serviceaccount:{namespace}:governor-executor-2"},
    "an account of the cluster": {"Impersonate-User": "system:serviceaccount:kube-system:namespace-controller"},
    "another part of the governor": {"Impersonate-User": "system:serviceaccount:governor-system:governor-mcp"},
    "itself": {"Impersonate-User": "system:serviceaccount:governor-system:governor-operator"},
    "the executor with a group": {"Impersonate-User": "{executor}", "Impersonate-Group": "system:masters"},
    "the executor with its own group": {"Impersonate-User": "{executor}", "Impersonate-Group": "system:serviceaccounts"},
    "the executor with a uid": {"Impersonate-User": "{executor}", "Impersonate-Uid": "1"},
    "the executor with an extra": {"Impersonate-User": "{executor}", "Impersonate-Extra-scopes": "all"},
}


@pytest.mark.parametrize("headers", NOBODY_ELSE.values(), ids=NOBODY_ELSE.keys())
@pytest.mark.parametrize("what", ["patch a Deployment", "read a Deployment", "read a secret"])
def test_operator_can_act_as_nobody_but_an_executor(what: str, headers: dict[str, str], world: World) -> None:
    names = {"namespace": world.namespace, "executor": executor_of(world.namespace)}
    caller = world.operator(**{key: text.format(**names) for key, text in headers.items()})
    answer = world.send(REQUESTS[what], caller)
    assert answer.code == 403, answer.told
    assert 'User "system:serviceaccount:governor-system:governor-operator" cannot impersonate' in answer.told


def test_group_without_a_user_is_no_request(world: World) -> None:
    answer = world.operator(**{"Impersonate-Group": "system:masters"}).ask("GET", world.path("/api/v1/{ns}/secrets"))
    assert answer.code == 400, answer.told


# Where

REFUSED_EXECUTOR = 'User "{executor}" cannot patch resource "deployments"'


def _acts(cluster: ControlPlane, namespace: str) -> Answer:
    caller = Caller(cluster=cluster, token=cluster.token("operator"), headers={"Impersonate-User": executor_of(namespace)})
    return caller.ask("PATCH", f"/apis/apps/v1/namespaces/{namespace}/deployments/target", MARKED)


@pytest.fixture
def stranger(cluster: ControlPlane) -> Shop:
    """A namespace that has not opted in."""
    shop = Shop(cluster, opted_in=False)
    shop.kubectl("create", "-f", "-", stdin=json.dumps(workload("Deployment", "target")))
    return shop


_ACCOUNT = "apiVersion: v1\nkind: ServiceAccount\nmetadata: {{name: governor-executor, namespace: {namespace}}}\n"
_BINDING = """
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {{name: governor-executor, namespace: {namespace}}}
roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: governor-executor}}
subjects: [{{kind: ServiceAccount, name: governor-executor, namespace: {namespace}}}]
"""


def test_namespace_without_an_executor_is_refused(stranger: Shop) -> None:
    answer = _acts(stranger.cluster, stranger.namespace)
    assert answer.code == 403
    assert REFUSED_EXECUTOR.format(executor=executor_of(stranger.namespace)) in answer.told


def test_namespace_whose_executor_is_not_bound_is_refused(stranger: Shop) -> None:
    stranger.cluster.apply(_ACCOUNT.format(namespace=stranger.namespace))
    answer = _acts(stranger.cluster, stranger.namespace)
    assert answer.code == 403
    assert REFUSED_EXECUTOR.format(executor=executor_of(stranger.namespace)) in answer.told


def test_binding_without_the_account_is_enough_for_the_server_so_the_operator_has_to_look(stranger: Shop) -> None:
    """RBAC binds a name and impersonation takes one; neither asks whether there is such an account. The operator reads it before it acts."""
    stranger.cluster.apply(_BINDING.format(namespace=stranger.namespace))
    wait_until(lambda: _acts(stranger.cluster, stranger.namespace).code == 200, 10, "the binding to hold")
    operator = Caller(cluster=stranger.cluster, token=stranger.cluster.token("operator"))
    assert operator.ask("GET", f"/api/v1/namespaces/{stranger.namespace}/serviceaccounts/governor-executor").code == 404


def test_namespace_that_takes_the_binding_away_is_left_alone_at_once(stranger: Shop) -> None:
    """The server remembers for ten seconds whom the operator may act as, and never what an executor may do."""
    stranger.cluster.apply(_ACCOUNT.format(namespace=stranger.namespace), _BINDING.format(namespace=stranger.namespace))
    wait_until(lambda: _acts(stranger.cluster, stranger.namespace).code == 200, 10, "the binding to hold")
    stranger.kubectl("delete", "rolebinding", "governor-executor")
    wait_until(lambda: _acts(stranger.cluster, stranger.namespace).code == 403, 3, "the executor to be refused")


# What an auditor finds, when the operator's own client has asked


async def test_audit_log_names_both_and_the_constraint(world: World) -> None:
    mark = world.cluster.audit_mark()
    path = world.path("/apps/{ns}/deployments/target")
    api = await Api.connect(kubeconfig=str(world.cluster.kubeconfig("operator")))
    try:
        done = await api.patch(path, MARKED, impersonate=executor_of(world.namespace))
        with pytest.raises(errors.ClusterRefusedError, match="cannot patch resource"):
            await api.patch(path, MARKED)
    finally:
        await api.close()
    assert done["metadata"]["annotations"]["safetygovernor.io/last-action"] == "sha256:0"
    events = [one for one in world.cluster.audit_events(mark) if one["verb"] == "patch" and one["requestURI"].startswith(path)]
    acted, refused = events
    assert acted["user"]["username"] == refused["user"]["username"] == world.cluster.username("operator")
    assert acted["impersonatedUser"] == {
        "username": executor_of(world.namespace),
        "groups": ["system:serviceaccounts", f"system:serviceaccounts:{world.namespace}", "system:authenticated"],
    }
    assert acted["authenticationMetadata"] == {"impersonationConstraint": "impersonate:serviceaccount"}
    assert (acted["responseStatus"]["code"], refused["responseStatus"]["code"]) == (200, 403)
    assert "impersonatedUser" not in refused


# What the operator says before it starts


async def _preflight(cluster: ControlPlane, who: str) -> str:
    """What it complains about; empty when it may start."""
    api = await Api.connect(kubeconfig=str(cluster.kubeconfig(who)))
    try:
        await preflight.check(api, lease_namespace=GOVERNOR_NAMESPACE)
    except errors.ConfigurationError as error:
        return str(error)
    finally:
        await api.close()
    return ""


async def test_operator_may_start(cluster: ControlPlane) -> None:
    assert not await _preflight(cluster, "operator")


async def test_every_right_of_the_role_that_is_missing_is_named(cluster: ControlPlane) -> None:
    said = await _preflight(cluster, "mcp")
    # What is read of the policies and tried of approvals is the guard's own affair: it says so when it cannot, and nothing is approved.
    needed = {one for one in _lines(OPERATOR_RIGHTS) if "admissionregistration" not in one}
    named = {one.strip() for one in said.partition(": ")[2].rpartition(". Bind")[0].split(";")}
    leases = {f"{verb} leases.coordination.k8s.io in namespace governor-system" for verb in ("get", "create", "update")}
    assert named == needed | leases
    assert "Bind it to the ClusterRole governor-operator (crds/rbac.yaml)" in said


# Servers that do not know constrained impersonation


@pytest.fixture(scope="module")
def older() -> Iterator[ControlPlane]:
    """A server with the feature switched off, as it is before 1.36; the governor is installed, and one namespace has opted in."""
    flags = commands.kube_apiserver
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(commands, "kube_apiserver", lambda *args: [*flags(*args), "--feature-gates=ConstrainedImpersonation=false"])
        with ControlPlane(controllers=False) as plane:
            plane.apply_crds(CRDS)
            shop = "shop"
            plane.kubectl("create", "namespace", shop)
            plane.apply(_ACCOUNT.format(namespace=shop), _BINDING.format(namespace=shop))
            plane.kubectl("-n", shop, "create", "-f", "-", stdin=json.dumps(workload("Deployment", "target")))
            yield plane


@pytest.fixture
def with_older_servers(older: ControlPlane) -> Iterator[ControlPlane]:
    """The same with crds/older-servers applied as well."""
    older.apply(OLDER)
    wait_until(lambda: _acts(older, "shop").code == 200, 10, "the operator to act")
    yield older
    older.kubectl("delete", "-f", OLDER)
    wait_until(lambda: _acts(older, "shop").code == 403, 10, "the operator to be refused")


async def test_older_server_gives_nothing_for_the_constrained_verbs_and_the_operator_says_what_to_apply(older: ControlPlane) -> None:
    answer = _acts(older, "shop")
    assert answer.code == 403
    assert 'cannot impersonate resource "serviceaccounts"' in answer.told
    said = await _preflight(older, "operator")
    assert "does not know constrained impersonation" in said
    assert f"kubectl apply -f {OLDER.relative_to(CRDS.parent)}" in said


async def test_older_server_lets_the_operator_act_with_the_manifest(with_older_servers: ControlPlane) -> None:
    assert not await _preflight(with_older_servers, "operator")
    mark = with_older_servers.audit_mark()
    assert _acts(with_older_servers, "shop").code == 200
    (event,) = [one for one in with_older_servers.audit_events(mark) if one["verb"] == "patch"]
    assert event["user"]["username"] == with_older_servers.username("operator")
    assert event["impersonatedUser"]["username"] == executor_of("shop")
    assert "authenticationMetadata" not in event


def test_older_server_cannot_keep_the_operator_from_reading_as_the_executor(with_older_servers: ControlPlane) -> None:
    """What the manifest says that it costs, and what it says that it does not."""
    plane, token = with_older_servers, with_older_servers.token("operator")
    path = "/apis/apps/v1/namespaces/shop/deployments/target"
    assert Caller(cluster=plane, token=token, headers={"Impersonate-User": executor_of("shop")}).ask("GET", path).code == 200
    for headers in NOBODY_ELSE.values():
        names = {"namespace": "shop", "executor": executor_of("shop")}
        caller = Caller(cluster=plane, token=token, headers={key: text.format(**names) for key, text in headers.items()})
        answer = caller.ask("PATCH", path, MARKED)
        assert answer.code == 403
        assert 'User "system:serviceaccount:governor-system:governor-operator" cannot impersonate resource' in answer.told


async def test_older_server_can_be_given_less_in_single_namespaces(older: ControlPlane) -> None:
    """As the manifest says: the ClusterRole alone, bound in the namespaces concerned and in the operator's own."""
    role, binding = yaml.safe_load_all(OLDER.read_text(encoding="utf-8"))
    bindings = [
        {**binding, "kind": "RoleBinding", "metadata": {**binding["metadata"], "namespace": one}} for one in ("shop", GOVERNOR_NAMESPACE)
    ]
    manifest = yaml.safe_dump_all([role, *bindings])
    older.apply(manifest)
    try:
        wait_until(lambda: _acts(older, "shop").code == 200, 10, "the operator to act")
        assert 'cannot impersonate resource "serviceaccounts"' in _acts(older, "default").told
        assert not await _preflight(older, "operator")
    finally:
        older.kubectl("delete", "-f", "-", stdin=manifest)
        wait_until(lambda: _acts(older, "shop").code == 403, 10, "the operator to be refused")


def test_newer_server_goes_on_honouring_the_manifest_of_older_ones(stranger: Shop) -> None:
    """Why it should be taken away after an upgrade. Bound in one namespace here, so that nobody else notices."""
    cluster, namespace = stranger.cluster, stranger.namespace
    role, binding = yaml.safe_load_all(OLDER.read_text(encoding="utf-8"))
    cluster.apply(_ACCOUNT.format(namespace=namespace), _BINDING.format(namespace=namespace))
    caller = Caller(cluster=cluster, token=cluster.token("operator"), headers={"Impersonate-User": executor_of(namespace)})
    path = f"/apis/apps/v1/namespaces/{namespace}/deployments/target"
    assert caller.ask("GET", path).code == 403
    role["metadata"]["name"] = binding["roleRef"]["name"] = f"older-{namespace}"
    namespaced = {**binding, "kind": "RoleBinding", "metadata": {"name": "older", "namespace": namespace}}
    cluster.apply(yaml.safe_dump_all([role, namespaced]))
    wait_until(lambda: caller.ask("GET", path).code == 200, 10, "the older way to be honoured")
    stranger.kubectl("delete", "rolebinding", "older")
    wait_until(lambda: caller.ask("GET", path).code == 403, 3, "the older way to be gone at once")
