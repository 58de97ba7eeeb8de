"""Finds the servers the test bed runs, and compiles the missing ones once into the user's cache.

Why compile: there is no download of a controller manager or scheduler that works everywhere, and Go modules are both
pinned (go.mod, go.sum beside this file) and verified. Who has the servers already (setup-envtest) sets
KUBEBUILDER_ASSETS and waits for less. It must never replace a toolchain or write outside its cache folder.

    python -m testbed.binaries
"""

import fcntl
import hashlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.live import Live
from rich.text import Text

KWOK_VERSION = "v0.8.0"

_HERE = Path(__file__).resolve().parent
_ASSETS = "KUBEBUILDER_ASSETS"
_QUIET_SECONDS = 15.0
"""How often a log file, as opposed to a terminal, hears that we are still alive."""


class BinaryError(RuntimeError):
    """A server cannot be had; the text says what to do."""


@dataclass(frozen=True, slots=True)
class _Recipe:
    package: str
    usual_seconds: int
    """On two cores, when everything is compiled in this order: later packages profit from earlier ones."""


_RECIPES = {
    "etcd": _Recipe("go.etcd.io/etcd/server/v3", 30),
    "kubectl": _Recipe("k8s.io/kubernetes/cmd/kubectl", 70),
    "kube-apiserver": _Recipe("k8s.io/kubernetes/cmd/kube-apiserver", 360),
    "kube-controller-manager": _Recipe("k8s.io/kubernetes/cmd/kube-controller-manager", 80),
    "kube-scheduler": _Recipe("k8s.io/kubernetes/cmd/kube-scheduler", 20),
    "kwok": _Recipe("sigs.k8s.io/kwok/cmd/kwok", 100),
}

NAMES = tuple(_RECIPES)
"""Everything a complete control plane needs."""


def kubernetes_version() -> str:
    """The pinned version, such as 1.36.3."""
    return _from_go_mod(r"k8s\.io/kubernetes v(\S+)")


def cache_folder() -> Path:
    """Where our own builds live; another pin is another folder, so an old build is never taken for a new one."""
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    pins = (_HERE / "go.mod").read_bytes() + (_HERE / "go.sum").read_bytes() + KWOK_VERSION.encode()
    key = hashlib.sha256(pins).hexdigest()[:12]
    return base / "safety-governor" / f"servers-{kubernetes_version()}-{key}" / "bin"


def find(name: str) -> Path:
    """The path of a server, without compiling anything.

    Raises:
        BinaryError: it is not there.
    """
    found = _lookup(name)
    if found is None:
        raise BinaryError(f"{name} is neither in ${_ASSETS} nor in {cache_folder()}; `python -m testbed.binaries` compiles it")
    return found


def missing(names: Iterable[str] = NAMES) -> list[str]:
    """Those that would have to be compiled."""
    return [name for name in names if _lookup(name) is None]


def ensure(names: Iterable[str] = NAMES, console: Console | None = None) -> dict[str, Path]:
    """The paths of all of them, compiling what is missing; says on the console what it does and how long that takes.

    Raises:
        BinaryError: Go is missing or too old, or a compilation failed.
    """
    wanted = list(names)
    if missing(wanted):
        _compile_missing(wanted, console or Console(stderr=True))
    return {name: find(name) for name in wanted}


def _lookup(name: str) -> Path | None:
    if name not in _RECIPES:
        raise BinaryError(f"unknown server {name!r}; known are {', '.join(NAMES)}")
    folders = [cache_folder()]
    if given := os.environ.get(_ASSETS):
        assets = Path(given).expanduser().resolve()
        if not assets.is_dir():
            raise BinaryError(f"{_ASSETS} names {assets}, which is not a folder; correct it or unset it")
        folders.insert(0, assets)
    candidates = (folder / name for folder in folders)
    return next((path for path in candidates if path.is_file() and os.access(path, os.X_OK)), None)


def _compile_missing(wanted: list[str], console: Console) -> None:
    go = _go_command()
    folder = cache_folder()
    folder.mkdir(parents=True, exist_ok=True)
    with _locked(folder.parent / "build.lock", console):
        todo = missing(wanted)  # another process may have been faster
        if not todo:
            return
        minutes = max(1, round(sum(_RECIPES[name].usual_seconds for name in todo) / 60))
        console.print(
            f"Compiling {len(todo)} of the test bed's servers, once, into {folder}: about {minutes} min on two cores, less if Go has "
            f"built them before. The first time Go also downloads about 800 MB of modules.",
            highlight=False,
            soft_wrap=True,
        )
        for number, name in enumerate(todo, start=1):
            _compile(go, name, f"({number}/{len(todo)}) {name}", folder, console)


def _compile(go: str, name: str, label: str, folder: Path, console: Console) -> None:
    with tempfile.TemporaryDirectory(prefix=f".{name}-", dir=folder) as scratch:
        output = Path(scratch) / name
        _run_visibly(_go_arguments(go, name, output), output, label, _RECIPES[name].usual_seconds, console)
        output.chmod(0o755)
        output.replace(folder / name)


def _go_arguments(go: str, name: str, output: Path) -> list[str]:
    package = _RECIPES[name].package
    if name == "kwok":  # has no replace directives, so Go installs it directly, into GOBIN
        return [go, "install", "-trimpath", "-ldflags=-s -w", f"{package}@{KWOK_VERSION}"]
    version = f"v{kubernetes_version()}"  # without it the server says v0.0.0 and clients misbehave
    stamps = [f"-X k8s.io/{part}/version.gitVersion={version}" for part in ("component-base", "client-go/pkg")]
    return [go, "build", "-trimpath", f"-ldflags=-s -w {' '.join(stamps)}", "-o", str(output), package]


def _run_visibly(argv: list[str], output: Path, label: str, usual_seconds: int, console: Console) -> None:
    log = output.with_suffix(".log")
    started = time.monotonic()
    with log.open("wb") as sink:
        process = subprocess.Popen(
            argv, cwd=_HERE, env=_go_environment(output.parent), stdin=subprocess.DEVNULL, stdout=sink, stderr=sink, process_group=0
        )
        try:
            for elapsed in _heartbeats(process, console, label, usual_seconds):
                console.print(f"{label}: still compiling after {elapsed:.0f} s (usually about {usual_seconds} s)", highlight=False)
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            raise
        finally:
            process.wait()
    if process.returncode != 0 or not output.exists():
        tail = "\n".join(log.read_text(errors="replace").splitlines()[-20:])
        raise BinaryError(f"compiling {output.name} failed (go exited with {process.returncode}):\n{tail}")
    console.print(f"{label}: compiled in {time.monotonic() - started:.0f} s", highlight=False)


def _heartbeats(process: "subprocess.Popen[bytes]", console: Console, label: str, usual_seconds: int) -> Iterator[float]:
    """Wait for the end; on a terminal keep one line moving, elsewhere yield now and then so that a line can be printed."""
    started = time.monotonic()

    def line() -> Text:
        return Text(f"{label}: compiling, {time.monotonic() - started:.0f} s (usually about {usual_seconds} s)")

    if console.is_terminal:
        with Live(line(), console=console, auto_refresh=False, transient=True) as live:
            while not _ended_within(process, 1.0):
                live.update(line(), refresh=True)
    else:
        console.print(f"{label}: compiling (usually about {usual_seconds} s)", highlight=False)
        while not _ended_within(process, _QUIET_SECONDS):
            yield time.monotonic() - started


def _ended_within(process: "subprocess.Popen[bytes]", seconds: float) -> bool:
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        return False
    return True


def _go_environment(gobin: Path) -> dict[str, str]:
    """The user's own Go (proxy, caches), minus what would change the result."""
    ours = {"CGO_ENABLED": "0", "GOBIN": str(gobin), "GOFLAGS": "-buildvcs=false", "GOTOOLCHAIN": "local", "GOWORK": "off"}
    unwanted = ("GOOS", "GOARCH", "GO111MODULE")
    return {key: value for key, value in os.environ.items() if key not in unwanted} | ours


def _go_command() -> str:
    needed = _from_go_mod(r"^go (\S+)")
    advice = f"Install Go {needed} or newer (https://go.dev/dl/), or set {_ASSETS} to a folder that has the servers."
    go = shutil.which("go")
    if go is None:
        raise BinaryError(f"{', '.join(missing())}: must be compiled, and there is no `go`. {advice}")
    answer = subprocess.run(
        [go, "env", "GOVERSION"], cwd=Path(go).resolve().parent, env=_go_environment(_HERE), capture_output=True, text=True, check=False
    )
    found = re.match(r"go(\d+)\.(\d+)(?:\.(\d+))?", answer.stdout)
    if found is None:
        raise BinaryError(f"`{go} env GOVERSION` did not answer: {answer.stderr.strip() or answer.stdout.strip()!r}. {advice}")
    if tuple(int(part or 0) for part in found.groups()) < tuple(int(part) for part in needed.split(".")):
        raise BinaryError(f"{go} is {answer.stdout.strip()}, which is too old. {advice}")
    return go


@contextmanager
def _locked(path: Path, console: Console) -> Iterator[None]:
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            console.print("Another process is compiling the test bed's servers; waiting for it.", highlight=False)
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _from_go_mod(pattern: str) -> str:
    found = re.search(pattern, (_HERE / "go.mod").read_text(), re.MULTILINE)
    if found is None:
        raise BinaryError(f"{_HERE / 'go.mod'} has no line like {pattern!r}")
    return found.group(1)


def main() -> int:
    """Have everything, and say where."""
    console = Console(stderr=True)
    try:
        paths = ensure(console=console)
    except BinaryError as error:
        console.print(f"error: {error}", style="red", markup=False, highlight=False, soft_wrap=True)
        return 1
    except KeyboardInterrupt:
        console.print("Stopped; what is compiled so far is kept.")
        return 130
    for name, path in paths.items():
        print(f"{name}\t{path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
