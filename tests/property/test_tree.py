"""Tables: what the cut tells holds the truth, is never small, and depends on nothing but the counts."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.kernels import load
from engine.model import NULL_INT, RANGE_STATUS, RELEASED_STATUS, SUPPRESSED_STATUS
from engine.tree import cells, cut
from engine.tree_rules import GROUP, capped, enough, figures, unlisted, withheld
from hitonami.audit.table_rerun import allowed, ends, narrowed, table
from hitonami.audit.table_rules import Shape, TableRule

TREE = load("compiled").tree
RULE = TableRule(tree=TREE)
NESTED = st.recursive(st.integers(1, 7), lambda inner: st.lists(inner, min_size=1, max_size=4).map(tuple), max_leaves=6)
SETTINGS = st.tuples(st.integers(1, 6), st.integers(0, 3))


@st.composite
def tables(draw):
    """A shape, people of its cells (often a few), k and guard."""
    shape = Shape.of(draw(NESTED))
    size = len(shape.cells)
    n = draw(st.lists(st.one_of(st.integers(0, 3), st.integers(0, 14)), min_size=size, max_size=size))
    return shape, np.array(n, np.int64), *draw(SETTINGS)


def released(shape, n, k, guard):
    return tuple(column[0] for column in RULE.publish(shape, n[None], k, guard))


@settings(max_examples=50)
@given(tables())
def test_ranges_hold_the_truth_and_nothing_below_k_is_told(drawn):
    shape, n, k, _ = drawn
    low, high = released(*drawn)
    people = shape.holds @ n
    assert (low <= people).all() and (people <= high).all()
    exact = low == high
    assert (people[exact] >= k).all() or k == 1
    assert (high[~exact] - low[~exact] >= k - 1).all()
    if k == 1:
        assert exact.all()


@settings(max_examples=50)
@given(tables())
def test_a_cell_is_told_from_k_on(drawn):
    shape, n, k, _ = drawn
    low, high = (column[shape.cells] for column in released(*drawn))
    small = n < k
    assert (low == np.where(small, 0, n)).all() and (high == np.where(small, k - 1, n)).all()


@settings(max_examples=50)
@given(tables(), st.integers(0, 2**32))
def test_no_end_of_a_range_can_be_ruled_out(drawn, seed):
    shape, _, k, guard = drawn
    low, high = released(*drawn)
    assert not narrowed(RULE, shape, low, high, k, guard, np.random.default_rng(seed)).any()


@settings(max_examples=50)
@given(tables())
def test_cells_that_nobody_lists_are_cells_of_nobody(drawn):
    shape, n, k, guard = drawn
    low, high = released(*drawn)
    empty = np.zeros(len(low), bool)
    empty[shape.cells[n == 0]] = True
    keep = np.flatnonzero(~empty)
    place = np.cumsum(~empty) - 1
    parent = np.where(shape.parent[keep] < 0, -1, place[shape.parent[keep]]).astype(np.int32)
    absent = np.bincount(shape.parent[empty], minlength=len(low))[keep].astype(np.int64)
    people = np.zeros(len(low), np.int64)
    people[shape.cells] = n
    again = [np.zeros(len(keep), np.int64) for _ in range(2)]
    TREE(parent, people[keep], absent, k, guard, *again)
    assert (again[0] == low[keep]).all() and (again[1] == high[keep]).all()


@settings(max_examples=50)
@given(tables(), st.randoms(use_true_random=False))
def test_the_order_of_children_does_not_matter(drawn, random):
    shape, n, k, guard = drawn
    below = [[i for i, p in enumerate(shape.parent) if p == node] for node in range(len(shape.parent))]

    def walk(node):
        for child in random.sample(below[node], len(below[node])):
            yield from walk(child)
        yield node

    order = np.array(list(walk(len(shape.parent) - 1)))
    place = np.argsort(order)
    parent = np.where(shape.parent[order] < 0, -1, place[shape.parent[order]]).astype(np.int32)
    people = np.zeros(len(order), np.int64)
    people[shape.cells] = n
    again = [np.zeros(len(order), np.int64) for _ in range(2)]
    TREE(parent, people[order], np.zeros(len(order), np.int64), k, guard, *again)
    low, high = released(*drawn)
    assert (again[0][place] == low).all() and (again[1][place] == high).all()


@settings(max_examples=50)
@given(tables(), tables())
def test_tables_side_by_side_do_not_meet(one, other):
    k, guard = one[2:]
    apart = [released(shape, n, k, guard) for shape, n, *_ in (one, other)]
    nodes = len(one[0].parent)
    parent = np.concatenate([one[0].parent, np.where(other[0].parent < 0, -1, other[0].parent + nodes)])
    people = np.zeros(len(parent), np.int64)
    people[one[0].cells], people[nodes + other[0].cells] = one[1], other[1]
    low, high = np.zeros((2, len(parent)), np.int64)
    TREE(parent.astype(np.int32), people, np.zeros(len(parent), np.int64), k, guard, low, high)
    assert (low == np.concatenate([apart[0][0], apart[1][0]])).all()
    assert (high == np.concatenate([apart[0][1], apart[1][1]])).all()


def test_the_cut_by_hand():
    """Six cells of at most 4 (k = 5) and one insider: first = 5, last = 24 - 4 - 4 = 16."""
    of = [cut(people, 0, 24, 4, 1, 4) for people in (0, 5, 6, 15, 16, 24)]
    assert of == [(0, 5), (0, 5), (6, 6), (15, 15), (16, 24), (16, 24)]
    assert cut(9, 0, 12, 4, 1, 4) == (0, 12)  # three cells: first = 5, last = 4
    assert cut(0, 0, 0, 0, 1, 4) == (0, 0)


def test_a_table_by_hand():
    """Two rows, k = 3, guard = 1. Row one 7, 4: exact. Row two 1, 2, 0, 0, 2 hides 5 of 10: first 3, last 6: exact."""
    shape = Shape.of((2, 5, 2))
    low, high = released(shape, np.array([7, 4, 1, 2, 0, 0, 2, 3, 2]), 3, 1)
    assert low.tolist() == [7, 4, 11, 0, 0, 0, 0, 0, 5, 3, 0, 3, 19]
    assert high.tolist() == [7, 4, 11, 2, 2, 2, 2, 2, 5, 3, 2, 5, 21]


def test_a_table_without_anything_hidden_is_exact_throughout():
    shape = Shape.of((2, 3))
    low, high = released(shape, np.array([5, 6, 7, 8, 9]), 5, 1)
    assert low.tolist() == high.tolist() == [5, 6, 11, 7, 8, 9, 24, 35]


def test_simulated_tables_have_every_kind_of_total():
    shape = Shape.of(((8,) * 14, (8,) * 14))
    low, high = released(shape, table(1, shape), 10, 1)
    totals = np.ones(len(low), bool)
    totals[shape.cells] = False
    assert (totals & (low == high)).any() and (totals & (low == 0)).any() and (totals & (low > 0) & (low < high)).any()


def test_a_narrowed_range_is_seen():
    """A total told exactly beside a hidden cell: the ranges leave it one number."""
    shape = Shape.of(2)
    low, high = np.array([7, 0, 9]), np.array([7, 4, 9])
    pins = ends(low, high)
    least, most = allowed(shape.parent, low, high, pins)
    assert (least > most).any(axis=0).tolist() == [True, True]
    assert narrowed(RULE, shape, low, high, 5, 1, np.random.default_rng(1)).all()


# ------------------------------------------------------------------------------ beside the cut
@given(st.lists(st.integers(0, 20), max_size=12), st.integers(1, 8))
def test_cells_that_share_people_have_one_marker(n, k):
    n = np.array(n, np.int64)
    low, high = cells(n, k)
    assert (low == np.where(n < k, 0, n)).all() and (high == np.where(n < k, k - 1, n)).all()


@pytest.mark.parametrize(("n", "k"), [([-1], 3), ([4], 0)])
def test_cells_refuse_what_cannot_be(n, k):
    with pytest.raises(ValueError):
        cells(np.array(n, np.int64), k)


def test_providers_keep_each_other_company():
    shares = np.array([[9, 5, 5], [9, 9, 0], [30, 5, 4], [4, 4, 4], [0, 0, 0], [8, 8, 8], [10, 10, 10]], np.int64)
    n = np.array([19, 18, 39, 12, 0, 12, 20], np.int64)
    of = shares.max(axis=1), (shares > 0).sum(axis=1)
    assert enough(n, *of, 3, 10).tolist() == [True, False, False, False, False, False, True]
    assert enough(n, *of, 2, 9).tolist() == [True, True, True, False, False, False, True]
    assert enough(n, *of, 1, 10).all()
    assert enough(n[:0], of[0][:0], of[1][:0], 3, 10).tolist() == []


@pytest.mark.parametrize(
    ("n", "largest", "sharing"), [([3], [4], [1]), ([9], [4], [2]), ([3], [0], [0]), ([3, 3], [3], [1])]
)
def test_shares_that_do_not_fit_are_refused(n, largest, sharing):
    with pytest.raises(ValueError, match="enough"):
        enough(*(np.array(column, np.int64) for column in (n, largest, sharing)), 3, 2)


def hidden_breakdown(nested, n, k=10, guard=1, group=GROUP):
    shape = Shape.of(nested)
    low, high = withheld(shape.parent, *released(shape, np.array(n, np.int64), k, guard), group)
    return list(zip(low.tolist(), high.tolist(), strict=True))


def test_a_small_group_of_one_kind_keeps_its_breakdown():
    assert hidden_breakdown(3, [20, 0, 2]) == [(0, 38)] * 3 + [(20, 38)]
    assert hidden_breakdown(3, [20, 0, 2], group=38) == [(20, 20), (0, 9), (0, 9), (20, 38)]
    assert hidden_breakdown(3, [45, 0, 2]) == [(45, 45), (0, 9), (0, 9), (45, 63)]


def test_a_group_of_two_kinds_or_of_nothing_known_stays():
    assert hidden_breakdown(3, [20, 11, 2])[:2] == [(20, 20), (11, 11)]
    assert hidden_breakdown(3, [2, 0, 2]) == [(0, 9)] * 3 + [(0, 27)]
    # 15 among others of whom 27 are certain: it cannot be all
    assert hidden_breakdown(8, [15, 9, 9, 9, 0, 0, 0, 0])[0] == (15, 15)


def test_all_below_such_a_group_is_withheld():
    ranges = hidden_breakdown(((2, 2), (2, 2)), [20, 0, 0, 0, 90, 80, 70, 60])
    assert ranges[:6] == [(0, 47)] * 6 and ranges[6] == (20, 47)
    assert ranges[7:] == [(90, 90), (80, 80), (170, 170), (70, 70), (60, 60), (130, 130), (300, 300), (320, 347)]


@settings(max_examples=50)
@given(tables(), st.integers(0, 60))
def test_what_is_withheld_stays_true_and_is_decided_on_what_is_told(drawn, group):
    shape, n, *_ = drawn
    told = released(*drawn)
    low, high = withheld(shape.parent, *told, group)
    people = shape.holds @ n
    assert (low <= people).all() and (people <= high).all()
    assert (low <= told[0]).all() and (high >= told[1]).all()
    assert low[-1] == told[0][-1] and high[-1] == told[1][-1]


def test_moves_are_capped_by_hand():
    """Totals 20, [0, 5], [0, 5], [8, 16], k = 5: U = 46, w = 8, last = 34."""
    low, high = np.array([20, 0, 0, 8]), np.array([20, 5, 5, 16])
    n = np.array([4, 5, 33, 34, 46])
    told = capped(n, 5, low, high)
    assert [column.tolist() for column in told] == [[0, 5, 33, 34, 34], [4, 5, 33, 46, 46]]
    exact = capped(n, 5, np.array([46, 0]), np.array([46, 0]))
    assert [column.tolist() for column in exact] == [[0, 5, 33, 34, 46], [4, 5, 33, 34, 46]]
    few = capped(np.array([0, 7]), 5, np.array([[0, 0]] * 2), np.array([[5, 5]] * 2))  # last = 1
    assert [column.tolist() for column in few] == [[0, 0], [10, 10]]
    assert capped(np.array([33]), 5, low, high, totals_k=9)[0].tolist() == [30]


@pytest.mark.parametrize(
    ("n", "low", "high"), [([47], [20, 0], [20, 5]), ([3], [4], [2]), ([3], [4], [4, 4]), ([3, 3], [[4]], [[4]])]
)
def test_totals_that_do_not_fit_are_refused(n, low, high):
    with pytest.raises(ValueError, match="capped"):
        capped(np.array(n), 5, np.array(low), np.array(high))


@pytest.mark.parametrize(("children", "k", "guard"), [(0, 5, 1), (1, 5, 1), (3, 5, 1), (185, 5, 1), (185, 1, 0)])
def test_a_total_without_a_row_has_the_range_of_nobody(children, k, guard):
    of = [np.zeros(1, np.int64) for _ in range(2)]
    TREE(np.array([-1], np.int32), np.zeros(1, np.int64), np.array([children]), k, guard, *of)
    assert unlisted(children, k, guard) == (of[0][0], of[1][0]) or not children


@settings(max_examples=50)
@given(tables())
def test_figures_never_show_a_number_below_k(drawn):
    k = drawn[2]
    low, high = released(*drawn)
    shown, status = figures(low, high, k)
    assert ((shown == NULL_INT) | (shown >= k) | (k == 1)).all()
    assert (status == np.where(low == high, RELEASED_STATUS, np.where(high < k, SUPPRESSED_STATUS, RANGE_STATUS))).all()
    assert (shown[low == high] == low[low == high]).all()
    assert (shown[(low < high) & (low >= k)] == ((low + high) // 2)[(low < high) & (low >= k)]).all()
