"""The audit trail of a real operator on a real API server: written, proved against the incidents, tampered with, replayed."""

import json
from pathlib import Path

from click.testing import CliRunner

from safety_governor.cli import main
from safety_governor.domain.audit import chain
from support.operator_process import StartOperator
from support.shop import Shop

LEDGER = {"service": "ledger", "summary": "The ledger queue does not drain, the consumer hangs"}


def run(*arguments: str, **environment: str) -> tuple[int, str]:
    done = CliRunner(env={"NO_COLOR": "1", "COLUMNS": "200", **environment}).invoke(
        main.group, list(arguments), prog_name="safety-governor"
    )
    return done.exit_code, done.output


def test_trail_is_proved_by_what_the_incidents_note_and_tampering_is_found(
    shop: Shop, start_operator: StartOperator, tmp_path: Path
) -> None:
    folder, journal = tmp_path / "audit", tmp_path / "journal.jsonl"
    kubeconfig = str(shop.cluster.kubeconfig("admin"))
    settings = {"audit": str(folder), "journal": str(journal)}
    shop.deploy("payments")
    shop.deploy("ledger")
    operator = start_operator(**settings)
    shop.report("slow")
    shop.wait_for_phase("slow", "Resolved")
    shop.report("stuck", **LEDGER)
    shop.wait_for_phase("stuck", "AwaitingApproval")
    operator.kill()
    start_operator(**settings)
    shop.decide("stuck", "APPROVE", user="bob")
    status = shop.wait_for_phase("stuck", "Resolved")

    environment = {"GOVERNOR_AUDIT": str(folder), "GOVERNOR_JOURNAL": str(journal)}
    noted = chain.read((folder / "workflow_events.jsonl").read_bytes().splitlines()[status["audit"]["seq"] - 1])
    assert status["audit"] == {"seq": noted.seq, "hash": noted.hash}
    incidents = tmp_path / "incidents.yaml"
    incidents.write_text(shop.kubectl("get", "incidents", "-o", "yaml"))
    code, said = run("audit", "verify", "--incidents", str(incidents), **environment)
    assert (code, "2 noted elsewhere agree" in said) == (0, True), said
    code, said = run("audit", "verify", "--cluster", "--namespace", shop.namespace, "--kubeconfig", kubeconfig, **environment)
    assert code == 0, said

    code, said = run("audit", "show", f"{shop.namespace}/stuck", "--json", **environment)
    told = [one["kind"] for one in json.loads(said) if one["stream"] == "workflow_events"]
    assert told == [
        *("Reported", "Planned", "Stressed", "Gated", "ApprovalAsked"),
        *("ApprovalHonoured", "Claimed", "ActionEnded", "Ended"),
    ]
    assert [one["kind"] for one in json.loads(said) if one["stream"] == "journal"] == ["ActionIntended"]
    assert {"AgentAsked", "ToolCalled"} <= {one["kind"] for one in json.loads(said)}
    code, said = run("gate", "replay", "--json", str(folder), **environment)
    assert code == 0, said
    assert [(one["direction"], one["exact"], one["reproduced"]) for one in json.loads(said)["replayed"]] == [("Same", True, True)] * 2
    code, said = run("gate", "replay", str(incidents), **environment)
    assert code == 0, said
    code, said = run("metrics", "summary", "--json", **environment)
    assert json.loads(said)["naive"] == {"executed": 2, "executedWithTheGate": 2, "notExecuted": {}, "executedAfterPeople": 1}

    trail = folder / "workflow_events.jsonl"
    trail.write_bytes(trail.read_bytes().replace(b'"approver":"bob"', b'"approver":"eve"'))
    code, said = run("audit", "verify", **environment)
    assert (code, "Changed workflow_events.jsonl:" in said) == (1, True), said
    last = None
    written = []
    for line in trail.read_bytes().splitlines():
        fields = {name: value for name, value in json.loads(line).items() if name not in ("seq", "prev", "hash")}
        new, last = chain.linked(fields, after=last)
        written.append(new)
    trail.write_bytes(b"".join(written))
    assert run("audit", "verify", **environment)[0] == 0, "by itself the chain cannot tell"
    code, said = run("audit", "verify", "--incidents", str(incidents), **environment)
    assert (code, "Rewritten workflow_events.jsonl:" in said) == (1, True), said


def test_deletion_of_an_incident_is_its_end_in_the_trail(shop: Shop, start_operator: StartOperator, tmp_path: Path) -> None:
    folder = tmp_path / "audit"
    shop.deploy("ledger")
    start_operator(audit=str(folder), journal=str(tmp_path / "journal.jsonl"))
    shop.report("stuck", **LEDGER)
    shop.wait_for_phase("stuck", "AwaitingApproval")
    shop.kubectl("delete", "incident", "stuck")
    environment = {"GOVERNOR_AUDIT": str(folder), "GOVERNOR_JOURNAL": str(tmp_path / "journal.jsonl")}

    def told() -> str:
        return run("audit", "show", f"{shop.namespace}/stuck", **environment)[1]

    shop.wait_until(lambda: "Deleted: somebody deleted the incident, which was AwaitingApproval" in told(), "the trail tells of the end")
    assert json.loads(run("metrics", "summary", "--json", **environment)[1])["outcomes"] == {"Deleted": 1}
    where = ("--namespace", shop.namespace, "--kubeconfig", str(shop.cluster.kubeconfig("admin")))
    code, said = run("audit", "verify", "--cluster", *where, **environment)
    assert (code, "no incident notes a place" in said) == (0, True), said
