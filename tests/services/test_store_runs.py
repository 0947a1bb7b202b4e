"""Runs, registries, and what the page and the summary read."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from engine.errors import UsageError
from engine.model import END, NO_TIME
from sinks.clickhouse.store import Store
from tests.services.released import T0, day, flow, released, run, runs_of_flow, zone_row, zones

LIVE = ("released", 1.0)


def test_a_run_comes_back_and_is_replaced(store: Store) -> None:
    assert store.run("r1") is None
    assert store.runs() == []
    first = run("r1", kind="live", closed_ms=NO_TIME, config='{"a":"日本 \\" \'"}')
    store.start_run(first)
    assert store.run("r1") == first
    later = run(
        "r1", kind="live", state="stopped", read=9, accepted=7, rejected={"late": 1, "duplicate": 1},
        first_ms=T0, last_ms=T0 + 5, closed_ms=END, gate_delay_ms=60_000, updated_ms=T0 + 1,
    )  # fmt: skip
    store.update_run(later)
    store.update_run(later)
    assert store.run("r1") == later
    store.start_run(run("r0", started_ms=T0 - 1))
    assert [known.run_id for known in store.runs()] == ["r0", "r1"]


def test_a_run_has_a_known_kind_and_state() -> None:
    for wrong in ({"kind": "other"}, {"state": "other"}):
        with pytest.raises(ValueError):
            run("r1", **wrong)


@pytest.mark.parametrize(
    ("fields", "overlaps"),
    [
        ({}, True),
        ({"first_ms": T0 + 10_000, "last_ms": T0 + 20_000}, False),
        ({"first_ms": T0 + 101, "last_ms": T0 + 200}, True),  # in one cell of 10 s: they share its window
        ({"first_ms": T0 - 200, "last_ms": T0 - 1}, False),
        ({"first_ms": T0 - 200, "last_ms": T0}, True),
        ({"first_ms": T0 + 100, "last_ms": T0 + 100}, True),
        ({"first_ms": T0 - 200, "last_ms": T0 - 1, "state": "running"}, True),
        ({"first_ms": T0 + 10_000, "last_ms": T0 + 20_000, "state": "running"}, False),
        ({"first_ms": None, "last_ms": None}, False),
        ({"first_ms": None, "last_ms": None, "state": "running"}, True),
        ({"kind": "workbench"}, False),
        ({"kind": "workbench", "state": "running"}, True),  # not judged yet
        ({"kind": "live"}, True),
        ({"leaves": {"j9": "10s"}}, False),
        ({"leaves": {}}, False),
    ],
)
def test_runs_that_overlap(chdb_url: str, fields: dict[str, Any], overlaps: bool) -> None:
    with Store.open(chdb_url) as store:
        store.migrate()
        base = {"state": "finished", "first_ms": T0, "last_ms": T0 + 100}
        store.start_run(run("r1", **{**base, **fields}))
        found = store.overlapping_runs(["j1", "j7"], T0, T0 + 100)
        assert [known.run_id for known in found] == (["r1"] if overlaps else [])


def test_registries_are_kept_by_hash_and_version(store: Store) -> None:
    store.put_registry("v1", "hash-1", '{"version":"v1"}')
    store.put_registry("v1", "hash-1", '{"version":"v1"}')
    store.put_registry("v2", "hash-2", '{"version":"v2 日本\\n"}')
    assert store.registry("hash-1") == store.registry("v1") == '{"version":"v1"}'
    assert store.registry("v2") == '{"version":"v2 日本\\n"}'
    assert store.registry("v3") is None


def test_rows_are_chosen_by_window_and_time(store: Store) -> None:
    store.insert(flow("u", *day(gates=1, windows=3), ("1m", T0, "g0", "ab", 7, 7, 7, *LIVE)), "r1")
    store.insert(runs_of_flow("u", ("j1", "ab", T0, T0 + 10_000, 7), ("j1", "ab", T0 + 10_000, T0 + 20_000, 8)), "r1")
    assert store.rows("flow", "r1").num_rows == 10
    assert store.rows("flow", "r1", window="1m")["n"].to_pylist() == [7]
    part = store.rows("flow", "r1", window="10s", start_ms=T0 + 10_000, end_ms=T0 + 20_000)
    assert set(part["window_start"].cast(pa.int64()).to_pylist()) == {T0 + 10_000}
    assert store.rows("flow", "r1", start_ms=NO_TIME, end_ms=END).num_rows == 10
    assert store.rows("runs_of_flow", "r1", start_ms=T0, end_ms=T0 + 10_000)["n"].to_pylist() == [7]
    assert store.rows("runs_of_flow", "r1", start_ms=T0 + 10_000, end_ms=END)["n"].to_pylist() == [8]
    assert store.rows("zones", "r1").schema == store.rows("zones", "nobody").schema
    store.insert(released("rejects", "u", [(T0, "s", "late", 6), (T0 + 3_600_000, "s", "late", 7)]), "r1")
    assert store.rows("rejects", "r1", start_ms=T0 + 1)["n"].to_pylist() == [7]
    for wrong in ({"product": "runs"}, {"product": "flow", "window": "2m"}, {"product": "rejects", "window": "1m"}):
        with pytest.raises(UsageError):
            store.rows(**{"product": "flow", "run_id": "r1", **wrong})


def test_the_newest_rows_per_gate_and_zone(store: Store) -> None:
    store.start_run(run("r1", gate_delay_ms=20_000))
    assert store.latest("r1", "10s").num_rows == 0
    rows = [("10s", T0 + i * 10_000, "fast", side, i, i, i, *LIVE) for i in range(9) for side in ("ab", "ba")]
    rows += [("10s", T0 + i * 10_000, "slow", "ab", i, i, i, *LIVE) for i in range(6)]
    rows += [("10s", T0, "gone", "ab", 7, 7, 7, *LIVE), ("1m", T0, "fast", "ab", 7, 7, 7, *LIVE)]
    store.insert(flow("u", *rows), "r1")
    newest = store.latest("r1", "10s").select(["gate", "direction", "n"]).to_pylist()
    assert [tuple(row.values()) for row in newest] == [("fast", "ab", 8), ("fast", "ba", 8), ("slow", "ab", 5)]
    assert store.latest("r1", "1m")["n"].to_pylist() == [7]
    assert store.latest("nobody", "1m").num_rows == 0
    store.insert(zones("u", zone_row("1m", T0, "c1", 7), zone_row("1m", T0 + 60_000, "c1", 8)), "r1")
    assert store.latest_zones("r1", "1m")["occupancy"].to_pylist() == [8]


def test_the_newest_state_of_every_sensor(store: Store) -> None:
    store.start_run(run("r1"))
    assert store.sensor_states("r1") == []
    minutes = [T0 + 60_000 * i for i in range(3)]
    rows = [("1m", minutes[i], "s1", state, minutes[i]) for i, state in enumerate(("ok", "silent", "skewed"))]
    rows += [("1m", minutes[0], "s2", "silent", minutes[0]), ("1m", minutes[1], "s2", "ok", minutes[1])]
    rows += [("1m", minutes[1], "s0", "stuck", minutes[1])]
    store.insert(released("health", "u", rows), "r1")
    store.insert(released("health", "v", rows[:1]), "r1")
    assert store.sensor_states("r1") == [
        ("s0", "stuck", minutes[1]),
        ("s1", "skewed", minutes[2]),
        ("s2", "ok", minutes[1]),
    ]
    assert store.sensor_states("r2") == []


def test_counts_for_the_summary(store: Store) -> None:
    assert store.window_counts("r1") == {}
    rows = [
        ("10s", T0, "j1", "ab", 7, 7, 7, *LIVE),
        ("10s", T0, "j1", "ba", None, 0, 5, "suppressed", None),
        ("10s", T0 + 10_000, "j1", "ab", 7, 7, 7, *LIVE),
        ("1d", T0, "j1", "ab", 14, 14, 19, "range", 1.0),
    ]
    store.insert(flow("u", *rows), "r1")
    store.insert(flow("cut otherwise", *rows[:2]), "r1")
    store.insert(zones("u", zone_row("10s", T0, "c1"), zone_row("5m", T0, "c1")), "r1")
    store.insert(flow("u", *rows), "r2")
    assert store.window_counts("r1") == {"10s": 2, "5m": 1, "1d": 1}
    assert list(store.window_counts("r1")) == ["10s", "5m", "1d"]
    assert store.status_counts("r1") == {"range": 1, "released": 2, "suppressed": 1}
