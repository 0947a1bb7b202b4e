"""Distinct rows: of many integer rows the first of each key, without a Python object per row.

Rows are grouped by a 64-bit mix of their key's columns, for one sort of one column costs a fifth of a sort by eight.
Where two keys have one mix, which is seen, the sort is by the columns themselves: nothing rests on luck.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engine.model import END, I64

_ODD = np.uint64(0x9E3779B97F4A7C15)  # 2**64 / the golden ratio, as in SplitMix64 (Steele, Lea, Flood 2014)
_HALF = np.uint64(32)
_MANY = 65_536  # rows gathered before repeats are dropped: bounds memory, not the outcome


def first_of(rows: I64, by: tuple[int, ...], then: int) -> I64:
    """One row of each key, the columns ``by`` of rows (m, c): that with the least value in column ``then``.

    Of rows that are alike in these columns any: they must be alike in all. The order of what is returned is a function
    of the rows, whatever order they come in, and means nothing.
    """
    if len(rows) < 2:
        return rows
    mixed = _mix(rows, by)
    order = np.argsort(mixed)
    rows, mixed = rows.take(order, 0), mixed.take(order)
    differs, new = _differs(rows, by), mixed[1:] != mixed[:-1]
    if (differs & ~new).any():
        rows = rows.take(np.lexsort([rows[:, column] for column in reversed(by)]), 0)
        new = _differs(rows, by)
    starts = np.flatnonzero(np.append(True, new))
    if len(starts) == len(rows):
        return rows
    value = np.ascontiguousarray(rows[:, then])
    group = np.cumsum(np.append(0, new))
    least = np.flatnonzero(value == np.minimum.reduceat(value, starts).take(group))
    group = group.take(least)
    first: I64 = rows.take(least[np.append(True, group[1:] != group[:-1])], 0)
    return first


def _mix(rows: I64, by: tuple[int, ...]) -> NDArray[np.uint64]:
    out = np.zeros(len(rows), np.uint64)
    for column in by:
        out ^= rows[:, column].astype(np.uint64)
        out *= _ODD
        out ^= out >> _HALF
    return out


def _differs(rows: I64, by: tuple[int, ...]) -> NDArray[np.bool_]:
    """Whether each row but the first is of another key than the one before it."""
    out = np.zeros(len(rows) - 1, np.bool_)
    for column in by:
        out |= rows[1:, column] != rows[:-1, column]
    return out


class Distinct:
    """The distinct rows of open windows of one partition: ``add`` as many as come, ``take`` those that are done.

    ``columns``: of a row; ``by`` and ``then`` as in ``first_of``; ``done``: the column that tells when a row is;
    ``state``: what ``state()`` gave.
    """

    def __init__(self, columns: int, by: tuple[int, ...], then: int, done: int, state: bytes = b"") -> None:
        self._by, self._then, self._done = by, then, done
        self._rows: I64 = np.empty((0, columns), np.int64)
        self._noted: list[I64] = []
        self._count = 0
        self._next = END  # when the first row is done
        if state:
            self.add(np.frombuffer(state, np.int64).reshape(-1, columns))

    def add(self, rows: I64) -> None:
        """Take in rows (m, columns), repeats or not."""
        if not len(rows):
            return
        self._noted.append(rows)
        self._count += len(rows)
        self._next = min(self._next, int(rows[:, self._done].min()))
        if self._count >= max(_MANY, len(self._rows)):
            self.rows()

    def rows(self) -> I64:
        """The distinct rows so far, to be read or renumbered in place."""
        if self._noted:
            self._rows = first_of(np.concatenate([self._rows, *self._noted]), self._by, self._then)
            self._noted, self._count = [], 0
        return self._rows

    def take(self, until: int) -> I64:
        """Remove and return the rows that are done at ``until``."""
        if self._next > until:  # nearly always: what is open need not be sorted for that
            return self._rows[:0]
        rows = self.rows()
        done = rows[:, self._done] <= until
        out, self._rows = rows[done], rows[~done]
        self._next = int(self._rows[:, self._done].min()) if len(self._rows) else END
        return out

    def state(self) -> bytes:
        """Everything a later ``Distinct(..., state=)`` needs to go on; of what came lately repeats may be in it."""
        if len(self._noted) > 1:
            fresh = first_of(np.concatenate(self._noted), self._by, self._then)
            self._noted, self._count = [fresh], len(fresh)
        return np.concatenate([self._rows, *self._noted]).tobytes()
