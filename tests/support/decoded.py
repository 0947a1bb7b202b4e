"""What a decoder filled its columns with, in forms that can be compared."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from engine import decode

Columns = list[np.ndarray[Any, Any]]


def room_for(rows: int, fill: int = 0) -> Columns:
    """Columns of so many rows in the order of decode's arguments."""
    return [np.full((rows, 3) if name == "n" else rows, fill, dtype) for name, dtype in decode.COLUMNS.items()]


def listed(columns: Columns, rows: int) -> list[list[Any]]:
    """Each column's first rows; doubles as their bits (so minus zero is not zero and NaN is NaN), 0 without meaning."""
    told = np.isin(columns[0][:rows], decode.PLACED) & (columns[1][:rows] == 0)
    return [
        (np.where(told, c[:rows].view(np.int64), 0) if c.dtype == np.float64 else c[:rows]).tolist() for c in columns
    ]


def rows_in(columns: Columns, rows: int) -> list[tuple[int, decode.Row]]:
    """(message, Row) of the first rows; x and y are 0 where they have no meaning, None where they are NaN."""
    *plain, message = (column[:rows].tolist() for column in columns)
    out = []
    for at, values in zip(message, zip(*plain, strict=True), strict=True):
        row = decode.Row(*values)
        x, y = (row.x, row.y) if row.kind in decode.PLACED and not row.reason else (0.0, 0.0)
        place: Any = [None if math.isnan(v) else v for v in (x, y)]
        out.append((at, row._replace(n=tuple(row.n), x=place[0], y=place[1])))
    return out
