"""Order of a JSON Lines file: is it sorted by record time, and if not, sort it outside memory.

The key of a line is the record time the watermark uses: that of its first record that has one. A line
without (malformed, empty, a registry) stays with the line before it: it takes its key. The sort is stable.

Runs of lines are sorted in memory, written to one temporary file and merged by (key, line number):

    file     |--- run 0 ---|--- run 1 ---|--- run 2 ---|        lines in the order of the file
    spill    |~~~ sorted ~~|~~~ sorted ~~|~~~ sorted ~~|        bytes of the lines; keys, offsets, lengths behind
    merge     b0    b1          a block of keys of each run; every line up to the least last key is placed

What is held at once does not grow with the file: one run while writing, one block of keys per run and one piece of
lines while merging. The temporary file has no name from the start (mode 0600), so nobody else opens it, and it
goes when it is closed, also when the process is killed.
"""

from __future__ import annotations

import io
import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from engine.batch import decode_events
from engine.errors import HitonamiError
from engine.model import I32, I64, JSON, NO_TIME, U8, Payloads
from flows.files import Block, LineReader, messages

RUN_BYTES = 8 * 1024 * 1024  # lines sorted in memory at once, in bytes
RUN_LINES = 128 * 1024  # and in number
DECODE_BYTES = 1024 * 1024  # lines decoded at once: their columns stay in the cache
PIECE_BYTES = 2 * 1024 * 1024  # merged lines gathered at once
INDEX_LINES = 128 * 1024  # lines of all runs together whose keys are held in the merge
BLOCK_LINES = 64  # but this many of each run at least

Report = Callable[[float], None]
Stamps = Callable[[Payloads], tuple[I32, I64]]  # lines -> message and record time (NO_TIME: none) of each record


def people_stamps(ids: Any) -> Stamps:
    """The stamps of topic people; ``ids`` is the table of sensor ids of the active kernels."""

    def stamps(lines: Payloads) -> tuple[I32, I64]:
        events = decode_events(lines, ids, wire=JSON)
        return events.message, events.record_ts

    return stamps


def line_keys(lines: Payloads, stamps: Stamps, before: int) -> I64:
    """Sort key of each message (n,), ms; ``before`` is the key of the line before (NO_TIME at the start)."""
    of_row, record_ts = stamps(lines)
    known = np.flatnonzero(record_ts != NO_TIME)
    message = of_row[known]
    first = np.ones(len(known), np.bool_)
    first[1:] = message[1:] != message[:-1]
    known, message = known[first], message[first]
    if len(message) == len(lines):
        return record_ts[known]
    keys = np.full(len(lines) + 1, before, np.int64)
    keys[message + 1] = record_ts[known]
    # Index of the last line with a key at or before each line; 0 is the one before them all.
    source = np.zeros(len(lines) + 1, np.int64)
    source[message + 1] = message + 1
    return keys[np.maximum.accumulate(source)][1:]


def is_sorted(reader: LineReader, stamps: Stamps, report: Report) -> bool:
    """Whether the keys of all lines never fall. Reads from where ``reader`` stands to the first disorder."""
    last = NO_TIME
    while (lines := reader.read(DECODE_BYTES)) is not None:
        keys = line_keys(lines, stamps, last)
        if keys[0] < last or np.any(keys[1:] < keys[:-1]):
            return False
        last = int(keys[-1])
        report(reader.fraction())
    return True


def stable_order(keys: I64) -> I64:
    """Indices that sort ``keys``, equal keys in their order."""
    n = len(keys)
    low = int(keys.min()) if n else 0
    if n and (int(keys.max()) - low + 1) * n < 2**63:
        # Unique composites sort with vector instructions, eight times as fast as a stable argsort.
        composite = (keys - low) * n + np.arange(n)
        composite.sort()
        return composite % n
    return np.argsort(keys, kind="stable")


def gather(data: U8, bounds: I64, order: I64) -> tuple[U8, I64]:
    """The lines ``data[bounds[i]:bounds[i + 1]]`` for each i of ``order``, one behind the other, and their bounds."""
    buffers = [None, pa.py_buffer(bounds.astype(np.int32)), pa.py_buffer(data)]
    taken = pa.Array.from_buffers(pa.binary(), len(bounds) - 1, buffers).take(pa.array(order))
    _, offsets, out = taken.buffers()
    return np.frombuffer(out, np.uint8), np.frombuffer(offsets, np.int32)[: len(order) + 1].astype(np.int64)


@dataclass(frozen=True, slots=True)
class Run:
    """Sorted lines in the spill file: their bytes at ``data_at``, their columns at ``index_at``."""

    lines: int
    data_at: int
    index_at: int


class Spill:
    """The temporary file of one sort. Raises HitonamiError where the disk does not take or give what it should."""

    def __init__(self, name: str, workdir: Path) -> None:
        self.name = name
        self._workdir = workdir
        self._at = 0
        try:
            workdir.mkdir(mode=0o700, parents=True, exist_ok=True)
            # Closed in close(): it must outlive this call.
            self._file: io.FileIO = tempfile.TemporaryFile(dir=workdir, buffering=0)  # noqa: SIM115
        except OSError as error:
            raise self._error(error) from None

    def _error(self, error: OSError) -> HitonamiError:
        return HitonamiError(f"cannot sort {self.name} in {self._workdir}: {error.strerror}")

    def write(self, data: U8, keys: I64, offsets: I64, lengths: I32) -> Run:
        """Append one run."""
        run = Run(len(keys), self._at, self._at + len(data))
        try:
            for column in (data, keys, offsets, lengths):
                view = memoryview(np.ascontiguousarray(column)).cast("B")  # type: ignore[arg-type]
                while view:
                    done = self._file.write(view)
                    self._at += done
                    view = view[done:]
        except OSError as error:
            raise self._error(error) from None
        return run

    def index(self, run: Run, start: int, stop: int) -> tuple[I64, I64, I32]:
        """keys, offsets and lengths of the lines start..stop of ``run``."""
        keys = np.empty(stop - start, np.int64)
        offsets = np.empty(stop - start, np.int64)
        lengths = np.empty(stop - start, np.int32)
        self.read(run.index_at + 8 * start, keys)
        self.read(run.index_at + 8 * (run.lines + start), offsets)
        self.read(run.index_at + 16 * run.lines + 4 * start, lengths)
        return keys, offsets, lengths

    def read(self, at: int, out: NDArray[Any]) -> None:
        """Fill ``out`` with the bytes from ``at`` on."""
        view = memoryview(out.view(np.uint8))  # type: ignore[arg-type]
        try:
            while view:
                got = os.preadv(self._file.fileno(), [view], at)
                if not got:
                    raise OSError(0, "the temporary file is too short")
                at += got
                view = view[got:]
        except OSError as error:
            raise self._error(error) from None

    def close(self) -> None:
        """Drop the file; a second call does nothing."""
        self._file.close()


class Cursor:
    """How far the merge has come in one run: a block of its keys is loaded."""

    __slots__ = ("data_at", "keys", "lengths", "loaded", "offsets", "run")

    def __init__(self, run: Run) -> None:
        self.run = run
        self.loaded = 0  # lines of the run read so far
        self.data_at = run.data_at  # bytes of the first line not handed out
        self.keys: I64 = np.empty(0, np.int64)
        self.offsets: I64 = np.empty(0, np.int64)
        self.lengths: I32 = np.empty(0, np.int32)

    @property
    def more(self) -> bool:
        """Whether the run has lines behind the loaded ones."""
        return self.loaded < self.run.lines

    def refill(self, spill: Spill, lines: int) -> None:
        """Load ``lines`` more where fewer than half of that are left."""
        if self.more and len(self.keys) < lines // 2 + 1:
            stop = min(self.loaded + lines, self.run.lines)
            keys, offsets, lengths = spill.index(self.run, self.loaded, stop)
            self.keys = np.concatenate([self.keys, keys])
            self.offsets = np.concatenate([self.offsets, offsets])
            self.lengths = np.concatenate([self.lengths, lengths])
            self.loaded = stop

    def take(self, count: int) -> tuple[I64, I64, I32]:
        """Give up the first ``count`` loaded lines: their keys, offsets and lengths."""
        taken = self.keys[:count], self.offsets[:count], self.lengths[:count]
        # Copies: a small rest must not hold a large block.
        self.keys, self.offsets, self.lengths = (
            self.keys[count:].copy(),
            self.offsets[count:].copy(),
            self.lengths[count:].copy(),
        )
        return taken


@dataclass(slots=True)
class Placed:
    """Lines whose order is known; columns run-major, ``order`` indexes them. ``done`` of them are handed out."""

    order: I64
    source: I32  # run of each line
    offsets: I64
    lengths: I32
    ends: I64  # bytes of the lines in order, summed
    heads: I64  # (runs,) first line of each run not handed out
    done: int = 0


class SortedLines:
    """The lines of all runs in the order of (key, line number)."""

    def __init__(self, spill: Spill, runs: list[Run], *, piece_bytes: int, block_lines: int) -> None:
        self._spill = spill
        self._cursors = [Cursor(run) for run in runs]
        self._piece_bytes = piece_bytes
        self._block = block_lines  # of each run
        self._total = sum(run.lines for run in runs)
        self._given = 0
        self._placed: Placed | None = None
        self._piece: Payloads | None = None
        self._at = 0  # next message of the piece

    def read(self, max_bytes: int) -> Payloads | None:
        """The next lines of at most ``max_bytes`` together (at least one); None at the end."""
        if self._piece is None or self._at == len(self._piece):
            self._piece, self._at = self._gather(), 0
            if self._piece is None:
                return None
        piece, start = self._piece, self._at
        limit = piece.starts[start] + max_bytes
        stop = max(start + 1, int(np.searchsorted(piece.ends, limit, side="right")))
        self._at = stop
        self._given += stop - start
        cut = slice(start, stop)
        return Payloads(piece.data, piece.starts[cut], piece.ends[cut], piece.record_ts[cut], piece.offsets[cut])

    def _gather(self) -> Payloads | None:
        """The next piece of placed lines, their bytes read from the spill; None at the end."""
        if self._placed is None or self._placed.done == len(self._placed.order):
            self._placed = None
            self._placed = self._place()
        placed = self._placed
        if placed is None:
            return None
        start = placed.done
        begun = int(placed.ends[start - 1]) if start else 0
        stop = max(start + 1, int(np.searchsorted(placed.ends, begun + self._piece_bytes, side="right")))
        chosen = placed.order[start:stop]
        placed.done = stop
        # Of each run these are its next lines, because the order keeps the order inside a run.
        counts = np.bincount(placed.source[chosen], minlength=len(self._cursors))
        raw = np.empty(int(placed.ends[stop - 1]) - begun, np.uint8)
        bounds = np.zeros(len(chosen) + 1, np.int64)
        shift = placed.heads - (np.cumsum(counts) - counts)
        lines = filled = 0
        for row in np.flatnonzero(counts):
            cursor, count, head = self._cursors[row], int(counts[row]), int(placed.heads[row])
            sums = np.cumsum(placed.lengths[head : head + count], dtype=np.int64)
            bounds[lines + 1 : lines + count + 1] = filled + sums
            size = int(sums[-1])
            self._spill.read(cursor.data_at, raw[filled : filled + size])
            cursor.data_at += size
            lines, filled = lines + count, filled + size
        placed.heads += counts
        data, ends = gather(raw, bounds, chosen - shift[placed.source[chosen]])
        return messages(data, ends[:-1], ends[1:], placed.offsets[chosen])

    def _place(self) -> Placed | None:
        """Order every loaded line that no line still unread can come before; None when all are handed out."""
        for cursor in self._cursors:
            cursor.refill(self._spill, self._block)
        # The run that ends first sets the limit. At its last key, lines of earlier runs come before it and of later
        # ones behind what it may still hold, so only those wait.
        limits = [(int(cursor.keys[-1]), row) for row, cursor in enumerate(self._cursors) if cursor.more]
        if limits:
            limit, at = min(limits)
            counts = [
                int(np.searchsorted(cursor.keys, limit, side="right" if row <= at else "left"))
                for row, cursor in enumerate(self._cursors)
            ]
        else:
            counts = [len(cursor.keys) for cursor in self._cursors]
        if not any(counts):
            return None
        taken = [cursor.take(count) for cursor, count in zip(self._cursors, counts, strict=True)]
        order = stable_order(np.concatenate([part[0] for part in taken]))
        lengths = np.concatenate([part[2] for part in taken])
        sizes = np.array(counts)
        return Placed(
            order=order,
            source=np.repeat(np.arange(len(counts), dtype=np.int32), sizes),
            offsets=np.concatenate([part[1] for part in taken]),
            lengths=lengths,
            ends=np.cumsum(lengths[order], dtype=np.int64),
            heads=np.cumsum(sizes) - sizes,
        )

    def fraction(self) -> float:
        """Share of the lines handed out, 0 to 1."""
        return self._given / self._total if self._total else 1.0

    def close(self) -> None:
        """Drop the temporary file; a second call does nothing."""
        self._spill.close()


def sort_lines(
    reader: LineReader,
    stamps: Stamps,
    workdir: Path,
    report: Report,
    *,
    run_bytes: int = RUN_BYTES,
    run_lines: int = RUN_LINES,
    piece_bytes: int = PIECE_BYTES,
    block_lines: int | None = None,
) -> SortedLines:
    """Sort the lines of ``reader`` (from where it stands) by key, stable, in a temporary file in ``workdir``.

    Raises BadInput as the reader does, HitonamiError where the disk does not hold the temporary file.
    """
    spill = Spill(reader.name, workdir)
    runs: list[Run] = []
    try:
        before = NO_TIME
        while (read := _read_run(reader, stamps, before, run_bytes, run_lines)) is not None:
            data, bounds, offsets, keys = read
            before = int(keys[-1])
            order = stable_order(keys)
            data, bounds = gather(data, bounds, order)
            runs.append(spill.write(data, keys[order], offsets[order], np.diff(bounds).astype(np.int32)))
            report(reader.fraction())
    except BaseException:
        spill.close()
        raise
    if block_lines is None:
        block_lines = max(BLOCK_LINES, INDEX_LINES // max(1, len(runs)))
    return SortedLines(spill, runs, piece_bytes=piece_bytes, block_lines=block_lines)


def _read_run(
    reader: LineReader, stamps: Stamps, before: int, run_bytes: int, run_lines: int
) -> tuple[U8, I64, I64, I64] | None:
    """Lines of the next run: their bytes, bounds, offsets in the file and keys; None at the end."""
    blocks: list[Block] = []
    keys: list[I64] = []
    size = lines = 0
    while size < run_bytes and lines < run_lines:
        block = reader.block(min(DECODE_BYTES, run_bytes))
        if block is None:
            break
        blocks.append(block)
        keys.append(line_keys(block.payloads(), stamps, before))
        before = int(keys[-1][-1])
        size += len(block.data)
        lines += len(block)
    if not blocks:
        return None
    return (
        np.concatenate([block.data[block.bounds[0] :] for block in blocks]),
        np.concatenate([[0], np.cumsum(np.concatenate([np.diff(block.bounds) for block in blocks]))]),
        np.concatenate([block.bounds[:-1] + block.base for block in blocks]),
        np.concatenate(keys),
    )
