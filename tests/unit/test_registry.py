"""The registry: every fault names its place, what is left open is accepted, tables for kernels."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine import registry
from engine.errors import BadInput
from engine.model import BY_HEARTBEAT, END, EVERY_SPAN, LEAVES, ON_CHANGE
from engine.tables import Tables, classes, longest_delay_ms

Document = dict[str, Any]
FOREVER = [{"from": "2026-01-01T00:00:00Z", "to": None}]


def document() -> Document:
    """Three zones, four gates, five sensors: what the tables below are about."""
    return {
        "version": "2026-02-01",
        "timezone": "Asia/Tokyo",
        "zones": [
            {"id": "c1", "name": {"ja": "北3条", "en": "Kita 3"}, "kind": "walkway", "area_m2": 2400, "width_m": 12},
            {"id": "c2", "kind": "plaza", "closed": [{"from": "00:46", "to": "05:44"}]},
            {"id": "c3", "kind": "shelter", "parent": "c1"},
        ],
        "gates": [
            {"id": "j1", "a": None, "b": "c1", "leaf": "10s"},
            {"id": "j2", "a": "c1", "b": "c2", "leaf": "5m", "delay_s": 90},
            {"id": "j3", "a": "c2", "b": None, "leaf": "1h", "delay_s": 0.5},
            {"id": "j4", "a": None, "b": None, "leaf": "1m"},
        ],
        "sensors": [
            {"id": "j1-01", "kind": "counter", "gate": "j1", "reporting": "heartbeat", "approved": FOREVER},
            {"id": "j2-01", "kind": "beam_pair", "gate": "j2", "reporting": "every_span", "approved": []},
            {
                "id": "j3-01",
                "kind": "counter",
                "gate": "j3",
                "beat_s": 2.5,
                "group": "both",
                "approved": [
                    {"from": "2026-03-01T00:00:00+09:00", "to": "2026-04-01T00:00:00+09:00"},
                    {"from": "1970-01-01T00:00:00Z", "to": "1970-01-01T00:00:01Z"},
                ],
            },
            {"id": "cam-7", "kind": "tracker", "approved": FOREVER},
            {"id": "cam-8", "kind": "occupancy", "zone": "c2", "approved": FOREVER},
        ],
    }


def check(document_: object) -> tuple[registry.Registry | None, list[str]]:
    return registry.check(json.dumps(document_).encode())


# ------------------------------------------------------------------------------------ faults
Change = Callable[[Document], object]

# what is changed in the good document -> every fault that must then be told, in this order
FAULTS: list[tuple[Change, list[str]]] = [
    (lambda d: d.pop("version"), ["version: missing or not text"]),
    (lambda d: d.update(version=""), ["version: missing or not text"]),
    (lambda d: d.update(version=20260201), ["version: missing or not text"]),
    (lambda d: d.pop("timezone"), ["timezone: missing or not text"]),
    (lambda d: d.update(timezone=["Asia/Tokyo"]), ["timezone: missing or not text"]),
    (lambda d: d.update(timezone="Asia/Sapporo"), ["timezone: not in the tz database"]),
    (lambda d: d.update(timezone="../../etc/passwd"), ["timezone: not in the tz database"]),
    (lambda d: d.update(zones={}), ["zones: not a list", *(f"gates[{g}].{s}: no such zone" for g, s in
                                                           ((0, "b"), (1, "a"), (1, "b"), (2, "a"))),
                                    "sensors[4].zone: no such zone"]),
    (lambda d: d.update(sensors="all"), ["sensors: not a list"]),
    (lambda d: d["zones"].append("c4"), ["zones[3]: not an object"]),
    (lambda d: d["zones"].append({"kind": "exit"}), ["zones[3].id: missing"]),
    (lambda d: d["zones"].append({"id": "", "kind": "exit"}), ["zones[3].id: must be text of 1 to 64 bytes"]),
    (lambda d: d["zones"].append({"id": 4, "kind": "exit"}), ["zones[3].id: must be text of 1 to 64 bytes"]),
    (lambda d: d["zones"].append({"id": "北" * 22, "kind": "exit"}), ["zones[3].id: must be text of 1 to 64 bytes"]),
    (lambda d: d["zones"].append({"id": "c1", "kind": "exit"}), ["zones[3].id: stands there twice"]),
    (lambda d: d["zones"].append({"id": "c4"}), ["zones[3].kind: missing"]),
    (lambda d: d["zones"][1].update(kind="road"),
     ["zones[1].kind: must be one of walkway, plaza, queue, shelter, exit",
      "gates[1].b: no such zone", "gates[2].a: no such zone", "sensors[4].zone: no such zone"]),
    (lambda d: d["zones"][2].update(name="Kita"), ["zones[2].name: must be an object of texts by language"]),
    (lambda d: d["zones"][2].update(name={"en": 3}), ["zones[2].name: must be an object of texts by language"]),
    (lambda d: d["zones"][2].update(area_m2=-1), ["zones[2].area_m2: must be a number above 0"]),
    (lambda d: d["zones"][2].update(area_m2="2400"), ["zones[2].area_m2: must be a number above 0"]),
    (lambda d: d["zones"][2].update(width_m=True), ["zones[2].width_m: must be a number above 0"]),
    *((lambda d, v=v: d["zones"][2].update(area_m2=v), ["zones[2].area_m2: must be a number above 0"])
      for v in (0, -0.0, 10**12, [2400], {})),
    (lambda d: d["zones"][2].update(width_m=0), ["zones[2].width_m: must be a number above 0"]),
    (lambda d: d["zones"][2].update(parent="c9"), ["zones[2].parent: no such zone"]),
    (lambda d: d["zones"][2].update(parent=["c1"]), ["zones[2].parent: must be text of 1 to 64 bytes"]),
    (lambda d: d["zones"][2].update(parent="c3"), ["zones[2].parent: leads back to the zone itself"]),
    (lambda d: (d["zones"][0].update(parent="c3"), d["zones"][1].update(parent="c1")),
     ["zones[0].parent: leads back to the zone itself", "zones[2].parent: leads back to the zone itself"]),
    *((lambda d, v=v: d["zones"][2].update(polygon_m=v),
       ["zones[2].polygon_m: must be at least 3 different points [x, y] in metres"])
      for v in ([], "square", {"x": 1}, [[0, 0], [1, 0]], [[0, 0], [1, 0], [0, 0]], [[0, 0], [1, 0], [1]],
                [[0, 0], [1, 0], [1, 1, 1]], [[0, 0], [1, 0], [1, True]], [[0, 0], [1, 0], [1, "1"]],
                [[0, 0], [1, 0], [1, None]], [[0, 0], [1, 0], [1, 1e12]], [[0, 0], [1, 0], {}], [1, 2, 3])),
    (lambda d: d["zones"][2].update(closed="00:46-05:44"), ["zones[2].closed: not a list"]),
    *((lambda d, v=v: d["zones"][2].update(closed=[{"from": "22:00", "to": "05:00"}, v]),
       ["zones[2].closed[1]: needs two different times from and to, 00:00 to 23:59"])
      for v in (None, [], {}, {"from": "00:46"}, {"from": None, "to": None}, {"from": "00:46", "to": "00:46"},
                {"from": "0:46", "to": "05:44"}, {"from": "00:46", "to": "24:00"}, {"from": "00:60", "to": "05:44"},
                {"from": "00:46:00", "to": "05:44"}, {"from": "00:46\n", "to": "05:44"}, {"from": 46, "to": 544},
                {"from": "٠٠:٤٦", "to": "05:44"})),
    *((lambda d, v=v: d["gates"][3].update(width_m=v), ["gates[3].width_m: must be a number above 0"])
      for v in (0, -1, "20", False)),
    *((lambda d, v=v: d["gates"][3].update(bearing_deg=v), ["gates[3].bearing_deg: must be a number from 0 to 360"])
      for v in (-1, 360.5, "north", True, [172])),
    *((lambda d, v=v: d["gates"][3].update(line_m=v),
       ["gates[3].line_m: must be 2 different points [x, y] in metres"])
      for v in ([], [[0, 0]], [[0, 0], [0, 0]], [[0, 0], [0, 0.0]], [[0, 0], [1, 0], [2, 0]], [[0, 0], None],
                [[0, 0], [1e300, 0]], [[0, 0], [0, -1_000_001]], "0,0 1,1")),
    (lambda d: d["gates"].append(None), ["gates[4]: not an object"]),
    (lambda d: d["gates"][3].pop("a"), ["gates[3].a: missing (null = outside)"]),
    (lambda d: d["gates"][3].pop("b"), ["gates[3].b: missing (null = outside)"]),
    (lambda d: d["gates"][3].update(a="c9"), ["gates[3].a: no such zone"]),
    (lambda d: d["gates"][3].update(b=1), ["gates[3].b: must be text of 1 to 64 bytes"]),
    (lambda d: d["gates"][3].pop("leaf"), ["gates[3].leaf: missing"]),
    (lambda d: d["gates"][3].update(leaf="1d"), ["gates[3].leaf: must be one of 10s, 1m, 5m, 15m, 1h"]),
    (lambda d: d["gates"][3].update(leaf=60), ["gates[3].leaf: must be one of 10s, 1m, 5m, 15m, 1h"]),
    (lambda d: d["gates"][3].update(delay_s=-1), ["gates[3].delay_s: must be a number of at least 0"]),
    (lambda d: d["gates"].append(d["gates"][3]), ["gates[4].id: stands there twice"]),
    (lambda d: d["sensors"].append(3), ["sensors[5]: not an object"]),
    (lambda d: d["sensors"][3].pop("id"), ["sensors[3].id: missing"]),
    (lambda d: d["sensors"][3].update(kind="eye"),
     ["sensors[3].kind: must be one of counter, beam_pair, tracker, occupancy"]),
    (lambda d: d["sensors"][3].update(gate="j9"), ["sensors[3].gate: no such gate"]),
    (lambda d: d["sensors"][3].update(zone="c9"), ["sensors[3].zone: no such zone"]),
    (lambda d: d["sensors"][3].update(reporting="often"),
     ["sensors[3].reporting: must be one of on_change, heartbeat, every_span"]),
    (lambda d: d["sensors"][3].update(beat_s=0), ["sensors[3].beat_s: must be a number of at least 0.001"]),
    (lambda d: d["sensors"][3].update(group=[]), ["sensors[3].group: must be text of 1 to 64 bytes"]),
    *((lambda d, v=v: d["sensors"][3].update(relative_error=v),
       ["sensors[3].relative_error: must be a number from 0 to 1"]) for v in (-0.01, 1.01, "5 %", True)),
    (lambda d: d["sensors"][3].update(approved=[FOREVER[0], {"from": "2027-01-01T00:00:00Z", "to": None}]),
     ["sensors[3].approved[1]: overlaps another"]),
    (lambda d: d["sensors"][3].update(approved=[{"from": "2026-03-01T09:00:00+09:00", "to": None},
                                                {"from": "2026-01-01T00:00:00Z", "to": "2026-03-01T00:00:00.001Z"}]),
     ["sensors[3].approved[0]: overlaps another"]),
    (lambda d: d.update(devices={"kita2-01": "c1"}), ["devices: not a list"]),
    (lambda d: d.update(devices=["kita2-01"]), ["devices[0]: not an object"]),
    (lambda d: d.update(devices=[{"zone": "c1", "approved": []}]), ["devices[0].id: missing"]),
    (lambda d: d.update(devices=[{"id": "k", "zone": "c9", "approved": []}]), ["devices[0].zone: no such zone"]),
    (lambda d: d.update(devices=[{"id": "k", "zone": "c1"}]), ["devices[0].approved: missing or not a list"]),
    (lambda d: d.update(devices=[{"id": "k", "approved": []}] * 2), ["devices[1].id: stands there twice"]),
    (lambda d: d["sensors"][3].pop("approved"), ["sensors[3].approved: missing or not a list"]),
    (lambda d: d["sensors"][3].update(approved={"from": "2026-01-01T00:00:00Z"}),
     ["sensors[3].approved: missing or not a list"]),
    *(
        (
            lambda d, row=row: d["sensors"][3].update(approved=[FOREVER[0], row]),
            ["sensors[3].approved[1]: needs from < to, RFC 3339 with offset (to null = still)"],
        )
        for row in (
            None,
            {},
            {"from": None, "to": None},
            {"from": "2026-01-01", "to": None},
            {"from": "2026-01-01T00:00:00", "to": None},
            {"from": "2026-01-01T24:00:00Z", "to": None},
            {"from": 1_770_450_000_000, "to": None},
            {"from": "2026-01-01T00:00:00Z", "to": "soon"},
            {"from": "2026-01-01T00:00:00Z", "to": 0},
            {"from": "2026-01-01T00:00:00Z", "to": "2026-01-01T00:00:00Z"},
            {"from": "2026-01-01T09:00:00+09:00", "to": "2025-12-31T23:59:59Z"},
        )
    ),
    (lambda d: d["sensors"].append(d["sensors"][0]), ["sensors[5].id: stands there twice"]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("change", "faults"), FAULTS, ids=[faults[0] + f" {i}" for i, (_, faults) in enumerate(FAULTS)]
)
def test_every_fault_names_its_place(change: Change, faults: list[str]) -> None:
    changed = copy.deepcopy(document())
    change(changed)
    assert check(changed) == (None, faults)
    with pytest.raises(BadInput) as raised:
        registry.parse(json.dumps(changed).encode())
    assert str(raised.value) == f"registry: {faults[0]}"


def test_all_faults_are_told_at_once() -> None:
    changed = document()
    changed["version"] = None
    changed["gates"][0]["leaf"] = "2s"
    changed["sensors"][1]["kind"] = "ear"
    _, faults = check(changed)
    assert [fault.split(":")[0] for fault in faults] == [
        "version",
        "gates[0].leaf",
        "sensors[1].kind",
        "sensors[0].gate",
    ]


@pytest.mark.parametrize("raw", [b"", b"{", b"{}x", b"\xff", b'{"version": NaN}'])
def test_what_is_not_json(raw: bytes) -> None:
    assert registry.check(raw) == (None, ["not JSON"])


@pytest.mark.parametrize("raw", [b"[]", b"null", b'"registry"', b"3"])
def test_what_is_not_an_object(raw: bytes) -> None:
    assert registry.check(raw) == (None, ["not a JSON object"])


def test_no_fault_quotes_a_value() -> None:
    secret = "canary-4711"
    for change, _ in FAULTS:
        changed = document()
        change(changed)
        text = (
            json.dumps(changed).replace("Asia/", f"{secret}/").replace('"c', f'"{secret}').replace('"j', f'"{secret}')
        )
        assert secret not in " ".join(registry.check(text.encode())[1])


# ------------------------------------------------------------------------------- good ones
def test_a_good_registry_with_defaults() -> None:
    found, faults = check(document())
    assert faults == [] and found is not None
    assert (found.version, found.timezone) == ("2026-02-01", "Asia/Tokyo")
    assert found.zones[0] == registry.Zone("c1", {"ja": "北3条", "en": "Kita 3"}, "walkway", 2400, 12)
    assert found.zones[1] == registry.Zone("c2", {}, "plaza", None, None, closed=((46, 344),))
    assert found.gates[1] == registry.Gate("j2", "c1", "c2", LEAVES.index("5m"), 90_000)
    assert found.gates[0].delay_ms == 0
    since = 1_767_225_600_000
    assert found.sensors[3] == registry.Sensor("cam-7", "tracker", None, None, ((since, END),), ON_CHANGE, 30_000, None)
    assert found.sensors[2].beat_ms == 2500
    assert found.sensors[2].approved == ((0, 1000), (1_772_290_800_000, 1_774_969_200_000))  # in order of time


def test_the_least_registry() -> None:
    found = registry.parse(b'{"version":"1","timezone":"UTC"}')
    tables = Tables(found)
    assert (found.zones, found.gates, found.sensors) == ((), (), ())
    assert len(tables.sensor_gate) == len(tables.gate_leaf) == len(tables.zone_window) == 0
    assert tables.approved_at.tolist() == [0]
    assert longest_delay_ms(tables) == 0
    assert classes(tables) == {}


def test_a_byte_order_mark_and_unknown_fields_are_skipped() -> None:
    more = document() | {"devices": [], "comment": {"x": 1}}
    more["gates"][0]["name"] = {"en": "north"}
    found = registry.parse(b"\xef\xbb\xbf" + json.dumps(more).encode())
    assert found.gates == registry.parse(json.dumps(document()).encode()).gates


def test_what_the_contract_leaves_open_is_accepted() -> None:
    wide = document()
    wide["zones"] += [
        {"id": "c4", "kind": "queue", "parent": None, "polygon_m": None, "closed": None, "area_m2": None, "name": None},
        {"id": "c5", "kind": "exit", "parent": "c3", "closed": [{"from": "22:00", "to": "05:00"}], "area_m2": 0.5,
         "polygon_m": [[0, 0], [4, 0], [4, 3.5], [0, 0]]},
    ]  # fmt: skip
    wide["gates"] += [
        {"id": "j5", "a": "c5", "b": "c5", "leaf": "10s", "bearing_deg": 0, "line_m": [[0, -1], [0.5, 1e6]]},
        {"id": "j6", "a": None, "b": None, "leaf": "10s", "bearing_deg": 360, "line_m": None, "width_m": None},
    ]
    for sensor, gate in (("s1", "j5"), ("s2", "j5"), ("s3", "j6"), ("s4", None)):  # a group is a name within a gate
        wide["sensors"].append({"id": sensor, "kind": "tracker", "gate": gate, "zone": "c5", "group": "pair",
                                "relative_error": 0, "approved": [
                                    {"from": "2026-03-01T00:00:00Z", "to": None},
                                    {"from": "2026-01-01T00:00:00Z", "to": "2026-03-01T00:00:00Z"}]})  # fmt: skip
    wide["devices"] = [{"id": "j5", "zone": "c1", "approved": FOREVER}, {"id": "k2", "approved": []}]
    found, faults = check(wide)
    assert faults == [] and found is not None
    assert [zone.parent for zone in found.zones] == [None, None, "c1", None, "c3"]


def test_the_hash_is_of_the_content_not_of_its_layout() -> None:
    plain = registry.parse(json.dumps(document()).encode())
    turned = dict(reversed(document().items()))
    again = registry.parse(json.dumps(turned, indent=3, ensure_ascii=False).encode())
    assert (again.text, again.hash) == (plain.text, plain.hash)
    assert registry.parse(plain.text.encode()) == plain
    other = document()
    other["zones"][0]["area_m2"] = 2401
    assert registry.parse(json.dumps(other).encode()).hash != plain.hash


def test_the_error_of_a_gate_is_that_of_its_worst_sensor() -> None:
    def sensors(*told: tuple[str, float | None]) -> list[dict[str, Any]]:
        return [
            {"id": f"s{i}", "kind": "counter", "gate": gate, "approved": FOREVER, "relative_error": error}
            for i, (gate, error) in enumerate(told)
        ]

    told = sensors(("j1", 0.05), ("j1", 0.1), ("j2", 0.02), ("j2", None), ("j3", 0))
    first = Tables(registry.parse(json.dumps(document() | {"sensors": told}).encode()))
    assert np.array_equal(first.gate_error, [0.1, np.nan, 0, np.nan], equal_nan=True)  # at j4 there is none
    later = document() | {"version": "2", "gates": document()["gates"][1:], "sensors": sensors(("j2", 0.3))}
    second = Tables(registry.parse(json.dumps(later).encode()), first)
    assert np.array_equal(second.gate_error, [0.1, 0.3, np.nan, np.nan], equal_nan=True)  # j1 is gone


def test_tables() -> None:
    tables = Tables(registry.parse(json.dumps(document()).encode()))
    assert tables.sensor_ids == ("j1-01", "j2-01", "j3-01", "cam-7", "cam-8")
    assert tables.gate_ids == ("j1", "j2", "j3", "j4")
    assert tables.zone_ids == ("c1", "c2", "c3")
    columns = {
        name: getattr(tables, name)
        for name in tables.__annotations__
        if hasattr(getattr(tables, name), "dtype") and name != "gate_error"
    }
    assert {name: column.tolist() for name, column in columns.items()} == {
        "sensor_here": [True] * 5,
        "sensor_name": [0, 1, 2, 3, 4],
        "sensor_gate": [0, 1, 2, -1, -1],
        "sensor_leaf": [0, 2, 4, 0, 0],
        "roaming": [],
        "sensor_delay_ms": [0, 91_500, 500, 0, 0],  # j2-01 is a beam pair
        "sensor_wait_ms": [0, 90_000, 500, 0, 0],
        "sensor_reporting": [BY_HEARTBEAT, EVERY_SPAN, ON_CHANGE, ON_CHANGE, ON_CHANGE],
        "sensor_beat_ms": [30_000, 30_000, 2_500, 30_000, 30_000],
        "approved_at": [0, 1, 1, 3, 4, 5],
        "approved_from": [1_767_225_600_000, 0, 1_772_290_800_000, 1_767_225_600_000, 1_767_225_600_000],
        "approved_to": [END, 1000, 1_774_969_200_000, END, END],
        "gate_here": [True] * 4,
        "gate_leaf": [0, 2, 4, 1],
        "gate_delay_ms": [0, 91_500, 500, 0],
        "gate_wait_ms": [0, 90_000, 500, 0],
        "gate_a": [-1, 0, 1, -1],
        "gate_b": [0, 1, -1, -1],
        "zone_window": [2, 4, 0],  # coarsest leaf of its gates; 10s without gates
        "zone_delay_ms": [91_500, 91_500, 0],
    }
    assert {name: column.dtype.name for name, column in columns.items()} == {
        "sensor_here": "bool",
        "sensor_name": "int32",
        "gate_here": "bool",
        "sensor_gate": "int32",
        "sensor_leaf": "int8",
        "roaming": "int64",
        "sensor_delay_ms": "int64",
        "sensor_wait_ms": "int64",
        "sensor_reporting": "int8",
        "sensor_beat_ms": "int64",
        "approved_at": "int32",
        "approved_from": "int64",
        "approved_to": "int64",
        "gate_leaf": "int8",
        "gate_delay_ms": "int64",
        "gate_wait_ms": "int64",
        "gate_a": "int32",
        "gate_b": "int32",
        "zone_window": "int8",
        "zone_delay_ms": "int64",
    }
    assert tables.zone_clock.name == "Asia/Tokyo"
    assert classes(tables) == {(0, 0, 0): [0], (2, 91_500, 90_000): [1], (4, 500, 500): [2], (1, 0, 0): [3]}
    assert longest_delay_ms(tables) == 91_500


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"absent\.json"):
        registry.load(tmp_path / "absent.json")
