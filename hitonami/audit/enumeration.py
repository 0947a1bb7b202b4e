"""Part 1: every small data set through the rule, grouped by all that is published.

What a count may be, given the transcript, the algorithm and k, is then known exactly: no argument is needed, and
withholding counts as a message too.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations_with_replacement, product
from typing import NamedTuple

import numpy as np

from engine.model import I64
from hitonami.audit.report import Report
from hitonami.audit.rules import Mask, Published, Rule, windows


class Size(NamedTuple):
    """All data sets of ``panes`` panes with 0..``most`` people each; ``most`` is at least K = k + guard."""

    k: int
    guard: int
    panes: int
    most: int


SIZES = (
    Size(2, 0, 7, 3),
    Size(2, 1, 6, 4),
    Size(3, 0, 6, 4),
    Size(3, 1, 6, 5),
    Size(3, 2, 5, 6),
    Size(5, 0, 4, 9),
    Size(5, 1, 5, 8),
    Size(5, 1, 4, 11),
)
_DATA_SETS = 60_000  # of a size that is chosen here: some seconds


def size_of(k: int, guard: int) -> Size | None:
    """A size for these settings; None where k = 1 (nothing is hidden), or where only too few panes could be tried."""
    most = k + guard + 2
    panes = int(np.log(_DATA_SETS) / np.log(most + 1))
    return Size(k, guard, min(panes, 7), most) if k > 1 and panes >= 3 else None


def enumerate_size(rule: Rule, size: Size) -> Report:
    """Judge the rule on all data sets of one size."""
    report, place = Report(), f"enumeration k={size.k} guard={size.guard}"
    panes = np.array(list(product(range(size.most + 1), repeat=size.panes)), np.int64)
    published = rule.publish(panes, size.k + size.guard)
    _, group = np.unique(published.transcript, axis=0, return_inverse=True)
    group = group.reshape(-1)
    a, b = windows(size.panes)
    edges = np.concatenate((np.zeros((len(panes), 1), np.int64), np.cumsum(panes, axis=1)), axis=1)
    sums = edges[:, b] - edges[:, a]
    report.count(data_sets=len(panes), transcripts=int(group.max()) + 1, windows=len(panes) * len(a))
    _ranges(report, place, published, sums, size.k)

    keep = published.whole
    panes, sums, group = panes[keep], sums[keep], group[keep]
    exact, narrow = _determined(group, sums, size.k)
    report.found(exact, place, f"a window's count is known exactly and is below {size.k}")
    report.found(narrow, place, f"a window's count has fewer than {size.k} possible values")
    exact = narrow = insiders = 0
    for mine, own, asked in _insiders(panes, size.guard, a, b):
        lone, few = _determined(group[mine], (sums[mine] - own)[:, asked], size.k)
        exact, narrow, insiders = exact + lone, narrow + few, insiders + 1
    report.found(exact, place, f"an insider knows a count of others exactly that is below {size.k}")
    report.found(narrow, place, f"an insider is left fewer than {size.k} possible counts of others")
    report.count(insiders=insiders)
    return report


def _ranges(report: Report, place: str, published: Published, sums: I64, k: int) -> None:
    """Every row's range must hold the truth, of every data set: so it is no narrower than the transcript implies."""
    low, high = published.low, published.high
    report.found(int(((sums < low) | (sums > high)).sum()), place, "a row's range does not hold the true count")
    report.found(int(((low == high) & (low < k)).sum()), place, f"a row shows a count below {k}")
    report.found(int(((low < high) & (high - low + 1 < k)).sum()), place, f"a range holds fewer than {k} values")


def _determined(group: I64, counts: I64, k: int) -> tuple[int, int]:
    """How many (transcript, window) leave one possible count, below k; and how many more than one but fewer than k.

    ``group`` (N,) = transcript of each data set, ``counts`` (N, W) >= 0.
    """
    if not len(group):
        return 0, 0
    exact = narrow = 0
    seen = np.zeros((int(group.max()) + 1, int(counts.max(initial=0)) + 1), bool)
    for column in counts.T:
        seen[:] = False
        seen[group, column] = True
        values, least = seen.sum(axis=1), seen.argmax(axis=1)
        exact += int(((values == 1) & (least < k)).sum())
        narrow += int(((values > 1) & (values < k)).sum())
    return exact, narrow


def _insiders(panes: I64, guard: int, a: I64, b: I64) -> Iterator[tuple[Mask, I64, Mask]]:
    """Everything somebody may know who knows up to ``guard`` people: (which data sets agree, own counts, windows).

    First kind: they know in which panes their v <= guard people passed, and nothing about others in them. Second: they
    also know that nobody else passed in one pane; of that pane alone there is nothing left to learn.
    """
    count = panes.shape[1]
    for v in range(1, guard + 1):
        for passed in combinations_with_replacement(range(count), v):
            own = np.bincount(passed, minlength=count)
            inside = np.concatenate(([0], np.cumsum(own)))
            agree: Mask = np.all(panes >= own, axis=1)
            yield agree, (inside[b] - inside[a]).astype(np.int64), np.ones(len(a), bool)
    for v in range(guard + 1):
        for pane in range(count):
            holds = (a <= pane) & (pane < b)
            yield panes[:, pane] == v, v * holds.astype(np.int64), ~((a == pane) & (b == pane + 1))
