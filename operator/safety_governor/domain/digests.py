"""Digests over canonical JSON (RFC 8785): the same content has the same digest, whatever wrote it and in whatever order."""

import hashlib
from typing import TypeAlias

import rfc8785
from pydantic import BaseModel, JsonValue

Digestible: TypeAlias = BaseModel | JsonValue


_EXACT = 2**53
"""Integers beyond this have no exact form in canonical JSON; Kubernetes allows them, so they are taken as text."""


def _plain(content: Digestible) -> JsonValue:
    return content.model_dump(mode="json", exclude_none=True) if isinstance(content, BaseModel) else _canonical(content)


def _canonical(content: JsonValue) -> JsonValue:
    if isinstance(content, dict):
        return {name: _canonical(part) for name, part in content.items() if part is not None}
    if isinstance(content, list):
        return [_canonical(part) for part in content]
    if isinstance(content, int) and not isinstance(content, bool) and abs(content) >= _EXACT:
        return f"int:{content}"
    return content


def digest(content: Digestible) -> str:
    """`sha256:<64 hex digits>` of the canonical JSON of the content. Absent and null are the same."""
    return "sha256:" + hashlib.sha256(rfc8785.dumps(_plain(content))).hexdigest()


def digest_of_bytes(content: bytes) -> str:
    """The digest of something that came from outside, as it came."""
    return "sha256:" + hashlib.sha256(content).hexdigest()


def digest_of(**parts: Digestible) -> str:
    """The digest of several named parts, any of which may be a value."""
    return digest({name: _plain(part) for name, part in parts.items()})


def short(full: str) -> str:
    """The form that people read: `sha256:1a2b3c4d5e6f…`."""
    return full[: len("sha256:") + 12] + "…"
