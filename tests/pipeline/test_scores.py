"""What the reliability of the model changes: confidence, the price of contradictions, the context. And that unknown only makes it stricter."""

from typing import Any

import pytest

from safety_governor.domain import scores
from safety_governor.domain.compression import ContextMode
from safety_governor.domain.lifecycle import Phase
from safety_governor.domain.scores import ScoreState, Service, Status
from support.builders import ACTION, CONTRADICTIONS, World, a_stress_answer, an_incident

MODEL = "gpt-5.4"
FULL, COMPRESSED = ContextMode.FULL, ContextMode.COMPRESSED


def world_with(*, contradictions: int = 0, model: str = MODEL, **figures: float | None) -> World:
    """A world whose agent has a model of which so much is known."""
    world = World()
    world.model = model
    of = {"ecs": Service.EECT, "ci": Service.DDFT, "u_curve_magnitude": Service.CDCT}
    world.scores.figures = {of[name].value: {name: figure} for name, figure in figures.items() if figure is not None}
    world.knowledge.put(*CONTRADICTIONS[:contradictions])
    world.start()
    world.report()
    return world


EFFECTS: dict[str, tuple[dict[str, Any], tuple[float, float], ContextMode, str]] = {
    # the agent states 8.0 before and after
    "nothing is known": ({}, (8.0, 8.0), FULL, "the u-curve of the model is unknown"),
    "ECS is known": ({"ecs": 0.6}, (7.0, 8.0), FULL, "the u-curve of the model is unknown"),
    "ECS of zero is a figure": ({"ecs": 0.0}, (4.0, 8.0), FULL, "the u-curve of the model is unknown"),
    "CI alone changes nothing without contradictions": ({"ci": 0.1}, (8.0, 8.0), FULL, "the u-curve of the model is unknown"),
    "CI is unknown, one contradiction costs 0.9": ({"contradictions": 1}, (8.0, 7.1), FULL, "evidence contradicts the plan"),
    "CI of a half, one contradiction costs 1.35": ({"ci": 0.5, "contradictions": 1}, (8.0, 6.65), FULL, "evidence contradicts the plan"),
    "CI of zero, one contradiction costs 1.8": ({"ci": 0.0, "contradictions": 1}, (8.0, 6.2), FULL, "evidence contradicts the plan"),
    "CI of one, one contradiction costs 0.9": ({"ci": 1.0, "contradictions": 1}, (8.0, 7.1), FULL, "evidence contradicts the plan"),
    "CI of 0.4, two cost 2.88 and 1.5": ({"ci": 0.4, "contradictions": 2}, (8.0, 3.62), FULL, "evidence contradicts the plan"),
    "a flat u-curve": ({"u_curve_magnitude": 0.1}, (8.0, 8.0), COMPRESSED, "nothing is disputed"),
    "a u-curve at the limit": ({"u_curve_magnitude": 0.4}, (8.0, 8.0), COMPRESSED, "nothing is disputed"),
    "a u-curve above the limit": ({"u_curve_magnitude": 0.41}, (8.0, 8.0), FULL, "u-curve magnitude 0.41 is above 0.4"),
    "all three": ({"ecs": 0.5, "ci": 0.5, "u_curve_magnitude": 0.1, "contradictions": 1}, (6.5, 6.65), FULL, "evidence contradicts"),
    "no model takes part": ({"model": "", "ecs": 0.1}, (8.0, 8.0), COMPRESSED, "no profile of a model was asked for"),
}


@pytest.mark.parametrize(("known", "confidence", "mode", "reason"), EFFECTS.values(), ids=EFFECTS.keys())
async def test_effect_when(known: dict[str, Any], confidence: tuple[float, float], mode: ContextMode, reason: str) -> None:
    world = world_with(**known)
    await world.step()
    gate, compress = world.status.gate, world.status.compress
    assert gate is not None
    assert compress is not None
    assert (gate.confidence_initial, gate.confidence_post) == confidence
    assert compress.mode == mode
    assert reason in compress.reason


class TestProfile:
    async def test_is_on_record_with_what_each_service_said(self) -> None:
        world = world_with(ecs=0.86)
        await world.step()
        profile = world.status.scores
        assert profile is not None
        assert (profile.state, profile.model, profile.ecs, profile.comprehension_integrity) == (ScoreState.KNOWN, MODEL, 0.86, None)
        assert [(one.service, one.status, one.reason) for one in profile.origins] == [
            (Service.EECT, Status.OK, ""),
            (Service.DDFT, Status.UNAVAILABLE, "ddft did not answer"),
            (Service.CDCT, Status.UNAVAILABLE, "cdct did not answer"),
        ]

    async def test_without_any_answer_is_unknown_and_holds_nothing_up(self) -> None:
        world = world_with()
        await world.steps()
        assert world.status.scores is not None
        assert (world.status.scores.state, world.status.phase) == (ScoreState.UNKNOWN, Phase.RESOLVED)

    async def test_is_asked_for_once_however_often_the_incident_is_judged(self) -> None:
        world = world_with(contradictions=2, ecs=0.9)
        await world.step()
        for _ in range(5):
            await world.step()
        world.decide("APPROVE")
        await world.steps()
        assert world.status.phase == Phase.RESOLVED
        assert sorted(world.scores.asked) == [("cdct", MODEL), ("ddft", MODEL), ("eect", MODEL)]

    async def test_that_changes_later_does_not_void_an_approval(self) -> None:
        world = world_with(contradictions=2, ecs=0.9)
        await world.step()
        world.scores.figures = {"eect": {"ecs": 0.1}, "cdct": {"u_curve_magnitude": 0.9}}
        world.decide("APPROVE")
        await world.steps()
        assert world.status.phase == Phase.RESOLVED

    async def test_is_part_of_what_is_approved(self) -> None:
        digests = set()
        for ecs, ci in ((None, None), (0.9, None), (0.8, None), (0.8, 0.5)):
            world = world_with(contradictions=2, ecs=ecs, ci=ci)
            await world.step()
            assert world.status.gate is not None
            digests.add(world.status.gate.plan_digest)
        assert len(digests) == 4

    async def test_survives_a_restart_without_being_asked_for_again(self) -> None:
        world = world_with(contradictions=2, ecs=0.86)
        await world.step()
        before = world.status.scores
        world.start()
        await world.step()
        assert (world.status.scores, len(world.scores.asked)) == (before, 3)

    async def test_is_not_asked_for_without_a_model(self) -> None:
        world = world_with(model="", ecs=0.9)
        await world.step()
        assert (world.status.scores, world.scores.asked) == (None, [])

    async def test_of_an_agent_whose_answer_cannot_be_used_is_on_record_too(self) -> None:
        world = world_with(ecs=0.9)
        world.agent.plan = "gibberish"
        await world.step()
        assert world.status.scores is not None
        assert world.status.scores.ecs == 0.9


@pytest.mark.parametrize("figure", [None, 0.0, 0.5, 1.0])
async def test_no_figure_opens_or_closes_the_gate(figure: float | None) -> None:
    """They inform people and decide how much context is kept; a number about a model is no reason to act."""
    for contradictions in (0, 1, 2):
        known = world_with(contradictions=contradictions, ecs=figure, ci=figure, u_curve_magnitude=figure)
        plain = world_with(contradictions=contradictions, model="")
        for world in (known, plain):
            world.agent.second = a_stress_answer(finalAction=ACTION, confidencePost=1.0)
            await world.step()
        assert known.status.gate is not None
        assert plain.status.gate is not None
        assert (known.status.gate.decision, known.status.gate.findings) == (plain.status.gate.decision, plain.status.gate.findings)


async def test_severity_keeps_the_context_full_whatever_the_u_curve() -> None:
    world = world_with(u_curve_magnitude=0.0)
    world.incidents.put(an_incident(severity="high"))
    await world.step()
    assert world.status.compress is not None
    assert world.status.compress.mode == FULL


def test_every_service_has_a_figure_with_an_effect() -> None:
    assert set(scores.USED) == set(Service)
