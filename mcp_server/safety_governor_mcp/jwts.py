"""JWTs of somebody else's identity provider, which have to end some day and to say who calls."""

import time
from collections.abc import Mapping
from typing import Any

import structlog
from fastmcp.server.auth import AccessToken, JWTVerifier

_AHEAD = 60
"""Seconds by which the clock of whoever signs may be ahead."""

_log = structlog.get_logger()


class NamedJwts(JWTVerifier):
    """Lets in whoever shows a JWT of the right issuer for us that ends some day and has a name in it."""

    async def load_access_token(self, token: str) -> AccessToken | None:
        """Who that is; None when nobody."""
        found = await super().load_access_token(token)
        why = objection(found.claims, time.time()) if found is not None else ""
        if why:
            _log.warning("a JWT is refused", why=why)
        return None if why else found


def objection(claims: Mapping[str, Any], now: float) -> str:
    """Why these claims let nobody in; empty when they do. `now` in seconds since 1970."""
    if not isinstance(claims.get("exp"), int | float):
        return "it never ends (exp), so it could not be taken back"
    begins = claims.get("nbf")
    if begins is not None and not (isinstance(begins, int | float) and begins <= now + _AHEAD):
        return "it is not valid yet (nbf)"
    if not any(claims.get(name) for name in ("sub", "client_id", "azp")):
        return "it names nobody (sub, client_id or azp), so two callers could not be told apart"
    return ""
