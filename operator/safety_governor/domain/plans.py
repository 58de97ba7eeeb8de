"""What is planned: an agent's proposal, resolved by code into the typed steps of a runbook that people wrote.

An agent names an action; it never supplies a step, a parameter or a target. An action that no trusted runbook of the
service knows is unresolved, and unresolved cannot run.
"""

import enum
from collections.abc import Sequence

from pydantic import Field

from safety_governor.domain import claims, digests, documents, values

EXECUTABLE = frozenset({values.ActionType.ROLLOUT_RESTART})
"""The kinds of step that the executor of this version can carry out."""


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


def resolve(proposal: Proposal, runbooks: Sequence[documents.Runbook], *, service: str) -> Plan:
    """Find the proposed action in the trusted runbooks that concern the service.

    `runbooks` are candidates in order of preference, whatever their service or state; the first trusted one that knows
    the action wins.
    """
    stated: dict[str, object] = {
        "action": proposal.proposed_action,
        "rationale": values.clip(proposal.rationale, values.TEXT_LIMIT),
        "claims": proposal.key_claims,
        "confidence_initial": proposal.confidence_initial,
    }
    if proposal.proposed_action is None:
        return _unresolved(stated, Resolution.NOTHING_PROPOSED, "the agent knows no remedy for this incident")
    knowing = [one for one in runbooks if one.concerns(service) and one.remediation(proposal.proposed_action)]
    trusted = next((one for one in knowing if one.state is documents.Trust.TRUSTED), None)
    if trusted is None:
        if knowing:
            detail = f"{proposal.proposed_action!r} is only known to runbook {knowing[0].id!r}, which no person has promoted yet"
            return _unresolved(stated, Resolution.UNTRUSTED_RUNBOOK, detail)
        detail = f"no trusted runbook for service {service!r} knows an action {proposal.proposed_action!r}"
        return _unresolved(stated, Resolution.UNKNOWN_ACTION, detail)
    return _from_runbook(stated, trusted, proposal.proposed_action, stated_claims=proposal.key_claims)


def _unresolved(stated: dict[str, object], resolution: Resolution, why: str) -> Plan:
    return Plan.model_validate({**stated, "resolution": resolution, "resolution_detail": values.clip(why, values.TEXT_LIMIT)})


def _from_runbook(stated: dict[str, object], runbook: documents.Runbook, action: str, *, stated_claims: Sequence[str]) -> Plan:
    remediation = runbook.remediation(action)
    assert remediation is not None, "the caller chose a runbook that knows the action"  # noqa: S101
    steps = tuple(
        Step(id=f"step-{number}", type=step.type, parameters=step.parameters, text=step.text)
        for number, step in enumerate(remediation.steps, start=1)
    )
    own = claims.of(runbook)[:CLAIM_LIMIT]
    stated = {**stated, "claims": (*own, *(one for one in stated_claims if one not in own))[:CLAIM_LIMIT], "runbook_claims": len(own)}
    why = _unsupported(steps)
    return Plan.model_validate(
        {
            **stated,
            "resolution": Resolution.UNSUPPORTED_STEP if why else Resolution.RESOLVED,
            "resolution_detail": why,
            "runbook": runbook.id,
            "runbook_title": runbook.title,
            "runbook_digest": digests.digest(runbook),
            "steps": steps,
        }
    )


def _unsupported(steps: Sequence[Step]) -> str:
    """Why this version cannot carry the steps out; empty when it can, or when people do."""
    if any(step.type is values.ActionType.MANUAL for step in steps):
        return ""
    unknown = sorted({step.type.value for step in steps if step.type not in EXECUTABLE})
    if unknown:
        return f"this version cannot carry out {', '.join(unknown)}"
    if len(steps) > 1:
        return f"this version carries out one step of a remediation, and this one has {len(steps)}"
    return ""
