"""What a layout tells of places, gates, sensors and limits, by the registry."""

from __future__ import annotations

import json
from typing import Any

import pytest

import loadgen
from dashboard import layout as layouts
from dashboard.snapshot import Views
from engine.follow import Follow
from engine.los import QUEUE, WALKWAY
from engine.readers import Rule, readers
from engine.registry import parse
from engine.tables import Tables
from loadgen.sensors import registry
from tests.browser.fake_store import REGISTRY, FakeRun, FakeStore

T = 1_770_450_000_000
ALWAYS = [{"from": "2020-01-01T00:00:00Z", "to": None}]


def layout(document: dict[str, Any], **of_run: Any) -> Any:
    view = Views(FakeStore(document, FakeRun(**of_run))).read(None, "10s")  # type: ignore[arg-type]
    assert view is not None
    return view.layout


def test_the_demos_walkway_is_one_place_with_shapes_sensors_and_limits():
    document = registry("all", shelters=True)
    told = layout(document, code_version="9", config_hash="f", registry_version="old", closed_ms=T)
    assert told["run"] == {
        "id": "live", "kind": "live", "timezone": "Asia/Tokyo", "registry_version": "chikaho-2-shelters",
        "code_version": "9", "config_hash": "f",
    }  # fmt: skip
    assert [(place["id"], place["name"]["en"]) for place in told["places"]] == [
        ("chikaho", "Chi-Ka-Ho underground walkway")
    ]
    assert {zone["place"] for zone in told["zones"]} == {"chikaho"}
    zones = {zone["id"]: zone for zone in told["zones"]}
    c1, p2 = zones["c1"], zones["p2"]
    assert (c1["kind"], c1["scheme"], c1["edges"]) == ("walkway", WALKWAY.name, [0.31, 0.43, 0.72, 1.08, 2.17])
    assert (p2["kind"], p2["scheme"], p2["edges"]) == ("shelter", QUEUE.name, list(QUEUE.density))
    assert c1["area_m2"] == 3_600 and len(c1["polygon"]) == 4 and zones["x3"]["parent"] == "c3"
    limits = {
        zone: [(row["rule"], row["kind"], row["severity"], row["limit"]) for row in of["limits"]]
        for zone, of in zones.items()
    }
    assert limits["c1"] == [
        ("crowded", "density", "warning", 1.08),
        ("counterflow", "counterflow", "warning", 0.35),
        ("stopped", "stopped", "critical", 1.5),
        ("blind", "sensor_loss", "warning", 0.8),
    ]
    assert [row[3] for row in limits["p2"]] == [3.33, 0.8]  # people stay there: neither walkway nor plaza
    assert c1["limits"][0] | {"rule": "", "kind": "", "severity": ""} == {
        "rule": "", "kind": "", "severity": "", "limit": 1.08, "recovery": 0.972, "days": [], "from": None, "to": None,
    }  # fmt: skip
    gate = next(gate for gate in told["gates"] if gate["id"] == "j2")
    source = next(gate for gate in document["gates"] if gate["id"] == "j2")
    assert gate["zones"] == ["c1", "c2"] and gate["width_m"] == 20
    assert (gate["line"], gate["bearing"]) == (source["line_m"], source["bearing_deg"])
    assert gate["sensors"] == ["j2-01", "j2-02", "j2-03"]
    assert {"id": "tr-x3", "kind": "tracker", "gate": None, "zone": "x3"} in told["sensors"]
    assert len(told["sensors"]) == len(document["sensors"])


def test_bands_of_limits_and_rules_that_do_not_fit():
    limit = {"zones": ["c1"], "days": ["sat", "sun"], "from": "10:00", "to": "18:30", "limit": 3.0}
    rule = {"id": "r", "kind": "counterflow", "limits": [limit, {"limit": 0.4}]}
    rule["limits"][0] |= {"limit": 0.3}
    lonely = {"id": "lone", "kind": "queue"}
    told = layout({**REGISTRY, "zones": [*REGISTRY["zones"], lonely], "thresholds": [rule]})
    c1, c2, lone = (zone["limits"] for zone in told["zones"])
    band = {"days": ["sat", "sun"], "from": "10:00", "to": "18:30"}
    assert [{name: row[name] for name in ("limit", *band)} for row in c1] == [
        {"limit": 0.3, **band},
        {"limit": 0.4, "days": [], "from": None, "to": None},
    ]
    assert [row["limit"] for row in c2] == [0.4]
    assert lone == []  # nobody passes each other where there are no gates


def test_only_approved_sensors_are_named_and_a_change_of_that_is_a_new_layout():
    past = [{"from": "2020-01-01T00:00:00Z", "to": "2026-02-07T07:40:00Z"}]  # T
    sensors = [
        {"id": "s1", "kind": "counter", "gate": "j1", "approved": ALWAYS},
        {"id": "s2", "kind": "counter", "gate": "j1", "approved": past},
    ]
    store = FakeStore({**REGISTRY, "sensors": sensors}, FakeRun(closed_ms=T - 1))
    views = Views(store)  # type: ignore[arg-type]

    def read() -> Any:
        view = views.read(None, "10s")
        assert view is not None
        return view.layout

    before = read()
    assert [row["id"] for row in before["sensors"]] == before["gates"][0]["sensors"] == ["s1", "s2"]
    assert read() is before
    store.update(closed_ms=T)
    assert [row["id"] for row in read()["sensors"]] == ["s1"]


def test_a_registry_of_very_many_sensors_names_none(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(layouts, "SENSORS", 1)
    sensors = [{"id": f"s{n}", "kind": "counter", "gate": "j1", "approved": ALWAYS} for n in range(2)]
    told = layout({**REGISTRY, "sensors": sensors}, closed_ms=T)
    assert told["sensors"] == [] and told["gates"][0]["sensors"] == []


def test_zones_without_a_place_belong_together_by_gates_and_parents():
    def zone(ident: str, **row: Any) -> dict[str, Any]:
        return {"id": ident, "kind": "plaza", **row}

    zones = [
        zone("a", area_m2=10), zone("b", area_m2=30, name={"ja": "大", "en": "Big"}), zone("n", parent="a", area_m2=20),
        zone("x"), zone("y", place="hall"), zone("in", parent="y"), zone("odd", place="nowhere"),
    ]  # fmt: skip
    gates = [{"id": "g", "a": "a", "b": "b"}, {"id": "h", "a": "x", "b": None}, {"id": "i", "a": "y", "b": "a"}]
    told = layout({"version": "1", "timezone": "UTC", "places": [{"id": "hall"}], "zones": zones, "gates": gates})
    assert {zone["id"]: zone["place"] for zone in told["zones"]} == {
        "a": "zone:b", "b": "zone:b", "n": "zone:b", "x": "zone:x", "y": "hall", "in": "hall", "odd": "zone:odd",
    }  # fmt: skip
    assert [(place["id"], place["name"]["ja"]) for place in told["places"]] == [
        ("hall", "hall"), ("zone:b", "大"), ("zone:x", "x"), ("zone:odd", "odd"),
    ]  # fmt: skip


def test_a_circle_of_parents_holds_nothing_up():
    zones = [{"id": "a", "parent": "b"}, {"id": "b", "parent": "a"}]
    told = layout({"version": "1", "timezone": "UTC", "zones": zones})
    assert [(zone["id"], zone["place"], zone["kind"], zone["edges"]) for zone in told["zones"]] == [
        ("a", "zone:a", None, []), ("b", "zone:a", None, []),
    ]  # fmt: skip


def both_ways() -> dict[str, Any]:
    """Zones late by gates, by trackers that see or watch them, and by cameras, one of which stands at a late gate."""
    square, line = [[50, 50], [59, 50], [59, 59]], [[0, 0], [9, 0]]
    zones = [{"id": "slow"}, {"id": "seen", "polygon_m": square}, {"id": "camera"}, {"id": "beams"}, {"id": "none"}]
    zones += [{"id": "held"}, {"id": "own", "polygon_m": [[90, 90], [99, 90], [99, 99]]}]
    gates = [
        {"id": "g1", "a": "slow", "b": None, "delay_s": 7.5}, {"id": "g2", "a": "beams", "b": None, "delay_s": 0},
        {"id": "g3", "a": "beams", "b": None}, {"id": "g4", "a": "slow", "b": None, "line_m": line},
    ]  # fmt: skip
    sensors = [
        {"id": "s1", "kind": "occupancy", "zone": "held", "gate": "g1"},
        {"id": "s4", "kind": "occupancy", "zone": "camera"},
        {"id": "s5", "kind": "tracker", "zone": "own", "gate": "g1"},
        {"id": "s2", "kind": "beam_pair", "gate": "g3"}, {"id": "s3", "kind": "tracker"},
    ]  # fmt: skip
    of = {"zones": {"kind": "walkway"}, "gates": {"leaf": "10s"}, "sensors": {"approved": ALWAYS}}
    parts = {"zones": zones, "gates": gates, "sensors": sensors}
    filled = {part: [{**of[part], **row} for row in rows] for part, rows in parts.items()}
    return {"version": "1", "timezone": "UTC", **filled}


@pytest.mark.parametrize(
    "document", [registry("all"), registry("counters"), both_ways()], ids=["all", "counters", "both ways"]
)
def test_delays_are_those_by_which_the_engine_closes(document: dict[str, Any]):
    tables = Tables(parse(json.dumps(document).encode()), follow=Follow(3_000, 1_200))
    config = json.dumps({"points": {"track_ms": 3_000}, "beams": {"pair_ms": 1_200}, "time": {"bound_ms": 4_000}})
    told = layouts.delays_of(layout(document, leaves={}, config=config))
    assert told["gates"] == dict(zip(tables.gate_ids, tables.gate_delay_ms.tolist(), strict=True))
    found = dict.fromkeys(tables.zone_ids, -1)
    for late, of in readers(tables, Rule(5)).items():  # none of a zone with gates
        found |= {tables.zone_ids[row]: late for row in of.zones.tolist()}
    for gate in tables.gates:
        for zone in (side for side in (gate.a, gate.b) if side is not None):
            found[zone] = max(found[zone], told["gates"][gate.id])
    with_rows = {zone: late for zone, late in found.items() if late >= 0}
    assert with_rows and {zone: told["zones"][zone] for zone in with_rows} == with_rows
    both = layouts.delays_of(layout(document, leaves={}, config=config[:-1] + ', "zones": {"beside_gates": true}}'))
    for late, of in readers(tables, Rule(5, beside_gates=True)).items():
        assert all(both["zones"][tables.zone_ids[row]] >= late for row in of.zones.tolist())


def test_scenarios_registries_tell_their_place():
    document = json.loads(json.dumps(loadgen.weekday(seconds=60).registry))
    assert [place["id"] for place in document["places"]] == ["chikaho"]
    assert {zone["place"] for zone in document["zones"]} == {"chikaho"}
