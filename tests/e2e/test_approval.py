"""Approval that holds: who may release what, bound to exactly what will run, and for how long."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from support.knowledge import load
from support.operator_process import OperatorProcess, StartOperator
from support.shop import Shop

LEDGER = {"service": "ledger", "summary": "The ledger queue does not drain, the consumer hangs"}
GUARD = "incident-approval.safetygovernor.io"


def _kubectl_incident(shop: Shop, *args: str, user: str, stdin: str = "") -> tuple[int, str]:
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "safety_governor.cli.main",
            "incident",
            *args,
            "--kubeconfig",
            str(shop.cluster.kubeconfig(user, shop.namespace)),
        ],
        input=stdin,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def _rule(shop: Shop, *cases: str) -> None:
    shop.kubectl("patch", "rp", "default", "--type=merge", "-p", json.dumps({"spec": {"approval": {"twoPersonRule": list(cases)}}}))


def _second(shop: Shop, name: str, decision: str, *, user: str, check: bool = True) -> str:
    approval = {"decision": decision, "planDigest": shop.status(name)["gate"]["planDigest"], "approver": user}
    return shop.kubectl(
        "patch", "incident", name, "--type=merge", "-p", json.dumps({"spec": {"secondApproval": approval}}), user=user, check=check
    )


def test_dry_run_diff_is_shown_before_anyone_is_asked(shop: Shop, operator: OperatorProcess) -> None:
    shop.deploy("ledger")
    shop.report("stuck", **LEDGER)
    gate = shop.wait_for_phase("stuck", "AwaitingApproval")["gate"]
    changes = {one["path"]: one["after"] for one in gate["previews"][0]["changes"]}
    assert changes["spec.template.metadata.annotations[kubectl.kubernetes.io/restartedAt]"] == "(time of the claim)"
    assert changes["metadata.annotations[safetygovernor.io/last-action]"] == "(key of the action)"


def test_two_person_rule_takes_two_people(shop: Shop, operator: OperatorProcess) -> None:
    _rule(shop, "APPROVE")
    shop.deploy("ledger")
    mark = shop.cluster.audit_mark()
    shop.report("stuck", **LEDGER)
    status = shop.wait_for_phase("stuck", "AwaitingApproval")
    assert status["approval"]["summary"] == "APPROVE needed by two people"
    shop.decide("stuck", "APPROVE", user="bob")
    status = shop.wait_for("stuck", lambda now: "second person" in now["approval"]["summary"], "to want a second person")
    assert shop.restarts("ledger", mark) == 0
    _second(shop, "stuck", "APPROVE", user="carol")
    status = shop.wait_for_phase("stuck", "Resolved")
    assert status["approval"]["approver"] == "bob and carol"
    assert shop.restarts("ledger", mark) == 1


def test_same_person_twice_is_not_two_people(shop: Shop, operator: OperatorProcess) -> None:
    _rule(shop, "medium")
    shop.deploy("ledger")
    mark = shop.cluster.audit_mark()
    shop.report("stuck", **LEDGER)
    shop.wait_for_phase("stuck", "AwaitingApproval")
    shop.decide("stuck", "APPROVE", user="bob")
    assert "denied" in _second(shop, "stuck", "APPROVE", user="bob", check=False)
    assert shop.restarts("ledger", mark) == 0


def test_second_person_may_reject(shop: Shop, operator: OperatorProcess) -> None:
    _rule(shop, "APPROVE")
    shop.deploy("ledger")
    mark = shop.cluster.audit_mark()
    shop.report("stuck", **LEDGER)
    shop.wait_for_phase("stuck", "AwaitingApproval")
    shop.decide("stuck", "APPROVE", user="bob")
    _second(shop, "stuck", "REJECT", user="carol")
    shop.wait_for_phase("stuck", "Rejected")
    assert shop.restarts("ledger", mark) == 0


def test_held_release_expires_and_is_never_revived(shop: Shop, start_operator: StartOperator) -> None:
    start_operator(approval_expiry="PT6S")
    shop.deploy("ledger")
    mark = shop.cluster.audit_mark()
    shop.kubectl("patch", "rp", "default", "--type=merge", "-p", '{"spec":{"suspend":true}}')
    shop.report("stuck", **LEDGER)
    shop.wait_for_phase("stuck", "AwaitingApproval")
    shop.decide("stuck", "APPROVE", user="bob")
    shop.wait_for("stuck", lambda now: bool(now.get("execution", {}).get("heldBecause")), "to be held")
    shop.wait_for_phase("stuck", "Expired", timeout=20)
    shop.kubectl("patch", "rp", "default", "--type=merge", "-p", '{"spec":{"suspend":false}}')
    shop.report("probe", service="weather", summary="Hailstones as large as golf balls")
    shop.wait_for_phase("probe", "HandedOver")
    assert shop.restarts("ledger", mark) == 0
    assert shop.status("stuck")["phase"] == "Expired"


def test_restart_does_not_revive_an_expired_question(shop: Shop, start_operator: StartOperator) -> None:
    first = start_operator(approval_expiry="PT4S")
    shop.deploy("ledger")
    mark = shop.cluster.audit_mark()
    shop.report("stuck", **LEDGER)
    digest = shop.wait_for_phase("stuck", "AwaitingApproval")["gate"]["planDigest"]
    first.kill()
    shop.decide("stuck", "APPROVE", user="bob", digest=digest)
    # The next operator only comes when the time is over: the Lease of the killed one has to run out and the question, too.
    subprocess.run(["sleep", "4"], check=True)
    start_operator()
    shop.wait_for_phase("stuck", "Expired", timeout=20)
    assert shop.restarts("ledger", mark) == 0


def test_resolved_alert_cancels_a_pending_incident(shop: Shop, operator: OperatorProcess) -> None:
    shop.deploy("ledger")
    shop.report("stuck", **LEDGER)
    shop.wait_for_phase("stuck", "AwaitingApproval")
    shop.kubectl("patch", "incident", "stuck", "--type=merge", "-p", '{"spec":{"alertResolved":true}}')
    status = shop.wait_for_phase("stuck", "Aborted")
    assert status["approval"]["summary"] == "the alert has resolved itself"


@pytest.mark.parametrize(
    ("part", "changed"),
    [
        (
            "evidence",
            "kind: Evidence\nid: ev-new\nservice: ledger\nstance: contradicts\ntext: The consumer of the ledger queue does not hang at all\n",
        ),
        ("policies", "kind: Policy\nid: POL-9\nservice: ledger\nblocked_actions: [restart-ledger]\nseverities: [low]\nrule: Not now\n"),
        (
            "plan",
            (
                "kind: Runbook\nid: rb-ledger-queue\nservice: ledger\ntitle: The ledger queue does not drain because a consumer hangs\n"
                "recommended_action: restart-ledger\nremediations:\n- action: restart-ledger\n  steps: [{type: RolloutRestart, text: Other words}]\n"
                "claims: [The consumer of the ledger queue hangs, A restart of ledger lets the queue drain without double booking]\n"
            ),
        ),
    ],
)
def test_approval_is_void_when_something_changed_and_says_what(
    part: str, changed: str, shop: Shop, operator: OperatorProcess, store: Path, tmp_path: Path
) -> None:
    shop.deploy("ledger")
    mark = shop.cluster.audit_mark()
    shop.report("stuck", **LEDGER)
    first = shop.wait_for_phase("stuck", "AwaitingApproval")["gate"]["planDigest"]
    (tmp_path / "changed.yaml").write_text(changed)
    load(store, tmp_path / "changed.yaml")
    shop.decide("stuck", "APPROVE", user="bob", digest=first)
    status = shop.wait_for("stuck", lambda now: now["gate"]["planDigest"] != first, "to be asked again")
    why = status["approval"]["refusals"][0]["why"]
    assert why.startswith("void: ")
    assert f"{part} changed (sha256:" in why
    assert status["phase"] == "AwaitingApproval"
    assert shop.restarts("ledger", mark) == 0


def test_changed_guardrails_void_an_approval(shop: Shop, operator: OperatorProcess) -> None:
    shop.deploy("ledger")
    shop.report("stuck", **LEDGER)
    first = shop.wait_for_phase("stuck", "AwaitingApproval")["gate"]["planDigest"]
    shop.kubectl("patch", "rp", "default", "--type=merge", "-p", '{"spec":{"requireTelemetry":true}}')
    shop.decide("stuck", "APPROVE", user="bob", digest=first)
    status = shop.wait_for("stuck", lambda now: now["gate"]["planDigest"] != first, "to be asked again")
    assert "guardrails changed" in status["approval"]["refusals"][0]["why"]


class TestGuard:
    """While the API server is not proved to refuse forbidden approvals, none is honoured."""

    def test_missing_policy_keeps_approvals_waiting_until_it_is_back(self, shop: Shop, start_operator: StartOperator) -> None:
        binding = shop.cluster.kubectl("get", "validatingadmissionpolicybinding", GUARD, "-o", "json").stdout
        kept = {key: part for key, part in json.loads(binding).items() if key in ("apiVersion", "kind", "spec")} | {
            "metadata": {"name": GUARD}
        }
        shop.deploy("ledger")
        mark = shop.cluster.audit_mark()
        shop.cluster.kubectl("delete", "validatingadmissionpolicybinding", GUARD)
        try:
            operator = start_operator(guard_interval="PT1S")
            operator.wait_until_said("ApprovalGuardMissing")
            shop.report("stuck", **LEDGER)
            shop.wait_for_phase("stuck", "AwaitingApproval")
            shop.decide("stuck", "APPROVE", user="bob")
            status = shop.wait_for("stuck", _is_stalled_by_guard, "to say that the guard is missing")
            assert status["phase"] == "AwaitingApproval"
            assert "ApprovalGuardMissing" in shop.kubectl("get", "events")
            assert shop.restarts("ledger", mark) == 0
        finally:
            shop.cluster.apply(json.dumps(kept) + "\n")
        shop.wait_for_phase("stuck", "Resolved", timeout=60)
        assert shop.restarts("ledger", mark) == 1


def _is_stalled_by_guard(status: dict[str, list[dict[str, str]]]) -> bool:
    return any(one["type"] == "Stalled" and one["reason"] == "ApprovalGuardMissing" for one in status.get("conditions", []))


class TestCommand:
    """`kubectl incident`: what people type and read."""

    def test_approve_says_who_you_are_and_what_came_of_it(self, shop: Shop, operator: OperatorProcess) -> None:
        shop.deploy("ledger")
        shop.report("stuck", **LEDGER)
        digest = shop.wait_for_phase("stuck", "AwaitingApproval")["gate"]["planDigest"]
        code, said = _kubectl_incident(shop, "approve", "stuck", "--yes", "--digest", digest, user="bob")
        assert code == 0, said
        assert "APPROVE of sha256:" in said
        assert "by bob is on record" in said
        shop.wait_for_phase("stuck", "Resolved")

    def test_plan_that_changed_since_it_was_seen_is_not_approved(self, shop: Shop, operator: OperatorProcess) -> None:
        shop.deploy("ledger")
        shop.report("stuck", **LEDGER)
        shop.wait_for_phase("stuck", "AwaitingApproval")
        code, said = _kubectl_incident(shop, "approve", "stuck", "--yes", "--digest", "sha256:" + "a" * 64, user="bob")
        assert code == 1
        assert "has changed since you saw it" in said

    def test_nobody_to_ask_decides_nothing(self, shop: Shop, operator: OperatorProcess) -> None:
        shop.deploy("ledger")
        shop.report("stuck", **LEDGER)
        shop.wait_for_phase("stuck", "AwaitingApproval")
        code, said = _kubectl_incident(shop, "approve", "stuck", user="bob")
        assert code == 1
        assert "You are bob on https://" in said
        assert "nobody is there to ask" in said
        assert "approval" not in shop.incident("stuck")["spec"]

    def test_missing_right_is_explained_with_the_way_out(self, shop: Shop, operator: OperatorProcess) -> None:
        shop.deploy("payments")
        shop.report("slow", severity="critical")
        digest = shop.wait_for_phase("slow", "AwaitingApproval")["gate"]["planDigest"]
        named = ("--yes", "--digest", digest)
        code, said = _kubectl_incident(shop, "override", "slow", *named, "-m", "The pool is known to be the cause of it", user="bob")
        assert code == 3
        assert "force-override" in said
        code, said = _kubectl_incident(shop, "approve", "slow", *named, user="eve")
        assert code == 3
        assert said.startswith("✗ you may not read incidents in namespace")

    def test_refusal_by_the_governor_is_told(self, shop: Shop, operator: OperatorProcess) -> None:
        shop.deploy("payments")
        shop.report("slow", severity="critical")
        digest = shop.wait_for_phase("slow", "AwaitingApproval")["gate"]["planDigest"]
        code, said = _kubectl_incident(shop, "approve", "slow", "--yes", "--digest", digest, user="bob")
        assert code == 3
        assert "the governor refuses it: APPROVE does not release this verdict; it takes FORCE_OVERRIDE" in said

    def test_finished_incident_is_not_decided_about(self, shop: Shop, operator: OperatorProcess) -> None:
        shop.deploy("payments")
        shop.report("slow")
        shop.wait_for_phase("slow", "Resolved")
        code, said = _kubectl_incident(shop, "reject", "slow", "--yes", user="bob")
        assert code == 1
        assert "is Resolved; nobody is asked to decide about it" in said

    def test_watch_follows_an_incident_to_its_end(self, shop: Shop, operator: OperatorProcess) -> None:
        shop.deploy("payments")
        shop.report("slow")
        code, said = _kubectl_incident(shop, "watch", "slow", user="bob")
        assert code == 0
        assert "Resolved" in said.splitlines()[-1]

    @pytest.mark.thorough
    def test_api_server_that_is_not_ready_is_tried_again_and_said_so(self, shop: Shop, operator: OperatorProcess) -> None:
        shop.deploy("ledger")
        shop.report("stuck", **LEDGER)
        digest = shop.wait_for_phase("stuck", "AwaitingApproval")["gate"]["planDigest"]
        kubeconfig = str(shop.cluster.kubeconfig("bob", shop.namespace))
        shop.cluster.stop_apiserver()
        command = [sys.executable, "-m", "safety_governor.cli.main", "incident", "approve", "stuck", "--kubeconfig", kubeconfig]
        command += ["--yes", "--digest", digest]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as asking:
            assert asking.stdout is not None
            first = asking.stdout.readline()
            shop.cluster.start_apiserver()
            rest = asking.communicate(timeout=60)[0]
        assert "not ready" in first
        assert "trying again" in first
        assert "is on record" in rest
