"""Everything the gate looks at, and nothing else.

Every field that speaks for letting an action go is unknown until somebody establishes it: a fact that was forgotten
blocks.
"""

from pydantic import Field

from safety_governor.domain import authorities, plans, policies, values


class Facts(values.Value):
    """The recorded facts of one decision. `None` is unknown, everywhere."""

    severity: values.Severity | None = None
    answer_problems: tuple[values.Text, ...] | None = Field(default=None, max_length=8)
    """What is wrong with the agent's answers; an empty list means that they were read and are complete."""
    proposed_action: values.ActionName | None = None
    """Absent when the agent hands over, which touches nothing."""
    is_manual: bool = False
    """Whether people carry out the steps, so that nothing is executed."""
    resolution: plans.Resolution | None = None
    resolution_detail: values.Text = ""
    target: plans.Target | None = None
    target_exists: bool | None = None
    protections: tuple[values.Text, ...] | None = Field(default=None, max_length=80)
    """Why the target may not be touched; an empty list means that its guard-rails were read and allow it."""
    conflicts: tuple[policies.Conflict, ...] | None = Field(default=None, max_length=64)
    """Policies that forbid the action; None when they could not be read completely."""
    contradictions: int | None = Field(default=None, ge=0)
    coverage: float | None = Field(default=None, ge=0.0, le=1.0)
    supporting: int | None = Field(default=None, ge=0)
    fabricated: tuple[authorities.Authority, ...] | None = Field(default=None, max_length=16)
    """Authorities that do not exist; None when it could not be looked up."""
    final_action: values.ActionName | None = None
    """The action that the verifier stands by after the stress test; absent when it stands by none."""
    telemetry_known: bool | None = None
    require_telemetry: bool = False
    """The namespace's guard-rails demand telemetry."""
    unknowns: tuple[values.Text, ...] = Field(default=(), max_length=8)
    """Why something is unknown, in words, for the people who read the verdict."""

    @property
    def hands_over(self) -> bool:
        """Whether the plan is for people to carry out, or empty."""
        return self.resolution is plans.Resolution.NOTHING_PROPOSED or self.is_manual
