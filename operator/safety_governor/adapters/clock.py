"""The clock of the machine. The only module that asks what time it is."""

from datetime import UTC, datetime


class SystemClock:
    """Time as the machine has it."""

    def now(self) -> datetime:
        """The time, in UTC, aware."""
        return datetime.now(UTC)
