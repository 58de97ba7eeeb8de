"""The demo as a newcomer runs it: its own process, nothing prepared but the compiled servers."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from demo.checks import Effect, Witness, of_incident
from demo.expected import EXPECTED, ROOT
from demo.incidents import Seen
from testbed import binaries

pytestmark = pytest.mark.timeout(300)

DEMO = [sys.executable, "-u", "-m", "demo"]


@pytest.fixture(scope="module", autouse=True)
def servers() -> None:
    if absent := binaries.missing():
        pytest.fail(f"not compiled yet: {', '.join(absent)}; run `python -m testbed.binaries` first", pytrace=False)


@pytest.fixture
def environment(tmp_path: Path) -> Mapping[str, str]:
    """The user's, with a cluster and settings of the user's own that must be left alone."""
    elsewhere = tmp_path / "somebody-elses-cluster.yaml"
    elsewhere.write_text("this is not a kubeconfig", encoding="utf-8")
    (tmp_path / "temporary").mkdir()
    ours = {"PYTHONPATH": str(ROOT / "tests"), "TMPDIR": str(tmp_path / "temporary")}
    return os.environ | ours | {"KUBECONFIG": str(elsewhere), "GOVERNOR_STORE": "/nonexistent", "GOVERNOR_NONSENSE": "1"}


def test_everything_happens_as_it_must(environment: Mapping[str, str]) -> None:
    done = subprocess.run(
        DEMO, env=environment, cwd="/", stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=240, check=False
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr
    said = done.stdout
    for one in EXPECTED:
        assert f"$ kubectl apply -f {one.manifest}   (as alice)" in said
        assert re.search(rf"^✓  {one.name} ", said, re.MULTILINE), one.name
    assert "alice may not approve or reject incident shop/contradicted: that takes the verb approve" in said
    assert "APPROVE by bob refused: APPROVE does not release this verdict; it takes FORCE_OVERRIDE" in said
    assert '"decision":"FORCE_OVERRIDE"' in said
    assert "ContradictionsReached  measured 2, allowed < 2" in said
    assert "Without the gate: 10 changes" in said
    gated = "With the gate:    5 changes, one for each incident that was released and 1 that took one back"
    assert gated in said
    assert "freeze window closing-of-the-books" in said
    assert "1 of 1 actions on Deployment/search-api in the last hour; the next may run at" in said
    assert "step-1-undo undo of step-1: RolloutUndo Deployment/cart  Verified" in said
    assert "Everything happened as it must" in said
    assert not any(Path(environment["TMPDIR"]).iterdir()), "nothing is left behind"


@pytest.mark.thorough
@pytest.mark.parametrize("polite", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_demo_takes_everything_down(environment: Mapping[str, str], polite: signal.Signals) -> None:
    with subprocess.Popen(
        DEMO, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as demo:
        assert demo.stdout is not None
        seen = [next(line for line in demo.stdout if "is ready; its log" in line)]
        demo.send_signal(polite)
        seen += demo.stdout
        assert demo.wait(60) == 130, "".join(seen)
    operator = re.search(r"process (\d+) is ready", seen[0])
    assert operator is not None
    assert not Path("/proc", operator[1]).exists()
    assert not any(Path(environment["TMPDIR"]).iterdir()), "nothing is left behind"


class TestTheDemosOwnJudgement:
    """A demo that cannot fail shows nothing."""

    override = next(one for one in EXPECTED if one.name == "inc-9999")

    def seen(self, **changes: object) -> Seen:
        gate = {"decision": "block_and_escalate", "requiredApproval": "FORCE_OVERRIDE", "reason": "PolicyForbidsAction,SeverityCritical"}
        approval = {"decision": "FORCE_OVERRIDE", "approver": "carol", "refusals": [{"decision": "APPROVE", "approver": "bob"}]}
        status = {"phase": "Resolved", "gate": gate, "approval": approval, "verification": {"outcome": "Verified"}}
        return Seen({}, status | changes)

    def witness(self, *, restarts: int = 1, at: str = "2026-01-01T10:00:02.000000Z") -> Witness:
        effect = Effect(namespace="shop", target="payments", incident="shop/inc-9999", by="operator", impersonating="executor", at=at)
        return Witness((effect,) * restarts, {"shop/inc-9999": "2026-01-01T10:00:01.000000Z"})

    def test_nothing_to_say_when_all_is_well(self) -> None:
        assert of_incident(self.override, self.seen(), self.witness()) == []

    def test_a_second_restart_is_noticed(self) -> None:
        wrong = of_incident(self.override, self.seen(), self.witness(restarts=2))
        assert wrong == ["touched is shop/payments ×2, must be shop/payments ×1"]

    def test_a_missing_restart_is_noticed(self) -> None:
        assert of_incident(self.override, self.seen(), self.witness(restarts=0)) == ["touched is nothing, must be shop/payments ×1"]

    def test_a_restart_before_the_word_that_releases_it_is_noticed(self) -> None:
        wrong = of_incident(self.override, self.seen(), self.witness(at="2026-01-01T10:00:00.900000Z"))
        assert wrong == ["was begun before “FORCE_OVERRIDE by carol” was said"]

    def test_a_forgotten_refusal_is_noticed(self) -> None:
        approval = {"decision": "FORCE_OVERRIDE", "approver": "carol"}
        assert of_incident(self.override, self.seen(approval=approval), self.witness()) == ["refused is nothing, must be APPROVE by bob"]

    def test_another_phase_is_noticed(self) -> None:
        assert of_incident(self.override, self.seen(phase="Failed"), self.witness()) == ["phase is Failed, must be Resolved"]
