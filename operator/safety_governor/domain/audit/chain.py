"""One line of a chain: canonical JSON (RFC 8785) with its number, the hash of the line before and its own.

The hash is sha256 over the line's canonical JSON without its hash. Lines are written in that form, so that a reader can check the
bytes as they stand.
"""

import hashlib
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import rfc8785
from pydantic import JsonValue

from safety_governor.domain.audit.events import Position

GENESIS: Final = "sha256:" + "0" * 64
"""What the very first line names as the line before."""

_EXACT = 2**53
_HASH = re.compile(rb'"hash":"(sha256:[a-f0-9]{64})",')


@dataclass(frozen=True, slots=True)
class Line:
    """A line that was understood. Whether its hash is right is said by `intact`."""

    fields: Mapping[str, Any]
    seq: int
    prev: str
    hash: str
    intact: bool
    """Whether the hash is that of the line."""
    reformatted: bool = False
    """Whether the hash is right for the content, and the line was written in another form than ours."""

    @property
    def position(self) -> Position:
        """Its place in the chain."""
        return Position(seq=self.seq, hash=self.hash)


class NotALineError(ValueError):
    """It cannot be read as a line of a chain; the text says why and does not repeat it."""


def canonical(content: JsonValue) -> bytes:
    """Canonical JSON. Numbers that have no exact form in it are taken as text."""
    return rfc8785.dumps(_exact(content))


def _exact(content: JsonValue) -> Any:  # noqa: ANN401 - rfc8785 has a type of its own for JSON
    if isinstance(content, dict):
        return {name: _exact(part) for name, part in content.items()}
    if isinstance(content, list):
        return [_exact(part) for part in content]
    if isinstance(content, int) and not isinstance(content, bool) and abs(content) >= _EXACT:
        return f"int:{content}"
    if isinstance(content, float) and not math.isfinite(content):
        return f"float:{content}"
    return content


def sha256(content: bytes) -> str:
    """As digests are written everywhere."""
    return "sha256:" + hashlib.sha256(content).hexdigest()


def linked(fields: Mapping[str, JsonValue], *, after: Position | None) -> tuple[bytes, Position]:
    """The line with its end, and its place in the chain."""
    seq = after.seq + 1 if after else 1
    chained = {**fields, "seq": seq, "prev": after.hash if after else GENESIS}
    own = sha256(canonical(chained))
    return canonical({**chained, "hash": own}) + b"\n", Position(seq=seq, hash=own)


def read(line: bytes) -> Line:
    """A line without its end. Raises NotALineError."""
    try:
        fields = json.loads(line)
    except (ValueError, RecursionError):
        raise NotALineError("it is not JSON") from None
    if not isinstance(fields, dict):
        raise NotALineError("it is not an object")
    seq, prev, own = (fields.get(name) for name in ("seq", "prev", "hash"))
    if not isinstance(seq, int) or isinstance(seq, bool) or seq < 1 or not isinstance(prev, str) or not isinstance(own, str):
        raise NotALineError("it has no place in a chain (seq, prev, hash)")
    if _hashes_to(line, own):
        return Line(fields=fields, seq=seq, prev=prev, hash=own, intact=True)
    return Line(fields=fields, seq=seq, prev=prev, hash=own, intact=False, reformatted=_content_hashes_to(fields, own))


def _hashes_to(line: bytes, own: str) -> bool:
    """Quickly, by the bytes as they stand: a line of ours without its hash is canonical as it is."""
    for found in _HASH.finditer(line):
        if found[1].decode() == own:
            return sha256(line[: found.start()] + line[found.end() :]) == own
    return False


def _content_hashes_to(fields: Mapping[str, Any], own: str) -> bool:
    try:
        return sha256(canonical({name: value for name, value in fields.items() if name != "hash"})) == own
    except (rfc8785.CanonicalizationError, ValueError, RecursionError):
        return False
