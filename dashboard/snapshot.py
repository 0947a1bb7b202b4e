"""What the page shows at one moment, read from the store: one View per run and window.

A View holds rows of the products ``flow``, ``zones``, ``headings`` and ``health``, standing alerts and the run's own
row, and nothing else: the counters are those of the run's row (PRIVACY.md R6), never the engine's.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from dashboard.columns import Columns, Table, keys_of, table_of
from dashboard.layout import (
    GRACE_MS,
    Register,
    Rows,
    bound_of,
    delay_of,
    finest,
    heading_window,
    layout_of,
    windows_of,
)
from dashboard.sensors import health_of
from engine.model import END, NO_TIME, REASONS, WINDOWS
from engine.timezone import TimeZone
from sinks.clickhouse.runs import PEOPLE

if TYPE_CHECKING:
    from sinks.clickhouse.alerts import Alert
    from sinks.clickhouse.store import Run, Store

_REGISTERS = 16  # kept: of a city each is some megabytes, and every edit of a threshold is another one
_LAYOUTS = 32  # kept: of the views that are open, and of a few before them

# What the page says of a standing alert (sinks/clickhouse/alerts.py Alert).
ALERT_FIELDS = (
    "id",
    "rule",
    "kind",
    "severity",
    "zone",
    "gate",
    "of_window",
    "began_ms",
    "value",
    "threshold",
    "state",
    "owner",
    "note",
    "shelved_until_ms",
    "shelved_for",
)


@dataclass(frozen=True, slots=True)
class Found:
    """Rows of flow, zones and headings as the store has them."""

    flow: Table
    zones: Table
    headings: Table


@dataclass(frozen=True, slots=True)
class View:
    """One moment of one run. ``layout`` is all that stays while only figures change; rows follow its order.

    ``flow`` has 3 rows per gate (DIRECTIONS), ``zones`` one per zone, ``headings`` one per zone that has any; a row
    without figures holds None everywhere. ``health``: dashboard/sensors.py.
    ``quiet_ms``: the watermark age from which a running run is quiet. ``alerts``: those that stand, the worst first.
    ``timing``: of the newest rows of a live run, see ``_timing``. ``told_ms``: when the run's row was written last.
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
    told_ms: int = 0

    def problem(self, now_ms: int) -> str | None:
        """What is wrong with a running run that has closed nothing for longer than ticks allow.

        "behind": it tells of itself, so it catches up with what has come meanwhile. "quiet": no ticks come, or nobody
        reads them.
        """
        running = self.status["kind"] == "live" and self.status["state"] == "running"
        if not running or self.closed_ms is None or now_ms - self.closed_ms <= self.quiet_ms:
            return None
        return "behind" if now_ms - self.told_ms <= GRACE_MS else "quiet"


def choose(store: Store, run_id: str | None, events: str = PEOPLE) -> Run | None:
    """The run to show: the one asked for, else of a stream's the newest live one, else the newest replay; or None.

    A workbench run is another release of the same people: it is shown only when asked for by name. So is, by default, a
    run beside people, which has no gates.
    """
    if run_id is not None:
        return store.run(run_id)
    rank = {"live": 1, "replay": 0}
    known = [run for run in store.runs() if run.kind in rank and run.events == events]
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
        self._spans: dict[tuple[str, int, int], tuple[int, int]] = {}
        self._changes: dict[tuple[str, ...], list[dict[str, Any]]] = {}
        self._layouts: dict[tuple[Any, ...], Mapping[str, Any]] = {}

    def read(self, run_id: str | None, window: str | None) -> View | None:
        """The present View; None where no such run exists. ``window`` None = each gate and zone in its finest."""
        run = choose(self._store, run_id)
        if run is None:
            return None
        register, closed = self.register(run), closed_ms(run)
        sensors = register.approved(run.last_ms if run.kind != "live" else closed)
        plain = self.layout(run, window, register, sensors)
        flow = rows_of(plain, "flow", partial(self._store.latest, run.run_id))
        zones = rows_of(plain, "zones", partial(self._store.latest_zones, run.run_id))
        headings = self._store.latest_headings(run.run_id, heading_window(plain["window"]))
        found = Found(table_of("flow", flow), table_of("zones", zones), table_of("headings", headings))
        layout = self.layout(run, window, register, sensors, found)
        return View(
            layout,
            status_of(run),
            closed,
            figures_of(layout, found.flow),
            figures_of(layout, found.zones),
            figures_of(layout, found.headings),
            health_of(sensors, register, self._store.sensor_states(run.run_id)),
            _quiet_ms(run),
            [alert_of(alert) for alert in self._store.alerts(run.run_id, standing=True)],
            _timing(run, layout, found, [flow, zones]) if run.kind == "live" else None,
            run.updated_ms,
        )

    def runs(self) -> list[dict[str, Any]]:
        """All runs of people, the newest first: what they are, and the span of their finest stored windows in ms.

        Not first_ms and last_ms: those of a live run are times at which people were seen (PRIVACY.md R6).
        """
        runs = sorted(
            (r for r in self._store.runs() if r.events == PEOPLE),
            key=lambda run: (run.started_ms, run.run_id),
            reverse=True,
        )
        told = []
        for run in runs:
            start, end = self._span(run)
            row = {"run_id": run.run_id, "kind": run.kind, "state": run.state, "started_ms": run.started_ms}
            told.append({**row, "from_ms": start, "to_ms": end})
        return told

    def _span(self, run: Run) -> tuple[int | None, int | None]:
        """Start of the oldest and end of the newest window of a run's finest length; kept where no more come."""
        key = run.run_id, run.started_ms, run.closed_ms
        if key in self._spans and run.state != "running":
            return self._spans[key]
        window = finest(run)
        found = self._store.span("flow", run.run_id, window) or self._store.span("zones", run.run_id, window)
        if found is None:
            return None, None
        span = found[0], end_of(run, window, found[1])
        if run.state != "running":
            self._spans[key] = span
        return span

    def register(self, run: Run) -> Register:
        """The newest registry version that a run has met; one without rows where the store does not hold it."""
        return self.version((run.registry_hash, *run.versions)[-1])

    def version(self, digest: str) -> Register:
        """The registry of that hash, or the newest of that version."""
        held = self._registers.pop(digest, None)
        if held is None:
            text = self._store.registry(digest)
            if text is None:
                return self._nothing
            held = Register(text)
            if len(self._registers) >= _REGISTERS:
                del self._registers[next(iter(self._registers))]
        self._registers[digest] = held  # the one asked for longest ago stands first
        return held

    def changes(self, run: Run) -> list[dict[str, Any]]:
        """Every edit of the thresholds that a run has met, the newest first: version, by, at, rules that it changed."""
        key = (run.run_id, run.registry_hash, *run.versions)
        if key not in self._changes:
            if len(self._changes) >= _LAYOUTS:
                self._changes.clear()
            self._changes[key] = [
                {"version": edit.version, "by": edit.by, "at": edit.at, "rules": _edited(edit.before, edit.after)}
                for edit in reversed(self._store.threshold_changes(run.run_id))
            ]
        return self._changes[key]

    def layout(
        self, run: Run, window: str | None, register: Register, sensors: Rows, found: Found | None = None
    ) -> Mapping[str, Any]:
        """The layout, made anew only where something it rests on has changed: it is all of a registry.

        Without ``found`` that of what the registry and the run know.
        """
        tables = () if found is None else (found.flow, found.zones, found.headings)
        seen = [sorted({key[0] for key in table.keys}) for table in tables] or [[], [], []]
        of_run = run.run_id, run.kind, run.config, run.config_hash, run.code_version, run.timezone, run.gate_delay_ms
        leaves = tuple(run.leaves.items())
        key = (*of_run, leaves, window, register, tuple(sensors), *map(tuple, seen))
        if key not in self._layouts:
            if len(self._layouts) >= _LAYOUTS:
                self._layouts.clear()
            self._layouts[key] = layout_of(run, window, register, sensors, *seen)
        return self._layouts[key]


def rows_of(layout: Mapping[str, Any], product: str, read: Callable[[str], pa.Table]) -> pa.Table:
    """Rows of flow or zones, of each gate or zone those of the window in which the layout shows it.

    ``read``: rows of all of them in windows of one label. What the layout does not know is shown in its shortest.
    """
    shown, key = windows_of(layout, product), "gate" if product == "flow" else "zone"
    parts = []
    for label in sorted({layout["window"], *shown.values()}, key=WINDOWS.index):
        rows = read(label)
        mine = [shown.get(place, layout["window"]) == label for place in rows[key].to_pylist()]
        parts.append(rows if all(mine) else rows.filter(pa.array(mine, pa.bool_())))
    return pa.concat_tables(parts) if len(parts) > 1 else parts[0]


def end_of(run: Run, window: str, start_ms: int) -> int:
    """End (ms) of a run's window of that length that starts then."""
    return int(TimeZone(run.timezone).next(np.array([start_ms], np.int64), WINDOWS.index(window))[0])


def figures_of(layout: Mapping[str, Any], table: Table) -> Columns:
    """Columns of a product's rows, in the layout's order."""
    places = table.places(range(len(table)))
    return table.picked([places.get(key) for key in keys_of(layout, table.product)])


def _edited(before: Sequence[Mapping[str, Any]], after: Sequence[Mapping[str, Any]]) -> list[str]:
    """Ids of the rules that one of the two has and the other not, or otherwise."""
    old, new = ({str(rule.get("id")): rule for rule in rules} for rules in (before, after))
    return [rule for rule in {**old, **new} if old.get(rule) != new.get(rule)]


def alert_of(alert: Alert) -> dict[str, Any]:
    """An alert as the page is told of it."""
    return {name: getattr(alert, name) for name in ALERT_FIELDS}


def _quiet_ms(run: Run) -> int:
    """A partition has a record or a tick in every tick_ms; the watermark stays bound_ms behind them."""
    config = json.loads(run.config) if run.config else {}
    return bound_of(config) + 2 * int(config.get("time", {}).get("tick_ms", 1000)) + GRACE_MS


def _timing(run: Run, layout: Mapping[str, Any], found: Found, tables: Sequence[pa.Table]) -> dict[str, int] | None:
    """Of the newest window with rows: its end, when the watermark may pass it, when the last row came into the store.

    All in ms; the line is the latest of the rows that have come: end + bound + delay. None where there are no rows.
    """
    of = [
        (start, key[0], inserted)
        for table, rows in zip((found.flow, found.zones), tables, strict=True)
        for start, key, inserted in zip(
            table.start.tolist(), table.keys, rows["inserted_at"].cast("int64").to_pylist(), strict=True
        )
    ]
    if not of:
        return None
    newest = max(start for start, *_ in of)
    ids = {key for start, key, _ in of if start == newest}
    places = [row for part in ("gates", "zones") for row in layout[part] if row["id"] in ids]
    shortest = min((row["window"] for row in places), key=WINDOWS.index)
    ids = {row["id"] for row in places if row["window"] == shortest}
    end, delay = end_of(run, shortest, newest), max(delay_of(layout, row) for row in places if row["id"] in ids)
    inserted = max(at for start, key, at in of if start == newest and key in ids)
    return {"end": end, "line": end + layout["bound_ms"] + delay, "inserted": inserted}
