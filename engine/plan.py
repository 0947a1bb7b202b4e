"""Where gates and zones lie and which of them each tracker serves, as columns for the kernels (engine/crossing.py).

Coordinates are whole micrometres, so that what is told in decimals is kept exactly, and every question of side has one
answer.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from engine.model import EVERY, I32, I64, NOTHING, UM
from engine.registry import BEAM_PAIR, CAMERA, TRACKER, Sensor
from engine.tables import Tables


@dataclass(frozen=True)
class Plan:
    """Columns of one registry version for ``Tracks.settle``, rows as in Tables.

    ``sensor_wait_ms``; what trackers serve: ``sensor_gate``, ``sensor_zone``; ``sensor_pair``: the gate of a beam pair;
    ``sensor_camera``: the zone of an occupancy camera (S,), below 0 = none; ``line_um`` (G, 4): both ends x, y, all 0
    where there is no line; ``corner_at`` (Z + 1,), ``corner_um`` (C, 2): polygon of zone z =
    rows corner_at[z]:corner_at[z + 1].
    """

    sensor_wait_ms: I64
    sensor_gate: I32
    sensor_zone: I32
    sensor_pair: I32
    sensor_camera: I32
    line_um: I64
    corner_at: I32
    corner_um: I64


def plan(tables: Tables) -> Plan:
    """The plan of a version: gates and zones that it does not hold any more have no place.

    A tracker serves its gate, its zone, or with neither all of them. Its points are final with the watermark, later by
    the delay of its own gate.
    """
    here = {zone.id for zone in tables.registry.zones}
    lines = [
        g.line_m if g.line_m and there else ((0, 0), (0, 0))
        for g, there in zip(tables.gates, tables.gate_here.tolist(), strict=True)
    ]
    polygons = [zone.polygon_m if zone.polygon_m and zone.id in here else () for zone in tables.zones]
    zone_row = {zone_id: row for row, zone_id in enumerate(tables.zone_ids)}
    return Plan(
        tables.sensor_wait_ms,
        np.array([_served(s, int(g)) for s, g in zip(tables.sensors, tables.sensor_gate, strict=True)], np.int32),
        np.array([_served(s, zone_row.get(s.zone or "", -1)) for s in tables.sensors], np.int32),
        np.where([s.kind == BEAM_PAIR for s in tables.sensors], tables.sensor_gate, NOTHING).astype(np.int32),
        np.array([zone_row.get(s.zone or "", -1) if s.kind == CAMERA else -1 for s in tables.sensors], np.int32),
        _um(place for line in lines for place in line).reshape(-1, 4),
        np.cumsum([0, *map(len, polygons)]).astype(np.int32),
        _um(place for polygon in polygons for place in polygon),
    )


def _served(sensor: Sensor, row: int) -> int:
    if sensor.kind != TRACKER:
        return NOTHING
    if sensor.gate is None and sensor.zone is None:
        return EVERY
    return row if row >= 0 else NOTHING


def _um(places: Iterable[tuple[float, float]]) -> I64:
    return np.array([[round(x * UM), round(y * UM)] for x, y in places], np.int64).reshape(-1, 2)
