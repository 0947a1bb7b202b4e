"""Alerts depend on the logs alone: not on cuts, shards, processes, restarts or kills; a run's rows are one pass's."""

import copy
import itertools
import json
import random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from engine.config import Config
from tests.property.test_engine import LOG, PLAIN, START, Log
from tests.property.test_engine import REGISTRY as BARE
from tests.property.test_registry_versions import _spread as spread
from tests.property.test_registry_versions import record, ticked
from tests.support.alert_rows import STEP, T0, Run, rule, tables, zones
from tests.support.cluster_run import Cluster
from tests.support.engine_run import Result, run, to_dicts

RULES = [
    rule("flow", 4, on_delay_s=10),
    rule("counterflow", 0.1, people_per_minute=0, off_delay_s=10),
    rule("sensor_loss", 0.9, {"zones": ["c2"], "limit": 0.5}),
    rule("stopped", 50, rise=20, off_delay_s=60),
    rule("flow", {"zones": ["c2"], "limit": 0.5}, id="minute", window="1m"),
    rule("sensor_loss", 1, id="health", by="health", on_delay_s=15, off_delay_s=10),
]


def registry(version: str, *rules: dict[str, Any], without: str = "") -> dict[str, Any]:
    """The registry of the other property tests with widths, areas and rules; without a zone and its gates."""
    made: dict[str, Any] = copy.deepcopy(BARE) | {"version": version, "thresholds": list(rules)}
    made["zones"] = [{**zone, "area_m2": 9, "width_m": 2} for zone in made["zones"] if zone["id"] != without]
    made["gates"] = [gate for gate in made["gates"] if without not in (gate["a"], gate["b"])]
    here = {gate["id"] for gate in made["gates"]}
    made["sensors"] = [sensor for sensor in made["sensors"] if sensor["gate"] in here]
    return made


REGISTRY = registry("v1", *RULES)
VERSIONS = [
    registry("v2"),
    registry("v3", *RULES[1:]),
    registry("v4", rule("flow", 1), rule("sensor_loss", 0.9, id="counterflow"), RULES[4]),
    registry("v5", *RULES, without="c2"),
    registry("v6", *({**told, "severity": "critical", "window": "1m"} for told in RULES)),
]


@st.composite
def logs_with_rules(draw: st.DrawFn) -> list[Log]:
    """Logs of one to three partitions with some of VERSIONS, each at a place of its own per log; then ticks."""
    order = draw(st.lists(st.sampled_from(range(len(VERSIONS))), max_size=3))
    out = []
    for events in draw(st.lists(LOG, min_size=1, max_size=3)):
        log = [spread(i, event, draw) for i, event in enumerate(events)]
        places = sorted(draw(st.lists(st.integers(0, len(log)), min_size=len(order), max_size=len(order))))
        for place, which in reversed(list(zip(places, order, strict=True))):
            log.insert(place, record(VERSIONS[which]))
        out.append(log)
    return ticked(out)


def busy(seed: int, versions: int = 2) -> list[Log]:
    """Three logs of five minutes with people in waves, silences, and versions at places of their own."""
    rng = random.Random(seed)
    order = rng.sample(VERSIONS, versions)
    logs = []
    for _ in range(3):
        log: Log = []
        ts = START
        for _ in range(150):
            ts += rng.choice([0, 300, 1_000, 2_000, 9_000])
            way = "ab" if (ts // 60_000) % 2 else rng.choice(["ab", "ba"])
            event: dict[str, Any] = {"sensor": f"s{rng.randint(0, 3)}", "ts": ts, "type": "cross", "dir": way}
            kind = rng.random()
            if kind < 0.15:
                event = {"sensor": "s1", "ts": ts, "type": "heartbeat"}
            elif kind < 0.2:
                event = {"type": "tick", "ts": ts}
            log.append((json.dumps(event).encode(), None))
        for place, which in zip(sorted(rng.sample(range(150), versions), reverse=True), reversed(order), strict=True):
            log.insert(place, record(which))
        logs.append(log)
    return ticked(logs)


def consistent(result: Result) -> None:
    """Every alert is new once, and then resolved once at most, later; rows of gates are those of flow."""
    standing: dict[str, int] = {}
    for row in sorted(result.rows.get("alerts", []), key=lambda row: (row["id"], row["changed"])):
        if row["state"] == "new":
            assert row["id"] not in standing and row["began"] == row["changed"]
            standing[row["id"]] = row["changed"]
        else:
            assert standing[row["id"]] == row["began"] < row["changed"]
    flow = {json.dumps(row, sort_keys=True) for row in result.rows.get("flow", [])}
    assert {json.dumps(row, sort_keys=True) for rows in result.gates for row in to_dicts(rows)} <= flow


@given(logs_with_rules(), st.integers(0, 2**32), st.integers(1, 4))
@settings(max_examples=60)
def test_cuts_shards_and_restarts_change_nothing(logs: list[Log], seed: int, shards: int) -> None:
    config = PLAIN if seed % 3 else Config()
    plain = run(REGISTRY, logs, config)
    consistent(plain)
    mixed = run(REGISTRY, logs, config, seed=seed, shards=shards, restart=True, by_line=seed % 2 == 1)
    assert mixed.canonical() == plain.canonical()


@given(logs_with_rules(), st.integers(0, 2**32), st.integers(1, 4))
@settings(max_examples=30)
def test_processes_and_kills_change_nothing(logs: list[Log], seed: int, shards: int) -> None:
    cluster = Cluster(REGISTRY, logs, PLAIN, shards, random.Random(seed))
    assert cluster.result().canonical() == run(REGISTRY, logs, PLAIN, finish=False).canonical()


def test_busy_runs_with_versions_raise_and_end_alerts_of_all_kinds_and_are_the_same_killed_or_not() -> None:
    seen: set[tuple[str, str]] = set()
    for seed in range(16):
        logs = busy(seed)
        plain = run(REGISTRY, logs, PLAIN, finish=False)
        consistent(plain)
        cluster = Cluster(REGISTRY, logs, PLAIN, 1 + seed % 4, random.Random(seed))
        assert cluster.result().canonical() == plain.canonical()
        cut = run(REGISTRY, logs, PLAIN, seed=seed, shards=2, restart=True, finish=False, by_line=seed % 2 == 1)
        assert cut.canonical() == plain.canonical()
        for row in plain.rows.get("alerts", []):
            seen |= {(row[name], row["reason"] or row["state"]) for name in ("kind", "rule")}
    kinds = ("flow", "counterflow", "sensor_loss", "stopped")
    assert seen >= {(kind, how) for kind in kinds for how in ("new", "recovered", "not_in_force")}
    assert seen >= {("health", how) for how in ("new", "not_in_force")}  # sensors that fall silent here stay so


VALUES = st.sampled_from([None, 1.0, 1.79, 1.8, 1.9, 2.0, 3.0])
DELAYS = st.sampled_from([0, 10, 20, 35])


@given(st.lists(VALUES, max_size=60), DELAYS, DELAYS, st.lists(st.integers(0, 60), max_size=8), st.booleans())
def test_any_cut_and_restart_of_one_zone_s_windows_equals_one_pass(
    values: list[float | None], on: int, off: int, cuts: list[int], restart: bool
) -> None:
    of = tables(rule("density", 2, on_delay_s=on, off_delay_s=off))
    rows = [None if value is None else {"density": value} for value in values]
    edges = sorted({0, len(rows), *(cut for cut in cuts if cut < len(rows))})
    one, pieces = Run(of), Run(of)
    one.take(zones(of, rows))
    for first, last in itertools.pairwise(edges):
        pieces.take(zones(of, rows[first:last], start=T0 + first * STEP))
        if restart:
            pieces.restart()
    assert pieces.rows == one.rows
    assert [(row["state"], row["changed"]) for row in one.rows] == slow(values, on, off)


def slow(values: list[float | None], on_s: int, off_s: int) -> list[tuple[str, int]]:
    """The same rule as a person would tell it: limit 2, recovery 1.8, looked at once more for every window."""
    out: list[tuple[str, int]] = []
    at, standing = 0, False
    since: list[float] = []  # known windows since the alert's condition began, or since it ceased
    for value in values:
        at += STEP
        if value is None:
            continue
        if not standing:
            since = [*since, value] if (since or value >= 2) and value >= 1.8 else []
            if since and (len(since) - 1) * 10 >= on_s:
                out.append(("new", T0 + at))
                standing, since = True, []
        else:
            since = [*since, value] if value < 1.8 else []
            if since and (len(since) - 1) * 10 >= off_s:
                out.append(("resolved", T0 + at))
                standing, since = False, []
    return out
