"""The comparison of a peer's rows finds what differs: a wrong count, a row too few or too many, a late event."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable

import pytest

from benchmarks.peers.compare import Cell, Semantics, compared
from benchmarks.peers.topic import DIRECTIONS, GATES, PANE_MS, PARTITIONS, Stream, Truth
from loadgen.bulk import START_MS

EVERYTHING = Semantics(late="counted", duplicates="counted", unknown="counted", bad="dropped")
EXACT = Semantics(unknown="dropped", bad="dropped")


@pytest.fixture(scope="module")
def counted() -> tuple[dict[Cell, int], dict[Cell, int], Truth]:
    """Rows of a reader that counts every message it can read, of one that does it right, and the truth."""
    stream = Stream(6_000)
    everything: Counter[Cell] = Counter()
    exact: Counter[Cell] = Counter()
    seen, messages = set(), 0
    for lines, gates in stream:
        messages += len(lines)
        for line, gate in zip(lines, gates, strict=True):
            try:
                event = json.loads(line)
                ts, sensor = int(event["ts"]), event["sensor"]
            except (ValueError, KeyError):
                continue
            cell = ts // PANE_MS * PANE_MS, sensor[:3], event["dir"]
            everything[cell] += 1
            if sensor[0] != "x" and ts >= START_MS and line not in seen:
                assert int(sensor[:3]) == gate
                exact[cell] += 1
                seen.add(line)
    assert messages == stream.truth.messages == sum(exact.values()) + sum(stream.truth.rejected().values())
    return dict(everything), dict(exact), stream.truth


def test_every_kind_is_there(counted: tuple[dict[Cell, int], dict[Cell, int], Truth]) -> None:
    truth = counted[2]
    names = {"malformed", "missing_field", "bad_value", "unknown_sensor", "late", "duplicate"}
    assert {reason for reason, n in truth.rejected().items() if n > 5} == names
    assert truth.counts.shape == (truth.due + 7, GATES, 2) and GATES % PARTITIONS


def test_right_rows_are_equal(counted: tuple[dict[Cell, int], dict[Cell, int], Truth]) -> None:
    everything, exact, truth = counted
    told = compared(everything, truth, EVERYTHING)
    assert told.equal and told.late_counted == truth.late.sum()
    assert told.unknown_counted == truth.bad["unknown_sensor"]
    assert compared(exact, truth, EXACT).equal
    in_time = {cell: n for cell, n in exact.items() if cell[0] < START_MS + PANE_MS * truth.due}
    assert in_time != exact and compared(in_time, truth, EXACT).equal  # the closing events need not be told


def of_gate_7(rows: dict[Cell, int]) -> Cell:
    return next(cell for cell in rows if cell[1] == "007" and cell[0] >= START_MS)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda rows: {**rows, of_gate_7(rows): rows[of_gate_7(rows)] + 1},
        lambda rows: {cell: n for cell, n in rows.items() if cell != of_gate_7(rows)},
        lambda rows: {**rows, (START_MS - PANE_MS, "007", DIRECTIONS[0]): 1},
        lambda rows: {**rows, (START_MS + 1, "007", DIRECTIONS[0]): 1},
        lambda rows: {**rows, (START_MS, "250", DIRECTIONS[0]): 1},
        lambda rows: {**rows, (START_MS, "x07", DIRECTIONS[0]): 1},
        lambda rows: {},
    ],
    ids=["wrong", "missing", "late", "no window", "no gate", "unknown", "nothing"],
)
def test_wrong_rows_are_not(
    counted: tuple[dict[Cell, int], dict[Cell, int], Truth], spoil: Callable[[dict[Cell, int]], dict[Cell, int]]
) -> None:
    _, exact, truth = counted
    told = compared(spoil(exact), truth, EXACT)
    assert not told.equal and told.example
    assert not compared(exact, truth, Semantics(duplicates="counted")).equal
    assert not compared(exact, truth, EVERYTHING).equal


def test_late_by_progress_is_at_most_what_was_late(counted: tuple[dict[Cell, int], dict[Cell, int], Truth]) -> None:
    everything, _, truth = counted
    semantics = Semantics(late="by progress", duplicates="counted", unknown="counted")
    assert compared(everything, truth, semantics).equal
    some = {cell: n for cell, n in everything.items() if cell[0] >= START_MS - 3_500_000}
    assert compared(some, truth, semantics).equal
    late = next(cell for cell in everything if cell[0] < START_MS)
    assert not compared({**everything, late: everything[late] + 1}, truth, semantics).equal
