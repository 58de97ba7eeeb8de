"""Asks the score services themselves: `GET {address}/score/{model}`, one request, no second try.

A second try is no harmless thing here: CDCT and EECT start a run for every GET of a model that has no results.
"""

import asyncio
import contextlib
import ssl
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from urllib.parse import quote

import httpx

from safety_governor import __version__
from safety_governor.domain import scores
from safety_governor.domain.scoring import answers

ANSWER_LIMIT = 1024 * 1024
_BEFORE_THE_QUESTION = (httpx.ConnectError, httpx.ConnectTimeout, httpx.UnsupportedProtocol, httpx.InvalidURL)
"""Nobody listens, TLS fails: nothing of the question was sent."""


class ServiceScores:
    """The services that have an address. Safe against slow, large and redirecting ones; `timeout` covers the whole question.

    `trust` says which servers are believed; absent: those that the system believes, and SSL_CERT_FILE.
    """

    def __init__(
        self,
        addresses: Mapping[scores.Service, str],
        *,
        timeout: timedelta,
        now: Callable[[], datetime],
        trust: ssl.SSLContext | None = None,
    ) -> None:
        self._addresses = {service: address.rstrip("/") for service, address in addresses.items()}
        self._timeout = timeout
        self._now = now
        self._trust = trust

    async def read(self, service: str, model: str) -> scores.Reading:
        """Ask once. Every failure is a reading that says what happened."""
        asked = scores.Service(service)
        address = self._addresses.get(asked)
        if address is None:
            why = f"no address of {asked.upper()} is known; set {asked.upper()}_API_URL"
            return scores.unreached(scores.unread(asked, model, scores.Status.UNAVAILABLE, why, source="", as_of=self._now()))
        question = answers.Asked(service=asked, model=model, source=address, as_of=self._now())
        try:
            status, body = await self._get(f"{address}/score/{quote(model, safe='')}")
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError, OSError) as error:
            told = question.unread(scores.Status.UNAVAILABLE, f"{question.who} {self._told(error)}")
            return scores.unreached(told) if isinstance(error, _BEFORE_THE_QUESTION) else told
        if body is None:
            return question.unread(scores.Status.UNAVAILABLE, f"{question.who} answered with more than {ANSWER_LIMIT // 1024} KiB")
        return answers.read(question, status=status, body=body)

    async def _get(self, url: str) -> tuple[int, bytes | None]:
        """Status and body; no body when there is too much of it."""
        limit = self._timeout.total_seconds()
        request = httpx.Request(
            "GET",
            url,
            headers={"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": f"safety-governor/{__version__}"},
            extensions={"timeout": httpx.Timeout(limit).as_dict()},
        )
        # The bare transport instead of a client: that would follow redirects, keep cookies and ask the environment for proxies.
        async with asyncio.timeout(limit):
            if self._trust is None:
                self._trust = await asyncio.to_thread(ssl.create_default_context)
            async with httpx.AsyncHTTPTransport(verify=self._trust) as transport:
                answer = await transport.handle_async_request(request)
                async with contextlib.aclosing(answer):
                    return answer.status_code, await _body(answer)

    def _told(self, error: Exception) -> str:
        if isinstance(error, httpx.TimeoutException | TimeoutError):
            return f"did not answer within {self._timeout.total_seconds():g} s"
        if isinstance(error, httpx.ConnectError):
            return "could not be reached" + (": its certificate is not trusted" if "CERTIFICATE_VERIFY_FAILED" in str(error) else "")
        return f"broke off ({type(error).__name__})"


async def _body(answer: httpx.Response) -> bytes | None:
    parts: list[bytes] = []
    size = 0
    async for part in answer.aiter_raw():
        size += len(part)
        if size > ANSWER_LIMIT:
            return None
        parts.append(part)
    return b"".join(parts)
