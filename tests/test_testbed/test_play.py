"""The control plane to play with, as a person would start and end it."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.thorough
@pytest.mark.timeout(60)
def test_play_says_how_to_be_everybody_and_ends_at_ctrl_c(servers: None) -> None:
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).resolve().parents[1])}
    argv = [sys.executable, "-W", "error", "-m", "testbed.play", "--nodes", "1"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment) as play:
        assert play.stdout is not None
        said = ""
        while "Ctrl-C" not in said:
            line = play.stdout.readline()
            assert line, said
            said += line
        kubeconfig = Path(said.partition("export KUBECONFIG=")[2].splitlines()[0])
        assert kubeconfig.is_file()
        play.send_signal(signal.SIGINT)
        assert play.wait(10) == 0
    assert not kubeconfig.exists()
    for person in ("alice", "bob", "carol", "dave", "eve"):
        assert f"kubectl --kubeconfig {kubeconfig.with_name(person)}.yaml" in said
    assert f"KUBECONFIG={kubeconfig.with_name('operator')}.yaml safety-governor operator" in said
