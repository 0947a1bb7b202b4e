"""Who counts in the cells of a table by the rule about providers (PRIVACY.md, Tables): ``tree_rules.enough`` decides.

A provider knows its own users, so the people of a cell in which it would find fewer than k others are left out of the
table, totals included. As n - (largest share) >= k implies n >= k, every hidden cell is then an empty one, and what is
published rests on shown cells alone.
"""

from __future__ import annotations

import numpy as np

from engine.model import I64
from engine.tree_rules import enough


def kept(cell: I64, person: I64, provider: I64, cells: int, k: int, providers: int) -> I64:
    """People (cells,) that count in each cell.

    ``cell, person, provider`` (m,): who is in which cell and who told so; a person of whom several providers tell
    stands there once for each, and is known to all of them. ``providers``: how many there must be; 1: no rule.
    """
    known = np.unique(np.column_stack([cell, provider, person]), axis=0).reshape(-1, 3)
    alone = np.unique(known[:, [0, 2]], axis=0)
    n = np.bincount(alone[:, 0], minlength=cells).astype(np.int64)
    pairs, share = np.unique(known[:, :2], axis=0, return_counts=True)
    largest = np.zeros(cells, np.int64)
    np.maximum.at(largest, pairs[:, 0], share)
    sharing = np.bincount(pairs[:, 0], minlength=cells).astype(np.int64)
    return np.where(enough(n, largest, sharing, providers, k), n, 0)
