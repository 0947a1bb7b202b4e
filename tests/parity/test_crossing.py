"""engine.crossing and engine.fast._crossing keep the same tracks, on places of any kind, refuse the same columns."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.model import END, EVERY, FAR_M, NO_TIME, UM
from engine.tracks import renamed, unpack
from tests.support.walks import TRACK_MS, TRACKS, Feed, Place, World, rows_of

START = -30_000  # times before 1970 too
FAR = st.floats(-FAR_M, FAR_M)
NEAR = st.floats(-3, 3)


@given(st.sampled_from([FAR, NEAR]), st.data())
def test_both_keep_the_same(coordinate: st.SearchStrategy[float], data: st.DataObject) -> None:
    place = st.tuples(coordinate, coordinate)
    gates = data.draw(st.lists(st.tuples(*[coordinate] * 4), max_size=5))
    polygons = data.draw(st.lists(st.lists(place, min_size=3, max_size=8), max_size=4))
    world = World(gates, polygons, [EVERY] * 2, [EVERY] * 2, [0, 250])
    walks = data.draw(st.lists(st.lists(place, max_size=30), max_size=4))
    points = [
        Place(track % 2, START + 40 * i + track, track, x, y)
        for track, walk in enumerate(walks)
        for i, (x, y) in enumerate(walk)
    ]
    log = data.draw(st.permutations(points))
    one, two = (Feed(kind(TRACK_MS), world.plan()) for kind in TRACKS.values())
    while log:
        cut = data.draw(st.integers(1, 40))
        for feed in (one, two):
            feed.take(log[:cut])
        log = log[cut:]
        assert sorted(one.passages) == sorted(two.passages)
        states = [feed.kernel.state() for feed in (one, two)]
        tracks = [sorted(unpack(state[0]), key=lambda track: (track.sensor, track.id)) for state in states]
        assert tracks[0] == tracks[1]
        assert sorted(rows_of(states[0][1], 7)) == sorted(rows_of(states[1][1], 7))
    assert one.finish() == two.finish()
    assert sorted(one.headings) == sorted(two.headings)
    assert one.reasons == two.reasons


def columns(points: list[Place]) -> list[Any]:
    kinds = (np.int32, np.int64, np.int64, np.float64, np.float64)
    given = [np.array([p[i] for p in points], kinds[i]) for i in range(5)]
    return [np.arange(len(points), dtype=np.int64), *given, np.zeros(len(points), np.uint8)]


POINTS = [Place(0, 1_000 * i, 7, i / 2, 0.25) for i in range(4)]
PLAN = World([(0.75, -1, 0.75, 1)], [[(0, 0), (1, 0), (1, 1)]], [EVERY], [EVERY], [0]).plan()


@pytest.mark.parametrize("name", TRACKS)
@pytest.mark.parametrize(
    ("column", "to", "why"),
    [
        (0, lambda c: c - 1, "no such row"),
        (0, lambda c: c + 1, "no such row"),
        (1, lambda c: c - 1, "a row without sensor"),
        (2, lambda c: c[1:].copy(), "columns differ in length"),
        (3, lambda c: c[1:].copy(), "columns differ in length"),
        (4, lambda c: c * np.nan, "a point too far off"),
        (4, lambda c: c + FAR_M, "a point too far off"),
        (5, lambda c: c - FAR_M - 1, "a point too far off"),
        (5, lambda c: c[1:].copy(), "columns differ in length"),
        (6, lambda c: c[1:].copy(), "columns differ in length"),
    ],
)
def test_bad_points_are_refused(name: str, column: int, to: Any, why: str) -> None:
    tracks, given = TRACKS[name](TRACK_MS), columns(POINTS)
    tracks.add(*given)
    given[column] = to(given[column])
    with pytest.raises(ValueError, match=why):
        tracks.add(*given)
    if column < 4:
        with pytest.raises(ValueError, match=why):
            tracks.drop(*given[:4])


@pytest.mark.parametrize("name", TRACKS)
@pytest.mark.parametrize(
    ("column", "to", "why"),
    [
        (0, lambda c: c[1:].copy(), "columns differ in length"),
        (1, lambda c: np.append(c, c), "columns differ in length"),
        (1, lambda c: c + 2, "no such gate or zone row"),
        (2, lambda c: c + 2, "no such gate or zone row"),
        (3, lambda c: c[:, 1:].copy(), "columns differ in length"),
        (3, lambda c: c + FAR_M * UM, "a line or corner too far off"),
        (3, lambda c: c[1:].copy(), None),  # no gate: EVERY of none
        (4, lambda c: c[:-1].copy(), "columns differ in length"),
        (4, lambda c: c[:0].copy(), "columns differ in length"),
        (4, lambda c: c + 1, "columns differ in length"),
        (4, lambda c: np.array([0, 4, 3], np.int32), "columns differ in length"),
        (5, lambda c: c[1:].copy(), "columns differ in length"),
        (5, lambda c: c[:, :1].copy(), "columns differ in length"),
        (5, lambda c: c - FAR_M * UM - 1, "a line or corner too far off"),
    ],
)
def test_a_bad_plan_is_refused(name: str, column: int, to: Any, why: str | None) -> None:
    tracks, plan = TRACKS[name](TRACK_MS), list(PLAN)
    tracks.add(*columns(POINTS))
    plan[column] = to(plan[column])
    if why is None:
        assert tracks.settle(END, *plan) == b""
        return
    with pytest.raises(ValueError, match=why):
        tracks.settle(END, *plan)


@pytest.mark.parametrize("name", TRACKS)
def test_a_sensor_behind_the_plan_is_refused(name: str) -> None:
    tracks = TRACKS[name](TRACK_MS)
    tracks.add(*columns([point._replace(sensor=1) for point in POINTS]))
    with pytest.raises(ValueError, match="no such sensor row"):
        tracks.settle(NO_TIME, *PLAN)


@pytest.mark.parametrize("name", TRACKS)
def test_a_state_that_ends_early_is_refused(name: str) -> None:
    tracks = TRACKS[name](TRACK_MS)
    tracks.add(*columns([*POINTS, *(point._replace(track=9) for point in POINTS)]))
    tracks.settle(2_500, *PLAN)
    packed, zones = tracks.state()
    assert [[stay.entry is not None for stay in track.stays.values()] for track in unpack(packed)] == [[True], [True]]
    TRACKS[name](TRACK_MS, (packed, zones))
    for cut in range(1, len(packed)):
        if cut != len(packed) // 2:  # there the first track ends
            with pytest.raises(ValueError, match="end early"):
                TRACKS[name](TRACK_MS, (packed[:cut], zones))


@pytest.mark.parametrize("name", TRACKS)
def test_a_sensor_that_moved_goes_on_under_its_new_row(name: str) -> None:
    tracks = TRACKS[name](TRACK_MS)
    tracks.add(*columns(POINTS))
    packed, zones = tracks.state()
    tracks = TRACKS[name](TRACK_MS, (renamed(packed, {0: 1}), zones))
    again = columns([point._replace(sensor=1) for point in POINTS])
    tracks.add(*again)
    assert again[-1].tolist() == [1] * len(POINTS)
    of_two = [np.append(PLAN[0], PLAN[0]), np.array([-2, 0], np.int32), np.array([-2, 0], np.int32), *PLAN[3:]]
    assert rows_of(tracks.settle(END, *of_two), 4) == [[1500, 1, 0, 0]]
