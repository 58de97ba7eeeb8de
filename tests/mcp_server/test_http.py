"""The command over real HTTP on loopback, asked by plain requests and by clients that are not ours."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import httpx
import httpx2
import mcp_types
import pytest
from fastmcp import Client
from fastmcp.server.auth.providers.jwt import RSAKeyPair
from mcp import ClientSession
from mcp.client.streamable_http import streamable_http_client

from safety_governor_mcp import limits, tokens, tools
from support.knowledge import load
from support.ports import free_port
from support.served_tools import Served, command, serving

EXAMPLES = Path(__file__).parent.parent.parent / "examples" / "knowledge"
INSPECTOR = "@modelcontextprotocol/inspector@0.17.2"
QUESTION = {"query": "guest carts", "service": "checkout"}
ASKED: dict[str, Any] = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "tools/call",
    "params": {"name": "search_evidence", "arguments": QUESTION},
}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("store") / "knowledge.db"
    load(path, EXAMPLES)
    return path


@pytest.fixture(scope="module")
def served(store: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(store, tmp_path_factory.mktemp("served")) as one:
        yield one


def ask(served: Served, body: Any = ASKED, *, token: str | None = None, **headers: str) -> httpx.Response:
    given = served.token if token is None else token
    authorization = {"Authorization": f"Bearer {given}"} if given else {}
    return httpx.post(served.url, json=body, headers={**authorization, **headers}, timeout=30)


def told(answer: httpx.Response) -> dict[str, Any]:
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()["result"]["structuredContent"]
    return found


class TestWhoIsLetIn:
    def test_with_a_token_is(self, served: Served) -> None:
        assert told(ask(served))["status"] == "ok"

    @pytest.mark.parametrize("token", ["", "sgm_wrong", "sha256:" + "a" * 64])
    def test_without_the_right_one_is_not(self, served: Served, token: str) -> None:
        answer = ask(served, token=token)
        assert answer.status_code == 401
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")

    def test_with_the_digest_from_the_file_is_not(self, served: Served) -> None:
        assert ask(served, token=tokens.digest(served.token)).status_code == 401

    def test_with_a_new_token_is_at_once_and_with_one_taken_away_no_more(self, store: Path, tmp_path: Path) -> None:
        with serving(store, tmp_path) as served:
            assert ask(served).status_code == 200
            old = served.tokens_file.read_text()
            token, line = tokens.new("agent")
            served.tokens_file.write_text(f"{old}{line}\n")
            assert [ask(served, token=one).status_code for one in (served.token, token)] == [200, 200]
            served.tokens_file.write_text(f"{line}\n")
            assert [ask(served, token=one).status_code for one in (served.token, token)] == [401, 200]
            served.tokens_file.unlink()
            assert ask(served, token=token).status_code == 401

    def test_by_another_name_of_the_server_is_not(self, served: Served) -> None:
        assert ask(served, Host="rebound.example").status_code == 421

    def test_from_a_page_in_a_browser_is_not(self, served: Served) -> None:
        assert ask(served, Origin="https://somewhere.example").status_code == 403

    def test_with_a_jwt_is_when_it_is_meant_for_us(self, store: Path, tmp_path: Path) -> None:
        keys = RSAKeyPair.generate()
        with _keys(keys) as uri:
            settings = {
                "GOVERNOR_MCP__JWKS_URI": uri,
                "GOVERNOR_MCP__JWT_ISSUER": "https://issuer.example",
                "GOVERNOR_MCP__JWT_AUDIENCE": "safety-governor",
            }
            with serving(store, tmp_path, with_tokens=False, **settings) as served:
                right = keys.create_token(subject="kibana", issuer="https://issuer.example", audience="safety-governor", kid="one")
                wrong = keys.create_token(subject="kibana", issuer="https://issuer.example", audience="others", kid="one")
                forged = RSAKeyPair.generate().create_token(
                    subject="kibana", issuer="https://issuer.example", audience="safety-governor", kid="one"
                )
                assert [ask(served, token=one).status_code for one in (right, wrong, forged, served.token)] == [200, 401, 401, 401]
                served.end()
            assert {one["caller"] for one in _trace(tmp_path)} == {"kibana"}


class TestWhatIsServed:
    def test_without_tokens_is_for_this_machine_only_and_says_so(self, store: Path, tmp_path: Path) -> None:
        with serving(store, tmp_path, with_tokens=False) as served:
            assert told(ask(served, token=""))["status"] == "ok"
            assert "everybody on this machine, as no tokens are configured" in served.end()

    def test_without_tokens_elsewhere_is_nothing(self, store: Path, tmp_path: Path) -> None:
        refused = _refused("0.0.0.0:0", store, tmp_path)
        assert "without tokens the MCP server serves loopback only, and 0.0.0.0:0 is not" in refused
        assert len(refused.splitlines()) == 1

    def test_at_an_address_that_is_taken_is_refused(self, served: Served, store: Path, tmp_path: Path) -> None:
        assert "cannot be served" in _refused(served.base.removeprefix("http://"), store, tmp_path)

    def test_is_stateless(self, served: Served) -> None:
        assert ask(served, {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}).headers.get("mcp-session-id") is None
        assert httpx.get(served.url, headers={"Authorization": f"Bearer {served.token}"}).status_code == 405

    def test_is_logged_in_one_line_and_calls_are_not(self, store: Path, tmp_path: Path) -> None:
        with serving(store, tmp_path) as served:
            ask(served)
            ask(served, token="wrong")
            ask(served, {"jsonrpc": "2.0", "id": 1, "method": "nothing/such"})
            ask(served, "garbage")
            logged = served.end().splitlines()
        assert len(logged) == 2, logged
        assert "serving eight tools" in logged[0]
        assert "whoever has a token" in logged[0]
        assert "tokens read" in logged[1]


class TestWhatIsTooMuch:
    def test_declared_is_refused(self, served: Served) -> None:
        answer = ask(served, {**ASKED, "padding": "x" * limits.BODY})
        assert answer.status_code == 413
        assert str(limits.BODY) in answer.text

    def test_undeclared_is_refused(self, served: Served) -> None:
        def drip() -> Iterator[bytes]:
            for _ in range(limits.BODY // 1024 + 1):
                yield b" " * 1024

        answer = httpx.post(served.url, content=drip(), headers={"Authorization": f"Bearer {served.token}"}, timeout=30)
        assert answer.status_code == 413

    def test_many_calls_are_told_to_wait(self, store: Path, tmp_path: Path) -> None:
        with serving(store, tmp_path, GOVERNOR_MCP__CALLS_PER_MINUTE="2") as served:
            answers = [told(ask(served)) for _ in range(3)]
        assert [one["status"] for one in answers] == ["ok", "ok", "unavailable"]
        assert "agent has called more than 2 times a minute" in answers[2]["reason"]


class TestBeside:
    def test_health_needs_no_token_whatever_the_host(self, served: Served) -> None:
        for path in ("/healthz", "/readyz"):
            answer = httpx.get(served.base + path, headers={"Host": "10.1.2.3:8000"})
            assert (answer.status_code, answer.text) == (200, "ok")

    def test_store_that_cannot_be_read_is_not_ready_and_not_empty(self, tmp_path: Path) -> None:
        with serving(tmp_path / "nowhere.db", tmp_path) as served:
            ready = httpx.get(f"{served.base}/readyz")
            assert ready.status_code == 503
            assert "does not exist" in ready.text
            assert httpx.get(f"{served.base}/healthz").status_code == 200
            answer = told(ask(served))
            assert (answer["status"], answer["data"]) == ("unavailable", None)

    def test_figures_count_calls_and_keep_no_name_that_was_made_up(self, served: Served) -> None:
        for number in range(3):
            ask(served, {**ASKED, "params": {"name": f"made_up_{number}", "arguments": {}}})
        told(ask(served))
        figures = httpx.get(f"{served.base}/metrics").text
        assert 'governor_mcp_calls_total{status="ok",tool="search_evidence"}' in figures
        assert 'tool="unknown"' in figures
        assert "made_up" not in figures


class TestTrace:
    def test_holds_caller_run_and_documents_of_every_call_until_the_end(self, store: Path, tmp_path: Path) -> None:
        with serving(store, tmp_path) as served:
            shown = [one["id"] for one in told(ask(served, **{"X-Governor-Run": "run-7"}))["data"]["documents"]]
            told(ask(served, {**ASKED, "params": {"name": "search_evidence", "arguments": {"query": ""}}}))
            ask(served, {**ASKED, "params": {"name": "made_up", "arguments": {}}})
            served.end()
        first, wrong, unknown = _trace(tmp_path)
        assert shown
        assert (first["caller"], first["run"], first["documents"]) == ("agent", "run-7", shown)
        assert "service is missing" in wrong["problem"]
        assert (unknown["tool"], unknown["problem"]) == ("unknown", "there is no such tool")
        assert served.token not in (tmp_path / "trail" / "http" / "tool_trace.jsonl").read_text()


class TestClients:
    @pytest.mark.parametrize("mode", ["auto", "legacy"])
    async def test_of_fastmcp(self, served: Served, mode: Any) -> None:
        async with Client(served.url, auth=served.token, mode=mode) as client:
            assert {one.name for one in await client.list_tools()} == tools.NAMES
            result = await client.call_tool("search_evidence", QUESTION)
        assert result.structured_content is not None
        assert result.structured_content["status"] == "ok"

    async def test_of_the_official_sdk(self, served: Served) -> None:
        async with (
            httpx2.AsyncClient(headers={"Authorization": f"Bearer {served.token}"}) as connection,
            streamable_http_client(served.url, http_client=connection) as streams,
            ClientSession(streams[0], streams[1]) as session,
        ):
            await session.initialize()
            assert {one.name for one in (await session.list_tools()).tools} == tools.NAMES
            # It holds the answer against the declared schema.
            result = await session.call_tool("search_evidence", dict(QUESTION))
            missing = await session.call_tool("search_evidence", {"query": "x"})
        assert isinstance(result, mcp_types.CallToolResult)
        assert isinstance(missing, mcp_types.CallToolResult)
        [block] = result.content
        assert isinstance(block, mcp_types.TextContent)
        assert json.loads(block.text) == result.structured_content
        assert missing.structured_content is not None
        assert missing.structured_content["status"] == "invalid"

    @pytest.mark.thorough
    @pytest.mark.skipif(shutil.which("npx") is None, reason="npx is not there")
    def test_inspector(self, served: Served) -> None:
        asked = ["npx", "--yes", INSPECTOR, "--cli", served.url, "--transport", "http", "--header", f"Authorization: Bearer {served.token}"]
        listed = json.loads(_output([*asked, "--method", "tools/list"]))
        assert {one["name"] for one in listed["tools"]} == tools.NAMES
        given = [part for name, value in QUESTION.items() for part in ("--tool-arg", f"{name}={value}")]
        called = json.loads(_output([*asked, "--method", "tools/call", "--tool-name", "search_evidence", *given]))
        assert json.loads(called["content"][0]["text"])["status"] == "ok"


def _output(asked: list[str]) -> str:
    return subprocess.run(asked, capture_output=True, text=True, timeout=110, check=True).stdout


def _refused(address: str, store: Path, folder: Path) -> str:
    environment = {**os.environ, "GOVERNOR_STORE": str(store), "GOVERNOR_MCP_AUDIT": str(folder / "refused")}
    done = subprocess.run(
        command("--transport", "http", "--address", address), env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout) == (1, "")
    return done.stderr


def _trace(folder: Path) -> list[dict[str, Any]]:
    lines = (folder / "trail" / "http" / "tool_trace.jsonl").read_text().splitlines()
    return [one["data"] for one in map(json.loads, lines) if one["kind"] == "ToolCalled"]


class _keys:  # noqa: N801 - used as a context manager
    """Serves the public half of a key as a JWKS."""

    def __init__(self, keys: RSAKeyPair) -> None:
        from joserfc.jwk import RSAKey  # noqa: PLC0415

        public = RSAKey.import_key(keys.public_key).as_dict(private=False)
        content = json.dumps({"keys": [{**public, "kid": "one", "alg": "RS256", "use": "sig"}]}).encode()

        class Answer(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", free_port()), Answer)

    def __enter__(self) -> str:
        Thread(target=self._server.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{self._server.server_port}/jwks"

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
