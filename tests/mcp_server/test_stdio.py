"""The command over standard input and output, as a process of its own."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

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
    assert answers[0]["result"]["structuredContent"]["status"] in ("ok", "empty")


def test_every_call_is_in_a_trail_of_the_process(store: Path, tmp_path: Path) -> None:
    asked(calls("search_runbooks", query="workers hang", service="checkout"), store=store, folder=tmp_path)
    lines = [json.loads(line) for line in (tmp_path / "trail" / "stdio-1" / "tool_trace.jsonl").read_text().splitlines()]
    [called] = [one["data"] for one in lines if one["kind"] == "ToolCalled"]
    assert (called["caller"], called["tool"], called["documents"]) == ("stdio", "search_runbooks", ["checkout-hung-workers"])
    assert called["arguments"].startswith("sha256:")
