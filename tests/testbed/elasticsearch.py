"""A real Elasticsearch on one machine, without containers: fetched once through Maven, shared by everyone who tests at a time.

It takes half a minute to start and 800 MB, so there is one server for all processes of all test runs of this user, for as long
as anybody holds it. It belongs to none of them: a keeper process starts it, and ends it when the last holder is gone, however
that one ended, because a hold is a lock on a file and the kernel lets go of it. Tests therefore choose names of indices that
nobody else has (`some_prefix`).

ELASTICSEARCH_URL names a server of your own, which then is used, and never stopped.

    python -m testbed.elasticsearch            # fetch it, so that tests need not
"""

import fcntl
import functools
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from testbed.ports import ReservedPort
from testbed.processes import ServerProcess
from testbed.workdir import Workdir, write_private

VERSION = "9.2.4"
ARTIFACT = f"org.elasticsearch.distribution.integ-test-zip:elasticsearch:{VERSION}:zip"
URL = "ELASTICSEARCH_URL"
LEAST_JAVA = 21

_HEAP = "512m"
_START_SECONDS = 180.0
_NOBODY = 65534
"""Elasticsearch refuses to run as root."""
_SETTINGS = """\
cluster.name: safety-governor-tests
node.name: only
discovery.type: single-node
network.host: 127.0.0.1
http.port: {http}
transport.port: {transport}
path.data: {folder}/data
path.logs: {folder}/logs
xpack.security.enabled: false
xpack.ml.enabled: false
cluster.routing.allocation.disk.threshold_enabled: false
cluster.max_shards_per_node: 5000
"""


class ElasticsearchError(RuntimeError):
    """The server cannot be had; the text says what to do."""


def cache_folder() -> Path:
    """Where the distribution lives; another version is another folder."""
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "safety-governor" / f"elasticsearch-{VERSION}"


def some_prefix() -> str:
    """The beginning of names of indices that no other test has."""
    return f"t{os.urandom(6).hex()}-"


@functools.cache
def java_home() -> Path:
    """A JDK that is new enough.

    Raises:
        ElasticsearchError: there is none; the text names those that were seen.
    """
    seen = []
    for home in _java_homes():
        version = _java_version(home)
        if version >= LEAST_JAVA:
            return home
        seen.append(f"{home} is Java {version or 'of an unknown version'}")
    raise ElasticsearchError(
        f"Elasticsearch {VERSION} needs a JDK of version {LEAST_JAVA} or newer ({'; '.join(seen) or 'none was found'}). Install one, set "
        f"ES_JAVA_HOME to its folder, or set {URL} to a running Elasticsearch 9."
    )


def fetch() -> Path:
    """The distribution as a zip, fetched through Maven if it is not in the cache.

    Raises:
        ElasticsearchError: there is no Maven, or it failed.
    """
    path = cache_folder() / f"elasticsearch-{VERSION}.zip"
    if path.is_file():
        return path
    maven = shutil.which("mvn")
    if maven is None:
        raise ElasticsearchError(
            f"Elasticsearch {VERSION} must be fetched, and there is no `mvn`. Install Maven, or set {URL} to a running Elasticsearch 9."
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    with _locked(path.parent / "fetch.lock"):
        if not path.is_file():
            print(f"Fetching Elasticsearch {VERSION} through Maven (98 MB, once) into {path.parent}", file=sys.stderr, flush=True)
            with tempfile.TemporaryDirectory(prefix=".fetch-", dir=path.parent) as scratch:
                _run_maven(maven, "dependency:get", f"-Dartifact={ARTIFACT}", "-Dtransitive=false")
                _run_maven(maven, "dependency:copy", f"-Dartifact={ARTIFACT}", f"-DoutputDirectory={scratch}")
                (Path(scratch) / path.name).replace(path)
    return path


class Elasticsearch:
    """A server of one's own, in a folder of its own; most tests want `SharedElasticsearch`."""

    def __init__(self) -> None:
        self._workdir: Workdir | None = None
        self._server: ServerProcess | None = None
        self._ports = (ReservedPort(), ReservedPort())
        self.url = f"http://127.0.0.1:{self._ports[0].number}"

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def start(self) -> None:
        """Start it, or start it again with the data it had; returns when it answers."""
        if self._server is None:
            self._server = self._prepared()
        self._server.start()
        deadline = time.monotonic() + _START_SECONDS
        while not answers(self.url):
            if not self._server.is_running or time.monotonic() > deadline:
                raise ElasticsearchError(f"Elasticsearch did not come up at {self.url}:\n{self._server.log_tail(25)}")
            time.sleep(0.25)

    @property
    def is_running(self) -> bool:
        """Whether its process exists."""
        return self._server is not None and self._server.is_running

    def stop(self) -> None:
        """Kill it; its data stay."""
        if self._server is not None and self._server.pid is not None:
            # The launcher has a process of its own for the server; both are in one group.
            with suppress(ProcessLookupError):
                os.killpg(self._server.pid, signal.SIGKILL)
            self._server.stop()

    def close(self) -> None:
        """Kill it and remove its folder."""
        self.stop()
        for port in self._ports:
            port.release()
        if self._workdir is not None:
            self._workdir.remove()

    def _prepared(self) -> ServerProcess:
        distribution, java = fetch(), java_home()
        self._workdir = Workdir()
        folder = self._workdir.path
        folder.chmod(0o711)
        with zipfile.ZipFile(distribution) as archive:
            archive.extractall(folder)
        home = folder / f"elasticsearch-{VERSION}"
        for tool in (home / "bin").iterdir():
            tool.chmod(0o755)
        http, transport = (port.number for port in self._ports)
        (home / "config" / "elasticsearch.yml").write_text(_SETTINGS.format(http=http, transport=transport, folder=folder))
        (home / "config" / "jvm.options.d").mkdir(exist_ok=True)
        (home / "config" / "jvm.options.d" / "heap.options").write_text(f"-Xms{_HEAP}\n-Xmx{_HEAP}\n")
        for name in ("data", "logs", "tmp"):
            (folder / name).mkdir()
        for port in self._ports:  # Elasticsearch does not share a port
            port.release()
        environment = {
            "PATH": os.environ.get("PATH", "/usr/bin:/bin"),
            "HOME": str(folder),
            "ES_JAVA_HOME": str(java),
            "ES_TMPDIR": f"{folder}/tmp",
        }
        command = [str(home / "bin" / "elasticsearch")]
        if os.getuid() == 0:
            command = [*_as_nobody(), *command]
            for path in (home, *home.rglob("*"), *(folder / name for name in ("data", "logs", "tmp"))):
                os.chown(path, _NOBODY, _NOBODY)
        program = shutil.which(command[0]) or command[0]
        return ServerProcess("elasticsearch", [program, *command[1:]], log=folder / "elasticsearch.log", cwd=folder, env=environment)


class SharedElasticsearch:
    """A hold on the one server of this user, or on that of ELASTICSEARCH_URL; the first holder starts it."""

    def __init__(self) -> None:
        self._hold: IO[bytes] | None = None
        self.url = ""

    def __enter__(self) -> Self:
        if given := os.environ.get(URL):
            if not answers(given):
                raise ElasticsearchError(f"{URL} names {given}, where no Elasticsearch answers; correct it or unset it")
            self.url = given.rstrip("/")
            return self
        java_home()
        fetch()
        home = _Home()
        with _locked(home.gate):
            self._hold = home.users.open("ab")
            fcntl.flock(self._hold, fcntl.LOCK_SH)
            url = home.url() if home.is_kept() else None
            self.url = url or _start_keeper(home)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._hold is not None:
            self._hold.close()


def answers(url: str) -> bool:
    """Whether a cluster answers there and can hold indices."""
    try:
        with urllib.request.urlopen(f"{url}/_cluster/health?wait_for_status=yellow&timeout=1s", timeout=5) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError, ValueError):
        return False


@dataclass(frozen=True)
class _Home:
    """Where holders and keeper meet."""

    folder: Path

    def __init__(self) -> None:
        folder = cache_folder() / "run"
        folder.mkdir(parents=True, exist_ok=True)
        object.__setattr__(self, "folder", folder)

    @property
    def gate(self) -> Path:
        """Held by whoever comes, and by the keeper while it decides to go."""
        return self.folder / "gate.lock"

    @property
    def users(self) -> Path:
        """Held, shared, by everybody who uses the server."""
        return self.folder / "users.lock"

    @property
    def keeper(self) -> Path:
        """Held by the keeper for as long as its server runs."""
        return self.folder / "keeper.lock"

    def is_kept(self) -> bool:
        """Whether there is a keeper."""
        with self.keeper.open("ab") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
        return False

    @property
    def state(self) -> Path:
        """Where the server is."""
        return self.folder / "server.json"

    @property
    def log(self) -> Path:
        """What the keeper has to say."""
        return self.folder / "keeper.log"

    def url(self) -> str | None:
        """Of the server that was last started."""
        try:
            return str(json.loads(self.state.read_text())["url"])
        except (FileNotFoundError, ValueError, KeyError):
            return None


def _start_keeper(home: _Home) -> str:
    """Start a keeper and wait for its server. The gate is held meanwhile, so nobody else does the same."""
    home.state.unlink(missing_ok=True)
    with home.log.open("wb") as log:
        keeper = subprocess.Popen(
            [sys.executable, "-m", "testbed.elasticsearch", "keep"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=home.folder,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parent.parent)},
            start_new_session=True,
        )
    deadline = time.monotonic() + _START_SECONDS
    while (url := home.url()) is None:
        if keeper.poll() is not None or time.monotonic() > deadline:
            raise ElasticsearchError(f"Elasticsearch could not be started:\n{home.log.read_text(errors='replace')}")
        time.sleep(0.1)
    keeper.returncode = 0  # it goes on without us, and is nobody's to wait for
    return url


def _keep() -> None:
    """Run a server until nobody holds it."""
    home = _Home()
    with home.keeper.open("ab") as keeping, Elasticsearch() as server:
        fcntl.flock(keeping, fcntl.LOCK_EX)
        write_private(home.state, json.dumps({"url": server.url}))
        while server.is_running:
            time.sleep(1.0)
            with home.gate.open("w") as gate, home.users.open("ab") as users:
                try:
                    fcntl.flock(gate, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    continue
                home.state.unlink(missing_ok=True)
                return


def _as_nobody() -> list[str]:
    if setpriv := shutil.which("setpriv"):
        # A change of identity would forget that the child is to die with its parent.
        return [setpriv, f"--reuid={_NOBODY}", f"--regid={_NOBODY}", "--clear-groups", "--pdeathsig=SIGKILL"]
    if runuser := shutil.which("runuser"):
        return [runuser, "-u", "nobody", "--"]
    raise ElasticsearchError(
        "Elasticsearch does not run as root, and there is neither `setpriv` nor `runuser`; run the tests as another user."
    )


def _java_homes() -> Iterator[Path]:
    for name in ("ES_JAVA_HOME", "JAVA_HOME"):
        if given := os.environ.get(name):
            yield Path(given)
    yield from sorted(Path("/usr/lib/jvm").glob("*"), reverse=True)
    if java := shutil.which("java"):
        yield Path(java).resolve().parent.parent


def _java_version(home: Path) -> int:
    """0 when it is none."""
    try:
        found = re.search(r'^JAVA_VERSION="(\d+)', (home / "release").read_text(), re.MULTILINE)
    except OSError:
        return 0
    return int(found.group(1)) if found and (home / "bin" / "java").exists() else 0


def _run_maven(maven: str, *arguments: str) -> None:
    done = subprocess.run([maven, "-B", "-q", *arguments], cwd=cache_folder(), capture_output=True, text=True, check=False)
    if done.returncode != 0:
        tail = "\n".join((done.stdout + done.stderr).splitlines()[-15:])
        raise ElasticsearchError(f"`mvn {arguments[0]}` could not fetch Elasticsearch {VERSION}:\n{tail}")


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def main() -> int:
    """Fetch the server, or keep one."""
    try:
        if sys.argv[1:] == ["keep"]:
            _keep()
        elif os.environ.get(URL):
            print(f"{URL} is set; nothing is fetched")
        else:
            print(f"elasticsearch\t{fetch()}\njava\t{java_home()}")
    except ElasticsearchError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
