"""Bulk files for measuring: the lines, their order, their truth."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import pytest

import loadgen
from engine import registry


def lines(path: Path) -> list[bytes]:
    return path.read_bytes().splitlines()


def test_lines_are_events_of_75_bytes_that_add_up_to_the_truth(tmp_path: Path) -> None:
    path = tmp_path / "bulk.jsonl"
    bulk = loadgen.write_bulk(path, 600_000, rate=20_000, seed=4)
    raw = lines(path)
    assert len(raw) == bulk.events == 600_000
    assert {len(line) for line in raw} == {75} and bulk.line_bytes == 75
    gate_of = {sensor["id"]: sensor["gate"] for sensor in bulk.registry["sensors"]}
    gates = [gate["id"] for gate in bulk.registry["gates"]]
    counts: Counter = Counter()
    following: dict[str, int] = {}
    before = 0
    for line in raw:
        event = json.loads(line)
        assert list(event) == ["sensor", "ts", "type", "dir", "seq"] and event["type"] == "cross"
        assert event["ts"] >= before
        before = event["ts"]
        assert event["seq"] == following.setdefault(event["sensor"], event["seq"])
        following[event["sensor"]] += 1
        counts[(event["ts"] - bulk.start_ms) // 10_000, gates.index(gate_of[event["sensor"]]), event["dir"]] += 1
    panes, gate_number, _ = bulk.counts.shape
    assert (panes, gate_number) == (3, 250)
    for pane in range(panes):
        for gate in range(gate_number):
            assert bulk.counts[pane, gate].tolist() == [counts[pane, gate, "ab"], counts[pane, gate, "ba"]]
    assert set(following) == set(gate_of)  # all 1,000 sensors spoke


def test_shuffled_lines_are_the_same_lines(tmp_path: Path) -> None:
    in_order, shuffled = tmp_path / "a.jsonl", tmp_path / "b.jsonl"
    first = loadgen.write_bulk(in_order, 300_000, seed=9)
    second = loadgen.write_bulk(shuffled, 300_000, seed=9, sorted=False)
    assert lines(shuffled) != lines(in_order)
    assert sorted(lines(shuffled)) == sorted(lines(in_order))
    assert (first.counts == second.counts).all()
    times = [json.loads(line)["ts"] for line in lines(shuffled)[:1000]]
    assert max(times) - min(times) > 10_000  # over the whole file, not within a stretch of it


def test_the_registry_is_good_and_spreads_sensors_over_gates() -> None:
    document = loadgen.bulk_registry(1_000, 250)
    found, faults = registry.check(json.dumps(document).encode())
    assert faults == [] and found is not None
    per_gate: dict[Any, int] = defaultdict(int)
    for sensor in found.sensors:
        per_gate[sensor.gate] += 1
    assert len(per_gate) == 250 and set(per_gate.values()) == {4}


@pytest.mark.parametrize(("sensors", "gates"), [(1, 1), (7, 3), (40, 2), (2_000, 1_500)])
def test_any_size_gives_one_width_and_known_sensors(tmp_path: Path, sensors: int, gates: int) -> None:
    path = tmp_path / "bulk.jsonl"
    bulk = loadgen.write_bulk(path, 5_000, sensors, gates, rate=100)
    known = {sensor["id"] for sensor in bulk.registry["sensors"]}
    assert len(known) == sensors
    assert {json.loads(line)["sensor"] for line in lines(path)} <= known
    assert {len(line) for line in lines(path)} == {bulk.line_bytes}
    assert bulk.counts.sum() == 5_000 and len(bulk.counts) == 5


def test_equal_arguments_give_equal_bytes(tmp_path: Path) -> None:
    for name in ("a.jsonl", "b.jsonl"):
        loadgen.write_bulk(tmp_path / name, 1_000, seed=1)
    loadgen.write_bulk(tmp_path / "c.jsonl", 1_000, seed=2)
    assert (tmp_path / "a.jsonl").read_bytes() == (tmp_path / "b.jsonl").read_bytes()
    assert (tmp_path / "a.jsonl").read_bytes() != (tmp_path / "c.jsonl").read_bytes()


def test_what_cannot_be_is_refused(tmp_path: Path) -> None:
    for wrong in ({"events": 0}, {"rate": 0}, {"start_ms": 1_770_450_000_001}, {"start_ms": 0}, {"gates": 2_000}):
        with pytest.raises(ValueError, match="needs at least"):
            loadgen.write_bulk(tmp_path / "bulk.jsonl", **{"events": 10, **wrong})
