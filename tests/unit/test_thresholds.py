"""Thresholds in a registry: what is read, what is a fault, and where it stands."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from engine import registry
from engine.model import WINDOWS
from tests.support.alert_rows import REGISTRY, rule


def check(*rules: Any, **changed: Any) -> list[str]:
    return registry.check(json.dumps({**REGISTRY, "thresholds": list(rules), **changed}).encode())[1]


def read(told: Any) -> Any:
    found, faults = registry.check(json.dumps({**REGISTRY, "thresholds": [told]}).encode())
    assert found is not None, faults
    return found.thresholds[0]


def test_what_is_not_told_has_a_default() -> None:
    made = read({"id": "dense", "kind": "density", "limits": [{"limit": 2}]})
    assert (made.severity, WINDOWS[made.window], made.on_delay_ms, made.off_delay_ms) == (
        "warning",
        "10s",
        20000,
        60000,
    )
    (limit,) = made.limits
    assert (limit.limit, limit.recovery) == (2.0, 1.8)
    assert not limit.zones and not limit.kinds and limit.days == frozenset(range(7))


@pytest.mark.parametrize(
    ("kind", "limit", "recovery"),
    [("flow", 66, 59.4), ("speed", 0.45, 0.5), ("sensor_loss", 0.45, 0.5), ("sensor_loss", 0.95, 1.0)],
)
def test_the_recovery_lies_a_tenth_behind_the_limit(kind: str, limit: float, recovery: float) -> None:
    assert read(rule(kind, limit)).limits[0].recovery == pytest.approx(recovery)


def test_a_kind_has_its_own_fields() -> None:
    made = read(rule("stopped", 2, speed=0.1, flow=3, rise=20, severity="critical", window="1m"))
    assert (made.speed, made.flow, made.rise, made.severity, WINDOWS[made.window]) == (0.1, 3, 20, "critical", "1m")
    assert read(rule("stopped", 2)).rise is None
    assert read(rule("speed", 0.5)).people == 10
    assert read(rule("counterflow", 0.3)).people_per_minute == 30
    assert [read(rule("sensor_loss", 0.5, **by)).by for by in ({}, {"by": "health"})] == ["coverage", "health"]
    assert read(rule("density", 2)).by == ""


TIMES = "needs two different times from and to, 00:00 to 23:59"
WORDS = "must be a list of different words"
BARE = {"id": "c3", "kind": "queue"}
WITH_BARE = {"zones": [*REGISTRY["zones"], BARE]}


@pytest.mark.parametrize(
    ("told", "fault"),
    [
        (7, "thresholds[0]: not an object"),
        ({"kind": "density", "limits": [{"limit": 2}]}, "id: missing"),
        (rule("density", 2, id="x" * 65), "id: must be text of 1 to 64 bytes"),
        ({"id": "a", "limits": [{"limit": 2}]}, "kind: missing"),
        (rule("crowd", 2), "kind: must be one of density, flow, speed, counterflow, stopped, sensor_loss"),
        (rule("density", 2, severity="bad"), "severity: must be one of info, warning, critical"),
        (rule("sensor_loss", 0.5, by="ear"), "by: must be one of coverage, health"),
        (rule("sensor_loss", 0.5, by="health", window="1m"), "window: must be one of 10s"),
        (rule("density", 2, window="2m"), "window: must be one of 10s, 1m, 5m, 15m, 1h, 1d"),
        (rule("density", 2, on_delay_s=-1), "on_delay_s: must be a number of at least 0"),
        (rule("density", 2, off_delay_s="9"), "off_delay_s: must be a number of at least 0"),
        (rule("density"), "limits: must be a list with a limit at least"),
        (rule("density", 2, limits=2), "limits: must be a list with a limit at least"),
        (rule("density", 2, limits=[2]), "limits[0]: not an object"),
        (rule("density", {}), "limits[0].limit: missing"),
        (rule("density", 0), "limits[0].limit: must be a number above 0"),
        (rule("counterflow", 0.6), "limits[0].limit: must be a number from 0 to 0.5"),
        (rule("sensor_loss", 1.1), "limits[0].limit: must be a number from 0 to 1"),
        (rule("density", {"limit": 2, "recovery": 2.1}), "limits[0].recovery: must be at most the limit"),
        (rule("speed", {"limit": 1, "recovery": 0.9}), "limits[0].recovery: must be at least the limit"),
        (rule("density", {"limit": 2, "zones": ["c9"]}), "limits[0].zones[0]: not known"),
        (rule("density", {"limit": 2, "zones": "c1"}), "limits[0].zones: " + WORDS),
        (rule("density", {"limit": 2, "zones": []}), "limits[0].zones: " + WORDS),
        (rule("density", {"limit": 2, "zone_kinds": ["street"]}), "limits[0].zone_kinds[0]: not known"),
        (rule("density", {"limit": 2, "days": ["mon", "mon"]}), "limits[0].days: " + WORDS),
        (rule("density", {"limit": 2, "from": "10:00"}), "limits[0].from: " + TIMES),
        (rule("density", {"limit": 2, "from": "10:00", "to": "10:00"}), "limits[0].from: " + TIMES),
        (rule("density", {"limit": 2, "from": "10:00", "to": "24:00"}), "limits[0].to: must be a local time HH:MM"),
    ],
)  # fmt: skip
def test_faults_name_their_place(told: Any, fault: str) -> None:
    assert any(found in (fault, f"thresholds[0].{fault}") for found in check(told))


def test_a_field_that_is_none_is_a_fault_and_its_name_is_not_told() -> None:
    assert check(rule("density", 2, on_dealy_s=3)) == [
        "thresholds[0]: has a field that is none of id, kind, severity, window, on_delay_s, off_delay_s, limits"
    ]
    assert check(rule("density", 2, people=3)) != []  # fields of another kind
    assert check(rule("density", 2, by="health")) != []
    (fault,) = check(rule("density", {"limit": 2, "zone": "c1"}))
    assert fault.startswith("thresholds[0].limits[0]: has a field that is none of zones, zone_kinds, days,")


@pytest.mark.parametrize(
    ("told", "fault"),
    [
        (rule("density", 2), "limit: zones[2] has no area_m2"),
        (rule("stopped", {"zone_kinds": ["queue"], "limit": 2}), "limit: zones[2] has no area_m2"),
        (rule("flow", {"zones": ["c3"], "limit": 2}), "zones: zones[2] has no gates"),
        (rule("density", {"zones": ["c1"], "limit": 2}), ""),
        (rule("flow", 66), ""),
        (rule("sensor_loss", 0.5), ""),
    ],
)
def test_a_limit_that_a_zone_could_never_reach_is_a_fault(told: Any, fault: str) -> None:
    assert check(told, **WITH_BARE) == ([f"thresholds[0].limits[0].{fault}"] if fault else [])


def test_a_flow_needs_the_width_of_each_gate_or_of_the_zone() -> None:
    changed = copy.deepcopy(REGISTRY)
    del changed["zones"][0]["width_m"], changed["zones"][1]["width_m"]
    told = rule("flow", {"zones": ["c1"], "limit": 66})
    assert check(told, **changed) == ["thresholds[0].limits[0].limit: zones[0] has no width_m, nor have all its gates"]
    changed["gates"][1]["width_m"] = 3
    assert check(told, **changed) == []


def test_ids_stand_there_once() -> None:
    assert check(rule("density", 2), rule("density", 3)) == ["thresholds[1].id: stands there twice"]


@pytest.mark.parametrize(
    ("signed", "faults"),
    [
        ({"by": "sato", "at": "2026-02-07T08:00:00+09:00"}, []),
        ({"by": None, "at": None}, []),
        ({"by": ""}, ["by: must be text of 1 to 64 bytes"]),
        ({"by": 7}, ["by: must be text of 1 to 64 bytes"]),
        ({"at": "2026-02-07 08:00"}, ["at: must be RFC 3339 with offset"]),
    ],
)
def test_who_made_a_version_and_when(signed: Any, faults: list[str]) -> None:
    assert check(**signed) == faults
