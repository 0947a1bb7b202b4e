"""People in motion: an agent each, moved two seconds at a time, all at once in columns.

Everybody walks along the walkway to a plaza or a door. How fast, Weidmann's curve says of the density where they are
and of that ahead of them; nobody presses on where it is denser than JAM_M2, so people pile up before a gate that is
shut, and those of both ways stand in each other's way. Through a gate go CAPACITY_S_M people a second for each metre
of its width, one by one through a single-file gate.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from loadgen.body import GONE, INSIDE, LEAVING, RESTING, TO_DOOR, TO_STOP, Persons
from loadgen.control import Control
from loadgen.motion import STEP_S, Passed, Path, rank, walking_speed
from loadgen.people import AB, BA, FREE_SPEED_M_S, NOBODY, UNKNOWN, Coming, together
from loadgen.place import GATES, LENGTH_M, PLAZAS, ROW, SECTION_ENDS, WALL_M, WIDTH_M, ZONE_ROW, ZONES

F64 = NDArray[np.float64]

JAM_M2 = 3.6  # persons/m² at which people stop pressing on: touching one another cannot be avoided from there (Fruin)
CAPACITY_S_M = 1.22  # Weidmann's greatest flow, 73.5 persons/min/m
_CREEP = 0.05  # share of the speed that is left to those who squeeze into a jam
_PACKED_M2 = 4.2  # where nobody gets in any more
_SOFT_M2 = 0.6  # over this much density below the jam they slow down to that
_CELL_M = 5.0
_CELLS = int(LENGTH_M / _CELL_M)
_NEAR_M = 12.0  # so far along from a door people leave their lane for it
_DRIFT = 0.3  # share of their speed with which people go over to their lane
_SLOTS = 2  # people who pass a single-file gate in a step
# Shares of a step within which people may pass a line, so that what a tracker sees lies on both sides of it.
_FIRST, _LAST = 0.1, 0.9
_WALL_ROW = ROW["s2"]
_BOUNDS = np.array(SECTION_ENDS)
_HEIGHT = np.array([gate.along for gate in GATES])
_FACE = np.array([gate.side * WALL_M for gate in GATES])  # across of a door's line; 0 where it lies across the walkway
_OUT_ALONG = np.array([{"j1": -1.0, "j5": 1.0}.get(gate.id, 0.0) for gate in GATES])
_OUT_ACROSS = np.array([float(gate.side) if gate.role == "door" else 0.0 for gate in GATES])
_OUTWARDS = np.array([AB if gate.b is None else BA for gate in GATES])
_OPENING = np.array([gate.width_m for gate in GATES])
_ENDS = np.array([gate.role == "end" for gate in GATES])
_PLAZA_ALONG = np.array([plaza.along for plaza in PLAZAS])
_PLAZA_SIDE = np.array([float(plaza.side) for plaza in PLAZAS])
_PLAZA_OPENING = np.array([plaza.width_m for plaza in PLAZAS])
_PLAZA_GATE = np.array([plaza.gate for plaza in PLAZAS])
_PLAZA_BOX = np.array([ZONES[ZONE_ROW[plaza.zone]].box for plaza in PLAZAS])
_PLAZA_AREA = np.array([ZONES[ZONE_ROW[plaza.zone]].area_m2 for plaza in PLAZAS])
_CAPACITY = np.array([gate.width_m * CAPACITY_S_M * STEP_S for gate in GATES])
_SINGLE = np.array([gate.single_file for gate in GATES])


class Crowd:
    """All who are in the walkway, and those who wait at its doors to come in.

    ``room``: how many walkways of this kind lie side by side, for loads with more people than one could hold.
    """

    def __init__(self, rng: np.random.Generator, room: float = 1.0, control: Control | None = None) -> None:
        self.rng, self.room = rng, max(room, 1.0)
        self.persons = Persons()
        self.control = control or Control()
        self.waiting = NOBODY
        self.tokens = np.zeros(len(GATES))  # how many each gate still lets through
        self.full = np.zeros(len(PLAZAS), bool)
        self.people: NDArray[np.int64] = np.zeros(len(ZONES), np.int64)  # of each zone, at the end of the last step
        self.speeds: F64 = np.zeros(len(ZONES))  # sum of their speeds

    def step(self, clock_s: float, coming: Coming) -> tuple[Passed, Path]:
        """Move everybody from ``clock_s`` on; ``coming`` joins those who wait at the doors.

        The paths are of those who are inside or pass a door in this step.
        """
        self.waiting = together([self.waiting, coming])
        p = self.persons
        self._aim_at_door(self.control.think(self.rng, p, clock_s))
        if not len(p) and not len(self.waiting):
            self.people, self.speeds = np.zeros(len(ZONES), np.int64), np.zeros(len(ZONES))
            nothing = np.empty(0, np.int64)
            return Passed(np.empty(0), nothing, nothing, np.empty(0), np.empty(0)), Path(
                nothing, np.empty((0, 2)), np.empty(0), np.empty((0, 2)), np.empty((0, 2))
            )
        self._wake(clock_s)
        self.tokens = np.minimum(self.tokens + _CAPACITY * self.room, 2 * _CAPACITY * self.room)
        self.tokens[_SINGLE] = np.ceil(_SLOTS * self.room)
        here, ahead, plazas = self._speeds()
        passed, path = self._move(here, ahead, plazas, clock_s)
        entered, entries = self._enter(clock_s, ahead)
        walls = self._passers_by(path)
        self.persons.keep(self.persons.phase != GONE)
        self._count()
        parts = zip(passed, entered, walls, strict=True)
        return Passed(*(np.concatenate(three) for three in parts)), Path(
            *(np.concatenate(both) for both in zip(path, entries, strict=True))
        )

    # ------------------------------------------------------------------------------ a step
    def _wake(self, clock_s: float) -> None:
        """Those who have rested go."""
        p = self.persons
        up = np.flatnonzero((p.phase == RESTING) & (p.until_s <= clock_s))
        if len(up):
            p.phase[up] = LEAVING
            stop = p.stop[up]
            self._aim_at_opening(up, stop)

    def _aim_at_opening(self, who: NDArray[np.int64], stop: NDArray[np.int64]) -> None:
        p = self.persons
        p.aim_along[who] = _PLAZA_ALONG[stop] + (self.rng.random(len(who)) - 0.5) * (_PLAZA_OPENING[stop] - 1.0)
        p.aim_across[who] = _PLAZA_SIDE[stop] * WALL_M

    def _aim_at_door(self, who: NDArray[np.int64]) -> None:
        """Send people, by row, to some place in the opening of the door they want to leave by."""
        p = self.persons
        door = p.target[who]
        off = (self.rng.random(len(who)) - 0.5) * (_OPENING[door] - 1.0)
        end = _ENDS[door]
        p.aim_along[who] = np.where(end, _HEIGHT[door], _HEIGHT[door] + off)
        p.aim_across[who] = np.where(end, p.lane[who] * 0.9, _FACE[door])

    def _speeds(self) -> tuple[F64, F64, F64]:
        """Shares of the free speed: in each cell, of those who walk into each cell, in each plaza."""
        p = self.persons
        inside = p.side < 0
        cells = np.bincount(_cell(p.along[inside]), minlength=_CELLS) / (_CELL_M * WIDTH_M * self.room)
        plazas = np.bincount(p.side[~inside], minlength=len(PLAZAS)) / (_PLAZA_AREA * self.room)
        self.full = plazas >= JAM_M2
        here = walking_speed(np.minimum(cells, JAM_M2)) / FREE_SPEED_M_S
        pressing = np.clip((JAM_M2 - cells) / _SOFT_M2, np.where(cells < _PACKED_M2, _CREEP, 0.0), 1.0)
        ahead = pressing * walking_speed(cells) / FREE_SPEED_M_S
        return here, ahead, walking_speed(np.minimum(plazas, JAM_M2)) / FREE_SPEED_M_S

    def _wish(self, here: F64, ahead: F64, plazas: F64) -> tuple[F64, F64, F64, F64, NDArray[np.bool_]]:
        """Where people would be at the end of the step (along, across), how far their aim is, how far they get (m).

        And whether they get to their aim.
        """
        p = self.persons
        walkway = p.side < 0
        along, across = p.aim_along - p.along, p.aim_across - p.across
        far = walkway & (np.abs(along) > _NEAR_M)
        way = np.sign(along)
        cell = _cell(p.along)
        following = np.minimum(np.maximum(cell + way.astype(np.int64), 0), _CELLS - 1)
        share = np.where(walkway, here[cell], plazas[p.side])
        share = np.where(far, np.minimum(share, ahead[following]), share)
        reach = p.speed * share * STEP_S
        reach[p.phase == RESTING] = 0.0
        distance = np.hypot(along, across)
        part = np.minimum(reach / np.maximum(distance, 1e-9), 1.0)
        drift = np.minimum(np.maximum(p.lane - p.across, -_DRIFT * reach), _DRIFT * reach)
        new_along = p.along + np.where(far, way * reach, along * part)
        new_across = p.across + np.where(far, drift, across * part)
        return new_along, new_across, distance, reach, ~far & (reach > 0.0) & (reach >= distance)

    def _move(self, here: F64, ahead: F64, plazas: F64, clock_s: float) -> tuple[Passed, Path]:
        p = self.persons
        new_along, new_across, distance, reach, arrives = self._wish(here, ahead, plazas)
        section = _section(p.along)
        lies = (p.side < 0) & ~arrives & (section != _section(new_along))
        crossing = arrives & (p.phase != INSIDE)
        who = np.flatnonzero(lies | crossing)
        gate, direction, bend = self._lines(who, section, new_along, lies, distance, reach)
        allowed, bend = self._let_through(who, gate, direction, bend, lies[who])
        held = who[~allowed]
        new_along[held], new_across[held] = p.along[held], p.across[held]
        who, gate, direction, bend = who[allowed], gate[allowed], direction[allowed], bend[allowed]

        start = np.stack([p.along, p.across], axis=1)
        bends = np.ones(len(p))
        knee = np.stack([new_along, new_across], axis=1)
        through = crossing[who]
        self._pass_openings(who[through], bend[through], knee, bends, new_along, new_across)
        end = np.stack([new_along, new_across], axis=1)
        p.now = np.hypot(end[:, 0] - p.along, end[:, 1] - p.across) / STEP_S
        p.along, p.across = new_along, new_across
        settled = np.flatnonzero(arrives & (p.phase == INSIDE) & (bends == 1.0))
        p.phase[settled] = RESTING
        p.until_s[settled] = clock_s + STEP_S + p.rest_s[settled]

        place = start[who] + (knee[who] - start[who]) * np.where(through, 1.0, bend)[:, None]
        lying = _ENDS[gate] | (_FACE[gate] == 0)  # across the walkway, not in a wall
        along_wall = (place[:, 0] - _HEIGHT[gate]) / _OPENING[gate] + 0.5
        lane = np.where(lying, (place[:, 1] + WALL_M) / WIDTH_M, along_wall)
        passed = Passed(bend, gate, direction, lane, np.maximum(p.now[who], 0.6))
        return Passed._make(column[gate >= 0] for column in passed), Path(p.number.copy(), start, bends, knee, end)

    def _lines(
        self,
        who: NDArray[np.int64],
        section: NDArray[np.int64],
        new_along: F64,
        lies: NDArray[np.bool_],
        distance: F64,
        reach: F64,
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], F64]:
        """For people who come to a line: its gate (-1 = an open plaza has none), direction, share of the step."""
        p = self.persons
        between = lies[who]
        southward = new_along[who] > p.along[who]
        line = np.minimum(section[who], _section(new_along[who]))
        phase, target = p.phase[who], p.target[who]
        gate = np.where(between, line + 1, np.where(phase == TO_DOOR, target, _PLAZA_GATE[p.stop[who]]))
        direction = np.where(
            between,
            np.where(southward, AB, BA),
            np.where(phase == TO_DOOR, _OUTWARDS[target], np.where(phase == TO_STOP, AB, BA)),
        )
        step = np.where(between, new_along[who] - p.along[who], 1.0)
        bound = _BOUNDS[np.minimum(line, len(_BOUNDS) - 1)]
        bend = np.where(between, (bound - p.along[who]) / step, distance[who] / np.maximum(reach[who], 1e-9))
        return gate, direction, np.clip(bend, np.where(between, 0.01, _FIRST), np.where(between, 0.99, _LAST))

    def _let_through(
        self,
        who: NDArray[np.int64],
        gate: NDArray[np.int64],
        direction: NDArray[np.int64],
        bend: F64,
        between: NDArray[np.bool_],
    ) -> tuple[NDArray[np.bool_], F64]:
        """Who may pass (n,), and when (n,): a single-file gate has its own moments."""
        p = self.persons
        open_ = (gate < 0) | self.control.open[gate, direction]
        enters = (p.phase[who] == TO_STOP) & ~between
        open_ &= ~(enters & self.full[p.stop[who]])
        order = self.rng.permutation(len(who))
        order = order[np.argsort(np.where(open_, gate, -1)[order], kind="stable")]
        ranks = np.empty(len(who), np.int64)
        ranks[order] = rank(np.where(open_, gate, -1)[order])
        allowed = open_ & ((gate < 0) | (ranks < np.floor(self.tokens[gate])))
        self._spend(gate[allowed & (gate >= 0)])
        slots = np.ceil(_SLOTS * self.room)
        timed = _FIRST + (_LAST - _FIRST) * (ranks + 0.3 * self.rng.random(len(who))) / slots
        return allowed, np.where(_SINGLE[gate] & (gate >= 0), timed, bend)

    def _spend(self, gates: NDArray[np.int64]) -> None:
        self.tokens -= np.bincount(gates, minlength=len(GATES))

    def _pass_openings(
        self,
        who: NDArray[np.int64],
        bend: F64,
        knee: F64,
        bends: F64,
        new_along: F64,
        new_across: F64,
    ) -> None:
        """Those who go through a door or the opening of a plaza: to their aim, and straight on for the rest."""
        if not len(who):
            return
        p = self.persons
        phase, stop, target = p.phase[who], p.stop[who], p.target[who]
        leaves = phase == TO_DOOR
        across = np.where(leaves, _OUT_ACROSS[target], _PLAZA_SIDE[stop] * np.where(phase == TO_STOP, 1.0, -1.0))
        on = 0.8 * p.speed[who] * STEP_S * (1.0 - bend)
        knee[who, 0], knee[who, 1], bends[who] = p.aim_along[who], p.aim_across[who], bend
        new_along[who] = p.aim_along[who] + np.where(leaves, _OUT_ALONG[target], 0.0) * on
        new_across[who] = p.aim_across[who] + across * on
        p.phase[who[leaves]] = GONE
        enters, returns = who[phase == TO_STOP], who[phase == LEAVING]
        p.side[enters], p.phase[enters] = p.stop[enters], INSIDE
        box = _PLAZA_BOX[p.stop[enters]] + np.array([0.5, -0.5, 0.5, -0.5])
        p.aim_along[enters] = self.rng.uniform(box[:, 0], box[:, 1])
        p.aim_across[enters] = self.rng.uniform(box[:, 2], box[:, 3])
        p.side[returns], p.phase[returns] = -1, TO_DOOR
        self._aim_at_door(returns)

    def _enter(self, clock_s: float, ahead: F64) -> tuple[Passed, Path]:
        """Let those in who wait at doors that are open, as many as get through; those at shut doors stay away."""
        w, p = self.waiting, self.persons
        due = np.flatnonzero(w.enter_s < clock_s + STEP_S)
        welcome = self.control.welcome(w.door[due], w.target[due])
        ranks = np.empty(len(due), np.int64)
        by_door = np.argsort(w.door[due], kind="stable")
        ranks[by_door] = rank(w.door[due][by_door])
        cells = _cell(_HEIGHT[w.door[due]])
        comes = welcome & (ranks < np.floor(self.tokens[w.door[due]])) & (ahead[cells] > _CREEP)
        rows = due[comes]
        taken = np.floor(np.ceil(_SLOTS * self.room) - self.tokens[w.door[rows]])  # slots of a single-file gate
        door = w.door[rows]
        self._spend(door)
        share = self.rng.uniform(_FIRST, _LAST, len(rows))
        slots = np.ceil(_SLOTS * self.room)
        timed = _FIRST + (_LAST - _FIRST) * (taken + ranks[comes] + 0.3 * self.rng.random(len(rows))) / slots
        share = np.where(_SINGLE[door], timed, share)
        new = w.take(rows)
        gone = np.zeros(len(w.enter_s), bool)
        gone[rows], gone[due[~welcome]] = True, True
        self.waiting = w.take(~gone)

        off = (self.rng.random(len(rows)) - 0.5) * (_OPENING[door] - 1.0)
        knee = np.stack(
            [
                np.where(_ENDS[door], _HEIGHT[door], _HEIGHT[door] + off),
                np.where(_ENDS[door], new.lane * 0.9, _FACE[door]),
            ],
            axis=1,
        )
        inward = -np.stack([_OUT_ALONG[door], _OUT_ACROSS[door]], axis=1)
        pace = (0.8 * new.speed * STEP_S)[:, None]
        start, end = knee - inward * pace * share[:, None], knee + inward * pace * (1.0 - share)[:, None]
        numbers = p.append(new, end)
        rows = np.arange(len(p) - len(door), len(p))
        stopping = rows[p.stop[rows] >= 0]
        self._aim_at_opening(stopping, p.stop[stopping])
        self._aim_at_door(rows[p.stop[rows] < 0])
        p.now[rows] = 0.8 * new.speed
        spot = np.where(_ENDS[door], (knee[:, 1] + WALL_M) / WIDTH_M, off / _OPENING[door] + 0.5)
        passed = Passed(share, door, 1 - _OUTWARDS[door], spot, 0.8 * new.speed)
        return passed, Path(numbers, start, share, knee, end)

    def _passers_by(self, path: Path) -> Passed:
        """Those who pass the counter at the wall, which sees no direction."""
        wall = GATES[_WALL_ROW]
        before, after = path.start[:, 0] - wall.along, path.end[:, 0] - wall.along
        who = np.flatnonzero((before < 0) != (after < 0))
        share = before[who] / (before[who] - after[who])
        across = path.start[who, 1] + (path.end[who, 1] - path.start[who, 1]) * share
        sees = across * wall.side > WALL_M - wall.width_m
        seen = share[sees]
        many = len(seen)
        return Passed(
            np.clip(seen, 0.01, 0.99),
            np.full(many, _WALL_ROW),
            np.full(many, UNKNOWN),
            np.full(many, 0.5),
            np.ones(many),
        )

    def _count(self) -> None:
        """People and the sum of their speeds, zone by zone; people of a part are people of the whole too."""
        p = self.persons
        walkway = p.side < 0
        zone = np.where(walkway, _section(p.along), _PLAZA_ZONE[p.side])
        many = len(ZONES)
        self.people = np.bincount(zone, minlength=many)
        self.speeds = np.bincount(zone, p.now, minlength=many).astype(np.float64)
        for row, (from_along, to_along, from_across, to_across) in _PARTS:
            inside = (
                (p.along >= from_along) & (p.along < to_along) & (p.across >= from_across) & (p.across < to_across)
            ) & walkway
            self.people[row], self.speeds[row] = int(inside.sum()), float(p.now[inside].sum())
        for part, whole in _OPEN_PLAZAS:
            self.people[whole] += self.people[part]
            self.speeds[whole] += self.speeds[part]


_PLAZA_ZONE = np.array([ZONE_ROW[plaza.zone] for plaza in PLAZAS])
_OPEN_PLAZAS = [
    (ZONE_ROW[plaza.zone], ZONE_ROW[str(ZONES[ZONE_ROW[plaza.zone]].parent)]) for plaza in PLAZAS if plaza.gate < 0
]
_PARTS = [
    (row, zone.box) for row, zone in enumerate(ZONES) if zone.parent is not None and row not in _PLAZA_ZONE.tolist()
]


def _cell(along: F64) -> NDArray[np.int64]:
    return np.minimum(np.maximum((along / _CELL_M).astype(np.int64), 0), _CELLS - 1)


def _section(along: F64) -> NDArray[np.int64]:
    return _BOUNDS.searchsorted(along, side="right")
