"""What decided a grade, and what thresholds compare: from one row, by the engine's rules."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from dashboard.because import Figure, graded, inputs, thresholds
from dashboard.layout import Register
from engine import los

T = 1_770_447_600_000  # Saturday 2026-02-07T16:00:00 in Tokyo
PLACE = {"id": "c1", "kind": "walkway", "area_m2": 100, "width_m": 10}
GATES = [
    {"id": "j1", "a": "c1", "b": None, "leaf": "10s", "width_m": 4},
    {"id": "j2", "a": None, "b": "c1", "leaf": "10s"},
]


def zone(**cells: Any) -> dict[str, Any]:
    names = ("inflow", "inflow_low", "inflow_high", "outflow", "outflow_low", "outflow_high", "occupancy")
    empty = dict.fromkeys((*names, "occupancy_low", "occupancy_high", "density", "speed", "error"))
    empty |= {"drift_low": None, "drift_high": None, "coverage": 0.9, "status": "range"}
    return {**empty, "los": "unknown", "los_scheme": los.WALKWAY.name, **cells}


def figure(row: dict[str, Any], gates: Any = None, window: str = "1m", minutes: int = 1) -> Figure:
    return Figure(window, T, T + minutes * 60_000, row, gates or {})


def through(*bounds: tuple[int, int]) -> dict[str, Any]:
    """Rows of a gate by direction."""
    ways = zip(("ab", "ba", "unknown"), (*bounds, (0, 0))[:3], strict=True)
    return {way: {"n": None, "n_low": low, "n_high": high} for way, (low, high) in ways}


def inside(low: float, high: float, error: int = 0, **cells: Any) -> dict[str, Any]:
    return {"occupancy_low": low, "occupancy_high": high, "error": error, **cells}


@pytest.mark.parametrize(
    ("cells", "place", "because"),
    [
        (inside(20, 60), {}, "density"),
        (inside(20, 60, error=40), {}, "density"),
        (inside(20, 31, speed=1.2, inflow_low=250, outflow_low=0), {}, "flow"),
        (inside(80, 100, speed=0.2), {}, "speed"),
        ({"speed": 1.0, "inflow_low": 300, "outflow_low": 10}, {"area_m2": None}, "flow"),  # both in place of a density
        ({"status": "unknown"}, {}, "unknown_status"),
        (inside(20, 60), {"area_m2": None}, "unknown_area"),
        ({}, {}, "unknown_people"),
        (inside(0, 400), {}, "unknown_range"),
    ],
)
def test_what_decided_a_grade(cells: dict[str, Any], place: dict[str, Any], because: str):
    row, of = zone(**cells), {**PLACE, **place}
    row["los"] = los.LOS[as_the_engine(row, of)]
    told = graded(figure(row), of)
    assert told["because"] == because
    assert (told["los"] == "unknown") == because.startswith("unknown")
    assert told["scheme"] == los.WALKWAY.name and told["density"] == list(los.WALKWAY.density) and told["flow"]
    assert "Fruin" in told["source"]


def as_the_engine(row: dict[str, Any], place: dict[str, Any]) -> int:
    """engine/zones.py, for one row of a minute."""
    if row["status"] == "unknown":
        return 0
    area, wrong = place["area_m2"] or np.nan, max(row["error"] or 0, 0)
    ends = [np.nan if row[f"occupancy_{end}"] is None else row[f"occupancy_{end}"] for end in ("low", "high")]
    passing = np.nan if row["inflow_low"] is None else max(row["inflow_low"], row["outflow_low"]) / place["width_m"]
    speed = np.nan if row["speed"] is None else row["speed"]
    given = (ends[0] - wrong) / area, (ends[1] + wrong) / area, passing, speed
    return int(los.grade_range(los.WALKWAY, *(np.array([each], np.float64) for each in given))[0])


def test_readings_that_were_not_sure_leave_a_grade_unknown():
    assert graded(figure(zone(**inside(20, 60))), PLACE)["because"] == "unknown_readings"


def test_a_queue_has_its_own_scheme_and_no_flow():
    row = zone(**inside(10, 20), los="A", los_scheme=los.QUEUE.name)
    told = graded(figure(row), {**PLACE, "kind": "queue"})
    assert (told["scheme"], told["density"], told["flow"]) == (los.QUEUE.name, list(los.QUEUE.density), None)


def test_inputs_carry_ranges_and_units():
    sides = {"inflow": 50, "inflow_low": 45, "inflow_high": 55, "outflow_low": 0, "outflow_high": 5}
    row, flows = zone(**sides, **inside(20, 60, 10), density=0.4), {"j1": through((6, 10), (0, 5), (0, 5))}
    told = inputs(figure(row, flows, "5m", 5), PLACE, register())
    cells = {(row["what"], row.get("gate")): (row["value"], row["low"], row["high"], row["unit"]) for row in told}
    assert cells[("inflow", None)] == (50, 45, 55, "people")
    assert cells[("outflow", None)] == (None, 0, 5, "people")
    assert cells[("density", None)] == (0.4, 0.1, 0.7, "people/m²")  # what is graded: with the error of the count
    assert cells[("flow", None)] == (None, 0.9, None, "people/m/min")
    assert cells[("speed", None)] == (None, None, None, "m/s")
    assert cells[("error", None)] == (10, None, None, "people")
    assert cells[("gate_flow", "j1")] == (0.65, 0.3, 1.0, "people/m/min")
    ten_seconds = inputs(figure(row, {}, "10s"), PLACE, register())
    assert next(each for each in ten_seconds if each["what"] == "flow")["low"] is None  # it grades no such window


def register(*rules: dict[str, Any]) -> Register:
    document = {"version": "1", "timezone": "Asia/Tokyo", "zones": [PLACE], "gates": GATES}
    if rules:
        document["thresholds"] = [{"window": "1m", **rule} for rule in rules]
    return Register(json.dumps(document))


def rule(kind: str, *limits: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"id": kind, "kind": kind, "limits": list(limits) or [{"limit": 0.4}], **more}


def test_of_a_rule_the_first_limit_whose_band_it_is_holds():
    bands = [
        {"limit": 1.0, "days": ["mon"]},
        {"limit": 2.0, "days": ["sat"], "from": "10:00", "to": "18:00"},
        {"limit": 3.0, "zone_kinds": ["walkway"]},
        {"limit": 4.0, "zone_kinds": ["queue"]},
    ]
    known = register(rule("density", *bands))
    told = thresholds(figure(zone(density=2.5)), T, ["c1"], None, known, "Asia/Tokyo", None)
    assert [(row["limit"], row["holds"]) for row in told] == [(1, False), (2, True), (3, False)]
    assert {row["value"] for row in told} == {2.5}
    assert (told[1]["days"], told[1]["from"], told[1]["to"]) == (["sat"], "10:00", "18:00")
    later = thresholds(figure(zone(density=2.5)), T + 3 * 3_600_000, ["c1"], None, known, "Asia/Tokyo", None)
    assert [row["holds"] for row in later] == [False, False, True]


def test_each_rule_compares_its_own_figure():
    kinds = [rule("density"), rule("speed"), rule("stopped"), rule("sensor_loss"), rule("flow"), rule("counterflow")]
    by_health = {**rule("sensor_loss", by="health"), "id": "health", "window": "10s"}
    known = register(*kinds, {**rule("density"), "id": "slow", "window": "5m"}, by_health)
    flows = {"j1": through((30, 30), (10, 10)), "j2": through((8, 8), (8, 8))}
    row = zone(density=1.5, speed=0.7)
    told = thresholds(figure(row, flows), T, ["c1"], None, known, "Asia/Tokyo", 0.5)
    assert {each["id"]: each["value"] for each in told} == {
        "density": 1.5, "speed": 0.7, "stopped": 1.5, "sensor_loss": 0.9, "flow": 10.0, "counterflow": 0.5,
        "slow": None, "health": 0.5,
    }  # fmt: skip
    assert {each["window"] for each in told} == {"1m", "5m", "10s"}
    unseen = thresholds(figure({**row, "status": "unknown"}), T, ["c1"], None, known, "Asia/Tokyo", None)
    values = {each["id"]: each["value"] for each in unseen}
    assert values["density"] is None and values["sensor_loss"] == 0 and values["flow"] is None
    of_gate = thresholds(figure({}, {"j2": flows["j2"]}), T, ["c1"], "j2", known, "Asia/Tokyo", None)
    assert {each["id"]: each["value"] for each in of_gate} == {"flow": 1.6, "counterflow": 0.5}  # the zone's width
