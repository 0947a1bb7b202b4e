"""What readings by points and cameras tell of zones in one window: released already (engine/stock.py)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from engine.model import F64, I64, NULL_INT
from engine.readers import Flags


@dataclass(frozen=True, slots=True)
class Reading:
    """What is published of zones (n,) by readings in one window; NaN and NULL_INT where not known.

    ``version``: place among the run's switches. ``low``, ``high``: people, means over the panes told; ``most``: fewer
    than that many, for those who must not take a range for free; ``gone``: fewer than that many were there, and nothing
    tells yet that they left (0: none); ``few``: as few as make one class. ``speed`` (m/s); ``sure``: whether few people
    may be taken for few. ``covered``, ``expected`` (ms); ``blind``: a sensor cannot tell its coverage.
    """

    version: int
    code: int
    start_ms: int
    end_ms: int
    zones: I64
    low: F64
    high: F64
    most: F64
    gone: F64
    few: Flags
    speed: F64
    sure: Flags
    error: I64
    covered: I64
    expected: I64
    blind: Flags

    @property
    def unknown(self) -> Flags:
        """Where nothing was told."""
        return np.isnan(self.low)


def of_zones(readings: Sequence[Reading], zones: I64, version: int, code: int, start_ms: int, end_ms: int) -> Reading:
    """What was read of ``zones`` (n,) in one window, from readings of other zones each; not known of the rest."""
    nan, none, zero = np.full(len(zones), np.nan), np.zeros(len(zones), np.bool_), np.zeros(len(zones), np.int64)
    empty: dict[str, Any] = {
        "low": nan, "high": nan, "most": nan, "gone": 0.0 * zero, "few": none, "speed": nan, "sure": none,
        "error": zero + NULL_INT, "covered": zero, "expected": zero, "blind": none,
    }  # fmt: skip
    out = Reading(version, code, start_ms, end_ms, zones, **{name: column.copy() for name, column in empty.items()})
    for read in readings:
        mine = np.isin(zones, read.zones)
        at = np.searchsorted(read.zones, zones[mine])
        for name in empty:
            getattr(out, name)[mine] = getattr(read, name)[at]
    return out


def together(readings: Sequence[Reading]) -> Reading:
    """Figures of several windows (at least one), one behind the other; the window told is the first."""
    columns = [name for name in Reading.__slots__ if isinstance(getattr(readings[0], name), np.ndarray)]
    figures: dict[str, Any] = {name: np.concatenate([getattr(read, name) for read in readings]) for name in columns}
    return replace(readings[0], **figures)
