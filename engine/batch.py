"""Payloads -> Events by the active kernel: allocates the columns and lets them grow, or uses them again."""

from __future__ import annotations

from typing import Any

import numpy as np

from engine import kernels
from engine.decode import COLUMNS
from engine.model import AUTO, DIRECTION_COUNT, Events, Payloads

CHUNK_ROWS = 8_192  # with the columns of the next stages some 800 kB


def decode_events(payloads: Payloads, ids: Any, wire: int = AUTO) -> Events:
    """All rows of ``payloads``; ``ids``: ``Ids`` of the active kernels over the sensors.

    ``wire``: what the messages may be (AUTO, JSON, ARROW). Raises ValueError where the arrays of ``payloads`` do not
    fit together.
    """
    decode = kernels.active().decode
    room = len(payloads)  # enough for one object a message; arrays and streams need more
    columns = {name: _empty(name, room) for name in COLUMNS}
    first = filled = 0
    while True:
        free = [column[filled:] for column in columns.values()]
        first, rows = decode(payloads.data, payloads.starts, payloads.ends, payloads.record_ts, ids, *free, first, wire)
        filled += rows
        if first == len(payloads):
            return Events(**{name: column[:filled] for name, column in columns.items()})
        room = max(2 * room + 64, _expected(payloads, first, filled))
        for name, column in columns.items():
            larger = _empty(name, room)
            larger[:filled] = column[:filled]
            columns[name] = larger


class Chunks:
    """Events of payloads some thousand at a time, in columns that each chunk writes anew: they stay in the cache."""

    def __init__(self) -> None:
        self._columns = {name: _empty(name, 2 * CHUNK_ROWS) for name in COLUMNS}

    def decode(self, payloads: Payloads, ids: Any, first: int, wire: int) -> tuple[int, Events]:
        """The next message and the rows of those from ``first`` on: at least one message, CHUNK_ROWS rows and more.

        The columns hold until the next call. See ``decode_events``.
        """
        decode = kernels.active().decode
        given = payloads.data, payloads.starts, payloads.ends, payloads.record_ts, ids
        while True:
            behind, rows = decode(*given, *self._columns.values(), first, wire, CHUNK_ROWS)
            if behind > first or first == len(payloads):
                return behind, Events(**{name: column[:rows] for name, column in self._columns.items()})
            larger = 2 * len(self._columns["kind"])  # for one message alone
            self._columns = {name: _empty(name, larger) for name in COLUMNS}


def _expected(payloads: Payloads, first: int, filled: int) -> int:
    """Rows of all messages, an eighth more than where the rest has as many per byte as those before ``first``."""
    start = int(payloads.starts[0])
    done, size = (int(payloads.ends[at - 1]) - start for at in (first, len(payloads)))
    return filled * size * 9 // (8 * done) if first and 0 < done <= size else 0


def _empty(name: str, rows: int) -> np.ndarray[Any, Any]:
    return np.empty((rows, DIRECTION_COUNT) if name == "n" else rows, COLUMNS[name])
