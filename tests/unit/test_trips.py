"""Trips from zone to zone: which places make one, in which day it counts, what is told beside the total."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest

from engine.profile_facts import CODED, HIGH, KIND, OF, PROVIDER, TS, VISIT, WIDTH, WITHDRAWN, ZONE
from engine.trips import trip_rows, trips
from tests.support.profile_run import rows_of

DAY = 1_770_390_000_000
HOUR = 3_600_000
NAMES = ("a", "b", "c", "p1", "p2", "p3")
A, B, C, P1, P2, P3 = range(6)


def facts(*visits: tuple[int, int, int, int]) -> Any:
    """(person, hours behind DAY, zone, provider) each, in no order."""
    out = np.zeros((len(visits), WIDTH), np.int64)
    out[:, KIND], out[:, ZONE] = VISIT, -1
    for row, (person, hours, zone, provider) in zip(out, random.Random(1).sample(visits, len(visits)), strict=True):
        row[[HIGH, TS, ZONE, PROVIDER]] = person, DAY + round(hours * HOUR), zone, provider
    return out


def found(rows: Any, gap_ms: int = HOUR) -> dict[tuple[int, int], set[int]]:
    cells, who = trips(rows, DAY, gap_ms)
    return {tuple(cell): {int(p) for c, p, _ in who if c == at} for at, cell in enumerate(cells.tolist())}


def test_two_places_of_one_person_that_follow_each_other() -> None:
    rows = facts((1, 0, A, P1), (1, 1, B, P2), (1, 1.5, B, P1), (1, 2, C, P1), (2, 0, A, P1), (3, 0.5, B, P1))
    assert found(rows) == {(A, B): {0}, (B, C): {0}}


@pytest.mark.parametrize(("hours", "counts"), [(0.5, True), (1, True), (1 + 1 / HOUR, False)])
def test_the_gap(hours: float, counts: bool) -> None:
    assert bool(found(facts((1, 0, A, P1), (1, hours, B, P1)))) == counts


def test_a_trip_belongs_to_the_day_of_its_arrival() -> None:
    assert found(facts((1, -0.5, A, P1), (1, 0, B, P1), (2, -0.5, A, P1), (2, -0.25, B, P1))) == {(A, B): {0}}


def test_who_makes_a_trip_twice_is_one_person() -> None:
    rows = facts(*((1, hour / 2, (A, B)[hour % 2], P1) for hour in range(8)))
    assert found(rows) == {(A, B): {0}, (B, A): {0}}


def test_what_was_withdrawn_makes_no_trip_and_bridges_none() -> None:
    rows = facts((1, 0, A, P1), (1, 0.5, B, P2), (1, 1, C, P1))
    gone = np.zeros((1, WIDTH), np.int64)
    gone[0, [KIND, HIGH, PROVIDER, ZONE, OF]] = WITHDRAWN, 1, P2, -1, VISIT
    assert found(rows) == {(A, B): {0}, (B, C): {0}}
    assert found(np.concatenate([gone, rows])) == {(A, C): {0}}


def crowd(people: int, zone: int = B) -> list[tuple[int, int, int, int]]:
    """So many people from a, told by three providers in turn."""
    return [
        visit
        for person in range(people)
        for visit in ((100 * zone + person, 0, A, P1 + person % 3), (100 * zone + person, 1, zone, P1 + person % 3))
    ]


def told(rows: Any, total: tuple[int, int] | None, k: int = 10, providers: int = 3) -> dict[tuple[str, str], Any]:
    made = trip_rows(rows, DAY, NAMES, "1", gap_ms=HOUR, k=k, providers=providers, total=total)
    if made is None:
        return {}
    return {(r["from"], r["to"]): (r["n_low"], r["n_high"], r["n"], r["status"]) for r in rows_of([made])}


def test_cells_by_the_rule_about_providers() -> None:
    assert told(facts(*crowd(15), *crowd(14, C)), None) == {("a", "b"): (15, 15, 15, "released")}
    assert told(facts(*((p, h, z, P1 + p % 2) for p in range(60) for h, z in ((0, A), (1, B)))), None) == {}
    assert told(facts(*crowd(9)), None, providers=1) == {}
    assert told(facts(), None) == {}


@pytest.mark.parametrize(
    ("total", "expected"),
    [
        (None, (20, 20, 20, "released")),
        ((20, 20), (20, 20, 20, "released")),
        ((21, 32), (20, 20, 20, "released")),
        ((20, 31), (20, 31, 25, "range")),
        ((11, 20), (11, 20, 15, "range")),
        ((9, 20), None),
        ((0, 31), None),
        ((0, 19), (20, 20, 20, "released")),
    ],
)
def test_beside_the_total_of_the_day(total: tuple[int, int] | None, expected: Any) -> None:
    assert told(facts(*crowd(20)), total) == ({} if expected is None else {("a", "b"): expected})


def test_columns_of_codes_are_those_of_the_facts() -> None:
    assert set(CODED) == {PROVIDER, ZONE}
