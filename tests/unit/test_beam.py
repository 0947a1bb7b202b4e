"""Pairing of beams, case by case: times of starts of a and b → passages; on the compiled kernel and on its twin."""

from __future__ import annotations

import pytest

from tests.support.walks import BEAMS, PAIR_MS, Broken, Feed, World

AB, BA, UNKNOWN = 0, 1, 2
OF = World([], [], [0], [-2], [0]).plan()[:2]


@pytest.mark.parametrize(
    ("a", "b", "passages"),
    [
        ([0], [300], [[150, AB]]),
        ([301], [0], [[150, BA]]),  # halfway, rounded down
        ([0], [], [[0, UNKNOWN]]),
        ([], [7], [[7, UNKNOWN]]),
        ([0], [1500], [[750, AB]]),
        ([0], [1501], [[0, UNKNOWN], [1501, UNKNOWN]]),
        ([100], [100], [[100, UNKNOWN]]),  # one person, nobody knows which way
        ([0, 200], [300, 500], [[150, AB], [350, AB]]),  # one behind the other: first come, first paired
        ([0, 700], [200, 500], [[100, AB], [600, BA]]),  # two who meet
        ([0, 200, 400], [300], [[150, AB], [200, UNKNOWN], [400, UNKNOWN]]),
        ([0, 1400], [1600], [[0, UNKNOWN], [1500, AB]]),  # the first one has waited too long
    ],
)
@pytest.mark.parametrize("name", BEAMS)
def test_pairs(name: str, a: list[int], b: list[int], passages: list[list[int]]) -> None:
    starts = sorted(
        [Broken(0, ts, None, beam) for beam, times in enumerate((a, b)) for ts in times], key=lambda s: s.ts
    )
    feed = Feed(BEAMS[name](PAIR_MS), OF, longest_ms=PAIR_MS)
    feed.take(starts)
    assert [[ms, way] for ms, _, _, way in feed.finish()[0]] == passages


@pytest.mark.parametrize("name", BEAMS)
def test_a_beam_let_free_starts_nothing_but_may_repeat(name: str) -> None:
    feed = Feed(BEAMS[name](PAIR_MS), OF, longest_ms=PAIR_MS)
    feed.take([Broken(0, 0, 1, 0), Broken(0, 100, 2, -1), Broken(0, 100, 2, 1), Broken(0, 200, 2, 1)])
    assert feed.reasons == ["", "", "duplicate", ""]
    assert feed.finish()[0] == [[100, 0, 0, AB]]


@pytest.mark.parametrize("name", BEAMS)
def test_a_start_alone_is_told_when_none_can_join_it(name: str) -> None:
    feed = Feed(BEAMS[name](PAIR_MS), OF, bound_ms=0, longest_ms=PAIR_MS)
    feed.take([Broken(0, 0, None, 0)])
    feed.work_off(PAIR_MS)
    assert feed.passages == []
    feed.work_off(PAIR_MS + 1)
    assert feed.passages == [[0, 0, 0, UNKNOWN]]
    assert feed.kernel.state() == b""


@pytest.mark.parametrize("name", BEAMS)
def test_late_records_and_repeats_change_nothing(name: str) -> None:
    feed = Feed(BEAMS[name](PAIR_MS), OF, bound_ms=0, longest_ms=PAIR_MS)
    feed.take([Broken(0, 0, 1, 0), Broken(0, 300, 2, 1), Broken(0, 299, 3, 0), Broken(0, 299, 3, 0)])
    feed.take([Broken(0, 299, None, 0), Broken(0, 300, 2, 0), Broken(0, 300, None, 0), Broken(0, 300, None, 0)])
    assert feed.reasons == ["", "", "late", "late", "late", "duplicate", "", ""]
    # both a of 300 come before b of 300 in their order, but b joins the one that waits since 0
    assert [[ms, way] for ms, _, _, way in feed.finish()[0]] == [[150, AB], [300, UNKNOWN], [300, UNKNOWN]]
