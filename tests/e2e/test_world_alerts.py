"""Incidents made from real alerts, over the world's runbooks, decided by the operator on the real API server."""

import csv
import json
from collections import Counter
from pathlib import Path

import pytest

from support.knowledge import load
from support.operator_process import StartOperator
from support.shop import Shop
from testbed import wait_until

DATA = Path(__file__).parents[3] / "shared" / "data"


@pytest.mark.skipif(not DATA.is_dir(), reason="the world's runbooks are not beside this checkout")
def test_alerts_of_the_world_get_their_runbook_and_are_handed_over(shop: Shop, store: Path, start_operator: StartOperator) -> None:
    with (DATA / "alert_runbook_pairs.tsv").open() as file:
        pairs = list(csv.DictReader(file, delimiter="\t"))
    load(store, DATA / "runbooks")
    start_operator()
    manifests = [
        {
            "apiVersion": "safetygovernor.io/v1alpha1",
            "kind": "Incident",
            "metadata": {"name": f"alert-{number:02}", "namespace": shop.namespace},
            "spec": {
                "service": "platform",
                "severity": "medium",
                "summary": pair["query"],
                "requestedBy": "alice",
                "source": {"kind": "Alertmanager"},
            },
        }
        for number, pair in enumerate(pairs)
    ]
    shop.kubectl("apply", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": manifests}))

    def finished() -> list[dict[str, dict[str, dict[str, str]]]] | None:
        items = json.loads(shop.kubectl("get", "incidents", "-o", "json"))["items"]
        done = [item for item in items if item.get("status", {}).get("phase") in ("HandedOver", "Blocked", "AwaitingApproval", "Failed")]
        return done if len(done) == len(pairs) else None

    items = wait_until(finished, 60, "every alert to be decided")
    assert items is not None
    decisions = Counter(item["status"]["gate"]["decision"] for item in items)
    wanted = [pair["relevant_runbook"].removesuffix(".md") for pair in pairs]
    got = [item["status"]["plan"].get("runbook") for item in sorted(items, key=lambda one: str(one["metadata"]["name"]))]
    right = sum(one == other for one, other in zip(wanted, got, strict=True))
    print(f"\n{right} of {len(pairs)} alerts got the right runbook; decisions: {dict(decisions)}")
    print(shop.kubectl("get", "incidents"))
    for want, have in zip(wanted, got, strict=True):
        if want != have:
            print(f"wanted {want}, got {have}")
    assert right >= 0.9 * len(pairs)
    # A plain runbook has no typed steps: whatever fits, it is for people to carry out.
    assert decisions == {"hand_over": len(pairs)}
