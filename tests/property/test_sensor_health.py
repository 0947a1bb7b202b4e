"""Health follows from the logs alone, and shuffles within the lateness bound change nothing in it."""

from __future__ import annotations

import json
import random
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from engine import registry
from engine.beats import BEGUN, ENDED
from engine.book import Book
from engine.model import CELL_MS, END, HEALTH, NO_TIME
from engine.shard_class import Switch
from engine.watch import Signal, Watch
from tests.support.engine_run import Result, run

START = 1_770_450_000_000
APPROVED = [{"from": "2020-01-01T00:00:00Z", "to": None}]
CHANGING = [
    {"from": "2026-02-07T07:41:05Z", "to": "2026-02-07T07:44:00Z"},
    {"from": "2026-02-07T07:46:10Z", "to": "2026-02-07T07:48:03Z"},
]
Log = list[tuple[bytes, int | None]]


def world(version: str = "v1", moved: bool = False) -> dict[str, Any]:
    gates = [{"id": f"g{i}", "a": None, "b": None, "leaf": "1m" if i == 2 else "10s"} for i in range(3)]
    gates[1]["delay_s"] = 20
    common = {"kind": "counter", "approved": APPROVED, "reporting": "heartbeat", "beat_s": 10}
    sensors = [
        {**common, "id": "s0", "gate": "g1" if moved else "g0"},
        {**common, "id": "s1", "gate": "g1", "approved": CHANGING, "beat_s": 5},
        {**common, "id": "s2", "gate": "g2", "reporting": "every_span"},
        {**common, "id": "s3", "gate": None, "reporting": "on_change"},
    ]
    return {
        "version": version,
        "timezone": "Asia/Tokyo",
        "zones": [],
        "gates": gates,
        "sensors": sensors[1:] if moved and version == "v3" else sensors,
    }


# A sensor's times of a kind: sound, away, with a clock that is wrong, or brought behind the watermark without a time of
# the record, each for so many tens of seconds.
SPANS = st.lists(
    st.tuples(st.sampled_from(["sound", "sound", "away", "fast", "far", "slow", "late", "stale"]), st.integers(1, 8)),
    min_size=1,
    max_size=5,
)
SKEW_MS = {"sound": 0, "fast": 4_000, "far": 90_000, "slow": -3_500, "late": -200_000}


def told_by(
    sensor: int, spans: list[tuple[str, int]], rng: random.Random, stale_ms: int = 17_000
) -> list[tuple[int, int, dict[str, Any]]]:
    """(ts, record_ts, record) of all that a sensor tells."""
    out = []
    at = START + rng.randrange(10_000)
    for kind, tens in spans:
        for _ in range(tens):
            way = rng.randrange(1_500)
            if kind == "stale":
                out.append((at, at + stale_ms, {"type": "heartbeat", "sensor": f"s{sensor}", "ts": at}))
            elif kind != "away":
                ts = at + SKEW_MS[kind]
                out.append((ts, at + way, {"type": "heartbeat", "sensor": f"s{sensor}", "ts": ts}))
                end = at // 60_000 * 60_000
                if sensor == 2 and kind == "sound" and at - end < 10_000:
                    count = {"type": "count", "sensor": "s2", "ts": end - 60_000, "span_ms": 60_000, "ab": 1}
                    out.append((end, end + way, count))
            at += 10_000
    return out


def logs_of(lives: list[list[tuple[str, int]]], seed: int, parts: int, versions: bool) -> list[Log]:
    rng = random.Random(seed)
    told = [told_by(sensor, spans, rng) for sensor, spans in enumerate(lives)]
    last = max((record_ts for of in told for _, record_ts, _ in of), default=START)
    logs: list[Log] = []
    for part in range(parts):
        rows = [(r, json.dumps(document)) for of in told[part::parts] for _, r, document in of]
        rows += [(at, json.dumps({"type": "tick", "ts": at})) for at in range(START, last + 120_000, 7_000)]
        if versions:
            for at, version in ((150_000, "v2"), (300_000, "v3")):
                text = json.dumps({"type": "registry", "registry": world(version, True)})
                rows.append((START + at + 1_000 * part, text))
        stale = {text for of in told for ts, r, d in of if r - ts == 17_000 for text in [json.dumps(d)]}
        logs.append([(text.encode(), None if text in stale else at) for at, text in sorted(rows)])
    return logs


@given(
    st.lists(SPANS, min_size=4, max_size=4), st.integers(0, 2**32), st.integers(1, 3), st.integers(1, 4), st.booleans()
)
@settings(max_examples=8)
def test_cuts_interleavings_shards_and_restarts_change_nothing(
    lives: list[list[tuple[str, int]]], seed: int, parts: int, shards: int, versions: bool
) -> None:
    logs = logs_of(lives, seed, parts, versions)
    whole = run(world(), logs)
    cut = run(world(), logs, shards=shards, seed=seed, restart=True)
    live = run(world(), logs, shards=shards, seed=seed + 1, restart=True, by_line=True)
    for other in (cut, live):
        assert other.changes == whole.changes
        assert other.canonical().get("health") == whole.canonical().get("health")
    check_rows(whole)


ROW = st.tuples(
    st.integers(1, 40),  # cell
    st.integers(0, 2),  # sensor
    st.integers(-30, 60),  # how many seconds the cell's word reaches beyond its end
    st.sampled_from([(1, 0, 0), (1, 0, 0), (1, 0, 0), (3, 0, 0), (0, 1, 0), (0, 0, 1), (1, 0, 1), (0, 0, 0)]),
)


@given(st.lists(ROW, max_size=60), st.sets(st.integers(1, 45), max_size=8), st.booleans())
@settings(max_examples=400)
def test_a_step_over_many_lines_is_many_steps(rows: list[Any], stops: set[int], ends: bool) -> None:
    """Sensors that go on as they were are judged many lines at once: as line by line."""
    document = world()
    document["sensors"] = [document["sensors"][0] | {"id": f"s{i}", "gate": "g0"} for i in range(3)]
    book = Book(registry.parse(json.dumps(document).encode()))
    switches = [Switch(NO_TIME, book.start)]
    base = START // CELL_MS * CELL_MS
    beats = [[base, -1, BEGUN, 0, 0, 0]] + [[base + 440_000, -1, ENDED, 0, 0, 0]] * ends
    # each sensor sound for a while, then what was drawn
    sound = [(cell - 5, sensor, 15, (1, 0, 0)) for cell in range(6) for sensor in range(3)]
    beats += [
        [base + 10_000 * (cell + 5), sensor, base + 10_000 * (cell + 6) + 1_000 * reach, *clock]
        for cell, sensor, reach, clock in sound + rows
    ]
    table = np.array(beats, np.int64)

    def judged(lines: list[int]) -> list[Signal]:
        watch, out, before = Watch(0, 1), [], NO_TIME
        for w in lines:
            line = table[:, 0] + CELL_MS
            out += watch.advance(w, table[(before < line) & (line <= w)], 1, switches, book)
            before = w
        return sorted(out)

    every = [base + 10_000 * line for line in range(1, 52)]
    last = [END] if ends else []
    some = [base + 10_000 * line for line in sorted(stops | {51, 7})]
    assert judged([*every, *last]) == judged([*some, *last])


def check_rows(result: Result) -> None:
    """One row per sensor and minute, each another state than the one before; since is the row's minute."""
    seen: dict[str, dict[str, Any]] = {}
    gone = {sensor for _, sensor, state in result.changes if not state}
    rows = result.rows.get("health", [])
    keys = [(row["window_start"], row["sensor"]) for row in rows]
    assert len(set(keys)) == len(keys)
    for row in sorted(rows, key=lambda row: int(row["window_start"])):
        assert row["state"] in HEALTH and row["since"] == row["window_start"]
        before = seen.get(row["sensor"])
        assert before is None or before["state"] != row["state"] or row["sensor"] in gone
        seen[row["sensor"]] = row


@given(SPANS, st.integers(0, 2**32))
@settings(max_examples=30)
def test_shuffles_within_the_bound_change_nothing(spans: list[tuple[str, int]], seed: int) -> None:
    """Sound heartbeats of all sensors, in the order of their times or of their arrival."""
    rng = random.Random(seed)
    sound = [(kind if kind == "away" else "sound", tens) for kind, tens in spans]
    told = [row for sensor in range(3) for row in told_by(sensor, sound, rng)]
    told += [(at, at, {"type": "tick", "ts": at}) for at in range(START, START + 900_000, 2_000)]
    orders = [sorted(told, key=lambda row: row[which]) for which in (0, 1)]
    first, second = (run(world(), [[(json.dumps(row[2]).encode(), None) for row in order]]) for order in orders)
    assert first.changes == second.changes and first.changes
