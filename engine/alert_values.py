"""Value and verdict of each kind of rule, from rows of the products ``zones`` and ``flow`` by column name.

Each function takes the rule, the rows' cells, limit and recovery (r,) and the widths in metres (r,), NaN = none, and
gives (verdict, value), both (r,). Values are middles of released ranges; what a row does not tell is UNKNOWN, never
below the limit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.model import I8, LENGTH_MS, UNKNOWN_STATUS
from engine.thresholds import RECOVERY, Threshold

F64 = NDArray[np.float64]
Flags = NDArray[np.bool_]
BELOW, BAND, ABOVE, UNKNOWN, OFF = 0, 1, 2, 3, 4


@dataclass(frozen=True, slots=True)
class Cells:
    """Cells of rows by column name, and how long the rows' windows are."""

    columns: Mapping[str, NDArray[Any]]
    length_ms: F64

    def number(self, name: str) -> F64:
        """A column of floats; NaN = null."""
        return np.asarray(self.columns[name], np.float64)

    def count(self, name: str) -> F64:
        """A column of people; NaN = null."""
        told = self.columns[name]
        return np.where(told < 0, np.nan, told)

    def middle(self, name: str) -> F64:
        """The middle of a released range of people; NaN = null."""
        return (self.count(f"{name}_low") + self.count(f"{name}_high")) / 2

    def per_minute(self, people: F64) -> F64:
        """What comes in a window as it would come in a minute."""
        return people * LENGTH_MS[1] / self.length_ms

    @property
    def unknown(self) -> Flags:
        """Rows of status unknown."""
        return np.asarray(self.columns["status"] == UNKNOWN_STATUS)


def _rising(value: F64, limit: F64, recovery: F64) -> I8:
    verdict = np.where(value >= limit, ABOVE, np.where(value < recovery, BELOW, BAND))
    return np.where(np.isnan(value), UNKNOWN, verdict).astype(np.int8)


def _falling(value: F64, limit: F64, recovery: F64) -> I8:
    verdict = np.where(value < limit, ABOVE, np.where(value >= recovery, BELOW, BAND))
    return np.where(np.isnan(value), UNKNOWN, verdict).astype(np.int8)


def density(rule: Threshold, cells: Cells, limit: F64, recovery: F64, width: F64) -> tuple[I8, F64]:
    """People per m²."""
    value = np.where(cells.unknown, np.nan, cells.number("density"))
    return _rising(value, limit, recovery), value


def speed(rule: Threshold, cells: Cells, limit: F64, recovery: F64, width: F64) -> tuple[I8, F64]:
    """Metres per second; with certainly fewer than ``people`` in the zone nobody is slow because of others."""
    value = np.where(cells.unknown, np.nan, cells.number("speed"))
    few = ~cells.unknown & (cells.count("occupancy_high") < rule.people)
    return np.where(few, BELOW, _falling(value, limit, recovery)).astype(np.int8), value


def sensor_loss(rule: Threshold, cells: Cells, limit: F64, recovery: F64, width: F64) -> tuple[I8, F64]:
    """Coverage; 0 where the zone is unknown. Where nothing tells coverage, its loss cannot be seen: BELOW."""
    value = np.where(cells.unknown, 0.0, cells.number("coverage"))
    return np.where(cells.unknown, ABOVE, loss(value, limit, recovery)).astype(np.int8), value


def loss(value: F64, limit: F64, recovery: F64) -> I8:
    """Verdicts on shares of sensors or of their time; NaN, where nothing tells them, is no loss: BELOW."""
    return np.where(np.isnan(value), BELOW, _falling(value, limit, recovery)).astype(np.int8)


def stopped(rule: Threshold, cells: Cells, limit: F64, recovery: F64, width: F64) -> tuple[I8, F64]:
    """Density of a zone that is full and in which nobody moves: an empty corridor has no flow either.

    Full: density ≥ limit, or certainly ``rise`` more people come than go per minute. Nobody moves: speed ≤ the rule's
    speed; where no speed is known, people leave at no more than the rule's flow per metre and minute.
    """
    people = np.where(cells.unknown, np.nan, cells.number("density"))
    pace, leaving = cells.number("speed"), cells.per_minute(cells.middle("outflow")) / width
    timed = ~np.isnan(pace)
    still = np.where(timed, pace <= rule.speed, leaving <= rule.flow)
    moves = np.where(timed, pace > rule.speed / RECOVERY, leaving > rule.flow / RECOVERY)
    full, free, dark = people >= limit, people < recovery, np.isnan(people)
    if rule.rise is not None:
        more = cells.per_minute(cells.count("inflow_low") - cells.count("outflow_high"))
        full, free, dark = full | (more >= rule.rise), free & (more < rule.rise), dark & np.isnan(more)
    verdict = np.where(free | moves, BELOW, np.where(dark | (~timed & np.isnan(leaving)), UNKNOWN, BAND))
    verdict = np.where(full & still, ABOVE, verdict)
    return np.where(cells.unknown, UNKNOWN, verdict).astype(np.int8), people


def flow(rule: Threshold, cells: Cells, limit: F64, recovery: F64, width: F64) -> tuple[I8, F64]:
    """People per metre of the gate's width and minute, all directions together."""
    people = cells.middle("ab") + cells.middle("ba") + cells.middle("unknown")
    value = cells.per_minute(people) / width
    return _rising(value, limit, recovery), value


def counterflow(rule: Threshold, cells: Cells, limit: F64, recovery: F64, width: F64) -> tuple[I8, F64]:
    """min(n1, n2) / (n1 + n2) of the two directions through a gate; with few people it says nothing: BELOW."""
    one, other = cells.middle("ab"), cells.middle("ba")
    both = one + other
    value = np.minimum(one, other) / np.where(both > 0, both, 1)
    few = cells.per_minute(both) < rule.people_per_minute
    return np.where(few, BELOW, _rising(value, limit, recovery)).astype(np.int8), value


VERDICTS: Mapping[str, Callable[[Threshold, Cells, F64, F64, F64], tuple[I8, F64]]] = {
    "density": density,
    "flow": flow,
    "speed": speed,
    "counterflow": counterflow,
    "stopped": stopped,
    "sensor_loss": sensor_loss,
}
