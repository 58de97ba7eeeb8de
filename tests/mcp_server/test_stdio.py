"""The command over standard input and output, as a process of its own."""

import json
import os
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from safety_governor import sources
from safety_governor.domain import errors
from safety_governor.settings import Settings
from support.knowledge import load

EXAMPLES = Path(__file__).parent.parent.parent / "examples" / "knowledge"
TOOLS = {
    "search_runbooks",
    "search_evidence",
    "check_policy_conflicts",
    "query_live_logs",
    "ddft_score",
    "cdct_score",
    "eect_score",
    "reliability_profile",
}
HELLO = {
    "jsonrpc": "2.0",
    "id": 0,
    "method": "initialize",
    "params": {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}},
}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("mcp") / "knowledge.db"
    load(path, EXAMPLES)
    return path


def asked(*messages: Any, store: Path, folder: Path) -> tuple[list[dict[str, Any]], str]:
    """What it answers to these lines when the input ends after them, and what it logs."""
    lines = "".join((one if isinstance(one, str) else json.dumps(one)) + "\n" for one in messages)
    env = {**os.environ, "GOVERNOR_STORE": str(store), "GOVERNOR_MCP_AUDIT": str(folder / "trail")}
    command = [sys.executable, "-m", "safety_governor.cli.main", "mcp"]
    done = subprocess.run(command, input=lines, capture_output=True, text=True, env=env, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()], done.stderr


def calls(tool: str, identifier: int = 1, **arguments: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": identifier, "method": "tools/call", "params": {"name": tool, "arguments": arguments}}


def test_question_without_a_handshake_is_answered_in_one_line(store: Path, tmp_path: Path) -> None:
    answers, logged = asked({"jsonrpc": "2.0", "id": 1, "method": "tools/list"}, store=store, folder=tmp_path)
    assert [one["id"] for one in answers] == [1]
    assert {one["name"] for one in answers[0]["result"]["tools"]} == TOOLS
    assert logged == ""


def test_handshake_is_answered_once(store: Path, tmp_path: Path) -> None:
    initialized = {"jsonrpc": "2.0", "method": "notifications/initialized"}
    answers, _ = asked(HELLO, initialized, {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}, store=store, folder=tmp_path)
    assert [one["id"] for one in answers] == [0, 1]
    assert answers[0]["result"]["serverInfo"]["name"] == "safety-governor"


def test_all_that_was_asked_is_answered_although_the_input_has_ended(store: Path, tmp_path: Path) -> None:
    questions = [calls("search_evidence", number, query="carts", service="checkout") for number in range(1, 9)]
    answers, _ = asked(*questions, store=store, folder=tmp_path)
    assert sorted(one["id"] for one in answers) == list(range(1, 9))
    assert {one["result"]["structuredContent"]["status"] for one in answers} == {"ok"}


def test_garbage_ends_nothing(store: Path, tmp_path: Path) -> None:
    answers, _ = asked(calls("query_live_logs", service="checkout"), "garbage", store=store, folder=tmp_path)
    told = {one["id"]: one for one in answers}
    assert told[1]["result"]["structuredContent"]["status"] in ("ok", "empty")
    assert told[None]["error"]["code"] == -32700


def test_processes_at_once_have_trails_of_their_own_and_what_is_wrong_is_said_once(tmp_path: Path) -> None:
    settings = Settings(mcp_audit=tmp_path / "trail")
    with ExitStack() as stack:
        for _ in range(3):
            stack.enter_context(sources.tool_trail(settings, shared=False))
        assert sorted(one.name for one in (tmp_path / "trail").iterdir()) == ["stdio-1", "stdio-2", "stdio-3"]
    (tmp_path / "other").write_text("a file")
    with (
        pytest.raises(errors.ConfigurationError, match="stdio-1 cannot be used"),
        sources.tool_trail(Settings(mcp_audit=tmp_path / "other"), shared=False),
    ):
        raise AssertionError


LIST = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
NO_IDS: tuple[Any, ...] = (None, [], {}, True, 1.5, "", "x" * 1000, -1, 2**70)
NO_PARAMS: tuple[Any, ...] = (None, [], "x", 1, {"_meta": "x"}, {"_meta": []}, {"_meta": None}, {"_meta": {"progressToken": []}})
ODD: list[Any] = [
    *(
        "garbage",
        "",
        " ",
        "{",
        "[]",
        "[1]",
        "null",
        "1",
        '"x"',
        "\x00",
        "\ufeff{}",
        "{}" * 3,
        "[" * 5_000,
        "x" * 300_000,
        '{"jsonrpc":"2.0"}',
    ),
    *({**LIST, "id": one} for one in NO_IDS),
    *({**LIST, "params": one} for one in NO_PARAMS),
    *({**LIST, "method": one} for one in (None, 1, "", "nothing/such", "rpc.x", "tools/list\n", "x" * 10_000)),
    *({**LIST, "jsonrpc": one} for one in (None, "1.0", 2.0)),
    *(calls(name) for name in ("", "nothing", "../x", "x" * 10_000)),
    *({**LIST, "method": "tools/call", "params": one} for one in ({}, {"name": 1}, {"name": "ddft_score", "arguments": []})),
    {"jsonrpc": "2.0", "id": 5, "result": {}},
    {"jsonrpc": "2.0", "id": 5, "error": {"code": 1, "message": "x"}},
    {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": "nothing"}},
    {"jsonrpc": "2.0", "method": "notifications/nothing"},
    '{"jsonrpc":"2.0","id":6,"method":"tools/call","params":{"name":"search_runbooks","arguments":{"query":"\\ud800","service":"x"}}}',
]


def test_odd_lines_end_nothing_and_are_answered_as_what_they_are(store: Path, tmp_path: Path) -> None:
    answers, logged = asked(*ODD, {**LIST, "id": "last"}, store=store, folder=tmp_path)
    [last] = [one for one in answers if one.get("id") == "last"]
    assert len(last["result"]["tools"]) == 8
    unreadable = [one for one in answers if one["id"] is None]
    assert {one["error"]["code"] for one in unreadable} == {-32700}
    assert len(unreadable) >= 20
    assert "Traceback" not in logged


def test_every_call_is_in_a_trail_of_the_process(store: Path, tmp_path: Path) -> None:
    asked(calls("search_runbooks", query="workers hang", service="checkout"), store=store, folder=tmp_path)
    lines = [json.loads(line) for line in (tmp_path / "trail" / "stdio-1" / "tool_trace.jsonl").read_text().splitlines()]
    [called] = [one["data"] for one in lines if one["kind"] == "ToolCalled"]
    assert (called["caller"], called["tool"], called["documents"]) == ("stdio", "search_runbooks", ["checkout-hung-workers"])
    assert called["arguments"].startswith("sha256:")
