"""What the carry promises for every sequence of panes, on both implementations."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine import release
from engine.fast import _release
from engine.model import RANGE_STATUS, RELEASED_STATUS, SUPPRESSED_STATUS

PANE = 10
PEOPLE = st.lists(st.one_of(st.integers(0, 3), st.integers(0, 40)), max_size=60)
K = st.integers(1, 9)
NAN = float("nan")

both = pytest.mark.parametrize("carry", [release.carry, _release.carry], ids=["reference", "compiled"])


def run(carry, people, threshold, cuts=(), chain=None, start=None):
    """Feed panes (of chain 0, unless told) in pieces cut at ``cuts``; return [(chain, start, end, n)] and the state."""
    m = len(people)
    chain = np.zeros(m, np.int32) if chain is None else np.array(chain, np.int32)
    start = PANE * np.arange(m, dtype=np.int64) if start is None else np.array(start, np.int64)
    people = np.array(people, np.int64)
    chains = int(chain.max(initial=0)) + 1
    rest, since, rest_crosses = (np.zeros(chains, np.int64) for _ in range(3))
    runs = []
    edges = [0, *sorted(c % (m + 1) for c in cuts), m]
    for a, b in pairwise(edges):
        out = [np.zeros(b - a, np.int32), *(np.zeros(b - a, np.int64) for _ in range(4))]
        given_panes = (chain[a:b], start[a:b], start[a:b] + PANE, people[a:b], people[a:b])
        count = carry(*given_panes, threshold, rest, since, rest_crosses, *out)
        assert np.array_equal(out[3][:count], out[4][:count])
        runs += zip(*(c[:count].tolist() for c in out[:4]), strict=True)
    return runs, (rest.tolist(), since.tolist(), rest_crosses.tolist())


def bounds_of(runs, times, threshold):
    end, n = (np.array([r[i] for r in runs], np.int64) for i in (2, 3))
    return release.bounds(end, n, np.array(times, np.int64), threshold, 0)


@both
@settings(deadline=None)
@given(people=PEOPLE, threshold=K)
def test_no_person_is_lost_or_made(carry, people, threshold):
    runs, (rest, since, rest_crosses) = run(carry, people, threshold)
    assert sum(n for *_, n in runs) + rest[0] == sum(people)
    assert 0 <= rest[0] < threshold
    assert rest_crosses == rest
    assert all(n >= threshold for *_, n in runs)
    edges = [0, *(end for _, _, end, _ in runs)]
    assert [(a, b) for _, a, b, _ in runs] == list(pairwise(edges)), "runs leave no gap"
    assert since == [edges[-1]]


@both
@settings(deadline=None)
@given(people=PEOPLE, threshold=K, cuts=st.lists(st.integers(0, 99), max_size=5))
def test_the_cut_into_calls_changes_nothing(carry, people, threshold, cuts):
    assert run(carry, people, threshold, cuts) == run(carry, people, threshold)


@both
@settings(deadline=None)
@given(days=st.lists(PEOPLE, min_size=1, max_size=4), threshold=K, seed=st.integers(0, 2**32))
def test_the_order_between_chains_changes_nothing(carry, days, threshold, seed):
    """Any interleaving that keeps each chain's own order gives each chain the same runs and state."""
    panes = [(c, PANE * i, n) for c, day in enumerate(days) for i, n in enumerate(day)]
    order = np.random.default_rng(seed).permutation([c for c, _, _ in panes])
    queues = [iter([p for p in panes if p[0] == c]) for c in range(len(days))]
    mixed = [next(queues[c]) for c in order]

    def outcome(rows):
        chain, start, people = ([r[i] for r in rows] for i in range(3))
        runs, state = run(carry, people, threshold, chain=chain, start=start)
        return sorted(runs), state

    assert outcome(mixed) == outcome(panes)


@both
@settings(deadline=None)
@given(people=PEOPLE, threshold=K)
def test_empty_panes_may_be_left_out(carry, people, threshold):
    kept = [(PANE * i, n) for i, n in enumerate(people) if n]
    sparse = run(carry, [n for _, n in kept], threshold, start=[at for at, _ in kept])
    assert sparse == run(carry, people, threshold)


@both
@settings(deadline=None)
@given(people=PEOPLE, threshold=K)
def test_every_window_holds_its_true_count(carry, people, threshold):
    runs, _ = run(carry, people, threshold)
    edges = np.arange(len(people) + 1, dtype=np.int64) * PANE
    true = np.concatenate(([0], np.cumsum(np.array(people, np.int64))))
    lo, hi = bounds_of(runs, edges, threshold)
    assert ((lo <= true) & (true <= hi)).all()
    a, b = np.triu_indices(len(edges), 1)
    n, low, high, status = release.window_rows(lo[a], hi[a], lo[b], hi[b], threshold, np.full(len(a), NAN))
    counted = true[b] - true[a]
    assert ((low <= counted) & (counted <= high)).all()
    assert (high - low <= 2 * (threshold - 1)).all()
    assert set(status.tolist()) <= {RELEASED_STATUS, SUPPRESSED_STATUS, RANGE_STATUS}
    released, suppressed = status == RELEASED_STATUS, status == SUPPRESSED_STATUS
    assert np.array_equal(released, low == high)
    assert (n[released] == counted[released]).all()
    if threshold == 1:
        assert released.all()
    else:
        assert (n[released] >= threshold).all()
        assert (high[~released] - low[~released] + 1 >= threshold).all()
        assert (high[suppressed] == threshold - 1).all()


@settings(deadline=None)
@given(
    bounds=st.tuples(st.integers(0, 50), st.integers(0, 9), st.integers(0, 50), st.integers(0, 9)),
    threshold=K,
    coverage=st.sampled_from([0.0, 0.25, 1.0, NAN]),
)
def test_rows_for_arrays_are_the_row_and_nothing_small_ever_shows(bounds, threshold, coverage):
    """Also for bounds that no carry makes: what fails, fails into the wider class (PRIVACY.md R8)."""
    a, wide_a, more, wide_b = bounds
    given_bounds = (a, a + wide_a, a + more, a + more + wide_b)
    row = release.window_row(*given_bounds, threshold, coverage)
    arrays = [np.array([v], np.int64) for v in given_bounds]
    columns = release.window_rows(*arrays, threshold, np.array([coverage]))
    assert tuple(int(c[0]) for c in columns) == row
    n, low, high, status = row
    if status == RELEASED_STATUS:
        assert n == low == high
        assert threshold == 1 or n >= threshold
