"""Where gates and zones lie and which of them each tracker serves, as columns for the kernels (engine/crossing.py).

Coordinates are whole micrometres, so that what is told in decimals is kept exactly, and every question of side has one
answer.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from engine.model import EVERY, I32, I64, NOTHING, UM
from engine.registry import SENSOR_KINDS, Sensor
from engine.tables import Tables

TRACKER = SENSOR_KINDS[2]


@dataclass(frozen=True)
class Plan:
    """Columns of one registry version for ``Tracks.settle``, rows as in Tables.

    ``sensor_wait_ms``, ``sensor_gate``, ``sensor_zone`` (S,); ``line_um`` (G, 4): both ends x, y, all 0 where there is
    no line; ``corner_at`` (Z + 1,), ``corner_um`` (C, 2): polygon of zone z = rows corner_at[z]:corner_at[z + 1].
    """

    sensor_wait_ms: I64
    sensor_gate: I32
    sensor_zone: I32
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
    wait = np.array([*(gate.delay_ms for gate in tables.gates), 0], np.int64)  # the last for sensors without gate
    zone_row = {zone_id: row for row, zone_id in enumerate(tables.zone_ids)}
    return Plan(
        wait[tables.sensor_gate],
        np.array([_served(s, int(g)) for s, g in zip(tables.sensors, tables.sensor_gate, strict=True)], np.int32),
        np.array([_served(s, zone_row.get(s.zone or "", -1)) for s in tables.sensors], np.int32),
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
