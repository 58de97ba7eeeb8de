"""How well the agent itself followed the evidence, as one figure for the people who compare agents. Decides nothing."""

from pydantic import Field

from safety_governor.domain import confidence, values


class Adaptability(values.Value):
    """acted * integration * (1 - rigidity) * (1 - prediction error), each factor 0..1."""

    acted: float = Field(ge=0.0, le=1.0)
    """The share of the contradictions and policy conflicts on record that the agent reported itself; 1 when there were none."""
    integration: float = Field(ge=0.0, le=1.0)
    """Evidence coverage: claims with any verified document / claims."""
    rigidity: float = Field(ge=0.0, le=1.0)
    """How much of the loss of confidence that the evidence demanded the agent did not concede; 0 when none was demanded."""
    prediction_error: float = Field(ge=0.0, le=1.0)
    """Distance between the agent's confidence before and the corrected one after the stress test, over the scale of 10."""
    score: float = Field(ge=0.0, le=1.0)
    """The product, 0..1."""


def score(*, reported: int, on_record: int, coverage: float, shift: confidence.Shift, stated_post: float) -> Adaptability:
    """`reported` of the `on_record` contradictions and conflicts were named by the agent; `stated_post` is its own figure."""
    acted = 1.0 if on_record == 0 else min(reported / on_record, 1.0)
    demanded = shift.initial - shift.post
    conceded = shift.initial - stated_post
    rigidity = 0.0 if demanded <= 0 else 1.0 - min(max(conceded / demanded, 0.0), 1.0)
    error = min(abs(shift.initial - shift.post) / confidence.SCALE, 1.0)
    product = acted * coverage * (1.0 - rigidity) * (1.0 - error)
    return Adaptability(
        acted=round(acted, 4), integration=coverage, rigidity=round(rigidity, 4), prediction_error=round(error, 4), score=round(product, 4)
    )
