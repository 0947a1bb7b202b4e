"""How much of the Adult census may be shown as tables, beside plain suppression, and what readers get out of both.

    python -m benchmarks.adult [--data FOLDER] [--worlds N] [--json]

30,162 people as subjects of tables {sex, age} and {sex, age, race}, the public domain being both sexes, all ages from
the least to the greatest, five races. ``tree``: what Hitonami shows. ``plain``: cells below k hidden, all totals exact.
Told are the shares of cells (with somebody in them), of totals and of people in cells that are shown exactly, and how
many hidden numbers the reader of all of it knows exactly, or within fewer than k values (``narrowed``):

- ``sums`` (A1): who adds and subtracts; each total is the sum of what is below it, to the last bound.
- ``algorithm`` (A1): who also knows the rule: may each end of each hidden range still be?
- ``insider`` (A2): who also knows the people of one hidden cell, none or ``guard``: ``exact`` and ``narrowed`` by sums
  against what is promised of the others, ``algorithm`` as above.
- ``provider`` (A3): who subtracts its own users: numbers told that leave it fewer than k others, and hidden cells in
  which it can rule out nobody else or k - 1 others.

All but ``sums`` are readers of the audit (hitonami/audit/table_rerun.py, table_readers.py). ``providers``: the same
table under the rule about providers, each subject known to one of four, who hold 4/10, 3/10, 2/10 and 1/10 of them.
``provider`` of ``tree`` tells what they would get without it.
"""

from __future__ import annotations

import argparse
import csv
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmarks.services import ROOT, machine, tell
from engine.kernels import active
from engine.model import I64
from hitonami.audit.table_readers import SHARES, found_by_insiders, found_by_providers, ruled_out_by_insiders
from hitonami.audit.table_rerun import narrowed
from hitonami.audit.table_rules import Shape, TableRule

DATA = ROOT.parent / "shared" / "data" / "arx_adult"
TABLES = {"sex_age": ("sex", "age"), "sex_age_race": ("sex", "age", "race")}
KS, GUARD = (5, 10), 1
SEED = 1
RULE = TableRule()
OFF = TableRule(counted=lambda n, _largest, _sharing, _k: n)  # without the rule about providers
Names = tuple[str, ...]


class Table(NamedTuple):
    """One table: its tree, what each node stands for, and the people in each."""

    shape: Shape
    names: list[Names]
    people: I64


def records(folder: Path) -> list[dict[str, str]]:
    """The census, one dict for each person."""
    with (folder / "adult.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter=";"))


def domain(people: list[dict[str, str]], attribute: str) -> list[str]:
    """All values an attribute may have: public, so also those that nobody has."""
    found = {person[attribute] for person in people}
    if attribute == "age":
        ages = sorted(map(int, found))
        return [str(age) for age in range(ages[0], ages[-1] + 1)]
    return sorted(found)


def counted(people: list[dict[str, str]], attributes: tuple[str, ...]) -> Table:
    """People by every prefix of the attributes, one by one; nodes as Shape has them: cells, their total, and so on."""
    values = [domain(people, attribute) for attribute in attributes]
    nested: int | tuple[object, ...] = len(values[-1])
    for outer in reversed(values[:-1]):
        nested = (nested,) * len(outer)
    tally: Counter[Names] = Counter()
    for person in people:
        path = tuple(person[attribute] for attribute in attributes)
        tally.update(path[:depth] for depth in range(len(path) + 1))
    names = list(_names(values, ()))
    return Table(Shape.of(nested), names, np.array([tally[name] for name in names], np.int64))  # type: ignore[arg-type]


def _names(values: list[list[str]], path: Names) -> list[Names]:
    below = [name for value in values[0] for name in _names(values[1:], (*path, value))] if values else []
    return [*below, path]


def released(table: Table, k: int) -> tuple[I64, I64]:
    """What Hitonami shows of each node: low and high. Cells of nobody are not handed in one by one."""
    shape, m = table.shape, len(table.names)
    empty = np.zeros(m, bool)
    empty[shape.cells] = table.people[shape.cells] == 0
    keep = np.flatnonzero(~empty)
    parent = np.where(shape.parent[keep] < 0, -1, (np.cumsum(~empty) - 1)[shape.parent[keep]]).astype(np.int32)
    absent = np.bincount(shape.parent[empty], minlength=m)[keep].astype(np.int64)
    low, high = np.zeros(m, np.int64), np.full(m, k - 1, np.int64)
    ranges = np.zeros((2, len(keep)), np.int64)
    active().tree(parent, table.people[keep], absent, k, GUARD, *ranges)
    low[keep], high[keep] = ranges
    return low, high


def plain(table: Table, k: int) -> tuple[I64, I64]:
    """What plain suppression shows: cells below k hidden, their totals exact."""
    hidden = np.zeros(len(table.names), bool)
    hidden[table.shape.cells] = table.people[table.shape.cells] < k
    return np.where(hidden, 0, table.people), np.where(hidden, k - 1, table.people)


def known_by_sums(table: Table, low: I64, high: I64) -> tuple[I64, I64]:
    """Bounds of each node for who adds and subtracts until nothing changes."""
    below: dict[int, list[int]] = {}
    for node, above in enumerate(table.shape.parent.tolist()):
        below.setdefault(above, []).append(node)
    least, most = low.tolist(), high.tolist()
    changed = True
    while changed:
        changed = False
        for total, children in below.items():
            if total < 0:
                continue
            sums = sum(least[c] for c in children), sum(most[c] for c in children)
            bounds = [(total, max(least[total], sums[0]), min(most[total], sums[1]))]
            bounds += [
                (c, max(least[c], least[total] - sums[1] + most[c]), min(most[c], most[total] - sums[0] + least[c]))
                for c in children
            ]
            for node, a, b in bounds:
                if (a, b) != (least[node], most[node]):
                    least[node], most[node], changed = a, b, True
    return np.array(least, np.int64), np.array(most, np.int64)


def attacked(table: Table, low: I64, high: I64, k: int) -> dict[str, int]:
    """What who adds and subtracts gets of hidden numbers."""
    least, most = known_by_sums(table, low, high)
    hidden = low < high
    exact = hidden & (least == most)
    return {"exact": int(exact.sum()), "narrowed": int((hidden & ~exact & (most - least + 1 < k)).sum())}


def told(table: Table, low: I64, high: I64) -> dict[str, float]:
    """Shares of cells, totals and people that are shown exactly."""
    cells, exact = table.shape.cells, low == high
    totals = np.setdiff1d(np.arange(len(low)), cells)
    somebody = cells[table.people[cells] > 0]
    return {
        "cells": round(float(exact[somebody].mean()), 4),
        "totals": round(float(exact[totals].mean()), 4),
        "people": round(float(table.people[somebody][exact[somebody]].sum() / table.people[-1]), 4),
    }


def known(people: list[dict[str, str]], table: Table, attributes: tuple[str, ...]) -> I64:
    """How many people of each cell (cells, P) each provider knows."""
    rng = np.random.default_rng(SEED)
    provider = rng.choice(len(SHARES), len(people), p=SHARES).tolist()
    place = {table.names[node]: i for i, node in enumerate(table.shape.cells.tolist())}
    shares = np.zeros((len(place), len(SHARES)), np.int64)
    for person, knows in zip(people, provider, strict=True):
        shares[place[tuple(person[attribute] for attribute in attributes)], knows] += 1
    return shares


def of_providers(table: Table, shares: I64, k: int) -> Table:
    """The same table without the people of cells in which providers could find others."""
    n = table.people[table.shape.cells]
    return table._replace(people=table.shape.holds @ RULE.counted(n, shares.max(axis=1), (shares > 0).sum(axis=1), k))


def read(table: Table, low: I64, high: I64, k: int, worlds: int | None = None) -> dict[str, object]:
    """What the public and insiders get of what is hidden; ``worlds``: try insiders on so many, not on all."""
    rng = np.random.default_rng(SEED)
    ends = narrowed(RULE, table.shape, low, high, k, GUARD, rng)
    insider = found_by_insiders(table.shape, low, high, k, GUARD)._asdict()
    out = ruled_out_by_insiders(RULE, table.shape, low, high, k, GUARD, rng, worlds)
    return {
        "sums": attacked(table, low, high, k),
        "algorithm": int(ends.sum()),
        "insider": {**insider, "algorithm": int(out.sum()), "worlds": len(out)},
    }


def measured(folder: Path, worlds: int | None = None) -> dict[str, object]:
    """All of it, by table and k; ``worlds`` as ``read``."""
    people = records(folder)
    result: dict[str, object] = {"people": len(people)}
    for name, attributes in TABLES.items():
        table = counted(people, attributes)
        shares, n = known(people, table, attributes), table.people[table.shape.cells]
        for k in KS:
            tree, suppressed = released(table, k), plain(table, k)
            left = of_providers(table, shares, k)
            kept = released(left, k)
            without, under = (found_by_providers(rule, table.shape, n, shares, k, GUARD) for rule in (OFF, RULE))
            result[f"{name}_k{k}"] = {
                "cells": int((n > 0).sum()),
                "tree": {**told(table, *tree), **read(table, *tree, k, worlds), "provider": without._asdict()},
                "plain": {
                    **told(table, *suppressed),
                    "sums": attacked(table, *suppressed, k),
                    "insider": found_by_insiders(table.shape, *suppressed, k, GUARD)._asdict(),
                },
                "providers": {
                    **told(table, *kept),
                    "left_out": int(table.people[-1] - left.people[-1]),
                    **read(left, *kept, k, worlds),
                    "provider": under._asdict(),
                },
            }
    return result


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--worlds", type=int, help="so many worlds of insiders who know the algorithm; all by default")
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    if not (chosen.data / "adult.csv").is_file():
        raise SystemExit(f"adult: no adult.csv in {chosen.data}")
    tell({**machine(), **measured(chosen.data, chosen.worlds)}, chosen.json)


if __name__ == "__main__":
    main()
