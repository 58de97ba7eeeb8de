"""A whole control plane as one context manager, and the handles that tests turn: freeze it, stop it, ask the audit log.

It starts and stops processes and writes into its own folder, nothing else. What the servers' flags are is told in
`commands`, why they cannot outlive us in `processes`, why ports do not collide in `ports`.
"""

import atexit
import base64
import contextlib
import http.client
import json
import os
import shlex
import shutil
import ssl
import subprocess
import uuid
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import yaml

from testbed import audit, binaries, commands, identities
from testbed.identities import Identity
from testbed.ports import ReservedPort
from testbed.processes import ServerProcess
from testbed.workdir import Workdir, write_private
from testbed.world import wait_until

_START_SECONDS = 60.0
"""A start takes about 5 s on an idle machine; a busy one may need long."""
_ATTEMPTS = 3
_BARRIER = "/version?testbed-barrier="


class ControlPlaneError(RuntimeError):
    """The control plane does not do what it should; the text has the last words of the server concerned."""


class PortTakenError(ControlPlaneError):
    """A server found its port in use; another port may do."""


class KubectlError(RuntimeError):
    """A kubectl command failed; the text has what it said."""

    def __init__(self, args: list[str], done: "subprocess.CompletedProcess[str]") -> None:
        super().__init__(f"{shlex.join(args)} exited with {done.returncode}: {(done.stderr or done.stdout).strip()}")
        self.returncode = done.returncode
        self.stdout = done.stdout
        self.stderr = done.stderr


class ControlPlane:
    """etcd, API server, controllers, scheduler, and nodes and pods played by kwok, all on the loopback interface.

    With `controllers=False` there are only etcd and the API server, which start sooner: nothing then moves by itself.
    A given `workdir` is kept at the end (its logs, its data); otherwise everything is removed.
    """

    def __init__(
        self,
        workdir: Path | None = None,
        controllers: bool = True,
        nodes: int = 2,
        extra_identities: Iterable[Identity] = (),
    ) -> None:
        self._given_workdir = workdir
        self._has_controllers = controllers
        self._node_names = [f"node-{number}" for number in range(1, nodes + 1)]
        everybody = (*identities.defaults(), *extra_identities)
        self._token_file = identities.token_file(everybody)
        self._identities = {one.name: one for one in everybody}
        self._servers: dict[str, ServerProcess] = {}
        self._ports: list[ReservedPort] = []
        self._workdir: Workdir | None = None
        self._layout: commands.Layout | None = None
        self._binaries: dict[str, Path] = {}
        self._tls: ssl.SSLContext | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    # Start and end

    def start(self) -> None:
        """Start everything and wait until it can be used.

        Raises:
            ControlPlaneError: a server ended or was not ready in time; nothing is left running.
            BinaryError: a server is missing and cannot be compiled.
        """
        if self._servers:
            raise ControlPlaneError("already started")
        needed = binaries.NAMES if self._has_controllers else ("etcd", "kube-apiserver", "kubectl")
        self._binaries = binaries.ensure(needed)
        atexit.register(self.stop)
        try:
            self._start_with_free_ports()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End all servers and remove what is temporary; harmless when repeated."""
        atexit.unregister(self.stop)
        self._end_servers()
        if self._workdir is not None:
            self._workdir.remove()
            self._workdir = None

    def _start_with_free_ports(self) -> None:
        self._workdir = Workdir(self._given_workdir)
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                self._start_once(self._workdir.path)
            except PortTakenError:
                self._end_servers()
                shutil.rmtree(self._workdir.path / "etcd", ignore_errors=True)  # it remembers its old address
                if attempt == _ATTEMPTS:
                    raise
            else:
                return

    def _start_once(self, folder: Path) -> None:
        self._ports = [ReservedPort() for _ in range(3)]
        etcd_port, peer_port, apiserver_port = (port.number for port in self._ports)
        layout = commands.Layout(folder=folder, etcd_port=etcd_port, etcd_peer_port=peer_port, apiserver_port=apiserver_port)
        self._layout, self._tls = layout, None
        write_private(layout.token_file, self._token_file)
        if not layout.signing_key.exists():
            _make_signing_key(layout.signing_key)
        self._start_server("etcd", commands.etcd(self._binaries["etcd"], layout))
        self._start_server("kube-apiserver", commands.kube_apiserver(self._binaries["kube-apiserver"], layout))
        self._await_apiserver()
        if self._has_controllers:
            self._start_controllers(layout)
        self._create("/api/v1/namespaces", _namespace(identities.GOVERNOR_NAMESPACE))
        for name in self._node_names:
            self._create("/api/v1/nodes", _node(name))
        if self._has_controllers:
            self._await("the controllers and the nodes", self._is_settled)

    def _start_controllers(self, layout: commands.Layout) -> None:
        manager, scheduler, kwok = (self._binaries[name] for name in ("kube-controller-manager", "kube-scheduler", "kwok"))
        as_manager, as_scheduler, as_kwok = (self.kubeconfig(name) for name in ("controller-manager", "scheduler", "kwok"))
        self._start_server("kube-controller-manager", commands.kube_controller_manager(manager, layout, as_manager))
        self._start_server("kube-scheduler", commands.kube_scheduler(scheduler, as_scheduler))
        self._start_server("kwok", commands.kwok(kwok, as_kwok))

    def _start_server(self, name: str, argv: list[str | Path]) -> None:
        folder = self._folder
        environment = {"PATH": os.environ.get("PATH", os.defpath), "HOME": str(folder)}  # no ETCD_*, no ~/.kwok
        server = ServerProcess(name, argv, log=folder / "logs" / f"{name}.log", cwd=folder, env=environment)
        self._servers[name] = server
        server.start()

    def _end_servers(self) -> None:
        for server in reversed(self._servers.values()):  # etcd last, so that nobody fills its log with complaints
            server.stop()
        for port in self._ports:
            port.release()
        self._servers, self._ports, self._layout, self._tls = {}, [], None, None

    # Waiting

    def _await_apiserver(self) -> None:
        self._await("the API server to be ready", self._is_ready)

    def _await(self, what: str, predicate: Callable[[], bool]) -> None:
        def is_done() -> bool:
            self._raise_if_one_ended()
            return predicate()

        try:
            wait_until(is_done, _START_SECONDS, what)
        except TimeoutError as error:
            tails = "\n".join(f"--- {name}:\n{server.log_tail(8)}" for name, server in self._servers.items())
            raise ControlPlaneError(f"{error}\n{tails}") from error

    def _raise_if_one_ended(self) -> None:
        for name, server in self._servers.items():
            if not server.is_running:
                tail = server.log_tail()
                kind = PortTakenError if "address already in use" in tail else ControlPlaneError
                raise kind(f"{name} ended with exit code {server.exit_code}; its last words ({server.log}):\n{tail}")

    def _is_ready(self) -> bool:
        """Ready includes the bootstrap RBAC roles; the namespace `default` appears a moment later."""
        return self._answers("/readyz") and self._answers("/api/v1/namespaces/default")

    def _is_settled(self) -> bool:
        namespaces = ("default", identities.GOVERNOR_NAMESPACE)  # a default service account proves that controllers work
        return all(self._answers(f"/api/v1/namespaces/{name}/serviceaccounts/default") for name in namespaces) and all(
            self._is_node_ready(name) for name in self._node_names
        )

    def _is_node_ready(self, name: str) -> bool:
        status, node = self.request("GET", f"/api/v1/nodes/{name}")
        conditions = node.get("status", {}).get("conditions", []) if status == 200 else []
        return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)

    def _answers(self, path: str) -> bool:
        try:
            return self.request("GET", path, timeout=5)[0] == 200
        except (OSError, http.client.HTTPException):  # not listening yet, or its certificate is not written yet
            return False

    # Who and where

    @property
    def url(self) -> str:
        """The API server's address."""
        return self._where.url

    @property
    def ca_file(self) -> Path:
        """What to verify the API server's certificate with."""
        return self._where.ca_file

    @property
    def kubectl_path(self) -> Path:
        """The kubectl of the same version."""
        return self._binaries["kubectl"]

    @property
    def pids(self) -> dict[str, int]:
        """The process ids of the servers that run."""
        return {name: server.pid for name, server in self._servers.items() if server.pid is not None}

    def log(self, server: str) -> Path:
        """The log file of a server, such as "kube-apiserver"."""
        return self._servers[server].log

    def identity(self, name: str) -> Identity:
        """Who that short name is.

        Raises:
            KeyError: nobody; the text lists who there is.
        """
        if name not in self._identities:
            raise KeyError(f"nobody is called {name!r}; there are {', '.join(self._identities)}")
        return self._identities[name]

    def token(self, name: str) -> str:
        """The bearer token of an identity."""
        return self.identity(name).token

    def username(self, name: str) -> str:
        """What the API server, RBAC and the audit log call an identity."""
        return self.identity(name).username

    def kubeconfig(self, identity_name: str = "admin", namespace: str = "default") -> Path:
        """A kubeconfig file of that identity, self-contained and private."""
        identity, where = self.identity(identity_name), self._where
        authority = base64.b64encode(where.ca_file.read_bytes()).decode()
        document = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "testbed", "cluster": {"server": where.url, "certificate-authority-data": authority}}],
            "users": [{"name": identity.name, "user": {"token": identity.token}}],
            "contexts": [{"name": "testbed", "context": {"cluster": "testbed", "user": identity.name, "namespace": namespace}}],
            "current-context": "testbed",
        }
        suffix = "" if namespace == "default" else f"-{namespace}"
        folder = self._folder / "kubeconfigs"
        folder.mkdir(mode=0o700, exist_ok=True)
        return write_private(folder / f"{identity.name}{suffix}.yaml", yaml.safe_dump(document, sort_keys=False))

    # Talking to it

    def request(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, *, user: str = "admin", timeout: float = 10.0
    ) -> tuple[int, dict[str, Any]]:
        """One HTTP request to the API server: status code and JSON answer (under "text" if it is not JSON)."""
        if self._tls is None:
            self._tls = ssl.create_default_context(cafile=str(self.ca_file))
        connection = http.client.HTTPSConnection("127.0.0.1", self._where.apiserver_port, timeout=timeout, context=self._tls)
        kind = "application/json" if method != "PATCH" else "application/merge-patch+json"
        headers = {"Authorization": f"Bearer {self.token(user)}", "Content-Type": kind, "Accept": "application/json"}
        with contextlib.closing(connection):
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            answer = connection.getresponse()
            text = answer.read().decode()
        try:
            parsed = json.loads(text)
        except ValueError:
            parsed = None
        return answer.status, parsed if isinstance(parsed, dict) else {"text": text}

    def kubectl(
        self, *args: str | Path, user: str = "admin", stdin: str | None = None, check: bool = True, timeout: float = 60.0
    ) -> subprocess.CompletedProcess[str]:
        """Run kubectl as one of the identities.

        Raises:
            KubectlError: it failed, and `check` is set.
            subprocess.TimeoutExpired: it took longer than `timeout` seconds.
        """
        argv = [str(self.kubectl_path), f"--kubeconfig={self.kubeconfig(user)}", *map(str, args)]
        environment = os.environ | {"KUBECACHEDIR": str(self._folder / "kubectl-cache"), "KUBECTL_KUBERC": "false"}
        done = subprocess.run(argv, input=stdin or "", capture_output=True, text=True, env=environment, timeout=timeout, check=False)
        if check and done.returncode != 0:
            raise KubectlError(["kubectl", *argv[2:]], done)
        return done

    def apply(self, *paths_or_yaml_text: str | Path, user: str = "admin") -> None:
        """`kubectl apply` of files, folders, or YAML text (a string with a line break)."""
        for source in paths_or_yaml_text:
            if isinstance(source, str) and "\n" in source:
                self.kubectl("apply", "-f", "-", user=user, stdin=source)
            else:
                self.kubectl("apply", "-f", source, user=user)

    def apply_crds(self, folder: Path) -> None:
        """Apply a folder of custom resource definitions and wait until the API server serves them."""
        self.kubectl("apply", "--server-side", "-f", folder)
        self.kubectl("wait", "--for=condition=Established", "--timeout=30s", "customresourcedefinitions", "--all")

    # The audit log

    def audit_mark(self) -> int:
        """A point in the audit log: `audit_events(mark)` gives only what was asked after it."""
        self._settle_audit_log()
        log = self._where.audit_log
        return log.stat().st_size if log.exists() else 0

    def audit_events(self, since: int = 0) -> list[audit.Event]:
        """What the API server was asked, in the order in which it finished; includes all that was answered before this call."""
        self._settle_audit_log()
        events = audit.read_events(self._where.audit_log, since)
        return [event for event in events if not event.get("requestURI", "").startswith(_BARRIER)]

    def _settle_audit_log(self) -> None:
        """An event is written just after its answer: ask something of our own, and wait until that is in the log."""
        server = self._servers.get("kube-apiserver")
        if server is None or not server.is_running or server.is_paused:
            return
        log, barrier = self._where.audit_log, f"{_BARRIER}{uuid.uuid4().hex}"
        before = log.stat().st_size if log.exists() else 0
        self.request("GET", barrier)
        wait_until(
            lambda: any(event.get("requestURI") == barrier for event in audit.read_events(log, before)), 10, "the audit log to be written"
        )

    # Making trouble

    def pause_apiserver(self) -> None:
        """Freeze the API server: connections stay open, nobody answers."""
        self._servers["kube-apiserver"].pause()

    def resume_apiserver(self) -> None:
        """Let it go on."""
        self._servers["kube-apiserver"].resume()

    def stop_apiserver(self) -> None:
        """End the API server at once, as a lost machine would; address, certificate and data are kept for `start_apiserver`."""
        self._servers["kube-apiserver"].stop()

    def start_apiserver(self) -> None:
        """Start it again where it was, and wait until it is ready."""
        self._servers["kube-apiserver"].start()
        self._await_apiserver()

    def stop_etcd(self) -> None:
        """End etcd at once; the API server stays up and cannot answer. The data is kept for `start_etcd`."""
        self._servers["etcd"].stop()

    def start_etcd(self) -> None:
        """Start it again with its data, and wait until the API server is ready."""
        self._servers["etcd"].start()
        self._await_apiserver()

    # Inside

    @property
    def _where(self) -> commands.Layout:
        if self._layout is None:
            raise ControlPlaneError("the control plane is not running")
        return self._layout

    @property
    def _folder(self) -> Path:
        return self._where.folder

    def _create(self, path: str, body: Mapping[str, Any]) -> None:
        status, answer = self.request("POST", path, body)
        if status not in (201, 409):  # 409: a kept folder is used again
            raise ControlPlaneError(f"creating {body['metadata']['name']} failed with {status}: {answer.get('message', answer)}")


def _make_signing_key(path: Path) -> None:
    openssl = shutil.which("openssl")
    if openssl is None:
        raise ControlPlaneError("the test bed makes its signing key with the `openssl` command, which is not installed")
    made = subprocess.run(
        [openssl, "ecparam", "-name", "prime256v1", "-genkey", "-noout"], capture_output=True, text=True, timeout=30, check=False
    )
    if made.returncode != 0:
        raise ControlPlaneError(f"openssl did not make a key: {made.stderr.strip()}")
    write_private(path, made.stdout)


def _namespace(name: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}


def _node(name: str) -> dict[str, Any]:
    capacity = {"cpu": "64", "memory": "256Gi", "pods": "500"}
    labels = {"kubernetes.io/hostname": name, "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64"}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": labels},
        "status": {"capacity": capacity, "allocatable": capacity},
    }
