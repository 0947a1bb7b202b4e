"""Headings by hand: which zones have them, what a minute says, silence, redundant trackers, versions."""

from __future__ import annotations

import copy
import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine import registry
from engine.config import Config
from engine.headings import circular, telling
from engine.tables import Tables
from tests.support.engine_run import run
from tests.support.stays import CELL, Outcome, Rule, Story, tell

START = 1_775_314_800_000  # midnight in Tokyo: every window begins
MINUTE, HOUR = 60_000, 3_600_000
ALWAYS = [{"from": "2020-01-01T00:00:00Z", "to": None}]
SQUARE = [[0, 0], [10, 0], [10, 10], [0, 10]]
LINE = [[0, 5], [10, 5]]
RULE, EXACT = Rule(6, 2_000), Rule(1, 2_000)
NORTH, EAST, SOUTH, WEST = 0, 2, 4, 6


def tracker(name: str, zone: str | None = "c1", **more: Any) -> dict[str, Any]:
    made = {"id": name, "kind": "tracker", "gate": None, "zone": zone, "approved": ALWAYS, "group": None}
    return made | {"reporting": "on_change"} | more


def document(*sensors: dict[str, Any], line: Any = None, name: str = "v1", zones: Any = ("c1", "c2")) -> dict[str, Any]:
    return {
        "version": name,
        "timezone": "Asia/Tokyo",
        "zones": [{"id": zone, "kind": "plaza", "polygon_m": SQUARE} for zone in zones],
        "gates": [{"id": "g1", "a": zones[0], "b": None, "leaf": "10s", "line_m": line}],
        "sensors": list(sensors),
    }


def told(*stays: tuple[int, int, int], sensor: str = "t1", zone: str = "c1", **more: Any) -> Story:
    """Stays (seconds behind START, sector, n) of one tracker; active for a whole minute."""
    cells = [START + s * 1_000 for s in range(0, 60, 10)] + [START + s * 1_000 for s, _, _ in stays]
    return Story([(START + s * 1_000, sensor, zone, sector, n) for s, sector, n in stays], active=cells, **more)


def minute(out: Outcome, at: int = 0, zone: str = "c1") -> list[tuple[Any, ...]]:
    return [(r["n"], r["n_low"], r["n_high"], r["status"]) for r in out.of("1m", START + at, zone)]


def way(out: Outcome, label: str = "1m", at: int = 0, zone: str = "c1") -> tuple[float | None, float | None]:
    (found,) = {(r["mean_heading"], r["resultant_length"]) for r in out.of(label, START + at, zone)}
    return found


FEW = (None, 0, 5, "suppressed")
NOTHING = (None, None, None, "unknown")


def test_a_run_that_ends_with_the_minute_is_exact() -> None:
    out = tell(document(tracker("t1")), [told((0, NORTH, 3), (50, NORTH, 4))], RULE)
    assert minute(out) == [(7, 7, 7, "released"), *[FEW] * 7]
    assert way(out) == (0, 1)
    assert {(r["window"], r["zone"]) for r in out.rows} == {(w, "c1") for w in ("1m", "5m", "15m", "1h", "1d")}


def test_behind_a_run_few_may_have_come() -> None:
    out = tell(document(tracker("t1")), [told((0, NORTH, 7), (40, EAST, 5))], RULE)
    assert minute(out) == [(9, 7, 12, "range"), *[FEW] * 7]
    assert (out.released, out.rest) == (7, 5)


def test_of_several_trackers_people_add_up_and_places_are_their_own() -> None:
    two = [tracker("t1"), tracker("t2"), tracker("t3", "c2")]
    stories = [told((50, WEST, 3)), told((50, WEST, 4), sensor="t2"), told((50, WEST, 9), sensor="t3", zone="c2")]
    out = tell(document(*two), stories, RULE)
    assert minute(out)[WEST] == (7, 7, 7, "released") and minute(out, zone="c2")[WEST] == (9, 9, 9, "released")
    assert way(out) == (270, 1)


@pytest.mark.parametrize(
    ("people", "mean", "length"),
    [
        ({0: 7}, 0, 1),
        ({1: 7}, 45, 1),
        ({0: 8, 2: 8}, 45, math.sqrt(0.5)),
        ({0: 8, 4: 8}, None, 0),  # they balance out: no way is theirs
        ({1: 9, 5: 9, 3: 7, 7: 7}, None, 0),
        ({0: 12, 4: 6}, 0, 1 / 3),
        ({7: 6, 1: 6}, 0, math.sqrt(0.5)),
        ({0: 6, 7: 6}, 337.5, math.cos(math.pi / 8)),
        (dict.fromkeys(range(8), 6), None, 0),
        ({0: 3, 1: 2}, None, None),  # too few to be told: nobody knows
    ],
)
def test_the_way_of_a_zone(people: dict[int, int], mean: float | None, length: float | None) -> None:
    out = tell(document(tracker("t1")), [told(*((50, s, n) for s, n in people.items()))], RULE)
    assert way(out) == (mean, None if length is None else pytest.approx(length, abs=1e-12))
    assert way(out, "1d")[0] == mean


@given(st.lists(st.integers(0, 200), min_size=8, max_size=8))
def test_the_way_of_a_zone_is_that_of_the_direct_sum(people: list[int]) -> None:
    mean, length = circular(np.array(people))
    c, s = (sum(w * f(math.radians(45 * i)) for i, w in enumerate(people)) for f in (math.cos, math.sin))
    if not sum(people):
        assert math.isnan(mean) and math.isnan(length)
        return
    assert length == pytest.approx(math.hypot(c, s) / sum(people), abs=1e-12) and 0 <= length <= 1
    if length < 1e-9:  # sums of whole people and halves of squares: nothing lies between
        assert length == 0 and math.isnan(mean)
    else:
        assert 0 <= mean < 360
        apart = abs(mean - math.degrees(math.atan2(s, c))) % 360
        assert min(apart, 360 - apart) < 1e-5


def test_a_tracker_not_heard_makes_the_zone_unknown() -> None:
    sensors = tracker("t1", reporting="heartbeat"), tracker("t2", "c2")
    heard = [(START + MINUTE, "t1", 4_000)]
    story = told((50, NORTH, 7), (110, NORTH, 8), heard=heard)
    out = tell(document(*sensors), [story], RULE)
    assert minute(out) == [NOTHING] * 8 and way(out) == (None, None)
    assert minute(out, MINUTE)[NORTH] == (8, 8, 8, "released")
    assert minute(out, zone="c2") == [FEW] * 8  # t2 cannot tell whether it lives
    assert out.of("1h", START, "c1")[NORTH]["n_low"] == 15


def test_of_a_group_the_first_that_is_alive_counts() -> None:
    twins = [tracker(name, reporting="heartbeat", group="twins") for name in ("t1", "t2")]
    stories = [
        told((50, NORTH, 7), (110, NORTH, 8), heard=[(START + 50_000, "t1", 5_000), (START + 110_000, "t1", 4_999)]),
        told((50, EAST, 9), (110, EAST, 9), sensor="t2", heard=[(START + 110_000, "t2", CELL)]),
    ]
    out = tell(document(*twins), stories, RULE)
    assert minute(out)[:3] == [(7, 7, 7, "released"), FEW, FEW]
    assert minute(out, MINUTE)[:3] == [FEW, FEW, (6, 4, 9, "range")]


@pytest.mark.parametrize(
    ("sensors", "line", "zones"),
    [
        ([tracker("t1")], LINE, {"c1"}),
        ([tracker("t1", None)], None, {"c1", "c2"}),
        ([tracker("t1", None)], LINE, set()),  # it serves the gate too
        ([tracker("t1"), tracker("t2", None)], LINE, set()),
        ([tracker("t1"), tracker("t2", "c1", gate="g1")], None, set()),
        ([tracker("t1"), tracker("t2", "c2", gate="g1")], None, {"c1"}),
        ([tracker("t1", None, gate="g1")], None, set()),
        ([tracker("t1"), tracker("t2", "c1", kind="counter", gate="g1")], None, set()),
        ([tracker("t1", kind="occupancy")], None, set()),
        ([], None, set()),
    ],
)
def test_zones_that_have_headings(sensors: list[Any], line: Any, zones: set[str]) -> None:
    tables = Tables(registry.parse(json.dumps(document(*sensors, line=line)).encode()))
    assert {tables.zone_ids[row] for row in telling(tables)} == zones


def test_a_zone_without_polygon_has_none() -> None:
    made = document(tracker("t1"), tracker("t2", None))
    del made["zones"][0]["polygon_m"]
    tables = Tables(registry.parse(json.dumps(made).encode()))
    assert list(telling(tables)) == [1]


def test_rows_come_as_late_as_a_track_is_known_to_have_ended() -> None:
    story = [told((50, NORTH, 7), (70, NORTH, 1))]
    slow = Rule(6, 25_000)
    assert tell(document(tracker("t1")), story, slow, until=START + MINUTE + 20_000).rows == []
    assert minute(tell(document(tracker("t1")), story, slow, until=START + MINUTE + 30_000))[NORTH][0] == 7


# ------------------------------------------------------------------------------------ versions
V1 = document(tracker("t1"))


def test_a_zone_that_comes_later_has_rows_from_the_version_on() -> None:
    later = document(tracker("t1"), tracker("t2", "c2"), name="v2")
    stays = [(START + 110_000, "t2", "c2", EAST, 7), (START + 50_000, "t1", "c1", NORTH, 7)]
    cells = [START + s * 1_000 for s in range(0, 180, 10)]
    out = tell(V1, [Story(stays, [], cells, [(START + MINUTE, later)])], RULE)
    assert minute(out, 0, "c2") == [] and minute(out, MINUTE, "c2")[EAST] == (7, 7, 7, "released")
    versions = {(r["window_start"], r["zone"]): r["registry_version"] for r in out.rows if r["window"] == "1m"}
    assert versions[START, "c1"] == "v1" and versions[START + MINUTE, "c1"] == versions[START + MINUTE, "c2"] == "v2"


def test_rows_stand_in_the_order_of_zones_whenever_these_came() -> None:
    later = document(tracker("t1"), tracker("t2", "c2"), name="v2")
    cells = [START + s * 1_000 for s in range(0, 180, 10)]
    out = tell(document(tracker("t2", "c2")), [Story([], [], cells, [(START + MINUTE, later)])], RULE)
    minutes = [(r["window_start"] - START, r["zone"], r["sector"]) for r in out.rows if r["window"] == "1m"]
    assert minutes == sorted(minutes) and len(minutes) == 8 * 5


def test_partitions_number_zones_by_the_versions_they_have_met() -> None:
    """Two versions come at one time, each to one partition: the zone that both add is another row in each."""
    one, two = (
        document(tracker("t1", zone), name=name, zones=("c1", zone)) for zone, name in (("c8", "v2"), ("c9", "v3"))
    )
    cells = [START + s * 1_000 for s in range(0, 240, 10)]
    stories = [
        Story([], [], cells, [(START + MINUTE, one)]),
        Story([(START + 170_000, "t1", "c9", EAST, 7)], [], cells, [(START + MINUTE, two)]),
    ]
    out = tell(document(), stories, RULE)
    assert minute(out, 2 * MINUTE, "c9")[EAST] == (4, 2, 7, "range")
    assert minute(out, 2 * MINUTE, "c8") == []


def test_nobody_is_counted_while_a_gate_counts_the_same_people() -> None:
    # the gate's line is there from second 65 to 185: in the panes of 60 and 180 some were counted by it
    line = document(tracker("t1", None), line=LINE, name="v2")
    moved = copy.deepcopy(document(tracker("t1", None), name="v3"))
    moved["gates"] = []
    stays = [(START + s * 1_000, "t1", "c1", NORTH, 7) for s in range(0, 250, 10)]
    cells = [cell for cell, *_ in stays]
    changes = [(START + MINUTE, line), (START + 3 * MINUTE, moved)]
    out = tell(document(tracker("t1", None)), [Story(stays, [], cells, changes)], EXACT)
    assert minute(out)[NORTH][0] == 42
    assert minute(out, MINUTE) == minute(out, 2 * MINUTE) == []
    assert minute(out, 3 * MINUTE)[NORTH][0] == 35  # without its first pane
    assert out.released == 42 + 35 + 7


def test_a_partition_still_behind_counts_by_its_own_version() -> None:
    # the second partition has the line until second 130
    line = document(tracker("t1", None), tracker("t2", None), line=LINE)
    free = copy.deepcopy(line) | {"version": "v2", "gates": []}
    cells = [START + s * 1_000 for s in range(0, 240, 10)]
    stories = [
        Story([(cell, name, "c1", NORTH, 7) for cell in cells], [], cells, [(at, free)])
        for name, at in (("t1", START + MINUTE), ("t2", START + 130_000))
    ]
    out = tell(line, stories, EXACT)
    assert minute(out, MINUTE)[NORTH][0] == 35 and minute(out, 2 * MINUTE)[NORTH][0] == 42 + 28


# ------------------------------------------------------------------------------------ from points to rows
def walks(ways: list[tuple[float, float]], every_s: int) -> list[tuple[bytes, int | None]]:
    """People one after the other who cross the square through its middle, each in a straight line; points at 2 Hz."""
    log = []
    for person, (x, y) in enumerate(ways):
        for step in range(-15, 16):
            ts, along = START + person * every_s * 1_000 + (step + 15) * 500, step / 2
            place = {"x": 5 + along * x, "y": 5 + along * y}
            log.append(({"sensor": "t1", "ts": ts, "type": "point", "track": person, **place}, None))
    return [(json.dumps(record).encode(), at) for record, at in sorted(log, key=lambda entry: str(entry[0]["ts"]))]


def test_people_who_walk_through_a_square_are_told_by_their_ways() -> None:
    ways = [(0, 1)] * 7 + [(1, 1)] * 9 + [(-1, 0)] * 8 + [(0.3, -1)] * 6
    exact = Config({"headings": {"k": 1, "guard": 0}})
    world = document(tracker("t1"), tracker("t2", "c2"))
    out = run(world, [walks(ways, 5)], exact).rows["headings"]
    found = {r["sector"]: r["n"] for r in out if (r["window"], r["zone"]) == ("1h", "c1")}
    assert found == {0: 7, 1: 9, 2: 0, 3: 0, 4: 6, 5: 0, 6: 8, 7: 0}
    assert {r["n"] for r in out if r["zone"] == "c2"} == {0}
    safe = run(world, [walks(ways, 5)]).rows["headings"]
    day = {r["sector"]: r for r in safe if (r["window"], r["zone"]) == ("1d", "c1")}
    assert all(day[sector]["n_low"] <= n <= day[sector]["n_high"] for sector, n in found.items())
    mixed = run(world, [walks(ways, 5)], seed=3, shards=4, restart=True).rows["headings"]
    assert sorted(map(str, mixed)) == sorted(map(str, safe))
    assert "headings" not in run(document(tracker("t1", None), line=LINE), [walks(ways, 5)]).rows
