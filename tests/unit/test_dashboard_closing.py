"""What the page takes as shown at an instant is what the engine has told when its watermark stands there."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

import loadgen
from dashboard.layout import Register, delays_of, heading_window, layout_of
from dashboard.past import changed_at
from engine.config import Config
from engine.model import LENGTH_MS, WINDOWS
from tests.browser.fake_store import FakeRun
from tests.support.engine_run import run

MINUTE = 60_000


def document() -> Any:
    """The walkway with all sensors, a gate that is late, and limits low enough for a calm morning."""
    told = json.loads(json.dumps(loadgen.SCENARIOS["weekday"](seconds=60, equipment="all").registry))
    next(gate for gate in told["gates"] if gate["id"] == "j3")["delay_s"] = 12
    limits = [("density", 0.01), ("flow", 1.0), ("speed", 5.0), ("sensor_loss", 0.99)]
    told["thresholds"] = [
        {"id": kind, "kind": kind, "on_delay_s": 10, "off_delay_s": 10, "limits": [{"limit": limit}]}
        for kind, limit in limits
    ]
    told["thresholds"].append(
        {"id": "lost", "kind": "sensor_loss", "by": "health", "on_delay_s": 0, "limits": [{"limit": 0.99}]}
    )
    return told


def keys(rows: list[dict[str, Any]], *names: str) -> set[tuple[Any, ...]]:
    return {tuple(row[name] for name in names) for row in rows}


def made(register: Register, window: str) -> Any:
    run = FakeRun(leaves={})
    return layout_of(run, window, register, register.sensors, (), (), [*register.zones])  # type: ignore[arg-type]


def test_rows_come_when_the_pages_delays_say_so():
    scenario = loadgen.SCENARIOS["weekday"](seconds=240, equipment="all")
    half = scenario.start_ms + 90_000
    # from then on the sensors of a gate are silent
    told = [m for m in scenario.events() if not (m.arrival_ms > half and m.key.startswith(b"k3-0"))]
    log, of = [(m.value, m.arrival_ms) for m in told], document()
    whole = run(of, [log], Config(), by_line=True)
    register = Register(json.dumps(of))
    layouts = {window: made(register, window) for window in WINDOWS[:3]}
    delays = delays_of(layouts["10s"])
    seen = dict.fromkeys(("flow", "zones", "headings", "health", "alerts"), 0)
    for cut in np.linspace(len(log) * 0.4, len(log), 6).astype(int).tolist():
        part = run(of, [log[:cut]], Config(), finish=False, by_line=True)
        w = min(owner.watermark for owner in part.owners)
        for product, names in (
            ("flow", ("window", "window_start", "gate", "direction")),
            ("zones", ("window", "window_start", "zone")),
            ("headings", ("window", "window_start", "zone", "sector")),
        ):
            now = [row for row in part.rows.get(product, []) if row["window"] in layouts]
            then = [row for row in whole.rows[product] if row["window"] in layouts and shown(layouts, product, row, w)]
            assert keys(now, *names) == keys(then, *names), (product, w)
            seen[product] += len(then)
        alerts = [row for row in whole.rows["alerts"] if changed_at(row, register, delays) <= w]
        assert keys(part.rows.get("alerts", []), "id", "state", "changed") == keys(alerts, "id", "state", "changed")
        # the minute alone is stored: what the page shows is told, and may have been told a while before
        health = [row for row in whole.rows["health"] if row["window_start"] + MINUTE <= w]
        assert keys(part.rows.get("health", []), "sensor", "window_start") >= keys(health, "sensor", "window_start")
        seen["alerts"] += len(alerts)
        seen["health"] += len(health)
    assert all(seen.values()), seen


def shown(layouts: Any, product: str, row: dict[str, Any], at_ms: int) -> bool:
    window = row["window"]
    of = layouts["10s" if product == "headings" and window == heading_window("10s") else window]
    late = delays_of(of)["gates" if product == "flow" else product][row["gate" if product == "flow" else "zone"]]
    return bool(row["window_start"] + LENGTH_MS[WINDOWS.index(window)] + late <= at_ms)
