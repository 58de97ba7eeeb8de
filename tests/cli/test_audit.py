"""`audit verify`, `audit show`, `audit tail`, `gate replay`, `metrics summary`: what people and programs are told, and exit codes."""

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from safety_governor.adapters.audit.late import LateRecords
from safety_governor.api import progress
from safety_governor.cli import main
from safety_governor.domain import journal as intents
from safety_governor.domain.audit import events
from safety_governor.pipeline import auditing
from support import trails
from support.builders import CONTRADICTIONS, World


def run(*arguments: str, folder: Path | None = None) -> tuple[int, str]:
    environment = {"NO_COLOR": "1", "COLUMNS": "220"}
    if folder is not None:
        environment |= {"GOVERNOR_AUDIT": str(folder), "GOVERNOR_JOURNAL": str(folder / "journal.jsonl")}
    done = CliRunner(env=environment).invoke(main.group, list(arguments), prog_name="safety-governor")
    return done.exit_code, done.output


def recorded(folder: Path, world: World) -> None:
    """Attend the world's incident with a trail in that folder, until it waits for somebody or is finished."""

    async def attend() -> None:
        records = LateRecords(folder=folder, journal=folder / "journal.jsonl", now=world.clock.now)
        await records.open()
        judgements = auditing.Judgements()
        chronicler = auditing.Chronicler(records, clock=world.clock, judgements=judgements)
        world.stages.gate._on_judged = judgements.remember  # type: ignore[attr-defined]
        for _ in range(10):
            before = world.incident
            outcome = await world.runner.advance(before)
            status = progress.described(before, outcome.status, now=world.clock.now())
            status = await chronicler.tell(before, status)
            world.incidents.put(before.model_copy(update={"status": status}))
            world.clock.advance(seconds=1)
        records.close()

    asyncio.run(attend())


def manifest(path: Path, worlds: Sequence[World]) -> str:
    bodies: list[dict[str, Any]] = [one.incident.model_dump(mode="json", exclude_none=True) for one in worlds]
    path.write_text(yaml.safe_dump({"apiVersion": "v1", "kind": "List", "items": bodies}))
    return str(path)


@pytest.fixture
def contradicted() -> World:
    world = World()
    world.report()
    world.knowledge.put(*CONTRADICTIONS)
    return world


@pytest.fixture
def clean() -> World:
    world = World()
    world.report()
    world.knowledge.put(CONTRADICTIONS[0])
    return world


class TestVerify:
    def test_says_what_was_proved_and_what_it_takes_to_prove_the_rest(self, tmp_path: Path, contradicted: World) -> None:
        recorded(tmp_path, contradicted)
        code, said = run("audit", "verify", folder=tmp_path)
        assert code == 0
        assert "✓ workflow_events: 6 lines in 1 file" in said
        assert "--cluster holds it against what the incidents note" in said
        code, said = run("audit", "verify", str(tmp_path), "--incidents", manifest(tmp_path / "incidents.yaml", [contradicted]))
        assert (code, "1 noted elsewhere agree" in said) == (0, True)

    def test_names_file_and_line_and_what_it_means(self, tmp_path: Path, contradicted: World) -> None:
        recorded(tmp_path, contradicted)
        path = tmp_path / "workflow_events.jsonl"
        path.write_bytes(path.read_bytes().replace(b"block_and_escalate", b"execute", 1))
        code, said = run("audit", "verify", folder=tmp_path)
        assert code == 1
        assert "✗ Changed workflow_events.jsonl:5  line number 5 was changed after it was written" in said
        found = json.loads(run("audit", "verify", "--json", folder=tmp_path)[1])
        assert found["proved"] is False
        assert found["streams"][0]["findings"][0] == {
            "fault": "Changed",
            "file": "workflow_events.jsonl",
            "line": 5,
            "warning": False,
            "message": "line number 5 was changed after it was written: it does not have the hash that it names",
        }

    def test_of_a_trail_that_is_gone_says_who_noted_it(self, tmp_path: Path, contradicted: World) -> None:
        recorded(tmp_path, contradicted)
        incidents = manifest(tmp_path / "incidents.yaml", [contradicted])
        (tmp_path / "workflow_events.jsonl").unlink()
        code, said = run("audit", "verify", str(tmp_path), "--incidents", incidents)
        assert code == 1
        assert f"the trail is missing, and incident {contradicted.incident.key} noted lines of it" in said

    def test_looks_at_the_journal_where_it_is(self, tmp_path: Path) -> None:
        world = World()
        world.report()
        recorded(tmp_path / "audit", world)
        journal = tmp_path / "elsewhere.jsonl"
        line, first = intents.linked(trails.an_intent(1), after=None)
        journal.write_bytes(line + intents.linked(trails.an_intent(2), after=first)[0])
        (tmp_path / "audit" / "journal.jsonl").unlink()
        assert "No journal was looked at" in run("audit", "verify", str(tmp_path / "audit"))[1]
        code, said = run("audit", "verify", str(tmp_path / "audit"), "--journal", str(journal))
        assert (code, "✓ journal: 2 lines" in said) == (0, True)
        journal.write_bytes(line.replace(b"shop", b"shed"))
        code, said = run("audit", "verify", str(tmp_path / "audit"), "--journal", str(journal))
        assert (code, "Changed elsewhere.jsonl:1" in said) == (1, True)

    def test_of_no_folder_says_what_to_do(self, tmp_path: Path) -> None:
        code, said = run("audit", "verify", str(tmp_path / "nowhere"))
        assert (code, "give the folder as an argument or set GOVERNOR_AUDIT" in said) == (1, True)

    def test_of_incidents_that_are_none_says_so(self, tmp_path: Path) -> None:
        (tmp_path / "broken.yaml").write_text("a: [")
        code, said = run("audit", "verify", str(tmp_path), "--incidents", str(tmp_path / "broken.yaml"))
        assert (code, "cannot be read as YAML or JSON" in said) == (1, True)


class TestShow:
    def test_tells_one_story_over_all_trails(self, tmp_path: Path, contradicted: World) -> None:
        recorded(tmp_path, contradicted)
        code, said = run("audit", "show", contradicted.incident.key, folder=tmp_path)
        assert code == 0
        told = [line.split()[2] for line in said.splitlines()[1:]]
        assert told == ["Reported", "Planned", "Stressed", "Gated", "ApprovalAsked", "Scored"]
        assert "block_and_escalate: ContradictionsReached" in said
        found = json.loads(run("audit", "show", contradicted.incident.metadata.uid, "--json", folder=tmp_path)[1])
        assert {one["incident"] for one in found} == {contradicted.incident.key}

    def test_of_an_incident_that_it_does_not_know_says_so(self, tmp_path: Path, contradicted: World) -> None:
        recorded(tmp_path, contradicted)
        code, said = run("audit", "show", "shop/other", folder=tmp_path)
        assert (code, "has no event of 'shop/other'" in said) == (1, True)

    def test_obeys_nothing_that_stands_in_the_trail(self, tmp_path: Path) -> None:
        trails.write(tmp_path, trails.an_event(1, message="\x1b[2J[red]all good[/]"))
        said = run("audit", "show", "shop/i-1", folder=tmp_path)[1]
        assert "\x1b" not in said
        assert "[red]all good[/]" in said

    def test_copes_with_a_line_that_is_not_complete(self, tmp_path: Path) -> None:
        broken = trails.an_event(1).model_copy(update={"kind": events.Kind.GATED, "data": {}})
        trails.write(tmp_path, broken)
        assert "the line is not complete" in run("audit", "show", "shop/i-1", folder=tmp_path)[1]


class TestTail:
    def test_shows_the_newest_last(self, tmp_path: Path) -> None:
        trails.write(tmp_path, *(trails.an_event(number) for number in range(50)))
        code, said = run("audit", "tail", "-n", "3", folder=tmp_path)
        assert (code, ["number 47" in said, "number 48" in said, "number 49" in said.splitlines()[-1]]) == (0, [True] * 3)
        lines = run("audit", "tail", "-n", "2", "--json", folder=tmp_path)[1].splitlines()
        assert [json.loads(line)["data"]["message"] for line in lines] == ["number 48", "number 49"]


class TestReplay:
    def test_of_what_was_decided_changes_nothing(self, tmp_path: Path, clean: World) -> None:
        recorded(tmp_path, clean)
        code, said = run("gate", "replay", str(tmp_path / "workflow_events.jsonl"))
        assert (code, said.strip()) == (0, "1 decisions replayed: 1 same")

    def test_lists_what_would_flip_and_why(self, tmp_path: Path, clean: World) -> None:
        recorded(tmp_path, clean)
        code, said = run("gate", "replay", "--set", "contradictions=1", str(tmp_path))
        assert code == 0
        assert f"Stricter {clean.incident.key}" in said
        assert "execute → block_and_escalate (APPROVE)  +ContradictionsReached" in said

    def test_of_an_incident_comes_to_the_same(self, tmp_path: Path, contradicted: World) -> None:
        recorded(tmp_path, contradicted)
        path = manifest(tmp_path / "incidents.yaml", [contradicted])
        assert run("gate", "replay", path)[1].strip() == "1 decisions replayed: 1 same"

    def test_under_policies_from_files(self, tmp_path: Path, clean: World) -> None:
        recorded(tmp_path / "audit", clean)
        assert clean.status.plan is not None
        forbidden = {"kind": "Policy", "id": "pol-1", "service": "*", "severities": ["*"], "rule": "Nothing is restarted any more."}
        (tmp_path / "policies.yaml").write_text(yaml.safe_dump({**forbidden, "blocked_actions": [clean.status.plan.action]}))
        code, said = run("gate", "replay", "--policies", str(tmp_path / "policies.yaml"), str(tmp_path / "audit"))
        assert (code, "+PolicyForbidsAction" in said) == (0, True), said

    def test_finds_a_decision_that_was_forged(self, tmp_path: Path, contradicted: World) -> None:
        recorded(tmp_path, contradicted)
        path = tmp_path / "workflow_events.jsonl"
        path.write_bytes(path.read_bytes().replace(b'"decision":"block_and_escalate"', b'"decision":"execute"', 1))
        code, said = run("gate", "replay", str(path))
        assert (code, "does not come to the recorded decision" in said) == (1, True)

    @pytest.mark.parametrize(
        ("change", "why"),
        [
            ("coverage=0.1", "thresholds can only be made stricter"),
            ("patience=3", "THRESHOLD is one of contradictions, coverage"),
            ("contradictions", "say THRESHOLD=VALUE"),
        ],
    )
    def test_refuses_thresholds_that_there_are_not(self, tmp_path: Path, change: str, why: str) -> None:
        code, said = run("gate", "replay", "--set", change, str(tmp_path))
        assert (code, why in said) == (1, True), said


def test_summary_is_told_for_people_and_for_programs(tmp_path: Path, contradicted: World) -> None:
    recorded(tmp_path, contradicted)
    code, said = run("metrics", "summary", folder=tmp_path)
    assert code == 0
    assert "1 block_and_escalate" in said
    assert "1 would have been executed; with it 0 were" in said
    assert json.loads(run("metrics", "summary", "--json", folder=tmp_path)[1])["naive"]["notExecuted"] == {"StillOpen": 1}
