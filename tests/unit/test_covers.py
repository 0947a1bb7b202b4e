"""Coverage as sets: the union of spans, and what of it lies in which pane, against one element per second."""

import json
from bisect import bisect_right
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine import registry
from engine.covers import split, union
from engine.model import END, HOUR, LENGTH_MS, WINDOWS
from engine.tables import Tables

S = 1000  # one element of the sets below
LEAVES = ("10s", "1m", "1h", "1h")
DELAYS = (0, 30, 0, 90)
CHANGE = 1_680_361_200_000  # Lord Howe goes back by half an hour: the local hour 1 is followed by a half hour 1:30

DOCUMENT = {
    "version": "v1",
    "timezone": "Australia/Lord_Howe",
    "zones": [],
    "gates": [
        {"id": f"g{i}", "a": None, "b": None, "leaf": leaf, "delay_s": delay}
        for i, (leaf, delay) in enumerate(zip(LEAVES, DELAYS, strict=True))
    ],
    "sensors": [
        {"id": f"s{i}", "kind": "counter", "gate": f"g{i}", "approved": [{"from": "1900-01-01T00:00:00Z", "to": None}]}
        for i in range(len(LEAVES))
    ],
}
TABLES = Tables(registry.parse(json.dumps(DOCUMENT).encode()))

# (sensor, start, length) in seconds; lengths of 0 and below cover nothing
SPANS = st.lists(st.tuples(st.integers(0, 3), st.integers(-200, 200), st.integers(-5, 90)), max_size=25)
LONG = st.lists(st.tuples(st.integers(0, 3), st.integers(-9_000, 9_000), st.integers(0, 6_000)), max_size=8)
BASES = st.sampled_from([-86_400 * 20_000, 0, CHANGE // S])


def table(rows: list[tuple[int, int, int]], base: int = 0) -> Any:
    made = [(s, (base + start) * S, (base + start + length) * S) for s, start, length in rows]
    return np.array(made, np.int64).reshape(-1, 3)


def seconds(spans: Any) -> set[tuple[int, int]]:
    return {(s, t) for s, start, end in spans.tolist() for t in range(start // S, end // S)}


def naive_pane(at: int, sensor: int) -> tuple[int, int]:
    """Start and end of the pane (ms) that holds the instant, by the edges' own definition."""
    leaf = LEAVES[sensor]
    if leaf != "1h":
        length = LENGTH_MS[WINDOWS.index(leaf)]
        return at // length * length, at // length * length + length
    edges = hours(at // 7_200_000)
    place = bisect_right(edges, at)
    return edges[place - 1], edges[place]


@cache
def hours(number: int) -> list[int]:
    """Hour edges around two hours; the clock itself is checked against zoneinfo in test_timezone.py."""
    out: list[int] = TABLES.zone_clock.edges((number - 1) * 7_200_000, (number + 2) * 7_200_000, HOUR).tolist()
    return out


@given(SPANS)
def test_union_is_the_union(rows: list[tuple[int, int, int]]) -> None:
    spans = table(rows)
    out = union(spans)
    assert seconds(out) == seconds(spans)
    for (s, start, end), (later_s, later, _) in zip(out.tolist(), out[1:].tolist(), strict=False):
        assert (s, end) < (later_s, later)  # sorted, disjoint, and what touches is one
        assert start < end
    assert union(out).tolist() == out.tolist()


def test_union_keeps_sensors_apart_at_wild_times() -> None:
    spans = np.array([[0, -(2**60), 5], [3, -(2**60), 2**60], [3, 7, 9], [9, 2**60, 2**60 + 1]], np.int64)
    assert union(spans).tolist() == [[0, -(2**60), 5], [3, -(2**60), 2**60], [9, 2**60, 2**60 + 1]]


def check_split(spans: Any, w: int) -> None:
    ahead, behind = split(spans, TABLES, w)
    closed: dict[tuple[int, int, int], int] = {}
    still_open = set()
    for s, t in seconds(spans):
        start, end = naive_pane(t * S, s)
        close = end + DELAYS[s] * S
        if close <= w:
            closed[s, start, close] = closed.get((s, start, close), 0) + S
        else:
            still_open.add((s, t))
    assert seconds(ahead) == still_open
    assert [((s, pane, close), ms) for pane, close, s, ms in behind.tolist()] == sorted(closed.items())


@given(SPANS, st.integers(-300, 300), BASES)
def test_split_by_panes(rows: list[tuple[int, int, int]], w: int, base: int) -> None:
    check_split(table(rows, base), (base + w) * S)


@given(LONG, st.integers(-9_000, 12_000))
def test_split_by_hours_over_a_change_of_clocks(rows: list[tuple[int, int, int]], w: int) -> None:
    check_split(table(rows, CHANGE // S), CHANGE + w * S)


@given(LONG, st.lists(st.integers(-9_000, 12_000), max_size=4))
def test_split_in_steps_is_split_at_once(rows: list[tuple[int, int, int]], stops: list[int]) -> None:
    spans = table(rows, CHANGE // S)
    rest, parts = spans, []
    for w in [*(CHANGE + stop * S for stop in sorted(stops)), END]:
        rest, behind = split(rest, TABLES, w)
        parts += behind.tolist()
    assert not len(rest)
    assert sorted(parts) == sorted(split(spans, TABLES, END)[1].tolist())


@pytest.mark.parametrize("w", [0, END])
def test_nothing_stays_nothing(w: int) -> None:
    ahead, behind = split(np.empty((0, 3), np.int64), TABLES, w)
    assert (ahead.shape, behind.shape) == ((0, 3), (0, 4))
