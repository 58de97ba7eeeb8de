"""What made things worse is undone from the recorded state, at once, as an action of its own; what cannot be told or undone is for a person."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pytest
import yaml

from safety_governor.domain import digests
from support.operator_process import OperatorProcess, StartOperator
from support.shop import Shop
from support.variants import mostly_thorough
from testbed import BEHAVIOUR_ANNOTATION, WorkloadKind, cron_job_yaml, workload_yaml

SUMMARY = "The workers hang and the queue grows"
BREAKING = f"spec.template.metadata.annotations[{BEHAVIOUR_ANNOTATION}]"
A_MINUTE = {"soakSeconds": 60}
AT_ONCE = 10.0
"""Seconds from the verdict to the request that undoes it."""


@pytest.fixture(scope="module")
def operator(start_for_all: StartOperator) -> OperatorProcess:
    return start_for_all()


def report(shop: Shop, service: str, *, kind: str = "Deployment") -> None:
    shop.report("hang", service=service, summary=SUMMARY, target={"kind": kind, "name": "web"})


def template(shop: Shop, kind: str = "Deployment") -> Any:
    return shop.get(kind, "web")["spec"]["template"]


def wait_until_new(shop: Shop, there: set[str], count: int) -> list[str]:
    """The names of so many pods, all ready, that were not there before."""

    def new() -> list[str]:
        pods = [one for one in shop.pods("web") if one["metadata"]["uid"] not in there]
        return [one["metadata"]["name"] for one in pods if is_ready(one)]

    shop.wait_until(lambda: len(new()) == count, f"{count} new pods to be ready")
    return new()


def watch_no_longer(shop: Shop) -> None:
    """What was claimed is watched as long as was settled then; what follows is watched until it is there, to spare time."""
    shop.patch("RemediationPolicy", "default", {"spec": {"verification": None}})


def break_one_of(shop: Shop, pods: list[str]) -> None:
    watch_no_longer(shop)
    shop.misbehave(pods[0], "crash-loop")


def is_ready(pod: dict[str, Any]) -> bool:
    return any((one["type"], one["status"]) == ("Ready", "True") for one in pod.get("status", {}).get("conditions", []))


def uids(shop: Shop) -> set[str]:
    return {pod["metadata"]["uid"] for pod in shop.pods("web")}


def assert_undone_at_once(shop: Shop, mark: int, status: dict[str, Any]) -> None:
    """Two actions, one effect each, both as the executor; the second was asked for as soon as the first was judged."""
    done, undo = status["execution"]["actions"]
    assert (done["outcome"], undo["outcome"], undo["undoes"]) == ("Regressed", "Verified", done["id"])
    first, second = shop.acts(mark)
    assert [first.key, second.key] == [done["key"], undo["key"]]
    assert {first.by, second.by} == {(shop.cluster.username("operator"), shop.executor)}
    assert (second.at - datetime.fromisoformat(done["doneAt"])).total_seconds() < AT_ONCE
    assert status["verification"]["outcome"] == "Regressed"


@dataclass(frozen=True, kw_only=True)
class Mistake:
    """A remedy that makes things worse."""

    service: str
    kind: WorkloadKind
    before: Callable[[Shop], None]
    seen: str
    """What the verdict says."""
    rules: dict[str, Any]


def worse_before(kind: WorkloadKind, behaviour: str, **spec: Any) -> Callable[[Shop], None]:
    """The earlier revision is the bad one."""

    def deploy(shop: Shop) -> None:
        shop.deploy("web", kind=kind, behaviour=behaviour, **spec)
        shop.deploy("web", kind=kind, **spec)

    return deploy


MISTAKES = {
    "Deployment rolled back to a crash loop": Mistake(
        service="undo", kind="Deployment", before=worse_before("Deployment", "crash-loop"), seen="is crash-looping after", rules={}
    ),
    "DaemonSet rolled back to a crash loop": Mistake(
        service="undo", kind="DaemonSet", before=worse_before("DaemonSet", "crash-loop"), seen="is crash-looping after", rules={}
    ),
    "Deployment rolled back to pods that never start": Mistake(
        service="undo",
        kind="Deployment",
        before=worse_before("Deployment", "never-ready", progressDeadlineSeconds=2),
        seen="the rollout exceeded its progress deadline",
        rules={},
    ),
    "Deployment rolled back to a leak": Mistake(
        service="undo",
        kind="Deployment",
        before=worse_before("Deployment", "oom-killed"),
        seen="was restarted (OOMKilled)",
        rules={"verification": A_MINUTE},
    ),
    "StatefulSet rolled back to a leak": Mistake(
        service="undo",
        kind="StatefulSet",
        before=worse_before("StatefulSet", "oom-killed"),
        seen="was restarted (OOMKilled)",
        rules={"verification": A_MINUTE},
    ),
    "field that breaks new pods": Mistake(
        service="break-pods",
        kind="Deployment",
        before=lambda shop: shop.deploy("web"),
        seen="is crash-looping after",
        rules={"patchable": [{"path": BREAKING}]},
    ),
}


@pytest.mark.parametrize(
    "mistake", mostly_thorough(MISTAKES, "Deployment rolled back to a crash loop", "StatefulSet rolled back to a leak")
)
def test_what_made_things_worse_is_undone_within_seconds(mistake: Mistake, shop: Shop, operator: OperatorProcess) -> None:
    mistake.before(shop)
    good = template(shop, mistake.kind)
    shop.allow("RolloutUndo", "PatchFields", **mistake.rules)
    mark = shop.cluster.audit_mark()
    report(shop, mistake.service, kind=mistake.kind)
    shop.wait_for("hang", lambda now: "execution" in now, "to be claimed")
    watch_no_longer(shop)
    status = shop.wait_for_end("hang")
    assert status["phase"] == "RolledBack", status
    assert_undone_at_once(shop, mark, status)
    done, undo = status["execution"]["actions"]
    assert mistake.seen in done["message"]

    assert template(shop, mistake.kind) == good
    assert done["before"]["templateHash"] == undo["after"]["templateHash"] == digests.digest(good)
    shop.wait_until_rolled_out("web", mistake.kind)
    shop.wait_until(lambda: all(is_ready(one) for one in shop.pods("web")), "all pods to be healthy again")


@pytest.mark.parametrize(("service", "new"), [("restart", 2), ("scale", 1)])
def test_pods_that_break_while_they_are_watched_are_taken_back(service: str, new: int, shop: Shop, operator: OperatorProcess) -> None:
    shop.deploy("web")
    good, there = template(shop), uids(shop)
    shop.allow("RolloutRestart", "Scale", verification=A_MINUTE)
    mark = shop.cluster.audit_mark()
    report(shop, service)
    break_one_of(shop, wait_until_new(shop, there, new))
    status = shop.wait_for_end("hang")
    assert status["phase"] == "RolledBack", status
    assert_undone_at_once(shop, mark, status)
    assert (template(shop), shop.get("Deployment", "web")["spec"]["replicas"]) == (good, 2)
    shop.wait_until_rolled_out("web")


def test_everything_that_was_done_is_undone_the_last_first(shop: Shop, operator: OperatorProcess) -> None:
    shop.deploy("web")
    good = template(shop)
    shop.allow("Scale", "PatchFields", patchable=[{"path": BREAKING}])
    mark = shop.cluster.audit_mark()
    report(shop, "scale-and-break")
    status = shop.wait_for_end("hang")
    assert status["phase"] == "RolledBack", status
    scaled, broke, mended, unscaled = status["execution"]["actions"]
    assert [one["outcome"] for one in (scaled, broke, mended, unscaled)] == ["Verified", "Regressed", "Verified", "Verified"]
    assert (mended["undoes"], unscaled["undoes"]) == (broke["id"], scaled["id"])
    assert [one.key for one in shop.acts(mark)] == [one["key"] for one in (scaled, broke, mended, unscaled)]
    assert (template(shop), shop.get("Deployment", "web")["spec"]["replicas"]) == (good, 2)


def test_pods_that_broke_before_are_not_held_against_the_action_and_do_not_prove_it(shop: Shop, operator: OperatorProcess) -> None:
    shop.deploy("web")
    broken = shop.pods("web")[0]["metadata"]["name"]
    shop.misbehave(broken, "crash-loop")
    shop.wait_until(lambda: any("waiting" in one["state"] for one in status_of(shop, broken)), "the pod to crash")
    shop.allow("Scale", verification={"timeoutSeconds": 4})
    mark = shop.cluster.audit_mark()
    report(shop, "scale")
    status = shop.wait_for_end("hang")
    assert status["phase"] == "Indeterminate", status
    (action,) = status["execution"]["actions"]
    assert action["outcome"] == "Inconclusive"
    assert len(shop.acts(mark)) == 1


def test_pod_that_was_killed_before_and_is_killed_again_proves_nothing(shop: Shop, operator: OperatorProcess) -> None:
    shop.deploy("web")
    leaking = shop.pods("web")[0]["metadata"]["name"]
    shop.misbehave(leaking, "oom-killed")
    shop.wait_until(lambda: any(one["restartCount"] for one in status_of(shop, leaking)), "the pod to be killed")
    shop.allow("Scale", verification={"soakSeconds": 2, "timeoutSeconds": 3})
    mark = shop.cluster.audit_mark()
    report(shop, "scale")
    status = shop.wait_for_end("hang")
    assert status["phase"] == "Indeterminate", status
    assert status["verification"]["outcome"] == "Inconclusive"
    assert len(shop.acts(mark)) == 1


def status_of(shop: Shop, pod: str) -> Any:
    return shop.get("Pod", pod)["status"]["containerStatuses"]


def test_rollback_that_does_not_help_either_stops_for_a_person_who_sees_all_four_states(shop: Shop, operator: OperatorProcess) -> None:
    shop.deploy("web", behaviour="crash-loop")
    good = digests.digest(template(shop))
    shop.allow("RolloutRestart", verification={"timeoutSeconds": 6})
    mark = shop.cluster.audit_mark()
    report(shop, "restart")
    status = shop.wait_for_end("hang")
    assert status["phase"] == "Indeterminate", status
    restart, undo = status["execution"]["actions"]
    assert (restart["outcome"], undo["outcome"]) == ("Regressed", "Inconclusive")
    assert restart["before"]["templateHash"] == undo["after"]["templateHash"] == good
    assert restart["after"]["templateHash"] == undo["before"]["templateHash"] != good
    assert f"undoing {restart['id']} did not come to a good end" in status["execution"]["heldBecause"]
    assert [one.key for one in shop.acts(mark)] == [restart["key"], undo["key"]]


def test_stateful_set_that_waits_for_its_broken_pod_is_left_to_a_person_who_deletes_it(shop: Shop, operator: OperatorProcess) -> None:
    shop.deploy("web", kind="StatefulSet", behaviour="crash-loop")
    shop.create(workload_yaml("StatefulSet", "web", namespace=shop.namespace))
    # Kubernetes itself replaces no pod of a StatefulSet while one is not ready, not even by one from a better template.
    shop.kubectl("delete", "pods", "-l", "app=web", "--wait=false")
    shop.wait_until_rolled_out("web", "StatefulSet")
    shop.allow("RolloutUndo", verification={"timeoutSeconds": 5})
    report(shop, "undo", kind="StatefulSet")
    status = shop.wait_for_end("hang")
    assert status["phase"] == "Indeterminate", status
    done, undo = status["execution"]["actions"]
    assert (done["outcome"], undo["outcome"]) == ("Regressed", "Inconclusive")
    assert done["before"]["templateHash"] == undo["after"]["templateHash"]
    broken = next(pod["metadata"]["name"] for pod in shop.pods("web") if not is_ready(pod))
    shop.kubectl("delete", "pod", broken, "--wait=false")
    shop.wait_until_rolled_out("web", "StatefulSet")


@pytest.mark.parametrize("given_back", mostly_thorough({"and-allowed-again": True, "and-stays-forbidden": False}, "and-allowed-again"))
def test_rollback_that_is_forbidden_by_then_waits_a_while_and_then_stops_for_a_person(
    given_back: bool, shop: Shop, operator: OperatorProcess
) -> None:
    shop.deploy("web")
    there = uids(shop)
    shop.allow("RolloutRestart", verification=A_MINUTE)
    mark = shop.cluster.audit_mark()
    report(shop, "restart")
    new = wait_until_new(shop, there, 2)
    binding = shop.get("RoleBinding", "governor-executor")
    status, answer = shop.cluster.request("DELETE", f"{shop.path('RoleBinding')}/governor-executor")
    assert status == 200, answer
    break_one_of(shop, new)
    if not given_back:
        shop.patch("RemediationPolicy", "default", {"spec": {"verification": {"timeoutSeconds": 4}}})
    waiting = shop.wait_for("hang", lambda now: "waits for the right to do it" in stalled(now), "to wait for the right")
    assert "cannot patch resource" in stalled(waiting)
    if given_back:
        del binding["metadata"]["resourceVersion"], binding["metadata"]["uid"]
        shop.create(yaml.safe_dump(binding))
        assert shop.wait_for_end("hang")["phase"] == "RolledBack"
        assert len(shop.acts(mark)) == 2
        return
    ended = shop.wait_for_end("hang")
    assert ended["phase"] == "Indeterminate", ended
    restart, undo = ended["execution"]["actions"]
    assert (restart["outcome"], restart["after"]["templateHash"]) == ("Regressed", undo["before"]["templateHash"])
    assert undo["state"] == "Failed"
    assert "forbidden" in undo["message"]
    assert restart["before"]["templateHash"] != undo["before"]["templateHash"]
    assert len(shop.acts(mark)) == 1


def stalled(status: dict[str, Any]) -> str:
    """What the incident says that it waits for."""
    return next((str(one.get("message", "")) for one in status["conditions"] if (one["type"], one["status"]) == ("Stalled", "True")), "")


def test_what_a_person_has_changed_since_is_not_undone(shop: Shop, operator: OperatorProcess) -> None:
    shop.deploy("web")
    there = uids(shop)
    shop.allow("RolloutRestart", verification=A_MINUTE)
    mark = shop.cluster.audit_mark()
    report(shop, "restart")
    wait_until_new(shop, there, 2)
    theirs = {"annotations": {BEHAVIOUR_ANNOTATION: "crash-loop"}}
    shop.patch("Deployment", "web", {"spec": {"template": {"metadata": theirs}}})
    status = shop.wait_for_end("hang")
    assert status["phase"] == "Indeterminate", status
    assert "somebody else has changed the target since, so it is not undone" in status["verification"]["message"]
    assert len(shop.acts(mark)) == 1
    assert template(shop)["metadata"]["annotations"][BEHAVIOUR_ANNOTATION] == "crash-loop"


def test_kill_switch_holds_an_undo_until_it_is_taken_back(shop: Shop, operator: OperatorProcess) -> None:
    shop.deploy("web")
    there = uids(shop)
    shop.allow("RolloutRestart", verification=A_MINUTE)
    mark = shop.cluster.audit_mark()
    report(shop, "restart")
    new = wait_until_new(shop, there, 2)
    shop.patch("RemediationPolicy", "default", {"spec": {"suspend": True}})
    break_one_of(shop, new)
    held = shop.wait_for("hang", lambda now: bool(now["execution"].get("heldBecause")), "to be held")
    assert "remediation is suspended in this namespace" in held["execution"]["heldBecause"]
    assert len(shop.acts(mark)) == 1
    shop.patch("RemediationPolicy", "default", {"spec": {"suspend": False}})
    status = shop.wait_for_phase("hang", "RolledBack")
    assert len(shop.acts(mark)) == 2
    assert "heldBecause" not in status["execution"]


def test_job_is_not_undone_and_what_came_after_it_is(shop: Shop, operator: OperatorProcess) -> None:
    shop.deploy("web")
    good = template(shop)
    shop.create(cron_job_yaml("tidy", namespace=shop.namespace))
    shop.allow("RunJob", "PatchFields", jobTemplates=["tidy"], patchable=[{"path": BREAKING}])
    mark = shop.cluster.audit_mark()
    report(shop, "job-and-break")
    status = shop.wait_for_end("hang")
    assert status["phase"] == "Indeterminate", status
    assert [one["outcome"] for one in status["execution"]["actions"]] == ["Verified", "Regressed", "Verified"]
    assert "RunJob cannot be undone" in status["execution"]["heldBecause"]
    assert [one.what for one in shop.acts(mark)] == ["create jobs", "patch deployments", "patch deployments"]
    assert template(shop) == good
