"""engine.refused: rejects are told once, in the cell of W, however they were noted."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine import refused
from engine.model import CELL_MS, NO_TIME
from engine.refused import Refused

AT = st.one_of(st.just(NO_TIME), st.integers(-35_000, 60_000))
NOTED = st.lists(st.lists(st.tuples(AT, st.integers(-1, 3), st.integers(1, 12)), min_size=1), max_size=6)


def noted(into: Refused, events: list[tuple[int, int, int]]) -> None:
    at, sensor, reason = zip(*events, strict=True)
    into.add(np.array(at, np.int64), np.array(sensor, np.int32), np.array(reason, np.uint8))


@given(NOTED, st.integers(-40_000, 90_000), st.sampled_from([1, 3, 65_536]), st.booleans())
def test_each_is_told_once_and_in_order(batches, w, many, restart):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(refused, "_MANY", many)
        mine, first = Refused(), -20_001
        for events in batches:
            noted(mine, events)
            if restart:
                mine = Refused(mine.state())
        told = [*mine.take(first, w).tolist(), *mine.take(first, 10**6).tolist()]
    cells = Counter(
        ((first if at == NO_TIME else at) // CELL_MS * CELL_MS, sensor, reason)
        for events in batches
        for at, sensor, reason in events
    )
    due = sorted([*key, n] for key, n in cells.items() if key[0] + CELL_MS <= w)
    assert told[: len(due)] == due
    assert told == sorted([*key, n] for key, n in cells.items())


def test_without_a_watermark_nothing_is_told():
    mine = Refused()
    noted(mine, [(NO_TIME, 0, 1)] * 3)
    assert len(mine.take(NO_TIME, 10**9)) == 0
    assert mine.take(7, 10**9).tolist() == [[0, 0, 1, 3]]
    assert len(mine.take(7, 10**9)) == 0


def test_what_is_noted_before_a_watermark_is_bounded(monkeypatch):
    monkeypatch.setattr(refused, "_MANY", 10)
    mine = Refused()
    for _ in range(100):
        noted(mine, [(NO_TIME, 0, 1)] * 3)
        assert sum(map(len, mine._noted)) < 10 + 3
    assert len(mine.state()) == 4 * 8
