"""Rejects of one partition that no partial has told yet, by the 10 s cell of the watermark, sensor and reason."""

from __future__ import annotations

import numpy as np

from engine.model import CELL_MS, I32, I64, NO_TIME, U8
from engine.partial import REJECT_COLUMNS
from engine.rows import summed

_KEY = (0, 1, 2)  # cell, sensor, reason
_MANY = 65_536  # events noted one by one before they are added up: bounds memory, not what is told


class Refused:
    """Counts of refused events. ``state``: what ``state()`` gave."""

    def __init__(self, state: bytes = b"") -> None:
        self._rows: I64 = np.frombuffer(state, np.int64).reshape(-1, REJECT_COLUMNS)
        self._noted: list[I64] = []
        self._count = 0

    def add(self, told_ms: I64, sensor: I32, reason: U8) -> None:
        """Note refused events (m,): ``told_ms`` is W when they came, NO_TIME before the first; sensor -1 = none."""
        self._noted.append(np.column_stack([told_ms, sensor, reason, np.ones(len(told_ms), np.int64)]))
        self._count += len(told_ms)
        if self._count >= _MANY:
            self._add_up()

    def take(self, first_watermark: int, w: int) -> I64:
        """Remove and return the cells that W has passed: rows (cell_ms, sensor, reason, n) in that order.

        Rejects before the first watermark belong to the cell in which it came to be; where there never was one, nobody
        knows when they came, and only the counters tell of them.
        """
        self._add_up()
        if not len(self._rows) or first_watermark == NO_TIME:
            return self._rows[:0]
        if self._rows[0, 0] == NO_TIME:  # the least there is
            rows = self._rows.copy()
            rows[rows[:, 0] == NO_TIME, 0] = first_watermark - first_watermark % CELL_MS
            self._rows = summed(rows, _KEY, 3)
        done = int(np.searchsorted(self._rows[:, 0], max(w - CELL_MS, NO_TIME), "right"))
        out, self._rows = self._rows[:done], self._rows[done:]
        return out

    def _add_up(self) -> None:
        if self._noted:
            rows = np.concatenate(self._noted)
            known = rows[:, 0] != NO_TIME
            rows[known, 0] -= rows[known, 0] % CELL_MS
            self._rows = summed(np.concatenate([self._rows, rows]), _KEY, 3)
            self._noted, self._count = [], 0

    def state(self) -> bytes:
        """Everything a later ``Refused(state)`` needs to go on."""
        self._add_up()
        return self._rows.tobytes()
