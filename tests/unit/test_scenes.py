"""Scenarios of people in space: conserved, told exactly by sound sensors, and what makes each of them what it is."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from typing import Any

import numpy as np
import pytest

import loadgen
from engine import decode, registry
from engine.fast import _beam, _crossing, _decode
from engine.model import BEAM, END, KINDS, NO_TIME, POINT
from engine.plan import plan
from engine.tables import Tables
from loadgen.place import BEARING_DEG, GATES, ZONES
from loadgen.telling import Passage
from tests.support.decoded import room_for
from tests.support.scenes import WAYS, Played, told_by

SCENES = ("snow-festival", "smoke", "blackout")
FIELDS = {
    "cross": {"dir", "seq"},
    "count": {"span_ms", "ab", "ba", "un"},
    "beam": {"beam", "on", "seq"},
    "point": {"track", "x", "y"},
    "occupancy": {"people", "speed", "seq"},
    "heartbeat": set(),
}


@pytest.fixture(scope="module")
def smoke() -> Played:
    return Played(loadgen.smoke(seed=1, faults=False))


@pytest.fixture(scope="module")
def blackout() -> Played:
    return Played(loadgen.blackout(seed=1))


@pytest.fixture(scope="module")
def weekday() -> Played:
    """The morning's busy hour, all sensors, no faults."""
    return Played(loadgen.weekday(seed=2, seconds=3_600, equipment="all", faults=False))


@pytest.fixture(scope="module")
def festival() -> Played:
    """Until the one-way hours."""
    return Played(loadgen.snow_festival(seed=1, seconds=4_200))


PLAYED = ("smoke", "blackout", "weekday", "festival")


@pytest.fixture(params=PLAYED)
def played(request: pytest.FixtureRequest) -> Played:
    return request.getfixturevalue(request.param)


def test_scenes_begin_with_the_word_that_nobody_is_there(played: Played) -> None:
    zones = {zone["id"] for zone in played.scenario.registry["zones"]}
    told = [json.loads(word.value) for word in played.words]
    assert {word["zone"] for word in told} == (set() if played.scenario.name == "weekday" else zones)
    assert {(word["people"], word["ts"]) for word in told} <= {(0, played.scenario.start_ms)}
    assert all(rows[0].people == 0 and rows[0].start_ms == played.scenario.start_ms for rows in played.zones.values())


# ------------------------------------------------------------------------------ the place
@pytest.mark.parametrize("name", loadgen.SCENARIOS)
def test_registries_are_good(name: str) -> None:
    more = {"equipment": "all"} if name == "weekday" else {}
    document = loadgen.SCENARIOS[name](**more).registry
    found, faults = registry.check(json.dumps(document).encode())
    assert faults == [] and found is not None
    assert {sensor.kind for sensor in found.sensors} == set(registry.SENSOR_KINDS)
    kinds = {zone.kind for zone in found.zones}
    assert kinds == {"walkway", "exit", "queue", "shelter" if name == "blackout" else "plaza"}
    watched = {sensor.gate for sensor in found.sensors} | {sensor.zone for sensor in found.sensors}
    gates = {gate.id for gate in found.gates}
    assert gates <= watched
    behind = {zone for gate in found.gates for zone in (gate.a, gate.b)}
    assert {zone.id for zone in found.zones} == (watched | behind) - gates - {None}  # somebody sees into every zone
    groups = Counter(sensor.group for sensor in found.sensors if sensor.group)
    assert len(groups) == 2 and set(groups.values()) == {2}
    assert all(sensor.approved[0][0] <= 1_325_376_000_000 for sensor in found.sensors)  # in 2018 too


def area(polygon: list[list[float]]) -> float:
    """Positive where the corners go round anticlockwise."""
    x, y = np.array(polygon).T
    return float((x * np.roll(y, -1) - y * np.roll(x, -1)).sum() / 2)


def test_polygons_are_as_large_as_told_and_lie_apart() -> None:
    document = loadgen.smoke(seconds=1).registry
    for zone in document["zones"]:
        assert area(zone["polygon_m"]) == pytest.approx(zone["area_m2"], rel=1e-3)
    areas = {zone["id"]: zone["area_m2"] for zone in document["zones"]}
    assert areas["p3w"] == 300 and areas["p3e"] == 110
    assert sum(areas[f"c{n}"] for n in (1, 2, 3, 4)) - areas["p1"] == 520 * 20
    plaza = np.mean(next(zone["polygon_m"] for zone in document["zones"] if zone["id"] == "p2"), axis=0)
    ends = [np.mean(gate["line_m"], axis=0) for gate in document["gates"] if gate["id"] in ("j1", "j5")]
    axis = (ends[1] - ends[0]) / 520
    assert np.hypot(*axis) == pytest.approx(1, abs=1e-3)
    assert float((plaza - ends[0]) @ axis) == pytest.approx(260, abs=0.01)  # 北2条, exactly midway


def test_lines_have_their_sides_and_bearings() -> None:
    document = loadgen.smoke(seconds=1).registry
    polygons = {zone["id"]: np.array(zone["polygon_m"]) for zone in document["zones"]}
    for gate in document["gates"]:
        first, second = np.array(gate["line_m"])
        along = second - first
        assert np.hypot(*along) == pytest.approx(gate["width_m"], abs=0.01)
        for side, sign in (("a", 1), ("b", -1)):  # left of the line is positive
            if gate[side] is not None:
                to = polygons[gate[side]].mean(axis=0) - first
                assert sign * (along[0] * to[1] - along[1] * to[0]) > 0, (gate["id"], side)
        left = np.array([-along[1], along[0]])
        bearing = np.degrees(np.arctan2(-left[0], -left[1])) % 360  # a → b goes to the right
        assert bearing == pytest.approx(gate["bearing_deg"], abs=0.1)
    assert next(gate["bearing_deg"] for gate in document["gates"] if gate["id"] == "j3") == BEARING_DEG


# ------------------------------------------------------------------------------ the people
def test_zones_hold_who_came_in_and_has_not_left(played: Played) -> None:
    """Every 10 s, from passages alone; and in between no fewer and no more than their mean allows."""
    zones = {zone for gate in GATES for zone in (gate.a, gate.b) if zone}
    inside: dict[str | None, int] = dict.fromkeys([*sorted(zones), None], 0)  # None = outside
    passages = iter(sorted(p for p in played.passages if p.direction < 2))
    passage = next(passages, None)
    for number, start in enumerate(row.start_ms for row in played.zones["c1"]):
        assert {zone: played.zones[zone][number].people for zone in zones} == {z: inside[z] for z in zones}
        least, most = dict(inside), dict(inside)
        while passage is not None and passage.at_ms < start + 10_000:
            gate = GATES[passage.gate]
            source, target = (gate.a, gate.b) if passage.direction == 0 else (gate.b, gate.a)
            inside[source] -= 1
            inside[target] += 1
            least[source], most[target] = min(least[source], inside[source]), max(most[target], inside[target])
            passage = next(passages, None)
        assert all(least[zone] <= played.zones[zone][number].mean <= most[zone] for zone in zones)
    assert passage is None and -inside[None] == sum(inside[zone] for zone in zones) > 500


def test_zones_are_told_every_ten_seconds_with_all_their_parts(played: Played) -> None:
    scenario = played.scenario
    assert list(played.zones) == [zone.id for zone in ZONES]
    for zone, rows in played.zones.items():
        assert [row.start_ms for row in rows] == list(range(scenario.start_ms, scenario.end_ms or 0, 10_000))
        whole = next(z.parent for z in ZONES if z.id == zone)
        if whole:
            assert all(row.people <= of.people for row, of in zip(rows, played.zones[whole], strict=True))
        for row in rows:
            assert (row.speed is None) == (row.mean == 0)
            assert row.speed is None or 0 <= row.speed <= 2.5


# ------------------------------------------------------------------------------ the sensors
def test_events_have_the_fields_of_the_contract(played: Played) -> None:
    known = {sensor["id"]: sensor for sensor in played.scenario.registry["sensors"]}
    types = {"counter": {"cross", "count"}, "beam_pair": {"beam"}, "tracker": {"point"}, "occupancy": {"occupancy"}}
    seen = set()
    for message, event in zip(played.messages, played.events(), strict=True):
        sensor = known[event["sensor"]]
        assert message.key.decode() == event["sensor"] and type(event["ts"]) is int
        kind = event["type"]
        seen.add(kind)
        assert kind == "heartbeat" or kind in types[sensor["kind"]]
        assert kind != "heartbeat" or sensor["reporting"] == "heartbeat"
        assert set(event) - {"sensor", "ts", "type", "dir", "speed"} == FIELDS[kind] - {"dir", "speed"}
        if kind == "point":
            assert type(event["track"]) is int and isinstance(event["x"], float) and isinstance(event["y"], float)
        elif kind == "beam":
            assert event["beam"] in ("a", "b") and type(event["on"]) is bool and type(event["seq"]) is int
        elif kind == "occupancy":
            assert type(event["people"]) is int and event["people"] >= 0
            assert ("speed" in event) == (event["people"] > 0) and 0 <= event.get("speed", 0) < 3
        elif kind == "cross":
            assert event.get("dir") in ("ab", "ba", None) and type(event["seq"]) is int
    assert seen == set(FIELDS)
    assert played.scenario.totals() == {
        **Counter(event["type"] for event in played.events()),
        "events": len(played.messages),
        "people": sum(row.n for row in played.scenario.truth()),
    }


@pytest.mark.parametrize("name", ["smoke", "weekday"])
def test_sound_sensors_tell_the_truth(name: str, request: pytest.FixtureRequest) -> None:
    played: Played = request.getfixturevalue(name)
    truth = {tuple(row[:4]): row.n for row in played.scenario.truth()}
    told = told_by(played)
    assert {gate for gate, *_ in told} == {gate.id for gate in GATES}
    assert dict(told) == truth
    passed = Counter((GATES[p.gate].id, WAYS[p.direction]) for p in played.passages if GATES[p.gate].leaf == "10s")
    leafs: Counter = Counter()
    for row in played.scenario.truth():
        if row.leaf == "10s":
            leafs[row.gate, row.direction] += row.n
    assert leafs == passed


def test_the_engine_reads_every_event_and_counts_the_same_people(smoke: Played) -> None:
    """Beams and points through the engine's kernels give the passages that truly were, to the 10 s."""
    tables = Tables(registry.parse(json.dumps(smoke.scenario.registry).encode()))
    data = b"".join(message.value for message in smoke.messages)
    ends = np.cumsum([len(message.value) for message in smoke.messages])
    rows = len(ends)
    out = room_for(rows)
    ids = _decode.Ids(tables.wire_ids())
    unknown = np.full(rows, NO_TIME, np.int64)
    assert _decode.decode(data, np.append(0, ends[:-1]), ends, unknown, ids, *out, 0) == (rows, rows)
    column = dict(zip(decode.COLUMNS, out, strict=True))
    assert not column["reason"].any()
    told = Counter(KINDS[kind] for kind in column["kind"].tolist())
    assert told == {kind: n for kind, n in smoke.scenario.totals().items() if kind not in ("events", "people")}

    where, repeat = plan(tables), np.zeros(rows, np.uint8)
    beams, tracks = _beam.Beams(1_500), _crossing.Tracks(2_000)
    of_beams, of_points = (np.flatnonzero(column["kind"] == kind) for kind in (BEAM, POINT))
    beams.add(of_beams, *(column[name] for name in ("sensor", "ts", "seq", "has_seq", "n")), repeat)
    tracks.add(of_points, *(column[name] for name in ("sensor", "ts", "seq", "x", "y")), repeat)
    assert not repeat.any()
    packed = beams.settle(END, where.sensor_wait_ms, tables.sensor_gate) + tracks.settle(
        END,
        where.sensor_wait_ms,
        where.sensor_gate,
        where.sensor_zone,
        where.line_um,
        where.corner_at,
        where.corner_um,
    )
    found = np.frombuffer(packed, np.int64).reshape(-1, 4).tolist()
    counted = Counter((tables.gate_ids[gate], WAYS[way], ms // 10_000 * 10_000) for ms, _, gate, way in found)
    truth = {(r.gate, r.direction, r.start_ms): r.n for r in smoke.scenario.truth() if r.gate in ("b1", "e2", "e4")}
    assert counted == truth and sum(truth.values()) > 5_000


def test_cameras_and_trackers_see_who_is_in_their_zone(weekday: Played) -> None:
    true = {(zone, row.start_ms): row.people for zone, rows in weekday.zones.items() for row in rows}
    cameras = {f"cam-{zone}": zone for zone in ("p1", "q5")}
    tracked: Counter = Counter()
    read = 0
    for event in weekday.events():
        if event["type"] == "occupancy":
            assert event["people"] == true[cameras[event["sensor"]], event["ts"]]
            read += 1
        elif event["type"] == "point" and event["sensor"] == "tr-x3" and event["ts"] % 10_000 == 0:
            tracked[event["ts"]] += 1
    assert read == 2 * 360
    assert sum(tracked.values()) > 100
    assert all(tracked[start] == people for (zone, start), people in true.items() if zone == "x3")


def test_points_lie_where_their_tracker_sees_and_are_as_fast_as_people(weekday: Played) -> None:
    tracks: dict[tuple[str, int], list[tuple[int, float, float]]] = defaultdict(list)
    for event in weekday.events():
        if event["type"] == "point":
            tracks[event["sensor"], event["track"]].append((event["ts"], event["x"], event["y"]))
    assert {sensor for sensor, _ in tracks} == {"tr-b1", "tr-x3"}
    assert np.median([len(points) for (sensor, _), points in tracks.items() if sensor == "tr-x3"]) > 25  # one each
    for points in tracks.values():
        points.sort()
        at, x, y = np.array(points).T
        assert (np.diff(at) == 100).all()
        assert (np.hypot(np.diff(x), np.diff(y)) < 0.25).all()


def test_arrivals_are_in_order(played: Played) -> None:
    arrivals = [message.arrival_ms for message in played.messages]
    assert arrivals == sorted(arrivals)
    told = zip(played.messages, played.events(), strict=True)
    late = [m.arrival_ms - e["ts"] - e.get("span_ms", 0) for m, e in told if not m.skewed]
    assert min(late) >= 0 and max(late) <= 2_000


@pytest.mark.parametrize("name", SCENES)
def test_equal_seeds_give_equal_bytes(name: str) -> None:
    def text(seed: int) -> bytes:
        start = loadgen.SCENARIOS[name](seconds=1).start_ms
        scenario = loadgen.SCENARIOS[name](seed=seed, seconds=600, start_ms=start)
        return b"\n".join(message.value for message in scenario.events())

    assert text(4) == text(4)
    assert text(4) != text(5)


def test_people_are_the_same_whatever_watches_them() -> None:
    def passages(**how: Any) -> list[Passage]:
        return Played(loadgen.weekday(seed=3, seconds=600, **how)).passages

    assert passages() == passages(equipment="all") == passages(equipment="all", faults=False)
    assert len(passages()) > 1_000


# ------------------------------------------------------------------------------ the scenes
def test_the_festival_surges_to_several_times_a_weekdays_peak(festival: Played, weekday: Played) -> None:
    def busiest(played: Played) -> int:
        minutes = Counter(p.at_ms // 60_000 for p in played.passages if GATES[p.gate].id == "j3")
        return max(minutes.values())

    assert busiest(festival) > 3 * busiest(weekday)
    calm, surge = festival.clock(17, 0), festival.clock(17, 30)
    before, during = (festival.flow("j3", "ab", start, start + 600_000) for start in (calm, surge))
    assert during > 2 * before


def test_the_festival_is_one_way_for_a_time(festival: Played) -> None:
    at, end = festival.clock(17, 20), festival.clock(17, 40)
    for gate in ("j2", "j3", "j4"):
        assert festival.flow(gate, "ba", at, end) == 0
        assert festival.flow(gate, "ba", festival.clock(17, 0), festival.clock(17, 15)) > 100
    assert festival.flow("j3", "ab", at, end) > 8_000
    assert all(row.people / 2_000 < 1.0 for row in festival.zones["c2"])  # busy, but nothing stands still


def test_smoke_turns_people_round_and_fills_a_section_that_stands_still(smoke: Played) -> None:
    turn, shut = smoke.clock(18, 3), smoke.clock(18, 6)
    ways = [smoke.flow("j2", way, turn, shut) for way in ("ab", "ba")]
    assert min(ways) / sum(ways) > 0.4 and sum(ways) > 3 * 180  # counterflow
    alarmed = smoke.clock(18, 0), smoke.clock(18, 2)
    assert smoke.flow("e3", "ab", *alarmed) == smoke.flow("b2", "ab", *alarmed) == 0
    assert sum(smoke.flow("e3", "ab", t - 1_800_000, t) for t in alarmed[:1]) > 50
    full = [row for row in smoke.zones["c2"] if row.people / 2_000 >= 2.0]
    assert full[-1].start_ms - full[0].start_ms > 12 * 60_000
    begin, end = smoke.clock(18, 19), smoke.clock(18, 28)
    still = [row for row in smoke.zones["c2"] if begin <= row.start_ms < end]
    assert len(still) == 54 and all(
        row.people / 2_000 >= 2.0 and row.speed is not None and row.speed < 0.02 for row in still
    )
    around = [gate.id for gate in GATES if "c2" in (gate.a, gate.b)]
    passed = sum(smoke.flow(gate, way, begin, end) for gate in around for way in WAYS)
    assert passed < 0.3 * (end - begin) / 1000  # fewer than one person in 3 s, through six gates
    assert smoke.zones["c2"][-1].people < 400  # and they get out in the end


def test_everyone_who_left_by_smoke_had_a_door_that_was_open(smoke: Played) -> None:
    for gate, begin, end in (("b2", 0, 45), ("e3", 0, 45), ("j3", 4, 45), ("e2", 4, 45), ("j2", 6, 28)):
        for way in ("ab", "ba"):
            assert smoke.flow(gate, way, smoke.clock(18, begin), smoke.clock(18, end)) == 0, gate
    assert smoke.flow("b1", "ab", smoke.clock(18, 2), smoke.clock(18, 45)) == 0


def test_the_blackout_shelters_1700_people_in_five_sites(blackout: Played) -> None:
    at = blackout.clock(5, 0)
    people = {zone: next(row.people for row in rows if row.start_ms == at) for zone, rows in blackout.zones.items()}
    sites = ("p3w", "p3e", "p2", "p1", "po")
    assert sum(people[site] for site in sites) == 1_700 and min(people[site] for site in sites) >= 100
    assert [people[f"c{n}"] for n in (1, 2, 3, 4)] == [0, 0, people["p1"], 0]
    kinds = {zone["id"]: zone["kind"] for zone in blackout.scenario.registry["zones"]}
    assert {kinds[site] for site in sites} == {"shelter"}
    assert all(zone["closed"] for zone in blackout.scenario.registry["zones"])  # closed by the book at that hour
    last = sum(blackout.zones[site][-1].people for site in sites)
    assert 900 < last < 1_200  # they begin to leave in the morning


def test_the_blackout_silences_all_and_clocks_come_back_wrong(blackout: Played) -> None:
    lost = blackout.clock(3, 7)
    begin = lost - 30_000
    alive = {m.key for m in blackout.messages if begin <= m.arrival_ms < lost}
    promised = {s["id"].encode() for s in blackout.scenario.registry["sensors"] if s["reporting"] == "heartbeat"}
    assert alive >= promised
    assert [m for m in blackout.messages if lost + 2_000 <= m.arrival_ms < lost + 25 * 60_000] == []
    faults = blackout.scenario.faults
    assert {fault.sensor for fault in faults} == {s["id"] for s in blackout.scenario.registry["sensors"]}
    back = {fault.sensor: fault for fault in faults if fault.kind == "skewed"}
    assert len(back) < len(blackout.scenario.registry["sensors"])  # some stay away
    assert any(fault.by is not None and fault.by < -25 * 60_000 for fault in back.values())
    wrong: dict[str, set[int]] = defaultdict(set)
    for message, event in zip(blackout.messages, blackout.events(), strict=True):
        if message.skewed:
            fault = back[event["sensor"]]
            off = event["ts"] + event.get("span_ms", 0) - message.arrival_ms
            assert -2_000 <= off - (fault.by or 0) <= 0
            wrong[event["sensor"]].add(off)
    assert len(wrong) > 20
