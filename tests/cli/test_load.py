"""The `load` command: what is stored, what is said, and with which exit code."""

import functools
import io
from datetime import UTC, datetime
from pathlib import Path

import pytest
from rich.console import Console

from safety_governor.adapters import document_files
from safety_governor.adapters.embedded import EmbeddedKnowledge
from safety_governor.cli import load

POLICY = "kind: Policy\nid: {id}\nblocked_actions: [restart]\nseverities: [low]\nrule: no\n"
HOLDS = "The embedded store knowledge.db now holds"
EMPTY = f"{HOLDS} 0 runbooks, 0 evidence, 0 policies, 0 log lines."


class Loading:
    """A folder to write files into, and the command over it."""

    def __init__(self, folder: Path, store: EmbeddedKnowledge) -> None:
        self.folder = folder
        self.store = store
        self.output = ""

    def write(self, name: str, content: str) -> None:
        (self.folder / name).write_text(content)

    def run(self, *, keep_going: bool = False, hour: int = 0) -> int:
        now = datetime(2026, 1, 1, hour, tzinfo=UTC)
        read = functools.partial(document_files.read, now=now, stored_runbook=self.store.stored_runbook)
        out = io.StringIO()
        console = Console(file=out, width=80)
        where = "the embedded store knowledge.db"
        code = load.run([self.folder], read=read, store=self.store, where=where, console=console, keep_going=keep_going)
        self.output = out.getvalue().replace(f"{self.folder.as_posix()}/", "")
        return code

    @property
    def said(self) -> list[str]:
        return [" ".join(line.split()) for line in self.output.splitlines()]


@pytest.fixture
def loading(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Loading:
    monkeypatch.chdir(tmp_path)
    folder = Path("documents")
    folder.mkdir()
    return Loading(folder, EmbeddedKnowledge.in_memory())


def test_good_files_are_loaded_and_counted_by_kind(loading: Loading) -> None:
    loading.write(
        "a.yaml", POLICY.format(id="p") + "---\n" + POLICY.format(id="q") + "---\nkind: Evidence\nid: e\nstance: supports\ntext: x\n"
    )
    loading.write("LICENSE", "text")
    loading.write("b.md", "# B")
    assert loading.run() == 0
    assert loading.said == [
        "– LICENSE skipped: no document ending",
        "✓ a.yaml 1 evidence added, 2 policies added",
        "✓ b.md 1 runbook added",
        f"Loaded. {HOLDS} 1 runbook, 1 evidence, 2 policies, 0 log lines.",
    ]


def test_second_load_changes_nothing(loading: Loading) -> None:
    loading.write("a.yaml", POLICY.format(id="p"))
    assert (loading.run(), loading.run()) == (0, 0)
    assert loading.said == [
        "✓ a.yaml 1 policy unchanged",
        f"Nothing changed. {HOLDS} 0 runbooks, 0 evidence, 1 policy, 0 log lines.",
    ]


def test_times_that_count_from_now_are_told_from_changes(loading: Loading) -> None:
    moving = '{"kind": "LogLine", "service": "a", "minutes_ago": %d, "message": "x"}\n'
    loading.write("a.jsonl", moving % 1 + moving % 2)
    loading.write("b.yaml", POLICY.format(id="p"))
    assert (loading.run(), loading.run(hour=1)) == (0, 0)
    held = "0 runbooks, 0 evidence, 1 policy, 2 log lines."
    assert loading.said == [
        "✓ a.jsonl 2 log lines written anew",
        "✓ b.yaml 1 policy unchanged",
        f"Nothing changed but the times of 2 log lines, which are given as minutes ago. {HOLDS} {held}",
    ]
    loading.write("b.yaml", POLICY.format(id="q"))
    loading.run(hour=2)
    assert loading.said[-1].startswith("Loaded, with new times for 2 log lines")


def test_kubernetes_manifests_are_one_sentence_that_names_every_file(loading: Loading) -> None:
    loading.write("a.yaml", "apiVersion: v1\nkind: Namespace\n---\napiVersion: v1\nkind: Namespace\n")
    loading.write("b.yaml", "apiVersion: apps/v1\nkind: Deployment\n---\nkind: Polcy\n")
    loading.write("c.yaml", POLICY.format(id="p"))
    assert loading.run() == 1
    wrong, not_loaded, manifests, conclusion = loading.said
    assert wrong == "✗ b.yaml:4 kind is 'Polcy'; expected one of Runbook, Evidence, Policy, LogLine"
    assert not_loaded == "– c.yaml not loaded: other files have problems"
    assert manifests.startswith("✗ 3 Kubernetes manifests are no documents (1 Deployment, 2 Namespace); expected Runbook, Evidence, Policy")
    assert manifests.endswith("In a.yaml (2), b.yaml (1)")
    assert conclusion == f"Nothing was loaded: 4 problems in 2 files. {EMPTY}"
    assert loading.run(keep_going=True) == 1
    assert loading.said[-1].startswith("Loaded, except for 4 problems in 2 files.")


def test_changed_document_is_told_from_unchanged_ones(loading: Loading) -> None:
    loading.write("a.yaml", POLICY.format(id="p") + "---\n" + POLICY.format(id="q"))
    loading.run()
    loading.write("a.yaml", POLICY.format(id="p") + "---\n" + POLICY.format(id="q") + "release: FORCE_OVERRIDE\n")
    loading.run()
    assert loading.said[0] == "✓ a.yaml 1 policy changed, 1 policy unchanged"


def test_one_problem_and_nothing_is_loaded(loading: Loading) -> None:
    loading.write("a.yaml", POLICY.format(id="p"))
    loading.write("b.yaml", "kind: Polcy\nid: q\n")
    assert loading.run() == 1
    assert loading.said == [
        "– a.yaml not loaded: other files have problems",
        "✗ b.yaml:1 kind is 'Polcy'; expected one of Runbook, Evidence, Policy, LogLine",
        f"Nothing was loaded: 1 problem in 1 file. {EMPTY}",
    ]


def test_keep_going_loads_the_good_files_and_still_fails(loading: Loading) -> None:
    loading.write("a.yaml", POLICY.format(id="p"))
    loading.write("b.yaml", POLICY.format(id="q") + "x: 1\ny: 2\n")
    assert loading.run(keep_going=True) == 1
    assert loading.said[0] == "✓ a.yaml 1 policy added"
    assert loading.said[-1] == f"Loaded, except for 2 problems in 1 file. {HOLDS} 0 runbooks, 0 evidence, 1 policy, 0 log lines."


def test_nothing_found_is_a_failure(loading: Loading) -> None:
    assert loading.run() == 1
    assert loading.said == [f"Nothing was loaded: no document was found. {EMPTY}"]


def test_piped_output_is_plain_and_never_wrapped(loading: Loading) -> None:
    loading.write(
        "a-name-that-is-rather-long-for-a-file-of-this-kind.yaml",
        "kind: Policy\n" + "".join(f"field_{number}: [bold]\n" for number in range(9)),
    )
    loading.run()
    assert "\x1b" not in loading.output
    assert all(line.startswith(("✗", "Nothing")) for line in loading.output.splitlines())


def test_results_stand_in_one_column(loading: Loading) -> None:
    for name in ("a.md", "much-longer.md"):
        loading.write(name, "# T")
    loading.run()
    assert [line.index("1 runbook added") for line in loading.output.splitlines()[:2]] == [18, 18]


def test_store_that_cannot_be_written_is_said_not_raised(tmp_path: Path, loading: Loading) -> None:
    loading.store = EmbeddedKnowledge.open(tmp_path / "missing.db")
    loading.write("a.yaml", POLICY.format(id="p"))
    assert loading.run() == 1
    assert loading.said[0].startswith("✗ Nothing was loaded. The knowledge store")
