"""A control plane to play with: starts one, says how to be each of the people, and takes it down at Ctrl-C.

python -m testbed.play [--crds DIR] [--nodes N] [--elasticsearch]
"""

import argparse
import shlex
import signal
import sys
import threading
from contextlib import ExitStack
from pathlib import Path

from rich.console import Console

from testbed import identities
from testbed.binaries import BinaryError
from testbed.controlplane import ControlPlane, ControlPlaneError, KubectlError
from testbed.elasticsearch import Elasticsearch, ElasticsearchError

_CRDS = Path(__file__).resolve().parents[2] / "crds"
_CHECK_SECONDS = 2.0


def main(argv: list[str] | None = None) -> int:
    """Run until Ctrl-C."""
    options = _parser().parse_args(argv)
    console = Console()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a polite kill also takes everything down
    try:
        console.print("Starting a control plane …")
        with ExitStack() as stack:
            cluster = stack.enter_context(ControlPlane(nodes=options.nodes))
            _apply_crds(cluster, options.crds, console)
            store = None
            if options.elasticsearch:
                console.print("Starting an Elasticsearch …")
                store = stack.enter_context(Elasticsearch())
            _explain(cluster, store, console)
            return _wait(cluster, console)
    except KeyboardInterrupt:
        console.print("\nTaken down.")
        return 0
    except (BinaryError, ControlPlaneError, KubectlError, ElasticsearchError) as error:
        console.print(f"error: {error}", style="red", markup=False, highlight=False, soft_wrap=True)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m testbed.play", description="A Kubernetes control plane to play with.")
    parser.add_argument("--crds", type=Path, default=_CRDS, metavar="DIR", help="custom resource definitions to apply (default: crds/)")
    parser.add_argument("--nodes", type=int, default=2, metavar="N", help="how many nodes (default: 2)")
    parser.add_argument("--elasticsearch", action="store_true", help="an Elasticsearch of its own as well")
    return parser


def _apply_crds(cluster: ControlPlane, folder: Path, console: Console) -> None:
    if folder.is_dir() and any(folder.glob("*.yaml")):
        cluster.apply_crds(folder)
        console.print(f"Applied the custom resource definitions of {folder}", highlight=False, soft_wrap=True)
    elif folder != _CRDS:
        raise ControlPlaneError(f"{folder} has no custom resource definitions")


def _explain(cluster: ControlPlane, store: Elasticsearch | None, console: Console) -> None:
    def say(text: str = "") -> None:
        console.print(text, markup=False, highlight=False, soft_wrap=True)  # never wrapped: lines are there to be copied

    kubectl = shlex.quote(str(cluster.kubectl_path))
    say()
    say(f"API server  {cluster.url}")
    say(f"kubectl     {cluster.kubectl_path}")
    say()
    console.print("In another terminal, as the administrator:", style="bold")
    say(f"  export KUBECONFIG={shlex.quote(str(cluster.kubeconfig()))}")
    say(f"  export KUBECACHEDIR={shlex.quote(str(cluster.kubeconfig().parent / 'cache'))}")
    say(f"  alias kubectl={shlex.quote(kubectl)}")
    say("  kubectl get nodes")
    say()
    console.print("Or as somebody else:", style="bold")
    for person in identities.people():
        say(f"  {person.name:<6} {person.purpose:<29} kubectl --kubeconfig {shlex.quote(str(cluster.kubeconfig(person.name)))} ...")
    say()
    console.print("Or as the operator:", style="bold")
    say(f"  KUBECONFIG={shlex.quote(str(cluster.kubeconfig('operator')))} safety-governor operator")
    if store is not None:
        say()
        console.print("With everything in Elasticsearch, which lacks the analyzer for English here:", style="bold")
        say(f"  export GOVERNOR_ELASTICSEARCH__URL={store.url} GOVERNOR_ELASTICSEARCH__ANALYZER=standard")
    say()
    console.print("RBAC decides what they may do. Ctrl-C takes everything down.", style="dim")


def _wait(cluster: ControlPlane, console: Console) -> int:
    """Sleep until interrupted, or until a server dies."""
    everyone = cluster.pids
    nothing = threading.Event()
    while not nothing.wait(_CHECK_SECONDS):
        if lost := everyone.keys() - cluster.pids.keys():
            console.print(f"error: {', '.join(sorted(lost))} ended unexpectedly", style="red")
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
