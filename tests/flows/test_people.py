"""What the figures key tells of a run's progress, shard by shard."""

from __future__ import annotations

from collections.abc import Mapping

from engine.book import Book
from engine.model import NO_TIME
from flows.people import Told, _RunLogic
from flows.store_sink import TICK, Advance
from tests.support.columns import tables

SHARDS = 3
BOOK = Book(tables().registry)


def told(
    shard: int, watermark: int, *, accepted: int = 0, rejected: Mapping[str, int] | None = None, at: int = NO_TIME
) -> Told:
    seen = (1_000, at) if at != NO_TIME else (2**62, NO_TIME)
    return Told(shard, watermark, [], {}, [], [], accepted, rejected or {}, *seen)


def progress(logic: _RunLogic, *values: Told) -> list[tuple[int, int, dict[str, int]]]:
    """(closed, accepted, rejected) of what a batch tells; every batch ends with a tick."""
    out, _ = logic.on_batch(list(values))
    *rows, last = out
    assert last == TICK
    assert all(isinstance(row, Advance) for row in rows)
    return [
        (r.progress.closed_ms, r.progress.accepted, dict(r.progress.rejected)) for r in rows if isinstance(r, Advance)
    ]


def test_rejects_alone_are_told_before_the_slowest_shard_moves() -> None:
    logic = _RunLogic(BOOK, 6, SHARDS, None)
    first = [told(shard, 10_000, accepted=7, at=9_000) for shard in range(SHARDS)]
    assert progress(logic, *first) == [(10_000, 21, {})]
    assert progress(logic, told(0, 20_000)) == []  # nothing that is shown has changed
    assert progress(logic, told(1, 20_000, rejected={"late": 6})) == [(10_000, 21, {"late": 6})]
    assert progress(logic, told(1, 30_000, rejected={"late": 7, "bad_value": 6})) == [
        (10_000, 21, {"late": 13, "bad_value": 6})
    ]
    assert progress(logic, told(0, 30_000, accepted=6)) == [(10_000, 27, {"late": 13, "bad_value": 6})]
    assert progress(logic, told(2, 20_000)) == [(20_000, 27, {"late": 13, "bad_value": 6})]


def test_counters_go_on_from_a_snapshot() -> None:
    logic = _RunLogic(BOOK, 6, SHARDS, None)
    progress(logic, told(0, 10_000, accepted=7, at=9_000), told(1, 10_000, rejected={"late": 6}))
    again = _RunLogic(BOOK, 6, SHARDS, logic.snapshot())
    assert progress(again, told(1, 20_000)) == []
    assert progress(again, told(2, 10_000, rejected={"late": 6})) == [(10_000, 7, {"late": 12})]
