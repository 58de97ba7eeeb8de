"""The story, act by act. Every command in it is a real one; what it must lead to stands in `expected`."""

import functools
import json
import sys
from dataclasses import dataclass
from pathlib import Path

from demo.expected import DEPLOYMENTS, EXPECTED, ROOT, WORLD, Expectation
from demo.governor import Governor
from demo.incidents import Seen, Watch
from demo.stage import Stage, UnexpectedError, environment
from testbed import BEHAVIOUR_ANNOTATION, ControlPlane, binaries, wait_until

PROGRAM = Path(sys.executable).with_name("safety-governor")
_BY_NAME = {one.name: one for one in EXPECTED}


@dataclass(frozen=True, slots=True, kw_only=True)
class Cast:
    """Everybody on stage once the operator runs."""

    stage: Stage
    cluster: ControlPlane
    governor: Governor
    watch: Watch


def build(stage: Stage) -> None:
    """Have the servers, compiled where they are missing."""
    if missing := binaries.missing():
        stage.say(f"Compiling once, into {binaries.cache_folder()}: {', '.join(missing)}")
        binaries.ensure(console=stage.console)


def set_up_cluster(stage: Stage, cluster: ControlPlane) -> None:
    """A control plane, our definitions, and a shop with four services in it."""
    with stage.waiting("etcd, kube-apiserver, kube-controller-manager, kube-scheduler, kwok …"):
        cluster.start()
    stage.done(f"Kubernetes {binaries.kubernetes_version()} at {cluster.url}: {', '.join(cluster.pids)}")
    stage.kubectl(cluster, "admin", "apply", "--server-side", "-f", "crds/", quiet=True)
    stage.kubectl(cluster, "admin", "wait", "--for=condition=Established", "--timeout=30s", "crd", "--all")
    applied = stage.kubectl(cluster, "admin", "apply", "-f", "examples/cluster/", quiet=True)
    stage.done(f"{len(applied.splitlines())} objects: namespaces, guard-rails, executor, people, Deployments")
    with stage.waiting("The pods start …"):
        for namespace, name in DEPLOYMENTS:
            cluster.kubectl("rollout", "status", f"deployment/{name}", "-n", namespace, "--timeout=60s")
        _await_rights(cluster)
    stage.kubectl(cluster, "admin", "get", "deployments,remediationpolicies", "-n", "shop")
    stage.say("The release before of cart cannot start any more, which nobody has written down:")
    for image, behaviour in (("2.6.9", "crash-loop"), ("2.7.0", None)):
        template = {
            "metadata": {"annotations": {BEHAVIOUR_ANNOTATION: behaviour}},
            "spec": {"containers": [{"name": "cart", "image": f"registry.example/shop/cart:{image}"}]},
        }
        patch = json.dumps({"spec": {"template": template}}, separators=(",", ":"))
        stage.kubectl(cluster, "admin", "patch", "deployment", "cart", "-n", "shop", "--type=merge", "-p", patch)
    with stage.waiting("The pods of cart start again …"):
        cluster.kubectl("rollout", "status", "deployment/cart", "-n", "shop", "--timeout=60s")


def _await_rights(cluster: ControlPlane) -> None:
    """The API server hears of new bindings a moment after they are written."""
    wanted = [("alice", "create", one) for one in ("shop", "shop-staging", "bookkeeping")] + [
        (one, "patch", "shop") for one in ("bob", "carol")
    ]
    for person, verb, namespace in wanted:
        may = functools.partial(_may, cluster, person, verb, namespace)
        wait_until(may, 20, f"{person} to be allowed to {verb} incidents in {namespace}")


def _may(cluster: ControlPlane, person: str, verb: str, namespace: str) -> bool:
    asked = cluster.kubectl("auth", "can-i", verb, "incidents.safetygovernor.io", "-n", namespace, user=person, check=False)
    return asked.returncode == 0


def load_knowledge(stage: Stage, store: Path) -> None:
    """What an agent may propose from, and what it is held against."""
    env = environment(GOVERNOR_STORE=str(store))
    stage.run(PROGRAM, "load", "examples/knowledge", env=env, most=8)
    if WORLD.is_dir():
        stage.say("And runbooks of other people, for realism: none of them may change a decision.")
        stage.run(PROGRAM, "load", f"../{WORLD.relative_to(ROOT.parent)}", env=env, most=4)


def start_operator(stage: Stage, governor: Governor) -> None:
    """The operator, as its own process and its own identity."""
    with stage.waiting("The operator starts …"):
        governor.start()
    stage.done(f"process {governor.pid} is ready; its log: {governor.log}")


def report_incidents(cast: Cast) -> dict[str, Seen]:
    """Alice reports; the operator plans, doubts and decides."""
    stage, cluster = cast.stage, cast.cluster
    seen: dict[str, Seen] = {}
    for late in (False, True):
        if late:
            stage.say("")
            stage.say("One more, about search-api again, which was restarted a moment ago:")
        for one in EXPECTED:
            if one.late is late:
                stage.kubectl(cluster, "alice", "apply", "-f", str(one.manifest))
                cast.watch.add(one)
        seen = cast.watch.until("a decision about every incident", lambda all_: all(one.is_settled for one in all_.values()))
    stage.say("")
    stage.say("All are decided. Two went through by themselves, and one of those was taken back. Two are held, four wait for people.")
    stage.kubectl(cluster, "bob", "get", "incidents", "-n", "shop")
    for namespace in ("bookkeeping", "shop-staging"):
        stage.kubectl(cluster, "alice", "get", "incidents", "-n", namespace)
    return seen


def tell_held(cast: Cast) -> None:
    """What was released and is not done yet says why, and until when; what made things worse was taken back."""
    stage, cluster = cast.stage, cast.cluster
    said = '{.status.execution.heldBecause}{"\\n"}'
    stage.say("Nothing speaks against them but the guard-rails of their namespaces. They go on by themselves when these let them:")
    for name in ("frozen", "over-budget"):
        one = _BY_NAME[name]
        stage.kubectl(cluster, "alice", "get", "incident", name, "-n", one.namespace, "-o", f"jsonpath={said}")
    _await_display(cast)
    stage.kubectl(cluster, "admin", "get", "rp", "-A")
    stage.say("All that was on record spoke for rolling cart back, and it made things worse. The governor saw it and took it back:")
    env = environment(KUBECONFIG=str(cluster.kubeconfig("bob")))
    stage.run(PROGRAM, "why", "shop/regressed", person="bob", env=env)
    stage.kubectl(cluster, "admin", "rollout", "status", "deployment/cart", "-n", "shop")


def _await_display(cast: Cast) -> None:
    """The policies show how their namespaces stand within a few seconds."""
    path = "/apis/safetygovernor.io/v1alpha1/namespaces/{0}/remediationpolicies/{0}"

    def shown() -> bool:
        bodies = [cast.cluster.request("GET", path.format(name))[1].get("status", {}) for name in ("shop", "bookkeeping")]
        return bodies[0].get("actionsLastHour", 0) > 0 and bool(bodies[1].get("frozenUntil"))

    with cast.stage.waiting("The policies show how their namespaces stand …"):
        wait_until(shown, 40, "the policies to show how their namespaces stand")


def tell_why(cast: Cast) -> None:
    """Why is one of them held back?"""
    stage, cluster = cast.stage, cast.cluster
    env = environment(KUBECONFIG=str(cluster.kubeconfig("bob")))
    stage.run(PROGRAM, "why", "shop/contradicted", person="bob", env=env)


def people_decide(cast: Cast) -> None:
    """People say what no program may say for them."""
    stage = cast.stage
    stage.say("Alice reported it, so she has no say in it. RBAC knows:")
    _decide(cast, "alice", "contradicted", "APPROVE", refused=True)
    stage.say("Bob has saved the guests' carts. He approves exactly the plan that he has seen, by its digest:")
    _decide(cast, "bob", "contradicted", "APPROVE")
    stage.say("Bob has called the DBA, who knows of nothing:")
    _decide(cast, "bob", "fabricated-authority", "REJECT", reason="The DBA knows nothing of this, and there is no POL-777.")
    stage.say("Carol abides by the policy and has the prices republished instead:")
    _decide(cast, "carol", "policy-conflict", "REJECT", reason="POL-014 holds; pricing republishes the prices.")
    _override(cast)
    cast.watch.until("every incident to be finished", lambda all_: all(one.phase == _BY_NAME[name].phase for name, one in all_.items()))
    stage.say("")
    stage.kubectl(cast.cluster, "bob", "get", "incidents", "-n", "shop")


def prove_the_record(cast: Cast) -> None:
    """One incident's story, and the proof that nobody has rewritten it."""
    stage, env = cast.stage, environment(KUBECONFIG=str(cast.cluster.kubeconfig()), **cast.governor.records)
    stage.run(PROGRAM, "audit", "show", "shop/inc-9999", env=env, most=30)
    stage.say("Every line names the hash of the line before; where the chain ends stands in the incidents themselves:")
    stage.run(PROGRAM, "audit", "verify", "--cluster", env=env)


def _override(cast: Cast) -> None:
    stage, name = cast.stage, "inc-9999"
    stage.say("INC-9999 is critical. Bob tries a mere APPROVE:")
    answered = _decide(cast, "bob", name, "APPROVE")
    seen = cast.watch.until(
        "the refusal to be recorded",
        lambda all_: bool(all_[name].approval.get("refusals")) and all_[name].waits_for_people and all_[name].digest != answered,
    )
    said = '{range .status.approval.refusals[*]}{.decision} by {.approver} refused: {.why}{"\\n"}{end}'
    stage.kubectl(cast.cluster, "bob", "get", "incident", name, "-n", "shop", "-o", f"jsonpath={said}")
    if seen[name].status.get("execution"):
        raise UnexpectedError(f"{name} was begun although APPROVE does not release it")
    stage.say("The question is asked anew, under a new digest. Carol takes it upon herself, and says why:")
    _decide(cast, "carol", name, "FORCE_OVERRIDE", reason="Incident commander: thread dump is saved, nobody can pay, restart now.")


def _decide(cast: Cast, person: str, name: str, word: str, *, reason: str = "", refused: bool = False) -> str:
    """Somebody's word about what is gated now; the digest that it names."""
    one: Expectation = _BY_NAME[name]
    read = ("get", "incident", name, "-n", one.namespace, "-o", "jsonpath={.status.gate.planDigest}")
    digest = cast.stage.kubectl(cast.cluster, person, *read).strip()
    approval = {"decision": word, "planDigest": digest, "approver": person} | ({"reason": reason} if reason else {})
    patch = json.dumps({"spec": {"approval": approval}}, separators=(",", ":"))
    cast.stage.kubectl(cast.cluster, person, "patch", "incident", name, "-n", one.namespace, "--type=merge", "-p", patch, refused=refused)
    return digest
