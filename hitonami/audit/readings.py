"""Readings of zones by points and cameras: the rule on every small pane, and the rows that a store holds of them."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np

from engine.model import NULL_INT, RANGE_STATUS, RELEASED_STATUS, STATUS, SUPPRESSED_STATUS, UNKNOWN_STATUS
from hitonami.audit.report import Report
from hitonami.audit.rules import Mask, Rule
from hitonami.audit.stored import Context, codes, counts, shares, texts

KS = (2, 3, 5, 10)
_FLOWS = ("inflow", "inflow_low", "inflow_high", "outflow", "outflow_low", "outflow_high")
_NEAR = 1e-6  # of means of means


def enumerate_readings(rule: Rule, k: int) -> Report:
    """Judge the rule on two panes of a zone, with all numbers of people there, and the longer window of both."""
    report, place, classes = Report(), f"readings k={k}", 3
    panes = np.array(list(product(range(classes * k), repeat=2)), np.float64)
    low, high = (column.reshape(panes.shape) for column in rule.readings(panes.ravel(), k))
    told = np.column_stack([low, high, low.mean(axis=1), high.mean(axis=1)])
    _, group = np.unique(told, axis=0, return_inverse=True)
    group = group.reshape(-1)
    report.checked.append(f"readings k={k}: all {len(panes):,} pairs of panes, 0 to {classes * k - 1} people each")
    report.count(reading_panes=len(panes))
    report.found(int(((panes < low) | (panes > high)).sum()), place, "a range does not hold the people who were there")
    narrow = sum(len(set(panes[group == g, 0])) < k for g in range(int(group.max()) + 1))
    report.found(narrow, place, f"a pane's people have fewer than {k} possible values")
    return report


def audit_readings(
    table: Any, what: Context, read: frozenset[str], gated: frozenset[str], ready: Mask, ten: bool
) -> Report:
    """Judge rows of ``zones``: ``read`` are the zones whose readings may be published, ``gated`` those with gates.

    ``ready`` (rows,): which rows to judge; ``ten``: they are of 10 s, so of panes. What gates and readings tell of one
    zone together ([zones] beside_gates) is not judged.
    """
    report, place, k = Report(), f"{what.place}, readings", what.zones_k
    zone = texts(table, "zone")
    may = _in(zone, read) & ready
    own = may & ~_in(zone, gated)
    report.count(reading_rows=int(own.sum()))
    low, high, people, speed, coverage = (
        shares(table, name) for name in ("occupancy_low", "occupancy_high", "occupancy", "speed", "coverage")
    )
    report.found(int((ready & ~may & ~np.isnan(speed)).sum()), place, "a speed of a zone that publishes no readings")
    status = codes(texts(table, "status"), STATUS)
    dark, few = status == UNKNOWN_STATUS, high < k
    empty = np.isnan(low) & np.isnan(high) & np.isnan(people) & np.isnan(speed) & (coverage == 0)
    report.found(int((own & dark & ~empty).sum()), place, "an unknown row with figures")
    own &= ~dark
    if k == 1:
        right = (low == high) & (people == low) & (status == RELEASED_STATUS)
    else:
        right = (np.abs(high - low - (k - 1)) < _NEAR) & np.where(few, np.isnan(people), people == low)
        right &= status == np.where(few, SUPPRESSED_STATUS, RANGE_STATUS)
        if ten:
            right &= low % k == 0
    report.found(int((own & ~(right & (low >= 0))).sum()), place, f"a range that is no class of {k} people")
    passed = np.zeros(len(own), bool)
    for name in _FLOWS:
        passed |= counts(table, name) != NULL_INT
    report.found(int((own & passed).sum()), place, "passages of a zone without gates")
    return report


def _in(zone: Any, names: frozenset[str]) -> Mask:
    return np.asarray(np.array([word in names for word in zone.words], bool)[zone.codes])
