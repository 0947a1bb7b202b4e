"""Arithmetic on integer rows that several rooms share: adding up by key, joining spans."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from engine.model import CELL_MS, I64

Renumber = Callable[[int], "I64 | None"]  # by partition: our rows of its rows, the last for -1; None: the same


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


def repeated(counts: I64) -> tuple[I64, I64]:
    """Row numbers, each as often as ``counts`` (m,) tells, and beside each how many of its own stand before it."""
    row = np.repeat(np.arange(len(counts)), counts)
    return row, np.arange(len(row)) - np.repeat(np.cumsum(counts) - counts, counts)


def cut(start_ms: I64, end_ms: I64, length: int) -> tuple[I64, I64, I64]:
    """Spans (m,) cut at the multiples of ``length``: of each piece its span's row, the pane it lies in, and its ms."""
    row, number = repeated((end_ms - 1) // length - start_ms // length + 1)
    pane = (start_ms[row] // length + number) * length
    return row, pane, np.minimum(end_ms[row], pane + length) - np.maximum(start_ms[row], pane)


def taken(parts: dict[int, list[I64]], columns: int, by: int, w: int, rows_of: Mapping[int, Renumber]) -> I64:
    """Take the rows out of what partitions have told whose column ``by`` is at most ``w``.

    ``rows_of``: column -> what tells of a partition our rows of its rows in that column, None where they are the same;
    -1 stays -1.
    """
    out = [np.empty((0, columns), np.int64)]
    for partition in list(parts):
        rows = np.concatenate(parts.pop(partition))
        done = rows[:, by] <= w
        if not done.all():
            parts[partition] = [rows[~done]]
        rows = rows[done]
        for column, find in rows_of.items():
            renumber = find(partition)
            if renumber is not None:
                rows = rows.copy()
                rows[:, column] = renumber[rows[:, column]]
        out.append(rows)
    return np.concatenate(out)


def spans_of_cells(cells: I64) -> I64:
    """Sorted active cells (m,) as spans (s, 2) of first and last cell, without a silent cell between.

    So a shard that cuts a span at a line knows of every cell whether it was active.
    """
    if not len(cells):
        return np.empty((0, 2), np.int64)
    cuts = np.flatnonzero(np.diff(cells) > CELL_MS)
    first, last = np.append(0, cuts + 1), np.append(cuts, len(cells) - 1)
    return np.column_stack([cells[first], cells[last]])
