"""The doorbell: which events wake whom. The handlers are called as plain functions; kopf returns them unchanged."""

from typing import Any

import kopf
import pytest

from safety_governor.api import group
from safety_governor.domain import lifecycle
from safety_governor.handlers import incidents
from safety_governor.handlers.supervisor import Supervisor


class Bell(Supervisor):
    """Keeps who was woken."""

    def __init__(self) -> None:
        self.woken: list[tuple[str, str]] = []
        self.namespaces: list[str] = []

    def wake(self, namespace: str, name: str) -> None:
        self.woken.append((namespace, name))

    def wake_namespace(self, namespace: str) -> None:
        self.namespaces.append(namespace)


class Ringing:
    """The registered handlers by id."""

    def __init__(self) -> None:
        self.bell = Bell()
        registry = kopf.OperatorRegistry()
        incidents.register(registry, self.bell)
        self.handlers = {str(one.id): one for one in registry._watching.get_all_handlers()}

    async def ring(self, handler: str, **event: Any) -> None:
        await self.handlers[handler].fn(**event)  # type: ignore[misc]


@pytest.fixture
def ringing() -> Ringing:
    return Ringing()


def test_exactly_two_resources_are_watched(ringing: Ringing) -> None:
    watched = {(one.selector.group, one.selector.version, one.selector.any_name) for one in ringing.handlers.values() if one.selector}
    assert watched == {
        (group.GROUP, group.VERSION, group.INCIDENTS),
        (group.GROUP, group.VERSION, group.REMEDIATION_POLICIES),
    }


@pytest.mark.parametrize("status", [{}, *({"phase": phase} for phase in sorted(set(lifecycle.Phase) - lifecycle.TERMINAL))])
async def test_incident_under_way_is_woken(status: dict[str, str], ringing: Ringing) -> None:
    await ringing.ring("incident-changed", name="slow", namespace="shop", status=status, type="MODIFIED", body={})
    assert ringing.bell.woken == [("shop", "slow")]


@pytest.mark.parametrize("phase", sorted(lifecycle.TERMINAL))
async def test_finished_incident_is_left_asleep(phase: str, ringing: Ringing) -> None:
    await ringing.ring("incident-changed", name="slow", namespace="shop", status={"phase": phase}, type=None)
    assert ringing.bell.woken == []


async def test_deleted_incident_is_woken_so_that_its_task_ends(ringing: Ringing) -> None:
    await ringing.ring("incident-changed", name="slow", namespace="shop", status={"phase": "Gated"}, type="DELETED")
    assert ringing.bell.woken == [("shop", "slow")]


def reported(*, uid: str = "uid-1", generation: int = 1, phase: str = "Gated", type: str | None = "MODIFIED") -> dict[str, Any]:  # noqa: A002
    meta = {"uid": uid, "generation": generation}
    return {"name": "slow", "namespace": "shop", "status": {"phase": phase}, "meta": meta, "type": type}


async def test_status_that_the_operator_itself_has_written_wakes_nobody(ringing: Ringing) -> None:
    for phase in ("Pending", "Gated", "Executing", "Resolved"):
        await ringing.ring("incident-changed", **reported(phase=phase))
    assert ringing.bell.woken == [("shop", "slow")]


@pytest.mark.parametrize(
    "events",
    [
        pytest.param([reported(), reported(generation=2)], id="a person has changed it"),
        pytest.param([reported(), reported(uid="uid-2")], id="another has taken its name"),
        pytest.param([reported(), reported(type="DELETED")], id="it was deleted"),
        pytest.param([reported(type="DELETED"), reported()], id="it was deleted and reported again"),
    ],
)
async def test_what_is_news_wakes_again(events: list[dict[str, Any]], ringing: Ringing) -> None:
    for event in events:
        await ringing.ring("incident-changed", **event)
    assert ringing.bell.woken == [("shop", "slow")] * 2


@pytest.mark.parametrize(("name", "namespace"), [(None, "shop"), ("slow", None)])
async def test_event_without_a_name_or_namespace_wakes_nobody(name: str | None, namespace: str | None, ringing: Ringing) -> None:
    await ringing.ring("incident-changed", name=name, namespace=namespace, status={})
    assert ringing.bell.woken == []


def changed(*, generation: int = 1, namespace: str | None = "shop", type: str | None = "MODIFIED") -> dict[str, Any]:  # noqa: A002
    return {"namespace": namespace, "name": "default", "meta": {"generation": generation}, "type": type}


async def test_changed_guardrails_wake_their_namespace(ringing: Ringing) -> None:
    await ringing.ring("guardrails-changed", **changed())
    await ringing.ring("guardrails-changed", **changed(generation=2))
    await ringing.ring("guardrails-changed", **changed(generation=2, type="DELETED"))
    assert ringing.bell.namespaces == ["shop", "shop", "shop"]


async def test_guardrails_that_only_show_something_else_wake_nobody(ringing: Ringing) -> None:
    await ringing.ring("guardrails-changed", **changed())
    await ringing.ring("guardrails-changed", **changed())
    assert ringing.bell.namespaces == ["shop"]


async def test_guardrails_that_are_created_again_wake_their_namespace(ringing: Ringing) -> None:
    for kind in ("ADDED", "DELETED", "ADDED"):
        await ringing.ring("guardrails-changed", **changed(type=kind))
    assert ringing.bell.namespaces == ["shop", "shop", "shop"]


async def test_changed_guardrails_of_no_namespace_wake_nobody(ringing: Ringing) -> None:
    await ringing.ring("guardrails-changed", **changed(namespace=None))
    assert ringing.bell.namespaces == []
