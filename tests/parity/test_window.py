"""engine.window and engine.fast._window keep the same panes, whatever the batches and restarts."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.model import DUPLICATE, LATE, NO_TIME
from tests.support.columns import TABLES, added, admitted, columns, ordered, tables

OF = tables()
STARTS = st.sampled_from([-86_400_000 * 20_000, -5_000, 0, 1_680_350_400_000])


@given(st.integers(0, 2**32), st.lists(st.tuples(st.integers(0, 40), st.booleans()), max_size=6), STARTS)
def test_both_keep_the_same(seed: int, batches: list[tuple[int, bool]], start_ms: int) -> None:
    one, two = (kind(5000) for kind in TABLES.values())
    for number, (rows, restart) in enumerate(batches):
        made = columns(seed + number, rows, start_ms + number * 40_000, 60_000)
        judged = admitted("reference", made, OF)
        for a, b in zip(added(one, made, judged, OF), added(two, made, judged, OF), strict=True):
            np.testing.assert_array_equal(a, b)
        assert (one.watermark, one.first_watermark) == (two.watermark, two.first_watermark)
        assert ordered(one.covers(), 3) == ordered(two.covers(), 3)
        if restart:  # each goes on from what the other wrote
            one, two = TABLES["reference"](5000, two.state()), TABLES["compiled"](5000, one.state())
        until = max(one.watermark - 4_000, NO_TIME)
        assert ordered(one.take(until), 9) == ordered(two.take(until), 9)
    for a, b, width in zip(one.state(), two.state(), (1, 9, 5), strict=True):
        assert ordered(a, width) == ordered(b, width)


def test_every_reason_occurs() -> None:
    made = columns(3, 3000, 0, 600_000)
    reason, _ = added(TABLES["compiled"](5000), made, admitted("compiled", made, OF), OF)
    assert {LATE, DUPLICATE, 0} <= set(reason.tolist())


@pytest.mark.parametrize("name", TABLES)
def test_bad_columns_are_refused(name: str) -> None:
    made = columns(1, 5, 0, 1000)
    judged = admitted("reference", made, OF)
    with pytest.raises(ValueError, match="no such sensor"):
        added(TABLES[name](5000), made._replace(sensor=np.full(5, 8, np.int32)), judged, OF)
    with pytest.raises(ValueError, match="length"):
        added(TABLES[name](5000), made._replace(seq=made.seq[:-1].copy()), judged, OF)
