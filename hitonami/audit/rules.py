"""The rule under audit: the engine's own release functions, replaceable, so that tests can show mutants are caught."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from engine import kernels, release
from engine.model import I32, I64

Mask = NDArray[np.bool_]


class Runs(NamedTuple):
    """Runs as ``carry`` gives them: columns of one length, times in ms."""

    chain: I32
    start_ms: I64
    end_ms: I64
    n: I64
    crosses: I64

    def picked(self, which: Any) -> Runs:
        """These rows (indices, a mask or a slice)."""
        return Runs(self.chain[which], self.start_ms[which], self.end_ms[which], self.n[which], self.crosses[which])

    def same(self, other: Runs) -> bool:
        """True where all columns are equal byte for byte."""
        columns: Any = zip(self, other, strict=True)
        return all(mine.tobytes() == theirs.tobytes() for mine, theirs in columns)


class Published(NamedTuple):
    """All that the public would see of N data sets of n panes each, and which of them the enumeration covers whole.

    ``low, high`` (N, W) are the ranges told for every window of ``windows(n)``.
    """

    transcript: I64  # (N, columns) every published number: data sets with equal rows cannot be told apart
    low: I64
    high: I64
    whole: Mask  # (N,) all data sets that would publish the same are among the N


def windows(panes: int) -> tuple[I64, I64]:
    """First pane and end of every window [a, b) of ``panes`` panes."""
    a, b = np.triu_indices(panes + 1, 1)
    return a.astype(np.int64), b.astype(np.int64)


def _carry() -> Callable[..., int]:
    carry: Callable[..., int] = kernels.active().carry
    return carry


@dataclass(frozen=True)
class Rule:
    """The functions that decide what is published; the defaults are the ones in use."""

    carry: Callable[..., int] = field(default_factory=_carry)
    bounds: Callable[..., Any] = release.bounds
    window_rows: Callable[..., Any] = release.window_rows
    readings: Callable[..., Any] = release.readings

    def runs(
        self,
        chain: I32,
        start_ms: I64,
        end_ms: I64,
        people: I64,
        threshold: int,
        since: I64,
        crosses: I64 | None = None,
    ) -> Runs:
        """Carry these panes from ``since`` (C,) on, with nothing carried in; every person a cross record by default."""
        m, chains = len(chain), len(since)
        out = Runs(np.empty(m, np.int32), *(np.empty(m, np.int64) for _ in range(4)))
        rest, rest_crosses = np.zeros(chains, np.int64), np.zeros(chains, np.int64)
        crosses = people if crosses is None else crosses
        panes = (chain, start_ms, end_ms, people, crosses)
        count = self.carry(*panes, threshold, rest, since.copy(), rest_crosses, *out)
        return out.picked(slice(0, count))

    def rows(
        self, run_end: I64, run_n: I64, start_ms: I64, end_ms: I64, threshold: int, since_ms: int, coverage: Any
    ) -> tuple[I64, I64, I64, I32]:
        """(n, n_low, n_high, status) of the windows [start_ms, end_ms) of one chain that began at ``since_ms``."""
        lo_a, hi_a = self.bounds(run_end, run_n, start_ms, threshold, since_ms)
        lo_b, hi_b = self.bounds(run_end, run_n, end_ms, threshold, since_ms)
        n, low, high, status = self.window_rows(lo_a, hi_a, lo_b, hi_b, threshold, coverage)
        return n, low, high, status

    def publish(self, panes: I64, threshold: int) -> Published:
        """What the public sees of each data set: its runs, the live counter, the rows of all windows."""
        runs = self.runs_of(panes, threshold)
        told, place = np.unique(runs, axis=0, return_inverse=True)
        place = place.reshape(-1)
        count = panes.shape[1]
        edges, (a, b) = np.arange(count + 1, dtype=np.int64), windows(count)
        lo, hi = np.empty((2, len(told), count + 1), np.int64)
        for i, row in enumerate(told[:, :count]):
            ends = np.flatnonzero(row)
            lo[i], hi[i] = self.bounds(ends + 1, row[ends], edges, threshold, 0)
        coverage = np.full((len(told), len(a)), np.nan)
        rows = self.window_rows(lo[:, a], hi[:, a], lo[:, b], hi[:, b], threshold, coverage)
        transcript = np.hstack([told, *rows])
        # a pane that ends a run holds what the others leave of it: up to the whole run
        whole = told[:, :count].max(axis=1, initial=0) <= panes.max(initial=0)
        return Published(transcript[place], rows[1][place], rows[2][place], whole[place])

    def runs_of(self, panes: I64, threshold: int) -> I64:
        """Runs of each data set (N, n), one chain each, panes of 1 ms: (N, 3 n) people, start, cross records by end."""
        sets, count = panes.shape
        chain = np.repeat(np.arange(sets, dtype=np.int32), count)
        start = np.tile(np.arange(count, dtype=np.int64), sets)
        runs = self.runs(chain, start, start + 1, panes.reshape(-1), threshold, np.zeros(sets, np.int64))
        out = np.zeros((sets, 3 * count), np.int64)
        for i, column in enumerate((runs.n, runs.start_ms + 1, runs.crosses)):
            out[runs.chain, runs.end_ms - 1 + i * count] = column
        return out
