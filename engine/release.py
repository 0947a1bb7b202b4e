"""Release: closed panes in, publishable runs and rows out (PRIVACY.md, "Passages"). The readable twin of the kernel.

A chain is one gate × direction (or sensor × reason). Its panes are added up until at least K = k + guard people have
passed; that run is published as one number. So the public learns where runs end and what they sum to, nothing else:

    pane      |  2  |  0  |  3  |  1  |  7  |  4  |        K = 6
    rest         2     2     5    (6)   (7)    4
    published  [---------- 6 ---------)[- 7 )   …open

``bounds`` and ``window_rows`` turn the runs into the figures of any window: arithmetic on published numbers only.

Readings of zones (PRIVACY.md, "Stock readings") are released here too, pane by pane: ``readings`` and ``speeds``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.model import (
    F64,
    I32,
    I64,
    NO_TIME,
    NULL_INT,
    RANGE_STATUS,
    RELEASED_STATUS,
    SUPPRESSED_STATUS,
    UNKNOWN_STATUS,
)

Column = NDArray[np.int32] | NDArray[np.int64]
MOST = 2**60  # people, or cross records, that one call and one chain can hold: sums of two stay inside int64


def carry(
    chain: I32,
    start_ms: I64,
    end_ms: I64,
    people: I64,
    crosses: I64,
    threshold: int,
    rest: I64,
    since: I64,
    rest_crosses: I64,
    run_chain: I32,
    run_start: I64,
    run_end: I64,
    run_n: I64,
    run_crosses: I64,
) -> int:
    """Add closed panes to their chains; return how many runs of at least ``threshold`` people ended.

    IN     ``chain, start_ms, end_ms, people, crosses`` (m,): one entry per pane [start_ms, end_ms), of each chain in
           time order, each pane once. A pane without people ends no run; it may be left out or not.
           ``threshold``: K = k + guard, at least 1.
    INOUT  ``rest, since, rest_crosses`` (C,), the state of each chain: people not yet published, start of the open
           run (ms), cross records not yet told. The caller sets ``since`` of a new chain to the start of the pane in
           which counting began, never to a pane chosen by its people: an empty stretch would then be published.
    OUT    ``run_chain, run_start, run_end, run_n, run_crosses`` (m,): the first rows are the runs, in the order in
           which they ended. ``run_crosses`` = cross records that may now enter the live counter ``accepted``: all
           waiting ones where there are at least K, else 0 (they wait on).

    Raises ValueError, before anything is changed, for lengths or dtypes that do not fit, a chain outside 0..C-1 or
    without ``since``, a pane out of order, negative or too many people or crosses, K < 1, a rest outside 0..K-1.
    """
    entries: tuple[Column, ...] = (chain, start_ms, end_ms, people, crosses)
    state: tuple[Column, ...] = (rest, since, rest_crosses)
    runs_out: tuple[Column, ...] = (run_chain, run_start, run_end, run_n, run_crosses)
    for column in entries + state + runs_out:
        dtype = np.int32 if column is chain or column is run_chain else np.int64
        if column.ndim != 1 or column.dtype != dtype or not column.flags.c_contiguous:
            raise ValueError("carry: needs contiguous columns, int32 for chains and int64 for the rest")
    m, chains = len(chain), len(rest)
    if any(len(column) != m for column in entries):
        raise ValueError("carry: the columns of the panes differ in length")
    if any(len(column) != chains for column in state):
        raise ValueError("carry: the columns of the chains differ in length")
    if any(len(column) < m for column in runs_out):
        raise ValueError("carry: the columns of the runs are shorter than those of the panes")
    _check(chain, start_ms, end_ms, people, crosses, threshold, rest, since, rest_crosses)

    runs = 0
    panes = zip(chain.tolist(), end_ms.tolist(), people.tolist(), crosses.tolist(), strict=True)
    for c, end, n, crossed in panes:
        rest[c] += n
        rest_crosses[c] += crossed
        if rest[c] < threshold:
            continue
        run_chain[runs], run_start[runs], run_end[runs], run_n[runs] = c, since[c], end, rest[c]
        rest[c], since[c] = 0, end
        run_crosses[runs] = 0
        if rest_crosses[c] >= threshold:
            run_crosses[runs], rest_crosses[c] = rest_crosses[c], 0
        runs += 1
    return runs


def _check(
    chain: I32,
    start_ms: I64,
    end_ms: I64,
    people: I64,
    crosses: I64,
    threshold: int,
    rest: I64,
    since: I64,
    rest_crosses: I64,
) -> None:
    if not 1 <= threshold <= MOST:
        raise ValueError("carry: the threshold must be at least 1")
    for held, waiting in zip(rest.tolist(), rest_crosses.tolist(), strict=True):
        if not 0 <= held < threshold or not 0 <= waiting <= MOST:
            raise ValueError("carry: the state of a chain is outside its bounds")
    passed = since.tolist()
    total = total_crosses = 0
    panes = zip(chain.tolist(), start_ms.tolist(), end_ms.tolist(), people.tolist(), crosses.tolist(), strict=True)
    for c, start, end, n, crossed in panes:
        if not 0 <= c < len(passed):
            raise ValueError("carry: no such chain")
        if passed[c] == NO_TIME:
            raise ValueError("carry: a chain whose start is not set")
        if start < passed[c] or end <= start:
            raise ValueError("carry: the panes of a chain are not in time order")
        if n < 0 or crossed < 0:
            raise ValueError("carry: negative people or crosses")
        if n > MOST - total or crossed > MOST - total_crosses:
            raise ValueError("carry: too many people or crosses")
        passed[c] = end
        total += n
        total_crosses += crossed


def bounds(run_end: I64, run_n: I64, times: I64, threshold: int, start_ms: int) -> tuple[I64, I64]:
    """Bounds (lo, hi), each like ``times``, of the people of ONE chain from its start up to each of ``times`` (ms).

    ``run_end, run_n`` (r,): its published runs, ascending. lo = sum of the runs that ended at or before t. hi = lo
    where a run ends at t, and at or before the chain's start ``start_ms`` (nobody was counted: both are 0); elsewhere
    hi = lo + K - 1, for fewer than K people can be on their way. Final once t has closed; ``times`` are pane edges.
    Raises ValueError for lengths that differ, runs not ascending, K < 1.
    """
    if len(run_end) != len(run_n):
        raise ValueError("bounds: the columns of the runs differ in length")
    if np.any(run_end[1:] <= run_end[:-1]):
        raise ValueError("bounds: runs are not ascending")
    if threshold < 1:
        raise ValueError("bounds: the threshold must be at least 1")
    ended = np.searchsorted(run_end, times, side="right")
    lo = np.concatenate(([0], np.cumsum(run_n, dtype=np.int64)))[ended]
    last_end = np.concatenate(([start_ms], run_end))[ended]
    known = (times == last_end) | (times < start_ms)
    return lo, lo + np.where(known, 0, threshold - 1)


def window_row(
    lo_a: int, hi_a: int, lo_b: int, hi_b: int, threshold: int, coverage: float
) -> tuple[int, int, int, int]:
    """(n, n_low, n_high, status) of one window [a, b), from the bounds of its chain at both ends.

    ``coverage``: share of the expected sensor time, NaN where it is not known (never ``unknown``). NULL_INT = empty.

    A total known exactly is a sum of whole runs, so at least K, unless no run ended in (a, b] and both ends are
    known: that is a = b, or a window that ends before counting began. Neither has rows; asked for all the same, and
    whenever else fewer than K people would show, the answer is the whole class below K: suppressed, 0..K-1.
    """
    if coverage == 0:
        return NULL_INT, NULL_INT, NULL_INT, UNKNOWN_STATUS
    low, high = max(0, lo_b - hi_a), hi_b - lo_a
    if high < threshold and threshold > 1:
        return NULL_INT, 0, threshold - 1, SUPPRESSED_STATUS
    return (low + high) // 2, low, high, RELEASED_STATUS if low == high else RANGE_STATUS


def window_rows(
    lo_a: I64, hi_a: I64, lo_b: I64, hi_b: I64, threshold: int, coverage: NDArray[np.float64]
) -> tuple[I64, I64, I64, I32]:
    """``window_row`` for arrays of one shape: (n, n_low, n_high, status), status as codes of model.STATUS."""
    low, high = np.maximum(0, lo_b - hi_a), hi_b - lo_a
    status = np.where(low == high, RELEASED_STATUS, RANGE_STATUS)
    n = (low + high) // 2
    if threshold > 1:
        small = high < threshold
        low, high = np.where(small, 0, low), np.where(small, threshold - 1, high)
        n, status = np.where(small, NULL_INT, n), np.where(small, SUPPRESSED_STATUS, status)
    unknown = coverage == 0
    empty: Any = [np.where(unknown, NULL_INT, column) for column in (n, low, high)]
    return empty[0], empty[1], empty[2], np.where(unknown, UNKNOWN_STATUS, status).astype(np.int32)


def readings(mean: F64, k: int) -> tuple[F64, F64]:
    """What may be published of the people (n,) in zones, each a mean over one pane: low and high; NaN stays NaN.

    Rounded down to a multiple of k, and k - 1 more: of whole people, so a mean of 9.7 counts as 9. Fewer than k are one
    class, 0 to k - 1. With k = 1 the mean itself. Raises ValueError for k < 1.
    """
    if k < 1:
        raise ValueError("readings: k must be at least 1")
    if k == 1:
        return mean, mean
    low = np.floor(np.round(mean, 6) / k) * k  # shares of several cameras may add up to a hair less than a whole
    return low, low + (k - 1)


def speeds(path_um: F64, people_ms: F64, tracks: F64, k: int) -> F64:
    """Mean speed (n,) in m/s of the people in zones, path by time of all together; NaN of fewer than k tracks."""
    out = np.full(len(path_um), np.nan)
    np.divide(path_um, 1000 * people_ms, out=out, where=(tracks >= k) & (people_ms > 0))
    return out
