"""Faults of sensors, as they are told and as they are true; and scenarios that cannot be."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

import loadgen
from loadgen.faults import Fault
from loadgen.place import GATES
from tests.support.scenes import WAYS, Event, Played, told_by


def with_fault(fault: Callable[[int], Fault]) -> tuple[Played, Fault]:
    """Twenty minutes of a weekday with one fault, and the fault."""
    scenario = loadgen.weekday(seed=6, seconds=1_200, equipment="all", faults=False)
    wrong = fault(scenario.start_ms)
    scenario.faults = (wrong,)
    return Played(scenario), wrong


def of(played: Played, fault: Fault, kind: str, inside: bool = True) -> list[Event]:
    return [
        event
        for message, event in zip(played.messages, played.events(), strict=True)
        if event["sensor"] == fault.sensor
        and event["type"] == kind
        and (fault.from_ms <= message.arrival_ms - 1_000 < fault.to_ms) is inside
    ]


def test_a_silent_sensor_tells_nothing_and_its_people_are_true() -> None:
    played, fault = with_fault(lambda start: Fault("j3-02", "silent", start + 300_000, start + 900_000))
    told = [e for e in played.events() if e["sensor"] == "j3-02" and fault.from_ms <= e["ts"] < fault.to_ms]
    assert told == [] and of(played, fault, "heartbeat", inside=False)
    truth = sum(row.n for row in played.scenario.truth() if row.gate == "j3")
    assert truth == sum(1 for p in played.passages if GATES[p.gate].id == "j3") > 500
    assert sum(n for key, n in told_by(played).items() if key[0] == "j3") < truth - 100


def test_a_twin_tells_what_a_silent_sensor_does_not() -> None:
    played, fault = with_fault(lambda start: Fault("k1-01", "silent", start, start + 1_200_000))
    first, second = (
        [e for e in played.events() if e["sensor"] == sensor and e["type"] == "cross"] for sensor in ("k1-01", "k1-02")
    )
    truth = Counter((p.at_ms, WAYS[p.direction]) for p in played.passages if GATES[p.gate].id == "k1")
    assert first == [] and Counter((e["ts"], e["dir"]) for e in second) == truth
    assert sum(row.n for row in played.scenario.truth() if row.gate == "k1") == truth.total() > 20
    assert fault.kind == "silent"


def test_a_stuck_counter_lives_and_sees_nobody_and_a_stuck_camera_says_the_same_again() -> None:
    played, fault = with_fault(lambda start: Fault("j3-02", "stuck", start + 300_000, start + 900_000))
    told = [e for e in played.events() if e["sensor"] == "j3-02" and fault.from_ms <= e["ts"] < fault.to_ms]
    assert {e["type"] for e in told} == {"heartbeat"} and len(told) == 60
    played, fault = with_fault(lambda start: Fault("cam-q5", "stuck", start + 300_000, start + 900_000))
    read = [
        (e["ts"], e["people"], e.get("speed")) for e in played.events() if e["sensor"] == "cam-q5" and "people" in e
    ]
    frozen = {row[1:] for row in read if fault.from_ms - 10_000 <= row[0] < fault.to_ms}
    assert len(frozen) == 1 and len({row[1:] for row in read}) > 20
    played, fault = with_fault(lambda start: Fault("b2-01", "stuck", start + 300_000, start + 900_000))
    counts = [(e["ts"], e["ab"], e["ba"]) for e in played.events() if e["type"] == "count"]
    assert len({row[1:] for row in counts if fault.from_ms - 60_000 <= row[0] < fault.to_ms}) == 1
    assert len({row[1:] for row in counts}) > 3


@pytest.mark.parametrize("sensor", ["e1-02", "e2-01"])
def test_a_chattering_sensor_tells_what_did_not_happen(sensor: str) -> None:
    played, fault = with_fault(lambda start: Fault(sensor, "chattering", start + 300_000, start + 900_000, 3.0))
    told = [e for e in played.events() if e["sensor"] == sensor and fault.from_ms <= e["ts"] < fault.to_ms]
    assert len(told) > 0.9 * 3 * 600
    gate = sensor.split("-")[0]
    true = sum(1 for p in played.passages if GATES[p.gate].id == gate)
    assert sum(row.n for row in played.scenario.truth() if row.gate == gate) == true < 300
    seqs = [e["seq"] for e in played.events() if e["sensor"] == sensor and "seq" in e]
    assert len(set(seqs)) == len(seqs)


def test_a_skewed_clock_is_told_with_the_time_of_the_record(tmp_path: Path) -> None:
    played, fault = with_fault(lambda start: Fault("j3-02", "skewed", start + 300_000, start + 900_000, 45_000.0))
    skewed = [message for message in played.messages if message.skewed]
    assert {message.key for message in skewed} == {b"j3-02"} and len(skewed) > 100
    for message in skewed:
        assert -45_000 <= message.arrival_ms - json.loads(message.value)["ts"] <= -43_000
    scenario = loadgen.weekday(seed=6, seconds=1_200, equipment="all", faults=False)
    scenario.faults = (fault,)
    loadgen.write_file(scenario, tmp_path / "events.jsonl")
    lines = [json.loads(line) for line in (tmp_path / "events.jsonl").read_text().splitlines()]
    records = [(line["sensor"], line["record_ts"] - line["ts"]) for line in lines if "record_ts" in line]
    assert len(records) == len(skewed) and {sensor for sensor, _ in records} == {"j3-02"}
    assert sum(row.n for row in scenario.truth()) == sum(1 for p in played.passages if GATES[p.gate].id != "b2") + sum(
        row.n for row in scenario.truth() if row.gate == "b2"
    )


def test_an_imbalanced_sensor_misses_a_share_of_one_direction() -> None:
    played, _ = with_fault(lambda start: Fault("j3-02", "imbalanced", start, start + 1_200_000, 0.5, "ba"))
    told = Counter(e["dir"] for e in played.events() if e["sensor"] == "j3-02" and e["type"] == "cross")
    lane = [p for p in played.passages if GATES[p.gate].id == "j3" and int(p.lane * 3) == 1]
    true = Counter(WAYS[p.direction] for p in lane)
    assert told["ab"] == true["ab"] > 100
    assert told["ba"] == pytest.approx(0.5 * true["ba"], rel=0.25)


# ------------------------------------------------------------------------------ the rest
def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(ValueError, match="rate"):
        loadgen.smoke(rate=100)
    with pytest.raises(ValueError, match="positive"):
        loadgen.blackout(seconds=0)
    with pytest.raises(ValueError, match="rate"):
        loadgen.weekday(rate=100, equipment="all")
    with pytest.raises(ValueError, match="equipment"):
        loadgen.weekday(equipment="some")


def test_a_scene_without_end_begins_at_any_moment() -> None:
    start = 1_790_000_003_217  # no multiple of anything
    scenario = loadgen.smoke(seed=1, seconds=None, start_ms=start)
    messages = []
    for message in scenario.events():
        if message.arrival_ms > start + 600_000:
            break
        if b'"type":"set"' not in message.value:  # no event
            messages.append(message)
    rows = [row for row in scenario.zones() if row.zone == "c2"]
    assert [row.start_ms for row in rows] == list(range(start - start % 10_000, rows[-1].start_ms + 1, 10_000))
    assert rows[0].people == 0 and rows[-1].people > 20 and rows[-1].start_ms > start + 580_000
    assert min(json.loads(message.value)["ts"] for message in messages if b"count" not in message.value) >= start
    assert scenario.totals()["events"] == len(messages) + 1  # the one at which it was stopped


def test_lengths_and_names() -> None:
    assert list(loadgen.SCENARIOS) == list(loadgen.LENGTHS_S)
    for name, seconds in loadgen.LENGTHS_S.items():
        scenario = loadgen.SCENARIOS[name]()
        assert scenario.name == name and scenario.seconds == seconds
