"""Rows of zones that are read, from records on: the same however logs are cut and whichever partition is ahead."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.config import Config
from tests.support.engine_run import run
from tests.support.readings import T0, sensor, world, zone

Record = tuple[bytes, int | None]
YARD = zone("yard", polygon_m=[[20, 0], [30, 0], [30, 10], [20, 10]])
SENSORS = [
    sensor("c", "occupancy"),
    sensor("t", "tracker", None, beat_s=15),
    sensor("d", "occupancy", "yard", reporting="on_change", group="y"),
    sensor("e", "occupancy", "yard", group="y"),
    {"id": "n", "kind": "counter", "gate": "g", "approved": sensor("n", "counter")["approved"]},
]
GATES = [{"id": "g", "a": "room", "b": None, "leaf": "10s"}]
ZONES = [zone(), YARD, zone("room", polygon_m=None)]
FIRST = world(*SENSORS, zones=ZONES, gates=GATES)
VERSIONS = [
    FIRST | {"version": "v2", "sensors": [*SENSORS[:2], sensor("u", "tracker", "yard", beat_s=5), *SENSORS[4:]]},
    FIRST | {"version": "v3", "zones": [*ZONES, zone("annex", polygon_m=None)],
             "sensors": [*SENSORS[1:], sensor("c", "occupancy", "annex")]},
    FIRST | {"version": "v4", "gates": [*GATES, {"id": "h", "a": "hall", "b": None, "leaf": "1m"}]},
]  # fmt: skip

_at = st.integers(0, 420_000)
_people = st.integers(0, 12)
RECORDS = st.one_of(
    st.tuples(_at, st.sampled_from("cde"), st.just("occupancy"), st.fixed_dictionaries({"people": _people})),
    st.tuples(
        _at,
        st.sampled_from("cde"),
        st.just("occupancy"),
        st.fixed_dictionaries({"people": _people, "speed": st.sampled_from([0, 0.5, 1.25])}),
    ),
    st.tuples(
        _at,
        st.sampled_from("ttu"),
        st.just("point"),
        st.fixed_dictionaries(
            {"track": st.integers(0, 6), "x": st.sampled_from([1.0, 9.5, 15.0, 21.0]), "y": st.integers(1, 3)}
        ),
    ),
    st.tuples(_at, st.sampled_from("cdtteu"), st.just("heartbeat"), st.just({})),
    st.tuples(_at, st.just("n"), st.just("cross"), st.just({"dir": "ab"})),
)
# places of versions in each log, as shares of it; in a log of none the version is not met
PLACES = st.lists(st.integers(0, 100), max_size=3)


def logs_of(records: list[Any], many: int, places: list[int], late: list[int]) -> list[list[Record]]:
    """By sensor into ``many`` logs, most in the order of their time, some up to 4 s late."""
    logs: list[list[tuple[int, bytes]]] = [[] for _ in range(many)]
    for number, (ts, name, kind, more) in enumerate(records):
        line = json.dumps({"type": kind, "sensor": name, "ts": T0 + ts, **more}).encode()
        logs["cdetun".index(name) % many].append((ts + late[number % len(late)], line))
    out = []
    for log in logs:
        log.sort(key=lambda record: record[0])
        lines = [line for _, line in log]
        for version, place in reversed(list(zip(VERSIONS, sorted(places), strict=False))):
            lines.insert(len(lines) * place // 100, json.dumps({"type": "registry", "registry": version}).encode())
        out.append([(line, None) for line in lines])
    return out


@pytest.mark.slow
@settings(deadline=None)
@given(
    st.lists(RECORDS, min_size=1, max_size=120),
    st.integers(1, 3),
    PLACES,
    st.lists(st.integers(0, 4_000), min_size=1, max_size=5),
    st.sampled_from([(5, False), (1, False), (2, True)]),
    st.integers(0, 2**32),
)
def test_cuts_partitions_restarts_and_lines_change_nothing(
    records: list[Any], many: int, places: list[int], late: list[int], rule: tuple[int, bool], seed: int
) -> None:
    k, beside = rule
    config = Config({"zones": {"k": k, "beside_gates": beside}})
    logs = logs_of(records, many, places, late)
    whole = run(FIRST, logs, config).canonical()
    once = whole.get("zones", [])
    for by_line in (False, True):
        again = run(FIRST, logs, config, seed=seed, restart=True, by_line=by_line, shards=1 + seed % 3)
        assert again.canonical() == whole
    rows = [json.loads(row) for row in once]
    assert len({(r["window"], r["window_start"], r["zone"]) for r in rows}) == len(rows)
    for row in rows:
        if row["status"] == "unknown":
            assert row["los"] == "unknown" or row["inflow"] is not None or beside
            assert row["coverage"] == 0
        if row["occupancy_low"] is not None and row["inflow_low"] is None and k > 1:
            assert row["occupancy_high"] - row["occupancy_low"] - (k - 1) < 1e-9
            assert (row["occupancy"] is None) == (row["status"] == "suppressed")
