"""Many incidents at once: the budget is kept to the last action, nobody is lost, and the operator stays small."""

import re
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from support.operator_process import StartOperator
from support.shop import Shop

pytestmark = pytest.mark.crash

SUMMARY = "The workers hang and the queue grows"
INCIDENTS, TARGETS, BUDGET = 200, 10, 5
MEGABYTE = 1024


def report(shop: Shop, incident: str, *, name: str = "web") -> None:
    shop.report(incident, service="restart", summary=SUMMARY, target={"kind": "Deployment", "name": name})


def statuses(shop: Shop, selector: str = "") -> list[dict[str, Any]]:
    code, answer = shop.cluster.request("GET", f"{shop.incidents}?limit=1000&fieldSelector={selector}")
    assert code == 200, answer
    return [one.get("status", {}) for one in answer["items"]]


def wait_until_settled(shop: Shop, *, resolved: int) -> Counter[str]:
    """So many have ended and every other one knows until when it waits. Asked for sparingly, as all of it goes into the audit log."""

    def settled() -> bool:
        time.sleep(0.5)
        if statuses(shop, "status.phase!=Gated,status.phase!=Resolved") or len(statuses(shop, "status.phase=Resolved")) != resolved:
            return False
        return all(one["execution"].get("heldUntil") for one in statuses(shop, "status.phase=Gated"))

    shop.wait_until(settled, f"{resolved} incidents to be resolved and the others to be held", timeout=150)
    return Counter(one["phase"] for one in statuses(shop))


def peak_of_memory(pid: int) -> int:
    """In kilobytes."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found is not None
    return int(found[1])


def seconds_of_processor(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


@pytest.mark.thorough
@pytest.mark.timeout(300)
def test_storm_spends_the_budget_to_the_last_action_and_holds_the_rest(shop: Shop, start_operator: StartOperator) -> None:
    names = [f"web-{number}" for number in range(TARGETS)]
    for name in names:
        shop.deploy(name)
    shop.allow("RolloutRestart", actionsPerHour={"namespace": BUDGET})
    operator = start_operator()
    operator.wait_until_said("at work now")
    mark = shop.cluster.audit_mark()
    began = datetime.now(UTC)
    for number in range(INCIDENTS):
        report(shop, f"hang-{number}", name=names[number % TARGETS])
    assert wait_until_settled(shop, resolved=BUDGET) == {"Resolved": BUDGET, "Gated": INCIDENTS - BUDGET}
    acts = shop.acts(mark)
    assert len(acts) == len({one.key for one in acts}) == BUDGET
    held = [one["execution"] for one in statuses(shop, "status.phase=Gated")]
    assert all(f"{BUDGET} of {BUDGET} actions in namespace {shop.namespace} in the last hour" in one["heldBecause"] for one in held)
    frees = {datetime.fromisoformat(one["heldUntil"]) for one in held}
    assert began + timedelta(minutes=59) < min(frees) <= max(frees) < datetime.now(UTC) + timedelta(hours=1)
    writes = Counter(one["objectRef"]["name"] for one in shop.writes(mark) if one["objectRef"]["resource"] == "incidents")
    assert max(writes.values()) <= 6, writes.most_common(5)

    shop.allow("RolloutRestart", actionsPerHour={"namespace": BUDGET + 3})
    assert wait_until_settled(shop, resolved=BUDGET + 3) == {"Resolved": BUDGET + 3, "Gated": INCIDENTS - BUDGET - 3}
    acts = shop.acts(mark)
    assert len(acts) == len({one.key for one in acts}) == BUDGET + 3
    assert peak_of_memory(operator.pid) < 300 * MEGABYTE
    assert seconds_of_processor(operator.pid) < INCIDENTS * 0.4


def test_two_incidents_about_one_target_take_turns_and_the_second_is_planned_from_the_present(
    shop: Shop, start_operator: StartOperator
) -> None:
    shop.deploy("web")
    shop.allow("RolloutRestart", verification={"soakSeconds": 3})
    start_operator().wait_until_said("at work now")
    mark = shop.cluster.audit_mark()
    for incident in ("first", "second"):
        report(shop, incident)
    waiting = shop.wait_for("second", lambda now: "gate" in now, "to be gated")
    other = shop.wait_for("first", lambda now: "gate" in now, "to be gated")
    planned = {"first": other["gate"]["planDigest"], "second": waiting["gate"]["planDigest"]}
    ended = {incident: shop.wait_for_end(incident) for incident in ("first", "second")}
    assert {one["phase"] for one in ended.values()} == {"Resolved"}
    earlier, later = sorted(ended, key=lambda incident: str(ended[incident]["execution"]["actions"][0]["claimedAt"]))
    (done,), (begun,) = (ended[incident]["execution"]["actions"] for incident in (earlier, later))
    assert datetime.fromisoformat(begun["claimedAt"]) >= datetime.fromisoformat(done["doneAt"]).replace(microsecond=0)
    assert begun["before"]["templateHash"] == done["after"]["templateHash"]
    assert ended[later]["gate"]["planDigest"] != planned[later]
    assert ended[earlier]["gate"]["planDigest"] == planned[earlier]
    assert [one.key for one in shop.acts(mark)] == [done["key"], begun["key"]]
