"""The whole path on a real API server, from kubectl apply to a verified rollout."""

import json
import re

from support.operator_process import OperatorProcess, StartOperator
from support.shop import Shop

LEDGER = {"service": "ledger", "summary": "The ledger queue does not drain, the consumer hangs"}


def test_clean_incident_is_executed_in_three_writes_and_one_event(shop: Shop, operator: OperatorProcess) -> None:
    shop.deploy("payments")
    mark = shop.cluster.audit_mark()
    shop.report("slow")
    status = shop.wait_for_phase("slow", "Resolved")

    writes = shop.writes(mark)
    assert [(one["verb"], one["objectRef"]["resource"], one["objectRef"].get("subresource")) for one in writes] == [
        ("update", "incidents", "status"),
        ("patch", "deployments", None),
        ("update", "incidents", "status"),
    ]
    assert writes[1]["impersonatedUser"]["username"] == f"system:serviceaccount:{shop.namespace}:governor-executor"
    events = json.loads(shop.kubectl("get", "events", "-o", "json", "--field-selector", "involvedObject.kind=Incident"))["items"]
    assert [one["reason"] for one in events] == ["GateExecute"]
    assert status["verification"]["outcome"] == "Verified"
    assert status["execution"]["actions"][0]["state"] == "Done"


def test_finished_incident_costs_nothing_when_the_operator_restarts(shop: Shop, start_operator: StartOperator) -> None:
    shop.deploy("payments")
    first = start_operator()
    shop.report("slow")
    shop.wait_for_phase("slow", "Resolved")
    first.kill()
    mark = shop.cluster.audit_mark()
    second = start_operator()
    second.wait_until_said("at work now")
    shop.report("second")
    shop.wait_for_phase("second", "Resolved")
    assert shop.touched_incidents(mark) == {"second"}


def test_contradicted_incident_waits_and_an_approval_releases_it(shop: Shop, operator: OperatorProcess) -> None:
    shop.deploy("ledger")
    mark = shop.cluster.audit_mark()
    shop.report("stuck", **LEDGER)
    status = shop.wait_for_phase("stuck", "AwaitingApproval")
    assert status["gate"]["decision"] == "block_and_escalate"
    assert status["gate"]["requiredApproval"] == "APPROVE"
    assert "ContradictionsReached" in status["gate"]["reason"]
    assert status["stress"]["contradictionCount"] == 2
    assert shop.restarts("ledger", mark) == 0

    shop.decide("stuck", "APPROVE", user="bob")
    status = shop.wait_for_phase("stuck", "Resolved")
    assert status["approval"]["approver"] == "bob"
    assert shop.restarts("ledger", mark) == 1
    assert len(shop.writes(mark)) == 4


def test_critical_incident_refuses_approve_and_records_it_and_an_override_releases_it(shop: Shop, operator: OperatorProcess) -> None:
    shop.deploy("payments")
    mark = shop.cluster.audit_mark()
    shop.report("inc-9999", severity="critical")
    first = shop.wait_for_phase("inc-9999", "AwaitingApproval")["gate"]["planDigest"]
    shop.decide("inc-9999", "APPROVE", user="bob")
    status = shop.wait_for("inc-9999", lambda now: now["gate"]["planDigest"] != first, "to be gated again")
    refusal = status["approval"]["refusals"][0]
    assert (refusal["approver"], refusal["decision"], refusal["planDigest"]) == ("bob", "APPROVE", first)
    assert "FORCE_OVERRIDE" in refusal["why"]
    assert shop.restarts("payments", mark) == 0

    shop.decide("inc-9999", "FORCE_OVERRIDE", user="carol", reason="Checkout is down and the pool is known to be the cause")
    status = shop.wait_for_phase("inc-9999", "Resolved")
    assert status["approval"]["decision"] == "FORCE_OVERRIDE"
    assert status["approval"]["refusals"][0]["approver"] == "bob"
    assert shop.restarts("payments", mark) == 1


def test_rejection_ends_the_incident_untouched(shop: Shop, operator: OperatorProcess) -> None:
    shop.deploy("ledger")
    mark = shop.cluster.audit_mark()
    shop.report("stuck", **LEDGER)
    shop.wait_for_phase("stuck", "AwaitingApproval")
    shop.decide("stuck", "REJECT", user="bob", reason="Month end, leave it alone")
    status = shop.wait_for_phase("stuck", "Rejected")
    assert status["approval"]["reason"] == "Month end, leave it alone"
    assert shop.restarts("ledger", mark) == 0


def test_requester_cannot_release_the_own_incident(shop: Shop, operator: OperatorProcess) -> None:
    shop.deploy("ledger")
    mark = shop.cluster.audit_mark()
    shop.report("stuck", user="bob", **LEDGER)
    shop.wait_for_phase("stuck", "AwaitingApproval")
    assert "separation of duties" in shop.decide("stuck", "APPROVE", user="bob", check=False)
    assert "approval" not in shop.incident("stuck")["spec"]
    assert shop.restarts("ledger", mark) == 0


def test_question_that_nobody_answers_expires_on_time(shop: Shop, start_operator: StartOperator) -> None:
    shop.deploy("ledger")
    start_operator(approval_expiry="PT2S")
    shop.report("stuck", **LEDGER)
    status = shop.wait_for_phase("stuck", "Expired", timeout=15)
    assert "denial" in status["approval"]["summary"]


def test_abort_ends_the_incident_before_anything_is_done(shop: Shop, operator: OperatorProcess) -> None:
    shop.deploy("ledger")
    shop.report("stuck", **LEDGER)
    shop.wait_for_phase("stuck", "AwaitingApproval")
    shop.kubectl("patch", "incident", "stuck", "--type=merge", "-p", '{"spec":{"abort":true}}')
    shop.wait_for_phase("stuck", "Aborted")


def test_observed_incident_is_decided_and_never_acted_on(shop: Shop, operator: OperatorProcess) -> None:
    shop.deploy("payments")
    mark = shop.cluster.audit_mark()
    shop.report("slow", mode="Observe")
    status = shop.wait_for_phase("slow", "Observed")
    assert status["gate"]["decision"] == "execute"
    assert shop.restarts("payments", mark) == 0


def test_manual_runbook_is_handed_over(shop: Shop, operator: OperatorProcess) -> None:
    shop.report("full", service="archive", summary="The archive volume is full")
    status = shop.wait_for_phase("full", "HandedOver")
    assert status["gate"]["decision"] == "hand_over"
    assert status["plan"]["steps"][0]["text"].startswith("Ask storage")


def test_incident_that_no_runbook_knows_is_handed_over(shop: Shop, operator: OperatorProcess) -> None:
    shop.report("odd", service="weather", summary="Hailstones as large as golf balls")
    status = shop.wait_for_phase("odd", "HandedOver")
    assert status["plan"]["resolution"] == "NothingProposed"


def test_missing_target_blocks_for_good(shop: Shop, operator: OperatorProcess) -> None:
    shop.report("slow")
    status = shop.wait_for_phase("slow", "Blocked")
    assert status["gate"]["reason"].startswith("ActionUnresolved")
    assert "Deployment/payments does not exist" in status["gate"]["findings"][0]["message"]


def test_namespace_that_has_not_opted_in_is_never_acted_on(shop: Shop, operator: OperatorProcess) -> None:
    shop.deploy("payments")
    shop.kubectl("delete", "remediationpolicy", "default")
    mark = shop.cluster.audit_mark()
    shop.report("slow")
    status = shop.wait_for_phase("slow", "Blocked")
    assert "TargetProtected" in status["gate"]["reason"]
    assert shop.restarts("payments", mark) == 0


def test_suspended_namespace_holds_the_action_until_it_is_resumed(shop: Shop, operator: OperatorProcess) -> None:
    shop.deploy("payments")
    shop.kubectl("patch", "rp", "default", "--type=merge", "-p", '{"spec":{"suspend":true}}')
    mark = shop.cluster.audit_mark()
    shop.report("slow")
    status = shop.wait_for("slow", lambda now: bool(now.get("execution", {}).get("heldBecause")), "to be held")
    assert "suspend" in status["execution"]["heldBecause"]
    assert shop.restarts("payments", mark) == 0
    shop.kubectl("patch", "rp", "default", "--type=merge", "-p", '{"spec":{"suspend":false}}')
    shop.wait_for_phase("slow", "Resolved")
    assert shop.restarts("payments", mark) == 1


def test_target_that_changed_after_the_question_voids_the_approval(shop: Shop, operator: OperatorProcess) -> None:
    shop.deploy("ledger")
    mark = shop.cluster.audit_mark()
    shop.report("stuck", **LEDGER)
    first = shop.wait_for_phase("stuck", "AwaitingApproval")["gate"]["planDigest"]
    shop.kubectl("set", "image", "deployment/ledger", "*=registry.example/ledger:2")
    shop.decide("stuck", "APPROVE", user="bob", digest=first)
    status = shop.wait_for("stuck", lambda now: now["gate"]["planDigest"] != first, "to be asked again")
    assert status["phase"] == "AwaitingApproval"
    assert "target changed" in status["approval"]["refusals"][0]["why"]
    assert shop.restarts("ledger", mark) == 0


def test_rollout_that_never_completes_is_inconclusive_and_stops_for_a_person(shop: Shop, start_operator: StartOperator) -> None:
    shop.deploy("payments", behaviour="never-ready")
    start_operator(verify_timeout="PT3S")
    shop.report("slow")
    status = shop.wait_for_phase("slow", "Indeterminate", timeout=20)
    assert status["verification"]["outcome"] == "Inconclusive"


def test_kubectl_shows_waits_for_and_explains_incidents(shop: Shop, operator: OperatorProcess) -> None:
    shop.deploy("ledger")
    shop.report("stuck", **LEDGER)
    shop.kubectl("wait", "--for=condition=Gated", "incident/stuck", "--timeout=20s")
    table = shop.kubectl("get", "incidents")
    assert table.splitlines()[0].split() == ["NAME", "SERVICE", "SEVERITY", "DECISION", "PHASE", "CONFIDENCE", "APPROVAL", "AGE"]
    assert re.search(r"stuck +ledger +medium +block_and_escalate +AwaitingApproval +\d\.\d->\d\.\d +APPROVE needed", table)
    wide = shop.kubectl("get", "inc", "-o", "wide").splitlines()[0].split()
    assert wide[-5:] == ["REASON", "APPROVER", "EXPIRES", "TICKET", "ACTION"]
    assert "stuck" in shop.kubectl("get", "inc", "--field-selector", "status.phase=AwaitingApproval")
    assert "stuck" in shop.kubectl("get", "governor")
    assert "planDigest" in shop.kubectl("explain", "incident.status.gate")
