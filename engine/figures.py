"""Rows of every window from released runs: arithmetic on published numbers, so it cannot tell more than they do.

A *place* is what has chains: a gate, one per direction, or a zone, one per sector (engine/headings.py). Places of one
class share leaf and delay, so they share windows. Windows have rows where they touch a span of activity
(no accepted record for more than a day: no rows), as soon as the watermark has passed their end + delay::

    activity   [=======]                       [====]        panes and longer windows that touch one of the spans
    1h rows  |   1h   |   1h   |            |   1h   |        have rows; the silence between has none
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.expected import Expected
from engine.model import (
    DIRECTION_COUNT,
    DIRECTIONS,
    END,
    F64,
    I32,
    I64,
    LENGTH_MS,
    NO_TIME,
    STATUS,
    WINDOWS,
    Released,
)
from engine.release import window_rows
from engine.spans import closed, due
from engine.tables import Tables
from engine.timezone import TimeZone

_ROWS_AT_ONCE = 60_000  # rows of one block: bounds memory when a replay closes many windows at once


@dataclass(frozen=True, slots=True)
class Runs:
    """Released runs of a shard, in the order in which they ended.

    By chain: place × its number of chains + which of them; those of gates, gate row × 3 + direction.
    """

    chain: I64
    start_ms: I64
    end_ms: I64
    n: I64

    def rows(self, tables: Tables, unit: str) -> Released:
        """The product ``runs_of_flow``, of runs of gates."""
        columns: dict[str, NDArray[np.generic]] = {
            "gate": (self.chain // DIRECTION_COUNT).astype(np.int32),
            "direction": (self.chain % DIRECTION_COUNT).astype(np.int32),
            "run_start": self.start_ms,
            "run_end": self.end_ms,
            "n": self.n,
        }
        names = {"gate": tables.gate_ids, "direction": DIRECTIONS}
        return Released("runs_of_flow", unit, columns, names, tables.registry.version)


@dataclass(frozen=True, slots=True)
class Block:
    """Figures of windows of one length (w,) × places of one class (g,) × their chains (c), by one version.

    ``total_low``, ``total_high``: bounds of everybody counted since the chains began, at the windows' ends.
    """

    tables: Tables
    code: int
    starts: I64
    ends: I64
    places: I32
    n: I64
    low: I64
    high: I64
    status: I32
    coverage: F64  # (w, g)
    covered: I64  # (w, g) ms
    expected: I64  # (w, g) ms
    total_low: I64
    total_high: I64


class ClassFigures:
    """Figures of ``places`` (rows) of one class of one shard, each with so many ``chains``.

    Advanced with the watermark, kept in ``state()``. ``use`` tells what holds, before the first windows.
    """

    def __init__(
        self, clock: TimeZone, places: list[int], chains: int, leaf: int, delay_ms: int, threshold: int
    ) -> None:
        self.chains, self.leaf, self.delay_ms, self.threshold = chains, leaf, delay_ms, threshold
        self.places = np.array(places, np.int32)
        self.codes = range(leaf, len(WINDOWS))
        self._clock = clock
        shape = (len(places), chains)
        self._chain_start = np.full(shape, NO_TIME, np.int64)  # counting began here: nobody before
        self._total = np.zeros(shape, np.int64)  # people in all released runs
        self._last_end = np.full(shape, NO_TIME, np.int64)  # end of the newest run
        self._next = dict.fromkeys(self.codes, NO_TIME)  # start of the first window without rows yet
        self._held: dict[int, tuple[int, I64, I64]] = {}  # that start and the bounds there, once W has passed it
        self._covered: dict[int, dict[int, I64]] = {code: {} for code in self.codes}  # window start -> ms per place

    def use(self, tables: Tables, here: NDArray[np.bool_], expected: Expected) -> None:
        """Let a version of the registry hold for the windows that come: which places have rows, what is expected."""
        self.tables, self._here, self._expected = tables, here, expected

    def begin(self, start_ms: int, first_window_ms: int = NO_TIME) -> None:
        """Tell where counting began, for all places known so far; and an instant of the first windows."""
        self._chain_start[:] = start_ms
        if first_window_ms != NO_TIME:
            at = np.array([first_window_ms], np.int64)
            self._next = {code: int(self._clock.floor(at, code)[0]) for code in self.codes}

    def grow(self, places: list[int], start_ms: int) -> None:
        """Take in places of a later version, counted from ``start_ms`` on; the next ``use`` knows of them."""
        self.places = np.append(self.places, np.array(places, np.int32)).astype(np.int32)
        more = (len(places), self.chains)
        self._chain_start = np.concatenate([self._chain_start, np.full(more, start_ms, np.int64)])
        self._total = np.concatenate([self._total, np.zeros(more, np.int64)])
        self._last_end = np.concatenate([self._last_end, np.full(more, NO_TIME, np.int64)])
        none = np.zeros(more, np.int64)
        for code, (start, low, high) in self._held.items():
            self._held[code] = start, np.concatenate([low, none]), np.concatenate([high, none])
        for rows in self._covered.values():
            for start, covered in rows.items():
                rows[start] = np.append(covered, none[:, 0])

    def cover(self, panes: I64, places: I64, covered_ms: I64) -> None:
        """Add covered sensor time: rows of (pane start, local place, ms)."""
        for code in self.codes if len(panes) else ():
            windows = self._clock.floor(panes, code)
            kept = self._covered[code]
            for start in np.unique(windows).tolist():
                mine = windows == start
                row = kept.setdefault(start, np.zeros(len(self.places), np.int64))
                np.add.at(row, places[mine], covered_ms[mine])

    def advance(self, w: int, spans: I64, runs: Runs) -> Iterator[Block]:
        """Figures of all windows that have closed: ``w`` the watermark (ms), ``spans`` (s, 2) first, last active cell.

        ``runs`` are those released since the last call, chains local to the class.
        """
        for stop in self._stops(w if w == END else w - self.delay_ms, spans):
            now = runs.end_ms <= stop
            yield from self._advance_to(stop, spans, _picked(runs, now))
            runs = _picked(runs, ~now)

    def due(self, spans: I64) -> int:
        """The watermark at which the next window of ``spans`` gets its rows; END where all of them have theirs."""
        end = due(self._clock, self._next, spans)
        return end if end == END else end + self.delay_ms

    def _stops(self, limit: int, spans: I64) -> Iterator[int]:
        """Times up to ``limit`` at which to write rows, so that one block stays small however far W has jumped."""
        step = max(1, _ROWS_AT_ONCE // max(self.chains * len(self.places), 1)) * LENGTH_MS[self.leaf]
        for first, last in spans.tolist():
            start = max(first, self._next[self.leaf])
            yield from range(start + step, min(last, limit), step)
        yield limit

    def _advance_to(self, until: int, spans: I64, runs: Runs) -> Iterator[Block]:
        windows = {code: closed(self._clock, self._next, code, until, spans) for code in self.codes}
        wanted = [edge for w in windows.values() for edge in w] + [
            np.array([start], np.int64) for start in self._next.values() if NO_TIME < start <= until
        ]
        edges = np.unique(np.concatenate(wanted)) if wanted else np.empty(0, np.int64)
        low, high = self._bounds(edges, runs)
        for code, (starts, ends) in windows.items():
            if len(starts):
                yield self._block(code, starts, ends, edges, low, high)
            start = self._next[code]
            if NO_TIME < start <= until and (code not in self._held or self._held[code][0] != start):
                at = int(np.searchsorted(edges, start))
                self._held[code] = start, low[at], high[at]
        chain = (runs.chain // self.chains, runs.chain % self.chains)
        np.add.at(self._total, chain, runs.n)
        np.maximum.at(self._last_end, chain, runs.end_ms)

    def _bounds(self, edges: I64, runs: Runs) -> tuple[I64, I64]:
        """Bounds (e, g, c) of every chain at ``edges``, from the totals kept and the new runs (release.bounds)."""
        shape = (len(edges) + 1, len(self.places), self.chains)
        low, exact = np.zeros(shape, np.int64), np.zeros(shape, np.bool_)
        place = np.searchsorted(edges, runs.end_ms)
        chain = (runs.chain // self.chains, runs.chain % self.chains)
        np.add.at(low, (place, *chain), runs.n)
        ends_here = np.append(edges, END)[place] == runs.end_ms
        exact[place[ends_here], chain[0][ends_here], chain[1][ends_here]] = True
        low = np.cumsum(low[:-1], axis=0) + self._total
        at = edges[:, None, None]
        exact = exact[:-1] | (at == self._last_end) | (at <= self._chain_start)
        return low, low + np.where(exact, 0, self.threshold - 1)

    def _block(self, code: int, starts: I64, ends: I64, edges: I64, low: I64, high: I64) -> Block:
        from_, to = np.searchsorted(edges, starts), np.searchsorted(edges, ends)
        low_a, high_a = low[from_], high[from_]
        held = self._held.get(code)
        if held is not None and held[0] == starts[0]:  # passed by W earlier: since then later runs were added
            _, low_a[0], high_a[0] = held
        kept = self._covered[code]
        none = np.zeros(len(self.places), np.int64)
        covered = np.array([kept.pop(start, none) for start in starts.tolist()])
        for start in [s for s in kept if s < starts[0]]:
            del kept[start]  # covered time outside of all activity: no row will ask for it
        coverage, expected = self._expected.coverage(covered, starts, ends)
        n, n_low, n_high, status = window_rows(low_a, high_a, low[to], high[to], self.threshold, coverage[:, :, None])
        self._held[code] = int(ends[-1]), low[to[-1]], high[to[-1]]
        seen = np.minimum(covered, expected)
        figures: list[Any] = [n, n_low, n_high, status, coverage, seen, expected, low[to], high[to]]
        if not self._here.all():
            figures = [of_places[:, self._here] for of_places in figures]
        return Block(self.tables, code, starts, ends, self.places[self._here], *figures)

    def state(self) -> tuple[object, ...]:
        """Everything a later ``restore`` needs."""
        return self._chain_start, self._total, self._last_end, self._next, self._held, self._covered

    def restore(self, state: tuple[object, ...]) -> None:
        """Take back what ``state()`` gave."""
        self._chain_start, self._total, self._last_end, self._next, self._held, self._covered = state  # type: ignore[assignment]


def _picked(runs: Runs, which: NDArray[np.bool_]) -> Runs:
    if which.all():
        return runs
    return Runs(runs.chain[which], runs.start_ms[which], runs.end_ms[which], runs.n[which])


def parcels(blocks: list[Block], unit: str, rows: Callable[[list[Block], str], Released]) -> list[Released]:
    """Blocks of one version as few Released as keep each below about 60,000 rows; ``rows`` makes them of blocks."""
    out: list[Released] = []
    batch: list[Block] = []
    size = 0
    for block in blocks:
        batch.append(block)
        size += block.n.size
        if size > 30_000:
            out.append(rows(batch, f"{unit}/{len(out)}"))
            batch, size = [], 0
    return [*out, rows(batch, f"{unit}/{len(out)}")] if batch else out


def flow_rows(blocks: list[Block], unit: str) -> Released:
    """The product ``flow`` from blocks of gates by one version (at least one), by block, window, gate, direction."""
    tables = blocks[0].tables
    columns: dict[str, list[NDArray[np.generic]]] = {}
    for block in blocks:
        shape = block.n.shape
        parts: dict[str, NDArray[np.generic]] = {
            "window": np.full(shape, block.code, np.int32),
            "window_start": np.broadcast_to(block.starts[:, None, None], shape),
            "gate": np.broadcast_to(block.places[None, :, None], shape),
            "direction": np.broadcast_to(np.arange(DIRECTION_COUNT, dtype=np.int32), shape),
            "n": block.n,
            "n_low": block.low,
            "n_high": block.high,
            "status": block.status,
            "coverage": np.broadcast_to(block.coverage[:, :, None], shape),
        }
        for name, part in parts.items():
            columns.setdefault(name, []).append(part.ravel())
    names = {"window": WINDOWS, "gate": tables.gate_ids, "direction": DIRECTIONS, "status": STATUS}
    return Released(
        "flow", unit, {name: np.concatenate(parts) for name, parts in columns.items()}, names, tables.registry.version
    )
