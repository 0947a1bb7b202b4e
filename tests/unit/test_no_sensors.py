"""A registry may have no sensors, no gates, nothing yet: every event is of an unknown sensor, and ticks move W."""

import json
from typing import Any

import pytest

from engine.config import Config
from tests.property.test_engine import APPROVED, START
from tests.support.engine_run import Result, run
from tests.support.worlds import Log

EMPTY: dict[str, Any] = {"version": "v0", "timezone": "Asia/Tokyo", "zones": [], "gates": [], "sensors": []}
NO_SENSORS = EMPTY | {
    "zones": [{"id": "c1", "kind": "walkway"}],
    "gates": [{"id": "g0", "a": "c1", "b": None, "leaf": "10s"}],
}
WITH_SENSORS = NO_SENSORS | {
    "version": "v1",
    "sensors": [{"id": "s0", "kind": "counter", "gate": "g0", "approved": APPROVED}],
}
CUTS: list[dict[str, Any]] = [{}, {"shards": 3, "seed": 1, "restart": True}]


def messages(*documents: dict[str, Any]) -> Log:
    return [(json.dumps(document).encode(), None) for document in documents]


def crosses(first_s: int, people: int) -> list[dict[str, Any]]:
    """People who pass s0, one every second."""
    return [{"type": "cross", "sensor": "s0", "ts": START + (first_s + i) * 1000, "dir": "ab"} for i in range(people)]


def tick(at_s: int) -> dict[str, Any]:
    return {"type": "tick", "ts": START + at_s * 1000}


def exact(registry: dict[str, Any], log: Log, **how: Any) -> Result:
    return run(registry, [log, []], Config({"flow": {"k": 1, "guard": 0}}), **how)


@pytest.mark.usefixtures("kernels")
@pytest.mark.parametrize("how", CUTS, ids=["at once", "cut"])
@pytest.mark.parametrize("registry", [EMPTY, NO_SENSORS], ids=["nothing", "gates"])
def test_every_event_is_refused_and_counted(registry: dict[str, Any], how: dict[str, Any]) -> None:
    log = [*messages(tick(0), *crosses(0, 20), tick(60), *crosses(61, 7)), (b"{", None)]
    result = exact(registry, log, **how)
    assert (result.read, result.accepted) == (28, 0)
    assert result.rejected == {"unknown_sensor": 27, "malformed": 1}
    assert result.shown_rejected == result.rejected
    assert result.parts[0].last_ms < START  # nothing was accepted
    assert result.flow("10s") == {}


@pytest.mark.usefixtures("kernels")
@pytest.mark.parametrize("how", CUTS, ids=["at once", "cut"])
@pytest.mark.parametrize("registry", [EMPTY, NO_SENSORS], ids=["nothing", "gates"])
def test_sensors_that_come_later_count(registry: dict[str, Any], how: dict[str, Any]) -> None:
    version = {"type": "registry", "registry": WITH_SENSORS}
    log = messages(tick(0), *crosses(0, 5), tick(30), version, *crosses(40, 9), tick(90))
    result = exact(registry, log, **how)
    assert (result.read, result.accepted, result.rejected) == (14, 9, {"unknown_sensor": 5})
    flow = {key: row["n"] for key, row in result.flow("10s").items() if row["n"]}
    assert flow == {(START + 40_000, "g0", "ab"): 9}
