"""A real census as tables: what is shown is right, what is hidden stays hidden, beside counts of this file's own."""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import adult
from hitonami.audit.table_rerun import narrowed
from hitonami.audit.table_rules import TableRule

CLASSES = {"sex_age": (142, 4, 22), "sex_age_race": (528, 62, 425)}  # classes, singletons, rows in classes below 5


@pytest.fixture(scope="module")
def census(shared_data: Path) -> list[dict[str, str]]:
    return adult.records(shared_data / "arx_adult")


def own_counts(folder: Path, columns: tuple[int, ...]) -> Counter[tuple[str, ...]]:
    """People by the first none, one, two and all of these columns of the file."""
    found: Counter[tuple[str, ...]] = Counter()
    with (folder / "adult.csv").open(encoding="utf-8", newline="") as file:
        for row in list(csv.reader(file, delimiter=";"))[1:]:
            for depth in range(len(columns) + 1):
                found[tuple(row[column] for column in columns[:depth])] += 1
    return found


@pytest.mark.parametrize("k", [5, 10])
@pytest.mark.parametrize(("name", "columns"), [("sex_age", (0, 1)), ("sex_age_race", (0, 1, 2))])
def test_what_is_shown_is_right_and_what_is_hidden_stays_hidden(
    shared_data: Path, census: list[dict[str, str]], kernels: Any, name: str, columns: tuple[int, ...], k: int
) -> None:
    truth = own_counts(shared_data / "arx_adult", columns)
    leaves = [n for path, n in truth.items() if len(path) == len(columns)]
    few = [n for n in leaves if n < 5]
    assert (len(leaves), leaves.count(1), sum(few)) == CLASSES[name]

    table = adult.counted(census, adult.TABLES[name])
    assert set(truth) <= set(table.names) and len(set(table.names)) == len(table.names)
    low, high = adult.released(table, k)
    people = np.array([truth[path] for path in table.names])
    shown = low == high
    assert (low[shown] == people[shown]).all() and people[shown].min() >= k
    assert ((low <= people) & (people <= high)).all() and (high - low)[~shown].min() >= k - 1
    cells = table.shape.cells
    assert (shown[cells] == (people[cells] >= k)).all()
    assert adult.attacked(table, low, high, k) == {"exact": 0, "narrowed": 0}
    if kernels.mode == "compiled":
        rule = TableRule(tree=kernels.tree)
        assert not narrowed(rule, table.shape, low, high, k, adult.GUARD, np.random.default_rng(1)).any()


def test_the_attackers_find_what_plain_suppression_tells(census: list[dict[str, str]]) -> None:
    table = adult.counted(census, adult.TABLES["sex_age_race"])
    suppressed = adult.plain(table, 5)
    found = adult.attacked(table, *suppressed, 5)
    assert found["exact"] > 50 and found["narrowed"] > 50
    rule = TableRule()
    out = narrowed(rule, table.shape, *suppressed, 5, adult.GUARD, np.random.default_rng(1))
    assert out.sum() > 100


def test_cells_of_few_providers_are_left_out_of_totals_too(census: list[dict[str, str]]) -> None:
    attributes = adult.TABLES["sex_age_race"]
    table = adult.counted(census, attributes)
    left = adult.of_providers(census, table, attributes, 10)
    low, high = adult.released(left, 10)
    kept, cells = left.people[table.shape.cells], table.people[table.shape.cells]
    assert set(kept[kept > 0]) <= set(cells[cells >= 14]) and 0 < (kept > 0).sum() < (cells >= 10).sum()
    assert ((low <= left.people) & (left.people <= high)).all()
    totals = np.setdiff1d(np.arange(len(low)), table.shape.cells)
    assert left.people[-1] < table.people[-1] and (low[totals] == left.people[totals]).all()
