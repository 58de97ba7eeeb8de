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
        "GOVERNOR_GATE__CONTRADICTIONS: should be less than or equal to 2",
    ),
    "a coverage that is looser": (
        {"GOVERNOR_GATE__COVERAGE": "0.1"},
        "GOVERNOR_GATE__COVERAGE: should be greater than or equal to 0.34",
    ),
    "a threshold that is no number": (
        {"GOVERNOR_GATE__CONTRADICTIONS": "two"},
        "GOVERNOR_GATE__CONTRADICTIONS: is not a whole number",
    ),
    "a threshold that does not exist": (
        {"GOVERNOR_GATE__COVERGE": "1"},
        "GOVERNOR_GATE__COVERGE: there is no such setting; did you mean",
    ),
    "an expiry of hours": ({"GOVERNOR_APPROVAL_EXPIRY": "PT2H"}, "GOVERNOR_APPROVAL_EXPIRY: should be less than or equal to"),
    "a Lease of a second": ({"GOVERNOR_LEASE_DURATION": "PT1S"}, "GOVERNOR_LEASE_DURATION: should be greater than or equal to"),
    "a log format that is none": ({"GOVERNOR_LOG_FORMAT": "xml"}, "GOVERNOR_LOG_FORMAT: should be 'human' or 'json'"),
    "thresholds that are not JSON": ({"GOVERNOR_GATE": "strict"}, "GOVERNOR_GATE: is not JSON"),
}


@pytest.mark.parametrize("command", [["try", "incident.yaml"], ["operator"], ["load", "somewhere"]], ids=["try", "operator", "load"])
@pytest.mark.parametrize(("environment", "sentence"), SETTINGS.values(), ids=SETTINGS.keys())
def test_command_refuses_to_start_with(environment: dict[str, str], sentence: str, command: list[str]) -> None:
    code, output = run(*command, **environment)
    assert code == 1
    assert output.startswith("safety-governor: ")
    assert sentence in output
    assert "Traceback" not in output
    assert len(output.splitlines()) == 1


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("GOVERNOR_MCP__ALLOWED_HOSTS", "foo", 'is not JSON; write ["one", "another"]'),
        ("GOVERNOR_WEBHOOKS", "x", 'is not JSON; write {"name": …}'),
        ("GOVERNOR_MCP__TOKEN", "a", "there is no such setting; did you mean GOVERNOR_MCP__TOKENS?"),
        ("GOVERNOR_GATE__XYZ", "1", "there is no such setting"),
        ("GOVERNOR_APPROVAL_EXPIRY", "an hour", "is not a duration; write it such as PT30S, PT5M or P1D, or in seconds"),
        ("GOVERNOR_APPROVAL_EXPIRY", "PT31M", "should be less than or equal to 30 minutes"),
        ("GOVERNOR_AUDIT_FILE_BYTES", "x", "is not a whole number"),
        ("GOVERNOR_CDCT_API_URL", "ftp://x", "must begin with http:// or https:// and name a host"),
    ],
)
@pytest.mark.parametrize("command", [("try", "x"), ("audit", "verify"), ("mcp", "--transport", "http")], ids=" ".join)
def test_bad_setting_is_named_with_what_it_should_look_like(name: str, text: str, said: str, command: tuple[str, ...]) -> None:
    code, output = run(*command, **{name: text})
    assert code in (1, 2)
    assert output.strip().partition(": ")[2] == f"{name}: {said}"


def test_two_stores_are_one_too_many(tmp_path: Path) -> None:
    both = {"GOVERNOR_STORE": str(tmp_path / "x.db"), "GOVERNOR_ELASTICSEARCH__URL": "http://127.0.0.1:1"}
    code, output = run("try", "x", **both)
    assert (code, "so unset the other" in output) == (1, True)
    _, output = run("try", "x", "--store", str(tmp_path / "x.db"), **both)
    assert "unset" not in output


def test_all_bad_settings_are_named_at_once() -> None:
    code, output = run("try", "x", GOVERNOR_GATE__CONTRADICTIONS="9", GOVERNOR_LOG_LEVEL="loud")
    assert code == 1
    assert {line.split(": ")[1] for line in output.splitlines()} == {"GOVERNOR_GATE__CONTRADICTIONS", "GOVERNOR_LOG_LEVEL"}


MISSPELT = {
    "a setting": ({"GOVERNOR_STROE": "x.db"}, "GOVERNOR_STROE: there is no such setting; did you mean GOVERNOR_STORE?"),
    "a group": ({"GOVERNOR_GATES__COVERAGE": "1"}, "GOVERNOR_GATES__COVERAGE: there is no such setting; did you mean GOVERNOR_GATE?"),
    "something else": ({"GOVERNOR_NONSENSE": "1"}, "GOVERNOR_NONSENSE: there is no such setting"),
    "JSON that is no list": ({"GOVERNOR_MCP__ALLOWED_HOSTS": '"foo"'}, "GOVERNOR_MCP__ALLOWED_HOSTS: is not a JSON list, such as"),
    "an alias": ({"CDCT_API_URL": "cdct"}, " CDCT_API_URL: must begin with http:// or https://"),
}


@pytest.mark.parametrize("command", [["try", "x"], ["mcp"]], ids=["try", "mcp"])
@pytest.mark.parametrize(("environment", "sentence"), MISSPELT.values(), ids=MISSPELT.keys())
def test_setting_that_does_not_count_is_refused(environment: dict[str, str], sentence: str, command: list[str]) -> None:
    code, output = run(*command, **environment)
    assert (code, len(output.splitlines())) == (1, 1)
    assert sentence in output


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


def test_stricter_threshold_is_taken(tmp_path: Path) -> None:
    code, output = run("try", str(tmp_path / "missing.yaml"), GOVERNOR_GATE__CONTRADICTIONS="1", GOVERNOR_GATE__REQUIRE_TELEMETRY="true")
    assert code == 1
    assert "missing.yaml" in output
    assert "GOVERNOR_" not in output


def test_store_of_the_environment_is_taken(tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_text("{kind: Incident, metadata: {name: x}, spec: {service: a, severity: low, summary: b}}")
    _, output = run("try", str(tmp_path / "x.yaml"), GOVERNOR_STORE=str(tmp_path / "nowhere.db"))
    assert "nowhere.db" in output


@pytest.mark.parametrize("command", ["audit", "gate", "metrics", "incident"])
def test_one_line_help_of_every_command_is_whole(command: str) -> None:
    code, output = run(command, "--help")
    assert code == 0
    assert "..." not in output.partition("Commands:")[2]


def test_path_that_is_not_there_leaves_no_store_behind(tmp_path: Path) -> None:
    store = tmp_path / "knowledge.db"
    code, output = run("load", str(tmp_path / "nofile"), "--store", str(store))
    assert (code, f"there is no file or folder {tmp_path / 'nofile'}; nothing was loaded" in output) == (1, True)
    assert not store.exists()


def test_store_is_private(tmp_path: Path) -> None:
    (tmp_path / "policy.yaml").write_text("{kind: Policy, id: p, service: a, blocked_actions: [restart], severities: [low], rule: no}")
    assert run("load", str(tmp_path / "policy.yaml"), "--store", str(tmp_path / "knowledge.db"))[0] == 0
    assert (tmp_path / "knowledge.db").stat().st_mode & 0o777 == 0o600


def test_rights_that_somebody_gave_on_the_store_stay(tmp_path: Path) -> None:
    (tmp_path / "policy.yaml").write_text("{kind: Policy, id: p, service: a, blocked_actions: [restart], severities: [low], rule: no}")
    for _ in range(2):
        assert run("load", str(tmp_path / "policy.yaml"), "--store", str(tmp_path / "knowledge.db"))[0] == 0
        (tmp_path / "knowledge.db").chmod(0o640)
    assert (tmp_path / "knowledge.db").stat().st_mode & 0o777 == 0o640
