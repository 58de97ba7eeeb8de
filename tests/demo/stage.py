"""What the audience sees: titles, commands as they would be typed, and what they print. Knows nothing of the story."""

import os
import shlex
import subprocess
import time
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from rich.console import Console
from rich.rule import Rule
from rich.text import Text

from testbed import ControlPlane, KubectlError

_WIDTH_OF_A_FILE = 140
_INDENT = 2


class Stage:
    """Shows each command, runs it, and shows what it printed."""

    def __init__(self, *, slow: bool = False) -> None:
        self.console = Console(highlight=False)
        if not self.console.is_terminal:
            self.console = Console(highlight=False, width=_WIDTH_OF_A_FILE)
        self._slow = slow
        self._acts = 0

    def act(self, title: str, *sentences: str) -> None:
        """Begin the next act."""
        self.pause(2.0)
        self._acts += 1
        self.console.print()
        self.console.print(Rule(Text(f" {self._acts}  {title} ", style="bold cyan"), align="left", style="cyan"))
        for sentence in sentences:
            self.say(sentence)

    def say(self, sentence: str) -> None:
        """A line of the narrator."""
        self.console.print(Text(sentence), soft_wrap=not self.console.is_terminal)

    def done(self, sentence: str) -> None:
        """Something that went as it should."""
        self.console.print(Text.assemble(" " * _INDENT, ("✓ ", "green"), sentence), soft_wrap=True)

    def waiting(self, what: str) -> AbstractContextManager[object]:
        """Shown while something takes its time."""
        return self.console.status(Text(what)) if self.console.is_terminal else nullcontext()

    def kubectl(self, cluster: ControlPlane, person: str, *args: str, refused: bool = False, quiet: bool = False) -> str:
        """Run kubectl as somebody, visibly; what it printed. `refused` means that the API server has to refuse it.

        Raises:
            KubectlError: it was refused and should not have been.
            UnexpectedError: it was not refused and should have been.
        """
        self._show("kubectl", args, person)
        ran = cluster.kubectl(*args, user=person, check=False)
        if (ran.returncode != 0) != refused:
            if refused:
                raise UnexpectedError(f"the API server should have refused this to {person}: kubectl {shlex.join(args)}")
            raise KubectlError(["kubectl", *args], ran)
        if not quiet:
            self._print(ran.stdout, ran.stderr if refused else "")
        return ran.stdout

    def run(self, program: Path, *args: str, person: str = "", env: Mapping[str, str], most: int | None = None) -> str:
        """Run one of our own commands, visibly; what it printed. Of more than `most` lines only the first and the last are shown.

        Raises:
            UnexpectedError: it failed.
        """
        self._show(program.name, args, person)
        columns = {"COLUMNS": str(self.console.width - _INDENT)} | ({"FORCE_COLOR": "1"} if self.console.is_terminal else {})
        ran = subprocess.run(
            [str(program), *args],
            env={**env, **columns},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        if ran.returncode != 0:
            raise UnexpectedError(f"{program.name} {shlex.join(args)} exited with {ran.returncode}: {(ran.stderr or ran.stdout).strip()}")
        self._print(_shortened(ran.stdout, most), "")
        return ran.stdout

    def pause(self, seconds: float) -> None:
        """Time to read, for those who asked for it."""
        if self._slow:
            time.sleep(seconds)

    def _show(self, program: str, args: Iterable[str], person: str) -> None:
        self.pause(0.8)
        words = " ".join(_as_typed(one) for one in (program, *args))
        line = Text.assemble(("$ ", "dim"), (words, "bold"), (f"   (as {person})" if person else "", "dim italic"))
        self.console.print(line, soft_wrap=True)

    def _print(self, out: str, err: str) -> None:
        for text, style in ((out, ""), (err, "red")):
            for line in text.rstrip().splitlines():
                self.console.print(Text(" " * _INDENT) + Text.from_ansi(line, style=style), soft_wrap=True)
        self.pause(1.2)


class UnexpectedError(RuntimeError):
    """The story cannot go on: something happened that must not happen."""


def environment(**ours: str) -> dict[str, str]:
    """For our own processes: nothing of the user's, so that no other cluster and no other setting is ever used."""
    kept = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "TERM")
    return {name: os.environ[name] for name in kept if name in os.environ} | ours


def _as_typed(word: str) -> str:
    option, equals, value = word.partition("=")
    if equals and option.startswith("-"):
        return f"{option}={shlex.quote(value)}"
    if word.startswith("jsonpath="):
        return f"jsonpath={shlex.quote(word.removeprefix('jsonpath='))}"
    return shlex.quote(word)


def _shortened(text: str, most: int | None) -> str:
    lines = text.rstrip().splitlines()
    if most is None or len(lines) <= most:
        return text
    return "\n".join([*lines[: most - 2], f"… {len(lines) - most + 1} more lines …", lines[-1]])
