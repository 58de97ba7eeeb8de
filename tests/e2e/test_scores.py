"""Reliability scores with the operator as its own process: on record, told by `why`, asked for once, and never waited for."""

import time
from collections.abc import Iterator

import pytest
from click.testing import CliRunner

from safety_governor.cli import main
from safety_governor.domain.scores import Service
from support.operator_process import StartOperator
from support.score_services import ScoreServices, eect_row
from support.shop import Shop

MODEL = "gpt-5.4"


@pytest.fixture
def services() -> Iterator[ScoreServices]:
    with ScoreServices() as double:
        double.results[Service.EECT, MODEL] = [eect_row(0.6)]
        double.configured.add(MODEL)
        yield double


def test_profile_is_recorded_and_told_and_no_second_run_is_started(
    shop: Shop, start_operator: StartOperator, services: ScoreServices
) -> None:
    shop.deploy("payments")
    start_operator(agent_model=MODEL, **services.environment)
    shop.report("slow")
    status = shop.wait_for_phase("slow", "Resolved")
    assert (status["scores"]["state"], status["scores"]["ecs"]) == ("Known", 0.6)
    assert {"comprehensionIntegrity", "uCurveMagnitude"}.isdisjoint(status["scores"])
    assert [(one["service"], one["status"]) for one in status["scores"]["origins"]] == [
        ("eect", "ok"),
        ("ddft", "pending"),
        ("cdct", "pending"),
    ]
    assert status["compress"]["mode"] == "full_context"
    told = CliRunner().invoke(main.group, ["why", "-"], input=shop.kubectl("get", "incident", "slow", "-o", "yaml")).output
    assert "of gpt-5.4: ECS 0.60, CI unknown, u-curve unknown" in told
    assert "DDFT has no results for the model yet and has started a run" in told

    shop.report("second")
    shop.wait_for_phase("second", "Resolved")
    assert services.started == {(Service.DDFT, MODEL): 1, (Service.CDCT, MODEL): 1}
    assert len(services.asked) == 3


def test_services_that_hang_hold_a_decision_up_no_longer_than_their_timeout(
    shop: Shop, start_operator: StartOperator, services: ScoreServices
) -> None:
    shop.deploy("payments")
    services.hold()
    operator = start_operator(agent_model=MODEL, scores_timeout="PT1S", **services.environment)
    operator.wait_until_said("at work now")
    began = time.monotonic()
    shop.report("slow")
    status = shop.wait_for_phase("slow", "Resolved")
    assert time.monotonic() - began < 10
    assert status["scores"]["state"] == "Unknown"
    assert {one["reason"] for one in status["scores"]["origins"]} == {
        f"{name} did not answer within 1 s" for name in ("EECT", "DDFT", "CDCT")
    }
