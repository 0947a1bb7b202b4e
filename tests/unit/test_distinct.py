"""Distinct rows beside a dictionary, also where mixes of keys collide."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine import distinct
from engine.distinct import Distinct, first_of

ROWS = st.lists(st.tuples(*[st.integers(-2, 2)] * 3), max_size=30)
MIXES: dict[str, Callable[..., Any]] = {
    "as it is": distinct._mix,
    "all alike": lambda rows, by: np.zeros(len(rows), np.uint64),
    "by one column": lambda rows, by: rows[:, 0].astype(np.uint64),
}


def table(rows: list[tuple[int, int, int]]) -> Any:
    return np.array(rows, np.int64).reshape(-1, 3)


@pytest.mark.parametrize("mix", MIXES)
@given(rows=ROWS, cut=st.integers(0, 30))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_of_each_key_the_first_row_stays(
    rows: list[tuple[int, int, int]], cut: int, mix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(distinct, "_mix", MIXES[mix])
    wanted: dict[tuple[int, int], int] = {}
    for a, b, order in rows:
        wanted[a, b] = min(order, wanted.get((a, b), 9))
    found = first_of(table(rows), (0, 1), 2)
    assert sorted(map(tuple, found.tolist())) == sorted((*key, order) for key, order in wanted.items())
    assert first_of(table(rows[::-1]), (0, 1), 2).tolist() == found.tolist()  # a function of the rows
    kept = Distinct(3, (0, 1), 2, 0)
    kept.add(table(rows[:cut]))
    kept = Distinct(3, (0, 1), 2, 0, kept.state())
    kept.add(table(rows[cut:]))
    done = kept.take(0).tolist()
    assert all(row[0] <= 0 for row in done)
    assert sorted(done + kept.rows().tolist()) == sorted(found.tolist())


def test_repeats_take_no_room() -> None:
    kept = Distinct(3, (0, 1), 2, 0)
    for _ in range(5):
        kept.add(np.ones((distinct._MANY // 2, 3), np.int64))
    assert len(kept.rows()) == 1
