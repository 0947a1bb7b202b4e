"""People of a weekday: when they come, where they go, how fast; and the gates they pass on the way.

A person enters by one door, walks along the axis, perhaps rests in a plaza, and leaves by another door, so nobody
appears or vanishes inside: zone by zone, those who entered = those who left + those still there.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from loadgen.place import GATES

DAY_S = 86_400
# People who enter on a weekday: gives each of the cross-sections j2, j3 and j4 55,000 to 70,000 passages.
PEOPLE_A_DAY = 83_000
AB, BA, UNKNOWN = 0, 1, 2
DIRECTIONS = ("ab", "ba", "unknown")

# Hour of the day and how busy it is; open 5:45 to 0:45, so the last come by 0:20.
_HOURS = (0.0, 0.33, 5.74, 6.0, 7.0, 7.75, 8.5, 9.25, 10.0, 11.5, 12.3, 13.2, 15.0, 17.0, 18.0, 19.0, 20.5, 22.0, 24.0)
_BUSY = (3.0, 0.0, 0.0, 8.0, 38.0, 82.0, 100.0, 62.0, 45.0, 52.0, 76.0, 60.0, 55.0, 78.0, 96.0, 70.0, 42.0, 22.0, 3.0)
# Doors (row in GATES) with their share as origin in the morning and in the evening; as destination the other way.
_DOORS = [row for row, gate in enumerate(GATES) if gate.role in ("end", "door")]
_MORNING = {"j1": 0.46, "j5": 0.36, "e1": 0.04, "e2": 0.02, "e3": 0.04, "e4": 0.03, "b1": 0.03, "b2": 0.02}
_EVENING = {"j1": 0.33, "j5": 0.31, "e1": 0.06, "e2": 0.05, "e3": 0.07, "e4": 0.05, "b1": 0.08, "b2": 0.05}
_SPEED_M_S, _SPEED_SPREAD, _SPEED_LEAST, _SPEED_MOST = 1.34, 0.2, 0.6, 2.2
_REST_SHARE, _REST_S, _REST_MOST_S = 0.06, 240.0, 1200.0  # share who rest in a plaza on their way; how long
_WALL_SHARE = 0.35  # share of those who pass the signage wall on its side
_X = np.array([gate.x_m for gate in GATES])


class Passages(NamedTuple):
    """Gates passed, one row each: time (ms), row in GATES, direction (AB, BA, UNKNOWN)."""

    at_ms: NDArray[np.int64]
    gate: NDArray[np.int64]
    direction: NDArray[np.int64]


def busy(clock_s: NDArray[np.float64]) -> NDArray[np.float64]:
    """People who enter per second at each clock time (seconds since local midnight, any day)."""
    hours = (clock_s % DAY_S) / 3600.0
    minutes = np.interp(np.arange(1440) / 60.0, _HOURS, _BUSY)
    return np.interp(hours, _HOURS, _BUSY) * (PEOPLE_A_DAY / (minutes.sum() * 60.0))


def morning(clock_s: NDArray[np.float64]) -> NDArray[np.float64]:
    """How much the flow is the morning's (1: to the offices) rather than the evening's (0: home)."""
    return np.interp((clock_s % DAY_S) / 3600.0, (2.0, 4.0, 9.5, 17.0), (0.0, 1.0, 1.0, 0.0))


def walk(rng: np.random.Generator, enter_ms: NDArray[np.int64], clock_s: NDArray[np.float64]) -> Passages:
    """All passages of people who enter at ``enter_ms`` (p,), in no order; ``clock_s`` (p,) is the clock they see."""
    people = len(enter_ms)
    names = [GATES[row].id for row in _DOORS]
    early = np.array([_MORNING[name] for name in names]).cumsum()
    late = np.array([_EVENING[name] for name in names]).cumsum()
    share = morning(clock_s)[:, None]
    origins, targets = share * early + (1 - share) * late, share * late + (1 - share) * early
    doors = np.array(_DOORS)
    start = doors[(rng.random(people)[:, None] >= origins[:, :-1]).sum(axis=1)]
    end = doors[(rng.random(people)[:, None] >= targets[:, :-1]).sum(axis=1)]
    north, south = _DOORS[names.index("j1")], _DOORS[names.index("j5")]
    end = np.where(end == start, np.where(start == south, north, south), end)
    speed = np.clip(rng.normal(_SPEED_M_S, _SPEED_SPREAD, people), _SPEED_LEAST, _SPEED_MOST)
    x0, x1 = _X[start], _X[end]

    plazas = np.array([row for row, gate in enumerate(GATES) if gate.role == "plaza"])
    plaza = plazas[rng.integers(0, len(plazas), people)]
    between = (np.minimum(x0, x1) < _X[plaza]) & (_X[plaza] < np.maximum(x0, x1))
    rests = between & (rng.random(people) < _REST_SHARE * len(plazas) / 2)
    rest_s = np.where(rests, np.minimum(rng.exponential(_REST_S, people) + 20.0, _REST_MOST_S), 0.0)

    def at(who: NDArray[np.int64], x: NDArray[np.float64] | float) -> NDArray[np.int64]:
        way = np.abs(x - x0[who])
        rested = np.where(way > np.abs(_X[plaza[who]] - x0[who]), rest_s[who], 0.0)
        return enter_ms[who] + ((way / speed[who] + rested) * 1000.0).astype(np.int64)

    everyone = np.arange(people)
    inwards = np.array([AB if gate.a is None else BA for gate in GATES])  # doors: the direction that leads in
    parts = [
        (enter_ms, start, inwards[start]),
        (at(everyone, x1), end, 1 - inwards[end]),
    ]
    for row, gate in enumerate(GATES):
        if gate.role not in ("section", "wall"):
            continue
        passes = (np.minimum(x0, x1) < gate.x_m) & (gate.x_m < np.maximum(x0, x1))
        if gate.role == "wall":
            passes &= rng.random(people) < _WALL_SHARE
        who = np.flatnonzero(passes)
        southward = np.where(x1[who] > x0[who], AB, BA)
        direction = southward if gate.role == "section" else np.full(len(who), UNKNOWN)
        parts.append((at(who, gate.x_m), np.full(len(who), row), direction))
    who = np.flatnonzero(rests)
    arrives = at(who, _X[plaza[who]])
    parts.append((arrives, plaza[who], np.full(len(who), AB)))
    parts.append((arrives + (rest_s[who] * 1000.0).astype(np.int64), plaza[who], np.full(len(who), BA)))
    return Passages(
        np.concatenate([p[0] for p in parts]),
        np.concatenate([p[1] for p in parts]),
        np.concatenate([p[2] for p in parts]),
    )


def expected_passages(clock_s: float, seconds: float) -> float:
    """How many passages a scenario of ``seconds`` that begins empty at clock ``clock_s`` has on average.

    Those who enter shortly before its end pass only their first gates within it.
    """
    steps = np.linspace(0.0, seconds, 2001)
    middles = (steps[:-1] + steps[1:]) / 2
    sample = 20_000
    walks = walk(np.random.default_rng(7), np.zeros(sample, np.int64), np.full(sample, clock_s + seconds / 2))
    offsets = np.sort(walks.at_ms) / 1000.0
    within = np.searchsorted(offsets, seconds - middles, side="right") / sample
    return float((busy(clock_s + middles) * within).sum() * (seconds / len(middles)))
