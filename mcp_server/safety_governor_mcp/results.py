"""What every tool answers: always one object, with a status that says whether there is data, and a reason when there is none.

Expected failures are results, not errors: what an agent is told of an error is "an error occurred", and it learns nothing from that.
"""

import enum
from datetime import datetime
from typing import Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field


class Status(enum.StrEnum):
    """Whether there is data. Only `ok` comes with any."""

    OK = "ok"
    EMPTY = "empty"
    """It was looked for, and there is certainly none."""
    UNAVAILABLE = "unavailable"
    """It is unknown: who would know did not answer. That is no evidence of anything."""
    UNKNOWN_MODEL = "unknown_model"
    """The service does not know the model."""
    PENDING = "pending"
    """There are no figures yet; asking again soon does not help."""
    INVALID = "invalid"
    """The call itself is wrong; the reason says what to change."""


class Answer(BaseModel):
    """A part of a result."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


Data = TypeVar("Data")


class Result(Answer, Generic[Data]):
    """The answer of a tool."""

    status: Status
    """ok: see data. empty: there is certainly none. unavailable: unknown, which is neither good nor bad. invalid: change the call as the reason says."""
    reason: str | None = Field(default=None, max_length=2000)
    """Why there is no data, and what to do; or what to keep in mind about it."""
    data: Data | None = None
    """Absent unless the status is ok."""
    source: str = Field(max_length=300)
    """Where the data comes from."""
    as_of: datetime
    """When it was read; UTC."""
