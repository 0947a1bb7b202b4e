"""The scenario `weekday`: deterministic, true to its truth, people conserved, in order enough for any flow."""

from __future__ import annotations

import gzip
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zstandard

import loadgen
from engine import registry
from engine.model import COUNT_MAX, LENGTH_MS, WINDOWS
from loadgen import people, place
from loadgen.scenario import Message
from tests.support.days import whole_weekday

LEAF_MS = dict(zip(WINDOWS, LENGTH_MS, strict=True))
MOST_DISORDER_MS = 2_000
START = 1_770_159_600_000  # 2026-02-03 08:00 in Sapporo


def read(scenario: loadgen.Scenario) -> list[tuple[int, str, dict[str, Any]]]:
    """(arrival, key, event) of all messages."""
    return parsed(scenario.events())


def parsed(messages: Iterable[Message]) -> list[tuple[int, str, dict[str, Any]]]:
    return [(m.arrival_ms, m.key.decode(), json.loads(m.value)) for m in messages]


@pytest.fixture(scope="module")
def day(
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[loadgen.Scenario, list[tuple[int, str, dict[str, Any]]]]:
    """A whole weekday."""
    scenario, messages = whole_weekday(tmp_path_factory)
    return scenario, parsed(messages)


def sums(events: list[tuple[int, str, dict[str, Any]]], gate_of: dict[str, str], leaf_of: dict[str, str]) -> Counter:
    """People by (gate, direction, leaf, start of the leaf window), added up from the events alone."""
    out: Counter = Counter()
    for _, _, event in events:
        gate = gate_of[event["sensor"]]
        leaf = leaf_of[gate]
        start = event["ts"] - event["ts"] % LEAF_MS[leaf]
        if event["type"] == "cross":
            out[gate, event.get("dir") or "unknown", leaf, start] += 1
        elif event["type"] == "count":
            for field, direction in (("ab", "ab"), ("ba", "ba"), ("un", "unknown")):
                out[gate, direction, leaf, start] += event[field]
    return +out


def test_the_registry_is_good() -> None:
    scenario = loadgen.weekday(seconds=60)
    found, faults = registry.check(json.dumps(scenario.registry).encode())
    assert faults == [] and found is not None
    assert found.timezone == "Asia/Tokyo"
    assert 12 <= len(found.gates) <= 16
    lanes = Counter(sensor.gate for sensor in found.sensors)
    assert set(lanes) == {gate.id for gate in found.gates}
    assert set(lanes.values()) == {1, 2, 3}
    assert "j1-03" in {sensor.id for sensor in found.sensors}
    assert {sensor.reporting for sensor in found.sensors} == {0, 1, 2}
    assert {WINDOWS[gate.leaf] for gate in found.gates} == {"10s", "1m"}
    assert {gate.delay_ms for gate in found.gates} == {0}
    for zone in found.zones:
        assert set(zone.name) == {"ja", "en"} and (zone.area_m2 or 0) > 0
    assert all(zone["closed"] == [{"from": "00:46", "to": "05:44"}] for zone in scenario.registry["zones"])


def test_events_have_the_fields_of_the_contract() -> None:
    scenario = loadgen.weekday(seconds=300, rate=50)
    known = {sensor["id"]: sensor for sensor in scenario.registry["sensors"]}
    seen = set()
    for _, key, event in read(scenario):
        assert key == event["sensor"] in known
        assert type(event["ts"]) is int
        seen.add(event["type"])
        if event["type"] == "cross":
            assert set(event) - {"dir"} == {"sensor", "ts", "type", "seq"}
            assert event.get("dir") in ("ab", "ba", None)
        elif event["type"] == "count":
            assert set(event) == {"sensor", "ts", "type", "span_ms", "ab", "ba", "un"}
            assert event["span_ms"] == 60_000 and event["ts"] % 60_000 == 0
            assert all(type(event[name]) is int and 0 <= event[name] <= COUNT_MAX for name in ("ab", "ba", "un"))
        else:
            assert set(event) == {"sensor", "ts", "type"} and event["type"] == "heartbeat"
            assert known[key]["reporting"] == "heartbeat"
    assert seen == {"cross", "count", "heartbeat"}


def test_truth_is_what_the_events_add_up_to(
    day: tuple[loadgen.Scenario, list[tuple[int, str, dict[str, Any]]]],
) -> None:
    scenario, events = day
    gate_of = {sensor["id"]: sensor["gate"] for sensor in scenario.registry["sensors"]}
    leaf_of = {gate["id"]: gate["leaf"] for gate in scenario.registry["gates"]}
    truth = scenario.truth()
    assert {tuple(row[:4]): row.n for row in truth} == dict(sums(events, gate_of, leaf_of))
    assert len({row[:4] for row in truth}) == len(truth)
    assert min(row.n for row in truth) >= 1
    types = Counter(event["type"] for _, _, event in events)
    assert scenario.totals() == {**types, "events": len(events), "people": sum(row.n for row in truth)}
    order = [gate.id for gate in place.GATES]
    directions = ("ab", "ba", "unknown")
    assert truth == sorted(truth, key=lambda r: (order.index(r.gate), directions.index(r.direction), r.start_ms))


def test_a_weekday_is_as_busy_as_the_real_one(
    day: tuple[loadgen.Scenario, list[tuple[int, str, dict[str, Any]]]],
) -> None:
    passed: Counter = Counter()
    by_hour: Counter = Counter()
    ways: dict[str, Counter] = defaultdict(Counter)
    for row in day[0].truth():
        passed[row.gate] += row.n
        if row.gate == "j3":
            hour = (row.start_ms + 9 * 3_600_000) // 3_600_000 % 24
            by_hour[hour] += row.n
            ways["morning" if hour < 10 else "evening" if hour >= 17 else "day"][row.direction] += row.n
    assert all(55_000 <= passed[gate] <= 70_000 for gate in ("j2", "j3", "j4"))
    assert by_hour[8] > 1.5 * by_hour[10] and by_hour[18] > 1.2 * by_hour[15]  # rush hours
    assert sum(by_hour[hour] for hour in (1, 2, 3, 4)) == 0  # closed
    assert all(min(way["ab"], way["ba"]) > 0.2 * sum(way.values()) for way in ways.values())  # both directions


def test_people_are_conserved(day: tuple[loadgen.Scenario, list[tuple[int, str, dict[str, Any]]]]) -> None:
    scenario, events = day
    gates = {gate["id"]: gate for gate in scenario.registry["gates"]}
    sides = {s["id"]: (gates[s["gate"]]["a"], gates[s["gate"]]["b"]) for s in scenario.registry["sensors"]}
    moves = []
    for _, _, event in events:
        a, b = sides[event["sensor"]]
        if event["type"] == "cross" and "dir" in event:
            moves.append((event["ts"], 1, *((a, b) if event["dir"] == "ab" else (b, a))))
        elif event["type"] == "count":  # told at its end: who came in is inside, who left has left
            moves += [(event["ts"] + 60_000, event["ab"], a, b), (event["ts"] + 60_000, event["ba"], b, a)]
    inside: Counter = Counter()
    most: Counter = Counter()
    minute_gates = {zone for gate in gates.values() if gate["leaf"] == "1m" for zone in (gate["a"], gate["b"])}
    for _, n, source, target in sorted(moves, key=lambda move: move[0]):
        inside[source] -= n
        inside[target] += n
        most[target] = max(most[target], inside[target])
        # within a minute a zone with a counter of whole minutes may not know yet who came in
        least = -60 if source in minute_gates else 0
        assert source is None or inside[source] >= least
    zones = {zone["id"] for zone in scenario.registry["zones"]}
    assert {zone: inside[zone] for zone in zones} == dict.fromkeys(zones, 0)  # all have left
    assert all(most[zone] >= 3 for zone in zones)  # every zone was used


def test_arrivals_are_in_order_and_hardly_late(
    day: tuple[loadgen.Scenario, list[tuple[int, str, dict[str, Any]]]],
) -> None:
    _, events = day
    arrivals = [arrival for arrival, _, _ in events]
    assert arrivals == sorted(arrivals)
    happened = np.array([event["ts"] + event.get("span_ms", 0) for _, _, event in events])
    delay = np.array(arrivals) - happened
    assert delay.min() >= 0 and delay.max() <= MOST_DISORDER_MS
    assert (np.diff(happened) < 0).any()  # there is disorder to cope with


def test_seq_counts_up_without_a_gap(day: tuple[loadgen.Scenario, list[tuple[int, str, dict[str, Any]]]]) -> None:
    told: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for _, _, event in day[1]:
        if event["type"] == "cross":
            told[event["sensor"]].append((event["seq"], event["ts"]))
    for rows in told.values():
        rows.sort()
        assert [seq for seq, _ in rows] == list(range(rows[0][0], rows[0][0] + len(rows)))
        times = [ts for _, ts in rows]
        assert times == sorted(times)


def test_heartbeats_cover_every_sensor_that_promises_them() -> None:
    scenario = loadgen.weekday(seconds=120)
    beats: dict[str, list[int]] = defaultdict(list)
    for _, key, event in read(scenario):
        if event["type"] == "heartbeat":
            beats[key].append(event["ts"])
    promised = {s["id"] for s in scenario.registry["sensors"] if s["reporting"] == "heartbeat"}
    assert set(beats) == promised
    for times in beats.values():
        times.sort()
        assert scenario.start_ms <= times[0] < scenario.start_ms + 10_000
        assert set(np.diff(times)) == {10_000} and len(times) == 12
    assert len({times[0] for times in beats.values()}) > len(promised) // 2  # not all at once


def test_counts_come_every_minute_also_without_people() -> None:
    scenario = loadgen.weekday(seconds=600, start_ms=START, clock_of_day_s=3 * 3600)  # closed
    events = read(scenario)
    counts = [event for _, _, event in events if event["type"] == "count"]
    assert [event["ts"] for event in counts] == list(range(START, START + 600_000, 60_000))
    assert {event["ab"] + event["ba"] + event["un"] for event in counts} == {0}
    assert {event["type"] for _, _, event in events} == {"count", "heartbeat"}
    assert scenario.truth() == []


def test_a_start_in_the_middle_of_a_minute_keeps_whole_spans() -> None:
    scenario = loadgen.weekday(seconds=180, start_ms=START + 34_567, rate=100)
    counts = [event["ts"] for _, _, event in read(scenario) if event["type"] == "count"]
    assert counts == [START, START + 60_000, START + 120_000]


def test_equal_arguments_give_equal_bytes_and_seeds_differ() -> None:
    def text(seed: int) -> bytes:
        return b"\n".join(m.value for m in loadgen.weekday(seed=seed, seconds=120, rate=30).events())

    assert text(5) == text(5)
    assert text(5) != text(6)


@pytest.mark.parametrize(("seconds", "rate"), [(60, 500), (600, 30), (1200, 100)])
def test_rate_is_events_per_second(seconds: int, rate: int) -> None:
    scenario = loadgen.weekday(seconds=seconds, rate=rate)
    assert len(read(scenario)) == pytest.approx(seconds * rate, rel=0.05)


def test_rate_without_end_is_that_of_the_first_hour() -> None:
    scenario = loadgen.weekday(seconds=None, rate=20)
    number = sum(1 for _ in iter_until(scenario, scenario.start_ms + 3_600_000))
    assert number == pytest.approx(3600 * 20, rel=0.05)


def iter_until(scenario: loadgen.Scenario, end_ms: int) -> Iterator[loadgen.Message]:
    for message in scenario.events():
        if message.arrival_ms >= end_ms:
            return
        yield message


def test_truth_follows_the_reader() -> None:
    scenario = loadgen.weekday(seconds=None)
    events = scenario.events()
    for _ in range(1000):
        next(events)
    assert scenario.totals()["events"] == 1000
    assert sum(row.n for row in scenario.truth()) == scenario.totals()["people"]


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(ValueError, match="positive"):
        loadgen.weekday(seconds=0)
    with pytest.raises(ValueError, match="heartbeats"):
        loadgen.weekday(seconds=60, rate=1)
    with pytest.raises(ValueError, match="nobody"):
        loadgen.weekday(seconds=60, rate=100, clock_of_day_s=3 * 3600)
    scenario = loadgen.weekday(seconds=10)
    read(scenario)
    with pytest.raises(RuntimeError):
        read(scenario)
    with pytest.raises(ValueError, match="without end"):
        loadgen.write_file(loadgen.weekday(seconds=None), "nowhere")


def test_the_default_times() -> None:
    assert loadgen.weekday().start_ms == START - 3 * 3_600_000
    assert loadgen.weekday().clock_of_day_s == 5 * 3600
    assert loadgen.weekday(seconds=60).start_ms == START
    assert loadgen.weekday(seconds=60).clock_of_day_s == 8 * 3600
    assert loadgen.SCENARIOS["weekday"](seconds=60).registry["version"] == "chikaho-1"


def test_the_profile_adds_up_to_its_people() -> None:
    seconds = np.arange(86_400) + 0.5
    assert people.busy(seconds).sum() == pytest.approx(people.PEOPLE_A_DAY, rel=1e-3)
    assert people.busy(np.array([8.5 * 3600]))[0] == people.busy(np.array([8.5 * 3600 + 86_400]))[0]


# ------------------------------------------------------------------------------------- files
@pytest.mark.parametrize("suffix", ["", ".gz", ".zst"])
def test_files_hold_the_events_in_order(tmp_path: Path, suffix: str) -> None:
    def make() -> loadgen.Scenario:
        return loadgen.weekday(seed=2, seconds=300, rate=200)

    path = tmp_path / f"events.jsonl{suffix}"
    told: list[int] = []
    number = loadgen.write_file(make(), path, on_progress=told.append)
    raw = path.read_bytes()
    if suffix == ".gz":
        raw = gzip.decompress(raw)
    elif suffix == ".zst":
        raw = zstandard.ZstdDecompressor().decompressobj().decompress(raw)
    assert raw == b"".join(message.value + b"\n" for message in make().events())
    assert number == raw.count(b"\n") == told[-1]
    assert told == sorted(told) and len(told) > 1
    again = tmp_path / f"again.jsonl{suffix}"
    loadgen.write_file(make(), again)
    assert again.read_bytes() == path.read_bytes()


def test_a_file_can_be_stopped(tmp_path: Path) -> None:
    scenario = loadgen.weekday(seconds=None, rate=2_000)
    number = loadgen.write_file(scenario, tmp_path / "events.jsonl", stop=lambda: True)
    assert number == scenario.totals()["events"] == (tmp_path / "events.jsonl").read_bytes().count(b"\n")


def test_truth_and_registry_as_files(tmp_path: Path) -> None:
    scenario = loadgen.weekday(seconds=120, rate=50)
    read(scenario)
    loadgen.write_truth(scenario, tmp_path / "truth.jsonl")
    *rows, last = [json.loads(line) for line in (tmp_path / "truth.jsonl").read_text().splitlines()]
    assert [loadgen.TruthRow(**row) for row in rows if "gate" in row] == scenario.truth()
    assert [loadgen.ZoneRow(**row) for row in rows if "zone" in row] == list(scenario.zones())
    assert {"gate", "zone"} >= {next(iter(row)) for row in rows}
    assert last == {"totals": scenario.totals()}
    loadgen.write_registry(scenario, tmp_path / "registry.json")
    assert json.loads((tmp_path / "registry.json").read_text(encoding="utf-8")) == scenario.registry
    assert registry.load(tmp_path / "registry.json").version == "chikaho-1"
