"""Gates whose released rows show that something is wrong with their sensors, and gates that only look like it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from engine.config import Config
from engine.rfc3339 import parse_ms
from tests.support.engine_run import Result, run

EXACT = Config({"flow": {"k": 1, "guard": 0}})
GUARDED = Config()
MINUTE, HOUR = 60_000, 3_600_000
APPROVED = [{"from": "2020-01-01T00:00:00Z", "to": None}]
NIGHT = [{"from": "00:46", "to": "05:44"}]
Ways = Callable[[int], tuple[int, int]]  # minute since the start -> people ab, ba


def at(text: str, day: int = 3) -> int:
    """Local time HH:MM in Sapporo on a day of February 2026, in ms."""
    found = parse_ms(f"2026-02-{day:02d}T{text}:00+09:00")
    assert found is not None
    return found


def world(*, lanes: int = 1, kind: str = "plaza", gates: int = 1, leaf: str = "1m", **sensor: Any) -> dict[str, Any]:
    """A hall of one gate or more from outside, 2 m wide; the first has so many sensors, which send counts."""
    told = {"kind": "counter", "approved": APPROVED, "reporting": "every_span", "relative_error": 0.02, **sensor}
    sensors = [{**told, "id": f"s{lane}", "gate": "g0"} for lane in range(lanes)]
    sensors += [{**told, "id": f"other{i}", "gate": f"g{i}"} for i in range(1, gates)]
    return {
        "version": "v1",
        "timezone": "Asia/Tokyo",
        "zones": [{"id": "hall", "kind": kind, "area_m2": 300, "closed": NIGHT}],
        "gates": [{"id": f"g{i}", "a": None, "b": "hall", "leaf": leaf, "width_m": 2} for i in range(gates)],
        "sensors": sensors,
    }


def played(document: dict[str, Any], start: int, minutes: int, ways: Ways, config: Config = GUARDED) -> Result:
    """Counts of every minute of all sensors; ``ways`` of the first one, the others see nobody."""
    log = []
    for minute in range(minutes):
        for place, sensor in enumerate(document["sensors"]):
            ab, ba = ways(minute) if place == 0 else (0, 0)
            ts = start + minute * MINUTE
            record = {"type": "count", "sensor": sensor["id"], "ts": ts, "span_ms": MINUTE, "ab": ab, "ba": ba}
            log.append((json.dumps(record).encode(), ts + MINUTE + 500))
    return run(document, [log], config)


def told(result: Result, start: int, sensor: str = "s0") -> list[tuple[int, str]]:
    """(minutes since the start up to the line, state)."""
    return [((line - start) // MINUTE, state) for line, of, state in result.changes if of == sensor]


def poisson(seed: int, per_minute: float, minutes: int = 3000) -> list[tuple[int, int]]:
    rng = np.random.default_rng(seed)
    return [(int(ab), int(ba)) for ab, ba in rng.poisson(per_minute, (minutes, 2))]


@pytest.mark.parametrize("seed", range(3))
def test_how_the_log_is_cut_changes_nothing(seed: int) -> None:
    """Two days of quarters of hours with all that is looked for, in one piece or cut, by line, with restarts."""
    start, rng = at("00:00"), np.random.default_rng(seed)
    log = []
    for quarter in range(2 * 96 + 40):
        hour = quarter % 96 / 4
        ab, ba = rng.poisson(60, 2).tolist() if 7 <= hour < 20 else (0, 0)
        if quarter // 96 == 1:
            ab, ba = (3_000, 0) if quarter % 96 == 40 else (ab, 0) if hour < 13 else (0, 0)
        ts = start + quarter * 15 * MINUTE
        record = {"type": "count", "sensor": "s0", "ts": ts, "span_ms": 15 * MINUTE, "ab": ab, "ba": ba}
        log.append((json.dumps(record).encode(), ts + 15 * MINUTE + 500))
    document = world(leaf="15m")
    whole = run(document, [log], GUARDED)
    assert {state for _, _, state in whole.changes} == {"ok", "chattering", "imbalanced", "stuck"}
    cut = run(document, [log], GUARDED, shards=2, seed=seed, restart=True)
    live = run(document, [log], GUARDED, shards=3, seed=seed, restart=True, by_line=True)
    assert cut.changes == live.changes == whole.changes
    assert cut.canonical()["health"] == live.canonical()["health"] == whole.canonical()["health"]


# ------------------------------------------------------------------------------ chattering
@pytest.mark.parametrize("config", [EXACT, GUARDED])
def test_more_people_than_can_pass_are_told_with_the_first_row_that_shows_them(config: Config) -> None:
    start, people = at("10:00"), poisson(1, 20)
    result = played(world(), start, 60, lambda m: (160, 80) if 20 <= m < 30 else people[m], config)
    assert told(result, start) == [(1, "ok"), (21, "chattering"), (31, "ok")]
    rows = [row for row in result.rows["health"] if row["state"] == "chattering"]
    assert [row["window_start"] for row in rows] == [start + 20 * MINUTE]


def test_a_way_as_full_as_can_be_is_no_chatter() -> None:
    start, rng = at("10:00"), np.random.default_rng(3)
    people = rng.poisson(164, 300).tolist()  # 82 a minute and metre for hours
    assert told(played(world(), start, 300, lambda m: (people[m], 0), EXACT), start) == [(1, "ok")]


def test_of_several_lanes_all_are_named_and_without_a_width_none() -> None:
    start = at("10:00")
    document = world(lanes=2)
    result = played(document, start, 30, lambda m: (400, 0) if m == 20 else (10, 10))
    for sensor in ("s0", "s1"):
        assert told(result, start, sensor) == [(1, "ok"), (21, "chattering"), (22, "ok")]
    del document["gates"][0]["width_m"]
    result = played(document, start, 30, lambda m: (400, 0) if m == 20 else (10, 10))
    assert told(result, start) == [(1, "ok")]


def test_a_sensor_that_tells_changes_is_known_by_what_is_found() -> None:
    start = at("10:00")
    result = played(world(reporting="on_change"), start, 30, lambda m: (200, 200) if m == 20 else (10, 10))
    assert told(result, start) == [(21, "chattering"), (22, "ok")]


# ------------------------------------------------------------------------------ stuck
@pytest.mark.parametrize("config", [EXACT, GUARDED])
def test_nobody_for_far_longer_than_usual(config: Config) -> None:
    """On the first day six hours, for nobody knows yet when the place closes."""
    start, people = at("07:00"), poisson(2, 5)
    result = played(world(), start, 700, lambda m: (0, 0) if 240 <= m < 630 else people[m], config)
    (_, ok), (stuck_at, stuck), (again_at, again) = told(result, start)
    assert (ok, stuck, again) == ("ok", "stuck", "ok")
    assert 600 <= stuck_at <= 605 and 630 <= again_at <= 640


@pytest.mark.parametrize(("to", "least"), [(14, 60), (12, 3 * 105)])
def test_a_gate_may_rest_as_long_as_it_did_the_day_before(to: int, least: int) -> None:
    """People until 22:00, or with two hours at noon without any; the day after they end at 14:00."""
    start, people = at("07:30"), poisson(2, 5)

    def ways(minute: int) -> tuple[int, int]:
        hour, day = (minute // 30 / 2 + 7.5) % 24, minute >= 990
        away = (to <= hour < 14 and not day) or (hour >= 14 and day) or hour >= 22 or hour < 7.5
        return (0, 0) if away else people[minute]

    result = played(world(), start, 1440 + 870, ways)
    (_, ok), (stuck_at, stuck) = told(result, start)
    ended = 1440 + 390
    assert (ok, stuck) == ("ok", "stuck") and ended + least <= stuck_at <= ended + least + 60


@pytest.mark.parametrize("config", [EXACT, GUARDED])
def test_quiet_nights_are_not_stuck(config: Config) -> None:
    """Three days with people from 7:30 to 21:00."""
    start, people = at("07:30"), poisson(3, 4, 5000)

    def ways(minute: int) -> tuple[int, int]:
        return people[minute] if minute % 1440 < 810 else (0, 0)

    assert told(played(world(), start, 3 * 1440, ways, config), start) == [(1, "ok")]


def test_a_sensor_that_got_stuck_at_night_is_told_in_the_morning() -> None:
    """People from 7:30 on, on two days; on the third nobody."""
    start, people = at("07:30"), poisson(4, 4, 5000)

    def ways(minute: int) -> tuple[int, int]:
        return people[minute] if minute % 1440 < 870 and minute < 2 * 1440 else (0, 0)

    result = played(world(), start, 3 * 1440, ways)
    (_, ok), (stuck_at, stuck) = told(result, start)
    morning = 2 * 1440 - 90
    assert (ok, stuck) == ("ok", "stuck") and morning + 3 * 75 <= stuck_at <= morning + 3 * 95


def test_a_gate_that_nobody_watched_is_not_stuck() -> None:
    start, people = at("09:00"), poisson(5, 5)
    log = [(m, *people[m]) for m in range(480) if not 240 <= m < 400]
    rows = [
        (
            json.dumps(
                {"type": "count", "sensor": "s0", "ts": start + m * MINUTE, "span_ms": MINUTE, "ab": a, "ba": b}
            ).encode(),
            start + (m + 1) * MINUTE + 500,
        )
        for m, a, b in log
    ]
    states = [state for _, state in told(run(world(), [rows]), start)]
    assert "stuck" not in states and states[0] == states[-1] == "ok"


@pytest.mark.parametrize(("config", "most"), [(EXACT, 65), (GUARDED, 140)])
def test_the_same_number_again_and_again(config: Config, most: int) -> None:
    start, people = at("09:00"), poisson(6, 9)
    result = played(world(), start, 700, lambda m: (9, 7) if 240 <= m < 600 else people[m], config)
    (_, ok), (stuck_at, stuck), (again_at, again) = told(result, start)
    assert (ok, stuck, again) == ("ok", "stuck", "ok")
    assert 240 < stuck_at <= 240 + most and 600 < again_at <= 640


@pytest.mark.parametrize(
    ("config", "per_minute"), [(EXACT, 0.05), (EXACT, 4), (GUARDED, 0.3), (GUARDED, 4), (GUARDED, 30)]
)
def test_sound_gates_of_any_size_stay_ok_for_days(per_minute: float, config: Config) -> None:
    start, people = at("00:00"), poisson(7, per_minute, 3 * 1440)
    day = np.clip(np.sin((np.arange(1440) - 300) / 1140 * np.pi), 0, None)  # from 5:00 to 24:00
    rng = np.random.default_rng(8)
    kept = [tuple(rng.binomial(n, day[m % 1440]) for n in people[m]) for m in range(len(people))]
    result = played(world(leaf="5m"), start, len(people), lambda m: (int(kept[m][0]), int(kept[m][1])), config)
    assert [state for _, state in told(result, start)] == ["ok"]


# ------------------------------------------------------------------------------ imbalanced
def inside(minute: int, seed: int = 9) -> tuple[int, int]:
    """Those who come in between 7:00 and 18:00 go out two hours later."""
    rng = np.random.default_rng(seed * 100_000 + minute)
    hour = minute % 1440 // 60
    return int(rng.poisson(3.0)) if 7 <= hour < 18 else 0, int(rng.poisson(3.0)) if 9 <= hour < 20 else 0


@pytest.mark.parametrize("config", [EXACT, GUARDED])
def test_one_way_is_missing_at_the_only_gate_of_a_zone(config: Config) -> None:
    start = at("00:00")
    result = played(world(), start, 3 * 1440, lambda m: (inside(m)[0], inside(m)[1] // (2 if m < 1440 else 1)), config)
    assert told(result, start) == [(1, "ok"), (1440, "imbalanced"), (2880, "ok")]
    rows = [row for row in result.rows["health"] if row["state"] == "imbalanced"]
    assert [row["window_start"] for row in rows] == [start + 1439 * MINUTE]


@pytest.mark.parametrize("config", [EXACT, GUARDED])
def test_a_zone_that_fills_and_empties_is_in_balance(config: Config) -> None:
    start = at("00:00")
    assert told(played(world(), start, 2 * 1440, inside, config), start) == [(1, "ok")]


def test_a_way_of_one_direction_is_no_fault() -> None:
    """All come in by one gate and leave by another: neither leads alone into the hall."""
    start = at("00:00")
    result = played(world(gates=2), start, 1500, lambda m: (inside(m)[0], 0))
    assert told(result, start) == [(1, "ok")]


def test_a_shelter_may_fill() -> None:
    start = at("00:00")
    result = played(world(kind="shelter"), start, 1500, lambda m: (inside(m)[0], 0))
    assert told(result, start) == [(1, "ok")]
