"""What the live logs say about a service, as figures rather than lines."""

from datetime import datetime

from pydantic import Field

from safety_governor.domain import values


class TopError(values.Value):
    """A frequent error message and how often it was seen in the window."""

    message: values.Line
    """As it was logged."""
    count: int = Field(ge=0)
    """How often it was seen."""


class Telemetry(values.Value):
    """Live logs of one service over one window.

    A window without any line is not healthy silence but *unknown*: `lines` is 0 and `error_ratio` is absent.
    """

    service: values.Line
    """Whose logs."""
    since: datetime
    """Begin of the window."""
    until: datetime
    """End of the window."""
    lines: int = Field(ge=0)
    """How many lines there were."""
    errors: int = Field(ge=0)
    """Lines of level error or worse, or with a response code of 400 or more."""
    error_ratio: float | None = Field(default=None, ge=0.0, le=1.0)
    """errors / lines; absent when there was no line."""
    top_errors: tuple[TopError, ...] = Field(default=(), max_length=5)
    """The most frequent error messages."""
