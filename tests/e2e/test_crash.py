"""The operator is killed at every instant of an incident's life; whatever happens, the cluster is touched at most once."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.gatekeeper import Gatekeeper
from support.operator_process import OperatorProcess, StartOperator
from support.shop import Shop
from testbed import wait_until

LEDGER = {"service": "ledger", "summary": "The ledger queue does not drain, the consumer hangs"}


@pytest.fixture
def gatekeeper(shop: Shop) -> Iterator[Gatekeeper]:
    with Gatekeeper(upstream=shop.cluster.url, ca_file=shop.cluster.ca_file) as proxy:
        yield proxy


def _killed_at(gatekeeper: Gatekeeper, operator: OperatorProcess, number: int, *, after: bool) -> None:
    gatekeeper.stop_at(number, after=after, callback=operator.kill)


# An auto-executed incident makes three requests: verdict with claim, the restart, the result.
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("number", [1, 2, 3], ids=["verdict", "restart", "result"])
def test_killed_operator_goes_on_from_the_status_and_restarts_once(
    number: int, after: bool, shop: Shop, gatekeeper: Gatekeeper, start_operator: StartOperator, tmp_path: Path
) -> None:
    shop.deploy("payments")
    through = gatekeeper.kubeconfig(shop.cluster.kubeconfig("operator"), tmp_path / "through")
    mark = shop.cluster.audit_mark()
    first = start_operator(kubeconfig=through)
    _killed_at(gatekeeper, first, number, after=after)
    shop.report("slow")
    assert first.wait(30) == -9
    gatekeeper.let_pass()
    start_operator(kubeconfig=through)
    status = shop.wait_for_phase("slow", "Resolved", timeout=45)
    assert shop.restarts("payments", mark) == 1
    assert status["execution"]["actions"][0]["state"] == "Done"


# An approved incident makes four: verdict, claim, the restart, the result.
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("number", [1, 2, 3, 4], ids=["verdict", "claim", "restart", "result"])
def test_killed_operator_honours_an_approval_once(
    number: int, after: bool, shop: Shop, gatekeeper: Gatekeeper, start_operator: StartOperator, tmp_path: Path
) -> None:
    shop.deploy("ledger")
    through = gatekeeper.kubeconfig(shop.cluster.kubeconfig("operator"), tmp_path / "through")
    mark = shop.cluster.audit_mark()
    first = start_operator(kubeconfig=through)
    _killed_at(gatekeeper, first, number, after=after)
    shop.report("stuck", **LEDGER)
    if number > 1:
        shop.wait_for_phase("stuck", "AwaitingApproval")
        shop.decide("stuck", "APPROVE", user="bob")
    assert first.wait(30) == -9
    gatekeeper.let_pass()
    start_operator(kubeconfig=through)
    if number == 1:
        shop.wait_for_phase("stuck", "AwaitingApproval", timeout=45)
        shop.decide("stuck", "APPROVE", user="bob")
    shop.wait_for_phase("stuck", "Resolved", timeout=45)
    assert shop.restarts("ledger", mark) == 1


def test_unread_store_stalls_the_incident_and_it_goes_on_when_the_store_is_back(
    shop: Shop, start_operator: StartOperator, store: Path
) -> None:
    shop.deploy("payments")
    operator = start_operator()
    operator.wait_until_said("at work now")
    hidden = store.rename(store.with_suffix(".hidden"))
    shop.report("slow")
    status = shop.wait_for("slow", lambda now: now.get("phase") == "Planning", "to stall")
    stalled = next(one for one in status["conditions"] if one["type"] == "Stalled")
    assert (stalled["status"], stalled["reason"]) == ("True", "KnowledgeUnavailable")
    assert "unknown, not empty" in stalled["message"]
    hidden.rename(store)
    shop.wait_for_phase("slow", "Resolved", timeout=45)


def test_api_server_that_goes_away_loses_no_incident(shop: Shop, start_operator: StartOperator) -> None:
    shop.deploy("ledger")
    operator = start_operator()
    shop.report("stuck", **LEDGER)
    shop.wait_for_phase("stuck", "AwaitingApproval")
    shop.cluster.stop_apiserver()
    shop.cluster.start_apiserver()
    # For some seconds after its start the server answers 503, until it knows the policies again.
    wait_until(lambda: "patched" in shop.decide("stuck", "APPROVE", user="bob", check=False), 30, "the approval to be taken")
    running = [operator]

    def is_resolved() -> bool:
        # It may go on or exit loudly, at any moment; whoever runs it in production starts it again.
        if not running[-1].is_running:
            running.append(start_operator())
        return bool(shop.status("stuck")["phase"] == "Resolved")

    wait_until(is_resolved, 60, "the incident to be resolved")
