"""Which gates are open to whom, and what people do who cannot go on: look for another way out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from loadgen.body import RESTING, TO_DOOR, TO_STOP, Persons
from loadgen.people import AB, BA, DOORS
from loadgen.place import GATES, PLAZAS, ROW, SECTIONS, ZONE_ROW, ZONES

_LINES = tuple(ROW[gate] for gate in ("j2", "j3", "j4"))
_SECTION = np.array([SECTIONS.index(gate.a or gate.b or "c2") for gate in GATES])  # a door's or a plaza gate's
_ALONG = np.array([gate.along for gate in GATES])
_OUTWARDS = np.array([AB if gate.b is None else BA for gate in GATES])
_DOORS = np.array(DOORS)
_STUCK_M_S = 0.4  # who is slower than this and cannot get to their door begins to look round
_LOOKS_S = (10.0, 60.0)  # after so long, at least and at most, they go another way
_HEARS_S = (5.0, 60.0)  # after so long people do what an alarm tells them


class Order(NamedTuple):
    """What happens at a clock time (s).

    what: ``shut``, ``open``, ``only_ab``, ``only_ba``: gates, one way or none. ``alarm``: all who are in those zones,
    and those who rest in plazas that open into them, go to the nearest exit. ``signs``: at the doors it is told what
    is open, so that nobody enters who would not get through; ``no_signs`` takes that back.
    """

    at_s: float
    what: str
    where: tuple[str, ...]


class Control:
    """Gates as they are now, and orders yet to come. ``open`` (gates, directions): who may pass; ``signs``: as told."""

    def __init__(self, orders: Sequence[Order] = ()) -> None:
        self.orders = sorted(orders)
        self.open = np.ones((len(GATES), 3), bool)
        self.reach = np.ones((len(SECTIONS), len(SECTIONS)), bool)  # from section to section
        self.signs = False

    def think(self, rng: np.random.Generator, persons: Persons, clock_s: float) -> NDArray[np.int64]:
        """Carry out what is due at ``clock_s``. Rows of people who have chosen another door to leave by."""
        while self.orders and self.orders[0].at_s <= clock_s:
            self._obey(rng, persons, clock_s, self.orders.pop(0))
        walks = (persons.side < 0) & ((persons.phase == TO_DOOR) | (persons.phase == TO_STOP))
        if not self.open.all():
            stuck = walks & np.isinf(persons.told_s) & (persons.now < _STUCK_M_S) & self._blocked(persons)
            persons.told_s[stuck] = clock_s + rng.uniform(*_LOOKS_S, int(stuck.sum()))
        due = np.flatnonzero(walks & (persons.told_s <= clock_s))
        persons.told_s[due] = np.inf
        return self._turn(persons, due)

    def welcome(self, door: NDArray[np.int64], target: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Who comes in by a door to leave by another (rows of GATES); the others find it shut, or stay away."""
        inside = self.open[door, 1 - _OUTWARDS[door]]
        if not self.signs:
            return inside
        return inside & self.reach[_SECTION[door], _SECTION[target]] & self.open[target, _OUTWARDS[target]]

    def _obey(self, rng: np.random.Generator, persons: Persons, clock_s: float, order: Order) -> None:
        if order.what in ("signs", "no_signs"):
            self.signs = order.what == "signs"
            return
        if order.what == "alarm":
            zones = [ZONE_ROW[zone] for zone in order.where]
            here = (persons.side < 0) & np.isin(_section(persons.along), zones)
            persons.told_s[here] = clock_s + rng.uniform(*_HEARS_S, int(here.sum()))
            resting = (persons.phase == RESTING) & np.isin(_PLAZA_SECTION[persons.side], zones)
            persons.until_s[resting] = clock_s + rng.uniform(*_HEARS_S, int(resting.sum()))
            return
        ways = {"open": (True, True), "shut": (False, False), "only_ab": (True, False), "only_ba": (False, True)}
        for gate in order.where:
            self.open[ROW[gate], [AB, BA]] = ways[order.what]
        for start in range(len(SECTIONS)):
            for end in range(len(SECTIONS)):
                way = AB if start < end else BA
                lines = _LINES[min(start, end) : max(start, end)]
                self.reach[start, end] = all(self.open[line, way] for line in lines)

    def _blocked(self, persons: Persons) -> NDArray[np.bool_]:
        """Who cannot get to where they want to go."""
        to_door = persons.phase == TO_DOOR
        goal = np.where(to_door, _SECTION[persons.target], _PLAZA_SECTION[persons.stop])
        shut = to_door & ~self.open[persons.target, _OUTWARDS[persons.target]]
        return ~self.reach[_section(persons.along), goal] | shut

    def _turn(self, persons: Persons, who: NDArray[np.int64]) -> NDArray[np.int64]:
        """Give people the nearest door that is open to them; the rows of those who have one."""
        if not len(who):
            return who
        doors = self.open[_DOORS, _OUTWARDS[_DOORS]] & self.reach[_section(persons.along[who])][:, _SECTION[_DOORS]]
        far = np.where(doors, np.abs(persons.along[who][:, None] - _ALONG[_DOORS]), np.inf)
        best = far.argmin(axis=1)
        some = np.isfinite(far[np.arange(len(who)), best])
        turned = who[some]
        persons.target[turned], persons.phase[turned] = _DOORS[best[some]], TO_DOOR
        return turned


_PLAZA_SECTION = np.array(
    [
        SECTIONS.index(str(ZONES[ZONE_ROW[plaza.zone]].parent if plaza.gate < 0 else GATES[plaza.gate].a))
        for plaza in PLAZAS
    ]
)


def _section(along: NDArray[np.float64]) -> NDArray[np.int64]:
    return _SECTION_OF[np.clip(along.astype(np.int64), 0, len(_SECTION_OF) - 1)]


_SECTION_OF = np.searchsorted([GATES[row].along for row in _LINES], np.arange(521), side="right")
