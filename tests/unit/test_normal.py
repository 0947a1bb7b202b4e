"""Which hours of which earlier days tell what is normal now."""

from __future__ import annotations

from datetime import UTC, date, datetime
from types import SimpleNamespace
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pytest

from dashboard.normal import LEAST_DAYS, Hours, day_kind, earlier, hours_of, telling, told
from engine.model import HOUR
from engine.timezone import TimeZone
from sinks.clickhouse.history import USUAL, USUAL_MS

TOKYO = TimeZone("Asia/Tokyo")
BERLIN = TimeZone("Europe/Berlin")


def ms(text: str, zone: str = "Asia/Tokyo") -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp() * 1000)


def days(text: str) -> int:
    return (date.fromisoformat(text) - date(1970, 1, 1)).days


def local(starts: np.ndarray, zone: str = "Asia/Tokyo") -> list[str]:
    return [f"{datetime.fromtimestamp(start / 1000, ZoneInfo(zone)):%m-%d %H:%M}" for start in starts.tolist()]


@pytest.mark.parametrize(
    ("day", "kind"),
    [
        ("2026-02-06", 4),  # a Friday
        ("2026-02-07", 5),
        ("2026-02-08", 6),
        ("2026-02-11", 6),  # a Wednesday, National Foundation Day
        ("2026-02-23", 6),  # a Monday, the Emperor's birthday
        ("2026-05-06", 6),  # a Wednesday, for Sunday the 3rd
        ("2026-09-22", 6),  # a Tuesday between two holidays
        ("2025-12-28", 6),
        ("2025-12-29", 6),  # a Monday; around the new year nobody works
        ("2025-12-31", 6),
        ("2026-01-02", 6),
        ("2026-01-05", 0),
        ("2026-12-25", 4),
    ],
)
def test_a_holiday_of_japan_is_a_sunday(day: str, kind: int):
    assert day_kind(days(day), "JP") == kind


def test_where_no_country_is_known_days_of_the_week_count_alone():
    assert [day_kind(days(day), None) for day in ("2026-02-11", "2025-12-29")] == [2, 0]


def test_the_same_hour_of_the_same_days_of_the_week_tell_and_never_today():
    (asked,) = hours_of(ms("2026-02-06T08:20"), ms("2026-02-06T08:50"), TOKYO)
    assert local(asked.starts) == ["02-06 08:00"] and asked.hour == 8
    starts, of_day = earlier(asked, TOKYO, USUAL_MS)
    fridays = ["12-12", "12-19", "12-26", "01-09", "01-16", "01-23", "01-30"]  # 2 January counts as a Sunday
    assert local(starts) == [f"{day} 08:{minute:02d}" for day in fridays for minute in (0, 15, 30, 45)]
    assert len(set(of_day.tolist())) == 7


def test_a_holiday_is_compared_with_sundays_and_holidays():
    (asked,) = hours_of(ms("2026-02-11T08:00"), ms("2026-02-11T09:00"), TOKYO)
    starts, _ = earlier(asked, TOKYO, USUAL_MS)
    told_days = [day[:5] for day in local(starts)[::4]]
    new_year = ["12-29", "12-30", "12-31", "01-01", "01-02", "01-03"]
    assert told_days == ["12-21", "12-28", *new_year, "01-04", "01-11", "01-12", "01-18", "01-25", "02-01", "02-08"]


def test_a_span_over_midnight_is_told_hour_by_hour():
    parts = hours_of(ms("2026-02-06T22:30"), ms("2026-02-07T01:30"), TOKYO)
    friday, saturday = days("2026-02-06"), days("2026-02-07")
    assert [(part.day, part.hour) for part in parts] == [(friday, 22), (friday, 23), (saturday, 0), (saturday, 1)]
    assert {day[:5] for day in local(earlier(parts[2], TOKYO, USUAL_MS)[0])} >= {"01-31", "01-24"}


def test_hours_are_those_of_the_local_clock_when_clocks_change():
    # clocks went forward on 29 March 2026: 2 o'clock did not come on that Sunday, and 8 o'clock came an hour earlier
    zone = "Europe/Berlin"
    (asked,) = hours_of(ms("2026-04-12T02:00", zone), ms("2026-04-12T03:00", zone), BERLIN)
    starts, of_day = earlier(asked, BERLIN, USUAL_MS)
    assert "03-29" not in {day[:5] for day in local(starts, zone)} and len(set(of_day.tolist())) == 7
    (asked,) = hours_of(ms("2026-04-12T08:00", zone), ms("2026-04-12T09:00", zone), BERLIN)
    starts, _ = earlier(asked, BERLIN, USUAL_MS)
    assert {day[6:8] for day in local(starts, zone)} == {"08"}
    assert {datetime.fromtimestamp(start / 1000, UTC).hour for start in starts.tolist()} == {6, 7}


@pytest.mark.parametrize("name", ["Europe/Berlin", "Asia/Kathmandu", "Australia/Lord_Howe", "Asia/Tokyo"])
def test_hours_begin_and_end_where_windows_of_1h_do(name: str):
    zone = TimeZone(name)  # clocks of Lord Howe change by half an hour
    for start in (ms("2026-03-28T12:20", "UTC"), ms("2026-04-04T06:50", "UTC"), ms("2025-10-25T12:00", "UTC")):
        end = start + 40 * 3_600_000
        asked = hours_of(start, end, zone)
        starts = np.sort(np.concatenate([each.starts for each in asked]))
        assert starts.tolist() == zone.edges(start, end, HOUR)[:-1].tolist()
        clock = {(each.day, each.hour) for each in asked}
        assert clock == {divmod(zone.local(at) // 3_600_000, 24) for at in starts.tolist()}


def test_an_hour_that_comes_twice_tells_twice_of_one_day():
    zone = "Europe/Berlin"
    (asked,) = hours_of(ms("2025-11-02T02:00", zone), ms("2025-11-02T03:00", zone), BERLIN)
    starts, of_day = earlier(asked, BERLIN, USUAL_MS)
    twice = of_day == days("2025-10-26")
    assert twice.sum() == 8 and len(set(starts[twice].tolist())) == 8
    one, two = hours_of(ms("2025-10-26T01:00", zone), ms("2025-10-26T01:00", zone) + 3 * 3_600_000, BERLIN)
    assert (one.hour, len(one.starts), two.hour, len(two.starts)) == (1, 1, 2, 2)


def test_live_runs_are_believed_before_replays_and_workbench_runs_never():
    runs = [
        SimpleNamespace(run_id=name, kind=kind, timezone=zone, started_ms=at, events=events)
        for name, kind, zone, at, events in (
            ("r1", "replay", "Asia/Tokyo", 9, "people"),
            ("l1", "live", "Asia/Tokyo", 1, "people"),
            ("l2", "live", "Asia/Tokyo", 2, "people"),
            ("w", "workbench", "Asia/Tokyo", 10, "people"),
            ("far", "live", "UTC", 11, "people"),
            ("beside", "live", "Asia/Tokyo", 12, "signage"),
        )
    ]
    assert telling(runs, "Asia/Tokyo") == ["l2", "l1", "r1"]  # type: ignore[arg-type]


def test_an_hour_of_which_too_few_days_are_known_is_not_told():
    names = USUAL.names[2:]

    def table(*rows: tuple[str, int, float]) -> pa.Table:
        told = [{"zone": zone, "days": n, **dict.fromkeys(names, figure)} for zone, n, figure in rows]
        return pa.Table.from_pylist(told, schema=USUAL)

    few = LEAST_DAYS - 1
    parts = [
        (Hours(5, 8, np.array([80])), table(("c1", LEAST_DAYS, 1.25), ("c3", 7, float("nan")))),
        (Hours(5, 9, np.array([90, 95])), table(("c1", few, 2.0), ("c2", few, 2.0))),
    ]
    made = told(parts, lambda zone: True)
    assert set(made) == {"c1", "c3"}
    assert made["c1"]["t"] == [80, 90, 95] and made["c1"]["days"] == LEAST_DAYS
    assert made["c1"]["p10"] == made["c1"]["occ_p90"] == [1.25, None, None]
    assert made["c3"]["p50"] == [None, None, None]
    assert told(parts, lambda zone: zone == "c2") == {}
