"""Columns of the people who are in the walkway."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from loadgen.people import Coming

# What somebody is about: on the way to a plaza, in it and on the way to their spot, resting there, on the way back to
# the walkway, on the way to their door; and gone, until the step has ended.
TO_STOP, INSIDE, RESTING, LEAVING, TO_DOOR, GONE = range(6)
_FLOATS = ("along", "across", "speed", "now", "lane", "aim_along", "aim_across", "rest_s", "until_s", "told_s")
_WHOLE = ("number", "target", "stop", "side", "phase")


class Persons:
    """One row each (n,).

    along, across (m): where they are; speed: m/s when nothing is in the way; now: m/s of the last step; lane (m
    across): where they walk; aim: what they walk to; rest_s, until_s: how long and until when they rest; told_s: when
    they will look for another way out; number: their own; target: row of the door they want to leave by; stop: row of
    the plaza they want to rest in, -1 = none; side: row of the plaza they are in, -1 = in the walkway; phase.
    """

    along: NDArray[np.float64]
    across: NDArray[np.float64]
    speed: NDArray[np.float64]
    now: NDArray[np.float64]
    lane: NDArray[np.float64]
    aim_along: NDArray[np.float64]
    aim_across: NDArray[np.float64]
    rest_s: NDArray[np.float64]
    until_s: NDArray[np.float64]
    told_s: NDArray[np.float64]
    number: NDArray[np.int64]
    target: NDArray[np.int64]
    stop: NDArray[np.int64]
    side: NDArray[np.int64]
    phase: NDArray[np.int64]

    def __init__(self) -> None:
        for name in _FLOATS:
            setattr(self, name, np.empty(0))
        for name in _WHOLE:
            setattr(self, name, np.empty(0, np.int64))
        self.numbered = 0

    def __len__(self) -> int:
        return len(self.number)

    def keep(self, rows: NDArray[np.bool_]) -> None:
        """Forget all others."""
        if not rows.all():
            for name in (*_FLOATS, *_WHOLE):
                setattr(self, name, getattr(self, name)[rows])

    def append(self, new: Coming, place: NDArray[np.float64]) -> NDArray[np.int64]:
        """Add people at places (n, 2: along, across); their numbers. Their aim is not set."""
        many = len(new.enter_s)
        numbers = np.arange(self.numbered, self.numbered + many)
        self.numbered += many
        if not many:
            return numbers
        zeros, never = np.zeros(many), np.full(many, np.inf)
        columns = {
            "along": place[:, 0],
            "across": place[:, 1],
            "speed": new.speed,
            "now": zeros,
            "lane": new.lane,
            "aim_along": zeros,
            "aim_across": zeros,
            "rest_s": new.rest_s,
            "until_s": never,
            "told_s": never,
            "number": numbers,
            "target": new.target,
            "stop": new.stop,
            "side": np.full(many, -1),
            "phase": np.where(new.stop >= 0, TO_STOP, TO_DOOR),
        }
        for name, column in columns.items():
            setattr(self, name, np.concatenate([getattr(self, name), column]))
        return numbers
