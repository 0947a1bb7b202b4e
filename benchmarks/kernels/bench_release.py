"""The carry over whole days of panes: compiled, the readable twin, and NumPy pane by pane; ns per chain and pane.

Every row is one chain × direction in one pane of ten seconds, empty ones too. All three give the same runs.
"""

from functools import partial

import numpy as np
import pytest

from engine import release
from engine.fast import _release

K = 6
CHAINS = 90  # 30 gates
PANE_MS = 10_000


def numpy_carry(chain, start, end, people, crosses, threshold, rest, since, rest_crosses, *out):
    """What one would write without a kernel: all chains at once, pane by pane. Panes must come as full rows."""
    chains, count = len(rest), 0
    for at in range(0, len(people), chains):
        rest += people[at : at + chains]
        rest_crosses += crosses[at : at + chains]
        done = np.flatnonzero(rest >= threshold)
        if not len(done):
            continue
        told = np.where(rest_crosses[done] >= threshold, rest_crosses[done], 0)
        rows = slice(count, count + len(done))
        for column, values in zip(out, (done, since[done], end[at + done], rest[done], told), strict=True):
            column[rows] = values
        rest[done] = 0
        since[done] = end[at + done]
        rest_crosses[done] -= told
        count += len(done)
    return count


CARRIES = {"compiled": _release.carry, "reference": release.carry, "numpy": numpy_carry}


def panes(count):
    rng = np.random.default_rng(5)
    rows = count * CHAINS
    people = rng.poisson(np.tile(rng.gamma(0.7, 1.0, CHAINS), count)).astype(np.int64)
    start = PANE_MS * np.repeat(np.arange(count, dtype=np.int64), CHAINS)
    return (np.tile(np.arange(CHAINS, dtype=np.int32), count), start, start + PANE_MS, people, people), rows


def run(carry, given, rows):
    state = [np.zeros(CHAINS, np.int64) for _ in range(3)]
    out = [np.zeros(rows, np.int32), *(np.zeros(rows, np.int64) for _ in range(4))]
    count = carry(*given, K, *state, *out)
    return [column[:count] for column in out], state


@pytest.mark.parametrize("name", CARRIES)
def test_carry(benchmark, scale, name):
    given, rows = panes(scale(8_640, 200))
    out, state = benchmark(partial(run, CARRIES[name], given, rows))
    benchmark.extra_info["events"] = rows
    assert out[3].sum() + state[0].sum() == given[3].sum()
    assert out[3].min() >= K
    expected, _ = run(numpy_carry, given, rows)
    assert all(np.array_equal(a, b) for a, b in zip(out, expected, strict=True))
