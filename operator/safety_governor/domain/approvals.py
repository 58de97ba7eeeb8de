"""What a person's word releases. An approval is a fact; whether it releases this verdict is judged here, purely."""

import enum
from collections.abc import Sequence
from datetime import datetime, timedelta

from pydantic import Field

from safety_governor.domain import values, verdicts

REASON_LENGTH = 20
"""An override explains itself in at least so many characters."""

GOOD_FOR = timedelta(minutes=15)
"""So long after it was given is an approval good; what it released may be held back longer, and is asked about anew."""

SKEW = timedelta(seconds=30)
"""So far may the clocks of API server and operator differ."""


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
    """What was said."""
    approver: values.Name
    """Who said it."""
    plan_digest: values.Digest
    """About which digest."""
    why: values.Text
    """Why it releases nothing."""
    at: datetime
    """When that was found."""


class Given(values.Value):
    """An approval with the time at which it was given, as the API server or the operator noted it."""

    approval: Approval
    at: datetime


class TwoPersonCase(enum.StrEnum):
    """When two people must agree: by what is required, or by the severity of the incident."""

    APPROVE = "APPROVE"
    FORCE_OVERRIDE = "FORCE_OVERRIDE"
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"


class Answer(enum.StrEnum):
    """What the people's words lead to."""

    UNANSWERED = "Unanswered"
    """Nobody has said anything about what is gated now; an approval of another digest is void."""
    SECOND_MISSING = "SecondMissing"
    """One person has released it, and it takes two."""
    RELEASED = "Released"
    REJECTED = "Rejected"
    REFUSED = "Refused"
    """What was said releases nothing."""
    EXPIRED = "Expired"
    """Nobody released it in time, which is a denial."""


class Judged(values.Value):
    """The answer, whose words led to it, and why."""

    answer: Answer
    given: Given | None = None
    why: values.Text = ""


class Question(values.Value):
    """What is being asked of people: the gated digest, the release it takes, who may not answer, until when."""

    plan_digest: values.Digest
    required: values.Release
    two_persons: bool = False
    requested_by: values.Line = ""
    expires_at: datetime


def judge(given: Sequence[Given], question: Question, *, now: datetime) -> Judged:
    """What the words of up to two people lead to. REJECT of either ends it; a refusal of either refuses."""
    if now >= question.expires_at:
        return Judged(answer=Answer.EXPIRED, why=f"nobody released it until {question.expires_at:%H:%M:%S}")
    current = [one for one in given if one.approval.plan_digest == question.plan_digest]
    if not current:
        return Judged(answer=Answer.UNANSWERED)
    rejecting = next((one for one in current if one.approval.decision is Word.REJECT), None)
    if rejecting is not None:
        return Judged(answer=Answer.REJECTED, given=rejecting, why=rejecting.approval.reason)
    for one in current:
        objection = _objection(one, question, now=now)
        if objection:
            return Judged(answer=Answer.REFUSED, given=one, why=objection)
    if not question.two_persons:
        return Judged(answer=Answer.RELEASED, given=current[0])
    people = {one.approval.person for one in current}
    if len(current) > 1 and len(people) == 1:
        return Judged(
            answer=Answer.REFUSED, given=current[-1], why=f"it takes two people, and both approvals are by {current[0].approval.person}"
        )
    return Judged(answer=Answer.RELEASED if len(people) > 1 else Answer.SECOND_MISSING, given=current[0])


def _objection(given: Given, question: Question, *, now: datetime) -> str:
    approval = given.approval
    if values.Release(approval.decision.value).strength < question.required.strength:
        return f"{approval.decision} does not release this verdict; it takes {question.required}"
    if question.requested_by in (approval.person, approval.approver):
        return f"{question.requested_by} reported the incident and cannot release it (separation of duties)"
    if approval.decision is Word.FORCE_OVERRIDE and len(approval.reason.strip()) < REASON_LENGTH:
        return f"FORCE_OVERRIDE takes a reason of at least {REASON_LENGTH} characters"
    if now - given.at >= GOOD_FOR:
        return f"it was given at {given.at:%H:%M:%S}, more than {GOOD_FOR.seconds // 60} minutes ago"
    if given.at - now > SKEW:
        return f"it was given at {given.at:%H:%M:%S}, which is in the future; the clocks of API server and operator disagree"
    return ""


def needed(verdict: verdicts.Verdict) -> bool:
    """Whether a person can release the verdict, so that it is worth asking."""
    return releasable(verdict.decision, verdict.required_approval)


def releasable(decision: verdicts.Decision, required: values.Release) -> bool:
    """Whether this decision waits for a word that a person can say."""
    return decision is verdicts.Decision.BLOCK_AND_ESCALATE and required in (values.Release.APPROVE, values.Release.FORCE_OVERRIDE)


def takes_two(cases: Sequence[TwoPersonCase], *, required: values.Release, severity: values.Severity) -> bool:
    """Whether the two-person rule names the required release or the severity."""
    return bool({required.value, severity.value} & {case.value for case in cases})


class ApprovalRules(values.Value):
    """How people decide about incidents of a namespace."""

    expires_after_seconds: int | None = Field(default=None, ge=60, le=1800)
    """How long a blocked incident waits for a person, 60 to 1800 seconds; absent means 1800."""
    two_person_rule: tuple[TwoPersonCase, ...] = Field(default=(), max_length=6)
    """Required releases (APPROVE, FORCE_OVERRIDE) and severities for which a second person has to agree in spec.secondApproval."""
