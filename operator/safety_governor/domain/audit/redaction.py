"""What looks like a secret is not written down. It stays recognisable that there was one, and of what kind."""

import re

from pydantic import JsonValue

_PATTERNS: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("private key", re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL)),
    ("token", re.compile(r"\beyJ[A-Za-z0-9_-]{8,2048}\.[A-Za-z0-9_-]{8,8192}\.[A-Za-z0-9_-]*")),  # JWT
    ("token", re.compile(r"\bsgm_[A-Za-z0-9_-]{20,}")),  # our own
    ("token", re.compile(r"\bxox[abeoprs]-[A-Za-z0-9-]{8,}|\bxapp-[A-Za-z0-9-]{8,}")),  # Slack
    ("token", re.compile(r"\b(?:gh[opsur]_[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{20,}|glpat-[A-Za-z0-9_-]{16,})")),
    ("key", re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b")),  # AWS
    ("key", re.compile(r"\bAIza[A-Za-z0-9_-]{30,}")),  # Google
    ("key", re.compile(r"\bsk-[A-Za-z0-9_-]{16,}")),  # providers of models
    ("key", re.compile(r"\b[sr]k_(?:live|test)_[A-Za-z0-9]{16,}")),
)
_SCHEME = re.compile(r"\b(bearer|basic|apikey)(\s+)(?!\[redacted)([A-Za-z0-9._~+/=-]{12,})", re.IGNORECASE)
_IN_URL = re.compile(r"(://[^\s/:@]*:)([^\s/@]+)(@)")
_NAME = r"""(?:passw(?:or)?d|passcode|pwd|secret|token|api[_-]?key|access[_-]?key|private[_-]?key|credential)s?"""
# Within a text that is quoted itself, quotes have backslashes before them.
_QUOTE = r"""(?:\\*["'])?"""
_QUOTED = r"""\\+"[^"\\\n]+\\+"|"(?:\\.|[^"\\\n])+"|'(?:\\.|[^'\\\n])+'"""
_NAMED = re.compile(
    # What stands before the name belongs to it as well; it is not looked at, as that would take long for some texts. The value may
    # be a field of its own, as in the environment of a container.
    rf"""({_NAME}{_QUOTE}\s*+(?:,?\s*+{_QUOTE}value{_QUOTE}\s*+)?(?:=|:(?!//))\s*+)(?!{_QUOTE}\[redacted)({_QUOTED}|{_QUOTE}[^\s"';&<>]+)""",
    re.IGNORECASE,
)
_PHRASE = re.compile(rf"""(passphrase{_QUOTE}\s*[=:]\s*+)(?!{_QUOTE}\[redacted)({_QUOTED}|[^\n]+)""", re.IGNORECASE)
_VALUE_FIRST = re.compile(
    rf"""(value\\*"\s*+:\s*+\\*")(?!\[redacted)([^"\\\n]+)(\\*"\s*+,\s*+\\*"name\\*"\s*+:\s*+\\*"[^"\\\n]*?{_NAME}\\*")""", re.IGNORECASE
)
_OPENING = re.compile(_QUOTE)
_SECRET_FIELD = re.compile(rf"(?:{_NAME}|passphrase)$", re.IGNORECASE)
_SHORTEST = 4
"""A shorter word after a colon, with more after it, is prose."""
_NOT_SECRET = re.compile(r"^(?:true|false|null|none|unknown|missing|expired|invalid|required|sha256:[a-f0-9]{64}.*|\*+)$", re.IGNORECASE)


def redacted(text: str) -> str:
    """The text without what looks like a secret."""
    for what, pattern in _PATTERNS:
        text = pattern.sub(f"[redacted {what}]", text)
    text = _IN_URL.sub(r"\1[redacted password]\3", text)
    text = _SCHEME.sub(lambda found: f"{found[1]}{found[2]}[redacted token]", text)
    text = _PHRASE.sub(_phrase, text)
    text = _VALUE_FIRST.sub(r"\1[redacted]\3", text)
    return _NAMED.sub(_named, text)


def _phrase(found: re.Match[str]) -> str:
    return found[0] if _NOT_SECRET.match(found[2].strip("\"' ")) else f"{found[1]}[redacted]"


def _named(found: re.Match[str]) -> str:
    given = found[2]
    opening = _OPENING.match(given)
    quote = opening[0] if opening is not None else ""
    core = given.removeprefix(quote).removesuffix(quote) if quote else given.rstrip(",.)}]")
    counts = core.isdigit() and found[1].rstrip("\"'=: \t").lower().endswith("tokens")
    if not core or counts or _NOT_SECRET.match(core) or _is_prose(found, core):
        return found[0]
    closing = given[len(quote) + len(core) :]
    return f"{found[1]}{quote}[redacted]{closing}"


def _is_prose(found: re.Match[str], core: str) -> bool:
    """As in `token: is too old`."""
    after = found.string[found.end() : found.end() + 1]
    return len(core) < _SHORTEST and ":" in found[1] and found[2][0] not in "\"'" and found[2] == core and after == " "


def without_secrets(content: JsonValue) -> JsonValue:
    """The same of every text in it, names of fields included."""
    if isinstance(content, str):
        return redacted(_text(content))
    if isinstance(content, list):
        return [without_secrets(part) for part in content]
    if isinstance(content, dict):
        named = str(content.get("name", "")) if "value" in content else ""
        return {redacted(_text(name)): _field(named if name == "value" and named else name, part) for name, part in content.items()}
    return content


def _text(given: str) -> str:
    """Half of a surrogate pair has no form in UTF-8; an agent may send one all the same."""
    return given.encode("utf-8", "replace").decode()


def _field(name: str, part: JsonValue) -> JsonValue:
    """A field whose own name says that it holds a secret holds none in the trail."""
    if not _SECRET_FIELD.search(name):
        return without_secrets(part)
    return part if isinstance(part, int) and name.lower().endswith("tokens") else _hidden(part)


def _hidden(part: JsonValue) -> JsonValue:
    if isinstance(part, dict):
        return {redacted(_text(name)): _hidden(one) for name, one in part.items()}
    if isinstance(part, list):
        return [_hidden(one) for one in part]
    if part is None or isinstance(part, bool):
        return part
    if isinstance(part, str) and (not part or _NOT_SECRET.match(part)):
        return _text(part)
    return "[redacted]"
