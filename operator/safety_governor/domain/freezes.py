"""Freeze windows: recurring times in which nothing is done, and until when one of them lasts.

The schedule is read as Debian's cron reads it, and so are the days on which clocks change: a fixed time that the clock skips is
the first moment after the gap, a fixed time that it shows twice is the first of the two, and a schedule with `*` in its minutes
or hours follows the hours as they pass. What cannot be read freezes: a window was wanted, and nobody knows when.

The library `cronsim` parses the schedule and knows its days. Its iterators are not used: they look fifty years ahead for a
schedule that never comes, and backwards they miss a start in an hour that the clock shows twice. Here as many days are looked
at as the window is long. The database of time zones comes with the program (package `tzdata`).
"""

from bisect import bisect_right
from calendar import monthrange
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Annotated
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError
from pydantic import Field, StringConstraints

from safety_governor.domain import values

LOOKS = 200
"""So often altogether is a window looked at to find the end of all that follow each other; it bounds the work where there is no gap."""

_DAY = timedelta(days=1)
_MINUTE = timedelta(minutes=1)
_FIELDS = 5

Schedule = Annotated[str, StringConstraints(max_length=128, pattern=r"^[-0-9A-Za-z*/,#]+( +[-0-9A-Za-z*/,#]+){4}$")]
TimeZone = Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=r"^[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+)*$")]


class FreezeWindow(values.Value):
    """A recurring time in which nothing is done."""

    name: values.Word
    """By which people are told of it."""
    schedule: Schedule
    """When it starts, in the five fields of cron: minute, hour, day of month, month, day of week. One that cannot be read, or never comes, freezes at once."""
    duration_seconds: int = Field(ge=1, le=31 * 24 * 3600)
    """How long it lasts in time that passes, 1 second to 31 days."""
    time_zone: TimeZone = "UTC"
    """IANA name of the time zone of the schedule, such as Europe/Berlin; UTC unless said otherwise. An unknown one freezes at once."""

    @property
    def duration(self) -> timedelta:
        """How long it lasts."""
        return timedelta(seconds=self.duration_seconds)


@dataclass(frozen=True, slots=True, kw_only=True)
class Frozen:
    """That nothing may be done now."""

    window: FreezeWindow
    """The window that is to blame; of several the one that lasts longest."""
    until: datetime | None
    """When this window and all that follow it without a gap are over; None: when a person has corrected the window."""
    at_least: bool = False
    """Whether more windows follow without a gap than were looked at, so that it lasts longer still."""
    message: str
    """Why, and until when, as a sentence."""


def frozen_until(windows: Sequence[FreezeWindow], now: datetime) -> Frozen | None:
    """Why nothing may be done now, and until when; None when no window is open. Never raises, whatever a window says."""
    for window in windows:
        problem = _read(window.schedule, window.time_zone)
        if isinstance(problem, str):
            message = f"freeze window {window.name} freezes until a person corrects it: {problem}"
            return Frozen(window=window, until=None, message=message)
    open_now = [(over, window) for window in windows if (over := _end(window, now)) is not None]
    if not open_now:
        return None
    own_end, window = max(open_now, key=lambda one: one[0])
    until, at_least = own_end, True
    for _ in range(max(1, LOOKS // len(windows))):
        further = max((over for one in windows if (over := _end(one, until)) is not None), default=None)
        if further is None:
            at_least = False
            break
        until = further
    message = _message(window, until, follows=until != own_end, at_least=at_least)
    return Frozen(window=window, until=until, at_least=at_least, message=message)


def _message(window: FreezeWindow, until: datetime, *, follows: bool, at_least: bool) -> str:
    which = f"freeze window {window.name} ({window.schedule}, {window.time_zone})"
    lasts = "and what follows it without a gap last" if follows else "lasts"
    return f"{which} {lasts} until {'at least ' if at_least else ''}{until:%Y-%m-%d %H:%M:%S} UTC"


def _end(window: FreezeWindow, at: datetime) -> datetime | None:
    """When the window ends that is open at this time; None when it is not open."""
    calendar = _read(window.schedule, window.time_zone)
    assert isinstance(calendar, _Calendar), "a window that cannot be read was told before"  # noqa: S101
    start = calendar.last_start(at, within=window.duration)
    return start + window.duration if start is not None and at < start + window.duration else None


@lru_cache(maxsize=1024)
def _read(schedule: str, time_zone: str) -> "_Calendar | str":
    """The calendar of a schedule, or why it cannot be had."""
    try:
        zone = ZoneInfo(time_zone)
    except (KeyError, ValueError, OSError):
        # Besides an unknown name: one that is no name at all, and one of a folder or of a file that describes no zone.
        return f"{time_zone!r} is no time zone"
    try:
        # Without a time zone the library computes with the clock's face alone, which is all that is wanted of it.
        cron = CronSim(schedule, datetime(2000, 1, 1))  # noqa: DTZ001
    except (CronSimError, ValueError):
        cron = None
    if cron is None or len(schedule.split()) != _FIELDS:
        return f"{schedule!r} is no schedule in the five fields of cron"
    if not _ever(cron):
        return f"{schedule!r} is a day that never comes"
    return _Calendar(cron, zone)


_EVERY_SHAPE = {(month, *monthrange(year, month)): date(year, month, 1) for year in range(2000, 2028) for month in range(1, 13)}
"""Of every month, by the day of the week on which it begins and by its length, one such month's first day: any 28 years have them all."""


def _ever(cron: CronSim) -> bool:
    """Whether any day of any year is one of the schedule's."""
    months = ((first, length) for (month, _, length), first in _EVERY_SHAPE.items() if month in cron.months)
    return any(cron.match_day(first.replace(day=day)) for first, length in months for day in range(1, length + 1))


class _Calendar:
    """The starts of one schedule in one time zone."""

    def __init__(self, cron: CronSim, zone: ZoneInfo) -> None:
        self._cron = cron
        self._zone = zone
        self._times = tuple(time(hour, minute) for hour in sorted(cron.hours) for minute in sorted(cron.minutes))
        minutes, hours = cron.parts[1], cron.parts[2]
        self._is_fixed = not minutes.startswith("*") and not hours.startswith("*")

    def last_start(self, at: datetime, *, within: timedelta) -> datetime | None:
        """The latest start at or before this time, in UTC; None when there is none within so long before it."""
        shown = at.astimezone(self._zone)
        face = shown.replace(tzinfo=None, fold=0)
        # In an hour that the clock shows for the second time, what it showed the first time has passed, even if it shows later.
        repeated = self._offset(shown.replace(fold=0)) - self._offset(shown) if shown.fold else timedelta()
        # One day more, because a clock that is put back over midnight shows the day before once more.
        earliest = (at - within).astimezone(self._zone).date() - _DAY
        latest: datetime | None = None
        for local in self._back_from(face + repeated, earliest):
            passed = [one for one in self._instants(local) if one <= at]
            if passed:
                latest = passed[-1] if latest is None else max(latest, passed[-1])
                if local <= face:
                    break
        return latest

    def _back_from(self, face: datetime, earliest: date) -> Iterator[datetime]:
        """What the clock shows at each start, backwards, without regard to what it skips or repeats."""
        months, match_day = self._cron.months, self._cron.match_day
        day, count = face.date(), bisect_right(self._times, face.time())
        while day >= earliest:
            if day.month in months and match_day(day):
                for position in range(count - 1, -1, -1):
                    yield datetime.combine(day, self._times[position])
            day, count = day - _DAY, len(self._times)

    def _instants(self, local: datetime) -> tuple[datetime, ...]:
        """When the clock shows this time, in order: usually once."""
        first = local.replace(tzinfo=self._zone).astimezone(UTC)
        if self._face(first) != local:
            return (self._after_gap(local),) if self._is_fixed else ()
        second = local.replace(tzinfo=self._zone, fold=1).astimezone(UTC)
        return (first,) if self._is_fixed or first == second else (first, second)

    def _after_gap(self, local: datetime) -> datetime:
        while self._face(instant := local.replace(tzinfo=self._zone).astimezone(UTC)) != local:
            local += _MINUTE
        return instant

    def _offset(self, shown: datetime) -> timedelta:
        return shown.utcoffset() or timedelta()

    def _face(self, instant: datetime) -> datetime:
        return instant.astimezone(self._zone).replace(tzinfo=None)
