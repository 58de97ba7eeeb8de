"""What is known of the reliability of the model behind an agent. Null is unknown, never zero."""

import enum

from pydantic import Field

from safety_governor.domain import values


class ScoreState(enum.StrEnum):
    """Whether a profile of the model was asked for, and whether it came."""

    NOT_ASKED = "NotAsked"
    """No model takes part, so no profile exists."""
    KNOWN = "Known"
    UNKNOWN = "Unknown"
    """Asked for and not answered, or answered without figures."""


class Profile(values.Value):
    """Reliability figures of one model, each 0..1 and each possibly unknown."""

    state: ScoreState = ScoreState.NOT_ASKED
    model: values.Line = ""
    """Which model, as the agent's backend names it."""
    ecs: float | None = Field(default=None, ge=0.0, le=1.0)
    """EECT: how well stated confidence fits the evidence."""
    comprehension_integrity: float | None = Field(default=None, ge=0.0, le=1.0)
    """DDFT CI: how well understanding holds when context is cut; scales the penalty for contradictions."""
    u_curve_magnitude: float | None = Field(default=None, ge=0.0, le=1.0)
    """CDCT: how much a middling amount of context hurts; above 0.4 nothing is compressed."""
    source: values.Line = ""
    """Which service or tool answered."""
