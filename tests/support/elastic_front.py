"""What stands before a real Elasticsearch in most companies: TLS, and a door that opens only to an API key."""

from pathlib import Path
from types import TracebackType
from typing import Self

import aiohttp
from aiohttp import web

from support import tls

_PASSED_BACK = ("Content-Type", "X-Elastic-Product")


class ElasticFront:
    """Listens on loopback while it is entered; who has the key gets what the server behind it says."""

    def __init__(self, upstream: str, *, key: str, certificate: Path) -> None:
        self._upstream = upstream
        self._key = key
        self._tls = tls.server_context(certificate)
        self.url = ""

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(auto_decompress=False)
        application = web.Application(client_max_size=64 * 1024 * 1024)
        application.router.add_route("*", "/{rest:.*}", self._pass_on)
        self._runner = web.AppRunner(application, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0, ssl_context=self._tls)
        await site.start()
        self.url = f"https://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self._runner.cleanup()
        await self._session.close()

    async def _pass_on(self, request: web.Request) -> web.Response:
        if request.headers.get("Authorization") != f"ApiKey {self._key}":
            cause = {"type": "security_exception", "reason": "unable to authenticate"}
            refusal = {"error": {"root_cause": [cause], **cause}, "status": 401}
            return web.json_response(refusal, status=401, headers={"X-Elastic-Product": "Elasticsearch"})
        headers = {name: value for name, value in request.headers.items() if name not in ("Host", "Authorization", "Content-Length")}
        async with self._session.request(
            request.method, self._upstream + request.path_qs, headers=headers, data=await request.read()
        ) as answer:
            back = {name: answer.headers[name] for name in (*_PASSED_BACK, "Content-Encoding") if name in answer.headers}
            return web.Response(status=answer.status, body=await answer.read(), headers=back)
