"""Levels of service: named, versioned schemes as data, and the one way to grade by them.

A grade is given for the worse end of a range, so what may be dense is never shown as free. Flow alone grades nothing: a
jam and an empty corridor both have a flow near 0. Where density is not known it follows from flow and speed together
(people per m² = people per min and m ÷ 60 ÷ m/s); with one of them alone, or where next to nobody passes and they are
slow, the grade is unknown.

Breakdown is the last grade too: from ``slow_from`` on (density at which people can no longer go round each other) a
speed below ``slow_m_s`` is no choice of theirs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from engine.model import F64, I32, LOS

UNKNOWN, WORST = 0, len(LOS) - 1


@dataclass(frozen=True, slots=True)
class Scheme:
    """One table of grades.

    ``density``: the most people per m² of grades A … E, each with its end; beyond is F. ``flow``: people per min and
    metre of width at which grades B, C, D, E begin, None where the scheme knows no flow; flow never gives F.
    """

    name: str  # with the version of its numbers, as it stands beside every grade
    source: str
    density: tuple[float, ...]
    flow: tuple[float, ...] | None = None
    slow_m_s: float = 0.0
    slow_from: float = float("inf")


# The table gives A below 23, B 23–33, C 33–49, D 49–66, E 66–82: a flow on an edge has the worse of its two grades.
# 82 a minute and metre is the ceiling of the flow, reached at the end of E: slower than that (0.63 m/s) it has broken
# down, where it is as dense as D or denser.
WALKWAY = Scheme(
    "fruin-walkway-1",
    "J. J. Fruin, Designing for Pedestrians: A Level-of-Service Concept, Highway Research Record 355 (1971), walkways,"
    " in metric units (35, 25, 15, 10, 5 sq ft a person; 7, 10, 15, 20, 25 people a minute and foot)",
    (0.31, 0.43, 0.72, 1.08, 2.17),
    (23.0, 33.0, 49.0, 66.0),
    slow_m_s=82 / 60 / 2.17,
    slow_from=0.72,
)
QUEUE = Scheme(
    "hcm-queue-1",
    "Transportation Research Board, Highway Capacity Manual 2000, pedestrian queuing areas"
    " (1.2, 0.9, 0.6, 0.3, 0.2 m² a person)",
    (0.83, 1.11, 1.67, 3.33, 5.0),
)
SCHEMES = (WALKWAY, QUEUE)
# By zone kind (engine.registry.ZONE_KINDS). People walk in plazas and exits too, and the walkway's grades are the
# stricter; in queues and shelters they stand or sit.
OF_KIND = {"walkway": WALKWAY, "plaza": WALKWAY, "exit": WALKWAY, "queue": QUEUE, "shelter": QUEUE}


def grade(scheme: Scheme, density: Any, flow: Any = np.nan, speed: Any = np.nan) -> I32:
    """Grades (places in LOS) of people per m², people per min and metre of width, and m/s; NaN = not known.

    The arguments are arrays of one shape or numbers. Give the end of each range that is worse, but a flow that is
    certain. Negative values are not known: no number of people is.
    """
    given = [np.asarray(value, np.float64) for value in (density, flow, speed)]
    people, passing, pace = (np.where(value >= 0, value, np.nan) for value in np.broadcast_arrays(*given))
    if scheme.flow is not None:
        people = np.where(np.isnan(people), _inverted(scheme, passing, pace), people)
    grades = 1 + np.searchsorted(scheme.density, people, side="left")
    if scheme.flow is not None:
        by_flow = 1 + np.searchsorted(scheme.flow, passing, side="right")
        grades = np.where(np.isnan(passing), grades, np.maximum(grades, by_flow))
    grades = np.where((people > scheme.slow_from) & (pace < scheme.slow_m_s), WORST, grades)
    return np.where(np.isnan(people), UNKNOWN, grades).astype(np.int32)


def _inverted(scheme: Scheme, flow: F64, speed: F64) -> F64:
    """People per m² from flow and speed; of slow people only where it is dense: else they stand, or nobody passes."""
    moving = (flow > 0) & (speed > 0)
    density = np.divide(flow, 60 * speed, out=np.full(flow.shape, np.nan), where=moving)
    return np.where((speed < scheme.slow_m_s) & (density <= scheme.slow_from), np.nan, density)


def grade_range(scheme: Scheme, low: F64, high: F64, flow: F64, speed: F64) -> I32:
    """Grades (n,) of ranges of density: that of ``high``; unknown where the range holds every grade or nothing tells.

    ``low`` may be negative (then it is 0); ``high`` below 0 is a contradiction, so not known. Beside a density ``flow``
    and ``speed`` make a grade worse, never better; NaN = not known.
    """
    worst = grade(scheme, high, flow, speed)
    free = np.maximum(low, 0) <= scheme.density[0]  # the first grade, of a density alone
    return np.where(free & (worst == WORST), UNKNOWN, worst).astype(np.int32)
