"""Gates of one shard that share leaf and delay: their chains, sensors and figures, version after version."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from engine import served
from engine.book import Book, Versions
from engine.chains import Chains
from engine.expected import Expected
from engine.figures import Block, ClassFigures, Runs
from engine.model import DIRECTION_COUNT, END, I64, NO_TIME, ON_CHANGE
from engine.rows import summed
from engine.tables import Tables

Spans = Callable[[int], I64]  # W in ms -> spans (s, 2) of first and last active cell known by then


@dataclass(frozen=True, slots=True)
class Switch:
    """A registry version begins to hold: for the windows that end after ``at_ms`` (NO_TIME: from the start).

    ``sequence``: the versions whose rows the shards know, the one that holds last.
    """

    at_ms: int
    sequence: Versions


@dataclass(frozen=True, slots=True)
class Step:
    """What a class tells of panes and windows of one version (``version`` = place among the run's switches)."""

    version: int
    delay_ms: int
    runs: Runs  # chains by the tables' gate rows
    shown: int  # cross records that live counters may now show
    blocks: list[Block]


class ShardClass:
    """Chains of ``gates`` (rows) from first activity on; closed panes in, runs and figures out."""

    def __init__(
        self, tables: Tables, gates: list[int], key: tuple[int, int, int], threshold: int, version: int = 0
    ) -> None:
        self.key, self.threshold = key, threshold
        self.leaf, self.delay_ms, self._wait_ms = leaf, delay_ms, _ = key
        self.gates = np.array(gates, np.int64)
        self.figures = ClassFigures(tables.zone_clock, gates, DIRECTION_COUNT, leaf, delay_ms, threshold)
        self._chains = Chains(len(gates) * DIRECTION_COUNT, threshold)
        # end of the first pane with a count record, or where a tracker or beam pair may tell of people
        self._counts_from = np.full(len(gates), END, np.int64)
        self._start = NO_TIME  # where counting began
        self._at = version  # place of the switch that holds for the next window
        self._know(tables)
        self._use(tables)

    def _know(self, newest: Tables, since_ms: int = NO_TIME) -> None:
        """Sensors and gates of the newest version the shard knows, also while an earlier one still holds.

        A run less its crosses would be the people of a tracker or beam pair: from where one stands there, ``since_ms``,
        crosses must not show.
        """
        followed = served.following(newest)[self.gates]
        self._counts_from[followed] = np.minimum(self._counts_from[followed], since_ms)
        local = np.full(len(newest.gate_ids) + 1, -1, np.int64)
        local[self.gates] = np.arange(len(self.gates))
        self._local = local[newest.sensor_gate]  # sensor -> gate of this class, -1 = none (also at gate row -1)

    def _use(self, tables: Tables) -> None:
        self.tables = tables
        of = served.of_gates(tables, self.gates.tolist())
        self._groups = served.groups(of)
        here = np.zeros(len(self.gates), np.bool_)
        known = self.gates < len(tables.gate_here)  # the others come with a later version
        here[known] = tables.gate_here[self.gates[known]]
        self.figures.use(tables, here, Expected(tables, of, len(self.gates), self.leaf))

    def begin(self, first_ms: int) -> None:
        """Counting begins with the pane of the run's first activity, earlier by what a slow class waits for records.

        No pane of this class can lie before that: whom points and beams tell of passed behind their first record. The
        start follows from activity, never from where people were: a start chosen by a chain's own people would tell
        that nobody came before.
        """
        if self._start == NO_TIME:
            self._begin(self._floor(first_ms))

    def begin_later(self, at_ms: int) -> None:
        """A class that comes with a version switched to at ``at_ms`` counts from the first pane open then."""
        self._begin(self._floor(at_ms), at_ms)

    def _begin(self, start_ms: int, first_window_ms: int = NO_TIME) -> None:
        self._start = start_ms
        self._chains.begin(start_ms)
        self.figures.begin(start_ms, first_window_ms)

    def know(self, newest: Tables, gates: list[int], at_ms: int | None) -> None:
        """Take in sensors, and ``gates``, of a version switched to at ``at_ms`` (None: before any activity).

        Their panes are taken from now on; rows follow when the class itself switches.
        """
        if gates:
            start = self._start if at_ms is None else self._floor(at_ms)
            self.gates = np.append(self.gates, gates)
            self._chains.grow(len(gates) * DIRECTION_COUNT, start)
            self._counts_from = np.append(self._counts_from, np.full(len(gates), END, np.int64))
            self.figures.grow(gates, start)
            self._use(self.tables)
        self._know(newest, NO_TIME if at_ms is None else self._floor(at_ms))

    def hold(self, counted: I64) -> None:
        """Note gates whose sensors have begun to send counts, also of nobody: whom they counted must not show.

        ``counted``: rows of (close of the first pane with a count in ms, sensor).
        """
        gate = self._local[counted[:, 1]]
        mine = gate >= 0
        np.minimum.at(self._counts_from, gate[mine], counted[mine, 0] - self.delay_ms)

    def _floor(self, ms: int) -> int:
        return int(self.tables.zone_clock.floor(np.array([ms - self._wait_ms], np.int64), self.leaf)[0])

    def steps(
        self, w: int, panes: I64, covers: I64, spans: Spans, switches: list[Switch], book: Book, exact: bool
    ) -> Iterator[Step]:
        """Close everything up to ``w``, version by version: rows of closed panes and covers (sorted by pane).

        ``spans`` tells the activity known at a watermark: so that a version holds for the same windows however far W
        goes at once, those of a silence among them.
        """
        panes = panes[self._local[panes[:, 2]] >= 0]
        covers = covers[self._local[covers[:, 2]] >= 0]
        for place, stop, (now, of_now) in parted(self._at, self.delay_ms, w, switches, panes, covers):
            if place != self._at:
                self._at = place
                self._use(book.tables(switches[place].sequence))
            yield self._step(stop, now, of_now, spans(stop), exact)

    def _step(self, w: int, panes: I64, covers: I64, spans: I64, exact: bool) -> Step:
        runs, shown = self._release(panes, covers, exact)
        blocks = list(self.figures.advance(w, spans, runs))
        gate = self.gates[runs.chain // DIRECTION_COUNT]
        chain = gate * DIRECTION_COUNT + runs.chain % DIRECTION_COUNT
        return Step(self._at, self.delay_ms, Runs(chain, runs.start_ms, runs.end_ms, runs.n), shown, blocks)

    def _release(self, panes: I64, covers: I64, exact: bool) -> tuple[Runs, int]:
        """Runs that ended in these panes (chains local to the class), and cross records that may be shown."""
        shown = int(panes[:, 6:].sum())  # also of sensors that their group does not choose
        # of a sensor heard in two partitions, spans may overlap: it must not cover more than its own time
        covers = covers.copy()
        covers[:, 3] = np.minimum(covers[:, 3], covers[:, 1] - self.delay_ms - covers[:, 0])
        if self._groups:
            mute = self.tables.sensor_reporting == ON_CHANGE
            count, told = served.chosen(panes, covers, self._groups, mute, self.delay_ms)
            panes, covers = panes[count], covers[told]
        self.figures.cover(covers[:, 0], self._local[covers[:, 2]], covers[:, 3])
        people = panes[:, 3:6]
        row, direction = np.nonzero(people)
        chain = self._local[panes[row, 2]] * DIRECTION_COUNT + direction
        lanes = np.column_stack(
            [panes[row, 0], panes[row, 1] - self.delay_ms, chain, people[row, direction], panes[row, 6 + direction]]
        )
        runs, crosses = self._chains.release(summed(lanes, (0, 2), 3))
        pure = runs.end_ms < self._counts_from[runs.chain // DIRECTION_COUNT]
        if not exact:
            shown = int(crosses[pure].sum())
        return runs, shown

    def state(self) -> tuple[object, ...]:
        """Everything a later ``restored`` needs."""
        return self.gates, self._chains.state(), self._counts_from, self._start, self._at, self.figures.state()


def restored(
    state: tuple[object, ...], switches: list[Switch], book: Book, newest: Tables, threshold: int
) -> ShardClass:
    """The class that gave ``state``."""
    gates, chains, counts_from, start, at, figures = state
    rows: list[int] = gates.tolist()  # type: ignore[attr-defined]
    leaf, delay, wait = (int(c[rows[0]]) for c in (newest.gate_leaf, newest.gate_delay_ms, newest.gate_wait_ms))
    made = ShardClass(newest, rows, (leaf, delay, wait), threshold)
    made._chains.restore(chains)  # type: ignore[arg-type]
    made._counts_from, made._start, made._at = counts_from, start, at  # type: ignore[assignment]
    made._use(book.tables(switches[made._at].sequence))
    made.figures.restore(figures)  # type: ignore[arg-type]
    return made


def parted(
    at: int, delay_ms: int, w: int, switches: list[Switch], *parts: I64
) -> Iterator[tuple[int, int, tuple[I64, ...]]]:
    """Everything up to the watermark ``w`` (ms), version by version, for those whose windows close ``delay_ms`` late.

    ``at``: the place of the version that has held so far; ``parts``: rows with the time at which they close in column
    1. Yields the place of the version that holds, the watermark up to which it does, and the rows that close by then.
    """
    for place in range(at + 1, len(switches)):
        ms = switches[place].at_ms
        if ms == NO_TIME:
            continue
        stop = ms + delay_ms
        if stop >= w:
            yield place - 1, w, parts
            return
        yield place - 1, stop, tuple(rows[rows[:, 1] <= stop] for rows in parts)
        parts = tuple(rows[rows[:, 1] > stop] for rows in parts)
    yield len(switches) - 1, w, parts
