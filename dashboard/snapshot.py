"""What the page shows at one moment, read from the store: one View per run and window.

A View holds rows of the products ``flow``, ``zones``, ``headings`` and ``health``, standing alerts and the run's own
row, and nothing else: the counters are those of the run's row (PRIVACY.md R6), never the engine's.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dashboard.sensors import health_of
from engine.follow import Follow
from engine.model import DIRECTIONS, END, LENGTH_MS, LOS, MINUTE, NO_TIME, REASONS, STATUS, WINDOWS

if TYPE_CHECKING:
    from sinks.clickhouse.store import Run, Store

GRACE_MS = 10_000  # what a row may be late beyond window, delay and bound before it counts as unknown
FLOW_COLUMNS = ("t", "n", "lo", "hi", "s", "c")
ZONE_COLUMNS = (
    "t", "in", "in_lo", "in_hi", "out", "out_lo", "out_hi", "s", "c",
    "occ", "occ_lo", "occ_hi", "err", "drift_lo", "drift_hi", "dens", "pace", "los",
)  # fmt: skip
HEADING_COLUMNS = ("t", "s", "way", "r")
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


@dataclass(frozen=True, slots=True)
class View:
    """One moment of one run. ``layout`` is all that stays while only figures change; rows follow its order.

    ``flow`` has 3 rows per gate (DIRECTIONS), ``zones`` one per zone, ``headings`` one per zone that has any; a row
    without figures holds None everywhere. ``health``: dashboard/sensors.py.
    ``quiet_ms``: the watermark age from which a running run is quiet. ``alerts``: those that stand, the worst first.
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
        self._registries: dict[str, Mapping[str, Any]] = {}

    def read(self, run_id: str | None, window: str | None) -> View | None:
        """The present View; None where no such run exists. ``window`` None = the finest leaf of the run's gates."""
        run = choose(self._store, run_id)
        if run is None:
            return None
        if window is None:
            window = min(run.leaves.values(), key=WINDOWS.index, default=WINDOWS[0])
        flow = _rows(self._store.latest(run.run_id, window), ("gate", "direction"))
        zones = _rows(self._store.latest_zones(run.run_id, window), ("zone",))
        ways = _ways(self._store.latest_headings(run.run_id, _heading_window(window)))
        registry = self._registry((run.registry_hash, *run.versions)[-1])
        layout = _layout(run, window, registry, [key[0] for key in flow], zones, ways)
        flow_keys = [(gate["id"], direction) for gate in layout["gates"] for direction in DIRECTIONS]
        zone_keys = [(zone["id"],) for zone in layout["zones"]]
        way_keys = [(zone["id"],) for zone in layout["headings"]["zones"]]
        return View(
            layout,
            status_of(run),
            closed_ms(run),
            _columns(flow_keys, flow, _FLOW_SOURCE, FLOW_COLUMNS),
            _columns(zone_keys, zones, _ZONE_SOURCE, ZONE_COLUMNS),
            _columns(way_keys, ways, {}, HEADING_COLUMNS),
            self._health(run, registry),
            _quiet_ms(run),
            [
                {name: getattr(alert, name) for name in ALERT_FIELDS}
                for alert in self._store.alerts(run.run_id, standing=True)
            ],
        )

    def _health(self, run: Run, registry: Mapping[str, Any]) -> dict[str, Any]:
        places = {part: _named(registry, part) for part in ("sensors", "gates", "zones")}
        now = closed_ms(run) if run.kind == "live" else run.last_ms
        return health_of(places, now, self._store.sensor_states(run.run_id), _name)

    def _registry(self, digest: str) -> Mapping[str, Any]:
        if digest not in self._registries:
            text = self._store.registry(digest)
            if text is None:
                return {}
            document = json.loads(text)
            self._registries[digest] = document if isinstance(document, dict) else {}
        return self._registries[digest]


def _rows(table: Any, key: tuple[str, ...]) -> dict[tuple[str, ...], dict[str, Any]]:
    at = table.schema.get_field_index("window_start")
    plain = table.set_column(at, "window_start", table.column("window_start").cast("int64"))
    return {tuple(row[name] for name in key): row for row in plain.to_pylist()}


def _ways(table: Any) -> dict[tuple[str, ...], dict[str, Any]]:
    """One row per zone: of its sectors the first that is told, for mean heading and strength are the same in all."""
    out: dict[tuple[str, ...], dict[str, Any]] = {}
    for (zone, _), row in _rows(table, ("zone", "sector")).items():
        held = out.setdefault((zone,), row)
        if row["n"] is not None and held["n"] is None:
            out[(zone,)] = row
    return out


def _heading_window(window: str) -> str:
    """Headings have no shorter windows than a minute."""
    return WINDOWS[max(MINUTE, WINDOWS.index(window))]


def _columns(
    keys: Sequence[tuple[str, ...]],
    rows: Mapping[tuple[str, ...], Mapping[str, Any]],
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


def _named(document: Mapping[str, Any], part: str) -> dict[str, Mapping[str, Any]]:
    rows = document.get(part)
    return {row["id"]: row for row in rows if isinstance(row, dict) and "id" in row} if isinstance(rows, list) else {}


def _name(row: Mapping[str, Any], otherwise: str) -> dict[str, str]:
    name = row.get("name")
    told = {k: v for k, v in name.items() if isinstance(v, str) and v} if isinstance(name, dict) else {}
    first = next(iter(told.values()), otherwise)
    return {language: told.get(language, first) for language in ("ja", "en")}


def _quiet_ms(run: Run) -> int:
    """A partition has a record or a tick in every tick_ms; the watermark stays bound_ms behind them."""
    time = (json.loads(run.config) if run.config else {}).get("time", {})
    return int(time.get("bound_ms", 5000)) + 2 * int(time.get("tick_ms", 1000)) + GRACE_MS


def _layout(
    run: Run, window: str, registry: Mapping[str, Any], seen_gates: Sequence[str], seen_zones: Any, ways: Any
) -> dict[str, Any]:
    config = json.loads(run.config) if run.config else {}
    flow, time, headings = (config.get(section, {}) for section in ("flow", "time", "headings"))
    length = LENGTH_MS[WINDOWS.index(window)]
    slack = length + int(time.get("bound_ms", 5000)) + GRACE_MS
    of_ways = LENGTH_MS[WINDOWS.index(_heading_window(window))]
    follow = Follow(
        int(config.get("points", {}).get("track_ms", 2000)), int(config.get("beams", {}).get("pair_ms", 1500))
    )
    way_limit = slack - length + of_ways + follow.track_ms
    zones, gates = _named(registry, "zones"), _named(registry, "gates")
    gate_ids = list(dict.fromkeys([*gates, *sorted(run.leaves), *sorted(seen_gates)]))
    zone_ids = list(dict.fromkeys([*zones, *sorted(key[0] for key in [*seen_zones, *ways])]))

    paired = {row.get("gate") for row in _named(registry, "sensors").values() if row.get("kind") == "beam_pair"}

    def delay(gate: str) -> int:
        if gate not in gates:
            return run.gate_delay_ms
        row = gates[gate]
        behind = follow.behind_ms(lined=bool(row.get("line_m")), paired=gate in paired)
        return round(float(row.get("delay_s") or 0) * 1000) + behind

    def side(gate: str, which: str) -> dict[str, str] | None:
        zone = gates.get(gate, {}).get(which)
        return None if zone is None else _name(zones.get(zone, {}), zone)

    def touching(zone: str) -> list[str]:
        return [gate for gate, row in gates.items() if zone in (row.get("a"), row.get("b"))]

    def late_by(zone: str) -> int:
        read = follow.track_ms if zones.get(zone, {}).get("polygon_m") else 0  # by trackers
        return max((delay(gate) for gate in touching(zone)), default=read if gates or read else run.gate_delay_ms)

    def coarsest(zone: str) -> str:
        leaves = [run.leaves.get(gate, gates[gate].get("leaf", WINDOWS[0])) for gate in touching(zone)]
        return max(leaves, key=WINDOWS.index, default=WINDOWS[0])

    return {
        "run": {"id": run.run_id, "kind": run.kind, "timezone": run.timezone},
        "window": window,
        "length_ms": length,
        "exact": bool(config.get("status", {}).get("exact", False)),
        "k": int(flow.get("k", 5)) + int(flow.get("guard", 1)),
        "gates": [
            {
                "id": gate,
                "name": _name(gates.get(gate, {}), gate),
                "a": side(gate, "a"),
                "b": side(gate, "b"),
                "leaf": run.leaves.get(gate) or gates.get(gate, {}).get("leaf"),
                "limit_ms": slack + delay(gate),
            }
            for gate in gate_ids
        ],
        "zones": [
            {
                "id": zone,
                "name": _name(zones.get(zone, {}), zone),
                "leaf": coarsest(zone),
                "limit_ms": slack + late_by(zone),
            }
            for zone in zone_ids
        ],
        "headings": {
            "window": _heading_window(window),
            "length_ms": of_ways,
            "k": int(headings.get("k", 5)) + int(headings.get("guard", 1)),
            "zones": [
                {"id": zone, "name": _name(zones.get(zone, {}), zone), "leaf": None, "limit_ms": way_limit}
                for zone in zone_ids
                if (zone,) in ways
            ],
        },
    }
