"""Gates of one shard that share leaf and delay: their chains, sensors and figures, version after version."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from engine import kernels
from engine.book import Book, Versions
from engine.figures import Block, ClassFigures, Runs
from engine.model import DIRECTION_COUNT, END, I64, NO_TIME, ON_CHANGE
from engine.rows import summed
from engine.tables import Tables


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
        self, tables: Tables, gates: list[int], leaf: int, delay_ms: int, threshold: int, version: int = 0
    ) -> None:
        self.leaf, self.delay_ms, self.threshold = leaf, delay_ms, threshold
        self.gates = np.array(gates, np.int64)
        self.figures = ClassFigures(tables, gates, leaf, delay_ms, threshold)
        chains = len(gates) * DIRECTION_COUNT
        self._rest, self._crosses = np.zeros(chains, np.int64), np.zeros(chains, np.int64)
        self._since = np.full(chains, NO_TIME, np.int64)
        self._counts_from = np.full(len(gates), END, np.int64)  # end of the first pane with a count record
        self._start = NO_TIME  # where counting began
        self._at = version  # place of the switch that holds for the next window
        self._know(tables)
        self._use(tables)

    def _know(self, newest: Tables) -> None:
        """Sensors and gates of the newest version the shard knows, also while an earlier one still holds."""
        local = np.full(len(newest.gate_ids) + 1, -1, np.int64)
        local[self.gates] = np.arange(len(self.gates))
        self._local = local[newest.sensor_gate]  # sensor -> gate of this class, -1 = none (also at gate row -1)

    def _use(self, tables: Tables) -> None:
        self.tables = tables
        self._groups = _groups(tables, set(self.gates.tolist()))
        self.figures.use(tables)

    def begin(self, first_ms: int) -> None:
        """Counting begins with the pane of the run's first activity, earlier by the delay of a slow class.

        No pane of this class can lie before that. The start follows from activity, never from where people were: a
        start chosen by a chain's own people would tell that nobody came before.
        """
        if self._start == NO_TIME:
            self._start = self._floor(first_ms)
            self._since[:] = self._start
            self.figures.begin(self._since.reshape(-1, DIRECTION_COUNT).copy())

    def begin_later(self, at_ms: int) -> None:
        """A class that comes with a version switched to at ``at_ms`` counts from the first pane open then."""
        self._start = self._floor(at_ms)
        self._since[:] = self._start
        self.figures.begin(self._since.reshape(-1, DIRECTION_COUNT).copy(), at_ms)

    def know(self, newest: Tables, gates: list[int], at_ms: int | None) -> None:
        """Take in sensors, and ``gates``, of a version switched to at ``at_ms`` (None: before any activity).

        Their panes are taken from now on; rows follow when the class itself switches.
        """
        if gates:
            start = self._start if at_ms is None else self._floor(at_ms)
            self.gates = np.append(self.gates, gates)
            none = np.zeros(len(gates) * DIRECTION_COUNT, np.int64)
            self._rest, self._crosses = np.append(self._rest, none), np.append(self._crosses, none)
            self._since = np.append(self._since, none + start)
            self._counts_from = np.append(self._counts_from, np.full(len(gates), END, np.int64))
            self.figures.grow(gates, start)
        self._know(newest)

    def hold(self, counted: I64) -> None:
        """Note gates whose sensors have begun to send counts, also of nobody: whom they counted must not show.

        ``counted``: rows of (close of the first pane with a count in ms, sensor).
        """
        gate = self._local[counted[:, 1]]
        mine = gate >= 0
        np.minimum.at(self._counts_from, gate[mine], counted[mine, 0] - self.delay_ms)

    def _floor(self, ms: int) -> int:
        return int(self.tables.zone_clock.floor(np.array([ms - self.delay_ms], np.int64), self.leaf)[0])

    def steps(
        self, w: int, panes: I64, covers: I64, spans: I64, switches: list[Switch], book: Book, exact: bool
    ) -> Iterator[Step]:
        """Close everything up to ``w``, version by version: rows of closed panes and covers (sorted by pane)."""
        panes = panes[self._local[panes[:, 2]] >= 0]
        covers = covers[self._local[covers[:, 2]] >= 0]
        for place in range(self._at + 1, len(switches)):
            at = switches[place].at_ms
            if at != NO_TIME:
                if at + self.delay_ms >= w:
                    break
                stop = at + self.delay_ms
                now, later = panes[:, 1] <= stop, covers[:, 1] > stop
                yield self._step(stop, panes[now], covers[~later], spans, exact)
                panes, covers = panes[~now], covers[later]
            self._use(book.tables(switches[place].sequence))
            self._at = place
        yield self._step(w, panes, covers, spans, exact)

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
            panes, covers = self._chosen(panes, covers)
        self.figures.cover(covers[:, 0], self._local[covers[:, 2]], covers[:, 3])
        people = panes[:, 3:6]
        row, direction = np.nonzero(people)
        chain = self._local[panes[row, 2]] * DIRECTION_COUNT + direction
        lanes = np.column_stack(
            [panes[row, 0], panes[row, 1] - self.delay_ms, chain, people[row, direction], panes[row, 6 + direction]]
        )
        start, end, chain, n, crossed = np.ascontiguousarray(summed(lanes, (0, 2), 3).T)
        m = len(chain)
        run_chain, out = np.empty(m, np.int32), [np.empty(m, np.int64) for _ in range(4)]
        runs = kernels.active().carry(
            chain.astype(np.int32), start, end, n, crossed, self.threshold,
            self._rest, self._since, self._crosses, run_chain, *out,
        )  # fmt: skip
        run_start, run_end, run_n, run_crosses = (column[:runs] for column in out)
        pure = run_end < self._counts_from[run_chain[:runs] // DIRECTION_COUNT]
        if not exact:
            shown = int(run_crosses[pure].sum())
        return Runs(run_chain[:runs].astype(np.int64), run_start, run_end, run_n), shown

    def _chosen(self, panes: I64, covers: I64) -> tuple[I64, I64]:
        """Of each group of redundant sensors, per pane: the first listed with coverage ≥ 0.5, else the first that
        cannot tell its coverage, else the first listed."""
        covered = {(p, s): ms for p, s, ms in covers[:, [0, 2, 3]].tolist()}
        length = {p: close - self.delay_ms - p for p, close in np.concatenate([panes[:, :2], covers[:, :2]]).tolist()}
        drop: set[tuple[int, int]] = set()
        for sensors in self._groups:
            for pane, ms in length.items():
                alive = [s for s in sensors if 2 * covered.get((pane, s), 0) >= ms]
                mute = [s for s in sensors if self.tables.sensor_reporting[s] == ON_CHANGE]
                chosen = (alive or mute or sensors)[0]
                drop |= {(pane, s) for s in sensors if s != chosen}
        keep_panes = [(p, s) not in drop for p, s in panes[:, [0, 2]].tolist()]
        keep_covers = [(p, s) not in drop for p, s in covers[:, [0, 2]].tolist()]
        return panes[np.array(keep_panes, np.bool_)], covers[np.array(keep_covers, np.bool_)]

    def state(self) -> tuple[object, ...]:
        """Everything a later ``restored`` needs."""
        chains = (self._rest, self._since, self._crosses, self._counts_from)
        return self.gates, chains, self._start, self._at, self.figures.state()


def restored(
    state: tuple[object, ...], switches: list[Switch], book: Book, newest: Tables, threshold: int
) -> ShardClass:
    """The class that gave ``state``."""
    gates, chains, start, at, figures = state
    rows: list[int] = gates.tolist()  # type: ignore[attr-defined]
    leaf, delay = int(newest.gate_leaf[rows[0]]), int(newest.gate_delay_ms[rows[0]])
    made = ShardClass(newest, rows, leaf, delay, threshold)
    made._rest, made._since, made._crosses, made._counts_from = chains  # type: ignore[misc]
    made._start, made._at = start, at  # type: ignore[assignment]
    made._use(book.tables(switches[made._at].sequence))
    made.figures.restore(figures)  # type: ignore[arg-type]
    return made


def _groups(tables: Tables, gates: set[int]) -> list[list[int]]:
    """Rows of the sensors that share a group at one of ``gates``, in the registry's order."""
    groups: dict[tuple[int, str], list[int]] = {}
    for row, sensor in zip(tables.standing_row, tables.standing, strict=True):
        if sensor.group and int(tables.sensor_gate[row]) in gates:
            groups.setdefault((int(tables.sensor_gate[row]), sensor.group), []).append(row)
    return [rows for rows in groups.values() if len(rows) > 1]
