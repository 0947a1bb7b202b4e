"""Large tables: any hidden number moved to either end of its range, the table released again, compared byte for byte.

For each end of each hidden range a world is made in which that number lies there: all others are drawn from what the
published ranges and sums leave. If it cannot be made, the published numbers alone narrow the range; if it publishes
anything else, a reader who knows the algorithm narrows it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from engine.model import I32, I64
from hitonami.audit.report import Report
from hitonami.audit.rules import Mask
from hitonami.audit.table_enumeration import judged_ranges
from hitonami.audit.table_rules import Shape, TableRule

TABLES = 3
SHAPE = ((8,) * 14, (8,) * 14)  # like gender, birth year in bands, occupation


class Pins(NamedTuple):
    """Nodes held at a number: (W,) one in each of W worlds, or (p, W) p different ones in each."""

    node: I64
    people: I64


def ends(low: I64, high: I64) -> Pins:
    """Both ends of every hidden range of a table (m,)."""
    hidden = np.flatnonzero(low < high)
    return Pins(np.concatenate([hidden, hidden]), np.concatenate([low[hidden], high[hidden]]))


def allowed(parent: I32, low: I64, high: I64, pins: Pins) -> tuple[I64, I64]:
    """What each node (m, W) may hold by the published ranges and sums alone, in each world of ``pins``.

    A total is the sum of its children, so its range and the sum of theirs bound each other, from below: the ranges of
    these sums are exact, for no two children of a tree share a cell. Where nothing is left, low is above high.
    """
    worlds = pins.node.shape[-1]
    least, most = np.repeat(low[:, None], worlds, axis=1), np.repeat(high[:, None], worlds, axis=1)
    at = np.arange(worlds)
    least[pins.node, at] = np.maximum(least[pins.node, at], pins.people)
    most[pins.node, at] = np.minimum(most[pins.node, at], pins.people)
    sums, totals = np.zeros((2, *least.shape), np.int64), np.isin(np.arange(len(parent)), parent)
    for node, above in enumerate(parent.tolist()):
        if totals[node]:
            least[node], most[node] = np.maximum(least[node], sums[0, node]), np.minimum(most[node], sums[1, node])
        if above >= 0:
            sums[0, above] += least[node]
            sums[1, above] += most[node]
    return least, most


def drawn(rng: np.random.Generator, parent: I32, least: I64, most: I64) -> I64:
    """People of each node (m, W) of one world each, within what ``allowed`` says; totals are sums of their children."""
    people = np.zeros_like(least)
    for node in range(len(parent) - 1, -1, -1):
        if parent[node] < 0:
            people[node] = _between(rng, least[node], most[node])
        children = rng.permutation(np.flatnonzero(parent == node))
        left = people[node].copy()
        later_least, later_most = least[children].sum(axis=0), most[children].sum(axis=0)
        for child in children:
            later_least, later_most = later_least - least[child], later_most - most[child]
            a, b = np.maximum(least[child], left - later_most), np.minimum(most[child], left - later_least)
            people[child] = _between(rng, a, b)
            left -= people[child]
    return people


def _between(rng: np.random.Generator, low: I64, high: I64) -> I64:
    """Any number from low to high; one in three is either end."""
    any_of: I64 = rng.integers(low, high + 1)
    which = rng.integers(0, 6, low.shape)
    return np.where(which == 0, low, np.where(which == 1, high, any_of))


def narrowed(rule: TableRule, shape: Shape, low: I64, high: I64, k: int, guard: int, rng: np.random.Generator) -> Mask:
    """Which ends of hidden ranges (``ends``) a reader who knows the algorithm can rule out."""
    return ruled_out(rule, shape, low, high, ends(low, high), k, guard, rng)


def ruled_out(
    rule: TableRule, shape: Shape, low: I64, high: I64, pins: Pins, k: int, guard: int, rng: np.random.Generator
) -> Mask:
    """Which worlds (W,) of ``pins`` do not publish these ranges: a reader who knows the algorithm can rule them out."""
    if not pins.node.size:
        return np.zeros(0, bool)
    least, most = allowed(shape.parent, low, high, pins)
    out: Mask = np.asarray((least > most).any(axis=0))
    left = np.flatnonzero(~out)
    worlds = drawn(rng, shape.parent, least[:, left], most[:, left])
    again = rule.publish(shape, worlds[shape.cells].T, k, guard)
    out[left] = (again[0] != low).any(axis=1) | (again[1] != high).any(axis=1)
    return out


def table(seed: int, shape: Shape) -> I64:
    """People of each cell, seeded and uneven: many cells of nobody or a few, some of hundreds."""
    rng = np.random.default_rng(seed)
    size = rng.gamma(0.35, 60, len(shape.cells)) * rng.choice([0.02, 0.3, 1.0], len(shape.cells), p=[0.3, 0.4, 0.3])
    return rng.poisson(size).astype(np.int64)


def rerun_tables(rule: TableRule, k: int, guard: int, seed: int = 1) -> Report:
    """Judge the rule on simulated tables of three attributes."""
    report, shape = Report(), Shape.of(SHAPE)
    for number in range(TABLES):
        place = f"simulated table {number + 1}, k={k} guard={guard}"
        people = table(seed + number, shape)
        low, high = (column[0] for column in rule.publish(shape, people[None], k, guard))
        report.add(judged_ranges(place, shape.holds @ people, low, high, k))
        out = narrowed(rule, shape, low, high, k, guard, np.random.default_rng(seed + 1000 + number))
        report.found(int(out.sum()), place, "an end of a hidden range can be ruled out")
        report.count(table_ends=len(out), table_nodes=len(low), table_told=int((low == high).sum()))
    report.checked.append(f"tables k={k} guard={guard}: {TABLES} simulated tables, every end of a range, seed {seed}")
    return report
