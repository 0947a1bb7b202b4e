"""engine.beam and engine.fast._beam refuse the same columns; tests/property/test_beam.py compares what they keep."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from engine.model import END, NO_TIME
from engine.pairs import renamed, unpack
from tests.support.walks import BEAMS, PAIR_MS, rows_of

NO_WAIT, GATE = np.zeros(1, np.int64), np.zeros(1, np.int32)


def columns(rows: int = 5) -> list[Any]:
    """Both beams in turn, 600 ms apart, the last record lets one free."""
    at = np.arange(rows, dtype=np.int64)
    n = np.zeros((rows, 3), np.int64)
    n[at[:-1], at[:-1] % 2] = 1
    return [at, np.zeros(rows, np.int32), 600 * at, at, np.ones(rows, np.uint8), n, np.zeros(rows, np.uint8)]


@pytest.mark.parametrize("name", BEAMS)
@pytest.mark.parametrize(
    ("column", "to", "why"),
    [
        (0, lambda c: c - 1, "no such row"),
        (0, lambda c: c + 1, "no such row"),
        (1, lambda c: c - 1, "a row without sensor"),
        (2, lambda c: c[1:].copy(), "columns differ in length"),
        (3, lambda c: c[1:].copy(), "columns differ in length"),
        (4, lambda c: c[1:].copy(), "columns differ in length"),
        (5, lambda c: c[1:].copy(), "columns differ in length"),
        (5, lambda c: c[:, 1:].copy(), "columns differ in length"),
        (6, lambda c: c[1:].copy(), "columns differ in length"),
    ],
)
def test_bad_records_are_refused(name: str, column: int, to: Any, why: str) -> None:
    beams, given = BEAMS[name](PAIR_MS), columns()
    beams.add(*given)
    given[column] = to(given[column])
    with pytest.raises(ValueError, match=why):
        beams.add(*given)
    if column < 6:
        with pytest.raises(ValueError, match=why):
            beams.drop(*given[:6])


@pytest.mark.parametrize("name", BEAMS)
def test_a_bad_plan_is_refused(name: str) -> None:
    beams = BEAMS[name](PAIR_MS)
    beams.add(*columns())
    with pytest.raises(ValueError, match="columns differ in length"):
        beams.settle(END, NO_WAIT, np.zeros(2, np.int32))
    with pytest.raises(ValueError, match="no such sensor row"):
        beams.settle(NO_TIME, NO_WAIT[1:], GATE[1:])
    assert beams.settle(NO_TIME, NO_WAIT, GATE) == b""
    assert rows_of(beams.settle(END, NO_WAIT, GATE), 4) == [[300, 0, 0, 0], [1500, 0, 0, 0]]


@pytest.mark.parametrize("name", BEAMS)
def test_a_state_that_ends_early_is_refused(name: str) -> None:
    beams = BEAMS[name](PAIR_MS)
    beams.add(*columns(8))
    beams.settle(2_000, NO_WAIT, GATE)
    state = beams.state()
    (pair,) = unpack(state)
    assert (len(pair.waiting), len(pair.ahead)) == (0, 4)
    for cut in range(1, len(state)):
        with pytest.raises(ValueError, match="end early"):
            BEAMS[name](PAIR_MS, state[:cut])


@pytest.mark.parametrize("name", BEAMS)
def test_a_sensor_that_moved_goes_on_under_its_new_row(name: str) -> None:
    beams = BEAMS[name](PAIR_MS)
    beams.add(*columns())
    beams.settle(100, NO_WAIT, GATE)  # one start waits
    beams = BEAMS[name](PAIR_MS, renamed(beams.state(), {0: 1}))
    again = columns()
    again[1] += 1
    beams.add(*again)
    assert again[-1].tolist() == [0, 1, 1, 1, 1]  # of the one worked off the partition knows that it is late
    beams.drop(again[0][:1], *again[1:6])
    told = beams.settle(END, np.zeros(2, np.int64), np.array([-1, 4], np.int32))
    assert rows_of(told, 4) == [[300, 1, 4, 0], [1500, 1, 4, 0]]
