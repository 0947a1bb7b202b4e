"""Expected sensor time of gates: what coverage is measured against."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engine.model import END, I64, ON_CHANGE, TS_MAX, TS_MIN
from engine.rows import joined
from engine.tables import Tables

_EDGE_MS = 86_400_000  # approvals beyond all event times are cut to this far outside of them


class Expected:
    """Sensor time to expect of some gates, as a function of the registry and of windows alone.

    A sensor is expected in every pane at whose start it is approved. Sensors of one gate add up; those that share a
    ``group`` count as one. ``on_change`` sensors tell nothing while nothing happens, so nothing is expected of them.
    """

    def __init__(self, tables: Tables, gates: list[int], leaf: int) -> None:
        self.gates = len(gates)
        local = {g: i for i, g in enumerate(gates)}
        lanes: dict[tuple[int, str], list[tuple[int, int]]] = {}
        silent: list[tuple[int, int, int]] = []
        for row, sensor in zip(tables.standing_row, tables.standing, strict=True):
            gate = local.get(int(tables.sensor_gate[row]))
            if gate is None:
                continue
            spans = [_rounded(tables, leaf, *span) for span in sensor.approved]
            if sensor.reporting == ON_CHANGE:
                silent += [(gate, *span) for span in spans]
            else:
                name = f"group {sensor.group}" if sensor.group else f"sensor {row}"
                lanes.setdefault((gate, name), []).extend(spans)
        told = [
            (gate, start, end)
            for (gate, _), spans in lanes.items()
            for start, end in joined(np.array(spans, np.int64).reshape(-1, 2), 0).tolist()
            if start < end
        ]
        self._told, self._silent = _Spans(told, self.gates), _Spans(silent, self.gates)

    def over(self, starts: I64, ends: I64) -> tuple[I64, NDArray[np.bool_]]:
        """For windows [starts, ends) (w,): expected sensor time in ms (w, gates), and where on_change sensors stood."""
        return self._told.over(starts, ends), self._silent.over(starts, ends) > 0

    def coverage(self, covered: I64, starts: I64, ends: I64) -> tuple[NDArray[np.float64], I64]:
        """Coverage (w, gates): covered ÷ expected, NaN where only on_change sensors tell; and the expected ms.

        0 where a sensor that reports was silent and no on_change sensor stood beside it, and where no sensor was
        approved at all: nobody watched.
        """
        expected, silent = self.over(starts, ends)
        share = np.minimum(covered, expected) / np.maximum(expected, 1)
        return np.where(silent & (share == 0), np.nan, share), expected


class _Spans:
    """Spans (gate, from, to) summed over windows per gate."""

    def __init__(self, rows: list[tuple[int, int, int]], gates: int) -> None:
        table = np.array(sorted(rows), np.int64).reshape(-1, 3)
        self.gate, self.start, self.end = table.T
        self.gates = gates
        self.heads = np.flatnonzero(np.append(True, np.diff(self.gate) != 0)) if len(table) else np.empty(0, np.int64)

    def over(self, starts: I64, ends: I64) -> I64:
        out = np.zeros((len(starts), self.gates), np.int64)
        if not len(self.gate) or not len(starts):
            return out
        low, high = starts.min(), ends.max()
        inside = ((self.start > low) & (self.start < high)) | ((self.end > low) & (self.end < high))
        if not inside.any():  # nothing begins or ends among the windows: every span holds all of them or none
            lanes = np.bincount(self.gate[(self.start <= low) & (self.end >= high)], minlength=self.gates)
            return (ends - starts)[:, None] * lanes[None, :]
        part = np.minimum(ends[:, None], self.end) - np.maximum(starts[:, None], self.start)
        out[:, self.gate[self.heads]] = np.add.reduceat(np.maximum(part, 0), self.heads, axis=1)
        return out


def _rounded(tables: Tables, leaf: int, start: int, end: int) -> tuple[int, int]:
    """An approval as the panes it holds: those whose start lies in [start, end)."""
    start, end = max(start, TS_MIN - _EDGE_MS), min(end, TS_MAX + _EDGE_MS) if end != END else END
    edges = np.array([start, min(end, TS_MAX + _EDGE_MS)], np.int64)
    floor = tables.zone_clock.floor(edges, leaf)
    up = np.where(floor == edges, edges, tables.zone_clock.next(edges, leaf))
    return int(up[0]), END if end == END else int(up[1])
