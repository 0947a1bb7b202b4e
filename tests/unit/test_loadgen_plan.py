"""Loads by plan: what is sent adds up to the truth told of it, by the plain rules and by the engine."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import loadgen
from engine import registry
from engine.book import Book
from engine.partition import Partition
from loadgen.draw import Columns, Part
from loadgen.truth import ACCEPTED, LATE, Tally
from loadgen.wire import encoder
from tests.support.engine_run import payloads

BOUND_MS = 5_000
Told = list[tuple[bytes, int]]  # messages of a partition, and when the last event of each is due

PLANS = st.builds(
    loadgen.Plan,
    rate=st.sampled_from([7.0, 150.0, 900.0]),
    seconds=st.sampled_from([0.5, 13.0, 25.0]),
    seed=st.integers(0, 99),
    sensors=st.sampled_from([4, 30, 1_100]),
    partitions=st.sampled_from([1, 3, 4]),
    hot=st.sampled_from([0.0, 1.2]),
    late=st.sampled_from([0.0, 0.2]),
    duplicate=st.sampled_from([0.0, 0.2]),
    bad=st.sampled_from([0.0, 0.2]),
    skewed=st.sampled_from([0.0, 0.2]),
    skew_ms=st.sampled_from([0, 2_000, 30_000]),
    disorder_ms=st.sampled_from([0, 500, 9_000]),
    ramp=st.sampled_from([0.0, 10.0]),
    burst=st.sampled_from([0.0, 2_000.0]),
    burst_every=st.just(9.0),
    burst_seconds=st.sampled_from([0.5, 2.0]),
    format=st.sampled_from(["json", "array", "arrow"]),
    per_array=st.sampled_from([1, 7, 100]),
    appended_when_due=st.booleans(),
)


def drawn(plan: loadgen.Plan, partition: int, ticks: int, tally: Tally | None = None) -> Told:
    """A partition's messages."""
    part, out = Part(plan, partition), list[tuple[bytes, int]]()
    made = encoder(part)
    while not part.ended():
        events = part.step(ticks)
        packed = made.encode(events)
        data = packed.data.tobytes()
        due = events.due_ms[packed.events - 1].tolist()
        for at, size, end in zip(packed.at.tolist(), packed.size.tolist(), due, strict=True):
            out.append((data[at : at + size], end))
        if tally is not None:
            part.count(events, tally)
    return out


def rows_of(message: bytes) -> list[dict[str, Any]]:
    """The events of an Arrow stream; what is null is not there, but for a direction."""
    rows = pa.ipc.open_stream(message).read_all().to_pylist()
    return [{name: value for name, value in row.items() if value is not None or name == "dir"} for row in rows]


def judged(plan: loadgen.Plan, log: Told, gate_of: dict[str, str]) -> Iterator[tuple[str, tuple[Any, ...]]]:
    """Of each event in turn: accepted, or why not; and its window, gate and direction."""
    watermark, seen = -(1 << 62), set[tuple[Any, ...]]()
    for message, due in log:
        try:
            found = rows_of(message) if plan.format == "arrow" else json.loads(message)
        except ValueError:
            yield "malformed", ()
            continue
        for event in found if isinstance(found, list) else [found]:
            if event["type"] != "cross":
                yield "unknown_type", ()
            elif "ts" not in event:
                yield "missing_field", ()
            elif event["dir"] not in ("ab", "ba", None):
                yield "bad_value", ()
            elif event["sensor"] not in gate_of:
                yield "unknown_sensor", ()
            elif event["ts"] > plan.start_ms + 5 * 365 * 86_400_000:
                yield "too_far_in_future", ()
            else:
                ts, key = event["ts"], (event["sensor"], event["ts"], event["seq"])
                start = ts // 10_000 * 10_000
                late = start + 10_000 <= watermark
                if late or key in seen:
                    yield "late" if late else "duplicate", ()
                    continue
                moved = min(ts, plan.start_ms + due) if plan.appended_when_due else ts
                watermark = max(watermark, moved - BOUND_MS)
                seen.add(key)
                yield "accepted", (start, gate_of[event["sensor"]], event["dir"] or "unknown")


def gates(plan: loadgen.Plan) -> dict[str, str]:
    return {sensor["id"]: sensor["gate"] for sensor in loadgen.bulk_registry(plan.sensors, plan.gates)["sensors"]}


# Clocks that run far ahead, to which the watermark does not listen beyond the append.
AHEAD = loadgen.Plan(rate=150, seconds=25, late=0.2, duplicate=0.1, bad=0.1, skewed=0.2, skew_ms=30_000)


@given(PLANS)
@example(AHEAD)
@settings(max_examples=12)
def test_the_truth_is_what_the_rules_say_of_the_text(plan: loadgen.Plan) -> None:
    if plan.format != "json":  # the last event of an array is due later than the others
        plan = replace(plan, appended_when_due=False)
    tally, reasons, people = Tally(plan.gates), Counter[str](), Counter[tuple[Any, ...]]()
    for partition in range(plan.partitions):
        log = drawn(plan, partition, 100, tally)
        for reason, place in judged(plan, log, gates(plan)):
            reasons[reason] += 1
            people[place] += reason == "accepted"
    totals = tally.totals()
    assert totals["rejected"] == {reason: many for reason, many in reasons.items() if reason != "accepted"}
    assert totals["accepted"] == totals["people"] == reasons["accepted"]
    assert totals["events"] == plan.events() == sum(reasons.values())
    told = {(row["start_ms"], row["gate"], row["direction"]): row["n"] for row in tally.rows()}
    assert told == +people


@given(PLANS)
@example(AHEAD)
@settings(max_examples=15)
def test_the_engine_says_the_same(plan: loadgen.Plan) -> None:
    if plan.format != "json":
        plan = replace(plan, appended_when_due=False)
    book = Book(registry.parse(json.dumps(loadgen.bulk_registry(plan.sensors, plan.gates)).encode()))
    log = drawn(plan, 0, 1_000, tally := Tally(plan.gates))
    part = Partition(0, book, BOUND_MS, 1)
    appended = [plan.start_ms + due if plan.appended_when_due else plan.start_ms + 10**9 for _, due in log]
    part.feed(payloads([message for message, _ in log], appended))
    totals = tally.totals()
    assert (part.accepted, part.rejected_by_reason()) == (totals["accepted"], totals["rejected"])


@given(PLANS, st.integers(1, 500))
@settings(max_examples=10)
def test_events_do_not_depend_on_the_steps_in_which_they_are_drawn(plan: loadgen.Plan, ticks: int) -> None:
    plan = replace(plan, format="json", duplicate=0.3)
    assert drawn(plan, plan.partitions - 1, ticks) == drawn(plan, plan.partitions - 1, 10_000)


def test_late_is_what_ends_where_the_watermark_stands_or_before() -> None:
    plan = loadgen.Plan(start_ms=0, partitions=1, appended_when_due=False)
    part = Part(plan, 0)
    ts = np.array([9_999, 14_999, 9_999, 15_000, 9_999, 10_000])
    events = Columns(*(np.zeros(len(ts), np.int64) for _ in Columns._fields))._replace(ts=ts)
    part._judge(events)
    assert events.reason.tolist() == [ACCEPTED, ACCEPTED, ACCEPTED, ACCEPTED, LATE, ACCEPTED]


def test_shares_rates_and_keys_are_as_asked() -> None:
    plan = loadgen.planned("city", rate=20_000, seconds=20, late=0.01, duplicate=0.02, bad=0.03, skewed=0.04, hot=1)
    tally = Tally(plan.gates)
    parts = [Part(plan, partition) for partition in range(plan.partitions)]
    columns = [part.step(2_000) for part in parts]
    for part, events in zip(parts, columns, strict=True):
        part.count(events, tally)
    rejected: Any = tally.totals()["rejected"]
    assert abs(rejected["late"] - 4_000) < 400 and abs(rejected["duplicate"] - 8_000) < 600
    assert abs(sum(rejected[reason] for reason in rejected if reason[0] in "mub") - 12_000) < 800
    assert abs(rejected["too_far_in_future"] - 400_000 * 0.04 / 3) < 600
    due = np.concatenate([events.due_ms for events in columns])
    assert set(np.bincount(due // 1000).tolist()) <= set(range(19_996, 20_005))
    first = np.bincount(columns[0].sensor)[0]  # sensor 0 of harmonic weights over 1,000
    assert abs(first - 400_000 / 7.485) < 2_000
    unknown = sum(int((events.direction == 2).sum()) for events in columns)
    assert 2_000 < unknown < 4_500


def test_ramps_and_bursts() -> None:
    plan = loadgen.Plan(rate=1_000, seconds=30, ramp=10, burst=5_000, burst_every=10, burst_seconds=2)
    due = np.concatenate([Part(plan, partition).step(3_000).due_ms for partition in range(4)])
    per_second = np.bincount(due // 1000, minlength=30)
    want = [min(1_000, 100 * s + 50) + (4_000 if s % 10 >= 8 else 0) for s in range(30)]
    assert np.abs(per_second - want).max() <= 4
    assert plan.events() == len(due) == sum(want)


def test_seq_counts_up_by_one_per_sensor() -> None:
    plan = loadgen.Plan(rate=5_000, seconds=3, sensors=20, disorder_ms=0)
    for partition in range(4):
        following: dict[str, int] = {}
        for message, _ in drawn(plan, partition, 77):
            event = json.loads(message)
            assert event["seq"] == following.setdefault(event["sensor"], plan.first_seq())
            following[event["sensor"]] += 1


def test_a_plan_without_end_goes_on() -> None:
    plan = loadgen.planned("city", late=0.1)
    part, tally = Part(plan, 3), Tally(plan.gates)
    many = [len(part.step(1_000).ts) for _ in range(7)]
    part.count(part.step(1_000), tally)
    assert not part.ended() and plan.events() is None
    assert many == [12_500, 12_500, 12_500, 12_500, 12_500, 35_000, 12_500]  # the burst of the last 2 s of a minute


def test_a_file_holds_a_plan_and_its_truth(tmp_path: Path) -> None:
    options = {"partitions": 1, "future": False, "appended_when_due": False, "bad": 0.1, "late": 0.1}
    plan = loadgen.planned("city", rate=500, seconds=20, **options)
    seen: list[int] = []
    tally = loadgen.write_plan(plan, tmp_path / "e.jsonl.zst", on_progress=seen.append)
    assert seen[-1] == 10_000
    loadgen.write_plan(plan, tmp_path / "e.jsonl")
    lines = (tmp_path / "e.jsonl").read_bytes().splitlines()
    said = list(judged(plan, [(line, 0) for line in lines], gates(plan)))
    people = Counter(place for reason, place in said if reason == "accepted")
    tally.write(tmp_path / "truth.jsonl")
    *rows, last = map(json.loads, (tmp_path / "truth.jsonl").read_text().splitlines())
    assert {(row["start_ms"], row["gate"], row["direction"]): row["n"] for row in rows} == people
    assert last["totals"]["events"] == len(lines) == 10_000 and last["totals"]["people"] == people.total()
    loadgen.write_plan_registry(plan, tmp_path / "registry.json")
    assert registry.check((tmp_path / "registry.json").read_bytes())[1] == []
    with pytest.raises(ValueError, match="one partition"):
        loadgen.write_plan(replace(plan, partitions=2), tmp_path / "no")


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"rate": 0}, "--rate"),
        ({"seconds": -1}, "--seconds"),
        ({"sensors": 3}, "--partitions"),
        ({"partitions": 0}, "--partitions"),
        ({"per_gate": 0}, "--per-gate"),
        ({"late": 0.5, "bad": 0.5}, "--late, --duplicate, --bad, --skewed"),
        ({"skew_ms": 40_000}, "--skew-ms"),
        ({"burst": 10}, "--burst"),
        ({"burst_seconds": 60}, "--burst-seconds"),
        ({"format": "xml"}, "--format"),
        ({"per_array": 0}, "--per-array"),
        ({"disorder_ms": float("nan")}, "--disorder-ms"),
    ],
)
def test_what_cannot_be_is_refused(wrong: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=f"^{told} "):
        loadgen.planned("city", **wrong)


def test_the_scenarios() -> None:
    city, nation = loadgen.planned("city"), loadgen.planned("nation")
    assert (city.sensors, city.rate, city.burst) == (1_000, 5_000, 50_000)
    assert (nation.sensors, nation.rate, nation.gates) == (1_000_000, 300_000, 20_000)
    assert loadgen.Plan(sensors=100_000, per_gate=400).gates == 250
    assert loadgen.planned("city", rate=100).burst == 0 and loadgen.planned("city", rate=None) == city
