"""Occupancy of zones from the bounds of their gates: arithmetic on released runs, registry and operators' words.

Since an anchor, an instant at which the number of people is known, as many are inside as then, plus who came in, less
who went out. Of each chain the bounds of everybody counted up to then are known at both ends, so its passages between
them are known as in any row (release.window_row), however long ago the anchor is: the range grows with the gates, not
with time::

    N(t) = N(anchor) + Σ in (anchor, t] − Σ out (anchor, t]       each passage a range of at most 2(K−1) wide

What grows with time is the sensors' error, told beside the range. Nothing is clipped: a range may reach below 0.

An anchor is
- a ``set`` record (engine/sets.py), at its instant;
- the end of closing hours (nobody inside), at the last window edge that is not behind it. Not of a shelter, not after a
  ``set`` of that night, not where a gate was unseen in the day before it, and not where people have stayed: where in
  some stretch of windows up to then certainly more came in than went out, sensors' errors allowed.

Then the people counted beyond those who are there are the drift. A window in which one of the gates is unknown, or in
which no sensor at all was heard, makes the count unknown until the next anchor: who passed unseen is in no sum.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.closings import next_closing
from engine.model import DIRECTION_COUNT, F64, GAP_MS, I64, NO_TIME, NULL_INT
from engine.sets import Given
from engine.tables import Tables, longest_delay_ms

Flags = NDArray[np.bool_]
NULL = NO_TIME  # of numbers of people that may be negative
IN, OUT, UNDIRECTED = 0, 1, 2  # columns of a side's bounds
ASSUMED_ERROR = 0.1  # of sensors that tell none, where it is decided whether people have stayed
ALLOWED = 5  # people that errors of few passages make beside what is in proportion to them
_BEFORE_MS = 60_000  # a set may come so long before the first window: sensors are first heard one after the other
_DAY_MS = 86_400_000
_LAYOUTS = 100  # most that are kept


@dataclass(frozen=True, slots=True)
class Told:
    """What gates (G,) told of one window.

    Bounds (G, 3) of all counted up to its end, the lower bounds (G, 3) of those in it, sensor time in ms (G,).
    """

    low: I64
    high: I64
    least: I64
    covered: I64
    expected: I64


@dataclass(frozen=True, slots=True)
class Held:
    """People in zones (n,) at a window's end; NULL where not known.

    ``low``, ``high``: as counted since the anchor; ``error`` (NULL_INT = not known): how far the sensors may be wrong,
    either way; ``drift_low``, ``drift_high``: people counted at the newest anchor beyond those who were there.
    """

    low: I64
    high: I64
    error: I64
    drift_low: I64
    drift_high: I64


def unknown(n: int) -> Held:
    """Zones (n,) of which nothing is known."""
    null = [np.full(n, NULL, np.int64) for _ in range(4)]
    return Held(null[0], null[1], np.full(n, NULL_INT, np.int64), null[2], null[3])


class Occupancy:
    """The count of every zone, window after window in order of their ends, of one end the shorter ones first.

    A zone's finest windows move its count on; longer windows are told what holds at their end. A *side* is a gate seen
    from a zone: number 2 × gate row for zone a, + 1 for zone b. A gate with one zone on both sides has none.
    """

    _ZONES = ("end", "anchor", "people", "unseen", "set", "drift_low", "drift_high", "version")
    _SIDES = ("base_low", "base_high", "now_low", "now_high")

    def __init__(self) -> None:
        # zones: end of the newest window, the anchor and the people then, end of the newest unseen time, newest set
        self._z = {name: np.empty(0, np.int64) for name in self._ZONES}
        self._begun: Flags = np.empty(0, np.bool_)  # every gate has been seen at once
        self._least: F64 = np.empty(0)  # least of _forms()[1] since the anchor, or since the count was lost
        # sides: bounds (sides, 3) at the anchor and now; covered and expected sensor time since the anchor in ms
        self._s = {name: np.empty((0, DIRECTION_COUNT), np.int64) for name in self._SIDES}
        self._time: I64 = np.empty((0, 2), np.int64)
        self._sets: dict[str, set[tuple[int, int]]] = {}  # zone -> (ts, people)
        # of each zone the next closing, and the sides of zones that come together: these follow from the rest
        self._closing: I64 = np.empty((0, 2), np.int64)
        self._layouts: dict[tuple[int, bytes], _Sides] = {}

    def tell(self, sets: Sequence[Given]) -> None:
        """Take in ``set`` records, before any window that ends at or behind their instant; one as often as may be."""
        for given in sets:
            self._sets.setdefault(given.zone, set()).add((given.ts, given.people))

    def step(
        self, tables: Tables, version: int, code: int, start: int, end: int, zones: I64, known: Flags, told: Told
    ) -> Held:
        """Take in windows [start, end) of ``zones`` (n,), all of whose gates have told; what holds at their end.

        ``version``: the place of ``tables`` in the run; ``known`` (n,): no gate was unknown.
        """
        self._grow(tables)
        window = tables, version, code, start, end
        of, finest = self._part(*window, zones, told), np.asarray(tables.zone_window[zones] == code)
        if finest.all():
            self._move(of, version, known, told)
        elif finest.any():
            self._move(self._part(*window, zones[finest], told), version, known[finest], told)
        return self._held(of, known)

    def _grow(self, tables: Tables) -> None:
        zones, sides = len(tables.zone_ids) - len(self._begun), 2 * len(tables.gate_ids) - len(self._time)
        if zones > 0:
            for name in self._ZONES:
                self._z[name] = np.append(self._z[name], np.full(zones, NO_TIME, np.int64))
            self._begun = np.append(self._begun, np.zeros(zones, np.bool_))
            self._least = np.append(self._least, np.full(zones, np.inf))
            self._closing = np.concatenate([self._closing, np.full((zones, 2), NO_TIME, np.int64)])
        if sides > 0:  # else a slow zone still has windows of an earlier version
            for name in self._SIDES:
                self._s[name] = np.concatenate([self._s[name], np.zeros((sides, DIRECTION_COUNT), np.int64)])
            self._time = np.concatenate([self._time, np.zeros((sides, 2), np.int64)])

    def _part(self, tables: Tables, version: int, code: int, start: int, end: int, zones: I64, told: Told) -> _Part:
        """Bounds of who came in, went out, or either; of a gate that is gone its last."""
        key = version, zones.tobytes()
        sides = self._layouts.get(key)
        if sides is None:
            if len(self._layouts) >= _LAYOUTS:
                self._layouts.clear()
            sides = self._layouts[key] = _sides(tables, zones)
        low, high = told.low.take(sides.turn), told.high.take(sides.turn)
        if len(sides.gone):
            gone = sides.number[sides.gone]
            low[sides.gone], high[sides.gone] = self._s["now_low"][gone], self._s["now_high"][gone]
        return _Part(tables, code, start, end, zones, sides, low, high)

    # ------------------------------------------------------------------------ a zone's finest windows
    def _move(self, of: _Part, version: int, known: Flags, told: Told) -> None:
        z, zones = self._z, of.zones
        lost = self._begun[zones] & (~known | (of.start > z["end"][zones]))
        z["unseen"][zones[lost]] = np.where(known, of.start, of.end)[lost]
        z["anchor"][zones[lost]] = NO_TIME
        changed = z["version"][zones] != version  # errors and gates may be others: stretches begin anew
        self._least[zones[lost | changed]] = np.inf
        self._closing[zones[changed]] = NO_TIME
        z["version"][zones] = version
        self._begun[zones] |= known
        time = np.stack([told.covered, told.expected], axis=1)[of.sides.gate]  # 0 of gates that are gone
        self._time[of.sides.number] += time

        most, least, exact = _forms(of)
        for i, closing in self._closed(of, known):
            margin = 0 if exact[i] else ALLOWED
            if self._ends_empty(of, zones[i], closing) and most[i] - self._least[zones[i]] <= margin:
                self._anchor(of, i, of.end, 0, time, told)
        if self._sets:
            self._set(of, known, time, told)
        z["end"][zones] = of.end
        self._s["now_low"][of.sides.number], self._s["now_high"][of.sides.number] = of.low, of.high
        self._least[zones[known]] = np.minimum(self._least[zones], least)[known]

    def _closed(self, of: _Part, known: Flags) -> list[tuple[int, tuple[int, int]]]:
        """Zones (places) whose closing hours end in this window or with it, before the next; and those hours."""
        clock = of.tables.zone_clock
        for zone in of.zones[self._closing[of.zones, 1] < of.end].tolist():
            self._closing[zone] = next_closing(clock, of.tables.zones[zone].closed, of.end)
        from_, to = self._closing[of.zones].T
        behind = int(clock.next(np.array([of.end], np.int64), of.code)[0])
        mine = np.flatnonzero(known & (from_ < of.end) & (to < behind)).tolist()
        return [(i, (int(from_[i]), int(to[i]))) for i in mine]

    def _ends_empty(self, of: _Part, zone: int, closing: tuple[int, int]) -> bool:
        """Whether nothing but the counts could speak against that nobody is inside."""
        from_, to = closing
        told = [ts for ts, _ in self._due(of, zone)] + [int(self._z["set"][zone])]
        seen = int(self._z["unseen"][zone]) <= to - _DAY_MS
        return of.tables.zones[zone].kind != "shelter" and seen and not any(from_ <= ts <= to for ts in told)

    def _due(self, of: _Part, zone: int) -> list[tuple[int, int]]:
        """Sets (ts, people) of a zone up to this window's end."""
        return sorted(key for key in self._sets.get(of.tables.zone_ids[zone], ()) if key[0] <= of.end)

    def _set(self, of: _Part, known: Flags, time: I64, told: Told) -> None:
        for i, zone in enumerate(of.zones.tolist()):
            due = self._due(of, zone)
            if not due:
                continue
            self._sets[of.tables.zone_ids[zone]] -= set(due)
            ts, people = due[-1]  # of two for one instant the larger
            self._z["set"][zone] = ts
            before = int(self._z["end"][zone])
            since = of.start - _BEFORE_MS if before == NO_TIME else max(before, of.start)
            if known[i] and ts >= max(since, int(self._z["anchor"][zone])):
                self._anchor(of, i, ts, people, time, told)
        oldest = of.end - 2 * GAP_MS - longest_delay_ms(of.tables)  # of zones that have no windows
        kept = {zone: {key for key in waiting if key[0] > oldest} for zone, waiting in self._sets.items()}
        self._sets = {zone: waiting for zone, waiting in kept.items() if waiting}

    def _anchor(self, of: _Part, i: int, ts: int, people: int, time: I64, told: Told) -> None:
        """Let ``people`` be in the zone at ``ts``, not behind this window's end; the drift is what was counted more."""
        z, zone = self._z, int(of.zones[i])
        mine = np.flatnonzero(of.sides.place == i)
        sides, low, high = of.sides.picked(mine), of.low[mine], of.high[mine]
        if ts <= of.start:  # before the zone's first window: those who passed in it had not
            high = np.maximum(high - np.maximum(told.least.take(sides.turn), 0), self._s["now_low"][sides.number])
        if ts < of.end:  # between two edges: not fewer than at the one before, not more than at the one behind
            low = self._s["now_low"][sides.number]
        then = _Part(of.tables, of.code, of.start, ts, of.zones[i : i + 1], sides, low, high)
        z["drift_low"][zone] = z["drift_high"][zone] = NULL
        if z["anchor"][zone] != NO_TIME:
            (least,), (most,), _ = self._people(then)
            z["drift_low"][zone], z["drift_high"][zone] = least - people, most - people
        z["anchor"][zone], z["people"][zone] = ts, people
        self._s["base_low"][sides.number], self._s["base_high"][sides.number] = low, high
        self._time[sides.number] = 0 if ts == of.end else time[mine]
        self._least[zone] = _forms(then)[1][0] - people

    # ------------------------------------------------------------------------ any windows
    def _people(self, of: _Part) -> tuple[I64, I64, F64]:
        """People since the anchor (n,): low, high, and the error of the sensors; NaN where one of them tells none."""
        low = np.maximum(0, of.low - self._s["base_high"][of.sides.number])
        high = np.maximum(0, of.high - self._s["base_low"][of.sides.number])
        people = self._z["people"][of.zones]
        passages = high[:, IN] + high[:, OUT]
        covered, expected = self._time[of.sides.number].T
        # time in which a gate was not seen is taken as busy as the rest
        unseen = np.where(covered > 0, expected - covered, 0) / np.maximum(covered, 1)
        error = np.where(passages > 0, of.tables.gate_error[of.sides.gate], 0)
        wrong = passages * (error + unseen) + np.where(of.low[:, UNDIRECTED] > 0, high[:, UNDIRECTED], 0)
        return (
            people + of.sum(low[:, IN] - high[:, OUT]),
            people + of.sum(high[:, IN] - low[:, OUT]),
            of.total(wrong),
        )

    def _held(self, of: _Part, known: Flags) -> Held:
        n = len(of.zones)
        have = known & (self._z["anchor"][of.zones] != NO_TIME)
        if not have.any():
            return unknown(n)
        low, high, error = self._people(of)
        whole = np.ceil(np.round(np.where(np.isnan(error), NULL_INT, error), 6)).astype(np.int64)
        drift_low, drift_high = (np.where(have, self._z[name][of.zones], NULL) for name in ("drift_low", "drift_high"))
        return Held(
            np.where(have, low, NULL),
            np.where(have, high, NULL),
            np.where(have, whole, NULL_INT),
            drift_low,
            drift_high,
        )

    def state(self) -> tuple[Any, ...]:
        """Everything a later ``restore`` needs."""
        return self._z, self._begun, self._least, self._s, self._time, self._sets

    def restore(self, state: tuple[Any, ...]) -> None:
        """Take back what ``state()`` gave."""
        self._z, self._begun, self._least, self._s, self._time, self._sets = state
        self._closing = np.full((len(self._begun), 2), NO_TIME, np.int64)


@dataclass(frozen=True, slots=True)
class _Sides:
    """The sides (m,) of some zones, ascending: their numbers, gates, and the places of their zones.

    ``turn`` (m, 3): where in figures (G, 3) of gates by direction stand who came in, who went out, and either.
    ``gone``: places of those whose gate is not in this version any more.
    """

    number: I64
    gate: I64
    place: I64
    turn: I64
    gone: I64

    def picked(self, which: I64) -> _Sides:
        """Some of them, of one zone."""
        number = self.number[which]
        return _Sides(number, self.gate[which], np.zeros_like(number), self.turn[which], which[:0])


@dataclass(frozen=True, slots=True)
class _Part:
    """Some zones (n,) of one window, their sides (m,), and the bounds (m, 3) of who has passed there up to the end."""

    tables: Tables
    code: int
    start: int
    end: int
    zones: I64
    sides: _Sides
    low: I64
    high: I64

    def sum(self, of_sides: I64) -> I64:
        """Sums of people by zone."""
        out = np.zeros(len(self.zones), np.int64)
        np.add.at(out, self.sides.place, of_sides)
        return out

    def total(self, of_sides: F64) -> F64:
        """Sums of other numbers by zone, added in the order of the sides."""
        return np.bincount(self.sides.place, of_sides, len(self.zones)).astype(np.float64, copy=False)


def _sides(tables: Tables, zones: I64) -> _Sides:
    zone = np.stack([tables.gate_a, tables.gate_b], axis=1)
    zone[tables.gate_a == tables.gate_b] = -1  # who passes leaves the zone and enters it
    lookup = np.full(len(tables.zone_ids) + 1, -1, np.int64)
    lookup[zones] = np.arange(len(zones))
    place = lookup[zone.ravel()]
    number = np.flatnonzero(place >= 0)
    gate = number // 2
    order = np.where(number[:, None] % 2 == 0, [1, 0, 2], [0, 1, 2])  # into zone a: ba
    turn = gate[:, None] * DIRECTION_COUNT + order
    return _Sides(number, gate, place[number], turn, np.flatnonzero(~tables.gate_here[gate]))


def _forms(of: _Part) -> tuple[F64, F64, Flags]:
    """Two numbers of each zone at one instant, and whether its sensors are told to make no errors.

    The first at t less the second at an earlier s is how many more people certainly came in than went out in (s, t]:
    low of who came in, less high of who went out, less what the sensors may have counted wrong.
    """
    told = of.tables.gate_error[of.sides.gate]
    error = np.where(np.isnan(told), ASSUMED_ERROR, told)
    low, high = of.low, of.high
    either = np.where(low[:, UNDIRECTED] > 0, high[:, UNDIRECTED], 0)  # who went some way may have gone out
    late = low[:, IN] - high[:, OUT] - error * (high[:, IN] + high[:, OUT]) - either
    early = high[:, IN] - low[:, OUT] - error * (low[:, IN] + low[:, OUT]) - low[:, UNDIRECTED]
    return of.total(late), of.total(early), of.total(error) == 0
