"""A shop of its own for every test, and an operator process that attends only that shop, or one for all shops of a file."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.knowledge import load
from support.operator_process import OperatorProcess, StartOperator
from support.shop import Shop
from testbed import ControlPlane

KNOWLEDGE = Path(__file__).parent / "knowledge"


@pytest.fixture
def shop(cluster: ControlPlane) -> Iterator[Shop]:
    """A namespace that has opted in."""
    shop = Shop(cluster)
    yield shop
    shop.remove_node()


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A store with what the tests know."""
    path = tmp_path / "knowledge.db"
    load(path, KNOWLEDGE)
    return path


@pytest.fixture
def start_operator(cluster: ControlPlane, shop: Shop, store: Path, tmp_path: Path) -> Iterator[StartOperator]:
    """Starts operators that attend the shop; they share a Lease of their own, and are gone at the end of the test."""
    started: list[OperatorProcess] = []

    def start(*, kubeconfig: Path | None = None, **settings: str) -> OperatorProcess:
        defaults = {"watch_namespace": shop.namespace, "lease": f"operator-{shop.namespace}", "lease_duration": "PT3S"}
        operator = OperatorProcess(
            kubeconfig=kubeconfig or cluster.kubeconfig("operator"),
            store=store,
            log=tmp_path / f"operator-{len(started)}.log",
            **{**defaults, **settings},
        )
        operator.start()
        started.append(operator)
        return operator

    yield start
    for operator in started:
        if operator.is_running:
            operator.kill()


@pytest.fixture
def operator(start_operator: StartOperator) -> OperatorProcess:
    """An operator with the default settings."""
    return start_operator()


@pytest.fixture(scope="module")
def start_for_all(cluster: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[StartOperator]:
    """Starts the operator of a whole file: it attends every namespace, and no ceiling of the cluster is in the way of its many tests."""
    folder = tmp_path_factory.mktemp("operator")
    load(folder / "knowledge.db", KNOWLEDGE)
    started: list[OperatorProcess] = []

    def start(**settings: str) -> OperatorProcess:
        ceilings = {f"ceilings__actions_per_hour__{one}": "1000" for one in ("target", "namespace", "cluster")}
        operator = OperatorProcess(
            kubeconfig=cluster.kubeconfig("operator"),
            store=folder / "knowledge.db",
            log=folder / f"operator-{len(started)}.log",
            **{"lease": folder.name, "lease_duration": "PT3S", "ceilings__targets_per_hour": "1000", **ceilings, **settings},
        )
        operator.start()
        started.append(operator)
        return operator

    yield start
    for operator in started:
        if operator.is_running:
            operator.kill()
