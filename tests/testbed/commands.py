"""The command lines of the servers: every flag that matters, in one place, with its reason.

Pure: nothing is started, read or written here.
"""

from dataclasses import dataclass
from pathlib import Path

STAGES = Path(__file__).with_name("stages.yaml")
AUDIT_POLICY = Path(__file__).with_name("audit-policy.yaml")

_CONTROLLERS = (
    "clusterrole-aggregation-controller",  # without it the built-in roles view, edit and admin are empty
    "daemonset-controller",
    "deployment-controller",
    "disruption-controller",
    "garbage-collector-controller",
    "job-controller",
    "namespace-controller",
    "replicaset-controller",
    "serviceaccount-controller",
    "statefulset-controller",
)

_DISABLED_ADMISSION = (
    "ServiceAccount",  # would want a token controller and projected tokens for pods that never run
    "TaintNodesByCondition",  # would taint new nodes, and no node controller is there to take the taint away
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Where one control plane keeps its files and listens."""

    folder: Path
    etcd_port: int
    etcd_peer_port: int
    apiserver_port: int

    @property
    def etcd_data(self) -> Path:
        """What survives a restart of etcd."""
        return self.folder / "etcd"

    @property
    def certificates(self) -> Path:
        """Where the API server writes its own certificate, signed by a CA that it makes up."""
        return self.folder / "certificates"

    @property
    def ca_file(self) -> Path:
        """The certificate chain that the API server wrote; ends in its CA."""
        return self.certificates / "apiserver.crt"

    @property
    def signing_key(self) -> Path:
        """The private key for service account tokens."""
        return self.folder / "service-accounts.key"

    @property
    def token_file(self) -> Path:
        """Who is who."""
        return self.folder / "tokens.csv"

    @property
    def audit_log(self) -> Path:
        """One JSON event a line."""
        return self.folder / "audit.log"

    @property
    def url(self) -> str:
        """The API server's address."""
        return f"https://127.0.0.1:{self.apiserver_port}"


def etcd(binary: Path, layout: Layout) -> list[str | Path]:
    """One member, on the loopback interface only."""
    client, peer = f"http://127.0.0.1:{layout.etcd_port}", f"http://127.0.0.1:{layout.etcd_peer_port}"
    return [
        binary,
        f"--data-dir={layout.etcd_data}",
        f"--listen-client-urls={client}",
        f"--advertise-client-urls={client}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=default={peer}",
        "--unsafe-no-fsync",  # the data outlives a killed process, which is all the tests need
        "--socket-reuse-port",  # see ports.py
        "--log-level=warn",
    ]


def kube_apiserver(binary: Path, layout: Layout) -> list[str | Path]:
    """The API server, with RBAC, token file and audit log."""
    return [
        binary,
        f"--etcd-servers=http://127.0.0.1:{layout.etcd_port}",
        "--bind-address=127.0.0.1",
        "--advertise-address=127.0.0.1",  # else it looks for an outside interface, and may find none
        "--endpoint-reconciler-type=none",  # a loopback address must not be published as an endpoint
        f"--secure-port={layout.apiserver_port}",
        "--permit-port-sharing",  # see ports.py
        f"--cert-dir={layout.certificates}",
        f"--service-account-key-file={layout.signing_key}",  # the public half is taken from it
        f"--service-account-signing-key-file={layout.signing_key}",
        "--service-account-issuer=https://kubernetes.default.svc",
        "--service-cluster-ip-range=10.0.0.0/24",
        "--authorization-mode=Node,RBAC",
        f"--token-auth-file={layout.token_file}",
        f"--disable-admission-plugins={','.join(_DISABLED_ADMISSION)}",
        f"--audit-policy-file={AUDIT_POLICY}",
        f"--audit-log-path={layout.audit_log}",
        "--audit-log-maxsize=0",  # never rotated: tests remember offsets
        "--profiling=false",
    ]


def kube_controller_manager(binary: Path, layout: Layout, kubeconfig: Path) -> list[str | Path]:
    """The controllers that make workloads move."""
    return [
        binary,
        f"--kubeconfig={kubeconfig}",
        f"--service-account-private-key-file={layout.signing_key}",
        "--use-service-account-credentials=true",  # else the controllers lack their roles and silently do nothing
        "--leader-elect=false",
        "--secure-port=0",
        f"--controllers={','.join(_CONTROLLERS)}",
    ]


def kube_scheduler(binary: Path, kubeconfig: Path) -> list[str | Path]:
    """Binds pods to nodes."""
    return [binary, f"--kubeconfig={kubeconfig}", "--leader-elect=false", "--secure-port=0"]


def kwok(binary: Path, kubeconfig: Path) -> list[str | Path]:
    """Plays all kubelets, as stages.yaml says."""
    return [
        binary,
        f"--kubeconfig={kubeconfig}",
        f"--config={STAGES}",
        "--manage-all-nodes=true",
        "--node-ip=127.0.0.1",  # nobody listens there for `kubectl logs`, which then fails at once instead of hanging
        "--cidr=10.244.0.0/16",
    ]
