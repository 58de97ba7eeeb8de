"""What a person's word releases. An approval is a fact; whether it releases this verdict is judged here, purely."""

import enum
from datetime import datetime

from safety_governor.domain import values, verdicts

REASON_LENGTH = 20
"""An override explains itself in at least so many characters."""


class Word(enum.StrEnum):
    """What a person may say."""

    APPROVE = "APPROVE"
    FORCE_OVERRIDE = "FORCE_OVERRIDE"
    REJECT = "REJECT"


class Approval(values.Value):
    """A person's decision about exactly one plan digest."""

    decision: Word
    """APPROVE releases what the gate blocked, FORCE_OVERRIDE what takes more than that, REJECT ends the incident."""
    plan_digest: values.Digest
    """The digest shown in status.gate.planDigest; an approval of anything else is void."""
    approver: values.Name
    """The user who decides."""
    on_behalf_of: values.Name | None = None
    """The person for whom a service account speaks."""
    reason: values.Text = ""
    """Why; at least 20 characters for FORCE_OVERRIDE."""

    @property
    def person(self) -> str:
        """The human being who decided."""
        return self.on_behalf_of or self.approver


class Refusal(values.Value):
    """An approval that releases nothing, and why; kept for good."""

    decision: Word
    approver: values.Name
    """Who answered."""
    plan_digest: values.Digest
    """For which digest."""
    why: values.Text
    """Why it releases nothing."""
    at: datetime
    """When the operator took note of it."""


class Answer(enum.StrEnum):
    """What an approval leads to."""

    RELEASED = "Released"
    REJECTED = "Rejected"
    REFUSED = "Refused"
    VOID = "Void"
    """It names another plan than the one that is gated now, so nobody has answered yet."""


class Judged(values.Value):
    """The answer with its reason."""

    answer: Answer
    why: values.Text = ""


class Question(values.Value):
    """What is being asked of people: the gated digest, the release it takes, who may not answer, until when."""

    plan_digest: values.Digest
    required: values.Release
    requested_by: values.Line = ""
    expires_at: datetime


def judge(approval: Approval, question: Question, *, now: datetime) -> Judged:
    """Whether this approval releases what is gated now. REJECT is always honoured while the question is open."""
    if approval.plan_digest != question.plan_digest:
        return Judged(answer=Answer.VOID, why="it names another plan than the one that is gated now")
    if approval.decision is Word.REJECT:
        return Judged(answer=Answer.REJECTED, why=approval.reason)
    if now >= question.expires_at:
        return Judged(answer=Answer.REFUSED, why=f"the question expired at {question.expires_at:%H:%M:%S}")
    refused = _objection(approval, question)
    return Judged(answer=Answer.REFUSED, why=refused) if refused else Judged(answer=Answer.RELEASED)


def _objection(approval: Approval, question: Question) -> str:
    given = values.Release(approval.decision.value)
    if given.strength < question.required.strength:
        return f"{approval.decision} does not release this verdict; it takes {question.required}"
    if approval.person == question.requested_by:
        return f"{approval.person} reported the incident and cannot release it (separation of duties)"
    if approval.decision is Word.FORCE_OVERRIDE and len(approval.reason.strip()) < REASON_LENGTH:
        return f"FORCE_OVERRIDE takes a reason of at least {REASON_LENGTH} characters"
    return ""


def needed(verdict: verdicts.Verdict) -> bool:
    """Whether a person can release the verdict, so that it is worth asking."""
    return verdict.decision is verdicts.Decision.BLOCK_AND_ESCALATE and verdict.required_approval in (
        values.Release.APPROVE,
        values.Release.FORCE_OVERRIDE,
    )
