"""Between claim and effect: what was claimed is done once, only while it may be, and never against a person's hand."""

from pathlib import Path

import pytest

from support.gatekeeper import Gatekeeper
from support.operator_process import OperatorProcess, StartOperator
from support.shop import Shop
from support.variants import mostly_thorough

STOPS = {
    "suspended": ("rp", '{"spec":{"suspend":true}}', "Gated"),
    "not allowed any more": ("rp", '{"spec":{"allowedActions":[]}}', "Blocked"),
    "protected": ("rp", '{"spec":{"protectedTargets":[{"kind":"Deployment","name":"payments"}]}}', "Blocked"),
    "aborted": ("incident", '{"spec":{"abort":true}}', "Aborted"),
    "only observed": ("incident", '{"spec":{"mode":"Observe"}}', "Observed"),
    "resolved by itself": ("incident", '{"spec":{"alertResolved":true}}', "Aborted"),
}


@pytest.mark.parametrize(("kind", "patch", "phase"), mostly_thorough(STOPS, "suspended", "aborted"))
def test_claim_of_a_killed_operator_is_not_carried_out_when_it_is_now(
    kind: str, patch: str, phase: str, shop: Shop, start_operator: StartOperator, tmp_path: Path
) -> None:
    shop.deploy("payments")
    with Gatekeeper(upstream=shop.cluster.url, ca_file=shop.cluster.ca_file) as gatekeeper:
        through = gatekeeper.kubeconfig(shop.cluster.kubeconfig("operator"), tmp_path / "through")
        first = start_operator(kubeconfig=through)
        gatekeeper.stop_at(1, after=True, callback=first.kill)
        shop.report("slow")
        assert first.wait(30) == -9
    assert shop.status("slow")["phase"] == "Executing"
    mark = shop.cluster.audit_mark()
    shop.kubectl("patch", kind, "default" if kind == "rp" else "slow", "--type=merge", "-p", patch)
    start_operator()
    shop.wait_for_phase("slow", phase)
    assert shop.restarts("payments", mark) == 0


def test_rollback_by_a_person_is_not_fought(shop: Shop, operator: OperatorProcess) -> None:
    shop.deploy("payments")
    shop.kubectl("set", "image", "deployment/payments", "*=registry.example/payments:2")
    shop.kubectl("rollout", "status", "deployment/payments", "--timeout=20s")
    # From now on no pod becomes ready, so that the restart is under way when the person steps in.
    patch = '{"spec":{"template":{"metadata":{"annotations":{"testbed.safetygovernor.io/behaviour":"never-ready"}}}}}'
    shop.kubectl("patch", "deployment", "payments", "--type=merge", "-p", patch)
    mark = shop.cluster.audit_mark()
    shop.report("slow")
    shop.wait_for(
        "slow", lambda now: bool(now.get("execution", {}).get("actions")) and shop.restarts("payments", mark) == 1, "to be restarted"
    )
    shop.kubectl("rollout", "undo", "deployment/payments")
    shop.report("probe", service="weather", summary="Hailstones as large as golf balls")
    shop.wait_for_phase("probe", "HandedOver")
    # The operator has looked again meanwhile, several times, and left the person's version alone.
    assert shop.restarts("payments", mark) == 1


def test_storm_on_one_service_takes_turns_and_loses_none(shop: Shop, operator: OperatorProcess) -> None:
    shop.deploy("payments")
    mark = shop.cluster.audit_mark()
    names = [f"alert-{number}" for number in range(6)]
    for name in names:
        shop.report(name)
    for name in names:
        assert shop.wait_for_phase(name, "Resolved", timeout=60)["verification"]["outcome"] == "Verified"
    # Each is judged anew when its turn comes, and each key has had one effect.
    assert shop.restarts("payments", mark) == len(names)


def test_names_as_long_as_kubernetes_allows_are_recorded(shop: Shop, operator: OperatorProcess) -> None:
    shop.deploy("ledger")
    shop.report("stuck", service="ledger", summary="The ledger queue does not drain, the consumer hangs")
    shop.wait_for_phase("stuck", "AwaitingApproval")
    shop.decide("stuck", "REJECT", user="bob", reason="r" * 1000)
    shop.wait_for_phase("stuck", "Rejected")
