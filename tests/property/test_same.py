"""What must not matter, and what must show as itself: cuts, shards, restarts, where a log ends, mirrors, shifts."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from engine.rfc3339 import format_ms as rfc3339
from tests.property.test_engine import REGISTRY, Log
from tests.property.test_registry_versions import logs_with_versions
from tests.property.test_truth import flow_of
from tests.support.engine_run import Result, run
from tests.support.naive import CELL, DAY, when
from tests.support.worlds import EVEN_WORLDS, START, WORLDS, World, registry_of

SWAP = {"ab": "ba", "ba": "ab"}
FIGURES = ("runs_of_flow", "flow", "zones")
COUNTERS = ("read", "accepted", "rejected", "shown_accepted", "shown_rejected")
CUTS = st.lists(st.integers(0, 40), min_size=4, max_size=4)
SEEDS = st.integers(0, 2**32)


def rows_of(result: Result, *products: str) -> Counter[tuple[Any, ...]]:
    """Rows as tuples, in no order."""
    named = [(product, row) for product in products or tuple(result.rows) for row in result.rows.get(product, [])]
    return Counter((product, *row.values()) for product, row in named)


@given(WORLDS, SEEDS, st.integers(1, 5), st.booleans())
@settings(max_examples=2 * settings().max_examples)  # what goes wrong here needs two partitions in one cell
def test_cuts_interleavings_shards_and_restarts_change_nothing(
    world: World, seed: int, shards: int, restart: bool
) -> None:
    plain, mixed = world.run(), world.run(seed=seed, shards=shards, restart=restart)
    assert mixed.canonical() == plain.canonical()
    for name in COUNTERS:
        assert getattr(mixed, name) == getattr(plain, name)


@given(WORLDS, CUTS, SEEDS, st.integers(1, 3))
@settings(max_examples=3 * settings().max_examples)  # or a cut between a window's end and its delay
def test_what_was_published_stays_and_comes_as_soon_as_it_may(
    world: World, cuts: list[int], seed: int, shards: int
) -> None:
    """A live run so far has rows of the whole, and none of those is missing that the least W has passed."""
    early = world.until(cuts)
    sofar = early.run(finish=False, seed=seed, shards=shards, restart=True)
    whole = world.run()
    assert rows_of(sofar) <= rows_of(whole)
    assert not rows_of(sofar) or max(rows_of(sofar).values()) == 1
    naive = early.naive
    known = [w for w in naive.watermarks if w is not None]
    if len(known) < len(early.logs):
        return
    w = min(known) // CELL * CELL
    cells = [cell for cell in naive.cells if cell < w]
    told = flow_of(sofar)
    for key in flow_of(whole):
        window, start, gate, _ = key
        end = naive.window(start, window)[1]
        if end + naive.gates[gate]["delay"] <= w and any(start <= cell < end for cell in cells):
            assert key in told


def test_a_slow_gate_has_its_rows_when_its_delay_is_over() -> None:
    document = registry_of("Asia/Tokyo", [(None, None, "10s", 20)], [(0, "on_change", 0, 15, None)])
    cross = {"type": "cross", "sensor": "s0", "dir": "ab"}
    events = [
        {**cross, "ts": START},
        {"type": "tick", "ts": START + 34_999},  # W is a millisecond before end + delay
        {**cross, "ts": START + 1},
        {"type": "tick", "ts": START + 35_000},
    ]
    world = World(document, [[(json.dumps(event).encode(), None) for event in events]], 1, 5_000)
    assert flow_of(world.until([3]).run(finish=False)) == {}
    assert flow_of(world.run(finish=False))["10s", START, "g0", "ab"]["n"] == 2


@given(WORLDS)
def test_swapped_directions_mirror_the_figures(world: World) -> None:
    def swap(event: dict[str, Any]) -> dict[str, Any]:
        return {
            SWAP.get(name, name): SWAP.get(value, value) if name == "dir" else value for name, value in event.items()
        }

    plain, swapped = world.run(), world.with_events(swap).run()
    for product in ("runs_of_flow", "flow"):
        for row in swapped.rows.get(product, []):
            row["direction"] = SWAP.get(row["direction"], row["direction"])
    mirror_zones(swapped)
    assert rows_of(swapped) == rows_of(plain)


def mirror_zones(result: Result) -> None:
    for row in result.rows.get("zones", []):
        for end in ("", "_low", "_high"):
            row["inflow" + end], row["outflow" + end] = row["outflow" + end], row["inflow" + end]


@given(WORLDS)
def test_swapped_sides_mirror_the_zones(world: World) -> None:
    gates = [{**gate, "a": gate["b"], "b": gate["a"]} for gate in world.registry["gates"]]
    plain, swapped = world.run(), world.with_registry(gates=gates).run()
    mirror_zones(swapped)
    assert rows_of(swapped) == rows_of(plain)


@given(EVEN_WORLDS, st.integers(-3, 3))
def test_a_shift_by_days_shifts_the_rows(world: World, days: int) -> None:
    shift = days * DAY
    always = [{**s, "approved": [{"from": "2020-01-01T00:00:00Z", "to": None}]} for s in world.registry["sensors"]]
    world = world.with_registry(sensors=always)
    plain = world.run()
    shifted = world.with_events(lambda event: {**event, "ts": event["ts"] + shift}, shift).run()
    shift_rows(shifted, -shift)
    assert rows_of(shifted) == rows_of(plain)
    assert shifted.rejected == plain.rejected


def shift_rows(result: Result, by_ms: int) -> None:
    for product, rows in result.rows.items():
        for row in rows:
            for name in ("window_start", "run_start", "run_end", "hour", "since"):
                if name in row and not (product == "rejects" and row[name] == 0):  # of logs that never had a time
                    row[name] += by_ms


@given(logs_with_versions(), st.integers(-3, 3))
@settings(max_examples=60)
def test_a_shift_by_days_shifts_the_rows_of_every_version(logs: list[Log], days: int) -> None:
    shift = days * DAY

    def shifted(value: bytes) -> bytes:
        try:
            event = json.loads(value)
        except ValueError:
            return value
        for sensor in event.get("registry", {"sensors": []})["sensors"]:
            spans = [{name: at and rfc3339(when(at) + shift) for name, at in s.items()} for s in sensor["approved"]]
            sensor["approved"] = spans
        return json.dumps({**event, "ts": event["ts"] + shift} if "ts" in event else event).encode()

    plain = run(REGISTRY, logs)
    moved = run(REGISTRY, [[(shifted(value), at) for value, at in log] for log in logs])
    shift_rows(moved, -shift)
    assert rows_of(moved) == rows_of(plain)
    assert moved.rejected == plain.rejected


@given(WORLDS, st.integers(0, 3), st.sampled_from(["on_change", "heartbeat", "every_span"]), st.booleans())
def test_a_silent_sensor_changes_no_figure(world: World, gate: int, reporting: str, twin: bool) -> None:
    """Coverage may fall. A silent sensor that reports on change only makes an unwatched gate's figures known (to be
    zero, or few), and is not put into a group: there it stands in for one that is dead."""
    gates = world.registry["gates"]
    group = "twins" if twin and reporting != "on_change" else None
    silent = {**world.registry["sensors"][0], "id": "silent", "reporting": reporting, "group": group}
    silent["gate"] = gates[gate % len(gates)]["id"]
    plain, more = world.run(), world.with_registry(sensors=[*world.registry["sensors"], silent]).run()
    assert rows_of(more, "runs_of_flow", "rejects") == rows_of(plain, "runs_of_flow", "rejects")
    for name in COUNTERS:
        assert getattr(more, name) == getattr(plain, name)
    for of in (flow_of, zones_of):
        before, after = of(plain), of(more)
        assert before.keys() == after.keys()
        for key, row in before.items():
            same = {**after[key], "coverage": row["coverage"]}
            # who says nothing of its own accord cannot be told from one at whom nobody passes: not unknown any more
            if not (reporting == "on_change" and row["status"] == "unknown"):
                assert same == row
            if reporting != "on_change":
                assert (after[key]["coverage"] or 0) <= (row["coverage"] or 0)


def zones_of(result: Result) -> dict[Any, dict[str, Any]]:
    return {(row["window"], row["window_start"], row["zone"]): row for row in result.rows.get("zones", [])}


@given(WORLDS)
@settings(max_examples=settings().max_examples // 2)
def test_what_is_refused_changes_no_figure(world: World) -> None:
    refused = {(event.partition, event.place) for event in world.naive.judged if event.reason}
    logs = [
        [record for place, record in enumerate(log) if (number, place) not in refused]
        for number, log in enumerate(world.logs)
    ]
    plain, less = world.run(), replace(world, logs=logs).run()
    assert rows_of(less, *FIGURES) == rows_of(plain, *FIGURES)
    assert (less.accepted, less.shown_accepted, less.rejected) == (plain.accepted, plain.shown_accepted, {})


@given(WORLDS, st.integers(0, 200), st.integers(0, 200))
def test_a_repetition_changes_no_figure(world: World, which: int, where: int) -> None:
    keyed = [e for e in world.naive.accepted if e.event["type"] in ("count", "point") or "seq" in e.event]
    if not keyed:
        return
    number, first = keyed[which % len(keyed)][:2]
    log = world.logs[number]
    place = first + 1 + where % (len(log) - first)
    again = [*log[:place], log[first], *log[place:]]
    repeated = replace(world, logs=[again if i == number else old for i, old in enumerate(world.logs)])
    plain, more = world.run(), repeated.run()
    assert rows_of(more, *FIGURES) == rows_of(plain, *FIGURES)
    assert (more.accepted, more.shown_accepted) == (plain.accepted, plain.shown_accepted)
    added = {reason: n - plain.rejected.get(reason, 0) for reason, n in more.rejected.items()}
    assert {reason for reason, n in added.items() if n} <= {"late", "duplicate"} and sum(added.values()) == 1
