"""The product ``headings``: which way people went through a zone, released by the carry as passages of gates are.

A chain is a zone × sector of the compass, a pane 10 s. A track enters it once, at the end of its first stay in the
zone, by the way from where it came in to where it went out (engine/crossing.py)::

                      0 north
    sectors        7     |     1         each 45 degrees, its wind in the middle; y of the site's plane leads north
              6 west ----+---- 2 east
                   5     |     3
                      4 south

A zone with a sensor that also feeds a gate has no headings: two carries over the same people subtract (PRIVACY.md).
Headings rest on trackers alone. So they close ``track_ms`` behind a window's end, whatever the gates of the zone wait,
and are unknown where none of the zone's trackers was heard.

What way the people of a zone went together is arithmetic on the rows: the mean direction and its resultant length
(Mardia, Jupp: Directional Statistics, 2000, 2.2), from the sectors that have an n::

    C = Σ w cos θ     S = Σ w sin θ     mean = atan2(S, C)     R = √(C² + S²) / Σ w     θ: the middle of a sector
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine import served
from engine.book import Book, Versions
from engine.chains import Chains
from engine.expected import Expected
from engine.figures import Block, ClassFigures, Runs, parcels
from engine.model import (
    CELL_MS,
    END,
    F64,
    I64,
    MINUTE,
    NO_TIME,
    ON_CHANGE,
    RANGE_STATUS,
    RELEASED_STATUS,
    SECTORS,
    STATUS,
    WINDOWS,
    Released,
)
from engine.partial import COVER_COLUMNS, HEADING_COLUMNS, Partial
from engine.registry import TRACKER, Sensor
from engine.rows import Renumber, repeated, summed, taken
from engine.served import Served
from engine.shard_class import Spans, Switch, parted
from engine.tables import Tables

_PANE = 0  # code of the windows that are counted
_FINEST = MINUTE  # the shortest windows that have rows


def telling(tables: Tables) -> Mapping[int, list[tuple[int, Sensor]]]:
    """The zones (rows) that have headings, each with its trackers (sensor row, sensor) in the registry's order.

    They need a polygon and a tracker: one that stands there, or one that serves all zones. None of the zone's sensors
    may feed a gate; a tracker that serves all zones serves every gate with a line too.
    """
    row_of = {zone: row for row, zone in enumerate(tables.zone_ids)}
    shaped = [row_of[zone.id] for zone in tables.registry.zones if zone.polygon_m is not None]
    lines = any(gate.line_m is not None for gate in tables.registry.gates)
    trackers: dict[int, list[tuple[int, Sensor]]] = {row: [] for row in shaped}
    barred: set[int] = set()
    for row, sensor in zip(tables.sensor_row, tables.registry.sensors, strict=True):
        roams = sensor.kind == TRACKER and sensor.gate is None and sensor.zone is None
        zones = shaped if roams else [] if sensor.zone is None else [row_of[sensor.zone]]
        if sensor.gate is not None or (roams and lines):
            barred.update(zones)
        elif sensor.kind == TRACKER:
            for zone in zones:
                if zone in trackers:
                    trackers[zone].append((row, sensor))
    return {zone: of for zone, of in trackers.items() if of and zone not in barred}


class Headings:
    """Chains and figures of all zones that have had headings so far; in shard 0, where partitions tell of zones.

    ``threshold``: K, None: there are none here.
    """

    def __init__(self, book: Book, threshold: int | None) -> None:
        tables = book.tables(book.start)
        self._book, self._none, threshold = book, threshold is None, threshold or 1
        self.delay_ms = tables.follow.track_ms  # a track unseen for longer has ended, and with it its stay
        self._zones: I64 = np.empty(0, np.int64)
        self._chains = Chains(0, threshold)
        self._figures = ClassFigures(tables.zone_clock, [], SECTORS, _FINEST, self.delay_ms, threshold)
        self._start = NO_TIME  # where counting began
        self._at = 0  # place of the switch that holds for the next window
        self._rows: dict[int, list[I64]] = {}  # by partition, until all partitions have passed their close
        self._watch: dict[int, list[I64]] = {}
        self._held: dict[int, list[tuple[int, Versions]]] = {}  # of each partition (W, versions) that have come to hold
        self._use(book.start)

    # ------------------------------------------------------------------------ what partitions tell
    def wait(self, part: Partial, met: Sequence[Versions]) -> None:
        """Keep what a partial tells; ``met``: the sequences to which the versions in it have led, one by one."""
        if self._none:
            return
        held = self._held.setdefault(part.partition, [(NO_TIME, self._book.start)])
        held += zip(part.versions[:, 0].tolist(), met, strict=True)
        for rows, kept in ((part.headings[self._allowed(held, part.headings)], self._rows), (part.watch, self._watch)):
            if len(rows):
                rows = rows.copy()
                rows[:, 1] = rows[:, 0] + CELL_MS + self.delay_ms
                kept.setdefault(part.partition, []).append(rows)

    def _allowed(self, held: list[tuple[int, Versions]], rows: I64) -> NDArray[np.bool_]:
        """Which rows may be counted: not those of a pane in which their partition fed a gate with the same people.

        A version that comes to hold inside a pane shares it with the one before.
        """
        out = np.ones(len(rows), np.bool_)
        if len(rows):
            zones = len(self._book.tables(held[-1][1]).zone_ids)
            ends = [at for at, _ in held[1:]] + [END]
            for (at, sequence), end in zip(held, ends, strict=True):
                tells = np.zeros(zones, np.bool_)
                tells[list(_telling(self._book.tables(sequence)))] = True
                out &= (rows[:, 0] < at) | (rows[:, 0] > end) | tells[rows[:, 3]]
        return out

    # ------------------------------------------------------------------------ what holds
    def begin(self, first_ms: int) -> None:
        """Counting begins with the pane of the run's first activity (ms).

        No stay ends before that: points are late as soon as W has passed them, so what comes later lies behind it.
        """
        if len(self._zones) and self._start == NO_TIME:
            self._begin(first_ms)

    def _begin(self, at_ms: int, first_window_ms: int = NO_TIME) -> None:
        self._start = _pane(at_ms)
        self._chains.begin(self._start)
        self._figures.begin(self._start, first_window_ms)

    def know(self, newest: Versions, at_ms: int | None, version: int) -> None:
        """Take in the zones of a version switched to at ``at_ms`` (None: before any activity), the place ``version``.

        Their panes are counted from now on; rows follow when the version holds for the next window.
        """
        known = set(self._zones.tolist())
        tells = () if self._none else _telling(self._book.tables(newest))
        fresh = [zone for zone in tells if zone not in known]
        if not fresh:
            return
        first = not known
        start = self._start if at_ms is None or first else _pane(at_ms)
        self._zones = np.append(self._zones, fresh)
        self._chains.grow(len(fresh) * SECTORS, start)
        self._figures.grow(fresh, start)
        if first:
            self._at, self._sequence = version, newest
            if at_ms is not None:
                self._begin(at_ms, at_ms)
        self._use(self._sequence)

    def _use(self, sequence: Versions) -> None:
        """Let a version hold for the windows that come. A *lane* is one tracker in one of its zones."""
        self._sequence, tables = sequence, self._book.tables(sequence)
        tells = _telling(tables)
        lanes = [
            (place, row, sensor)
            for place, zone in enumerate(self._zones.tolist())
            for row, sensor in tells.get(zone, ())
        ]
        of = [Served(place, lane, sensor) for lane, (place, _, sensor) in enumerate(lanes)]
        self._groups = served.groups(of)
        self._mute = np.array([sensor.reporting == ON_CHANGE for _, _, sensor in lanes], np.bool_)
        self._lane_place = np.array([place for place, _, _ in lanes], np.int64)
        sensor = np.array([row for _, row, _ in lanes], np.int64)
        self._order = np.argsort(sensor, kind="stable")  # lanes by sensor, of one by place
        self._lane_sensor = sensor[self._order]
        here = np.array([zone in tells for zone in self._zones.tolist()], np.bool_)
        self._figures.use(tables, here, Expected(tables, of, len(self._zones), _PANE))

    # ------------------------------------------------------------------------ windows
    def due(self, spans: I64) -> int:
        """The watermark at which the next window of ``spans`` gets its rows; END where there is none."""
        return self._figures.due(spans) if len(self._zones) else END

    def close(
        self, w: int, spans: Spans, switches: list[Switch], unit: str, sensors: Renumber, zones: Renumber
    ) -> list[Released]:
        """Rows of the windows that close at the watermark ``w``: one block or more per version, by window and zone.

        ``spans``: activity known at a watermark; ``switches``: the versions of the run; ``sensors``, ``zones``: the
        rows of a partition as the shard has them.
        """
        rows = taken(self._rows, HEADING_COLUMNS, 1, w, {2: sensors, 3: zones})
        watch = taken(self._watch, COVER_COLUMNS, 1, w, {2: sensors})
        out: list[Released] = []
        if not len(self._zones):
            return out
        watch = summed(watch, (0, 2), 3)
        for place, stop, (now, watched) in parted(self._at, self.delay_ms, w, switches, rows, watch):
            if place != self._at:
                self._at = place
                self._use(switches[place].sequence)
            runs = self._release(now, watched)
            blocks = [block for block in self._figures.advance(stop, spans(stop), runs) if block.n.size]
            out += parcels(blocks, f"{unit}/{place}" if place else unit, heading_rows)
        return out

    def _release(self, rows: I64, watch: I64) -> Runs:
        """The runs that end in these panes: rows of people and covers of trackers, of all closed panes."""
        place_of = np.full(int(self._zones.max()) + 2, -1, np.int64)  # its last stands for all others, and for none
        place_of[self._zones] = np.arange(len(self._zones))
        place = place_of[np.minimum(rows[:, 3], len(place_of) - 1)]
        rows, place = rows[place >= 0], place[place >= 0]
        covers = self._by_lane(watch)
        if self._groups:
            panes = rows.copy()
            panes[:, 2] = self._lane(rows[:, 2], place)
            count, told = served.chosen(panes, covers, self._groups, self._mute, self.delay_ms)
            rows, place, covers = rows[count], place[count], covers[told]
        self._figures.cover(covers[:, 0], self._lane_place[covers[:, 2]], covers[:, 3])
        chain = place * SECTORS + rows[:, 4]
        none = np.zeros(len(rows), np.int64)
        panes = np.column_stack([rows[:, 0], rows[:, 0] + CELL_MS, chain, rows[:, 5], none])
        return self._chains.release(summed(panes, (0, 2), 3))[0]

    def _by_lane(self, watch: I64) -> I64:
        """Covers of trackers as covers of their lanes: a tracker covers all its zones at once.

        Of one heard in two partitions spans may overlap: whether it was heard at all is all that is asked here.
        """
        first, behind = (np.searchsorted(self._lane_sensor, watch[:, 2], side) for side in ("left", "right"))
        row, number = repeated(behind - first)
        out = watch[row]
        out[:, 2] = self._order[first[row] + number]
        return out

    def _lane(self, sensor: I64, place: I64) -> I64:
        """The lanes of sensors in places; -1 where a sensor has none in this version."""
        many = len(self._zones)
        keys = self._lane_sensor * many + self._lane_place[self._order]
        wanted = sensor * many + place
        at = np.searchsorted(keys, wanted)
        found = np.append(keys, -1)[at] == wanted
        return np.where(found & (sensor >= 0), np.append(self._order, -1)[at], -1)

    # ------------------------------------------------------------------------ snapshot
    def state(self) -> Any:
        """Everything a later ``restore`` needs."""
        begun = self._zones, self._start, self._at, self._sequence
        return begun, self._chains.state(), self._figures.state(), self._rows, self._watch, self._held

    def restore(self, state: Any) -> None:
        """Take back what ``state()`` gave."""
        begun, chains, figures, self._rows, self._watch, self._held = state
        self._zones, self._start, self._at, sequence = begun
        self._figures.grow(self._zones.tolist(), self._start)
        self._figures.restore(figures)
        self._chains.restore(chains)
        self._use(sequence)


def _pane(ms: int) -> int:
    return ms // CELL_MS * CELL_MS


def _telling(tables: Tables) -> Mapping[int, list[tuple[int, Sensor]]]:
    return tables.once("headings", lambda: telling(tables))


def circular(weights: I64) -> tuple[F64, F64]:
    """Mean heading in degrees from north, clockwise, in [0, 360), and resultant length R in [0, 1] (see above).

    ``weights`` (…, SECTORS): people by sector; both come without the last axis. NaN without people; no mean heading
    where they balance out to nothing. Axes and diagonals are added up as integers, so that balance is exact; the mean
    is rounded to a millionth of a degree, more than processors disagree about.
    """
    n = [weights[..., sector] for sector in range(SECTORS)]
    c = (n[0] - n[4]) + np.sqrt(0.5) * (n[1] + n[7] - n[3] - n[5])
    s = (n[2] - n[6]) + np.sqrt(0.5) * (n[1] + n[3] - n[5] - n[7])
    people = weights.sum(axis=-1)
    length = np.where(people > 0, np.minimum(np.sqrt(c * c + s * s) / np.maximum(people, 1), 1), np.nan)
    mean = np.round(np.degrees(np.arctan2(s, c)) % 360, 6) % 360
    return np.where(length > 0, mean, np.nan), length


def heading_rows(blocks: list[Block], unit: str) -> Released:
    """The product ``headings`` from blocks of zones by one version (at least one), by block, window, zone, sector."""
    tables = blocks[0].tables
    columns: dict[str, list[NDArray[np.generic]]] = {}
    for block in blocks:
        order = np.argsort(block.places)  # those that came with a later version stand at the end
        n, low, high, status = (of[:, order] for of in (block.n, block.low, block.high, block.status))
        shape = n.shape
        told = (status == RELEASED_STATUS) | (status == RANGE_STATUS)
        mean, length = circular(np.where(told, n, 0))
        parts: dict[str, NDArray[np.generic]] = {
            "window": np.full(shape, block.code, np.int32),
            "window_start": np.broadcast_to(block.starts[:, None, None], shape),
            "zone": np.broadcast_to(block.places[order][None, :, None], shape),
            "sector": np.broadcast_to(np.arange(SECTORS, dtype=np.int64), shape),
            "n": n,
            "n_low": low,
            "n_high": high,
            "status": status,
            "mean_heading": np.broadcast_to(mean[:, :, None], shape),
            "resultant_length": np.broadcast_to(length[:, :, None], shape),
        }
        for name, part in parts.items():
            columns.setdefault(name, []).append(part.ravel())
    names = {"window": WINDOWS, "zone": tables.zone_ids, "status": STATUS}
    joined = {name: np.concatenate(parts) for name, parts in columns.items()}
    return Released("headings", unit, joined, names, tables.registry.version)
