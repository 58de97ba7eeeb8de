"""The guard-rails as the pipeline asks them: what is forbidden, what has to wait, and what the disruption budgets say."""

from typing import Any

import pytest

from domain.actions.builders import EXAMPLES, ActionType, a_pod, a_scene, a_scene_for, a_step, a_workload, all_allowed, an_example
from safety_governor.domain import errors, guardrails, plans, requests, values, verification, workloads
from safety_governor.domain.holds import Guard
from safety_governor.pipeline import guarding, register
from support import fakes
from support.builders import NAMESPACE, OWN_NAMESPACE, an_incident
from support.fakes import NOON

TARGET = plans.Target(name="checkout")


class Stage:
    """The guard-rails with fakes around them."""

    def __init__(self, **ceilings: Any) -> None:
        self.rails = fakes.FakeGuardrails()
        self.rails.policies["default"] = all_allowed()
        self.actuator = fakes.FakeWorkloads()
        self.past = register.Register()
        self.guard = guarding.Guarding(
            rails=self.rails,
            actuator=self.actuator,
            past=self.past,
            ceilings=guardrails.Ceilings(**ceilings),
            watch=verification.Watch(),
            own_namespace=OWN_NAMESPACE,
        )


@pytest.fixture
def stage() -> Stage:
    return Stage()


class TestRead:
    async def test_is_the_strictest_of_all_policies(self, stage: Stage) -> None:
        stage.rails.policies["stricter"] = all_allowed(allowed_actions=("Scale",), require_telemetry=True)
        found = await stage.guard.read(NAMESPACE)
        assert found.rules is not None
        assert [one.name for one in found.named] == ["default", "stricter"]
        assert (found.rules.allowed_actions, found.rules.require_telemetry) == ((ActionType.SCALE,), True)

    async def test_is_never_above_the_ceilings(self) -> None:
        stage = Stage(targets_per_hour=2)
        found = await stage.guard.read(NAMESPACE)
        assert found.rules is not None
        assert (found.rules.cluster_targets_per_hour, found.rules.actions_per_hour.namespace) == (2, 20)
        assert found.named[0].rules.cluster_targets_per_hour is None

    async def test_of_a_namespace_that_has_not_opted_in_has_no_rules(self, stage: Stage) -> None:
        stage.rails.policies.clear()
        assert await stage.guard.read(NAMESPACE) == guarding.Rails(named=(), rules=None)


class TestRefusals:
    async def refusals(self, stage: Stage, *steps: plans.Step, namespace: str = NAMESPACE, **around: Any) -> tuple[str, ...]:
        rails = await stage.guard.read(namespace)
        scenes = tuple(a_scene(**around) for _ in steps)
        return stage.guard.refusals(rails, namespace=namespace, target=TARGET, steps=steps, scenes=scenes)

    async def test_of_what_is_allowed_are_none(self, stage: Stage) -> None:
        assert await self.refusals(stage, an_example(ActionType.SCALE), an_example(ActionType.RUN_JOB)) == ()

    async def test_are_those_of_the_rules_and_of_each_action_once(self, stage: Stage) -> None:
        stage.rails.policies["default"] = all_allowed(allowed_actions=("RolloutRestart",), protected_targets=({"name": "checkout"},))
        scale = an_example(ActionType.SCALE)
        assert await self.refusals(stage, scale, scale, autoscaler="HorizontalPodAutoscaler/x") == (
            "Deployment/checkout is a protected target",
            "Scale is not among the allowed actions (RolloutRestart)",
            "HorizontalPodAutoscaler/x decides on the replicas of Deployment/checkout and would undo the change; change its limits instead",
        )

    @pytest.mark.parametrize("namespace", [OWN_NAMESPACE, "kube-system"])
    async def test_of_a_protected_namespace_cannot_be_allowed_away(self, namespace: str, stage: Stage) -> None:
        assert f"namespace {namespace} is protected for good" in await self.refusals(
            stage, an_example(ActionType.SCALE), namespace=namespace
        )

    async def test_without_rules_say_that_nobody_has_opted_in_and_nothing_else(self, stage: Stage) -> None:
        stage.rails.policies.clear()
        told = (f"namespace {NAMESPACE} has no RemediationPolicy, so nothing may be done in it",)
        assert await self.refusals(stage, an_example(ActionType.SCALE), autoscaler=None) == told

    async def test_without_a_target_are_those_of_the_rules(self, stage: Stage) -> None:
        stage.rails.policies["default"] = all_allowed(allowed_actions=())
        rails = await stage.guard.read(NAMESPACE)
        steps = (an_example(ActionType.SCALE),)
        found = stage.guard.refusals(rails, namespace=NAMESPACE, target=TARGET, steps=steps, scenes=())
        assert found == ("Scale is not among the allowed actions (none)",)


class TestHolds:
    async def holds(self, stage: Stage, **asked: Any) -> list[Guard]:
        rails = await stage.guard.read(NAMESPACE)
        return [one.guard for one in stage.guard.holds(rails, an_incident(), now=NOON, **asked)]

    @pytest.fixture
    def held(self, stage: Stage) -> Stage:
        """Everything that can hold an action back at once, but for another incident."""
        window = {"name": "noon", "schedule": "0 0 * * *", "durationSeconds": 86_400}
        budgets = {"namespace": 0, "target": 0}
        stage.rails.policies["default"] = all_allowed(suspend=True, freeze_windows=(window,), actions_per_hour=budgets)
        return stage

    async def test_of_a_first_step_are_all_there_are(self, held: Stage) -> None:
        assert await self.holds(held) == [Guard.SUSPENDED, Guard.FROZEN, Guard.TARGET_BUDGET, Guard.NAMESPACE_BUDGET]

    async def test_of_a_later_step_are_the_kill_switch_and_the_freeze(self, held: Stage) -> None:
        """It was let in as a whole; budgets do not stop it halfway."""
        assert await self.holds(held, begun=True) == [Guard.SUSPENDED, Guard.FROZEN]

    async def test_of_an_undo_is_the_kill_switch_alone(self, held: Stage) -> None:
        assert await self.holds(held, begun=True, undoing=True) == [Guard.SUSPENDED]

    @pytest.mark.parametrize("asked", [{}, {"begun": True}, {"begun": True, "undoing": True}])
    async def test_without_any_policy_is_one_that_waits_for_a_person(self, asked: dict[str, bool], stage: Stage) -> None:
        stage.rails.policies.clear()
        assert await self.holds(stage, **asked) == [Guard.SUSPENDED]


BUDGET = "Cannot evict pod as it would violate the pod's disruption budget"


class TestDisruption:
    @pytest.mark.parametrize("kind", [ActionType.ROLLOUT_RESTART, ActionType.ROLLOUT_UNDO, ActionType.PATCH_FIELDS])
    async def test_is_asked_about_before_a_rollout_takes_ready_pods_down(self, kind: values.ActionType, stage: Stage) -> None:
        stage.actuator.disruption = BUDGET
        assert await stage.guard.disruption(NAMESPACE, an_example(kind), a_scene_for(kind)) == BUDGET
        assert stage.actuator.tried == [requests.Evict(pod="checkout-a", uid="uid-a")]
        assert stage.actuator.effects == []

    async def test_is_none_where_the_budgets_spare_nobody(self, stage: Stage) -> None:
        kind = ActionType.ROLLOUT_RESTART
        assert await stage.guard.disruption(NAMESPACE, an_example(kind), a_scene_for(kind)) == ""
        assert len(stage.actuator.tried) == 1

    @pytest.mark.parametrize(
        ("step", "target"),
        [
            (an_example(ActionType.ROLLOUT_RESTART), {"max_unavailable": 0}),
            (a_step(ActionType.SCALE, replicas="9"), {}),
            (an_example(ActionType.RUN_JOB), {}),
            (an_example(ActionType.WEBHOOK), {}),
        ],
    )
    async def test_is_not_asked_about_where_no_pod_goes(self, step: plans.Step, target: dict[str, Any], stage: Stage) -> None:
        stage.actuator.disruption = BUDGET
        assert await stage.guard.disruption(NAMESPACE, step, a_scene(a_workload(**target))) == ""
        assert stage.actuator.tried == []

    async def test_is_asked_about_when_replicas_go(self, stage: Stage) -> None:
        stage.actuator.disruption = BUDGET
        assert await stage.guard.disruption(NAMESPACE, a_step(ActionType.SCALE, replicas="1"), a_scene()) == BUDGET

    async def test_of_an_eviction_is_asked_about_for_the_first_that_goes(self, stage: Stage) -> None:
        """A budget may spare a pod that is not ready as well."""
        stage.actuator.disruption = BUDGET
        assert await stage.guard.disruption(NAMESPACE, a_step(ActionType.EVICT_PODS), a_scene()) == BUDGET
        assert stage.actuator.tried == [requests.Evict(pod="checkout-c", uid="uid-c")]

    @pytest.mark.parametrize(("allowed", "told"), [(2, True), (3, False)])
    async def test_is_asked_about_for_all_that_go_at_once(self, allowed: int, told: bool, stage: Stage) -> None:
        scene = a_scene(a_workload(max_unavailable=3), disruptions=workloads.Disruptions(budget="spare", allowed=allowed))
        found = await stage.guard.disruption(NAMESPACE, an_example(ActionType.ROLLOUT_RESTART), scene)
        assert found == (f"it may take 3 pods down at once, and PodDisruptionBudget/spare lets {allowed} go at present" if told else "")

    @pytest.mark.parametrize("pods", [None, (), (a_pod(ready=False),), (a_pod(terminating=True),)])
    async def test_is_not_asked_about_where_no_ready_pod_is_known(self, pods: Any, stage: Stage) -> None:
        stage.actuator.disruption = BUDGET
        assert await stage.guard.disruption(NAMESPACE, an_example(ActionType.ROLLOUT_RESTART), a_scene(pods=pods)) == ""

    FAILURES: dict[str, tuple[Exception, str]] = {  # noqa: RUF012 - read only
        "a pod that has just gone": (errors.ConflictError("no such pod"), ""),
        "a right that is missing": (
            errors.ClusterRefusedError("the executor may not evict"),
            "it is not known whether the disruption budgets let a pod go: the executor may not evict",
        ),
    }

    @pytest.mark.parametrize(("error", "told"), FAILURES.values(), ids=FAILURES.keys())
    async def test_when_it_cannot_be_told_because_of(self, error: Exception, told: str, stage: Stage) -> None:
        async def fail(*_: object) -> dict[str, Any]:
            raise error

        stage.actuator.dry_run = fail  # type: ignore[method-assign,assignment]
        assert await stage.guard.disruption(NAMESPACE, an_example(ActionType.ROLLOUT_RESTART), a_scene()) == told

    async def test_that_nobody_answers_about_is_waited_for(self, stage: Stage) -> None:
        async def fail(*_: object) -> dict[str, Any]:
            raise errors.ClusterUnavailableError("down")

        stage.actuator.dry_run = fail  # type: ignore[method-assign,assignment]
        with pytest.raises(errors.ClusterUnavailableError):
            await stage.guard.disruption(NAMESPACE, an_example(ActionType.ROLLOUT_RESTART), a_scene())


def test_examples_are_of_every_kind() -> None:
    """The tables above draw from them."""
    assert set(EXAMPLES) == set(ActionType)
