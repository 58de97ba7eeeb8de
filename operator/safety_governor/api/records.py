"""What the stages record in an incident's status: each is the result of one stage, capped in size."""

import enum
from datetime import datetime
from typing import Annotated

from pydantic import Field, StringConstraints

from safety_governor.domain import approvals, authorities, changes, compression, plans, values, verdicts

# By name, because a field is called like the module and would hide it.
from safety_governor.domain.adaptability import Adaptability
from safety_governor.domain.checks import Finding
from safety_governor.domain.ledger import Ledger
from safety_governor.domain.snapshots import Snapshot
from safety_governor.domain.telemetry import Telemetry
from safety_governor.domain.verification import Baseline, Outcome, Watch


class TargetState(values.Value):
    """A workload as it was read."""

    kind: values.Word
    """Kind of the workload."""
    name: values.Name
    """Name of the workload, in the incident's own namespace."""
    exists: bool
    """Whether it was there."""
    uid: values.Line = ""
    """Its uid: another workload of the same name is another target."""
    template_hash: values.Line = ""
    """Digest of its pod template."""


class PoliciesRead(values.Value):
    """All policies that were read for the decision."""

    count: int = Field(ge=0)
    """How many concern the service."""
    digest: values.Digest
    """Of all of them, with their content."""


class AgentPosition(values.Value):
    """Where the agent itself stands after the stress test. Recorded, and never able to loosen a verdict."""

    final_action: values.ActionName | None = None
    """The action it stands by; absent when it stands by none."""
    confidence_post: float = Field(ge=0.0, le=10.0)
    """Its own confidence after the test, 0..10."""
    rejected_authorities: tuple[values.Line, ...] = Field(default=(), max_length=16)
    """Claims to authority that it does not believe."""
    policy_conflicts: tuple[values.DocumentId, ...] = Field(default=(), max_length=64)
    """Policies that it says forbid the action."""
    reported: int = Field(default=0, ge=0)
    """How many of the contradictions and policy conflicts on record it named itself."""


class Stress(values.Value):
    """How the plan stood up to the evidence."""

    ledger: Ledger | None = None
    """Per claim, the documents for and against it and the citations that were not believed; absent when the evidence could not be read."""
    contradiction_count: int | None = Field(default=None, ge=0)
    """Claims with at least one verified contradicting document; absent when unknown."""
    evidence_coverage: float | None = Field(default=None, ge=0.0, le=1.0)
    """Claims with any verified document / claims; absent when unknown."""
    policies: PoliciesRead | None = None
    """The policies of the service; absent when they could not be read completely."""
    fabricated: tuple[authorities.Authority, ...] = Field(default=(), max_length=16)
    """Authorities that are named and do not exist."""
    telemetry: Telemetry | None = None
    """Live logs of the service; absent when unknown."""
    unknowns: tuple[values.Text, ...] = Field(default=(), max_length=8)
    """What could not be read, and why."""
    agent: AgentPosition | None = None
    """What the agent itself says after the test; absent when its answer cannot be used."""
    answer_problems: tuple[values.Text, ...] = Field(default=(), max_length=8)
    """What is wrong with the agent's answers."""


class CompressRecord(compression.Compression):
    """How much context later readers get."""


class Gate(values.Value):
    """The decision."""

    decision: verdicts.Decision
    """execute, block_and_escalate or hand_over."""
    required_approval: values.Release
    """What a person must say to release it: NotNeeded, APPROVE, FORCE_OVERRIDE or Impossible."""
    reason: Annotated[str, StringConstraints(max_length=512)]
    """The names of the checks that block, or NoFindings."""
    findings: tuple[Finding, ...] = Field(default=(), max_length=16)
    """Every check that fired, with the measured value and the threshold."""
    plan_digest: values.Digest
    """What an approval must name: it covers incident, attempt, steps, target, evidence, policies, guard-rails, scores and gate version."""
    input_digest: values.Digest
    """Of the facts that were judged."""
    version: values.Word
    """Version of the gate."""
    decided_at: datetime
    """When."""
    expires_at: Annotated[str, StringConstraints(max_length=32)] = ""
    """Until when an approval is taken; after that the incident expires, which is a denial."""
    two_persons: bool = False
    """Whether two people have to agree."""
    previews: tuple[changes.Preview, ...] = Field(default=(), max_length=16)
    """Per step, what it would change, as the API server computed it in a dry run."""
    contents: dict[values.Word, values.Digest] = Field(default_factory=dict, max_length=16)
    """Per step, a digest of all that it would ask for; a later step is held against it when its turn comes."""
    held_by: tuple[values.Text, ...] = Field(default=(), max_length=16)
    """What would hold the action back if it were released now; time passes, so it is no part of the digest."""
    parts: dict[values.Word, values.Digest] = Field(default_factory=dict, max_length=16)
    """Digests of the parts that planDigest covers, so that a void approval can say which of them changed."""
    confidence: Annotated[str, StringConstraints(max_length=16)] = ""
    """Confidence before and after the stress test, as it is shown: 8.2->4.1."""
    confidence_initial: float | None = Field(default=None, ge=0.0, le=10.0)
    """0..10, before the stress test."""
    confidence_post: float | None = Field(default=None, ge=0.0, le=10.0)
    """0..10, after the stress test; absent when it is unknown."""
    confidence_delta: float | None = Field(default=None, ge=-10.0, le=10.0)
    """Negative when confidence was lost."""
    initial_action: values.ActionName | None = None
    """What was planned."""
    final_action: values.ActionName | None = None
    """What the agent stands by after the stress test."""
    disagreement_detected: bool = False
    """Whether evidence, policies or the agent's second look speak against the plan."""
    arbiter_resolution: values.Line = ""
    """How the disagreement was resolved, in a phrase."""
    adaptability: Adaptability | None = None
    """How well the agent itself followed the evidence."""


class ApprovalState(values.Value):
    """The question to people and their answers."""

    summary: values.Line = ""
    """In a phrase, for `kubectl get`."""
    decision: approvals.Word | None = None
    """The answer that was honoured."""
    approver: values.Line = ""
    """Who gave it."""
    reason: values.Text = ""
    """Why."""
    plan_digest: values.Digest | None = None
    """For which digest."""
    recorded_at: datetime | None = None
    """When the operator took note of it."""
    refusals: tuple[approvals.Refusal, ...] = Field(default=(), max_length=16)
    """Answers that released nothing."""


class ActionState(enum.StrEnum):
    """How far one action is."""

    CLAIMED = "Claimed"
    """Intent is on record; the cluster may or may not have been touched."""
    DONE = "Done"
    FAILED = "Failed"
    """The API server refused it; nothing was changed."""
    INDETERMINATE = "Indeterminate"
    """It is not known whether it took effect; a person decides."""


class Action(values.Value):
    """One step that was claimed, and what became of it."""

    id: values.Word
    """The step's id in status.plan."""
    type: values.ActionType
    """What is done."""
    parameters: dict[values.Word, values.Line] = Field(default_factory=dict, max_length=16)
    """With what; from the runbook, or, of an undo, from the state of before."""
    undoes: Annotated[str, StringConstraints(max_length=63)] = ""
    """Id of the step that this action undoes; empty for a step of the plan."""
    key: values.Digest
    """Unique for incident, digest, step and attempt; left on the target, so that an effect is recognised after a crash."""
    target: plans.Target
    """On what."""
    state: ActionState
    """How far it is."""
    before: Snapshot
    """The target as it was, and must still be when the action is taken."""
    after: Snapshot | None = None
    """The target as the action left it."""
    baseline: Baseline = Baseline()
    """How things went before, which the outcome is held against."""
    watch: Watch = Watch()
    """How closely it is watched."""
    claimed_at: datetime
    """When intent was recorded."""
    acknowledged_at: datetime | None = None
    """When automation outside of the cluster said that it is done."""
    done_at: datetime | None = None
    """When the outcome was clear."""
    outcome: Outcome | None = None
    """Verified, Regressed or Inconclusive; absent while it is not clear."""
    message: values.Text = ""
    """What happened, in a sentence."""


class Execution(values.Value):
    """What was claimed and done."""

    actions: tuple[Action, ...] = Field(default=(), max_length=32)
    """In order; undos after what they undo."""
    holder: values.Line = ""
    """Which operator process claimed the last of them."""
    held_because: values.Text = ""
    """Why a released action is not begun or not gone on with; empty when nothing holds it."""
    held_until: Annotated[str, StringConstraints(max_length=32)] = ""
    """Until when it is held; empty when that is for a person to decide."""


class Verification(values.Value):
    """Whether what was done helped."""

    outcome: Outcome
    """Verified, Regressed or Inconclusive."""
    message: values.Text = ""
    """What was seen, in a sentence."""
    started_at: datetime
    """Since when the target was watched."""
    finished_at: datetime
    """When the outcome was clear."""


class Learning(values.Value):
    """What was written down for the next time."""

    runbook: values.DocumentId
    """The runbook that was proposed; it is used for plans once a person has promoted it."""
    recorded_at: datetime
    """When."""


class Ticket(values.Value):
    """A ticket in another system."""

    system: values.Word
    """For example Jira."""
    key: values.Line
    """Its key there."""
    url: Annotated[str, StringConstraints(max_length=values.TEXT_LIMIT)] = ""
    """Where to read it."""


class Notification(values.Value):
    """A message in another system."""

    channel: values.Line
    """Where it was posted."""
    reference: values.Line
    """Its id there, to find and update it."""
    posted_at: datetime
    """When."""


class AuditAnchor(values.Value):
    """The last line of the audit trail when this status was written. Whoever rewrites the trail would have to rewrite this as well."""

    stream: values.Word = "workflow_events"
    """Which trail."""
    seq: int = Field(ge=1)
    """Number of the line."""
    hash: values.Digest
    """Its hash, which stands for all lines up to it."""
