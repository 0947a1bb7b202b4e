"""Readings of zones: the same whatever way partials come, holding the truth, telling nothing below k."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine import release
from engine.model import CELL_MS
from engine.readers import Rule
from tests.support.readings import Heard, Log, Read, readings, sensor, told, world, zone

PANES = 40
ZONES = ("hall", "yard")
DOCUMENT = world(
    sensor("t", "tracker", None),
    sensor("u", "tracker", "hall", reporting="on_change", relative_error=None),
    sensor("c", "occupancy", "yard", group="y"),
    sensor("d", "occupancy", "yard", group="y", beat_s=25),
    zones=[zone(), zone("yard")],
)
LATER = DOCUMENT | {
    "version": "v2",
    "zones": [*DOCUMENT["zones"], zone("annex")],
    "sensors": [*DOCUMENT["sensors"][1:], sensor("e", "occupancy", "annex"), sensor("f", "tracker", "yard")],
}
_pane = st.integers(0, PANES - 1)
_people = st.one_of(st.integers(0, 30), st.floats(0, 30)).map(lambda mean: int(mean * CELL_MS))


def _read(name: str, where: str | None = None) -> Any:
    tracked = name in "tuf"
    zones = st.just(where) if where else st.sampled_from(ZONES)
    held = st.just(0) if tracked else st.sampled_from([0, 1, 3_333, 10_000])

    def shaped(pane: int, people: int, way: int, tracks: int, ms: int, zone: str) -> Read:
        time = people if tracked else people * ms // CELL_MS
        return Read(pane, name, time, way, tracks, ms, zone)

    return st.builds(shaped, _pane, _people, st.integers(0, 90_000), st.integers(0, 30), held, zones)


READS = st.one_of(
    _read("t"), _read("u", "hall"), _read("c", "yard"), _read("d", "yard"), _read("e", "annex"), _read("f", "yard")
)
HEARD = st.builds(Heard, _pane, st.sampled_from("ttcdef"), st.sampled_from([10_000, 10_000, 5_000, 4_999, 1]))
LOGS = st.lists(
    st.builds(
        Log,
        st.lists(st.one_of(READS, HEARD), max_size=60),
        st.lists(_pane, min_size=1, max_size=PANES, unique=True),
    ),
    min_size=1,
    max_size=3,
)
STEPS = st.lists(st.integers(0, 600_000), max_size=30)


@settings(max_examples=30, deadline=None)
@given(LOGS, STEPS, st.one_of(st.none(), st.integers(0, 420_000)), st.sampled_from([1, 2, 5]), st.randoms())
def test_the_same_however_it_is_cut_and_whatever_comes_first(
    logs: list[Log], steps: list[int], at: int | None, k: int, random: Any
) -> None:
    documents, switched = ([DOCUMENT], []) if at is None else ([DOCUMENT, LATER], [at // 1000 * 1000])
    rule, zones = Rule(k), (*ZONES, "annex")
    once = told(readings(documents, logs, rule, switched=switched), zones)
    shuffled = [Log(random.sample(list(log.told), len(log.told)), log.active) for log in random.sample(logs, len(logs))]
    live = range(0, 440_000, CELL_MS)
    for some in (steps, live):
        again = readings(documents, shuffled, rule, switched=switched, steps=some, restart=True)
        assert told(again, zones) == once
    assert once


@settings(max_examples=30, deadline=None)
@given(LOGS, st.sampled_from([2, 5]))
def test_the_truth_is_in_the_range_and_windows_follow_from_panes(logs: list[Log], k: int) -> None:
    exact = told(readings([DOCUMENT], logs, Rule(1)), ZONES)
    found = told(readings([DOCUMENT], logs, Rule(k)), ZONES)
    assert exact.keys() == found.keys()
    for key, row in found.items():
        truth = exact[key]["low"]
        assert (truth is None) == (row["low"] is None)
        if truth is None:
            assert row["high"] is None and row["speed"] is None and not row["covered"]
            continue
        assert row["low"] - 1e-6 <= truth < row["most"] + 1e-6
        assert row["high"] - row["low"] == pytest.approx(k - 1)
        if key[0] == "10s":
            assert row["low"] % k == 0
    for (window, start, name), row in found.items():
        if window == "1m":
            panes = [found["10s", p, name] for p in range(start, start + 6) if ("10s", p, name) in found]
            # panes in a silence are told with the next record accepted: the minute may have closed by then
            heard = [pane for pane in panes if pane["low"] is not None and pane["line"] <= row["line"]]
            assert row["low"] == (pytest.approx(np.mean([p["low"] for p in heard])) if heard else None)
            assert row["covered"] == sum(pane["covered"] for pane in heard)


@pytest.mark.parametrize("k", [2, 3, 5])
def test_no_pane_tells_a_number_of_people_below_k(k: int) -> None:
    """All ways in which up to k + 2 people stay a pane or half of it, with all that is published of each pane."""
    for reporting, heard in product(("heartbeat", "on_change"), (True, False)):
        document = world(sensor("t", "tracker", reporting=reporting))
        possible: dict[Any, set[float]] = {}
        for whole, half in product(range(k + 3), repeat=2):
            said: list[Read | Heard] = [Heard(0, "t")] * (heard and reporting == "heartbeat")
            if whole + half:
                said.append(Read(0, "t", 10_000 * whole + 5_000 * half, 1_000 * (whole + half), whole + half))
            shown = told(readings([document], [Log(said, active=[0])], Rule(k)))
            possible.setdefault(repr(shown), set()).add(whole + half)
        for people in possible.values():
            assert min(people) >= k or len(people) >= k


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=20), st.integers(2, 100))
def test_people_of_one_class_look_the_same(means: list[float], k: int) -> None:
    low, high = release.readings(np.array(means), k)
    for mean, least, most in zip(means, low.tolist(), high.tolist(), strict=True):
        assert least % k == 0 and most - least == k - 1
        assert least - 1e-6 <= mean < most + 1
        same, _ = release.readings(np.linspace(least, most, 7), k)
        assert set(same.tolist()) == {least}
