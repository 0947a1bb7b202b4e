"""Watermark, lateness, duplicates and counts of one partition. Twin: fast/_window.pyx.

The watermark W moves record by record in log order, so what is late depends on the partition's log alone::

    log   ──a(ts 12)──b(ts 31)──c(ts 8)──────▶      bound 5 s, panes of 10 s
    W      7          26        26                  c: its pane [0, 10) ended at or before W = 26: late
"""

from __future__ import annotations

import numpy as np

from engine.admit import EVENTS
from engine.keys import Key, pack, unpack
from engine.model import (
    BEAM,
    BY_HEARTBEAT,
    CELL_MS,
    COUNT,
    CROSS,
    DUPLICATE,
    END,
    EVERY_SPAN,
    HEARTBEAT,
    I8,
    I32,
    I64,
    LATE,
    NO_TIME,
    POINT,
    TICK,
    U8,
)

_PANE = ("pane_ms", "close_ms", "sensor", "ab", "ba", "un", "cross_ab", "cross_ba", "cross_un")
_COVER = ("sensor", "start_ms", "end_ms")


class PaneTable:
    """Open panes, dedupe keys and covered spans of one partition; everything in it is a function of its log.

    ``bound_ms``: how far the watermark stays behind the newest admitted record. ``state``: what ``state()`` gave.
    ``watermark`` and ``first_watermark`` are ms, NO_TIME before the first admitted record.
    """

    def __init__(self, bound_ms: int, state: tuple[bytes, ...] | None = None) -> None:
        self.bound_ms = bound_ms
        self.watermark = self.first_watermark = NO_TIME
        self._panes: dict[tuple[int, int], list[int]] = {}  # (pane, sensor) -> close, then _PANE[3:]
        self._keys: dict[tuple[int, int, int, int], tuple[int, int]] = {}  # (sensor, kind, ts, x) -> pane, close
        self._covers: list[tuple[int, int, int]] = []
        self._cells: list[int] = []
        if state is not None:
            marks, panes = (np.frombuffer(part, np.int64) for part in state[:2])
            self.watermark, self.first_watermark = (int(v) for v in marks)
            for row in panes.reshape(-1, len(_PANE)).tolist():
                self._panes[row[0], row[2]] = [row[1], *row[3:]]
            for key in unpack(state[2]):
                self._keys[key[2:]] = key[:2]

    def add(
        self,
        kind: I8,
        reason: U8,
        sensor: I32,
        ts: I64,
        span_ms: I64,
        n: I64,
        seq: I64,
        has_seq: U8,
        pane_ms: I64,
        pane_end_ms: I64,
        mark_ms: I64,
        repeat: U8,
        sensor_delay_ms: I64,
        sensor_wait_ms: I64,
        sensor_reporting: I8,
        sensor_beat_ms: I64,
        told_ms: I64,
    ) -> tuple[int, int, int, int, int]:
        """Take in admitted rows in log order.

        IN  kind, sensor, ts, span_ms, n (rows, 3), seq, has_seq: model.Events; pane_ms, pane_end_ms, mark_ms: admit's;
            repeat (rows,): 1 where a point or beam stands in the partition already (engine/crossing.py, beam.py know
            them; they have no keys here); sensor_delay_ms, sensor_wait_ms, sensor_reporting, sensor_beat_ms (S,):
            registry.Tables.
        INOUT reason (rows,): late and duplicate rows get theirs.
        OUT told_ms (rows,): the time under which the row is told on: for an accepted event the instant that picks its
            pane, or W where the 10 s cell of that instant is already behind W; for a reject W as it was;
            NO_TIME for control records (and for rejects before the first watermark).

        Returns how many were accepted, how many of these tell of one person (cross, beam, point) and how many were
        counts, and their least and greatest instant (END and NO_TIME where there was none).

        Raises ValueError where columns differ in length or a sensor row does not exist.
        """
        rows = len(kind)
        columns = (reason, sensor, ts, span_ms, n, seq, has_seq, pane_ms, pane_end_ms, mark_ms, repeat, told_ms)
        if any(len(c) != rows for c in columns):
            raise ValueError("columns differ in length")
        if len({len(c) for c in (sensor_delay_ms, sensor_wait_ms, sensor_reporting, sensor_beat_ms)}) > 1:
            raise ValueError("columns differ in length")
        if rows and int(sensor.max()) >= len(sensor_delay_ms):
            raise ValueError("no such sensor row")
        accepted = persons = counts = 0
        first, last = END, NO_TIME
        for i in range(rows):
            k, w = int(kind[i]), self.watermark
            told_ms[i] = NO_TIME
            if reason[i]:
                told_ms[i] = w
                continue
            if k == TICK:
                self._move(int(mark_ms[i]))
                continue
            if k not in EVENTS:
                continue
            s, at, span, pane = int(sensor[i]), int(ts[i]), int(span_ms[i]), int(pane_ms[i])
            alone = k in (POINT, BEAM)
            close = int(pane_end_ms[i]) + int(sensor_delay_ms[s])
            if int(pane_end_ms[i]) + int(sensor_wait_ms[s]) <= w:
                reason[i], told_ms[i] = LATE, w
                continue
            if alone and repeat[i]:
                reason[i], told_ms[i] = DUPLICATE, w
                continue
            if k == COUNT or (k != HEARTBEAT and has_seq[i] and not alone):
                key = (s, k, at, span if k == COUNT else int(seq[i]))
                if key in self._keys:
                    reason[i], told_ms[i] = DUPLICATE, w
                    continue
                self._keys[key] = pane, close
            if k == HEARTBEAT:
                if sensor_reporting[s] == BY_HEARTBEAT:
                    self._covers.append((s, at, at + 2 * int(sensor_beat_ms[s])))
            elif k in (CROSS, COUNT):
                row = self._panes.setdefault((pane, s), [close, 0, 0, 0, 0, 0, 0])
                for d in range(3):
                    row[1 + d] += int(n[i, d])
                    row[4 + d] += int(n[i, d]) if k == CROSS else 0
                if k == COUNT and sensor_reporting[s] == EVERY_SPAN:
                    # the part before the pane counts only while the pane before is open
                    start = pane if at < pane and pane + int(sensor_delay_ms[s]) <= w else at
                    self._covers.append((s, start, at + span))
            instant = at + span // 2
            told_ms[i] = w if instant // CELL_MS * CELL_MS + CELL_MS <= w else instant
            cell = int(told_ms[i]) // CELL_MS * CELL_MS
            if not self._cells or self._cells[-1] != cell:
                self._cells.append(cell)
            accepted, persons, counts = accepted + 1, persons + (k in (CROSS, BEAM, POINT)), counts + (k == COUNT)
            first, last = min(first, instant), max(last, instant)
            self._move(int(mark_ms[i]))
        return accepted, persons, counts, first, last

    def _move(self, mark_ms: int) -> None:
        if mark_ms - self.bound_ms > self.watermark:
            self.watermark = mark_ms - self.bound_ms
            if self.first_watermark == NO_TIME:
                self.first_watermark = self.watermark

    def take(self, until_ms: int) -> bytes:
        """Remove the panes (and dedupe keys) that close at or before ``until_ms``.

        Returns int64 rows (pane_ms, close_ms, sensor, ab, ba, un, then how many of these came as cross records), in
        no order.
        """
        done = [key for key, row in self._panes.items() if row[0] <= until_ms]
        self._keys = {key: of for key, of in self._keys.items() if of[1] > until_ms}
        return _packed([[pane, (row := self._panes.pop((pane, s)))[0], s, *row[1:]] for pane, s in done])

    def cells(self) -> bytes:
        """Remove and return the 10 s cells told of accepted events since the last call: int64 ms, with repeats."""
        out, self._cells = self._cells, []
        return np.array(out, np.int64).tobytes()

    def covers(self) -> bytes:
        """Remove and return the covered spans since the last call: int64 rows (sensor, start_ms, end_ms)."""
        out, self._covers = self._covers, []
        return _packed(out)

    def state(self) -> tuple[bytes, ...]:
        """All that a later ``PaneTable(bound_ms, state)`` needs to go on (call ``covers()`` and ``cells()`` before).

        Marks and panes as int64, and the keys against duplicates as engine.keys packs them.
        """
        panes = [[pane, row[0], s, *row[1:]] for (pane, s), row in self._panes.items()]
        keys = pack(sorted((Key(*of, *key) for key, of in self._keys.items()), key=lambda k: (*k[:4], k.x, k.ts)))
        return _packed([[self.watermark], [self.first_watermark]]), _packed(panes), keys


def _packed(rows: list[list[int]] | list[tuple[int, int, int]]) -> bytes:
    return np.array(rows, np.int64).tobytes()
