"""Scenarios `snow-festival`, `smoke` and `blackout`: what a desk for disasters must cope with, in チ・カ・ホ.

Each is set on a day of its kind, at hours of the day; numbers and times are made up but for those that are named.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from loadgen.control import Order
from loadgen.faults import IMBALANCED, SILENT, SKEWED, STUCK, Fault
from loadgen.people import Flow, Sheltering, Stream, Weekday
from loadgen.scenario import Cast, Scenario
from loadgen.sensors import ALL, registry, sensors
from loadgen.weekday import timed

_STREETS = {"e1": 0.25, "e2": 0.1, "e3": 0.25, "e4": 0.1, "b1": 0.1, "b2": 0.2}
_STATIONS = {"j1": 0.4, "j5": 0.3}


class _Scene(NamedTuple):
    name: str
    start_ms: int
    clock_s: float  # of the beginning
    turn_s: float  # clock, when it is seen to be no ordinary day: an alert may come
    length_s: int
    streams: tuple[Stream, ...]
    orders: tuple[Order, ...]
    faults: Callable[[int, int], list[Fault]]  # seed, start_ms
    shelters: bool = False


def _at(hour: int, minute: float = 0.0) -> float:
    return hour * 3600.0 + minute * 60.0


# 4 hours of a Saturday; at 17:15 a blizzard drives those under ground who walked above; underground paths are one way,
# to the south, until 19:30.
_SURGE = Flow(
    hours=(16.0, 17.2, 17.3, 18.5, 19.5, 21.0),
    per_second=(3.5, 4.0, 13.0, 13.0, 5.0, 2.0),
    origins={"j1": 0.62, "e1": 0.14, "e3": 0.12, "b1": 0.07, "b2": 0.05},
    targets={"j5": 0.76, "e4": 0.02, "e3": 0.12, "b2": 0.1},
    rest=0.03,
)
_HOME = Flow(
    hours=(16.0, 17.2, 17.3, 19.5, 19.6, 20.5, 21.0),
    per_second=(1.7, 2.0, 1.2, 1.2, 6.0, 7.0, 4.0),
    origins={"j5": 0.7, "e4": 0.05, "e3": 0.15, "b2": 0.1},
    targets={"j1": 0.72, "e1": 0.14, "b1": 0.1, "e2": 0.04},
)
_FESTIVAL = _Scene(
    "snow-festival",
    1_770_449_400_000,  # Saturday 2026-02-07 16:30 in Sapporo
    _at(16, 30),
    _at(17, 21),
    4 * 3600,
    (Weekday(0.8), _SURGE, _HOME),
    (
        Order(_at(17, 15), "signs", ()),
        Order(_at(17, 20), "only_ab", ("j2", "j3", "j4")),
        Order(_at(19, 30), "open", ("j2", "j3", "j4")),
    ),
    lambda _seed, start: timed(
        (
            ("j3-02", SILENT, 17.75, 18.0, None, None),
            ("j1-01", IMBALANCED, 17.5, 18.5, 0.3, "ab"),
            ("cam-p1", STUCK, 18.0, 18.25, None, None),
        ),
        start,
        _at(16, 30),
    ),
)

# 90 minutes of a weekday's evening. At 18:00 smoke comes down the 北1条 exits, which are shut; people turn round. A
# building is cleared through its door into the 北2条 section, whose exits and fire doors shut one after the other.
_SMOKE = _Scene(
    "smoke",
    1_424_161_800_000,  # Tuesday 2015-02-17 17:30 in Sapporo
    _at(17, 30),
    _at(18, 3),
    5_400,
    (
        Weekday(),
        Flow(
            hours=(18 + 2 / 60, 18 + 2.1 / 60, 18 + 14 / 60, 18 + 14.1 / 60),
            per_second=(0.0, 6.8, 6.8, 0.0),
            origins={"b1": 1.0},
            targets={"j1": 0.5, "j5": 0.4, "e4": 0.1},
        ),
        Flow(  # trains full of people who have not heard of it
            hours=(17 + 55 / 60, 17 + 57 / 60, 18 + 6 / 60, 18 + 7 / 60),
            per_second=(0.0, 2.5, 2.5, 0.0),
            origins={"j1": 1.0},
            targets={"j5": 0.9, "e3": 0.1},
        ),
    ),
    (
        Order(_at(18), "shut", ("b2", "e3")),
        Order(_at(18, 0.2), "alarm", ("c3",)),
        Order(_at(18, 2), "only_ba", ("b1",)),
        Order(_at(18, 4), "shut", ("j3", "e2")),
        Order(_at(18, 6), "shut", ("j2",)),
        Order(_at(18, 28), "only_ba", ("j2",)),  # they are led out to the north
        Order(_at(18, 28.1), "alarm", ("c2",)),
        Order(_at(18, 45), "open", ("j2", "j3", "b1", "b2", "e2", "e3")),
    ),
    lambda _seed, start: timed(
        (("b2-01", SILENT, 18.05, 18.75, None, None), ("cam-p1", SILENT, 18.1, 18.5, None, None)),
        start,
        _at(17, 30),
    ),
)

# The Hokkaido earthquake of 2018-09-06, 03:07, and the blackout after it: the place is closed and empty, is opened as
# a shelter, and 1,700 people stay in five plazas. The power loss stops all sensors at once.
_QUAKE_S = _at(3, 7)
_BLACKOUT = _Scene(
    "blackout",
    1_536_168_600_000,  # Thursday 2018-09-06 02:30 in Sapporo
    _at(2, 30),
    _QUAKE_S,
    23_400,
    (
        Sheltering(
            {"p3w": 350, "p3e": 130, "p2": 420, "p1": 330, "po": 470},
            {**_STREETS, **_STATIONS},
            _at(3, 25),
            _at(4, 40),
            _at(6, 30),
            _at(9),
            0.4,
        ),
    ),
    (),
    lambda seed, start: _power_loss(seed, start + round((_QUAKE_S - _at(2, 30)) * 1000)),
    shelters=True,
)


def _power_loss(seed: int, lost_ms: int) -> list[Fault]:
    """All sensors silent from then on; they come back one by one, each with a clock that is wrong for a while.

    Half of the clocks have stood still meanwhile, the others have drifted; one sensor in ten stays away for a day.
    """
    rng = np.random.default_rng([seed, 1])
    faults = []
    for sensor in sensors(ALL):
        away = int(rng.uniform(25, 240) * 60_000)
        stands, drift = bool(rng.random() < 0.5), float(rng.uniform(-90_000, -3_000))
        mends = int(rng.uniform(5, 60) * 60_000)
        if rng.random() < 0.1:
            faults.append(Fault(sensor.id, SILENT, lost_ms, lost_ms + 86_400_000))
            continue
        back = lost_ms + away
        faults.append(Fault(sensor.id, SILENT, lost_ms, back))
        faults.append(Fault(sensor.id, SKEWED, back, back + mends, float(-away) if stands else round(drift)))
    return faults


def _made(
    scene: _Scene, seed: int, seconds: float | None, rate: float | None, start_ms: int | None, faults: bool
) -> Scenario:
    if seconds is not None and seconds <= 0:
        raise ValueError("seconds must be positive")
    if rate is not None:
        raise ValueError(f"rate is not of {scene.name}: it has as many people as it has")
    start = scene.start_ms if start_ms is None else start_ms
    wrong = scene.faults(seed, start) if faults else []
    cast = Cast(
        scene.name, scene.streams, scene.orders, sensors(ALL), registry(ALL, shelters=scene.shelters), wrong, True
    )
    return Scenario(cast, seed, seconds, 1.0, start, scene.clock_s)


def snow_festival(
    seed: int = 1,
    seconds: float | None = _FESTIVAL.length_s,
    rate: float | None = None,
    start_ms: int | None = None,
    faults: bool = True,
) -> Scenario:
    """16:30 to 20:30 of a festival's Saturday: a surge of 13 people a second from 17:15 on, one way from 17:20.

    ``start_ms``: event time of the beginning, when it is 16:30 whatever the true clock says; other arguments as of
    ``weekday``. Raises ValueError for a rate, and for a length that is not positive.
    """
    return _made(_FESTIVAL, seed, seconds, rate, start_ms, faults)


def smoke(
    seed: int = 1,
    seconds: float | None = _SMOKE.length_s,
    rate: float | None = None,
    start_ms: int | None = None,
    faults: bool = True,
) -> Scenario:
    """17:30 to 19:00: exits shut from 18:00 on, those of both ways in each other's way, a section full and at a stand.

    Arguments and errors as of ``snow_festival``.
    """
    return _made(_SMOKE, seed, seconds, rate, start_ms, faults)


def blackout(
    seed: int = 1,
    seconds: float | None = _BLACKOUT.length_s,
    rate: float | None = None,
    start_ms: int | None = None,
    faults: bool = True,
) -> Scenario:
    """2:30 to 9:00: all sensors silent at 3:07, back by and by with wrong clocks; 1,700 people in five plazas by 5:00.

    Arguments and errors as of ``snow_festival``.
    """
    return _made(_BLACKOUT, seed, seconds, rate, start_ms, faults)


LENGTH_S = {scene.name: scene.length_s for scene in (_FESTIVAL, _SMOKE, _BLACKOUT)}
TURN_S = {scene.name: scene.turn_s - scene.clock_s for scene in (_FESTIVAL, _SMOKE, _BLACKOUT)}  # from the beginning
