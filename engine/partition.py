"""One log (a Kafka partition or a file) from messages to partials: decode, admit, window; counts and snapshots."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from engine import covers, kernels, sets, units
from engine.batch import CHUNK_ROWS, Chunks
from engine.beats import Beats
from engine.book import Book, Records
from engine.decode import COLUMNS
from engine.errors import BadInput
from engine.keys import renamed
from engine.model import (
    AUTO,
    CELL_MS,
    COUNT,
    END,
    I32,
    I64,
    NO_TIME,
    POINT,
    REASONS,
    REGISTRY,
    SET,
    U8,
    Events,
    Payloads,
)
from engine.partial import (
    COVER_COLUMNS,
    PANE_COLUMNS,
    Partial,
    version_rows,
)
from engine.refused import Refused
from engine.rejects import named
from engine.rows import spans_of_cells
from engine.sharding import reject_shards, sensor_shards, watches
from engine.space import Space
from engine.tables import Tables

_STATE = 7  # version of the snapshot
_NO_ROWS: I64 = np.empty(0, np.int64)


@dataclass(frozen=True, slots=True)
class Fed:
    """What was refused of one batch: the message (index in it) and the reason of each such event, in log order.

    ``faults``: (message, type, why) of control records that could not hold; the log goes on as if they were not there.
    """

    message: I32
    reason: U8
    faults: list[tuple[int, str, str]]


class Partition:
    """State of one partition: a pure function of its log, however the log is cut into batches.

    ``number`` names it in partials; ``shards`` is the number of shards of the run; ``state`` what ``snapshot()`` gave.
    ``since``: W before the first record, for a partition that was added to its topic later (flows/joins.py).
    ``wire``: what its messages may be, AUTO, JSON or ARROW.
    Counters are exact and for the terminal only (PRIVACY.md R6): ``accepted``, ``rejected`` (by reason code).
    """

    hears = False  # of anything but its log

    def __init__(
        self,
        number: int,
        book: Book,
        bound_ms: int,
        shards: int,
        state: bytes | None = None,
        since: int = NO_TIME,
        wire: int = AUTO,
    ) -> None:
        self.number, self.shards, self._book, self._bound_ms = number, shards, book, bound_ms
        self._wire = wire
        self._kernels = kernels.active()
        self._sequence = book.start  # versions met so far
        self._versions: list[tuple[int, str]] = []  # (W, hash) not told yet
        self._records = Records()
        self._sets: list[tuple[int, sets.Given]] = []  # (W, what was said) not told yet
        self.accepted = 0
        self.rejected = np.zeros(len(REASONS), np.int64)
        self.first_ms, self.last_ms = END, NO_TIME  # least and greatest instant of an accepted event
        self._told_to = NO_TIME  # W up to which partials were made
        self._plain = 0  # accepted counts and heartbeats not told yet
        self._cells: I64 = np.empty(0, np.int64)  # active cells not told yet, sorted
        self._persons = 0  # accepted points and beams not told yet
        self._refused = Refused()
        self._beats = Beats(bound_ms)
        self._covers: I64 = np.empty((0, 3), np.int64)  # covered spans not told yet
        self._covered: I64 = np.empty((0, COVER_COLUMNS), np.int64)  # of panes that closed before a version came
        # Per sensor: close of the earliest pane for which a count was accepted, END before any, NO_TIME once told.
        self._counted: I64 = np.empty(0, np.int64)
        self.ended = False
        panes: tuple[bytes, ...] | None = None
        space: tuple[Any, ...] | None = None
        if since != NO_TIME:
            panes = (np.array([since, NO_TIME], np.int64).tobytes(), b"", b"")
        if state is not None:
            panes, space = self._restore(state)
        self._panes = self._kernels.PaneTable(bound_ms, panes)
        self._chunks = Chunks()
        self._times: I64 = np.empty((4, 2 * CHUNK_ROWS), np.int64)  # columns between the stages, written anew each time
        self._repeat: U8 = np.zeros(2 * CHUNK_ROWS, np.uint8)  # all 0 between the chunks
        self._space = Space(book.tables(self._sequence), space)
        self._use(book.tables(self._sequence))

    @property
    def watermark(self) -> int:
        """W in ms: NO_TIME before the first admitted record, END after ``finish()``."""
        return END if self.ended else int(self._panes.watermark)

    @property
    def untold_ms(self) -> int:
        """How far W has moved since partials were made."""
        return self.watermark - self._told_to

    @property
    def read(self) -> int:
        """Events read so far: accepted + rejected, always."""
        return self.accepted + int(self.rejected.sum())

    def _use(self, tables: Tables) -> None:
        self.tables = tables
        more = len(tables.sensor_ids) - len(self._counted)
        self._counted = np.append(self._counted, np.full(more, END, np.int64))
        self._fresh = self._counted != NO_TIME  # sensors not told yet
        self._watches = tables.once("watches", lambda: watches(tables))
        ids = self._kernels.Ids
        self._ids = tables.once(ids, lambda: ids(tables.wire_ids()))
        self._shard_of = tables.once(self.shards, lambda: sensor_shards(tables, self.shards))
        self._reject_shard_of = tables.once(("rejects", self.shards), lambda: reject_shards(tables, self.shards))

    def feed(self, payloads: Payloads) -> Fed:
        """Take in messages in log order; what a registry or set record says holds behind its message."""
        refused: list[tuple[I32, U8]] = []
        faults: list[tuple[int, str, str]] = []
        first = 0
        while first < len(payloads):
            first, events = self._chunks.decode(payloads, self._ids, first, self._wire)
            records = np.flatnonzero((events.kind == REGISTRY) | (events.kind == SET))
            if not len(records):
                refused.append(self._take(events))
                continue
            at = int(events.message[records[0]])
            begun, behind = np.searchsorted(events.message, [at, at + 1]).tolist()
            refused.append(self._take(_part(events, 0, behind)))
            self._settle()
            message = bytes(payloads.data[payloads.starts[at] : payloads.ends[at]])
            faults += [(at, *fault) for fault in self._control(message, _part(events, begun, behind))]
            first = at + 1
        self._settle()
        messages = np.concatenate([np.empty(0, np.int32), *(rows for rows, _ in refused)])
        reason = np.concatenate([np.empty(0, np.uint8), *(reasons for _, reasons in refused)])
        self.rejected += np.bincount(reason, minlength=len(REASONS))
        return Fed(messages, reason, faults)

    def _control(self, message: bytes, events: Events) -> list[tuple[str, str]]:
        """Do what the control records of a message (rows ``events``) say; (type, why) of those that cannot hold."""
        told: list[tuple[str, str]] = []
        if (events.kind == SET).any():
            zones = {zone.id for zone in self.tables.registry.zones}
            w = units.passed(self.watermark)
            found, faults = sets.read(message, events, zones, w)
            self._sets += [(w, given) for given in found]
            told += [("set", why) for why in faults]
        if (events.kind == REGISTRY).any():
            fault = self._registry(message)
            told += [] if fault is None else [("registry", fault)]
        return told

    def _registry(self, message: bytes) -> str | None:
        """Let a registry record hold from here on; returns why it cannot."""
        version, fault = self._records.take(message, self.tables)
        if version is None or version.hash == self.tables.registry.hash:
            return fault
        self._book.meet(version)
        w = units.passed(self.watermark)
        # what has closed has closed by the approvals of the version before
        self._covers, covered = covers.split(self._covers, self.tables, w)
        self._covered = np.concatenate([self._covered, covered])
        before, self._sequence = self.tables, (*self._sequence, version.hash)
        self._use(self._book.tables(self._sequence))
        self._space.switch(self.tables, self.watermark, w)
        self._versions.append((w, version.hash))
        moved = self.tables.moved(before)
        if moved:  # a repeat of a record from before the move is still a duplicate
            marks, panes, keys = self._panes.state()
            self._panes = self._kernels.PaneTable(self._bound_ms, (marks, panes, renamed(keys, moved)))
        return None

    def _take(self, events: Events) -> tuple[I32, U8]:
        """Judge and count a chunk; message and reason of what is refused."""
        tables, reason = self.tables, events.reason
        if self._times.shape[1] < len(events):
            self._times, self._repeat = np.empty((4, len(events)), np.int64), np.zeros(len(events), np.uint8)
        pane_ms, pane_end_ms, mark_ms, told_ms = self._times[:, : len(events)]
        self._kernels.admit(
            events.kind,
            reason,
            events.sensor,
            events.ts,
            events.span_ms,
            events.record_ts,
            tables.sensor_gate,
            tables.sensor_leaf,
            tables.approved_at,
            tables.approved_from,
            tables.approved_to,
            tables.zone_clock.changes,
            tables.zone_clock.offsets,
            pane_ms,
            pane_end_ms,
            mark_ms,
        )
        repeat, followed = self._repeat[: len(events)], bool((events.kind >= POINT).any())
        points, beams = self._space.add(events, repeat) if followed else (_NO_ROWS, _NO_ROWS)
        before = int(self._panes.watermark)
        tally = self._panes.add(
            events.kind,
            reason,
            events.sensor,
            events.ts,
            events.span_ms,
            events.n,
            events.seq,
            events.has_seq,
            pane_ms,
            pane_end_ms,
            mark_ms,
            repeat,
            tables.sensor_delay_ms,
            tables.sensor_wait_ms,
            tables.sensor_reporting,
            tables.sensor_beat_ms,
            told_ms,
        )
        self._beats.add(events, mark_ms, before, tables)
        if followed:
            self._persons += self._space.judged(events, repeat, points, beams)
            repeat[points], repeat[beams] = 0, 0
        accepted, persons, counted, first_ms, last_ms = tally
        self.accepted += accepted
        self._plain += accepted - persons
        self.first_ms, self.last_ms = min(self.first_ms, first_ms), max(self.last_ms, last_ms)
        if counted:
            good = (reason == 0) & (events.kind == COUNT)
            self._note_counts(np.flatnonzero(self._fresh.take(events.sensor) & good), events.sensor, pane_end_ms)
        bad = np.flatnonzero(reason)
        if len(bad):
            self._refused.add(told_ms[bad], events.sensor[bad], reason[bad])
        return events.message[bad], reason[bad]

    def _settle(self) -> None:
        """Take in what the panes have noted of accepted events."""
        told = np.frombuffer(self._panes.cells(), np.int64)
        if len(told):
            cells = np.append(self._cells, told)
            cells.sort()
            self._cells = cells[np.append(True, cells[1:] != cells[:-1])]
        fresh = np.frombuffer(self._panes.covers(), np.int64).reshape(-1, 3)
        if len(fresh):
            self._covers = np.concatenate([self._covers, fresh, covers.at_gates(fresh, self.tables)])

    def _note_counts(self, rows: I64, sensor: I32, pane_end_ms: I64) -> None:
        if len(rows):
            sensor = sensor[rows]
            np.minimum.at(self._counted, sensor, pane_end_ms[rows] + self.tables.sensor_delay_ms[sensor])

    def finish(self) -> None:
        """The log has ended: W = +inf closes every pane."""
        self.ended = True

    def partials(self) -> list[Partial]:
        """One partial per shard when W has passed a line of the 10 s grid since the last call, else none."""
        w = units.passed(self.watermark)
        if w <= self._told_to:
            return []
        passages, stock, headings = self._space.take(self.watermark, w)
        panes = np.frombuffer(self._panes.take(w), np.int64).reshape(-1, PANE_COLUMNS)
        panes = np.concatenate([panes, passages]) if len(passages) else panes
        self._covers, covered = covers.split(self._covers, self.tables, w)
        covered, self._covered = np.concatenate([self._covered, covered]), self._covered[:0]
        active = self._take_active(w)
        rejects = self._refused.take(int(self._panes.first_watermark), w)
        beats = self._beats.take(int(self._panes.first_watermark), int(self._panes.watermark), w, self.tables)
        versions = self._take_versions(w)
        placed = self._take_sets(w)
        counted = self._take_counted(w)
        pane_shard, cover_shard = self._shard_of[panes[:, 2]], self._shard_of[covered[:, 2]]
        reject_shard = self._reject_shard_of[rejects[:, 1]]
        watch = covered[self._watches[covered[:, 2]]]
        beat_shard = np.append(self._shard_of, np.int32(-1))[beats[:, 1]]  # what is of the partition goes to all
        out = [
            Partial(
                self.number,
                shard,
                self._told_to,
                w,
                self._plain if shard == 0 else 0,
                self._persons if shard == 0 else 0,
                panes[pane_shard == shard],
                covered[cover_shard == shard],
                rejects[reject_shard == shard],
                active,
                counted[self._shard_of[counted[:, 1]] == shard],
                versions,
                placed if shard == 0 else placed[:0],
                stock if shard == 0 else stock[:0],
                watch if shard == 0 else watch[:0],
                headings if shard == 0 else headings[:0],
                beats[(beat_shard == shard) | (beat_shard < 0)],
            )
            for shard in range(self.shards)
        ]
        self._told_to, self._plain, self._persons = w, 0, 0
        return out

    def _take_versions(self, w: int) -> I64:
        done = [entry for entry in self._versions if entry[0] < w]
        self._versions = self._versions[len(done) :]
        return version_rows(done)

    def _take_sets(self, w: int) -> I64:
        rows = [given.row() for at, given in self._sets if at < w]
        self._sets = self._sets[len(rows) :]
        return np.array(rows, np.int64).reshape(-1, sets.SET_COLUMNS)

    def _take_active(self, w: int) -> I64:
        done = self._cells[self._cells + CELL_MS <= w]
        self._cells = self._cells[len(done) :]
        return spans_of_cells(done)

    def _take_counted(self, w: int) -> I64:
        # what W has passed is final: a count for an earlier pane would be late by now
        at = self._counted
        sensors = np.flatnonzero((at > NO_TIME) & (at <= w) & (at < END))
        rows = np.column_stack([at[sensors], sensors])
        at[sensors], self._fresh[sensors] = NO_TIME, False
        return rows

    def snapshot(self) -> bytes:
        """Everything a later ``Partition(..., state=)`` needs to go on as if nothing had happened."""
        return pickle.dumps(
            (
                _STATE,
                self.accepted,
                self.rejected.tolist(),
                (self.first_ms, self.last_ms, self._told_to, self._plain, self._persons, self.ended),
                self._cells.tobytes(),
                self._refused.state(),
                self._covers.tobytes(),
                self._counted.tobytes(),
                self._panes.state(),
                (self._sequence, self._versions, self._records.pieces, self._covered.tobytes(), self._sets),
                self._space.state(),
                self._beats.state(),
            ),
            5,
        )

    def _restore(self, state: bytes) -> tuple[tuple[bytes, ...], tuple[Any, ...]]:
        version, *rest = pickle.loads(state)
        if version != _STATE:
            raise BadInput("the recovery directory was written by another version")
        self.accepted, rejected, marks, cells, refused, spans, counted, panes, registries, space, beats = rest
        self._sequence, self._versions, pieces, covered, self._sets = registries
        self._covered = np.frombuffer(covered, np.int64).reshape(-1, COVER_COLUMNS)
        self._records = Records(pieces)
        self._beats = Beats(self._bound_ms, beats)
        self.rejected, self._refused = np.array(rejected, np.int64), Refused(refused)
        self.first_ms, self.last_ms, self._told_to, self._plain, self._persons, self.ended = marks
        self._cells = np.frombuffer(cells, np.int64)
        self._covers = np.frombuffer(spans, np.int64).reshape(-1, COVER_COLUMNS - 1)
        self._counted = np.frombuffer(counted, np.int64).copy()
        return tuple(panes), tuple(space)

    def rejected_by_reason(self) -> Mapping[str, int]:
        """Exact rejects by reason word, without zeros."""
        return named(self.rejected)


def _part(events: Events, first: int, behind: int) -> Events:
    return Events(**{name: getattr(events, name)[first:behind] for name in COLUMNS})
