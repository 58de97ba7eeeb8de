"""Steps that people carry out. The governor hands the text over and touches nothing."""

from pydantic import ConfigDict

from safety_governor.domain import plans, requests, values, workloads
from safety_governor.domain.actions import base


class Parameters(base.Parameters):
    """Whatever helps the people who do it."""

    model_config = ConfigDict(extra="allow")


class Manual(base.Action[Parameters]):
    """For people."""

    action_type = values.ActionType.MANUAL
    kinds = workloads.ROLLING | {workloads.NODE, workloads.JOB}
    changes_target = False
    parameters = Parameters

    def describe(self, step: plans.Step, target: str) -> str:
        """In one line."""
        return step.text or f"people do something about {target}"

    def request(self, step: plans.Step, scene: workloads.Scene, intent: base.Intent) -> requests.Request | None:
        """Nothing that a program asks for."""
        del step, scene, intent
        return None
