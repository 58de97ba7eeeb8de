"""The connection to the API server, against a real HTTP server on loopback that answers as it is told to."""

import asyncio
import copy
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar

import aiohttp
import pytest
import yaml
from aiohttp import web

from safety_governor.adapters.kubernetes import actuator, guardrails, incidents, lease, workloads
from safety_governor.adapters.kubernetes.api import PAGE, Api, InvalidError, NotFoundError
from safety_governor.api import group
from safety_governor.domain import errors, marks, plans, requests, rollouts, values
from safety_governor.domain.values import ActionType
from safety_governor.domain.workloads import Disruptions, Scene
from support.builders import an_incident
from support.fakes import NOON
from support.ports import free_port

TIMEOUT = aiohttp.ClientTimeout(total=0.3, connect=0.3)
PATIENT = aiohttp.ClientTimeout(total=20)
"""For everything that is answered, however busy the machine is."""
PATH = "/apis/example/v1/things/one"
KEY = "sha256:" + "a" * 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One request as it came in."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: Any


@dataclass
class ApiServer:
    """Answers from a queue, and with an empty object when it is empty; keeps what it was asked."""

    url: str = ""
    asked: list[Asked] = field(default_factory=list)
    answers: list[Callable[[web.Request], Awaitable[web.Response]]] = field(default_factory=list)
    kept: dict[str, Any] = field(default_factory=dict)
    """Objects by their path; when there are any, what is not among them is not there."""
    broken: set[str] = field(default_factory=set)
    """Paths of which nothing can be read."""

    def answer(self, status: int = 200, body: object = None, *, text: str | None = None, headers: dict[str, str] | None = None) -> None:
        """What it answers next."""

        async def reply(_: web.Request) -> web.Response:
            return web.Response(status=status, text=json.dumps(body if body is not None else {}) if text is None else text, headers=headers)

        self.answers.append(reply)

    def refuse(self, status: int, message: str, **options: Any) -> None:
        """What it answers next, in the form of a Kubernetes Status about an object."""
        about = {"details": {"name": "x"}}
        self.answer(status, {"kind": "Status", "status": "Failure", "message": message, "code": status, **about}, **options)

    def hang(self) -> None:
        """It takes the next request and says nothing."""

        async def silence(_: web.Request) -> web.Response:
            await asyncio.sleep(30)
            return web.Response()

        self.answers.append(silence)

    async def handle(self, request: web.Request) -> web.Response:
        text = await request.text()
        self.asked.append(
            Asked(
                method=request.method,
                path=request.path,
                query=dict(request.query),
                headers=dict(request.headers),
                body=json.loads(text) if text else None,
            )
        )
        if self.answers:
            return await self.answers.pop(0)(request)
        if request.path in self.broken:
            return web.json_response({"message": "etcd is down"}, status=500)
        if self.kept and request.path not in self.kept:
            return web.json_response({"message": "not found", "details": {"name": "x"}}, status=404)
        return web.json_response(self.kept.get(request.path, {}))


@asynccontextmanager
async def serving(handler: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> AsyncIterator[str]:
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", handler)
    running = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
    await running.setup()
    port = free_port()
    await web.TCPSite(running, "127.0.0.1", port).start()
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        await running.cleanup()


def kubeconfig(folder: Path, url: str, *, namespace: str | None = None) -> str:
    body = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "here", "cluster": {"server": url}}],
        "users": [{"name": "me", "user": {"token": "secret-token"}}],
        "contexts": [{"name": "here", "context": {"cluster": "here", "user": "me", **({"namespace": namespace} if namespace else {})}}],
        "current-context": "here",
    }
    path = folder / "kubeconfig"
    path.write_text(yaml.safe_dump(body))
    return str(path)


@pytest.fixture
async def server() -> AsyncIterator[ApiServer]:
    one = ApiServer()
    async with serving(one.handle) as url:
        one.url = url
        yield one


@pytest.fixture
async def api(server: ApiServer, tmp_path: Path) -> AsyncIterator[Api]:
    connection = await Api.connect(kubeconfig=kubeconfig(tmp_path, server.url), limits=PATIENT)
    yield connection
    await connection.close()


FAILURES: dict[str, tuple[int, type[errors.GovernorError]]] = {
    "400 is refused as invalid": (400, InvalidError),
    "401 is tried again, as the token may just have been replaced": (401, errors.ClusterUnavailableError),
    "403 is waited for when something is read, as rights may come back": (403, errors.ClusterUnavailableError),
    "404 is not there": (404, NotFoundError),
    "405 is refused": (405, errors.ClusterRefusedError),
    "408 is tried again": (408, errors.ClusterUnavailableError),
    "409 is a conflict": (409, errors.ConflictError),
    "410 is tried again, as a collection changed while it was read": (410, errors.ClusterUnavailableError),
    "413 is refused": (413, errors.ClusterRefusedError),
    "422 is refused as invalid": (422, InvalidError),
    "429 is tried again": (429, errors.ClusterUnavailableError),
    "500 is tried again": (500, errors.ClusterUnavailableError),
    "502 is tried again": (502, errors.ClusterUnavailableError),
    "503 is tried again": (503, errors.ClusterUnavailableError),
    "504 is tried again": (504, errors.ClusterUnavailableError),
}


_CLUSTER = """
clusters: [{{name: a, cluster: {{server: "https://127.0.0.1:1", {ca}}}}}]
users: [{{name: a, user: {{token: t}}}}]
contexts: [{{name: a, context: {{cluster: a, user: a}}}}]
current-context: a
"""
_WITHOUT_CA = _CLUSTER.format(ca="certificate-authority: /nowhere/ca.crt")
_WITH_BROKEN_CA = _CLUSTER.format(ca="certificate-authority-data: '!!!'")


class TestFailure:
    @pytest.mark.parametrize(("status", "kind"), FAILURES.values(), ids=FAILURES.keys())
    async def test_with_status(self, status: int, kind: type[errors.GovernorError], server: ApiServer, api: Api) -> None:
        server.refuse(status, "things are not for you")
        with pytest.raises(errors.GovernorError) as caught:
            await api.get(PATH)
        assert type(caught.value) is kind
        assert f"the API server answered {status} to GET {PATH}: things are not for you" in str(caught.value)
        assert ("the incident waits" in str(caught.value)) == isinstance(caught.value, errors.RetryableError)
        assert len(server.asked) == 1

    async def test_with_status_403_of_a_write_is_refused(self, server: ApiServer, api: Api) -> None:
        server.refuse(403, "things are not for you")
        with pytest.raises(errors.ClusterRefusedError, match="things are not for you"):
            await api.patch(PATH, {})

    @pytest.mark.parametrize(("header", "seconds"), [("7", 7.0), ("0", 0.0), ("soon", None), ("-1", None), (None, None)])
    async def test_that_asks_to_come_back_later_says_when(
        self, header: str | None, seconds: float | None, server: ApiServer, api: Api
    ) -> None:
        server.refuse(429, "too many requests", headers={"Retry-After": header} if header else None)
        with pytest.raises(errors.ClusterUnavailableError) as caught:
            await api.get(PATH)
        assert caught.value.retry_after == seconds

    @pytest.mark.parametrize("text", ["", "upstream connect error", "[]", "null", '"no"', "<html>\x00</html>", "{"])
    async def test_without_a_status_object_tells_what_there_is(self, text: str, server: ApiServer, api: Api) -> None:
        server.answer(503, text=text)
        with pytest.raises(errors.ClusterUnavailableError, match="the API server answered 503 to GET"):
            await api.get(PATH)

    @pytest.mark.parametrize("text", ["", "<html>Please log in</html>", '{"kind": "Depl'])
    async def test_that_looks_like_success_is_not_believed(self, text: str, server: ApiServer, api: Api) -> None:
        server.answer(200, text=text)
        with pytest.raises(errors.ClusterUnavailableError, match=rf"answered GET {PATH} with other than JSON"):
            await api.get(PATH)

    async def test_to_answer_in_time_is_tried_again(self, server: ApiServer, tmp_path: Path) -> None:
        hurried = await Api.connect(kubeconfig=kubeconfig(tmp_path, server.url), limits=TIMEOUT)
        server.hang()
        with pytest.raises(errors.ClusterUnavailableError, match=rf"the API server does not answer \(GET {PATH}: .*Timeout"):
            await hurried.get(PATH)
        await hurried.close()

    async def test_to_connect_is_tried_again(self, tmp_path: Path) -> None:
        nobody = await Api.connect(kubeconfig=kubeconfig(tmp_path, f"http://127.0.0.1:{free_port()}"), limits=TIMEOUT)
        with pytest.raises(errors.ClusterUnavailableError, match="the API server does not answer"):
            await nobody.get(PATH)
        await nobody.close()

    async def test_in_the_middle_of_an_answer_is_tried_again(self, tmp_path: Path) -> None:
        async def cut_off(request: web.Request) -> web.StreamResponse:
            response = web.StreamResponse(headers={"Content-Length": "1000"})
            await response.prepare(request)
            await response.write(b'{"kind": ')
            assert request.transport is not None
            request.transport.close()
            return response

        async with serving(cut_off) as url:
            connection = await Api.connect(kubeconfig=kubeconfig(tmp_path, url), limits=TIMEOUT)
            with pytest.raises(errors.ClusterUnavailableError, match="does not answer"):
                await connection.get(PATH)
            await connection.close()

    async def test_never_tells_the_token(self, server: ApiServer, api: Api) -> None:
        server.refuse(401, "Unauthorized")
        with pytest.raises(errors.ClusterUnavailableError) as caught:
            await api.get(PATH)
        assert "secret-token" not in str(caught.value)
        assert "secret-token" not in repr(await api.credentials())

    @pytest.mark.parametrize(
        "content",
        [
            "",
            "not: [yaml",
            "just words",
            "apiVersion: v1\nkind: Config\n",
            "{contexts: [], clusters: [], users: [], current-context: nowhere}",
            _WITHOUT_CA,
            _WITH_BROKEN_CA,
        ],
        ids=["empty", "not YAML", "words", "nothing in it", "no such context", "no such CA file", "CA that is none"],
    )
    async def test_to_read_the_kubeconfig_is_told_in_a_sentence(self, content: str, tmp_path: Path) -> None:
        path = tmp_path / "broken"
        path.write_text(content)
        with pytest.raises(errors.ConfigurationError, match="no connection to a cluster"):
            await Api.connect(kubeconfig=str(path))

    async def test_to_find_the_kubeconfig_is_told_in_a_sentence(self, tmp_path: Path) -> None:
        with pytest.raises(errors.ConfigurationError, match=r"no connection to a cluster: .*--kubeconfig"):
            await Api.connect(kubeconfig=str(tmp_path / "missing"))


class TestRequest:
    async def test_carries_the_token_and_nobody_else(self, server: ApiServer, api: Api) -> None:
        await api.get(PATH, query={"limit": "5"})
        [asked] = server.asked
        assert asked.headers["Authorization"] == "Bearer secret-token"
        assert "Impersonate-User" not in asked.headers
        assert asked.query == {"limit": "5"}

    @pytest.mark.parametrize("method", ["post", "put", "patch"])
    async def test_that_writes_names_the_field_manager_and_is_strict(self, method: str, server: ApiServer, api: Api) -> None:
        await getattr(api, method)(PATH, {"spec": {"a": 1}})
        [asked] = server.asked
        assert asked.query == {"fieldManager": group.FIELD_MANAGER, "fieldValidation": "Strict"}
        assert (asked.method, asked.body) == (method.upper(), {"spec": {"a": 1}})

    async def test_that_patches_is_a_merge_patch(self, server: ApiServer, api: Api) -> None:
        await api.patch(PATH, {})
        assert server.asked[0].headers["Content-Type"] == "application/merge-patch+json"

    @pytest.mark.parametrize("method", ["post", "patch"])
    async def test_in_a_dry_run_says_so(self, method: str, server: ApiServer, api: Api) -> None:
        await getattr(api, method)(PATH, {}, dry_run=True)
        assert server.asked[0].query["dryRun"] == "All"

    async def test_on_behalf_of_another_impersonates_only_once(self, server: ApiServer, api: Api) -> None:
        await api.patch(PATH, {}, impersonate="system:serviceaccount:shop:governor-executor")
        await api.patch(PATH, {})
        first, second = server.asked
        assert first.headers["Impersonate-User"] == "system:serviceaccount:shop:governor-executor"
        assert "Impersonate-User" not in second.headers


EXECUTOR = "system:serviceaccount:shop:governor-executor"
TARGET = plans.Target(name="checkout")
NAMESPACED = "/apis/{}/namespaces/shop/{}"
DEPLOYMENT = NAMESPACED.format("apps/v1", "deployments/checkout")
REPLICA_SETS = NAMESPACED.format("apps/v1", "replicasets")
PODS = "/api/v1/namespaces/shop/pods"
SERVICE_ACCOUNT = "/api/v1/namespaces/shop/serviceaccounts/governor-executor"
BUDGETS = NAMESPACED.format("policy/v1", "poddisruptionbudgets")
AUTOSCALERS = NAMESPACED.format("autoscaling/v2", "horizontalpodautoscalers")
CRON_JOB = NAMESPACED.format("batch/v1", "cronjobs/report")
JOB = NAMESPACED.format("batch/v1", f"jobs/gov-{'a' * 12}")


def a_step(kind: values.ActionType, **parameters: str) -> plans.Step:
    return plans.Step(id="step-1", type=kind, parameters=parameters)


def an_object(name: str, *, owner: str = "", **parts: Any) -> dict[str, Any]:
    owners = [{"kind": "x", "name": "x", "uid": owner, "controller": True}] if owner else []
    return {"metadata": {"name": name, "uid": f"uid-{name}", "ownerReferences": owners, **parts.pop("metadata", {})}, **parts}


def a_deployment(**metadata: Any) -> dict[str, Any]:
    template = {"metadata": {"labels": {"app": "checkout"}}, "spec": {"containers": []}}
    return {
        "kind": "Deployment",
        "metadata": {"name": "checkout", "uid": "uid-checkout", "resourceVersion": "42", "generation": 3, **metadata},
        "spec": {"replicas": 2, "selector": {"matchLabels": {"app": "checkout"}}, "template": template},
        "status": {"observedGeneration": 3, "replicas": 2, "updatedReplicas": 2, "availableReplicas": 1},
    }


def a_pod(name: str, owner: str, **status: Any) -> dict[str, Any]:
    return an_object(name, owner=owner, metadata={"creationTimestamp": "2026-03-01T12:00:00Z"}, status=status)


def a_replica_set(name: str, owner: str, *, revision: int = 1) -> dict[str, Any]:
    template = {"metadata": {"labels": {"app": "checkout", "pod-template-hash": name}}, "spec": {"containers": []}}
    annotations = {"deployment.kubernetes.io/revision": str(revision)}
    return an_object(name, owner=owner, metadata={"annotations": annotations}, spec={"template": template})


class TestLook:
    """What is around the target is only read when the step has to see it."""

    @pytest.fixture
    def cluster(self, server: ApiServer) -> ApiServer:
        """A Deployment with two ReplicaSets, three pods and strangers of the same labels."""
        old, new = (a_replica_set(name, "uid-checkout", revision=number) for number, name in enumerate(("old", "new"), start=1))
        server.kept = {
            DEPLOYMENT: a_deployment(),
            SERVICE_ACCOUNT: an_object("governor-executor"),
            REPLICA_SETS: {"items": [old, a_replica_set("foreign", "uid-other", revision=9), new]},
            PODS: {
                "items": [
                    a_pod("a", "uid-new"),
                    a_pod("b", "uid-old", phase="Running"),
                    a_pod("of-a-stranger", "uid-foreign"),
                    a_pod("of-nobody", ""),
                    a_pod("driven-out", "uid-new", phase="Failed"),
                    a_pod("finished", "uid-new", phase="Succeeded"),
                ]
            },
            AUTOSCALERS: {"items": []},
            BUDGETS: {"items": []},
            CRON_JOB: an_object("report", spec={"jobTemplate": {"spec": {"template": {}}}}),
        }
        return server

    async def look(self, api: Api, step: plans.Step | None = None, *, target: plans.Target = TARGET, key: str = "") -> Scene:
        found = await workloads.ClusterWorkloads(api).look("shop", target, step=step, key=key)
        assert found is not None
        return found

    async def test_reads_the_target_with_its_figures(self, cluster: ApiServer, api: Api) -> None:
        cluster.kept[DEPLOYMENT] = a_deployment(annotations={marks.LAST_ACTION: KEY, "example.com/team": "shop"})
        found = (await self.look(api)).target
        assert (found.kind, found.name, found.uid, found.resource_version) == ("Deployment", "checkout", "uid-checkout", "42")
        assert found.marks == {marks.LAST_ACTION: KEY}
        figures = {"generation": 3, "observed_generation": 3, "wanted": 2, "replicas": 2, "updated": 2, "available": 1}
        assert found.rollout == rollouts.Observed.model_validate(figures)

    async def test_reads_as_the_operator_itself(self, cluster: ApiServer, api: Api) -> None:
        await self.look(api, a_step(ActionType.SCALE, replicas="1"))
        assert {one.method for one in cluster.asked} == {"GET"}
        assert not any("Impersonate-User" in one.headers for one in cluster.asked)

    async def test_finds_the_pods_that_are_its_own_and_have_not_ended(self, cluster: ApiServer, api: Api) -> None:
        scene = await self.look(api)
        assert scene.pods is not None
        assert [one.name for one in scene.pods] == ["a", "b"]
        [asked] = [one for one in cluster.asked if one.path == PODS]
        assert asked.query["labelSelector"] == "app=checkout"

    async def test_tells_whether_somebody_may_act_in_the_namespace(self, cluster: ApiServer, api: Api) -> None:
        assert (await self.look(api)).executor_exists
        del cluster.kept[SERVICE_ACCOUNT]
        assert not (await self.look(api)).executor_exists

    async def test_for_no_step_reads_nothing_that_only_a_step_would_see(self, cluster: ApiServer, api: Api) -> None:
        scene = await self.look(api)
        assert (scene.revisions, scene.autoscaler, scene.other_nodes, scene.job_template, scene.job) == (None, None, None, None, None)
        assert AUTOSCALERS not in {one.path for one in cluster.asked}

    async def test_for_an_undo_finds_the_own_revisions_the_newest_first(self, cluster: ApiServer, api: Api) -> None:
        scene = await self.look(api, a_step(ActionType.ROLLOUT_UNDO))
        assert scene.revisions is not None
        assert [(one.name, one.number) for one in scene.revisions] == [("new", 2), ("old", 1)]
        assert scene.revisions[0].template_hash == scene.target.template_hash

    @pytest.mark.parametrize("kind", ["StatefulSet", "DaemonSet"])
    async def test_for_an_undo_of_another_kind_finds_its_controller_revisions(self, kind: str, cluster: ApiServer, api: Api) -> None:
        body = {**a_deployment(), "kind": kind}
        template = {**body["spec"]["template"], "$patch": "replace"}
        kept = [an_object(str(number), owner="uid-checkout", revision=number, data={"spec": {"template": template}}) for number in (1, 2)]
        cluster.kept[NAMESPACED.format("apps/v1", f"{kind.lower()}s/checkout")] = body
        cluster.kept[NAMESPACED.format("apps/v1", "controllerrevisions")] = {"items": kept}
        cluster.kept[PODS] = {"items": [a_pod("own", "uid-checkout"), a_pod("foreign", "uid-new")]}
        scene = await self.look(api, a_step(ActionType.ROLLOUT_UNDO), target=plans.Target(kind=kind, name="checkout"))
        assert scene.revisions is not None
        assert scene.pods is not None
        assert [one.number for one in scene.revisions] == [2, 1]
        assert scene.revisions[0].template_hash == scene.target.template_hash
        assert [one.name for one in scene.pods] == ["own"]

    AUTOSCALED: ClassVar[dict[str, tuple[list[dict[str, Any]], str]]] = {
        "nobody": ([], ""),
        "one of another workload": ([{"kind": "Deployment", "name": "cart"}], ""),
        "one of another kind": ([{"kind": "StatefulSet", "name": "checkout"}], ""),
        "its own": ([{"kind": "Deployment", "name": "cart"}, {"kind": "Deployment", "name": "checkout"}], "HorizontalPodAutoscaler/hpa-1"),
    }

    @pytest.mark.parametrize(("references", "told"), AUTOSCALED.values(), ids=AUTOSCALED.keys())
    async def test_for_a_scale_finds_who_decides(self, references: list[dict[str, Any]], told: str, cluster: ApiServer, api: Api) -> None:
        items = [an_object(f"hpa-{number}", spec={"scaleTargetRef": one}) for number, one in enumerate(references)]
        cluster.kept[AUTOSCALERS] = {"items": items}
        assert (await self.look(api, a_step(ActionType.SCALE, replicas="1"))).autoscaler == told

    async def test_for_a_scale_names_the_scaler_behind_the_autoscaler(self, cluster: ApiServer, api: Api) -> None:
        behind = {"ownerReferences": [{"kind": "ScaledObject", "name": "queue", "uid": "u", "controller": True}]}
        hpa = an_object("keda", metadata=behind, spec={"scaleTargetRef": {"kind": "Deployment", "name": "checkout"}})
        cluster.kept[AUTOSCALERS] = {"items": [hpa]}
        told = "HorizontalPodAutoscaler/keda of KEDA's ScaledObject/queue"
        assert (await self.look(api, a_step(ActionType.SCALE, replicas="1"))).autoscaler == told

    async def test_before_pods_go_finds_the_tightest_budget_over_them(self, cluster: ApiServer, api: Api) -> None:
        restart = a_step(ActionType.ROLLOUT_RESTART)
        assert (await self.look(api, restart)).disruptions is None
        over_all: dict[str, Any] = {"selector": {"matchLabels": {"app": "checkout"}}}
        cluster.kept[BUDGETS] = {
            "items": [
                an_object("loose", spec=over_all, status={"disruptionsAllowed": 2}),
                an_object("tight", spec=over_all, status={"disruptionsAllowed": 1}),
                an_object("of-nothing", spec={}, status={"disruptionsAllowed": 0}),
            ]
        }
        assert (await self.look(api, restart)).disruptions == Disruptions(budget="tight", allowed=1)
        cluster.kept[BUDGETS] = {"items": [an_object("new", spec=over_all)]}
        assert (await self.look(api, restart)).disruptions == Disruptions(budget="new", allowed=0)
        # What is claimed already has been asked about.
        assert (await self.look(api, restart, key=KEY)).disruptions is None

    async def test_for_a_cordon_counts_the_other_nodes_that_take_pods(self, cluster: ApiServer, api: Api) -> None:
        ready, sick = ({"conditions": [{"type": "Ready", "status": state}]} for state in ("True", "Unknown"))
        taint = [{"key": "role", "effect": "NoSchedule"}]
        cluster.kept["/api/v1/nodes/node-1"] = an_object("node-1", metadata={"resourceVersion": "1"}, spec={}, status=ready)
        cluster.kept["/api/v1/nodes"] = {
            "items": [
                an_object("node-1", spec={}, status=ready),
                an_object("well", spec={}, status=ready),
                an_object("preferred-elsewhere", spec={"taints": [{"effect": "PreferNoSchedule"}]}, status=ready),
                an_object("cordoned", spec={"unschedulable": True}, status=ready),
                an_object("tainted", spec={"taints": taint}, status=ready),
                an_object("sick", spec={}, status=sick),
                an_object("unheard-of", spec={}),
            ]
        }
        scene = await self.look(api, a_step(ActionType.CORDON), target=plans.Target(kind="Node", name="node-1"))
        assert (scene.other_nodes, scene.pods, scene.target.unschedulable) == (2, None, False)

    async def test_for_a_job_finds_its_template_and_the_job_that_bears_the_key(self, cluster: ApiServer, api: Api) -> None:
        step = a_step(ActionType.RUN_JOB, template="report")
        first = await self.look(api, step)
        assert first.job_template is not None
        assert (first.job_template.name, first.job) == ("report", None)
        assert (await self.look(api, step, key=KEY)).job is None
        cluster.kept[JOB] = an_object(f"gov-{'a' * 12}", metadata={"annotations": {marks.LAST_ACTION: KEY}})
        found = (await self.look(api, step, key=KEY)).job
        assert found is not None
        assert found.name == f"gov-{'a' * 12}"

    async def test_for_a_job_does_not_take_another_of_the_name_for_its_own(self, cluster: ApiServer, api: Api) -> None:
        cluster.kept[JOB] = an_object(f"gov-{'a' * 12}", metadata={"annotations": {marks.LAST_ACTION: "sha256:" + "b" * 64}})
        assert (await self.look(api, a_step(ActionType.RUN_JOB, template="report"), key=KEY)).job is None

    @pytest.mark.parametrize("parameters", [{}, {"template": ""}, {"template": "../../secrets/x"}])
    async def test_for_a_job_of_a_step_that_is_wrong_asks_for_no_template(
        self, parameters: dict[str, str], cluster: ApiServer, api: Api
    ) -> None:
        scene = await self.look(api, a_step(ActionType.RUN_JOB, **parameters))
        assert (scene.job_template, scene.job) == (None, None)
        assert not any("cronjobs" in one.path or "secrets" in one.path for one in cluster.asked)

    async def test_for_a_job_whose_template_has_gone_says_so(self, cluster: ApiServer, api: Api) -> None:
        del cluster.kept[CRON_JOB]
        assert (await self.look(api, a_step(ActionType.RUN_JOB, template="report"))).job_template is None

    SELECTORS: ClassVar[dict[str, tuple[dict[str, Any], str]]] = {
        "labels": ({"matchLabels": {"app": "checkout", "tier": "web"}}, "app=checkout,tier=web"),
        "one of several": ({"matchExpressions": [{"key": "app", "operator": "In", "values": ["a", "b"]}]}, "app in (a,b)"),
        "none of several": ({"matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["a"]}]}, "app notin (a)"),
        "any": ({"matchExpressions": [{"key": "app", "operator": "Exists"}]}, "app"),
        "none": ({"matchExpressions": [{"key": "app", "operator": "DoesNotExist"}]}, "!app"),
        "both": ({"matchLabels": {"a": "b"}, "matchExpressions": [{"key": "c", "operator": "Exists"}]}, "a=b,c"),
    }

    @pytest.mark.parametrize(("selector", "text"), SELECTORS.values(), ids=SELECTORS.keys())
    async def test_asks_for_pods_by_the_selector(self, selector: dict[str, Any], text: str, cluster: ApiServer, api: Api) -> None:
        cluster.kept[DEPLOYMENT]["spec"]["selector"] = selector
        await self.look(api)
        assert {one.query["labelSelector"] for one in cluster.asked if one.path in (PODS, REPLICA_SETS)} == {text}

    @pytest.mark.parametrize("selector", [None, {}])
    async def test_without_a_selector_has_no_pods_and_not_all_of_them(
        self, selector: dict[str, Any] | None, cluster: ApiServer, api: Api
    ) -> None:
        cluster.kept[DEPLOYMENT]["spec"]["selector"] = selector
        assert (await self.look(api)).pods == ()

    async def test_at_what_is_not_there_finds_none(self, cluster: ApiServer, api: Api) -> None:
        assert await workloads.ClusterWorkloads(api).look("shop", plans.Target(name="other")) is None

    @pytest.mark.parametrize("path", [DEPLOYMENT, SERVICE_ACCOUNT, PODS, REPLICA_SETS, AUTOSCALERS])
    async def test_that_cannot_be_completed_is_not_taken_for_nothing(self, path: str, cluster: ApiServer, api: Api) -> None:
        cluster.broken = {path}
        with pytest.raises(errors.ClusterUnavailableError):
            await self.look(api, a_step(ActionType.SCALE, replicas="1"))

    @pytest.mark.parametrize(
        ("kind", "name"),
        [
            ("CronJob", "report"),
            ("Deployment", "./checkout"),
            ("Deployment", "../deployments/checkout"),
            ("Deployment", "checkout?x=1"),
            ("Deployment", "checkout#x"),
            ("Deployment", "Checkout"),
            ("Deployment", "checkout/scale"),
            ("Deployment", "check%6fut"),
            ("Deployment", "checkout\n"),
        ],
    )
    async def test_at_what_cannot_exist_finds_none_and_asks_nobody(self, kind: str, name: str, cluster: ApiServer, api: Api) -> None:
        """Such a name would lead to another object, past the guard-rails of that one."""
        assert await workloads.ClusterWorkloads(api).look("shop", plans.Target(kind=kind, name=name)) is None
        assert cluster.asked == []


BODY = {"metadata": {"resourceVersion": "42", "annotations": {marks.LAST_ACTION: KEY}}, "spec": {"replicas": 3}}
JSON_BODY: list[dict[str, Any]] = [
    {"op": "replace", "path": "/metadata/resourceVersion", "value": "42"},
    {"op": "replace", "path": "/spec/template", "value": {"spec": {}}},
]
SCALE = requests.Patch(kind="Deployment", name="checkout", style=requests.PatchStyle.MERGE, body=BODY)
UNDO = requests.Patch(kind="StatefulSet", name="db", style=requests.PatchStyle.JSON, body=JSON_BODY)
APPLY = requests.Patch(kind="DaemonSet", name="agent", style=requests.PatchStyle.APPLY, body=BODY, manager="safety-governor-1a2b3c4d")
CORDON = requests.Patch(kind="Node", name="node-1", style=requests.PatchStyle.MERGE, body=BODY)
CREATE = requests.Create(kind="Job", name="gov-1", body={"metadata": {"name": "gov-1"}})
EVICT = requests.Evict(pod="checkout-1", uid="uid-1")
EVICTION = {
    "apiVersion": "policy/v1",
    "kind": "Eviction",
    "metadata": {"name": "checkout-1", "namespace": "shop"},
    "deleteOptions": {"preconditions": {"uid": "uid-1"}},
}


class TestActuator:
    """The hands: always in the name of the executor of the namespace."""

    SENT: ClassVar[dict[str, tuple[requests.Request, str, str, str, str, Any]]] = {
        "a merge patch": (SCALE, "PATCH", DEPLOYMENT, "application/merge-patch+json", "safety-governor", BODY),
        "a JSON patch": (
            UNDO,
            "PATCH",
            NAMESPACED.format("apps/v1", "statefulsets/db"),
            "application/json-patch+json",
            "safety-governor",
            JSON_BODY,
        ),
        "an apply": (
            APPLY,
            "PATCH",
            NAMESPACED.format("apps/v1", "daemonsets/agent"),
            "application/apply-patch+yaml",
            "safety-governor-1a2b3c4d",
            BODY,
        ),
        "a patch of a node": (CORDON, "PATCH", "/api/v1/nodes/node-1", "application/merge-patch+json", "safety-governor", BODY),
        "a creation": (
            CREATE,
            "POST",
            NAMESPACED.format("batch/v1", "jobs"),
            "application/json",
            "safety-governor",
            {"metadata": {"name": "gov-1"}},
        ),
        "an eviction": (EVICT, "POST", f"{PODS}/checkout-1/eviction", "application/json", "safety-governor", EVICTION),
    }

    @pytest.mark.parametrize(("request_", "method", "path", "content", "manager", "body"), SENT.values(), ids=SENT.keys())
    async def test_sends_as_the_executor(
        self, request_: requests.Request, method: str, path: str, content: str, manager: str, body: Any, server: ApiServer, api: Api
    ) -> None:
        await actuator.ClusterActuator(api).act("shop", request_)
        [asked] = server.asked
        assert (asked.method, asked.path, asked.body) == (method, path, body)
        assert asked.headers["Content-Type"] == content
        assert asked.headers["Impersonate-User"] == EXECUTOR
        assert asked.query == {"fieldManager": manager, "fieldValidation": "Strict"}

    @pytest.mark.parametrize("request_", [SCALE, UNDO, APPLY, CORDON, CREATE, EVICT], ids=lambda one: type(one).__name__)
    async def test_tries_the_same_without_a_version(self, request_: requests.Request, server: ApiServer, api: Api) -> None:
        """A dry run is to show what would change, not to lose races."""
        hands = actuator.ClusterActuator(api)
        server.answer(body={"spec": {"replicas": 3}})
        assert await hands.dry_run("shop", request_) == {"spec": {"replicas": 3}}
        await hands.act("shop", request_)
        tried, done = server.asked
        assert tried.query == {**done.query, "dryRun": "All"}
        assert (tried.method, tried.path) == (done.method, done.path)
        assert (tried.headers["Content-Type"], tried.headers["Impersonate-User"]) == (done.headers["Content-Type"], EXECUTOR)
        assert "resourceVersion" not in json.dumps(tried.body)
        if isinstance(request_, requests.Patch):
            assert "resourceVersion" in json.dumps(done.body)

    @pytest.mark.parametrize("request_", [SCALE, UNDO])
    async def test_leaves_the_request_as_it_is_when_it_tries_it(self, request_: requests.Patch, server: ApiServer, api: Api) -> None:
        before = copy.deepcopy(request_)
        await actuator.ClusterActuator(api).dry_run("shop", request_)
        assert request_ == before

    REFUSALS: ClassVar[dict[str, tuple[requests.Request, int, list[str], type[errors.GovernorError]]]] = {
        "a version that is not current": (SCALE, 409, [], errors.ConflictError),
        "a field that somebody else owns": (APPLY, 409, ["FieldManagerConflict"], errors.ClusterRefusedError),
        "a target that is gone": (SCALE, 404, [], errors.ConflictError),
        "a Job that is there already": (CREATE, 409, [], errors.ConflictError),
        "a namespace that is gone": (CREATE, 404, [], NotFoundError),
        "a pod that is gone": (EVICT, 404, [], errors.ConflictError),
        "a pod of another uid": (EVICT, 409, [], errors.ConflictError),
        "a pod that a budget spares": (EVICT, 429, ["DisruptionBudget"], errors.DisruptionRefusedError),
        "too many requests": (EVICT, 429, [], errors.ClusterUnavailableError),
        "a right that the executor lacks": (SCALE, 403, [], errors.ForbiddenError),
        "an invalid object": (APPLY, 422, ["FieldValueInvalid"], InvalidError),
        "an API server that is not well": (SCALE, 503, [], errors.ClusterUnavailableError),
    }

    @pytest.mark.parametrize("dry", [True, False], ids=["dry run", "act"])
    @pytest.mark.parametrize(("request_", "status", "causes", "kind"), REFUSALS.values(), ids=REFUSALS.keys())
    async def test_tells_by_its_class_what_is_refused_because_of(
        self,
        request_: requests.Request,
        status: int,
        causes: list[str],
        kind: type[errors.GovernorError],
        dry: bool,
        server: ApiServer,
        api: Api,
    ) -> None:
        details = {"name": "x", "causes": [{"reason": one, "message": "m"} for one in causes]}
        server.answer(status, {"kind": "Status", "message": "no, because.", "details": details})
        hands = actuator.ClusterActuator(api)
        with pytest.raises(errors.GovernorError, match="no, because") as caught:
            await (hands.dry_run if dry else hands.act)("shop", request_)
        assert type(caught.value) is kind

    async def test_does_not_call_automation_through_the_api_server(self, server: ApiServer, api: Api) -> None:
        with pytest.raises(errors.ClusterRefusedError, match="webhook"):
            await actuator.ClusterActuator(api).act("shop", requests.Call(webhook="failover", key=KEY, body={}))
        assert server.asked == []


class TestList:
    async def test_goes_on_until_the_last_page(self, server: ApiServer, api: Api) -> None:
        for names, following in ((("a", "b"), "more?&="), (("c",), "end"), ((), "")):
            server.answer(body={"metadata": {"continue": following}, "items": [{"metadata": {"name": one}} for one in names]})
        found = await api.list(PATH, query={"labelSelector": "app in (a,b),!c"})
        assert [one["metadata"]["name"] for one in found] == ["a", "b", "c"]
        asked = [one.query for one in server.asked]
        assert asked == [
            {"labelSelector": "app in (a,b),!c", "limit": str(PAGE)},
            {"labelSelector": "app in (a,b),!c", "limit": str(PAGE), "continue": "more?&="},
            {"labelSelector": "app in (a,b),!c", "limit": str(PAGE), "continue": "end"},
        ]

    @pytest.mark.parametrize("body", [{}, {"items": None}, {"items": [], "metadata": {}}])
    async def test_of_nothing_is_empty(self, body: dict[str, Any], server: ApiServer, api: Api) -> None:
        server.answer(body=body)
        assert await api.list(PATH) == []

    async def test_that_changed_while_it_was_read_is_no_answer(self, server: ApiServer, api: Api) -> None:
        """Half a collection is not the collection; it is read anew at the next look."""
        server.answer(body={"metadata": {"continue": "more"}, "items": [{"metadata": {"name": "a"}}]})
        server.refuse(410, "the provided continue parameter is too old")
        with pytest.raises(errors.ClusterUnavailableError, match="too old; the incident waits and is tried again"):
            await api.list(PATH)


class TestIncidents:
    async def test_status_is_written_against_the_version_that_was_read(self, server: ApiServer, api: Api) -> None:
        incident = an_incident()
        read = incident.model_copy(update={"metadata": incident.metadata.model_copy(update={"resource_version": "17"})})
        server.answer(body=read.model_dump(mode="json"))
        await incidents.ClusterIncidents(api, reporter="me").record_status(read, read.status)
        [asked] = server.asked
        assert (asked.method, asked.path.rpartition("/incidents/")[2]) == ("PUT", "slow/status")
        assert asked.body["metadata"]["resourceVersion"] == "17"
        assert "Impersonate-User" not in asked.headers

    async def test_field_of_a_newer_version_is_passed_over(self, server: ApiServer, api: Api) -> None:
        body = an_incident().model_dump(mode="json")
        body["spec"]["weather"] = "fine"
        body["metadata"]["labels"] = {"a": "b"}
        server.answer(body=body)
        found = await incidents.ClusterIncidents(api, reporter="me").find("shop", "slow")
        assert found is not None
        assert found.spec == an_incident().spec

    @pytest.mark.parametrize(
        "text", ["404 page not found", '{"kind":"Status","message":"the server could not find the requested resource"}']
    )
    async def test_resource_that_the_server_does_not_know_now_is_not_a_deleted_incident(
        self, text: str, server: ApiServer, api: Api
    ) -> None:
        server.answer(404, text=text)
        with pytest.raises(errors.ClusterUnavailableError):
            await incidents.ClusterIncidents(api, reporter="me").find("shop", "slow")

    async def test_deleted_incident_is_none(self, server: ApiServer, api: Api) -> None:
        server.refuse(404, "not found")
        assert await incidents.ClusterIncidents(api, reporter="me").find("shop", "slow") is None

    @pytest.mark.parametrize("status", [403, 409, 500])
    async def test_event_that_cannot_be_left_harms_nobody(self, status: int, server: ApiServer, api: Api) -> None:
        server.refuse(status, "no")
        await incidents.ClusterIncidents(api, reporter="me").announce(
            an_incident(), reason="GateExecute", message="m" * 5000, warning=False
        )
        body = server.asked[0].body
        assert (body["type"], body["reason"], len(body["note"])) == ("Normal", "GateExecute", 1000)

    async def test_same_event_has_the_same_name(self, server: ApiServer, api: Api) -> None:
        kept = incidents.ClusterIncidents(api, reporter="me")
        for message in ("a", "a", "b"):
            await kept.announce(an_incident(), reason="GateExecute", message=message, warning=True)
        names = [asked.body["metadata"]["name"] for asked in server.asked]
        assert (names[0] == names[1], names[0] == names[2]) == (True, False)


async def test_guardrails_are_read_in_the_order_of_their_names(server: ApiServer, api: Api) -> None:
    items = [{"metadata": {"name": name, "namespace": "shop"}, "spec": {"allowedActions": []}} for name in ("b", "a")]
    server.answer(body={"items": items})
    assert [one.name for one in await guardrails.ClusterGuardrails(api).fetch("shop")] == ["a", "b"]


class LeaseServer:
    """One Lease, kept as the API server keeps it."""

    def __init__(self) -> None:
        self.lease: dict[str, Any] | None = None
        self.down = False
        self.refuses = False
        self.writes = 0

    def taken_by(self, holder: str, *, duration: float = 15) -> None:
        before = int(self.lease["metadata"]["resourceVersion"]) if self.lease else 0
        spec = {"holderIdentity": holder, "leaseDurationSeconds": duration, "renewTime": f"renewal {before + 1}"}
        self.lease = {"metadata": {"name": "op", "resourceVersion": str(before + 1)}, "spec": spec}

    @property
    def holder(self) -> str:
        assert self.lease is not None
        return str(self.lease["spec"]["holderIdentity"])

    async def handle(self, request: web.Request) -> web.Response:
        if self.down:
            return web.json_response({"message": "down"}, status=503)
        if self.refuses:
            return web.json_response({"message": "forbidden"}, status=403)
        if request.method == "GET":
            return (
                web.json_response(self.lease)
                if self.lease
                else web.json_response({"message": "not found", "details": {"name": "x"}}, status=404)
            )
        body = await request.json()
        version = int(self.lease["metadata"]["resourceVersion"]) if self.lease else 0
        stale = self.lease is not None and body["metadata"].get("resourceVersion") != str(version)
        if stale:
            return web.json_response({"message": "changed"}, status=409)
        self.writes += 1
        self.lease = {**body, "metadata": {**body["metadata"], "resourceVersion": str(version + 1)}}
        return web.json_response(self.lease)


class TestLease:
    DURATION = 0.6

    @pytest.fixture
    async def leases(self) -> AsyncIterator[tuple[LeaseServer, str]]:
        one = LeaseServer()
        async with serving(one.handle) as url:
            yield one, url

    @pytest.fixture
    async def held(self, leases: tuple[LeaseServer, str], tmp_path: Path) -> AsyncIterator[tuple[LeaseServer, lease.Lease]]:
        server, url = leases
        connection = await Api.connect(kubeconfig=kubeconfig(tmp_path, url), limits=TIMEOUT)
        yield server, self.of(connection)
        await connection.close()

    def of(self, connection: Api, *, holder: str = "me", duration: float = DURATION) -> lease.Lease:
        return lease.Lease(
            connection, namespace="governor-system", name="op", holder=holder, duration=timedelta(seconds=duration), now=lambda: NOON
        )

    async def test_is_not_held_before_it_was_acquired(self, held: tuple[LeaseServer, lease.Lease]) -> None:
        _, ours = held
        assert not ours.holds()

    async def test_that_nobody_has_made_is_acquired_at_once(self, held: tuple[LeaseServer, lease.Lease]) -> None:
        server, ours = held
        await asyncio.wait_for(ours.acquire(), 1)
        assert (server.holder, ours.holds()) == ("me", True)

    @pytest.mark.parametrize("holder", ["", "me"])
    async def test_that_is_free_or_already_ours_is_acquired_at_once(self, holder: str, held: tuple[LeaseServer, lease.Lease]) -> None:
        server, ours = held
        server.taken_by(holder)
        await asyncio.wait_for(ours.acquire(), 1)
        assert (server.holder, server.writes, ours.holds()) == ("me", 1, True)

    async def test_of_a_living_holder_is_waited_for(self, held: tuple[LeaseServer, lease.Lease]) -> None:
        server, ours = held
        server.taken_by("other", duration=0.5)
        acquiring = asyncio.create_task(ours.acquire())
        for _ in range(6):
            await asyncio.sleep(0.1)
            server.taken_by("other", duration=0.5)
        assert (acquiring.done(), server.holder, ours.holds()) == (False, "other", False)
        await asyncio.wait_for(acquiring, 2)
        assert server.holder == "me"

    async def test_of_a_dead_holder_is_taken_after_its_duration_by_our_own_clock(self, held: tuple[LeaseServer, lease.Lease]) -> None:
        server, ours = held
        server.taken_by("other", duration=0.3)
        began = asyncio.get_running_loop().time()
        await asyncio.wait_for(ours.acquire(), 2)
        assert asyncio.get_running_loop().time() - began >= 0.3
        assert (server.holder, ours.holds()) == ("me", True)

    async def test_that_two_want_is_won_by_one(self, held: tuple[LeaseServer, lease.Lease], tmp_path: Path) -> None:
        server, _ = held
        connections = [await Api.connect(kubeconfig=str(tmp_path / "kubeconfig"), limits=TIMEOUT) for _ in range(2)]
        server.taken_by("")
        wanting = [self.of(one, holder=f"holder-{number}", duration=5) for number, one in enumerate(connections)]
        tasks = [asyncio.create_task(one.acquire()) for one in wanting]
        await asyncio.wait(tasks, timeout=1, return_when=asyncio.FIRST_COMPLETED)
        await asyncio.sleep(0.1)
        assert sorted(one.holds() for one in wanting) == [False, True]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for one in connections:
            await one.close()

    @pytest.mark.parametrize("trouble", ["down", "refuses"])
    async def test_is_acquired_when_the_server_lets_us_again(self, trouble: str, held: tuple[LeaseServer, lease.Lease]) -> None:
        server, ours = held
        setattr(server, trouble, True)
        acquiring = asyncio.create_task(ours.acquire())
        await asyncio.sleep(0.15)
        assert not acquiring.done()
        setattr(server, trouble, False)
        await asyncio.wait_for(acquiring, 1)
        assert ours.holds()

    async def test_is_kept_beyond_its_duration(self, held: tuple[LeaseServer, lease.Lease]) -> None:
        _, ours = held
        await ours.acquire()
        keeping = asyncio.create_task(ours.keep())
        for _ in range(8):
            await asyncio.sleep(self.DURATION / 4)
            assert ours.holds()
        keeping.cancel()

    async def test_is_not_held_any_more_a_fifth_before_its_time_is_up(self, held: tuple[LeaseServer, lease.Lease]) -> None:
        _, ours = held
        await ours.acquire()
        await asyncio.sleep(self.DURATION * 0.85)
        assert not ours.holds()

    async def test_that_somebody_else_has_taken_is_lost_at_once(self, held: tuple[LeaseServer, lease.Lease]) -> None:
        server, ours = held
        await ours.acquire()
        server.taken_by("other")
        await asyncio.wait_for(ours.keep(), 1)
        assert (ours.holds(), server.holder) == (False, "other")

    @pytest.mark.parametrize("trouble", ["down", "refuses"])
    async def test_that_cannot_be_renewed_is_lost_when_it_runs_out(self, trouble: str, held: tuple[LeaseServer, lease.Lease]) -> None:
        server, ours = held
        await ours.acquire()
        setattr(server, trouble, True)
        await asyncio.wait_for(ours.keep(), 2)
        assert not ours.holds()

    async def test_that_was_deleted_is_made_again(self, held: tuple[LeaseServer, lease.Lease]) -> None:
        server, ours = held
        await ours.acquire()
        server.lease = None
        keeping = asyncio.create_task(ours.keep())
        await asyncio.sleep(self.DURATION / 2)
        assert (server.holder, ours.holds()) == ("me", True)
        keeping.cancel()

    async def test_that_is_released_is_free_for_the_next(self, held: tuple[LeaseServer, lease.Lease]) -> None:
        server, ours = held
        await ours.acquire()
        await ours.release()
        assert (server.holder, ours.holds()) == ("", False)

    async def test_of_somebody_else_is_not_released(self, held: tuple[LeaseServer, lease.Lease]) -> None:
        server, ours = held
        await ours.acquire()
        server.taken_by("other")
        await ours.release()
        assert server.holder == "other"

    async def test_that_cannot_be_released_runs_out_by_itself(self, held: tuple[LeaseServer, lease.Lease]) -> None:
        server, ours = held
        await ours.acquire()
        server.down = True
        await ours.release()
        assert not ours.holds()
