"""Part 1: every small data set through the rule, grouped by all that is published.

What a count may be, given the transcript, the algorithm and k, is then known exactly: no argument is needed, and
withholding counts as a message too.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations_with_replacement, product
from math import comb
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

    @property
    def data_sets(self) -> int:
        """How many there are."""
        return int((self.most + 1) ** self.panes)

    @property
    def work(self) -> int:
        """Data sets × readers × windows: about 15 million take a second."""
        insiders = comb(self.panes + self.guard, self.guard) - 1 + (self.guard + 1) * self.panes
        return self.data_sets * (1 + insiders) * self.panes * (self.panes + 1) // 2


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
_MOST_WORK, _MOST_DATA_SETS = 40_000_000, 60_000  # of a size that is chosen here: one or two seconds
SAMPLE, SAMPLE_PANES, SAMPLE_SEED = 20_000, 5, 1  # where there are too many to enumerate


def size_of(k: int, guard: int) -> Size | None:
    """As many panes, 7 to 2, as some seconds allow; None where k + guard is too large for two (above 241), or 1.

    With k = 1 insiders are promised nothing: then K = k + guard is judged as a k of its own, which asks for more.
    """
    if k + guard == 1:
        return None
    if k == 1:
        k, guard = k + guard, 0
    sizes = (Size(k, guard, panes, k + guard + 2) for panes in range(7, 1, -1))
    return next((s for s in sizes if s.work <= _MOST_WORK and s.data_sets <= _MOST_DATA_SETS), None)


def sample(rule: Rule, k: int, guard: int) -> Report:
    """What stands in for enumeration where K is too large: seeded data sets, each row judged by its range alone.

    Half of the panes hold what the rule turns on: nobody, one, K - 1, K people; so every bound is reached.
    """
    report, threshold = Report(), k + guard
    rng, shape = np.random.default_rng(SAMPLE_SEED), (SAMPLE, SAMPLE_PANES)
    turning = rng.choice(np.array([0, 1, threshold - 1, threshold], np.int64), shape)
    panes = np.where(rng.random(shape) < 0.5, turning, rng.integers(0, threshold + 3, shape))
    published = rule.publish(panes, threshold)
    a, b = windows(SAMPLE_PANES)
    edges = np.concatenate((np.zeros((SAMPLE, 1), np.int64), np.cumsum(panes, axis=1)), axis=1)
    place = f"sample k={k} guard={guard}"
    _ranges(report, place, published, edges[:, b] - edges[:, a], k)
    report.count(sampled_data_sets=SAMPLE)
    report.checked.append(
        f"k={k} guard={guard}: too much to enumerate; {SAMPLE:,} data sets of {SAMPLE_PANES} panes, seed {SAMPLE_SEED}"
    )
    return report


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
    report.checked.append(
        f"k={size.k} guard={size.guard}: all {size.data_sets:,} data sets of {size.panes} panes, "
        f"0 to {size.most} people each"
    )
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
