"""All small hours of a screen: moves away from it beside the totals of its touches, which count the same people.

A world is the touches (cells) of some windows and one cell of moves of 0 to all of these people: nobody moves who did
not touch, and one session may have touched in several windows, so nothing else binds the two.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import NamedTuple

import numpy as np

from engine.model import I64
from hitonami.audit.report import Report
from hitonami.audit.rules import Mask
from hitonami.audit.table_enumeration import all_worlds, grouped, judged, judged_ranges, subsets
from hitonami.audit.table_rules import Shape, TableRule


class Hour(NamedTuple):
    """All hours of windows with so many cells each, 0..``most`` people in a cell."""

    k: int
    guard: int
    windows: tuple[int, ...]
    most: int


HOURS = (Hour(2, 0, (4, 2), 2), Hour(2, 1, (6, 1), 2), Hour(2, 1, (2, 2, 2), 2), Hour(3, 1, (3, 2), 3))


def enumerate_hours(rule: TableRule, hour: Hour) -> Report:
    """Judge what is told of touches and of one cell of moves, together."""
    k, place = hour.k, f"moves beside touches k={hour.k} guard={hour.guard} windows {hour.windows}"
    touches = all_worlds(sum(hour.windows), hour.most)
    low, high, totals = _touches(rule, hour, touches)
    everybody = touches.sum(axis=1)
    world = np.repeat(np.arange(len(touches)), everybody + 1)
    moves = np.arange(len(world)) - np.repeat(np.cumsum(everybody + 1) - everybody - 1, everybody + 1)
    moved_low, moved_high = rule.capped(moves, k, low[world][:, totals], high[world][:, totals])
    report = judged_ranges(place, moves[:, None], moved_low[:, None], moved_high[:, None], k)
    told = np.column_stack([low[world], high[world], moved_low, moved_high])
    group = grouped(told)
    sets = subsets(touches.shape[1])
    asked = np.column_stack([touches[world] @ sets, moves])
    report.add(judged(place, "", group, asked, k))
    for agree, own, moved, beside in _insiders(hour, touches[world], moves):
        others = np.column_stack([(touches[world] - own) @ sets[:, beside], moves - moved])
        mine = agree & (moves >= moved) & (moves - moved <= everybody[world] - own.sum())
        report.add(judged(place, "an insider: ", group[mine], others[mine], k - int(own.any())))
        report.count(table_insiders=1)
    report.findings = list(dict.fromkeys(report.findings))
    report.count(hour_worlds=len(moves))
    report.checked.append(f"{place}: all {len(moves):,} worlds, 0 to {hour.most} people in each cell of touches")
    return report


def _touches(rule: TableRule, hour: Hour, touches: I64) -> tuple[I64, I64, list[int]]:
    """Ranges (N, nodes) of all windows side by side, and which nodes are the totals."""
    lows, highs, totals, first, nodes = [], [], [], 0, 0
    for cells in hour.windows:
        low, high = rule.publish(Shape.of(cells), touches[:, first : first + cells], hour.k, hour.guard)
        lows.append(low)
        highs.append(high)
        first, nodes = first + cells, nodes + low.shape[1]
        totals.append(nodes - 1)
    return np.hstack(lows), np.hstack(highs), totals


def _insiders(hour: Hour, touches: I64, moves: I64) -> Iterator[tuple[Mask, I64, int, Mask]]:
    """What one person may know who touched, once a window at most, and moved or not: as table_enumeration.insiders.

    (worlds that agree, their touches, whether they moved, sets asked); the stronger ones know of one cell that nobody
    else touched there, and touched in one window themselves or in none.
    """
    if not hour.guard:
        return
    cells = touches.shape[1]
    sets = subsets(cells)
    edges = np.cumsum((0, *hour.windows))
    choices = [[None, *range(a, b)] for a, b in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True)]
    for path in product(*choices):
        passed = [cell for cell in path if cell is not None]
        own = np.zeros(cells, np.int64)
        own[passed] = 1
        agree: Mask = np.all(touches >= own, axis=1)
        for moved in range(1 + bool(passed)):
            if passed:
                yield agree, own, moved, np.ones(sets.shape[1], bool)
            if len(passed) > 1:
                continue
            for cell in range(cells):
                yield agree & (touches[:, cell] == own[cell]), own, moved, sets[cell] == 0
