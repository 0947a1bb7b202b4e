"""Readings of occupancy cameras of one partition → people's time in panes of 10 s.

A reading holds from its ts until the camera's next one, twice ``beat_s`` at most: what a camera that has stopped told
last is not true for ever::

    people    12 ─────────── 15 ───────┤           │         mean of the pane: 12·6 s + 15·3 s over 9 s told
              │              │         └ 2 beats   │
    pane 10 s ├────────────────────────────────────┤
"""

from __future__ import annotations

import numpy as np

from engine import covers
from engine.model import CELL_MS, END, F64, I32, I64
from engine.partial import STOCK_COLUMNS
from engine.rows import cut
from engine.tables import Tables

_COLUMNS = 6  # sensor, ts, seq, people, speed (µm/s, -1 = not told), and from when on it has not been counted yet
_UM_S = 1_000_000  # µm/s of a m/s


class Readings:
    """Readings that are still to be counted: what comes out follows from their set, not from their order."""

    def __init__(self, state: bytes = b"") -> None:
        self._rows: I64 = np.frombuffer(state, np.int64).reshape(-1, _COLUMNS)

    def add(self, sensor: I32, ts: I64, seq: I64, people: I64, speed: F64) -> None:
        """Keep accepted readings (m,): people in the sensor's zone, their speed in m/s (NaN = not told)."""
        told = ~np.isnan(speed)
        um_s = np.where(told, np.round(np.where(told, speed, 0) * _UM_S), -1).astype(np.int64)
        fresh = np.column_stack([sensor.astype(np.int64), ts, seq, people, um_s, ts])
        self._rows = np.concatenate([self._rows, fresh])

    def take(self, w: int, tables: Tables, tracker_zone: I32) -> I64:
        """Rows of STOCK_COLUMNS of the panes that the watermark ``w`` closes, ordered by sensor and pane.

        ``tracker_zone`` (S,): the zone each camera looks at, below 0 = none. A pane closes with its sensor's leaf
        window; ``tracks`` is the least number of people a reading told beside a speed, 0 where one told none.
        """
        rows = self._rows[np.lexsort(self._rows.T[4::-1])]  # by sensor, ts, then what else it tells: never by arrival
        if not len(rows):
            return np.empty((0, STOCK_COLUMNS), np.int64)
        sensor, ts = rows[:, 0], rows[:, 1]
        last = np.append(sensor[1:] != sensor[:-1], True)
        until = ts + 2 * tables.sensor_beat_ms[sensor]
        until = np.where(last, until, np.minimum(until, np.append(ts[1:], END)))
        closed = covers.open_from(sensor, tables, w)
        kept = (until > closed) | (ts >= closed)
        spans = np.column_stack([rows[:, 5], np.minimum(until, closed)])
        self._rows = rows[kept]
        self._rows[:, 5] = np.maximum(self._rows[:, 5], closed[kept])
        done = (spans[:, 0] < spans[:, 1]) & (tracker_zone[sensor] >= 0)
        out = _by_pane(rows[done], spans[done], tables, tracker_zone)
        return out[covers.approved(out, tables)]

    def state(self) -> bytes:
        """All that a later ``Readings(state)`` needs to go on."""
        return self._rows.tobytes()


def _by_pane(rows: I64, spans: I64, tables: Tables, zone: I32) -> I64:
    row, pane, ms = cut(spans[:, 0], spans[:, 1], CELL_MS)
    sensor, people, um_s = rows[row, 0], rows[row, 3], rows[row, 4]
    head = np.flatnonzero(np.append(True, (sensor[1:] != sensor[:-1]) | (pane[1:] != pane[:-1]))[: len(row)])
    if not len(head):
        return np.empty((0, STOCK_COLUMNS), np.int64)
    path = people * np.maximum(um_s, 0) // 1_000 * ms  # at most 2^31 people at 100 m/s for 10 s: inside int64
    seen = np.where(people == 0, END, np.where(um_s < 0, 0, people))
    tracks = np.minimum.reduceat(seen, head)
    sums = np.add.reduceat(np.column_stack([people * ms, path, ms]), head)
    pane, sensor = pane[head], sensor[head]
    close = covers.close_of(pane, sensor, tables)
    return np.column_stack(
        [pane, close, sensor, zone[sensor], sums[:, 0], sums[:, 1], np.where(tracks == END, 0, tracks), sums[:, 2]]
    )
