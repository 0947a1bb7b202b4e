"""The live counter ``accepted`` against a reader who subtracts it from published runs (PRIVACY.md R6).

The reader sees every published run and every change of the counter. They know which sensors send crosses, which send
counts and when these come (a schedule is no secret), so that what is left of the counter's changes is crosses. They do
not know how many people a count tells: a run less its crosses must not tell it.
"""

import json
from collections import defaultdict
from collections.abc import Iterator
from itertools import product
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine import partial, registry
from engine.model import LEAVES, LENGTH_MS
from engine.partition import Partition
from engine.shard import Shard
from tests.support.engine_run import payloads, run

BOUND_MS = 30_000  # so that no record of these tests is late
START = 1_770_450_000_000
PANE = 10_000
APPROVED = [{"from": "2020-01-01T00:00:00Z", "to": None}]
WAYS = ("ab", "ba", None)


def counter(name: str, gate: str, **more: Any) -> dict[str, Any]:
    return {"id": name, "kind": "counter", "gate": gate, "approved": APPROVED, **more}


REGISTRY: dict[str, Any] = {
    "version": "v1",
    "timezone": "Asia/Tokyo",
    "zones": [{"id": "z", "kind": "walkway"}],
    "gates": [
        {"id": "g0", "a": "z", "b": None, "leaf": "10s"},
        {"id": "g1", "a": None, "b": "z", "leaf": "10s", "delay_s": 20},
        {"id": "g2", "a": "z", "b": None, "leaf": "1m"},
    ],
    "sensors": [
        *(counter(f"{kind}{gate}", f"g{gate}") for gate in range(3) for kind in "ab"),
        counter("c0", "g0", group="pair", reporting="every_span"),
        counter("d0", "g0", group="pair", reporting="heartbeat", beat_s=20),
    ],
}
TABLES = registry.parse(json.dumps(REGISTRY).encode()).tables()


def cross(sensor: str, at: int, way: str | None = "ab") -> dict[str, Any]:
    return {"sensor": sensor, "ts": START + at, "type": "cross", "dir": way}


def count(sensor: str, at: int, **people: int) -> dict[str, Any]:
    return {"sensor": sensor, "ts": START + at - at % PANE, "type": "count", "span_ms": PANE, "ab": 0, **people}


def tick(at: int) -> dict[str, Any]:
    return {"type": "tick", "ts": START + at}


class Seen(NamedTuple):
    """What one update shows: runs as (gate, direction, end, n), and the crosses by which ``accepted`` grew."""

    runs: tuple[tuple[int, int, int, int], ...]
    crosses: int


def watched(logs: list[list[list[dict[str, Any]]]], k: int, guard: int, *, restart: bool = False) -> list[Seen]:
    """Feed logs batch by batch, in turns, and note every update of a live run, which does not end."""
    parts = [Partition(i, TABLES, BOUND_MS, 1) for i in range(len(logs))]
    shard, seen = Shard(0, 1, len(logs), TABLES, k + guard), []
    for turn in range(max(map(len, logs))):
        for number, log in enumerate(logs):
            if turn >= len(log):
                continue
            parts[number].feed(payloads([json.dumps(record).encode() for record in log[turn]]))
            told = parts[number].partials()
            out = shard.take([part.encode() for part in told])
            runs: list[Any] = []
            for rows in out.rows:
                if rows.product == "runs_of_flow":
                    columns = [rows.columns[name].tolist() for name in ("gate", "direction", "run_end", "n")]
                    runs += zip(*columns, strict=True)
            seen.append(Seen(tuple(sorted(runs)), out.accepted - sum(part.plain for part in told)))
            if restart:
                parts[number] = Partition(number, TABLES, BOUND_MS, 1, parts[number].snapshot())
                shard = Shard(0, 1, len(logs), TABLES, k + guard, state=shard.snapshot())
    return seen


# ------------------------------------------------------------------------------------ random days
def logs_of(sensors: list[str], ways: list[str | None]) -> Any:
    """One to three logs of these sensors' records: few sensors, so that runs end and mix."""
    record = st.tuples(
        st.sampled_from(["cross"] * 5 + ["count"]),
        st.sampled_from(sensors),
        st.integers(0, 200_000),
        st.sampled_from(ways),
        st.integers(0, 4),
    )
    return st.lists(st.lists(record, max_size=60), min_size=1, max_size=3)


SENSORS = [s["id"] for s in REGISTRY["sensors"]]
FEW = st.lists(st.sampled_from(SENSORS), min_size=1, max_size=3, unique=True)
LOGS = FEW.flatmap(lambda few: logs_of(few, ["ab"])) | logs_of(SENSORS, list(WAYS))
GATE_OF = {s["id"]: s["gate"] for s in REGISTRY["sensors"]}
LEAF = {g["id"]: LENGTH_MS[LEAVES.index(g["leaf"])] for g in REGISTRY["gates"]}


def log_of(made: list[tuple[str, str, int, str | None, int]]) -> list[dict[str, Any]]:
    """In order of time, and a tick far behind: all panes close, open rests stay open."""
    log = []
    for kind, sensor, at, way, n in sorted(made, key=lambda record: record[2]):
        log.append(cross(sensor, at, way) if kind == "cross" else count(sensor, at, ab=n, ba=n % 2))
    return [*log, tick(600_000)]


def sums_of_some(runs: list[int]) -> set[int]:
    """All that whole runs can sum to."""
    out = {0}
    for n in runs:
        out |= {n + s for s in out}
    return out


@given(LOGS, st.integers(1, 9), st.booleans())
@settings(max_examples=150)
def test_runs_less_shown_crosses_leave_whole_runs_only(made: list[Any], cut: int, restart: bool) -> None:
    logs = [log_of(records) for records in made]
    seen = watched([[log[i : i + cut] for i in range(0, len(log), cut)] for log in logs], 3, 1, restart=restart)
    first_count: dict[str, int] = {}  # gate -> end of the first pane for which a count came
    for record in (r for log in logs for r in log if r["type"] == "count"):
        gate = GATE_OF[record["sensor"]]
        end = record["ts"] - record["ts"] % LEAF[gate] + LEAF[gate]
        first_count[gate] = min(first_count.get(gate, end), end)
    for update in seen:
        assert sum(n for *_, n in update.runs) - update.crosses in sums_of_some([n for *_, n in update.runs])
        # and to the number: a run shows its crosses where it ended before its gate had a count, else none
        before = [n for g, _, end, n in update.runs if end < first_count.get(TABLES.gate_ids[g], end + 1)]
        assert update.crosses == sum(before)


def crosses_shown(*batches: list[dict[str, Any]], restart: bool = True) -> list[int]:
    """Crosses that each update shows, K = 4."""
    return [update.crosses for update in watched([list(batches)], 3, 1, restart=restart)]


def test_a_count_of_nobody_holds_the_crosses_of_its_gate_from_its_pane_on() -> None:
    def five(sensor: str, at: int) -> list[dict[str, Any]]:
        return [*(cross(sensor, at + i) for i in range(5)), tick(at + PANE + BOUND_MS)]

    pure = [five("a0", 0), five("a0", 10_000), five("a0", 20_000)]
    assert crosses_shown(*pure) == [5, 5, 5]
    counted = [pure[0], [count("b0", 10_000), *pure[1]], pure[2]]
    assert crosses_shown(*counted) == crosses_shown(*counted, restart=False) == [5, 0, 0]
    elsewhere = [pure[0], [count("b2", 10_000), *pure[1]], pure[2]]
    assert crosses_shown(*elsewhere) == [5, 5, 5]
    # the sensor of a group that is not chosen in the pane counts as well: whom it met is as secret
    assert crosses_shown(pure[0], [count("d0", 10_000), *pure[1]], pure[2]) == [5, 0, 0]


def test_the_earliest_pane_with_a_count_matters_not_its_place_in_the_log() -> None:
    early = [cross("a0", i) for i in range(5)]
    batches = [[*early, count("b0", 10_000)], [count("b0", 0)], [tick(PANE + BOUND_MS)], [tick(60_000 + BOUND_MS)]]
    assert crosses_shown(*batches) == [0, 0, 0, 0]
    batches[:2] = [[*early, count("b0", 0)], [count("b0", 10_000)]]
    assert crosses_shown(*batches) == [0, 0, 0, 0]
    batches[:2] = [[*early, count("b0", 10_000)], [count("b0", 10_000, ab=3)]]  # a duplicate
    assert crosses_shown(*batches) == [0, 0, 5, 0]


def test_a_partition_tells_a_counting_sensor_once() -> None:
    part, told = Partition(0, TABLES, 0, 1), []
    for pane in range(3):
        records = [count("b0", pane * PANE), count("b1", pane * PANE), tick(pane * PANE + PANE)]
        part.feed(payloads([json.dumps(record).encode() for record in records]))
        told += [partial.decode(p.encode()).counted.tolist() for p in part.partials()]
    b0, b1 = TABLES.sensor_ids.index("b0"), TABLES.sensor_ids.index("b1")
    assert told == [[[START + PANE, b0]], [], [[START + PANE + 20_000, b1]]]


@given(LOGS, st.integers(0, 2**32), st.integers(1, 4))
@settings(max_examples=60)
def test_what_is_shown_depends_on_the_logs_alone(made: list[Any], seed: int, shards: int) -> None:
    logs = [[(json.dumps(record).encode(), None) for record in log_of(records)] for records in made]
    plain, mixed = run(REGISTRY, logs), run(REGISTRY, logs, seed=seed, shards=shards, restart=True)
    assert mixed.shown_accepted == plain.shown_accepted <= plain.accepted


# ------------------------------------------------------------------------------------- every small day
K, MOST = 2, 3  # people who hide each other; most people a sensor meets in a pane


def small_days(panes: int, counting: tuple[int, ...]) -> Iterator[tuple[tuple[int, ...], tuple[int, ...]]]:
    """All (crosses of a0, people told by b0's counts) per pane, where b0 sends counts for the panes ``counting``."""
    for crosses in product(range(MOST + 1), repeat=panes):
        for told in product(range(MOST + 1), repeat=len(counting)):
            by_pane = dict(zip(counting, told, strict=True))
            yield crosses, tuple(by_pane.get(pane, 0) for pane in range(panes))


def day_log(crosses: tuple[int, ...], told: tuple[int, ...], counting: tuple[int, ...]) -> list[list[dict[str, Any]]]:
    """The day's batches, one per pane, each ending with a tick."""
    out = []
    for pane, (n, people) in enumerate(zip(crosses, told, strict=True)):
        records = [cross("a0", pane * PANE + i) for i in range(n)]
        records += [count("b0", pane * PANE, ab=people)] if pane in counting else []
        out.append([*records, tick(pane * PANE + PANE + BOUND_MS)])
    return [[tick(0)], *out]


def secrets(crosses: tuple[int, ...], told: tuple[int, ...], counting: tuple[int, ...]) -> Iterator[tuple[Any, int]]:
    """All that must not be known below K: either sensor's people in any window in which it can have met anybody."""
    for a in range(len(crosses)):
        for b in range(a + 1, len(crosses) + 1):
            yield ("crosses", a, b), sum(crosses[a:b])
            if any(a <= pane < b for pane in counting):
                yield ("counts", a, b), sum(told[a:b])


@pytest.mark.parametrize(
    ("panes", "counting", "apart"),
    [(2, (0, 1), False), (2, (0, 1), True), (2, (1,), False), (2, (0,), False), (3, (1,), False), (3, (2,), True)],
)
def test_no_small_day_is_known_better_than_k_values(panes: int, counting: tuple[int, ...], apart: bool) -> None:
    possible: dict[Any, dict[Any, set[int]]] = defaultdict(lambda: defaultdict(set))
    for crosses, told in small_days(panes, counting):
        log = day_log(crosses, told, counting)
        # ``apart``: either sensor in a partition of its own
        logs = [[[r for r in batch if r.get("sensor") != s] for batch in log] for s in ("a0", "b0")] if apart else [log]
        seen = watched(logs, K, 0)
        if all(n <= MOST for update in seen for *_, n in update.runs):  # else days with more people publish the same
            for secret, value in secrets(crosses, told, counting):
                possible[tuple(seen)][secret].add(value)
    assert len(possible) > 5
    for transcript, by_secret in possible.items():
        for secret, values in by_secret.items():
            assert len(values) >= K or min(values) >= K, (secret, values, transcript)
