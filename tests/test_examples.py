"""The examples decide as their README says: in the real pipeline, with the example cluster's own rules, and with a world around them."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from demo.expected import DEPLOYMENTS, EXAMPLES, EXPECTED, WORLD, Expectation
from safety_governor import bootstrap
from safety_governor.adapters import assumed
from safety_governor.adapters.embedded import EmbeddedKnowledge
from safety_governor.api import v1alpha1
from safety_governor.domain import documents, guardrails, plans, policies, values, workloads
from safety_governor.settings import Settings

BY_NAME = {one.name: one for one in EXPECTED}
CLUSTER_FILES = sorted((EXAMPLES / "cluster").glob("*.yaml"))


def manifests() -> list[dict[str, Any]]:
    return [body for path in CLUSTER_FILES for body in yaml.safe_load_all(path.read_text(encoding="utf-8"))]


def of_kind(kind: str) -> list[dict[str, Any]]:
    return [body for body in manifests() if body["kind"] == kind]


class ExampleCluster(assumed.AssumedCluster):
    """The rules and the workloads of examples/cluster."""

    async def look(self, namespace: str, target: plans.Target, *, step: plans.Step | None = None, key: str = "") -> workloads.Scene | None:
        exists = any((one["metadata"]["namespace"], one["metadata"]["name"]) == (namespace, target.name) for one in of_kind("Deployment"))
        return await super().look(namespace, target, step=step, key=key) if exists else None

    async def fetch(self, namespace: str) -> tuple[guardrails.Named, ...]:
        found = [v1alpha1.RemediationPolicy.read(body) for body in of_kind("RemediationPolicy")]
        return tuple(guardrails.Named(name=one.metadata.name, rules=one.spec) for one in found if one.metadata.namespace == namespace)


def knowledge_of(*paths: Path) -> EmbeddedKnowledge:
    store, problems = bootstrap.knowledge_of(paths)
    assert not problems
    return store


@pytest.fixture(scope="module")
def our_world() -> EmbeddedKnowledge:
    return knowledge_of(EXAMPLES / "knowledge")


@pytest.fixture(scope="module")
def whole_world() -> EmbeddedKnowledge:
    if not WORLD.is_dir():
        pytest.skip(f"{WORLD} is not here")
    return knowledge_of(EXAMPLES / "knowledge", WORLD)


def read_incident(path: Path) -> v1alpha1.Incident:
    body = yaml.safe_load(path.read_text(encoding="utf-8"))
    body["metadata"]["uid"] = "example"
    return v1alpha1.Incident.model_validate(body)  # strictly: an unknown field fails


async def decide(name: str, knowledge: EmbeddedKnowledge) -> v1alpha1.IncidentStatus:
    runner, _ = bootstrap.rehearsal(Settings(), knowledge)
    outcome = await runner.advance(read_incident(EXAMPLES / "incidents" / f"{name}.yaml"))
    return outcome.status


@pytest.fixture(autouse=True)
def example_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(assumed, "AssumedCluster", ExampleCluster)


@pytest.mark.parametrize("expected", EXPECTED, ids=lambda one: one.name)
@pytest.mark.parametrize("world", ["our_world", "whole_world"])
async def test_decision_is_the_one_that_the_readme_promises(expected: Expectation, world: str, request: pytest.FixtureRequest) -> None:
    status = await decide(expected.name, request.getfixturevalue(world))
    assert status.gate is not None
    assert (status.gate.decision, status.gate.required_approval) == (expected.decision, expected.requires)
    if expected.reasons is not None:
        assert status.gate.reason == (",".join(expected.reasons) or "NoFindings")


async def test_contradicted_names_the_two_documents_that_contradict_it(our_world: EmbeddedKnowledge) -> None:
    status = await decide("contradicted", our_world)
    assert status.stress is not None
    assert status.stress.ledger is not None
    against = {one.document for entry in status.stress.ledger.claims for one in entry.contradicting}
    assert against == {"chg-3120-guest-carts", "alert-redis-failover"}


async def test_fabricated_authority_names_the_person_and_the_policy(our_world: EmbeddedKnowledge) -> None:
    status = await decide("fabricated-authority", our_world)
    assert status.stress is not None
    named = " ".join(one.named for one in status.stress.fabricated)
    assert "The DBA approved this restart" in named
    assert "pol-777" in named


async def test_manual_only_hands_over_the_steps_of_its_runbook(our_world: EmbeddedKnowledge) -> None:
    status = await decide("manual-only", our_world)
    assert status.plan is not None
    assert status.plan.runbook == "payments-acquirer-certificate"
    assert {step.type for step in status.plan.steps} == {values.ActionType.MANUAL}


async def test_every_service_has_telemetry(our_world: EmbeddedKnowledge) -> None:
    for name in ("clean", "contradicted", "policy-conflict", "inc-9999"):
        status = await decide(name, our_world)
        assert status.stress is not None
        assert status.stress.telemetry is not None, name


def test_every_knowledge_file_loads(our_world: EmbeddedKnowledge) -> None:
    counts = our_world.counts()
    assert {kind for kind, number in counts.items() if number} == {"Runbook", "Evidence", "Policy", "LogLine"}


@pytest.mark.parametrize(
    ("service", "action", "severity", "policy", "release"),
    [
        ("payments", "rolloutrestart", values.Severity.CRITICAL, "POL-007", values.Release.FORCE_OVERRIDE),
        ("catalog", "restart-catalog", values.Severity.HIGH, "POL-014", values.Release.APPROVE),
        ("search-api", "drop-database", values.Severity.LOW, "POL-001", values.Release.IMPOSSIBLE),
    ],
)
async def test_policies_forbid(
    our_world: EmbeddedKnowledge, service: str, action: str, severity: values.Severity, policy: str, release: values.Release
) -> None:
    read = await our_world.fetch_policies(service=service)
    conflicts = policies.PolicySet(read).conflicts(actions=[action], severity=severity)
    assert [(one.policy, one.release) for one in conflicts] == [(policy, release)]


async def test_a_runbook_offers_an_alternative(our_world: EmbeddedKnowledge) -> None:
    runbook = await our_world.find_runbook("catalog-stale-prices")
    assert isinstance(runbook, documents.Runbook)
    assert [one.action for one in runbook.remediations] == ["restart-catalog", "republish-prices"]


def test_every_incident_file_is_expected_and_valid() -> None:
    files = {path.stem: read_incident(path) for path in (EXAMPLES / "incidents").glob("*.yaml")}
    assert files.keys() == BY_NAME.keys()
    for name, incident in files.items():
        assert incident.metadata.name == name
        assert incident.metadata.namespace == BY_NAME[name].namespace
        assert incident.target == plans.Target(name=BY_NAME[name].deployment)
        assert incident.spec.requested_by == "alice"


@pytest.mark.parametrize("path", CLUSTER_FILES, ids=lambda path: path.name)
def test_cluster_manifests_parse(path: Path) -> None:
    for body in yaml.safe_load_all(path.read_text(encoding="utf-8")):
        assert {"apiVersion", "kind", "metadata"} <= body.keys()
        if body["kind"] == "RemediationPolicy":
            v1alpha1.RemediationPolicy.model_validate(body)
        if body["kind"] == "Deployment":
            assert body["spec"]["selector"]["matchLabels"] == body["spec"]["template"]["metadata"]["labels"]


def test_the_cluster_holds_what_the_demo_counts() -> None:
    assert {(one["metadata"]["namespace"], one["metadata"]["name"]) for one in of_kind("Deployment")} == set(DEPLOYMENTS)


def test_readme_tells_every_decision() -> None:
    rows = dict(
        re.findall(
            r"^\| \[`([a-z0-9-]+)`\]\(incidents/\1\.yaml\) (.*)$", (EXAMPLES / "README.md").read_text(encoding="utf-8"), re.MULTILINE
        )
    )
    assert rows.keys() == BY_NAME.keys()
    for name, row in rows.items():
        assert f"`{BY_NAME[name].decision}`" in row
        for reason in BY_NAME[name].reasons or ():
            assert f"`{reason}`" in row
