"""`safety-governor`: what it says about itself, how little it needs for that, and what it says about bad settings."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from safety_governor import __version__
from safety_governor.cli import main

HEAVY = ("kopf", "kubernetes", "tantivy", "pydantic", "aiohttp", "rich", "structlog", "yaml")

_PROBE = """
import sys
from safety_governor.cli import main
sys.argv = ["safety-governor", *{arguments}]
try:
    main.main()
except SystemExit as end:
    code = end.code or 0
loaded = sorted(name for name in {heavy} if name in sys.modules)
print("LOADED", *loaded)
sys.exit(code)
"""


def run(*arguments: str, **environment: str) -> tuple[int, str]:
    """Exit code and output of the command in this process."""
    done = CliRunner(env={"NO_COLOR": "1", **environment}).invoke(main.group, arguments, prog_name="safety-governor")
    return done.exit_code, done.output


def probed(*arguments: str) -> tuple[int, str]:
    """Exit code and output of a process of its own, and what it has loaded."""
    code = _PROBE.format(arguments=list(arguments), heavy=HEAVY)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=False, env=os.environ)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("option", ["--help", "-h"])
def test_help_lists_every_command(option: str) -> None:
    code, output = run(option)
    assert code == 0
    for command in main._COMMANDS:
        assert f"\n  {command} " in output


@pytest.mark.parametrize("arguments", [["--help"], ["--version"]])
def test_help_and_version_load_nothing_heavy(arguments: list[str]) -> None:
    code, output = probed(*arguments)
    assert (code, output.splitlines()[-1]) == (0, "LOADED")


@pytest.mark.parametrize("command", sorted(main._COMMANDS))
def test_help_of_a_command_loads_nothing_heavy(command: str) -> None:
    code, output = probed(command, "--help")
    assert (code, output.splitlines()[-1]) == (0, "LOADED")


def test_version_is_told() -> None:
    assert run("--version") == (0, f"safety-governor, version {__version__}\n")


def test_every_command_has_a_line_of_help() -> None:
    assert main._HELP.keys() == main._COMMANDS.keys()


def test_unknown_command_is_named() -> None:
    code, output = run("rehearse")
    assert code == 2
    assert "No such command 'rehearse'" in output


@pytest.mark.parametrize("command", ["load", "try", "why"])
def test_command_without_its_argument_says_what_is_missing(command: str) -> None:
    code, output = run(command)
    assert code == 2
    assert "Missing argument" in output


SETTINGS: dict[str, tuple[dict[str, str], str]] = {
    "a threshold that is looser": (
        {"GOVERNOR_GATE__CONTRADICTIONS": "3"},
        "GOVERNOR_GATE__CONTRADICTIONS: must be less than or equal to 2",
    ),
    "a coverage that is looser": (
        {"GOVERNOR_GATE__COVERAGE": "0.1"},
        "GOVERNOR_GATE__COVERAGE: must be greater than or equal to 0.34",
    ),
    "a threshold that is no number": (
        {"GOVERNOR_GATE__CONTRADICTIONS": "two"},
        "GOVERNOR_GATE__CONTRADICTIONS: expected a whole number",
    ),
    "a threshold that does not exist": (
        {"GOVERNOR_GATE__COVERGE": "1"},
        "there is no setting GOVERNOR_GATE__COVERGE; did you mean GOVERNOR_GATE__COVERAGE?",
    ),
    "a setting that is misspelt": ({"GOVERNOR_STROE": "x.db"}, "there is no setting GOVERNOR_STROE; did you mean GOVERNOR_STORE?"),
    "a duration that is none": ({"GOVERNOR_PATIENCE": "soon"}, "GOVERNOR_PATIENCE: expected a duration such as PT5S"),
    "webhooks that are not JSON": ({"GOVERNOR_WEBHOOKS": "x"}, "GOVERNOR_WEBHOOKS is not JSON; expected a JSON object"),
    "a webhook without an address": (
        {"GOVERNOR_WEBHOOKS": '{"a": {"url": "x", "secret_file": "f"}}'},
        "GOVERNOR_WEBHOOKS (a.url): expected an address that begins with",
    ),
    "hosts that are no list": ({"GOVERNOR_MCP__ALLOWED_HOSTS": "foo"}, 'HOSTS is not JSON; expected a JSON list, such as ["a.example"]'),
    "hosts that are another JSON": ({"GOVERNOR_MCP__ALLOWED_HOSTS": '"foo"'}, "GOVERNOR_MCP__ALLOWED_HOSTS: expected a JSON list"),
    "JWTs of anybody": ({"GOVERNOR_MCP__JWKS_URI": "https://a.example/"}, "GOVERNOR_MCP__…: jwks_uri needs jwt_issuer"),
    "an alias that is wrong": ({"CDCT_API_URL": "cdct"}, "safety-governor: CDCT_API_URL: must begin with http:// or https://"),
    "two stores": (
        {"GOVERNOR_STORE": "a.db", "GOVERNOR_ELASTICSEARCH__URL": "http://u:hunter2@127.0.0.1:1"},
        "two stores are named: GOVERNOR_STORE=a.db and GOVERNOR_ELASTICSEARCH__URL (http://127.0.0.1:1); unset the one",
    ),
    "an expiry of hours": ({"GOVERNOR_APPROVAL_EXPIRY": "PT2H"}, "GOVERNOR_APPROVAL_EXPIRY: must be less than or equal to"),
    "a Lease of a second": ({"GOVERNOR_LEASE_DURATION": "PT1S"}, "GOVERNOR_LEASE_DURATION: must be greater than or equal to"),
    "a log format that is none": ({"GOVERNOR_LOG_FORMAT": "xml"}, "GOVERNOR_LOG_FORMAT: must be 'human' or 'json'"),
    "thresholds that are not JSON": (
        {"GOVERNOR_GATE": "strict"},
        "GOVERNOR_GATE is not JSON; it is a group of settings; set them one by one, such as",
    ),
}


@pytest.mark.parametrize(
    "command", [["try", "incident.yaml"], ["operator"], ["load", "somewhere"], ["mcp"]], ids=["try", "operator", "load", "mcp"]
)
@pytest.mark.parametrize(("environment", "sentence"), SETTINGS.values(), ids=SETTINGS.keys())
def test_command_refuses_to_start_with(environment: dict[str, str], sentence: str, command: list[str]) -> None:
    code, output = run(*command, **environment)
    assert code == 1
    assert output.startswith("safety-governor mcp: " if command == ["mcp"] else "safety-governor: ")
    assert sentence in output.replace("safety-governor mcp: ", "safety-governor: ")
    assert "hunter2" not in output
    assert "Traceback" not in output
    assert len(output.splitlines()) == 1


def test_all_bad_settings_are_named_at_once() -> None:
    code, output = run("try", "x", GOVERNOR_GATE__CONTRADICTIONS="9", GOVERNOR_LOG_LEVEL="loud")
    assert code == 1
    assert {line.split(": ")[1] for line in output.splitlines()} == {"GOVERNOR_GATE__CONTRADICTIONS", "GOVERNOR_LOG_LEVEL"}


def test_what_the_cluster_tells_every_container_is_no_setting() -> None:
    services = {
        "GOVERNOR_PORT": "tcp://10.0.0.1:80",
        "GOVERNOR_PORT_80_TCP_ADDR": "10.0.0.1",
        "GOVERNOR_MCP_SERVICE_HOST": "10.0.0.2",
        "GOVERNOR_MCP_SERVICE_PORT_HTTP": "8000",
    }
    _, output = run("try", "nowhere.yaml", **services)
    assert "nowhere.yaml" in output
    assert "GOVERNOR_" not in output


def test_file_at_the_command_line_is_the_store_whatever_the_environment_says(tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_text("{kind: Incident, metadata: {name: x}, spec: {service: a, severity: low, summary: b}}")
    others = {"GOVERNOR_STORE": "other.db", "GOVERNOR_ELASTICSEARCH__URL": "http://127.0.0.1:1"}
    _, output = run("try", str(tmp_path / "x.yaml"), "--store", str(tmp_path / "mine.db"), **others)
    assert "mine.db" in output


def test_stricter_threshold_is_taken(tmp_path: Path) -> None:
    code, output = run("try", str(tmp_path / "missing.yaml"), GOVERNOR_GATE__CONTRADICTIONS="1", GOVERNOR_GATE__REQUIRE_TELEMETRY="true")
    assert code == 1
    assert "missing.yaml" in output
    assert "GOVERNOR_" not in output


def test_store_of_the_environment_is_taken(tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_text("{kind: Incident, metadata: {name: x}, spec: {service: a, severity: low, summary: b}}")
    _, output = run("try", str(tmp_path / "x.yaml"), GOVERNOR_STORE=str(tmp_path / "nowhere.db"))
    assert "nowhere.db" in output
