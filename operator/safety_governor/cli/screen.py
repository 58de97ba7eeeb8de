"""Where commands print: as wide as the terminal is, and unwrapped where there is none, so that nothing is cut for whoever reads it."""

import io
import shutil
import sys
from typing import TextIO, cast

from rich.console import Console

UNWRAPPED = 100_000
"""No line of ours is longer; programs and pagers wrap for themselves."""


def screen() -> Console:
    """Standard output. COLUMNS counts wherever it is set."""
    if sys.stdout.isatty():
        return Console(highlight=False)
    return Console(highlight=False, file=cast("TextIO", _Trimmed(sys.stdout)), width=shutil.get_terminal_size((0, 0)).columns or UNWRAPPED)


class _Trimmed(io.TextIOBase):
    """Without the blanks that tables are filled with at the end of lines."""

    def __init__(self, file: TextIO) -> None:
        self._file = file

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """That of the file behind it."""
        return self._file.encoding or "utf-8"

    def write(self, text: str) -> int:
        """Whole lines, as rich hands them over."""
        self._file.write("\n".join(line.rstrip(" ") for line in text.split("\n")))
        return len(text)

    def flush(self) -> None:
        """At once."""
        self._file.flush()
