"""Alerts while nobody is heard, where the shards meet: there are watermarks and states of sensors, and no row.

However the shards tell it, and however often the run goes on from a snapshot, each unit of insertion holds the same
rows, and they are those of a replay in bulk.
"""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

from engine import registry
from engine.book import Book
from engine.model import END, HEALTH, NO_TIME, Released
from engine.shard_class import Switch
from engine.watch import LIFE, Signal
from flows.people import Told, _RunLogic
from tests.support.alert_rows import REGISTRY, T0, line, rule
from tests.support.engine_run import to_dicts

SHARDS = 2
_take = _RunLogic.on_batch.__wrapped__  # type: ignore[attr-defined]  # without the guard: it would end the tests
RULES = [
    rule("sensor_loss", 0.5, by="health", off_delay_s=60),
    rule("sensor_loss", {"from": "16:04", "to": "16:08", "limit": 1}, id="band", by="health", on_delay_s=85),
]
SENSORS = [
    {
        "id": f"s{i}",
        "kind": "counter",
        "gate": gate,
        "reporting": "heartbeat",
        "approved": [{"from": "2020-01-01T00:00:00Z"}],
    }
    for i, gate in enumerate(("g1", "g1", "g2"))
]
BOOK = Book(registry.parse(json.dumps({**REGISTRY, "thresholds": RULES, "sensors": SENSORS}).encode()))
# line, seconds behind T0 -> what changes there
CHANGES = {
    60: ["s0 silent", "s2 skewed"],
    120: ["s1 silent"],
    180: ["s2 ok"],
    420: ["s0 ok", "s2 silent"],
    610: ["s0 stuck", "s1 ok"],
    900: ["s2 ok"],
}
LAST = 1_200
SHARD_OF = {"s0": 0, "s1": 0, "s2": 1}


def logic(state: bytes | None = None, by_line: bool = True) -> _RunLogic:
    return _RunLogic(BOOK, 1, SHARDS, state, by_line)


def told(shard: int, since: int, to: int) -> Told:
    """A shard comes from W = ``since`` to ``to``, seconds behind T0; behind LAST its logs have ended."""
    signals = [
        Signal(T0 + second * 1000, sensor, LIFE, HEALTH.index(state))
        for second, words in CHANGES.items()
        for sensor, state in (change.split() for change in words)
        if since < second <= to and SHARD_OF[sensor] == shard
    ]
    w = T0 + to * 1000 if to <= LAST else END
    return Told(shard, w, [Switch(NO_TIME, BOOK.start)], {}, [], signals, 0, {}, T0, T0)


def blocks(run: _RunLogic, values: list[Told]) -> list[Released]:
    """The alerts that come out of what shards tell."""
    items, _ = _take(run, values)
    return [item for item in items if isinstance(item, Released) and item.product == "alerts"]


def rows_of(seed: int, upto: int, *, by_line: bool) -> dict[str, list[dict[str, Any]]]:
    """Rows by unit; shards come in steps at random, the run goes on from a snapshot now and then."""
    rng, run = random.Random(seed), logic(by_line=by_line)
    at, out = dict.fromkeys(range(SHARDS), -10), {}
    while min(at.values()) < upto:
        values = []
        for shard in range(SHARDS):
            if rng.random() < 0.6 and at[shard] < upto:
                to = min(at[shard] + 10 * rng.choice([1, 1, 3, 20]), upto)
                values.append(told(shard, at[shard], to))
                at[shard] = to
        for block in blocks(run, values):
            assert block.unit not in out
            out[block.unit] = list(to_dicts(block))
        if rng.random() < 0.3:
            run = logic(run.snapshot(), by_line)
    return out


def changes(units: dict[str, list[dict[str, Any]]]) -> list[str]:
    return [
        line(row)
        for row in sorted((row for rows in units.values() for row in rows), key=lambda row: (row["changed"], row["id"]))
    ]


# c1 has s0, s1 and s2, c2 has s2 alone; "band" asks for all of them in the cells from 240 to 480
EXPECTED = [
    "60 new sensor_loss c1",
    "60 new sensor_loss c2",
    "240 recovered sensor_loss c2",
    "340 new band c1",
    "420 new sensor_loss c2",
    "490 not_in_force band c1",
    "960 recovered sensor_loss c1",
    "960 recovered sensor_loss c2",
]


def test_a_silent_run_raises_and_resolves_alerts() -> None:
    assert sorted(changes(rows_of(0, LAST, by_line=True)), key=EXPECTED.index) == EXPECTED


@pytest.mark.parametrize("seed", range(1, 30))
def test_each_unit_is_a_function_of_what_was_told(seed: int) -> None:
    assert rows_of(seed, LAST, by_line=True) == rows_of(0, LAST, by_line=True)
    assert rows_of(seed, LAST, by_line=False) == rows_of(0, LAST, by_line=True)


def test_a_replay_to_the_end_has_what_a_live_run_has() -> None:
    for upto in (100, 200, 500, LAST):
        whole, live = changes(rows_of(1, LAST + 1, by_line=False)), changes(rows_of(0, upto, by_line=True))
        assert [change for change in whole if float(change.split()[0]) <= upto] == live


def test_lines_without_anything_to_tell_are_no_units() -> None:
    run = logic()
    assert blocks(run, [told(shard, -10, 50) for shard in range(SHARDS)]) == []
    units = [block.unit for block in blocks(run, [told(shard, 50, 300) for shard in range(SHARDS)])]
    assert units == [f"all/{T0 + second * 1000}/sensors/0" for second in (60, 240)]
