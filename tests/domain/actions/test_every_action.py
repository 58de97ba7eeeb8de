"""What holds for every kind of step alike."""

import inspect
import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from domain.actions.builders import (
    EXAMPLES,
    INCIDENT,
    KEY,
    NAME,
    NOON,
    OTHER_KEY,
    ActionType,
    a_body,
    a_pod,
    a_scene,
    a_scene_for,
    a_template,
    a_workload,
    all_allowed,
    an_example,
    an_intent,
    refusals,
)
from safety_governor.domain import actions, guardrails, marks, requests, rollouts, values, workloads

TOUCHING = [kind for kind in ActionType if actions.of(kind).changes_target]
"""What writes the spec of its target."""
ROLLING_OUT = [ActionType.ROLLOUT_RESTART, ActionType.ROLLOUT_UNDO, ActionType.PATCH_FIELDS]


@pytest.mark.parametrize("kind", ActionType)
class TestEveryAction:
    def test_has_a_file_that_is_called_like_it(self, kind: values.ActionType) -> None:
        file = Path(inspect.getfile(type(actions.of(kind)))).stem
        named = re.sub(r"(?<!^)([A-Z])", r"_\1", kind.value).lower()
        assert file == {"uncordon": "cordon"}.get(named, named)

    def test_is_found_by_its_type(self, kind: values.ActionType) -> None:
        assert actions.of(kind).action_type is kind

    def test_is_for_kinds_that_can_be_acted_on(self, kind: values.ActionType) -> None:
        assert actions.of(kind).kinds
        assert actions.of(kind).kinds <= guardrails.ACTIONABLE_KINDS

    def test_is_described_in_one_line_that_names_the_target(self, kind: values.ActionType) -> None:
        told = actions.of(kind).describe(an_example(kind), f"Deployment/{NAME}")
        assert f"Deployment/{NAME}" in told
        assert "\n" not in told
        assert not told.endswith(".")

    def test_has_nothing_against_its_example(self, kind: values.ActionType) -> None:
        assert actions.of(kind).problems(an_example(kind)) == ()
        assert refusals(an_example(kind), a_scene_for(kind)) == ()

    def test_is_refused_for_every_other_kind_and_says_for_which_it_is(self, kind: values.ActionType) -> None:
        others = guardrails.ACTIONABLE_KINDS - actions.of(kind).kinds
        for other in others:
            scene = a_scene_for(kind).model_copy(update={"target": a_workload(other)})
            told = f"{kind} makes no sense for a {other}; it is for {', '.join(sorted(actions.of(kind).kinds))}"
            assert refusals(an_example(kind), scene) == (told,)

    def test_is_refused_where_nobody_may_do_it(self, kind: values.ActionType) -> None:
        scene = a_scene_for(kind).model_copy(update={"executor_exists": False})
        told = "the namespace has no ServiceAccount governor-executor, so nothing may be done in it"
        assert refusals(an_example(kind), scene) == (told,)

    def test_asks_for_the_same_however_often_it_is_asked(self, kind: values.ActionType) -> None:
        step, scene = an_example(kind), a_scene_for(kind)
        intent = an_intent(step, scene)
        assert actions.of(kind).request(step, scene, intent) == actions.of(kind).request(step, scene, intent)

    def test_does_not_take_another_actions_mark_for_its_own(self, kind: values.ActionType) -> None:
        step, scene = an_example(kind), a_scene_for(kind, marks={marks.LAST_ACTION: OTHER_KEY})
        asked = actions.of(kind).request(step, scene, an_intent(step, scene))
        assert (asked is None) == (kind is ActionType.MANUAL)

    def test_has_not_begun_before_anything_was_done(self, kind: values.ActionType) -> None:
        step, scene = an_example(kind), a_scene_for(kind)
        assert not actions.of(kind).has_begun(scene, an_intent(step, scene))

    def test_records_which_version_of_the_target_it_was_claimed_for(self, kind: values.ActionType) -> None:
        scene = a_scene_for(kind)
        taken = actions.of(kind).snapshot(an_example(kind), scene)
        assert (taken.uid, taken.resource_version, taken.generation) == (
            scene.target.uid,
            scene.target.resource_version,
            scene.target.generation,
        )
        assert (taken.template_hash, taken.replicas) == (scene.target.template_hash, scene.target.replicas)

    def test_is_undone_by_what_can_be_read_and_described(self, kind: values.ActionType) -> None:
        step, scene = an_example(kind), a_scene_for(kind)
        inverse = actions.of(kind).inverse(step, actions.of(kind).snapshot(step, scene))
        if inverse is None:
            assert kind in (ActionType.EVICT_PODS, ActionType.RUN_JOB, ActionType.MANUAL)
            return
        assert inverse.id == "step-1-undo"
        assert actions.of(inverse.type).problems(inverse) == ()
        assert actions.of(inverse.type).describe(inverse, scene.name)

    def test_is_complete_when_its_target_is(self, kind: values.ActionType) -> None:
        scene = a_scene_for(kind, **{"unschedulable": kind is ActionType.CORDON} if "Node" in EXAMPLES[kind] else {})
        if kind is ActionType.RUN_JOB:
            scene = scene.model_copy(update={"job": workloads.Job(name="gov-1", state=workloads.JobState.COMPLETE)})
        if kind is ActionType.EVICT_PODS:
            scene = scene.model_copy(update={"pods": tuple(a_pod(name) for name in "abc")})
        if kind is ActionType.PATCH_FIELDS:
            scene = a_scene(a_workload(body=a_body(template=a_template(resources={"limits": {"memory": "1Gi"}}))))
        assert actions.of(kind).progress(an_example(kind), scene)[0] is rollouts.Progress.COMPLETE


class TestOwnedTarget:
    @pytest.mark.parametrize("kind", TOUCHING)
    def test_that_a_controller_would_put_back_is_left_alone(self, kind: values.ActionType) -> None:
        told = f"{EXAMPLES[kind][0]}/{NAME} belongs to Rollout/{NAME}, which would undo the change; change that instead"
        assert refusals(an_example(kind), a_scene_for(kind, controller=f"Rollout/{NAME}")) == (told,)

    @pytest.mark.parametrize("kind", TOUCHING)
    def test_that_is_kept_in_git_is_warned_about(self, kind: values.ActionType) -> None:
        scene = a_scene_for(kind, git_ops="Argo CD")
        assert refusals(an_example(kind), scene) == ()
        told = f"{scene.name} is kept as it is in Git by Argo CD, which may undo the change"
        assert actions.of(kind).warnings(scene) == (told,)

    @pytest.mark.parametrize("kind", TOUCHING)
    def test_that_is_kept_in_git_is_left_alone_where_the_platform_team_says_so(self, kind: values.ActionType) -> None:
        scene = a_scene_for(kind, git_ops="Flux")
        told = f"{scene.name} is kept as it is in Git by Flux, and the RemediationPolicy says to leave such targets alone"
        assert refusals(an_example(kind), scene, git_ops="Refuse") == (told,)

    @pytest.mark.parametrize("kind", [one for one in ActionType if one not in TOUCHING])
    def test_that_is_not_written_may_be_acted_on(self, kind: values.ActionType) -> None:
        scene = a_scene_for(kind, git_ops="Flux", controller=f"Rollout/{NAME}")
        assert refusals(an_example(kind), scene, git_ops="Refuse") == ()
        assert actions.of(kind).warnings(scene) == ()


class TestMaxUnavailable:
    @pytest.mark.parametrize("kind", ROLLING_OUT)
    def test_is_held_against_what_a_rollout_takes_down(self, kind: values.ActionType) -> None:
        scene = a_scene_for(kind, max_unavailable=2)
        told = "it may make 2 of 3 pods unavailable at once, and the RemediationPolicy allows 1"
        assert refusals(an_example(kind), scene, max_unavailable="1") == (told,)
        assert refusals(an_example(kind), scene, max_unavailable="2") == ()

    @pytest.mark.parametrize("kind", ActionType)
    def test_that_is_not_set_limits_nothing(self, kind: values.ActionType) -> None:
        assert refusals(an_example(kind), a_scene_for(kind, **({} if "Node" in EXAMPLES[kind] else {"max_unavailable": 3}))) == ()

    def test_of_a_share_allows_at_least_one_pod(self) -> None:
        scene = a_scene_for(ActionType.ROLLOUT_RESTART, max_unavailable=1)
        assert refusals(an_example(ActionType.ROLLOUT_RESTART), scene, max_unavailable="10%") == ()


def test_everything_but_what_people_do_is_carried_out() -> None:
    assert set(ActionType) - {ActionType.MANUAL} == actions.EXECUTABLE


def test_intent_marks_what_it_touches_with_key_and_incident() -> None:
    intent = an_intent(an_example(ActionType.SCALE), a_scene_for(ActionType.SCALE))
    assert intent.annotations == {"safetygovernor.io/last-action": KEY, "safetygovernor.io/incident": INCIDENT}
    assert intent.at == NOON


@pytest.mark.parametrize("kind", TOUCHING)
def test_change_of_the_target_names_the_version_that_was_read(kind: values.ActionType) -> None:
    """Whoever changed it meanwhile makes the request fail."""
    step, scene = an_example(kind), a_scene_for(kind)
    asked = actions.of(kind).request(step, scene, an_intent(step, scene))
    assert isinstance(asked, requests.Patch)
    assert (asked.kind, asked.name) == (scene.target.kind, NAME)
    if asked.style is requests.PatchStyle.JSON:
        assert {"op": "replace", "path": "/metadata/resourceVersion", "value": "7"} in asked.body
    else:
        assert isinstance(asked.body, Mapping)
        assert asked.body["metadata"]["resourceVersion"] == "7"


def test_all_allowed_is_what_it_says() -> None:
    """Else a refusal in these tests could come from the guard-rails of the test."""
    assert set(all_allowed().allowed_actions) == set(ActionType)
