"""The kernel window on columns, and its readable twin on fewer rows: ns per event; both give the same result."""

from functools import partial

import numpy as np
import pytest

from tests.support.columns import TABLES, added, admitted, columns, tables

OF = tables("Asia/Tokyo")


def add(name, made, judged):
    table = TABLES[name](5000)
    return added(table, made, judged, OF), table.watermark


@pytest.mark.parametrize("name", TABLES)
def test_window(benchmark, scale, name):
    rows = scale(200_000, 2_000) if name == "compiled" else scale(2_000, 200)
    made = columns(1, rows, 1_770_450_000_000, rows * 50)
    (reason, *_), watermark = benchmark(partial(add, name, made, admitted("compiled", made, OF)))
    benchmark.extra_info["events"] = rows
    few = columns(1, 200, 1_770_450_000_000, 10_000)
    judged = admitted("reference", few, OF)
    for a, b in zip(add(name, few, judged)[0], add("reference", few, judged)[0], strict=True):
        np.testing.assert_array_equal(a, b)
    assert len(reason) == rows and watermark > 0
