"""The engine as a whole, without services: what it publishes depends on the logs alone, and holds the truth."""

import itertools
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.config import Config
from tests.support.engine_run import Result, run

APPROVED = [{"from": "2020-01-01T00:00:00Z", "to": None}]
REGISTRY: dict[str, Any] = {
    "version": "v1",
    "timezone": "Asia/Tokyo",
    "zones": [{"id": "c1", "kind": "walkway"}, {"id": "c2", "kind": "plaza"}],
    "gates": [
        {"id": "g0", "a": "c1", "b": None, "leaf": "10s"},
        {"id": "g1", "a": "c2", "b": "c1", "leaf": "10s", "delay_s": 20},
        {"id": "g2", "a": None, "b": "c2", "leaf": "1m"},
    ],
    "sensors": [
        {"id": f"s{i}", "kind": "counter", "gate": f"g{i % 3}", "approved": APPROVED, "reporting": r, "beat_s": 20}
        for i, r in enumerate(("on_change", "heartbeat", "every_span", "on_change"))
    ],
}
START = 1_770_450_000_000
PLAIN = Config({"flow": {"k": 1, "guard": 0}})
Log = list[tuple[bytes, int | None]]

EVENT = st.tuples(
    st.sampled_from(["cross", "cross", "cross", "count", "heartbeat", "tick", "bad"]),
    st.integers(0, 3),
    st.integers(-40_000, 4_000),
    st.sampled_from(["ab", "ba", None]),
    st.integers(0, 9),
)
LOG = st.lists(EVENT, max_size=60)


def message(at: int, event: tuple[str, int, int, str | None, int]) -> tuple[bytes, int | None]:
    kind, sensor, late, direction, n = event
    ts = START + at * 1_500 + min(late, 0) // 8
    if kind == "bad":
        return b'{"sensor":"s0"', None
    if kind == "tick":
        return json.dumps({"type": "tick", "ts": ts}).encode(), None
    document: dict[str, Any] = {"sensor": f"s{sensor}", "ts": ts, "type": kind}
    if kind == "cross":
        document |= {"dir": direction}
    if kind == "count":
        document |= {"ts": ts - ts % 10_000, "span_ms": 10_000, "ab": n, "ba": 1}
    return json.dumps(document).encode(), None


def logs_of(made: list[list[tuple[str, int, int, str | None, int]]]) -> list[Log]:
    return [[message(i, e) for i, e in enumerate(log)] for log in made]


@given(st.lists(LOG, min_size=1, max_size=3), st.integers(0, 2**32), st.integers(1, 5))
@settings(max_examples=60)
def test_cuts_interleavings_shards_and_restarts_change_nothing(made: list[Any], seed: int, shards: int) -> None:
    logs = logs_of(made)
    plain, mixed = run(REGISTRY, logs), run(REGISTRY, logs, seed=seed, shards=shards, restart=True)
    assert mixed.canonical() == plain.canonical()
    assert (mixed.read, mixed.accepted, mixed.rejected) == (plain.read, plain.accepted, plain.rejected)
    assert plain.read == plain.accepted + sum(plain.rejected.values())


GAP = st.sampled_from([0, 1, 1, 2, 7, 60, 2_400, 70_000])  # steps of 1.5 s; the last is longer than a day


@given(
    st.lists(st.lists(st.tuples(GAP, EVENT), max_size=25), min_size=1, max_size=3),
    st.integers(0, 2**32),
    st.integers(1, 3),
)
@settings(max_examples=40)
def test_units_of_insertion_follow_from_the_logs(made: list[Any], seed: int, shards: int) -> None:
    logs = []
    for log in made:
        places = itertools.accumulate(gap for gap, _ in log)
        # a tick at the end: without it nothing closes but by the end of the log
        tick = (json.dumps({"type": "tick", "ts": START + 4_000_000_000}).encode(), None)
        logs.append([*(message(at, event) for at, (_, event) in zip(places, log, strict=True)), tick])
    one = run(REGISTRY, logs, PLAIN, shards=shards, by_line=True, finish=False)
    two = run(REGISTRY, logs, PLAIN, shards=shards, by_line=True, finish=False, seed=seed, restart=True)
    bulk = run(REGISTRY, logs, PLAIN, shards=shards, finish=False)
    assert one.units == two.units
    assert one.canonical() == two.canonical() == bulk.canonical()
    for name in ("shown_accepted", "shown_rejected"):  # live counters: whether W goes line by line or jumps
        assert getattr(one, name) == getattr(two, name) == getattr(bulk, name)


def test_units_stand_on_the_lines_at_which_rows_close() -> None:
    # an hour of silence: its windows come when it is known to have been one, in the unit of the line that ends it
    at = START - START % 10_000
    log: Log = [
        (json.dumps({"sensor": "s0", "ts": ts, "type": "cross", "dir": "ab"}).encode(), None)
        for ts in (at, at + 3_600_000)
    ]
    tick = (json.dumps({"type": "tick", "ts": at + 3_700_000}).encode(), None)
    units = run(REGISTRY, [[*log, tick]], PLAIN, by_line=True, finish=False).units
    ends = {
        int(unit.split("/")[1]) - at: {
            r["window_start"] + 10_000 - at for r in rows if (r["window"], r["gate"]) == ("10s", "g0")
        }
        for (product, unit), rows in units.items()
        if product == "flow"
    }
    told = {line: windows for line, windows in ends.items() if windows}
    assert told == {10_000: {10_000}, 3_610_000: set(range(20_000, 3_620_000, 10_000))}


def test_an_hour_of_rejects_comes_in_the_unit_of_its_end() -> None:
    # however far W goes in one step: after a kill it goes on in other steps, and a unit must come again as it was
    hour = START // 3_600_000 * 3_600_000
    heartbeat = json.dumps({"sensor": "s0", "ts": START, "type": "heartbeat"}).encode()
    ticks = [json.dumps({"type": "tick", "ts": hour + at}).encode() for at in (3_590_000, 3_700_000, 9_000_000)]
    log: Log = [(value, None) for value in (heartbeat, b"{", *ticks)]
    gates = [{**gate, "delay_s": 20} for gate in REGISTRY["gates"]]  # their rows of the hour come later
    slow = {**REGISTRY, "gates": gates}
    for seed in (None, *range(5)):
        units = run(slow, [log], PLAIN, by_line=True, finish=False, seed=seed).units
        (unit,) = (unit for product, unit in units if product == "rejects")
        assert unit == f"00/{hour + 3_600_000}"


@given(st.lists(LOG, min_size=1, max_size=3))
@settings(max_examples=60)
def test_ranges_hold_the_truth(made: list[Any]) -> None:
    logs = logs_of(made)
    exact, safe = run(REGISTRY, logs, PLAIN), run(REGISTRY, logs)
    for window in ("10s", "1m", "5m", "15m", "1h", "1d"):
        truth, rows = exact.flow(window), safe.flow(window)
        assert truth.keys() == rows.keys()
        for key, row in rows.items():
            if row["status"] == "unknown":
                assert row["n"] is row["n_low"] is row["n_high"] is None and row["coverage"] == 0
                continue
            assert row["n_low"] <= truth[key]["n"] <= row["n_high"]
            assert row["n_high"] - row["n_low"] >= 5 or (row["status"] == "released" and row["n"] >= 6)
    assert all(row["n"] >= 6 for row in safe.rows.get("runs_of_flow", []))


@given(LOG)
@settings(max_examples=40)
def test_exact_figures_are_the_counts(made: list[Any]) -> None:
    # without lateness nothing is refused but what is malformed
    log = sorted((m for i, e in enumerate(made) if e[0] != "bad" and (m := message(i, e))), key=_ts)
    result = run(REGISTRY, [log], PLAIN)
    if result.rejected:
        return
    assert _people(result) == sum(_counted(m) for m, _ in log)


def _ts(item: tuple[bytes, int | None]) -> int:
    document = json.loads(item[0])
    return int(document["ts"]) + int(document.get("span_ms", 0))


def _counted(value: bytes) -> int:
    document = json.loads(value)
    return int(document["type"] == "cross") + int(document.get("ab", 0)) + int(document.get("ba", 0))


def _people(result: Result) -> int:
    return sum(row["n"] for row in result.rows.get("runs_of_flow", []))


@given(LOG)
@settings(max_examples=30)
def test_swapping_directions_mirrors_the_figures(made: list[Any]) -> None:
    swap = {"ab": "ba", "ba": "ab", None: None}
    crosses = [e for e in made if e[0] == "cross"]
    one = run(REGISTRY, logs_of([crosses]))
    two = run(REGISTRY, logs_of([[(k, s, late, swap[d], n) for k, s, late, d, n in crosses]]))
    mirrored = {"ab": "ba", "ba": "ab", "unknown": "unknown"}
    for window in ("10s", "1m", "1d"):
        expected = {(t, g, mirrored[d]): {**r, "direction": mirrored[d]} for (t, g, d), r in one.flow(window).items()}
        assert two.flow(window) == expected


def test_rejects_wait_for_the_partition_that_is_behind() -> None:
    # the cell at W is open in the slower partition: told too early, its chain went on out of order
    logs = logs_of(
        [
            [("heartbeat", 3, 680, "ba", 5), ("bad", 1, 1133, "ba", 8)],
            [
                ("cross", 1, -23728, None, 3),
                ("cross", 2, -4853, "ba", 4),
                ("heartbeat", 0, 3035, "ba", 4),
                ("bad", 1, -30330, "ab", 2),
                ("cross", 2, -13871, "ab", 2),
                ("cross", 0, -19278, "ba", 3),
                ("cross", 0, -10790, "ab", 6),
            ],
        ]
    )
    result = run(REGISTRY, logs, PLAIN)
    assert sum(row["n"] for row in result.rows["rejects"] if row["reason"] == "malformed") == 2
    assert result.rejected["malformed"] == 2


@pytest.mark.parametrize("shards", [1, 4])
def test_rejects_without_any_time_have_no_hour(shards: int) -> None:
    bad: list[tuple[bytes, int | None]] = [(b"{", None)] * 50
    result = run(REGISTRY, [bad], PLAIN, shards=shards)
    assert (result.rows.get("rejects", []), result.read, result.rejected) == ([], 50, {"malformed": 50})
    good = logs_of([[("heartbeat", 0, 0, None, 1)]])[0]
    (row,) = run(REGISTRY, [bad + good], PLAIN, shards=shards).rows["rejects"]
    assert row["n"] == 50 and row["hour"] > 0  # here they came before the first time


def test_a_cross_shows_in_no_live_counter_before_its_run() -> None:
    log = [message(i, ("cross", 0, 0, "ab", 0)) for i in range(5)]
    tick = (json.dumps({"type": "tick", "ts": START + 600_000}).encode(), None)
    few = run(REGISTRY, [[*log, tick]], finish=False)
    assert (few.accepted, few.shown_accepted) == (5, 0)
    enough = run(REGISTRY, [[*log, message(5, ("cross", 0, 0, "ab", 0)), tick]], finish=False)
    assert enough.shown_accepted == 6
    exact = run(REGISTRY, [[*log, tick]], Config({"status": {"exact": True}}), finish=False)
    assert exact.shown_accepted == 5


def test_one_fast_clock_makes_nobody_late() -> None:
    sensors = [{"id": f"f{i}", "kind": "counter", "gate": "g0", "approved": APPROVED} for i in range(40)]
    registry = {**REGISTRY, "sensors": sensors}
    for fast_ms in (15_000, 20_000, 55_000):
        log: Log = []
        for i in range(2_000):
            sensor, now = i % 40, START + i * 25
            ts = now + (fast_ms if sensor == 7 else 0)
            log.append((json.dumps({"sensor": f"f{sensor}", "ts": ts, "type": "cross", "dir": "ab"}).encode(), now))
        result = run(registry, [log])
        assert result.rejected == {} and result.accepted == 2_000
