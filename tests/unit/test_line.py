"""The watermark of a stream without a kernel, beside a loop over records."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.line import Line
from engine.model import END, LATE, NO_TIME, TOO_FAR_IN_FUTURE

WINDOW = 10_000
# ts, how far record_ts lies behind it, refused before or not, tick or not
ROWS = st.lists(
    st.tuples(
        st.integers(0, 8).map(lambda s: 5_000 * s),
        st.sampled_from([0, 0, 5_000, -5_000, -60_000, -60_001]),
        st.sampled_from([False, False, False, True]),
        st.sampled_from([False, False, False, True]),
    ),
    max_size=40,
)


def loop(rows: list[tuple[int, int, bool, bool]], bound: int) -> tuple[list[int], list[int], int, int]:
    """Reasons, W before each row, W and the first W, by DESIGN.md, one by one."""
    w, first, reasons, before = NO_TIME, NO_TIME, [], []
    for ts, behind, refused, tick in rows:
        before.append(w)
        reason = 1 if refused else 0
        if not refused and not tick:
            if behind < -60_000:
                reason = TOO_FAR_IN_FUTURE
            elif ts // WINDOW * WINDOW + WINDOW <= w:
                reason = LATE
        reasons.append(reason)
        if not reason:
            w = max(w, min(ts, ts + behind) - bound)
            first = w if first == NO_TIME else first
    return reasons, before, w, first


@given(ROWS, st.sampled_from([0, 5_000]), st.integers(0, 40), st.integers(0, 40))
def test_a_pass_over_columns_is_the_loop_however_it_is_cut(
    rows: list[tuple[int, int, bool, bool]], bound: int, one: int, two: int
) -> None:
    reasons, before = [], []
    state = None
    cuts = sorted({0, min(one, len(rows)), min(two, len(rows)), len(rows)})
    line = Line(bound)
    for start, stop in itertools.pairwise(cuts):
        line = Line(bound, state=state) if state is not None else line
        part = rows[start:stop]
        reason = np.array([refused for *_, refused, _ in part], np.uint8)
        ts = np.array([ts for ts, *_ in part], np.int64)
        record = np.array([ts + behind for ts, behind, *_ in part], np.int64)
        close = np.array([END if tick else ts // WINDOW * WINDOW + WINDOW for ts, _, _, tick in part], np.int64)
        before += line.judge(reason, ts, record, close).tolist()
        reasons += reason.tolist()
        state = line.state()
    assert (reasons, before, line.watermark, line.first) == loop(rows, bound)


def test_a_partition_that_joined_later_begins_where_the_others_were() -> None:
    line, reason = Line(0, since=50_000), np.zeros(2, np.uint8)
    ts, close = np.array([1_000, 50_001]), np.array([10_000, 60_000])
    line.judge(reason, ts, ts, close)
    assert reason.tolist() == [LATE, 0] and line.watermark == 50_001


def test_a_window_that_closes_before_what_it_holds_is_no_window() -> None:
    line, one = Line(0), np.array([5_000])
    with pytest.raises(ValueError, match="closes before"):
        line.judge(np.zeros(1, np.uint8), one, one, one)
    with pytest.raises(ValueError, match="differ in length"):
        line.judge(np.zeros(2, np.uint8), one, one, one + 1)
