"""One shard: partials of all partitions in; panes closed in time order, released, turned into rows.

A pane is closed when the least watermark W over all partitions has passed its end + delay. What comes out is a
function of the partitions' logs: not of the order in which their partials arrive, nor of how they were cut.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from engine import partial, sets, units
from engine.book import Book
from engine.errors import BadInput
from engine.figures import Runs, flow_rows, parcels
from engine.headings import Headings
from engine.model import CELL_MS, END, GAP_MS, I64, NO_TIME, REASONS, Released
from engine.partial import (
    ACTIVE_COLUMNS,
    BEAT_COLUMNS,
    COUNTED_COLUMNS,
    COVER_COLUMNS,
    PANE_COLUMNS,
    REJECT_COLUMNS,
    Partial,
)
from engine.readers import Rule
from engine.rejects import Rejects, named
from engine.rows import joined, summed, taken
from engine.shard_class import ShardClass, Step, Switch, restored
from engine.sharding import shard_of
from engine.stock import Stock
from engine.suspects import Suspects
from engine.tables import Tables, classes
from engine.watch import Signal, Watch
from engine.zone_reading import Reading
from engine.zones import Share, shares

_STATE = 5  # version of the snapshot


@dataclass(slots=True)
class Outcome:
    """What a shard gives on: rows for the sinks, shares for the zones, and what live counters may now show.

    ``switches``: all registry versions of the run so far, the same in every shard that has come as far.
    """

    watermark: int
    switches: list[Switch]
    rows: list[Released] = field(default_factory=list)
    shares: dict[int, list[Share | Reading]] = field(default_factory=dict)  # by the line at which they come out
    sets: list[sets.Given] = field(default_factory=list)  # shard 0: people that operators have told
    health: list[Signal] = field(default_factory=list)  # what is found of sensors, each at its line
    accepted: int = 0
    rejected: dict[str, int] = field(default_factory=dict)
    first_ms: int = END
    last_ms: int = NO_TIME


class Shard:
    """State of shard ``number`` of ``shards`` over ``partitions`` partitions; threshold = K of the product flow.

    ``exact``: live counters show every record as soon as its pane has closed ([status] exact). Otherwise crosses are
    shown with their run, and at a gate that has had a count record no more: a run less its crosses would be the people
    of the counts.
    ``headings``: K of that product, in the shard where partitions tell of zones; None: none are released.
    ``by_line``: rows come in units that are a function of the logs (engine/units.py); else in bulk.
    ``rule``: how readings of zones are published, by shard 0, where partitions tell of zones; None: none are.
    """

    def __init__(
        self,
        number: int,
        shards: int,
        partitions: int,
        book: Book,
        threshold: int,
        *,
        exact: bool = False,
        headings: int | None = None,
        by_line: bool = False,
        rule: Rule | None = None,
        state: bytes | None = None,
    ) -> None:
        self.number, self.shards, self.threshold, self.exact = number, shards, threshold, exact
        self._book = book
        self.by_line = by_line
        self._told = dict.fromkeys(range(partitions), NO_TIME)  # W of each partition
        self._met = dict.fromkeys(range(partitions), book.start)  # versions each partition has told
        self._coming: list[tuple[int, int, str]] = []  # (W, its place in the partition's sequence, hash)
        self._switches = [Switch(NO_TIME, book.start)]
        self._rank = (0, "")  # place and version of the newest
        self._spans: I64 = np.empty((0, ACTIVE_COLUMNS), np.int64)  # activity that has closed
        self._first = END  # first activity of the run
        self._waiting = _Waiting()
        self._stock = Stock(rule if number == 0 else None)
        self._classes: list[ShardClass] = []
        self._rejects = Rejects(book.tables(book.start), threshold)
        self._headings = Headings(book, headings if number == 0 else None)
        self._watch, self._suspects = Watch(number, shards), Suspects(threshold)
        self.watermark = NO_TIME
        if state is not None:
            self._restore(state)
        else:
            self._know(0)

    @property
    def tables(self) -> Tables:
        """Rows of everything this shard knows."""
        return self._book.tables(self._switches[-1].sequence)

    def take(self, blobs: list[bytes]) -> Outcome:
        """Take in partials in any order; close what all partitions have passed."""
        out = Outcome(self.watermark, self._switches)
        for blob in blobs:
            part = partial.decode(blob)
            if part.w_to <= self._told.get(part.partition, NO_TIME):
                continue  # a repeat: identical by construction
            if part.w_from != self._told.get(part.partition, NO_TIME):
                raise BadInput(f"shard {self.number}: a gap in the partials of partition {part.partition}")
            self._told[part.partition] = part.w_to
            sequences = []
            for at, *words in part.versions.tolist():
                met = self._met[part.partition]
                sequences.append((*met, np.array(words, np.int64).tobytes().hex()))
                self._met[part.partition] = sequences[-1]
                self._coming.append((at, len(met), sequences[-1][-1]))
            self._waiting.add(part)
            self._headings.wait(part, sequences)
            self._stock.add(part)
            out.sets += sets.given(part.sets)
            out.accepted += part.plain + (part.persons if self.exact else 0)
        low = min(self._told.values(), default=NO_TIME)
        while self.watermark < low:
            self._close(self._next_line(low) if self.by_line else low, out)
        out.switches = self._switches
        return out

    def _next_line(self, low: int) -> int:
        """The first line behind the watermark, up to ``low``, at which rows can come; ``low`` where there is none."""
        if self.watermark != NO_TIME and low - self.watermark <= CELL_MS:
            return low
        due = [self._headings.due(self._spans), self._stock.due(self._spans)]
        due += [group.figures.due(self._spans) for group in self._classes]
        due += [at + CELL_MS for at, _, _ in self._coming if at != NO_TIME]  # gates that come with it have rows then
        first = min([self._waiting.due(self.watermark), self._rejects.due(), *due])
        return min(low, max(units.line(first), self.watermark + CELL_MS))

    def _close(self, w: int, out: Outcome) -> None:
        unit = units.name(self.number, w) if self.by_line else f"{self.number:02d}/{self.watermark}-{w}"
        known, news = self._spans, self._waiting.active(w)
        self._spans = joined(np.concatenate([known, news]), GAP_MS)
        if len(self._spans):
            out.first_ms, out.last_ms = int(self._spans[0, 0]), int(self._spans[-1, 1])
            self._first = min(self._first, out.first_ms)
        self._adopt(w)

        def spans(stop: int) -> I64:
            """Activity as it was known when W had just passed ``stop``: a silence is known by what ends it."""
            line = stop - stop % CELL_MS + CELL_MS
            return self._spans if stop == w else joined(np.concatenate([known, _until(news, line)]), GAP_MS)

        panes, covers, rejects, counted = self._waiting.ready(w, self._rows_of)
        beats = self._waiting.beats(w, self._rows_of)
        out.health += self._watch.advance(w, beats, len(self._told), self._switches, self._book)
        panes, covers = summed(panes, (0, 2), 3), summed(covers, (0, 2), 3)
        steps: dict[int, list[Step]] = {}
        if self._first != END:
            self._headings.begin(self._first)
        for group in self._classes:
            if self._first != END:
                group.begin(self._first)
            group.hold(counted)
            for step in group.steps(w, panes, covers, spans, self._switches, self._book, self.exact):
                steps.setdefault(step.version, []).append(step)
                out.accepted += step.shown
        for version, of in sorted(steps.items()):
            out.rows += self._rows(version, of, unit)
            for step in of:
                for block in step.blocks:
                    lines = units.lines_of_windows(block.starts, block.ends, step.delay_ms, known, news).tolist()
                    out.health += self._suspects.add(block, lines)
                    for line, share in zip(lines, shares(block, version), strict=False):
                        out.shares.setdefault(line, []).append(share)
        told = self._stock.close(w, known, news, self._switches, self._book, self._rows_of, self._zones_of)
        for line, readings in told.items():
            for read in readings:
                tables = self._book.tables(self._switches[read.version].sequence)
                out.health += self._suspects.read(read, tables, line)
            out.shares.setdefault(line, []).extend(readings)
        out.rows += self._headings.close(w, spans, self._switches, unit, self._rows_of, self._zones_of)
        released_rejects = self._rejects.add(rejects)
        for reason, n in (_by_reason(rejects) if self.exact else released_rejects).items():
            out.rejected[reason] = out.rejected.get(reason, 0) + n
        hours = self._rejects.close(w, unit)
        if hours is not None:
            out.rows.append(hours)
        self.watermark = out.watermark = w
        self._spans = self._spans_needed(w)

    def _rows(self, version: int, steps: list[Step], unit: str) -> list[Released]:
        tables = self._book.tables(self._switches[version].sequence)
        unit = f"{unit}/{version}" if version else unit
        runs = [step.runs for step in steps if len(step.runs.chain)]
        out = [_joined(runs).rows(tables, unit)] if runs else []
        return out + parcels([block for step in steps for block in step.blocks], unit, flow_rows)

    def _adopt(self, w: int) -> None:
        """Let versions that a partition met before ``w`` hold; of several the newest: the later in the logs."""
        now = sorted(entry for entry in self._coming if entry[0] < w)
        self._coming = [entry for entry in self._coming if entry[0] >= w]
        for at, place, of in now:
            newest = self._switches[-1].sequence
            rank = (place, self._book.version(of).version)
            if rank > self._rank:
                self._rank = rank
                self._switches = [*self._switches, Switch(at, (*newest, of))]
            elif of not in newest:  # another version at the same place of another partition: know its rows
                self._switches = [*self._switches, Switch(at, (*newest, of, newest[-1]))]
            else:
                continue
            self._know(at)

    def _know(self, at: int) -> None:
        """Take in gates and sensors of the newest version."""
        tables, begun = self.tables, self._first < at
        known = {g for group in self._classes for g in group.gates.tolist()}
        mine = {g for g, name in enumerate(tables.gate_ids) if shard_of(name, self.shards) == self.number} - known
        fresh = {key: [g for g in gates if g in mine] for key, gates in sorted(classes(tables).items())}
        for group in self._classes:
            if begun:
                group.begin(self._first)  # before its later gates come: they count from the switch on
            group.know(tables, fresh.pop(group.key, []), at if begun else None)
        for key, gates in fresh.items():
            if gates:
                made = ShardClass(tables, gates, key, self.threshold, len(self._switches) - 1)
                if begun:
                    made.begin_later(at)
                self._classes.append(made)
        self._rejects.tables = tables
        if begun:
            self._headings.begin(self._first)
        self._headings.know(self._switches[-1].sequence, at if begun else None, len(self._switches) - 1)

    def _rows_of(self, partition: int) -> I64 | None:
        """The shard's sensor rows of a partition's; None where they are the same."""
        met, ours = self._met[partition], self._switches[-1].sequence
        if met[: len(ours)] == ours[: len(met)]:
            return None
        row = {(s.id, s.gate): i for i, s in enumerate(self.tables.sensors)}
        return np.array([row.get((s.id, s.gate), -1) for s in self._book.tables(met).sensors] + [-1], np.int64)

    def _zones_of(self, partition: int) -> I64 | None:
        """The shard's zone rows of a partition's; None where they are the same."""
        met, ours = self._met[partition], self._switches[-1].sequence
        if met[: len(ours)] == ours[: len(met)]:
            return None
        row = {zone: i for i, zone in enumerate(self.tables.zone_ids)}
        return np.array([row.get(zone, -1) for zone in self._book.tables(met).zone_ids] + [-1], np.int64)

    def _spans_needed(self, w: int) -> I64:
        """Drop activity whose longest windows have all been written; the newest span stays, it may grow."""
        if w == END or len(self._spans) < 2:
            return self._spans
        slow = max([self._headings.delay_ms, self._stock.delay_ms, *(group.delay_ms for group in self._classes)])
        keep = self._spans[:, 1] > w - slow - 3 * GAP_MS
        keep[-1] = True
        return self._spans[keep]

    def snapshot(self) -> bytes:
        """Everything a later ``Shard(..., state=)`` needs, one bytes object."""
        versions = (self._met, self._coming, [(s.at_ms, s.sequence) for s in self._switches], self._rank)
        activity = (self._spans, self._first)
        groups = [group.state() for group in self._classes]
        rest = self._rejects.state(), self._headings.state(), self._stock.state()
        health = self._watch.state(), self._suspects.state()
        state = _STATE, self.watermark, self._told, versions, activity, self._waiting, groups, rest, health
        return pickle.dumps(state, 5)

    def _restore(self, state: bytes) -> None:
        version, *rest = pickle.loads(state)
        if version != _STATE:
            raise BadInput("the recovery directory was written by another version")
        self.watermark, told, versions, activity, self._waiting, groups, rests, health = rest
        rejects, headings, readings = rests
        met, self._coming, switches, self._rank = versions
        self._told |= told
        self._met |= met
        self._switches = [Switch(at, sequence) for at, sequence in switches]
        self._spans, self._first = activity
        self._classes = [restored(kept, self._switches, self._book, self.tables, self.threshold) for kept in groups]
        self._rejects = Rejects(self.tables, self.threshold)
        self._rejects.restore(rejects)
        self._headings.restore(headings)
        self._stock.restore(readings)
        self._watch.restore(health[0], self._switches, self._book)
        self._suspects.restore(health[1])


def watermark_of(state: bytes) -> int:
    """The watermark up to which a shard had closed, from its snapshot."""
    return int(pickle.loads(state)[1])


class _Waiting:
    """Rows of partials until all partitions have passed their close time; sensors as the partition numbers them."""

    def __init__(self) -> None:
        self._panes: dict[int, list[I64]] = {}
        self._covers: dict[int, list[I64]] = {}
        self._rejects: dict[int, list[I64]] = {}
        self._active: list[I64] = []
        self._counted: dict[int, list[I64]] = {}
        self._beats: dict[int, list[I64]] = {}

    def add(self, part: Partial) -> None:
        for rows, kept in (
            (part.panes, self._panes),
            (part.covers, self._covers),
            (part.rejects, self._rejects),
            (part.counted, self._counted),
            (part.beats, self._beats),
        ):
            if len(rows):
                kept.setdefault(part.partition, []).append(rows)
        if len(part.active):
            self._active.append(part.active)

    def ready(self, w: int, rows_of: Callable[[int], I64 | None]) -> tuple[I64, I64, I64, I64]:
        """Panes, covers, first counts that close at or before ``w``, rejects of the cells behind it, in time order.

        ``rows_of`` tells the shard's sensor rows of a partition's (-1 stays -1).
        """
        panes = taken(self._panes, PANE_COLUMNS, 1, w, {2: rows_of})
        covers = taken(self._covers, COVER_COLUMNS, 1, w, {2: rows_of})
        rejects = taken(self._rejects, REJECT_COLUMNS, 0, w - CELL_MS, {1: rows_of})
        counted = taken(self._counted, COUNTED_COLUMNS, 0, w, {1: rows_of})
        return panes, covers, rejects[np.lexsort(rejects.T[:3][::-1])], counted

    def beats(self, w: int, rows_of: Callable[[int], I64 | None]) -> I64:
        """What sensors told in the cells behind ``w``, rows as of ``ready``."""
        return taken(self._beats, BEAT_COLUMNS, 0, w - CELL_MS, {1: rows_of})

    def active(self, w: int) -> I64:
        """Activity up to ``w``; a span that reaches beyond is cut, its later part waits."""
        if not self._active:
            return np.empty((0, ACTIVE_COLUMNS), np.int64)
        spans = np.concatenate(self._active)
        beyond = spans[spans[:, 1] >= w]
        self._active = [np.column_stack([np.maximum(beyond[:, 0], w), beyond[:, 1]])] if len(beyond) else []
        return _until(spans, w)

    def due(self, w: int) -> int:
        """The earliest W behind ``w`` at which something of this is ready; END where nothing waits."""
        first = [
            int(rows[:, 1].min()) for kept in (self._panes, self._covers) for part in kept.values() for rows in part
        ]
        first += [int(rows[:, 0].min()) + CELL_MS for part in self._rejects.values() for rows in part]
        first += [max(int(rows[:, 0].min()), w) + CELL_MS for rows in self._active]
        return min(first, default=END)


def _until(spans: I64, line: int) -> I64:
    """Spans of active cells up to a line."""
    now = spans[spans[:, 0] < line]
    return np.column_stack([now[:, 0], np.minimum(now[:, 1], line - CELL_MS)])


def _joined(runs: list[Runs]) -> Runs:
    return Runs(*(np.concatenate(c) for c in zip(*((r.chain, r.start_ms, r.end_ms, r.n) for r in runs), strict=True)))


def _by_reason(rejects: I64) -> dict[str, int]:
    counts = np.zeros(len(REASONS), np.int64)
    np.add.at(counts, rejects[:, 2], rejects[:, 3])
    return named(counts)
