"""The operator is killed at every instant of an incident's life; whatever happens, every action takes effect at most once.

`make crashes` plays all instants of all scenarios and prints the table; the test suite plays a few that tell most.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from safety_governor.domain import lifecycle
from support.crash import SCENARIOS, Scenario, write_knowledge
from support.gatekeeper import Gatekeeper
from support.hook_receiver import HookReceiver
from support.knowledge import load
from support.operator_process import StartOperator
from support.shop import Shop
from testbed import wait_until

pytestmark = pytest.mark.crash

LEDGER = {"service": "ledger", "summary": "The ledger queue does not drain, the consumer hangs"}
IN_THE_SUITE = ("restart", "restart-approved", "undo-regressed", "webhook")
SECRET = "0123456789abcdef0123456789abcdef"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("crash")
    load(folder / "knowledge.db", write_knowledge(folder), Path(__file__).parent / "knowledge" / "payments.yaml")
    return folder / "knowledge.db"


@pytest.fixture
def gatekeeper(shop: Shop) -> Iterator[Gatekeeper]:
    with Gatekeeper(upstream=shop.cluster.url, ca_file=shop.cluster.ca_file) as proxy:
        yield proxy


@pytest.fixture
def receiver() -> Iterator[HookReceiver]:
    with HookReceiver(SECRET) as automation:
        yield automation


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Before and after every request; in the suite, for some kinds of action, after those that take effect."""
    if "scenario" not in metafunc.fixturenames:
        return
    every = metafunc.config.getoption("--thorough")
    instants = [
        pytest.param(scenario, number, after, id=f"{scenario.name}-{'after' if after else 'before'}-{number}")
        for scenario in SCENARIOS
        if every or scenario.name in IN_THE_SUITE
        for number in (range(1, scenario.requests + 1) if every else scenario.acts)
        for after in ((False, True) if every else (True,))
    ]
    metafunc.parametrize(("scenario", "number", "after"), instants)


def test_killed_operator_goes_on_from_the_status_and_every_action_takes_effect_at_most_once(
    scenario: Scenario,
    number: int,
    after: bool,
    shop: Shop,
    gatekeeper: Gatekeeper,
    receiver: HookReceiver,
    start_operator: StartOperator,
    tmp_path: Path,
    record_property: Callable[[str, Any], None],
) -> None:
    scenario.set_up(shop)
    through = gatekeeper.kubeconfig(shop.cluster.kubeconfig("operator"), tmp_path / "through")
    hook = f'{{"drain": {{"url": "{receiver.url}", "secret": "{SECRET}"}}}}'
    settings = {"kubeconfig": through, "webhooks": hook, "journal": str(tmp_path / "journal.jsonl"), **scenario.settings}
    mark = shop.cluster.audit_mark()
    first = start_operator(**settings)
    gatekeeper.stop_at(number, after=after, callback=first.kill)
    scenario.report(shop)
    approved = scenario.approved and number > 1
    if approved:
        _approve(shop)
    assert first.wait(60) == -9
    last = number == scenario.requests and after
    assert (shop.status("slow").get("phase") in lifecycle.TERMINAL) == last, "the scenario takes another number of requests"
    gatekeeper.let_pass()
    start_operator(**settings)
    if scenario.approved and not approved:
        _approve(shop)
    status = shop.wait_for_end("slow")
    effects = shop.effects(mark) + receiver.effects
    record_property("crash", [scenario.name, status["phase"], sum(effects.values()), max(effects.values())])
    assert status["phase"] == scenario.phase, status
    assert set(effects.values()) == {1}, effects
    assert len(effects) == scenario.effects


def _approve(shop: Shop) -> None:
    shop.wait_for_phase("slow", "AwaitingApproval", timeout=60)
    shop.decide("slow", "APPROVE", user="bob")


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
