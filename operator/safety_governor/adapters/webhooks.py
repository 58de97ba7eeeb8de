"""Calls automation outside of the cluster: a signed request that may arrive more than once and counts once.

The contract, for whoever writes the receiver:

- A call is a POST of canonical JSON (RFC 8785) with `Content-Type: application/json` and these headers:
  `Idempotency-Key: KEY`, `X-Governor-Timestamp: SECONDS` since 1970, `X-Governor-Signature: v1=HEX`, where HEX is the
  HMAC-SHA256 with the shared secret over `SECONDS.KEY.BODY`, the body byte by byte as it came. A key has no dot.
- Refuse with 401 when no signature of the header, compared in constant time, is right, or the time is more than five minutes
  off. While a secret is being replaced, accept the old and the new one.
- A key that was seen before is the same request: do nothing again, and answer as you did the first time. A repetition comes
  with a new time and a new signature. Keep keys for at least two days.
- Answer 2xx when it is done or surely will be. 409 while a first call of the same key is still at work, 408, 425, 429 or 5xx
  for "not now": the call is repeated, after `Retry-After` if you send that. An answer that takes too long counts as lost and
  the call is repeated. Every other answer is a refusal for good and means that this call has done nothing. Redirects are not followed.
- What the answer says beyond its status is read to its end, up to 64 KiB, and used for nothing.
"""

import asyncio
import contextlib
import hashlib
import hmac
import re
import ssl
from collections.abc import Callable, Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import httpx
import rfc8785

from safety_governor import __version__
from safety_governor.domain import digests, errors, hooks

ANSWER_LIMIT = 64 * 1024
LONGEST_WAIT = 900.0
"""Seconds; whoever asks for more is asked again after so long."""

_AGAIN_LATER = frozenset({408, 409, 425, 429})
_KEY = re.compile(r"[A-Za-z0-9:_-]{1,255}")


class Webhooks:
    """The automation that the operator knows, by name.

    `trust` says which servers are believed; absent: those that the system believes, and SSL_CERT_FILE.
    """

    def __init__(
        self, endpoints: Mapping[str, hooks.Endpoint], *, now: Callable[[], datetime], trust: ssl.SSLContext | None = None
    ) -> None:
        self._endpoints = dict(endpoints)
        self._now = now
        self._trust = trust

    def check(self, name: str) -> str:
        """Digest of where it is called, so that what was approved is not sent elsewhere; secrets are no part of it, as they change.

        Raises AutomationRefusedError when no automation of that name is known.
        """
        endpoint = self._endpoint(name)
        return digests.digest([str(endpoint.url), endpoint.allow_insecure])

    async def call(self, name: str, *, key: str, body: Mapping[str, Any]) -> None:
        """Return when the automation has taken the call; a repetition with the same key changes nothing.

        Raises AutomationUnavailableError when that is not known and the call is to be repeated, AutomationRefusedError when
        this call was not taken.
        """
        endpoint = self._endpoint(name)
        if not _KEY.fullmatch(key):
            raise errors.AutomationRefusedError(f"the automation {name} was not called: the key of the action cannot be sent")
        try:
            content = rfc8785.dumps(dict(body))
        except ValueError as error:
            raise errors.AutomationRefusedError(
                f"the automation {name} was not called: what it is to be told has no canonical JSON ({type(error).__name__})"
            ) from error
        secret = await asyncio.to_thread(_secret, name, endpoint)
        status, retry_after = await self._send(name, endpoint, _signed(endpoint, secret, key=key, content=content, now=self._now()))
        if 200 <= status < 300:
            return
        if status in _AGAIN_LATER or status >= 500:
            raise errors.AutomationUnavailableError(
                f"the automation {name} answered {status}; the incident waits and it is called again with the same key",
                retry_after=_seconds(retry_after, self._now()),
            )
        why = "redirects are not followed; name the final address" if 300 <= status < 400 else f"its own log says why, for key {key}"
        raise errors.AutomationRefusedError(f"the automation {name} refused the call with {status}; {why}")

    def _endpoint(self, name: str) -> hooks.Endpoint:
        found = self._endpoints.get(name)
        if found is None:
            raise errors.AutomationRefusedError(
                f"no automation {name} is known; name it in GOVERNOR_WEBHOOKS, or use a runbook that calls one of these: "
                + (", ".join(sorted(self._endpoints)) or "none is known at all")
            )
        return found

    async def _send(self, name: str, endpoint: hooks.Endpoint, request: httpx.Request) -> tuple[int, str | None]:
        """Status and Retry-After of an answer that came in whole."""
        if self._trust is None:
            self._trust = await asyncio.to_thread(ssl.create_default_context)
        try:
            # The bare transport instead of a client: that would log the address, which may carry a token, keep cookies, ask
            # the environment for proxies, and build the request that a redirect asks for.
            async with (
                asyncio.timeout(endpoint.timeout.total_seconds()),
                httpx.AsyncHTTPTransport(verify=self._trust) as transport,
            ):
                answer = await transport.handle_async_request(request)
                async with contextlib.aclosing(answer):
                    await _read_to_end(answer)
        except (httpx.TransportError, TimeoutError, OSError) as error:
            unreached = isinstance(error, (httpx.ConnectError, httpx.ConnectTimeout))
            what = "could not be reached" if unreached else "did not answer"
            known = "" if unreached else "whether it took the call is not known, so "
            raise errors.AutomationUnavailableError(
                f"the automation {name} {what} ({_told(error)}); {known}the incident waits and it is called again with the same key"
            ) from error
        return answer.status_code, answer.headers.get("Retry-After")


def _secret(name: str, endpoint: hooks.Endpoint) -> bytes:
    """Raises AutomationUnavailableError, as a file that is wrong now may be put right."""
    if endpoint.secret is not None:
        return endpoint.secret.get_secret_value().encode()
    try:
        return hooks.require_long(Path(endpoint.secret_file or "").read_text(encoding="utf-8").strip()).encode()
    except OSError as error:
        why = error.strerror or type(error).__name__
    except UnicodeDecodeError:
        why = "it is not text"
    except ValueError as error:
        why = str(error)
    raise errors.AutomationUnavailableError(
        f"the automation {name} was not called: its secret cannot be read from {endpoint.secret_file} ({why}); "
        "the incident waits until the file is put right"
    )


def _signed(endpoint: hooks.Endpoint, secret: bytes, *, key: str, content: bytes, now: datetime) -> httpx.Request:
    timestamp = str(int(now.timestamp()))
    signature = hmac.new(secret, f"{timestamp}.{key}.".encode() + content, hashlib.sha256).hexdigest()
    limit = endpoint.timeout.total_seconds()
    return httpx.Request(
        "POST",
        str(endpoint.url),
        content=content,
        headers={
            "Accept-Encoding": "identity",
            "Content-Type": "application/json",
            "Idempotency-Key": key,
            "User-Agent": f"safety-governor/{__version__}",
            "X-Governor-Timestamp": timestamp,
            "X-Governor-Signature": f"v1={signature}",
        },
        extensions={"timeout": httpx.Timeout(limit).as_dict()},
    )


async def _read_to_end(answer: httpx.Response) -> None:
    """Hanging up early could end what the automation is still doing; without an end it is not waited for."""
    read = 0
    async for part in answer.aiter_raw():
        read += len(part)
        if read > ANSWER_LIMIT:
            return


def _told(error: Exception) -> str:
    """What kind of failure it was; its own words may repeat what a server said."""
    if isinstance(error, (httpx.TimeoutException, TimeoutError)):
        return "not in time"
    if "CERTIFICATE_VERIFY_FAILED" in str(error):
        return "its certificate is not trusted"
    return type(error).__name__


def _seconds(retry_after: str | None, now: datetime) -> float | None:
    """How long it asked to be left alone, by a number or a date; None when it did not say, or not intelligibly."""
    if retry_after is None:
        return None
    if re.fullmatch(r"[0-9]{1,9}", retry_after):
        return min(float(retry_after), LONGEST_WAIT)
    try:
        wait = (parsedate_to_datetime(retry_after) - now).total_seconds()
    except (TypeError, ValueError, OverflowError):
        return None
    return min(max(wait, 0.0), LONGEST_WAIT)
