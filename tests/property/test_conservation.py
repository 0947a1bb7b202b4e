"""Nobody gets lost on the way: people in = released + not released yet + refused, at any moment and of any cut.

Not released yet: in open panes of the partitions, in closed ones that wait for a slower partition, in the rest of a
chain. The same holds for events that were refused, on their way into the product ``rejects``.
"""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.model import DIRECTION_COUNT, DIRECTIONS, REASONS
from engine.partial import PANE_COLUMNS, REJECT_COLUMNS
from engine.tables import Tables
from tests.property.test_engine import REGISTRY, Log
from tests.property.test_registry_versions import busy_logs, judged_people, logs_with_versions
from tests.support.engine_run import Result, run
from tests.support.worlds import WORLDS, World

Chains = Counter[tuple[str, str]]  # people by gate and direction
SEEDS = st.none() | st.integers(0, 2**32)  # None: each log in one piece


def released(result: Result) -> Chains:
    out = Chains()
    for row in result.rows.get("runs_of_flow", []):
        out[row["gate"], row["direction"]] += row["n"]
    return out


def held(result: Result) -> Chains:
    """People that are not released yet."""
    out = Chains()

    def add(panes: Any, tables: Tables) -> None:
        for row in panes.reshape(-1, PANE_COLUMNS).tolist():
            for direction, n in zip(DIRECTIONS, row[3:6], strict=True):
                out[tables.gate_ids[tables.sensor_gate[row[2]]], direction] += n

    for part in result.parts:
        _, panes, _ = part._panes.state()
        add(np.frombuffer(panes, np.int64), part.tables)
    for shard in result.owners:
        for partition, waiting in shard._waiting._panes.items():
            add(np.concatenate(waiting), shard._book.tables(shard._met[partition]))
        for group in shard._classes:
            for chain, n in enumerate(group._chains._rest.tolist()):
                gate = shard.tables.gate_ids[group.gates[chain // DIRECTION_COUNT]]
                out[gate, DIRECTIONS[chain % DIRECTION_COUNT]] += n
    return out


def refused(result: Result) -> Counter[str]:
    """Refused events by reason: those in rows, and those on their way there."""
    out = Counter[str]()
    for row in result.rows.get("rejects", []):
        out[row["reason"]] += row["n"]
    for part in result.parts:
        for _, _, reason, n in np.frombuffer(part._refused.state(), np.int64).reshape(-1, REJECT_COLUMNS).tolist():
            out[REASONS[reason]] += n
    for shard in result.owners:
        for rows in (rows for waiting in shard._waiting._rejects.values() for rows in waiting):
            for _, _, reason, n in rows.tolist():
                out[REASONS[reason]] += n
        for (_, reason), chain in shard._rejects._chains.items():
            out[REASONS[reason]] += int(shard._rejects._rest[chain])
        for (_, _, reason), n in shard._rejects._hours.items():
            out[REASONS[reason]] += n
    return +out


@given(WORLDS, SEEDS, st.integers(1, 4), st.booleans())
@settings(max_examples=2 * settings().max_examples)
def test_people_in_are_released_held_or_refused(world: World, seed: int | None, shards: int, ended: bool) -> None:
    # of redundant sensors one counts: here every sensor is a lane of its own
    world = world.with_registry(sensors=[{**sensor, "group": None} for sensor in world.registry["sensors"]])
    result = world.run(seed=seed, shards=shards, restart=seed is not None, finish=ended)
    naive = world.naive
    came, turned_away = Counter[str](), Counter[str]()
    for event in naive.judged:
        people = event.people if event.event else {}
        came.update(people)
        if event.reason:
            turned_away.update(people)
    inside = released(result) + held(result)
    by_direction = Counter[str]()
    for (_, direction), n in inside.items():
        by_direction[direction] += n
    assert by_direction + turned_away == +came
    assert inside == +Counter({chain: panes.total() for chain, panes in naive.panes.items()})
    assert refused(result) == naive.rejected == result.rejected
    assert all(0 <= n < world.threshold for n in held(result).values()) or not ended


@given(logs_with_versions(), SEEDS, st.integers(1, 4), st.booleans())
@settings(max_examples=60)
def test_nobody_is_lost_between_versions(logs: list[Log], seed: int | None, shards: int, ended: bool) -> None:
    result = run(REGISTRY, logs, shards=shards, seed=seed, restart=seed is not None, finish=ended)
    assert (released(result) + held(result)).total() == judged_people(logs)
    assert refused(result) == result.rejected


def test_nobody_is_lost_between_many_versions() -> None:
    for seed in range(20):
        rng = random.Random(seed)
        logs = busy_logs(rng)
        logs = [log[: rng.randint(0, len(log))] for log in logs] if seed % 2 else logs
        result = run(REGISTRY, logs, shards=rng.randint(1, 4), seed=seed, restart=True, finish=seed % 3 == 0)
        assert (released(result) + held(result)).total() == judged_people(logs)
        assert refused(result) == result.rejected
