"""The sink: released rows into the store. Live at once, one insert per unit; a replay in bulk."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from bytewax.outputs import FixedPartitionedSink, StatefulSinkPartition

from engine.book import Book, Versions
from engine.model import DAY, END, HOUR, I32, LEAVES, MINUTE, NO_TIME, Progress, Released
from engine.tables import Tables, longest_delay_ms
from engine.timezone import TimeZone
from flows.calls import Calls
from flows.guard import guarded, tell
from flows.health import health
from flows.retry import retried
from sinks.clickhouse.runs import Run
from sinks.clickhouse.schema import KEY_TIME
from sinks.clickhouse.store import Store

TICK, END_OF_RUN = "tick", "end"  # items without rows: a new epoch; the shard has closed its last window
_BULK_ROWS = 50_000
_TELL_S = 1.0
_CROWD = 12  # more inserts than these wait, and the sources wait: a stop must not wait for long


@dataclass(frozen=True, slots=True)
class Span:
    """Windows that are stored: those inside [from_ms, to_ms); rejects stand in hours."""

    clock: TimeZone
    from_ms: int
    to_ms: int

    def clip(self, rows: Released) -> Released | None:
        """The rows of windows inside the span; a run belongs to the window that ends where it does."""
        columns = rows.columns
        if rows.product == "runs_of_flow":
            end = np.asarray(columns["run_end"], np.int64)
            keep = (end > self.from_ms) & (end <= self.to_ms)
        elif "window_start" in columns:
            start = np.asarray(columns["window_start"], np.int64)
            keep = start >= self.from_ms
            for code in np.unique(columns["window"]).tolist():
                mine = columns["window"] == code
                keep[mine] &= self.clock.next(start[mine], code) <= self.to_ms
        elif rows.product == "alerts":  # a change belongs to the minute that ends with it, or in which it lies
            start = self.clock.floor(np.asarray(columns["changed"], np.int64) - 1, MINUTE)
            keep = (start >= self.from_ms) & (self.clock.next(start, MINUTE) <= self.to_ms)
        elif "hour" in columns:
            start = np.asarray(columns["hour"], np.int64)
            keep = (start >= self.from_ms) & (self.clock.next(start, HOUR) <= self.to_ms)
        else:
            return rows
        if keep.all():
            return rows
        return replace(rows, columns={k: v[keep] for k, v in columns.items()}) if keep.any() else None


class RunRow:
    """The run's row in the store, kept up to date with what may be shown.

    ``places``: what it tells of the places it counts at; gates where not told.
    """

    def __init__(
        self, store: Store, run: Run, book: Book, places: Callable[[Tables], dict[str, Any]] | None = None
    ) -> None:
        self._store, self.run, self.book = store, run, book
        self._places = of_gates if places is None else places
        self._last_ms: int | None = None  # of a live run: kept here, not shown
        self._judged: tuple[int, frozenset[str]] | None = None  # first event and gates with which replays were judged

    def put(self, advance: Advance) -> None:
        """Store how far the run has come (PRIVACY.md R6: released counters only).

        After a restart it comes again to where it had been told: until then the row stays.
        """
        progress, versions = advance.progress, advance.sequence[1:]
        self._last_ms = advance.last_ms
        if progress.closed_ms < self.run.closed_ms:
            return
        if versions and versions != tuple(self.run.versions):
            self._change(versions=versions, **self._places(self.book.tables(advance.sequence)))
        self._change(
            closed_ms=progress.closed_ms,
            read=progress.read,
            accepted=progress.accepted,
            rejected=dict(progress.rejected),
            **self._times(advance),
        )
        retried(lambda: self._store.update_run(self.run))
        health.stored(self.run)
        if self.run.kind == "live" and self.run.first_ms is not None:
            self._judge_replays(self.run.first_ms)

    def _times(self, advance: Advance) -> dict[str, int | None]:
        """What the row tells of when events were; of a live one never when the last person was seen (PRIVACY.md R6).

        Its first event is told when its cell has closed: from then on the rows begin with that cell, for all to see.
        """
        first, closed = advance.first_ms, advance.progress.closed_ms
        if self.run.kind != "live":
            return {"first_ms": first, "last_ms": advance.last_ms}
        if first is None or first >= closed:
            return {"first_ms": None, "last_ms": None}
        return {"first_ms": first, "last_ms": closed}

    def _judge_replays(self, first_ms: int) -> None:
        """Replays that this live run overlaps as another release become workbench runs (PRIVACY.md R5)."""
        seen = first_ms, frozenset(self.run.leaves)
        if seen == self._judged:
            return

        def judge() -> None:
            settings = self.run.config_hash, self.run.registry_hash
            for run in self._store.overlapping_runs(self.run.leaves, first_ms, END):
                other = run.decided_once or (run.config_hash, run.registry_hash) != settings
                if run.kind == "replay" and other:
                    self._store.update_run(replace(run, kind="workbench", updated_ms=run.updated_ms + 1))
                    tell(f"run {run.run_id} overlaps this one as another release: it is a workbench run now")

        retried(judge)
        self._judged = seen

    def end(self, state: str) -> None:
        """Store that the run has ended as ``state``; of a live one, on which day or until when it may have rows."""
        if self.run.kind == "live" and self.run.first_ms is not None and self._last_ms is not None:
            day = TimeZone(self.run.timezone).next(np.array([self._last_ms], np.int64), DAY)
            self._change(last_ms=max(int(day[0]), self.run.closed_ms))
        self._change(state=state)
        self._store.update_run(self.run)

    def _change(self, **columns: Any) -> None:
        updated_ms = max(int(time.time() * 1000), self.run.updated_ms + 1)  # of two rows the later counts
        self.run = replace(self.run, updated_ms=updated_ms, **columns)


def of_gates(tables: Tables) -> dict[str, Any]:
    """What a run's row says of its gates, also of those that later versions left out."""
    leaves = {gate: LEAVES[leaf] for gate, leaf in zip(tables.gate_ids, tables.gate_leaf.tolist(), strict=True)}
    return {"leaves": leaves, "gate_delay_ms": longest_delay_ms(tables)}


@dataclass(frozen=True, slots=True)
class Advance:
    """What the figures key tells the sink besides rows."""

    progress: Progress
    first_ms: int | None
    last_ms: int | None
    sequence: Versions  # registry versions so far


class _Part(StatefulSinkPartition[object, None]):
    def __init__(self, sink: StoreSink) -> None:
        self._sink = sink
        self._under_way: list[Future[None]] = []
        self._advance: Advance | None = None  # told in this epoch
        self._stored: Advance | None = None  # told in the last one: what it speaks of is stored, by every process
        self._held: dict[tuple[str, str], list[Released]] = {}  # by product and registry version
        self._size = 0
        self._told_s = -_TELL_S  # when the progress of a replay was told last (monotonic)

    @guarded
    def write_batch(self, values: list[object]) -> None:
        if self._stored is not None:  # an epoch begins when the one before is committed everywhere
            self._put(self._stored)
            self._stored = None
        comes = [value.progress.closed_ms for value in values if isinstance(value, Advance)]
        calls = self._sink.calls if comes else None
        if calls is not None:
            self._do(calls.come, comes[-1])
        for value in values:
            if isinstance(value, Released):
                self._rows(value)
            elif isinstance(value, Advance):
                if self._sink.bulk:
                    self._progress(value)
                else:
                    self._advance = value
            elif value == END_OF_RUN:
                self._flush()
                self._settle()
        if calls is not None:
            self._do(calls.settle)

    def _rows(self, rows: Released) -> None:
        clipped = self._sink.span.clip(rows) if self._sink.span is not None else rows
        if clipped is None or not len(clipped):
            return
        if not self._sink.gathers(clipped):
            self._do(self._sink.insert, clipped)
            return
        self._held.setdefault((rows.product, rows.registry_version), []).append(clipped)
        self._size += len(clipped)
        if self._size >= _BULK_ROWS:
            self._flush()

    def _progress(self, advance: Advance) -> None:
        """Tell how far a replay is, once a second, and its end."""
        ends, now_s = advance.progress.closed_ms == END, time.monotonic()
        if ends:
            self._flush()
        if ends or now_s - self._told_s >= _TELL_S:
            self._told_s = now_s
            self._put(advance)
        if ends:
            self._settle()

    def _put(self, advance: Advance) -> None:
        self._do(self._sink.row.put, advance)

    def _do(self, work: Callable[..., None], *what: object) -> None:
        self._under_way.append(self._sink.submit(work, *what))

    def _flush(self) -> None:
        self._settle()  # in bulk: what is stored and what is gathered meanwhile bound the memory
        held, self._held, self._size = self._held, {}, 0
        for blocks in held.values():
            self._do(self._sink.insert, joined(blocks))

    def _settle(self) -> None:
        under_way, self._under_way = self._under_way, []
        for insert in under_way:
            insert.result()

    @guarded
    def snapshot(self) -> None:
        if self._held and not self._sink.bulk:
            self._flush()
        self._settle()  # an epoch is committed when its rows are stored, not before
        if self._advance is not None:
            self._advance, self._stored = None, self._advance


class StoreSink(FixedPartitionedSink[object, None]):
    """Sink parts ``keys`` of one run; ``bulk``: a replay's rows are gathered, each part's last ones at its end.

    ``calls`` is given the alerts that are stored; a replay has none. ``past_ms``: live, windows that begin before it
    are gathered too, until the end of their epoch.
    """

    def __init__(
        self,
        store: Store,
        row: RunRow,
        keys: list[str],
        *,
        bulk: bool,
        span: Span | None,
        calls: Calls | None = None,
        past_ms: int = NO_TIME,
    ) -> None:
        self.store, self.row, self.bulk, self.span, self.calls = store, row, bulk, span, calls
        self._past_ms = past_ms
        self._keys = sorted(keys)
        self._waiting: deque[Future[None]] = deque()
        # one insert of a process at a time: several at once made the server slower, measured, not faster
        self._lane = ThreadPoolExecutor(1, "store")

    def list_parts(self) -> list[str]:
        """One part per shard and one for the figures of the whole run."""
        return self._keys

    def part_fn(self, item_key: str) -> int:
        """The part of a key."""
        return self._keys.index(item_key)

    @guarded
    def build_part(self, step_id: str, for_part: str, resume_state: None) -> _Part:
        """The part of a key; it keeps nothing, rows are a function of the logs."""
        return _Part(self)

    def gathers(self, rows: Released) -> bool:
        """Whether rows wait for others to be stored with."""
        return self.bulk or int(rows.columns[KEY_TIME[rows.product]].max()) < self._past_ms

    def submit(self, work: Callable[..., None], *what: object) -> Future[None]:
        """Have work done in the order in which it was submitted, while the flow goes on."""
        submitted = self._lane.submit(work, *what)
        self._waiting.append(submitted)
        return submitted

    def crowded(self) -> bool:
        """Whether so much waits to be stored that this process should read no more for now."""
        while self._waiting and self._waiting[0].done():
            self._waiting.popleft()
        return len(self._waiting) > _CROWD

    def settle(self) -> None:
        """Wait for all work that was submitted; raises what of it failed."""
        while self._waiting:
            self._waiting.popleft().result()

    def close(self) -> None:
        """Post the alerts that wait, for a moment; rows are stored by then."""
        if self.calls is not None:
            self.calls.close()

    def insert(self, rows: Released) -> None:
        """Store rows, again and again while the store does not answer; a repeat is dropped by its token."""
        calls = self.calls if rows.product == "alerts" else None
        if calls is not None:
            calls.begin()
        retried(lambda: self.store.insert(rows, self.row.run.run_id))
        health.inserted(len(rows))
        if calls is not None:
            calls.put(rows)


def joined(blocks: list[Released]) -> Released:
    """Blocks of one product and registry version as one."""
    if len(blocks) == 1:
        return blocks[0]
    columns, names = {}, {}
    for name in blocks[0].columns:
        parts = [block.columns[name] for block in blocks]
        if name in blocks[0].names:
            parts, names[name] = _recoded(parts, [block.names[name] for block in blocks])
        columns[name] = np.concatenate(parts)
    return replace(blocks[-1], unit=f"{blocks[0].unit}..{blocks[-1].unit}", columns=columns, names=names)


def _recoded(parts: list[Any], words: list[tuple[str, ...]]) -> tuple[list[Any], tuple[str, ...]]:
    """Codes into the words of each block as codes into words that all share."""
    last = words[-1]
    # a version that came, went and came again: later blocks have more rows to their names, in the same order
    if all(told is last or told == last[: len(told)] for told in words):
        return parts, last
    place = {word: code for code, word in enumerate(dict.fromkeys(word for told in words for word in told))}
    codes: list[I32] = [np.array([place[word] for word in told], np.int32) for told in words]
    return [code[part] for code, part in zip(codes, parts, strict=True)], tuple(place)
