"""Columns of the registry for the kernels: one set of rows for all versions that a run meets.

A later version appends rows and never renumbers: what was counted under a row stays there::

    version   sensor rows
    A         0 s1@g1   1 s2@g1
    B         0 s1@g1   1 s2@g1   2 s2@g2      s2 was moved to gate g2, s1 is gone: its row stays, without an id
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from engine.follow import Follow
from engine.model import I8, I32, I64
from engine.registry import BEAM_PAIR, TRACKER, Device, Gate, Registry, Sensor, Zone
from engine.timezone import TimeZone

_R = TypeVar("_R")


@dataclass(frozen=True, init=False)
class Tables:
    """Rows of sensors (S), gates (G), zones (Z) and devices of ``registry`` and of the versions ``before`` it.

    ``sensor_gate`` -1 = no gate. ``sensor_here``, ``gate_here``: whether the row stands in ``registry`` itself; of the
    others only what still closes open panes holds (gate, leaf, delay). ``sensor_row`` is the row of each of the
    registry's sensors; ``sensor_name`` the place of each row's id in ``names``, which holds every id once.
    A tracker that serves all gates stands at each gate with a line once more, without an id of its own: ``standing``
    are the registry's sensors and behind them these, ``standing_row`` their rows. ``roaming`` (r, 2): the tracker's own
    row and the row at a gate.
    ``gate_delay_ms``: ``delay_s`` and what people are followed for behind the pane's end, by which a gate's panes close
    later; ``sensor_delay_ms`` that of its gate. ``gate_wait_ms`` and ``sensor_wait_ms`` without what people are
    followed for: so long records come in time (docs/adr/0033). ``zone_delay_ms``: the largest delay by which anything
    that is told of a zone closes.
    ``approved_at[s]:approved_at[s + 1]`` are sensor s's rows in ``approved_from`` and ``approved_to``. ``gate_a``,
    ``gate_b`` -1 = outside. ``gate_error``: the largest relative error of a gate's sensors, NaN where one of them does
    not tell; of a gate that is gone, its last. ``zone_window`` = code of the coarsest leaf of its gates.
    """

    registry: Registry
    follow: Follow
    zone_clock: TimeZone
    sensors: tuple[Sensor, ...]
    sensor_ids: tuple[str, ...]
    sensor_here: NDArray[np.bool_]
    sensor_row: tuple[int, ...]
    standing: tuple[Sensor, ...]
    standing_row: tuple[int, ...]
    roaming: I64
    names: tuple[str, ...]
    sensor_name: I32
    sensor_gate: I32
    sensor_leaf: I8
    sensor_delay_ms: I64
    sensor_wait_ms: I64
    sensor_reporting: I8
    sensor_beat_ms: I64
    approved_at: I32
    approved_from: I64
    approved_to: I64
    gates: tuple[Gate, ...]
    gate_ids: tuple[str, ...]
    gate_here: NDArray[np.bool_]
    gate_leaf: I8
    gate_delay_ms: I64
    gate_wait_ms: I64
    gate_a: I32
    gate_b: I32
    gate_error: NDArray[np.float64]
    zones: tuple[Zone, ...]
    zone_ids: tuple[str, ...]
    zone_window: I8
    zone_delay_ms: I64
    devices: tuple[Device, ...]

    def __init__(self, registry: Registry, before: Tables | None = None, follow: Follow | None = None) -> None:
        put = object.__setattr__
        put(self, "registry", registry)
        put(self, "follow", follow or (before.follow if before else Follow()))
        put(self, "zone_clock", TimeZone(registry.timezone) if before is None else before.zone_clock)
        zones, zone_row = _grown(before.zones if before else (), registry.zones, lambda z: z.id)
        gates, gate_row = _grown(before.gates if before else (), registry.gates, lambda g: g.id)
        put(self, "standing", (*registry.sensors, *_roaming(registry)))
        sensors, sensor_row = _grown(before.sensors if before else (), self.standing, lambda s: (s.id, s.gate))
        put(self, "zones", tuple(zones))
        put(self, "zone_ids", tuple(z.id for z in zones))
        self._put_gates(gates, gate_row, zone_row, before)
        self._put_sensors(sensors, sensor_row, gate_row)
        put(self, "gate_error", self._errors(None if before is None else before.gate_error))
        touching = [[g for g in registry.gates if z.id in (g.a, g.b)] for z in zones]
        put(self, "zone_window", np.array([max((g.leaf for g in t), default=0) for t in touching], np.int8))
        delays = [max((int(self.gate_delay_ms[gate_row[g.id]]) for g in t), default=0) for t in touching]
        seen = {z.id: self.follow.track_ms if z.polygon_m else 0 for z in zones}
        for s in registry.sensors:
            if s.zone and s.gate:  # later by the gate at which it stands
                gate = gate_row[s.gate]
                late = max(int(self.gate_delay_ms[gate]), gates[gate].delay_ms + self.follow.track_ms)
                seen[s.zone] = max(seen[s.zone], late)
        devices, _ = _grown(before.devices if before else (), registry.devices, lambda d: d.id)
        put(self, "devices", tuple(devices))
        put(self, "zone_delay_ms", np.maximum(np.array(delays, np.int64), np.array([*seen.values()], np.int64)))

    def _put_gates(
        self, gates: Sequence[Gate], row: dict[str, int], zone_row: dict[str, int], before: Tables | None
    ) -> None:
        put = object.__setattr__
        put(self, "gates", tuple(gates))
        put(self, "gate_ids", tuple(g.id for g in gates))
        put(self, "gate_here", _marked(len(gates), (row[g.id] for g in self.registry.gates)))
        put(self, "gate_leaf", np.array([g.leaf for g in gates], np.int8))
        delays = followed_delays(self.registry, self.follow)
        kept = [] if before is None else before.gate_delay_ms.tolist()  # a gate's delay stays what it was
        put(self, "gate_delay_ms", np.array([*kept, *(delays[g.id] for g in gates[len(kept) :])], np.int64))
        put(self, "gate_wait_ms", np.array([g.delay_ms for g in gates], np.int64))
        put(self, "gate_a", np.array([zone_row.get(g.a or "", -1) for g in gates], np.int32))
        put(self, "gate_b", np.array([zone_row.get(g.b or "", -1) for g in gates], np.int32))

    def _put_sensors(
        self, sensors: Sequence[Sensor], row: dict[tuple[str, str | None], int], gate_row: dict[str, int]
    ) -> None:
        put = object.__setattr__
        standing = tuple(row[s.id, s.gate] for s in self.standing)
        here = standing[: len(self.registry.sensors)]
        put(self, "sensors", tuple(sensors))
        put(self, "sensor_ids", tuple(s.id for s in sensors))
        put(self, "sensor_row", here)
        put(self, "standing_row", standing)
        added = [(row[s.id, None], row[s.id, s.gate]) for s in self.standing[len(here) :]]
        put(self, "roaming", np.array(added, np.int64).reshape(-1, 2))
        names = {name: place for place, name in enumerate(dict.fromkeys(self.sensor_ids))}
        put(self, "names", tuple(names))
        put(self, "sensor_name", np.array([names[name] for name in self.sensor_ids], np.int32))
        put(self, "sensor_here", _marked(len(sensors), here))
        gate = np.array([gate_row.get(s.gate or "", -1) for s in sensors], np.int32)
        put(self, "sensor_gate", gate)
        # a sensor without gate: leaf 10s, no delay (the row behind the last gate)
        put(self, "sensor_leaf", np.append(self.gate_leaf, np.int8(0))[gate])
        put(self, "sensor_delay_ms", np.append(self.gate_delay_ms, np.int64(0))[gate])
        put(self, "sensor_wait_ms", np.append(self.gate_wait_ms, np.int64(0))[gate])
        put(self, "sensor_reporting", np.array([s.reporting for s in sensors], np.int8))
        put(self, "sensor_beat_ms", np.array([s.beat_ms for s in sensors], np.int64))
        put(self, "approved_at", np.cumsum([0, *(len(s.approved) for s in sensors)]).astype(np.int32))
        put(self, "approved_from", np.array([f for s in sensors for f, _ in s.approved], np.int64))
        put(self, "approved_to", np.array([t for s in sensors for _, t in s.approved], np.int64))

    def _errors(self, before: NDArray[np.float64] | None) -> NDArray[np.float64]:
        """Relative error by gate row: the largest of its sensors, NaN beside one that is not known."""
        out = np.full(len(self.gates), np.nan)
        if before is not None:
            out[: len(before)] = before
        told: dict[int, list[float]] = {}
        for row, sensor in zip(self.standing_row, self.standing, strict=True):
            error = np.nan if sensor.relative_error is None else sensor.relative_error
            told.setdefault(int(self.sensor_gate[row]), []).append(error)
        for gate in np.flatnonzero(self.gate_here).tolist():
            errors = told.get(gate, [])
            out[gate] = np.max(errors) if errors else np.nan  # NaN wins
        return out

    def wire_ids(self) -> list[bytes | None]:
        """Ids by which events name the sensor rows; None = the row's sensor is not in this version (any more)."""
        return [i.encode() if here else None for i, here in zip(self.sensor_ids, self.sensor_here, strict=True)]

    def once(self, key: Hashable, make: Callable[[], _R]) -> _R:
        """What ``make`` makes of these tables, made at the first call for ``key``: partitions share what is large."""
        made = self.__dict__.setdefault("_made", {})
        if key not in made:
            made[key] = make()
        return made[key]  # type: ignore[no-any-return]

    def moved(self, before: Tables) -> dict[int, int]:
        """Rows of sensors that stood at another gate in ``before``: old row -> new row."""
        was = {before.sensor_ids[row]: row for row in before.sensor_row}
        pairs = ((was.get(self.sensor_ids[row], row), row) for row in self.sensor_row)
        return {old: new for old, new in pairs if old != new}


def followed_delays(registry: Registry, follow: Follow) -> dict[str, int]:
    """By gate id: ``delay_s`` and what people are followed for there, in ms (docs/adr/0033)."""
    paired = {s.gate for s in registry.sensors if s.kind == BEAM_PAIR}
    return {g.id: g.delay_ms + follow.behind_ms(lined=bool(g.line_m), paired=g.id in paired) for g in registry.gates}


def _roaming(registry: Registry) -> list[Sensor]:
    """Each tracker that serves all gates, once more at every gate with a line."""
    lined = [g.id for g in registry.gates if g.line_m]
    trackers = [s for s in registry.sensors if s.kind == TRACKER and s.gate is None and s.zone is None]
    return [replace(tracker, gate=gate) for tracker in trackers for gate in lined]


def classes(tables: Tables) -> dict[tuple[int, int, int], list[int]]:
    """Gate rows by (leaf code, delay, wait in ms): gates of one class share their windows and where they begin."""
    out: dict[tuple[int, int, int], list[int]] = {}
    keys = zip(*(c.tolist() for c in (tables.gate_leaf, tables.gate_delay_ms, tables.gate_wait_ms)), strict=True)
    for row, key in enumerate(keys):
        out.setdefault(key, []).append(row)
    return out


def longest_delay_ms(tables: Tables) -> int:
    """The largest delay of gates and zones: what W must pass beyond a window's end before all have closed it."""
    return int(max(tables.gate_delay_ms.max(initial=0), tables.zone_delay_ms.max(initial=0)))


_K = TypeVar("_K")


def _grown(old: Sequence[_R], new: Iterable[_R], key: Callable[[_R], _K]) -> tuple[list[_R], dict[_K, int]]:
    """Old rows with the new ones put over those of the same key and the others behind them; and the keys' rows."""
    rows = list(old)
    at = {key(row): i for i, row in enumerate(rows)}
    for row in new:
        place = at.setdefault(key(row), len(rows))
        rows[place : place + 1] = [row]
    return rows, at


def _marked(size: int, rows: Iterable[int]) -> NDArray[np.bool_]:
    out = np.zeros(size, np.bool_)
    out[list(rows)] = True
    return out
