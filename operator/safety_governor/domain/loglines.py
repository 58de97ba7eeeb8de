"""Figures over log lines: how many, how many of them errors, and which errors most often.

Pure: it is given the lines and neither reads nor keeps anything.
"""

import functools
import re
from collections import Counter
from collections.abc import Iterable
from datetime import datetime

from safety_governor.domain import documents, telemetry, values

TOP = 5
ERROR_LEVELS = frozenset({"error", "fatal", "critical"})
FIRST_ERROR_CODE = 400

_VARIABLE = re.compile(
    r"\b[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}\b"  # UUIDs
    r"|\b0[xX][0-9a-fA-F]+\b"
    r"|\b(?=[0-9a-fA-F]*\d)[0-9a-fA-F]{6,}\b"  # digests and ids; a digit, so that "facade" stays a word
    r"|(?<![A-Za-z])\d+(?:[.:,]\d+)*"
)


def summarise(lines: Iterable[documents.LogLine], *, service: str, since: datetime, until: datetime) -> telemetry.Telemetry:
    """The figures of these lines; a window without any is unknown, so its ratio is absent."""
    total = 0
    messages: Counter[str] = Counter()
    for line in lines:
        total += 1
        if is_error(line):
            messages[fold(line.message)] += 1
    failed = messages.total()
    frequent = sorted(messages.items(), key=lambda pair: (-pair[1], pair[0]))[:TOP]
    return telemetry.Telemetry(
        service=service,
        since=since,
        until=until,
        lines=total,
        errors=failed,
        error_ratio=failed / total if total else None,
        top_errors=tuple(telemetry.TopError(message=message, count=count) for message, count in frequent),
    )


def is_error(line: documents.LogLine) -> bool:
    """Whether the line reports a failure, by its level or its response code."""
    response = (line.response or "").strip()
    return line.level.lower() in ERROR_LEVELS or (response.isdecimal() and int(response) >= FIRST_ERROR_CODE)


@functools.lru_cache(maxsize=4_096)
def fold(message: str) -> str:
    """The message with its numbers, ids and hex strings replaced, so that equal failures count together."""
    return values.clip(_VARIABLE.sub("<n>", " ".join(message.split())), values.LINE_LIMIT)
