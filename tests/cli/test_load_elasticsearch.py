"""`load` and `try` with Elasticsearch in place of the embedded store, as people use them: through the environment."""

import io
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from click.testing import CliRunner
from elasticsearch import Elasticsearch
from rich.console import Console

from safety_governor.adapters import document_files
from safety_governor.adapters.embedded import EmbeddedKnowledge
from safety_governor.cli import load, main
from safety_governor.domain import documents, errors
from support.elastic import connection
from support.ports import free_port

pytestmark = pytest.mark.timeout(300)

EXAMPLES = Path(__file__).parents[2] / "examples"
Run = Callable[..., tuple[int, str]]


@pytest.fixture
def run(elasticsearch_url: str, tmp_path: Path) -> Iterator[Run]:
    """The command with indices of its own."""
    indices = connection(elasticsearch_url).indices.model_dump()
    named = {f"GOVERNOR_ELASTICSEARCH__INDICES__{key.upper()}": name for key, name in indices.items()}
    environment = {"ELASTICSEARCH_URL": elasticsearch_url, "GOVERNOR_ELASTICSEARCH__ANALYZER": "standard", **named}

    def invoke(*arguments: str | Path, **others: str) -> tuple[int, str]:
        runner = CliRunner(env={"NO_COLOR": "1", "COLUMNS": "200", "XDG_DATA_HOME": str(tmp_path), **environment, **others})
        done = runner.invoke(main.group, [str(one) for one in arguments], prog_name="safety-governor")
        return done.exit_code, done.output

    yield invoke
    with Elasticsearch(elasticsearch_url) as client:
        client.indices.delete(index=list(indices.values()), ignore_unavailable=True)


def test_documents_go_to_elasticsearch_and_nothing_into_a_file(run: Run, tmp_path: Path) -> None:
    code, said = run("load", EXAMPLES / "knowledge" / "policies", EXAMPLES / "knowledge" / "runbooks")
    assert code == 0
    assert "shop.yaml" in said and "3 policies added" in said
    assert said.splitlines()[-1].startswith("Loaded. Elasticsearch at http")
    assert said.splitlines()[-1].endswith(" now holds 7 runbooks, 0 evidence, 3 policies, 0 log lines.")
    assert list(tmp_path.iterdir()) == []
    code, said = run("load", EXAMPLES / "knowledge" / "policies", EXAMPLES / "knowledge" / "runbooks")
    assert (code, said.splitlines()[-1].split(".")[0]) == (0, "Nothing changed")


def test_analyzer_that_the_cluster_lacks_is_said_with_the_setting(run: Run) -> None:
    code, said = run("load", EXAMPLES / "knowledge" / "policies", GOVERNOR_ELASTICSEARCH__ANALYZER="klingon")
    assert code == 1
    assert "has no analyzer klingon" in said
    assert "name one that it has in GOVERNOR_ELASTICSEARCH__ANALYZER, such as standard" in said


def test_closed_index_is_said_to_be_closed(run: Run, elasticsearch_url: str) -> None:
    index = connection(elasticsearch_url).indices.policies
    own = {"GOVERNOR_ELASTICSEARCH__INDICES__POLICIES": index}
    assert run("load", EXAMPLES / "knowledge" / "policies", **own)[0] == 0
    with Elasticsearch(elasticsearch_url) as client:
        try:
            client.indices.close(index=index)
            code, said = run("load", EXAMPLES / "knowledge" / "policies", **own)
        finally:
            client.indices.delete(index=index)
    assert code == 1
    assert f"has closed {index}" in said
    assert "open it again" in said


def test_only_times_are_written_anew(run: Run) -> None:
    assert run("load", EXAMPLES / "knowledge")[0] == 0
    code, said = run("load", EXAMPLES / "knowledge")
    assert code == 0
    assert "15 log lines written anew" in said
    assert "Nothing changed but the times of 44 log lines, which are given as minutes ago." in said


def test_incident_is_decided_alike_from_either_store(run: Run, tmp_path: Path) -> None:
    incident = EXAMPLES / "incidents" / "contradicted.yaml"
    kept = tmp_path / "knowledge.db"
    # Read once: the log lines of the examples are as old as the moment in which they are loaded says.
    assert run("load", EXAMPLES / "knowledge")[0] == 0
    assert run("load", EXAMPLES / "knowledge", "--store", kept)[0] == 0
    code, there = run("try", incident, "-o", "json")
    embedded_code, here = run("try", incident, "-o", "json", "--store", kept)
    assert code == embedded_code == 3
    (ours,), (theirs,) = json.loads(there), json.loads(here)
    assert ours["plan"] == theirs["plan"]
    assert [one["check"] for one in ours["gate"]["findings"]] == [one["check"] for one in theirs["gate"]["findings"]]


def test_cluster_that_cannot_be_reached_is_said_and_nothing_loaded(run: Run) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    code, said = run("load", EXAMPLES / "knowledge" / "policies", ELASTICSEARCH_URL=url)
    assert code == 1
    assert said.startswith(f"✗ Nothing was loaded. Elasticsearch at {url} cannot be reached, so what it holds is unknown, not empty: ")


def test_file_that_is_named_but_not_there_is_said(run: Run, tmp_path: Path) -> None:
    code, said = run("load", EXAMPLES / "knowledge" / "policies", GOVERNOR_ELASTICSEARCH__CA_FILE=str(tmp_path / "gone.pem"))
    assert code == 1
    assert said.startswith("safety-governor load: the certificates of Elasticsearch cannot be read from ")


class _BreaksOff(EmbeddedKnowledge):
    def replace_documents(self, batch: Sequence[documents.Document], *, progress: Callable[[int], None] = lambda _: None) -> load.Report:  # type: ignore[override]
        progress(1)
        raise errors.PartlyStoredError("It went away.")


@pytest.mark.parametrize("terminal", [True, False])
def test_load_that_breaks_off_never_says_that_nothing_was_loaded(terminal: bool, tmp_path: Path) -> None:
    store = _BreaksOff.in_memory()
    out = io.StringIO()

    def read(paths: Sequence[Path]) -> Sequence[load.File]:
        from datetime import UTC, datetime  # noqa: PLC0415

        return document_files.read(paths, now=datetime(2026, 1, 1, tzinfo=UTC), stored_runbook=lambda _: None)

    console = Console(file=out, width=120, force_terminal=terminal, color_system=None)
    assert load.run([EXAMPLES / "knowledge" / "policies"], read=read, store=store, where="it", console=console) == 1
    assert "✗ Not all was loaded. It went away." in out.getvalue()
    assert ("1/3" in out.getvalue()) == terminal
