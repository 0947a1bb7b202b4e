"""Part 3d: the headings of a store. Their runs are not stored: the finest rows must imply some, and these all rows.

Of a window [a, b) of a chain, L people stand in runs that end in it, and each end is known (a run ends there) or not::

    low = L − (K−1) where a is not known        high = L + (K−1) where b is not known        L = 0 or at least K

Before a chain's first row nobody was counted, so its first end is known. From there every row tells the next end, and
its L: a run of that many that ends in the window, or just with it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from engine.headings import telling
from engine.model import (
    I32,
    I64,
    MINUTE,
    NO_TIME,
    NULL_INT,
    RANGE_STATUS,
    RELEASED_STATUS,
    SECTORS,
    STATUS,
    SUPPRESSED_STATUS,
    UNKNOWN_STATUS,
    WINDOWS,
)
from engine.registry import Registry
from engine.tables import Tables
from hitonami.audit.report import Report
from hitonami.audit.rerun import row_faults
from hitonami.audit.rules import Mask, Rule
from hitonami.audit.stored import (
    Context,
    Shares,
    Stored,
    Texts,
    codes,
    counts,
    is_word,
    pieces,
    shares,
    texts,
    times,
    window_ends,
)

_NEAR = 1e-5  # degrees, and of R: a mean is stored rounded
Chain = tuple[str, int]  # zone, sector


class _Rows(NamedTuple):
    """Rows of one window length, ordered by chain and time."""

    zone: Texts
    version: Texts
    sector: I64
    start_ms: I64
    end_ms: I64
    n: I64
    low: I64
    high: I64
    status: I32
    mean: Shares
    length: Shares

    def chains(self) -> Iterator[tuple[Chain, slice]]:
        """Each chain and where its rows are."""
        number = self.zone.codes * SECTORS + self.sector
        heads = np.flatnonzero(np.diff(number, prepend=-1)).tolist()
        for first, end in pairwise([*heads, len(number)]):
            yield (self.zone.words[self.zone.codes[first]], int(self.sector[first])), slice(first, end)


@dataclass
class _Implied:
    """What the finest rows of one chain imply: its runs, and spans of which they leave more than one thing possible."""

    began_ms: int
    end_ms: int = NO_TIME  # of the newest row
    known: set[bool] = field(default_factory=lambda: {True})  # whether that end may be known
    run_end: list[int] = field(default_factory=list)
    run_n: list[int] = field(default_factory=list)
    blind: list[tuple[int, int]] = field(default_factory=list)

    def take(self, threshold: int, start: int, end: int, low: int, high: int, status: int) -> bool:
        """Take in the next row; False where no runs imply it."""
        spare = threshold - 1
        if self.end_ms not in (NO_TIME, start):  # a silence, or a time in which the zone had no headings
            self.blind.append((self.end_ms, start))
            self.known = {True, False}
        self.end_ms = end
        if status == UNKNOWN_STATUS:
            self.blind.append((start, end))
            self.known = {True, False}
            return True
        if status == SUPPRESSED_STATUS:
            self.known = {False}
            return spare > 0
        if not spare:
            self._run(end, low, True)
            return low == high
        of = [(b, low + (0 if a else spare)) for a in self.known for b in (True, False)
              if high - low == (not a) * spare + (not b) * spare]  # fmt: skip
        possible = {(b, n) for b, n in of if n >= threshold}
        self.known = {b for b, _ in possible} or {True, False}
        if len(possible) == 1:
            ((known, n),) = possible
            self._run(end, n, known)
        else:
            self.blind.append((start, end))
        return bool(possible)

    def _run(self, end: int, n: int, known: bool) -> None:
        if n:
            self.run_end.append(end if known else end - 1)  # where inside the window: no edge lies there
            self.run_n.append(n)

    def seen(self, start: I64, end: I64) -> Mask:
        """Which windows the runs decide."""
        out = np.ones(len(start), bool)
        for first, last in self.blind:
            out &= (start > last) | (end <= first)
        return out


def audit_headings(store: Stored, what: Context, registry: Registry | None, rule: Rule) -> Report:
    """Judge every row of ``headings`` of one run; ``what``: its settings of that product (``headings_context``)."""
    report = Report()
    chains: dict[Chain, _Implied] = {}
    for code in range(MINUTE, len(WINDOWS)):
        of = Report()
        place = f"{what.place}, headings {WINDOWS[code]}"
        for table in pieces(store, "headings", what, code):
            rows = _rows(table, what, code)
            outside = int(((rows.sector < 0) | (rows.sector >= SECTORS)).sum())
            of.found(outside, place, "a row of a sector that there is not")
            if outside:
                continue
            if code == MINUTE:
                of.found(_take(rows, chains, what.threshold), place, "a row that no runs of K people imply")
            of.add(_judged(rows, chains, what, rule, place))
            if registry is not None:
                of.add(_strangers(rows, registry, place))
        report.add(of)
    return report


def _rows(table: Any, what: Context, code: int) -> _Rows:
    start = times(table, "window_start")
    end = window_ends(start, what.clock, code)
    zone, version, sector = texts(table, "zone"), texts(table, "registry_version"), counts(table, "sector")
    order = np.lexsort((start, sector, zone.codes))
    order = order[end[order] <= what.known_ms]
    columns: list[Any] = [sector, start, end, *(counts(table, name) for name in ("n", "n_low", "n_high"))]
    columns += [codes(texts(table, "status"), STATUS)]
    columns += [shares(table, name) for name in ("mean_heading", "resultant_length")]
    zone, version = (Texts(column.codes[order], column.words) for column in (zone, version))
    return _Rows(zone, version, *(column[order] for column in columns))


def _take(rows: _Rows, chains: dict[Chain, _Implied], threshold: int) -> int:
    faults = 0
    for name, mine in rows.chains():
        columns = (rows.start_ms, rows.end_ms, rows.low, rows.high, rows.status)
        chain = chains.setdefault(name, _Implied(int(rows.start_ms[mine.start])))
        for row in zip(*(column[mine].tolist() for column in columns), strict=True):
            faults += not chain.take(threshold, *row)
    return faults


def _judged(rows: _Rows, chains: dict[Chain, _Implied], what: Context, rule: Rule, place: str) -> Report:
    report = Report()
    report.count(heading_rows=len(rows.n))
    wrong = np.zeros(len(rows.n), bool)
    unknown = rows.status == UNKNOWN_STATUS
    for name, mine in rows.chains():
        chain = chains.get(name)
        if chain is None:
            report.found(1, place, f"rows of zone {name[0]}, sector {name[1]}, which has none of a minute")
            continue
        ends, n = np.array(chain.run_end, np.int64), np.array(chain.run_n, np.int64)
        start, end = rows.start_ms[mine], rows.end_ms[mine]
        coverage = np.where(unknown[mine], 0.0, np.nan)
        expected = rule.rows(ends, n, start, end, what.threshold, chain.began_ms, coverage)
        stored = (rows.n[mine], rows.low[mine], rows.high[mine], rows.status[mine])
        differ = np.any([a != b for a, b in zip(stored, expected, strict=True)], axis=0)
        wrong[mine] = differ & chain.seen(start, end)
    report.found(int(wrong.sum()), place, "a row is not what the rows of a minute imply")
    shown, hidden = row_faults(rows.n, rows.low, rows.high, rows.status, what.k, what.threshold)
    report.found(shown, place, f"a released row below K = {what.threshold} or not exact")
    report.found(hidden, place, f"a hidden row tells its count, or has fewer than {what.k} possible values")
    told = unknown & ~((rows.n == NULL_INT) & (rows.low == NULL_INT) & (rows.high == NULL_INT))
    report.found(int(told.sum()), place, "an unknown row with figures")
    report.add(_ways(rows, place))
    return report


def _ways(rows: _Rows, place: str) -> Report:
    """Eight sectors to each zone and window, and what they come to."""
    report = Report()
    order = np.lexsort((rows.sector, rows.start_ms, rows.zone.codes))
    new = (np.diff(rows.zone.codes[order], prepend=-1) != 0) | (np.diff(rows.start_ms[order], prepend=NO_TIME + 1) != 0)
    window = np.cumsum(new) - 1
    many = int(new.sum())
    by_sector = np.zeros((many, SECTORS), np.int64)
    np.add.at(by_sector, (window, rows.sector[order]), 1)
    report.found(
        int((by_sector != 1).any(axis=1).sum()), place, "a zone and window without each of its eight sectors once"
    )
    dark = np.bincount(window, (rows.status == UNKNOWN_STATUS)[order], many)
    report.found(int(((dark > 0) & (dark < SECTORS)).sum()), place, "a zone unknown in some of its sectors")
    told = (rows.status == RELEASED_STATUS) | (rows.status == RANGE_STATUS)
    people = np.zeros((many, SECTORS), np.int64)
    np.add.at(people, (window, rows.sector[order]), np.where(told, rows.n, 0)[order])
    angle = np.radians(45 * np.arange(SECTORS))
    c, s, all_of_them = people @ np.cos(angle), people @ np.sin(angle), people.sum(axis=1)
    length = np.hypot(c, s) / np.maximum(all_of_them, 1)
    mean = np.where(length > _NEAR, np.degrees(np.arctan2(s, c)) % 360, np.nan)
    length = np.where(all_of_them > 0, length, np.nan)
    wrong = _apart(rows.length[order], length[window]) | _apart(rows.mean[order], mean[window], 360)
    report.found(int(wrong.sum()), place, "a mean heading or resultant length is not what the sectors come to")
    return report


def _apart(stored: Shares, told: Shares, turn: float = np.inf) -> Mask:
    """Where two columns differ; numbers that many apart are the same again."""
    apart = np.abs(stored - told)
    near = np.minimum(apart, turn - apart) <= _NEAR
    return np.asarray(~(near | (np.isnan(stored) & np.isnan(told))), bool)


def _strangers(rows: _Rows, registry: Registry, place: str) -> Report:
    """Zones that the registry gives no headings: no tracker, or one whose people a gate counts too."""
    report, allowed = Report(), zones_with_headings(registry)
    mine = is_word(rows.version, registry.version)
    found = {rows.zone.words[code] for code in np.unique(rows.zone.codes[mine]).tolist()}
    report.found(len(found - allowed), place, "rows of a zone that has no headings in the registry")
    return report


def zones_with_headings(registry: Registry) -> set[str]:
    """Ids of the zones that have headings under a version."""
    tables = Tables(registry)
    return {tables.zone_ids[row] for row in telling(tables)}


def differing_zones(store: Stored, one: Context, other: Context) -> int:
    """Number of zones of which two runs tell another row of the same minute; unknown is no row."""
    found: set[str] = set()
    for table in pieces(store, "headings", one, MINUTE):
        start = times(table, "window_start")
        if not len(start):
            continue
        low, behind = int(start.min()), int(start.max()) + 1
        there = store.rows("headings", other.run.run_id, window=WINDOWS[MINUTE], start_ms=low, end_ms=behind)
        a, b = _told(table), _told(there)
        found |= {key[0] for key in a.keys() & b.keys() if a[key] != b[key]}
    return len(found)


def _told(table: Any) -> dict[tuple[str, int, int], tuple[int, int]]:
    """(zone, sector, start in ms) -> bounds of the rows that have some."""
    zone = texts(table, "zone")
    columns = (
        zone.codes,
        *(counts(table, name) for name in ("sector", "n_low", "n_high")),
        times(table, "window_start"),
    )
    rows = zip(*(column.tolist() for column in columns), strict=True)
    return {(zone.words[code], sector, at): (low, high) for code, sector, low, high, at in rows if low != NULL_INT}
