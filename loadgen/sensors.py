"""What watches the walkway: two sets of sensors, and the registry documents they stand in.

``counters``: a counter for each lane of each gate, all told as passages or counts. ``all``: beams, trackers, cameras
and redundant counters as well, and the zones only they can see into.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from loadgen.place import GATES, PLACE, PLAZAS, ROW, TIMEZONE, WALL_M, ZONE_ROW, ZONES, Gate, Zone

BEAT_S = 10
COUNTERS, ALL = "counters", "all"
APPROVED_FROM = "2011-03-12T00:00:00Z"
CLOSED = ({"from": "00:46", "to": "05:44"},)
_RELATIVE_ERROR = 0.02
_GROUPS = ("e3", "k1")  # gates with two counters that each see all of it
_BEAMS = ("e2", "e4")
_TRACKED = "b1"
_TRACKED_DEEP_M = 1.5  # how far on both sides of its gate's line a tracker sees
_TRACKED_ZONE = "x3"
_CAMERAS = ("p1", "q5")
# What a desk is told of at once. A density from which Fruin's walkway and the HCM's queue are at E; both ways of a hall
# in each other's way, at more people than an ordinary day has; full, and nobody moves; sensors that cannot be believed.
_THRESHOLDS = (
    {
        "id": "crowded",
        "kind": "density",
        "severity": "warning",
        "window": "10s",
        "on_delay_s": 20,
        "off_delay_s": 60,
        "limits": [
            {"zone_kinds": ["walkway", "plaza", "exit"], "limit": 1.08},
            {"zone_kinds": ["queue", "shelter"], "limit": 3.33},
        ],
    },
    {
        "id": "counterflow",
        "kind": "counterflow",
        "severity": "warning",
        "window": "10s",
        "on_delay_s": 10,
        "off_delay_s": 60,
        "people_per_minute": 150,
        "limits": [{"zone_kinds": ["walkway"], "limit": 0.35}],
    },
    {
        "id": "stopped",
        "kind": "stopped",
        "severity": "critical",
        "window": "10s",
        "on_delay_s": 10,
        "off_delay_s": 60,
        "limits": [{"zone_kinds": ["walkway", "plaza"], "limit": 1.5}],
    },
    {
        "id": "blind",
        "kind": "sensor_loss",
        "by": "health",
        "severity": "warning",
        "on_delay_s": 0,
        "off_delay_s": 60,
        "limits": [{"limit": 0.8}],
    },
)


@dataclass(frozen=True)
class Sensor:
    """A sensor. ``lane``: which of its gate's lanes it sees, None = all. ``box``: what a tracker sees, in the walkway's
    own frame: least and most along, least and most across."""

    id: str
    kind: str
    gate: str | None
    zone: str | None
    reporting: str
    group: str | None = None
    lane: int | None = None
    box: tuple[float, float, float, float] | None = None


def sensors(equipment: str) -> tuple[Sensor, ...]:
    """The sensors of a set, in the registry's order."""
    if equipment not in (COUNTERS, ALL):
        raise ValueError(f"equipment is {COUNTERS} or {ALL}")
    of_gates = [sensor for gate in GATES for sensor in _of_gate(gate, equipment == ALL)]
    if equipment == COUNTERS:
        return tuple(of_gates)
    return (
        *of_gates,
        Sensor("tr-x3", "tracker", None, _TRACKED_ZONE, "heartbeat", box=ZONES[ZONE_ROW[_TRACKED_ZONE]].box),
        *(Sensor(f"cam-{zone}", "occupancy", None, zone, "heartbeat") for zone in _CAMERAS),
    )


def _of_gate(gate: Gate, rich: bool) -> list[Sensor]:
    if rich and gate.id == _TRACKED:
        half = gate.width_m / 2 + 0.5
        face = gate.side * WALL_M
        box = gate.along - half, gate.along + half, face - _TRACKED_DEEP_M, face + _TRACKED_DEEP_M
        return [Sensor(f"tr-{gate.id}", "tracker", gate.id, None, gate.reporting, box=box)]
    ids = [f"{gate.id}-{lane:02d}" for lane in range(1, gate.lanes + 1)]
    if rich and gate.id in _BEAMS:
        return [Sensor(ids[0], "beam_pair", gate.id, None, gate.reporting)]
    if rich and gate.id in _GROUPS:
        return [Sensor(sensor, "counter", gate.id, None, gate.reporting, gate.id) for sensor in ids]
    return [Sensor(sensor, "counter", gate.id, None, gate.reporting, lane=lane) for lane, sensor in enumerate(ids)]


def registry(equipment: str, *, shelters: bool = False) -> dict[str, Any]:
    """The registry document (JSON types) of a set of sensors.

    ``shelters``: the plazas are registered as places where people may stay the night.
    """
    there = sensors(equipment)
    gated = {zone for gate in GATES for zone in (gate.a, gate.b)}
    zones = [zone for zone in ZONES if equipment == ALL or zone.id in gated]
    version = {COUNTERS: "chikaho-1", ALL: "chikaho-2"}[equipment]
    return {
        "version": f"{version}-shelters" if shelters else version,
        "timezone": TIMEZONE,
        "places": [PLACE],
        "zones": [_zone(zone, shelters) for zone in zones],
        "gates": [_gate(gate) for gate in GATES],
        "sensors": [_sensor(sensor, equipment) for sensor in there],
        "devices": [],
        **({"thresholds": [dict(rule) for rule in _THRESHOLDS]} if equipment == ALL else {}),
    }


def _zone(zone: Zone, shelters: bool) -> dict[str, Any]:
    sheltering = shelters and zone.id in {plaza.zone for plaza in PLAZAS}
    return {
        "id": zone.id,
        "name": {"ja": zone.ja, "en": zone.en},
        "kind": "shelter" if sheltering else zone.kind,
        "area_m2": zone.area_m2,
        "width_m": zone.width_m,
        "polygon_m": zone.polygon_m(),
        "parent": zone.parent,
        "place": PLACE["id"],
        "closed": list(CLOSED),
    }


def _gate(gate: Gate) -> dict[str, Any]:
    return {
        "id": gate.id,
        "name": {"ja": gate.ja, "en": gate.en},
        "a": gate.a,
        "b": gate.b,
        "width_m": gate.width_m,
        "bearing_deg": gate.bearing_deg,
        "line_m": gate.line_m(),
        "leaf": gate.leaf,
        "delay_s": 0,
    }


def _sensor(sensor: Sensor, equipment: str) -> dict[str, Any]:
    told = {
        "id": sensor.id,
        "kind": sensor.kind,
        "gate": sensor.gate,
        "zone": sensor.zone,
        "owner": "city",
        "approved": [{"from": APPROVED_FROM, "to": None}],
        "reporting": sensor.reporting,
        "beat_s": BEAT_S,
        "group": sensor.group,
    }
    return told if equipment == COUNTERS else {**told, "relative_error": _RELATIVE_ERROR}


def gate_row(sensor: Sensor) -> int:
    """Row of a sensor's gate in GATES; -1 where it watches a zone."""
    return -1 if sensor.gate is None else ROW[sensor.gate]
