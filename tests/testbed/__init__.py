"""A real Kubernetes control plane on one machine, without containers, for the tests and the demo.

Why it exists: what this project promises (who may do what, what is written and how often, what survives a restart) is
decided by the API server, so it is tested against the real one and not against a mock. The servers are compiled once
from pinned modules (`binaries`), run as child processes that cannot outlive their parent (`processes`), and pods are
played by kwok (`stages.yaml`).

    with ControlPlane() as cluster:
        cluster.apply(deployment_yaml("web"))
        cluster.kubectl("rollout", "status", "deployment/web")

Nothing here knows the governor: the test bed must be able to judge it from outside.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from testbed.audit import mutating_requests
    from testbed.controlplane import ControlPlane, ControlPlaneError, KubectlError
    from testbed.identities import Identity, person, service_account
    from testbed.world import BEHAVIOUR_ANNOTATION, Behaviour, WorkloadKind, cron_job_yaml, deployment_yaml, wait_until, workload_yaml

__all__ = [
    "BEHAVIOUR_ANNOTATION",
    "Behaviour",
    "ControlPlane",
    "ControlPlaneError",
    "Identity",
    "KubectlError",
    "WorkloadKind",
    "cron_job_yaml",
    "deployment_yaml",
    "mutating_requests",
    "person",
    "service_account",
    "wait_until",
    "workload_yaml",
]

_HOMES = ("audit", "controlplane", "identities", "world")


def __getattr__(name: str) -> object:
    """Import at first use: `python -m testbed.binaries` must not find itself imported already (runpy warns of that)."""
    if name in __all__:
        for home in _HOMES:
            module = import_module(f"testbed.{home}")
            if name in vars(module):
                return vars(module)[name]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
