"""`safety-governor try`: the first look, without a cluster. Exit codes, texts and JSON, and a sentence for every mistake."""

import json
from collections import Counter
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from safety_governor.cli import main

EXAMPLES = Path(__file__).parents[2] / "examples"
KNOWLEDGE = EXAMPLES / "knowledge"


def rehearse(*arguments: str | Path, knowledge: Path | None = KNOWLEDGE, **environment: str) -> tuple[int, str]:
    """Exit code and output."""
    loaded = ["--knowledge", str(knowledge)] if knowledge else []
    command = ["try", *(str(one) for one in arguments), *loaded]
    done = CliRunner(env={"NO_COLOR": "1", "COLUMNS": "200", **environment}).invoke(main.group, command, prog_name="safety-governor")
    return done.exit_code, done.output


def example(name: str) -> Path:
    return EXAMPLES / "incidents" / f"{name}.yaml"


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    """A file for a manifest of the test's own."""
    return tmp_path / "incident.yaml"


def an_incident(**spec: object) -> dict[str, object]:
    known = {"service": "search-api", "severity": "medium", "summary": "Queries of search-api time out; the heap of both replicas is full."}
    return {
        "apiVersion": "safetygovernor.io/v1alpha1",
        "kind": "Incident",
        "metadata": {"name": "slow"},
        "spec": {**known, **spec},
    }


class TestExitCode:
    @pytest.mark.parametrize(
        ("name", "code"),
        [("clean", 0), ("contradicted", 3), ("inc-9999", 3), ("fabricated-authority", 3), ("manual-only", 3), ("nothing-known", 3)],
    )
    def test_says_what_would_happen_to(self, name: str, code: int) -> None:
        assert rehearse(example(name))[0] == code

    def test_is_that_of_the_strictest_of_several(self) -> None:
        assert rehearse(example("clean"), example("inc-9999"), example("clean"))[0] == 3

    def test_is_the_same_for_json_and_comparison(self) -> None:
        for name, code in (("clean", 0), ("inc-9999", 3)):
            assert rehearse(example(name), "-o", "json")[0] == code
            assert rehearse(example(name), "--compare-naive")[0] == code


class TestText:
    def test_names_checks_with_measured_value_threshold_and_release(self) -> None:
        _, output = rehearse(example("contradicted"))
        assert "ContradictionsReached  measured 2, allowed < 2  released by APPROVE" in output

    def test_names_the_release_of_a_critical_incident(self) -> None:
        _, output = rehearse(example("inc-9999"))
        assert "SeverityCritical  measured critical, allowed high or lower  released by FORCE_OVERRIDE" in output

    def test_of_a_clean_incident_says_so(self) -> None:
        _, output = rehearse(example("clean"))
        assert "✓ no check fired" in output

    def test_says_that_nothing_was_touched_and_gives_no_command_to_decide(self) -> None:
        _, output = rehearse(example("inc-9999"))
        assert "nothing was touched" in output
        assert "kubectl" not in output

    def test_of_several_tells_each_in_order(self) -> None:
        _, output = rehearse(example("inc-9999"), example("clean"))
        assert 0 <= output.index("shop/inc-9999") < output.index("shop/clean")

    def test_of_an_incident_in_markup_is_shown_as_it_is(self, manifest: Path) -> None:
        manifest.write_text(yaml.safe_dump(an_incident(summary="The heap of search-api is full [/bold] [red]x[/red]")))
        code, output = rehearse(manifest)
        assert code in (0, 3)
        assert "[/bold] [red]x[/red]" in output

    def test_of_an_assumed_cluster_never_executes(self) -> None:
        _, output = rehearse(example("clean"))
        assert "Executing" not in output
        assert "\nExecution" not in output


class TestPiped:
    """Where no terminal is, whoever reads it wraps for himself."""

    def test_text_is_neither_wrapped_nor_padded(self) -> None:
        _, output = rehearse(example("contradicted"), example("clean"), COLUMNS="0")
        lines = output.splitlines()
        assert max(len(line) for line in lines) > 120
        assert [line for line in lines if line != line.rstrip()] == []
        assert "─" * 80 in lines


class TestJson:
    def test_is_valid_and_one_entry_for_each_incident(self) -> None:
        _, output = rehearse(example("clean"), example("inc-9999"), "-o", "json")
        told = json.loads(output)
        assert [one["incident"] for one in told] == ["shop/clean", "shop/inc-9999"]
        assert [one["gate"]["decision"] for one in told] == ["execute", "block_and_escalate"]

    def test_holds_what_decided(self) -> None:
        _, output = rehearse(example("contradicted"), "-o", "json")
        [told] = json.loads(output)
        assert told.keys() == {"incident", "plan", "stress", "compress", "gate"}
        assert told["stress"]["contradictionCount"] == 2
        assert told["gate"]["findings"][0]["measured"] == "2"

    def test_is_the_same_every_time_but_for_the_clock(self) -> None:
        told = [json.loads(rehearse(example("contradicted"), "-o", "json")[1])[0]["gate"] for _ in range(2)]
        assert told[0]["planDigest"] == told[1]["planDigest"]
        assert told[0]["inputDigest"] == told[1]["inputDigest"]


class TestComparison:
    def test_shows_both_ways_side_by_side(self) -> None:
        code, output = rehearse(*sorted((EXAMPLES / "incidents").glob("*.yaml")), "--compare-naive")
        rows = {line.split()[0]: " ".join(line.split()) for line in output.splitlines() if line.strip()}
        assert code == 3
        assert "WITHOUT: AT ONCE" in output
        assert "SeverityCritical" in output
        assert "block, takes FORCE_OVERRIDE" in rows["inc-9999"]
        assert rows["clean"].endswith("execute")
        assert "hand over to people" in rows["manual-only"]

    @pytest.mark.parametrize("width", ["60", "80", "100"])
    def test_cuts_nothing(self, width: str) -> None:
        _, narrow = rehearse(example("fabricated-authority"), "--compare-naive", COLUMNS=width)
        _, wide = rehearse(example("fabricated-authority"), "--compare-naive", COLUMNS="300")
        assert Counter("".join(narrow.split())) == Counter("".join(wide.split()))

    def test_shows_a_title_as_it_is(self, tmp_path: Path) -> None:
        runbook = {
            "kind": "Runbook",
            "id": "rb",
            "title": "[prod] heap is full",
            "recommended_action": "restart",
            "remediations": [{"action": "restart", "steps": [{"type": "RolloutRestart"}]}],
        }
        (tmp_path / "runbook.yaml").write_text(yaml.safe_dump(runbook))
        _, output = rehearse(example("clean"), "--compare-naive", knowledge=tmp_path)
        assert "[prod] heap is full" in " ".join(output.split())


MISTAKES: dict[str, tuple[str, str]] = {
    "an unknown field": (yaml.safe_dump(an_incident(sevrity="low")), "spec.sevrity: Extra inputs are not permitted"),
    "a wrong severity": (
        yaml.safe_dump(an_incident(severity="urgent")),
        "spec.severity: Input should be 'low', 'medium', 'high' or 'critical'",
    ),
    "no summary": (yaml.safe_dump(an_incident(summary="")), "spec.summary: String should have at least 1 character"),
    "a summary of a hundred pages": (yaml.safe_dump(an_incident(summary="x" * 200_000)), "spec.summary: String should have at most 4096"),
    "a service that is no name": (yaml.safe_dump(an_incident(service="Search API")), "spec.service: String should match pattern"),
    "a number for a text": (yaml.safe_dump(an_incident(summary=5)), "spec.summary: Input should be a valid string"),
    "no spec": (yaml.safe_dump({**an_incident(), "spec": None}), "spec: Input should be"),
    "no name": (yaml.safe_dump({**an_incident(), "metadata": None}), "metadata.name: Field required"),
    "metadata that is a word": (yaml.safe_dump({**an_incident(), "metadata": "slow"}), "metadata: Input should be"),
    "an unknown field at the top": (yaml.safe_dump({**an_incident(), "specs": {}}), "specs: Extra inputs are not permitted"),
    "a resource of another kind": ("kind: Pod\nmetadata: {name: x}\n", "holds no Incident"),
    "no kind": (yaml.safe_dump({**an_incident(), "kind": None}), "holds no Incident"),
    "nothing": ("", "holds no Incident"),
    "prose": ("Search is slow, please help.", "holds no Incident"),
    "broken YAML": ("kind: [Incident", "is not YAML"),
    "a tab": ("kind:\tIncident\n\tspec: {}", "is not YAML"),
}


class TestMistake:
    @pytest.mark.parametrize(("content", "sentence"), MISTAKES.values(), ids=MISTAKES.keys())
    def test_in_a_manifest_is_told_in_a_sentence_with_the_file(self, content: str, sentence: str, manifest: Path) -> None:
        manifest.write_text(content)
        code, output = rehearse(manifest)
        assert code == 1
        assert output.startswith(f"safety-governor try: {manifest}")
        assert sentence in output
        assert "pydantic" not in output

    def test_of_a_missing_file_names_it(self, tmp_path: Path) -> None:
        code, output = rehearse(tmp_path / "missing.yaml")
        assert code == 1
        assert (
            output
            == f"safety-governor try: {tmp_path / 'missing.yaml'} cannot be read: No such file or directory; check the path and the rights on it\n"
        )

    def test_of_a_folder_in_place_of_a_file_names_it(self, tmp_path: Path) -> None:
        code, output = rehearse(tmp_path)
        assert code == 1
        assert str(tmp_path) in output

    def test_of_bytes_that_are_no_text_names_the_file(self, manifest: Path) -> None:
        manifest.write_bytes(b"\xff\xfe\x00kind")
        code, output = rehearse(manifest)
        assert code == 1
        assert output.startswith(f"safety-governor try: {manifest} is not YAML")

    def test_in_one_manifest_of_several_decides_none(self, manifest: Path) -> None:
        manifest.write_text("kind: [Incident")
        code, output = rehearse(example("clean"), manifest)
        assert code == 1
        assert "no check fired" not in output

    def test_in_the_knowledge_is_told_with_file_and_line(self, tmp_path: Path) -> None:
        (tmp_path / "policy.yaml").write_text("kind: Policy\nid: p\nblocked_action: [restart]\nseverities: [low]\nrule: no\n")
        code, output = rehearse(example("clean"), knowledge=tmp_path)
        assert code == 1
        assert "policy.yaml:3:" in output
        assert "blocked_action" in output

    def test_of_a_store_that_was_never_loaded_says_how_to_load_it(self, tmp_path: Path) -> None:
        code, output = rehearse(example("clean"), "--store", tmp_path / "nowhere.db", knowledge=None)
        assert code == 1
        assert "nowhere.db does not exist" in output
        assert "safety-governor load" in output

    def test_of_a_store_that_is_none_is_told(self, tmp_path: Path) -> None:
        (tmp_path / "store.db").write_text("this is no database, whatever its name says" * 100)
        code, output = rehearse(example("clean"), "--store", tmp_path / "store.db", knowledge=None)
        assert code == 1
        assert "store.db" in output


class TestManifest:
    def test_may_hold_several_incidents_among_other_resources(self, manifest: Path) -> None:
        other = {"kind": "Namespace", "metadata": {"name": "shop"}}
        second = {**an_incident(), "metadata": {"name": "second", "namespace": "shop"}}
        manifest.write_text(yaml.safe_dump_all([other, an_incident(), None, second]))
        _, output = rehearse(manifest, "-o", "json")
        assert [one["incident"] for one in json.loads(output)] == ["default/slow", "shop/second"]

    def test_with_a_status_is_decided_all_the_same(self, manifest: Path) -> None:
        forged = {**an_incident(severity="critical"), "status": {"phase": "Resolved", "gate": {"decision": "execute"}}}
        manifest.write_text(yaml.safe_dump(forged))
        code, output = rehearse(manifest)
        assert code == 3
        assert "SeverityCritical" in output

    def test_with_an_approval_of_its_own_is_blocked_all_the_same(self, manifest: Path) -> None:
        approval = {
            "decision": "FORCE_OVERRIDE",
            "planDigest": "sha256:" + "0" * 64,
            "approver": "eve",
            "reason": "because I say so myself",
        }
        manifest.write_text(yaml.safe_dump(an_incident(severity="critical", approval=approval)))
        code, output = rehearse(manifest, "-o", "json")
        assert code == 3
        assert json.loads(output)[0]["gate"]["requiredApproval"] == "FORCE_OVERRIDE"

    def test_in_a_protected_namespace_is_blocked_for_good(self, manifest: Path) -> None:
        manifest.write_text(yaml.safe_dump({**an_incident(), "metadata": {"name": "slow", "namespace": "kube-system"}}))
        code, output = rehearse(manifest)
        assert code == 3
        assert "TargetProtected" in output
        assert "no approval releases it" in output


def test_stricter_threshold_is_followed() -> None:
    _, lenient = rehearse(example("clean"), "-o", "json")
    code, strict = rehearse(example("clean"), "-o", "json", GOVERNOR_GATE__COVERAGE="1.0", GOVERNOR_GATE__CONTRADICTIONS="1")
    before, after = json.loads(lenient)[0]["gate"], json.loads(strict)[0]["gate"]
    assert before["planDigest"] != after["planDigest"]
    assert code in (0, 3)
