"""All small tables through the rule, grouped by all that is published: what can anybody still tell?

As in enumeration.py, no argument is needed: worlds that publish the same cannot be told apart, whoever knows the
algorithm. Asked is the sum of every set of cells, so every cell, total, column and difference.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations_with_replacement, product
from typing import NamedTuple

import numpy as np

from engine.model import I64
from hitonami.audit.report import Report
from hitonami.audit.rules import Mask
from hitonami.audit.table_rules import Nested, Shape, TableRule

MOST_WORLDS = 20_000  # of a size that is chosen here: about a second


class TableSize(NamedTuple):
    """All tables of one shape with 0..``most`` people in each cell; ``most`` is at least k."""

    k: int
    guard: int
    shape: Nested
    most: int

    @property
    def place(self) -> str:
        """How findings name it."""
        return f"tables k={self.k} guard={self.guard} shape {self.shape}"


TABLE_SIZES = (
    TableSize(2, 0, 6, 3),
    TableSize(2, 1, 7, 2),
    TableSize(2, 1, (2, 2, 2, 1), 2),
    TableSize(2, 0, (5, 2), 2),
    TableSize(2, 1, ((3, 2), (2, 1)), 2),
    TableSize(3, 1, 5, 4),
    TableSize(3, 1, (3, 2, 1), 3),
    TableSize(3, 2, 6, 3),
    TableSize(4, 1, 5, 5),
    TableSize(5, 2, 4, 7),
)


def table_size_of(k: int, guard: int) -> TableSize | None:
    """One total of as many cells, 6 to 4, as a second allows; None for k = 1, and where k is too large for four."""
    if k == 1:
        return None
    sizes = (TableSize(k, guard, cells, k) for cells in (6, 5, 4))
    return next((s for s in sizes if (s.most + 1) ** int(str(s.shape)) <= MOST_WORLDS), None)


def all_worlds(cells: int, most: int) -> I64:
    """People of the cells (N, cells) of all worlds with 0..most in each."""
    return np.array(list(product(range(most + 1), repeat=cells)), np.int64)


def subsets(cells: int) -> I64:
    """All sets of cells (cells, 2 ** cells - 1), 1 where a cell is in one."""
    numbers = np.arange(1, 2**cells, dtype=np.int64)
    return (numbers >> np.arange(cells, dtype=np.int64)[:, None]) & 1


def enumerate_tables(rule: TableRule, size: TableSize) -> Report:
    """Judge the rule on all tables of one size."""
    report, place, k = Report(), size.place, size.k
    shape = Shape.of(size.shape)
    cells = len(shape.cells)
    worlds = all_worlds(cells, size.most)
    low, high = rule.publish(shape, worlds, k, size.guard)
    report.add(judged_ranges(place, worlds @ shape.holds.T, low, high, k))
    group = grouped(rule.told(shape, worlds, k, size.guard))
    sets = subsets(cells)
    asked = worlds @ sets
    report.add(judged(place, "", group, asked, k))
    seen = Report()
    for mine, own, others in insiders(worlds, size.guard):
        least = left_to_others(own, k)[others]
        seen.add(judged(place, "an insider: ", group[mine], (asked[mine] - own @ sets)[:, others], least))
        report.count(table_insiders=1)
    for line in dict.fromkeys(seen.findings):
        report.findings.append(line)
    report.count(table_worlds=len(worlds), table_sums=asked.size)
    report.checked.append(f"{place}: all {len(worlds):,} worlds, 0 to {size.most} people in each of {cells} cells")
    return report


def judged_ranges(place: str, people: I64, low: I64, high: I64, k: int) -> Report:
    """Every range must hold the people of every world; nothing below k is told, and no range of fewer than k values."""
    report = Report()
    report.found(int(((people < low) | (people > high)).sum()), place, "a range does not hold the true count")
    if k > 1:
        report.found(int(((low == high) & (low < k)).sum()), place, f"a count below {k} is told")
    report.found(int(((low < high) & (high - low + 1 < k)).sum()), place, f"a range holds fewer than {k} values")
    return report


def grouped(transcript: I64) -> I64:
    """Number of what each world publishes (N,): equal for worlds that cannot be told apart."""
    return np.unique(transcript, axis=0, return_inverse=True)[1].reshape(-1)


def judged(place: str, who: str, group: I64, asked: I64, k: int | I64) -> Report:
    """What remains possible of each sum (N, Q) in each group: exact counts of k or more, else at least k values.

    ``k``: one, or one for each sum (Q,). One value is what k = 1 promises, so nothing is found there.
    """
    report = Report()
    exact = narrow = 0
    seen = np.zeros((int(group.max(initial=-1)) + 1, int(asked.max(initial=0)) + 1), bool)
    for column, least in zip(asked.T, np.broadcast_to(k, asked.shape[1:]).tolist(), strict=True):
        if least < 2 or not len(column):
            continue
        seen[:] = False
        seen[group, column] = True
        values, first = seen.sum(axis=1), seen.argmax(axis=1)
        exact += int(((values == 1) & (first < least)).sum())
        narrow += int(((values > 1) & (values < least)).sum())
    report.found(int(exact > 0), place, f"{who}a sum of cells is known exactly and is too small")
    report.found(int(narrow > 0), place, f"{who}a sum of cells has too few possible values")
    report.count(table_exact=exact, table_narrowed=narrow)
    return report


def left_to_others(own: I64, k: int) -> I64:
    """How many values each set of cells (sets,) must keep for who knows ``own`` (cells,) people.

    k - v, for with the hidden total a set tells what is not in it. Of one cell k, less those known in it.
    """
    least = np.full(2 ** len(own) - 1, k - own.sum(), np.int64)
    least[2 ** np.arange(len(own)) - 1] = k - own
    return least


def insiders(worlds: I64, guard: int) -> Iterator[tuple[Mask, I64, Mask]]:
    """All that somebody may know who knows v <= guard people: (worlds that agree, their own people, sets asked).

    They know their own cells; a stronger one also that nobody else is in one cell, theirs or an empty one: of that
    cell alone there is nothing left to learn.
    """
    cells = worlds.shape[1]
    sets = subsets(cells)
    every: Mask = np.ones(sets.shape[1], bool)
    for v in range(guard + 1):
        for held in combinations_with_replacement(range(cells), v):
            own = np.bincount(held, minlength=cells).astype(np.int64) if held else np.zeros(cells, np.int64)
            agree: Mask = np.all(worlds >= own, axis=1)
            if v:
                yield agree, own, every
            for cell in range(cells):
                beside = sets[cell] == 0  # a set with the cell is one without it, and a number that is known
                yield agree & (worlds[:, cell] == own[cell]), own, beside


def enumerate_groups(rule: TableRule, k: int, guard: int, nested: Nested, most: int) -> Report:
    """No reader may name the one category that may hold a whole group, of all worlds of one shape."""
    shape, place = Shape.of(nested), f"groups k={k} guard={guard} shape {nested}"
    worlds = all_worlds(len(shape.cells), most)
    people = worlds @ shape.holds.T
    low, high = rule.publish(shape, worlds, k, guard)
    pairs = [rule.withheld(shape.parent, a, b) for a, b in zip(low, high, strict=True)]
    low, high = np.array([a for a, _ in pairs]), np.array([b for _, b in pairs])
    report = judged_ranges(place, people, low, high, k)
    group = grouped(np.hstack([low, high]))
    report.add(judged(place, "", group, worlds @ subsets(len(shape.cells)), k))
    named = 0
    for node in np.unique(shape.parent[shape.parent >= 0]):
        children = np.flatnonzero(shape.parent == node)
        if len(children) < 2:
            continue
        certain = np.full(int(group.max()) + 1, most * people.shape[1], np.int64)
        np.minimum.at(certain, group, people[:, node])
        may = np.zeros((int(group.max()) + 1, len(children)), bool)
        for i, child in enumerate(children):
            np.logical_or.at(may[:, i], group, people[:, child] == people[:, node])
        named += int(((may.sum(axis=1) == 1) & (certain > 0)).sum())
    report.found(named, place, "a reader can name the one category that may hold a whole group")
    report.count(group_worlds=len(worlds))
    report.checked.append(f"{place}: all {len(worlds):,} worlds, 0 to {most} people in each cell")
    return report


def enumerate_providers(rule: TableRule, k: int, kinds: Sequence[tuple[int, ...]], knows: I64, cells: int) -> Report:
    """No provider may find fewer than k others, in any set of cells of one total.

    ``kinds``: what a cell may hold, as numbers of people of each kind; ``knows`` (kinds of people, P): 1 where a
    provider knows a kind. All ways in which ``cells`` cells hold one of ``kinds`` each are tried.
    """
    place = f"providers k={k}, {cells} cells"
    ways = np.array(list(product(range(len(kinds)), repeat=cells)), np.int64)
    held = np.array(kinds, np.int64)
    n, shares = held.sum(axis=1), held @ knows
    kept = rule.counted(n, shares.max(axis=1), (shares > 0).sum(axis=1), k)
    told = rule.told(Shape.of(cells), kept[ways], k, 1)
    report = Report()
    sets = subsets(cells)
    report.add(judged(place, "", grouped(told), n[ways] @ sets, k))
    for provider in range(knows.shape[1]):
        own = shares[:, provider][ways]
        group = grouped(np.hstack([told, own]))
        report.add(judged(place, "a provider: ", group, (n[ways] - own) @ sets, k))
    report.findings = list(dict.fromkeys(report.findings))
    report.count(provider_worlds=len(ways))
    report.checked.append(
        f"{place}: all {len(ways):,} worlds of {len(kinds)} kinds of cells, {knows.shape[1]} providers"
    )
    return report
