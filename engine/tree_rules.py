"""What is decided beside the cut of a table (PRIVACY.md, "Tables"): who is left out before, what is taken back after.

``enough`` decides on exact counts, before the tree. All others take released ranges only, so they tell nothing more.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engine.model import I32, I64, NULL_INT, RANGE_STATUS, RELEASED_STATUS, SUPPRESSED_STATUS
from engine.tree import cells, cut

Mask = NDArray[np.bool_]
GROUP = 50  # people: of a smaller group nobody learns that all of it is of one category


def enough(n: I64, largest: I64, sharing: I64, providers: int, k: int) -> Mask:
    """Which cells (m,) keep their people in the table: those in which no provider can find fewer than k others.

    ``n``: distinct subjects. ``largest``: how many of them the provider knows that knows most; ``sharing``: how many
    providers know any. Who is known to several counts with each. Needs at least ``providers``, and n less the largest
    share at least k. The people of all other cells count nowhere, not in totals either: a provider that knows what it
    gave to small cells would find the rest by subtraction. With ``providers`` = 1 the rule is off: there is one.

    Raises ValueError for shapes that differ, and for shares that cannot be: above n, or too few to hold them.
    """
    if not n.shape == largest.shape == sharing.shape:
        raise ValueError("enough: the columns differ in length")
    if np.any(largest > n) or np.any(largest * sharing < n):
        raise ValueError("enough: shares that do not fit the people of a cell")
    if providers <= 1:
        return np.ones(n.shape, bool)
    kept: Mask = (sharing >= providers) & (n - largest >= k)
    return kept


def withheld(parent: I32, low: I64, high: I64, group: int = GROUP) -> tuple[I64, I64]:
    """Released ranges (m,) of nodes as ``tree`` gives them, without the breakdown of groups that may be of one kind.

    A total of fewer than ``group`` people at most is such a group where, by the released ranges, one child may hold all
    of it: no other child has anybody for certain, and its own range reaches the least that the group can be. Then
    everything below the group, at any depth, becomes the range [0, the group's high]. Groups of which no child is known
    to have anybody show nothing of the kind and stay as they are.
    """
    nodes, children = len(parent), np.flatnonzero(parent >= 0)
    sure = children[low[children] > 0]
    many = np.bincount(parent[sure], minlength=nodes)
    theirs = np.zeros(nodes, np.int64)
    np.add.at(theirs, parent[sure], high[sure])
    alike = (many == 1) & (theirs >= low) & (high < group)
    ceiling = np.full(nodes, NULL_INT, np.int64)
    while True:  # as often as the tree is deep; the topmost such group decides
        above = ceiling[parent[children]]
        below = np.where(above != NULL_INT, above, np.where(alike[parent[children]], high[parent[children]], NULL_INT))
        if np.array_equal(below, ceiling[children]):
            break
        ceiling[children] = below
    hidden = ceiling != NULL_INT
    return np.where(hidden, 0, low), np.where(hidden, ceiling, high)


def unlisted(children: int, k: int, guard: int) -> tuple[int, int]:
    """The range of a total of so many cells (its public domain) that has no row, for nothing of it is told."""
    return cut(0, 0, children * (k - 1), k - 1 if children else 0, guard, k - 1)


def capped(n: I64, k: int, totals_low: I64, totals_high: I64, totals_k: int = 1) -> tuple[I64, I64]:
    """What may be told of cells (m,) whose people all count in totals that are told already: low and high.

    ``totals_low, totals_high`` (t,), or (m, t) for each cell its own: the released ranges of totals that together hold
    everybody of the cell at least once. Totals without a row count with ``unlisted``. As a cell is at most the sum of
    its totals, a large one would tell that hidden totals are near their upper ends. With U = the sum of the highs,
    w = the widest of the ranges and last = U - w - (k - 1), with ``totals_k`` for k where the totals' own is larger::

        w = 0, or n < last:  as ``cells``  |  last < k and w > 0: [0, U], whatever n is  |  n >= last: [last, U]

    Below last any of the totals, and any one cell of it, may still hold any number of its range.

    Raises ValueError for shapes that do not fit, a range that ends before it begins, more people than the totals can
    hold, and as ``cells``.
    """
    low, high = cells(n, k)
    if totals_low.shape != totals_high.shape or totals_low.shape[:-1] not in ((), n.shape):
        raise ValueError("capped: totals that do not fit the cells")
    most, width = totals_high.sum(axis=-1), totals_high - totals_low
    if np.any(width < 0) or np.any(n > most):
        raise ValueError("capped: more people than the totals can hold")
    widest = width.max(axis=-1, initial=0)
    last = most - widest - (max(k, totals_k) - 1)
    bounded, small = (widest > 0) & (n >= last), (widest > 0) & (last < k)
    low = np.where(small, 0, np.where(bounded, last, low))
    high = np.where(small | bounded, most, high)
    return low.astype(np.int64), high.astype(np.int64)


def figures(low: I64, high: I64, k: int) -> tuple[I64, I32]:
    """(n, status) of rows with these ranges: n in the middle, empty (NULL_INT) where that would be below k.

    released: low = high · suppressed: high below k · range: all others.
    """
    exact, middle = low == high, (low + high) // 2
    status = np.where(exact, RELEASED_STATUS, np.where(high < k, SUPPRESSED_STATUS, RANGE_STATUS))
    return np.where((middle < k) & ~((k == 1) & exact), NULL_INT, middle), status.astype(np.int32)
