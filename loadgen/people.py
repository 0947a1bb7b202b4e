"""Who comes into the walkway: when, by which door, where to, how fast, and where they stay on their way.

A person enters by one door and leaves by another, so nobody appears or vanishes inside. How they move, and what holds
them up, is the business of crowd.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from loadgen.place import GATES, PLAZAS, ROW, SECTION_ENDS, WALL_M

DAY_S = 86_400
# People who enter on a weekday: gives each of the cross-sections j2, j3 and j4 55,000 to 70,000 passages.
PEOPLE_A_DAY = 83_000
AB, BA, UNKNOWN = 0, 1, 2
DIRECTIONS = ("ab", "ba", "unknown")

# Hour of the day and how busy it is; open 5:45 to 0:45, so the last come by 0:20.
_HOURS = (0.0, 0.33, 5.74, 6.0, 7.0, 7.75, 8.5, 9.25, 10.0, 11.5, 12.3, 13.2, 15.0, 17.0, 18.0, 19.0, 20.5, 22.0, 24.0)
_BUSY = (3.0, 0.0, 0.0, 8.0, 38.0, 82.0, 100.0, 62.0, 45.0, 52.0, 76.0, 60.0, 55.0, 78.0, 96.0, 70.0, 42.0, 22.0, 3.0)
# Doors with their share as origin in the morning and in the evening; as destination the other way round.
_MORNING = {"j1": 0.46, "j5": 0.36, "e1": 0.04, "e2": 0.02, "e3": 0.04, "e4": 0.03, "b1": 0.03, "b2": 0.02}
_EVENING = {"j1": 0.33, "j5": 0.31, "e1": 0.06, "e2": 0.05, "e3": 0.07, "e4": 0.05, "b1": 0.08, "b2": 0.05}
FREE_SPEED_M_S = 1.34  # Weidmann 1993
_SPEED_SPREAD, _SPEED_LEAST, _SPEED_MOST = 0.2, 0.6, 2.2
_REST_SHARE, _REST_S, _REST_MOST_S = 0.06, 240.0, 1200.0  # share who rest in a plaza on their way; how long
# They keep to the left, if not strictly: where across the walkway those walk who go south; north the mirror image.
_LANE_SOUTH_M = (-8.5, 3.0)
DOORS = tuple(row for row, gate in enumerate(GATES) if gate.role in ("end", "door"))
_ALONG = np.array([gate.along for gate in GATES])
_PLAZA_ALONG = np.array([plaza.along for plaza in PLAZAS])


class Coming(NamedTuple):
    """People on their way in, one row each (n,), ordered by time.

    enter_s clock time (seconds since local midnight; a scenario beyond midnight goes on counting); door, target: rows
    of GATES; stop: row of PLAZAS, -1 = none; rest_s how long they stay there; speed (m/s) when nothing is in the way;
    lane (m) where across the walkway they walk.
    """

    enter_s: NDArray[np.float64]
    door: NDArray[np.int64]
    target: NDArray[np.int64]
    stop: NDArray[np.int64]
    rest_s: NDArray[np.float64]
    speed: NDArray[np.float64]
    lane: NDArray[np.float64]

    def take(self, rows: NDArray[np.int64] | NDArray[np.bool_]) -> Coming:
        """Some of them."""
        return Coming._make(column[rows] for column in self)


class Stream(Protocol):
    """Some of those who come."""

    def draw(self, rng: np.random.Generator, from_s: float, to_s: float, scale: float) -> Coming:
        """People who enter in [from_s, to_s), ``scale`` times as many as ordinarily."""
        ...


def busy(clock_s: NDArray[np.float64]) -> NDArray[np.float64]:
    """People who enter per second at each clock time (seconds since local midnight, any day)."""
    hours = (clock_s % DAY_S) / 3600.0
    minutes = np.interp(np.arange(1440) / 60.0, _HOURS, _BUSY)
    return np.interp(hours, _HOURS, _BUSY) * (PEOPLE_A_DAY / (minutes.sum() * 60.0))


def morning(clock_s: NDArray[np.float64]) -> NDArray[np.float64]:
    """How much the flow is the morning's (1: to the offices) rather than the evening's (0: home)."""
    return np.interp((clock_s % DAY_S) / 3600.0, (2.0, 4.0, 9.5, 17.0), (0.0, 1.0, 1.0, 0.0))


@dataclass(frozen=True)
class Weekday:
    """The ordinary people of a weekday, ``share`` of them."""

    share: float = 1.0

    def draw(self, rng: np.random.Generator, from_s: float, to_s: float, scale: float) -> Coming:
        """See Stream."""
        expected = float(busy(np.array([(from_s + to_s) / 2]))[0]) * (to_s - from_s) * scale * self.share
        return self.walk(rng, _times(rng, expected, from_s, to_s))

    def walk(self, rng: np.random.Generator, enter_s: NDArray[np.float64]) -> Coming:
        """People who enter at these times (n,)."""
        share = morning(enter_s)[:, None]
        early, late = _shares(_MORNING), _shares(_EVENING)
        origins, targets = share * early + (1 - share) * late, share * late + (1 - share) * early
        return _with_rest(rng, enter_s, origins.cumsum(axis=1), targets.cumsum(axis=1), _REST_SHARE)


@dataclass(frozen=True)
class Flow:
    """People who come by a curve: ``hours`` (clock, may exceed 24) and how many a second enter then.

    origins, targets: doors and their shares. ``rest``: share of those who pass a plaza and rest in it. ``scale`` does
    not touch them: they are what the scenario is about.
    """

    hours: Sequence[float]
    per_second: Sequence[float]
    origins: Mapping[str, float]
    targets: Mapping[str, float]
    rest: float = 0.0

    def draw(self, rng: np.random.Generator, from_s: float, to_s: float, scale: float) -> Coming:
        """See Stream."""
        rate = np.interp((from_s + to_s) / 7200.0, self.hours, self.per_second, left=0.0, right=0.0)
        enter_s = _times(rng, float(rate) * (to_s - from_s), from_s, to_s)
        shares = [_shares(door)[None, :].cumsum(axis=1) for door in (self.origins, self.targets)]
        return _with_rest(rng, enter_s, shares[0], shares[1], self.rest)


@dataclass(frozen=True)
class Sheltering:
    """Exactly so many people for each plaza, who come within a span of time and stay until they leave for good.

    ``sites``: zone of the plaza → people. They come in [from_s, to_s), most in the first half; ``leaving`` of them go
    in [leave_from_s, leave_to_s), the others stay beyond.
    """

    sites: Mapping[str, int]
    origins: Mapping[str, float]
    from_s: float
    to_s: float
    leave_from_s: float
    leave_to_s: float
    leaving: float

    def draw(self, rng: np.random.Generator, from_s: float, to_s: float, scale: float) -> Coming:
        """See Stream. All are drawn at once, in the span in which the first may come."""
        if not from_s <= self.from_s < to_s:
            return NOBODY
        site = np.array([p for p, plaza in enumerate(PLAZAS) for _ in range(self.sites.get(plaza.zone, 0))])
        rng.shuffle(site)
        people = len(site)
        enter_s = np.sort(rng.triangular(self.from_s, self.from_s + (self.to_s - self.from_s) / 4, self.to_s, people))
        leave_s = rng.uniform(self.leave_from_s, self.leave_to_s, people)
        leave_s[rng.random(people) >= self.leaving] = self.leave_to_s + DAY_S
        share = _shares(self.origins)[None, :].cumsum(axis=1)
        door, target = (_choice(rng, np.broadcast_to(share, (people, len(DOORS)))) for _ in range(2))
        return _people(rng, enter_s, door, target, site, leave_s - enter_s)


def together(parts: Sequence[Coming]) -> Coming:
    """All people of some parts, one part after the other."""
    return Coming._make(np.concatenate(columns) for columns in zip(*parts, strict=True))


_NONE, _NONE_WHOLE = np.empty(0), np.empty(0, np.int64)
NOBODY = Coming(_NONE, _NONE_WHOLE, _NONE_WHOLE, _NONE_WHOLE, _NONE, _NONE, _NONE)


def _times(rng: np.random.Generator, expected: float, from_s: float, to_s: float) -> NDArray[np.float64]:
    return np.sort(rng.uniform(from_s, to_s, int(rng.poisson(expected))))


def _shares(doors: Mapping[str, float]) -> NDArray[np.float64]:
    shares = np.array([doors.get(GATES[row].id, 0.0) for row in DOORS])
    return shares / shares.sum()


def _choice(rng: np.random.Generator, cumulative: NDArray[np.float64]) -> NDArray[np.int64]:
    """A door for each row of cumulated shares (n, doors)."""
    chosen = (rng.random(len(cumulative))[:, None] >= cumulative[:, :-1]).sum(axis=1)
    return np.array(DOORS)[chosen]


def _with_rest(
    rng: np.random.Generator,
    enter_s: NDArray[np.float64],
    origins: NDArray[np.float64],
    targets: NDArray[np.float64],
    rest: float,
) -> Coming:
    people = len(enter_s)
    wide = (people, len(DOORS))
    door, target = _choice(rng, np.broadcast_to(origins, wide)), _choice(rng, np.broadcast_to(targets, wide))
    target = np.where(target == door, np.where(door == ROW["j5"], ROW["j1"], ROW["j5"]), target)
    stop = rng.integers(0, len(PLAZAS), people)
    ends = np.sort(np.stack([_ALONG[door], _ALONG[target]]), axis=0)
    between = (ends[0] < _PLAZA_ALONG[stop]) & (_PLAZA_ALONG[stop] < ends[1])
    # A stop is drawn among all plazas, and about half of them lie on the way of one who passes any.
    rests = between & (rng.random(people) < rest * len(PLAZAS) / 2)
    rest_s = np.where(rests, np.minimum(rng.exponential(_REST_S, people) + 20.0, _REST_MOST_S), 0.0)
    return _people(rng, enter_s, door, target, np.where(rests, stop, -1), rest_s)


def _people(
    rng: np.random.Generator,
    enter_s: NDArray[np.float64],
    door: NDArray[np.int64],
    target: NDArray[np.int64],
    stop: NDArray[np.int64],
    rest_s: NDArray[np.float64],
) -> Coming:
    people = len(enter_s)
    speed = np.clip(rng.normal(FREE_SPEED_M_S, _SPEED_SPREAD, people), _SPEED_LEAST, _SPEED_MOST)
    towards = np.where(stop >= 0, _PLAZA_ALONG[stop], _ALONG[target])
    lane = rng.uniform(*_LANE_SOUTH_M, people) * np.where(towards < _ALONG[door], -1.0, 1.0)
    return Coming(enter_s, door, target, stop, rest_s, speed, lane)


def expected_passages(clock_s: float, seconds: float) -> float:
    """How many passages a weekday of ``seconds`` that begins empty at clock ``clock_s`` has on average.

    Nothing is in anybody's way. Those who enter shortly before its end pass only their first gates within it.
    """
    steps = np.linspace(0.0, seconds, 2001)
    middles = (steps[:-1] + steps[1:]) / 2
    sample = 20_000
    offsets = _free_passages(Weekday().walk(np.random.default_rng(7), np.full(sample, clock_s + seconds / 2)))
    within = np.searchsorted(np.sort(offsets), seconds - middles, side="right") / sample
    return float((busy(clock_s + middles) * within).sum() * (seconds / len(middles)))


def _free_passages(people: Coming) -> NDArray[np.float64]:
    """When they pass gates, in seconds after they entered, with nobody in the way."""
    start, end = _ALONG[people.door], _ALONG[people.target]
    stop = np.where(people.stop >= 0, _PLAZA_ALONG[people.stop], start)

    def at(along: NDArray[np.float64] | float) -> NDArray[np.float64]:
        way = np.abs(along - start)
        return way / people.speed + np.where(way > np.abs(stop - start), people.rest_s, 0.0)

    parts = [np.zeros(len(start)), at(end)]
    low, high = np.minimum(start, end), np.maximum(start, end)
    wall = GATES[ROW["s2"]]
    for line, sees in (
        *((along, np.ones(len(start), bool)) for along in SECTION_ENDS),
        (wall.along, people.lane * wall.side > WALL_M - wall.width_m),
    ):
        parts.append(at(line)[sees & (low < line) & (line < high)])
    gated = np.array([plaza.gate >= 0 for plaza in PLAZAS])[people.stop] & (people.stop >= 0)
    arrives = (np.abs(stop - start) / people.speed)[gated]
    return np.concatenate([*parts, arrives, arrives + people.rest_s[gated]])
