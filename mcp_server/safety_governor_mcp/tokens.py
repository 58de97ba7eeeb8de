"""Bearer tokens, of which only digests are kept: who reads the file cannot call with what stands in it.

One line for each token: a name and `sha256:` and its digest in hex, with a blank between; `#` begins a comment. A name may have two tokens
at a time, so that a new one can be handed out before the old one is taken away. The file is looked at anew when it has changed.
"""

import hashlib
import hmac
import re
import secrets
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import structlog
from fastmcp.server.auth import AccessToken, TokenVerifier

from safety_governor.domain import errors

AT_ONCE = 2
"""Tokens that one name may have."""
TAKEN = frozenset({"stdio", "anybody"})
"""What callers without tokens are called in the trail."""
_LINE = re.compile(r"(?P<name>[A-Za-z0-9][A-Za-z0-9._@-]{0,62})\s+sha256:(?P<digest>[0-9a-f]{64})")
_log = structlog.get_logger()


def digest(token: str) -> str:
    """What is kept of a token."""
    return hashlib.sha256(token.encode()).hexdigest()


def new(name: str) -> tuple[str, str]:
    """A new token, and the line of the file by which it is known. Raises ConfigurationError where the name cannot be one."""
    token = f"sgm_{secrets.token_urlsafe(32)}"
    line = f"{name} sha256:{digest(token)}"
    if name in TAKEN:
        raise errors.ConfigurationError(f"{name!r} cannot be the name of a token, as callers without one are called so; take another")
    if not _LINE.fullmatch(line):
        raise errors.ConfigurationError(
            f"{name!r} cannot be the name of a token: letters, digits and . _ @ - only, 63 at most, no other sign first"
        )
    return token, line


def read(text: str) -> Mapping[str, str]:
    """Names by digest. Raises ValueError with the line that is wrong; it repeats nothing of a line, as that may be a token."""
    known: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        found = _LINE.fullmatch(line.strip())
        if found is None:
            raise ValueError(f"line {number} is not a name, a blank and sha256: with 64 hex digits")
        if found["name"] in TAKEN:
            raise ValueError(f"line {number} has the name {found['name']}, as which callers without a token are known")
        known[found["digest"]] = found["name"]
    often = [name for name, count in Counter(known.values()).items() if count > AT_ONCE]
    if often:
        raise ValueError(f"{', '.join(often)} has more than {AT_ONCE} tokens; take the oldest away")
    if not known:
        raise ValueError("it names no token")
    return known


class HashedTokens(TokenVerifier):
    """Knows who calls by the digest of the token. While the file cannot be read, nobody is let in."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path
        self._stamp: tuple[int, int, int] | None = None
        self._known: Mapping[str, str] = {}
        self._wrong = ""
        """What is wrong with the file now."""

    def check(self) -> None:
        """Raise ConfigurationError when the file cannot be used now."""
        try:
            read(self._path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise errors.ConfigurationError(
                f"the tokens in {self._path} cannot be used: {_reason(error)}; write lines for it with `safety-governor mcp --new-token NAME`"
            ) from error

    async def verify_token(self, token: str) -> AccessToken | None:
        """Who that is; None when nobody."""
        self._look()
        given, name = digest(token), None
        # All of them every time: how long it takes tells nothing about which was nearly right.
        for known, owner in self._known.items():
            if hmac.compare_digest(known, given):
                name = owner
        return AccessToken(token=token, client_id=name, scopes=[]) if name is not None else None

    async def doubt(self) -> str:
        """Why nobody can be let in now; empty when somebody can."""
        self._look()
        return f"the tokens in {self._path} cannot be used: {self._wrong}" if self._wrong else ""

    def _look(self) -> None:
        try:
            found = self._path.stat()
            stamp = (found.st_mtime_ns, found.st_size, found.st_ino)
            if stamp == self._stamp:
                return
            self._known = read(self._path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            if _reason(error) != self._wrong:
                _log.error("the tokens cannot be read, so nobody is let in", path=str(self._path), why=_reason(error))
            self._known, self._stamp, self._wrong = {}, None, _reason(error)
            return
        self._stamp, self._wrong = stamp, ""
        _log.info("tokens read", path=str(self._path), names=sorted(set(self._known.values())))


def _reason(error: OSError | ValueError) -> str:
    if isinstance(error, UnicodeDecodeError):
        return "it is not text"
    return (error.strerror or str(error)) if isinstance(error, OSError) else str(error)
