"""The test bed itself: what other tests take for granted about it."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from testbed import (
    BEHAVIOUR_ANNOTATION,
    ControlPlane,
    ControlPlaneError,
    KubectlError,
    commands,
    deployment_yaml,
    mutating_requests,
    person,
    service_account,
    wait_until,
)
from testbed.ports import ReservedPort

# Every test that has a cluster rests on it; this is about the rest of what it can do.
pytestmark = [pytest.mark.thorough, pytest.mark.timeout(60)]

ALICE_MAY_EDIT = """
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: alice-edits, namespace: default}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: edit}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: alice}]
"""


def read(cluster: ControlPlane, kind: str, *args: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(cluster.kubectl("get", kind, *args, "-o", "json").stdout)
    return found


def pods_of(cluster: ControlPlane, app: str) -> list[dict[str, Any]]:
    pods: list[dict[str, Any]] = read(cluster, "pods", "-l", f"app={app}")["items"]
    return pods


def is_ready(pod: dict[str, Any]) -> bool:
    return any(one["type"] == "Ready" and one["status"] == "True" for one in pod["status"].get("conditions", []))


def is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"  # a zombie waits for whoever adopted it


@pytest.fixture(scope="module")
def small_cluster(servers: None) -> Iterator[ControlPlane]:
    """No controllers: for tests that stop servers."""
    with ControlPlane(controllers=False, nodes=0, extra_identities=[person("mallory"), service_account("web", "web", "shop")]) as running:
        yield running


def test_start_gives_ready_nodes_and_usable_namespaces(cluster: ControlPlane) -> None:
    nodes = read(cluster, "nodes")["items"]
    assert [node["metadata"]["name"] for node in nodes if is_ready(node)] == ["node-1", "node-2"]
    for namespace in ("default", "governor-system"):
        cluster.kubectl("get", "serviceaccount", "default", "-n", namespace)


def test_bootstrap_roles_exist_and_are_filled(cluster: ControlPlane) -> None:
    roles = {role["metadata"]["name"]: role for role in read(cluster, "clusterroles")["items"]}
    assert {"cluster-admin", "system:kube-scheduler", "system:controller:deployment-controller"} <= roles.keys()
    wait_until(lambda: read(cluster, "clusterrole", "edit").get("rules"), 10, "the aggregated role `edit` to have rules")


def test_certificate_is_verified(cluster: ControlPlane) -> None:
    config = cluster.kubeconfig("alice").read_text()
    assert "certificate-authority-data" in config
    assert "insecure" not in config
    with pytest.raises(KubectlError, match="x509"):
        cluster.kubectl("get", "nodes", "--tls-server-name=another.example")


def test_kubeconfig_is_private(cluster: ControlPlane) -> None:
    assert cluster.kubeconfig("bob", namespace="governor-system").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("name", "username"),
    [
        ("admin", "admin"),
        ("eve", "eve"),
        ("operator", "system:serviceaccount:governor-system:governor-operator"),
        ("alerts", "system:serviceaccount:governor-system:governor-alerts"),
    ],
)
def test_identity_is_known_to_the_api_server(cluster: ControlPlane, name: str, username: str) -> None:
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
    status, review = cluster.request("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", body, user=name)
    assert (status, review["status"]["userInfo"]["username"]) == (201, username)
    assert cluster.username(name) == username


def test_person_without_a_role_may_do_nothing(cluster: ControlPlane) -> None:
    with pytest.raises(KubectlError, match='User "eve" cannot list resource "pods"'):
        cluster.kubectl("get", "pods", user="eve")


def test_extra_identities_are_known(small_cluster: ControlPlane) -> None:
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
    _, review = small_cluster.request("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", body, user="web")
    assert review["status"]["userInfo"]["username"] == "system:serviceaccount:shop:web"
    assert "system:serviceaccounts:shop" in review["status"]["userInfo"]["groups"]
    assert small_cluster.username("mallory") == "mallory"
    with pytest.raises(KeyError, match="nobody is called 'zoe'"):
        small_cluster.token("zoe")


def test_deployment_becomes_available_and_restarts(cluster: ControlPlane) -> None:
    cluster.apply(deployment_yaml("calm"))
    cluster.kubectl("rollout", "status", "deployment/calm", "--timeout=20s")
    before = {pod["metadata"]["uid"] for pod in pods_of(cluster, "calm")}
    cluster.kubectl("rollout", "restart", "deployment/calm")
    cluster.kubectl("rollout", "status", "deployment/calm", "--timeout=20s")
    wait_until(lambda: before.isdisjoint(pod["metadata"]["uid"] for pod in pods_of(cluster, "calm")), 10, "the old pods to go")
    assert all(is_ready(pod) for pod in pods_of(cluster, "calm"))


def test_job_completes(cluster: ControlPlane) -> None:
    cluster.kubectl("create", "job", "once", "--image=registry.example/app:1")
    cluster.kubectl("wait", "--for=condition=Complete", "job/once", "--timeout=20s")


def test_misbehaving_pods(cluster: ControlPlane) -> None:
    cluster.apply(deployment_yaml("crashing", replicas=1, behaviour="crash-loop"))
    cluster.apply(deployment_yaml("stuck", replicas=1, behaviour="never-ready"))
    cluster.apply(deployment_yaml("slow", replicas=1, behaviour="slow"))
    wait_until(lambda: [pod for pod in pods_of(cluster, "slow") if pod["status"]["phase"] == "Running"], 10, "the slow pod to run")
    started = time.monotonic()
    assert not is_ready(pods_of(cluster, "slow")[0])
    wait_until(lambda: is_ready(pods_of(cluster, "slow")[0]), 15, "the slow pod to be ready")
    assert time.monotonic() - started > 2  # 5 s, minus what it took to notice

    def crashes() -> dict[str, Any] | None:
        container = pods_of(cluster, "crashing")[0]["status"]["containerStatuses"][0]
        return container if container["restartCount"] >= 2 else None

    container = wait_until(crashes, 15, "two restarts")
    assert container["state"]["waiting"]["reason"] == "CrashLoopBackOff"
    assert container["lastState"]["terminated"]["exitCode"] == 1
    assert not is_ready(pods_of(cluster, "crashing")[0])
    assert pods_of(cluster, "stuck")[0]["status"]["phase"] == "Running"
    assert not is_ready(pods_of(cluster, "stuck")[0])
    assert pods_of(cluster, "stuck")[0]["metadata"]["annotations"][BEHAVIOUR_ANNOTATION] == "never-ready"


def test_annotated_running_pod_breaks_and_a_restart_cures_it(cluster: ControlPlane) -> None:
    cluster.apply(deployment_yaml("fragile", replicas=2))
    cluster.kubectl("rollout", "status", "deployment/fragile", "--timeout=20s")
    first, second = (pod["metadata"]["name"] for pod in pods_of(cluster, "fragile"))
    cluster.kubectl("annotate", "pod", first, f"{BEHAVIOUR_ANNOTATION}=crash-loop")
    cluster.kubectl("annotate", "pod", second, f"{BEHAVIOUR_ANNOTATION}=never-ready")
    wait_until(lambda: not any(is_ready(pod) for pod in pods_of(cluster, "fragile")), 10, "both pods to break")
    wait_until(lambda: read(cluster, "deployment", "fragile")["status"].get("availableReplicas", 0) == 0, 10, "the Deployment to notice")
    cluster.kubectl("rollout", "restart", "deployment/fragile")
    cluster.kubectl("rollout", "status", "deployment/fragile", "--timeout=20s")
    wait_until(lambda: len(pods_of(cluster, "fragile")) == 2, 10, "the old pods to go")
    assert all(is_ready(pod) for pod in pods_of(cluster, "fragile"))


def test_audit_log_names_who_wrote_and_counts_only_writes(cluster: ControlPlane) -> None:
    cluster.apply(ALICE_MAY_EDIT)
    wait_until(lambda: cluster.kubectl("auth", "can-i", "create", "deployments", user="alice", check=False).returncode == 0, 10, "RBAC")
    mark = cluster.audit_mark()
    cluster.kubectl("create", "deployment", "hers", "--image=a", user="alice")
    cluster.kubectl("create", "deployment", "imagined", "--image=a", "--dry-run=server", user="alice")
    cluster.kubectl("delete", "deployment", "hers", "--dry-run=server", user="alice")
    cluster.kubectl("get", "deployments", user="alice")
    cluster.kubectl("create", "namespace", "forbidden", user="alice", check=False)
    cluster.kubectl("auth", "can-i", "create", "deployments", user="alice")

    events = cluster.audit_events(mark)
    hers = mutating_requests(events, username="alice")
    assert [(event["verb"], event["objectRef"]["resource"], event["objectRef"]["name"]) for event in hers] == [
        ("create", "deployments", "hers")
    ]
    assert hers[0]["requestObject"]["kind"] == "Deployment"
    assert mutating_requests(events, username="alice", resource="deployments/scale") == []
    assert mutating_requests(events, username="alice", namespace="governor-system") == []
    refused = mutating_requests(events, username="alice", resource="namespaces", include_failed=True)
    assert [event["responseStatus"]["code"] for event in refused] == [403]
    assert mutating_requests(cluster.audit_events(cluster.audit_mark()), username="alice") == []


def test_data_survives_the_api_server_and_etcd(small_cluster: ControlPlane) -> None:
    small_cluster.kubectl("create", "configmap", "note", "--from-literal=text=kept")
    url = small_cluster.url
    small_cluster.stop_apiserver()
    assert "kube-apiserver" not in small_cluster.pids
    with pytest.raises(ConnectionRefusedError):
        small_cluster.request("GET", "/readyz")
    small_cluster.start_apiserver()
    small_cluster.stop_etcd()
    small_cluster.start_etcd()
    assert small_cluster.url == url
    assert read(small_cluster, "configmap", "note")["data"] == {"text": "kept"}


def test_paused_api_server_is_silent_until_resumed(small_cluster: ControlPlane) -> None:
    small_cluster.pause_apiserver()
    try:
        with pytest.raises(TimeoutError):
            small_cluster.request("GET", "/readyz", timeout=0.5)
        assert small_cluster.audit_mark() > 0
    finally:
        small_cluster.resume_apiserver()
    assert small_cluster.request("GET", "/readyz")[0] == 200


def test_two_control_planes_started_at_once_do_not_collide(servers: None) -> None:
    planes = [ControlPlane(controllers=False, nodes=0) for _ in range(2)]
    threads = [threading.Thread(target=plane.start) for plane in planes]
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()  # the threads that started the servers are gone now, and the servers must not be
        first, second = planes
        assert first.url != second.url
        first.kubectl("create", "configmap", "only-here")
        assert second.kubectl("get", "configmap", "only-here", check=False).returncode != 0
        assert first.kubectl("get", "configmap", "only-here").returncode == 0
        assert first.token("admin") != second.token("admin")
    finally:
        for plane in planes:
            plane.stop()


def test_reserved_ports_differ_and_are_nobody_elses() -> None:
    ports = [ReservedPort() for _ in range(20)]
    try:
        assert len({port.number for port in ports}) == 20
        script = "import socket, sys; socket.socket().bind(('127.0.0.1', int(sys.argv[1])))"
        done = subprocess.run([sys.executable, "-c", script, str(ports[0].number)], capture_output=True, text=True, check=False)
        assert "Address already in use" in done.stderr
    finally:
        for port in ports:
            port.release()


def test_killing_the_parent_leaves_no_servers(servers: None, tmp_path: Path) -> None:
    script = (
        "import json, sys, time; from testbed import ControlPlane\n"
        f"cluster = ControlPlane(workdir=__import__('pathlib').Path({str(tmp_path)!r}), nodes=0).__enter__()\n"
        "print(json.dumps(cluster.pids), flush=True); time.sleep(60)"
    )
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).resolve().parents[1])}
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, env=environment) as parent:
        assert parent.stdout is not None
        pids: dict[str, int] = json.loads(parent.stdout.readline())
        assert set(pids) == {"etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kwok"}
        assert all(is_alive(pid) for pid in pids.values())
        parent.send_signal(signal.SIGKILL)
    wait_until(lambda: not any(is_alive(pid) for pid in pids.values()), 5, "all servers to be gone")


def test_failed_start_shows_the_servers_last_words_and_leaves_nothing(
    servers: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text("kind: Nonsense\napiVersion: audit.k8s.io/v1\n")
    monkeypatch.setattr(commands, "AUDIT_POLICY", policy)
    plane = ControlPlane(controllers=False)
    with pytest.raises(ControlPlaneError, match=r"(?s)kube-apiserver ended with exit code 1.*Nonsense"):
        plane.start()
    assert plane.pids == {}
    plane.stop()


def test_wait_until_says_what_it_waited_for() -> None:
    with pytest.raises(TimeoutError, match=r"waited 0\.1 s for the moon; the last answer was \[\]"):
        wait_until(list, 0.1, "the moon")
