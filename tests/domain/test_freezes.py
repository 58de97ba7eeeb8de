"""Freeze windows: the first and the last moment of each, whatever the clock does, and until when a chain of them lasts."""

import time
from datetime import UTC, datetime, timedelta
from itertools import takewhile
from zoneinfo import ZoneInfo

import pytest
from cronsim import CronSim
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from domain.rails import a_window
from safety_governor.domain import freezes

BERLIN, NEW_YORK, LORD_HOWE = "Europe/Berlin", "America/New_York", "Australia/Lord_Howe"
INSTANT = timedelta(microseconds=1)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def until(*windows: freezes.FreezeWindow, now: datetime) -> datetime | None:
    frozen = freezes.frozen_until(windows, now)
    assert frozen is not None
    return frozen.until


def is_frozen(*windows: freezes.FreezeWindow, now: datetime) -> bool:
    return freezes.frozen_until(windows, now) is not None


MOMENTS: dict[str, tuple[str, float, str, str, str]] = {
    "an evening": ("0 18 * * *", 2, BERLIN, "2026-07-03T16:00", "2026-07-03T18:00"),
    "across midnight": ("0 22 * * *", 8, BERLIN, "2026-01-15T21:00", "2026-01-16T05:00"),
    "across the end of a month": ("0 20 31 * *", 8, "UTC", "2026-01-31T20:00", "2026-02-01T04:00"),
    "from the last day of any month": ("0 20 L * *", 8, "UTC", "2026-02-28T20:00", "2026-03-01T04:00"),
    "across the end of the year": ("0 12 31 12 *", 48, "UTC", "2026-12-31T12:00", "2027-01-02T12:00"),
    "the longest": ("0 0 1 12 *", 31 * 24, "UTC", "2026-12-01T00:00", "2027-01-01T00:00"),
    "leap day": ("0 0 29 2 *", 24, "UTC", "2028-02-29T00:00", "2028-03-01T00:00"),
    "a weekend": ("0 18 * * FRI", 62, BERLIN, "2026-07-03T16:00", "2026-07-06T06:00"),
    "second Tuesday of the month": ("0 3 * * TUE#2", 1, "UTC", "2026-07-14T03:00", "2026-07-14T04:00"),
    "the 13th and every Friday": ("0 0 13 * 5", 1, "UTC", "2026-07-13T00:00", "2026-07-13T01:00"),
    "half an hour off": ("0 9 * * *", 1, "Asia/Kolkata", "2026-07-03T03:30", "2026-07-03T04:30"),
    # Berlin goes from 02:00 to 03:00 at 01:00 UTC, and from 03:00 back to 02:00 at 01:00 UTC.
    "spring: as long as ever": ("0 22 * * *", 8, BERLIN, "2026-03-28T21:00", "2026-03-29T05:00"),
    "spring: a time that is skipped": ("30 2 * * *", 1, BERLIN, "2026-03-29T01:00", "2026-03-29T02:00"),
    "spring: the moment after": ("0 3 * * *", 1, BERLIN, "2026-03-29T01:00", "2026-03-29T02:00"),
    "autumn: a time shown twice": ("30 2 * * *", 0.5, BERLIN, "2026-10-25T00:30", "2026-10-25T01:00"),
    "autumn: into the second time": ("30 2 * * *", 1, BERLIN, "2026-10-25T00:30", "2026-10-25T01:30"),
    "autumn: after both": ("0 3 * * *", 1, BERLIN, "2026-10-25T02:00", "2026-10-25T03:00"),
    "autumn: every hour, the first of the two": ("45 * * * *", 0.25, BERLIN, "2026-10-25T00:45", "2026-10-25T01:00"),
    "autumn: every hour, the second of the two": ("0 * * * *", 0.25, BERLIN, "2026-10-25T01:00", "2026-10-25T01:15"),
    "autumn: twice an hour, the second of the two": ("*/30 * * * *", 0.25, BERLIN, "2026-10-25T01:00", "2026-10-25T01:15"),
    "autumn: later in the first than now in the second": ("45 * * * *", 0.75, BERLIN, "2026-10-25T00:45", "2026-10-25T01:30"),
    "New York, spring": ("30 2 * * *", 1, NEW_YORK, "2026-03-08T07:00", "2026-03-08T08:00"),
    "New York, autumn": ("30 1 * * *", 1, NEW_YORK, "2026-11-01T05:30", "2026-11-01T06:30"),
    # Lord Howe Island goes by half an hour: from 02:00 to 02:30 at 15:30 UTC, and from 02:00 back to 01:30 at 15:00 UTC.
    "Lord Howe, spring: a time that is skipped": ("15 2 * * *", 0.5, LORD_HOWE, "2026-10-03T15:30", "2026-10-03T16:00"),
    "Lord Howe, spring: the hour after": ("*/30 3 * * *", 0.25, LORD_HOWE, "2026-10-03T16:00", "2026-10-03T16:15"),
    "Lord Howe, autumn: a time shown twice": ("45 1 * * *", 0.5, LORD_HOWE, "2026-04-04T14:45", "2026-04-04T15:15"),
    "Lord Howe, autumn: every hour, the second of the two": ("*/45 1 * * *", 0.25, LORD_HOWE, "2026-04-04T15:15", "2026-04-04T15:30"),
    # The night on which the clock went from midnight back to 23:00.
    "a day that ends twice": ("*/30 23 * * *", 0.25, "Asia/Beirut", "2026-10-24T21:30", "2026-10-24T21:45"),
    # The night on which it went from one minute past midnight back to the day before.
    "a day that begins before it ends": ("*/30 23 * * *", 1770 / 3600, "America/St_Johns", "2006-10-29T03:00", "2006-10-29T03:29:30"),
}


@pytest.mark.parametrize(("schedule", "hours", "zone", "first", "end"), MOMENTS.values(), ids=MOMENTS.keys())
def test_window_is_open_from_its_first_moment_to_its_last(schedule: str, hours: float, zone: str, first: str, end: str) -> None:
    window = a_window(schedule, hours=hours, time_zone=zone)
    assert not is_frozen(window, now=utc(first) - INSTANT)
    for now in (utc(first), utc(first) + INSTANT, utc(end) - INSTANT):
        assert until(window, now=now) == utc(end)
    assert not is_frozen(window, now=utc(end))


@pytest.mark.parametrize("zone", [BERLIN, NEW_YORK, "Asia/Tokyo"])
def test_zone_in_which_now_is_told_does_not_matter(zone: str) -> None:
    window = a_window("30 2 * * *", hours=1, time_zone=BERLIN)
    for minutes in range(0, 300, 7):
        now = utc("2026-10-24T23:00") + timedelta(minutes=minutes)
        assert freezes.frozen_until([window], now.astimezone(ZoneInfo(zone))) == freezes.frozen_until([window], now)


def test_an_hour_that_is_skipped_has_no_start_of_a_schedule_that_follows_the_hours() -> None:
    window = a_window("*/30 2 * * *", hours=0.25, time_zone=BERLIN)
    assert not any(is_frozen(window, now=utc("2026-03-29T00:00") + timedelta(minutes=minutes)) for minutes in range(240))


MONDAY = utc("2026-07-06T06:00")
CHAINS: dict[str, tuple[list[freezes.FreezeWindow], str, datetime]] = {
    "one after the other": (
        [a_window("0 18 * * 1-5", hours=6), a_window("0 0 * * 6", hours=48, name="weekends"), a_window("0 0 * * 1", hours=6)],
        "2026-07-03T20:00",
        MONDAY,
    ),
    "over one another": (
        [a_window("0 18 * * 5", hours=30), a_window("0 12 * * 6", hours=42, name="weekends")],
        "2026-07-03T20:00",
        MONDAY,
    ),
    "one within another": (
        [a_window("0 18 * * 5", hours=60), a_window("0 0 * * 6", hours=1, name="backup")],
        "2026-07-03T20:00",
        MONDAY,
    ),
    "the same again and again": ([a_window("0 0 4-10 7 *", hours=24)], "2026-07-04T20:00", utc("2026-07-11T00:00")),
    "a second between them": (
        [a_window("0 18 * * 5", duration_seconds=6 * 3600 - 1), a_window("0 0 * * 6", hours=48)],
        "2026-07-03T20:00",
        utc("2026-07-03T23:59:59"),
    ),
    "every day, until a day has 25 hours": (
        [a_window("0 0 * * *", hours=24, time_zone=BERLIN)],
        "2026-10-01T00:00",
        utc("2026-10-25T22:00"),
    ),
}


@pytest.mark.parametrize(("windows", "now", "end"), CHAINS.values(), ids=CHAINS.keys())
def test_freeze_lasts_until_no_window_follows(windows: list[freezes.FreezeWindow], now: str, end: datetime) -> None:
    for given_windows in (windows, windows[::-1]):
        assert until(*given_windows, now=utc(now)) == end


def test_sentence_says_which_window_and_until_when() -> None:
    frozen = freezes.frozen_until([a_window("0 18 * * *", hours=12, time_zone=BERLIN)], utc("2026-07-03T20:00"))
    assert frozen is not None
    assert frozen.message == "freeze window nights (0 18 * * *, Europe/Berlin) lasts until 2026-07-04 04:00:00 UTC"


def test_of_several_windows_the_one_that_lasts_longest_is_to_blame() -> None:
    windows = CHAINS["one within another"][0]
    for given_windows in (windows, windows[::-1]):
        frozen = freezes.frozen_until(given_windows, utc("2026-07-04T00:30"))
        assert frozen is not None
        assert frozen.window.name == "nights"


def test_sentence_says_that_others_follow() -> None:
    windows, now, _ = CHAINS["one after the other"]
    frozen = freezes.frozen_until(windows, utc(now))
    assert frozen is not None
    assert frozen.message == "freeze window nights (0 18 * * 1-5, UTC) and what follows it without a gap last until 2026-07-06 06:00:00 UTC"


def test_freeze_without_an_end_is_followed_for_a_while() -> None:
    frozen = freezes.frozen_until([a_window("* * * * *", duration_seconds=60)], utc("2026-07-03T20:00"))
    assert frozen is not None
    assert frozen.at_least
    assert "until at least 2026-07-03 23:2" in frozen.message


UNREADABLE: dict[str, tuple[str, str, str]] = {
    "an hour that is none": ("0 25 * * *", "UTC", "'0 25 * * *' is no schedule in the five fields of cron"),
    "four fields": ("0 0 * *", "UTC", "'0 0 * *' is no schedule in the five fields of cron"),
    "six fields": ("0 0 0 * * *", "UTC", "'0 0 0 * * *' is no schedule in the five fields of cron"),
    "a word": ("@daily", "UTC", "'@daily' is no schedule in the five fields of cron"),
    "nothing": ("", "UTC", "'' is no schedule in the five fields of cron"),
    "a number without an end": ("0 " + "9" * 5000 + " * * *", "UTC", "is no schedule in the five fields of cron"),
    "30 February": ("0 0 30 2 *", "UTC", "'0 0 30 2 *' is no schedule in the five fields of cron"),
    "the fifth Friday that is a first": ("0 0 */31 * FRI#5", "UTC", "'0 0 */31 * FRI#5' is a day that never comes"),
    "a last weekday on a weekend": ("0 0 LW * */6", "UTC", "'0 0 LW * */6' is a day that never comes"),
    "an unknown zone": ("0 0 * * *", "Europe/Berln", "'Europe/Berln' is no time zone"),
    "a folder of zones": ("0 0 * * *", "America", "'America' is no time zone"),
    "a file that is no zone": ("0 0 * * *", "zone.tab", "'zone.tab' is no time zone"),
    "a way out of the folder": ("0 0 * * *", "../../etc/passwd", "'../../etc/passwd' is no time zone"),
    "no zone": ("0 0 * * *", "", "'' is no time zone"),
}


def unchecked(schedule: str, zone: str) -> freezes.FreezeWindow:
    """A window as no API server of this version would let through."""
    return freezes.FreezeWindow.model_construct(name="odd", schedule=schedule, duration_seconds=60, time_zone=zone)


@pytest.mark.parametrize(("schedule", "zone", "why"), UNREADABLE.values(), ids=UNREADABLE.keys())
def test_what_cannot_be_read_freezes_until_a_person_corrects_it(schedule: str, zone: str, why: str) -> None:
    frozen = freezes.frozen_until([a_window(), unchecked(schedule, zone)], utc("2026-07-03T20:00"))
    assert frozen is not None
    assert (frozen.window.name, frozen.until) == ("odd", None)
    assert frozen.message.startswith("freeze window odd freezes until a person corrects it: ")
    assert why in frozen.message


RARE = ["0 0 29 2 *", "0 0 29 2 */7", "0 0 L 2 */6", "0 0 * 2 MON#5"]


@pytest.mark.parametrize("schedule", RARE)
def test_day_that_comes_once_in_a_generation_freezes_nothing_meanwhile(schedule: str) -> None:
    assert not is_frozen(a_window(schedule), now=utc("2026-07-03T20:00"))


ODD = st.text(max_size=40) | st.text(alphabet="0123456789*/,-# LWMONFEB", max_size=40)


ODD_ZONES = ("\x00", "a" * 5000, "/UTC", "Europe/", ".", "..", "a..b/c", "__init__.py", "\u00e9", "localtime/x")


@given(schedule=ODD, zone=st.text(max_size=40) | st.sampled_from(("UTC", *ODD_ZONES)), seconds=st.integers(0, 7 * 10**9))
def test_nothing_that_a_window_says_is_an_error(schedule: str, zone: str, seconds: int) -> None:
    now = utc("1970-01-02") + timedelta(seconds=seconds)
    frozen = freezes.frozen_until([unchecked(schedule, zone)], now)
    assert frozen is None or frozen.until is None or frozen.until > now


@pytest.mark.parametrize("zone", ODD_ZONES)
def test_odd_zone_freezes(zone: str) -> None:
    assert until(unchecked("* * * * *", zone), now=utc("2026-07-03")) is None


@given(
    schedule=st.tuples(
        st.sampled_from(("0", "30", "15,45", "*/20", "5-50/15")),
        st.sampled_from(("0", "1", "2", "3", "23", "*", "*/2", "1-3")),
        st.sampled_from(("*", "*/2", "25,29", "L")),
        st.sampled_from(("*", "3,10,11")),
        st.sampled_from(("*", "SUN", "1-6")),
    ).map(" ".join),
    hours=st.sampled_from((0.25, 1, 5, 30)),
    zone=st.sampled_from((BERLIN, NEW_YORK, "UTC")),
    night=st.sampled_from(("2026-03-29T01:00", "2026-10-25T01:00", "2026-03-08T07:00", "2026-11-01T06:00", "2026-12-31T23:00")),
    minutes=st.integers(-300, 300),
)
def test_starts_are_those_of_the_library(schedule: str, hours: float, zone: str, night: str, minutes: int) -> None:
    now, length = utc(night) + timedelta(minutes=minutes), timedelta(hours=hours)
    forward = CronSim(schedule, (now - length - timedelta(days=2)).astimezone(ZoneInfo(zone)))
    starts = list(takewhile(lambda start: start <= now, (one.astimezone(UTC) for one in forward)))
    expected = bool(starts) and now < starts[-1] + length
    assert is_frozen(a_window(schedule, hours=hours, time_zone=zone), now=now) == expected


WINDOWS = st.builds(
    a_window,
    st.sampled_from(("0 18 * * *", "0 6 * * 1-5", "*/30 * * * *", "0 0 * * 6", "30 2 * * *", "0 0 1 * *")),
    hours=st.sampled_from((0.25, 0.5, 6, 12, 24, 60)),
    time_zone=st.sampled_from((BERLIN, NEW_YORK, "UTC", LORD_HOWE)),
)


@given(
    windows=st.lists(WINDOWS, min_size=1, max_size=4),
    more=st.lists(WINDOWS, max_size=2),
    minutes=st.integers(0, 366 * 24 * 60),
    share=st.integers(0, 99).map(lambda percent: percent / 100),
)
def test_freeze_has_no_gap_and_is_over_at_its_end(
    windows: list[freezes.FreezeWindow], more: list[freezes.FreezeWindow], minutes: int, share: float
) -> None:
    now = utc("2026-01-01") + timedelta(minutes=minutes)
    frozen = freezes.frozen_until(windows, now)
    if frozen is None or frozen.until is None:
        return
    assert is_frozen(*windows, now=now + (frozen.until - now) * share)
    assert frozen.at_least or not is_frozen(*windows, now=frozen.until)
    longer = freezes.frozen_until([*more, *windows], now)
    assert longer is not None and longer.until is not None
    assert longer.at_least or longer.until >= frozen.until


SLOW: dict[str, list[freezes.FreezeWindow]] = {
    "without a gap": [a_window(f"{number} * * * *", hours=1, time_zone=BERLIN) for number in range(32)],
    "long ones": [a_window(f"{number} 0 {1 + number % 28} * *", hours=31 * 24, time_zone=NEW_YORK) for number in range(32)],
    "rare ones": [a_window(f"{number} 0 29 2 */7", hours=31 * 24) for number in range(32)],
    "one that never comes": [a_window("0 0 */31 * FRI#5")],
}


@pytest.mark.parametrize("windows", SLOW.values(), ids=SLOW.keys())
def test_answer_takes_no_time(windows: list[freezes.FreezeWindow]) -> None:
    def taken() -> float:
        started = time.perf_counter()
        freezes.frozen_until(windows, utc("2026-10-25T01:10"))
        return time.perf_counter() - started

    # A few milliseconds; the fastest of several, and three times as long, as the machine may be busy.
    assert min(taken() for _ in range(5)) < 0.015


@pytest.mark.parametrize(
    "changes",
    [
        {"schedule": "0 0 * *"},
        {"schedule": "0 0 * * * *"},
        {"schedule": "@midnight"},
        {"schedule": "0 0 * * ?; rm"},
        {"duration_seconds": 0},
        {"duration_seconds": 31 * 86_400 + 1},
        {"time_zone": "../UTC"},
        {"time_zone": "Europe/"},
        {"name": ""},
    ],
)
def test_plain_nonsense_is_refused_where_it_is_written(changes: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        a_window(**changes)  # type: ignore[arg-type]
