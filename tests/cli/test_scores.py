"""`safety-governor scores` and what `why` and `try` tell of figures: known, unknown with the reason, and from where."""

import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from rich.console import Console

from safety_governor.api import v1alpha1
from safety_governor.cli import main, story
from safety_governor.domain import scores
from safety_governor.domain.scores import Service
from support.builders import an_incident
from support.fakes import NOON
from support.ports import free_port
from support.score_services import ScoreServices, cdct_row
from support.tool_server import TOKEN, ToolServer

MODEL = "gpt-5.4"


@pytest.fixture
def services(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ScoreServices]:
    monkeypatch.setenv("GOVERNOR_SCORES_FILE", str(tmp_path / "kept" / "scores.db"))
    with ScoreServices() as double:
        double.know(MODEL)
        double.configured.add("o3")
        yield double


def run(services: ScoreServices, *arguments: str, **environment: str) -> tuple[int, str, str]:
    """Exit code, output and complaints."""
    env = {"NO_COLOR": "1", "COLUMNS": "140", **services.environment, **environment}
    done = CliRunner(env=env).invoke(main.group, ["scores", *arguments], prog_name="safety-governor")
    return done.exit_code, done.stdout, done.stderr


def test_what_is_known_is_shown_with_its_source(services: ScoreServices) -> None:
    code, output, _ = run(services, MODEL)
    assert code == 0
    assert f"EECT  ok  {services.url}/eect, " in output
    assert "2 of 2 rows" in output
    assert "1 of 1 row\n" in output
    for line in (
        "ECS: confidence fits the evidence  0.830  0.800 to 0.860 in 2 rows",
        "CI: holds when context is cut  0.680",
        "u-curve: harm of half the context  unknown  CDCT does not say",
        "confidence before the stress test: the mean of the agent's own and 8.3",
        "each contradicted claim costs 1.19 of 10",
        "context for later readers: always full, as the u-curve is unknown",
    ):
        assert " ".join(line.split()) in " ".join(output.split())
    assert "started a run" not in output


def test_u_curve_that_a_service_sends_is_used(services: ScoreServices) -> None:
    services.results[Service.CDCT, MODEL] = {"u_curve_magnitude": 0.25, "results": [cdct_row(MODEL)]}
    _, output, _ = run(services, MODEL)
    assert "shortened where nothing is at stake or disputed" in output


def test_run_that_was_started_is_told(services: ScoreServices) -> None:
    code, output, _ = run(services, "o3")
    assert code == 3
    assert output.count("pending") == 3
    assert "unknown: CDCT has no results for the model yet and has started a run" in output
    assert "Asking has started a run at a service that had no results" in output
    assert "each contradicted claim costs 0.90 of 10 (CI is unknown)" in output
    assert "0.000" not in output
    assert sum(services.started.values()) == 3


def test_second_call_starts_no_second_run(services: ScoreServices) -> None:
    first, second = run(services, "o3"), run(services, "o3")
    assert first[0] == second[0] == 3
    assert "asked again after" not in first[1]
    assert len(re.findall(r"^  kept since \S+Z, asked again after \S+Z$", second[1], re.MULTILINE)) == 3
    assert re.sub(r"  kept since .*\n", "", second[1]) == first[1]
    assert (sum(services.started.values()), len(services.asked)) == (3, 3)


def test_second_call_starts_a_second_run_only_when_told_to(services: ScoreServices) -> None:
    run(services, "o3")
    code, output, _ = run(services, "o3", "--ask-again")
    assert code == 3
    assert "--ask-again passes over it" in output
    assert set(services.started.values()) == {2}
    run(services, "o3")
    assert set(services.started.values()) == {2}


def test_service_that_could_not_be_reached_is_asked_by_the_next_process(services: ScoreServices) -> None:
    nowhere = f"http://127.0.0.1:{free_port()}"
    for _ in range(2):
        code, output, _ = run(services, MODEL, "--json", DDFT_API_URL=nowhere)
        told = {one["service"]: one for one in json.loads(output)["readings"]}
        assert (code, told["ddft"]["reached"], told["ddft"]["kept_since"]) == (3, False, None)
        assert told["eect"]["kept_since"] < told["eect"]["asked_again_after"]
    _, output, _ = run(services, MODEL, DDFT_API_URL=nowhere)
    assert output.count("kept since") == 2


def test_new_address_is_asked_although_the_old_one_had_no_answer(services: ScoreServices) -> None:
    nowhere = f"http://127.0.0.1:{free_port()}"
    code, _, _ = run(services, MODEL, **dict.fromkeys(services.environment, nowhere))
    assert code == 3
    assert run(services, MODEL)[0] == 0


def test_file_that_cannot_be_used_is_complained_about_once_and_changes_no_answer(services: ScoreServices, tmp_path: Path) -> None:
    (tmp_path / "junk.db").write_text("this is no database, whatever its name says" * 100)
    code, output, complaint = run(services, MODEL, "--json", GOVERNOR_SCORES_FILE=str(tmp_path / "junk.db"))
    assert (code, json.loads(output)["profile"]["ecs"]) == (0, 0.83)
    assert len(complaint.splitlines()) == 1
    assert "cannot be kept in" in complaint
    assert "GOVERNOR_SCORES_FILE names the file" in complaint


def test_model_that_nobody_knows(services: ScoreServices) -> None:
    code, output, _ = run(services, "nobody")
    assert (code, output.count("unknown model")) == (3, 3)
    assert "Asking has started" not in output


def test_only_services_with_an_address_are_asked(services: ScoreServices) -> None:
    code, output, _ = run(services, MODEL, CDCT_API_URL="", DDFT_API_URL=f"http://127.0.0.1:{free_port()}")
    assert code == 3
    assert "unknown: DDFT could not be reached" in output
    assert "What could not be reached has started no run; asking again is free." in output
    assert "CDCT" not in output
    assert [path for _, path in services.asked] == ["/eect/score/gpt-5.4"]


def test_other_programs_get_null_for_unknown(services: ScoreServices) -> None:
    code, output, _ = run(services, MODEL, "--json")
    told = json.loads(output)
    assert code == 0
    assert told["profile"] == {"state": "Known", "model": MODEL, "ecs": 0.83, "comprehension_integrity": 0.68, "u_curve_magnitude": None}
    assert [(one["service"], one["status"]) for one in told["readings"]] == [("eect", "ok"), ("ddft", "ok"), ("cdct", "ok")]
    assert told["readings"][2]["metrics"]["u_curve_magnitude"] is None
    assert told["readings"][0]["spread"]["ecs"] == {"lowest": 0.8, "highest": 0.86, "rows": 2}


def test_other_programs_get_the_reason(services: ScoreServices) -> None:
    code, output, _ = run(services, "nobody", "--json")
    told = json.loads(output)
    assert code == 3
    assert {one["status"] for one in told["readings"]} == {"unknown_model"}
    assert all("does not know the model" in one["reason"] and one["metrics"] == {} for one in told["readings"])


ERRORS: dict[str, tuple[list[str], dict[str, str], str]] = {
    "no address": ([MODEL], {"CDCT_API_URL": "", "DDFT_API_URL": "", "EECT_API_URL": ""}, "nobody can be asked: set EECT_API_URL"),
    "no MCP server": ([MODEL, "--source", "mcp"], {}, "GOVERNOR_MCP_URL does not say where"),
    "no MCP server by a variable": ([MODEL], {"RELIABILITY_PROFILE_SOURCE": "mcp"}, "GOVERNOR_MCP_URL does not say where"),
    "no model": ([""], {}, "no model is named"),
    "an address that is none": ([MODEL], {"CDCT_API_URL": "cdct:8001"}, "safety-governor: CDCT_API_URL: must begin with http://"),
    "an address with a password": ([MODEL], {"GOVERNOR_CDCT_API_URL": "http://a:b@cdct"}, "must not carry a user or password"),
    "an address with a query": ([MODEL], {"CDCT_API_URL": "http://cdct?key=1"}, "must not carry a query"),
    "a source that is none": ([MODEL], {"RELIABILITY_PROFILE_SOURCE": "psychic"}, "'direct' or 'mcp'"),
    "a negative answer that is not kept": ([MODEL], {"GOVERNOR_SCORES_KEEP_UNKNOWN": "PT1M"}, "greater than or equal to 15 minutes"),
    "a timeout of a minute": ([MODEL], {"GOVERNOR_SCORES_TIMEOUT": "PT1M"}, "less than or equal to 15 seconds"),
}


@pytest.mark.parametrize(("arguments", "environment", "sentence"), ERRORS.values(), ids=ERRORS.keys())
def test_error(arguments: list[str], environment: dict[str, str], sentence: str, services: ScoreServices) -> None:
    code, output, complaint = run(services, *arguments, **environment)
    assert (code, output, services.asked) == (1, "", [])
    assert sentence in complaint
    assert "Traceback" not in complaint


def test_mcp_server_is_asked_where_that_is_the_source(services: ScoreServices, tmp_path: Path) -> None:
    (tmp_path / "token").write_text(TOKEN)
    with ToolServer() as server:
        settings = {"GOVERNOR_MCP_URL": server.url, "GOVERNOR_MCP_TOKEN_FILE": str(tmp_path / "token")}
        code, output, _ = run(services, MODEL, RELIABILITY_PROFILE_SOURCE="mcp", **settings)
    assert code == 3
    assert sorted(server.asked) == [("cdct_score", MODEL), ("ddft_score", MODEL), ("eect_score", MODEL)]
    assert services.asked == []
    assert f"ddft_score at {server.url}, from http://ddft:8002" in output
    assert "1 of 2 rows" in output
    # The double says of all three what DDFT measures; EECT measures none of it.
    assert "unknown: EECT answered without any figure that can be used" in output


def test_what_a_service_says_is_not_obeyed_by_the_terminal(services: ScoreServices) -> None:
    services.trouble(status=404, body=json.dumps({"detail": "\x1b[2J[bold]all good[/]"}).encode())
    _, output, _ = run(services, MODEL, CDCT_API_URL="", DDFT_API_URL="")
    assert "\x1b" not in output
    assert "[bold]all good[/]" in output


def told(profile: scores.Profile | None) -> str:
    incident = an_incident()
    console = Console(file=io.StringIO(), width=140, highlight=False)
    story.tell(incident.model_copy(update={"status": v1alpha1.IncidentStatus(scores=profile)}), console)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


class TestWhy:
    def test_says_what_is_known_and_why_the_rest_is_not(self) -> None:
        reading = scores.Reading(service=Service.EECT, model=MODEL, status=scores.Status.OK, metrics={"ecs": 0.86}, as_of=NOON)
        missing = scores.unread(Service.DDFT, MODEL, scores.Status.UNAVAILABLE, "DDFT could not be reached", source="", as_of=NOON)
        output = told(scores.profile(MODEL, {Service.EECT: reading, Service.DDFT: missing}))
        assert "Scores    of gpt-5.4: ECS 0.86, CI unknown, u-curve unknown" in output
        assert "? DDFT could not be reached" in output

    def test_says_nothing_where_nobody_was_asked(self) -> None:
        assert "Scores" not in told(None)
        assert "Scores" not in told(scores.Profile())


def test_rehearsal_asks_once_for_all_incidents(services: ScoreServices, tmp_path: Path) -> None:
    runbook: dict[str, Any] = {"kind": "Runbook", "id": "rb-1", "service": "a", "title": "A is slow", "recommended_action": "restart-a"}
    (tmp_path / "rb.json").write_text(
        json.dumps({**runbook, "state": "trusted", "remediations": [{"action": "restart-a", "steps": [{"type": "RolloutRestart"}]}]})
    )
    incident = "{kind: Incident, metadata: {name: %s}, spec: {service: a, severity: low, summary: A is slow}}"
    (tmp_path / "two.yaml").write_text("\n---\n".join(incident % name for name in ("x", "y")))
    env = {"NO_COLOR": "1", "GOVERNOR_AGENT_MODEL": "o3", **services.environment}
    arguments = ["try", str(tmp_path / "two.yaml"), "--knowledge", str(tmp_path / "rb.json")]
    done = CliRunner(env=env).invoke(main.group, arguments, prog_name="safety-governor")
    assert "of o3: ECS unknown, CI unknown, u-curve unknown" in done.output
    assert dict(services.started) == {(service, "o3"): 1 for service in Service}
