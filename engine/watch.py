"""Whether the sensors of a shard live, and whether their clocks are right: judged at each 10 s line of the watermark.

A sensor that promised to be heard is silent at the first line whose cell its last word does not fill::

    heartbeats   |──────────────▶|  2 × beat_s
                         |──────────────▶|               until
    lines      10      20      30      40      50
    told         ok                            silent

Its clock is wrong where one heartbeat came from the future, or where in two cells one after the other none came in
time: what is late may have been long on its way, and the quickest of several tells (docs/adr/0037). Nobody is judged
before they were expected, by the run's begin, an approval or a version of the registry, nor as ok before they were
heard. A function of the logs alone: each line is judged by what was read before W passed it.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from engine.beats import BEGUN, ENDED, NO_SENSOR, joined_beats
from engine.book import Book
from engine.model import (
    BY_HEARTBEAT,
    CELL_MS,
    END,
    EVERY_SPAN,
    HEALTH_OK,
    HEALTH_SILENT,
    HEALTH_SKEWED,
    I64,
    LENGTH_MS,
    NO_TIME,
    ON_CHANGE,
)
from engine.shard_class import Switch
from engine.sharding import sensor_shards
from engine.tables import Tables
from engine.units import line as line_of

GONE = -1  # nothing is expected of the sensor any more: it has no state
_NONE = -2  # nothing was told yet
_LATE_CELLS = 2  # cells one after the other without a heartbeat in time that make a clock slow
_RIGHT_CELLS = 6  # cells one after the other without a wrong heartbeat that make it right: no to and fro at a limit


class Signal(NamedTuple):
    """At a line (ms) a rule came to another judgement of a sensor. ``rule``: the state that it looks for (LIFE: more).

    ``state``: a code of model.HEALTH, or GONE.
    """

    line_ms: int
    sensor: str
    rule: int
    state: int


LIFE = HEALTH_OK  # the rule of this module, which tells ok, silent and skewed


class Watch:
    """Sensors of shard ``number`` of ``shards``: those of its gates, and those without gate whose id falls to it."""

    # until when it is alive without another word, when it began to be expected, the next line at which something can
    # come of that alone, the last line of its approval; what was told; cells in a row without a heartbeat in time;
    # how many more right cells its clock needs to be right; whether it was ever heard, whether it is judged
    _COLUMNS = ("until", "from", "since", "next", "last", "told", "late", "skewed", "heard", "judged")

    def __init__(self, number: int, shards: int) -> None:
        self._number, self._shards = number, shards
        self._rows: I64 = np.empty(0, np.int64)  # rows of tables
        self._c = {name: np.empty(0, np.int64) for name in self._COLUMNS}
        self._begun, self._ended = END, NO_TIME  # cell of the run's first record, line of its last watermark
        self._over = 0  # partitions whose logs have ended
        self._at = -1  # place of the version in use

    def advance(self, w: int, beats: I64, partitions: int, switches: list[Switch], book: Book) -> list[Signal]:
        """Judge all lines up to ``w``: ``beats`` (m, BEAT_COLUMNS) are those whose cells have closed since.

        Nobody is silent for the end of the logs of all ``partitions``.
        """
        out: list[Signal] = []
        if self._at < 0:
            self._use(book.tables(switches[0].sequence), NO_TIME)
            self._at = 0
        marks = beats[beats[:, 1] == NO_SENSOR]
        begun = int(marks[marks[:, 2] == BEGUN, 0].min(initial=END))
        if begun < self._begun:
            self._begun = begun
            self._c["from"] = np.maximum(self._c["from"], begun + CELL_MS)  # its own cell is not whole
            self._c["next"][:] = begun + CELL_MS
        ends = marks[marks[:, 2] == ENDED, 0]
        self._ended, self._over = max(self._ended, int(ends.max(initial=NO_TIME))), self._over + len(ends)
        limit = min(w, self._ended) if self._over == partitions else w
        news = joined_beats(beats[beats[:, 1] != NO_SENSOR])
        for place in range(self._at + 1, len(switches)):
            at = switches[place].at_ms
            if at != NO_TIME:
                now = news[:, 0] + CELL_MS <= at
                self._judge(news[now], min(at, limit), out)
                news = news[~now]
            self._use(book.tables(switches[place].sequence), at)
            self._at = place
        self._judge(news, limit, out)
        return out

    def _use(self, tables: Tables, at: int) -> None:
        """Let a version hold from ``at`` on: what it changes is seen at the next line."""
        self._tables = tables
        of = tables.once(self._shards, lambda: sensor_shards(tables, self._shards))
        rows = np.array(tables.sensor_row, np.int64)
        fresh = np.setdiff1d(rows[of[rows] == self._number], self._rows)
        self._rows = np.append(self._rows, fresh)
        start = {"until": NO_TIME, "from": NO_TIME, "since": NO_TIME, "next": END, "last": END, "told": _NONE}
        for name in self._COLUMNS:
            self._c[name] = np.append(self._c[name], np.full(len(fresh), start.get(name, 0), np.int64))
        self._set_up(tables)
        back = (self._c["judged"] == 0) & tables.sensor_here[self._rows]
        if self._begun != END:
            first = max(at, self._begun)
            # W is behind the record of the version, by less than a cell and the bound; one that came before the run
            # began holds with its begin, as it does where the begin is not known yet
            wait = 2 * CELL_MS if at > self._begun else CELL_MS
            self._c["from"][back] = np.maximum(self._c["from"][back], first + wait)
            self._c["next"][:] = self._c["last"][:] = first + CELL_MS  # whatever they tell then

    def _set_up(self, tables: Tables) -> None:
        self._tables = tables
        self._order = np.argsort(self._rows)
        self._mute = tables.sensor_reporting[self._rows] == ON_CHANGE

    def _judge(self, news: I64, limit: int, out: list[Signal]) -> None:
        at = np.searchsorted(self._rows, news[:, 1], sorter=self._order)
        local = np.append(self._order, -1)[at]
        local = np.where(np.append(self._rows, -1)[local] == news[:, 1], local, -1)
        news, local = news[local >= 0], local[local >= 0]
        order = np.lexsort((news[:, 0], local))
        news, local = news[order], local[order]
        first = _heads(local)
        first = first[self._c["told"][local[first]] == _NONE]  # they may be ok through all the rest
        for place, row in zip(local[first].tolist(), news[first].tolist(), strict=True):
            self._follow(place, [row], row[0], out)
        news, local = np.delete(news, first, axis=0), np.delete(local, first)
        heads = _heads(local)
        behind = np.append(heads[1:], len(local)).astype(np.int64)
        plain = self._plain(news, local, heads, behind, limit) if len(heads) else np.empty(0, np.bool_)
        for head, last in zip(heads[~plain].tolist(), behind[~plain].tolist(), strict=True):
            self._follow(int(local[head]), news[head:last].tolist(), limit, out)
        for place in np.flatnonzero(self._c["next"] <= limit).tolist():
            self._follow(place, [], limit, out)

    def _plain(self, news: I64, local: I64, heads: I64, behind: I64, limit: int) -> np.ndarray:
        """Which sensors (h,) were and are ok through all their news; those are done with."""
        c, of = self._c, local[heads]
        until = news[:, 2]
        # what a cell tells must hold up to the line of the next one, the last beyond the limit
        reach = np.append(news[1:, 0] + CELL_MS, 0)
        reach[behind - 1] = limit + CELL_MS
        wrong = (news[:, 4:].sum(axis=1) > 0) | ((_behind(until) < reach) & ~self._mute[local])
        wrong |= news[:, 0] + CELL_MS >= c["last"][local]
        good = np.logical_not(np.logical_or.reduceat(wrong, heads))
        good &= (c["told"][of] == HEALTH_OK) & (c["skewed"][of] == 0) & (c["late"][of] == 0)
        good &= (c["judged"][of] == 1) & (c["next"][of] > news[heads, 0]) & (c["last"][of] > limit)
        done = of[good]
        c["until"][done] = np.maximum(c["until"][done], np.maximum.reduceat(until, heads)[good])
        silent = np.where(self._mute[done], END, _behind(c["until"][done]))
        c["next"][done] = np.minimum(c["last"][done], silent)
        return good

    def _follow(self, place: int, news: list[list[int]], limit: int, out: list[Signal]) -> None:
        """One sensor, line by line where something happens: at news, and where its time is over."""
        c = self._c
        for row in [*news, None]:
            at = END if row is None else row[0] + CELL_MS
            while (due := int(c["next"][place])) <= limit and due < at:
                self._tell(place, due, None, out)
            if row is not None:
                self._tell(place, at, row, out)

    def _tell(self, place: int, at: int, row: list[int] | None, out: list[Signal]) -> None:
        """Judge one sensor at line ``at``, with what it has told in the cell before (``row`` of beats)."""
        c, sensor = self._c, int(self._rows[place])
        spans = self._approvals(sensor) if at > self._begun else []
        span = next((s for s in spans if s[0] <= at - CELL_MS < s[1]), None)
        if row is not None:
            c["until"][place] = max(c["until"][place], row[2])
        if span is None:
            if c["judged"][place] and c["told"][place] != _NONE:
                out.append(Signal(at, self._tables.sensor_ids[sensor], LIFE, GONE))
            for name in ("judged", "heard", "skewed", "late"):
                c[name][place] = 0
            c["told"][place] = _NONE
            later = [line_of(start) + CELL_MS for start, _ in spans if start > at - CELL_MS]
            c["next"][place] = min(later, default=END)
            return
        if not c["judged"][place]:
            c["judged"][place], c["since"][place] = 1, max(span[0], c["from"][place])
        c["last"][place] = END if span[1] >= END else line_of(span[1]) + CELL_MS
        if row is not None:
            self._clock(place, row)
        silent = self._silent_from(place, sensor)
        state = self._state(place, at, silent)
        if state != c["told"][place]:
            c["told"][place] = state
            out.append(Signal(at, self._tables.sensor_ids[sensor], LIFE, state))
        c["next"][place] = min(int(c["last"][place]), END if state == HEALTH_SILENT else silent)

    def _clock(self, place: int, row: list[int]) -> None:
        """What the heartbeats of a cell say of the clock."""
        c, (good, fast, slow) = self._c, row[3:]
        if fast:
            c["skewed"][place], c["late"][place] = _RIGHT_CELLS, 0
        elif good:
            c["skewed"][place], c["late"][place] = max(int(c["skewed"][place]) - 1, 0), 0
        elif slow:
            c["late"][place] += 1
            if c["skewed"][place] or c["late"][place] >= _LATE_CELLS:
                c["skewed"][place] = _RIGHT_CELLS
        spans = self._tables.sensor_reporting[self._rows[place]] == EVERY_SPAN
        if row[2] != NO_TIME if spans else good:  # heard by what it promised
            c["heard"][place] = 1

    def _state(self, place: int, at: int, silent: int) -> int:
        c = self._c
        if at >= silent:
            return HEALTH_SILENT
        if c["skewed"][place]:
            return HEALTH_SKEWED
        if c["late"][place] or not c["heard"][place]:
            return int(c["told"][place])  # nothing speaks for another state yet
        return HEALTH_OK

    def _silent_from(self, place: int, sensor: int) -> int:
        """The line from which a sensor is silent that says nothing more; END where it has promised nothing."""
        tables, c = self._tables, self._c
        if tables.sensor_reporting[sensor] == ON_CHANGE:
            return END
        if tables.sensor_reporting[sensor] == BY_HEARTBEAT:
            grace = 2 * int(tables.sensor_beat_ms[sensor])
        else:
            grace = 2 * LENGTH_MS[tables.sensor_leaf[sensor]] + int(tables.sensor_delay_ms[sensor])
        until = max(int(c["until"][place]), int(c["since"][place]) + grace)
        return until - until % CELL_MS + CELL_MS

    def _approvals(self, sensor: int) -> list[tuple[int, int]]:
        tables = self._tables
        if not tables.sensor_here[sensor]:
            return []
        rows = slice(tables.approved_at[sensor], tables.approved_at[sensor + 1])
        return sorted(zip(tables.approved_from[rows].tolist(), tables.approved_to[rows].tolist(), strict=True))

    def state(self) -> tuple[Any, ...]:
        """Everything a later ``restore`` needs."""
        return self._rows, self._c, self._begun, self._ended, self._over, self._at

    def restore(self, state: tuple[Any, ...], switches: list[Switch], book: Book) -> None:
        """Take back what ``state()`` gave."""
        self._rows, self._c, self._begun, self._ended, self._over, self._at = state
        if self._at >= 0:
            self._set_up(book.tables(switches[self._at].sequence))


def _heads(local: I64) -> I64:
    """Where in sorted places of sensors (m,) another one begins."""
    return np.flatnonzero(np.append(True, local[1:] != local[:-1]))[: len(local)]


def _behind(ms: I64) -> I64:
    """The first lines behind instants: those at which something is missing that lasts until then."""
    return ms - ms % CELL_MS + CELL_MS
