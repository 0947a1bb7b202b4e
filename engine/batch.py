"""Payloads -> Events by the active kernel: allocates the columns and lets them grow."""

from __future__ import annotations

from typing import Any

import numpy as np

from engine import kernels
from engine.decode import COLUMNS
from engine.model import AUTO, DIRECTION_COUNT, Events, Payloads


def decode_events(payloads: Payloads, ids: Any, first: int = 0, wire: int = AUTO) -> Events:
    """All rows of ``payloads`` from message ``first`` on; ``ids``: ``Ids`` of the active kernels over the sensors.

    ``wire``: what the messages may be (AUTO, JSON, ARROW). Raises ValueError where the arrays of ``payloads`` do not
    fit together.
    """
    decode = kernels.active().decode
    begun, room = first, len(payloads) - first  # enough for one object a message; arrays and streams need more
    columns = {name: _empty(name, room) for name in COLUMNS}
    filled = 0
    while True:
        free = [column[filled:] for column in columns.values()]
        first, rows = decode(payloads.data, payloads.starts, payloads.ends, payloads.record_ts, ids, *free, first, wire)
        filled += rows
        if first == len(payloads):
            return Events(**{name: column[:filled] for name, column in columns.items()})
        room = max(2 * room + 64, _expected(payloads, begun, first, filled))
        for name, column in columns.items():
            larger = _empty(name, room)
            larger[:filled] = column[:filled]
            columns[name] = larger


def _expected(payloads: Payloads, begun: int, first: int, filled: int) -> int:
    """Rows of all messages, an eighth more than where the rest has as many per byte as those before ``first``."""
    start = int(payloads.starts[begun])
    done, size = (int(payloads.ends[at - 1]) - start for at in (first, len(payloads)))
    return filled * size * 9 // (8 * done) if first > begun and 0 < done <= size else 0


def _empty(name: str, rows: int) -> np.ndarray[Any, Any]:
    return np.empty((rows, DIRECTION_COUNT) if name == "n" else rows, COLUMNS[name])
