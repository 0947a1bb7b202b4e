"""Window edges by the clock of a place, where clocks jump: timelines, properties, a naive reference."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import pairwise
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import BadInput
from engine.model import DAY, HOUR, LENGTH_MS, TS_MAX, TS_MIN, WINDOWS
from engine.timezone import TimeZone

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MINUTE = 60_000

# Timelines: one mark per 30 minutes of real time from the UTC instant on. `|` = an hour begins, `#` = an hour and a
# day begin, `.` = neither. Below it the local clock at each `|` and `#`, as a reader on the spot would note it.
TIMELINES = {
    "Australia/Melbourne 2023-04-02, back from +11 to +10 at 3:00: two o'clock comes twice, 25 hours": (
        "Australia/Melbourne",
        "2023-04-01T12:00Z",
        "|.#.|.|.|.|.|.",
        "23 00 01 02 02 03 04",
        25.0,
    ),
    "Australia/Melbourne 2023-10-01, forward from +10 to +11 at 2:00: no two o'clock, 23 hours": (
        "Australia/Melbourne",
        "2023-09-30T13:00Z",
        "|.#.|.|.|.|.",
        "23 00 01 03 04 05",
        23.0,
    ),
    # 1:30 to 2:00 repeats: the change is an edge, and the first full hour after it is 2:00
    "Australia/Lord_Howe 2023-04-02, back half an hour at 2:00 from +11 to +10:30: 24.5 hours": (
        "Australia/Lord_Howe",
        "2023-04-01T12:00Z",
        "|.#.|.||.|.|.|",
        "23 00 01 01 02 03 04 05",
        24.5,
    ),
    "Australia/Lord_Howe 2023-10-01, forward half an hour at 2:00 from +10:30 to +11: 23.5 hours": (
        "Australia/Lord_Howe",
        "2023-09-30T12:30Z",
        "|.#.|.||.|.|.",
        "23 00 01 02 03 04 05",
        23.5,
    ),
    "Europe/Zurich 2020-10-25, back from +2 to +1 at 3:00: 25 hours": (
        "Europe/Zurich",
        "2020-10-24T21:00Z",
        "|.#.|.|.|.|.|.",
        "23 00 01 02 02 03 04",
        25.0,
    ),
    "Pacific/Apia 2011-12-29, the date line moves: after the 29th comes the 31st": (
        "Pacific/Apia",
        "2011-12-30T08:00Z",
        "|.|.#.|.|.",
        "22 23 00 01 02",
        24.0,
    ),
    "America/Sao_Paulo 2017-10-15, forward at midnight: the day begins at 1:00, 23 hours": (
        "America/Sao_Paulo",
        "2017-10-15T01:00Z",
        "|.|.#.|.|.",
        "22 23 01 02 03",
        23.0,
    ),
    "America/Sao_Paulo 2018-02-18, back at midnight: 23:00 comes twice, and the day before has 25 hours": (
        "America/Sao_Paulo",
        "2018-02-18T00:00Z",
        "|.|.|.#.|.",
        "22 23 23 00 01",
        24.0,
    ),
    "Asia/Beirut 2021-03-28, forward at midnight: the day begins at 1:00, 23 hours": (
        "Asia/Beirut",
        "2021-03-27T20:00Z",
        "|.|.#.|.|.",
        "22 23 01 02 03",
        23.0,
    ),
    # at 0:01 back to 23:01: Sunday has begun, then a minute short of an hour is Saturday's again
    "America/St_Johns 2010-11-07, back just after midnight: the day begins once, at the first midnight": (
        "America/St_Johns",
        "2010-11-07T01:30Z",
        "|.#.|.|.",
        "23 00 00 01",
        25.0,
    ),
    "Asia/Tokyo, where clocks never change": (
        "Asia/Tokyo",
        "2026-02-07T14:00Z",
        "|.#.|.",
        "23 00 01",
        24.0,
    ),
    "Asia/Kathmandu, 45 minutes off": ("Asia/Kathmandu", "2026-02-07T17:15Z", "|.#.|.", "23 00 01", 24.0),
}


def ms_of(text: str) -> int:
    return (datetime.fromisoformat(text) - EPOCH) // timedelta(milliseconds=1)


@cache
def zone(name: str) -> TimeZone:
    return TimeZone(name)


def floor(name: str, ms: int, code: int) -> int:
    return int(zone(name).floor(np.array([ms], np.int64), code)[0])


def following(name: str, ms: int, code: int) -> int:
    return int(zone(name).next(np.array([ms], np.int64), code)[0])


@pytest.mark.parametrize("title", TIMELINES)
def test_timeline(title: str) -> None:
    name, start, drawn, clock, hours = TIMELINES[title]
    begin = ms_of(start)
    end = begin + len(drawn) * 30 * MINUTE
    hour_edges = {int(e) for e in zone(name).edges(begin, end, HOUR)}
    day_edges = {int(e) for e in zone(name).edges(begin, end, DAY)}
    marks = [begin + i * 30 * MINUTE for i in range(len(drawn))]
    seen = "".join("#" if m in day_edges else "|" if m in hour_edges else "." for m in marks)
    assert seen == drawn
    local = [datetime.fromtimestamp(m / 1000, ZoneInfo(name)) for m, c in zip(marks, drawn, strict=True) if c != "."]
    assert " ".join(f"{at:%H}" for at in local) == clock
    day = marks[drawn.index("#")]
    assert (following(name, day, DAY) - day) / (60 * MINUTE) == hours


def test_the_day_that_ends_with_a_change_at_midnight_is_longer() -> None:
    end = ms_of("2018-02-18T03:00Z")
    assert end - floor("America/Sao_Paulo", end - 1, DAY) == 25 * 60 * MINUTE


def test_a_skipped_date_has_no_window() -> None:
    days = zone("Pacific/Apia").edges(ms_of("2011-12-29T12:00Z"), ms_of("2011-12-31T09:00Z"), DAY)
    dates = [datetime.fromtimestamp(e / 1000, ZoneInfo("Pacific/Apia")).date().isoformat() for e in days.tolist()]
    assert dates == ["2011-12-29", "2011-12-31", "2012-01-01"]


def test_a_change_inside_an_hour_parts_it() -> None:
    # St John's, 2010-11-07 at 0:01 -2:30 the clock goes back to 23:01: 0:00-0:01, 23:01-24:00, 0:00-1:00
    begin = ms_of("2010-11-07T02:30Z")
    edges = zone("America/St_Johns").edges(begin, begin + 120 * MINUTE, HOUR)
    assert ((edges - begin) // MINUTE).tolist() == [0, 1, 60, 120]


@pytest.mark.parametrize("name", ["Mars/Olympus", "", "../etc/passwd", "/etc/localtime", "Asia", "x" * 300])
def test_an_unknown_zone_is_bad_input(name: str) -> None:
    with pytest.raises(BadInput):
        TimeZone(name)


# ------------------------------------------------------------------------ a naive reference
REFERENCE_ZONES = (
    "Asia/Tokyo",
    "UTC",
    "Australia/Melbourne",
    "Australia/Lord_Howe",
    "Europe/Zurich",
    "America/Sao_Paulo",
    "America/St_Johns",
    "Asia/Beirut",
    "Asia/Kathmandu",
    "Pacific/Apia",
    "Pacific/Chatham",
    "Africa/Casablanca",
    "Antarctica/Troll",
)
# Around changes of the zones above, and a year's turn.
REFERENCE_DAYS = (
    "1987-10-25T00:00Z",
    "2010-11-06T12:00Z",
    "2011-12-29T00:00Z",
    "2017-10-14T12:00Z",
    "2018-02-17T12:00Z",
    "2019-12-31T00:00Z",
    "2020-10-24T12:00Z",
    "2021-03-27T12:00Z",
    "2023-04-01T00:00Z",
    "2023-09-30T00:00Z",
)


def naive_edges(name: str, begin: int, minutes: int) -> tuple[list[int], list[int]]:
    """Edges of hours and days in (begin, begin + minutes): walks through every minute with a clock on the wall."""
    place = ZoneInfo(name)
    hours, days = [], []
    dates = set()
    # a date is new if it was not seen in the two days before
    before = EPOCH + timedelta(milliseconds=begin) - timedelta(days=2)
    for i in range(2 * 1440 + 1):
        local = (before + timedelta(minutes=i)).astimezone(place)
        dates.add(local.date())
    offset = local.utcoffset()
    for i in range(1, minutes):
        local = (EPOCH + timedelta(milliseconds=begin + i * MINUTE)).astimezone(place)
        if local.minute == 0 or local.utcoffset() != offset:
            hours.append(begin + i * MINUTE)
        if local.date() not in dates:
            days.append(begin + i * MINUTE)
        offset = local.utcoffset()
        dates.add(local.date())
    return hours, days


@pytest.mark.parametrize("name", REFERENCE_ZONES)
def test_agrees_with_a_clock_on_the_wall(name: str) -> None:
    minutes = 2 * 1440
    for day in REFERENCE_DAYS:
        begin = ms_of(day)
        end = begin + minutes * MINUTE
        for code, expected in zip((HOUR, DAY), naive_edges(name, begin, minutes), strict=True):
            edges = [e for e in zone(name).edges(begin, end, code).tolist() if begin < e < end]
            assert edges == expected, (day, WINDOWS[code])


# -------------------------------------------------------------------------------- properties
codes = st.sampled_from(range(len(WINDOWS)))
names = st.sampled_from(REFERENCE_ZONES)


@st.composite
def instants(draw: st.DrawFn, name: str) -> int:
    """Any instant of event time, half of them close to a change of the zone's clock."""
    changes = zone(name).changes[1:]
    near = [int(c) for c in changes.tolist() if TS_MIN < c < TS_MAX]
    if near and draw(st.booleans()):
        return draw(st.sampled_from(near)) + draw(st.integers(-90 * MINUTE, 90 * MINUTE) | st.integers(-2, 2))
    return draw(st.integers(TS_MIN, TS_MAX - 1))


@given(st.data(), names, codes)
def test_every_instant_lies_in_its_window(data: st.DataObject, name: str, code: int) -> None:
    times = np.array(data.draw(st.lists(instants(name), min_size=1, max_size=5)), np.int64)
    start, end = zone(name).floor(times, code), zone(name).next(times, code)
    assert start.dtype == end.dtype == np.int64
    assert (start <= times).all() and (times < end).all()
    assert (zone(name).floor(start, code) == start).all()
    assert (zone(name).floor(end - 1, code) == start).all()
    assert (zone(name).floor(end, code) == end).all()
    assert (zone(name).next(start, code) == end).all()
    if code == HOUR:
        assert (end - start <= LENGTH_MS[HOUR]).all()


@given(st.data(), names, codes, st.integers(0, 400))
def test_edges_partition_time(data: st.DataObject, name: str, code: int, quarters: int) -> None:
    begin = data.draw(instants(name))
    end = begin + quarters * LENGTH_MS[code] // 4
    edges = zone(name).edges(begin, end, code)
    assert edges[0] == floor(name, begin, code)
    assert edges[-1] >= end
    assert len(edges) == 1 or edges[-2] < end
    assert (np.diff(edges) > 0).all()
    assert (zone(name).next(edges[:-1], code) == edges[1:]).all()


@given(st.data(), names)
def test_windows_nest(data: st.DataObject, name: str) -> None:
    ms = data.draw(instants(name))
    for shorter, longer in pairwise(range(HOUR)):
        assert floor(name, floor(name, ms, shorter), longer) == floor(name, ms, longer)
    hour = floor(name, ms, HOUR)
    if ms > -1_000_000_000_000:  # after the times of local mean time hours begin at whole minutes
        assert hour % MINUTE == 0


@given(st.data(), names)
def test_an_hour_begins_at_a_full_hour_or_a_change(data: st.DataObject, name: str) -> None:
    hour = floor(name, data.draw(instants(name)), HOUR)
    local = (EPOCH + timedelta(milliseconds=hour)).astimezone(ZoneInfo(name))
    assert (local.minute, local.second, local.microsecond) == (0, 0, 0) or hour in zone(name).changes
