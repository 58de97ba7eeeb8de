"""What a call of a tool costs over HTTP beyond the search itself, against an empty FastMCP tool in the same run; and whether memory stays flat.

Run it by hand: `PYTHONPATH=tests python tests/benchmarks/agent_tools.py [CALLS]`. The server is the real command in a process of its own, with token,
trail and the embedded store of examples/; the empty one is FastMCP with nothing around a tool that does nothing. The search is not subtracted, as it
takes longer beside a server than by itself: a second process of the real command is asked, whose store remembers the one answer that it is asked for.
How much of the rest is the answer itself, which FastMCP's client also checks against its schema, is told by FastMCP giving the same answer from a
tool with nothing around it. Ratios are what to compare between machines.
"""

import asyncio
import contextlib
import json
import os
import signal
import statistics
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
from fastmcp import Client
from mcp_types import TextContent

from safety_governor_mcp import tokens
from support.knowledge import load
from support.ports import free_port
from support.timing import milliseconds

EXAMPLES = Path(__file__).parent.parent.parent / "examples" / "knowledge"
QUESTION = {"query": "checkout workers hang and orders queue up", "service": "checkout"}
ROUNDS, WARM, AT_ONCE = 600, 100, 8
ALLOWED = 1.2
FLAT = 8 * 1024
"""KiB that the second half of the calls may add; an allocator breathes, a leak of a few hundred bytes a call adds more."""
FASTMCP = """
import json, logging, sys, uvicorn
from fastmcp import FastMCP
from fastmcp.tools.base import ToolResult
logging.disable(logging.WARNING)
server = FastMCP("empty")
@server.tool
async def nothing() -> str:
    return ""
told = json.load(open(sys.argv[2]))
@server.tool(output_schema=told["schema"])
async def same() -> ToolResult:
    return ToolResult(content=told["text"], structured_content=told["answer"])
app = server.http_app(path="/mcp", stateless_http=True, json_response=True)
uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_config=None, access_log=False)
"""


REMEMBERING = """
import sys
from safety_governor.adapters.embedded import EmbeddedKnowledge
from safety_governor.cli.main import main
search, answers = EmbeddedKnowledge.search_runbooks, {}
async def remembered(self, query, **more):
    key = (query, *sorted(more.items()))
    if key not in answers:
        answers[key] = await search(self, query, **more)
    return answers[key]
EmbeddedKnowledge.search_runbooks = remembered
sys.argv[0] = "safety-governor"
main()
"""


@contextlib.asynccontextmanager
async def running(*command: str, port: int, **environment: str) -> AsyncIterator[int]:
    """A server process, once it listens; its id."""
    process = await asyncio.create_subprocess_exec(sys.executable, *command, env={**os.environ, **environment})
    try:
        for _ in range(600):
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.close()
                break
            await asyncio.sleep(0.1)
        else:
            raise TimeoutError("the server does not listen")
        yield process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        await asyncio.wait_for(process.wait(), 20)


async def compare(asked: dict[str, Callable[[], Awaitable[object]]]) -> dict[str, float]:
    """Milliseconds at p50. They take turns, so that whatever else the machine does hits all alike; and each server is asked as often as
    the others, as one that was asked a moment ago answers from warm caches."""
    took: dict[str, list[float]] = {name: [] for name in asked}
    for number in range(WARM + ROUNDS):
        for name, call in asked.items():
            spent = await milliseconds(call)
            if number >= WARM:
                took[name].append(spent)
    return {name: statistics.median(times) for name, times in took.items()}


def session(client: httpx.AsyncClient, url: str, token: str, tool: str, arguments: dict[str, Any]) -> Callable[[], Awaitable[object]]:
    """A call over a connection that is kept, with nothing of a client library in it."""
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": tool, "arguments": arguments}}

    async def call() -> object:
        answer = await client.post(url, json=body, headers={"Authorization": f"Bearer {token}"})
        assert "result" in answer.json(), answer.text
        return answer

    return call


def resident(process: int) -> int:
    """KiB."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))


REFUSED = (
    {"name": "search_runbooks", "arguments": {"query": "", "service": "checkout"}},
    {"name": "search_evidence", "arguments": {"query": "x" * 5000, "service": "checkout"}},
    {"name": "query_live_logs", "arguments": {"service": "checkout", "minutes": -1}},
    {"name": "no_such_tool", "arguments": {}},
)
ANSWERED = (
    {"name": "search_runbooks", "arguments": QUESTION},
    {"name": "search_evidence", "arguments": QUESTION},
    {"name": "check_policy_conflicts", "arguments": {"action": "restart-checkout", "service": "checkout", "severity": "high"}},
    {"name": "query_live_logs", "arguments": {"service": "checkout", "minutes": 15}},
    {"name": "reliability_profile", "arguments": {"model": "gpt-5.4"}},
)


async def soak(url: str, token: str, process: int, calls: int) -> int:
    """Every tenth call is one that is turned down, in every way in turn. KiB that the second half has added."""
    asked = iter(range(calls))
    counts: dict[str, int] = {}
    at: dict[int, int] = {0: resident(process)}

    async def caller(client: httpx.AsyncClient) -> None:
        for number in asked:
            wrong = number % 10 == 0
            turn = number // 10
            params: dict[str, Any] = dict(REFUSED[turn % len(REFUSED)] if wrong else ANSWERED[number % len(ANSWERED)])
            if wrong and turn % len(REFUSED) == 3:
                params["name"] = f"no_such_tool_{number}"  # whatever is kept of names would add up
            secret = "a-wrong-one" if wrong and turn % 5 == 4 else token
            answer = await client.post(
                url,
                json={"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": params},
                headers={"Authorization": f"Bearer {secret}", "X-Governor-Run": f"run-{number}"},
            )
            told = _outcome(answer)
            counts[told] = counts.get(told, 0) + 1
            if (number + 1) % (calls // 4) == 0:
                at[number + 1] = resident(process)

    async with httpx.AsyncClient(timeout=30) as client:
        await asyncio.gather(*(caller(client) for _ in range(AT_ONCE)))
    print(f"{calls} calls: " + ", ".join(f"{count} {name}" for name, count in sorted(counts.items())))
    print("resident after " + ", ".join(f"{number}: {size / 1024:.1f} MiB" for number, size in sorted(at.items())))
    halves = sorted(at)
    return at[halves[-1]] - at[halves[len(halves) // 2]]


def _outcome(answer: httpx.Response) -> str:
    if answer.status_code != 200:
        return f"HTTP {answer.status_code}"
    body = json.loads(answer.text)
    if "error" in body:
        return "protocol error"
    found = body["result"].get("structuredContent")
    return "error result" if found is None else str(found["status"])


async def main(calls: int) -> int:
    port, remembering, other, alone = (free_port() for _ in range(4))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        load(folder / "knowledge.db", EXAMPLES)
        token, line = tokens.new("benchmark")
        (folder / "tokens").write_text(line + "\n")
        settings = {
            "GOVERNOR_STORE": str(folder / "knowledge.db"),
            "GOVERNOR_MCP__TOKENS": str(folder / "tokens"),
            "GOVERNOR_MCP__CALLS_PER_MINUTE": "100000",
            "GOVERNOR_LOG_LEVEL": "warning",
        }
        command = ("mcp", "--transport", "http", "--address")
        url, without, nothing, alike = (f"http://127.0.0.1:{one}/mcp" for one in (port, remembering, other, alone))
        real = running(
            *("-m", "safety_governor.cli.main", *command, f"127.0.0.1:{port}"),
            port=port,
            GOVERNOR_MCP_AUDIT=str(folder / "audit"),
            **settings,
        )
        no_search = running(
            *("-c", REMEMBERING, *command, f"127.0.0.1:{remembering}"),
            port=remembering,
            GOVERNOR_MCP_AUDIT=str(folder / "audit-without"),
            **settings,
        )
        async with real as process, no_search:
            async with Client(url, auth=token) as ours:
                answer = await same_answer(ours)
            (folder / "same.json").write_text(answer)
            async with (
                running("-c", FASTMCP, str(other), str(folder / "same.json"), port=other),
                running("-c", FASTMCP, str(alone), str(folder / "same.json"), port=alone),
                Client(url, auth=token) as ours,
                Client(without, auth=token) as bare,
                Client(nothing) as empty,
                Client(alike) as same,
                httpx.AsyncClient() as plain,
            ):
                p50 = await compare(
                    {
                        "plain HTTP tool": session(plain, url, token, "search_runbooks", QUESTION),
                        "plain HTTP bare": session(plain, without, token, "search_runbooks", QUESTION),
                        "plain HTTP same": session(plain, alike, token, "same", {}),
                        "plain HTTP empty": session(plain, nothing, token, "nothing", {}),
                        "FastMCP client tool": lambda: ours.call_tool("search_runbooks", QUESTION),
                        "FastMCP client bare": lambda: bare.call_tool("search_runbooks", QUESTION),
                        "FastMCP client same": lambda: same.call_tool("same", {}),
                        "FastMCP client empty": lambda: empty.call_tool("nothing", {}),
                    }
                )
            print(f"p50 of {ROUNDS} calls over a kept session, allowed {ALLOWED} of an empty tool without the search")
            ratios = [told(name, p50) for name in ("plain HTTP", "FastMCP client")]
            grown = await soak(url, token, process, calls)
    print(f"the second half added {grown / 1024:.1f} MiB, allowed {FLAT / 1024:.0f}")
    return int(max(ratios) > ALLOWED or grown > FLAT)


async def same_answer(ours: Client[Any]) -> str:
    """What the tool answers, for another server to say the same."""
    (schema,) = [one.output_schema for one in await ours.list_tools() if one.name == "search_runbooks"]
    answer = await ours.call_tool("search_runbooks", QUESTION)
    texts = [block.text for block in answer.content if isinstance(block, TextContent)]
    return json.dumps({"schema": schema, "answer": answer.structured_content, "text": texts})


def told(name: str, p50: dict[str, float]) -> float:
    """Print what a call costs through this client; its ratio to an empty tool."""
    tool, bare, same, empty = (p50[f"{name} {what}"] for what in ("tool", "bare", "same", "empty"))
    print(
        f"{name:<15} whole call {tool:.2f} ms, without its search {bare:.2f}; empty tool {empty:.2f}, ratio {bare / empty:.2f}; "
        f"the same answer from FastMCP alone {same:.2f}, ratio {bare / same:.2f}"
    )
    return bare / empty


if __name__ == "__main__":
    sys.exit(asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 20_000)))
