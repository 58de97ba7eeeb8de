"""Runs the demo from build to curtain. Exit code 0 means that everything happened as it must."""

import argparse
import contextlib
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from rich.text import Text

from demo import acts, checks, finale, naive
from demo.expected import ROOT
from demo.governor import Governor
from demo.incidents import Watch
from demo.stage import Stage, UnexpectedError
from testbed import ControlPlane, ControlPlaneError, KubectlError
from testbed.binaries import BinaryError

EXIT_DIFFERS = 1
EXIT_INTERRUPTED = 130


def main(argv: list[str] | None = None) -> int:
    """Run it; the exit code."""
    options = _parser().parse_args(argv)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a polite kill also takes everything down
    os.chdir(ROOT)  # so that paths in the commands are as short as a reader would type them
    stage = Stage(slow=options.slow)
    folder = Path(tempfile.mkdtemp(prefix="safety-governor-demo-"))
    code = EXIT_DIFFERS
    try:
        with contextlib.ExitStack() as stack:  # whatever happens: first the operator ends, then the control plane
            code = _play(stage, folder, stack)
    except KeyboardInterrupt:
        stage.console.print("\nInterrupted; everything is taken down.")
        code = EXIT_INTERRUPTED
    except (BinaryError, ControlPlaneError, KubectlError, UnexpectedError, OSError, TimeoutError) as error:
        stage.console.print(Text(f"\n✗ {error}", style="red"), soft_wrap=True)
    finally:
        _clean_up(stage, folder, keep=options.keep or code == EXIT_DIFFERS)
    return code


def _play(stage: Stage, folder: Path, stack: contextlib.ExitStack) -> int:
    started = time.monotonic()
    store, log = folder / "knowledge.db", folder / "operator.log"
    acts.build(stage)
    stage.act("A cluster", "A real control plane on this machine; its nodes and pods are played by kwok.")
    cluster = stack.enter_context(_torn_down(ControlPlane()))
    acts.set_up_cluster(stage, cluster)
    stage.act("What is known", "Runbooks, evidence, policies and logs. An agent may propose from them; the gate holds it against them.")
    acts.load_knowledge(stage, store)
    stage.act("The operator", "Its own process, its own identity. It may not change a workload; it may impersonate the executor of shop.")
    mark = cluster.audit_mark()
    governor = Governor(acts.PROGRAM, kubeconfig=cluster.kubeconfig("operator"), store=store, log=log)
    stack.callback(governor.stop)
    acts.start_operator(stage, governor)
    cast = acts.Cast(stage=stage, cluster=cluster, governor=governor, watch=Watch(cluster, governor, stage))
    stage.act("Twelve incidents", "Alice is on call and reports what she sees.")
    acts.report_incidents(cast)
    stage.act("Held, and taken back", "What the gate lets go still keeps to the guard-rails of its namespace, and has to prove itself.")
    acts.tell_held(cast)
    stage.act("Why?", "Every decision is told from the resource: which checks fired with which numbers, which documents speak against it.")
    acts.tell_why(cast)
    stage.act("People", "What the gate holds back, only people release, and each only what their word is good for.")
    acts.people_decide(cast)
    stage.act("The record", "Everything that was decided and done is written down before it is shown, in a trail that proves itself.")
    acts.prove_the_record(cast)
    return _curtain(cast, store, mark, started)


def _curtain(cast: acts.Cast, store: Path, mark: int, started: float) -> int:
    stage, cluster = cast.stage, cast.cluster
    stage.act("What was touched", "Counted in the API server's audit log, which the operator cannot write.")
    code = cast.governor.stop()
    seen = cast.watch.all()
    witness = checks.hear_witness(cluster, mark)
    wrong = checks.differences(cluster, seen, witness)
    if code != 0:
        wrong.setdefault("", []).append(f"the operator ended with exit code {code} when told to stop, must be 0")
    stage.console.print()
    finale.show(stage, seen, naive.actions(store, seen), witness.effects, wrong)
    if wrong:
        finale.complain(stage, wrong)
        return EXIT_DIFFERS
    stage.console.print()
    stage.done(f"Everything happened as it must, in {time.monotonic() - started:.0f} s.")
    return 0


@contextlib.contextmanager
def _torn_down(cluster: ControlPlane) -> Iterator[ControlPlane]:
    try:
        yield cluster
    finally:
        cluster.stop()


def _clean_up(stage: Stage, folder: Path, *, keep: bool) -> None:
    log = folder / "operator.log"
    if keep and log.exists():
        stage.console.print(Text(f"The operator's log is kept: {log}", style="dim"), soft_wrap=True)
        return
    shutil.rmtree(folder, ignore_errors=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m demo", description="The whole path of an incident on a real API server.")
    parser.add_argument("--slow", action="store_true", help="pause between the commands, to read along")
    parser.add_argument("--keep", action="store_true", help="keep the operator's log although all went well")
    return parser


if __name__ == "__main__":
    sys.exit(main())
