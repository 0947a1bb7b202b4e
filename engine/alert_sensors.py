"""Which sensors can be believed, cell by cell of 10 s: what the rules of sensor_loss by health are judged by.

Told are changes of sensors' states, each at the line of watermarks at which it comes out. Between them a state holds,
also while nobody is heard and no row of any zone comes: so a silence of everything raises alerts too. A cell is judged
by what is told up to the line at its end::

    line     07:00:10     :20          :30          :40
    told     s1 silent                              s1 ok
    share      |    1/2     |    1/2     |    1/2     |    1
    cell     ──┘  ──────────┘  ──────────┘  ──────────┘
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from engine.model import CELL_MS, F64, I64, NO_TIME
from engine.registry import Registry, Sensor
from engine.tables import Tables

# A skewed sensor's events are refused, a stuck one says always the same. What a chattering or imbalanced one says is
# doubtful, but not nothing.
LOST = frozenset({"silent", "stuck", "skewed"})

Change = tuple[int, str, str]  # line in ms, sensor id, its state from then on (a word; "" = nothing is expected of it)


@dataclass(slots=True)
class Sensors:
    """Sensors that are lost, and up to when that was judged."""

    lost: set[str] = field(default_factory=set)
    until_ms: int = NO_TIME  # end of the last cell judged

    def adopt(self, changes: Iterable[Change]) -> None:
        """Let changes hold; of several of a sensor the last."""
        for _, sensor, state in changes:
            (self.lost.add if state in LOST else self.lost.discard)(sensor)

    def skip(self, to: int) -> None:
        """Leave out the cells up to ``to``: nothing is lost in them."""
        self.until_ms = max(self.until_ms, to // CELL_MS * CELL_MS)

    def cells(self, to: int) -> I64:
        """The ends (m,) of the cells up to ``to`` that are not judged yet, which from now on they are."""
        first = self.until_ms
        self.skip(to)
        return np.arange(first + CELL_MS, self.until_ms + 1, CELL_MS, dtype=np.int64)


class Serving:
    """Which sensors serve the zones of a registry version.

    Those of one ``group`` at a gate or zone stand in for each other: together they count as one.
    """

    def __init__(self, tables: Tables) -> None:
        row = {zone: place for place, zone in enumerate(tables.zone_ids)}
        lanes: dict[int, dict[tuple[str, ...], list[Sensor]]] = {}
        for sensor, zone, place in _served(tables.registry):
            name = (place, sensor.group) if sensor.group else (place, "", sensor.id)
            lanes.setdefault(row[zone], {}).setdefault(name, []).append(sensor)
        self._lanes = {zone_row: list(of.values()) for zone_row, of in lanes.items()}
        self._zones: dict[str, set[int]] = {}
        for zone_row, of in self._lanes.items():
            for sensor in (sensor for sensors in of for sensor in sensors):
                self._zones.setdefault(sensor.id, set()).add(zone_row)

    def touched(self, lost: Collection[str]) -> set[int]:
        """Rows of the zones of which a sensor is lost."""
        return {row for sensor in lost for row in self._zones.get(sensor, ())}

    def share(self, zone: int, starts: I64, lost: Collection[str]) -> F64:
        """Share (m,) of a zone's sensors, approved at ``starts``, that are not lost; NaN where none is approved."""
        there, good = np.zeros(len(starts), np.int64), np.zeros(len(starts), np.int64)
        for sensors in self._lanes.get(zone, ()):
            there += _approved(sensors, starts)
            good += _approved([sensor for sensor in sensors if sensor.id not in lost], starts)
        return np.where(there > 0, good / np.maximum(there, 1), np.nan)


def _served(registry: Registry) -> Iterator[tuple[Sensor, str, str]]:
    """Each sensor with each zone it serves, and a name of where it stands: at a gate of the zone, or in the zone.

    A tracker without gate and zone serves all that it may see: gates with a line, zones with a polygon.
    """
    gates = {gate.id: (gate,) for gate in registry.gates}
    seen = tuple(gate for gate in registry.gates if gate.line_m is not None)
    outlined = tuple(zone.id for zone in registry.zones if zone.polygon_m is not None)
    for sensor in registry.sensors:
        roams = sensor.kind == "tracker" and sensor.gate is None and sensor.zone is None
        own = () if sensor.zone is None else (sensor.zone,)
        at = seen if roams else gates.get(sensor.gate or "", ())
        found = {zone: f"gate {gate.id}" for gate in at for zone in (gate.a, gate.b) if zone is not None}
        found |= {zone: f"zone {zone}" for zone in (outlined if roams else own)}
        yield from ((sensor, zone, place) for zone, place in found.items())


def _approved(sensors: Sequence[Sensor], starts: I64) -> I64:
    """Whether (m,) one of ``sensors`` is approved at each start, as 0 or 1."""
    out = np.zeros(len(starts), np.bool_)
    for sensor in sensors:
        for since, to in sensor.approved:
            out |= (since <= starts) & (starts < to)
    return out.astype(np.int64)
