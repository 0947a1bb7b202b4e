"""The audit of readings: what the engine publishes passes, other rules and rows that were tampered with are found."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import numpy as np
import pytest

from engine import registry, release
from engine.config import Config
from engine.fast import _release
from hitonami.audit import Rule
from hitonami.audit.readings import KS, enumerate_readings
from tests.support.engine_run import run
from tests.support.readings import T0, sensor, world, zone
from tests.unit.test_audit_store import FakeStore, audit, findings
from tests.unit.test_zone_readings import Log, filmed, said

COUNTER = {"id": "n", "kind": "counter", "gate": "g", "approved": sensor("n", "counter")["approved"]}
DOCUMENT = world(
    sensor("c", "occupancy"),
    sensor("d", "occupancy", "yard"),
    sensor("e", "occupancy", "room"),
    COUNTER,
    zones=[zone(), zone("yard", polygon_m=None), zone("room", polygon_m=None)],
    gates=[{"id": "g", "a": "yard", "b": None, "leaf": "10s"}],
)


@cache
def rows(k: int, beside: bool) -> str:
    logs: list[Log] = [
        filmed(37, 0.4, to=900),
        filmed(22, 0.4, name="d"),
        [*filmed(3, 0.4, name="e"), said("cross", "n", 7, dir="ab")],
    ]
    result = run(DOCUMENT, logs, Config({"zones": {"k": k, "beside_gates": beside}}))
    return json.dumps(result.rows)


def store_of(k: int = 5, beside: bool = False, **config: Any) -> FakeStore:
    store = FakeStore()
    store.registries = {"v1": json.dumps(DOCUMENT)}
    settings = Config({"zones": {"k": k, "beside_gates": beside} | config})
    store.put(
        config=settings.as_json(), config_hash=settings.hash(), leaves={"g": "10s"}, first_ms=T0, timezone="Asia/Tokyo",
        registry_hash=registry.parse(json.dumps(DOCUMENT).encode()).hash, gate_delay_ms=0,
    )  # fmt: skip
    store.tables["r1"] = json.loads(rows(k, beside))
    return store


@pytest.mark.parametrize(("k", "beside"), [(5, False), (1, False), (2, False), (5, True), (1, True)])
def test_what_the_engine_stores_passes(k: int, beside: bool) -> None:
    report = audit(store_of(k, beside))
    assert report.findings == []
    zones = store_of(k, beside).tables["r1"]["zones"]
    assert report.summary["reading_rows"] == sum(row["zone"] in ("hall", "room") for row in zones) > 200
    assert {row["status"] for row in zones} >= {"unknown"} | ({"released"} if k == 1 else {"range", "suppressed"})


HALL = {"window": "10s", "zone": "hall", "status": "range"}
FEW = {"window": "10s", "zone": "room", "status": "suppressed"}
DARK = {"window": "10s", "zone": "room", "status": "unknown"}
MINUTE = {"window": "1m", "zone": "hall", "status": "range"}
YARD = {"window": "10s", "zone": "yard"}
TAMPERED = {  # which row, what is put into it -> what is found
    "narrower": (HALL, {"occupancy_high": 37}, "no class of 5"),
    "wider": (HALL, {"occupancy_high": 40}, "no class of 5"),
    "a class of its own": (HALL, {"occupancy": 36, "occupancy_low": 36, "occupancy_high": 40}, "no class of 5"),
    "another number": (HALL, {"occupancy": 37}, "no class of 5"),
    "exact": (HALL, {"occupancy": 37, "occupancy_low": 37, "occupancy_high": 37}, "no class of 5"),
    "told as released": (HALL, {"status": "released"}, "no class of 5"),
    "a number of few": (FEW, {"occupancy": 3}, "no class of 5"),
    "few told as a range": (FEW, {"status": "range"}, "no class of 5"),
    "unknown with people": (DARK, {"occupancy_low": 0}, "an unknown row with figures"),
    "unknown with speed": (DARK, {"speed": 0.1}, "an unknown row with figures"),
    "unknown and heard": (DARK, {"coverage": 0.5}, "an unknown row with figures"),
    "a minute narrower": (MINUTE, {"occupancy_high": 38}, "no class of 5"),
    "passages": (HALL, {"inflow_low": 0}, "passages of a zone without gates"),
    "speed beside gates": (YARD, {"speed": 0.4}, "a speed of a zone that publishes no readings"),
}  # fmt: skip


@pytest.mark.parametrize("name", TAMPERED)
def test_rows_that_were_tampered_with_are_found(name: str) -> None:
    which, put, what = TAMPERED[name]
    store = store_of()
    store.one("zones", **which).update(put)
    assert what in findings(audit(store))


def test_rows_of_a_zone_that_nothing_reads_are_found() -> None:
    store = store_of()
    store.one("zones", **HALL)["zone"] = "cellar"
    store.registries["v1"] = json.dumps(DOCUMENT | {"zones": [*DOCUMENT["zones"], zone("cellar", polygon_m=None)]})
    held = registry.parse(store.registries["v1"].encode()).hash
    store.held["r1"] = store.held["r1"].__class__(**{**vars_of(store.held["r1"]), "registry_hash": held})
    assert "without gates or readings" in findings(audit(store))


def vars_of(run: Any) -> dict[str, Any]:
    return {name: getattr(run, name) for name in run.__dataclass_fields__}


def narrow(mean: Any, k: int) -> Any:
    return release.readings(mean, k - 1)


def off_by_one(mean: Any, k: int) -> Any:
    low, high = release.readings(mean, k)
    return low + 1, high + 1


def exact_few(mean: Any, k: int) -> Any:
    """The usual mistake: few people are hidden, zero is told."""
    low, high = release.readings(mean, k)
    return low, np.where(mean == 0, 0, high)


MUTANTS = {
    "k - 1": (narrow, "fewer than"),
    "off by one": (off_by_one, "does not hold"),
    "zero told apart": (exact_few, "fewer than"),
    "the mean": (lambda mean, k: (mean, mean), "fewer than"),
}


@pytest.mark.parametrize("k", KS)
def test_the_rule_passes_and_mutants_are_caught(k: int) -> None:
    assert enumerate_readings(Rule(carry=_release.carry), k).findings == []
    for readings, what in MUTANTS.values():
        assert what in findings(enumerate_readings(Rule(carry=_release.carry, readings=readings), k))
