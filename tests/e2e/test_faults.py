"""The cluster fails in every way that clusters do; the operator goes on or exits loudly, and nothing is done twice.

Judged from outside: by the API server's audit log and the generation of the workloads, and by what the proxy has seen.
"""

import itertools
import json
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from support.knowledge import load
from support.operator_process import OperatorProcess, StartOperator
from support.shop import Shop
from support.troublemaker import (
    Asked,
    Held,
    Troublemaker,
    act,
    deployment_read,
    dry_run,
    incident_read,
    lease_read,
    listing,
    status_write,
    watch,
)
from support.variants import mostly_thorough
from testbed import ControlPlane, deployment_yaml, wait_until

pytestmark = pytest.mark.crash

KNOWLEDGE = Path(__file__).parent / "knowledge"
LEDGER = {"service": "ledger", "summary": "The ledger queue does not drain, the consumer hangs"}
LAST_WORDS = ("the Lease ran out", "another operator has taken the Lease", "the operator cannot start or go on")
TERMINAL = {"Resolved", "Failed", "Indeterminate", "Blocked", "Rejected", "Expired", "Aborted"}


@pytest.fixture(scope="module")
def proxy(cluster: ControlPlane) -> Iterator[Troublemaker]:
    with Troublemaker(upstream=cluster.url, ca_file=cluster.ca_file) as proxy:
        yield proxy


@pytest.fixture(scope="module")
def through(proxy: Troublemaker, cluster: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The operator's identity, through the proxy."""
    return proxy.kubeconfig(cluster.kubeconfig("operator"), tmp_path_factory.mktemp("through") / "kubeconfig")


@pytest.fixture
def trouble(proxy: Troublemaker) -> Iterator[Troublemaker]:
    """The proxy has seen nothing yet, and spoils nothing any more when the test is over."""
    proxy.forget()
    yield proxy
    proxy.make_peace()


@dataclass(frozen=True, kw_only=True)
class Scene:
    """One shop and its operator for all the faults that the operator must simply live with."""

    shop: Shop
    operator: OperatorProcess

    def at_work(self) -> None:
        """Start the operator unless it runs."""
        if not self.operator.is_running:
            before = self.operator.said().count("at work now")
            self.operator.start()
            wait_until(lambda: self.operator.said().count("at work now") > before, 30, "the operator to be at work")


@pytest.fixture(scope="module")
def long_scene(cluster: ControlPlane, through: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    folder = tmp_path_factory.mktemp("scene")
    load(folder / "knowledge.db", KNOWLEDGE)
    shop = Shop(cluster)
    settings = {
        "watch_namespace": shop.namespace,
        "lease": f"operator-{shop.namespace}",
        "lease_duration": "PT15S",
        "ceilings": json.dumps({"actions_per_hour": {"namespace": 1000, "cluster": 1000}, "targets_per_hour": 1000}),
    }
    with OperatorProcess(kubeconfig=through, store=folder / "knowledge.db", log=folder / "log", **settings) as operator:
        yield Scene(shop=shop, operator=operator)


@pytest.fixture
def scene(long_scene: Scene) -> Scene:
    """The operator is at work and goes through the proxy."""
    long_scene.at_work()
    return long_scene


class Tended:
    """An operator as a cluster runs it: when it exits, it is started again a moment later."""

    def __init__(self, start: StartOperator, **settings: Any) -> None:
        self._start = start
        self._settings = settings
        self._run = start(**settings)
        self._again_at: float | None = None
        self.exits: list[tuple[int, str]] = []

    def look(self) -> None:
        """Start it again if its time has come."""
        if self._run.is_running:
            return
        if self._again_at is None:
            self.exits.append((self._run.wait(1), self._run.said()))
            self._again_at = time.monotonic() + 1
        elif time.monotonic() >= self._again_at:
            self._run, self._again_at = self._start(**self._settings), None


# What the tests do in a shop, and what they look at


def _deploy(shop: Shop, *names: str) -> None:
    shop.create("---\n".join(deployment_yaml(name, shop.namespace, replicas=1) for name in names))


def _deploy_nowhere(shop: Shop, *names: str) -> None:
    """No node takes the pods before `_make_room`, so a rollout lasts as long as the test wants."""
    for name in names:
        body = yaml.safe_load(deployment_yaml(name, shop.namespace, replicas=1))
        body["spec"]["template"]["spec"]["nodeSelector"] = {_room(shop): "yes"}
        shop.create(yaml.safe_dump(body))


def _make_room(shop: Shop) -> None:
    code, answer = shop.cluster.request("PATCH", "/api/v1/nodes/node-1", {"metadata": {"labels": {_room(shop): "yes"}}})
    assert code == 200, answer


def _room(shop: Shop) -> str:
    return f"room-for-{shop.namespace}"


def _report(shop: Shop, *names: str, **spec: Any) -> None:
    """One incident for each Deployment, and named like it."""
    for name in names:
        shop.report(name, target={"name": name}, **spec)


def _phases(shop: Shop) -> dict[str, str]:
    """By the names of the incidents; empty while the API server does not answer well."""
    _, body = shop.cluster.request("GET", shop.incidents)
    return {one["metadata"]["name"]: one.get("status", {}).get("phase", "") for one in body.get("items", [])}


def _wait_for_phases(shop: Shop, *names: str, phases: set[str], timeout: float = 40, meanwhile: Callable[[], None] = lambda: None) -> None:
    seen: dict[str, str] = {}

    def holds() -> bool:
        meanwhile()
        known = _phases(shop)
        seen.update((name, known.get(name, "")) for name in names)
        return all(phase in phases for phase in seen.values())

    try:
        wait_until(holds, timeout, f"all to be {phases}")
    except TimeoutError:
        pytest.fail(f"waited {timeout:g} s for {phases}: {seen}")


def _wait_until_resolved(shop: Shop, *names: str, timeout: float = 40, meanwhile: Callable[[], None] = lambda: None) -> None:
    _wait_for_phases(shop, *names, phases={"Resolved"}, timeout=timeout, meanwhile=meanwhile)


def _assert_restarted_once(shop: Shop, since: int, *names: str) -> None:
    """By the audit log, action by action; and by the generation, which counts what the API server did and could not answer any more."""
    acts = [one for one in shop.acts(since) if one.name in names]
    assert set(Counter(one.key for one in acts).values()) <= {1}, acts
    assert sorted(one.name for one in acts) == sorted(names)
    assert {name: shop.get("Deployment", name)["metadata"]["generation"] for name in names} == dict.fromkeys(names, 2)


def _wait_until_seen(trouble: Troublemaker, asked: Asked, *, status: int = 200) -> None:
    wait_until(lambda: [one for one in trouble.seen_of(asked) if one.status == status], 30, f"such a request to be answered {status}")


def _hold_right_before_the_act(shop: Shop, trouble: Troublemaker, name: str) -> Held:
    """Report, and stop the operator where it has claimed, has looked at everything, and waits for the answer to the dry run."""
    claim = trouble.hold_answer(status_write(name))
    _report(shop, name)
    claim.wait()
    last_look = trouble.hold_answer(dry_run(name))
    claim.release()
    return last_look.wait()


@contextmanager
def _somebody_writes(write: Callable[[int], tuple[int, Any]], *, every: float) -> Iterator[None]:
    """Again and again after so many seconds, on a thread of their own; begins when they have written a few times."""
    done, answers = threading.Event(), Counter[int]()

    def keep_writing() -> None:
        for number in itertools.count():
            if done.wait(every):
                return
            answers[write(number)[0]] += 1

    thread = threading.Thread(target=keep_writing)
    thread.start()
    try:
        wait_until(lambda: answers[200] > 2, 20, "somebody to write")
        yield
    finally:
        done.set()
        thread.join(20)


# Answers that are none


PASSING: dict[str, Callable[[Troublemaker, str], None]] = {
    "read-500": lambda trouble, name: trouble.refuse(incident_read(name), 500),
    "read-503": lambda trouble, name: trouble.refuse(incident_read(name), 503),
    "read-lost": lambda trouble, name: trouble.lose_answer(incident_read(name), times=2),
    "look-500": lambda trouble, name: trouble.refuse(deployment_read(name), 500),
    "look-lost": lambda trouble, name: trouble.lose_answer(deployment_read(name), times=2),
    "status-409": lambda trouble, name: trouble.refuse(status_write(name), 409, times=8),
    "status-500": lambda trouble, name: trouble.refuse(status_write(name), 500),
    "status-503": lambda trouble, name: trouble.refuse(status_write(name), 503),
    "status-lost": lambda trouble, name: trouble.lose_answer(status_write(name), times=3),
    "act-409": lambda trouble, name: trouble.refuse(act(name), 409, times=2),
    "act-500": lambda trouble, name: trouble.refuse(act(name), 500),
    "act-503": lambda trouble, name: trouble.refuse(act(name), 503),
    "act-lost": lambda trouble, name: trouble.lose_answer(act(name)),
}


def test_errors_conflicts_and_lost_answers_pass_and_each_incident_is_resolved_by_one_effect(scene: Scene, trouble: Troublemaker) -> None:
    shop = scene.shop
    _deploy(shop, *PASSING)
    mark = shop.cluster.audit_mark()
    for name, make in PASSING.items():
        make(trouble, name)
    _report(shop, *PASSING)
    _wait_until_resolved(shop, *PASSING)
    assert scene.operator.is_running
    assert not trouble.planned
    assert trouble.seen_of(act("act-lost"))[0].status is None
    _assert_restarted_once(shop, mark, *PASSING)


@pytest.mark.parametrize("asked", [incident_read, status_write, act], ids=["read", "status", "act"])
def test_nothing_is_asked_again_before_the_api_server_wants_it(
    asked: Callable[[str], Asked], scene: Scene, trouble: Troublemaker, request: pytest.FixtureRequest
) -> None:
    shop, name = scene.shop, f"later-{request.node.callspec.id}"
    _deploy(shop, name)
    mark = shop.cluster.audit_mark()
    trouble.refuse(asked(name), 429, retry_after=2)
    _report(shop, name)
    _wait_until_resolved(shop, name)
    first, second, *_ = trouble.seen_of(asked(name))
    assert first.status == 429
    assert second.at - first.answered_at >= 2
    assert not [one for one in trouble.seen_of(incident_read(name)) if 0 < one.at - first.answered_at < 2]
    _assert_restarted_once(shop, mark, name)


@pytest.mark.parametrize("asked", [status_write, act], ids=["status", "act"])
def test_right_that_is_missing_for_a_moment_ends_no_incident(
    asked: Callable[[str], Asked], scene: Scene, trouble: Troublemaker, request: pytest.FixtureRequest
) -> None:
    """For half a second after its start an API server knows nobody's rights; behind a load balancer any request may meet that one."""
    shop, name = scene.shop, f"forbidden-{request.node.callspec.id}"
    _deploy(shop, name)
    mark = shop.cluster.audit_mark()
    trouble.refuse(asked(name), 403, message="forbidden: User cannot patch resource")
    _report(shop, name)
    _wait_for_phases(shop, name, phases=TERMINAL, timeout=15)
    assert _phases(shop)[name] == "Resolved"
    _assert_restarted_once(shop, mark, name)


# Watches


def test_watches_that_break_and_expire_lose_no_incident(scene: Scene, trouble: Troublemaker) -> None:
    shop, names = scene.shop, [f"unwatched-{number}" for number in range(6)]
    _deploy(shop, *names)
    mark = shop.cluster.audit_mark()
    for number, name in enumerate(names):
        if number % 2:
            trouble.expire(watch("incidents"), times=2)
        wait_until(lambda: trouble.cut(watch("incidents")), 10, "a watch to be open")
        _report(shop, name)
    _wait_until_resolved(shop, *names)
    assert scene.operator.is_running
    _assert_restarted_once(shop, mark, *names)


def test_watch_that_cannot_be_taken_up_again_ends_the_operator_with_a_sentence(scene: Scene, trouble: Troublemaker) -> None:
    shop, name = scene.shop, "unlisted"
    _deploy(shop, name)
    mark = shop.cluster.audit_mark()
    trouble.expire(watch("incidents"))
    trouble.refuse(listing("incidents"), 410)
    wait_until(lambda: trouble.cut(watch("incidents")), 10, "a watch to be open")
    _report(shop, name)
    assert scene.operator.wait(20) == 1
    said = scene.operator.said()
    scene.at_work()
    _wait_until_resolved(shop, name)
    _assert_restarted_once(shop, mark, name)
    assert "the operator cannot start or go on" in said


# Others write as well


def test_incident_whose_labels_somebody_changes_all_the_time_is_resolved(scene: Scene, trouble: Troublemaker) -> None:
    shop, name = scene.shop, "labelled"
    _deploy(shop, name)
    mark = shop.cluster.audit_mark()

    def label(number: int) -> tuple[int, Any]:
        return shop.cluster.request("PATCH", f"{shop.incidents}/{name}", {"metadata": {"labels": {"seen": str(number)}}}, user="alice")

    verdict = trouble.hold(status_write(name))
    _report(shop, name)
    verdict.wait()
    with _somebody_writes(label, every=0.05):
        verdict.release()
        _wait_until_resolved(shop, name, timeout=20)
    assert trouble.seen_of(status_write(name))[0].status == 409
    _assert_restarted_once(shop, mark, name)


def test_workload_whose_labels_and_status_somebody_changes_all_the_time_is_restarted_once(scene: Scene, trouble: Troublemaker) -> None:
    shop, name = scene.shop, "trembling"
    _deploy(shop, name)
    mark = shop.cluster.audit_mark()
    path = f"/apis/apps/v1/namespaces/{shop.namespace}/deployments/{name}"

    def touch(number: int) -> tuple[int, Any]:
        if number % 2:
            return shop.cluster.request("PATCH", path, {"metadata": {"labels": {"seen": str(number)}}})
        condition = {"type": "Watched", "status": "True", "reason": "Number", "message": str(number)}
        return shop.cluster.request("PATCH", f"{path}/status", {"status": {"conditions": [condition]}})

    last_look = _hold_right_before_the_act(shop, trouble, name)
    with _somebody_writes(touch, every=0.2):
        last_look.release()
        _wait_until_resolved(shop, name)
    assert trouble.seen_of(act(name))[0].status == 409
    _assert_restarted_once(shop, mark, name)


# Rights that are taken away


def _may(shop: Shop, user: str, verb: str, resource: str, subresource: str = "") -> bool:
    group = "apps" if resource == "deployments" else "safetygovernor.io"
    attributes = {"namespace": shop.namespace, "verb": verb, "group": group, "resource": resource, "subresource": subresource}
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SubjectAccessReview",
        "spec": {"user": user, "resourceAttributes": attributes},
    }
    _, answer = shop.cluster.request("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", review)
    return bool(answer["status"]["allowed"])


def test_executor_that_loses_its_rights_after_the_claim_does_nothing(scene: Scene, trouble: Troublemaker) -> None:
    shop, executor = scene.shop, f"system:serviceaccount:{scene.shop.namespace}:governor-executor"
    bindings = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{shop.namespace}/rolebindings"
    _deploy(shop, "revoked", "regained")
    mark = shop.cluster.audit_mark()
    last_look = _hold_right_before_the_act(shop, trouble, "revoked")
    _, binding = shop.cluster.request("GET", f"{bindings}/governor-executor")
    shop.cluster.request("DELETE", f"{bindings}/governor-executor")
    try:
        wait_until(lambda: not _may(shop, executor, "patch", "deployments"), 10, "the right to be gone")
        last_look.release()
        _wait_until_seen(trouble, act("revoked"), status=403)
        assert not [one for one in shop.acts(mark) if one.name == "revoked"]
    finally:
        del binding["metadata"]["resourceVersion"], binding["metadata"]["uid"]
        shop.cluster.request("POST", bindings, binding)
    wait_until(lambda: _may(shop, executor, "patch", "deployments"), 10, "the right to be back")
    _report(shop, "regained")
    _wait_until_resolved(shop, "regained")
    _wait_for_phases(shop, "revoked", phases=TERMINAL)
    done = ["revoked"] if _phases(shop)["revoked"] == "Resolved" else []
    _assert_restarted_once(shop, mark, "regained", *done)


def test_operator_that_may_not_write_status_goes_on_when_it_may_again(scene: Scene, trouble: Troublemaker) -> None:
    shop, operator = scene.shop, scene.shop.cluster.username("operator")
    path = "/apis/rbac.authorization.k8s.io/v1/clusterroles/governor-operator"
    _deploy(shop, "unwritten")
    mark = shop.cluster.audit_mark()
    acted = trouble.hold_answer(act("unwritten"))
    _report(shop, "unwritten")
    acted.wait()
    rules = shop.cluster.request("GET", path)[1]["rules"]
    shop.cluster.request("PATCH", path, {"rules": [one for one in rules if "incidents/status" not in one["resources"]]})
    try:
        wait_until(lambda: not _may(shop, operator, "update", "incidents", "status"), 10, "the right to be gone")
        acted.release()
        _wait_until_seen(trouble, status_write("unwritten"), status=403)
        assert _phases(shop)["unwritten"] == "Executing"
    finally:
        shop.cluster.request("PATCH", path, {"rules": rules})
    wait_until(lambda: _may(shop, operator, "update", "incidents", "status"), 10, "the right to be back")
    _wait_until_resolved(shop, "unwritten", timeout=20)
    _assert_restarted_once(shop, mark, "unwritten")


# Who is the only one


def test_two_operators_that_start_at_once_act_as_one(shop: Shop, start_operator: StartOperator) -> None:
    names = [f"both-{number}" for number in range(6)]
    _deploy(shop, *names)
    mark = shop.cluster.audit_mark()
    _report(shop, *names)
    both = [start_operator(lease_duration="PT15S"), start_operator(lease_duration="PT15S")]
    _wait_until_resolved(shop, *names)
    _assert_restarted_once(shop, mark, *names)
    assert sum("at work now" in one.said() for one in both) == 1
    assert len({shop.status(name)["execution"]["holder"] for name in names}) == 1


def test_operator_whose_lease_is_stolen_ends_without_acting_and_the_next_one_finishes(
    shop: Shop, trouble: Troublemaker, through: Path, start_operator: StartOperator
) -> None:
    _deploy(shop, "stolen")
    mark = shop.cluster.audit_mark()
    robbed = start_operator(kubeconfig=through, lease_duration="PT4S")
    robbed.wait_until_said("at work now")
    _hold_right_before_the_act(shop, trouble, "stolen")
    lease = f"/apis/coordination.k8s.io/v1/namespaces/governor-system/leases/operator-{shop.namespace}"
    code, _ = shop.cluster.request("PATCH", lease, {"spec": {"holderIdentity": "thief", "leaseDurationSeconds": 3}})
    assert code == 200
    assert robbed.wait(20) == 4
    assert "another operator has taken the Lease" in robbed.said()
    trouble.make_peace()
    assert not shop.acts(mark)
    start_operator()
    _wait_until_resolved(shop, "stolen")
    assert not trouble.seen_of(act("stolen"))
    _assert_restarted_once(shop, mark, "stolen")


def test_operator_that_slept_right_before_it_acted_does_not_act_after_another_one_did(
    shop: Shop, trouble: Troublemaker, through: Path, start_operator: StartOperator
) -> None:
    """One incident stands right before its act, the act of the other one is on its way and reaches the API server much later."""
    _deploy(shop, "undone", "under-way")
    mark = shop.cluster.audit_mark()
    sleeper = start_operator(kubeconfig=through, lease_duration="PT4S")
    sleeper.wait_until_said("at work now")
    under_way = trouble.hold(act("under-way"))
    _report(shop, "under-way")
    under_way.wait()
    last_look = _hold_right_before_the_act(shop, trouble, "undone")
    sleeper.send(signal.SIGSTOP)
    last_look.release()
    start_operator()
    _wait_until_resolved(shop, "undone", "under-way")
    under_way.release()
    _wait_until_seen(trouble, act("under-way"), status=409)
    sleeper.send(signal.SIGCONT)
    assert sleeper.wait(20) == 4
    assert len(trouble.seen_of(act("under-way"))) == 1
    assert not trouble.seen_of(act("undone"))
    _assert_restarted_once(shop, mark, "undone", "under-way")


def test_act_that_arrives_after_its_claim_was_taken_back_has_no_effect(
    shop: Shop, trouble: Troublemaker, through: Path, start_operator: StartOperator
) -> None:
    """What the operator sent before it died is still on its way while a person stops the incident and the next operator ends it."""
    _deploy(shop, "late")
    template = shop.get("Deployment", "late")["spec"]["template"]
    first = start_operator(kubeconfig=through)
    first.wait_until_said("at work now")
    late = trouble.hold(act("late"))
    _report(shop, "late")
    late.wait()
    first.kill()
    code, _ = shop.cluster.request("PATCH", f"{shop.incidents}/late", {"spec": {"abort": True}}, user="alice")
    assert code == 200
    start_operator()
    _wait_for_phases(shop, "late", phases={"Aborted"})
    late.release()
    wait_until(lambda: trouble.seen_of(act("late")), 20, "the late act to be answered")
    assert shop.get("Deployment", "late")["spec"]["template"] == template


def test_one_request_about_the_lease_that_hangs_does_not_lose_it(
    shop: Shop, trouble: Troublemaker, through: Path, start_operator: StartOperator
) -> None:
    asked = lease_read(f"operator-{shop.namespace}")
    operator = start_operator(kubeconfig=through, lease_duration="PT4S")
    operator.wait_until_said("at work now")
    hung = trouble.hold(asked).wait()
    before = len(trouble.seen_of(asked))
    wait_until(lambda: len(trouble.seen_of(asked)) > before + 2 or not operator.is_running, 30, "the Lease to be renewed or lost")
    hung.release()
    assert operator.is_running, operator.said()


# The cluster goes away


@dataclass(frozen=True, kw_only=True)
class Outage:
    begin: Callable[[ControlPlane], None]
    end: Callable[[ControlPlane], None]
    seconds: float


OUTAGES = {
    "restarted": Outage(begin=ControlPlane.stop_apiserver, end=ControlPlane.start_apiserver, seconds=0),
    "frozen": Outage(begin=ControlPlane.pause_apiserver, end=ControlPlane.resume_apiserver, seconds=40),
    # It takes the API server some ten seconds more to find etcd again: together much longer than any budget of retries.
    "without-etcd": Outage(begin=ControlPlane.stop_etcd, end=ControlPlane.start_etcd, seconds=31),
}


@pytest.mark.timeout(300)
@pytest.mark.parametrize("outage", mostly_thorough(OUTAGES, "restarted"))
def test_outage_in_every_phase_loses_no_incident_and_repeats_no_effect(
    outage: Outage,
    cluster: ControlPlane,
    shop: Shop,
    trouble: Troublemaker,
    through: Path,
    start_operator: StartOperator,
    tmp_path: Path,
) -> None:
    """One operator loses its Lease in the outage, exits and is started again; the other one keeps it and lives through the outage."""
    shops = {"PT4S": shop, "PT2M": Shop(cluster)}
    for duration, one in shops.items():
        _deploy(one, *_names("planning", "approved", "claimed", duration=duration))
        _deploy_nowhere(one, *_names("rolling", duration=duration))
    mark = cluster.audit_mark()
    operators = [
        Tended(
            start_operator,
            kubeconfig=through,
            watch_namespace=one.namespace,
            lease=f"operator-{one.namespace}",
            lease_duration=duration,
            journal=str(tmp_path / f"{duration}.jsonl"),
        )
        for duration, one in shops.items()
    ]

    def tend() -> None:
        for one in operators:
            one.look()

    _bring_into_every_phase(shops, trouble)
    cluster.audit_events(mark)
    outage.begin(cluster)
    try:
        trouble.make_peace()
        over = time.monotonic() + outage.seconds
        while time.monotonic() < over:
            tend()
            time.sleep(0.2)
    finally:
        outage.end(cluster)
    for duration, one in shops.items():
        _make_room(one)
        names = _names("planning", "approved", "claimed", "rolling", duration=duration)
        _wait_until_resolved(one, *names, timeout=90, meanwhile=tend)
        _assert_restarted_once(one, mark, *names)
    for code, said in itertools.chain.from_iterable(one.exits for one in operators):
        assert code in (1, 4)
        assert any(sentence in said for sentence in LAST_WORDS), said


def _names(*phases: str, duration: str) -> list[str]:
    return [f"{phase}-{duration.lower()}" for phase in phases]


def _bring_into_every_phase(shops: Mapping[str, Shop], trouble: Troublemaker) -> None:
    """Each incident with a request under way that the proxy keeps back, but for the last one: its rollout is under way."""
    held = []
    for duration, shop in shops.items():
        _report(shop, *_names("approved", duration=duration), **LEDGER)
    for duration, shop in shops.items():
        planning, approved, claimed, rolling = _names("planning", "approved", "claimed", "rolling", duration=duration)
        _wait_for_phases(shop, approved, phases={"AwaitingApproval"})
        held += [trouble.hold(status_write(planning)), trouble.hold(status_write(approved)), trouble.hold(act(claimed))]
        _report(shop, planning, claimed)
        shop.decide(approved, "APPROVE", user="bob")
    for one in held:
        one.wait()
    for duration, shop in shops.items():
        _report(shop, *_names("rolling", duration=duration))
    for duration in shops:
        (rolling,) = _names("rolling", duration=duration)
        _wait_until_seen(trouble, act(rolling))
