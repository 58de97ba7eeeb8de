"""Every kind of action on the real API server: it takes effect once, in the executor's name, and is proved; the rest is refused in words."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import pytest
import yaml

from support.hook_receiver import HookReceiver
from support.operator_process import OperatorProcess, StartOperator
from support.shop import Shop
from support.variants import mostly_thorough
from testbed import BEHAVIOUR_ANNOTATION, ControlPlane, WorkloadKind, cron_job_yaml, workload_yaml

SECRET = "0123456789abcdef0123456789abcdef"
SUMMARY = "The workers hang and the queue grows"
BREAKING = f"spec.template.metadata.annotations[{BEHAVIOUR_ANNOTATION}]"
EVERYTHING = ("RolloutRestart", "Scale", "RolloutUndo", "EvictPods", "Cordon", "RunJob", "PatchFields", "Webhook")


@pytest.fixture(scope="module")
def receiver() -> Iterator[HookReceiver]:
    with HookReceiver(SECRET) as automation:
        yield automation


@pytest.fixture(scope="module")
def operator(start_for_all: StartOperator, receiver: HookReceiver) -> OperatorProcess:
    return start_for_all(webhooks=f'{{"drain": {{"url": "{receiver.url}", "secret": "{SECRET}"}}}}')


def report(shop: Shop, service: str, *, kind: str = "Deployment", name: str = "web", incident: str = "hang") -> None:
    shop.report(incident, service=service, summary=SUMMARY, target={"kind": kind, "name": name})


def image(shop: Shop, kind: str) -> str:
    template = shop.get(kind, "web")["spec"]["template"]
    return str(template["spec"]["containers"][0]["image"])


def uids(shop: Shop) -> set[str]:
    return {pod["metadata"]["uid"] for pod in shop.pods("web")}


# What is done


@dataclass(frozen=True, kw_only=True)
class Deed:
    """A remedy for a workload called web, or for the node of the shop."""

    service: str
    action: str
    kind: str
    acts: tuple[str, ...]
    """What the API server is asked to do, in order."""
    before: Callable[[Shop], object]
    after: Callable[[Shop], bool]
    """Whether the cluster shows the effect."""
    rules: Mapping[str, Any] = field(default_factory=dict)
    undo: str = ""
    """How the preview says that it would be taken back."""


def deployed(kind: WorkloadKind, *images: int) -> Callable[[Shop], object]:
    """With a revision for each of the images."""

    def deploy(shop: Shop) -> None:
        for number in images or (1,):
            shop.deploy("web", kind=kind, image=f"registry.example/app:{number}")

    return deploy


def half_broken(shop: Shop) -> None:
    shop.deploy("web", replicas=3)
    for pod in shop.pods("web")[:2]:
        shop.misbehave(pod["metadata"]["name"], "never-ready")
    shop.wait_until(lambda: shop.get("Deployment", "web")["status"].get("unavailableReplicas") == 2, "two pods to stop being ready")


def with_template(shop: Shop) -> None:
    shop.deploy("web")
    shop.create(cron_job_yaml("tidy", namespace=shop.namespace))


def restarted(kind: str) -> Callable[[Shop], bool]:
    return lambda shop: "kubectl.kubernetes.io/restartedAt" in shop.get(kind, "web")["spec"]["template"]["metadata"]["annotations"]


def at_image(kind: str, number: int) -> Callable[[Shop], bool]:
    def is_everywhere(shop: Shop) -> bool:
        pods = shop.pods("web")
        return {one["spec"]["containers"][0]["image"] for one in pods} == {image(shop, kind)} == {f"registry.example/app:{number}"}

    return is_everywhere


def job_is_complete(shop: Shop) -> bool:
    _, found = shop.cluster.request("GET", shop.path("Job"))
    (job,) = found["items"]
    pod = job["spec"]["template"]["spec"]
    return bool(
        job["status"]["succeeded"] == 1
        and pod["automountServiceAccountToken"] is False
        and job["spec"]["backoffLimit"] == 0
        and job["spec"]["ttlSecondsAfterFinished"] == 86_400
    )


def node_is(*, cordoned: bool) -> Callable[[Shop], bool]:
    return lambda shop: shop.cluster.request("GET", f"/api/v1/nodes/{shop.node}")[1]["spec"].get("unschedulable", False) is cordoned


ROLLING: tuple[WorkloadKind, ...] = ("Deployment", "StatefulSet", "DaemonSet")
DEEDS = (
    *(
        Deed(
            service="restart",
            action="RolloutRestart",
            kind=kind,
            acts=(f"patch {kind.lower()}s",),
            before=deployed(kind),
            after=restarted(kind),
            undo="back to the template that it had before",
        )
        for kind in ROLLING
    ),
    *(
        Deed(
            service="scale",
            action="Scale",
            kind=kind,
            acts=(f"patch {kind.lower()}s",),
            before=deployed(kind),
            after=lambda shop: len(shop.pods("web")) == 3,
            undo=f"scales {kind}/web to 2 replicas",
        )
        for kind in ROLLING[:2]
    ),
    *(
        Deed(
            service="undo",
            action="RolloutUndo",
            kind=kind,
            acts=(f"patch {kind.lower()}s",),
            before=deployed(kind, 1, 2),
            after=at_image(kind, 1),
            undo="back to the template that it had before",
        )
        for kind in ROLLING
    ),
    *(
        Deed(
            service="undo-to-first",
            action="RolloutUndo",
            kind=kind,
            acts=(f"patch {kind.lower()}s",),
            before=deployed(kind, 1, 2, 3),
            after=at_image(kind, 1),
            undo="back to the template that it had before",
        )
        for kind in ROLLING
    ),
    Deed(
        service="evict-unready",
        action="EvictPods",
        kind="Deployment",
        acts=("create pods/eviction", "create pods/eviction"),
        before=half_broken,
        after=lambda shop: len(shop.pods("web")) == 3,
    ),
    Deed(
        service="evict-oldest",
        action="EvictPods",
        kind="StatefulSet",
        acts=("create pods/eviction",),
        before=deployed("StatefulSet"),
        after=lambda shop: len(shop.pods("web")) == 2,
    ),
    Deed(
        service="cordon",
        action="Cordon",
        kind="Node",
        acts=("patch nodes",),
        before=Shop.add_node,
        after=node_is(cordoned=True),
        undo="lets new pods onto Node/",
    ),
    Deed(
        service="uncordon",
        action="Uncordon",
        kind="Node",
        acts=("patch nodes",),
        before=lambda shop: shop.add_node(cordoned=True),
        after=node_is(cordoned=False),
    ),
    Deed(
        service="job",
        action="RunJob",
        kind="Deployment",
        acts=("create jobs",),
        before=with_template,
        after=job_is_complete,
        rules={"jobTemplates": ["tidy"]},
    ),
    Deed(
        service="patch",
        action="PatchFields",
        kind="Deployment",
        acts=("patch deployments",),
        before=deployed("Deployment"),
        after=lambda shop: shop.get("Deployment", "web")["spec"]["minReadySeconds"] == 1,
        rules={"patchable": [{"path": "spec.minReadySeconds"}]},
        undo="takes back what was set at spec.minReadySeconds",
    ),
)


@pytest.mark.parametrize("deed", DEEDS, ids=lambda one: f"{one.service}-{one.kind}")
def test_action_takes_effect_once_in_the_name_of_the_executor_and_is_proved(deed: Deed, shop: Shop, operator: OperatorProcess) -> None:
    deed.before(shop)
    there = uids(shop)
    shop.allow(deed.action, **deed.rules)
    mark = shop.cluster.audit_mark()
    report(shop, deed.service, kind=deed.kind, name=shop.node if deed.kind == "Node" else "web")
    status = shop.wait_for_end("hang")
    assert status["phase"] == "Resolved", status
    (action,) = status["execution"]["actions"]
    assert (action["outcome"], action["state"]) == ("Verified", "Done")

    acts = shop.acts(mark)
    assert [one.what for one in acts] == [*deed.acts]
    assert {one.by for one in acts} == {(shop.cluster.username("operator"), shop.executor)}
    assert {one.key for one in acts} == ({""} if deed.action == "EvictPods" else {action["key"]})
    shop.wait_until(lambda: deed.after(shop), f"{deed.service} to be seen")
    if deed.action in ("RolloutRestart", "RolloutUndo"):
        assert there.isdisjoint(uids(shop))

    (preview,) = status["gate"]["previews"]
    assert preview["changes"], preview
    assert deed.undo in preview.get("undo", "")


def test_webhook_is_called_once_and_its_answer_is_what_is_on_record(shop: Shop, operator: OperatorProcess, receiver: HookReceiver) -> None:
    shop.deploy("web")
    shop.allow("Webhook", webhooks=["drain"])
    mark = shop.cluster.audit_mark()
    report(shop, "webhook")
    status = shop.wait_for_end("hang")
    assert status["phase"] == "Resolved", status
    (action,) = status["execution"]["actions"]
    assert receiver.effects[action["key"]] == 1
    assert receiver.bodies[action["key"]]["target"]["name"] == "web"  # type: ignore[index]
    assert action["acknowledgedAt"]
    assert shop.acts(mark) == []


def test_steps_run_in_order_and_each_is_proved_before_the_next_begins(shop: Shop, operator: OperatorProcess) -> None:
    shop.deploy("web")
    shop.allow("Scale", "RolloutRestart")
    mark = shop.cluster.audit_mark()
    report(shop, "scale-and-restart")
    status = shop.wait_for_end("hang")
    assert status["phase"] == "Resolved", status
    scaled, restart = status["execution"]["actions"]
    assert [one.key for one in shop.acts(mark)] == [scaled["key"], restart["key"]]
    assert scaled["doneAt"] <= restart["claimedAt"] or scaled["doneAt"][:19] == restart["claimedAt"][:19]
    assert restart["before"]["replicas"] == scaled["after"]["replicas"] == 3


def test_step_that_is_not_proved_good_is_the_last(shop: Shop, operator: OperatorProcess) -> None:
    shop.deploy("web", behaviour="never-ready")
    shop.allow("Scale", "RolloutRestart", verification={"timeoutSeconds": 2})
    mark = shop.cluster.audit_mark()
    report(shop, "scale-and-restart")
    status = shop.wait_for_end("hang")
    assert status["phase"] == "Indeterminate"
    assert [one["outcome"] for one in status["execution"]["actions"]] == ["Inconclusive"]
    assert "after 2 s" in status["verification"]["message"]
    assert len(shop.acts(mark)) == 1


def test_job_that_fails_stops_for_a_person_and_nothing_else_is_done(shop: Shop, operator: OperatorProcess) -> None:
    shop.deploy("web")
    shop.create(cron_job_yaml("tidy", namespace=shop.namespace, behaviour="fails"))
    shop.allow("RunJob", "PatchFields", jobTemplates=["tidy"], patchable=[{"path": BREAKING}])
    mark = shop.cluster.audit_mark()
    report(shop, "job-and-break")
    status = shop.wait_for_end("hang")
    assert status["phase"] == "Indeterminate", status
    (action,) = status["execution"]["actions"]
    assert "failed: BackoffLimitExceeded" in action["message"]
    assert "RunJob cannot be undone" in status["execution"]["heldBecause"]
    assert [one.what for one in shop.acts(mark)] == ["create jobs"]


BUDGET = """
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {{name: spares}}
spec: {{minAvailable: {least}, selector: {{matchLabels: {{app: web}}}}}}
"""


def spare(shop: Shop, *, least: int, healthy: int) -> None:
    """A disruption budget for two pods, in force."""
    shop.create(BUDGET.format(least=least))
    seen = {"currentHealthy": healthy, "desiredHealthy": least}
    shop.wait_until(
        lambda: seen.items() <= shop.get("PodDisruptionBudget", "spares").get("status", {}).items(), "the disruption budget to be in force"
    )


@pytest.mark.parametrize("service", mostly_thorough({one: one for one in ("evict-oldest", "evict-unready")}, "evict-oldest"))
def test_eviction_that_a_disruption_budget_refuses_waits_for_it(service: str, shop: Shop, operator: OperatorProcess) -> None:
    shop.deploy("web")
    if service == "evict-unready":
        shop.misbehave(shop.pods("web")[0]["metadata"]["name"], "never-ready")
    spare(shop, least=2, healthy=1 if service == "evict-unready" else 2)
    shop.allow("EvictPods")
    mark = shop.cluster.audit_mark()
    report(shop, service)
    status = shop.wait_for("hang", lambda now: bool(now.get("execution", {}).get("heldBecause")), "to be held")
    assert "spares" in status["execution"]["heldBecause"]
    assert status["phase"] == "Gated"
    assert shop.acts(mark) == []

    shop.patch("PodDisruptionBudget", "spares", {"spec": {"minAvailable": 1}})
    if service == "evict-oldest":
        # Else it is looked at again after 15 s.
        shop.allow("EvictPods", targetsPerHour=9)
    status = shop.wait_for_end("hang")
    assert status["phase"] == "Resolved", status
    assert "heldBecause" not in status["execution"]
    assert [one.what for one in shop.acts(mark)] == ["create pods/eviction"]


def test_ready_pod_leaves_when_the_one_in_the_place_of_the_last_is_ready(shop: Shop, operator: OperatorProcess) -> None:
    """Where no disruption budget asks for it, too."""
    shop.deploy("web", behaviour="slow")
    shop.wait_until_rolled_out("web")
    shop.allow("EvictPods")
    mark = shop.cluster.audit_mark()
    report(shop, "evict-two")
    status = shop.wait_for("hang", lambda now: bool(now.get("execution", {}).get("heldBecause")), "to be held")
    assert (status["phase"], len(shop.acts(mark))) == ("Executing", 1)
    assert status["execution"]["heldBecause"] == "1 of 2 pods of Deployment/web are ready; the next leaves when all are"
    shop.wait_for("hang", lambda now: "heldBecause" not in now["execution"], "to go on")
    first, second = shop.acts(mark)
    assert (second.at - first.at).total_seconds() > 4, "the pod in the place of the first is ready after 5 s"


# What is refused


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """A target of its own that must not be touched."""

    service: str
    sentence: str
    """With the name of the target in the place of {}."""
    kind: WorkloadKind | Literal["Node"] = "Deployment"
    name: str = "web"
    options: Mapping[str, Any] = field(default_factory=dict)
    """Of the workload's manifest."""
    prepare: Callable[[Shop, str], object] = lambda shop, name: None


def scaled_by_an_autoscaler(shop: Shop, name: str) -> None:
    reference = {"apiVersion": "apps/v1", "kind": "Deployment", "name": name}
    body = {"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": {"name": "by-load"}}
    shop.create(yaml.safe_dump({**body, "spec": {"scaleTargetRef": reference, "minReplicas": 1, "maxReplicas": 9}}))


def owned(shop: Shop, name: str) -> None:
    shop.create(workload_yaml("Deployment", "platform", namespace=shop.namespace, replicas=0))
    owner = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "platform", "controller": True}
    uid = shop.get("Deployment", "platform")["metadata"]["uid"]
    shop.patch("Deployment", name, {"metadata": {"ownerReferences": [{**owner, "uid": uid}]}})


def kept_in_git(shop: Shop, name: str) -> None:
    shop.patch("Deployment", name, {"metadata": {"labels": {"kustomize.toolkit.fluxcd.io/name": "apps"}}})


def set_by_the_platform_team(shop: Shop, name: str) -> None:
    field_of_theirs = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": {"minReadySeconds": 5}}
    shop.kubectl("apply", "--server-side", "--field-manager=platform-team", "-f", "-", stdin=yaml.safe_dump(field_of_theirs))


REFUSALS = {
    "paused": Refusal(service="restart", sentence="Deployment/{} is paused, so nothing would roll out", options={"paused": True}),
    "only replaced when deleted": Refusal(
        service="restart",
        kind="StatefulSet",
        options={"updateStrategy": {"type": "OnDelete"}},
        sentence="StatefulSet/{} only replaces pods that somebody deletes",
    ),
    "owned by another controller": Refusal(
        service="restart", prepare=owned, sentence="Deployment/{} belongs to Deployment/platform, which would undo the change"
    ),
    "kept as it is in Git": Refusal(service="restart", prepare=kept_in_git, sentence="Deployment/{} is kept as it is in Git by Flux"),
    "scaled by an autoscaler": Refusal(
        service="scale",
        prepare=scaled_by_an_autoscaler,
        sentence="HorizontalPodAutoscaler/by-load decides on the replicas of Deployment/{}",
    ),
    "has no pods": Refusal(service="restart", options={"replicas": 0}, sentence="Deployment/{} is to have no pods"),
    "has so many replicas": Refusal(service="scale", options={"replicas": 3}, sentence="Deployment/{} has 3 replicas already"),
    "has no replicas to set": Refusal(service="scale", kind="DaemonSet", sentence="Scale makes no sense for a DaemonSet"),
    "has no earlier revision": Refusal(service="undo", sentence="Deployment/{} has no such earlier revision"),
    "is at that revision": Refusal(
        service="undo-to-first", kind="StatefulSet", sentence="StatefulSet/{} is at revision 1 already, so nothing would change"
    ),
    "too many pods at once": Refusal(
        service="restart",
        options={"strategy": {"type": "Recreate"}},
        sentence="it may make 2 of 2 pods unavailable at once, and the RemediationPolicy allows 1",
    ),
    "nobody to evict": Refusal(service="evict-unready", sentence="Deployment/{} has no pod to evict"),
    "protected by the policy": Refusal(service="restart", name="ledger", sentence="Deployment/ledger is a protected target"),
    "not an allowed action": Refusal(service="uncordon", kind="Node", name="node-1", sentence="Uncordon is not among the allowed actions"),
    "executor may not": Refusal(
        service="cordon", kind="Node", name="node-1", sentence='governor-executor" cannot patch resource "nodes" in API group ""'
    ),
    "no template of that name": Refusal(service="job", sentence="there is no CronJob tidy in the namespace"),
    "field is not listed": Refusal(service="patch", kind="StatefulSet", sentence="spec.minReadySeconds of a StatefulSet is not among"),
    "field belongs to somebody": Refusal(
        service="patch",
        prepare=set_by_the_platform_team,
        sentence='conflict with "platform-team": .spec.minReadySeconds',
    ),
    "webhook is not listed": Refusal(service="webhook", sentence="webhook drain is not among the webhooks of the RemediationPolicy"),
}


@pytest.fixture(scope="module")
def refused(cluster: ControlPlane, operator: OperatorProcess) -> tuple[Shop, int]:
    """A shop in which an incident about each of them was reported, and the mark from before."""
    shop = Shop(cluster)
    shop.allow(
        *EVERYTHING,
        maxUnavailable="1",
        gitOps="Refuse",
        protectedTargets=[{"name": "ledger"}],
        patchable=[{"path": "spec.minReadySeconds"}],
        jobTemplates=["tidy"],
    )
    mark = cluster.audit_mark()
    named = {number: one.name if one.name != "web" else f"web-{number}" for number, one in enumerate(REFUSALS.values())}
    for name, refusal in zip(named.values(), REFUSALS.values(), strict=True):
        if refusal.kind != "Node":
            shop.create(workload_yaml(refusal.kind, name, namespace=shop.namespace, **refusal.options))
    for (number, name), refusal in zip(named.items(), REFUSALS.values(), strict=True):
        if refusal.kind != "Node" and "paused" not in refusal.options:
            shop.wait_until_rolled_out(name, refusal.kind)
        refusal.prepare(shop, name)
        report(shop, refusal.service, kind=refusal.kind, name=name, incident=f"hang-{number}")
    return shop, mark


@pytest.mark.parametrize("why", REFUSALS)
def test_what_must_not_be_done_is_refused_with_its_reason_before_anybody_is_asked(why: str, refused: tuple[Shop, int]) -> None:
    (shop, mark), refusal, number = refused, REFUSALS[why], [*REFUSALS].index(why)
    status = shop.wait_for_end(f"hang-{number}")
    assert status["phase"] == "Blocked", status
    (finding,) = [one for one in status["gate"]["findings"] if one["release"] != "NotNeeded"]
    assert (finding["check"], finding["release"]) == ("TargetProtected", "Impossible")
    assert refusal.sentence.format(f"web-{number}") in finding["message"]
    assert shop.acts(mark) == []


def test_namespace_without_an_executor_is_left_alone(shop: Shop, operator: OperatorProcess) -> None:
    shop.deploy("web")
    status, answer = shop.cluster.request("DELETE", f"{shop.path('ServiceAccount')}/governor-executor")
    assert status == 200, answer
    report(shop, "restart")
    finding = shop.wait_for_phase("hang", "Blocked")["gate"]["findings"][0]
    assert "the namespace has no ServiceAccount governor-executor" in finding["message"]


def test_namespace_that_has_not_opted_in_is_left_alone_with_all_its_rights(cluster: ControlPlane, operator: OperatorProcess) -> None:
    shop = Shop(cluster)
    shop.deploy("web")
    status, answer = cluster.request("DELETE", f"{shop.path('RemediationPolicy')}/default")
    assert status == 200, answer
    mark = cluster.audit_mark()
    report(shop, "restart")
    finding = shop.wait_for_phase("hang", "Blocked")["gate"]["findings"][0]
    assert "has no RemediationPolicy, so nothing may be done in it" in finding["message"]
    assert shop.acts(mark) == []


def test_target_that_is_kept_in_git_is_changed_with_a_warning_where_the_policy_does_not_refuse(
    shop: Shop, operator: OperatorProcess
) -> None:
    shop.deploy("web")
    kept_in_git(shop, "web")
    report(shop, "restart")
    (preview,) = shop.wait_for_phase("hang", "Resolved")["gate"]["previews"]
    assert preview["warnings"] == ["Deployment/web is kept as it is in Git by Flux, which may undo the change"]


def test_last_node_that_takes_pods_is_never_cordoned(shop: Shop, operator: OperatorProcess) -> None:
    shop.add_node()
    shop.allow("Cordon")
    _, nodes = shop.cluster.request("GET", "/api/v1/nodes")
    others = [one["metadata"]["name"] for one in nodes["items"] if one["metadata"]["name"] != shop.node]
    shop.cluster.kubectl("cordon", *others)
    try:
        mark = shop.cluster.audit_mark()
        report(shop, "cordon", kind="Node", name=shop.node)
        finding = shop.wait_for_phase("hang", "Blocked")["gate"]["findings"][0]
        assert f"Node/{shop.node} is the last ready node that takes pods" in finding["message"]
        assert shop.acts(mark) == []
    finally:
        shop.cluster.kubectl("uncordon", *others)
