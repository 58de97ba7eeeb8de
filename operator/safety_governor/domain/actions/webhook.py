"""Call automation that was there before us. It promises to take a repeated key for the same request."""

from pydantic import Field

from safety_governor.domain import guardrails, plans, requests, snapshots, values, workloads
from safety_governor.domain.actions import base


class Parameters(base.Parameters):
    """Which automation, and what it is told."""

    webhook: values.Word
    """The name under which the operator knows it."""
    inverse: values.Word | None = None
    """The webhook that undoes it."""
    argument: values.Line = Field(default="")
    """Passed on as it is."""


class Webhook(base.Action[Parameters]):
    """What it brings about cannot be seen in the cluster; its answer is put on record instead."""

    action_type = values.ActionType.WEBHOOK
    kinds = workloads.ROLLING | {workloads.NODE, workloads.JOB}
    changes_target = False
    shows_effect = False
    parameters = Parameters

    def describe(self, step: plans.Step, target: str) -> str:
        """In one line."""
        return f"calls the automation {self.read(step).webhook} for {target}"

    def objections(self, step: plans.Step, scene: workloads.Scene, rules: guardrails.Guardrails) -> tuple[str, ...]:
        """Not listed."""
        del scene
        given = self.read(step)
        named = [one for one in (given.webhook, given.inverse) if one is not None]
        return tuple(
            f"webhook {one} is not among the webhooks of the RemediationPolicy" for one in named if not guardrails.may_call(rules, one)
        )

    def request(self, step: plans.Step, scene: workloads.Scene, intent: base.Intent) -> requests.Request | None:
        """A call, until it is acknowledged."""
        if intent.acknowledged:
            return None
        given = self.read(step)
        body = {
            "incident": intent.incident,
            "action": intent.key,
            "target": {"kind": scene.target.kind, "name": scene.target.name, "uid": scene.target.uid},
            "argument": given.argument,
            "claimedAt": f"{intent.at:%Y-%m-%dT%H:%M:%SZ}",
        }
        return requests.Call(webhook=given.webhook, key=intent.key, body=body)

    def inverse(self, step: plans.Step, before: snapshots.Snapshot) -> plans.Step | None:
        """The webhook that the runbook names for it."""
        del before
        given = self.read(step)
        if given.inverse is None:
            return None
        return plans.Step(id=f"{step.id}-undo", type=self.action_type, parameters={"webhook": given.inverse, "argument": given.argument})
