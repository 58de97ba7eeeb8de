"""`audit verify`, `audit show`, `audit tail`, `gate replay`, `metrics summary`: what people and programs are told, and exit codes."""

import asyncio
import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from safety_governor.adapters.audit.late import LateRecords
from safety_governor.api import progress
from safety_governor.cli import main
from safety_governor.domain import digests, plans
from safety_governor.domain import journal as intents
from safety_governor.domain.audit import chain, events
from safety_governor.pipeline import auditing
from support import trails
from support.builders import CONTRADICTIONS, World
from support.fakes import NOON


def run(*arguments: str, folder: Path | None = None, **more: str) -> tuple[int, str]:
    environment = {"NO_COLOR": "1", "COLUMNS": "220", **more}
    if folder is not None:
        environment |= {"GOVERNOR_AUDIT": str(folder), "GOVERNOR_JOURNAL": str(folder / "journal.jsonl")}
    done = CliRunner(env=environment).invoke(main.group, list(arguments), prog_name="safety-governor")
    return done.exit_code, done.output


SOME = digests.digest("something")


def damage(path: Path) -> None:
    """Add a line that is none."""
    with path.open("ab") as file:
        file.write(b"{torn\n")


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
        code, said = run("audit", "verify", folder=tmp_path / "nowhere")
        assert (code, "Give the folder as an argument or set GOVERNOR_AUDIT" in said) == (2, True)
        code, said = run("audit", "verify", str(tmp_path / "nowhere"))
        assert (code, f"there is no folder {tmp_path / 'nowhere'}; check the path" in said) == (2, True)
        assert "argument" not in said, "it was given"

    def test_of_an_empty_folder_proves_nothing(self, tmp_path: Path) -> None:
        code, said = run("audit", "verify", str(tmp_path))
        assert (code, "there is no trail here" in said, "✓" in said) == (2, True, False)

    def test_of_a_folder_of_trails_says_which(self, tmp_path: Path) -> None:
        for name in ("http", "stdio-1"):
            trails.write(tmp_path / name, trails.an_event(1))
        code, said = run("audit", "verify", str(tmp_path))
        assert (code, "there is no trail here" in said, "its folders http, stdio-1 do; name one of them" in said) == (2, True, True)
        assert run("audit", "verify", str(tmp_path / "http"))[0] == 0

    def test_of_decisions_that_are_gone_needs_no_anchor_while_others_tell_of_them(self, tmp_path: Path, contradicted: World) -> None:
        recorded(tmp_path, contradicted)
        (tmp_path / "workflow_events.jsonl").unlink()
        code, said = run("audit", "verify", str(tmp_path))
        assert code == 1
        assert "what stands in reliability_metrics.jsonl is never written without it" in said

    def test_of_decisions_that_are_gone_believes_the_journal(self, tmp_path: Path) -> None:
        (tmp_path / "audit").mkdir()
        (tmp_path / "journal.jsonl").write_bytes(intents.linked(trails.an_intent(1), after=None)[0])
        code, said = run("audit", "verify", str(tmp_path / "audit"), "--journal", str(tmp_path / "journal.jsonl"))
        assert (code, "what stands in journal.jsonl is never written without it" in said) == (1, True)

    def test_of_a_stream_that_is_not_there_claims_nothing(self, tmp_path: Path) -> None:
        trails.write(tmp_path, trails.an_event(1))
        (tmp_path / "agent_runs.jsonl").unlink()
        code, said = run("audit", "verify", str(tmp_path))
        assert (code, "– agent_runs: there is no file of it" in said, "✓ agent_runs" in said) == (0, True, False)

    def test_that_cannot_look_is_told_from_tampering(self, tmp_path: Path) -> None:
        trails.write(tmp_path / "audit", trails.an_event(1))
        (tmp_path / "audit" / "workflow_events.jsonl").unlink()
        (tmp_path / "audit" / "workflow_events.jsonl").mkdir()
        code, said = run("audit", "verify", str(tmp_path / "audit"))
        assert (code, "cannot be read: Is a directory" in said) == (2, True)
        (tmp_path / "config").write_text("{}")
        trails.write(tmp_path / "good", trails.an_event(1))
        code, said = run("audit", "verify", str(tmp_path / "good"), "--cluster", "--kubeconfig", str(tmp_path / "config"))
        assert (code, "no connection to a cluster" in said) == (2, True)
        code, said = run("audit", "verify", str(tmp_path / "good"), GOVERNOR_LOG_LEVEL="loud")
        assert (code, "GOVERNOR_LOG_LEVEL" in said) == (2, True)
        assert "2 nothing can be said about it" in " ".join(run("audit", "verify", "--help")[1].split())

    def test_of_incidents_that_are_none_says_so(self, tmp_path: Path) -> None:
        (tmp_path / "broken.yaml").write_text("a: [")
        code, said = run("audit", "verify", str(tmp_path), "--incidents", str(tmp_path / "broken.yaml"))
        assert (code, "cannot be read as YAML or JSON" in said) == (2, True)


class TestShow:
    def test_tells_one_story_over_all_trails(self, tmp_path: Path, contradicted: World) -> None:
        recorded(tmp_path, contradicted)
        code, said = run("audit", "show", contradicted.incident.key, folder=tmp_path)
        assert code == 0
        told = [line.split()[2] for line in said.splitlines()[1:] if line.strip().startswith("+")]
        assert told == ["Reported", "Planned", "Stressed", "Gated", "ApprovalAsked", "Scored"]
        assert "by the clock of the operator that wrote the line" in said.splitlines()[-1]
        assert "block_and_escalate: ContradictionsReached" in said
        found = json.loads(run("audit", "show", contradicted.incident.metadata.uid, "--json", folder=tmp_path)[1])
        assert {one["incident"] for one in found} == {contradicted.incident.key}

    def test_of_an_incident_that_it_does_not_know_says_so(self, tmp_path: Path, contradicted: World) -> None:
        recorded(tmp_path, contradicted)
        code, said = run("audit", "show", "shop/other", folder=tmp_path)
        assert code == 1
        assert f"has no event of 'shop/other'; it knows {contradicted.incident.key}; say one of these" in said

    def test_names_at_most_ten_others_those_of_last(self, tmp_path: Path) -> None:
        trails.write(tmp_path, *(trails.an_event(number) for number in range(12)))
        said = run("audit", "show", "shop/other", folder=tmp_path)[1]
        assert "it knows shop/i-11, shop/i-10, " in said
        assert "shop/i-2 and 2 older ones" in said

    def test_obeys_nothing_that_stands_in_the_trail(self, tmp_path: Path) -> None:
        trails.write(tmp_path, trails.an_event(1, message="\x1b[2J[red]all good[/]"))
        said = run("audit", "show", "shop/i-1", folder=tmp_path)[1]
        assert "\x1b" not in said
        assert "[red]all good[/]" in said

    def test_copes_with_a_line_that_is_not_complete(self, tmp_path: Path) -> None:
        broken = trails.an_event(1).model_copy(update={"kind": events.Kind.GATED, "data": {}})
        trails.write(tmp_path, broken)
        assert "the line is not complete" in run("audit", "show", "shop/i-1", folder=tmp_path)[1]

    def test_keeps_the_order_of_the_trail_and_says_which_times_are_not_of_what_happened(self, tmp_path: Path) -> None:
        key, of = trails.an_intent(1).key, {"incident": "shop/slow", "uid": "uid-1"}

        def after(seconds: float) -> datetime:
            return NOON + timedelta(seconds=seconds)

        question = events.AgentAsked(question="plan", prompt=key, milliseconds=1)
        reported = events.Reported(service="a", severity="low", summary="b", target=plans.Target(name="web"), mode="Enforce")
        honoured = events.ApprovalHonoured(decision="APPROVE", approver="bob")
        claimed = events.Claimed(key=key, type="RolloutRestart", target=plans.Target(name="web"), before=key, claimed_at=after(17))
        trails.write(
            tmp_path,
            events.happened(question, at=after(0), once=("1",), **of),
            events.happened(reported, at=after(0.27), once=(), **of),
            events.happened(honoured, at=after(18.25), once=("1",), **of),
            events.happened(claimed, at=after(18.25), once=("1",), **of),
        )
        intent = trails.an_intent(1).model_copy(update={"claimed_at": after(17)})
        (tmp_path / "journal.jsonl").write_bytes(intents.linked(intent, after=None)[0])
        said = run("audit", "show", "shop/slow", folder=tmp_path)[1].splitlines()
        told = [line.split() for line in said[1:6]]
        assert [" ".join(words[: next(n for n, word in enumerate(words) if word[0].isupper()) + 1]) for words in told] == [
            "noted +0.27 s Reported",
            "+0.00 s AgentAsked",
            "+18.25 s ApprovalHonoured",
            "+18.25 s Claimed",
            "after +18.25 s ActionIntended",
        ]
        assert "“noted”: it was written down then, and happened before the lines below it" in said
        assert any(line.startswith("“after”: ") for line in said)


class TestSeen:
    def test_looks_through_all_trails_of_the_server(self, tmp_path: Path) -> None:
        for folder, caller, document in (("http", "kibana", "rb-1"), ("stdio-1", "stdio", "rb-2"), ("stdio-2", "stdio", "rb-3")):
            called = events.ToolCalled(tool="search_runbooks", caller=caller, arguments=SOME, documents=(document,), milliseconds=1)
            trails.write(tmp_path / folder, events.happened(called, at=NOON, once=(document,)))
        folder = str(tmp_path)
        assert run("audit", "seen", "stdio", GOVERNOR_MCP_AUDIT=folder) == (0, "rb-2\nrb-3\n")
        assert run("audit", "seen", "kibana", GOVERNOR_MCP_AUDIT=folder) == (0, "rb-1\n")
        assert run("audit", "seen", "stdio", str(tmp_path / "stdio-1")) == (0, "rb-2\n")
        code, said = run("audit", "seen", "grafana", GOVERNOR_MCP_AUDIT=folder)
        assert (code, "'grafana' was shown no document" in said, "stdio-2" in said) == (1, True, True)

    def test_names_the_setting_that_counts(self, tmp_path: Path) -> None:
        code, said = run("audit", "seen", "stdio", GOVERNOR_MCP_AUDIT=str(tmp_path / "nowhere"))
        assert (code, "set GOVERNOR_MCP_AUDIT" in said, "GOVERNOR_AUDIT" in said) == (1, True, False)

    def test_of_a_trail_with_gaps_says_that_it_is_not_all(self, tmp_path: Path) -> None:
        called = events.ToolCalled(tool="search_runbooks", caller="kibana", arguments=SOME, documents=("rb-1",), milliseconds=1)
        trails.write(tmp_path, events.happened(called, at=NOON, once=("1",)))
        damage(tmp_path / "tool_trace.jsonl")
        code, said = run("audit", "seen", "kibana", str(tmp_path))
        assert (code, "rb-1\n" in said, "1 line of" in said) == (1, True, True)


class TestLinesThatCannotBeRead:
    """Whatever is shown without them says so."""

    @pytest.mark.parametrize(
        ("command", "exit_code"),
        [(["audit", "show", "shop/i-1"], 0), (["audit", "tail"], 0), (["metrics", "summary"], 1), (["gate", "replay"], 1)],
        ids=["show", "tail", "summary", "replay"],
    )
    def test_are_counted_by(self, tmp_path: Path, command: list[str], exit_code: int) -> None:
        trails.write(tmp_path, *(trails.an_event(number) for number in range(3)))
        path = tmp_path / "workflow_events.jsonl"
        damage(path)
        code, said = run(*command, folder=tmp_path)
        assert code == exit_code
        assert f"1 line of {path} is not as written and left out here; `safety-governor audit verify` tells more" in said
        damage(path)
        assert f"2 lines of {path} are not as written and left out here" in run(*command, folder=tmp_path)[1]

    @pytest.mark.parametrize("command", [["metrics", "summary"], ["gate", "replay"]], ids=" ".join)
    def test_are_counted_for_programs_by(self, tmp_path: Path, command: list[str]) -> None:
        trails.write(tmp_path, trails.an_event(1))
        assert json.loads(run(*command, "--json", folder=tmp_path)[1])["leftOut"] == []
        damage(tmp_path / "workflow_events.jsonl")
        done = CliRunner(env={"GOVERNOR_AUDIT": str(tmp_path)}).invoke(main.group, [*command, "--json"])
        assert json.loads(done.stdout)["leftOut"] == [{"file": str(tmp_path / "workflow_events.jsonl"), "lines": 1}]


class TestTail:
    def test_puts_what_happened_into_one_column(self, tmp_path: Path) -> None:
        trails.write(tmp_path, trails.an_event(1), trails.an_event(1000))
        lines = [line for line in run("audit", "tail", folder=tmp_path)[1].splitlines() if "shop/" in line]
        assert len(lines) == 2
        assert len({line.index("Ended") for line in lines}) == 1

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
        assert (code, said.strip()) == (0, "1 decision replayed: 1 same")

    def test_takes_the_trail_of_the_environment_when_no_file_is_named(self, tmp_path: Path, clean: World) -> None:
        recorded(tmp_path, clean)
        assert run("gate", "replay", folder=tmp_path) == (0, "1 decision replayed: 1 same\n")
        code, said = run("gate", "replay", folder=tmp_path / "nowhere")
        assert (code, "set GOVERNOR_AUDIT" in said) == (1, True)

    @pytest.mark.parametrize(
        ("content", "sentence"),
        [
            ("{kind: Poem, id: a}", "kind is 'Poem'; expected Policy"),
            (
                "{kind: Evidence, id: ev-1, service: a, stance: supports, text: It hangs}",
                "but Evidence; to hold decisions against no policy",
            ),
        ],
    )
    def test_takes_no_other_documents_for_policies(self, tmp_path: Path, content: str, sentence: str) -> None:
        trails.write(tmp_path / "audit", trails.an_event(1))
        (tmp_path / "other.yaml").write_text(content)
        code, said = run("gate", "replay", "--policies", str(tmp_path / "other.yaml"), str(tmp_path / "audit"))
        assert (code, sentence in said, "Runbook" in said) == (1, True, False), said

    def test_lists_what_would_flip_and_why(self, tmp_path: Path, clean: World) -> None:
        recorded(tmp_path, clean)
        code, said = run("gate", "replay", "--set", "contradictions=1", str(tmp_path))
        assert code == 0
        assert f"Stricter {clean.incident.key}" in said
        assert "execute → block_and_escalate (APPROVE)  +ContradictionsReached" in said

    def test_of_an_incident_comes_to_the_same(self, tmp_path: Path, contradicted: World) -> None:
        recorded(tmp_path, contradicted)
        path = manifest(tmp_path / "incidents.yaml", [contradicted])
        assert run("gate", "replay", path)[1].strip() == "1 decision replayed: 1 same"

    def test_under_policies_from_files(self, tmp_path: Path, clean: World) -> None:
        recorded(tmp_path / "audit", clean)
        assert clean.status.plan is not None
        forbidden = {"kind": "Policy", "id": "pol-1", "service": "*", "severities": ["*"], "rule": "Nothing is restarted any more."}
        (tmp_path / "policies.yaml").write_text(yaml.safe_dump({**forbidden, "blocked_actions": [clean.status.plan.action]}))
        code, said = run("gate", "replay", "--policies", str(tmp_path / "policies.yaml"), str(tmp_path / "audit"))
        assert (code, "+PolicyForbidsAction" in said) == (0, True), said

    def test_under_policies_of_another_service_changes_nothing(self, tmp_path: Path, clean: World) -> None:
        recorded(tmp_path / "audit", clean)
        assert clean.status.plan is not None
        other = {"kind": "Policy", "id": "pol-1", "service": "orders", "severities": ["*"], "rule": "Orders are not restarted."}
        (tmp_path / "policies.yaml").write_text(yaml.safe_dump({**other, "blocked_actions": [clean.status.plan.action]}))
        for file in (str(tmp_path / "audit"), manifest(tmp_path / "incidents.yaml", [clean])):
            code, said = run("gate", "replay", "--policies", str(tmp_path / "policies.yaml"), file)
            assert (code, said.strip()) == (0, "1 decision replayed: 1 same"), said

    def test_of_a_decision_that_is_in_several_files_is_one(self, tmp_path: Path, clean: World) -> None:
        recorded(tmp_path / "audit", clean)
        incident = manifest(tmp_path / "incidents.yaml", [clean])
        audit = str(tmp_path / "audit")
        for files in ((audit, audit), (incident, audit), (audit, incident)):
            assert run("gate", "replay", *files) == (0, "1 decision replayed: 1 same\n")

    def test_finds_a_decision_that_was_forged(self, tmp_path: Path, contradicted: World) -> None:
        recorded(tmp_path, contradicted)
        path = tmp_path / "workflow_events.jsonl"
        lines = path.read_bytes().splitlines(keepends=True)
        number = next(index for index, line in enumerate(lines) if b'"decision":"block_and_escalate"' in line)
        forged = json.loads(lines[number].replace(b'"decision":"block_and_escalate"', b'"decision":"execute"', 1))
        before = events.Position(seq=forged["seq"] - 1, hash=forged["prev"])
        lines[number] = chain.linked({name: forged[name] for name in forged.keys() - {"seq", "prev", "hash"}}, after=before)[0]
        path.write_bytes(b"".join(lines))
        code, said = run("gate", "replay", str(path))
        assert (code, "does not come to the recorded decision" in said) == (1, True)

    @pytest.mark.parametrize("command", [["gate", "replay"], ["metrics", "summary"]], ids=" ".join)
    def test_leaves_out_a_line_that_was_changed_and_says_so(self, tmp_path: Path, contradicted: World, command: list[str]) -> None:
        recorded(tmp_path, contradicted)
        path = tmp_path / "workflow_events.jsonl"
        path.write_bytes(path.read_bytes().replace(b'"decision":"block_and_escalate"', b'"decision":"execute"', 1))
        said = run(*command, folder=tmp_path)[1]
        assert f"1 line of {path} is not as written and left out here" in said
        assert ("0 decisions" in said, "execute" in said.replace("executed", "")) == (command == ["gate", "replay"], False)

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
    assert "Releasable by  1 APPROVE\n" in said, "nobody has released anything"
    assert "1 incident," in said
    assert all(line == line.rstrip() for line in said.splitlines())
    assert "1 would have been executed; with it 0 were" in said
    assert json.loads(run("metrics", "summary", "--json", folder=tmp_path)[1])["naive"]["notExecuted"] == {"StillOpen": 1}
