"""What partitions beside people tell: blobs that are what they were, and one key that closes windows in order."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from engine import facts, registry
from engine.book import Book
from engine.errors import BadInput
from engine.facts import Facts
from engine.model import END, LATE, NO_TIME, UNKNOWN_TYPE, Released
from engine.subjects import Subjects

REGISTRY = registry.parse(json.dumps({"version": "v", "timezone": "Asia/Tokyo"}).encode())
NONE = np.empty((0, 4), np.int64)
VERSIONS = np.empty((0, 5), np.int64)


def told(partition: int, w_from: int, w_to: int, names: tuple[str, ...] = (), *rows: list[int], **more: Any) -> Facts:
    table = np.array(rows, np.int64).reshape(-1, 5)
    return Facts(
        partition, w_from, w_to, len(rows), more.get("rejects", NONE), VERSIONS, names, table, (3,), w_to, w_to
    )


def test_a_blob_is_what_it_was() -> None:
    rejects = np.array([[0, 1, LATE, 3], [10_000, -1, 1, 2]])
    one = told(2, NO_TIME, 20_000, ("top", "地図"), [10_000, 3, 0, 1, 7], [10_000, 3, 0, -1, 8], rejects=rejects)
    again = facts.decode(one.encode())
    assert again.encode() == one.encode() and not again.waits and facts.decode(replace(one, waits=True).encode()).waits
    assert (again.partition, again.names, again.coded, again.rows.tolist()) == (2, one.names, (3,), one.rows.tolist())
    with pytest.raises(ValueError, match="another length"):
        facts.decode(one.encode() + b"x")
    with pytest.raises(ValueError, match="version 9"):
        facts.decode(b"\x09\x00" + one.encode()[2:])


def test_names_that_nothing_uses_are_left_out_and_the_others_stand_in_order() -> None:
    rejects = np.array([[0, 2, LATE, 3]])
    one = facts.compact(told(0, 0, 1, ("z", "unused", "b", "a"), [1, 3, 0, 0, 7], [1, 3, 0, 3, 8], rejects=rejects))
    assert one.names == ("a", "b", "z")
    assert (one.rows[:, 3].tolist(), one.rejects[:, 1].tolist()) == ([2, 0], [1])


def release(seen: list[Any]) -> Any:
    def made(code: int, start: int, rows: Any, names: tuple[str, ...], version: str) -> list[Released]:
        seen.append((code, start, [(names[row[3]], row[4]) for row in rows.tolist()], version))
        return []

    return made


def key(seen: list[Any], partitions: int = 2, state: bytes | None = None) -> Subjects:
    return Subjects(partitions, Book(REGISTRY), release(seen), state, threshold=6)


def test_windows_close_when_every_partition_has_passed_them_in_one_order() -> None:
    seen: list[Any] = []
    subjects = key(seen)
    late = [told(1, NO_TIME, 40_000, ("b", "a"), [40_000, 4, 0, 1, 1], [20_000, 3, 0, 0, 2], [30_000, 3, 20_000, 0, 3])]
    early = [told(0, NO_TIME, 20_000, ("a",), [20_000, 3, 0, 0, 9]), told(0, 20_000, END)]
    assert subjects.take([late[0].encode()]).watermark == NO_TIME
    subjects.take([early[0].encode(), early[0].encode()])  # a repeat tells nothing
    assert seen == [(3, 0, [("a", 9), ("b", 2)], "v")]
    subjects = key(seen, state=subjects.snapshot())
    subjects.take([early[1].encode()])
    assert seen[1:] == [(3, 20_000, [("b", 3)], "v"), (4, 0, [("a", 1)], "v")]
    with pytest.raises(BadInput, match="a gap in the facts of partition 1"):
        subjects.take([told(1, 50_000, 60_000).encode()])


def test_rejects_are_released_by_the_carry_in_units_of_hours() -> None:
    hour, cell = 3_600_000, 10_000
    named = [[0, 0, LATE, 40], [0, 0, UNKNOWN_TYPE, 4], [cell, 0, UNKNOWN_TYPE, 3]]  # who is late is not told
    rejects = np.array([*named, [hour + cell, 0, UNKNOWN_TYPE, 9], [hour + cell, -1, 1, 2]])
    whole = replace(told(0, NO_TIME, 3 * hour, ("d1",)), rejects=rejects)
    steps = [
        replace(told(0, NO_TIME, 2 * cell, ("d1",)), rejects=rejects[:3]),
        replace(told(0, 2 * cell, 3 * hour, ("d1",)), rejects=rejects[3:]),
    ]
    units = []
    for way in ([whole], steps):
        subjects, found = key([], 1), {}
        for part in way:
            out = subjects.take([part.encode()])
            found |= {rows.unit: rows.columns["n"].tolist() for rows in out.rows}
        units.append(found)
    assert units[0] == units[1] == {"rejects/0": [7], f"rejects/{hour}": [9]}


def test_facts_of_no_span_change_what_waits_and_not_what_has_closed() -> None:
    seen: list[Any] = []
    subjects = key(seen)
    subjects.take([told(0, NO_TIME, 20_000, ("a",), [20_000, 3, 0, 0, 1], [20_000, 4, 0, 0, 2]).encode()])
    assert subjects.take([told(0, 20_000, 20_000, ("a",), [20_000, 4, 0, 0, 3]).encode()]).watermark == NO_TIME
    subjects.take([told(1, NO_TIME, 20_000).encode()])
    assert seen == [(3, 0, [("a", 1)], "v"), (4, 0, [("a", 2), ("a", 3)], "v")]
    subjects.take([told(0, 20_000, 20_000, ("a",), [20_000, 4, 0, 0, 4]).encode()])
    subjects.take([told(n, 20_000, END).encode() for n in range(2)])
    assert len(seen) == 2
    with pytest.raises(BadInput, match="a gap in the facts of partition 1"):
        subjects.take([told(1, 30_000, 30_000).encode()])


def test_nothing_closes_while_a_partition_waits() -> None:
    seen: list[Any] = []
    subjects = key(seen)
    subjects.take([told(0, NO_TIME, 20_000, ("a",), [20_000, 3, 0, 0, 1]).encode(), told(1, NO_TIME, 10_000).encode()])
    subjects.take([replace(told(0, 20_000, 20_000), waits=True).encode()])
    for w in (10_000, 20_000, 30_000):
        assert subjects.take([told(1, w, w + 10_000).encode()]).watermark == 10_000 and not seen
    assert subjects.take([told(0, 20_000, 30_000).encode()]).watermark == 30_000
    assert seen == [(3, 0, [("a", 1)], "v")]


@pytest.mark.parametrize("hears", [False, True])
def test_a_key_that_hears_closes_nothing_before_each_partition_has_told_something(hears: bool) -> None:
    seen: list[Any] = []
    first = Subjects(2, Book(REGISTRY), release(seen), threshold=6, hears=hears)
    first.take([told(0, NO_TIME, 20_000, ("a",), [20_000, 3, 0, 0, 1]).encode(), told(1, NO_TIME, 10_000).encode()])
    again = Subjects(2, Book(REGISTRY), release(seen), first.snapshot(), threshold=6, hears=hears)
    assert again.take([told(1, 10_000, 20_000).encode()]).watermark == (10_000 if hears else 20_000)
    assert len(seen) == (not hears)
    assert again.take([told(0, 20_000, 20_000).encode()]).watermark == 20_000
    assert seen == [(3, 0, [("a", 1)], "v")]
