"""Arithmetic on integer rows that several rooms share: adding up by key, joining spans."""

from __future__ import annotations

import numpy as np

from engine.model import I64


def summed(rows: I64, by: tuple[int, ...], first: int) -> I64:
    """One row per key, ordered by key: ``by`` names the key's columns, the columns from ``first`` on are added up.

    Columns that are neither (between key and values) keep the value of the key's first row.
    """
    if len(rows) < 2:
        return rows
    rows = rows[np.lexsort([rows[:, column] for column in reversed(by)])]
    heads = np.flatnonzero(np.append(True, (np.diff(rows[:, by], axis=0) != 0).any(axis=1)))
    out = rows[heads]
    out[:, first:] = np.add.reduceat(rows[:, first:], heads, axis=0)
    return out


def joined(spans: I64, gap: int) -> I64:
    """Union of spans (s, 2) = start, end; spans at most ``gap`` apart are one. Ordered by start."""
    if len(spans) < 2:
        return spans
    spans = spans[np.argsort(spans[:, 0], kind="stable")]
    reach = np.maximum.accumulate(spans[:, 1])
    heads = np.flatnonzero(np.append(True, spans[1:, 0] - reach[:-1] > gap))
    tails = np.append(heads[1:], len(spans)) - 1
    return np.column_stack([spans[heads, 0], reach[tails]])
