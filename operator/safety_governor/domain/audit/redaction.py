"""What looks like a secret is not written down. It stays recognisable that there was one, and of what kind."""

import re

from pydantic import JsonValue

_PATTERNS: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("private key", re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL)),
    ("token", re.compile(r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*")),  # JWT
    ("token", re.compile(r"\bxox[abeoprs]-[A-Za-z0-9-]{8,}|\bxapp-[A-Za-z0-9-]{8,}")),  # Slack
    ("token", re.compile(r"\b(?:gh[opsur]_[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{20,}|glpat-[A-Za-z0-9_-]{16,})")),
    ("key", re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b")),  # AWS
    ("key", re.compile(r"\bAIza[A-Za-z0-9_-]{30,}")),  # Google
    ("key", re.compile(r"\bsk-[A-Za-z0-9_-]{16,}")),  # providers of models
    ("key", re.compile(r"\b[sr]k_(?:live|test)_[A-Za-z0-9]{16,}")),
)
_SCHEME = re.compile(r"\b(bearer|basic|apikey)(\s+)(?!\[redacted)([A-Za-z0-9._~+/=-]{12,})", re.IGNORECASE)
_IN_URL = re.compile(r"(\b[a-z][a-z0-9+.-]*://[^\s/:@]*:)([^\s/@]+)(@)", re.IGNORECASE)
_NAMED = re.compile(
    r"""\b([\w.-]*(?:passw(?:or)?d|passphrase|secret|token|api[_-]?key|access[_-]?key|private[_-]?key|client[_-]?secret|credential)s?)"""
    r"""(["']?\s*(?:=|:(?!//))\s*["']?)(?!\[redacted)([^\s"',;&<>]{4,})""",
    re.IGNORECASE,
)
_NOT_SECRET = re.compile(r"^(?:true|false|null|none|unknown|missing|expired|invalid|required|sha256:[a-f0-9]{64}.*|\*+)$", re.IGNORECASE)


def redacted(text: str) -> str:
    """The text without what looks like a secret."""
    for what, pattern in _PATTERNS:
        text = pattern.sub(f"[redacted {what}]", text)
    text = _IN_URL.sub(r"\1[redacted password]\3", text)
    text = _SCHEME.sub(lambda found: f"{found[1]}{found[2]}[redacted token]", text)
    return _NAMED.sub(_named, text)


def _named(found: re.Match[str]) -> str:
    return found[0] if _NOT_SECRET.match(found[3]) else f"{found[1]}{found[2]}[redacted]"


def without_secrets(content: JsonValue) -> JsonValue:
    """The same of every text in it, names of fields included."""
    if isinstance(content, str):
        # Half of a surrogate pair has no form in UTF-8; an agent may send one all the same.
        return redacted(content.encode("utf-8", "replace").decode())
    if isinstance(content, list):
        return [without_secrets(part) for part in content]
    if isinstance(content, dict):
        return {redacted(name): _field(name, part) for name, part in content.items()}
    return content


def _field(name: str, part: JsonValue) -> JsonValue:
    """A field whose own name says that it holds a secret holds none in the trail."""
    if isinstance(part, str) and part and _NAMED.fullmatch(f"{name}=xxxx") and not _NOT_SECRET.match(part):
        return "[redacted]"
    return without_secrets(part)
