"""The kernel admit on columns, and its readable twin on fewer rows: ns per event; both give the same result."""

from functools import partial

import numpy as np
import pytest

from tests.support.columns import ADMITS, admitted, columns, tables

OF = tables("Asia/Tokyo")


@pytest.mark.parametrize("name", ADMITS)
def test_admit(benchmark, scale, name):
    rows = scale(200_000, 2_000) if name == "compiled" else scale(2_000, 200)
    made = columns(1, rows, 1_770_450_000_000, rows * 50)
    out = benchmark(partial(admitted, name, made, OF))
    benchmark.extra_info["events"] = rows
    few = columns(1, 200, 1_770_450_000_000, 10_000)
    for a, b in zip(admitted(name, few, OF), admitted("reference", few, OF), strict=True):
        np.testing.assert_array_equal(a, b)
    assert len(out[0]) == rows
