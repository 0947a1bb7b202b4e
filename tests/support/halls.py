"""A hall whose days are told by records of counts, and what its rows say by the local time in Sapporo."""

from __future__ import annotations

import json
from typing import Any

from engine.config import Config
from engine.rfc3339 import parse_ms
from tests.support.engine_run import Result

EXACT = Config({"flow": {"k": 1, "guard": 0}})
MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000
APPROVED = [{"from": "2020-01-01T00:00:00Z", "to": None}]
NIGHT = [{"from": "00:46", "to": "05:44"}]
COLUMNS = ("occupancy_low", "occupancy_high", "error")
Log = list[tuple[bytes, int | None]]


def at(text: str, day: int = 2) -> int:
    """Local time HH:MM in Sapporo on a day of February 2026, in ms."""
    found = parse_ms(f"2026-02-{day:02d}T{text}:00+09:00")
    assert found is not None
    return found


def world(
    zone: dict[str, Any] | None = None, *, error: float | None = 0, gates: int = 1, **more: Any
) -> dict[str, Any]:
    """A hall with one gate or more, from outside into it, that tell quarters of hours."""
    sensors = [
        {"id": f"s{i}", "kind": "counter", "gate": f"g{i}", "approved": APPROVED, "relative_error": error, **more}
        for i in range(gates)
    ]
    return {
        "version": "v1",
        "timezone": "Asia/Tokyo",
        "zones": [{"id": "hall", "kind": "walkway", "area_m2": 100, "width_m": 10, "closed": NIGHT} | (zone or {})],
        "gates": [{"id": f"g{i}", "a": None, "b": "hall", "leaf": "15m"} for i in range(gates)],
        "sensors": sensors,
    }


def count(ts: int, into: int = 0, out: int = 0, sensor: str = "s0", **more: Any) -> tuple[bytes, None]:
    record = {"type": "count", "sensor": sensor, "ts": ts, "span_ms": MINUTE, "ab": into, "ba": out, **more}
    return json.dumps(record).encode(), None


def told(ts: int, people: int, zone: str = "hall") -> tuple[bytes, None]:
    return json.dumps({"type": "set", "zone": zone, "people": people, "by": "h", "ts": ts}).encode(), None


def ticks(*days: int) -> Log:
    """A tick an hour, that windows close."""
    return [
        (json.dumps({"type": "tick", "ts": at("00:00", day) + hour * HOUR}).encode(), None)
        for day in days
        for hour in range(24)
    ]


def beats(sensor: str, start: int, end: int) -> Log:
    return [
        (json.dumps({"type": "heartbeat", "sensor": sensor, "ts": ts}).encode(), None)
        for ts in range(start, end, 10 * MINUTE)
    ]


def in_order(*logs: Log) -> Log:
    return sorted((record for log in logs for record in log), key=lambda record: json.loads(record[0])["ts"])


def rows(result: Result, window: str = "15m", zone: str = "hall") -> dict[int, dict[str, Any]]:
    """Rows of a zone by the end of their window (those of these tests are as long as their names)."""
    length = {"15m": 15 * MINUTE, "1h": HOUR, "1d": DAY}[window]
    found = [row for row in result.rows["zones"] if (row["window"], row["zone"]) == (window, zone)]
    return {row["window_start"] + length: row for row in found}


def inside(result: Result, *, day: int = 2, **more: Any) -> list[tuple[str, int | None]]:
    """(local time, occupancy) where it changes, of a day."""
    out: list[tuple[str, int | None]] = []
    for end, row in sorted(rows(result, **more).items()):
        minutes = (end - at("00:00", day)) // MINUTE
        if 0 < minutes <= 1440 and (not out or out[-1][1] != row["occupancy"]):
            out.append((f"{minutes // 60:02d}:{minutes % 60:02d}", row["occupancy"]))
    return out
