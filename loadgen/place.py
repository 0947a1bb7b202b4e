"""The place of the scenarios: a schematic of チ・カ・ホ, the walkway between さっぽろ and 大通, in metres.

Own schematic, true to the published measures (520 m by 20 m, plazas, its bearing), not a survey. Two frames:

    along, across   the walkway's own: metres from its north end, and from its middle line, west positive; the walls
                    are at -10 and 10
    x, y            the site's, on the wire and in the registry: metres east and north of the middle of its north end,
                    so that headings of tracked people are true to north

Four sections follow one another; plazas lie beside them, behind gates, but for that of 北1条, which is an open part of
its section, as are the landing before the 北1条 west stairs and the queue before the Odori ticket gates.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

TIMEZONE = "Asia/Tokyo"
# As registries name it for the page; the engine leaves places out.
PLACE: Mapping[str, Any] = {
    "id": "chikaho",
    "name": {"ja": "札幌駅前通地下歩行空間（チ・カ・ホ）", "en": "Chi-Ka-Ho underground walkway"},
}
LENGTH_M = 520.0
WIDTH_M = 20.0
WALL_M = WIDTH_M / 2
# From lon/lat [141.35082, 43.06526] to [141.35198, 43.06063]: 94.3 m east, 514.4 m south.
BEARING_DEG = 169.6
WEST, EAST = 1, -1
_SOUTH = math.sin(math.radians(BEARING_DEG)), math.cos(math.radians(BEARING_DEG))  # x, y of a metre along
_WEST = _SOUTH[1], -_SOUTH[0]  # of a metre across


@dataclass(frozen=True)
class Gate:
    """A line people cross, in the middle of it ``along`` metres down the walkway. ``a``, ``b``: zones, None = outside.

    role: ``end`` and ``door`` lead outside, ``section`` parts two sections, ``plaza`` leads into a plaza, ``wall``
    counts passers-by at a wall without direction. ``side``: the wall it lies in (WEST, EAST), 0 = across the walkway.
    ``reporting`` as in the registry; ``every_span`` sensors send counts. ``single_file``: people pass one by one.
    """

    id: str
    role: str
    along: float
    side: int
    a: str | None
    b: str | None
    lanes: int
    width_m: float
    ja: str
    en: str
    reporting: str = "heartbeat"
    leaf: str = "10s"
    single_file: bool = False

    @property
    def bearing_deg(self) -> float:
        """Compass bearing of a passage from a to b."""
        return round((BEARING_DEG + 90 * (self.side if self.role != "wall" else 0)) % 360, 1)

    def line_m(self) -> list[list[float]]:
        """Its ends in the site's metres; side a lies left of the first → the second."""
        if self.role == "wall":
            return [site(self.along, self.side * (WALL_M - self.width_m)), site(self.along, self.side * WALL_M)]
        if self.side == 0:
            return [site(self.along, WALL_M), site(self.along, -WALL_M)]
        half = self.width_m / 2 * self.side
        return [site(self.along - half, self.side * WALL_M), site(self.along + half, self.side * WALL_M)]


@dataclass(frozen=True)
class Zone:
    """A place people are in. ``corners``: along, across, anticlockwise on a map; ``parent``: what it is a part of."""

    id: str
    ja: str
    en: str
    kind: str
    corners: tuple[tuple[float, float], ...]
    width_m: float
    parent: str | None = None

    @property
    def area_m2(self) -> float:
        """Area of its polygon."""
        following = (*self.corners[1:], self.corners[0])
        return abs(sum(a * d - b * c for (a, b), (c, d) in zip(self.corners, following, strict=True))) / 2

    @property
    def box(self) -> tuple[float, float, float, float]:
        """Least and most along, least and most across."""
        along, across = zip(*self.corners, strict=True)
        return min(along), max(along), min(across), max(across)

    def polygon_m(self) -> list[list[float]]:
        """Its corners in the site's metres."""
        return [site(*corner) for corner in self.corners]


def _box(from_along: float, to_along: float, from_across: float, to_across: float) -> tuple[tuple[float, float], ...]:
    return (
        (from_along, from_across),
        (from_along, to_across),
        (to_along, to_across),
        (to_along, from_across),
    )


def _plaza(middle: float, length: float, side: int, depth: float) -> tuple[tuple[float, float], ...]:
    across = sorted((side * WALL_M, side * (WALL_M + depth)))
    return _box(middle - length / 2, middle + length / 2, across[0], across[1])


def site_xy(along: NDArray[np.float64], across: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The site's x and y of places in the walkway's own frame, any shape."""
    return along * _SOUTH[0] + across * _WEST[0], along * _SOUTH[1] + across * _WEST[1]


def site(along: float, across: float) -> list[float]:
    """One place in the site's metres, to the millimetre."""
    x, y = along * _SOUTH[0] + across * _WEST[0], along * _SOUTH[1] + across * _WEST[1]
    return [round(x, 3), round(y, 3)]


SECTION_ENDS = (180.0, 280.0, 400.0)  # where one section ends and the next begins: gates j2, j3, j4
GATES: tuple[Gate, ...] = (
    Gate("j1", "end", 0, 0, None, "c1", 3, 20, "さっぽろ側入口", "Sapporo end"),
    Gate("j2", "section", SECTION_ENDS[0], 0, "c1", "c2", 3, 20, "北3条・北2条間", "Kita 3 to Kita 2"),
    Gate("j3", "section", SECTION_ENDS[1], 0, "c2", "c3", 3, 20, "北2条・北1条間", "Kita 2 to Kita 1"),
    Gate("j4", "section", SECTION_ENDS[2], 0, "c3", "c4", 3, 20, "北1条・北大通間", "Kita 1 to Kita-odori"),
    Gate("j5", "end", LENGTH_M, 0, "c4", None, 3, 20, "大通側入口", "Odori end"),
    Gate("e1", "door", 60, WEST, "c1", None, 2, 6, "北3条西階段", "Kita 3 west stairs", "on_change"),
    Gate("e2", "door", 200, EAST, "c2", None, 1, 2, "北2条東階段", "Kita 2 east stairs", "on_change", single_file=True),
    Gate("e3", "door", 330, WEST, "c3", None, 2, 6, "北1条西階段", "Kita 1 west stairs"),
    Gate("e4", "door", 440, EAST, "c4", None, 1, 2, "北大通東階段", "Kita-odori east stairs", single_file=True),
    Gate("b1", "door", 220, WEST, "c2", None, 2, 5, "北2条ビル連絡口", "Kita 2 building door"),
    Gate("b2", "door", 350, EAST, "c3", None, 1, 5, "北1条ビル連絡口", "Kita 1 building door", "every_span", "1m"),
    Gate("k1", "plaza", 100, WEST, "c1", "p3w", 2, 15, "北3条広場(西)", "Kita 3 plaza west"),
    Gate("k2", "plaza", 105, EAST, "c1", "p3e", 1, 10, "北3条広場(東)", "Kita 3 plaza east"),
    Gate("k3", "plaza", 260, WEST, "c2", "p2", 2, 12, "北2条広場", "Kita 2 plaza"),
    Gate("k4", "plaza", 470, WEST, "c4", "po", 2, 15, "北大通広場", "Kita-odori plaza"),
    Gate("s2", "wall", 240, EAST, None, None, 1, 4, "北2条サイネージ前", "Kita 2 signage wall"),
)
ROW = {gate.id: row for row, gate in enumerate(GATES)}

# The plaza of 北1条 is a niche of its section, so that section's polygon has its corners too.
_KITA1 = _plaza(384, 16, WEST, 18)
_SECTION_3 = (
    (SECTION_ENDS[1], -WALL_M),
    (SECTION_ENDS[1], WALL_M),
    (376.0, WALL_M),
    (376.0, WALL_M + 18),
    (392.0, WALL_M + 18),
    (392.0, WALL_M),
    (SECTION_ENDS[2], WALL_M),
    (SECTION_ENDS[2], -WALL_M),
)
ZONES: tuple[Zone, ...] = (
    Zone("c1", "北3条区間", "Kita 3 section", "walkway", _box(0, SECTION_ENDS[0], -WALL_M, WALL_M), WIDTH_M),
    Zone("c2", "北2条区間", "Kita 2 section", "walkway", _box(*SECTION_ENDS[:2], -WALL_M, WALL_M), WIDTH_M),
    Zone("c3", "北1条区間", "Kita 1 section", "walkway", _SECTION_3, WIDTH_M),
    Zone(
        "c4", "北大通区間", "Kita-odori section", "walkway", _box(SECTION_ENDS[2], LENGTH_M, -WALL_M, WALL_M), WIDTH_M
    ),
    Zone("p3w", "北3条交差点広場(西)", "Kita 3 plaza west", "plaza", _plaza(100, 20, WEST, 15), 15),
    Zone("p3e", "北3条交差点広場(東)", "Kita 3 plaza east", "plaza", _plaza(105, 11, EAST, 10), 10),
    Zone("p2", "北2条広場", "Kita 2 plaza", "plaza", _plaza(260, 24, WEST, 15), 12),
    Zone("po", "北大通交差点広場", "Kita-odori plaza", "plaza", _plaza(470, 25, WEST, 16), 15),
    Zone("p1", "北1条広場", "Kita 1 plaza", "plaza", _KITA1, 16, "c3"),
    Zone("x3", "北1条西階段前", "Before the Kita 1 west stairs", "exit", _box(325, 335, 5, 9.5), 10, "c3"),
    Zone("q5", "大通改札前", "Before the Odori ticket gates", "queue", _box(500, 516, -9, -1), 8, "c4"),
)
ZONE_ROW = {zone.id: row for row, zone in enumerate(ZONES)}
SECTIONS = ("c1", "c2", "c3", "c4")


@dataclass(frozen=True)
class Plaza:
    """Where people stay: its zone, the middle and width of its opening, the row of its gate (-1 = an open plaza)."""

    zone: str
    along: float
    side: int
    width_m: float
    gate: int


PLAZAS: tuple[Plaza, ...] = (
    *(Plaza(str(gate.b), gate.along, gate.side, gate.width_m, ROW[gate.id]) for gate in GATES if gate.role == "plaza"),
    Plaza("p1", 384, WEST, 16, -1),
)
