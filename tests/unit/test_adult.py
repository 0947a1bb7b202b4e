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
from hitonami.audit.table_readers import found_by_insiders, found_by_providers, left, ruled_out_by_insiders
from hitonami.audit.table_rerun import Pins, narrowed
from hitonami.audit.table_rules import TableRule
from tests.support import profile_run

NOTHING = {"exact": 0, "narrowed": 0}
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
    assert adult.attacked(table, low, high, k) == NOTHING
    if kernels.mode == "compiled":
        of_nobody(table, low, high, k)


def of_nobody(table: adult.Table, low: Any, high: Any, k: int) -> None:
    """Neither the public nor insiders get anything of what is hidden."""
    found = adult.read(table, low, high, k, worlds=1_500)
    insider: Any = found.pop("insider")
    assert insider.pop("worlds") > 500 and insider == {**NOTHING, "algorithm": 0}
    assert found == {"sums": NOTHING, "algorithm": 0}


def test_the_attackers_find_what_plain_suppression_tells(census: list[dict[str, str]]) -> None:
    table = adult.counted(census, adult.TABLES["sex_age_race"])
    suppressed = adult.plain(table, 5)
    found = adult.attacked(table, *suppressed, 5)
    assert found["exact"] > 50 and found["narrowed"] > 50
    rule = TableRule()
    rng = np.random.default_rng(1)
    assert narrowed(rule, table.shape, *suppressed, 5, adult.GUARD, rng).sum() > 100
    insider = found_by_insiders(table.shape, *suppressed, 5, adult.GUARD)
    assert insider.exact > found["exact"] and insider.narrowed > 50
    assert ruled_out_by_insiders(rule, table.shape, *suppressed, 5, adult.GUARD, rng, 1_000).sum() > 200


def test_without_a_guard_insiders_alone_narrow(census: list[dict[str, str]]) -> None:
    table = adult.counted(census, adult.TABLES["sex_age_race"])
    bare = [ends[0] for ends in TableRule().publish(table.shape, table.people[table.shape.cells][None], 5, 0)]
    assert adult.attacked(table, *bare, 5) == NOTHING
    assert found_by_insiders(table.shape, *bare, 5, 0) == (0, 0)
    assert found_by_insiders(table.shape, *bare, 5, 1).narrowed > 100


def test_what_sums_leave_an_insider_is_what_adding_and_subtracting_leaves(census: list[dict[str, str]]) -> None:
    table = adult.counted(census, adult.TABLES["sex_age_race"])
    for low, high in (adult.plain(table, 10), adult.released(table, 10)):
        hidden = table.shape.cells[(low < high)[table.shape.cells]]
        pins = Pins(hidden[[7, 90, -1]], np.array([0, 1, 1]))
        bounds = left(table.shape.parent, low, high, pins)
        for world, (node, people) in enumerate(zip(*pins, strict=True)):
            ends = low.copy(), high.copy()
            for end in ends:
                end[node] = people
            assert all(map(np.array_equal, adult.known_by_sums(table, *ends), (bound[:, world] for bound in bounds)))


@pytest.mark.parametrize("k", [5, 10])
@pytest.mark.parametrize("name", ["sex_age", "sex_age_race"])
def test_of_cells_of_few_providers_nobody_gets_anything(census: list[dict[str, str]], name: str, k: int) -> None:
    attributes = adult.TABLES[name]
    table = adult.counted(census, attributes)
    shares, cells = adult.known(census, table, attributes), table.people[table.shape.cells]
    of_many = adult.of_providers(table, shares, k)
    low, high = adult.released(of_many, k)
    kept = of_many.people[table.shape.cells]
    # of this test's own: others than the users of each provider
    expected = [n if sum(of > 0 for of in own) >= 3 and min(n - of for of in own) >= k else 0
                for n, own in zip(cells.tolist(), shares.tolist(), strict=True)]  # fmt: skip
    assert kept.tolist() == expected and 0 < (kept > 0).sum() < (cells >= k).sum()
    assert of_many.people[-1] == kept.sum() < table.people[-1]
    shown = low == high
    assert (shown[table.shape.cells] == (kept > 0)).all() and (low[shown] == of_many.people[shown]).all()
    assert ((low <= of_many.people) & (of_many.people <= high)).all()
    of_nobody(of_many, low, high, k)
    assert found_by_providers(TableRule(), table.shape, cells, shares, k, adult.GUARD) == (0, 0)
    assert min(found_by_providers(adult.OFF, table.shape, cells, shares, k, adult.GUARD)) > 5


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
