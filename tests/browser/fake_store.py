"""A store in memory with what the page reads: for the look of the page, not for what a store does."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pyarrow as pa

from engine.errors import UsageError
from engine.model import LENGTH_MS, NO_TIME, WINDOWS
from sinks.clickhouse.alerts import Action, Alert
from sinks.clickhouse.history import DENSITIES, SPAN, USUAL

CONFIG = json.dumps({"flow": {"k": 5, "guard": 1}, "time": {"bound_ms": 5000}})
GATES: list[dict[str, Any]] = [
    {"id": "j1", "a": "c1", "b": None, "leaf": "10s", "delay_s": 0},
    {"id": "j2", "a": "c1", "b": "c2", "leaf": "10s", "delay_s": 0},
    {"id": "j3", "a": None, "b": None, "leaf": "1m", "delay_s": 0},
]
REGISTRY = {
    "version": "1",
    "timezone": "Asia/Tokyo",
    "zones": [
        {"id": "c1", "name": {"ja": "北1条", "en": "Kita 1-jo"}, "kind": "walkway"},
        {"id": "c2", "name": {"ja": "北2条", "en": "Kita 2-jo"}, "kind": "plaza"},
    ],
    "gates": GATES,
    "sensors": [],
}
# Zone c2 has a gate that is told by the minute, so no rows of 10 s.
BY_THE_MINUTE = {**REGISTRY, "gates": [{**gate, **({"a": "c2"} if gate["id"] == "j3" else {})} for gate in GATES]}
FLOW = pa.schema(
    [
        ("window", pa.string()),
        ("window_start", pa.timestamp("ms", "UTC")),
        ("gate", pa.string()),
        ("direction", pa.string()),
        ("n", pa.int64()),
        ("n_low", pa.int64()),
        ("n_high", pa.int64()),
        ("status", pa.string()),
        ("coverage", pa.float64()),
        ("inserted_at", pa.timestamp("ms", "UTC")),
    ]
)
SIDES = [f"{side}{part}" for side in ("inflow", "outflow") for part in ("", "_low", "_high")]
INSIDE = ("occupancy", "occupancy_low", "occupancy_high", "error", "drift_low", "drift_high")
ZONES = pa.schema(
    [
        ("window", pa.string()),
        ("window_start", pa.timestamp("ms", "UTC")),
        ("zone", pa.string()),
        *((name, pa.int64()) for name in SIDES),
        ("status", pa.string()),
        ("coverage", pa.float64()),
        *((name, pa.float64() if name.startswith("occupancy") else pa.int64()) for name in INSIDE),
        ("density", pa.float64()),
        ("speed", pa.float64()),
        ("los", pa.string()),
        ("inserted_at", pa.timestamp("ms", "UTC")),
    ]
)

HEADINGS = pa.schema(
    [
        ("window", pa.string()),
        ("window_start", pa.timestamp("ms", "UTC")),
        ("zone", pa.string()),
        ("sector", pa.int64()),
        ("n", pa.int64()),
        ("status", pa.string()),
        ("mean_heading", pa.float64()),
        ("resultant_length", pa.float64()),
    ]
)


@dataclass(frozen=True)
class FakeRun:
    run_id: str = "live"
    kind: str = "live"
    config: str = CONFIG
    registry_hash: str = "h1"
    versions: tuple[str, ...] = ()
    timezone: str = "Asia/Tokyo"
    leaves: dict[str, str] = field(default_factory=lambda: {"j1": "10s", "j2": "10s", "j3": "1m"})
    gate_delay_ms: int = 0
    first_ms: int | None = None
    last_ms: int | None = None
    closed_ms: int = NO_TIME
    read: int = 0
    accepted: int = 0
    rejected: dict[str, int] = field(default_factory=dict)
    state: str = "running"
    started_ms: int = 1
    updated_ms: int = 0
    registry_version: str = "1"
    code_version: str = "0"
    config_hash: str = "c"
    events: str = "people"


def inserted(window: str, start_ms: int) -> int:
    """When a store in good health has the rows of a window: end, bound and half a second."""
    return start_ms + LENGTH_MS[WINDOWS.index(window)] + 5_500


class FakeStore:
    """Rows as a test puts them; ``broken`` = answers nothing."""

    def __init__(self, registry: dict[str, Any] | None = None, *runs: FakeRun) -> None:
        self.registries = {"h1": json.dumps(registry or REGISTRY)}
        self.by_id = {run.run_id: run for run in runs or (FakeRun(),)}
        self.flow: dict[tuple[str, str, str, str], dict[str, Any]] = {}
        self.zone_rows: dict[tuple[str, str, str], dict[str, Any]] = {}
        self.standing: dict[str, list[Alert]] = {}
        self.acted: list[Action] = []
        self.heading_rows: dict[tuple[str, str, str, int], dict[str, Any]] = {}
        self.states: list[tuple[str, str, int]] = []  # sensor, state, since in ms
        self.broken = False
        self.now_ms: Callable[[], int] | None = None
        self.reads = 0

    def put(
        self,
        gate: str,
        direction: str,
        start_ms: int,
        n: tuple[int, int] | None,
        *,
        run: str = "live",
        window: str = "10s",
        coverage: float | None = 0.95,
        k: int = 6,
    ) -> None:
        low, high = n if n is not None else (None, None)
        if n is None:
            status, middle = "unknown", None
        elif low == high:
            status, middle = "released", low
        elif high < k:  # type: ignore[operator]
            status, middle = "suppressed", None
        else:
            status, middle = "range", (low + high) // 2  # type: ignore[operator]
        self.flow[run, window, gate, direction] = {
            "window": window,
            "window_start": start_ms,
            "gate": gate,
            "direction": direction,
            "n": middle,
            "n_low": low,
            "n_high": high,
            "status": status,
            "coverage": 0.0 if n is None else coverage,
            "inserted_at": inserted(window, start_ms),
        }

    def put_zone(
        self,
        zone: str,
        start_ms: int,
        inflow: tuple[int, int] | None,
        outflow: tuple[int, int] | None,
        *,
        run: str = "live",
        window: str = "10s",
        coverage: float | None = 0.95,
        **inside: Any,
    ) -> None:
        """``inside``: occupancy, its bounds, error, drift, density, speed and los; null and unknown where not given."""
        row: dict[str, Any] = {"window": window, "window_start": start_ms, "zone": zone, "coverage": coverage}
        row |= {"los": "unknown", "inserted_at": inserted(window, start_ms), **inside}
        for side, bounds in (("inflow", inflow), ("outflow", outflow)):
            low, high = bounds or (None, None)
            row |= {f"{side}_low": low, f"{side}_high": high}
            row[side] = None if low is None or high is None else (low + high) // 2
        row["status"] = "unknown" if inflow is None else "range"
        self.zone_rows[run, window, zone] = row

    def alerts(self, run_id: str, *, standing: bool = False, since_ms: int | None = None) -> list[Alert]:
        self._answer()
        held = [self._acted(run_id, alert) for alert in self.standing.get(run_id, [])]
        return [a for a in held if (a.standing or not standing) and a.began_ms >= (since_ms or 0)]

    def _acted(self, run_id: str, alert: Alert) -> Alert:
        for action in self.actions(run_id, [alert.id]):
            if action.action == "acknowledge":
                alert = replace(alert, state="acknowledged")
            elif action.action == "assign":
                alert = replace(alert, owner=action.owner)
            elif action.action == "note":
                alert = replace(alert, note=action.reason)
            elif action.action == "shelve":
                alert = replace(alert, shelved_until_ms=action.until_ms, shelved_for=action.reason)
            elif action.action == "unshelve":
                alert = replace(alert, shelved_until_ms=None, shelved_for="")
            else:
                alert = replace(alert, state="resolved" if action.action == "resolve" else "acknowledged")
        return alert

    def actions(self, run_id: str, of: Sequence[str] | None = None) -> list[Action]:
        self._answer()
        return [a for a in self.acted if a.run_id == run_id and (of is None or a.alert in of)]

    def act(self, action: Action) -> None:
        self._answer()
        if action.alert not in {alert.id for alert in self.standing.get(action.run_id, [])}:
            raise UsageError("alerts: the run has no such alert")
        self.acted.append(action)

    def put_headings(
        self, zone: str, start_ms: int, n: dict[int, tuple[int, int]] | None, way: tuple[float | None, float | None],
        *, run: str = "live", window: str = "1m",
    ) -> None:  # fmt: skip
        """``n``: bounds by sector, of the others few; None = unknown. ``way``: mean heading and resultant length."""
        for sector in range(8):
            low, high = (None, None) if n is None else n.get(sector, (0, 5))
            told = None if low is None or high is None or high < 6 else (low + high) // 2
            status = "unknown" if n is None else "range" if told is not None else "suppressed"
            self.heading_rows[run, window, zone, sector] = {
                "window": window,
                "window_start": start_ms,
                "zone": zone,
                "sector": sector,
                "n": told,
                "status": status,
                "mean_heading": way[0],
                "resultant_length": way[1],
            }

    def update(self, run: str = "live", **values: Any) -> None:
        self.by_id[run] = replace(self.by_id[run], **values)

    def _answer(self) -> None:
        self.reads += 1
        if self.broken:
            raise RuntimeError("gone")

    def run(self, run_id: str) -> FakeRun | None:
        self._answer()
        found = self.by_id.get(run_id)
        return None if found is None else self._closing(found)

    def runs(self) -> list[FakeRun]:
        self._answer()
        return [self._closing(run) for run in self.by_id.values()]

    def _closing(self, run: FakeRun) -> FakeRun:
        """The run as it goes on closing, as long as ``now_ms`` tells when now is."""
        if self.now_ms is None or run.closed_ms == NO_TIME:
            return run
        return replace(run, closed_ms=max(run.closed_ms, self.now_ms() - 6_000))

    def latest(self, run_id: str, window: str) -> pa.Table:
        self._answer()
        assert window in WINDOWS
        rows = [row for key, row in sorted(self.flow.items()) if key[:2] == (run_id, window)]
        return pa.Table.from_pylist(rows, schema=FLOW)

    def latest_zones(self, run_id: str, window: str) -> pa.Table:
        self._answer()
        rows = [row for key, row in sorted(self.zone_rows.items()) if key[:2] == (run_id, window)]
        return pa.Table.from_pylist(rows, schema=ZONES)

    def newest_start(self, product: str, run_id: str, window: str, until_ms: int) -> int | None:
        self._answer()
        assert product == "zones"
        starts = [row["window_start"] for key, row in self.zone_rows.items() if key[:2] == (run_id, window)]
        return max((start for start in starts if start <= until_ms), default=None)

    def zone_span(
        self, run_id: str, window: str, start_ms: int, end_ms: int, zones: Sequence[str] | None = None
    ) -> pa.Table:
        self._answer()
        rows = [
            {**dict.fromkeys(SPAN.names), **row, "t": row["window_start"]}
            for key, row in sorted(self.zone_rows.items())
            if key[:2] == (run_id, window) and start_ms <= row["window_start"] < end_ms
        ]
        return pa.Table.from_pylist([row for row in rows if zones is None or row["zone"] in zones], schema=SPAN)

    def zone_densities(self, run_id: str, window: str, start_ms: int, end_ms: int) -> pa.Table:
        return self.zone_span(run_id, window, start_ms, end_ms).select(DENSITIES.names)

    def usual_zones(self, runs: Sequence[str], starts: Any, days: Any) -> pa.Table:
        self._answer()
        return USUAL.empty_table()

    def latest_headings(self, run_id: str, window: str) -> pa.Table:
        self._answer()
        rows = [row for key, row in sorted(self.heading_rows.items()) if key[:2] == (run_id, window)]
        return pa.Table.from_pylist(rows, schema=HEADINGS)

    def span(self, product: str, run_id: str, window: str) -> tuple[int, int] | None:
        self._answer()
        held = self.flow if product == "flow" else self.zone_rows
        starts = [row["window_start"] for key, row in held.items() if key[:2] == (run_id, window)]
        return (min(starts), max(starts)) if starts else None

    def sensor_states(self, run_id: str) -> list[tuple[str, str, int]]:
        self._answer()
        return sorted(self.states) if run_id in self.by_id else []

    def registry(self, digest: str) -> str | None:
        self._answer()
        return self.registries.get(digest)
