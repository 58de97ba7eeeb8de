"""The confidence formulas. They inform people; no gate check reads a confidence, so no number from a model can open a gate."""

from pydantic import Field

from safety_governor.domain import scores, values

SCALE = 10.0
CONTRADICTION_PENALTY = 0.9
SEVERE_PENALTY = 1.5
SEVERE_CONTRADICTIONS = 2


class Shift(values.Value):
    """How sure the agent was before the stress test and how sure one may be after it, 0..10."""

    initial: float = Field(ge=0.0, le=SCALE)
    post: float = Field(ge=0.0, le=SCALE)

    @property
    def delta(self) -> float:
        """Negative when confidence was lost."""
        return round(self.post - self.initial, 2)

    def __str__(self) -> str:
        return f"{self.initial:.1f}->{self.post:.1f}"


def initial(stated: float, profile: scores.Profile) -> float:
    """mean(stated, 10 * ECS) when ECS is known, else what the agent stated."""
    if profile.ecs is None:
        return round(_clip(stated), 2)
    return round((_clip(stated) + SCALE * profile.ecs) / 2, 2)


def post(stated: float, *, contradictions: int, policy_conflict: bool, profile: scores.Profile) -> float:
    """clip(stated - 0.9 * contradictions * (2 - CI) - (1.5 if policy conflict or contradictions >= 2), 0, 10); factor 1 when CI is unknown."""
    factor = 1.0 if profile.comprehension_integrity is None else 2.0 - profile.comprehension_integrity
    severe = SEVERE_PENALTY if policy_conflict or contradictions >= SEVERE_CONTRADICTIONS else 0.0
    return round(_clip(stated - CONTRADICTION_PENALTY * contradictions * factor - severe), 2)


def _clip(number: float) -> float:
    return min(max(number, 0.0), SCALE)
