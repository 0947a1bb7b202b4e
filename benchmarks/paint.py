"""What the page costs where 1,000 zones change each second: paint, CPU of a tick, memory over time.

    python -m benchmarks.paint [--zones 1000] [--minutes 30] [--every 60] [--json]

The store is one in memory that tells other figures of every zone at each look, so what is measured is the page's server
and the browser. Of the past it tells the last whole minute, so that the page drops what it kept of the stream. The map
shows the whole city. Memory is that of the page's JavaScript after a collection of garbage.
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import numpy as np
import pyarrow as pa

from benchmarks.browser import browser_cpu_s, kept, measured, rounded, shown
from benchmarks.services import machine, tell
from dashboard.app import create_app
from dashboard.serve import serve
from engine.model import LOS
from tests.browser.fake_store import ZONES, FakeRun, FakeStore, inserted

CELL_MS, SIDE_M, ROW = 10_000, 24.0, 40
EDGES = (0.31, 0.43, 0.72, 1.08, 2.17)  # Fruin's walkway, FRONTEND's scale


class Changing(FakeStore):
    """Zones that have other figures at each look: a wave of density goes over the city."""

    def __init__(self, zones: int) -> None:
        names = [f"z{n:04d}" for n in range(zones)]
        super().__init__(_registry(names), FakeRun(closed_ms=0, leaves={}))
        self.now_ms = lambda: int(time.time() * 1000)
        self._names, self._rng = names, np.random.default_rng(1)

    def latest_zones(self, run_id: str, window: str) -> pa.Table:
        """All zones, in the newest window that has ended."""
        self._answer()
        many, now = len(self._names), time.time()
        start = int(now * 1000) // CELL_MS * CELL_MS - 2 * CELL_MS
        density = 1.3 + 1.2 * np.sin(now / 7 + np.arange(many) / 11) + self._rng.uniform(0, 0.1, many)
        people = np.round(density * 100).astype(int)
        flows = {side: self._rng.integers(6, 90, many) for side in ("inflow", "outflow")}
        columns: dict[str, Any] = {
            "window": [window] * many,
            "window_start": pa.array([start] * many, pa.timestamp("ms", "UTC")),
            "zone": self._names,
            "coverage": np.full(many, 0.95),
            "los": [LOS[LOS.index("A") + int(np.searchsorted(EDGES, value))] for value in density],
            "status": ["range"] * many,
            "inserted_at": pa.array([inserted(window, start)] * many, pa.timestamp("ms", "UTC")),
            "occupancy": people,
            "occupancy_low": people - 10,
            "occupancy_high": people + 10,
            "error": np.full(many, 5.0),
            "density": density,
            "speed": 1.4 - density / 3,
        }
        for side, told in flows.items():
            columns |= {side: told, f"{side}_low": told - 4, f"{side}_high": told + 4}
        nothing = pa.nulls(many)
        arrays = [pa.array(columns.get(field.name, nothing)).cast(field.type) for field in ZONES]
        return pa.Table.from_arrays(arrays, schema=ZONES)


def _registry(names: list[str]) -> dict[str, Any]:
    """Zones side by side in rows, of places of a row each, with the limits of the demo's place."""
    zones = []
    for number, name in enumerate(names):
        x, y = number % ROW * SIDE_M, number // ROW * SIDE_M
        box = [[x, y], [x + SIDE_M - 2, y], [x + SIDE_M - 2, y + SIDE_M - 2], [x, y + SIDE_M - 2]]
        place = {"polygon_m": box, "area_m2": (SIDE_M - 2) ** 2, "kind": "walkway"}
        zones.append({"id": name, "name": {"ja": f"区画 {number}", "en": f"Plot {number}"}, **place})
    return {"version": "1", "timezone": "Asia/Tokyo", "zones": zones, "gates": [], "sensors": []}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--zones", type=int, default=1_000)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--every", type=float, default=60, help="seconds between two looks at the memory")
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    result: dict[str, object] = {**machine(), "zones": chosen.zones, "minutes": chosen.minutes}
    server = serve(create_app(Changing(chosen.zones), poll_s=0.2))  # type: ignore[arg-type]
    looks = max(2, round(chosen.minutes * 60 / chosen.every))
    memory: list[tuple[float, int]] = []
    try:
        with shown(f"{server.url}/?level=city") as (page, line):
            page.route("**/api/history?*", lambda route: route.fulfill(json=last_minute(chosen.zones)))
            page.wait_for_timeout(3_000)  # what is loaded is loaded
            before, ticks = browser_cpu_s(), number_of(page)
            for _ in range(looks):
                page.wait_for_timeout(chosen.every * 1000)
                memory.append(kept(line))
            cpu, ticks = browser_cpu_s() - before, number_of(page) - ticks
            told = measured(page)
    finally:
        server.stop()
    quarter = max(1, looks // 4)
    first, last = memory[quarter : 2 * quarter] or memory[:1], memory[-quarter:]
    result |= {
        "ticks": ticks,
        "paint_ms": rounded(told["tick_paint"]),
        "skipped_ticks": told["skipped"],
        "browser_cpu_ms_per_tick": round(1000 * cpu / max(1, ticks)),
        "second_quarter_mb": round(max(mb for mb, _ in first), 2),
        "last_quarter_mb": round(max(mb for mb, _ in last), 2),
        "second_quarter_nodes": max(nodes for _, nodes in first),
        "last_quarter_nodes": max(nodes for _, nodes in last),
        "over_time_mb": [round(mb, 2) for mb, _ in memory],
    }
    tell(result, chosen.json)


def last_minute(zones: int) -> dict[str, Any]:
    """An answer of /api/history: one row of each zone."""
    row = {
        "t": [int(time.time()) // 60 * 60_000 - 60_000],
        "dens": [1.3],
        "dens_lo": [1.2],
        "dens_hi": [1.4],
        "los": [5],
    }
    return {"window": "1m", "length_ms": 60_000, "zones": {f"z{n:04d}": row for n in range(zones)}}


def number_of(page: Any) -> int:
    """Number of the last tick that the page has painted."""
    found: int = page.evaluate(
        """async () => { const root = document.querySelector('link[rel=stylesheet]').href.replace(/[^/]+$/, '');
        return (await import(root + 'latency.js')).measured.number; }"""
    )
    return found


if __name__ == "__main__":
    main()
