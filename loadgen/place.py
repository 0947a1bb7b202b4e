"""The place of the scenarios: a schematic of チ・カ・ホ, the walkway between さっぽろ and 大通, in metres.

The axis runs 520 m from north (x = 0) to south; the walkway is 20 m wide. Four sections follow one another, plazas
lie beside them, doors and stairs lead outside. Own schematic: positions are round numbers, not a survey.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

TIMEZONE = "Asia/Tokyo"
LENGTH_M = 520.0
WIDTH_M = 20.0
BEAT_S = 10
LEAF_MS = {"10s": 10_000, "1m": 60_000}
APPROVED_FROM = "2020-01-01T00:00:00Z"
_CLOSED = [{"from": "00:46", "to": "05:44"}]


@dataclass(frozen=True)
class Gate:
    """A line people cross at ``x_m`` of the axis. ``a`` and ``b``: zone ids, None = outside.

    role: ``end`` and ``door`` lead outside, ``section`` parts two sections, ``plaza`` leads into a plaza, ``wall``
    counts passers-by without direction. ``reporting`` as in the registry; ``every_span`` sensors send counts.
    """

    id: str
    role: str
    x_m: float
    a: str | None
    b: str | None
    lanes: int
    width_m: float
    ja: str
    en: str
    reporting: str = "heartbeat"
    leaf: str = "10s"


GATES: tuple[Gate, ...] = (
    Gate("j1", "end", 0, None, "c1", 3, 20, "さっぽろ側入口", "Sapporo end"),
    Gate("j2", "section", 130, "c1", "c2", 3, 20, "北3条・北2条間", "Kita 3 to Kita 2"),
    Gate("j3", "section", 260, "c2", "c3", 3, 20, "北2条・北1条間", "Kita 2 to Kita 1"),
    Gate("j4", "section", 390, "c3", "c4", 3, 20, "北1条・北大通間", "Kita 1 to Kita-odori"),
    Gate("j5", "end", 520, "c4", None, 3, 20, "大通側入口", "Odori end"),
    Gate("e1", "door", 60, "c1", None, 2, 6, "北3条西階段", "Kita 3 west stairs", "on_change"),
    Gate("e2", "door", 170, "c2", None, 1, 4, "北2条東階段", "Kita 2 east stairs", "on_change"),
    Gate("e3", "door", 330, "c3", None, 2, 6, "北1条西階段", "Kita 1 west stairs"),
    Gate("e4", "door", 440, "c4", None, 1, 4, "北大通東階段", "Kita-odori east stairs"),
    Gate("b1", "door", 200, "c2", None, 2, 5, "北2条ビル連絡口", "Kita 2 building door"),
    Gate("b2", "door", 350, "c3", None, 1, 5, "北1条ビル連絡口", "Kita 1 building door", "every_span", "1m"),
    Gate("k1", "plaza", 100, "c1", "p3w", 2, 15, "北3条広場(西)", "Kita 3 plaza west"),
    Gate("k2", "plaza", 105, "c1", "p3e", 1, 10, "北3条広場(東)", "Kita 3 plaza east"),
    Gate("k3", "plaza", 245, "c2", "p2", 2, 12, "北2条広場", "Kita 2 plaza"),
    Gate("k4", "plaza", 490, "c4", "po", 2, 15, "北大通広場", "Kita-odori plaza"),
    Gate("s2", "wall", 255, None, None, 1, 4, "北2条サイネージ前", "Kita 2 signage wall"),
)

# id, ja, en, kind, area, width, from x, to x (plazas: their door's place)
_ZONES: tuple[tuple[str, str, str, str, float, float, float, float], ...] = (
    ("c1", "北3条区間", "Kita 3 section", "walkway", 2600, WIDTH_M, 0, 130),
    ("c2", "北2条区間", "Kita 2 section", "walkway", 2600, WIDTH_M, 130, 260),
    ("c3", "北1条区間", "Kita 1 section", "walkway", 2600, WIDTH_M, 260, 390),
    ("c4", "北大通区間", "Kita-odori section", "walkway", 2600, WIDTH_M, 390, LENGTH_M),
    ("p3w", "北3条交差点広場(西)", "Kita 3 plaza west", "plaza", 300, 15, 90, 110),
    ("p3e", "北3条交差点広場(東)", "Kita 3 plaza east", "plaza", 110, 10, 100, 111),
    ("p2", "北2条広場", "Kita 2 plaza", "plaza", 240, 12, 235, 255),
    ("po", "北大通交差点広場", "Kita-odori plaza", "plaza", 300, 15, 480, 500),
)


def sensor_ids(gate: Gate) -> list[str]:
    """Ids of a gate's lanes, in their order across the gate: j1-01, j1-02, …"""
    return [f"{gate.id}-{lane:02d}" for lane in range(1, gate.lanes + 1)]


def registry(version: str = "chikaho-1") -> dict[str, Any]:
    """The registry document (JSON types) of the walkway: 8 zones, 16 gates, one counter per lane."""
    return {
        "version": version,
        "timezone": TIMEZONE,
        "zones": [_zone(*zone) for zone in _ZONES],
        "gates": [_gate(gate) for gate in GATES],
        "sensors": [_sensor(gate, sensor) for gate in GATES for sensor in sensor_ids(gate)],
        "devices": [],
    }


def _zone(
    zone_id: str, ja: str, en: str, kind: str, area: float, width: float, start: float, end: float
) -> dict[str, Any]:
    side = 0.0 if kind == "walkway" else WIDTH_M
    polygon = [[start, side], [end, side], [end, side + width], [start, side + width]]
    return {
        "id": zone_id,
        "name": {"ja": ja, "en": en},
        "kind": kind,
        "area_m2": area,
        "width_m": width,
        "polygon_m": polygon,
        "parent": None,
        "closed": _CLOSED,
    }


def _gate(gate: Gate) -> dict[str, Any]:
    return {
        "id": gate.id,
        "name": {"ja": gate.ja, "en": gate.en},
        "a": gate.a,
        "b": gate.b,
        "width_m": gate.width_m,
        "leaf": gate.leaf,
        "delay_s": 0,
    }


def _sensor(gate: Gate, sensor: str) -> dict[str, Any]:
    return {
        "id": sensor,
        "kind": "counter",
        "gate": gate.id,
        "zone": None,
        "owner": "city",
        "approved": [{"from": APPROVED_FROM, "to": None}],
        "reporting": gate.reporting,
        "beat_s": BEAT_S,
        "group": None,
    }
