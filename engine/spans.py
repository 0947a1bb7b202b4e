"""Windows that touch spans of activity, one length after the other: which have closed, and which comes next."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping

import numpy as np

from engine.model import END, I64
from engine.timezone import TimeZone


def closed(clock: TimeZone, next_: MutableMapping[int, int], code: int, until: int, spans: I64) -> tuple[I64, I64]:
    """Windows (starts, ends) of one length that end at or before ``until``, touch a span and have not been given yet.

    ``spans`` (s, 2): first and last active cell (ms), ascending; ``next_``: by code the start of the first window not
    given yet; it is moved on.
    """
    parts = []
    for first, last in spans.tolist():
        next_[code] = max(next_[code], int(clock.floor(np.array([first], np.int64), code)[0]))
        stop = int(clock.next(np.array([last], np.int64), code)[0])
        if next_[code] < min(stop, until):
            edges = clock.edges(next_[code], min(stop, until), code)
            edges = edges[edges <= until]
            parts.append((edges[:-1], edges[1:]))
            next_[code] = int(edges[-1])
        if next_[code] < stop:
            break  # the rest of this span comes first, later
    if not parts:
        return np.empty(0, np.int64), np.empty(0, np.int64)
    return np.concatenate([p[0] for p in parts]), np.concatenate([p[1] for p in parts])


def due(clock: TimeZone, next_: Mapping[int, int], spans: I64) -> int:
    """The end of the next window of ``spans`` that ``closed`` will give; END where it has given all of them."""
    ends = []
    for code, start in next_.items():
        starts = np.maximum(clock.floor(spans[:, 0], code), start)
        left = starts[starts < clock.next(spans[:, 1], code)]
        if len(left):
            ends.append(int(clock.next(left[:1], code)[0]))
    return min(ends, default=END)
