"""What the API server itself refuses, with the sentence that the person reads. No operator runs here."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from support.shop import Shop
from testbed import ControlPlane

CRDS = Path(__file__).parents[2] / "crds"
OLDER = CRDS / "older-servers"
EXAMPLES = CRDS.parent / "examples" / "cluster"

_DIGEST = "sha256:" + "a" * 64
_OTHER = "sha256:" + "b" * 64


def _incident(**changes: Any) -> dict[str, Any]:
    spec = {"service": "payments", "severity": "medium", "summary": "slow", "requestedBy": "alice", **changes}
    return {"apiVersion": "safetygovernor.io/v1alpha1", "kind": "Incident", "metadata": {"name": "bad"}, "spec": spec}


REFUSED = {
    "an unknown field": ({"sevrity": "low"}, 'unknown field "spec.sevrity"'),
    "a wrong severity": ({"severity": "urgent"}, 'Unsupported value: "urgent": supported values: "low", "medium", "high", "critical"'),
    "a summary of 100 kB": ({"summary": "x" * 100_000}, "spec.summary: Too long"),
    "an empty summary": ({"summary": ""}, "spec.summary"),
    "a missing service": ({"service": None}, "spec.service: Required value"),
    "a service that is no name": ({"service": "Pay Ments"}, "spec.service in body should match"),
    "too many symptoms": ({"symptoms": ["x"] * 17}, "spec.symptoms: Too many"),
    "a wrong mode": ({"mode": "Yolo"}, 'Unsupported value: "Yolo"'),
    "a target without a name": ({"target": {"kind": "Deployment"}}, "spec.target.name: Required value"),
    "a target in another namespace": ({"target": {"name": "x", "namespace": "kube-system"}}, 'unknown field "spec.target.namespace"'),
    "a text where a truth value belongs": ({"abort": "yes"}, "spec.abort"),
    "an override without a reason": (
        {"approval": {"decision": "FORCE_OVERRIDE", "planDigest": _DIGEST, "approver": "eve", "reason": "because"}},
        "reason of at least 20 characters",
    ),
    "a digest that is none": ({"approval": {"decision": "APPROVE", "planDigest": "latest", "approver": "bob"}}, "spec.approval.planDigest"),
}


@pytest.mark.parametrize(("changes", "sentence"), REFUSED.values(), ids=REFUSED.keys())
def test_api_server_refuses_an_incident_with(changes: dict[str, Any], sentence: str, shop: Shop) -> None:
    said = shop.kubectl("apply", "-f", "-", stdin=json.dumps(_incident(**changes)), check=False)
    assert sentence in said


def _stored(shop: Shop, *, phase: str | None = None, digest: str = _DIGEST) -> str:
    name = "case"
    shop.report(name)
    if phase is not None:
        assert not shop.write_status(name, phase, digest)
    return name


def _patch(shop: Shop, **spec: Any) -> str:
    return shop.kubectl("patch", "incident", "case", "--type=merge", "-p", json.dumps({"spec": spec}), user="bob", check=False)


def _approval(digest: str = _DIGEST, **changes: str) -> dict[str, str]:
    return {"decision": "APPROVE", "planDigest": digest, "approver": "bob", **changes}


@pytest.mark.parametrize(
    ("field", "changed"),
    [
        ("service", "ledger"),
        ("severity", "low"),
        ("summary", "fast"),
        ("symptoms", ["new"]),
        ("target", {"name": "other"}),
        ("source", {"kind": "Person"}),
        ("requestedBy", "mallory"),
        ("requestedBy", None),
    ],
)
def test_what_happened_cannot_be_rewritten(field: str, changed: Any, shop: Shop) -> None:
    _stored(shop)
    assert f"{field} is immutable" in _patch(shop, **{field: changed})


def test_abort_cannot_be_taken_back(shop: Shop) -> None:
    _stored(shop)
    _patch(shop, abort=True)
    assert "abort cannot be taken back" in _patch(shop, abort=False)
    assert "abort cannot be taken back" in _patch(shop, abort=None)


def test_mode_only_changes_from_enforce_to_observe(shop: Shop) -> None:
    _stored(shop)
    assert "patched" in _patch(shop, mode="Observe")
    assert "mode may only change from Enforce to Observe" in _patch(shop, mode="Enforce")


@pytest.mark.parametrize("field", ["approval", "secondApproval"])
class TestApproval:
    def test_before_the_gate_has_asked_is_refused(self, field: str, shop: Shop) -> None:
        _stored(shop)
        assert "must name the current status.gate.planDigest" in _patch(shop, **{field: _approval()})

    def test_of_another_digest_is_refused(self, field: str, shop: Shop) -> None:
        _stored(shop, phase="AwaitingApproval")
        assert "must name the current status.gate.planDigest" in _patch(shop, **{field: _approval(_OTHER)})

    def test_of_the_current_digest_is_taken_once(self, field: str, shop: Shop) -> None:
        _stored(shop, phase="AwaitingApproval")
        assert "patched" in _patch(shop, **{field: _approval()})
        assert "written once" in _patch(shop, **{field: _approval(decision="REJECT")})
        assert "cannot be taken back" in _patch(shop, **{field: None})

    def test_is_kept_when_the_manifest_is_applied_again(self, field: str, shop: Shop) -> None:
        _stored(shop, phase="AwaitingApproval")
        _patch(shop, **{field: _approval()})
        shop.report("case")
        assert shop.incident("case")["spec"][field]["approver"] == "bob"

    def test_may_be_replaced_when_the_digest_has_changed(self, field: str, shop: Shop) -> None:
        _stored(shop, phase="AwaitingApproval")
        _patch(shop, **{field: _approval()})
        assert not shop.write_status("case", "AwaitingApproval", _OTHER)
        assert "must name the current" in _patch(shop, **{field: _approval(decision="REJECT")})
        assert "patched" in _patch(shop, **{field: _approval(_OTHER)})

    def test_of_a_finished_incident_is_refused(self, field: str, shop: Shop) -> None:
        _stored(shop, phase="Expired")
        assert "must name the current status.gate.planDigest" in _patch(shop, **{field: _approval()})


def test_finished_phase_never_changes_again(shop: Shop) -> None:
    _stored(shop, phase="Resolved")
    assert "status.phase is final" in shop.write_status("case", "Executing", _DIGEST)


def test_policy_with_an_unknown_action_is_refused(shop: Shop) -> None:
    said = shop.kubectl("patch", "rp", "default", "--type=merge", "-p", '{"spec":{"allowedActions":["DropDatabase"]}}', check=False)
    assert 'Unsupported value: "DropDatabase"' in said


# What is installed


def _bodies(folder: Path) -> Iterator[dict[str, Any]]:
    for path in sorted(folder.glob("*.yaml")):
        yield from yaml.safe_load_all(path.read_text(encoding="utf-8"))


BODIES = [*_bodies(CRDS), *_bodies(OLDER), *_bodies(EXAMPLES)]
ROLES = {f"{body['kind']}/{body['metadata']['name']}": body["rules"] for body in BODIES if body["kind"] in ("ClusterRole", "Role")}
PEOPLE = {"viewer", "reporter", "approver", "overrider", "policy-admin", "bridge"}
MACHINES = {"operator", "operator-impersonation", "executor", "executor-nodes"}

# Secrets; what gives rights; what reaches into a pod or through a node; what makes tokens and certificates of others.
NEVER = {
    *("secrets", "configmaps", "serviceaccounts/token", "certificatesigningrequests", "certificatesigningrequests/approval"),
    *("roles", "rolebindings", "clusterroles", "clusterrolebindings", "customresourcedefinitions"),
    *("mutatingwebhookconfigurations", "validatingwebhookconfigurations", "mutatingadmissionpolicies"),
    *(
        "pods/exec",
        "pods/attach",
        "pods/portforward",
        "pods/proxy",
        "pods/ephemeralcontainers",
        "pods/log",
        "services/proxy",
        "nodes/proxy",
    ),
}
LOOKING = {"get", "list", "watch"}
ON = "impersonate-on:serviceaccount:"


def _granted(*roles: str) -> set[tuple[str, str, str]]:
    """Group, resource and verb of everything in these roles."""
    return {
        (api_group, resource, verb)
        for role in roles
        for rule in ROLES[role]
        for api_group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


def test_api_server_takes_every_manifest(cluster: ControlPlane) -> None:
    for folder in (CRDS, OLDER):
        cluster.kubectl("apply", "--server-side", "--force-conflicts", "--dry-run=server", "--validate=strict", "-f", folder)


def test_what_older_servers_need_is_not_installed_with_the_rest(cluster: ControlPlane) -> None:
    installed = cluster.kubectl("create", "--dry-run=client", "-o", "name", "-f", CRDS).stdout.split()
    assert "clusterrole.rbac.authorization.k8s.io/governor-operator" in installed
    assert not any("governor-operator-impersonation" in one for one in installed)


def test_every_role_is_known() -> None:
    """Whoever adds one has decided what it is for."""
    roles = {f"ClusterRole/governor-{one}" for one in PEOPLE | MACHINES}
    assert set(ROLES) == roles | {"Role/governor-operator"}


@pytest.mark.parametrize("role", ROLES)
def test_role_has_no_wildcard_and_gives_no_way_to_more_rights(role: str) -> None:
    assert not any("*" in part for right in _granted(role) for part in right)
    assert not any("nonResourceURLs" in rule for rule in ROLES[role])
    assert not {"escalate", "bind", "deletecollection"} & {verb for group, _, verb in _granted(role) if group != "safetygovernor.io"}
    assert not NEVER & {resource for _, resource, _ in _granted(role)}


@pytest.mark.parametrize("role", ROLES)
def test_only_the_operator_acts_as_others_and_only_as_executors(role: str) -> None:
    rules = [rule for rule in ROLES[role] if any(verb.startswith("impersonate") and not verb.startswith(ON) for verb in rule["verbs"])]
    known = {
        "ClusterRole/governor-operator": ("authentication.k8s.io", "impersonate:serviceaccount"),
        "ClusterRole/governor-operator-impersonation": ("", "impersonate"),
    }
    expected = [
        {"apiGroups": [group], "resources": ["serviceaccounts"], "resourceNames": ["governor-executor"], "verbs": [verb]}
        for name, (group, verb) in known.items()
        if name == role
    ]
    assert rules == expected


def test_operator_writes_what_is_its_own() -> None:
    everywhere = {
        (resource, verb)
        for _, resource, verb in _granted("ClusterRole/governor-operator")
        if verb not in LOOKING and not verb.startswith("impersonate")
    }
    assert everywhere == {("incidents/status", "update"), ("remediationpolicies/status", "update"), ("events", "create")}


def test_operator_asks_for_exactly_what_executors_may_do() -> None:
    """More would be of no use, less would be an action that never works."""
    asked = {(group, what, verb.removeprefix(ON)) for group, what, verb in _granted("ClusterRole/governor-operator") if verb.startswith(ON)}
    executors = _granted("ClusterRole/governor-executor", "ClusterRole/governor-executor-nodes")
    assert asked == {(group, what, verb) for group, what, verb in executors if verb not in LOOKING}


def test_nodes_are_nobodys_until_somebody_binds_them(cluster: ControlPlane) -> None:
    bound = [body["roleRef"]["name"] for body in BODIES if body["kind"] in ("ClusterRoleBinding", "RoleBinding")]
    assert "governor-executor" in bound
    assert "governor-executor-nodes" not in bound
    comment = (EXAMPLES / "30-executor.yaml").read_text(encoding="utf-8").partition("# ---\n")[2]
    manifest = "".join(f"{line.removeprefix('# ')}\n" for line in comment.splitlines())
    assert yaml.safe_load(manifest)["roleRef"]["name"] == "governor-executor-nodes"
    cluster.kubectl("create", "--dry-run=server", "-f", "-", stdin=manifest)


def test_example_binds_its_executor_as_the_tests_do(shop: Shop) -> None:
    bodies = list(yaml.safe_load_all((EXAMPLES / "30-executor.yaml").read_text(encoding="utf-8")))
    used = json.loads(shop.kubectl("get", "rolebinding", "governor-executor", "-o", "json"))
    for account, binding in zip(bodies[::2], bodies[1::2], strict=True):
        assert (account["kind"], account["metadata"]["name"]) == ("ServiceAccount", "governor-executor")
        assert account["metadata"]["namespace"] == binding["metadata"]["namespace"]
        assert binding["roleRef"] == used["roleRef"]
        assert [{**one, "namespace": shop.namespace} for one in binding["subjects"]] == used["subjects"]
