"""Closing hours as spans of time: over midnight, on days on which the clocks change, where they meet."""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from engine.closings import NEVER, next_closing
from engine.rfc3339 import format_ms, parse_ms
from engine.timezone import TimeZone

DAY = 86_400_000


def minutes(*spans: str) -> list[tuple[int, int]]:
    """ "22:00-05:44" -> (1320, 344)."""
    made = []
    for span in spans:
        start, end = (int(t[:2]) * 60 + int(t[3:]) for t in span.split("-"))
        made.append((start, end))
    return made


def ms(text: str) -> int:
    at = parse_ms(text)
    assert at is not None
    return at


def shown(zone: str, at: str, *closed: str) -> tuple[str, str]:
    first, last = next_closing(TimeZone(zone), minutes(*closed), ms(at))
    return format_ms(first), format_ms(last)


NIGHT = "00:46-05:44"
LATE = "22:00-05:44"


# zone, asked at, closed, begins, ends (UTC)
@pytest.mark.parametrize(
    ("zone", "at", "closed", "begins", "ends"),
    [
        ("Asia/Tokyo", "2026-02-03T12:00:00+09:00", [NIGHT], "2026-02-03T15:46", "2026-02-03T20:44"),
        ("Asia/Tokyo", "2026-02-04T05:44:00+09:00", [NIGHT], "2026-02-03T15:46", "2026-02-03T20:44"),  # ends now
        ("Asia/Tokyo", "2026-02-04T05:44:01+09:00", [NIGHT], "2026-02-04T15:46", "2026-02-04T20:44"),
        ("Asia/Tokyo", "2026-02-04T03:00:00+09:00", [LATE], "2026-02-03T13:00", "2026-02-03T20:44"),  # in it
        # spring, 02:00 -> 03:00 in Berlin: the night is an hour shorter; an end that the clock leaps over is 03:00
        ("Europe/Berlin", "2026-03-28T12:00:00Z", [LATE], "2026-03-28T21:00", "2026-03-29T03:44"),
        ("Europe/Berlin", "2026-03-28T12:00:00Z", ["01:00-02:30"], "2026-03-29T00:00", "2026-03-29T01:00"),
        # all of it leapt over: the next is tomorrow's
        ("Europe/Berlin", "2026-03-28T12:00:00Z", ["02:10-02:50"], "2026-03-30T00:10", "2026-03-30T00:50"),
        # autumn, 03:00 -> 02:00: an hour longer; of an end that comes twice the first
        ("Europe/Berlin", "2026-10-24T12:00:00Z", [LATE], "2026-10-24T20:00", "2026-10-25T04:44"),
        ("Europe/Berlin", "2026-10-24T12:00:00Z", ["01:00-02:30"], "2026-10-24T23:00", "2026-10-25T00:30"),
        # spans that meet are one
        ("Asia/Tokyo", "2026-02-03T03:00:00Z", ["22:00-00:00", "00:00-05:00"], "2026-02-03T13:00", "2026-02-03T20:00"),
        ("Asia/Tokyo", "2026-02-03T03:00:00Z", ["23:00-02:00", "01:00-05:00"], "2026-02-03T14:00", "2026-02-03T20:00"),
        # and others are not
        ("Asia/Tokyo", "2026-02-03T12:00:00+09:00", [NIGHT, "13:00-14:00"], "2026-02-03T04:00", "2026-02-03T05:00"),
        # Samoa had no 30 December 2011: the night goes from the 29th to the 31st
        ("Pacific/Apia", "2011-12-30T00:00:00Z", ["22:00-05:00"], "2011-12-30T08:00", "2011-12-30T15:00"),
    ],
)  # fmt: skip
def test_the_next_closing(zone: str, at: str, closed: list[str], begins: str, ends: str) -> None:
    assert shown(zone, at, *closed) == (f"{begins}:00.000Z", f"{ends}:00.000Z")


def test_never() -> None:
    clock = TimeZone("Asia/Tokyo")
    assert next_closing(clock, [], 0) == NEVER
    assert next_closing(clock, minutes("00:00-12:00", "12:00-00:00"), 0) == NEVER  # always closed


@pytest.mark.parametrize("zone", ["Asia/Tokyo", "Europe/Berlin", "Australia/Lord_Howe", "Asia/Kolkata"])
def test_every_night_of_a_year_as_the_standard_library_has_it(zone: str) -> None:
    clock, at, here = TimeZone(zone), ms("2026-01-01T00:00:00Z"), ZoneInfo(zone)
    found = []
    while at < ms("2027-01-01T00:00:00Z"):
        first, last = next_closing(clock, minutes(LATE), at)
        assert at <= last and first < last
        found.append((first, last))
        at = last + 1
    nights = [
        tuple(
            int(datetime(2026, 1, 1, *clock_time, tzinfo=here).replace(month=day.month, day=day.day).timestamp() * 1000)
            for day, clock_time in ((evening, (22, 0)), (evening + timedelta(1), (5, 44)))
        )
        for evening in (datetime(2026, 1, 1) + timedelta(n) for n in range(364))
    ]
    assert set(nights) <= set(found) and len(found) <= len(nights) + 2
