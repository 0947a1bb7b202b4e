"""Random event columns and a small registry, for tests and benchmarks that run both twins of a kernel."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from engine import admit, registry, window
from engine.fast import _admit, _window
from engine.model import BEAM, COUNT, CROSS, HEARTBEAT, NO_TIME, OCCUPANCY, POINT, SET, TICK
from engine.tables import Tables

ADMITS = {"reference": admit.admit, "compiled": _admit.admit}
TABLES = {"reference": window.PaneTable, "compiled": _window.PaneTable}
MANY = 10**6  # rows from which a cross has a seq of its own


class Columns(NamedTuple):
    """Columns as decode gives them (model.Events)."""

    kind: Any
    reason: Any
    sensor: Any
    ts: Any
    span_ms: Any
    n: Any
    seq: Any
    has_seq: Any
    record_ts: Any


def tables(zone: str = "Australia/Lord_Howe") -> Tables:
    """Eight sensors on gates of all leaves, one with a delay, one without gate, one not approved always."""
    leaves = ("10s", "1m", "5m", "15m", "1h")
    gates = [{"id": f"g{i}", "a": None, "b": None, "leaf": leaf, "delay_s": 7 * i} for i, leaf in enumerate(leaves)]
    kinds = ("on_change", "heartbeat", "every_span")
    forever = [{"from": "1900-01-01T00:00:00Z", "to": None}]
    broken = [
        {"from": "2023-04-01T00:00:00Z", "to": "2023-04-01T15:00:00Z"},
        {"from": "2023-04-01T15:30:00Z", "to": None},
    ]
    sensors = [
        {
            "id": f"s{i}",
            "kind": "counter",
            "gate": f"g{i % 5}" if i != 7 else None,
            "approved": broken if i == 6 else forever,
            "reporting": kinds[i % 3],
            "beat_s": 5,
        }
        for i in range(8)
    ]
    document = {"version": "t", "timezone": zone, "zones": [], "gates": gates, "sensors": sensors}
    import json

    return Tables(registry.parse(json.dumps(document).encode()))


def columns(seed: int, rows: int, start_ms: int, spread_ms: int) -> Columns:
    """Random rows around times that rise from ``start_ms``: disorder, repeats, fast clocks, long spans, rejects."""
    rng = np.random.default_rng(seed)
    kinds = [0, CROSS, COUNT, HEARTBEAT, TICK, SET, POINT, BEAM, OCCUPANCY]
    kind = rng.choice(kinds, rows, p=[0.05, 0.4, 0.2, 0.1, 0.05, 0.02, 0.1, 0.05, 0.03]).astype(np.int8)
    at = start_ms + np.sort(rng.integers(0, spread_ms, rows)) - rng.integers(0, 20_000, rows)
    at -= at % rng.choice([1, 1000])
    span = np.where(kind == COUNT, rng.choice([1000, 9999, 10_000, 60_000, 3_600_000, 3_600_001], rows), 0)
    n = rng.integers(0, 9, (rows, 3))
    return Columns(
        kind,
        np.where(kind == 0, rng.integers(1, 5, rows), 0).astype(np.uint8),
        rng.integers(-1, 8, rows).astype(np.int32),
        at.astype(np.int64),
        span.astype(np.int64),
        n.astype(np.int64),
        rng.integers(0, 5, rows).astype(np.int64),
        rng.integers(0, 2, rows).astype(np.uint8),
        (at + rng.choice([0, 100, -70_000, -10], rows)).astype(np.int64),
    )


def admitted(name: str, given: Columns, of: Tables) -> tuple[Any, ...]:
    """reason, pane_ms, pane_end_ms, mark_ms as ``name`` judges."""
    rows = len(given.kind)
    reason, out = given.reason.copy(), [np.full(rows, NO_TIME, np.int64) for _ in range(3)]
    ADMITS[name](
        given.kind, reason, given.sensor, given.ts, given.span_ms, given.record_ts, of.sensor_gate, of.sensor_leaf,
        of.approved_at, of.approved_from, of.approved_to, of.zone_clock.changes, of.zone_clock.offsets, *out,
    )  # fmt: skip
    return reason, *out


def added(table: Any, given: Columns, judged: tuple[Any, ...], of: Tables) -> tuple[Any, ...]:
    """reason and told_ms after ``table.add``, its tally and the cells it told."""
    reason, told = judged[0].copy(), np.empty(len(given.kind), np.int64)
    repeat = given.seq.astype(np.uint8) % 2
    tally = table.add(
        given.kind, reason, given.sensor, given.ts, given.span_ms, given.n, given.seq, given.has_seq, *judged[1:],
        repeat, of.sensor_delay_ms, of.sensor_wait_ms, of.sensor_reporting, of.sensor_beat_ms, told,
    )  # fmt: skip
    return reason, told, tally, table.cells()


def ordered(packed: bytes, width: int) -> list[list[int]]:
    """Packed rows in an order of their own."""
    return sorted(np.frombuffer(packed, np.int64).reshape(-1, width).tolist())
