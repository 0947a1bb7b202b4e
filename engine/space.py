"""What one partition is told by points, beams and cameras: passages, time in zones, headings (docs/adr/0033)."""

from __future__ import annotations

from typing import Any

import numpy as np

from engine import kernels, pairs, tracks
from engine.model import BEAM, CELL_MS, EVERY, I64, LATE, OCCUPANCY, POINT, U8, Events
from engine.partial import HEADING_COLUMNS, PANE_COLUMNS, STOCK_COLUMNS
from engine.plan import plan
from engine.readings import Readings
from engine.registry import BEAM_PAIR, TRACKER
from engine.rows import summed
from engine.tables import Tables

_PASSAGE_COLUMNS, _HEADING = 4, 4  # ms, sensor, gate, direction; ms, sensor, zone, sector


class Space:
    """Keeps a partition's points, beams and readings until they are final; ``state``: what ``state()`` gave."""

    def __init__(self, tables: Tables, state: tuple[Any, ...] | None = None) -> None:
        self._kernels, self.follow = kernels.active(), tables.follow
        self._passages: I64 = np.empty((0, PANE_COLUMNS), np.int64)  # as rows of panes, until these close
        self._headings: I64 = np.empty((0, HEADING_COLUMNS), np.int64)
        self._stock: I64 = np.empty((0, STOCK_COLUMNS), np.int64)  # of panes that closed before a version came
        of_tracks: tuple[bytes, ...] | None = None
        of_beams, of_readings = b"", b""
        if state is not None:
            of_tracks, of_beams, of_readings, passages, headings, stock = state
            self._passages = np.frombuffer(passages, np.int64).reshape(-1, PANE_COLUMNS)
            self._headings = np.frombuffer(headings, np.int64).reshape(-1, HEADING_COLUMNS)
            self._stock = np.frombuffer(stock, np.int64).reshape(-1, STOCK_COLUMNS)
        self._tracks = self._kernels.Tracks(self.follow.track_ms, of_tracks)
        self._beams = self._kernels.Beams(self.follow.pair_ms, of_beams)
        self._readings = Readings(of_readings)
        self._use(tables)

    def _use(self, tables: Tables) -> None:
        self._tables, self._plan = tables, tables.once("plan", lambda: plan(tables))
        self._row_at = tables.once("row_at", lambda: _row_at(tables))

    def add(self, events: Events, repeat: U8) -> tuple[I64, I64]:
        """Keep the points and beams of a chunk that admit let through; returns their rows for ``judged``.

        OUT repeat (rows,): 1 where one stands here already.
        """
        good = events.reason == 0
        points, beams = (np.flatnonzero((events.kind == kind) & good) for kind in (POINT, BEAM))
        if len(points):
            self._tracks.add(points, events.sensor, events.ts, events.seq, events.x, events.y, repeat)
        if len(beams):
            self._beams.add(beams, events.sensor, events.ts, events.seq, events.has_seq, events.n, repeat)
        return points, beams

    def judged(self, events: Events, repeat: U8, points: I64, beams: I64) -> int:
        """Let go what was late after all, keep what cameras told; returns how many points and beams were accepted."""
        for rows, drop in ((points, self._drop_points), (beams, self._drop_beams)):
            late = rows[(events.reason[rows] == LATE) & (repeat[rows] == 0)]
            if len(late):
                drop(late, events)
        readings = np.flatnonzero((events.kind == OCCUPANCY) & (events.reason == 0))
        if len(readings):
            seq = np.where(events.has_seq[readings] > 0, events.seq[readings], -1)
            self._readings.add(
                events.sensor[readings], events.ts[readings], seq, events.n[readings, 2], events.x[readings]
            )
        return sum(int((events.reason[rows] == 0).sum()) for rows in (points, beams))

    def _drop_points(self, rows: I64, events: Events) -> None:
        self._tracks.drop(rows, events.sensor, events.ts, events.seq)

    def _drop_beams(self, rows: I64, events: Events) -> None:
        self._beams.drop(rows, events.sensor, events.ts, events.seq, events.has_seq, events.n)

    def _settle(self, watermark: int) -> None:
        """Work off what is final."""
        of = self._plan
        found = [
            self._tracks.settle(
                watermark, of.sensor_wait_ms, of.sensor_gate, of.sensor_zone, of.line_um, of.corner_at, of.corner_um
            ),
            self._beams.settle(watermark, of.sensor_wait_ms, of.sensor_pair),
        ]
        passed = np.frombuffer(b"".join(found), np.int64).reshape(-1, _PASSAGE_COLUMNS)
        if len(passed):
            self._passages = np.concatenate([self._passages, self._as_panes(passed)])
        went = np.frombuffer(self._tracks.headings(), np.int64).reshape(-1, _HEADING)
        if len(went):
            cell = went[:, 0] // CELL_MS * CELL_MS
            close = cell + CELL_MS + of.sensor_wait_ms[went[:, 1]] + self.follow.track_ms
            told = np.column_stack([cell, close, went[:, 1:], np.ones_like(cell)])
            self._headings = np.concatenate([self._headings, summed(told, (0, 1, 2, 3, 4), 5)])

    def _as_panes(self, passed: I64) -> I64:
        """Passages (ms, sensor, gate, direction) as rows of the gates' panes; they are no records of their own."""
        tables = self._tables
        ms, sensor, gate, direction = passed.T
        row = np.array(
            [self._row_at.get(key, -1) for key in zip(sensor.tolist(), gate.tolist(), strict=True)], np.int64
        )
        ours = row >= 0
        ms, row, gate, direction = ms[ours], row[ours], gate[ours], direction[ours]
        out = np.zeros((len(ms), PANE_COLUMNS), np.int64)
        leaf = tables.gate_leaf[gate]
        out[:, 0] = tables.zone_clock.floors(ms, leaf)
        out[:, 1] = tables.zone_clock.nexts(ms, leaf) + tables.gate_delay_ms[gate]
        out[:, 2] = row
        out[np.arange(len(ms)), 3 + direction] = 1
        return summed(out, (0, 1, 2), 3)

    def take(self, watermark: int, w: int) -> tuple[I64, I64, I64]:
        """What closes at or before the line ``w``: rows of panes, of stock and of headings (engine/partial.py)."""
        self._settle(watermark)
        done = self._passages[:, 1] <= w
        panes, self._passages = self._passages[done], self._passages[~done]
        done = self._headings[:, 1] <= w
        headings, self._headings = self._headings[done], self._headings[~done]
        return panes, self._take_stock(w), headings

    def _take_stock(self, w: int) -> I64:
        seen = np.frombuffer(self._tracks.take(w), np.int64).reshape(-1, STOCK_COLUMNS - 1)
        told = self._readings.take(w, self._tables, self._plan.sensor_camera)
        out = np.concatenate([self._stock, np.column_stack([seen, np.zeros(len(seen), np.int64)]), told])
        self._stock = out[:0]
        return out

    def switch(self, tables: Tables, watermark: int, w: int) -> None:
        """Let a registry version hold: what is final by then is worked off by the version before."""
        self._settle(watermark)
        self._stock = self._take_stock(w)
        moved = tables.moved(self._tables)
        if moved:
            of_tracks, *of_zones = self._tracks.state()
            self._tracks = self._kernels.Tracks(self.follow.track_ms, (tracks.renamed(of_tracks, moved), *of_zones))
            self._beams = self._kernels.Beams(self.follow.pair_ms, pairs.renamed(self._beams.state(), moved))
        self._use(tables)

    def state(self) -> tuple[Any, ...]:
        """Everything a later ``Space(tables, state)`` needs to go on."""
        rows = (self._passages, self._headings, self._stock)
        return (self._tracks.state(), self._beams.state(), self._readings.state(), *(r.tobytes() for r in rows))


def _row_at(tables: Tables) -> dict[tuple[int, int], int]:
    """Row of a tracker or beam pair at a gate, by its own row and the gate's: of a tracker of all gates another one."""
    following = [(row, s) for row, s in enumerate(tables.sensors) if s.kind in (TRACKER, BEAM_PAIR)]
    by_name = {(s.id, s.gate): row for row, s in following}
    own = {(row, gate): row for row, _ in following if (gate := int(tables.sensor_gate[row])) >= 0}
    every = np.flatnonzero(tables.once("plan", lambda: plan(tables)).sensor_gate == EVERY).tolist()
    for row in every:
        for gate, name in enumerate(tables.gate_ids):
            at = by_name.get((tables.sensors[row].id, name))
            if at is not None:
                own[row, gate] = at
    return own
