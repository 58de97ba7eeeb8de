"""Guard-rails hold released actions back, say why and until when, and let them go on; all of it is known from the incidents alone."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from support.operator_process import OperatorProcess, StartOperator
from support.shop import Shop

SUMMARY = "The workers hang and the queue grows"
SHOWN = 40.0
"""Seconds until a change must be shown in the policy; it is looked at every 15."""


@pytest.fixture(scope="module")
def journal(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("guardrails") / "journal.jsonl"


@pytest.fixture(scope="module")
def operator(start_for_all: StartOperator, journal: Path) -> OperatorProcess:
    return start_for_all(journal=str(journal))


def report(shop: Shop, incident: str, *, name: str = "web", service: str = "restart") -> None:
    shop.report(incident, service=service, summary=SUMMARY, target={"kind": "Deployment", "name": name})


def restart(shop: Shop, incident: str, *, name: str = "web") -> datetime:
    """Have it restarted, and say when that was claimed."""
    report(shop, incident, name=name)
    status = shop.wait_for_end(incident)
    assert status["phase"] == "Resolved", status
    return datetime.fromisoformat(status["execution"]["actions"][0]["claimedAt"])


def wait_until_held(shop: Shop, incident: str) -> dict[str, Any]:
    """Its status.execution, which says why."""
    status = shop.wait_for(incident, lambda now: bool(now.get("execution", {}).get("heldBecause")), "to be held", timeout=60)
    assert status["phase"] == "Gated"
    execution: dict[str, Any] = status["execution"]
    return execution


def second(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


@dataclass(frozen=True, kw_only=True)
class Rail:
    """A limit that one action uses up."""

    rules: Mapping[str, Any]
    because: str
    lasts: timedelta
    after_its_end: bool = False
    """Whether it lasts from the end of the action, and not from its claim."""
    targets: tuple[str, str] = ("web", "web")
    looser: Mapping[str, Any] = field(default_factory=dict)


HOUR = timedelta(hours=1)
RAILS = {
    "actions on a target": Rail(
        rules={"actionsPerHour": {"target": 1}},
        because="1 of 1 actions on Deployment/web in the last hour; the next may run at ",
        lasts=HOUR,
        looser={"actionsPerHour": {"target": 2}},
    ),
    "actions in a namespace": Rail(
        rules={"actionsPerHour": {"namespace": 1}},
        because="1 of 1 actions in namespace {} in the last hour; the next may run at ",
        lasts=HOUR,
        targets=("web", "other"),
        looser={"actionsPerHour": {"namespace": 2}},
    ),
    "different targets": Rail(
        rules={"targetsPerHour": 1},
        because="1 of 1 different targets in namespace {} were acted on in the last hour, and Deployment/other would be one more",
        lasts=HOUR,
        targets=("web", "other"),
        looser={"targetsPerHour": 2},
    ),
    "cooldown": Rail(
        rules={"cooldown": {"afterSuccessSeconds": 900}},
        because="Deployment/web is left alone for 15 min after an action: the next may run at ",
        lasts=timedelta(minutes=15),
        after_its_end=True,
        looser={"cooldown": {"afterSuccessSeconds": 0}},
    ),
}


@pytest.mark.parametrize("rail", RAILS.values(), ids=RAILS.keys())
def test_limit_holds_the_next_action_until_a_time_or_until_it_is_raised(rail: Rail, shop: Shop, operator: OperatorProcess) -> None:
    for name in dict.fromkeys(rail.targets):
        shop.deploy(name)
    shop.allow("RolloutRestart", **rail.rules)
    mark = shop.cluster.audit_mark()
    begun = restart(shop, "first", name=rail.targets[0])
    if rail.after_its_end:
        begun = datetime.fromisoformat(shop.status("first")["execution"]["actions"][0]["doneAt"])
    report(shop, "second", name=rail.targets[1])
    held = wait_until_held(shop, "second")
    assert rail.because.format(shop.namespace) in held["heldBecause"]
    assert held["heldUntil"] == second(begun + rail.lasts)
    assert len(shop.acts(mark)) == 1

    shop.allow("RolloutRestart", **rail.looser)
    assert shop.wait_for_end("second")["phase"] == "Resolved"
    assert len(shop.acts(mark)) == 2


def test_open_freeze_window_holds_everything_until_it_is_over_or_taken_away(shop: Shop, operator: OperatorProcess) -> None:
    shop.deploy("web")
    opened = datetime.now(UTC).replace(second=0, microsecond=0)
    window = {"name": "moving-house", "schedule": f"{opened.minute} {opened.hour} * * *", "durationSeconds": 3600}
    shop.allow("RolloutRestart", freezeWindows=[window])
    mark = shop.cluster.audit_mark()
    report(shop, "hang")
    held = wait_until_held(shop, "hang")
    assert f"freeze window moving-house ({window['schedule']}, UTC) lasts until " in held["heldBecause"]
    assert held["heldUntil"] == second(opened + HOUR)
    assert shop.acts(mark) == []
    shop.allow("RolloutRestart", freezeWindows=None)
    assert shop.wait_for_end("hang")["phase"] == "Resolved"


def test_freeze_window_that_cannot_be_read_freezes_until_a_person_corrects_it(shop: Shop, operator: OperatorProcess) -> None:
    shop.deploy("web")
    window = {"name": "weekend", "schedule": "0 0 * * 6", "durationSeconds": 1, "timeZone": "Europe/Atlantis"}
    shop.allow("RolloutRestart", freezeWindows=[window])
    report(shop, "hang")
    held = wait_until_held(shop, "hang")
    assert "freeze window weekend freezes until a person corrects it: 'Europe/Atlantis' is no time zone" in held["heldBecause"]
    assert "heldUntil" not in held
    shop.allow("RolloutRestart", freezeWindows=[{**window, "schedule": "0 0 30 2 *", "timeZone": "UTC"}])
    shop.wait_for("hang", lambda now: "is no schedule" in now["execution"]["heldBecause"], "to be held for another reason")
    shop.allow("RolloutRestart", freezeWindows=None)
    assert shop.wait_for_end("hang")["phase"] == "Resolved"


def policy(shop: Shop, name: str = "default") -> dict[str, Any]:
    status: dict[str, Any] = shop.get("RemediationPolicy", name).get("status", {})
    return status


def condition(shop: Shop, kind: str, name: str = "default") -> dict[str, Any]:
    return next((one for one in policy(shop, name).get("conditions", []) if one["type"] == kind), {})


def columns(shop: Shop, name: str = "default") -> dict[str, str]:
    """What `kubectl get rp` shows, by column."""
    head, line = shop.kubectl("get", "rp", name).splitlines()
    starts = [head.index(title) for title in head.split()]
    ends = [*starts[1:], None]
    return {head[start:end].strip(): line[start:end].strip() for start, end in zip(starts, ends, strict=True)}


def test_two_actions_in_a_row_that_did_not_help_open_the_breaker_until_a_person_closes_it(shop: Shop, operator: OperatorProcess) -> None:
    for name in ("first", "second"):
        shop.deploy(name, behaviour="never-ready")
    shop.deploy("web")
    shop.allow("RolloutRestart", verification={"timeoutSeconds": 1}, actionsPerHour={"namespace": 9}, cooldown={"afterFailureSeconds": 0})
    for name in ("first", "second"):
        report(shop, name, name=name)
        assert shop.wait_for_end(name)["phase"] == "Indeterminate"
    mark = shop.cluster.audit_mark()
    report(shop, "third")
    held = wait_until_held(shop, "third")
    incidents = f"{shop.namespace}/first (Inconclusive) and {shop.namespace}/second (Inconclusive)"
    assert f"the last 2 actions in namespace {shop.namespace} did not help: {incidents}" in held["heldBecause"]
    assert "spec.breakerResetAt" in held["heldBecause"]
    assert "heldUntil" not in held

    shop.wait_until(lambda: policy(shop).get("breaker") == "Open", "the breaker to be shown", timeout=SHOWN)
    shown = columns(shop)
    assert (shown["BREAKER"], shown["BUDGET"], shown["FROZEN"]) == ("Open", "7 of 9 left this hour", "")
    assert (condition(shop, "BreakerOpen")["status"], condition(shop, "Active")["status"]) == ("True", "False")
    assert shop.acts(mark) == []

    shop.patch("RemediationPolicy", "default", {"spec": {"breakerResetAt": second(datetime.now(UTC))}})
    shop.allow("RolloutRestart", verification=None)
    assert shop.wait_for_end("third")["phase"] == "Resolved"


def test_what_did_not_help_lengthens_the_pause_before_the_next_try(shop: Shop, operator: OperatorProcess) -> None:
    shop.deploy("web", behaviour="never-ready")
    shop.allow("RolloutRestart", verification={"timeoutSeconds": 1}, cooldown={"afterFailureSeconds": 600})
    report(shop, "first")
    ended = datetime.fromisoformat(shop.wait_for_end("first")["execution"]["actions"][0]["doneAt"])
    report(shop, "second")
    held = wait_until_held(shop, "second")
    assert "Deployment/web is left alone for 10 min after an action: the last one did not help" in held["heldBecause"]
    assert held["heldUntil"] == second(ended + timedelta(minutes=10))


STRICT = """
apiVersion: safetygovernor.io/v1alpha1
kind: RemediationPolicy
metadata: {{name: {name}}}
spec: {spec}
"""


def test_of_several_policies_the_strictest_of_each_field_holds_and_each_says_so(shop: Shop, operator: OperatorProcess) -> None:
    shop.deploy("web")
    shop.allow("RolloutRestart", "Scale", actionsPerHour={"target": 5, "namespace": 7}, targetsPerHour=4)
    strict = {"allowedActions": ["RolloutRestart"], "actionsPerHour": {"target": 1}}
    shop.create(STRICT.format(name="strict", spec=json.dumps(strict)))
    mark = shop.cluster.audit_mark()
    report(shop, "scaled", service="scale")
    blocked = shop.wait_for_end("scaled")
    assert (blocked["phase"], blocked["gate"]["findings"][0]["message"]) == (
        "Blocked",
        "Scale is not among the allowed actions (RolloutRestart)",
    )
    begun = restart(shop, "first")
    report(shop, "second")
    held = wait_until_held(shop, "second")
    assert "1 of 1 actions on Deployment/web in the last hour" in held["heldBecause"]
    assert held["heldUntil"] == second(begun + HOUR)

    told = ("allowedActions from strict", "actionsPerHour.target from strict", "actionsPerHour.namespace from default")
    for name in ("default", "strict"):
        shop.wait_until(
            lambda name=name: all(one in condition(shop, "Strictest", name).get("message", "") for one in told),  # type: ignore[misc]
            f"{name} to say where its rules come from",
            timeout=SHOWN,
        )
        assert columns(shop, name)["BUDGET"] == "6 of 7 left this hour"
    assert len(shop.acts(mark)) == 1


@pytest.mark.thorough
def test_policy_shows_freezes_and_the_kill_switch_and_showing_wakes_nobody(shop: Shop, operator: OperatorProcess) -> None:
    shop.deploy("web")
    shop.deploy("other")
    shop.allow("RolloutRestart", actionsPerHour={"target": 1, "namespace": 9})
    restart(shop, "first")
    report(shop, "waiting")
    wait_until_held(shop, "waiting")
    mark = shop.cluster.audit_mark()
    restart(shop, "elsewhere", name="other")
    shop.wait_until(lambda: policy(shop).get("budget") == "7 of 9 left this hour", "the budget to be shown", timeout=SHOWN)
    # Whoever were woken by that would have looked by the time at which an incident that comes later is finished.
    report(shop, "probe", name="nowhere")
    shop.wait_for_phase("probe", "Blocked")
    assert "waiting" not in shop.touched_incidents(mark)
    written = [one for one in shop.cluster.audit_events(mark) if one.get("objectRef", {}).get("subresource") == "status"]
    places = [(one["objectRef"]["resource"], one["objectRef"].get("namespace")) for one in written]
    assert places.count(("remediationpolicies", shop.namespace)) <= 2

    opened = datetime.now(UTC).replace(second=0, microsecond=0)
    window = {"name": "moving-house", "schedule": f"{opened.minute} {opened.hour} * * *", "durationSeconds": 3600}
    shop.allow("RolloutRestart", freezeWindows=[window], suspend=True)
    shop.wait_until(lambda: condition(shop, "Suspended").get("status") == "True", "the kill switch to be shown", timeout=SHOWN)
    shown = columns(shop)
    assert (shown["SUSPENDED"], shown["FROZEN"], shown["BREAKER"]) == ("true", second(opened + HOUR), "Closed")
    assert condition(shop, "Frozen")["message"] == f"until {second(opened + HOUR)}"
    assert condition(shop, "Active")["status"] == "False"
    told = ("remediation is suspended in this namespace", "freeze window moving-house", "1 of 1 actions on Deployment/web")
    shop.wait_for("waiting", lambda now: all(one in now["execution"]["heldBecause"] for one in told), "to be held by all of them")
    assert "heldUntil" not in shop.status("waiting")["execution"], "only a person ends the suspension"


@pytest.mark.thorough
def test_limits_are_known_again_after_a_restart(shop: Shop, operator: OperatorProcess, journal: Path) -> None:
    shop.deploy("web")
    for name in ("other", "third"):
        shop.deploy(name, behaviour="never-ready")
    shop.allow("RolloutRestart", actionsPerHour={"target": 1}, cooldown={"afterFailureSeconds": 0})
    begun = restart(shop, "first")
    report(shop, "second")
    wait_until_held(shop, "second")

    # Without a journal: what it knows it knows from the incidents.
    operator.kill()
    journal.unlink()
    mark = shop.cluster.audit_mark()
    operator.start()
    report(shop, "third")
    assert wait_until_held(shop, "third")["heldUntil"] == second(begun + HOUR)
    assert shop.acts(mark) == []
    shop.allow("RolloutRestart", verification={"timeoutSeconds": 1})
    for name in ("other", "third"):
        report(shop, f"hang-{name}", name=name)
        assert shop.wait_for_end(f"hang-{name}")["phase"] == "Indeterminate"

    # Without one of the incidents: what that did is known from the journal.
    operator.kill()
    shop.kubectl("delete", "incident", "hang-other")
    operator.start()
    report(shop, "fourth")
    assert "the last 2 actions" in wait_until_held(shop, "fourth")["heldBecause"]


@pytest.mark.parametrize("again", ["first", "another"])
def test_deleting_an_incident_gives_nothing_back(again: str, shop: Shop, operator: OperatorProcess) -> None:
    shop.deploy("web")
    shop.allow("RolloutRestart", actionsPerHour={"target": 1})
    mark = shop.cluster.audit_mark()
    begun = restart(shop, "first")
    shop.kubectl("delete", "incident", "first")
    report(shop, again)
    assert wait_until_held(shop, again)["heldUntil"] == second(begun + HOUR)
    assert len(shop.acts(mark)) == 1


def test_deleting_an_incident_that_acts_does_not_lock_its_target_for_ever(shop: Shop, operator: OperatorProcess) -> None:
    shop.deploy("web")
    shop.allow("RolloutRestart", verification={"soakSeconds": 600}, cooldown={"afterFailureSeconds": 0})
    mark = shop.cluster.audit_mark()
    report(shop, "first")
    shop.wait_until(lambda: len(shop.acts(mark)) == 1, "the restart")
    report(shop, "second")
    assert "is acting on Deployment/web" in wait_until_held(shop, "second")["heldBecause"]
    shop.kubectl("delete", "incident", "first")
    shop.wait_until(lambda: len(shop.acts(mark)) == 2, "the second restart")
