"""Product profiles: distinct people of a day by what they told of themselves, as the one tree whose turn it is.

Of one person the least event of the day counts, by (ts, provider, codes), whoever else told of the person. The tree
holds every category that all know of, so that its ends do not depend on whom nobody has told of; the rule about
providers leaves out cells first (engine/providers.py), engine.tree tells what may be told of the rest.

One category that holds a whole group of fewer than 50 tells it of everybody in the group: then the group's breakdown is
withheld (``tree_rules.withheld``), decided on released ranges.

Rows are listed from k people on. Whatever is not listed is hidden: a row's absence tells nothing more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from engine import kernels
from engine.config import Config
from engine.ingress import ATTRIBUTES
from engine.model import (
    DAY,
    I32,
    I64,
    LENGTH_MS,
    STATUS,
    WINDOWS,
    Released,
)
from engine.profile_facts import PROFILE, PROVIDER, TOLD, of_kind, one_key, people
from engine.profile_tables import INTERESTS, Table, domain, trees, turn, values, word
from engine.providers import kept
from engine.timezone import TimeZone
from engine.tree_rules import figures, withheld
from engine.trips import trip_rows

_UNNAMED = -10_000  # codes from here downwards: categories without a name, which nobody is in (-1900 … is a birth year)


@dataclass(frozen=True, slots=True)
class Rule:
    """By what tables are released: [profiles] and [trips] of the configuration."""

    trees: tuple[Table, ...]
    k: int
    guard: int
    providers: int
    trips_k: int
    gap_ms: int

    @classmethod
    def of(cls, config: Config) -> Rule:
        """The rule of a configuration. Raises BadInput for tables that cannot be."""
        return cls(
            tuple(trees(config["profiles", "tables"])),
            config["profiles", "k"],
            config["profiles", "guard"],
            config["profiles", "providers"],
            config["trips", "k"],
            1_000 * int(config["trips", "gap_s"]),
        )


class ProfileRelease:
    """What ``engine.subjects`` calls of each day that has closed."""

    def __init__(self, rule: Rule, clock: TimeZone) -> None:
        self._rule, self._clock = rule, clock

    def __call__(
        self, code: int, start_ms: int, rows: I64, names: tuple[str, ...], registry_version: str
    ) -> list[Released]:
        """Rows of profiles and trips of the day that began at ``start_ms``. ``code`` is that of 1d, always.

        ``rows`` (m, WIDTH): engine.profile_facts, of all partitions; names in order, so that codes are as well. Raises
        BadInput where they were made with different keys.
        """
        one_key(rows)
        rule = self._rule
        table = turn(rule.trees, self._clock.local(start_ms) // LENGTH_MS[DAY])
        total, out = None, []
        if table is not None:
            found, total = profile_rows(rows, table, start_ms, registry_version, rule)
            out += [] if found is None else [found]
        moved = trip_rows(
            rows, start_ms, names, registry_version, gap_ms=rule.gap_ms, k=rule.trips_k, providers=rule.providers,
            total=total,
        )  # fmt: skip
        return out if moved is None else [*out, moved]


def profile_rows(
    rows: I64, table: Table, start_ms: int, version: str, rule: Rule
) -> tuple[Released | None, tuple[int, int] | None]:
    """What is published of a day's table, None where nothing is; and its released grand total, where it has one."""
    told = of_kind(rows, PROFILE)
    person = people(told)
    first = np.flatnonzero(np.diff(person, prepend=-1))  # of each person the least event
    mine, provider = told[first, TOLD:], told[:, PROVIDER]
    if table.text == INTERESTS:
        return _interests(mine, person, provider, start_ms, version, rule), None
    keys = np.column_stack([values(name, mine, start_ms) for name in table.attributes])
    cells, cell = np.unique(keys, axis=0, return_inverse=True)
    n = kept(cell.reshape(-1)[person], person, provider, len(cells), rule.k, rule.providers)
    made = Tree(table.attributes, cells, n, start_ms)
    low, high = made.released(rule.k, rule.guard)
    total = int(low[-1]), int(high[-1])
    if rule.k > 1:  # with k = 1 nothing is hidden from anybody
        low, high = withheld(made.parent, low, high)
    listed = low >= rule.k
    if not listed.any():
        return None, total
    at = np.flatnonzero(listed).tolist()
    called = [_called(table.attributes, made.paths[node]) for node in at]
    return _released(table.text, called, low[at], high[at], rule.k, start_ms, version), total


def proven(released: Sequence[Released]) -> int:
    """How many accepted events rows prove: one of each person in the grand total of a day's table, at the least."""
    tables = [rows for rows in released if rows.product == "profiles"]
    return sum(
        int(low)
        for rows in tables
        for row, col, low in zip(*(rows.columns[name] for name in ("row", "col", "n_low")), strict=True)
        if not rows.names["row"][row] and not rows.names["col"][col]
    )


class Tree:
    """Nodes of a table, children before their parents, the root last.

    ``cells`` (c, depth): codes by attribute of those with people, ``n`` (c,) how many of them count. ``paths[i]``: the
    codes that lead to node i, () of the root. Of the categories that all know of, cells without people are counted
    only, totals are there.
    """

    def __init__(self, attributes: Sequence[str], cells: I64, n: I64, day_ms: int) -> None:
        self._attributes, self._day_ms = attributes, day_ms
        depth = len(attributes)
        totals: list[tuple[int, ...]] = [()]
        levels = [totals]
        for level in range(depth - 1):
            there: dict[tuple[int, ...], list[int]] = {}
            for path in np.unique(cells[:, : level + 1], axis=0).tolist():
                there.setdefault(tuple(path[:-1]), []).append(path[-1])
            levels.append([(*path, code) for path in levels[-1] for code in self._codes(path, there.get(path, []))])
        leaves = [tuple(path) for path in cells.tolist()]
        self.paths = [*leaves, *(path for level in reversed(levels) for path in level)]
        place = {path: node for node, path in enumerate(self.paths)}
        self.parent: I32 = np.array([place[path[:-1]] if path else -1 for path in self.paths], np.int32)
        self.n: I64 = np.zeros(len(self.paths), np.int64)
        self.n[: len(leaves)] = n
        self.absent: I64 = np.zeros(len(self.paths), np.int64)
        below = np.bincount(self.parent[: len(leaves)], minlength=len(self.paths))
        for path in levels[-1]:
            named, more = self._domain(path)
            self.absent[place[path]] = max(0, len(named) + more - int(below[place[path]]))

    def _domain(self, path: tuple[int, ...]) -> tuple[list[int], int]:
        above = dict(zip(self._attributes, path, strict=False))
        return domain(self._attributes[len(path)], self._day_ms, above)

    def _codes(self, path: tuple[int, ...], there: list[int]) -> list[int]:
        """Codes of the children of a total: what all know of, with or without a name, and what is there."""
        named, more = self._domain(path)
        known = [*dict.fromkeys([*named, *there])]
        unnamed = max(0, len(named) + more - len(known))
        return [*known, *range(_UNNAMED, _UNNAMED - unnamed, -1)]

    def released(self, k: int, guard: int) -> tuple[I64, I64]:
        """What may be told of each node: low, high."""
        low, high = np.empty(len(self.n), np.int64), np.empty(len(self.n), np.int64)
        kernel: Any = kernels.active()
        kernel.tree(self.parent, self.n, self.absent, k, guard, low, high)
        return low, high


def _interests(told: I64, person: I64, provider: I64, start_ms: int, version: str, rule: Rule) -> Released | None:
    """Interests, of which one person has several: cells alone, without totals."""
    bits = told[:, ATTRIBUTES.index(INTERESTS)][person]
    codes, _ = domain(INTERESTS, start_ms, {})
    parts = []
    for code in codes:
        mine = bits == 0 if code == 0 else (bits >> (code - 1)) & 1 == 1
        at = np.flatnonzero(mine)
        parts.append(np.column_stack([np.full(len(at), code, np.int64), person[at], provider[at]]))
    who = np.concatenate(parts)
    n = kept(who[:, 0], who[:, 1], who[:, 2], len(codes), rule.k, rule.providers)
    at = np.flatnonzero(n >= rule.k)
    if not len(at):
        return None
    called = [(word(INTERESTS, code), "") for code in at.tolist()]
    return _released(INTERESTS, called, n[at], n[at], rule.k, start_ms, version)


def _called(attributes: Sequence[str], path: tuple[int, ...]) -> tuple[str, str]:
    """Row and column of a node: its last code is the column where it is a cell of a table of several attributes."""
    told = [word(name, code) for name, code in zip(attributes, path, strict=False)]
    if len(attributes) > 1 and len(told) == len(attributes):
        return "/".join(told[:-1]), told[-1]
    return "/".join(told), ""


def _released(
    text: str, called: list[tuple[str, str]], low: I64, high: I64, k: int, start_ms: int, version: str
) -> Released:
    count, (n, status) = len(called), figures(low, high, k)
    row, col = (tuple(dict.fromkeys(pair[side] for pair in called)) for side in (0, 1))
    place = [{name: code for code, name in enumerate(names)} for names in (row, col)]
    return Released(
        "profiles",
        f"profiles/{start_ms}",
        {
            "window": np.full(count, DAY, np.int32),
            "window_start": np.full(count, start_ms, np.int64),
            "table": np.zeros(count, np.int32),
            "row": np.array([place[0][pair[0]] for pair in called], np.int32),
            "col": np.array([place[1][pair[1]] for pair in called], np.int32),
            "n": n,
            "n_low": low,
            "n_high": high,
            "status": status,
        },
        {"window": WINDOWS, "table": (text,), "row": row, "col": col, "status": STATUS},
        version,
    )
