"""Readings of zones by points and cameras: panes of 10 s in, released people and speeds of every window out.

A pane's people are the time all of them spent in the zone ÷ the pane's length, of a camera ÷ the time for which its
readings held; sensors add up, of a ``group`` one counts. That mean is released (release.readings) and forgotten; longer
windows are means over what was released of their panes, so they cannot tell more::

    pane      | 10 .. 14 | 15 .. 19 | unknown | 10 .. 14 |          k = 5
    1m row      low 35/3, high 47/3, coverage lower

What is not heard is not nobody: where a sensor's heartbeats or a camera's readings are missing, the pane is unknown. A
sensor that sends no heartbeats cannot tell "nobody" from "gone": few people are published then, but not graded. Where
many have just gone they are remembered beside, until heartbeats tell that the sensor did not go with them.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from engine import release, units
from engine.book import Book
from engine.model import CELL_MS, END, F64, GAP_MS, I64, NO_TIME, NULL_INT, WINDOWS
from engine.partial import COVER_COLUMNS, STOCK_COLUMNS, Partial
from engine.readers import Flags, Readers, Rule, readers
from engine.rows import Renumber, joined, taken
from engine.served import counting
from engine.shard_class import Switch
from engine.spans import closed, due
from engine.tables import Tables
from engine.timezone import TimeZone
from engine.zone_reading import Reading

# Of a window and zone: panes told, sums of their low and high, of speed × people, of those people; covered ms, panes
# with a sensor that cannot tell its coverage
_TOLD, _LOW, _HIGH, _PACE, _PACED, _COVERED, _BLIND = range(7)
_AT_ONCE_MS = 86_400_000  # of activity: bounds memory when a replay closes much at once


@dataclass(slots=True)
class _Sums:
    """An open window: sums (Z, 7), and of each zone's newest pane told whether it is sure, and who has just gone."""

    of: F64
    sure: Flags
    gone: F64

    @classmethod
    def none(cls) -> _Sums:
        return cls(np.zeros((0, _BLIND + 1)), np.zeros(0, np.bool_), np.zeros(0))

    def grow(self, zones: int) -> None:
        more = zones - len(self.sure)
        if more > 0:
            self.of = np.concatenate([self.of, np.zeros((more, _BLIND + 1))])
            self.sure = np.append(self.sure, np.zeros(more, np.bool_))
            self.gone = np.append(self.gone, np.zeros(more))


class Stock:
    """Readings of all zones, in shard 0: rows of partials in, windows out in the order in which they close.

    ``rule``: how they are published; None: none are.
    """

    def __init__(self, rule: Rule | None) -> None:
        self._none, self._rule = rule is None, rule or Rule(1)
        self._waiting: tuple[dict[int, list[I64]], dict[int, list[I64]]] = ({}, {})  # stock, watch by partition
        self._panes: dict[int, tuple[list[I64], list[I64]]] = {}  # closed and not told yet, by start
        self._next: dict[int, dict[int, int]] = {}  # delay -> code -> start of the first window not told yet
        self._open: dict[tuple[int, int], _Sums] = {}  # (code, start)
        # by zone: end of the newest pane with k people or more, and its bound of people and that of the one before
        self._crowd: F64 = np.empty((0, 3))
        self._clock: TimeZone | None = None  # of the run
        self._held: dict[int, tuple[int, int]] = {}  # code -> the window asked for last; follows from the rest

    def add(self, part: Partial) -> None:
        """Take in what a partial tells of zones."""
        if self._none:
            return
        for kept, rows in zip(self._waiting, (part.stock, part.watch), strict=True):
            if len(rows):
                kept.setdefault(part.partition, []).append(rows)

    @property
    def delay_ms(self) -> int:
        """How much later than the watermark its slowest windows close."""
        return max(self._next, default=0)

    def due(self, spans: I64) -> int:
        """The watermark at which the next window of ``spans`` is told; END where all of them are, or none is asked."""
        if self._clock is None or not len(spans):
            return END
        ends = [(due(self._clock, starts, spans), delay) for delay, starts in self._next.items()]
        return min((end + delay for end, delay in ends if end != END), default=END)

    def close(
        self,
        w: int,
        known: I64,
        news: I64,
        switches: Sequence[Switch],
        book: Book,
        sensors_of: Renumber,
        zones_of: Renumber,
    ) -> dict[int, list[Reading]]:
        """What all windows tell that close up to ``w``, by the lines at which they come out (engine/units.py).

        ``known``, ``news`` (s, 2): spans of activity of earlier steps and of this one; ``sensors_of``, ``zones_of``:
        the shard's rows of a partition's.
        """
        out: dict[int, list[Reading]] = {}
        if self._none:
            return out
        self._clock = book.tables(book.start).zone_clock
        self._take(w, sensors_of, zones_of)
        self._begin(switches, book)
        if not self._next:
            self._panes.clear()
            return out
        begins = [switch.at_ms for switch in switches]
        for until, spans, before, now in _steps(w, known, news):
            for line, end, code, start, delay in self._events(until, spans, before, now):
                version = bisect_left(begins, end) - 1  # the newest that began before the window's end
                tables = book.tables(switches[version].sequence)
                of = readers(tables, self._rule).get(delay)
                if of is not None:
                    if code == 0:
                        self._pane(start, of, tables)
                    found = self._reading(version, code, start, end, of, tables)
                    out.setdefault(line, []).extend(found)
            oldest = {code: min(starts[code] for starts in self._next.values()) for code in range(len(WINDOWS))}
            self._panes = {pane: rows for pane, rows in self._panes.items() if pane >= oldest[0]}
            self._open = {key: sums for key, sums in self._open.items() if key[1] >= oldest[key[0]]}
        return out

    def _take(self, w: int, sensors_of: Renumber, zones_of: Renumber) -> None:
        stock, watch = self._waiting
        for place, rows in enumerate(
            (
                taken(stock, STOCK_COLUMNS, 1, w, {2: sensors_of, 3: zones_of}),
                taken(watch, COVER_COLUMNS, 1, w, {2: sensors_of}),
            )
        ):
            rows = rows[rows[:, 2] >= 0]
            rows = rows[np.argsort(rows[:, 0], kind="stable")]
            cuts = np.flatnonzero(np.diff(rows[:, 0])) + 1
            for part in np.split(rows, cuts) if len(rows) else ():
                self._panes.setdefault(int(part[0, 0]), ([], []))[place].append(part)

    def _begin(self, switches: Sequence[Switch], book: Book) -> None:
        """Windows of a delay that a version brings begin with the one that is open when it comes."""
        for switch in switches:
            tables = book.tables(switch.sequence)
            for delay in readers(tables, self._rule):
                if delay in self._next:
                    continue
                at, first = np.array([switch.at_ms], np.int64), dict.fromkeys(range(len(WINDOWS)), NO_TIME)
                if switch.at_ms != NO_TIME:
                    first = {code: int(tables.zone_clock.floor(at, code)[0]) for code in first}
                self._next[delay] = first

    def _events(self, until: int, spans: I64, known: I64, news: I64) -> list[tuple[int, int, int, int, int]]:
        """Windows that close up to ``until`` as (line, end, code, start, delay), as they come out."""
        clock = self._clock
        assert clock is not None
        out: list[tuple[int, int, int, int, int]] = []
        for delay, next_ in self._next.items():
            limit = until if until == END else until - delay
            for code in range(len(WINDOWS)):
                starts, ends = closed(clock, next_, code, limit, spans)
                lines = units.lines_of_windows(starts, ends, delay, known, news)
                many = len(starts)
                out += zip(lines.tolist(), ends.tolist(), [code] * many, starts.tolist(), [delay] * many, strict=True)
        return sorted(out)

    # ------------------------------------------------------------------------------- one pane
    def _pane(self, start: int, of: Readers, tables: Tables) -> None:
        """Release what was read in a pane, and add it to the windows that hold it."""
        stock, watch = self._panes.get(start, ((), ()))
        people_ms, path_um, tracks, told_ms = _by_pair(of, stock)
        covered = _covered(of, watch, len(tables.sensor_ids))
        chosen = of.approved(start)
        for group in of.groups:
            _choose(group, chosen, covered, of)
        n = len(of.zones)
        gone = chosen & np.where(of.camera & (told_ms == 0), True, ~of.on_change & (covered == 0))
        known = (_sum(of, chosen, n) > 0) & (_sum(of, gone, n) == 0)
        mean = _sum(of, np.where(chosen, people_ms / np.where(of.camera, np.maximum(told_ms, 1), CELL_MS), 0), n)
        low, high = release.readings(np.where(known, mean, np.nan), self._rule.k)
        paced = chosen & ~(of.camera & (tracks == 0))  # of a camera that told no speed there is no path
        path, time, walkers = (_sum(of, np.where(paced, column, 0), n) for column in (path_um, people_ms, tracks))
        speed = np.where(known, release.speeds(path, time, walkers, self._rule.k), np.nan)

        few = low < self._rule.k
        self._grow(len(tables.zone_ids))
        crowd = self._crowd[of.zones]
        just = few & (
            start < crowd[:, 0] + of.renewed_ms
        )  # heartbeats that cover this pane may be older than their end
        heard = _sum(of, np.where(chosen & ~of.on_change, covered, 0), n)
        blind = _sum(of, chosen & of.on_change, n) > 0
        whole = heard >= CELL_MS * _sum(of, chosen & ~of.on_change, n)
        sure = known & whole & ~(few & blind)
        gone = np.where(just, crowd[:, 1:].max(axis=1, initial=0), 0)  # a sensor that dies in a pane sees but a part
        many = known & ~few
        end = np.full(n, start + CELL_MS)
        self._crowd[of.zones[many]] = np.column_stack([end, self._most(high), crowd[:, 1]])[many]

        moves = ~np.isnan(speed)
        weight = np.where(moves, low + high, 0)  # people, doubled
        figures = [known, low, high, np.where(moves, speed, 0) * weight, weight, heard, blind]
        row = np.column_stack([np.where(known, column, 0) for column in figures])
        for code in range(len(WINDOWS)):
            window = self._window(code, start, tables)  # it may have been told: a pane in a silence comes late
            sums = self._open.setdefault((code, window), _Sums.none())
            sums.grow(len(tables.zone_ids))
            sums.of[of.zones] += row
            sums.sure[of.zones[known]], sums.gone[of.zones[known]] = sure[known], gone[known]

    def _most(self, high: F64) -> F64:
        """The people are fewer than that many, with k = 1 not more."""
        return high if self._rule.k == 1 else high + 1

    def _grow(self, zones: int) -> None:
        more = max(0, zones - len(self._crowd))
        self._crowd = np.concatenate([self._crowd, np.tile([-np.inf, 0, 0], (more, 1))])

    def _window(self, code: int, pane: int, tables: Tables) -> int:
        """Start of the window that holds a pane's start."""
        start, end = self._held.get(code, (END, END))
        if not start <= pane < end:
            at = np.array([pane], np.int64)
            start, end = int(tables.zone_clock.floor(at, code)[0]), int(tables.zone_clock.next(at, code)[0])
            self._held[code] = start, end
        return start

    # ------------------------------------------------------------------------------- one window
    def _reading(self, version: int, code: int, start: int, end: int, of: Readers, tables: Tables) -> Iterator[Reading]:
        """What a window tells of those zones that have windows so short."""
        mine = np.flatnonzero(tables.zone_window[of.zones] <= code)
        if not len(mine):
            return
        zones, k = of.zones[mine], self._rule.k
        sums = self._open.get((code, start)) or _Sums.none()
        sums.grow(len(tables.zone_ids))
        row = sums.of[zones].T
        told = row[_TOLD]
        known = told > 0
        low, high = (_ratio(row[column], told) for column in (_LOW, _HIGH))
        window = np.array([start], np.int64), np.array([end], np.int64)
        expected = of.expected.over(*window)[0][0, mine]
        error = np.ceil(np.round(of.error[mine] * high, 6))
        blind = row[_BLIND] > 0
        yield Reading(
            version,
            code,
            start,
            end,
            zones,
            low,
            high,
            self._most(high),
            np.where(known, sums.gone[zones], 0),
            (high < k) & (k > 1),
            _ratio(row[_PACE], row[_PACED]),
            sums.sure[zones] & ~(blind & (low < k)),
            np.where(np.isnan(error), NULL_INT, error).astype(np.int64),
            np.where(known, np.minimum(row[_COVERED].astype(np.int64), expected), 0),
            expected,
            blind,
        )

    def state(self) -> tuple[Any, ...]:
        """Everything a later ``restore`` needs."""
        return self._waiting, self._panes, self._next, self._open, self._crowd

    def restore(self, state: tuple[Any, ...]) -> None:
        """Take back what ``state()`` gave."""
        self._waiting, self._panes, self._next, self._open, self._crowd = state


def _steps(w: int, known: I64, news: I64) -> Iterator[tuple[int, I64, I64, I64]]:
    """(watermark, all spans, known spans, news) of one step after the other, each with a day of activity at most."""
    while len(news):
        until = int(news[:, 0].min()) + _AT_ONCE_MS
        if until >= w or int(news[:, 1].max()) < until:
            break
        now = news[news[:, 0] < until]
        now = np.column_stack([now[:, 0], np.minimum(now[:, 1], until - CELL_MS)])
        spans = joined(np.concatenate([known, now]), GAP_MS)
        yield until, spans, known, now
        known, news = spans, news[news[:, 1] >= until]
        news = np.column_stack([np.maximum(news[:, 0], until), news[:, 1]])
    yield w, joined(np.concatenate([known, news]), GAP_MS), known, news


def _sum(of: Readers, of_pairs: Any, n: int) -> F64:
    """Sums by zone (n,), added in the order of the pairs."""
    return np.bincount(of.place, of_pairs, n).astype(np.float64, copy=False)


def _ratio(sums: F64, by: F64) -> F64:
    out = np.full(len(sums), np.nan)
    np.divide(sums, by, out=out, where=by > 0)
    return out


def _by_pair(of: Readers, stock: Sequence[I64]) -> tuple[I64, I64, I64, I64]:
    """people_ms, path_um, tracks, told_ms of each pair (p,), by whatever partitions they were told."""
    people, path, told = (np.zeros(len(of.place), np.int64) for _ in range(3))
    tracks = np.where(of.camera, NULL_INT, 0)
    for rows in stock:
        pair = of.pairs(rows[:, 2], rows[:, 3])
        rows, pair = rows[pair >= 0], pair[pair >= 0]
        for column, place in ((people, 4), (path, 5), (told, 7)):
            np.add.at(column, pair, rows[:, place])
        camera = of.camera[pair]
        np.add.at(tracks, pair[~camera], rows[~camera, 6])
        for at, least in zip(pair[camera].tolist(), rows[camera, 6].tolist(), strict=True):
            tracks[at] = least if tracks[at] == NULL_INT else min(tracks[at], least)
    return people, path, np.maximum(tracks, 0), told


def _covered(of: Readers, watch: Sequence[I64], sensors: int) -> I64:
    """Covered ms of the pane by pair (p,); of a sensor heard in two partitions spans may overlap."""
    out = np.zeros(sensors, np.int64)
    for rows in watch:
        rows = rows[rows[:, 2] < sensors]  # the others come with a later version
        np.add.at(out, rows[:, 2], rows[:, 3])
    return np.asarray(np.minimum(out, CELL_MS)[of.sensor])


def _choose(group: tuple[int, ...], chosen: Flags, covered: I64, of: Readers) -> None:
    """Leave one of a group's pairs chosen, of those that are approved."""
    mine = [pair for pair in group if chosen[pair]]
    alive = [pair for pair in mine if 2 * covered[pair] >= CELL_MS]
    chosen[mine] = False
    if mine:
        chosen[counting(mine, alive, of.on_change)] = True
