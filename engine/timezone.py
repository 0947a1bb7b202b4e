"""Edges of windows: fixed lengths by the epoch, 1h and 1d by the clock of the registry's time zone.

1h edges: every instant whose local minute is 0, and every change of the zone's offset.
1d edges: the first instant of each local date. So a day has 23, 24 or 25 hours where the clocks change, a repeated
hour is two windows, and a date that a zone skipped has none.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import cache, lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np

from engine.errors import BadInput
from engine.model import DAY, HOUR, I8, I64, LENGTH_MS, TS_MAX, TS_MIN, WINDOWS

_MS = timedelta(milliseconds=1)
_STEP_S = 86_400  # no zone has changed its offset twice within a day
_H, _D = LENGTH_MS[HOUR], LENGTH_MS[DAY]


class TimeZone:
    """Changes of offset of one zone, and the window edges that follow from them.

    ``changes`` (m,): instants (ms) from which ``offsets[i]`` (ms east of UTC) holds; changes[0] lies before all
    event times. Raises BadInput for a name that the tz database does not know.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        changes, offsets = _offset_changes(name)
        self.changes = np.array(changes, np.int64)
        self.offsets = np.array(offsets, np.int64)

    def floor(self, times: I64, code: int) -> I64:
        """Start of the window of length WINDOWS[code] that holds each time (ms); same shape as ``times``."""
        if code < HOUR:
            length = LENGTH_MS[code]
            return times - times % length
        if code == HOUR:
            piece = np.searchsorted(self.changes, times, side="right") - 1
            offset = self.offsets[piece]
            return np.asarray(np.maximum(self.changes[piece], (times + offset) // _H * _H - offset), np.int64)
        return self._by_day(times, 0)

    def next(self, starts: I64, code: int) -> I64:
        """End of the window of length WINDOWS[code] that holds each time (ms); same shape as ``starts``."""
        if code < HOUR:
            length = LENGTH_MS[code]
            return starts - starts % length + length
        if code == HOUR:
            piece = np.searchsorted(self.changes, starts, side="right") - 1
            offset = self.offsets[piece]
            ends = (starts + offset) // _H * _H - offset + _H
            later = np.append(self.changes[1:], np.int64(2**62))[piece]
            return np.asarray(np.minimum(ends, later), np.int64)
        return self._by_day(starts, 1)

    def floors(self, times: I64, codes: I8) -> I64:
        """``floor`` of times (m,), each by a window length of its own (m,)."""
        return self._each(self.floor, times, codes)

    def nexts(self, starts: I64, codes: I8) -> I64:
        """``next`` of times (m,), each by a window length of its own (m,)."""
        return self._each(self.next, starts, codes)

    def _each(self, edge: Callable[[I64, int], I64], times: I64, codes: I8) -> I64:
        out = np.empty(len(times), np.int64)
        for code in np.unique(codes).tolist():
            mine = codes == code
            out[mine] = edge(times[mine], code)
        return out

    def edges(self, start_ms: int, end_ms: int, code: int) -> I64:
        """Window edges from the window holding ``start_ms`` to the first edge ≥ ``end_ms``, ascending."""
        if code < HOUR:
            length = LENGTH_MS[code]
            first = start_ms - start_ms % length
            return np.arange(first, end_ms + length, length, dtype=np.int64)[: -(-(end_ms - first) // length) + 1]
        edge = int(self.floor(np.array([start_ms], np.int64), code)[0])
        out = [edge]
        while edge < end_ms:
            edge = int(self.next(np.array([edge], np.int64), code)[0])
            out.append(edge)
        return np.array(out, np.int64)

    def holding(self, ms: int) -> dict[str, int]:
        """Window label → start (ms) of the window that holds an instant: the first that has not ended by then."""
        at = np.array([min(max(ms, TS_MIN), TS_MAX)], np.int64)
        return {label: int(self.floor(at, code)[0]) for code, label in enumerate(WINDOWS)}

    def first_at(self, local_ms: int) -> int:
        """The first instant (ms) whose local clock shows ``local_ms`` (ms since 1970-01-01 00:00 of the clock) or more.

        A time that the clock shows twice is meant the first time; one that it leaps over is where it goes on.
        """
        ends = np.append(self.changes[1:], np.int64(2**62))
        at = np.maximum(self.changes, local_ms - self.offsets)
        return int(at[at < ends].min())

    def local(self, ms: int) -> int:
        """What the local clock shows at an instant (ms), in ms since 1970-01-01 00:00 of the clock."""
        return ms + int(self.offsets[np.searchsorted(self.changes, ms, side="right") - 1])

    def _by_day(self, times: I64, which: int) -> I64:
        piece = np.searchsorted(self.changes, times, side="right") - 1
        dates, place = np.unique((times + self.offsets[piece]) // _D, return_inverse=True)
        out = np.empty(len(times), np.int64)
        for number, date in enumerate(dates.tolist()):
            mine = np.flatnonzero(place == number)
            # where a zone went back over midnight, the end of a date repeats after the next date has begun
            edges = np.array([e for e in (_date_edge(self.name, date + d) for d in range(-2, 4)) if e is not None])
            holding = np.searchsorted(edges, times[mine], side="right") - 1
            out[mine] = edges[holding + which]
        return out


@lru_cache(maxsize=4096)
def _date_edge(name: str, date: int) -> int | None:
    """First instant (ms) whose local date is ``date`` (days since 1970-01-01), None for a date that was skipped."""
    changes, offsets = _offset_changes(name)
    for i, offset in enumerate(offsets):
        until = changes[i + 1] if i + 1 < len(changes) else 2**62
        at = max(changes[i], date * _D - offset)
        if at < until and (at + offset) // _D == date:
            return at
    return None


@cache
def _offset_changes(name: str) -> tuple[list[int], list[int]]:
    try:
        zone = ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise BadInput("registry: unknown timezone") from None

    def offset_at(second: int) -> timedelta | None:
        return datetime.fromtimestamp(second, zone).utcoffset()

    # a hundred thousand days at every start of every process: compared as they come, told in ms where they differ
    first = (TS_MIN - 400 * _D) // 1000
    changes, offsets = [first], [offset_at(first)]
    for low in range(first, (TS_MAX + 400 * _D) // 1000, _STEP_S):
        high = low + _STEP_S
        if (after := offset_at(high)) == offsets[-1]:
            continue
        lo, hi = low, high  # offsets change at whole seconds
        while hi - lo > 1:
            middle = (lo + hi) // 2
            lo, hi = (middle, hi) if offset_at(middle) == offsets[-1] else (lo, middle)
        changes.append(hi)
        offsets.append(after)
    return [second * 1000 for second in changes], [offset // _MS for offset in offsets if offset is not None]
