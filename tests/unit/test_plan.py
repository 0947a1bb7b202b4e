"""What trackers serve, and where it lies, version after version."""

from __future__ import annotations

import json
from typing import Any

from engine import registry
from engine.model import EVERY, NOTHING
from engine.plan import plan
from engine.tables import Tables

FOREVER = [{"from": "2020-01-01T00:00:00Z", "to": None}]


def version(
    gates: list[dict[str, Any]], zones: list[dict[str, Any]], sensors: list[dict[str, Any]]
) -> registry.Registry:
    document = {
        "version": "t",
        "timezone": "Asia/Tokyo",
        "gates": [{"a": None, "b": None, "leaf": "10s", **gate} for gate in gates],
        "zones": [{"kind": "plaza", **zone} for zone in zones],
        "sensors": [{"approved": FOREVER, **sensor} for sensor in sensors],
    }
    return registry.parse(json.dumps(document).encode())


GATES = [{"id": "g1", "line_m": [[0, 0], [0.1, -2.5]], "delay_s": 7}, {"id": "g2"}]
ZONES = [{"id": "z1"}, {"id": "z2", "polygon_m": [[0, 0], [1, 0], [0.3, 1.000001]]}]
SENSORS = [
    {"id": "all", "kind": "tracker"},
    {"id": "at-gate", "kind": "tracker", "gate": "g1"},
    {"id": "in-zone", "kind": "tracker", "zone": "z2"},
    {"id": "both", "kind": "tracker", "gate": "g2", "zone": "z1"},
    {"id": "counter", "kind": "counter", "gate": "g1"},
    {"id": "beams", "kind": "beam_pair", "gate": "g1"},
    {"id": "camera", "kind": "occupancy"},
]


def test_what_each_sensor_serves() -> None:
    of = plan(Tables(version(GATES, ZONES, SENSORS)))
    assert of.sensor_gate.tolist() == [EVERY, 0, NOTHING, 1, NOTHING, NOTHING, NOTHING]
    assert of.sensor_zone.tolist() == [EVERY, NOTHING, 1, 0, NOTHING, NOTHING, NOTHING]
    assert of.sensor_wait_ms.tolist() == [0, 7000, 0, 0, 7000, 7000, 0]


def test_places_in_micrometres() -> None:
    of = plan(Tables(version(GATES, ZONES, SENSORS)))
    assert of.line_um.tolist() == [[0, 0, 100_000, -2_500_000], [0, 0, 0, 0]]
    assert of.corner_at.tolist() == [0, 0, 3]
    assert of.corner_um.tolist() == [[0, 0], [1_000_000, 0], [300_000, 1_000_001]]


def test_what_is_gone_has_no_place_any_more() -> None:
    first = Tables(version(GATES, ZONES, SENSORS))
    more = [{"id": "g3", "line_m": [[5, 5], [6, 6]]}]
    of = plan(Tables(version(more, [{"id": "z1", "polygon_m": [[0, 0], [2, 0], [2, 2]]}], SENSORS[:1]), first))
    assert of.line_um.tolist() == [[0, 0, 0, 0], [0, 0, 0, 0], [5_000_000, 5_000_000, 6_000_000, 6_000_000]]
    assert of.corner_at.tolist() == [0, 3, 3]
    assert of.sensor_gate.tolist()[0] == EVERY


def test_a_registry_without_anything_has_a_plan() -> None:
    of = plan(Tables(version([], [], [])))
    assert (len(of.sensor_gate), of.line_um.shape, of.corner_at.tolist(), of.corner_um.shape) == (
        0,
        (0, 4),
        [0],
        (0, 2),
    )
