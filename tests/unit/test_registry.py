"""The registry: every fault names its place, tables for kernels, a registry from a spreadsheet."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine import registry
from engine.errors import BadInput
from engine.model import BY_HEARTBEAT, END, EVERY_SPAN, LEAVES, ON_CHANGE
from engine.registry_new import COLUMNS, from_csv

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
    (lambda d: d["zones"][2].update(area_m2=-1), ["zones[2].area_m2: must be a number of at least 0"]),
    (lambda d: d["zones"][2].update(area_m2="2400"), ["zones[2].area_m2: must be a number of at least 0"]),
    (lambda d: d["zones"][2].update(width_m=True), ["zones[2].width_m: must be a number of at least 0"]),
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
    assert found.zones[1] == registry.Zone("c2", {}, "plaza", None, None)
    assert found.gates[1] == registry.Gate("j2", "c1", "c2", LEAVES.index("5m"), 90_000)
    assert found.gates[0].delay_ms == 0
    since = 1_767_225_600_000
    assert found.sensors[3] == registry.Sensor("cam-7", "tracker", None, None, ((since, END),), ON_CHANGE, 30_000, None)
    assert found.sensors[2].beat_ms == 2500
    assert found.sensors[2].approved == ((0, 1000), (1_772_290_800_000, 1_774_969_200_000))  # in order of time


def test_the_least_registry() -> None:
    found = registry.parse(b'{"version":"1","timezone":"UTC"}')
    tables = found.tables()
    assert (found.zones, found.gates, found.sensors) == ((), (), ())
    assert len(tables.sensor_gate) == len(tables.gate_leaf) == len(tables.zone_window) == 0
    assert tables.approved_at.tolist() == [0]
    assert registry.longest_delay_ms(tables) == 0
    assert registry.classes(tables) == {}


def test_a_byte_order_mark_and_unknown_fields_are_skipped() -> None:
    more = document() | {"devices": [], "comment": {"x": 1}}
    more["gates"][0]["name"] = {"en": "north"}
    found = registry.parse(b"\xef\xbb\xbf" + json.dumps(more).encode())
    assert found.gates == registry.parse(json.dumps(document()).encode()).gates


def test_the_hash_is_of_the_content_not_of_its_layout() -> None:
    plain = registry.parse(json.dumps(document()).encode())
    turned = dict(reversed(document().items()))
    again = registry.parse(json.dumps(turned, indent=3, ensure_ascii=False).encode())
    assert (again.text, again.hash) == (plain.text, plain.hash)
    assert registry.parse(plain.text.encode()) == plain
    other = document()
    other["zones"][0]["area_m2"] = 2401
    assert registry.parse(json.dumps(other).encode()).hash != plain.hash


def test_tables() -> None:
    tables = registry.parse(json.dumps(document()).encode()).tables()
    assert tables.sensor_ids == ("j1-01", "j2-01", "j3-01", "cam-7", "cam-8")
    assert tables.gate_ids == ("j1", "j2", "j3", "j4")
    assert tables.zone_ids == ("c1", "c2", "c3")
    columns = {
        name: getattr(tables, name) for name in tables.__annotations__ if hasattr(getattr(tables, name), "dtype")
    }
    assert {name: column.tolist() for name, column in columns.items()} == {
        "sensor_gate": [0, 1, 2, -1, -1],
        "sensor_leaf": [0, 2, 4, 0, 0],
        "sensor_delay_ms": [0, 90_000, 500, 0, 0],
        "sensor_reporting": [BY_HEARTBEAT, EVERY_SPAN, ON_CHANGE, ON_CHANGE, ON_CHANGE],
        "sensor_beat_ms": [30_000, 30_000, 2_500, 30_000, 30_000],
        "approved_at": [0, 1, 1, 3, 4, 5],
        "approved_from": [1_767_225_600_000, 0, 1_772_290_800_000, 1_767_225_600_000, 1_767_225_600_000],
        "approved_to": [END, 1000, 1_774_969_200_000, END, END],
        "gate_leaf": [0, 2, 4, 1],
        "gate_delay_ms": [0, 90_000, 500, 0],
        "gate_a": [-1, 0, 1, -1],
        "gate_b": [0, 1, -1, -1],
        "zone_window": [2, 4, 0],  # coarsest leaf of its gates; 10s without gates
        "zone_delay_ms": [90_000, 90_000, 0],
    }
    assert {name: column.dtype.name for name, column in columns.items()} == {
        "sensor_gate": "int32",
        "sensor_leaf": "int8",
        "sensor_delay_ms": "int64",
        "sensor_reporting": "int8",
        "sensor_beat_ms": "int64",
        "approved_at": "int32",
        "approved_from": "int64",
        "approved_to": "int64",
        "gate_leaf": "int8",
        "gate_delay_ms": "int64",
        "gate_a": "int32",
        "gate_b": "int32",
        "zone_window": "int8",
        "zone_delay_ms": "int64",
    }
    assert tables.zone_clock.name == "Asia/Tokyo"
    assert registry.classes(tables) == {(0, 0): [0], (2, 90_000): [1], (4, 500): [2], (1, 0): [3]}
    assert registry.longest_delay_ms(tables) == 90_000


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"absent\.json"):
        registry.load(tmp_path / "absent.json")


# ------------------------------------------------------------------------------ from a CSV
FULL = """\
gate,sensor,kind,leaf,a,b,approved_from,reporting,beat_s
j1,j1-01,counter,10s,,北3条,2026-01-01,heartbeat,10
j1,j1-02,,,,,2026-01-01T00:00:00+09:00,heartbeat,2.5
j2,j2-01,beam_pair,5m,北3条,c2,,every_span,

j3,"j3,01",,,,,2017-10-15,,
"""


def test_a_registry_from_a_csv() -> None:
    made = from_csv(FULL, version="v7", timezone="America/Sao_Paulo")
    assert made["zones"] == [{"id": "北3条", "kind": "walkway"}, {"id": "c2", "kind": "walkway"}]
    assert [(g["id"], g["a"], g["b"], g["leaf"]) for g in made["gates"]] == [
        ("j1", None, "北3条", "10s"),
        ("j2", "北3条", "c2", "5m"),
        ("j3", None, None, "10s"),
    ]
    found, faults = check(made)
    assert faults == [] and found is not None
    assert (found.version, found.timezone) == ("v7", "America/Sao_Paulo")
    assert [(s.id, s.kind, s.gate, s.reporting, s.beat_ms) for s in found.sensors] == [
        ("j1-01", "counter", "j1", BY_HEARTBEAT, 10_000),
        ("j1-02", "counter", "j1", BY_HEARTBEAT, 2_500),
        ("j2-01", "beam_pair", "j2", EVERY_SPAN, 30_000),
        ("j3,01", "counter", "j3", ON_CHANGE, 30_000),
    ]
    assert [s.approved for s in found.sensors] == [
        ((1_767_236_400_000, END),),  # the day begins at 03:00 UTC there
        ((1_767_193_200_000, END),),
        (),  # nobody has approved it
        ((1_508_036_400_000, END),),  # that day began at 01:00 = 03:00 UTC
    ]


def test_two_columns_are_enough() -> None:
    made = from_csv("\ufeffsensor,gate\r\ns1,g1\r\ns2,g1\r\n")
    found, faults = check(made)
    assert faults == [] and found is not None
    assert (found.version, found.timezone, found.zones) == ("1", "Asia/Tokyo", ())
    assert [(s.id, s.gate, s.approved) for s in found.sensors] == [("s1", "g1", ()), ("s2", "g1", ())]


BAD_CSV = [
    ("", "registry CSV: needs a header and a row for each sensor"),
    ("gate,sensor\n", "registry CSV: needs a header and a row for each sensor"),
    ("gate\nj1\n", "registry CSV, line 1: column sensor is missing"),
    ("\ngate,sensor,colour\n", "registry CSV, line 2: column 3 must be one of " + ", ".join(COLUMNS)),
    ("gate,sensor,gate\n", "registry CSV, line 1: column gate stands there twice"),
    ("gate,sensor\nj1,s1,x\n", "registry CSV, line 2: has more cells than the header"),
    ("gate,sensor\nj1\n", "registry CSV, line 2: sensor is empty"),
    ("gate,sensor\nj1,s1\n ,s2\n", "registry CSV, line 3: gate is empty"),
    ("gate,sensor\nj1,s1\nj2,s1\n", "registry CSV, line 3: sensor stands there twice"),
    (f"gate,sensor\nj1,{'北' * 22}\n", "registry CSV, line 2: sensor is longer than 64 bytes"),
    ("gate,sensor\nj1,\ud800\n", "registry CSV, line 2: sensor is not valid text"),
    (
        "gate,sensor,kind\nj1,s1,eye\n",
        "registry CSV, line 2: kind must be one of counter, beam_pair, tracker, occupancy",
    ),
    ("gate,sensor,leaf\nj1,s1,1d\n", "registry CSV, line 2: leaf must be one of 10s, 1m, 5m, 15m, 1h"),
    ("gate,sensor,leaf\nj1,s1,1m\nj1,s2,5m\n", "registry CSV, line 3: leaf differs from the gate's first row"),
    ("gate,sensor,leaf\nj1,s1,\nj1,s2,5m\n", "registry CSV, line 3: leaf differs from the gate's first row"),
    ("gate,sensor,a\nj1,s1,c1\n\nj1,s2,c2\n", "registry CSV, line 4: a differs from the gate's first row"),
    ("gate,sensor,b\nj1,s1,\nj1,s2,c2\n", "registry CSV, line 3: b differs from the gate's first row"),
    (f"gate,sensor,b\nj1,s1,{'z' * 65}\n", "registry CSV, line 2: b is longer than 64 bytes"),
    ("gate,sensor,reporting\nj1,s1,often\n",
     "registry CSV, line 2: reporting must be one of on_change, heartbeat, every_span"),
    *(
        (f"gate,sensor,beat_s\nj1,s1,{beat}\n", "registry CSV, line 2: beat_s must be a number of at least 0.001")
        for beat in ("0", "-1", "ten", "nan", "inf", "0x10")
    ),
    *(
        (
            f"gate,sensor,approved_from\nj1,s1,2026-01-01\nj1,s2,{since}\n",
            "registry CSV, line 3: approved_from must be a date, or an RFC 3339 time with offset",
        )
        for since in ("yes", "2026-02-29", "2026-01-01T00:00:00", "2026-01-01T24:00:00Z", "1.1.2026", "0000-01-01")
    ),
    ('gate,sensor\nj1,"s1\n', "registry CSV, line 2: not CSV"),
    ('gate,sensor\n"j1"x,s1\n', "registry CSV, line 2: not CSV"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "message"), BAD_CSV, ids=range(len(BAD_CSV)))
def test_a_bad_csv_names_its_line(text: str, message: str) -> None:
    with pytest.raises(BadInput) as raised:
        from_csv(text)
    assert str(raised.value) == message


def test_an_unknown_time_zone_is_refused() -> None:
    with pytest.raises(BadInput):
        from_csv("gate,sensor\nj1,s1\n", timezone="Asia/Sapporo")


cells = st.sampled_from(
    ("", "j1", "j2", "c1", "10s", "1m", "counter", "2026-01-01", "heartbeat", "5", "\x00", '"', " x ")
)


@given(st.lists(st.lists(cells, min_size=9, max_size=9), max_size=5))
def test_any_csv_gives_a_good_registry_or_names_a_line(rows: list[list[str]]) -> None:
    text = "\n".join(",".join(row) for row in [list(COLUMNS), *rows])
    try:
        made = from_csv(text)
    except BadInput as error:
        assert str(error).startswith("registry CSV")
    else:
        assert check(made)[1] == []
