"""Walks of tracked people past gates and through zones: logs in any order, fed to the kernels batch by batch."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from engine import beam, crossing
from engine.fast import _beam, _crossing
from engine.model import CELL_MS, END, NO_TIME, UM

TRACKS = {"reference": crossing.Tracks, "compiled": _crossing.Tracks}
BEAMS = {"reference": beam.Beams, "compiled": _beam.Beams}
TRACK_MS, PAIR_MS, BOUND_MS = 2000, 1500, 5000


class Place(NamedTuple):
    """One tracked point."""

    sensor: int
    ts: int
    track: int
    x: float
    y: float


class Broken(NamedTuple):
    """One beam record: beam 0 = a, 1 = b, -1 = let free."""

    sensor: int
    ts: int
    seq: int | None
    beam: int


class World(NamedTuple):
    """Gates (x0, y0, x1, y1), polygons of zones, and what each sensor serves and how long it may take."""

    gates: list[tuple[float, float, float, float]]
    polygons: list[list[tuple[float, float]]]
    sensor_gate: list[int]
    sensor_zone: list[int]
    wait_ms: list[int]

    def plan(self) -> tuple[Any, ...]:
        """The arguments of ``settle`` behind the watermark."""
        corners = [corner for polygon in self.polygons for corner in polygon]
        return (
            np.array(self.wait_ms, np.int64),
            np.array(self.sensor_gate, np.int32),
            np.array(self.sensor_zone, np.int32),
            np.rint(np.array(self.gates, np.float64).reshape(-1, 4) * UM).astype(np.int64),
            np.cumsum([0, *map(len, self.polygons)]).astype(np.int32),
            np.rint(np.array(corners, np.float64).reshape(-1, 2) * UM).astype(np.int64),
        )


class Feed:
    """What a partition does around its kernels: judges late and repeated records by W, then works off up to W.

    ``kernel``: Tracks or Beams of one way; ``plan``: what its ``settle`` takes behind the watermark.
    """

    def __init__(
        self, kernel: Any, plan: tuple[Any, ...], bound_ms: int = BOUND_MS, longest_ms: int = TRACK_MS
    ) -> None:
        self.kernel, self._plan, self._bound_ms, self._longest_ms = kernel, plan, bound_ms, longest_ms
        self.watermark = NO_TIME
        self.passages: list[list[int]] = []
        self.zones: dict[tuple[int, int, int], list[int]] = {}
        self.headings: list[list[int]] = []
        self.reasons: list[str] = []  # of every record so far: "", late, duplicate

    def take(self, log: list[Place] | list[Broken]) -> None:
        """Feed one batch; ``late`` are records that W has passed, their wait added."""
        sensor, ts = (np.array([r[i] for r in log], t) for i, t in ((0, np.int32), (1, np.int64)))
        columns, repeat = (sensor, ts, *_columns(log)), np.zeros(len(log), np.uint8)
        rows = np.arange(len(log), dtype=np.int64)
        self.kernel.add(rows, *columns, repeat)
        late = []
        for i, at in enumerate(ts.tolist()):
            if at + int(self._plan[0][sensor[i]]) < self.watermark:
                self.reasons.append("late")
                if not repeat[i]:
                    late.append(i)
            elif repeat[i]:
                self.reasons.append("duplicate")
            else:
                self.reasons.append("")
                self.watermark = max(self.watermark, at - self._bound_ms)
        dropped = columns if isinstance(self.kernel, tuple(BEAMS.values())) else columns[:3]
        self.kernel.drop(np.array(late, np.int64), *dropped)
        self.work_off(self.watermark)

    def work_off(self, watermark: int) -> None:
        """Settle up to a watermark, and take the zones of the panes that close with it."""
        found = np.frombuffer(self.kernel.settle(watermark, *self._plan), np.int64).reshape(-1, 4).tolist()
        self.passages += found
        if hasattr(self.kernel, "take"):
            self.headings += rows_of(self.kernel.headings(), 4)
            for pane, close, sensor, zone, *sums in rows_of(self.kernel.take(watermark), 7):
                assert (pane, sensor, zone) not in self.zones, "a pane is taken once, whole"
                assert close == pane + CELL_MS + int(self._plan[0][sensor]) + self._longest_ms
                self.zones[pane, sensor, zone] = sums

    def closes(self, told: list[int]) -> int:
        """The watermark at which the 10 s pane of a passage or heading closes."""
        ms, sensor, *_ = told
        return ms // CELL_MS * CELL_MS + CELL_MS + int(self._plan[0][sensor]) + self._longest_ms

    def finish(self) -> tuple[list[list[int]], dict[tuple[int, int, int], list[int]]]:
        """End the log; all passages in order and everything counted in zones."""
        self.work_off(END)
        return sorted(self.passages), self.zones


def _columns(log: list[Place] | list[Broken]) -> tuple[Any, ...]:
    if log and isinstance(log[0], Broken):
        n = np.zeros((len(log), 3), np.int64)
        for i, record in enumerate(log):
            if record[3] >= 0:
                n[i, record[3]] = 1
        seq = np.array([r[2] or 0 for r in log], np.int64)
        return seq, np.array([r[2] is not None for r in log], np.uint8), n
    track = np.array([r[2] for r in log], np.int64)
    return track, *(np.array([r[i] for r in log], np.float64) for i in (3, 4))


def rows_of(packed: bytes, width: int) -> list[list[int]]:
    """Packed rows, as they come."""
    return np.frombuffer(packed, np.int64).reshape(-1, width).tolist()
