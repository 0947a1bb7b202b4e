"""Part 3e: the tables of a store: rows of touches, screens, profiles and trips, and what they tell of each other.

People and hidden cells are not stored, so rows are held against each other: a total against what stands below it, moves
between screens and trips against the totals of the same people.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from engine.languages import LANGUAGES
from engine.model import (
    I32,
    I64,
    LENGTH_MS,
    NULL_INT,
    PRODUCTS,
    RANGE_STATUS,
    RELEASED_STATUS,
    STATUS,
    SUPPRESSED_STATUS,
    WINDOWS,
)
from engine.profile_tables import NONE, domain
from engine.tree_rules import GROUP, unlisted
from hitonami.audit.report import Report
from hitonami.audit.rules import Mask
from hitonami.audit.store_live import audit_counters
from hitonami.audit.stored import Context, Stored, codes, counts, pieces, texts, times, window_ends
from hitonami.audit.table_rules import TableRule

Key = tuple[str, ...]
_LENGTH = {"touches": "15m", "screens": "1h", "profiles": "1d", "trips": "1d"}
TABLES = tuple(_LENGTH)
_QUARTER_MS = LENGTH_MS[WINDOWS.index("15m")]
_ALONE = "interests"  # a table whose cells share people


class Rows(NamedTuple):
    """Rows of one table product, ordered by window and key."""

    keys: list[Key]  # distinct
    key: I64  # (rows,) index into keys
    start_ms: I64
    end_ms: I64
    n: I64
    low: I64
    high: I64
    status: I32

    def each(self) -> Iterator[tuple[int, ...]]:
        """(key, start, end, low, high) of each row."""
        columns = (self.key, self.start_ms, self.end_ms, self.low, self.high)
        return zip(*(column.tolist() for column in columns), strict=True)


def table_context(what: Context, product: str) -> Context:
    """The settings of one of TABLES of the same run. Raises KeyError, TypeError or ValueError as ``context``."""
    config = json.loads(what.run.config)[product]
    return replace(what, k=int(config["k"]), guard=int(config["guard"]))


def audit_stored_tables(store: Stored, what: Context, rule: TableRule) -> Report:
    """Judge every row of all tables of one run."""
    report, read = Report(), {}
    for product in TABLES:
        read[product] = rows = read_table(store, what, product)
        of, place = table_context(what, product), f"{what.place}, {product}"
        report.count(table_rows=len(rows.n))
        report.add(_each(rows, of, place))
        odd = np.array([_total_of_sharing(product, key) for key in rows.keys], bool)
        report.found(int(odd[rows.key].sum()) if len(odd) else 0, place, "a total of cells that share people")
        report.add(_below_totals(rows, of, rule, place, product))
    report.add(audit_counters(what, read))
    moves, trips = (f"{what.place}, {product}" for product in ("screens", "trips"))
    report.add(_beside_touches(read["screens"], read["touches"], what, rule, moves))
    report.add(_beside_profiles(read["trips"], read["profiles"], trips))
    return report


def read_table(store: Stored, what: Context, product: str) -> Rows:
    """All rows of one of TABLES of a run, of windows known to have closed."""
    names = [name for name in PRODUCTS[product][0] if name not in ("window", "window_start")]
    code = WINDOWS.index(_LENGTH[product])
    keys: dict[Key, int] = {}
    parts: list[list[Any]] = []
    for table in pieces(store, product, what, code):
        columns = [texts(table, name) for name in names]
        stacked = np.column_stack([column.codes for column in columns])
        used, place = np.unique(stacked, axis=0, return_inverse=True)
        own = [tuple(c.words[i] for c, i in zip(columns, row, strict=True)) for row in used.tolist()]
        numbers = np.array([keys.setdefault(key, len(keys)) for key in own], np.int64)
        start = times(table, "window_start")
        figures = [counts(table, name) for name in ("n", "n_low", "n_high")]
        parts.append([numbers[place.reshape(-1)], start, window_ends(start, what.clock, code), *figures,
                      codes(texts(table, "status"), STATUS)])  # fmt: skip
    all_rows = [np.concatenate(column) for column in zip(*parts, strict=True)]
    order = np.lexsort((all_rows[0], all_rows[1]))
    order = order[all_rows[2][order] <= what.known_ms]
    return Rows(list(keys), *(column[order] for column in all_rows))


def _each(rows: Rows, of: Context, place: str) -> Report:
    """Each row for itself."""
    report, k = Report(), of.k
    n, low, high, status = rows.n, rows.low, rows.high, rows.status
    twice = (rows.key[1:] == rows.key[:-1]) & (rows.start_ms[1:] == rows.start_ms[:-1])
    report.found(int(twice.sum()), place, "the same row twice")
    exact = low == high
    kind = np.where(exact, RELEASED_STATUS, np.where(high < k, SUPPRESSED_STATUS, RANGE_STATUS))
    report.found(int((status != kind).sum()), place, "a status that does not fit the range")
    report.found(int(((low < 0) | (low > high)).sum()), place, "a range that ends before it begins")
    report.found(int((exact & (n != low)).sum()), place, "a released row that is not exact")
    told = ~exact & (n != NULL_INT) & ((n != (low + high) // 2) | (high < k))
    report.found(int(told.sum()), place, "a hidden row tells its count")
    if k > 1:
        small = (exact & (low < k)) | ((n != NULL_INT) & (n < k))
        report.found(int(small.sum()), place, f"a count below {k}")
        report.found(int((~exact & (high - low + 1 < k)).sum()), place, f"a range of fewer than {k} possible values")
    return report


def _total_of_sharing(product: str, key: Key) -> bool:
    """Whether a row is a total where cells share people: moves, trips, interests."""
    if product == "profiles":
        return key[0] == _ALONE and not key[1]
    return product in ("screens", "trips") and "" in key[-2:]


def _total_above(product: str, key: Key) -> Key | None:
    """Key of the total that a row stands below; None of the topmost one, its own where cells share people."""
    if product in ("screens", "trips") or key[0] == _ALONE:
        return key
    if product == "touches":
        device, screen, lang = key
        return (device, screen, "") if lang else None
    table, row, col = key
    if col:
        return table, row, ""
    return (table, row.rpartition("/")[0], "") if row else None


def _domain(key: Key, start_ms: int) -> int:
    """How many categories all know of below a total of profiles."""
    attributes, parts = key[0].split("*"), key[1].split("/") if key[1] else []
    if key[2] or len(parts) >= len(attributes):
        return 0
    named = zip(attributes, parts, strict=False)
    above = {name: int(part) if part != NONE else 0 for name, part in named if part == NONE or part.isdecimal()}
    listed, more = domain(attributes[len(parts)], start_ms, above)
    return len(listed) + more


class _Totals(NamedTuple):
    """Of each row: what the listed rows below it come to."""

    shown: I64  # sum of the exact ones
    least: I64  # sum of the lows of the others, and the widest of their ranges
    widest: I64
    listed: I64
    sure: I64  # how many have anybody for certain, and the sum of their highs
    theirs: I64


def _below_totals(rows: Rows, of: Context, rule: TableRule, place: str, product: str) -> Report:
    report, k, guard = Report(), of.k, of.guard
    above_key = [_total_above(product, key) for key in rows.keys]
    number = {key: i for i, key in enumerate(rows.keys)}
    parent_key = np.array([-1 if a is None or a == key else number.get(a, -2)
                           for key, a in zip(rows.keys, above_key, strict=True)], np.int64)  # fmt: skip
    begins = np.unique(rows.start_ms, return_inverse=True)[1].reshape(-1)
    address = begins * max(len(rows.keys), 1) + rows.key
    wanted = begins * max(len(rows.keys), 1) + (parent_key[rows.key] if len(rows.key) else rows.key)
    below = np.flatnonzero(parent_key[rows.key] != -1) if len(rows.key) else np.empty(0, np.int64)
    at = np.searchsorted(address, wanted[below])
    there = (parent_key[rows.key[below]] >= 0) & (address[np.minimum(at, len(address) - 1)] == wanted[below])
    report.found(int((~there).sum()), place, "a row whose total is not listed")
    below, at = below[there], at[there]
    sums = _sums(rows, below, at)
    total = np.zeros(len(rows.n), bool)
    total[at] = True
    total |= np.array([key is None for key in above_key], bool)[rows.key] if len(rows.key) else False
    rest_low, rest_high = rows.low - sums.shown, rows.high - sums.shown
    exact = rows.low == rows.high
    report.found(int((total & (rest_low < sums.least)).sum()), place, "a total that cannot hold what stands below it")
    if k == 1:
        return report
    hides = total & exact & ((rest_low > 0) | (sums.widest > 0))
    if product == "profiles":  # a group whose breakdown is withheld has nothing below it
        hides &= (sums.listed > 0) | (rows.high >= GROUP)
    far = rest_low > sums.least + np.maximum(sums.widest, k - 1) + guard
    report.found(int((hides & ~far).sum()), place, "an exact total that narrows what stands below it")
    report.found(
        int((total & ~exact & (rows.high - rows.low < sums.widest)).sum()),
        place,
        "a total narrower than a row below it",
    )
    if product == "touches":
        possible = _possible(rest_low, rest_high, len(LANGUAGES) - sums.listed, k, guard)
        report.found(int((total & ~possible).sum()), place, "a total that the cut does not give")
    else:
        bare = np.flatnonzero(total & exact & (rest_low == 0))
        lacking = [_domain(rows.keys[rows.key[row]], int(rows.start_ms[row])) > sums.listed[row] for row in bare]
        report.found(sum(map(int, lacking)), place, "an exact total that tells of hidden rows that nobody is in them")
        alike = total & (sums.sure == 1) & (sums.theirs >= rows.low) & (rows.high < GROUP)
        report.found(int(alike.sum()), place, "the breakdown of a group that may be of one kind")
    return report


def _sums(rows: Rows, below: I64, at: I64) -> _Totals:
    sums = np.zeros((6, len(rows.n)), np.int64)
    low, high = rows.low[below], rows.high[below]
    exact = low == high
    np.add.at(sums[0], at[exact], low[exact])
    np.add.at(sums[1], at[~exact], low[~exact])
    np.maximum.at(sums[2], at, high - low)
    np.add.at(sums[3], at, 1)
    np.add.at(sums[4], at, (low > 0).astype(np.int64))
    np.add.at(sums[5], at, np.where(low > 0, high, 0))
    return _Totals(*sums)


def _possible(low: I64, high: I64, hidden: I64, k: int, guard: int) -> Mask:
    """Whether the cut gives this range to people in so many hidden cells, whatever their number."""
    most = hidden * (k - 1)
    first, last = (k - 1) + guard, most - 2 * (k - 1)
    told = (low == high) & (low > first) & (low < last)
    cut = ((low == 0) & (high == first)) | ((low == last) & (high == most))
    whole = (low == 0) & (high == most)
    return np.where(hidden == 0, (low == 0) & (high == 0), np.where(first >= last, whole, told | cut))


def _beside_touches(moves: Rows, touches: Rows, what: Context, rule: TableRule, place: str) -> Report:
    """Moves from a screen are of people who are in the totals of its touches of that hour."""
    report = Report()
    of, of_touches = table_context(what, "screens"), table_context(what, "touches")
    hidden = unlisted(len(LANGUAGES), of_touches.k, of_touches.guard)
    told = {
        (touches.keys[key][:2], start): (low, high)
        for key, start, _, low, high in touches.each()
        if not touches.keys[key][2]
    }
    known = np.unique(touches.start_ms)
    narrowing = unjudged = 0
    for key, start, end, low, high in moves.each():
        quarters = range(start - start % _QUARTER_MS, end, _QUARTER_MS)
        if not ((known >= quarters[0]) & (known < end)).any():
            unjudged += 1  # touches are kept for a shorter time
            continue
        ranges = np.array([told.get((moves.keys[key][:2], quarter), hidden) for quarter in quarters], np.int64)
        most = int(ranges[:, 1].sum())
        asked = np.array([min(low, most) if low == high else most], np.int64)
        a, b = rule.capped(asked, of.k, ranges[:, 0], ranges[:, 1], of_touches.k)
        narrowing += (int(a[0]), int(b[0])) != (low, high)
    report.found(narrowing, place, "moves that narrow the touches of the same people")
    report.count(unjudged_moves=unjudged)
    return report


def _beside_profiles(trips: Rows, profiles: Rows, place: str) -> Report:
    """People of a trip are people of the day."""
    report = Report()
    days = {
        start: (low, high)
        for key, start, _, low, high in profiles.each()
        if low < high and profiles.keys[key][1:] == ("", "")
    }
    narrowing = 0
    for _, start, _, low, high in trips.each():
        least, most = days.get(start, (high, high))
        narrowing += low == high and least < high <= most
    report.found(narrowing, place, "a trip that narrows the day's total")
    return report
