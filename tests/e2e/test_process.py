"""The operator as a process: what it refuses to start with, and how it stops, stands by and takes over."""

import json
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.operator_process import OperatorProcess, StartOperator
from support.ports import free_port
from support.shop import Shop
from testbed import ControlPlane, wait_until

LEDGER = {"service": "ledger", "summary": "The ledger queue does not drain, the consumer hangs"}


@pytest.fixture(scope="module")
def bare_cluster() -> Iterator[ControlPlane]:
    """A cluster without any resource or role of ours."""
    with ControlPlane(controllers=False) as plane:
        yield plane


def _run(*, kubeconfig: Path, store: Path, log: Path) -> tuple[int, str]:
    with OperatorProcess(kubeconfig=kubeconfig, store=store, log=log) as operator:
        return operator.wait(30), operator.said()


def test_cluster_without_our_resources_is_named_and_the_operator_exits(bare_cluster: ControlPlane, store: Path, tmp_path: Path) -> None:
    code, said = _run(kubeconfig=bare_cluster.kubeconfig("admin"), store=store, log=tmp_path / "log")
    assert code == 1
    assert "incidents.safetygovernor.io and remediationpolicies.safetygovernor.io" in said
    assert "kubectl apply -f crds/" in said
    assert "Traceback" not in said


def test_missing_rights_are_all_named_and_the_operator_exits(cluster: ControlPlane, store: Path, tmp_path: Path) -> None:
    code, said = _run(kubeconfig=cluster.kubeconfig("eve"), store=store, log=tmp_path / "log")
    assert code == 1
    for right in (
        "watch incidents.safetygovernor.io",
        "update incidents/status",
        "create leases.coordination.k8s.io in namespace governor-system",
    ):
        assert right in said
    assert "Traceback" not in said


def test_administrator_is_not_the_operator(cluster: ControlPlane, store: Path, tmp_path: Path) -> None:
    code, said = _run(kubeconfig=cluster.kubeconfig("admin"), store=store, log=tmp_path / "log")
    assert code == 1
    assert "the credentials of admin" in said
    assert "kubectl create token governor-operator -n governor-system" in said


def test_unreachable_cluster_is_named_and_the_operator_exits(cluster: ControlPlane, store: Path, tmp_path: Path) -> None:
    config = tmp_path / "nobody"
    config.write_text(cluster.kubeconfig("operator").read_text().replace(cluster.url, f"https://127.0.0.1:{free_port()}"))
    code, said = _run(kubeconfig=config, store=store, log=tmp_path / "log")
    assert code == 1
    assert "does not answer" in said


def test_unreadable_store_stalls_incidents_with_a_reason(shop: Shop, start_operator: StartOperator, store: Path) -> None:
    store.write_bytes(b"this is not a database" * 100)
    start_operator()
    shop.report("slow")
    status = shop.wait_for("slow", lambda now: now.get("phase") == "Planning", "to stall")
    stalled = next(one for one in status["conditions"] if one["type"] == "Stalled")
    assert stalled["reason"] == "KnowledgeUnavailable"


def test_sigterm_ends_the_operator_in_seconds_and_frees_the_lease(shop: Shop, start_operator: StartOperator) -> None:
    shop.deploy("ledger")
    operator = start_operator()
    shop.report("stuck", **LEDGER)
    shop.wait_for_phase("stuck", "AwaitingApproval")
    began = time.monotonic()
    operator.send(signal.SIGTERM)
    assert operator.wait(10) == 0
    assert time.monotonic() - began < 5
    lease = json.loads(shop.cluster.kubectl("-n", "governor-system", "get", "lease", f"operator-{shop.namespace}", "-o", "json").stdout)
    assert not lease["spec"].get("holderIdentity")


def test_second_operator_stands_by_and_takes_over_when_the_first_dies(shop: Shop, start_operator: StartOperator) -> None:
    shop.deploy("payments")
    mark = shop.cluster.audit_mark()
    first = start_operator()
    first.wait_until_said("at work now")
    second = start_operator()
    second.wait_until_said("standing by")
    shop.report("slow")
    shop.wait_for_phase("slow", "Resolved")
    assert shop.restarts("payments", mark) == 1
    assert "at work now" not in second.said()
    first.kill()
    second.wait_until_said("at work now")
    shop.report("again")
    shop.wait_for_phase("again", "Resolved")
    assert shop.restarts("payments", mark) == 2


@pytest.mark.thorough
def test_operator_that_slept_through_its_lease_exits_and_does_nothing(shop: Shop, start_operator: StartOperator) -> None:
    shop.deploy("payments")
    first = start_operator()
    first.wait_until_said("at work now")
    first.send(signal.SIGSTOP)
    second = start_operator()
    second.wait_until_said("at work now")
    mark = shop.cluster.audit_mark()
    shop.report("slow")
    shop.wait_for_phase("slow", "Resolved")
    first.send(signal.SIGCONT)
    assert first.wait(15) == 4
    assert shop.restarts("payments", mark) == 1


def test_health_endpoints_tell_that_it_is_ready(start_operator: StartOperator) -> None:
    port = free_port()
    start_operator(health_address=f"127.0.0.1:{port}")

    def answers(path: str) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, ConnectionError):
            return False

    wait_until(lambda: answers("/readyz"), 20, "/readyz")
    assert answers("/healthz")


def test_json_logs_are_one_object_a_line(start_operator: StartOperator) -> None:
    operator = start_operator(log_format="json")
    operator.wait_until_said("at work now")
    lines = [json.loads(line) for line in operator.said().splitlines()]
    assert {"event", "level", "timestamp"} <= set(lines[0])


def test_why_tells_the_decision_from_the_resource(shop: Shop, operator: OperatorProcess) -> None:
    shop.deploy("ledger")
    shop.report("stuck", **LEDGER)
    shop.wait_for_phase("stuck", "AwaitingApproval")
    told = subprocess.run(
        [
            sys.executable,
            "-m",
            "safety_governor.cli.main",
            "why",
            f"{shop.namespace}/stuck",
            "--kubeconfig",
            str(shop.cluster.kubeconfig("bob")),
        ],
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    ).stdout
    for part in (
        "ContradictionsReached",
        "measured 2, allowed < 2",
        "released by APPROVE",
        "ev-double-booking",
        "kubectl -n",
        "APPROVE needed",
    ):
        assert part in told
