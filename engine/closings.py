"""Closing hours of zones as spans of time.

``closed`` tells local times; a span begins where the clock first shows ``from`` and ends where it first shows ``to``
after that. Spans that meet are one. With from > to the span goes over midnight::

    from 22:00 to 05:44      |■■■■■■|                |■■■■■■|
                           22:00  05:44            22:00  05:44
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from engine.model import DAY, END, LENGTH_MS
from engine.rows import joined
from engine.timezone import TimeZone

_DAY_MS, _MINUTE_MS = LENGTH_MS[DAY], 60_000
NEVER = (END, END)


def next_closing(clock: TimeZone, closed: Sequence[tuple[int, int]], at_ms: int) -> tuple[int, int]:
    """The first closing (from, to) in ms that ends at or after ``at_ms``; NEVER where there is none.

    ``closed``: (from, to) in minutes of the local day. A zone that is always closed never ends to be.
    """
    today = clock.local(at_ms) // _DAY_MS
    spans = []
    for day in range(today - 2, today + 4):
        for start, end in closed:
            first = clock.first_at(day * _DAY_MS + start * _MINUTE_MS)
            last = clock.first_at((day + (end < start)) * _DAY_MS + end * _MINUTE_MS)
            if first < last:  # else the clock leaps over all of it
                spans.append((first, last))
    whole = joined(np.array(spans, np.int64).reshape(-1, 2), 0).tolist()
    return next(((first, last) for first, last in whole if last >= at_ms and last - first < 2 * _DAY_MS), NEVER)
