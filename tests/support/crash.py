"""What the crash enumeration plays: for every kind of action and outcome an incident, and how many requests it takes to its end."""

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from safety_governor.domain import lifecycle
from support.shop import Shop

CRASHING = "crash-loop"


def _deploy(shop: Shop, scenario: "Scenario") -> None:
    shop.deploy(scenario.service)


def _deploy_twice(shop: Shop, scenario: "Scenario") -> None:
    """There is a revision to go back to."""
    shop.deploy(scenario.service, image="registry.example/app:0")
    shop.deploy(scenario.service)


def _deploy_after_a_bad_one(shop: Shop, scenario: "Scenario") -> None:
    """The revision to go back to crash-loops."""
    shop.deploy(scenario.service, behaviour=CRASHING, replicas=1)
    shop.deploy(scenario.service, replicas=1)


def _deploy_slow(shop: Shop, scenario: "Scenario") -> None:
    shop.deploy(scenario.service, behaviour="never-ready", replicas=1)


def _add_node(shop: Shop, scenario: "Scenario", *, cordoned: bool = False) -> None:
    """A node of its own, on which nothing runs; kwok has it ready in a moment."""
    body = {"metadata": {"name": shop.node, "annotations": {"kwok.x-k8s.io/node": "fake"}}, "spec": {"unschedulable": cordoned}}
    status, answer = shop.cluster.request("POST", "/api/v1/nodes", body)
    assert status == 201, answer
    binding = {
        "metadata": {"name": f"executor-nodes-{shop.namespace}"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "governor-executor-nodes"},
        "subjects": [{"kind": "ServiceAccount", "name": "governor-executor", "namespace": shop.namespace}],
    }
    status, answer = shop.cluster.request("POST", "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", binding)
    assert status == 201, answer


def _add_cordoned_node(shop: Shop, scenario: "Scenario") -> None:
    _add_node(shop, scenario, cordoned=True)


def _deploy_with_template(shop: Shop, scenario: "Scenario") -> None:
    shop.deploy(scenario.service)
    job = {"template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "tidy", "image": "registry.example/tidy:1"}]}}}
    cron = {"schedule": "0 0 1 1 *", "suspend": True, "jobTemplate": {"spec": job}}
    body = {"apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": "tidy"}, "spec": cron}
    shop.create(json.dumps(body))


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """One incident to its end."""

    name: str
    steps: tuple[Mapping[str, Any], ...]
    requests: int
    """So many mutating requests does the operator send from the report to the end."""
    effects: int
    """So many of them change something other than the incident."""
    acts: tuple[int, ...] = (2,)
    """Which of the requests these are; around them the instants are that matter most."""
    phase: str = "Resolved"
    prepare: Callable[[Shop, "Scenario"], None] = _deploy
    rules: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, str] = field(default_factory=dict)
    approved: bool = False
    on_node: bool = False

    @property
    def service(self) -> str:
        return f"svc-{self.name}"

    def documents(self) -> list[dict[str, Any]]:
        """A runbook with its steps, and evidence for or against its claims."""
        claims = [f"The workers of {self.service} hang", f"The queue of {self.service} grows"]
        stance = "contradicts" if self.approved else "supports"
        runbook = {
            "kind": "Runbook",
            "id": f"rb-{self.name}",
            "service": self.service,
            "title": "Workers hang",
            "recommended_action": f"heal-{self.name}",
            "remediations": [{"action": f"heal-{self.name}", "steps": list(self.steps)}],
            "claims": claims,
        }
        evidence = [
            {"kind": "Evidence", "id": f"ev-{self.name}-{number}", "service": self.service, "stance": stance, "text": claim}
            for number, claim in enumerate(claims)
        ]
        return [runbook, *evidence]

    def set_up(self, shop: Shop) -> None:
        """The target, and a policy that allows what the scenario does."""
        allowed = sorted({step["type"] for step in self.steps})
        policy = f"{shop.path('RemediationPolicy')}/default"
        status, answer = shop.cluster.request("PATCH", policy, {"spec": {"allowedActions": allowed, **self.rules}})
        assert status == 200, answer
        self.prepare(shop, self)

    def report(self, shop: Shop) -> None:
        """The incident."""
        target = {"kind": "Node", "name": shop.node} if self.on_node else {"kind": "Deployment", "name": self.service}
        shop.report("slow", service=self.service, summary=f"The workers of {self.service} hang, its queue grows", target=target)


SCENARIOS = (
    Scenario(name="restart", steps=({"type": "RolloutRestart"},), requests=3, effects=1),
    Scenario(name="restart-approved", steps=({"type": "RolloutRestart"},), requests=4, effects=1, acts=(3,), approved=True),
    Scenario(
        name="restart-inconclusive",
        steps=({"type": "RolloutRestart"},),
        requests=3,
        effects=1,
        prepare=_deploy_slow,
        phase="Indeterminate",
        settings={"verify_timeout": "PT2S"},
    ),
    Scenario(name="scale", steps=({"type": "Scale", "parameters": {"replicas": "3"}},), requests=3, effects=1),
    Scenario(name="undo", steps=({"type": "RolloutUndo"},), requests=3, effects=1, prepare=_deploy_twice),
    Scenario(
        name="undo-regressed",
        steps=({"type": "RolloutUndo"},),
        requests=5,
        effects=2,
        acts=(2, 4),
        prepare=_deploy_after_a_bad_one,
        phase="RolledBack",
    ),
    Scenario(
        name="evict", steps=({"type": "EvictPods", "parameters": {"which": "oldest", "most": "2"}},), requests=4, effects=2, acts=(2, 3)
    ),
    Scenario(name="cordon", steps=({"type": "Cordon"},), requests=3, effects=1, prepare=_add_node, on_node=True),
    Scenario(name="uncordon", steps=({"type": "Uncordon"},), requests=3, effects=1, prepare=_add_cordoned_node, on_node=True),
    Scenario(
        name="job",
        steps=({"type": "RunJob", "parameters": {"template": "tidy"}},),
        requests=4,
        effects=1,
        prepare=_deploy_with_template,
        rules={"jobTemplates": ["tidy"]},
    ),
    Scenario(
        name="patch",
        steps=({"type": "PatchFields", "parameters": {"path": "spec.minReadySeconds", "value": "1"}},),
        requests=3,
        effects=1,
        rules={"patchable": [{"kind": "Deployment", "path": "spec.minReadySeconds"}]},
    ),
    Scenario(
        name="webhook",
        steps=({"type": "Webhook", "parameters": {"webhook": "drain"}},),
        requests=3,
        effects=1,
        rules={"webhooks": ["drain"]},
    ),
    Scenario(
        name="two-steps",
        steps=({"type": "Scale", "parameters": {"replicas": "3"}}, {"type": "RolloutRestart"}),
        requests=5,
        effects=2,
        acts=(2, 4),
    ),
)


def write_knowledge(folder: Path) -> Path:
    """The documents of all scenarios as a file."""
    file = folder / "crash.json"
    file.write_text(json.dumps([one for scenario in SCENARIOS for one in scenario.documents()]))
    return file


def table(rows: Sequence[Sequence[Any]]) -> list[str]:
    """What became of the runs, scenario by scenario: each row is scenario, phase at the end, effects, and the most of one key."""
    lines = [f"{'SCENARIO':<22}{'RUNS':>6}{'EFFECTS':>9}{'MOST OF ONE KEY':>17}{'LOST':>6}  ENDED"]
    for scenario in SCENARIOS:
        own = [row for row in rows if row[0] == scenario.name]
        if own:
            ended = Counter(row[1] for row in own)
            gone = sum(count for phase, count in ended.items() if phase not in lifecycle.TERMINAL)
            told = ", ".join(f"{phase} x{count}" for phase, count in sorted(ended.items()))
            effects, most = sum(row[2] for row in own), max(row[3] for row in own)
            lines.append(f"{scenario.name:<22}{len(own):>6}{effects:>9}{most:>17}{gone:>6}  {told}")
    lost = sum(row[1] not in lifecycle.TERMINAL for row in rows)
    indeterminate = sum(row[1] == lifecycle.Phase.INDETERMINATE for row in rows)
    lines.append(
        f"{'all':<22}{len(rows):>6}{sum(row[2] for row in rows):>9}{max(row[3] for row in rows):>17}{lost:>6}  {indeterminate} indeterminate"
    )
    return lines
