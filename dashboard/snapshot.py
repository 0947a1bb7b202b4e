"""What the page shows at one moment, read from the store: one View per run and window.

A View holds rows of the products ``flow``, ``zones``, ``headings`` and ``health``, standing alerts and the run's own
row, and nothing else: the counters are those of the run's row (PRIVACY.md R6), never the engine's.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from dashboard.layout import GRACE_MS, Register, Rows, bound_of, delay_of, heading_window, layout_of
from dashboard.sensors import health_of
from engine.model import DIRECTIONS, END, LOS, NO_TIME, REASONS, STATUS, WINDOWS
from engine.timezone import TimeZone

if TYPE_CHECKING:
    from sinks.clickhouse.alerts import Alert
    from sinks.clickhouse.store import Run, Store

FLOW_COLUMNS = ("t", "n", "lo", "hi", "s", "c")
ZONE_COLUMNS = (
    "t", "in", "in_lo", "in_hi", "out", "out_lo", "out_hi", "s", "c",
    "occ", "occ_lo", "occ_hi", "err", "drift_lo", "drift_hi", "dens", "pace", "los",
)  # fmt: skip
HEADING_COLUMNS = ("t", "s", "way", "r")
_LAYOUTS = 32  # kept: of the views that are open, and of a few before them
_FLOW_SOURCE = {"n": "n", "lo": "n_low", "hi": "n_high"}
_ZONE_SOURCE = {
    "in": "inflow",
    "in_lo": "inflow_low",
    "in_hi": "inflow_high",
    "out": "outflow",
    "out_lo": "outflow_low",
    "out_hi": "outflow_high",
    "occ": "occupancy",
    "occ_lo": "occupancy_low",
    "occ_hi": "occupancy_high",
    "err": "error",
    "drift_lo": "drift_low",
    "drift_hi": "drift_high",
}
_COLUMNS: Mapping[str, tuple[Mapping[str, str], tuple[str, ...]]] = {
    "flow": (_FLOW_SOURCE, FLOW_COLUMNS),
    "zones": (_ZONE_SOURCE, ZONE_COLUMNS),
    "headings": ({}, HEADING_COLUMNS),
}
_ROUNDED = {"c": "coverage", "dens": "density", "pace": "speed", "way": "mean_heading", "r": "resultant_length"}

# What the page says of a standing alert (sinks/clickhouse/alerts.py Alert).
ALERT_FIELDS = (
    "id",
    "rule",
    "kind",
    "severity",
    "zone",
    "gate",
    "began_ms",
    "state",
    "owner",
    "note",
    "shelved_until_ms",
    "shelved_for",
)

Columns = dict[str, list[Any]]
Figures = Mapping[tuple[str, ...], Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Found:
    """Rows as the store has them: of flow by (gate, direction), of zones and of headings by (zone,)."""

    flow: Figures
    zones: Figures
    ways: Figures


@dataclass(frozen=True, slots=True)
class View:
    """One moment of one run. ``layout`` is all that stays while only figures change; rows follow its order.

    ``flow`` has 3 rows per gate (DIRECTIONS), ``zones`` one per zone, ``headings`` one per zone that has any; a row
    without figures holds None everywhere. ``health``: dashboard/sensors.py.
    ``quiet_ms``: the watermark age from which a running run is quiet. ``alerts``: those that stand, the worst first.
    ``timing``: of the newest rows of a live run, see ``_timing``.
    """

    layout: Mapping[str, Any]
    status: Mapping[str, Any]
    closed_ms: int | None
    flow: Columns
    zones: Columns
    headings: Columns
    health: Mapping[str, Any]
    quiet_ms: int
    alerts: Sequence[Mapping[str, Any]] = ()
    timing: Mapping[str, int] | None = None

    def quiet(self, now_ms: int) -> bool:
        """Whether a running run has closed nothing for longer than ticks allow: no ticks come, or nobody reads them."""
        running = self.status["kind"] == "live" and self.status["state"] == "running"
        return running and self.closed_ms is not None and now_ms - self.closed_ms > self.quiet_ms


def choose(store: Store, run_id: str | None) -> Run | None:
    """The run to show: the one asked for, else the newest live one, else the newest replay; None where there is none.

    A workbench run is another release of the same people: it is shown only when asked for by name.
    """
    if run_id is not None:
        return store.run(run_id)
    rank = {"live": 1, "replay": 0}
    known = [run for run in store.runs() if run.kind in rank]
    return max(known, key=lambda run: (rank[run.kind], run.started_ms, run.run_id), default=None)


def status_of(run: Run | None) -> dict[str, Any]:
    """The counters of the run's row; reasons in the order of the checks, zeros left out."""
    if run is None:
        return {"read": 0, "accepted": 0, "rejected": {}, "run_id": None, "kind": None, "state": None}
    order = {reason: place for place, reason in enumerate(REASONS)}
    rejected = sorted(run.rejected.items(), key=lambda item: (order.get(item[0], len(order)), item[0]))
    return {
        "read": run.read,
        "accepted": run.accepted,
        "rejected": {reason: n for reason, n in rejected if n},
        "run_id": run.run_id,
        "kind": run.kind,
        "state": run.state,
    }


def closed_ms(run: Run | None) -> int | None:
    """Up to where a live run has closed; None for other runs, and where nothing is closed or all is."""
    if run is None or run.kind != "live" or run.closed_ms == NO_TIME or run.closed_ms >= END:
        return None
    return run.closed_ms


class Views:
    """Makes Views from a store; keeps what it has read of registries (they never change under their hash)."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._registers: dict[str, Register] = {}
        self._nothing = Register()
        self._layouts: dict[tuple[Any, ...], Mapping[str, Any]] = {}

    def read(self, run_id: str | None, window: str | None) -> View | None:
        """The present View; None where no such run exists. ``window`` None = the finest leaf of the run's gates."""
        run = choose(self._store, run_id)
        if run is None:
            return None
        window = window or finest(run)
        found = Found(
            rows_of(self._store.latest(run.run_id, window), ("gate", "direction")),
            rows_of(self._store.latest_zones(run.run_id, window), ("zone",)),
            ways_of(self._store.latest_headings(run.run_id, heading_window(window))),
        )
        states, alerts = self._store.sensor_states(run.run_id), self._store.alerts(run.run_id, standing=True)
        return self.view(run, window, found, states, alerts, closed_ms(run))

    def view(
        self,
        run: Run,
        window: str,
        found: Found,
        states: Sequence[tuple[str, str, int]],
        alerts: Sequence[Alert],
        closed: int | None,
    ) -> View:
        """The View of rows, states of sensors and standing alerts, of a run that has closed up to ``closed`` (ms).

        A run that has closed nothing, or is no live one (None), is one of its last event.
        """
        register = self.register(run)
        sensors = register.approved(run.last_ms if closed is None and run.kind != "live" else closed)
        layout = self._layout(run, window, register, sensors, found)
        return View(
            layout,
            status_of(run),
            closed,
            figures_of(layout, "flow", found.flow),
            figures_of(layout, "zones", found.zones),
            figures_of(layout, "headings", found.ways),
            health_of(sensors, register, states),
            _quiet_ms(run),
            [{name: getattr(alert, name) for name in ALERT_FIELDS} for alert in alerts],
            _timing(run, layout, found) if run.kind == "live" else None,
        )

    def register(self, run: Run) -> Register:
        """The newest registry version that a run has met; one without rows where the store does not hold it."""
        digest = (run.registry_hash, *run.versions)[-1]
        if digest not in self._registers:
            text = self._store.registry(digest)
            if text is None:
                return self._nothing
            self._registers[digest] = Register(text)
        return self._registers[digest]

    def _layout(self, run: Run, window: str, register: Register, sensors: Rows, found: Found) -> Mapping[str, Any]:
        """The layout, made anew only where something it rests on has changed: it is all of a registry."""
        seen = (
            sorted({gate for gate, _ in found.flow}),
            sorted(z for (z,) in found.zones),
            sorted(z for (z,) in found.ways),
        )
        of_run = run.run_id, run.kind, run.config, run.config_hash, run.code_version, run.timezone, run.gate_delay_ms
        leaves = tuple(run.leaves.items())
        key = (*of_run, leaves, window, id(register), tuple(sensors), *map(tuple, seen))
        if key not in self._layouts:
            if len(self._layouts) >= _LAYOUTS:
                self._layouts.clear()
            self._layouts[key] = layout_of(run, window, register, sensors, *seen)
        return self._layouts[key]


def finest(run: Run) -> str:
    """The shortest window any gate of a run has rows of."""
    return min(run.leaves.values(), key=WINDOWS.index, default=WINDOWS[0])


def figures_of(layout: Mapping[str, Any], product: str, rows: Figures) -> Columns:
    """Columns of a product's rows by their keys, in the layout's order."""
    source, names = _COLUMNS[product]
    if product == "flow":
        return _columns([(gate["id"], way) for gate in layout["gates"] for way in DIRECTIONS], rows, source, names)
    of = layout["headings"]["zones"] if product == "headings" else layout["zones"]
    return _columns([(zone["id"],) for zone in of], rows, source, names)


def rows_of(table: Any, key: tuple[str, ...]) -> dict[tuple[str, ...], dict[str, Any]]:
    """Rows of a table by the columns ``key``, their times in ms; of rows of one key the last."""
    for name in ("window_start", "inserted_at"):
        if name in table.column_names:
            table = table.set_column(table.schema.get_field_index(name), name, table.column(name).cast("int64"))
    return {tuple(row[name] for name in key): row for row in table.to_pylist()}


def ways_of(table: Any) -> dict[tuple[str, ...], dict[str, Any]]:
    """One row per zone: of its sectors the first that is told, for mean heading and strength are the same in all."""
    out: dict[tuple[str, ...], dict[str, Any]] = {}
    for (zone, _), row in rows_of(table, ("zone", "sector")).items():
        held = out.setdefault((zone,), row)
        if row["n"] is not None and held["n"] is None:
            out[(zone,)] = row
    return out


def _columns(
    keys: Sequence[tuple[str, ...]],
    rows: Figures,
    source: Mapping[str, str],
    names: Sequence[str],
) -> Columns:
    def value(row: Mapping[str, Any] | None, name: str) -> Any:
        if row is None:
            return None
        if name == "t":
            return row["window_start"]
        if name == "s":
            return STATUS.index(row["status"])
        if name == "los":
            return LOS.index(row["los"])
        if name in _ROUNDED:
            told = row[_ROUNDED[name]]
            return None if told is None else round(told, 4)
        return row[source[name]]

    found = [rows.get(key) for key in keys]
    return {name: [value(row, name) for row in found] for name in names}


def _quiet_ms(run: Run) -> int:
    """A partition has a record or a tick in every tick_ms; the watermark stays bound_ms behind them."""
    config = json.loads(run.config) if run.config else {}
    return bound_of(config) + 2 * int(config.get("time", {}).get("tick_ms", 1000)) + GRACE_MS


def _timing(run: Run, layout: Mapping[str, Any], found: Found) -> dict[str, int] | None:
    """Of the newest window with rows: its end, when the watermark may pass it, when the last row came into the store.

    All in ms; the line is the latest of the rows that have come: end + bound + delay. None where there are no rows.
    """
    rows = [*found.flow.items(), *found.zones.items()]
    newest = max((row["window_start"] for _, row in rows), default=None)
    if newest is None:
        return None
    keys = {key[0] for key, row in rows if row["window_start"] == newest}
    delays = [delay_of(layout, row) for part in ("gates", "zones") for row in layout[part] if row["id"] in keys]
    code = WINDOWS.index(layout["window"])
    end = int(TimeZone(run.timezone).next(np.array([newest], np.int64), code)[0])
    inserted = max(row["inserted_at"] for _, row in rows if row["window_start"] == newest)
    return {"end": end, "line": end + layout["bound_ms"] + max(delays), "inserted": inserted}
