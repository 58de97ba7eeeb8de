"""The verdict: what the gate decides from the recorded facts. Pure; no model is asked and no clock is read."""

import enum

from pydantic import Field

from safety_governor.domain import checks, facts, values

GATE_VERSION = "1"
"""Raised whenever the same facts could lead to another verdict; part of every plan digest."""


class Decision(enum.StrEnum):
    """What happens next."""

    EXECUTE = "execute"
    """Nothing speaks against it."""
    BLOCK_AND_ESCALATE = "block_and_escalate"
    """A person decides, or nobody can."""
    HAND_OVER = "hand_over"
    """The steps are for people to carry out; the governor touches nothing."""


class Verdict(values.Value):
    """A decision with every reason for it."""

    decision: Decision
    required_approval: values.Release
    """The strongest release that a finding demands."""
    findings: tuple[checks.Finding, ...] = Field(default=(), max_length=len(checks.CHAIN))
    """Every check that fired, in fixed order; warnings included."""

    @property
    def reason(self) -> str:
        """The names of the checks that block, or `NoFindings`."""
        return ",".join(one.check for one in self.findings if one.release is not values.Release.NOT_NEEDED) or "NoFindings"

    @property
    def strictness(self) -> int:
        """Higher is stricter: execute < released by APPROVE < by FORCE_OVERRIDE < by nobody. Handing over touches nothing."""
        return values.Release.IMPOSSIBLE.strength if self.decision is Decision.HAND_OVER else self.required_approval.strength


def judge(known: facts.Facts, thresholds: checks.Thresholds) -> Verdict:
    """Run every check and take the strongest demand."""
    findings = tuple(finding for rule in checks.CHAIN if (finding := rule(known, thresholds)) is not None)
    required = max((one.release for one in findings), key=lambda one: one.strength, default=values.Release.NOT_NEEDED)
    if known.hands_over and not any(one.check is checks.Check.AGENT_ANSWER_INVALID for one in findings):
        return Verdict(decision=Decision.HAND_OVER, required_approval=values.Release.IMPOSSIBLE, findings=findings)
    decision = Decision.EXECUTE if required is values.Release.NOT_NEEDED else Decision.BLOCK_AND_ESCALATE
    return Verdict(decision=decision, required_approval=required, findings=findings)
