"""Large tables before readers who know more than the public: insiders (A2) and providers (A3).

Enumeration tries all small worlds; this asks the same of one table of any size.

An *insider* knows that v <= guard people are in one hidden cell, and nobody else. What the published ranges and sums
then leave of every other number is found by going up the tree and down again. What the algorithm leaves is found as by
table_rerun.py: worlds in which that cell and either end of another number are true are released again. Promised::

    of another cell  k values          of a total, for those they do not know  k - v values, or one of so many people

Who knows no more than that their own people are in a cell knows less of all other numbers. Of the cell itself there
remain the numbers from v on: its upper end is possible by the re-run, v people by the worlds here.

A *provider* knows its own users in every cell and subtracts them. Of a number that is told it must find k others; in a
hidden cell nobody else and k - 1 others must both be possible, whatever its own share.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from engine.model import I32, I64
from hitonami.audit.report import Report
from hitonami.audit.rules import Mask
from hitonami.audit.table_rerun import SHAPE, Pins, allowed, ruled_out, table
from hitonami.audit.table_rules import Shape, TableRule

WORLDS = 500  # released again for insiders, of one simulated table
FAR = 2  # numbers elsewhere in the table that an insider is asked about, beside those near their cell
SHARES = (0.4, 0.3, 0.2, 0.1)  # of providers in simulated people
_AT_ONCE = 1_000


class Found(NamedTuple):
    """Numbers of a table that some reader gets: known exactly, or with fewer possible values than promised."""

    exact: int
    narrowed: int


def insiders(shape: Shape, low: I64, high: I64, guard: int) -> Pins:
    """All insiders of a table: hidden cells (W,) and the people v, of 0 to ``guard``, that are alone in them."""
    cells = shape.cells[low[shape.cells] < high[shape.cells]]
    node, people = np.repeat(cells, guard + 1), np.tile(np.arange(guard + 1), len(cells))
    may = people <= high[node]
    return Pins(node[may], people[may])


def left(parent: I32, low: I64, high: I64, pins: Pins) -> tuple[I64, I64]:
    """Least and most people (m, W) of each node by the published ranges and sums, in each world of ``pins``.

    Up the tree, then down: no two children share a cell, so both bounds are reached. Where nothing is left, least is
    above most.
    """
    least, most = allowed(parent, low, high, pins)
    sums = np.zeros((2, *least.shape), np.int64)
    for node, above in enumerate(parent.tolist()):
        if above >= 0:
            sums[0, above] += least[node]
            sums[1, above] += most[node]
    for node, above in reversed(list(enumerate(parent.tolist()))):
        if above >= 0:
            a = least[above] - sums[1, above] + most[node]
            b = most[above] - sums[0, above] + least[node]
            least[node], most[node] = np.maximum(least[node], a), np.minimum(most[node], b)
    return least, most


def found_by_insiders(shape: Shape, low: I64, high: I64, k: int, guard: int) -> Found:
    """What insiders get of hidden numbers by adding and subtracting."""
    pins = insiders(shape, low, high, guard)
    least, most = left(shape.parent, low, high, pins)
    nodes = np.arange(len(low))[:, None]
    total = ~np.isin(nodes, shape.cells)
    promised = k - total * pins.people
    own = shape.holds[:, np.searchsorted(shape.cells, pins.node)] * pins.people
    asked = (low < high)[:, None] & (nodes != pins.node) & (least <= most).all(axis=0) & (promised > 1)
    values = most - least + 1
    exact = (asked & (values == 1) & (least - own < promised)).any(axis=1)
    few = (asked & (values > 1) & (values < promised)).any(axis=1)
    return Found(int(exact.sum()), int((few & ~exact).sum()))


def ruled_out_by_insiders(
    rule: TableRule,
    shape: Shape,
    low: I64,
    high: I64,
    k: int,
    guard: int,
    rng: np.random.Generator,
    worlds: int | None = None,
) -> Mask:
    """Which of the worlds tried an insider who knows the algorithm can rule out.

    Each has an insider's cell as they know it, and another hidden number at either end of what sums leave of it: all
    beside the cell and above it, ``FAR`` elsewhere. ``worlds``: at most so many, drawn from all.
    """
    pins = insiders(shape, low, high, guard)
    least, most = left(shape.parent, low, high, pins)
    possible: Mask = np.asarray((least <= most).all(axis=0))
    near = _near(shape.parent, low < high, pins.node, rng)
    who, asked = (np.array(column, np.int64) for column in zip(*near, strict=True)) if near else np.zeros((2, 0), int)
    who, asked = (column[possible[who]] for column in (who, asked))
    ends = np.concatenate([least[asked, who], most[asked, who]])
    who, asked = np.tile(who, 2), np.tile(asked, 2)
    if worlds is not None and worlds < len(who):
        some = rng.choice(len(who), worlds, replace=False)
        who, asked, ends = who[some], asked[some], ends[some]
    out = np.zeros(len(who), bool)
    for first in range(0, len(who), _AT_ONCE):  # so that memory does not grow with their number
        at = slice(first, first + _AT_ONCE)
        both = Pins(np.stack([pins.node[who[at]], asked[at]]), np.stack([pins.people[who[at]], ends[at]]))
        out[at] = ruled_out(rule, shape, low, high, both, k, guard, rng)
    return out


def _near(parent: I32, hidden: Mask, cells: I64, rng: np.random.Generator) -> list[tuple[int, int]]:
    """(place in ``cells``, hidden node beside or above it), and ``FAR`` others each."""
    out: list[tuple[int, int]] = []
    anywhere = np.flatnonzero(hidden)
    for place, cell in enumerate(cells.tolist()):
        nodes = set(np.flatnonzero((parent == parent[cell]) & hidden).tolist()) | set(
            rng.choice(anywhere, FAR).tolist()
        )
        above = int(parent[cell])
        while above >= 0:
            nodes |= {above} if hidden[above] else set()
            above = int(parent[above])
        out += [(place, node) for node in sorted(nodes - {cell})]
    return out


def found_by_providers(rule: TableRule, shape: Shape, n: I64, shares: I64, k: int, guard: int) -> Found:
    """What a provider gets that knows its users ``shares`` (cells, P) among the people ``n`` (cells,) of each cell.

    ``exact``: numbers told that leave a provider fewer than k others. ``narrowed``: hidden cells in which a provider
    can rule out nobody else, or k - 1 others.
    """
    kept = rule.counted(n, shares.max(axis=1), (shares > 0).sum(axis=1), k)
    low, high = (column[0] for column in rule.publish(shape, kept[None], k, guard))
    others = shape.holds @ (kept[:, None] - np.minimum(shares, kept[:, None]))
    exact = (low == high) & (others < k).any(axis=1) if k > 1 else np.zeros(len(low), bool)
    hidden = np.flatnonzero(low[shape.cells] < high[shape.cells])
    cell, beside = np.repeat(hidden, 2), np.tile([0, k - 1], len(hidden))
    out = np.zeros(len(cell), bool)
    for own in shares[cell].T:
        # the others are one other provider's: one such world is enough for a number to be possible
        counted = rule.counted(own + beside, np.maximum(own, beside), (own > 0) + (beside > 0).astype(np.int64), k)
        worlds = np.repeat(kept[None], len(cell), axis=0)
        worlds[np.arange(len(cell)), cell] = counted
        again = rule.publish(shape, worlds, k, guard)
        out |= (again[0] != low).any(axis=1) | (again[1] != high).any(axis=1)
    return Found(int(exact.sum()), int(out.reshape(-1, 2).any(axis=1).sum()))


def reread_table(rule: TableRule, k: int, guard: int, seed: int = 1) -> Report:
    """Judge the rule on one simulated table of three attributes, before insiders and providers."""
    report, shape = Report(), Shape.of(SHAPE)
    place, rng = f"simulated table 1, k={k} guard={guard}", np.random.default_rng(seed + 2000)
    people = table(seed, shape)
    low, high = (column[0] for column in rule.publish(shape, people[None], k, guard))
    mine = found_by_insiders(shape, low, high, k, guard)
    report.found(mine.exact, place, "an insider: a hidden number is known exactly and is too small")
    report.found(mine.narrowed, place, "an insider: a hidden number has too few possible values")
    out = ruled_out_by_insiders(rule, shape, low, high, k, guard, rng, WORLDS)
    report.found(int(out.sum()), place, "an insider: an end of a hidden range can be ruled out")
    theirs = found_by_providers(rule, shape, people, rng.multinomial(people, SHARES), k, guard)
    report.found(theirs.exact, place, f"a provider: a number leaves fewer than {k} others")
    report.found(theirs.narrowed, place, "a provider: a hidden cell has too few possible values")
    report.count(insider_worlds=len(out))
    report.checked.append(f"tables k={k} guard={guard}: insiders and {len(SHARES)} providers of a simulated table")
    return report
