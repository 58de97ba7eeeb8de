"""The tools over HTTP: a real process on loopback, asked by httpx and by clients that we did not write."""

import asyncio
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import httpx2
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from fastmcp import Client
from fastmcp.server.auth.providers.jwt import RSAKeyPair
from joserfc.jwk import RSAKey
from mcp.client.session import ClientSession
from mcp.client.streamable_http import streamable_http_client

from safety_governor.domain import errors, serving
from safety_governor_mcp import http, tokens, tools
from safety_governor_mcp.jwts import NamedJwts
from support.knowledge import load
from support.tool_process import ToolProcess
from testbed import wait_until

EXAMPLES = Path(__file__).parent.parent.parent / "examples" / "knowledge"
INSPECTOR = "@modelcontextprotocol/inspector@0.17.2"
CALL = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "tools/call",
    "params": {"name": "search_evidence", "arguments": {"query": "guest carts", "service": "checkout"}},
}
LIST = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("mcp") / "knowledge.db"
    load(path, EXAMPLES)
    return path


@pytest.fixture(scope="module")
def served(store: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ToolProcess]:
    with ToolProcess(store, tmp_path_factory.mktemp("served")) as process:
        yield process


class TestWhoIsLetIn:
    @pytest.mark.parametrize("token", [None, "wrong", "sgm_", "x" * 5000])
    def test_nobody_without_a_token(self, token: str | None, served: ToolProcess) -> None:
        answer = served.ask(LIST, token=token)
        assert answer.status_code == 401
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")
        assert answer.text.startswith("This server lets in who sends `Authorization: Bearer TOKEN`")

    def test_who_has_one_is_shown_eight_tools(self, served: ToolProcess) -> None:
        answer = served.ask(LIST)
        assert answer.status_code == 200
        assert len(answer.json()["result"]["tools"]) == 8

    def test_tokens_come_and_go_while_it_runs(self, store: Path, tmp_path: Path) -> None:
        with ToolProcess(store, tmp_path) as process:
            new, line = tokens.new("kibana")
            assert process.ask(LIST, token=new).status_code == 401
            old = process.tokens.read_text()
            process.tokens.write_text(f"{old}{line}\n")
            assert [process.ask(LIST, token=one).status_code for one in (process.token, new)] == [200, 200]
            process.tokens.write_text(f"{line}\n")
            assert [process.ask(LIST, token=one).status_code for one in (process.token, new)] == [401, 200]

    def test_nobody_with_the_digest_from_the_file(self, served: ToolProcess) -> None:
        assert served.ask(LIST, token=tokens.digest(served.token)).status_code == 401

    def test_nobody_once_the_file_is_gone(self, store: Path, tmp_path: Path) -> None:
        with ToolProcess(store, tmp_path) as process:
            assert process.ask(LIST).status_code == 200
            process.tokens.unlink()
            assert process.ask(LIST).status_code == 401

    async def test_jwts_signed_by_a_key_of_the_jwks(self, store: Path, tmp_path: Path) -> None:
        pair, other = RSAKeyPair.generate(), RSAKeyPair.generate()
        public = RSAKey.import_key(pair.public_key).as_dict(private=False)

        async def keys(_: web.Request) -> web.Response:
            return web.json_response({"keys": [{**public, "kid": "one", "alg": "RS256", "use": "sig"}]})

        application = web.Application()
        application.router.add_get("/keys", keys)
        async with TestServer(application) as server:
            settings = {
                "mcp__jwks_uri": str(server.make_url("/keys")),
                "mcp__jwt_issuer": "https://id.example",
                "mcp__jwt_audience": "governor",
            }
            claims: dict[str, Any] = {"subject": "agent-7", "issuer": "https://id.example", "audience": "governor", "kid": "one"}
            with ToolProcess(store, tmp_path, **settings) as process:
                # In a thread, as it is this loop that serves the keys.
                asked = [
                    await asyncio.to_thread(process.ask, CALL, token=one)
                    for one in (
                        pair.create_token(**claims),
                        pair.create_token(**{**claims, "audience": "another"}),
                        other.create_token(**claims),
                        process.token,
                    )
                ]
        assert [one.status_code for one in asked] == [200, 401, 401, 200]
        assert [one["caller"] for one in process.traced()] == ["jwt:agent-7", "kibana"]

    @pytest.mark.parametrize(
        ("claims", "status"),
        [
            ({}, 200),
            ({"issuer": "https://other.example"}, 401),
            ({"audience": "another"}, 401),
            ({"expires_in_seconds": -60}, 401),
            ({"additional_claims": {"exp": None}}, 401),
            ({"additional_claims": {"nbf": time.time() + 30}}, 200),
            ({"additional_claims": {"nbf": time.time() + 3600}}, 401),
            ({"additional_claims": {"nbf": "soon"}}, 401),
            ({"subject": "", "additional_claims": {"client_id": "kibana"}}, 200),
            ({"subject": ""}, 401),
        ],
    )
    async def test_jwts_of_the_right_issuer_for_us(self, claims: dict[str, Any], status: int) -> None:
        pair = RSAKeyPair.generate()
        token = pair.create_token(**{"subject": "agent-7", "issuer": "https://id.example", "audience": "governor", **claims})
        verifier = NamedJwts(public_key=pair.public_key, issuer="https://id.example", audience="governor")
        found = await verifier.verify_token(token)
        assert (found is not None) == (status == 200)

    async def test_jwts_are_asked_for_by_the_settings(self) -> None:
        async def none(_: web.Request) -> web.Response:
            return web.json_response({"keys": []})

        keys = web.Application()
        keys.router.add_get("/keys", none)
        async with TestServer(keys) as server:
            given = {"jwks_uri": str(server.make_url("/keys")), "jwt_issuer": "https://id.example", "jwt_audience": "governor"}
            known = http.auth(serving.Serving.model_validate({"address": "0.0.0.0:8000", **given}), None)
            assert isinstance(known, NamedJwts)
            assert (known.issuer, known.audience) == ("https://id.example", "governor")

    def test_without_tokens_only_this_machine(self) -> None:
        assert http.auth(serving.Serving(), None) is None
        with pytest.raises(errors.ConfigurationError, match=r"serves loopback only, and 0\.0\.0\.0:8000 is not"):
            http.auth(serving.Serving(address="0.0.0.0:8000"), None)

    def test_that_is_said_at_the_command_line(self, store: Path) -> None:
        command = [sys.executable, "-m", "safety_governor.cli.main", "mcp", "--transport", "http", "--address", "0.0.0.0:8000"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 1
        assert done.stderr.startswith("safety-governor mcp: without tokens the MCP server serves loopback only")
        assert len(done.stderr.splitlines()) == 1


class TestGuards:
    def test_another_host_is_misdirected(self, served: ToolProcess) -> None:
        refused = served.ask(LIST, Host="evil.example")
        assert (refused.status_code, "GOVERNOR_MCP__ALLOWED_HOSTS" in refused.text) == (421, True)

    def test_web_page_of_another_origin_is_refused(self, served: ToolProcess) -> None:
        refused = served.ask(LIST, Origin="https://evil.example")
        assert (refused.status_code, "GOVERNOR_MCP__ALLOWED_ORIGINS" in refused.text) == (403, True)

    @pytest.mark.parametrize("size", [256 * 1024 + 1, 5_000_000])
    def test_body_that_is_too_large_is_refused(self, size: int, served: ToolProcess) -> None:
        assert served.ask(b"x" * size).status_code == 413

    def test_body_that_does_not_say_how_large_it_is_is_refused_when_it_is(self, served: ToolProcess) -> None:
        headers = {"Authorization": f"Bearer {served.token}"}
        assert httpx.post(f"{served.url}/mcp", content=(b" " * 1024 for _ in range(257)), headers=headers, timeout=30).status_code == 413

    @pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"x"', b"\xff\xfe", b"[" * 10_000, b'{"jsonrpc":"2.0","id":1,"method":"nope"}'])
    def test_garbage_is_refused_and_ends_nothing(self, body: bytes, served: ToolProcess) -> None:
        assert 400 <= served.ask(body).status_code < 500 or "error" in served.ask(body).json()
        assert served.ask(LIST).status_code == 200

    @pytest.mark.parametrize("query", ["\x00", "💥" * 1000, "a" * 1000], ids=["nul", "emoji", "long"])
    def test_odd_text_is_answered(self, query: str, served: ToolProcess) -> None:
        assert served.call("search_runbooks", query=query, service="checkout")["status"] in ("ok", "empty", "invalid")

    def test_who_calls_too_often_is_told_to_wait(self, store: Path, tmp_path: Path) -> None:
        with ToolProcess(store, tmp_path, mcp__calls_per_minute="3") as process:
            told = [process.call("query_live_logs", service="checkout")["status"] for _ in range(5)]
            assert told[3:] == ["unavailable", "unavailable"]
            assert "more than 3 times a minute" in process.call("query_live_logs", service="checkout")["reason"]
            listed = [process.ask(LIST).json() for _ in range(4)]
            assert ["result" in one for one in listed] == [True, True, True, False]
            assert "more than 3 times a minute" in listed[-1]["error"]["message"]


class TestBeside:
    def test_health_readiness_and_figures_need_no_token(self, served: ToolProcess) -> None:
        served.call("query_live_logs", service="checkout")
        told = {path: httpx.get(f"{served.url}/{path}") for path in ("healthz", "readyz", "metrics")}
        assert [one.status_code for one in told.values()] == [200, 200, 200]
        assert "governor_mcp_calls_total" in told["metrics"].text

    def test_store_that_cannot_be_read_is_not_ready_and_unavailable(self, tmp_path: Path) -> None:
        with ToolProcess(tmp_path / "none.db", tmp_path) as process:
            told = httpx.get(f"{process.url}/readyz")
            assert (told.status_code, told.text) == (503, "not ready; the log of the server says why")
            assert "unknown, not empty" in process.log
            assert process.call("search_runbooks", query="x", service="checkout")["status"] == "unavailable"

    def test_not_ready_while_nobody_can_be_let_in(self, store: Path, tmp_path: Path) -> None:
        with ToolProcess(store, tmp_path) as process:
            line = process.tokens.read_text()
            process.tokens.write_text(line + "one too many")
            assert httpx.get(f"{process.url}/readyz").status_code == 503
            assert "the tokens in" in process.log

    def test_every_call_is_in_the_trail_with_caller_and_run(self, served: ToolProcess) -> None:
        headers = {"X-Governor-Run": f"run-{time.monotonic_ns()}"}
        served.call("search_runbooks", query="workers hang", service="checkout", headers=headers)

        def traced() -> list[dict[str, Any]]:
            return [one for one in served.traced() if one["run"] == headers["X-Governor-Run"]]

        wait_until(lambda: bool(traced()), 10, "the call to be in the trail")
        [one] = traced()
        assert (one["caller"], one["tool"], one["documents"]) == ("kibana", "search_runbooks", ["checkout-hung-workers"])
        assert "workers hang" not in str(one)

    def test_who_calls_at_the_same_time_is_not_taken_for_another(self, store: Path, tmp_path: Path) -> None:
        with ToolProcess(store, tmp_path) as process:
            second, line = tokens.new("other")
            with process.tokens.open("a") as file:
                file.write(f"{line}\n")
            owners = {"kibana": process.token, "other": second}

            def call(number: int) -> None:
                name = ("kibana", "other")[number % 2]
                process.call("search_runbooks", token=owners[name], query="hang", service="checkout", headers={"X-Governor-Run": name})

            with ThreadPoolExecutor(8) as callers:
                list(callers.map(call, range(60)))
        seen = [(one["caller"], one["run"]) for one in process.traced()]
        assert sorted(seen) == [("kibana", "kibana")] * 30 + [("other", "other")] * 30

    def test_what_was_called_last_is_in_the_trail_when_it_ends(self, store: Path, tmp_path: Path) -> None:
        with ToolProcess(store, tmp_path) as process:
            shown = [one["id"] for one in process.call("search_evidence", query="guest carts", service="checkout")["data"]["documents"]]
            process.call("search_evidence", query="")
            process.ask({**CALL, "params": {"name": "made_up", "arguments": {}}})
        first, wrong, unknown = process.traced()
        assert shown
        assert first["documents"] == shown
        assert "service is missing" in wrong["problem"]
        assert (unknown["tool"], unknown["problem"]) == ("unknown", "there is no such tool")

    def test_names_that_callers_make_up_are_no_figures(self, served: ToolProcess) -> None:
        for number in range(3):
            served.ask({**CALL, "params": {"name": f"made_up_{number}", "arguments": {}}})
        told = httpx.get(f"{served.url}/metrics").text
        assert 'tool="unknown"' in told
        assert "made_up" not in told

    def test_two_lines_are_logged_whatever_is_asked(self, store: Path, tmp_path: Path) -> None:
        with ToolProcess(store, tmp_path) as process:
            for body in (LIST, CALL, b"garbage", {**LIST, "method": "nothing/such"}):
                process.ask(body)
            process.ask(LIST, token="wrong")
        logged = process.log.splitlines()
        assert len(logged) == 2, logged
        assert "serving eight tools" in logged[0]
        assert "tokens read" in logged[1]

    def test_nothing_secret_is_logged(self, served: ToolProcess) -> None:
        served.ask(LIST, token="sgm_a_wrong_one")
        assert served.token not in served.log
        assert "sgm_a_wrong_one" not in served.log


class TestForeignClients:
    """Clients that we did not write."""

    async def test_official_sdk(self, served: ToolProcess) -> None:
        async with (
            httpx2.AsyncClient(headers={"Authorization": f"Bearer {served.token}"}) as connection,
            streamable_http_client(f"{served.url}/mcp", http_client=connection) as (read, write, *_),
            ClientSession(read, write, read_timeout_seconds=timedelta(seconds=30).total_seconds()) as session,
        ):
            await session.initialize()
            assert len((await session.list_tools()).tools) == 8
            told = await session.call_tool("search_evidence", {"query": "carts", "service": "checkout"})
            assert told.structured_content is not None
            assert told.structured_content["status"] == "ok"

    @pytest.mark.parametrize("mode", ["auto", "legacy"])
    async def test_fastmcp(self, mode: Any, served: ToolProcess) -> None:
        async with Client(f"{served.url}/mcp", auth=served.token, mode=mode) as client:
            assert len(await client.list_tools()) == 8
            told = await client.call_tool("query_live_logs", {"service": "checkout"})
            assert told.structured_content is not None
            assert told.structured_content["status"] in ("ok", "empty")

    @pytest.mark.thorough
    @pytest.mark.registry
    @pytest.mark.skipif(shutil.which("npx") is None, reason="npx is not there")
    def test_inspector(self, served: ToolProcess) -> None:
        asked = ["npx", "--yes", INSPECTOR, "--cli", f"{served.url}/mcp", "--transport", "http"]
        asked += ["--header", f"Authorization: Bearer {served.token}"]

        def told(*arguments: str) -> dict[str, Any]:
            found: dict[str, Any] = json.loads(subprocess.check_output([*asked, *arguments], timeout=110, stderr=subprocess.DEVNULL))
            return found

        assert {one["name"] for one in told("--method", "tools/list")["tools"]} == tools.NAMES
        given = ("--tool-arg", "query=guest carts", "--tool-arg", "service=checkout")
        called = told("--method", "tools/call", "--tool-name", "search_evidence", *given)
        assert json.loads(called["content"][0]["text"])["status"] == "ok"
