"""What operators say of the people in a zone: when it holds, how often it counts, what is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest

from engine import registry
from engine.book import Book
from engine.partition import Partition
from tests.support.engine_run import payloads, run
from tests.support.halls import COLUMNS, EXACT, at, count, in_order, inside, rows, told, world


def test_an_operators_word_between_two_edges_leaves_a_range() -> None:
    log = in_order(
        [count(at("08:00"), 5), count(at("08:16"), 3), count(at("08:27"), 0, 1), count(at("08:40"), 2)],
        [count(at("08:50"), 2), count(at("09:10"))],
        [told(at("08:22"), 50)],
    )
    found = rows(run(world(), [log], EXACT))
    assert found[at("08:15")]["occupancy"] is None
    # of 3 who came in and 1 who went out in that quarter nobody knows who was before the word
    assert [found[at(t)][name] for t in ("08:30", "08:45") for name in COLUMNS[:2]] == [49, 53, 51, 55]
    on_edge = rows(run(world(), [in_order(log, [told(at("08:45"), 60)])], EXACT))
    assert [on_edge[at("09:00")][name] for name in (*COLUMNS, "drift_low", "drift_high")] == [62, 62, 0, -9, -5]


def test_of_two_words_for_one_instant_the_larger_number_holds() -> None:
    log = [count(at("08:00")), told(at("08:15"), 7), told(at("08:15"), 9), told(at("08:15"), 8), count(at("08:20"))]
    assert rows(run(world(), [log], EXACT))[at("08:30")]["occupancy"] == 9


def test_the_first_word_may_come_a_little_before_the_first_record() -> None:
    for start, people in ((at("07:59"), 12), (at("07:58"), None)):
        log = [told(start, 12), count(at("08:00")), count(at("08:20"))]
        assert rows(run(world(), [log], EXACT))[at("08:15")]["occupancy"] == people


def test_a_word_in_every_partition_counts_once() -> None:
    logs = [[count(at("08:00"), 5), told(at("08:30"), 20), count(at("09:00"))] for _ in range(3)]
    for log, sensor in zip(logs, ("s0", "s1", "s2"), strict=True):
        log[0], log[2] = count(at("08:00"), 5, sensor=sensor), count(at("09:00"), sensor=sensor)
    # one is behind: it meets the word when the others are further
    logs[1].insert(1, count(at("08:12"), sensor="s1"))
    logs[2][1:2] = [count(at("08:20"), sensor="s2"), told(at("08:30"), 20)]
    result = run(world(gates=3), logs, EXACT)
    assert inside(result)[-2:] == [("08:15", None), ("08:30", 20)]
    assert all(row["drift_low"] is None for row in rows(result).values())
    for seed in range(6):
        assert run(world(gates=3), logs, EXACT, seed=seed, shards=2, restart=True).canonical() == result.canonical()


BAD: list[tuple[dict[str, Any], str]] = [
    ({"zone": "nowhere"}, "zone: no such zone"),
    ({"zone": None}, "zone: no such zone"),
    ({"people": -1}, "people: must be a whole number from 0 to 2147483647"),
    ({"people": 1.5}, "people: must be a whole number from 0 to 2147483647"),
    ({"people": True}, "people: must be a whole number from 0 to 2147483647"),
    ({"people": None}, "people: must be a whole number from 0 to 2147483647"),
    ({"by": 7}, "by: must be text"),
    ({"ts": "yesterday"}, "ts: must be a time"),
    ({"ts": at("08:30") + 60_001}, "ts: too far in the future"),
    ({"ts": at("08:29")}, "ts: what ended then has closed"),  # on the line before W
]


@pytest.mark.parametrize(("change", "why"), BAD, ids=[why for _, why in BAD])
def test_words_that_cannot_hold_are_told(change: dict[str, Any], why: str) -> None:
    part = Partition(0, Book(registry.parse(json.dumps(world()).encode())), 60_000, 1)
    good = {"type": "set", "zone": "hall", "people": 3, "by": "h", "ts": at("08:29") + 1}
    first = count(at("08:29") + 9_000)  # W = 8:29:09
    messages = [
        first[0],
        *(json.dumps(r).encode() for r in (good, good | change)),
        json.dumps([good, good | change]).encode(),
    ]
    fed = part.feed(payloads(messages, [at("08:30")] * 4))
    assert fed.faults == [(2, "set", why), (3, "set", why)]
    assert len(fed.reason) == 0 and part.read == 1  # no events
    part.finish()
    (told_of,) = part.partials()
    assert len(told_of.sets) == 2
