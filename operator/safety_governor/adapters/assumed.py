"""A cluster that is assumed, for rehearsals without one: the target exists, and its namespace allows everything that can be done.

It can be read and cannot be touched.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from safety_governor.domain import actions, digests, errors, guardrails, journal, plans, requests, rollouts, values, workloads

_LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


class AssumedCluster:
    """Answers for the target, the guard-rails, the Lease and the journal."""

    holder = "rehearsal"

    def __init__(self) -> None:
        self._asked: list[tuple[plans.Target, plans.Step]] = []

    async def look(self, namespace: str, target: plans.Target, *, step: plans.Step | None = None, key: str = "") -> workloads.Scene | None:
        """Whatever is asked for is there, and such that a step makes sense."""
        del key
        # What is wrong with a step is told by the plan; nobody would list it.
        if step is not None and not actions.of(step.type).problems(step):
            self._asked.append((target, step))
        hashes = [digests.digest({"assumed": target.name, "revision": number}) for number in (2, 1)]
        found = workloads.Workload(
            kind=target.kind,
            name=target.name,
            uid=f"assumed-{namespace}-{target.name}",
            resource_version="0",
            generation=1,
            template_hash=hashes[0],
            unschedulable=step is not None and step.type is values.ActionType.UNCORDON,
            rollout=rollouts.Observed(generation=1, observed_generation=1),
        )
        pod = workloads.Pod(name=f"{target.name}-0", uid="assumed", created_at=_LONG_AGO, ready=False)
        template = step.parameters.get("template") if step is not None and step.type is values.ActionType.RUN_JOB else None
        return workloads.Scene(
            target=found,
            executor_exists=True,
            pods=(pod,),
            revisions=tuple(
                workloads.Revision(name=f"assumed-{number}", number=number, template={}, template_hash=known)
                for number, known in zip((2, 1), hashes, strict=True)
            ),
            autoscaler="",
            other_nodes=1,
            job_template=workloads.JobTemplate(name=template, digest=digests.digest(template), spec={}) if template else None,
        )

    async def fetch(self, namespace: str) -> tuple[guardrails.Named, ...]:
        """The namespace allows what can be carried out; the protected namespaces stay protected."""
        del namespace
        rules = guardrails.Guardrails(
            allowed_actions=tuple(sorted(actions.EXECUTABLE)),
            job_templates=self._given("template"),
            webhooks=(*self._given("webhook"), *self._given("inverse")),
            patchable=tuple(
                guardrails.PatchableField(kind=target.kind, path=step.parameters["path"])
                for target, step in self._asked
                if "path" in step.parameters
            ),
        )
        return (guardrails.Named(name="assumed", rules=rules),)

    def _given(self, parameter: str) -> tuple[str, ...]:
        """What the steps that were looked at name: a platform team that allows them would list it."""
        return tuple(step.parameters[parameter] for _, step in self._asked if parameter in step.parameters)

    async def dry_run(self, namespace: str, request: requests.Request) -> Mapping[str, Any]:
        """Nobody has computed it."""
        del namespace, request
        return {}

    async def act(self, namespace: str, request: requests.Request) -> None:
        """Refused: there is nothing to touch."""
        raise errors.ClusterRefusedError(f"a rehearsal touches nothing (namespace {namespace}, {type(request).__name__})")

    async def intend(self, intent: journal.Intent) -> None:
        """Refused: nothing may be begun."""
        raise errors.ClusterRefusedError(f"a rehearsal begins nothing ({intent.incident})")

    async def end(self, end: journal.End) -> None:
        """Nothing was begun, so nothing can end."""
        raise errors.ClusterRefusedError(f"a rehearsal ends nothing ({end.incident})")

    def doubt(self) -> str:
        """A rehearsal honours no approval."""
        return "a rehearsal honours no approval"

    def holds(self) -> bool:
        """A rehearsal may never act."""
        return False
