"""Lines of a trail that are damaged or were changed: what is shown without them has to say so."""

from collections import Counter
from pathlib import Path

from rich.console import Console

from safety_governor.cli import words


class Gaps:
    """How many lines of which file were left out."""

    def __init__(self) -> None:
        self._counts: Counter[Path] = Counter()
        self._told: Counter[Path] = Counter()

    def note(self, path: Path) -> None:
        """One more line of that file."""
        self._counts[path] += 1

    def __bool__(self) -> bool:
        """Whether anything was left out."""
        return bool(self._counts)

    def tell(self, command: str) -> None:
        """Say so on standard error, of what was not told before."""
        console = Console(stderr=True, highlight=False)
        for path, count in (self._counts - self._told).items():
            are = "is" if count == 1 else "are"
            what = f"{words.counted(count, 'line')} of {path} {are} not as written and left out here"
            console.print(f"safety-governor {command}: {what}; `safety-governor audit verify` tells more", soft_wrap=True, markup=False)
        self._told = self._counts.copy()

    def plain(self) -> list[dict[str, object]]:
        """For other programs."""
        return [{"file": str(path), "lines": count} for path, count in self._counts.items()]
