"""An incident and the world around it, in which nothing speaks against a restart; a test says only what is different."""

from typing import Any

from pydantic import JsonValue
from pydantic.alias_generators import to_camel

from safety_governor.api import v1alpha1
from safety_governor.domain import approvals, checks, documents, guardrails, journal, verification
from safety_governor.pipeline import guarding, outcomes, profiling, register, runner
from safety_governor.pipeline.stages import approve, claim, compress, execute, gate, plan, stress, verify
from support import fakes

SERVICE = "checkout"
ACTION = "restart-checkout"
POOL = "The connection pool of checkout is exhausted"
LEAK = "Workers of checkout leak memory"
NAMESPACE = "shop"
OWN_NAMESPACE = "governor-system"
NAME = "slow"
REASON = "Nobody can pay and the pool is known to be the cause"


def a_runbook(identifier: str = "rb-1", *, action: str = ACTION, steps: int = 1, **changes: Any) -> documents.Runbook:
    remediation = {"action": action, "steps": [{"type": "RolloutRestart"} for _ in range(steps)]}
    known = {"id": identifier, "service": SERVICE, "title": "Checkout pool exhausted", "recommended_action": action}
    return documents.Runbook.model_validate({**known, "remediations": [remediation], "claims": [POOL, LEAK], **changes})


def evidence(identifier: str, text: str, *, stance: str = "supports", **changes: Any) -> documents.Evidence:
    return documents.Evidence.model_validate({"id": identifier, "service": SERVICE, "stance": stance, "text": text, **changes})


def a_policy(identifier: str = "pol-1", **changes: Any) -> documents.Policy:
    known = {"id": identifier, "service": SERVICE, "blocked_actions": [ACTION], "severities": ["*"], "rule": "No restarts at noon."}
    return documents.Policy.model_validate({**known, **changes})


def a_plan_answer(action: str | None = ACTION, *claims: str, **changes: Any) -> dict[str, Any]:
    """What an agent answers to the plan prompt."""
    known = {
        "proposedAction": action,
        "rationale": "The runbook fits.",
        "keyClaims": list(claims or (POOL, LEAK)),
        "confidenceInitial": 8.0,
    }
    return {**known, "runbookIds": ["rb-1"], **changes}


def a_stress_answer(
    *, supporting: dict[str, list[str]] | None = None, contradicting: dict[str, list[str]] | None = None, **changes: Any
) -> Any:
    """What an agent answers to the stress prompt about the two claims of the default plan."""
    claims = [
        {"claim": claim, "supporting": (supporting or {}).get(claim, []), "contradicting": (contradicting or {}).get(claim, [])}
        for claim in (POOL, LEAK)
    ]
    return {"claims": claims, "finalAction": ACTION, "confidencePost": 8.0, **changes}


CONTRADICTIONS = (
    evidence("ev-against-pool", f"{POOL}? No: 4 of 100 connections are in use.", stance="contradicts"),
    evidence("ev-against-leak", f"{LEAK}? No: the heap is flat since March.", stance="contradicts"),
)


def an_incident(**spec: Any) -> v1alpha1.Incident:
    known = {"service": SERVICE, "severity": "medium", "summary": "Checkout is slow, its pool is exhausted", "requestedBy": "alice"}
    return v1alpha1.Incident(
        metadata=v1alpha1.Metadata(name=NAME, namespace=NAMESPACE, uid="uid-1", generation=1, creation_timestamp=fakes.NOON),
        spec=v1alpha1.IncidentSpec.model_validate({**known, **spec}),
    )


class World:
    """All fakes and the real pipeline over them, with one incident that is stored as the API server stores it."""

    def __init__(self, **thresholds: Any) -> None:
        self.clock = fakes.FakeClock()
        self.knowledge = fakes.FakeKnowledge()
        self.knowledge.put(a_runbook(), evidence("ev-1", f"{POOL}, as it was in February."), evidence("ev-2", f"{LEAK} since Monday."))
        self.agent = fakes.FakeAgent(a_plan_answer())
        self.incidents = fakes.FakeIncidents()
        self.workloads = fakes.FakeWorkloads()
        self.workloads.deploy(SERVICE)
        self.rails = fakes.FakeGuardrails()
        self.guard = fakes.FakeGuard()
        self.journal = fakes.FakeJournal()
        self.scores = fakes.FakeScores()
        self.model = ""
        """Named before `start`, so that a model takes part."""
        self.ceilings = guardrails.Ceilings()
        self.workloads.clock = self.clock
        self.watch = verification.Watch(soak_seconds=0)
        self._thresholds = thresholds
        self._processes = 0
        self.start()

    def start(self) -> None:
        """An operator process over all this: what only a process knows is new, the rest is as the API server and the journal have it."""
        self._processes += 1
        self.fence = fakes.FakeFence()
        self.fence.holder = f"operator-{self._processes}"
        self.past = register.Register()
        for key, incident in self.incidents.stored.items():
            kept = v1alpha1.IncidentStatus.model_validate_json(incident.status.model_dump_json())
            self.incidents.stored[key] = incident.model_copy(update={"status": kept})
            self.past.learn(incident)
        self.past.remember(journal.past(self.journal.events))
        self.guarded = guarding.Guarding(
            rails=self.rails, actuator=self.workloads, past=self.past, ceilings=self.ceilings, watch=self.watch, own_namespace=OWN_NAMESPACE
        )
        self.stages = runner.Stages(
            plan=plan.Plan(agent=self.agent, knowledge=self.knowledge, profiling=profiling.Profiling(self.scores, model=self.model)),
            stress=stress.Stress(agent=self.agent, knowledge=self.knowledge),
            compress=compress.Compress(),
            gate=gate.Gate(
                knowledge=self.knowledge,
                targets=self.workloads,
                actuator=self.workloads,
                guard=self.guarded,
                thresholds=checks.Thresholds(**self._thresholds),
            ),
            approve=approve.Approve(guard=self.guard),
            claim=claim.Claim(targets=self.workloads, actuator=self.workloads, guard=self.guarded, past=self.past, fence=self.fence),
            execute=execute.Execute(
                targets=self.workloads,
                actuator=self.workloads,
                guard=self.guarded,
                fence=self.fence,
                journal=self.journal,
            ),
            verify=verify.Verify(targets=self.workloads, knowledge=self.knowledge, journal=self.journal),
        )
        self.runner = runner.Runner(stages=self.stages, clock=self.clock)

    @property
    def incident(self) -> v1alpha1.Incident:
        return self.incidents.stored[NAMESPACE, NAME]

    @property
    def status(self) -> v1alpha1.IncidentStatus:
        return self.incident.status

    def report(self, **spec: Any) -> None:
        self.incidents.put(an_incident(**spec))

    def remedy(self, *steps: dict[str, Any]) -> None:
        """The runbook has these steps, and the namespace allows all that they name."""
        self.knowledge.put(a_runbook(remediations=[{"action": ACTION, "steps": list(steps)}]))
        given = [step.get("parameters", {}) for step in steps]
        self.rails.change(
            job_templates=tuple(one["template"] for one in given if "template" in one),
            webhooks=tuple(one[name] for one in given for name in ("webhook", "inverse") if name in one),
            patchable=tuple({"kind": "Deployment", "path": one["path"]} for one in given if "path" in one),
        )

    def change(self, **spec: Any) -> None:
        """A person changes the spec."""
        before = self.incident
        written: dict[str, JsonValue] = {f"f:{to_camel(field)}": {} for field in spec}
        owned = v1alpha1.ManagedFields(time=self.clock.now(), fields_v1={"f:spec": written})
        metadata = before.metadata.model_copy(
            update={"generation": before.metadata.generation + 1, "managed_fields": (*before.metadata.managed_fields, owned)}
        )
        self.incidents.put(before.model_copy(update={"metadata": metadata, "spec": before.spec.model_copy(update=spec)}))

    def decide(self, decision: str, *, by: str = "bob", second: bool = False, digest: str = "") -> None:
        """A person decides about what is gated now."""
        assert self.status.gate is not None
        said = approvals.Approval.model_validate(
            {"decision": decision, "plan_digest": digest or self.status.gate.plan_digest, "approver": by, "reason": REASON}
        )
        self.change(**{"second_approval" if second else "approval": said})

    async def step(self, *, give_up_reading: bool = False) -> outcomes.Outcome:
        """One pass, and what it answers put on record."""
        outcome = await self.runner.advance(self.incident, give_up_reading=give_up_reading)
        self.past.learn(self.incidents.put(self.incident.model_copy(update={"status": outcome.status})))
        return outcome

    async def steps(self, *, limit: int = 20) -> list[outcomes.Outcome]:
        """Passes until the incident waits for somebody or is finished; short waits go by."""
        taken = []
        for _ in range(limit):
            taken.append(await self.step())
            match taken[-1]:
                case outcomes.Halt() | outcomes.Stall():
                    break
                case outcomes.Wait(until=until):
                    if (until - self.clock.now()).total_seconds() > 5:
                        break
                    self.clock.at = until
                case outcomes.Record() | outcomes.Advance():
                    self.clock.advance(seconds=0.1)
        return taken
