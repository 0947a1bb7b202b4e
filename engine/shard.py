"""One shard: partials of all partitions in; panes closed in time order, released, turned into rows.

A pane is closed when the least watermark W over all partitions has passed its end + delay. What comes out is a
function of the partitions' logs: not of the order in which their partials arrive, nor of how they were cut.
"""

from __future__ import annotations

import pickle
from dataclasses import dataclass, field

import numpy as np

from engine import kernels, partial, units
from engine.errors import BadInput
from engine.figures import Block, ClassFigures, Runs, flow_rows
from engine.model import CELL_MS, DIRECTION_COUNT, END, GAP_MS, I64, NO_TIME, REASONS, Released
from engine.partial import ACTIVE_COLUMNS, COUNTED_COLUMNS, COVER_COLUMNS, PANE_COLUMNS, REJECT_COLUMNS, Partial
from engine.partition import shard_of
from engine.registry import Tables, classes
from engine.rejects import Rejects, named
from engine.rows import joined, summed
from engine.zones import Share, shares

_STATE = 2  # version of the snapshot


@dataclass(slots=True)
class Outcome:
    """What a shard gives on: rows for the sinks, shares for the zones, and what live counters may now show."""

    watermark: int
    rows: list[Released] = field(default_factory=list)
    shares: dict[int, list[Share]] = field(default_factory=dict)  # by the watermark at which they were told
    accepted: int = 0
    rejected: dict[str, int] = field(default_factory=dict)
    first_ms: int = END
    last_ms: int = NO_TIME


class Shard:
    """State of shard ``number`` of ``shards`` over ``partitions`` partitions; threshold = K of the product flow.

    ``exact``: live counters show every record as soon as its pane has closed ([status] exact). Otherwise crosses are
    shown with their run, and at a gate that has had a count record no more: a run less its crosses would be the people
    of the counts.
    ``by_line``: rows come in units that are a function of the logs (engine/units.py); else in bulk.
    """

    def __init__(
        self,
        number: int,
        shards: int,
        partitions: int,
        tables: Tables,
        threshold: int,
        *,
        exact: bool = False,
        by_line: bool = False,
        state: bytes | None = None,
    ) -> None:
        self.number, self.tables, self.threshold, self.exact = number, tables, threshold, exact
        self.by_line = by_line
        self._told = dict.fromkeys(range(partitions), NO_TIME)  # W of each partition
        self._spans: I64 = np.empty((0, ACTIVE_COLUMNS), np.int64)  # activity that has closed
        self._waiting = _Waiting()
        mine = {g for g, name in enumerate(tables.gate_ids) if shard_of(name, shards) == number}
        self._classes = [
            _Class(tables, [g for g in gates if g in mine], leaf, delay, threshold)
            for (leaf, delay), gates in sorted(classes(tables).items())
            if mine.intersection(gates)
        ]
        self._rejects = Rejects(tables, threshold)
        self.watermark = NO_TIME
        if state is not None:
            self._restore(state)

    def take(self, blobs: list[bytes]) -> Outcome:
        """Take in partials in any order; close what all partitions have passed."""
        out = Outcome(self.watermark)
        for blob in blobs:
            part = partial.decode(blob)
            if part.w_to <= self._told.get(part.partition, NO_TIME):
                continue  # a repeat: identical by construction
            if part.w_from != self._told.get(part.partition, NO_TIME):
                raise BadInput(f"shard {self.number}: a gap in the partials of partition {part.partition}")
            self._told[part.partition] = part.w_to
            self._waiting.add(part)
            out.accepted += part.plain
        low = min(self._told.values(), default=NO_TIME)
        while self.watermark < low:
            self._close(self._next_line(low) if self.by_line else low, out)
        return out

    def _next_line(self, low: int) -> int:
        """The first line behind the watermark, up to ``low``, at which rows can come; ``low`` where there is none."""
        if self.watermark != NO_TIME and low - self.watermark <= CELL_MS:
            return low
        due = [group.figures.due(self._spans) for group in self._classes]
        return min(low, max(units.line(min([self._waiting.due(self.watermark), *due])), self.watermark + CELL_MS))

    def _close(self, w: int, out: Outcome) -> None:
        unit = units.name(self.number, w) if self.by_line else f"{self.number:02d}/{self.watermark}-{w}"
        self._spans = joined(np.concatenate([self._spans, self._waiting.active(w)]), GAP_MS)
        if len(self._spans):
            out.first_ms, out.last_ms = int(self._spans[0, 0]), int(self._spans[-1, 1])
        panes, covered, rejects, counted = self._waiting.ready(w)
        by_sensor = _Sums(panes, covered)
        runs, blocks = [], []
        for group in self._classes:
            group.hold(counted)
            released, crosses = group.release(by_sensor, self._spans, self.exact)
            out.accepted += crosses
            if len(released.chain):
                runs.append(group.globally(released))
            for block in group.figures.advance(w, self._spans, released):
                blocks.append(block)
                out.shares.setdefault(w, []).extend(shares(block, self.tables))
        if runs:
            out.rows.append(_joined(runs).rows(self.tables, unit))
        out.rows += _flow(blocks, self.tables, unit)
        released_rejects = self._rejects.add(rejects)
        out.rejected = _by_reason(rejects) if self.exact else released_rejects
        hours = self._rejects.close(w, unit)
        if hours is not None:
            out.rows.append(hours)
        self.watermark = out.watermark = w
        self._spans = self._spans_needed(w)

    def _spans_needed(self, w: int) -> I64:
        """Drop activity whose longest windows have all been written; the newest span stays, it may grow."""
        if w == END or len(self._spans) < 2:
            return self._spans
        slow = max((group.delay_ms for group in self._classes), default=0)
        keep = self._spans[:, 1] > w - slow - 3 * GAP_MS
        keep[-1] = True
        return self._spans[keep]

    def snapshot(self) -> bytes:
        """Everything a later ``Shard(..., state=)`` needs, one bytes object."""
        groups = [group.state() for group in self._classes]
        return pickle.dumps(
            (_STATE, self.watermark, self._told, self._spans, self._waiting, groups, self._rejects.state()), 5
        )

    def _restore(self, state: bytes) -> None:
        version, *parts = pickle.loads(state)
        if version != _STATE:
            raise BadInput("the recovery directory was written by another version")
        self.watermark, told, self._spans, self._waiting, groups, rejects = parts
        self._told |= told
        for group, kept in zip(self._classes, groups, strict=True):
            group.restore(kept)
        self._rejects.restore(rejects)


def watermark_of(state: bytes) -> int:
    """The watermark up to which a shard had closed, from its snapshot."""
    return int(pickle.loads(state)[1])


class _Waiting:
    """Rows of partials until all partitions have passed their close time."""

    def __init__(self) -> None:
        self._panes: list[I64] = []
        self._covers: list[I64] = []
        self._rejects: list[I64] = []
        self._active: list[I64] = []
        self._counted: list[I64] = []

    def add(self, part: Partial) -> None:
        for rows, kept in (
            (part.panes, self._panes),
            (part.covers, self._covers),
            (part.rejects, self._rejects),
            (part.active, self._active),
            (part.counted, self._counted),
        ):
            if len(rows):
                kept.append(rows)

    def ready(self, w: int) -> tuple[I64, I64, I64, I64]:
        """Panes, covers, first counts that close at or before ``w``, rejects of the cells behind it, in time order."""
        panes, self._panes = _parted(self._panes, PANE_COLUMNS, 1, w)
        covers, self._covers = _parted(self._covers, COVER_COLUMNS, 1, w)
        rejects, self._rejects = _parted(self._rejects, REJECT_COLUMNS, 0, w - CELL_MS)
        counted, self._counted = _parted(self._counted, COUNTED_COLUMNS, 0, w)
        return panes, covers, rejects[np.lexsort(rejects.T[:3][::-1])], counted

    def active(self, w: int) -> I64:
        """Activity up to ``w``; a span that reaches beyond is cut, its later part waits."""
        if not self._active:
            return np.empty((0, ACTIVE_COLUMNS), np.int64)
        spans = np.concatenate(self._active)
        beyond = spans[spans[:, 1] >= w]
        self._active = [np.column_stack([np.maximum(beyond[:, 0], w), beyond[:, 1]])] if len(beyond) else []
        now = spans[spans[:, 0] < w]
        return np.column_stack([now[:, 0], np.minimum(now[:, 1], w - CELL_MS)])

    def due(self, w: int) -> int:
        """The earliest W behind ``w`` at which something of this is ready; END where nothing waits."""
        first = [int(rows[:, 1].min()) for rows in (*self._panes, *self._covers)]
        first += [int(rows[:, 0].min()) + CELL_MS for rows in self._rejects]
        first += [max(int(rows[:, 0].min()), w) + CELL_MS for rows in self._active]
        return min(first, default=END)


class _Sums:
    """Closed panes and covers of all sensors, summed over partitions: one row per (pane, sensor)."""

    def __init__(self, panes: I64, covers: I64) -> None:
        self.panes, self.covers = summed(panes, (0, 2), 3), summed(covers, (0, 2), 3)


class _Class:
    """Gates of one shard that share leaf and delay: their chains, sensors and figures."""

    def __init__(self, tables: Tables, gates: list[int], leaf: int, delay_ms: int, threshold: int) -> None:
        self.tables, self.leaf, self.delay_ms, self.threshold = tables, leaf, delay_ms, threshold
        self.gates = np.array(gates, np.int64)
        self.figures = ClassFigures(tables, gates, leaf, delay_ms, threshold)
        local = np.full(len(tables.gate_ids) + 1, -1, np.int64)
        local[gates] = np.arange(len(gates))
        self._local = local[tables.sensor_gate]  # sensor -> gate of this class, -1 = none (also at gate row -1)
        self._groups = _groups(tables, gates)
        chains = len(gates) * DIRECTION_COUNT
        self._rest, self._crosses = np.zeros(chains, np.int64), np.zeros(chains, np.int64)
        self._since = np.full(chains, NO_TIME, np.int64)
        self._counts_from = np.full(len(gates), END, np.int64)  # end of the first pane with a count record
        self._begun = False

    def hold(self, counted: I64) -> None:
        """Note gates whose sensors have begun to send counts, also of nobody: whom they counted must not show."""
        gate = self._local[counted[:, 1]]
        mine = gate >= 0
        np.minimum.at(self._counts_from, gate[mine], counted[mine, 0] - self.delay_ms)

    def release(self, sums: _Sums, spans: I64, exact: bool) -> tuple[Runs, int]:
        """Runs that ended in the panes of this class (chains local to it), and cross records that may be shown."""
        panes = sums.panes[self._local[sums.panes[:, 2]] >= 0]
        covers = sums.covers[self._local[sums.covers[:, 2]] >= 0]
        if self._groups:
            panes, covers = self._chosen(panes, covers)
        gate = self._local[covers[:, 2]]
        self.figures.cover(covers[:, 0], gate, covers[:, 3])
        if len(spans):
            self._begin(spans)
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
        shown = int(crossed.sum()) if exact else int(run_crosses[pure].sum())
        return Runs(run_chain[:runs].astype(np.int64), run_start, run_end, run_n), shown

    def _begin(self, spans: I64) -> None:
        """Counting begins with the pane of the run's first activity, earlier by the delay of a slow class.

        No pane of this class can lie before that. The start follows from activity, never from where people were: a
        start chosen by a chain's own people would tell that nobody came before.
        """
        if not self._begun:
            start = self.tables.zone_clock.floor(spans[:1, 0] - self.delay_ms, self.leaf)
            self._since[:] = start[0]
            self.figures.begin(self._since.reshape(-1, DIRECTION_COUNT).copy())
            self._begun = True

    def _chosen(self, panes: I64, covers: I64) -> tuple[I64, I64]:
        """Of each group of redundant sensors, per pane: the first listed with coverage ≥ 0.5, else the first that
        cannot tell its coverage, else the first listed."""
        covered = {(p, s): ms for p, s, ms in covers[:, [0, 2, 3]].tolist()}
        length = {p: close - self.delay_ms - p for p, close in np.concatenate([panes[:, :2], covers[:, :2]]).tolist()}
        drop: set[tuple[int, int]] = set()
        for sensors in self._groups:
            for pane, ms in length.items():
                alive = [s for s in sensors if 2 * covered.get((pane, s), 0) >= ms]
                mute = [s for s in sensors if self.tables.sensor_reporting[s] == 0]
                chosen = (alive or mute or sensors)[0]
                drop |= {(pane, s) for s in sensors if s != chosen}
        keep_panes = [(p, s) not in drop for p, s in panes[:, [0, 2]].tolist()]
        keep_covers = [(p, s) not in drop for p, s in covers[:, [0, 2]].tolist()]
        return panes[np.array(keep_panes, np.bool_)], covers[np.array(keep_covers, np.bool_)]

    def globally(self, runs: Runs) -> Runs:
        """The same runs with chains numbered by the registry's gate rows."""
        gate = self.gates[runs.chain // DIRECTION_COUNT]
        return Runs(gate * DIRECTION_COUNT + runs.chain % DIRECTION_COUNT, runs.start_ms, runs.end_ms, runs.n)

    def state(self) -> tuple[object, ...]:
        return self._rest, self._since, self._crosses, self._counts_from, self._begun, self.figures.state()

    def restore(self, state: tuple[object, ...]) -> None:
        self._rest, self._since, self._crosses, self._counts_from, self._begun, figures = state  # type: ignore[assignment]
        self.figures.restore(figures)  # type: ignore[arg-type]


def _groups(tables: Tables, gates: list[int]) -> list[list[int]]:
    """Rows of the sensors that share a group at one of ``gates``, in the registry's order."""
    groups: dict[tuple[int, str], list[int]] = {}
    for row, sensor in enumerate(tables.registry.sensors):
        if sensor.group and int(tables.sensor_gate[row]) in gates:
            groups.setdefault((int(tables.sensor_gate[row]), sensor.group), []).append(row)
    return [rows for rows in groups.values() if len(rows) > 1]


def _parted(parts: list[I64], columns: int, by: int, w: int) -> tuple[I64, list[I64]]:
    if not parts:
        return np.empty((0, columns), np.int64), []
    rows = np.concatenate(parts)
    done = rows[:, by] <= w
    return rows[done], [] if done.all() else [rows[~done]]


def _joined(runs: list[Runs]) -> Runs:
    return Runs(*(np.concatenate(c) for c in zip(*((r.chain, r.start_ms, r.end_ms, r.n) for r in runs), strict=True)))


def _flow(blocks: list[Block], tables: Tables, unit: str) -> list[Released]:
    """Blocks as few Released as keep each below about 60,000 rows."""
    out: list[Released] = []
    batch: list[Block] = []
    size = 0
    for block in blocks:
        batch.append(block)
        size += block.n.size
        if size > 30_000:
            out.append(flow_rows(batch, tables, f"{unit}/{len(out)}"))
            batch, size = [], 0
    return [*out, flow_rows(batch, tables, f"{unit}/{len(out)}")] if batch else out


def _by_reason(rejects: I64) -> dict[str, int]:
    counts = np.zeros(len(REASONS), np.int64)
    np.add.at(counts, rejects[:, 2], rejects[:, 3])
    return named(counts)
