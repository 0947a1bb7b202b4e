"""Lines at which rows come out: a function of the logs, told alike line by line and in one step."""

from __future__ import annotations

import json

import numpy as np
import pytest

from engine.model import NO_TIME
from engine.units import line, lines_of_windows
from tests.property.test_engine import PLAIN, REGISTRY, START, Log
from tests.property.test_registry_versions import crosses, record
from tests.support.engine_run import run


def spans(*pairs: tuple[int, int]) -> np.ndarray:
    return np.array(pairs, np.int64).reshape(-1, 2)


# activity of earlier steps | of this one | window, delay -> line
CASES = {
    "active in it": ([], [(0, 20_000)], (10_000, 20_000), 0, 20_000),
    "with a delay": ([], [(0, 20_000)], (10_000, 20_000), 7_000, 30_000),
    "silent, told with what comes behind": ([(0, 0)], [(50_000, 60_000)], (10_000, 20_000), 0, 60_000),
    "silent, the second comes within the delay": ([(0, 0)], [(50_000, 50_000)], (10_000, 20_000), 45_000, 70_000),
    "silent between two new ones": ([], [(0, 0), (50_000, 50_000)], (10_000, 20_000), 0, 60_000),
    "silent in what was known": ([(0, 80_000)], [(90_000, 90_000)], (10_000, 20_000), 0, 20_000),
    "touches what was known, at its end": ([(0, 70_000)], [(490_000, 490_000)], (60_000, 120_000), 0, 120_000),
    "long, silent at first": ([(0, 0)], [(50_000, 50_000)], (0, 60_000), 0, 60_000),
    "long, all silent": ([(0, 0)], [(150_000, 150_000)], (60_000, 120_000), 0, 160_000),
    "begins between cells": ([], [(0, 30_000)], (15_000, 45_000), 0, 50_000),
    "before all activity of the step": ([], [(40_000, 40_000)], (0, 60_000), 0, 60_000),
}


@pytest.mark.parametrize("case", CASES)
def test_the_line_of_a_window(case: str) -> None:
    known, news, window, delay_ms, expected = CASES[case]
    starts, ends = (np.array([ms], np.int64) for ms in window)
    assert lines_of_windows(starts, ends, delay_ms, spans(*known), spans(*news)).tolist() == [expected]
    # in whatever order and pieces partitions tell of activity
    cells = [(cell, cell) for first, last in news for cell in range(first, last + 1, 10_000)]
    assert lines_of_windows(starts, ends, delay_ms, spans(*known), spans(*cells[::-1])).tolist() == [expected]


def test_no_time_is_no_line() -> None:
    assert line(NO_TIME + 10_000) <= NO_TIME + 20_000
    assert lines_of_windows(*[np.empty(0, np.int64)] * 2, 0, spans(), spans()).tolist() == []


def test_gates_that_come_with_a_version_have_the_units_of_the_logs() -> None:
    """It comes in a silence: however far a step goes, windows of the new gate come at lines of their own.

    Those of the old one, which is slow, come later.
    """
    first = REGISTRY | {"gates": [REGISTRY["gates"][0] | {"delay_s": 100}], "sensors": REGISTRY["sensors"][:1]}
    fast = {"id": "g4", "a": None, "b": "c2", "leaf": "1m"}
    second = first | {"version": "v2", "gates": [*first["gates"], fast]}
    minute = START // 60_000 * 60_000 - START
    log: Log = [*crosses("0" * 3, minute + 70_000), tick(minute + 106_000), record(second)]
    log += [tick(minute + at) for at in (137_000, 151_000, 300_000)]
    for seed in range(12):
        units = run(first, [log], PLAIN, by_line=True, finish=False, seed=seed, restart=True).units
        lines = {unit for (_, unit), rows in units.items() for row in rows if row.get("gate") == "g4"}
        assert lines == {f"00/{START + minute + 120_000}/1/0"}


def test_a_version_that_comes_in_a_silence_holds_for_the_rest_of_it() -> None:
    """Its windows come with what ends it, under the version that holds then: in one step as line by line."""
    minute = START // 60_000 * 60_000 - START
    log: Log = [*crosses("000", minute + 70_000), tick(minute + 206_000), record(REGISTRY | {"version": "v2"})]
    log += [tick(minute + 400_000), *crosses("000", minute + 600_000), tick(minute + 900_000)]
    for how in ({"by_line": True}, {}, *({"seed": seed} for seed in range(12))):
        rows = run(REGISTRY, [log], PLAIN, finish=False, **how).rows["flow"]  # type: ignore[arg-type]
        mine = {(r["window_start"] - START - minute, r["registry_version"]) for r in rows if r["window"] == "10s"}
        assert mine == {(at, "v2" if at > 70_000 else "v1") for at in range(70_000, 610_000, 10_000)}


def tick(at: int) -> tuple[bytes, None]:
    return json.dumps({"type": "tick", "ts": START + at}).encode(), None
