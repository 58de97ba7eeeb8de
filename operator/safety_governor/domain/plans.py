"""What is planned: an agent's proposal, and the plan that code makes of it (`resolution`)."""

import enum

from pydantic import Field

from safety_governor.domain import values

CLAIM_LIMIT = 16


class Target(values.Value):
    """The workload that the steps act on, in the incident's own namespace."""

    kind: values.Word = "Deployment"
    """Its kind; Deployment unless said otherwise."""
    name: values.Name
    """Its name."""


class Step(values.Value):
    """One typed step as it will run."""

    id: values.Word
    """By which the records of its execution name it."""
    type: values.ActionType
    parameters: dict[values.Word, values.Line] = Field(default_factory=dict, max_length=16)
    """Taken from the runbook, never from an agent."""
    text: values.Text = ""
    """What it does, or, of a Manual step, what a person is to do."""


class Resolution(enum.StrEnum):
    """What became of the proposed action."""

    RESOLVED = "Resolved"
    NOTHING_PROPOSED = "NothingProposed"
    """The agent knows no remedy and hands over."""
    UNKNOWN_ACTION = "UnknownAction"
    UNTRUSTED_RUNBOOK = "UntrustedRunbook"
    UNSUPPORTED_STEP = "UnsupportedStep"


class Proposal(values.Value):
    """An agent's answer to the plan prompt, well formed but not yet believed."""

    proposed_action: values.ActionName | None
    """None: it knows no remedy."""
    rationale: values.LongText = ""
    key_claims: tuple[values.Text, ...] = Field(max_length=16)
    """What must be true for the action to help."""
    confidence_initial: float = Field(ge=0.0, le=10.0)
    runbook_ids: tuple[values.DocumentId, ...] = Field(default=(), max_length=16)
    """Runbooks it says it used."""


class Plan(values.Value):
    """A proposal with the steps that carry it out."""

    action: values.ActionName | None = None
    """The proposed action; absent when the agent knows no remedy."""
    resolution: Resolution
    resolution_detail: values.Text = ""
    """Why the action could not be resolved; empty when it was."""
    rationale: values.Text = ""
    """Why the agent proposes it, in its own words."""
    claims: tuple[values.Text, ...] = Field(default=(), max_length=CLAIM_LIMIT)
    """What must be true for the action to help: first as the runbook states it, then what the agent adds."""
    runbook_claims: int = Field(default=0, ge=0, le=CLAIM_LIMIT)
    """So many of the claims are the runbook's; only they can speak for the plan."""
    confidence_initial: float = Field(ge=0.0, le=10.0)
    """The agent's own, before any correction."""
    runbook: values.DocumentId | None = None
    """The trusted runbook that the steps come from."""
    runbook_title: values.Line = ""
    """Its title."""
    runbook_digest: values.Digest | None = None
    """Of the runbook's content when the plan was made; a changed runbook voids the plan."""
    steps: tuple[Step, ...] = Field(default=(), max_length=16)
    """What will run, in order."""

    @property
    def is_manual(self) -> bool:
        """Whether people have to carry out at least one step, so that the governor hands the whole plan over."""
        return any(step.type is values.ActionType.MANUAL for step in self.steps)

    @property
    def names(self) -> tuple[str, ...]:
        """The names that a policy may forbid: the action's and the types of its steps."""
        return (*((self.action,) if self.action else ()), *(step.type.value for step in self.steps))
