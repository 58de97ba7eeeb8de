"""Every way we could think of to get a blocked incident executed without the right person's word. None may succeed; each leaves a trace."""

import json
from pathlib import Path
from typing import Any

import pytest

from support.knowledge import load
from support.operator_process import OperatorProcess
from support.shop import Shop

LEDGER = {"service": "ledger", "summary": "The ledger queue does not drain, the consumer hangs"}

# Everybody but the people who may decide; admin stands for whoever holds every right of RBAC.
WRONG = ["alice", "eve", "operator", "mcp", "slack", "alerts"]


class Target:
    """A blocked incident, and the means to see whether an attack had an effect."""

    def __init__(self, shop: Shop) -> None:
        self.shop = shop
        shop.deploy("ledger")
        self.mark = shop.cluster.audit_mark()
        shop.report("stuck", **LEDGER)
        self.digest: str = shop.wait_for_phase("stuck", "AwaitingApproval")["gate"]["planDigest"]

    def assert_untouched(self) -> None:
        """A later incident is handled to its end, so the operator has had its chance; the ledger was not restarted."""
        self.shop.report("probe", service="weather", summary="Hailstones as large as golf balls")
        self.shop.wait_for_phase("probe", "HandedOver")
        assert self.shop.restarts("ledger", self.mark) == 0

    def assert_in_audit_log(self, user: str, *, code: int) -> None:
        username = self.shop.cluster.username(user)
        events = self.shop.cluster.audit_events(self.mark)
        assert any(one["user"]["username"] == username and one.get("responseStatus", {}).get("code") == code for one in events)


@pytest.fixture
def target(shop: Shop, operator: OperatorProcess) -> Target:
    return Target(shop)


def _approval(digest: str, approver: str, **changes: str) -> str:
    return json.dumps({"spec": {"approval": {"decision": "APPROVE", "planDigest": digest, "approver": approver, **changes}}})


def _grant_everything(shop: Shop, user: str) -> None:
    """Let RBAC stand in nobody's way, so that only the admission policy is left."""
    name = f"everything-{user}-{shop.namespace}"
    subject = {"kind": "User", "name": shop.cluster.username(user), "apiGroup": "rbac.authorization.k8s.io"}
    shop.cluster.apply(
        json.dumps(
            {
                "apiVersion": "rbac.authorization.k8s.io/v1",
                "kind": "RoleBinding",
                "metadata": {"name": name, "namespace": shop.namespace},
                "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "edit"},
                "subjects": [subject],
            }
        )
        + "\n"
    )


@pytest.mark.parametrize("user", WRONG)
def test_approval_by_the_wrong_identity_is_refused(user: str, target: Target) -> None:
    _grant_everything(target.shop, user)
    me = target.shop.cluster.username(user)
    said = target.shop.kubectl("patch", "incident", "stuck", "--type=merge", "-p", _approval(target.digest, me), user=user, check=False)
    assert "orbidden" in said
    target.assert_in_audit_log(user, code=403)
    target.assert_untouched()


@pytest.mark.parametrize("user", WRONG)
def test_forged_approver_is_refused(user: str, target: Target) -> None:
    _grant_everything(target.shop, user)
    said = target.shop.kubectl("patch", "incident", "stuck", "--type=merge", "-p", _approval(target.digest, "bob"), user=user, check=False)
    assert "orbidden" in said
    target.assert_in_audit_log(user, code=403)
    target.assert_untouched()


def test_forged_approver_of_a_person_who_may_decide_becomes_the_own_name(target: Target) -> None:
    target.shop.kubectl("patch", "incident", "stuck", "--type=merge", "-p", _approval(target.digest, "carol"), user="bob")
    assert target.shop.incident("stuck")["spec"]["approval"]["approver"] == "bob"


def test_requester_who_is_also_an_approver_is_refused(shop: Shop, operator: OperatorProcess) -> None:
    shop.deploy("ledger")
    mark = shop.cluster.audit_mark()
    shop.report("stuck", user="bob", **LEDGER)
    digest = shop.wait_for_phase("stuck", "AwaitingApproval")["gate"]["planDigest"]
    said = shop.kubectl("patch", "incident", "stuck", "--type=merge", "-p", _approval(digest, "bob"), user="bob", check=False)
    assert "orbidden" in said
    assert shop.restarts("ledger", mark) == 0


def test_replayed_approval_of_another_incident_is_refused(target: Target) -> None:
    shop = target.shop
    shop.deploy("payments")
    shop.report("other", severity="critical")
    other = shop.wait_for_phase("other", "AwaitingApproval")["gate"]["planDigest"]
    said = shop.kubectl("patch", "incident", "stuck", "--type=merge", "-p", _approval(other, "bob"), user="bob", check=False)
    assert "must name the current status.gate.planDigest" in said
    target.assert_in_audit_log("bob", code=422)
    target.assert_untouched()


@pytest.mark.parametrize("user", ["admin", "bob", "carol", "eve", "alice"])
@pytest.mark.parametrize("subresource", ["status", None])
def test_status_written_by_a_person_is_refused(user: str, subresource: str | None, target: Target) -> None:
    _grant_everything(target.shop, user)
    gate = {"decision": "execute", "requiredApproval": "NotNeeded", "planDigest": target.digest}
    where = ("--subresource", subresource) if subresource else ()
    body = json.dumps({"status": {"phase": "Gated", "gate": gate}})
    target.shop.kubectl("patch", "incident", "stuck", *where, "--type=merge", "-p", body, user=user, check=False)
    status = target.shop.status("stuck")
    assert (status["phase"], status["gate"]["decision"]) == ("AwaitingApproval", "block_and_escalate")
    target.assert_untouched()


@pytest.mark.parametrize("user", ["admin", "bob", "eve"])
def test_annotations_of_the_governor_cannot_be_forged(user: str, target: Target) -> None:
    _grant_everything(target.shop, user)
    for what in ("incident/stuck", "deployment/ledger"):
        said = target.shop.kubectl("annotate", what, "safetygovernor.io/last-action=sha256:forged", "--overwrite", user=user, check=False)
        assert "orbidden" in said
    target.assert_in_audit_log(user, code=403)
    target.assert_untouched()


def test_incident_deleted_and_created_again_does_not_inherit_the_approval(target: Target) -> None:
    shop = target.shop
    body = shop.incident("stuck")
    shop.kubectl("delete", "incident", "stuck")
    shop.report("stuck", **LEDGER)
    again = shop.wait_for_phase("stuck", "AwaitingApproval")["gate"]["planDigest"]
    assert again != target.digest
    said = shop.kubectl("patch", "incident", "stuck", "--type=merge", "-p", _approval(target.digest, "bob"), user="bob", check=False)
    assert "must name the current status.gate.planDigest" in said
    shop.kubectl("delete", "incident", "stuck")
    spec: dict[str, Any] = {**body["spec"], "approval": {"decision": "APPROVE", "planDigest": target.digest, "approver": "bob"}}
    created = {"apiVersion": body["apiVersion"], "kind": "Incident", "metadata": {"name": "stuck"}, "spec": spec}
    said = shop.kubectl("create", "-f", "-", stdin=json.dumps(created), user="alice", check=False)
    assert "orbidden" in said
    target.assert_untouched()


def test_approval_raced_with_a_new_plan_is_void(target: Target, store: Path, tmp_path: Path) -> None:
    shop = target.shop
    changed = tmp_path / "changed.yaml"
    changed.write_text(
        "kind: Evidence\nid: ev-new\nservice: ledger\nstance: contradicts\ntext: The consumer of the ledger queue does not hang at all\n"
    )
    load(store, changed)
    shop.kubectl("patch", "incident", "stuck", "--type=merge", "-p", _approval(target.digest, "bob"), user="bob")
    status = shop.wait_for("stuck", lambda now: now["gate"]["planDigest"] != target.digest, "to be asked again")
    said = shop.kubectl("patch", "incident", "stuck", "--type=merge", "-p", _approval(target.digest, "carol"), user="carol", check=False)
    assert "must name the current status.gate.planDigest" in said
    assert status["approval"]["refusals"][0]["why"].startswith("void: evidence changed")
    target.assert_untouched()


def test_target_exchanged_after_the_question_voids_the_approval(target: Target) -> None:
    shop = target.shop
    shop.kubectl("delete", "deployment", "ledger")
    shop.deploy("ledger", image="registry.example/other:1")
    shop.kubectl("patch", "incident", "stuck", "--type=merge", "-p", _approval(target.digest, "bob"), user="bob")
    status = shop.wait_for("stuck", lambda now: now["gate"]["planDigest"] != target.digest, "to be asked again")
    assert "target changed" in status["approval"]["refusals"][0]["why"]
    target.assert_untouched()


def test_guardrails_loosened_after_the_question_void_the_approval(target: Target) -> None:
    shop = target.shop
    shop.kubectl("patch", "rp", "default", "--type=merge", "-p", '{"spec":{"allowedActions":["RolloutRestart","Scale","PatchFields"]}}')
    shop.kubectl("patch", "incident", "stuck", "--type=merge", "-p", _approval(target.digest, "bob"), user="bob")
    status = shop.wait_for("stuck", lambda now: now["gate"]["planDigest"] != target.digest, "to be asked again")
    assert "guardrails changed" in status["approval"]["refusals"][0]["why"]
    target.assert_untouched()
