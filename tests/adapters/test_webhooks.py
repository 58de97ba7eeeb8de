"""Calls to automation outside of the cluster, against a strict receiver over real HTTP."""

import asyncio
import contextlib
import http.client
import json
import logging
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from structlog.testing import capture_logs

from safety_governor.adapters.webhooks import ANSWER_LIMIT, LONGEST_WAIT, Webhooks
from safety_governor.domain import errors, hooks
from safety_governor.settings import Settings
from support import tls
from support.fakes import NOON
from support.hook_receiver import HookReceiver
from support.ports import free_port

SECRET = "correct-horse-battery-staple-0123456789"
NEW_SECRET = "another-horse-battery-staple-9876543210"
TOKEN = "t0ken-in-the-address"
KEY = "sha256:" + "a" * 64
TRUST = ssl.create_default_context()
"""What the system believes, read once."""
BODY: dict[str, Any] = {"incident": "shop/slow", "target": {"kind": "Deployment", "name": "käse"}, "argument": "", "count": 3}


@pytest.fixture
def receiver() -> Iterator[HookReceiver]:
    with HookReceiver(SECRET, now=lambda: NOON) as entered:
        yield entered


def automation(receiver: HookReceiver, *, now: datetime = NOON, trust: ssl.SSLContext | None = TRUST, **more: Any) -> Webhooks:
    """The automation `restart`."""
    settings = {"url": f"{receiver.url}?token={TOKEN}", "secret": SECRET, **more}
    if more.get("secret_file"):
        del settings["secret"]
    return Webhooks({"restart": hooks.Endpoint.model_validate(settings)}, now=lambda: now, trust=trust)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tls.certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def secured(certificate: Path) -> Iterator[HookReceiver]:
    with HookReceiver(SECRET, now=lambda: NOON, tls=tls.server_context(certificate)) as entered:
        yield entered


def _post(receiver: HookReceiver, headers: dict[str, str], body: bytes) -> int:
    """The status that somebody else's call gets."""
    connection = http.client.HTTPConnection(*receiver.address)
    try:
        connection.request("POST", "/hook", body=body, headers={name: value for name, value in headers.items() if name != "host"})
        return connection.getresponse().status
    finally:
        connection.close()


async def answered_by(beginning: bytes, *, trickle: bytes = b"") -> None:
    """A call to a server that answers so, and then goes on with the trickle for as long as somebody listens."""

    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            writer.write(beginning)
            await writer.drain()
            while trickle:
                writer.write(trickle)
                await writer.drain()
                await asyncio.sleep(0.02)
        with contextlib.suppress(ConnectionError):
            writer.close()
            await writer.wait_closed()
        gone.set()

    gone = asyncio.Event()
    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        endpoint = hooks.Endpoint.model_validate({"url": url, "secret": SECRET, "timeout": timedelta(seconds=0.3)})
        try:
            await call(Webhooks({"restart": endpoint}, now=lambda: NOON, trust=TRUST))
        finally:
            await gone.wait()


async def call(webhooks: Webhooks, *, key: str = KEY, body: dict[str, Any] = BODY) -> None:
    await webhooks.call("restart", key=key, body=body)


class TestCall:
    async def test_is_signed_and_understood(self, receiver: HookReceiver) -> None:
        await call(automation(receiver))
        assert (receiver.effects, receiver.replays, receiver.refused) == ({KEY: 1}, {}, [])
        assert receiver.bodies[KEY] == BODY
        assert receiver.asked[0].headers["user-agent"].startswith("safety-governor/")

    async def test_counts_once_however_often_it_is_repeated(self, receiver: HookReceiver) -> None:
        for minutes in range(3):
            await call(automation(receiver, now=NOON + timedelta(minutes=minutes)))
        assert (receiver.effects, receiver.replays) == ({KEY: 1}, {KEY: 2})
        signatures = {one.headers["x-governor-signature"] for one in receiver.asked}
        assert len(signatures) == 3

    async def test_goes_straight_there_whatever_the_environment_says(self, receiver: HookReceiver, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{free_port()}")
        await call(automation(receiver))
        assert receiver.effects == {KEY: 1}

    @pytest.mark.parametrize("trouble", ["drop", "hang", "half an answer", "500"])
    async def test_is_repeated_after_a_lost_answer_and_counts_once(self, receiver: HookReceiver, trouble: str) -> None:
        match trouble:
            case "drop":
                receiver.drop()
            case "hang":
                receiver.hang()
            case "half an answer":
                receiver.hang(status=200, body=b"do")
            case _:
                receiver.fail(500, executes=True)
        webhooks = automation(receiver, timeout=timedelta(seconds=0.3))
        with pytest.raises(errors.AutomationUnavailableError, match=r"called again with the same key"):
            await call(webhooks)
        await call(webhooks)
        assert (receiver.effects, receiver.replays) == ({KEY: 1}, {KEY: 1})

    async def test_that_was_lost_before_it_was_taken_is_done_by_the_next(self, receiver: HookReceiver) -> None:
        receiver.drop(executes=False)
        webhooks = automation(receiver)
        with pytest.raises(errors.AutomationUnavailableError, match="whether it took the call is not known"):
            await call(webhooks)
        await call(webhooks)
        assert receiver.effects == {KEY: 1}

    async def test_is_done_without_waiting_for_the_end_of_an_endless_answer(self, receiver: HookReceiver) -> None:
        receiver.hang(status=200, body=b"x" * (ANSWER_LIMIT + 1))
        async with asyncio.timeout(5):
            await call(automation(receiver))

    async def test_is_refused_for_an_unknown_name_before_anything_is_sent(self, receiver: HookReceiver) -> None:
        webhooks = automation(receiver)
        with pytest.raises(errors.AutomationRefusedError, match=r"no automation reboot is known; .* one of these: restart$"):
            await webhooks.call("reboot", key=KEY, body=BODY)
        with pytest.raises(errors.AutomationRefusedError, match="no automation reboot is known"):
            webhooks.check("reboot")
        webhooks.check("restart")
        assert receiver.asked == []

    @pytest.mark.parametrize("key", ["", "a.b", "a\r\nX-Evil: 1", "ä", "a" * 256])
    async def test_is_refused_for_a_key_that_could_be_taken_for_something_else(self, receiver: HookReceiver, key: str) -> None:
        with pytest.raises(errors.AutomationRefusedError, match="the key of the action cannot be sent"):
            await call(automation(receiver), key=key)
        assert receiver.asked == []

    @pytest.mark.parametrize("argument", [2**60, float("nan"), "\ud800", {1, 2}])
    async def test_is_refused_for_what_has_no_canonical_form(self, receiver: HookReceiver, argument: object) -> None:
        with pytest.raises(errors.AutomationRefusedError, match="has no canonical JSON"):
            await call(automation(receiver), body={"argument": argument})
        assert receiver.asked == []

    async def test_that_was_waited_for_in_vain_leaves_nothing_open(self, receiver: HookReceiver) -> None:
        receiver.hang()
        task = asyncio.create_task(call(automation(receiver)))
        assert await asyncio.to_thread(receiver.wait_for_request, 10)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


class TestAnswer:
    @pytest.mark.parametrize("status", [200, 201, 202, 204])
    async def test_of_success_ends_the_call(self, receiver: HookReceiver, status: int) -> None:
        receiver.fail(status, executes=True)
        await call(automation(receiver))

    @pytest.mark.parametrize("status", [408, 409, 425, 429, 500, 502, 503, 504])
    async def test_of_not_now_asks_for_another_call(self, receiver: HookReceiver, status: int) -> None:
        receiver.fail(status)
        with pytest.raises(
            errors.AutomationUnavailableError, match=f"the automation restart answered {status}; the incident waits"
        ) as caught:
            await call(automation(receiver))
        assert caught.value.retry_after is None

    @pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 410, 413, 415, 422])
    async def test_of_refusal_is_final(self, receiver: HookReceiver, status: int) -> None:
        receiver.fail(status)
        with pytest.raises(errors.AutomationRefusedError, match=f"refused the call with {status}; its own log says why, for key {KEY}"):
            await call(automation(receiver))

    @pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
    @pytest.mark.parametrize("where", ["there", "http://[broken", "gopher://x"])
    async def test_of_a_redirect_is_never_followed(self, receiver: HookReceiver, status: int, where: str) -> None:
        with HookReceiver(SECRET, now=lambda: NOON) as elsewhere:
            receiver.fail(status, headers={"Location": elsewhere.url if where == "there" else where})
            with pytest.raises(errors.AutomationRefusedError, match="redirects are not followed"):
                await call(automation(receiver))
            assert (len(receiver.asked), elsewhere.asked) == (1, [])

    @pytest.mark.parametrize(
        ("said", "waited"),
        [
            ("7", 7.0),
            ("0", 0.0),
            ("999999999", LONGEST_WAIT),
            ("9" * 400, None),
            ("Sun, 01 Mar 2026 12:02:00 GMT", 120.0),
            ("Sun, 01 Mar 2026 11:00:00 GMT", 0.0),
            ("Sun, 01 Mar 2026 12:02:00", None),
            ("soon", None),
            ("-5", None),
            ("1e3", None),
        ],
    )
    async def test_says_when_to_come_back(self, receiver: HookReceiver, said: str, waited: float | None) -> None:
        receiver.ask_for_patience(said)
        with pytest.raises(errors.AutomationUnavailableError) as caught:
            await call(automation(receiver))
        assert caught.value.retry_after == waited

    async def test_that_is_no_http_is_no_answer(self) -> None:
        with pytest.raises(errors.AutomationUnavailableError, match=r"did not answer \(\w+\)"):
            await answered_by(b"220 mail.example.com ESMTP\r\n")

    async def test_that_trickles_in_is_not_waited_for(self) -> None:
        async with asyncio.timeout(10):
            with pytest.raises(errors.AutomationUnavailableError, match=r"did not answer \(not in time\)"):
                await answered_by(b"HTTP/1.1 200 OK\r\nContent-Length: 9999999\r\n\r\n", trickle=b"x")

    async def test_of_nobody_is_no_answer(self) -> None:
        endpoint = hooks.Endpoint.model_validate({"url": f"http://127.0.0.1:{free_port()}/", "secret": SECRET})
        with pytest.raises(errors.AutomationUnavailableError, match="could not be reached"):
            await call(Webhooks({"restart": endpoint}, now=lambda: NOON))


class TestSecret:
    async def test_that_is_wrong_is_refused_by_the_receiver(self, receiver: HookReceiver) -> None:
        with pytest.raises(errors.AutomationRefusedError, match="401"):
            await call(automation(receiver, secret=NEW_SECRET))
        assert (receiver.effects, receiver.refused) == ({}, ["the signature is wrong"])

    async def test_of_a_file_is_read_at_every_call(self, receiver: HookReceiver, tmp_path: Path) -> None:
        file = tmp_path / "secret"
        file.write_text(SECRET + "\n")
        webhooks = automation(receiver, secret_file=str(file))
        await call(webhooks)
        file.write_text(NEW_SECRET + "\n")
        receiver.secrets.append(NEW_SECRET)
        await call(webhooks)
        receiver.secrets.remove(SECRET)
        await call(webhooks)
        assert (receiver.effects, receiver.replays) == ({KEY: 1}, {KEY: 2})

    @pytest.mark.parametrize(
        ("content", "why"), [(None, "No such file"), ("short\n", "at least 32"), (b"\xff" * 40, "not text"), (" " * 40, "at least 32")]
    )
    async def test_of_a_file_that_is_wrong_waits_until_it_is_put_right(
        self, receiver: HookReceiver, tmp_path: Path, content: str | bytes | None, why: str
    ) -> None:
        file = tmp_path / "secret"
        if content is not None:
            file.write_bytes(content if isinstance(content, bytes) else content.encode())
        webhooks = automation(receiver, secret_file=str(file))
        with pytest.raises(errors.AutomationUnavailableError, match=why) as caught:
            await call(webhooks)
        assert "short" not in str(caught.value)
        assert receiver.asked == []
        file.write_text(SECRET)
        await call(webhooks)

    async def test_of_the_wrong_hour_is_refused_by_the_receiver(self, receiver: HookReceiver) -> None:
        for minutes in (-6, 6):
            with pytest.raises(errors.AutomationRefusedError, match="401"):
                await call(automation(receiver, now=NOON + timedelta(minutes=minutes)))
        assert receiver.effects == {}

    @pytest.mark.parametrize("header", ["Idempotency-Key", "X-Governor-Timestamp", "X-Governor-Signature", "body"])
    async def test_covers_everything_that_matters(self, receiver: HookReceiver, header: str) -> None:
        """Whoever changes a single part of an overheard call is refused."""
        await call(automation(receiver))
        asked = receiver.asked[0]
        changed = dict(asked.headers)
        body = asked.body
        if header == "body":
            body = body.replace(b"shop", b"bank")
        else:
            value = changed[header.lower()]
            changed[header.lower()] = value[:-1] + ("1" if value[-1] == "0" else "0")
        assert await asyncio.to_thread(_post, receiver, changed, body) == 401
        assert (receiver.effects, receiver.replays) == ({KEY: 1}, {})

    async def test_is_never_told(self, receiver: HookReceiver, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.DEBUG)
        receiver.drop()
        receiver.fail(404, body=f"no {TOKEN} here".encode())
        webhooks = automation(receiver)
        told = [repr(webhooks), *(repr(one) + str(one) for one in webhooks._endpoints.values())]
        with capture_logs() as logged:
            for _ in range(2):
                with pytest.raises((errors.AutomationUnavailableError, errors.AutomationRefusedError)) as caught:
                    await call(webhooks)
                error: BaseException | None = caught.value
                while error is not None:
                    told.append(repr(error) + str(error))
                    error = error.__cause__ or error.__context__
        told += [record.getMessage() for record in caplog.records] + [json.dumps(one, default=str) for one in logged]
        assert not [one for one in told if SECRET in one or TOKEN in one]


class TestCertificate:
    async def test_that_is_trusted_lets_the_call_through(self, secured: HookReceiver, certificate: Path) -> None:
        await call(automation(secured, trust=ssl.create_default_context(cafile=str(certificate))))
        assert secured.effects == {KEY: 1}

    async def test_that_is_not_trusted_keeps_everything_secret(self, secured: HookReceiver) -> None:
        with pytest.raises(errors.AutomationUnavailableError, match=r"could not be reached \(its certificate is not trusted\)"):
            await call(automation(secured))
        assert secured.asked == []


class TestEndpoint:
    @pytest.mark.parametrize(
        "url", ["https://runner.example.com/hook", "http://127.0.0.1:8080/", "http://localhost/x", "http://[::1]/", "http://127.9.9.9/"]
    )
    def test_may_be_reached_safely(self, url: str) -> None:
        hooks.Endpoint.model_validate({"url": url, "secret": SECRET})

    @pytest.mark.parametrize(
        ("settings", "why"),
        {
            "http to another machine": ({"url": "http://runner.example.com/"}, "must begin with https"),
            "http to a name that only looks local": ({"url": "http://localhost.example.com/"}, "must begin with https"),
            "http to any address": ({"url": "http://0.0.0.0/"}, "must begin with https"),
            "another protocol": ({"url": "ftp://127.0.0.1/"}, "scheme"),
            "no address": ({"url": "runner"}, "valid URL"),
            "a user in the address": ({"url": "https://me@runner.example.com/"}, "must not carry a user or password"),
            "a password in the address": ({"url": "https://:hunter2@runner.example.com/"}, "must not carry a user or password"),
            "a short secret": ({"secret": SECRET[:31]}, "at least 32 characters"),
            "no secret": ({"secret": None}, "name either secret or secret_file"),
            "two secrets": ({"secret_file": "/etc/secret"}, "name either secret or secret_file"),
            "no time": ({"timeout": "PT0S"}, "greater than 0"),
            "all the time in the world": ({"timeout": "PT1H"}, "less than or equal to"),
            "an unknown field": ({"sekret": SECRET}, "Extra inputs"),
        }.values(),
    )
    def test_is_refused_without_repeating_what_is_secret(self, settings: dict[str, Any], why: str) -> None:
        with pytest.raises(ValidationError, match=why) as caught:
            hooks.Endpoint.model_validate({"url": "https://runner.example.com/", "secret": SECRET, **settings})
        assert not [one for one in (SECRET, SECRET[:31], "hunter2") if one in str(caught.value)]

    def test_of_another_machine_may_be_insecure_if_somebody_says_so(self) -> None:
        hooks.Endpoint.model_validate({"url": "http://runner.lan/", "secret": SECRET, "allow_insecure": True})

    def test_comes_from_the_environment(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("GOVERNOR_WEBHOOKS__RESTART", json.dumps({"url": "https://runner.example.com/", "secret": SECRET}))
        found = Settings().webhooks["restart"]
        assert found.timeout == timedelta(seconds=10)
        assert found.secret is not None
        assert found.secret.get_secret_value() == SECRET

    def test_keeps_its_secret_out_of_its_texts(self) -> None:
        endpoint = hooks.Endpoint.model_validate({"url": "https://runner.example.com/", "secret": SECRET})
        assert SECRET not in repr(endpoint) + str(endpoint) + endpoint.model_dump_json()


async def test_the_default_receiver_lives_in_the_present() -> None:
    with HookReceiver(SECRET) as receiver:
        await call(automation(receiver, now=datetime.now(UTC)))
        assert receiver.effects == {KEY: 1}
