"""The compiled cut of tables and its readable twin give the same ranges and the same errors."""

import inspect

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine import tree
from engine.fast import _tree

MOST = 2**60


@st.composite
def arguments(draw):
    """Mostly sound forests of any depth; now and then one of everything that is refused."""
    m, wild = draw(st.integers(0, 24)), draw(st.integers(0, 9)) == 0
    k = draw(st.sampled_from([1, 2, 2, 3, 5, *([0, MOST, MOST + 1] if wild else [])]))
    guard = draw(st.sampled_from([0, 1, 1, 2, 7, *([-1, MOST, MOST + 1] if wild else [])]))
    least, most = (-2, m) if wild else (-1, m - 1)
    parent = [draw(st.one_of(st.just(-1), st.integers(least if wild else i + 1, most)) if i + 1 < m else st.just(-1))
              for i in range(m)]  # fmt: skip
    people = st.one_of(st.integers(0, 12), st.integers(-1, MOST)) if wild else st.integers(0, 12)
    more = st.one_of(st.just(0), st.integers(-1, MOST)) if wild else st.sampled_from([0, 0, 0, 1, 3, 9])
    n = draw(st.lists(people, min_size=m, max_size=m))
    absent = draw(st.lists(more, min_size=m, max_size=m))
    empty = [np.full(m, -7, np.int64) for _ in range(2)]
    return [np.array(parent, np.int32), np.array(n, np.int64), np.array(absent, np.int64), k, guard, *empty]


def outcome(kernel, drawn):
    copies = [np.copy(a) if isinstance(a, np.ndarray) else a for a in drawn]
    try:
        result = kernel(*copies)
    except ValueError as error:
        result = str(error)
    return result, [a.tobytes() for a in copies if isinstance(a, np.ndarray)]


@settings(max_examples=200, deadline=None)
@given(arguments())
def test_both_give_the_same(drawn):
    assert outcome(tree.tree, drawn) == outcome(_tree.tree, drawn)


def test_same_names_and_arguments():
    assert list(inspect.signature(_tree.tree).parameters) == list(inspect.signature(tree.tree).parameters)


def flat(n, absent=0, k=5, guard=1):
    """One total behind its cells."""
    m = len(n) + 1
    parent = np.array([m - 1] * (m - 1) + [-1], np.int32)
    more = np.array([0] * (m - 1) + [absent], np.int64)
    return [parent, np.array([*n, 0], np.int64), more, k, guard, *(np.full(m, -7, np.int64) for _ in range(2))]


def changed(place, value):
    drawn = flat([7, 2])
    drawn[place] = value if not callable(value) else value(drawn[place])
    return drawn


REFUSED = {
    "k": (changed(3, 0), "k must be at least 1"),
    "guard": (changed(4, -1), "guard must be at least 0"),
    "a parent before": (changed(0, np.array([2, 0, -1], np.int32)), "does not stand behind"),
    "a parent outside": (changed(0, np.array([2, 3, -1], np.int32)), "does not stand behind"),
    "itself": (changed(0, np.array([0, 2, -1], np.int32)), "does not stand behind"),
    "nobody's": (changed(0, np.array([-2, 2, -1], np.int32)), "does not stand behind"),
    "negative": (changed(1, np.array([7, -1, 0], np.int64)), "negative people"),
    "absent": (changed(2, np.array([0, 0, -1], np.int64)), "negative people"),
    "people": (changed(1, np.array([MOST, 1, 0], np.int64)), "too many"),
    "hidden": (flat([7], MOST // 4), "too many"),
    "overflow": (flat([7], 2**62), "too many"),
    "lengths": (changed(1, np.zeros(2, np.int64)), "differ in length"),
    "room": (changed(5, np.zeros(2, np.int64)), "differ in length"),
}


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.parametrize("kernel", [tree.tree, _tree.tree], ids=["reference", "compiled"])
def test_what_does_not_fit_is_refused_and_nothing_is_written(kernel, name):
    drawn, words = REFUSED[name]
    result, after = outcome(kernel, drawn)
    assert words in result
    assert after == outcome(lambda *_: None, drawn)[1]


@pytest.mark.parametrize("kernel", [tree.tree, _tree.tree], ids=["reference", "compiled"])
def test_the_largest_tables_do_not_overflow(kernel):
    drawn = flat([MOST - 8], 2)
    assert outcome(kernel, drawn)[0] is None
    drawn = flat([0, 0], k=MOST // 2 + 1, guard=MOST)
    kernel(*drawn)
    assert drawn[5].tolist() == [0, 0, 0] and drawn[6].tolist() == [MOST // 2] * 2 + [MOST]


@pytest.mark.parametrize("place", [0, 1, 2, 5, 6])
@pytest.mark.parametrize("kernel", [tree.tree, _tree.tree], ids=["reference", "compiled"])
def test_other_types_are_refused(kernel, place):
    with pytest.raises(ValueError):
        kernel(*changed(place, lambda column: column.astype(np.int16)))


def test_a_large_random_forest():
    rng = np.random.default_rng(7)
    drawn = [[] for _ in range(3)]
    for _ in range(300):
        base, rows = len(drawn[0]), int(rng.integers(1, 12))
        sizes = rng.integers(0, 9, rows).tolist()
        root = base + sum(sizes) + rows
        for size in sizes:
            here = len(drawn[0])
            drawn[0] += [here + size] * size + [root]
            drawn[1] += [*(rng.poisson(rng.gamma(0.5, 9), size)), 0]
            drawn[2] += [0] * size + [int(rng.integers(0, 3))]
        for column, value in zip(drawn, (-1, 0, int(rng.integers(0, 2))), strict=True):
            column.append(value)
    m = len(drawn[0])
    sound = [np.array(drawn[0], np.int32), np.array(drawn[1], np.int64), np.array(drawn[2], np.int64), 5, 1]
    low, high = np.zeros(m, np.int64), np.zeros(m, np.int64)
    _tree.tree(*sound, low, high)
    assert outcome(tree.tree, [*sound, low, high]) == outcome(_tree.tree, [*sound, low, high])
    totals = (sound[0] == -1) | np.isin(np.arange(m), sound[0])
    assert (totals & (low == high)).sum() > 100 and (totals & (low < high) & (low > 0)).sum() > 100
