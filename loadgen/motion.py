"""What a step of the crowd tells: who passed which line, and everybody's way; and how fast people walk.

U. Weidmann, Transporttechnik der Fussgänger, ETH Zürich 1993: v = 1.34 (1 - exp(-1.913 (1/density - 1/5.4))) m/s.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from loadgen.people import FREE_SPEED_M_S

STEP_S = 2.0


class Passed(NamedTuple):
    """Passages of a step, one row each: when (share of the step), gate, direction, where along the line (0 to 1)."""

    share: NDArray[np.float64]
    gate: NDArray[np.int64]
    direction: NDArray[np.int64]
    lane: NDArray[np.float64]
    speed: NDArray[np.float64]


class Path(NamedTuple):
    """Ways of a step: from ``start`` at its beginning by ``knee`` at a share ``bend`` of it to ``end`` at its end.

    Each place is (n, 2): along, across. ``person``: a number that is their own.
    """

    person: NDArray[np.int64]
    start: NDArray[np.float64]
    bend: NDArray[np.float64]
    knee: NDArray[np.float64]
    end: NDArray[np.float64]


def walking_speed(density: NDArray[np.float64]) -> NDArray[np.float64]:
    """Weidmann's speed (m/s) at densities (persons/m²), any shape; 0 from 5.4 on."""
    packed = np.maximum(density, 1e-9)
    return FREE_SPEED_M_S * np.maximum(1.0 - np.exp(-1.913 * (1.0 / packed - 1.0 / 5.4)), 0.0)


def rank(groups: NDArray[np.int64]) -> NDArray[np.int64]:
    """0, 1, 2, … within each run of equal numbers."""
    if not len(groups):
        return np.empty(0, np.int64)
    at = np.arange(len(groups))
    begins = np.zeros(len(groups), np.int64)
    begins[1:] = np.where(groups[1:] != groups[:-1], at[1:], 0)
    return at - np.maximum.accumulate(begins)
