"""Profiles and trips against the truth of the load, however the logs are cut, spread over partitions and restarted."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

from engine.config import Config
from loadgen.profiles import DAY_MS, ProfileLoad
from tests.support.profile_run import FakeConsents, gate, run

EXACT = {"profiles": {"k": 1, "guard": 0, "providers": 1}, "trips": {"k": 1, "guard": 0}}


def config(tables: list[str], exact: bool = False) -> Config:
    more = EXACT if exact else {"profiles": {"k": 5, "guard": 1}, "trips": {"k": 5}}
    return Config({**more, "profiles": {**more["profiles"], "tables": tables}})


def consents(load: ProfileLoad) -> FakeConsents:
    granted = {
        (provider, person.subject): frozenset(attributes)
        for person in load.people
        for provider, attributes in person.consents.items()
    }
    return FakeConsents(granted)


def released(load: ProfileLoad, tables: list[str], exact: bool, partitions: int = 3, seed: int = 1) -> Any:
    rng = random.Random(seed)
    logs: list[list[bytes]] = [[] for _ in range(partitions)]
    for key, value in load.events():
        logs[sum(key) % partitions].append(value)
    gates = [gate(consents(load)) for _ in range(partitions)]
    for each in gates[1:]:  # processes share their keys
        object.__setattr__(each, "keys", gates[0].keys)
    rows, parts = run(load.registry(), logs, config(tables, exact), gates, rng)
    return [row for row in rows if row["product"] != "rejects"], parts


def cells(rows: list[dict[str, Any]], table: str, day: int) -> dict[tuple[str, str], int]:
    return {
        (row["row"], row["col"]): row["n"]
        for row in rows
        if row["product"] == "profiles" and row["table"] == table and row["window_start"] == day
    }


def trips(rows: list[dict[str, Any]], day: int) -> dict[tuple[str, str], int]:
    return {
        (row["from"], row["to"]): row["n"] for row in rows if row["product"] == "trips" and row["window_start"] == day
    }


def test_exact_tables_of_two_days_are_the_truth() -> None:
    load = ProfileLoad(seed=2, people=120, days=2)
    tables = ["gender*birth_year", "gender", "prefecture*municipality*lang"]
    rows, parts = released(load, tables, exact=True)
    assert sum(part.accepted for part in parts) == load.accepted()
    assert sum(part.read for part in parts) == len(load.visits)
    days = [load.start_ms + day * DAY_MS for day in range(2)]
    assert {row["window_start"] for row in rows} == set(days)
    turns = {}
    for number, day in enumerate(days):
        (table,) = {row["table"] for row in rows if row["product"] == "profiles" and row["window_start"] == day}
        turns[number] = table
        attributes = table.split("*")
        for depth in range(len(attributes) + 1):
            true = {cell: len(known.people) for cell, known in load.cells(number, attributes[:depth]).items()}
            leaf = depth == len(attributes)
            named = {("/".join(cell[:-1]), cell[-1]) if leaf else ("/".join(cell), ""): n for cell, n in true.items()}
            got = cells(rows, table, day)
            assert named.items() <= got.items(), depth
        assert len(got) == sum(len(load.cells(number, attributes[:d])) for d in range(len(attributes) + 1))
        assert trips(rows, day) == {cell: len(known.people) for cell, known in load.trips(number).items()}
    assert set(turns.values()) == {"gender*birth_year", "prefecture*municipality*lang"}


def test_interests_are_cells_without_totals() -> None:
    load = ProfileLoad(seed=3, people=60)
    rows, _ = released(load, ["interests"], exact=True)
    true = {(cell[0], ""): len(known.people) for cell, known in load.cells(0, ("interests",)).items()}
    assert cells(rows, "interests", load.start_ms) == true


@pytest.mark.parametrize("table", ["gender*income", "birth_year", "household*children", "interests"])
def test_hidden_cells_by_the_rules(table: str) -> None:
    """Shown cells are the truth by the rule about providers, and whatever else is there is not."""
    load = ProfileLoad(seed=4, people=250)
    rows, _ = released(load, [table], exact=False)
    attributes = table.split("*")
    got = cells(rows, table, load.start_ms)
    shown = {}
    for cell, known in load.cells(0, attributes).items():
        n = known.counted(5, 3)
        name = ("/".join(cell[:-1]), cell[-1]) if len(cell) > 1 else (cell[0], "")
        if n >= 5:
            shown[name] = n
        else:
            assert name not in got
    for row in {row for row, col in shown if col}:  # a small group of one kind is not broken down
        kinds = [cell for cell in shown if cell[0] == row]
        if len(kinds) == 1 and shown[kinds[0]] + 5 < 50:
            assert kinds[0] not in got and (row, "") in got
            del shown[kinds[0]]
    assert shown and shown.items() <= got.items()
    true = {cell: known.counted(5, 3) for cell, known in load.trips(0).items()}
    assert trips(rows, load.start_ms) == {cell: n for cell, n in true.items() if n >= 5}
    for row in rows:  # totals hold what the shown cells come to
        if row["product"] == "profiles" and row["status"] == "range":
            assert row["n_low"] < row["n_high"] and row["n_low"] >= 5


def test_the_outcome_does_not_depend_on_cuts_and_partitions() -> None:
    load = ProfileLoad(seed=5, people=80, days=2)
    first, _ = released(load, ["gender*birth_year"], exact=False, partitions=1, seed=1)
    for partitions, seed in ((1, 2), (2, 3), (4, 4)):
        rows, _ = released(load, ["gender*birth_year"], exact=False, partitions=partitions, seed=seed)
        assert sorted(map(json.dumps, rows)) == sorted(map(json.dumps, first))
