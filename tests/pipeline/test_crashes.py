"""A crash at every instant: between any two things that the operator asks of the outside, and between asking and hearing.

Each story is told once without trouble, to count what is asked; then once for every moment of it with trouble in just that
moment. Whatever a process knew is lost with it. Each time the story must come to the same end, with the same effects, once.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from pipeline.test_steps import CALL, EVICT, RESTART, RUN_JOB, planned
from safety_governor.api import records
from safety_governor.domain import errors, requests, values, workloads
from safety_governor.domain.lifecycle import Phase
from safety_governor.domain.values import ActionType
from safety_governor.domain.verification import Outcome
from safety_governor.pipeline import outcomes
from support.builders import SERVICE, World

SCALE_UP = {"type": "Scale", "parameters": {"replicas": "5"}}
FIELD = "spec.template.spec.terminationGracePeriodSeconds"
STEPS: dict[values.ActionType, dict[str, Any]] = {
    ActionType.ROLLOUT_RESTART: RESTART,
    ActionType.ROLLOUT_UNDO: {"type": "RolloutUndo"},
    ActionType.SCALE: SCALE_UP,
    ActionType.EVICT_PODS: EVICT,
    ActionType.CORDON: {"type": "Cordon"},
    ActionType.UNCORDON: {"type": "Uncordon"},
    ActionType.RUN_JOB: RUN_JOB,
    ActionType.PATCH_FIELDS: {"type": "PatchFields", "parameters": {"path": FIELD, "value": "5"}},
    ActionType.WEBHOOK: CALL,
}
NODES = (ActionType.CORDON, ActionType.UNCORDON)
OUTSIDE = {
    "workloads": ("look", "dry_run", "act"),
    "rails": ("fetch",),
    "journal": ("intend", "end"),
}
"""What is asked of the outside; what is asked of the API server about the incident itself is its record."""


class Crash(BaseException):
    """The process ends here."""


@dataclass
class Trouble:
    """Something that goes wrong in one moment, counted from the beginning."""

    kind: str
    moment: int
    passed: int = 0
    came: bool = False

    def is_due(self) -> bool:
        self.passed += 1
        due = self.passed == self.moment
        self.came = self.came or due
        return due


KINDS: dict[str, tuple[bool, type[BaseException]]] = {
    "the process ends before it asks": (False, Crash),
    "the process ends before it hears": (True, Crash),
    "nobody answers": (False, errors.ClusterUnavailableError),
    "the answer is lost": (True, errors.ClusterUnavailableError),
}


def beset(world: World, trouble: Trouble) -> None:
    """From now on the trouble lurks in everything that is asked."""
    done_first, error = KINDS[trouble.kind]
    for part, names in OUTSIDE.items():
        for name in names:
            setattr(getattr(world, part), name, _around(getattr(getattr(world, part), name), trouble, done_first, error))
    put = world.incidents.put

    def record(incident: Any) -> Any:
        due = trouble.is_due()
        if due and not done_first:
            raise error("the record")
        written = put(incident)
        if due:
            raise error("the record")
        return written

    world.incidents.put = record  # type: ignore[method-assign]


def _around(asked: Callable[..., Any], trouble: Trouble, done_first: bool, error: type[BaseException]) -> Callable[..., Any]:
    async def ask(*args: Any, **named: Any) -> Any:
        due = trouble.is_due()
        if due and not done_first:
            raise error(asked.__name__)
        answer = await asked(*args, **named)
        if due:
            raise error(asked.__name__)
        return answer

    return ask


@dataclass
class Story:
    """A remediation in a world, told pass by pass; `worse` makes the target crash-loop after the first step of that id was done."""

    steps: tuple[dict[str, Any], ...]
    kind: values.ActionType = ActionType.ROLLOUT_RESTART
    worse: str = ""
    trouble: Trouble | None = None
    world: World = field(init=False)

    def __post_init__(self) -> None:
        self.world = planned(*self.steps)
        target = workloads.NODE if self.kind in NODES else "Deployment"
        self.world.workloads.deploy(SERVICE, kind=target, replicas=3)
        if self.kind is ActionType.ROLLOUT_UNDO:
            self.world.workloads.deploy(SERVICE, image="v2", replicas=3)
        if self.kind is ActionType.UNCORDON:
            self._uncordonable()
        self.world.report(target={"kind": target, "name": SERVICE})
        self._watch_effects()

    def _uncordonable(self) -> None:
        node = self.world.workloads.stored[SERVICE]
        body = {**node.body, "spec": {"unschedulable": True}}
        self.world.workloads.stored[SERVICE] = node.model_copy(update={"unschedulable": True, "body": body})

    def _watch_effects(self) -> None:
        """Nothing is touched but for a claim on record whose intent is durable."""
        act = self.world.workloads.act

        async def act_as_claimed(namespace: str, request: requests.Request) -> None:
            assert self.world.status.execution is not None
            action = self.world.status.execution.actions[-1]
            assert action.state is records.ActionState.CLAIMED
            assert action.key in {one.key for one in self.world.journal.intents}
            await act(namespace, request)

        self.world.workloads.act = act_as_claimed  # type: ignore[method-assign]

    def _set_scene(self) -> None:
        """What is done for the step that makes it worse leaves pods that crash-loop, until that is seen."""
        execution = self.world.status.execution
        done = execution.actions if execution is not None else ()
        sick = bool(self.worse and done and done[-1].id == self.worse and done[-1].outcome is None)
        target = self.world.workloads
        target.crashes = sick
        target.job_state = workloads.JobState.FAILED if sick else workloads.JobState.COMPLETE
        if self.kind is ActionType.WEBHOOK and done:
            called = sick and done[-1].key in target.calls
            if called != any(one.is_crash_looping for one in target.pods[SERVICE]):
                target.crashes = called
                target.pods[SERVICE] = [target.pod(SERVICE) for _ in range(3)]

    async def tell(self) -> Phase:
        """To its end."""
        # Until the claim nothing can be lost but time; what trouble does there is told in test_restart.
        await self.world.step()
        if self.trouble is not None:
            beset(self.world, self.trouble)
        for _ in range(60):
            self._set_scene()
            try:
                outcome = await self.world.step()
            except Crash:
                self.world.start()
                continue
            except errors.GovernorError:
                # The attendant reads the incident again and goes on.
                self.world.past.learn(self.world.incident)
                continue
            self.world.clock.advance(seconds=0.6)
            if isinstance(outcome, outcomes.Halt) and self.world.incident.is_finished:
                return Phase(self.world.status.phase)
        raise AssertionError(f"no end in sight: {self.world.status.phase}")

    @property
    def effects(self) -> list[str]:
        return sorted(self.world.workloads.effects)


def stories() -> dict[str, tuple[tuple[dict[str, Any], ...], values.ActionType, str, Phase]]:
    found: dict[str, tuple[tuple[dict[str, Any], ...], values.ActionType, str, Phase]] = {}
    for kind, step in STEPS.items():
        found[f"{kind} that helps"] = ((step,), kind, "", Phase.RESOLVED)
        if kind not in NODES:
            undoable = kind not in (ActionType.EVICT_PODS, ActionType.RUN_JOB)
            end = Phase.ROLLED_BACK if undoable else Phase.INDETERMINATE
            found[f"{kind} that makes it worse"] = ((step,), kind, "step-1", end)
    found["two steps that help"] = ((SCALE_UP, RESTART), ActionType.SCALE, "", Phase.RESOLVED)
    found["three steps of which the last makes it worse"] = ((SCALE_UP, RESTART, CALL), ActionType.WEBHOOK, "step-3", Phase.ROLLED_BACK)
    return found


STORIES = stories()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("story", STORIES)
async def test_story_of(story: str, kind: str) -> None:
    steps, action, worse, end = STORIES[story]
    untroubled = Story(steps=steps, kind=action, worse=worse)
    assert await untroubled.tell() == end
    assert len(set(untroubled.effects)) == len(untroubled.effects) > 0
    moments = 0
    while True:
        moments += 1
        trouble = Trouble(kind=kind, moment=moments)
        troubled = Story(steps=steps, kind=action, worse=worse, trouble=trouble)
        phase = await troubled.tell()
        if not trouble.came:
            break
        assert (phase, troubled.effects) == (end, untroubled.effects), f"trouble at moment {moments}"
        assert_true(troubled.world, missed=kind == "nobody answers")
    assert moments > 8


def assert_true(world: World, *, missed: int) -> None:
    """What is on record is what happened; the journal may have missed so many ends."""
    assert world.status.execution is not None
    done = world.status.execution.actions
    keys = [one.key for one in done]
    assert len(set(keys)) == len(keys)
    assert set(world.workloads.calls) <= set(keys)
    assert {one.key for one in world.journal.intents} == set(keys)
    # An end that the journal did not take stands in the incident; nothing waits for it.
    ended = {(one.key, one.outcome) for one in world.journal.ends}
    assert len({(one.key, one.outcome) for one in done} - ended) <= missed
    assert {key for key, _ in ended} <= set(keys)
    assert all(one.outcome is not None or one.state is not records.ActionState.CLAIMED for one in done)


def test_stories_tell_of_every_kind_and_outcome() -> None:
    assert set(STEPS) == set(ActionType) - {ActionType.MANUAL}
    assert {end for *_, end in STORIES.values()} == {Phase.RESOLVED, Phase.ROLLED_BACK, Phase.INDETERMINATE}
    assert Outcome.REGRESSED in Outcome
