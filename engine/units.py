"""Units of insertion: a live run's rows in parcels that are a function of the logs.

Rows close at lines of the 10 s grid: end + delay of a window, or of the pane that ends a run, rounded up. However the
logs were cut into batches and however often a run was killed, all rows of a shard with one line come together, in one
order, under one name. So an insert that is repeated after a kill is the same insert, and the store knows its token::

    W told     ──────▶ 20 ────────────▶ 50             one step over three lines
    closed            |20|   |30| |40| |50|             line by line
    units            07/20  07/30      07/50            none for a line without rows
"""

from __future__ import annotations

from engine.model import CELL_MS, END


def line(close_ms: int) -> int:
    """The line at which something that closes at ``close_ms`` comes out; watermarks are told on this grid only."""
    return close_ms if close_ms == END else -(-close_ms // CELL_MS) * CELL_MS


def name(shard: int, line_ms: int) -> str:
    """Name of a shard's unit."""
    return f"{shard:02d}/{line_ms}"


def name_of_all(line_ms: int) -> str:
    """Name of the unit in which the shards meet."""
    return f"all/{line_ms}"
