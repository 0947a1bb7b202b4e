"""Expected sensor time of gates and zones: what coverage is measured against."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from engine.model import END, I64, ON_CHANGE, TS_MAX, TS_MIN
from engine.rows import joined
from engine.served import Served
from engine.tables import Tables

_EDGE_MS = 86_400_000  # approvals beyond all event times are cut to this far outside of them


class Expected:
    """Sensor time to expect of some places, as a function of the registry and of windows alone.

    A sensor is expected in every pane (a window of length ``leaf``) at whose start it is approved. Sensors of one place
    add up; those that share a ``group`` count as one. ``on_change`` sensors tell nothing while nothing happens, so
    nothing is expected of them.
    """

    def __init__(self, tables: Tables, of: Iterable[Served], places: int, leaf: int) -> None:
        self.places = places
        lanes: dict[tuple[int, str], list[tuple[int, int]]] = {}
        silent: list[tuple[int, int, int]] = []
        for place, row, sensor in of:
            spans = [_rounded(tables, leaf, *span) for span in sensor.approved]
            if sensor.reporting == ON_CHANGE:
                silent += [(place, *span) for span in spans]
            else:
                name = f"group {sensor.group}" if sensor.group else f"sensor {row}"
                lanes.setdefault((place, name), []).extend(spans)
        told = [
            (place, start, end)
            for (place, _), spans in lanes.items()
            for start, end in joined(np.array(spans, np.int64).reshape(-1, 2), 0).tolist()
            if start < end
        ]
        self._told, self._silent = _Spans(told, places), _Spans(silent, places)

    def over(self, starts: I64, ends: I64) -> tuple[I64, NDArray[np.bool_]]:
        """For windows [starts, ends) (w,): expected sensor time in ms (w, places); where on_change sensors stood."""
        return self._told.over(starts, ends), self._silent.over(starts, ends) > 0

    def coverage(self, covered: I64, starts: I64, ends: I64) -> tuple[NDArray[np.float64], I64]:
        """Coverage (w, places): covered ÷ expected, NaN where only on_change sensors tell; and the expected ms.

        0 where a sensor that reports was silent and no on_change sensor stood beside it, and where no sensor was
        approved at all: nobody watched.
        """
        expected, silent = self.over(starts, ends)
        share = np.minimum(covered, expected) / np.maximum(expected, 1)
        return np.where(silent & (share == 0), np.nan, share), expected


class _Spans:
    """Spans (place, from, to) summed over windows per place."""

    def __init__(self, rows: list[tuple[int, int, int]], places: int) -> None:
        table = np.array(sorted(rows), np.int64).reshape(-1, 3)
        self.place, self.start, self.end = table.T
        self.places = places
        self.heads = np.flatnonzero(np.append(True, np.diff(self.place) != 0)) if len(table) else np.empty(0, np.int64)

    def over(self, starts: I64, ends: I64) -> I64:
        out = np.zeros((len(starts), self.places), np.int64)
        if not len(self.place) or not len(starts):
            return out
        low, high = starts.min(), ends.max()
        inside = ((self.start > low) & (self.start < high)) | ((self.end > low) & (self.end < high))
        if not inside.any():  # nothing begins or ends among the windows: every span holds all of them or none
            lanes = np.bincount(self.place[(self.start <= low) & (self.end >= high)], minlength=self.places)
            return (ends - starts)[:, None] * lanes[None, :]
        part = np.minimum(ends[:, None], self.end) - np.maximum(starts[:, None], self.start)
        out[:, self.place[self.heads]] = np.add.reduceat(np.maximum(part, 0), self.heads, axis=1)
        return out


def _rounded(tables: Tables, leaf: int, start: int, end: int) -> tuple[int, int]:
    """An approval as the panes it holds: those whose start lies in [start, end)."""
    start, end = max(start, TS_MIN - _EDGE_MS), min(end, TS_MAX + _EDGE_MS) if end != END else END
    edges = np.array([start, min(end, TS_MAX + _EDGE_MS)], np.int64)
    floor = tables.zone_clock.floor(edges, leaf)
    up = np.where(floor == edges, edges, tables.zone_clock.next(edges, leaf))
    return int(up[0]), END if end == END else int(up[1])
