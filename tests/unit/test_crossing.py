"""Passages and time in zones, case by case; on the compiled kernel and on its twin."""

from __future__ import annotations

import pytest

from engine.model import END, EVERY, NOTHING
from tests.support.walks import TRACK_MS, TRACKS, Feed, Place, World

UP = (0, 0, 0, 4)  # side a, left of it, is where x < 0
AB, BA = 0, 1


WORLD = World([UP], [[(0, 0), (4, 0), (4, 4), (0, 4)]], [EVERY], [EVERY], [0])


@pytest.fixture(params=TRACKS)
def feed(request: pytest.FixtureRequest) -> Feed:
    """One gate, and a square zone on its side b; one sensor serves both."""
    return Feed(TRACKS[request.param](TRACK_MS), WORLD.plan(), bound_ms=0)


@pytest.fixture(params=TRACKS)
def slow(request: pytest.FixtureRequest) -> Feed:
    """The same, worked off by hand: its watermark stays far behind."""
    return Feed(TRACKS[request.param](TRACK_MS), WORLD.plan(), bound_ms=100_000)


def walk(*places: tuple[int, float, float], track: int = 1) -> list[Place]:
    return [Place(0, ts, track, x, y) for ts, x, y in places]


@pytest.mark.parametrize(
    ("b", "found"),
    [
        ((1000, 1, 1), [500, AB]),
        ((1000, 0, 1), [1000, AB]),  # on the line is not left: it has passed
        ((999, 1, 1), [499, AB]),  # 499.5, rounded down
        ((1000, 3, 1), [250, AB]),
        ((TRACK_MS, 1, 1), [1000, AB]),
        ((TRACK_MS + 1, 1, 1), None),  # forgotten: another person
        ((1000, -0.5, 1), None),
        ((1000, 1, 9), None),  # past its end: the line is met at y = 5
        ((1000, 1, 7), None),  # at y = 4: that end is not the gate's
        ((1000, 1, 6.9), [500, AB]),
        ((1000, 1, -1), [500, AB]),  # at y = 0: this end is
        ((1000, 1, -1.1), None),
    ],
)
def test_a_move_from_the_left(feed: Feed, b: tuple[int, float, float], found: list[int] | None) -> None:
    feed.take(walk((0, -1, 1), b))
    passages, _ = feed.finish()
    assert [[ms, way] for ms, _, _, way in passages] == ([] if found is None else [found])


def test_the_way_back_and_along_the_line(feed: Feed) -> None:
    feed.take(walk((0, 1, 1), (100, -1, 1), (200, 0, 2), (300, 0, 3), (400, 0, 5), (500, -1, 5), (600, -1, 1)))
    passages, _ = feed.finish()
    assert [[ms, way] for ms, _, _, way in passages] == [[50, BA], [200, AB]]  # it came back round the end


def test_who_stands_on_the_line_and_turns_round_passes_there_and_back(feed: Feed) -> None:
    feed.take(walk((0, -1, 1), (100, 0, 1), (900, 0, 1), (1000, -1, 1)))
    assert [[ms, way] for ms, _, _, way in feed.finish()[0]] == [[100, AB], [900, BA]]


def test_two_tracks_are_two_people(feed: Feed) -> None:
    feed.take([*walk((0, -1, 1)), *walk((100, 1, 1), track=2)])
    assert feed.finish()[0] == []


def test_time_path_and_tracks_of_a_zone(feed: Feed) -> None:
    """Pane by pane, from each point inside to the next one, wherever that lies; nothing after the last one."""
    feed.take(walk((8_000, -1, 1), (9_000, 1, 1), (10_500, 1, 4), (12_000, 9, 9)))
    feed.take(walk((14_500, 2, 2), (14_600, 2, 2.5), track=2))
    passages, zones = feed.finish()
    assert passages == [[8_500, 0, 0, AB]]
    # from 9,000 on (1, 1) is the place; (1, 4) lies on the upper edge, which is outside
    assert zones == {(0, 0, 0): [1000, 2_000_000, 1], (10_000, 0, 0): [500 + 100, 1_000_000 + 500_000, 2]}


def test_a_track_counts_once_a_pane_and_anew_when_it_was_forgotten(feed: Feed) -> None:
    feed.take(walk((0, 1, 1), (500, -1, 1), (1_000, 1, 1), (1_500, 1, 1)))  # out and in again
    feed.take(walk((5_000, 1, 1), (5_500, 1, 1)))
    assert feed.finish()[1] == {(0, 0, 0): [500 + 500 + 500, 2_000_000, 2]}


def test_nothing_is_told_before_the_watermark_has_passed_it() -> None:
    for kind in TRACKS.values():
        feed = Feed(kind(TRACK_MS), World([UP], [], [EVERY], [NOTHING], [300]).plan(), bound_ms=0)
        feed.take(walk((0, -1, 1), (1_000, 1, 1)))
        feed.work_off(1_300)
        assert feed.passages == []  # a point of 1,000 may still come while W is 1,300: the sensor may take 300 longer
        feed.work_off(1_301)
        assert feed.passages == [[500, 0, 0, AB]]


def test_a_sensor_serves_its_own_gate_and_zone_only() -> None:
    square = [(-2, 0), (2, 0), (2, 2), (-2, 2)]
    for kind in TRACKS.values():
        world = World([UP, UP], [square, square], [0, NOTHING, EVERY], [NOTHING, 1, EVERY], [0, 0, 0])
        feed = Feed(kind(TRACK_MS), world.plan(), bound_ms=0)
        feed.take([Place(s, ts, 1, x, 1) for ts, x in ((0, -1), (1_000, 1)) for s in range(3)])
        passages, zones = feed.finish()
        assert [[s, gate] for _, s, gate, _ in passages] == [[0, 0], [2, 0], [2, 1]]
        assert sorted((s, zone) for _, s, zone in zones) == [(1, 1), (2, 0), (2, 1)]


@pytest.mark.parametrize(
    ("dx", "dy", "sector"),
    [
        (0, 1, 0), (0.41, 1, 0), (0.42, 1, 1), (1, 1, 1), (1, 0.42, 1), (1, 0.41, 2), (1, 0, 2), (1, -0.41, 2),
        (1, -0.42, 3), (0.42, -1, 3), (0, -1, 4), (-1, -1, 5), (-1, 0, 6), (-1, 1, 7), (-0.42, 1, 7), (-0.41, 1, 0),
        (0, 0, None),
    ],
)  # fmt: skip
def test_sectors(feed: Feed, dx: float, dy: float, sector: int | None) -> None:
    feed.take(walk((0, 2, 2), (500, 3, 3), (1_000, 2 + dx, 2 + dy)))
    feed.finish()
    assert feed.headings == ([] if sector is None else [[1_000, 0, 0, sector]])


def test_a_track_has_one_heading_a_zone_at_the_end_of_its_first_stay(slow: Feed) -> None:
    slow.take(
        walk((0, -1, 1), (500, 1, 1), (1_000, 3, 1.5), (1_500, 5, 1), (2_000, 1, 1), (2_500, 1, 3), (3_000, 1, 5))
    )
    slow.work_off(1_501)
    assert slow.headings == []  # where it goes on from outside nobody knows yet
    slow.work_off(2_001)
    assert slow.headings == [[1_500, 0, 0, 2]]
    slow.finish()
    assert len(slow.headings) == 1


def test_a_track_that_is_forgotten_ends_where_it_was_seen_last(slow: Feed) -> None:
    slow.take(walk((0, 1, 3), (1_000, 1, 1), (1_000 + TRACK_MS + 1, 1, 3), (4_000, 1, 3.5)))
    slow.work_off(1_000 + TRACK_MS)
    assert slow.headings == []  # a point of this time may still come and follow on
    slow.work_off(1_001 + TRACK_MS)
    assert slow.headings == [[1_000, 0, 0, 4]]
    slow.work_off(4_000 + TRACK_MS)
    assert len(slow.headings) == 1
    slow.work_off(4_001 + TRACK_MS)
    assert slow.headings[1:] == [[4_000, 0, 0, 0]]
    assert slow.kernel.state()[0] == b""


def test_late_points_and_repeats_change_nothing(feed: Feed) -> None:
    feed.take(walk((0, -1, 1), (1_000, 1, 1)))
    feed.take(walk((999, -1, 1), (1_000, 7, 7), (1_500, 1, 1), (1_500, -1, 1)))
    assert feed.reasons == ["", "", "late", "duplicate", "", "duplicate"]
    feed.take(walk((1_400, -1, 1), (1_500, -1, 1), (3_000, 1, 1)))
    assert feed.reasons[6:] == ["late", "duplicate", ""]
    assert feed.finish()[0] == [[500, 0, 0, AB]]


def test_a_point_that_becomes_late_within_its_batch_is_taken_out(feed: Feed) -> None:
    feed.take(walk((0, -1, 1), (1_000, 1, 1), (900, -1, 3), (900, -1, 3)))
    assert feed.reasons == ["", "", "late", "late"]
    assert feed.finish() == ([[500, 0, 0, AB]], {})


def test_what_is_forgotten_takes_no_room(feed: Feed) -> None:
    feed.take(walk((0, -1, 1), track=1))
    feed.take(walk((2_000, -1, 1), track=2))
    feed.work_off(2_001)
    assert len(feed.kernel.state()[0]) > 0
    empty = type(feed.kernel)(TRACK_MS).state()[0]
    feed.work_off(END)
    assert feed.kernel.state()[0] == empty == b""


def test_a_leap_adds_no_more_than_a_kilometre(feed: Feed) -> None:
    feed.take(walk((0, 1, 1), (1_000, 1_000_000, -1_000_000)))
    assert feed.finish()[1] == {(0, 0, 0): [1000, 1_000_000_000, 1]}


def test_places_are_kept_to_the_micrometre(feed: Feed) -> None:
    """0.1 + 0.2 lies on the line x = 0.3, and what is less than half a micrometre beside it too."""
    for x, passed in ((0.1 + 0.2, True), (0.3 - 4e-7, True), (0.3 - 6e-7, False)):
        for kind in TRACKS.values():
            of = Feed(kind(TRACK_MS), World([(0.3, 0, 0.3, 1)], [], [EVERY], [EVERY], [0]).plan())
            of.take(walk((0, 0, 0.5), (100, x, 0.5)))
            assert bool(of.finish()[0]) is passed
