"""The compiled carry and its readable twin give the same bytes, the same state and the same errors."""

import inspect

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from engine import release
from engine.fast import _release

NAMES = list(inspect.signature(release.carry).parameters)
COUNTS = st.one_of(st.integers(0, 9), st.integers(0, 2**61), st.integers(-2, 0))


@st.composite
def arguments(draw):
    """Mostly sound panes; now and then one of everything that is refused."""
    chains, m = draw(st.integers(0, 4)), draw(st.integers(0, 30))
    wild = draw(st.integers(0, 9)) == 0
    low, high = (-1, chains) if wild or not chains else (0, chains - 1)
    at = {}
    chain, start, end = [], [], []
    for _ in range(m):
        c = draw(st.integers(low, high))
        gap, length = draw(st.tuples(st.integers(-1 if wild else 0, 3), st.integers(0 if wild else 1, 3)))
        begin = at.get(c, 0) + gap
        chain.append(c)
        start.append(begin)
        end.append(begin + length)
        at[c] = begin + length
    threshold = draw(st.integers(0 if wild else 1, 8))
    counts = COUNTS if wild else st.integers(0, 9)

    def column(values, dtype=np.int64):
        return np.array(values, dtype).reshape(-1)

    def drawn(strategy, size):
        return draw(st.lists(strategy, min_size=size, max_size=size))

    since = st.sampled_from([0, 0, 0, -(2**63)]) if wild else st.integers(-5, 0)
    return [
        column(chain, np.int32),
        column(start),
        column(end),
        column(drawn(counts, m)),
        column(drawn(counts, m)),
        threshold,
        column(drawn(st.integers(0, max(threshold - 1, 0)), chains)),
        column(drawn(since, chains)),
        column(drawn(st.integers(0, 20), chains)),
        np.full(m, -1, np.int32),
        *(np.full(m, -1, np.int64) for _ in range(4)),
    ]


def outcome(carry, given_arguments):
    copies = [np.copy(a) if isinstance(a, np.ndarray) else a for a in given_arguments]
    try:
        result = carry(*copies)
    except ValueError as error:
        result = str(error)
    return result, [a.tobytes() for a in copies if isinstance(a, np.ndarray)]


@settings(max_examples=600, deadline=None)
@given(arguments())
def test_both_give_the_same(drawn):
    assert outcome(release.carry, drawn) == outcome(_release.carry, drawn)


def test_same_names_and_arguments():
    assert list(inspect.signature(_release.carry).parameters) == NAMES


def test_a_long_random_day():
    rng = np.random.default_rng(11)
    chains, panes = 7, 3000
    start = np.repeat(np.arange(panes, dtype=np.int64) * 10, chains)
    people = rng.poisson(1.1, chains * panes).astype(np.int64)
    drawn = [
        np.tile(np.arange(chains, dtype=np.int32), panes),
        start,
        start + 10,
        people,
        rng.integers(0, people + 1).astype(np.int64),
        6,
        *(np.zeros(chains, np.int64) for _ in range(3)),
        np.zeros(chains * panes, np.int32),
        *(np.zeros(chains * panes, np.int64) for _ in range(4)),
    ]
    result, _ = outcome(release.carry, drawn)
    assert result > 1000
    assert outcome(release.carry, drawn) == outcome(_release.carry, drawn)
