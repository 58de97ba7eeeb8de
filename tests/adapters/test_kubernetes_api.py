"""The connection to the API server, against a real HTTP server on loopback that answers as it is told to."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml
from aiohttp import web

from safety_governor.adapters.kubernetes import guardrails, incidents, lease, workloads
from safety_governor.adapters.kubernetes.api import Api, InvalidError, NotFoundError
from safety_governor.api import group
from safety_governor.domain import errors, plans, rollouts, values
from safety_governor.domain.workloads import Workload
from support.builders import an_incident
from support.fakes import NOON
from support.ports import free_port

TIMEOUT = aiohttp.ClientTimeout(total=0.3, connect=0.3)
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
        return web.json_response({})


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
    connection = await Api.connect(kubeconfig=kubeconfig(tmp_path, server.url), limits=TIMEOUT)
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
    "410 is refused": (410, errors.ClusterRefusedError),
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

    async def test_to_answer_in_time_is_tried_again(self, server: ApiServer, api: Api) -> None:
        server.hang()
        with pytest.raises(errors.ClusterUnavailableError, match=rf"the API server does not answer \(GET {PATH}: .*Timeout"):
            await api.get(PATH)

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


def a_deployment(**metadata: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": "checkout", "uid": "uid-1", "resourceVersion": "42", "generation": 3, **metadata},
        "spec": {"replicas": 2, "template": {"spec": {"containers": []}}},
        "status": {"observedGeneration": 3, "replicas": 2, "updatedReplicas": 2, "availableReplicas": 1},
    }


WORKLOAD = Workload(
    kind="Deployment",
    name="checkout",
    uid="uid-1",
    resource_version="42",
    template_hash="x",
    rollout=rollouts.Observed(generation=1),
)
TARGET = plans.Target(name="checkout")


class TestWorkloads:
    async def restart(self, api: Api) -> None:
        at = datetime(2026, 3, 1, 12, 0, 5, tzinfo=UTC)
        await workloads.ClusterWorkloads(api).restart("shop", WORKLOAD, key=KEY, incident="shop/slow", at=at)

    async def test_restart_acts_as_the_executor_on_exactly_this_version(self, server: ApiServer, api: Api) -> None:
        await self.restart(api)
        [asked] = server.asked
        assert (asked.method, asked.path) == ("PATCH", "/apis/apps/v1/namespaces/shop/deployments/checkout")
        assert asked.headers["Impersonate-User"] == "system:serviceaccount:shop:governor-executor"
        assert asked.query["fieldManager"] == "safety-governor"
        assert "dryRun" not in asked.query
        assert asked.body["metadata"]["resourceVersion"] == "42"

    async def test_restart_leaves_key_and_incident_and_the_time_of_the_claim(self, server: ApiServer, api: Api) -> None:
        await self.restart(api)
        body = server.asked[0].body
        assert body["metadata"]["annotations"] == {group.LAST_ACTION: KEY, group.ACTED_FOR: "shop/slow"}
        assert body["spec"]["template"]["metadata"]["annotations"] == {group.RESTARTED_AT: "2026-03-01T12:00:05Z"}

    async def test_restart_twice_asks_for_the_same(self, server: ApiServer, api: Api) -> None:
        await self.restart(api)
        await self.restart(api)
        assert server.asked[0].body == server.asked[1].body

    @pytest.mark.parametrize(
        ("status", "kind"),
        [
            (409, errors.ConflictError),
            (404, errors.ConflictError),
            (403, errors.ClusterRefusedError),
            (503, errors.ClusterUnavailableError),
        ],
    )
    async def test_restart_that_fails_is_told_by_its_class(
        self, status: int, kind: type[errors.GovernorError], server: ApiServer, api: Api
    ) -> None:
        server.refuse(status, "no")
        with pytest.raises(errors.GovernorError) as caught:
            await self.restart(api)
        assert type(caught.value) is kind

    async def test_deployment_is_read_with_its_figures(self, server: ApiServer, api: Api) -> None:
        server.answer(body=a_deployment(annotations={group.LAST_ACTION: KEY}))
        found = await workloads.ClusterWorkloads(api).find("shop", TARGET)
        assert found is not None
        assert (found.uid, found.resource_version, found.last_action, found.paused) == ("uid-1", "42", KEY, False)
        figures = rollouts.Observed(generation=3, observed_generation=3, wanted=2, replicas=2, updated=2, available=1)
        assert found.rollout == figures

    async def test_deployment_that_is_new_has_figures_of_nothing(self, server: ApiServer, api: Api) -> None:
        body = a_deployment()
        del body["status"], body["spec"]["replicas"]
        server.answer(body=body)
        found = await workloads.ClusterWorkloads(api).find("shop", TARGET)
        assert found is not None
        assert found.rollout == rollouts.Observed(generation=3, wanted=1)

    async def test_missing_deployment_is_none_and_an_unread_one_is_not(self, server: ApiServer, api: Api) -> None:
        server.refuse(404, "not found")
        assert await workloads.ClusterWorkloads(api).find("shop", TARGET) is None
        server.refuse(500, "etcd is down")
        with pytest.raises(errors.ClusterUnavailableError):
            await workloads.ClusterWorkloads(api).find("shop", TARGET)

    async def test_kind_that_is_not_known_is_not_there_and_nobody_is_asked(self, server: ApiServer, api: Api) -> None:
        assert await workloads.ClusterWorkloads(api).find("shop", plans.Target(kind="CronJob", name="x")) is None
        assert server.asked == []

    async def test_preview_is_a_dry_run_as_the_executor_and_hides_what_may_be_secret(self, server: ApiServer, api: Api) -> None:
        after = a_deployment(resourceVersion="43", generation=4, annotations={group.LAST_ACTION: "sha256:" + "0" * 64})
        after["spec"]["template"]["spec"]["containers"] = [{"env": [{"name": "PASSWORD", "value": "hunter2"}]}]
        server.answer(body=a_deployment())
        server.answer(body=after)
        step = plans.Step(id="step-1", type=values.ActionType.ROLLOUT_RESTART)
        preview = await workloads.ClusterWorkloads(api).preview("shop", WORKLOAD, step)
        asked = server.asked[-1]
        assert (asked.method, asked.query["dryRun"]) == ("PATCH", "All")
        assert asked.headers["Impersonate-User"] == "system:serviceaccount:shop:governor-executor"
        assert "resourceVersion" not in asked.body["metadata"]
        assert "hunter2" not in preview.model_dump_json()
        assert "(key of the action)" in preview.model_dump_json()

    async def test_preview_of_what_cannot_be_done_is_refused_and_nobody_is_asked(self, server: ApiServer, api: Api) -> None:
        step = plans.Step(id="step-1", type=values.ActionType.SCALE)
        with pytest.raises(errors.ClusterRefusedError, match="cannot carry out Scale"):
            await workloads.ClusterWorkloads(api).preview("shop", WORKLOAD, step)
        assert server.asked == []


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
