"""Units of insertion: a live run's rows in parcels that are a function of the logs.

Rows close at lines of the 10 s grid: end + delay of a window, or of the pane that ends a run, rounded up. However the
logs were cut into batches and however often a run was killed, all rows of a shard with one line come together, in one
order, under one name. So an insert that is repeated after a kill is the same insert, and the store knows its token::

    W told     ──────▶ 20 ────────────▶ 50             one step over three lines
    closed            |20|   |30| |40| |50|             line by line
    units            07/20  07/30      07/50            none for a line without rows
"""

from __future__ import annotations

import numpy as np

from engine.model import CELL_MS, END, I64, NO_TIME
from engine.rows import joined


def line(close_ms: int) -> int:
    """The line at which something that closes at ``close_ms`` comes out; watermarks are told on this grid only."""
    return close_ms if close_ms == END else -(-close_ms // CELL_MS) * CELL_MS


def passed(w: int) -> int:
    """The line of the 10 s grid at or before a watermark; NO_TIME and END stay what they are."""
    return w if w in (NO_TIME, END) else w - w % CELL_MS


def name(shard: int, line_ms: int) -> str:
    """Name of a shard's unit."""
    return f"{shard:02d}/{line_ms}"


def name_of_all(line_ms: int) -> str:
    """Name of the unit in which the shards meet."""
    return f"all/{line_ms}"


def lines_of_windows(starts: I64, ends: I64, delay_ms: int, known: I64, news: I64) -> I64:
    """The lines (w,) at which windows [starts, ends) come out that a step closes, had it gone line by line.

    ``known``, ``news`` (s, 2): spans of first and last active cell (ms), those of earlier steps and of this one. A
    window has rows where it touches activity; one between two spans has them as soon as the second is known, at the
    end of its first cell.
    """
    closed = -(-(ends + delay_ms) // CELL_MS) * CELL_MS
    news = joined(news, CELL_MS)
    behind = np.append(news[:, 1], END)  # of each span of news its last cell; after them there is nothing
    first = np.append(news[:, 0], NO_TIME)
    place = np.searchsorted(behind, starts)
    cell = np.maximum(first[place], -(-starts // CELL_MS) * CELL_MS)  # the first active one at or after the start
    told = (known[None, :, 0] < ends[:, None]) & (starts[:, None] <= known[None, :, 1])
    late = (place < len(news)) & ~told.any(axis=1)
    return np.where(late, np.maximum(closed, cell + CELL_MS), closed)
