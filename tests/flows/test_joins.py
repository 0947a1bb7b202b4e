"""Joins: what counts as one, what a partition that begins with one refuses, and that a dump keeps it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine import registry
from engine.book import Book
from engine.model import LATE, NO_TIME
from engine.partition import Partition
from flows.dump import DumpReader, DumpWriter
from flows.joins import join_in
from tests.support.engine_run import outcomes, payloads

T0 = 1_770_450_000_000
REGISTRY: dict[str, Any] = {
    "version": "v1",
    "timezone": "UTC",
    "zones": [{"id": "c1", "kind": "walkway"}],
    "gates": [{"id": "g0", "a": "c1", "b": None, "leaf": "10s"}],
    "sensors": [
        {"id": "s0", "kind": "counter", "gate": "g0", "approved": [{"from": "2020-01-01T00:00:00Z", "to": None}]}
    ],
}
JOIN = b'{"type":"tick","ts":1770450000000,"since":1770450000000}'


@pytest.mark.parametrize(
    ("values", "since"),
    [
        ([b"{}", None, JOIN], T0),
        ([JOIN, JOIN.replace(b"0000", b"9999")], T0),
        ([b'{"type":"tick","ts":1}'], None),
        ([b'{"type":"cross","since":5}', b'{"type":"tick","since":"5"}', b'"since"', b'{"since":'], None),
        ([], None),
    ],
)
def test_the_first_tick_with_since_is_the_join(values: list[bytes | None], since: int | None) -> None:
    assert join_in(values) == since


def cross(ts: int) -> bytes:
    return json.dumps({"sensor": "s0", "ts": ts, "type": "cross", "dir": "ab"}).encode()


def test_what_stands_in_front_of_the_join_is_late_by_the_partitions_own_watermark() -> None:
    book = Book(registry.parse(json.dumps(REGISTRY).encode()))
    log = payloads([cross(T0 - 10_001), cross(T0 - 1), cross(T0), JOIN, cross(T0 - 1)], [T0 + 60_000] * 5)
    fed = Partition(0, book, 5_000, 1, None, T0).feed(log)
    assert outcomes(fed, 5) == [LATE, LATE, 0, 0, LATE]
    unknowing = Partition(0, book, 5_000, 1).feed(log)
    assert outcomes(unknowing, 5) == [0] * 5


def test_it_tells_where_it_begins_before_its_first_record() -> None:
    book = Book(registry.parse(json.dumps(REGISTRY).encode()))
    part = Partition(0, book, 5_000, 1, None, T0)
    assert [(p.w_from, p.w_to) for p in part.partials()] == [(NO_TIME, T0)]
    assert Partition(0, book, 5_000, 1, part.snapshot(), T0 + 5).watermark == T0


def test_a_dump_names_the_joins(tmp_path: Path) -> None:
    with DumpWriter(tmp_path / "d", "people") as writer:
        for partition, values in ((0, [b"{}", b"{}"]), (1, [b"{}", JOIN])):
            writer.add(partition, np.arange(2), np.full(2, T0), [None] * 2, values)
    reader = DumpReader(tmp_path / "d")
    found = [reader.log(partition, partition) for partition in (0, 1)]
    assert [log.since for log in found] == [NO_TIME, T0]
    for log in found:
        log.close()
