"""Any number of processes, changed at every start, killed or not: the rows are those of one that never stopped."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from engine.config import Config
from tests.property.test_engine import PLAIN, REGISTRY, START, Log
from tests.property.test_registry_versions import busy_logs, logs_with_versions, ticked
from tests.support.cluster_run import Cluster
from tests.support.engine_run import Result, run
from tests.support.worlds import PRIVACY, WORLDS, World

SEEDS = st.integers(0, 2**32)


COUNTERS = ("read", "accepted", "rejected")
SHOWN = ("shown_accepted", "shown_rejected")


def same(cluster: Cluster, plain: Result, *counters: str) -> None:
    spread = cluster.result()
    assert spread.canonical() == plain.canonical()
    for name in counters:
        assert getattr(spread, name) == getattr(plain, name)


@given(WORLDS, SEEDS, st.integers(1, 5), st.booleans())
def test_processes_and_kills_change_nothing(world: World, seed: int, shards: int, closed: bool) -> None:
    if closed:
        world = replace(world, logs=ticked(world.logs))
    config = Config({"flow": PRIVACY[world.threshold], "time": {"bound_ms": world.bound}})
    cluster = Cluster(world.registry, world.logs, config, shards, random.Random(seed))
    # in an open window, heartbeats and counts are shown when the next line is told: how many depends on the cut
    same(cluster, world.run(finish=False), *COUNTERS, *(SHOWN if closed else ()))


@given(logs_with_versions(), SEEDS, st.integers(1, 4))
@settings(max_examples=40)
def test_processes_that_meet_versions_in_any_order_change_nothing(logs: list[Log], seed: int, shards: int) -> None:
    logs = ticked(logs)
    cluster = Cluster(REGISTRY, logs, PLAIN if seed % 2 else Config(), shards, random.Random(seed))
    same(cluster, run(REGISTRY, logs, cluster.config, finish=False), *COUNTERS, *SHOWN)


def test_busy_processes_that_meet_many_versions_change_nothing() -> None:
    for seed in range(30):
        rng = random.Random(seed)
        logs = busy_logs(rng)
        cluster = Cluster(REGISTRY, logs, PLAIN if seed % 2 else Config(), rng.randint(1, 4), rng)
        same(cluster, run(REGISTRY, logs, cluster.config, finish=False), *COUNTERS, *SHOWN)
        assert len(cluster.lives) > 2


def test_the_processes_of_these_tests_are_killed_and_change_in_number() -> None:
    log: list[Any] = [
        (json.dumps({"type": "cross", "sensor": "s0", "dir": "ab", "ts": START + 1_000 * i}).encode(), None)
        for i in range(400)
    ]
    cluster = Cluster(REGISTRY, [log, log, log], PLAIN, 3, random.Random(1))
    assert sum(row["n"] for row in cluster.result().rows["runs_of_flow"] if row["gate"] == "g0") > 900
    assert len(cluster.lives) > 4 and set(cluster.lives) == {1, 2, 3}
