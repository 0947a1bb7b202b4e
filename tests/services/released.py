"""Released rows and runs, written as small tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from engine.model import NO_TIME, NULL_INT, PRODUCTS, Released
from sinks.clickhouse.store import Run

T0 = 1_770_447_600_000  # 2026-02-07T07:00:00Z, a full hour
# A key of each table of distinct people.
TABLES: dict[str, tuple[Any, ...]] = {
    "touches": ("15m", T0, "kita2-01", "top", "ja"),
    "screens": ("1h", T0, "kita2-01", "top", "map"),
    "profiles": ("1d", T0, "gender*birth_year", "f", ""),
    "trips": ("1d", T0, "odori", "kita2"),
}
DTYPES = {"t": np.int64, "i": np.int64, "n": np.int64, "f": np.float64}
EMPTY = {"i": NULL_INT, "n": NO_TIME, "f": float("nan")}


def released(product: str, unit: str, rows: Sequence[Sequence[Any]], version: str = "v1") -> Released:
    """Rows in the order of the product's columns; None = null; words become codes into their sorted names."""
    columns: dict[str, np.ndarray[Any, Any]] = {}
    names: dict[str, tuple[str, ...]] = {}
    for i, (name, kind) in enumerate(PRODUCTS[product][1].items()):
        values = [row[i] for row in rows]
        if kind == "d":
            names[name] = tuple(sorted(set(values)))
            columns[name] = np.array([names[name].index(value) for value in values], np.int32)
        else:
            columns[name] = np.array([EMPTY[kind] if value is None else value for value in values], DTYPES[kind])
    return Released(product, unit, columns, names, version)


def flow(unit: str, *rows: Sequence[Any], version: str = "v1") -> Released:
    """Rows (window, start, gate, direction, n, n_low, n_high, status, coverage)."""
    return released("flow", unit, rows, version)


def runs_of_flow(unit: str, *rows: Sequence[Any], version: str = "v1") -> Released:
    """Rows (gate, direction, run_start, run_end, n)."""
    return released("runs_of_flow", unit, rows, version)


def zone_row(window: str, start: int, zone: str, occupancy: float | None = None, **cells: Any) -> tuple[Any, ...]:
    """One row of zones; what is not given is null, words are "unknown"."""
    given = {"window": window, "window_start": start, "zone": zone, "occupancy": occupancy, **cells}
    return tuple(given.get(name, "unknown" if kind == "d" else None) for name, kind in PRODUCTS["zones"][1].items())


def zones(unit: str, *rows: Sequence[Any], version: str = "v1") -> Released:
    """Rows as ``zone_row`` makes them."""
    return released("zones", unit, rows, version)


def headings(unit: str, *rows: Sequence[Any], version: str = "v1") -> Released:
    """Rows (window, start, zone, sector, n, n_low, n_high, status, mean_heading, resultant_length)."""
    return released("headings", unit, rows, version)


def table(product: str, unit: str, *rows: Sequence[Any], version: str = "v1") -> Released:
    """Rows of touches, screens, profiles or trips: window, start, the names of the key, n, n_low, n_high, status."""
    return released(product, unit, rows, version)


def alert_row(name: str, changed: int, state: str = "new", began: int | None = None, **cells: Any) -> tuple[Any, ...]:
    """One row of alerts: of a density in zone c1 where nothing else is given; it began when it changed."""
    given: dict[str, Any] = {
        "id": name,
        "changed": changed,
        "state": state,
        "reason": "recovered" if state == "resolved" else "",
        "began": changed if began is None else began,
        "rule": "dense",
        "kind": "density",
        "severity": "warning",
        "zone": "c1",
        "gate": "",
        "of_window": "10s",
        "value": 2.5,
        "threshold": 2.0,
        **cells,
    }
    return tuple(given[column] for column in PRODUCTS["alerts"][1])


def alerts(unit: str, *rows: Sequence[Any], version: str = "v1") -> Released:
    """Rows as ``alert_row`` makes them."""
    return released("alerts", unit, rows, version)


def run(run_id: str = "r1", leaves: Mapping[str, str] | None = None, **fields: Any) -> Run:
    """A replay of gates j1 (10s) and j2 (1m)."""
    base: dict[str, Any] = {
        "run_id": run_id,
        "kind": "replay",
        "config": '{"flow":{"k":5}}',
        "config_hash": "c",
        "registry_version": "v1",
        "registry_hash": "h",
        "code_version": "0.1.0",
        "timezone": "Asia/Tokyo",
        "leaves": {"j1": "10s", "j2": "1m"} if leaves is None else leaves,
        "started_ms": T0,
        "updated_ms": T0,
    }
    return Run(**{**base, **fields})


def day(gates: int = 3, windows: int = 40, seed: int = 1) -> list[tuple[Any, ...]]:
    """Flow rows of many windows with every status, nulls and zeros."""
    rng = np.random.default_rng(seed)
    rows: list[tuple[Any, ...]] = []
    for w in range(windows):
        for gate in range(gates):
            for direction in ("ab", "ba", "unknown"):
                n = int(rng.integers(0, 40))
                kind = int(rng.integers(0, 4))
                cells = [(None, None, None, "unknown", 0.0), (n, n, n, "released", None)]
                cells += [(None, 0, 5, "suppressed", 1 / 3), (n + 2, n, n + 5, "range", 0.75)]
                rows.append(("10s", T0 + w * 10_000, f"g{gate}", direction, *cells[kind]))
    return rows
