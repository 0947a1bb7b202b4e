"""Which zones publish what points and cameras read there, and which sensors read it, version by version.

A camera reads its ``zone``, a tracker its own zone or, without gate and zone, every one; points need its polygon. A
zone with gates has its occupancy from them alone: one that a gate leads into or out of, and one whose polygon a gate's
line meets. Else the same people would be told twice, and two ways of rounding them subtract. ``[zones] beside_gates``
lifts that.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from engine.config import Config
from engine.crossing import Place, inside, side
from engine.expected import Expected
from engine.model import BY_HEARTBEAT, EVERY, F64, I64, NOTHING, ON_CHANGE
from engine.plan import Plan, plan
from engine.registry import CAMERA, TRACKER
from engine.served import Served, groups
from engine.tables import Tables

Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Rule:
    """What decides about readings of zones: ``[zones]`` k and beside_gates."""

    k: int
    beside_gates: bool = False

    @classmethod
    def of(cls, config: Config) -> Rule:
        """The rule of a run's settings."""
        return cls(config["zones", "k"], config["zones", "beside_gates"])


@dataclass(frozen=True, slots=True)
class Readers:
    """Zones (n,) whose windows close at one delay, and the pairs (p,) of zone and sensor that make their readings.

    ``zones``: rows, ascending. ``place``: of each pair, where in ``zones``; pairs of a zone stand together, in the
    registry's order. ``groups``: places of the pairs that stand in for each other. ``error`` (n,): largest relative
    error of a zone's sensors, NaN where one does not tell. ``renewed_ms`` (n,): what was covered that much earlier has
    been covered by heartbeats sent since.
    """

    delay_ms: int
    zones: I64
    place: I64
    sensor: I64
    camera: Flags
    on_change: Flags
    approved_from: I64  # (p, most approvals of one sensor)
    approved_to: I64
    groups: tuple[tuple[int, ...], ...]
    error: F64
    renewed_ms: I64
    expected: Expected
    _keys: I64
    _order: I64

    def approved(self, pane_ms: int) -> Flags:
        """Which pairs' sensors are approved at a pane's start."""
        return np.asarray(((self.approved_from <= pane_ms) & (pane_ms < self.approved_to)).any(axis=1))

    def pairs(self, sensor: I64, zone: I64) -> I64:
        """Place of the pair of each sensor and zone (rows, (m,)); -1 where there is none."""
        wanted = _key(zone, sensor)
        at = np.minimum(np.searchsorted(self._keys, wanted), len(self._keys) - 1)
        return np.where(self._keys[at] == wanted, self._order[at], -1)


def readers(tables: Tables, rule: Rule) -> dict[int, Readers]:
    """Those of a version by delay (ms): by how much later than a pane's end its readings are final.

    That is the longest among a zone's sensors: what people are followed for, of a tracker, and the delay of a gate at
    which a sensor stands. One at a gate whose panes are longer tells of zones too late, and is none of their readers.
    """
    return tables.once(("readers", rule), lambda: _readers(tables, rule))


def have_readings(tables: Tables, rule: Rule | None) -> Flags:
    """Which zone rows (Z,) publish readings in a version; none without a rule."""
    out = np.zeros(len(tables.zone_ids), np.bool_)
    if rule is not None:
        for some in readers(tables, rule).values():
            out[some.zones] = True
    return out


def _readers(tables: Tables, rule: Rule) -> dict[int, Readers]:
    where = tables.once("plan", lambda: plan(tables))
    polygon, gated = np.diff(where.corner_at) > 0, _with_gates(tables, where)
    pairs: list[tuple[int, int]] = []
    for row in tables.sensor_row:
        camera, own = int(where.sensor_camera[row]), int(where.sensor_zone[row])
        if tables.sensor_leaf[row] > 0 or (camera < 0 and own == NOTHING):
            continue
        served = [camera] if camera >= 0 else [z for z in np.flatnonzero(polygon).tolist() if own in (EVERY, z)]
        pairs += [(zone, row) for zone in served if rule.beside_gates or not gated[zone]]
    delay: dict[int, int] = {}
    for zone, row in pairs:
        heard = int(tables.sensor_delay_ms[row])
        if tables.sensors[row].kind == TRACKER:
            heard = max(heard, int(tables.sensor_wait_ms[row]) + tables.follow.track_ms)
        delay[zone] = max(delay.get(zone, 0), heard)
    pairs.sort(key=lambda pair: pair[0])  # stable: the sensors of a zone stay in the registry's order
    return {ms: _of(tables, ms, [pair for pair in pairs if delay[pair[0]] == ms]) for ms in sorted(set(delay.values()))}


def _of(tables: Tables, delay_ms: int, pairs: list[tuple[int, int]]) -> Readers:
    zone, sensor = np.array(pairs, np.int64).T
    zones, place = np.unique(zone, return_inverse=True)
    sensors = [tables.sensors[row] for row in sensor.tolist()]
    most = max(len(s.approved) for s in sensors)
    spans = np.zeros((len(pairs), max(most, 1), 2), np.int64)  # filled up with empty ones
    error, renewed = np.zeros(len(zones)), np.zeros(len(zones), np.int64)
    for at, of in enumerate(sensors):
        spans[at, : len(of.approved)] = np.array(of.approved, np.int64).reshape(-1, 2)
        error[place[at]] = np.maximum(error[place[at]], np.nan if of.relative_error is None else of.relative_error)
        if of.reporting == BY_HEARTBEAT:
            renewed[place[at]] = max(renewed[place[at]], 2 * of.beat_ms)
    keys = _key(zone, sensor)
    order = np.argsort(keys)
    served = [Served(*of) for of in zip(place.tolist(), sensor.tolist(), sensors, strict=True)]
    return Readers(
        delay_ms,
        zones,
        place,
        sensor,
        np.array([s.kind == CAMERA for s in sensors]),
        np.array([s.reporting == ON_CHANGE for s in sensors]),
        spans[:, :, 0],
        spans[:, :, 1],
        tuple(map(tuple, groups(Served(s.place, at, s.sensor) for at, s in enumerate(served)))),
        error,
        renewed,
        Expected(tables, served, len(zones), 0),
        keys[order],
        order,
    )


def _key(zone: I64, sensor: I64) -> I64:
    return (zone << 32) + sensor


def _with_gates(tables: Tables, where: Plan) -> Flags:
    """Zones (Z,) that a gate of this version borders, or whose polygon its line meets."""
    out = np.zeros(len(tables.zone_ids), np.bool_)
    for border in (tables.gate_a, tables.gate_b):
        out[border[tables.gate_here & (border >= 0)]] = True
    lines = where.line_um[tables.gate_here]
    low, high = np.minimum(lines[:, :2], lines[:, 2:]), np.maximum(lines[:, :2], lines[:, 2:])
    told = (lines[:, :2] != lines[:, 2:]).any(axis=1)
    for zone, (first, behind) in enumerate(pairwise(where.corner_at.tolist())):
        corners = where.corner_um[first:behind]
        if out[zone] or not len(corners):
            continue
        near = told & (low <= corners.max(axis=0)).all(axis=1) & (high >= corners.min(axis=0)).all(axis=1)
        polygon: list[Place] = [(x, y) for x, y in corners.tolist()]
        out[zone] = any(meets((x0, y0), (x1, y1), polygon) for x0, y0, x1, y1 in lines[near].tolist())
    return out


def meets(start: Place, end: Place, polygon: list[Place]) -> bool:
    """Whether a line from start to end has a place in common with a polygon or its edges (micrometres)."""
    edges = ((polygon[i - 1], corner) for i, corner in enumerate(polygon))
    return inside(start, polygon) or any(_cross(start, end, a, b) for a, b in edges)


def _cross(a: Place, b: Place, c: Place, d: Place) -> bool:
    """Whether two segments have a place in common, ends too."""
    for p, q, r, s in ((a, b, c, d), (c, d, a, b)):
        if side(p, q, r) * side(p, q, s) > 0:
            return False
    # in one line, or on both sides of each other: then their boxes decide
    return all(max(min(a[i], b[i]), min(c[i], d[i])) <= min(max(a[i], b[i]), max(c[i], d[i])) for i in (0, 1))
