"""What a partition's log tells of the life and the clocks of its sensors: by sensor and 10 s cell.

A record belongs to the cell of its own time, or to that of W where W had passed it: whatever a line of the grid is
judged by was read before W passed that line, however the log was cut, and shuffles within the bound change nothing. The
time of a heartbeat whose clock is wrong is that of its record.

Of a heartbeat the clock is told by ts against record_ts, which the broker sets when it appends the record: nothing can
arrive before it was sent, and what arrives late may have been long on its way (docs/adr/0037). Refused heartbeats
count too: those of a wrong clock are ``late`` or ``too_far_in_future``. Of events about people nothing is told here
but the spans of ``every_span`` sensors, which come also when nobody passes (PRIVACY.md R6).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engine.model import (
    BY_HEARTBEAT,
    CELL_MS,
    COUNT,
    END,
    EVERY_SPAN,
    HEARTBEAT,
    I64,
    LATE,
    NO_TIME,
    NOT_APPROVED,
    TOO_FAR_IN_FUTURE,
    Events,
)
from engine.partial import BEAT_COLUMNS
from engine.tables import Tables

FAST_MS = 2_000  # a heartbeat this far ahead of its record was told by a clock that is fast
NO_SENSOR = -1  # rows that tell of the partition itself: what, in the place of until_ms
BEGUN, ENDED = 0, 1
_READ = (0, NOT_APPROVED, TOO_FAR_IN_FUTURE, LATE)  # of these the sensor and the time are known
_MANY = 65_536  # rows noted before they are joined: bounds memory, not what is told
_COLUMNS = 7  # cell_ms, sensor, until_ms, span_ms, good, fast, slow


def slow_ms(bound_ms: int) -> int:
    """How far behind its record a heartbeat must be for a slow clock: half of the bound is left for the way."""
    return max(bound_ms // 2, FAST_MS)


class Beats:
    """Heartbeats and spans that no partial has told yet. ``state``: what ``state()`` gave."""

    def __init__(self, bound_ms: int, state: tuple[bytes, bool] = (b"", False)) -> None:
        self._bound_ms, self._slow_ms = bound_ms, slow_ms(bound_ms)
        self._rows: I64 = np.frombuffer(state[0], np.int64).reshape(-1, _COLUMNS)
        self._begun = state[1]  # the partition has told of its first watermark
        self._noted: list[I64] = []
        self._count = 0

    def add(self, events: Events, mark_ms: I64, watermark: int, tables: Tables) -> None:
        """Note what a chunk tells, after it was judged: ``mark_ms`` (rows,) is admit's, ``watermark`` W before it."""
        beats = np.flatnonzero(events.kind == HEARTBEAT)
        beats = beats[np.isin(events.reason[beats], _READ) & (events.sensor[beats] >= 0)]
        spans = np.empty(0, np.int64)
        if tables.once("spans", lambda: bool((tables.sensor_reporting == EVERY_SPAN).any())):
            spans = np.flatnonzero((events.kind == COUNT) & (events.reason == 0))
            spans = spans[tables.sensor_reporting[events.sensor[spans]] == EVERY_SPAN]
        if not len(beats) and not len(spans):
            return
        moved = np.maximum.accumulate(np.where(events.reason == 0, mark_ms, NO_TIME))
        moved = np.append(NO_TIME, moved[:-1])
        w = np.maximum(np.where(moved == NO_TIME, NO_TIME, moved - self._bound_ms), watermark)
        self._note(self._of_beats(events, beats, tables), w[beats])
        end = events.ts[spans] + events.span_ms[spans]
        none = np.zeros_like(end)
        rows = np.column_stack([end - 1, events.sensor[spans], end, events.span_ms[spans], none, none, none])
        self._note(rows, w[spans])

    def _of_beats(self, events: Events, rows: I64, tables: Tables) -> I64:
        sensor, ts, record_ts = events.sensor[rows], events.ts[rows], events.record_ts[rows]
        fast, slow = ts - record_ts > FAST_MS, record_ts - ts > self._slow_ms
        good = ~(fast | slow)
        at = np.where(good, ts, record_ts)
        until = at + 2 * tables.sensor_beat_ms[sensor]
        until[tables.sensor_reporting[sensor] != BY_HEARTBEAT] = NO_TIME
        return np.column_stack([at, sensor, until, np.zeros_like(ts), good, fast, slow])

    def _note(self, rows: I64, w: I64) -> None:
        if len(rows):
            rows[:, 0] = np.maximum(rows[:, 0], w)
            rows[:, 0] -= rows[:, 0] % CELL_MS
            self._noted.append(rows)
            self._count += len(rows)
            if self._count >= _MANY:
                self._join()

    def _join(self) -> None:
        if self._noted:
            self._rows = joined_beats(np.concatenate([self._rows, *self._noted]))
            self._noted, self._count = [], 0

    def take(self, first_watermark: int, watermark: int, w: int, tables: Tables) -> I64:
        """Remove and return what W has passed at line ``w``: rows (m, BEAT_COLUMNS) by cell and sensor.

        (cell_ms, sensor, until_ms, good, fast, slow): until when the sensor may say nothing more and is still alive
        (NO_TIME: its heartbeats are not what tells), heartbeats by what they tell of its clock. Of NO_SENSOR: the cell
        of the record that began the watermark (BEGUN), to which all belongs that lies before it, and the line of the
        last ``watermark`` (ENDED, NO_TIME where there was none), where ``w`` is END.
        """
        self._join()
        if first_watermark == NO_TIME:
            ended = [[NO_TIME, NO_SENSOR, ENDED, 0, 0, 0]] if w == END else []
            return np.array(ended, np.int64).reshape(-1, BEAT_COLUMNS)
        begun = first_watermark + self._bound_ms
        begun -= begun % CELL_MS
        if len(self._rows) and self._rows[0, 0] < begun:
            rows = self._rows.copy()
            rows[:, 0] = np.maximum(rows[:, 0], begun)
            self._rows = joined_beats(rows)
        done = int(np.searchsorted(self._rows[:, 0], w - CELL_MS, "right"))
        rows, self._rows = self._rows[:done], self._rows[done:]
        marks = [] if self._begun else [[begun, NO_SENSOR, BEGUN, 0, 0, 0]]
        self._begun = True
        if w == END:
            marks.append([watermark - watermark % CELL_MS, NO_SENSOR, ENDED, 0, 0, 0])
        told = np.column_stack([rows[:, :2], _due(rows, tables), rows[:, 4:]])
        return np.concatenate([np.array(marks, np.int64).reshape(-1, BEAT_COLUMNS), told])

    def state(self) -> tuple[bytes, bool]:
        """Everything a later ``Beats(bound_ms, state)`` needs to go on."""
        self._join()
        return self._rows.tobytes(), self._begun


def _due(rows: I64, tables: Tables) -> I64:
    """until_ms (m,): of a sensor that counts spans, the last ms at which the count that comes next is not late."""
    until = rows[:, 2].copy()
    spans = rows[:, 3] > 0
    sensor, middle = rows[spans, 1], rows[spans, 2] + rows[spans, 3] // 2
    due = tables.zone_clock.nexts(middle, tables.sensor_leaf[sensor])
    until[spans] = due + tables.sensor_delay_ms[sensor] - 1
    return until


def joined_beats(rows: I64) -> I64:
    """One row per cell and sensor, in that order: until and span (where told) the greatest, heartbeats added up.

    ``rows`` (m, 4 + …): cell_ms, sensor, until_ms, …, the last three columns heartbeats.
    """
    if len(rows) < 2:
        return rows
    rows = rows[np.lexsort((rows[:, 1], rows[:, 0]))]
    new: NDArray[np.bool_] = (np.diff(rows[:, :2], axis=0) != 0).any(axis=1)
    heads = np.flatnonzero(np.append(True, new))
    greatest = np.maximum.reduceat(rows[:, 2:-3], heads, axis=0)
    return np.column_stack([rows[heads, :2], greatest, np.add.reduceat(rows[:, -3:], heads, axis=0)])
