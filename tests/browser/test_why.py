"""What a figure rests on, asked of a real embedded store; without a browser."""

from __future__ import annotations

import json
from typing import Any

import pytest

from dashboard.app import create_app
from dashboard.serve import serve
from engine import los
from sinks.clickhouse.store import Run, Store
from tests.browser.fake_store import CONFIG
from tests.browser.test_past import get
from tests.services.released import flow, released, zone_row, zones

pytestmark = pytest.mark.embedded

T0 = 1_770_447_600_000  # 2026-02-07T07:00:00Z, Saturday 16:00 in Tokyo
ALWAYS = [{"from": "2020-01-01T00:00:00Z", "to": None}]


@pytest.fixture(autouse=True)
def no_script_errors() -> None:
    """No browser here."""


def registry(version: str, limit: float, **signed: Any) -> dict[str, Any]:
    def sensor(ident: str, **row: Any) -> dict[str, Any]:
        return {"id": ident, "kind": "counter", "approved": ALWAYS, "reporting": "heartbeat", **row}

    return {
        "version": version,
        "timezone": "Asia/Tokyo",
        **signed,
        "zones": [
            {"id": "c1", "name": {"ja": "北1条", "en": "Kita 1"}, "kind": "walkway", "area_m2": 100, "width_m": 10},
            {"id": "c2", "kind": "plaza"},
        ],
        "gates": [
            {"id": "j1", "a": "c1", "b": None, "leaf": "10s"},
            {"id": "j2", "a": "c2", "b": None, "leaf": "10s"},
        ],
        "sensors": [
            sensor("s1", gate="j1", group="pair"),
            sensor("s2", gate="j1", group="pair"),
            sensor("s3", gate="j1"),
            sensor("s4", gate="j1", approved=[{"from": "2020-01-01T00:00:00Z", "to": "2021-01-01T00:00:00Z"}]),
            sensor("s5", gate="j2"),
        ],
        "thresholds": [
            {"id": "dense", "kind": "density", "on_delay_s": 30, "limits": [{"zones": ["c1"], "limit": limit}]},
            {"id": "blind", "kind": "sensor_loss", "by": "health", "limits": [{"limit": 0.8}]},
            {"id": "flow", "kind": "flow", "limits": [{"zones": ["c1"], "limit": 50.0}]},
        ],
    }


def filled(store: Store) -> None:
    """Two windows of c1: one of few people, one that is dense; the version changed between them."""
    for digest, document in (
        ("h1", registry("v1", 2.0)),
        ("h2", registry("v2", 1.5, by="anna", at="2026-02-07T15:00:00+09:00")),
    ):
        store.put_registry(document["version"], digest, json.dumps(document))
    leaves = {"j1": "10s", "j2": "10s"}
    told = {"closed_ms": T0 + 130_000, "versions": ("h2",), "started_ms": T0, "updated_ms": 1}
    store.start_run(Run("r", "live", CONFIG, "conf", "v1", "h1", "1.2", "Asia/Tokyo", leaves, **told))
    for start, people, version in ((T0 + 100_000, 20, "v1"), (T0 + 110_000, 160, "v2")):
        ways = (("ab", people + 1, people, people + 2), ("ba", None, 0, 5), ("unknown", None, 0, 5))
        rows = [("10s", start, "j1", way, n, low, high, "range", 0.75) for way, n, low, high in ways]
        store.insert(flow(f"f{start}", *rows, version=version), "r")
        inside = {"occupancy_low": people - 10.0, "occupancy_high": people + 10.0, "error": 4, "density": people / 100}
        sides = {"inflow": people, "inflow_low": people, "inflow_high": people, "outflow_low": 0, "outflow_high": 5}
        words = {
            "los": "E" if people > 100 else "B",
            "los_scheme": los.WALKWAY.name,
            "status": "range",
            "coverage": 0.75,
        }
        row = zone_row("10s", start, "c1", float(people), **sides, **inside, **words)
        store.insert(zones(f"z{start}", row, version=version), "r")
    changed = [("s1", "silent", 0), ("s2", "ok", 0), ("s3", "stuck", 60_000)]
    cells = [("1m", T0 + at, sensor, state, T0 + at) for sensor, state, at in changed]
    store.insert(released("health", "h", cells), "r")


def test_op_04_and_09_why_a_figure_is_as_it_is(real: Store):
    filled(real)
    server = serve(create_app(real))
    try:
        status, told, _ = get(server, "/api/why?zone=c1&window=10s")
        assert status == 200
        assert told["run"] == {
            "id": "r", "kind": "live", "registry_version": "v2", "code_version": "1.2", "config_hash": "conf", "k": 6,
        }  # fmt: skip
        assert told["place"] == {"id": "c1", "name": {"ja": "北1条", "en": "Kita 1"}}
        window = {name: told[name] for name in ("window", "start", "end", "status", "coverage")}
        assert window == {
            "window": "10s", "start": T0 + 110_000, "end": T0 + 120_000, "status": "range", "coverage": 0.75,
        }  # fmt: skip
        inputs = {row["what"]: (row["value"], row["low"], row["high"], row["unit"]) for row in told["inputs"]}
        assert inputs["density"] == (1.6, 1.46, 1.74, "people/m²")
        assert inputs["occupancy"] == (160, 150, 170, "people")
        assert inputs["gate_flow"] == (99.6, 96.0, 103.2, "people/m/min")
        grade = told["grade"]
        assert (grade["los"], grade["scheme"], grade["because"]) == ("E", los.WALKWAY.name, "density")
        assert grade["density"] == list(los.WALKWAY.density) and grade["source"] == los.WALKWAY.source
        compared = {
            row["id"]: (row["limit"], row["value"], row["holds"], row["on_delay_s"]) for row in told["thresholds"]
        }
        assert compared == {"dense": (1.5, 1.6, True, 30), "blind": (0.8, 0.5, True, 20), "flow": (50, 99.6, True, 20)}
        edit, first = told["changes"]
        assert edit == {"version": "v2", "by": "anna", "at": "2026-02-07T15:00:00+09:00", "rules": ["dense"]}
        assert (first["version"], first["by"], first["rules"]) == ("v1", None, ["dense", "blind", "flow"])
        sensors = {row["id"]: (row["approved"], row["state"], row["group"]) for row in told["sensors"]}
        assert sensors == {
            "s1": (True, "silent", "pair"), "s2": (True, "ok", "pair"), "s3": (True, "stuck", None),
            "s4": (False, None, None),
        }  # fmt: skip

        # as it was shown: the window before, its own registry version, the states known then
        _, then, _ = get(server, f"/api/why?zone=c1&window=10s&at={T0 + 115_000}")
        assert (then["start"], then["grade"]["los"], then["run"]["registry_version"]) == (T0 + 100_000, "B", "v1")
        assert {row["id"]: row["state"] for row in then["sensors"]}["s3"] is None
        assert get(server, f"/api/why?zone=c1&window=10s&at={T0 + 900_000}")[1]["start"] == T0 + 110_000

        _, gate, _ = get(server, "/api/why?gate=j1&window=10s")
        people = {row["what"]: (row["value"], row["low"], row["high"]) for row in gate["inputs"]}
        assert people["ab"] == (161, 160, 162) and people["ba"] == (None, 0, 5)
        assert gate["grade"] is None and gate["coverage"] == 0.75
        assert [(row["id"], row["value"]) for row in gate["thresholds"]] == [("flow", 99.6)]
        assert [row["id"] for row in gate["sensors"]] == ["s1", "s2", "s3", "s4"]

        _, none, _ = get(server, "/api/why?zone=c2&window=10s")  # known, but nothing is stored of it
        assert (none["status"], none["start"], none["inputs"], none["grade"]) == (None, None, [], None)
        assert [(row["id"], row["value"]) for row in none["thresholds"]] == [("blind", 1.0)]
        for query, status, word in (
            ("", 400, "zone"),
            ("zone=c1&gate=j1", 400, "zone"),
            ("zone=c9", 404, "zone"),
            ("gate=c9", 404, "gate"),
            ("zone=c1&run=nobody", 404, "run"),
            ("zone=c1&window=7s", 400, "window"),
            ("zone=c1&at=soon", 400, "at"),
            ("zone=" + "z" * 201, 400, "zone"),
        ):
            assert get(server, f"/api/why?{query}") == (status, {"error": word}, {}), query
    finally:
        server.stop()
