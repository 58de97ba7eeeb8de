"""The resources of version v1alpha1 as types. The manifests in `crds/` are generated from them (`make crds`)."""

from datetime import datetime
from typing import Annotated, Self

from pydantic import Field, JsonValue, StringConstraints

from safety_governor.api import group, records
from safety_governor.api.conditions import Condition, PolicyCondition
from safety_governor.domain import approvals, guardrails, lifecycle, plans, values
from safety_governor.domain.scores import Profile

Phase = Annotated[str, StringConstraints(max_length=63)]


class ManagedFields(values.Value):
    """Who wrote which fields, and when, as the API server notes it."""

    time: datetime | None = None
    fields_v1: dict[str, JsonValue] = Field(default_factory=dict)


class Metadata(values.Value):
    """The part of Kubernetes' object metadata that the governor reads."""

    name: str
    namespace: str
    uid: str = ""
    resource_version: str = ""
    generation: int = 0
    creation_timestamp: datetime | None = None
    managed_fields: tuple[ManagedFields, ...] = ()

    @property
    def key(self) -> str:
        """`namespace/name`, the one form in which an object is named in logs, locks and the command line."""
        return f"{self.namespace}/{self.name}"

    def written_at(self, *path: str) -> datetime | None:
        """When the API server saw the owner of this field write; None when it does not say. At or after the write itself."""
        times = [entry.time for entry in self.managed_fields if entry.time is not None and _owns(entry.fields_v1, path)]
        return max(times, default=None)


def _owns(fields: JsonValue, path: tuple[str, ...]) -> bool:
    for name in path:
        if not isinstance(fields, dict) or f"f:{name}" not in fields:
            return False
        fields = fields[f"f:{name}"]
    return True


class Source(values.Value):
    """Where the incident comes from."""

    kind: values.Word
    """What reported it, for example Alertmanager or Person."""
    id: values.Line = ""
    """Its id there, for example an alert's fingerprint."""
    url: Annotated[str, StringConstraints(max_length=values.TEXT_LIMIT)] = ""
    """Where to read more."""


class IncidentSpec(values.Value):
    """What happened, to what, and what people have decided about it. Immutable but for the approvals, abort and mode."""

    service: values.ServiceName
    """The service that suffers, as runbooks, policies and logs name it."""
    severity: values.Severity
    """How bad it is for the users of the service. A critical incident is only released by FORCE_OVERRIDE."""
    summary: Annotated[str, StringConstraints(min_length=1, max_length=values.SUMMARY_LIMIT)]
    """What is wrong, in a sentence or two. Treated as data, never as an instruction."""
    symptoms: tuple[values.Text, ...] = Field(default=(), max_length=16)
    """What was observed, one symptom each."""
    target: plans.Target | None = None
    """The workload to act on, in the incident's own namespace. Absent: the Deployment named like the service."""
    source: Source | None = None
    """Where the incident comes from."""
    mode: values.Mode = values.Mode.ENFORCE
    """Enforce acts on what is released; Observe decides, shows everything and never acts. May only change from Enforce to Observe."""
    requested_by: values.Name | None = None
    """Who reported the incident; never the one who releases it."""
    abort: bool = False
    """Set to true to end the incident before anything is done. Cannot be taken back."""
    alert_resolved: bool = False
    """Set to true when the alert that reported the incident has resolved itself; nothing is done any more. Cannot be taken back."""
    approval: approvals.Approval | None = None
    """A person's decision about status.gate.planDigest. Written once for that digest; may be replaced only when the digest has changed since."""
    second_approval: approvals.Approval | None = None
    """The decision of another person, where two are required; same rules as approval."""


class IncidentStatus(values.Value):
    """What the governor found, decided and did. Written by the operator alone."""

    observed_generation: int = Field(default=0, ge=0)
    """metadata.generation that this status describes."""
    phase: Phase = lifecycle.Phase.PENDING
    """Where the incident stands, for people; programs read the conditions."""
    attempt: int = Field(default=0, ge=0, le=1000)
    """How many times the incident has been gated; part of the plan digest, so that a new attempt voids old approvals."""
    conditions: tuple[Condition, ...] = Field(default=(), max_length=16)
    """Observations for programs: Planned, StressTested, Gated, Approved, Executed, Verified, Learned, Succeeded, Reconciling, Stalled."""
    plan: plans.Plan | None = None
    """What is proposed, resolved into the typed steps of a trusted runbook."""
    target: records.TargetState | None = None
    """The workload as it was when the plan was gated."""
    stress: records.Stress | None = None
    """The evidence ledger and what else was read to test the plan."""
    compress: records.CompressRecord | None = None
    """How much context later readers get."""
    scores: Profile | None = None
    """Reliability figures of the model behind the agent."""
    gate: records.Gate | None = None
    """The decision, with every reason for it."""
    approval: records.ApprovalState | None = None
    """What people were asked and what they answered."""
    execution: records.Execution | None = None
    """What was claimed and done."""
    verification: records.Verification | None = None
    """Whether it helped."""
    learning: records.Learning | None = None
    """What was written down for the next time."""
    tickets: tuple[records.Ticket, ...] = Field(default=(), max_length=8)
    """Tickets about this incident in other systems."""
    notifications: tuple[records.Notification, ...] = Field(default=(), max_length=16)
    """Messages about this incident in other systems."""
    audit: records.AuditAnchor | None = None
    """How far the audit trail was when this status was written; `safety-governor audit verify --cluster` holds the two against each other."""

    def with_action(self, action: records.Action) -> Self:
        """The status with a later state of the action that was claimed last."""
        assert self.execution is not None, "an action is claimed before it has a later state"  # noqa: S101
        actions = (*self.execution.actions[:-1], action)
        return self.model_copy(update={"execution": self.execution.model_copy(update={"actions": actions})})


class Incident(values.Value):
    """An incident and the governor's way with it: kubectl apply starts it, status.gate shows the decision."""

    api_version: str = group.API_VERSION
    kind: str = group.INCIDENT_KIND
    metadata: Metadata
    spec: IncidentSpec
    """What happened, to what, and what people have decided about it."""
    status: IncidentStatus = IncidentStatus()
    """What the governor found, decided and did."""

    @property
    def key(self) -> str:
        """`namespace/name`."""
        return self.metadata.key

    @property
    def target(self) -> plans.Target:
        """The workload to act on; by default the Deployment named like the service."""
        return self.spec.target or plans.Target(name=self.spec.service)

    @property
    def is_finished(self) -> bool:
        """Whether nothing about it will ever change again."""
        return self.status.phase in lifecycle.TERMINAL

    @classmethod
    def read(cls, body: JsonValue) -> Self:
        """From an object of the API server; fields that this version does not know are passed over, as the server may be newer."""
        return cls.model_validate(body, extra="ignore")


class RemediationPolicyStatus(values.Value):
    """A display, written rarely; the truth is computed from the incidents. It is about the namespace, whose policies hold together."""

    observed_generation: int = Field(default=0, ge=0)
    """metadata.generation that this status describes."""
    conditions: tuple[PolicyCondition, ...] = Field(default=(), max_length=16)
    """Observations for programs: Active, Suspended, Frozen, BreakerOpen, Strictest."""
    budget: values.Line = ""
    """What is left of the hourly budget that will be used up first, for example 7 of 10 left this hour."""
    breaker: values.Word | None = None
    """Closed, or Open after two actions in a row that did not help; spec.breakerResetAt closes it."""
    frozen_until: values.Line = ""
    """Until when a freeze lasts, or which freeze window cannot be read; empty when nothing is frozen."""
    actions_last_hour: int = Field(default=0, ge=0)
    """How many actions were taken for incidents of the namespace within the last hour."""


class RemediationPolicy(values.Value):
    """How a platform team opts a namespace in and sets its guard-rails. A namespace without one is observed, never acted on."""

    api_version: str = group.API_VERSION
    kind: str = group.REMEDIATION_POLICY_KIND
    metadata: Metadata
    spec: guardrails.Guardrails
    """What may be done in this namespace. Of several policies the strictest of each field holds."""
    status: RemediationPolicyStatus = RemediationPolicyStatus()
    """A display, written rarely."""

    @classmethod
    def read(cls, body: JsonValue) -> Self:
        """From an object of the API server."""
        return cls.model_validate(body, extra="ignore")
