"""Asks for reliability figures through the tools of an MCP server, which asks the services and keeps their answers.

Nothing that the server says is believed unchecked: figures that it could not have measured are unknown here as well.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import fastmcp
import httpx2
from fastmcp.client.transports import StreamableHttpTransport
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from safety_governor import __version__
from safety_governor.domain import digests, scores, values
from safety_governor.domain.scoring import answers

ANSWER_LIMIT = 1024 * 1024

_Reason = Annotated[str, StringConstraints(max_length=64 * 1024)]


class _Data(BaseModel):
    model_config = ConfigDict(extra="ignore", protected_namespaces=())

    model: str
    metrics: dict[str, Any] = Field(default_factory=dict)
    rows_used: int = Field(default=0, ge=0)
    rows_total: int = Field(default=0, ge=0)


class _Result(BaseModel):
    """The contract of our tools; a server may say more."""

    model_config = ConfigDict(extra="ignore")

    status: scores.Status
    reason: _Reason | None = None
    data: _Data | None = None
    source: str | None = None
    as_of: AwareDatetime | None = None


class ToolScores:
    """The tools ddft_score, cdct_score and eect_score of one MCP server. `timeout` covers connection and call."""

    def __init__(self, url: str, *, timeout: timedelta, now: Callable[[], datetime], token_file: Path | None = None) -> None:
        self._url = url
        self._timeout = timeout
        self._now = now
        self._token_file = token_file

    async def read(self, service: str, model: str) -> scores.Reading:
        """Ask once. Every failure is a reading that says what happened."""
        asked = scores.Service(service)
        tool = f"{asked}_score"
        question = answers.Asked(service=asked, model=model, source=f"{tool} at {self._url}", as_of=self._now())
        guarded = _Guarded()
        try:
            async with asyncio.timeout(self._timeout.total_seconds()):
                content = await self._call(tool, {"model": model}, guarded)
        except TimeoutError:
            told = f"the MCP server did not answer within {self._timeout.total_seconds():g} s"
        except _RefusedError as error:
            told = str(error)
        except Exception as error:  # noqa: BLE001 - the client raises errors of four libraries, and groups of them
            told = f"the MCP server could not be asked ({_told(error, guarded.refusal)})"
        else:
            return _read(question, tool, content)
        reading = question.unread(scores.Status.UNAVAILABLE, told)
        return reading if guarded.asked else scores.unreached(reading)

    async def _call(self, tool: str, arguments: Mapping[str, Any], guarded: "_Guarded") -> object:
        token = await asyncio.to_thread(self._token)
        # Longer than the timeout around all this, so that it is always that one which ends the question.
        limit = self._timeout.total_seconds() + 5.0

        def client_of(
            headers: dict[str, str] | None = None, timeout: httpx2.Timeout | None = None, auth: httpx2.Auth | None = None, **_: object
        ) -> httpx2.AsyncClient:
            # Its token goes to nobody but the named server: no redirects, no proxies of the environment.
            return httpx2.AsyncClient(
                headers=headers, timeout=timeout or limit, auth=auth, transport=guarded, follow_redirects=False, trust_env=False
            )

        transport = StreamableHttpTransport(self._url, auth=token or None, httpx_client_factory=client_of)
        async with fastmcp.Client(transport, timeout=limit, init_timeout=limit, name=f"safety-governor/{__version__}") as client:
            result = await client.call_tool(tool, dict(arguments), raise_on_error=False)
        if result.is_error:
            said = " ".join(getattr(block, "text", "") for block in result.content)
            raise _RefusedError(f"the MCP server refused {tool}: {values.clip(' '.join(said.split()), 200)}")
        return result.structured_content

    def _token(self) -> str:
        if self._token_file is None:
            return ""
        try:
            return self._token_file.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            why = getattr(error, "strerror", None) or type(error).__name__
            raise _RefusedError(f"the MCP server was not asked: its token cannot be read from {self._token_file} ({why})") from error


class _RefusedError(Exception):
    """Carries the sentence for people."""


def _read(question: answers.Asked, tool: str, content: object) -> scores.Reading:
    try:
        result = _Result.model_validate(content)
    except ValidationError:
        return question.unread(scores.Status.UNAVAILABLE, f"the MCP server answered {tool} in a form that is not known")
    source = values.clip(f"{question.source}, from {result.source}" if result.source else question.source, values.LINE_LIMIT)
    told = answers.Asked(
        service=question.service, model=question.model, source=source, as_of=min(result.as_of or question.as_of, question.as_of)
    )
    if result.status is not scores.Status.OK:
        return told.unread(result.status, result.reason or f"{tool} says {result.status} and no more")
    if result.data is None or result.data.model.casefold() != question.model.casefold():
        return told.unread(scores.Status.UNAVAILABLE, f"the MCP server answered {tool} about another model")
    return answers.relayed(
        told,
        result.data.metrics,
        rows_used=result.data.rows_used,
        rows_total=result.data.rows_total,
        digest=digests.digest({name: repr(figure) for name, figure in result.data.metrics.items()}),
    )


class _Guarded(httpx2.AsyncHTTPTransport):
    """Notes the last refusal and whether the tool was called, as the client does not tell it, and reads no answer beyond a limit."""

    def __init__(self) -> None:
        super().__init__()
        self.refusal = 0
        self.asked = False
        """Whether a call of a tool may have been received."""

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        calls = b"tools/call" in await request.aread()
        try:
            answer = await super().handle_async_request(request)
        except (httpx2.ConnectError, httpx2.ConnectTimeout):
            raise  # nothing of it was sent
        except BaseException:
            self.asked |= calls
            raise
        self.asked |= calls and answer.status_code not in (401, 403)
        if answer.status_code >= 300:
            self.refusal = answer.status_code
        assert isinstance(answer.stream, httpx2.AsyncByteStream)  # noqa: S101 - an async transport has no other
        answer.stream = _Limited(answer.stream)
        return answer


class _Limited(httpx2.AsyncByteStream):
    def __init__(self, stream: httpx2.AsyncByteStream) -> None:
        self._stream = stream

    async def __aiter__(self) -> AsyncIterator[bytes]:
        size = 0
        async for part in self._stream:
            size += len(part)
            if size > ANSWER_LIMIT:
                raise httpx2.ReadError(f"more than {ANSWER_LIMIT // 1024} KiB")
            yield part

    async def aclose(self) -> None:
        await self._stream.aclose()


def _told(error: BaseException, refusal: int) -> str:
    """What kind of failure it was; its own words may repeat what a server said."""
    if refusal in (401, 403):
        return f"it answered {refusal}; GOVERNOR_MCP_TOKEN_FILE must hold a token that it takes"
    if refusal:
        hint = "; redirects are not followed, name the final address" if refusal < 400 else ""
        return f"it answered {refusal}{hint}"
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    cause = error.__cause__ or error.__context__
    return _told(cause, 0) if isinstance(error, RuntimeError) and cause is not None else type(error).__name__
