"""`safety-governor why`: the decision told from the resource alone, and what is said when there is none."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from safety_governor.api import progress
from safety_governor.cli import main
from support.builders import CONTRADICTIONS, LEAK, POOL, World, evidence


def why(*arguments: str, stdin: str = "", **environment: str) -> tuple[int, str]:
    done = CliRunner(env={"NO_COLOR": "1", "COLUMNS": "200", **environment}).invoke(
        main.group, ["why", *arguments], input=stdin, prog_name="safety-governor"
    )
    return done.exit_code, done.output


def a_resource(world: World | None = None, **spec: Any) -> dict[str, Any]:
    """An incident as kubectl prints it, after one pass."""
    world = world or World()

    async def gated() -> None:
        world.report(**spec)
        await world.step()

    asyncio.run(gated())
    status = progress.described(world.incident, world.status, now=world.clock.now())
    body: dict[str, Any] = world.incident.model_copy(update={"status": status}).model_dump(mode="json", exclude_none=True)
    body["metadata"]["annotations"] = {"kubectl.kubernetes.io/last-applied-configuration": "{}"}
    return body


@pytest.fixture
def contradicted() -> dict[str, Any]:
    world = World()
    world.knowledge.put(*CONTRADICTIONS)
    return a_resource(world)


@pytest.mark.parametrize("write", [json.dumps, yaml.safe_dump], ids=["JSON", "YAML"])
def test_resource_on_standard_input_is_told(write: Any, contradicted: dict[str, Any]) -> None:
    code, output = why("-", stdin=write(contradicted))
    assert code == 0
    assert "block_and_escalate" in output
    assert "ContradictionsReached  measured 2, allowed < 2" in output
    assert "released by APPROVE" in output


def test_evidence_is_told_with_the_documents_for_and_against(contradicted: dict[str, Any]) -> None:
    _, output = why("-", stdin=json.dumps(contradicted))
    told = " ".join(output.split())
    assert f"claim {POOL}" in told
    assert f"claim {LEAK}" in told
    assert "for ev-1" in told
    assert "against ev-against-pool" in told


def test_person_is_told_how_to_decide_and_until_when(contradicted: dict[str, Any]) -> None:
    _, output = why("-", stdin=json.dumps(contradicted))
    assert "kubectl -n shop patch incident slow --type=merge" in output
    assert contradicted["status"]["gate"]["planDigest"] in output
    assert contradicted["status"]["gate"]["expiresAt"] in output


def test_incident_that_needs_nobody_is_told_so() -> None:
    code, output = why("-", stdin=json.dumps(a_resource()))
    assert code == 0
    assert "no check fired" in output
    assert "kubectl -n" not in output


def test_incident_that_was_not_looked_at_yet_is_told_so() -> None:
    body = a_resource()
    del body["status"]
    code, output = why("-", stdin=json.dumps(body))
    assert code == 0
    assert "not made yet" in output
    assert "has not decided yet" in output


@pytest.mark.parametrize("text", ["[red]not red[/red]", "[/]", "[link=https://evil.example]x[/link]"])
def test_text_of_an_incident_is_told_as_it_is(text: str) -> None:
    code, output = why("-", stdin=json.dumps(a_resource(summary=f"The pool is exhausted {text}")))
    assert code == 0
    assert text in output


@pytest.mark.parametrize("obeyed", ["\x1b[2J", "\x1b]0;approved\x07", "\x9b2J", "\r", "\u202e", "\x08"])
def test_terminal_obeys_nothing_that_an_incident_says(obeyed: str) -> None:
    world = World()
    world.knowledge.put(evidence("ev-1", f"{POOL} {obeyed} as it was"))
    code, output = why("-", stdin=json.dumps(a_resource(world, summary=f"The pool is exhausted {obeyed}", symptoms=(obeyed,))))
    assert code == 0
    assert not set(obeyed[:1]) & set(output)


def test_json_is_the_status_and_nothing_else(contradicted: dict[str, Any]) -> None:
    code, output = why("-", "-o", "json", stdin=json.dumps(contradicted))
    assert code == 0
    assert json.loads(output)["gate"] == contradicted["status"]["gate"]


UNREADABLE: dict[str, tuple[str, str]] = {
    "nothing": ("", "standard input is not one Incident"),
    "prose": ("please explain", "standard input is not one Incident"),
    "a list": ("kind: List\nitems: []\n", "standard input is not one Incident; try `kubectl get incident NAME -o yaml"),
    "another kind": ("kind: Pod\nmetadata: {name: x, namespace: y}\n", "standard input is not one Incident"),
    "broken YAML": ("kind: [Incident", "standard input is not YAML"),
    "an incident without a summary": (
        "kind: Incident\nmetadata: {name: x, namespace: y}\nspec: {service: a, severity: low}\n",
        "standard input is not an Incident: spec.summary: Field required",
    ),
    "a wrong severity": (
        "kind: Incident\nmetadata: {name: x, namespace: y}\nspec: {service: a, severity: urgent, summary: b}\n",
        "standard input is not an Incident: spec.severity: Input should be 'low', 'medium', 'high' or 'critical'",
    ),
}


@pytest.mark.parametrize(("stdin", "sentence"), UNREADABLE.values(), ids=UNREADABLE.keys())
def test_standard_input_is_refused_when_it_is(stdin: str, sentence: str) -> None:
    code, output = why("-", stdin=stdin)
    assert code == 1
    assert output.startswith(f"safety-governor why: {sentence}")
    assert "pydantic" not in output


@pytest.mark.parametrize("reference", ["slow", "/slow", "shop/", "/", ""])
def test_reference_that_is_none_is_refused_with_an_example(reference: str) -> None:
    code, output = why(reference)
    assert code == 1
    assert output == f"safety-governor why: {reference!r} is not NAMESPACE/NAME, for example shop/payments-slow\n"


@pytest.mark.parametrize("reference", ["[red]a/b", "a/[/red]"])
def test_reference_is_never_taken_for_markup(reference: str, tmp_path: Path) -> None:
    (tmp_path / "config").write_text("{}")
    code, output = why(reference, "--kubeconfig", str(tmp_path / "config"))
    assert code == 1
    assert "safety-governor why: no connection to a cluster" in output


def test_cluster_that_does_not_answer_is_named(tmp_path: Path) -> None:
    cluster = {"clusters": [{"name": "a", "cluster": {"server": "http://127.0.0.1:1"}}], "users": [{"name": "a", "user": {"token": "t"}}]}
    contexts = {"contexts": [{"name": "a", "context": {"cluster": "a", "user": "a"}}], "current-context": "a"}
    (tmp_path / "config").write_text(yaml.safe_dump({**cluster, **contexts}))
    code, output = why("shop/slow", "--kubeconfig", str(tmp_path / "config"))
    assert code == 1
    assert "the API server does not answer" in output
    assert len(output.splitlines()) == 1


def test_configuration_that_is_not_there_is_named_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    code, output = why("shop/slow", "--kubeconfig", str(tmp_path / "nowhere"))
    assert code == 1
    assert output.startswith(f"safety-governor why: no connection to a cluster: there is no file {tmp_path / 'nowhere'}. Set KUBECONFIG")
    assert caplog.records == [], "the library says nothing of its own"
