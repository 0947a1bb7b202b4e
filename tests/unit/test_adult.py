"""A real census as tables: what is shown is right, what is hidden stays hidden, beside counts of this file's own."""

from __future__ import annotations

import csv
import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import adult
from engine.config import Config
from hitonami.audit.table_rerun import narrowed
from hitonami.audit.table_rules import TableRule
from tests.support import profile_run

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


JOBS = dict(zip(("White", "Black", "Asian-Pac-Islander", "Amer-Indian-Eskimo", "Other"),
                ("employee", "executive", "student", "homemaker", "other"), strict=True))  # fmt: skip
T0 = 1_770_390_000_000  # 2026-02-07T00:00:00+09:00
REGISTRY = {"version": "v1", "timezone": "Asia/Tokyo", "zones": [{"id": "odori", "kind": "plaza"}]}


@pytest.mark.parametrize("providers", [3, 1])
def test_the_census_as_people_who_consented(census: list[dict[str, str]], providers: int) -> None:
    """Through the stream profiles: an event each, bands of five years, race told as occupation, four providers."""
    rng = np.random.default_rng(3)
    by = rng.choice(4, len(census), p=adult.SHARES).tolist()
    log, n, shares = [], Counter[tuple[str, ...]](), Counter[tuple[Any, ...]]()
    for number, (person, provider) in enumerate(zip(census, by, strict=True)):
        sex, born, job = person["sex"][0].lower(), 2026 - int(person["age"]), JOBS[person["race"]]
        told = {"provider": f"p{provider}", "subject": f"u{number}", "ts": T0 + number, "zone": "odori"}
        log.append(json.dumps({**told, "gender": sex, "birth_year": born, "occupation": job}).encode())
        cell = sex, f"{born - born % 5}-{born - born % 5 + 4}", job
        n[cell] += 1
        shares[cell, provider] += 1
    counts = Counter[tuple[str, ...]]()
    for cell, people in n.items():
        of = [shares[cell, provider] for provider in range(4)]
        if providers == 1 or (sum(share > 0 for share in of) >= providers and people - max(of) >= 10):
            counts.update({cell[:depth]: people for depth in range(4)})

    settings = {"tables": ["gender*birth_year*occupation"], "providers": providers}
    gates = [profile_run.gate()]
    rows, (part,) = profile_run.run(REGISTRY, [log], Config({"profiles": settings}), gates)
    assert part.accepted == len(census)
    shown = {}
    for row in rows:
        if row["product"] == "profiles":
            path = tuple(filter(None, (*row["row"].split("/"), row["col"])))
            shown[path] = row["n_low"], row["n_high"]
            assert row["n_low"] <= counts[path] <= row["n_high"]
            assert row["n_low"] >= 10 and row["status"] == ("released" if row["n_low"] == row["n_high"] else "range")
    kinds = Counter(len(path) for path in shown)
    assert kinds[0] == 1 and kinds[1] == 2 and kinds[2] > 20 and kinds[3] > 60
    alike = {path for path in counts if path and path[:-1] in shown and shown[path[:-1]][1] < 50}  # may be withheld
    small = {path for path in counts if len(path) == 3 and counts[path] < 10}
    assert {path for path in counts if len(path) == 3} - small - set(shown) <= alike
    assert not small & set(shown) and (len(small) > 20 or providers == 3)
