"""What trackers serve, and where it lies, version after version."""

from __future__ import annotations

import json
from typing import Any

from engine import registry
from engine.book import fault_of_change
from engine.follow import Follow
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
    {"id": "camera", "kind": "occupancy", "zone": "z2"},
]


def test_what_each_sensor_serves() -> None:
    of = plan(Tables(version(GATES, ZONES, SENSORS)))
    # the last row is the tracker of all at g1, which has a line: without an id, so no point is its own
    assert of.sensor_gate.tolist() == [EVERY, 0, NOTHING, 1, NOTHING, NOTHING, NOTHING, 0]
    assert of.sensor_zone.tolist() == [EVERY, NOTHING, 1, 0, NOTHING, NOTHING, NOTHING, NOTHING]
    assert of.sensor_pair.tolist() == [NOTHING, NOTHING, NOTHING, NOTHING, NOTHING, 0, NOTHING, NOTHING]
    assert of.sensor_camera.tolist() == [-1, -1, -1, -1, -1, -1, 1, -1]
    assert of.sensor_wait_ms.tolist() == [0, 7000, 0, 0, 7000, 7000, 0, 7000]


def test_gates_close_later_by_what_people_are_followed_for() -> None:
    gates = [
        {"id": "lined", "a": "z1", "line_m": [[0, 0], [1, 0]], "delay_s": 7},
        {"id": "paired", "a": "z2", "delay_s": 1},
        {"id": "both", "line_m": [[0, 0], [2, 0]]},
        {"id": "neither", "b": "z1", "delay_s": 3},
    ]
    sensors = [
        {"id": "t", "kind": "tracker"},
        {"id": "p", "kind": "beam_pair", "gate": "paired"},
        {"id": "q", "kind": "beam_pair", "gate": "both"},
        {"id": "c", "kind": "counter", "gate": "neither"},
    ]
    first = Tables(version(gates, ZONES, sensors))
    assert first.gate_delay_ms.tolist() == [9_000, 2_500, 2_000, 3_000]
    assert first.zone_delay_ms.tolist() == [9_000, 2_500]
    assert [s.gate for s in first.standing[4:]] == ["lined", "both"]
    assert first.roaming.tolist() == [[0, 4], [0, 5]]
    assert first.wire_ids() == [b"t", b"p", b"q", b"c", None, None]
    assert Tables(version(gates, ZONES, sensors), None, Follow(500, 900)).gate_delay_ms.tolist() == [
        7_500, 1_900, 900, 3_000,
    ]  # fmt: skip
    # the pair goes, its delay stays; none comes to a gate that closes without it
    later = version(gates, ZONES, [s for s in sensors if s["id"] != "p"])
    assert fault_of_change(first, later) is None
    assert Tables(later, first).gate_delay_ms.tolist() == [9_000, 2_500, 2_000, 3_000]
    stranger = {"id": "r", "kind": "beam_pair", "gate": "neither"}
    fault = fault_of_change(first, version(gates, ZONES, [*sensors, stranger]))
    assert fault == "gates[3]: a beam pair comes to a gate that closes without pair_ms, take a new id"
    more = version(gates, ZONES, [*sensors, stranger | {"gate": "lined"}])
    assert fault_of_change(first, more) is None  # it closes later than a pair needs


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
