"""Who is inside: arithmetic on what is published, holding the truth, whatever way the logs come."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.engine_run import Result
from tests.support.naive import CELL
from tests.support.naive_zones import Given, Zone
from tests.support.worlds import START, WORLDS, Log, World, world_of

ERRORS = st.lists(st.sampled_from([0, 0, 0.02, 0.3, None]), min_size=6, max_size=6)
# local times about those at which the worlds begin: 23:30 in Tokyo, 01:30 on Lord Howe Island, a half hour before the
# clocks go back there
HOURS = ["01:31", "01:33", "01:40", "02:10", "23:31", "23:33", "23:40", "00:10", "12:00"]
CLOSED = st.lists(
    st.tuples(st.sampled_from(HOURS), st.sampled_from(HOURS)).filter(lambda ends: ends[0] != ends[1]), max_size=2
)
# where in a log, how far before or behind its clock, people, zone
SETS = st.lists(
    st.tuples(
        st.integers(0, 60),
        st.sampled_from([0, 0, 1, 2_500, 5_000, 10_000, 33_000, 59_000, 300_000, -1, -4_000, -20_000]),
        st.sampled_from([0, 3, 12, 100]),
        st.sampled_from(["c1", "c2", "c3", "c1", "nowhere"]),
    ),
    max_size=4,
)
ZONES = st.tuples(CLOSED, CLOSED, CLOSED, st.sampled_from([None, 50]))


def with_zones(world: World, zones: Any, errors: list[float | None]) -> World:
    *closed, area = zones
    kinds = ("walkway", "plaza", "shelter")
    rows = [
        {"id": f"c{i + 1}", "kind": kinds[i], "area_m2": area, "closed": [{"from": f, "to": t} for f, t in closed[i]]}
        for i in range(3)
    ]
    sensors = [{**s, "relative_error": e} for s, e in zip(world.registry["sensors"], errors, strict=False)]
    return world.with_registry(zones=rows, sensors=sensors)


def clock_of(log: Log, place: int) -> int:
    """Time of the last record with a time before a place of a log."""
    times = [stamp or json.loads(m)["ts"] for m, stamp in log[:place] if m.endswith(b"}")]
    return max(times, default=START)


def with_sets(world: World, sets: list[Any], partitions: list[int]) -> tuple[World, list[Given]]:
    """The world with the sets put into its logs, and those that hold."""
    inserted: dict[int, list[tuple[int, bytes, int | None]]] = {}
    held = []
    for (place, ahead, people, zone), number in zip(sets, partitions, strict=False):
        number %= len(world.logs)
        log = world.logs[number]
        place %= len(log) + 1
        ts = clock_of(log, place) + ahead
        record = {"type": "set", "zone": zone, "people": people, "by": "h", "ts": ts}
        stamp = None if not log or log[0][1] is None else clock_of(log, place)
        inserted.setdefault(number, []).append((place, json.dumps(record).encode(), stamp))
        head = replace(world, logs=[log[:place]])
        (w,) = head.naive.watermarks
        early = w is None or ts > w // CELL * CELL
        if early and zone != "nowhere" and (stamp is None or ts <= stamp + 60_000):
            held.append(Given(ts, people, zone))
    logs = []
    for number, log in enumerate(world.logs):
        log = list(log)
        for place, message, stamp in sorted(inserted.get(number, []), key=lambda i: -i[0]):
            log.insert(place, (message, stamp))
        logs.append(log)
    return replace(world, logs=logs), sorted(set(held))


# most of the time everything is about one zone, and its sensors are alive
HALL_GATES = st.lists(
    st.tuples(
        st.sampled_from(["c1", "c1", "c1", "c2"]),
        st.sampled_from([None, None, "c2", "c1"]),
        st.sampled_from(["10s", "10s", "10s", "1m", "15m"]),
        st.sampled_from([0, 0, 0, 20, 600]),
    ),
    min_size=1,
    max_size=3,
)
HALL_SENSORS = st.lists(
    st.tuples(
        st.sampled_from([0] * 9 + [1]),
        st.sampled_from(["on_change"] * 6 + ["heartbeat", "every_span"]),
        st.just(0),
        st.sampled_from([15, 225]),
        st.none(),
    ),
    min_size=3,
    max_size=6,
)
HALL_EVENT = st.tuples(
    st.sampled_from([0, 100, 1_500, 5_000, 10_000, 10_000, 30_000, 60_000, 600_000]),
    st.sampled_from(["cross"] * 10 + ["count"] * 3 + ["heartbeat"] * 2 + ["tick"]),
    st.integers(0, 5),
    st.sampled_from([0] * 9 + [5_000, 31_700]),
    st.sampled_from(["ab"] * 6 + ["ba"] * 6 + [None]),
    st.sampled_from([0, 1, 2, 3, 5, 6, 9, 40]),
)
HALL_LOGS = st.lists(
    st.tuples(st.just(0), st.booleans(), st.lists(HALL_EVENT, min_size=20, max_size=60)), min_size=1, max_size=2
)
HALLS = st.builds(
    world_of,
    st.sampled_from(["Asia/Tokyo", "Australia/Lord_Howe"]),
    HALL_GATES,
    HALL_SENSORS,
    HALL_LOGS,
    st.sampled_from([1, 1, 3, 6]),
    st.just(5_000),
)
ALL_WORLDS = st.one_of(WORLDS, HALLS, HALLS)
WORDS = (ZONES, ERRORS, SETS, st.lists(st.integers(0, 3), min_size=4, max_size=4))
COLUMNS = ("occupancy", "occupancy_low", "occupancy_high", "density", "drift_low", "drift_high", "error")


def zone_rows(result: Result) -> dict[tuple[str, int, str], dict[str, Any]]:
    rows = result.rows.get("zones", [])
    out = {(r["window"], r["window_start"], r["zone"]): r for r in rows}
    assert len(out) == len(rows), "a row came twice"
    return out


@pytest.mark.slow
@given(ALL_WORLDS, *WORDS)
@settings(max_examples=2 * settings().max_examples)
def test_who_is_inside_follows_from_the_runs(
    world: World, zones: Any, errors: list[float | None], sets: list[Any], partitions: list[int]
) -> None:
    world = with_zones(world, zones, errors)
    told, held = with_sets(world, sets, partitions)
    result = told.run()
    rows = zone_rows(result)
    active = set(world.naive.cells)
    for name in {zone for _, _, zone in rows}:
        zone = Zone(world.naive, result.rows, name, [g for g in held if g.zone == name])
        for start, end, count, now in zone.counts():
            row = rows[zone.finest, start, name]
            assert {c: row[c] for c in COLUMNS} == zone.row(count, now)
            # longer windows that end here tell the same, but for those in which one gate was never seen
            if any(start <= cell < end for cell in active):
                for (label, at, of), longer in rows.items():
                    if of == name and label != zone.finest and world.naive.window(at, label)[1] == end:
                        unknown = longer["status"] == "unknown"
                        assert {c: longer[c] for c in COLUMNS} == zone.row(None if unknown else count, now)


@pytest.mark.slow
@given(ALL_WORLDS, *WORDS, st.integers(0, 2**32), st.integers(1, 4))
def test_cuts_interleavings_shards_restarts_and_lines_change_nothing(
    world: World, zones: Any, errors: list[float | None], sets: list[Any], partitions: list[int], seed: int, shards: int
) -> None:
    told, _ = with_sets(with_zones(world, zones, errors), sets, partitions)
    plain = told.run()
    mixed = told.run(seed=seed, shards=shards, restart=True, by_line=seed % 2 == 1)
    assert mixed.canonical() == plain.canonical()


@given(ALL_WORLDS, *WORDS)
def test_ranges_hold_the_truth_and_are_it_where_nothing_is_hidden(
    world: World, zones: Any, errors: list[float | None], sets: list[Any], partitions: list[int]
) -> None:
    """People known at an anchor, and everybody who has passed since by the logs."""
    world = with_zones(world, zones, errors)
    told, held = with_sets(world, sets, partitions)
    result, truth = told.run(), world.naive.truth
    rows = zone_rows(result)
    for name in {zone for _, _, zone in rows}:
        zone = Zone(world.naive, result.rows, name, [g for g in held if g.zone == name])
        for start, end, count, _ in zone.counts():
            if count is None:
                continue
            people = count.people
            for gate, into, out in zone.ways:
                for way, sign in ((into, 1), (out, -1)):
                    people += sign * (truth[gate, way].before(end) - truth[gate, way].before(count.at))
            row = rows[zone.finest, start, name]
            assert row["occupancy_low"] <= people <= row["occupancy_high"]
            if world.threshold == 1 and world.naive.window(count.at, zone.finest)[0] == count.at:
                assert row["occupancy_low"] == row["occupancy_high"] == people
            most = 2 * (world.threshold - 1) * 2 * len(zone.ways)
            edge = count.at == world.naive.window(count.at, zone.finest)[0]
            assert not edge or row["occupancy_high"] - row["occupancy_low"] <= most
