"""Scenarios through the engine: which sensors are named, how soon, and which not; and who is known to be inside."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from typing import Any

import pytest

import loadgen
from engine.config import Config
from loadgen.faults import Fault
from loadgen.scenario import Message, Scenario
from tests.support.days import whole_weekday
from tests.support.engine_run import Result, run

DEFAULT, EXACT = Config(), Config({"flow": {"k": 1, "guard": 0}})
MINUTE = 60_000
LAG_S = 5 + 1  # the bound, and a tick
NAMED_S = 60


def heard(scenario: Scenario, messages: Iterable[Message] | None = None, config: Config = DEFAULT) -> Result:
    """What the engine makes of a log with ticks where a live flow would write them, without points and beams.

    ``messages``: those of a scenario that has been read.
    """
    log: list[tuple[bytes, int | None]] = []
    last = scenario.start_ms

    def silence(until_ms: int) -> None:
        nonlocal last
        for at in range(last + 1_000, until_ms, 1_000):
            log.append((b'{"type":"tick","ts":%d}' % at, at))
        last = until_ms

    for message in scenario.events() if messages is None else messages:
        if b'"point"' in message.value or b'"beam"' in message.value:
            continue  # many, and health is not told by them
        silence(message.arrival_ms)
        log.append((message.value, message.arrival_ms))
    silence(scenario.end_ms or 0)
    return run(scenario.registry, [log], config)


def changes(result: Result) -> dict[str, list[tuple[int, str]]]:
    """Changes (line in ms, state) of every sensor."""
    out: dict[str, list[tuple[int, str]]] = defaultdict(list)
    for line, sensor, state in result.changes:
        out[sensor].append((line, state))
    return out


def states(scenario: Scenario, config: Config = DEFAULT) -> dict[str, list[tuple[int, str]]]:
    """The same of a scenario that has not been read yet."""
    return changes(heard(scenario, config=config))


def minutes(scenario: Scenario, result: Result) -> Iterator[tuple[dict[str, Any], int]]:
    """Rows of zones of one minute, with the people who are truly inside at its end."""
    truth = {(row.zone, row.start_ms): row.people for row in scenario.zones()}
    for row in result.rows["zones"]:
        people = truth.get((row["zone"], row["window_start"] + MINUTE))
        if row["window"] == "1m" and people is not None:
            yield row, people


def reporting(scenario: Scenario) -> dict[str, str]:
    return {sensor["id"]: sensor["reporting"] for sensor in scenario.registry["sensors"]}


def test_silent_and_skewed_sensors_are_named_within_a_minute_and_sound_ones_stay_ok() -> None:
    scenario = loadgen.weekday(seed=6, seconds=1_500, equipment="all", faults=False)
    start = scenario.start_ms
    faults = [
        Fault(sensor, "silent", start + at, start + at + 600_000)
        for sensor, at in (("j3-02", 300_000), ("cam-q5", 301_234), ("tr-x3", 355_555), ("k1-01", 304_000))
    ]
    faults += [
        Fault(sensor, "skewed", start + at, start + at + 600_000, float(by))
        for sensor, at, by in (
            ("j1-02", 300_000, 30_000), ("j2-01", 302_500, -3_000), ("e4-01", 307_000, 90_000),
            ("tr-b1", 300_000, -600_000), ("cam-p1", 309_000, 3_000),
        )
    ]  # fmt: skip
    scenario.faults = tuple(faults)
    told = states(scenario)
    for fault in faults:
        (_, first), (line, state), (again, last) = told[fault.sensor]
        assert (first, state, last) == ("ok", fault.kind, "ok"), fault
        assert fault.from_ms - 10_000 <= line <= fault.from_ms + (NAMED_S - LAG_S) * 1_000, fault
        right_s = 20 if fault.kind == "silent" else 90  # a clock must be right for a while
        assert fault.to_ms - 10_000 <= again <= fault.to_ms + right_s * 1_000, fault
    faulty = {fault.sensor for fault in faults}
    for sensor, promised in reporting(scenario).items():
        if sensor not in faulty:
            assert [state for _, state in told[sensor]] == (["ok"] if promised != "on_change" else []), sensor


def test_a_power_loss_names_all_who_had_promised_to_be_heard() -> None:
    """Nothing at all is heard for a while: only ticks go on. Then clocks come back that are wrong."""
    scenario = loadgen.blackout(seed=1, seconds=9_000)
    told = states(scenario)
    lost = {fault.sensor: fault for fault in scenario.faults if fault.kind == "silent"}
    back = {fault.sensor: fault for fault in scenario.faults if fault.kind == "skewed"}
    skewed = 0
    for sensor, promised in reporting(scenario).items():
        if promised == "on_change":
            continue
        changes = told[sensor]
        assert [state for _, state in changes[:2]] == ["ok", "silent"]
        limit = 120 if promised == "every_span" else NAMED_S - LAG_S  # the span that was counted must be over
        assert 0 < changes[1][0] - lost[sensor].from_ms <= limit * 1_000
        fault = back.get(sensor)
        if promised != "heartbeat" or fault is None or fault.from_ms + 120_000 > (scenario.end_ms or 0):
            continue
        line, state = changes[2]
        assert state == "skewed" and line - fault.from_ms <= NAMED_S * 1_000, (sensor, fault)
        skewed += 1
    assert skewed > 5


def test_a_camera_that_repeats_itself_is_told_by_the_rows_of_its_zone() -> None:
    scenario = loadgen.weekday(seed=6, seconds=1_800, equipment="all", faults=False)
    start = scenario.start_ms
    moving, resting = faults = [
        Fault(f"cam-{zone}", "stuck", start + 303_000, start + 1_203_000) for zone in ("q5", "p1")
    ]
    scenario.faults = tuple(faults)
    told = states(scenario, config=Config({"zones": {"k": 1}}))  # few are there
    (_, first), (line, state), (again, last) = told.pop(moving.sensor)
    assert (first, state, last) == ("ok", "stuck", "ok")
    # five whole minutes that are the same, with the row of the fifth; until one differs
    assert moving.from_ms + 290_000 <= line <= moving.from_ms + 370_000
    assert moving.to_ms <= again <= moving.to_ms + 130_000
    # four people sit there when it stops: as many as before, and at rest, they may well be
    assert [state for _, state in told[resting.sensor]] == ["ok"]
    assert {state for changes in told.values() for _, state in changes} == {"ok"}


def test_a_twin_counts_for_a_sensor_that_has_fallen_silent() -> None:
    """Exactly, once two heartbeats are missing."""
    scenario = loadgen.weekday(seed=6, seconds=1_200, equipment="all", faults=False)
    silent = Fault("k1-01", "silent", scenario.start_ms + 300_000, scenario.start_ms + 1_200_000)
    scenario.faults = (silent,)
    log = [(message.value, message.arrival_ms) for message in scenario.events()]
    result = run(scenario.registry, [log], EXACT)
    from_ms, to_ms = silent.from_ms + 30_000, silent.to_ms - 10_000
    counted: Counter[tuple[str, int]] = Counter()
    for (start, gate, way), row in result.flow("10s").items():
        if gate == "k1" and from_ms <= start < to_ms:
            counted[way, start] += row["n"]
    true = Counter(
        {(r.direction, r.start_ms): r.n for r in scenario.truth() if r.gate == "k1" and from_ms <= r.start_ms < to_ms}
    )
    assert +counted == true and true.total() > 20
    states_of = {(sensor, state) for _, sensor, state in result.changes if sensor.startswith("k1")}
    assert states_of == {("k1-01", "ok"), ("k1-01", "silent"), ("k1-02", "ok")}


def test_a_fault_that_rows_show_is_told_of_its_gate_alone() -> None:
    """The weekday's own, from 13:00 on: more than can pass by the stairs. Nothing published parts their two lanes."""
    scenario = loadgen.weekday(seed=2, seconds=1_800, clock_of_day_s=12.8 * 3600, equipment="all", empty=True)
    (fault,) = (fault for fault in scenario.faults if fault.kind == "chattering")
    result = heard(scenario)
    told = changes(result)
    for sensor in (fault.sensor, "e1-01"):
        (line, state), (again, last) = told.pop(sensor)
        assert (state, last) == ("chattering", "ok")
        assert fault.from_ms + MINUTE <= line <= fault.from_ms + MINUTE + 10_000  # with the row of its first minute
        assert fault.to_ms <= again <= fault.to_ms + 2 * MINUTE
    assert {state for of in told.values() for _, state in of} == {"ok"}
    area = {zone["id"]: zone["area_m2"] for zone in scenario.registry["zones"]}
    sound = [(row, people) for row, people in minutes(scenario, result) if row["zone"] in ("c1", "c3", "p3w", "p3e")]
    assert len(sound) == 4 * 29  # and who is inside is known behind its stairs too
    assert all(abs(row["occupancy"] - people) <= 0.1 * area[row["zone"]] for row, people in sound)


@pytest.fixture(scope="module")
def weekday(tmp_path_factory: pytest.TempPathFactory) -> tuple[Scenario, Result]:
    """A whole weekday with sound counters, and what is released of it by default."""
    scenario, messages = whole_weekday(tmp_path_factory)
    return scenario, heard(scenario, messages)


def test_a_whole_sound_weekday_stays_ok(weekday: tuple[Scenario, Result]) -> None:
    told = changes(weekday[1])
    assert set(told) >= {"j1-01", "k2-01", "b2-01", "s2-01"}
    for sensor, of in told.items():
        assert [state for _, state in of] == ["ok"], sensor


def test_who_is_inside_is_known_to_a_tenth_of_a_person_per_square_metre_at_every_minute_of_a_weekday(
    weekday: tuple[Scenario, Result],
) -> None:
    """With few people hidden, from the end of the closing hours on; until then nobody says how many there are."""
    scenario, result = weekday
    area = {zone["id"]: zone["area_m2"] for zone in scenario.registry["zones"]}
    opened = scenario.start_ms + 44 * MINUTE  # 5:44
    known: Counter[str] = Counter()
    most = 0
    for row, people in minutes(scenario, result):
        if row["window_start"] + MINUTE < opened:
            assert (row["occupancy"], row["density"], row["los"]) == (None, None, "unknown")
            continue
        assert abs(row["occupancy"] - people) <= 0.1 * area[row["zone"]], row
        assert row["occupancy_low"] <= people <= row["occupancy_high"], row
        known[row["zone"]] += 1
        most = max(most, people)
    assert known == dict.fromkeys(area, 1_200 - 44)  # until 1:00, when the truth ends
    assert most > 200


def test_rows_of_a_weekday_hold_who_passed(weekday: tuple[Scenario, Result]) -> None:
    scenario, result = weekday
    passed = {(row.gate, row.direction, row.start_ms): row.n for row in scenario.truth()}
    leaf = {gate["id"]: gate["leaf"] for gate in scenario.registry["gates"]}
    people = 0
    for row in result.rows["flow"]:
        if row["window"] == leaf[row["gate"]] and row["status"] != "unknown":
            n = passed.get((row["gate"], row["direction"], row["window_start"]), 0)
            assert row["n_low"] <= n <= row["n_high"], row
            people += n
    assert people == sum(passed.values()) > 300_000
