"""The cut of a day's tables: compiled, the readable twin, and NumPy level by level; ns per node.

A thousand tables of 2 x 16 x 11 cells, most of them of nobody or a few. All three give the same ranges.
"""

from functools import partial

import numpy as np
import pytest

from engine import tree
from engine.fast import _tree

K, GUARD = 10, 1
ROWS, CELLS = 32, 11  # of each table: totals, and cells of each; the rows stand in two halves


def forest(tables):
    """Nodes of all tables: each row's cells and its total, both halves, the grand total."""
    half = ROWS // 2 * (CELLS + 1)
    size = 2 * (half + 1) + 1
    at = np.arange(size)
    parent = np.full(size, size - 1)
    for side in range(2):
        base = side * (half + 1)
        row = (at[:half] // (CELLS + 1) + 1) * (CELLS + 1) - 1
        parent[base : base + half] = base + np.where(at[:half] == row, half, row)
    parent[-1] = -1
    many = np.where(parent < 0, -1, parent + np.arange(tables)[:, None] * size).astype(np.int32).reshape(-1)
    rng = np.random.default_rng(3)
    n = rng.poisson(rng.gamma(0.4, 25, tables * size)).astype(np.int64)
    return many, n, np.zeros(tables * size, np.int64), size


def numpy_tree(parent, n, absent, k, guard, low, high):
    """What one would write without a kernel: all nodes of one height at once."""
    m = len(parent)
    height = np.zeros(m, np.int64)
    inside = np.flatnonzero(parent >= 0)
    for _ in range(8):
        np.maximum.at(height, parent[inside], height[inside] + 1)
    people, shown, hidden, least, most, widest = np.zeros((6, m), np.int64)
    for level in range(int(height.max()) + 1):
        node = np.flatnonzero(height == level)
        if level == 0:
            people[node] = n[node]
            told = n[node] >= k
            low[node], high[node] = np.where(told, n[node], 0), np.where(told, n[node], k - 1)
        else:
            a, b, w = least[node], most[node], widest[node]
            first, last, rest = a + w + guard, b - w - (k - 1), hidden[node]
            of = [a == b, first >= last, rest <= first, rest >= last]
            low[node] = shown[node] + np.select(of, [rest, a, a, last], rest)
            high[node] = shown[node] + np.select(of, [rest, b, first, b], rest)
            people[node] = shown[node] + rest
        node = node[parent[node] >= 0]
        exact, above = low[node] == high[node], parent[node]
        np.add.at(shown, above[exact], low[node][exact])
        node, above = node[~exact], above[~exact]
        for column, values in ((hidden, people[node]), (least, low[node]), (most, high[node])):
            np.add.at(column, above, values)
        np.maximum.at(widest, above, high[node] - low[node])


TREES = {"compiled": _tree.tree, "reference": tree.tree, "numpy": numpy_tree}


def run(kernel, parent, n, absent):
    low, high = np.zeros(len(n), np.int64), np.zeros(len(n), np.int64)
    kernel(parent, n, absent, K, GUARD, low, high)
    return low, high


@pytest.mark.parametrize("name", TREES)
def test_tree(benchmark, scale, name):
    parent, n, absent, size = forest(scale(1_000, 20))
    low, high = benchmark(partial(run, TREES[name], parent, n, absent))
    benchmark.extra_info["events"] = len(n)
    roots = slice(size - 1, None, size)
    assert (low[roots] <= high[roots]).all() and high.max() > 100 and ((low == 0) | (low >= K)).all()
    expected = run(numpy_tree, parent, n, absent)
    assert np.array_equal(low, expected[0]) and np.array_equal(high, expected[1])
