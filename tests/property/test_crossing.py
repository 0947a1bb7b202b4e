"""Passages and time in zones are those of the points in order, whatever the order of the log, its cuts and restarts."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from engine.model import CELL_MS, EVERY, NOTHING
from tests.support.walks import BOUND_MS, TRACK_MS, TRACKS, Feed, Place, World

START = 1_770_450_000_000
GRID = st.integers(-6, 6).map(lambda v: v / 4)  # so that places lie on lines, corners and each other
CORNER = st.tuples(GRID, GRID)
STEPS = st.sampled_from([1, 40, 700, 1999, 2000, 2001, 4000, 9000])


@st.composite
def worlds(draw: st.DrawFn) -> World:
    gates = draw(st.lists(st.tuples(CORNER, CORNER).map(lambda ends: (*ends[0], *ends[1])), max_size=4))
    polygons = draw(st.lists(st.lists(CORNER, min_size=3, max_size=6), max_size=3))
    sensors = 3
    served = [
        draw(st.lists(st.integers(NOTHING, len(of) - 1), min_size=sensors, max_size=sensors))
        for of in (gates, polygons)
    ]
    served[0][0] = served[1][0] = EVERY
    waits = draw(st.lists(st.sampled_from([0, 0, 3000]), min_size=sensors, max_size=sensors))
    return World(gates, polygons, *served, waits)


@st.composite
def walks(draw: st.DrawFn) -> list[Place]:
    out = {}
    for _ in range(draw(st.integers(0, 5))):
        sensor, track = draw(st.integers(0, 2)), draw(st.sampled_from([-(2**63), 0, 1, 2**63 - 1]))
        ts = START + draw(st.integers(0, 30_000))
        for step, (x, y) in draw(st.lists(st.tuples(STEPS, CORNER), max_size=12)):
            ts += step
            out[sensor, ts, track] = Place(sensor, ts, track, x, y)
    return list(out.values())


@st.composite
def logs(draw: st.DrawFn, points: list[Any]) -> list[Any]:
    """The records, some twice, each at most the bound behind the newest one before it."""
    lags = st.sampled_from([0, 0, 1, 2500, BOUND_MS])
    told = [(point.ts + draw(lags), draw(st.integers(0, 99)), point) for point in points]
    told += [
        (point.ts + draw(lags), draw(st.integers(0, 99)), point) for point in points if draw(st.integers(0, 5)) == 0
    ]
    return [point for *_, point in sorted(told, key=lambda each: each[:2])]


def side(line: tuple[Fraction, ...], x: Fraction, y: Fraction) -> Fraction:
    x0, y0, x1, y1 = line
    return (x1 - x0) * (y - y0) - (y1 - y0) * (x - x0)


def passage(line: tuple[Fraction, ...], a: Place, b: Place) -> tuple[int, int] | None:
    """When a move meets a gate and which way, from the place where it meets the gate's line.

    A gate holds one of its ends: of a move to greater x (or up) and back alike, the one further to its right hand.
    """
    ax, ay, bx, by = (Fraction(v) for v in (a.x, a.y, b.x, b.y))
    of_a, of_b = side(line, ax, ay), side(line, bx, by)
    if (of_a > 0) == (of_b > 0):
        return None
    along = of_a / (of_a - of_b)
    met = (ax + along * (bx - ax), ay + along * (by - ay))
    way = (bx - ax, by - ay) if (bx, by) > (ax, ay) else (ax - bx, ay - by)

    def height(place: tuple[Fraction, Fraction]) -> Fraction:
        return way[0] * place[1] - way[1] * place[0]

    low, high = sorted((height(line[:2]), height(line[2:])))
    if not low <= height(met) < high:
        return None
    return int((a.ts + along * (b.ts - a.ts)) // 1), 0 if of_a > 0 else 1


def holds(polygon: list[tuple[float, float]], x: float, y: float) -> bool:
    """A place moved a trace to the right, and by far less up, is in the polygon: a ray straight up from it."""
    px, py = Fraction(x) + Fraction(1, 10**6), Fraction(y) + Fraction(1, 10**15)
    above = 0
    for (x0, y0), (x1, y1) in zip(polygon, polygon[1:] + polygon[:1], strict=True):
        if (x0 > px) != (x1 > px):
            at = Fraction(y0) + (px - Fraction(x0)) * (Fraction(y1) - Fraction(y0)) / (Fraction(x1) - Fraction(x0))
            above += at > py
    return above % 2 == 1


def truth(world: World, points: list[Place]) -> tuple[list[list[int]], dict[tuple[int, int, int], list[int]]]:
    """Passages and zones, worked out from all points in order."""
    passages, zones, seen = [], {}, set()
    lines = [tuple(Fraction(v) for v in gate) for gate in world.gates]
    ordered = sorted(points)
    ordered.sort(key=lambda p: (p.sensor, p.track, p.ts))
    person = 0  # a track that was forgotten is another person
    for a, b in itertools.pairwise(ordered):
        if (a.sensor, a.track) != (b.sensor, b.track) or b.ts - a.ts > TRACK_MS:
            person += 1
            continue
        s = a.sensor
        for gate, line in enumerate(lines):
            found = passage(line, a, b)
            if found is not None and world.sensor_gate[s] in (EVERY, gate):
                passages.append([found[0], s, gate, found[1]])
        path = int(((b.x - a.x) ** 2 + (b.y - a.y) ** 2) ** 0.5 * 1_000_000)
        for zone, polygon in enumerate(world.polygons):
            if world.sensor_zone[s] not in (EVERY, zone) or not holds(polygon, a.x, a.y):
                continue
            for pane in range(a.ts // CELL_MS * CELL_MS, b.ts, CELL_MS):
                start, end = max(a.ts, pane), min(b.ts, pane + CELL_MS)
                sums = zones.setdefault((pane, s, zone), [0, 0, 0])
                sums[0] += end - start
                share = [Fraction(path * (at - a.ts), b.ts - a.ts) // 1 for at in (start, end)]
                sums[1] += share[1] - share[0]
                sums[2] += (person, pane, s, zone) not in seen
                seen.add((person, pane, s, zone))
    return sorted(passages), zones


def headings(world: World, points: list[Place]) -> list[list[int]]:
    """Of each person and zone: from the first place inside to the first one outside behind it, or the last one."""
    people: list[list[Place]] = []
    for point in sorted(points, key=lambda p: (p.sensor, p.track, p.ts)):
        before = people[-1][-1] if people else None
        same = before is not None and (before.sensor, before.track) == (point.sensor, point.track)
        if before is not None and same and point.ts - before.ts <= TRACK_MS:
            people[-1].append(point)
        else:
            people.append([point])
    out = []
    for walk in people:
        for zone, polygon in enumerate(world.polygons):
            if world.sensor_zone[walk[0].sensor] not in (EVERY, zone):
                continue
            at = [holds(polygon, p.x, p.y) for p in walk]
            if True in at:
                first = at.index(True)
                last = at.index(False, first) if False in at[first:] else len(walk) - 1
                dx, dy = walk[last].x - walk[first].x, walk[last].y - walk[first].y
                if dx or dy:
                    way = round(math.degrees(math.atan2(dx, dy)) / 45) % 8
                    out.append([walk[last].ts, walk[0].sensor, zone, way])
    return sorted(out)


@given(st.data())
def test_any_order_within_the_bound_gives_the_truth(data: st.DataObject) -> None:
    world, points = data.draw(worlds()), data.draw(walks())
    want = truth(world, points)
    for name in TRACKS:
        feed = Feed(TRACKS[name](TRACK_MS), world.plan())
        log = data.draw(logs(points))
        while log:
            cut, before = data.draw(st.integers(1, 30)), feed.watermark
            told = len(feed.passages), len(feed.headings)
            feed.take(log[:cut])
            log = log[cut:]
            fresh = feed.passages[told[0] :] + feed.headings[told[1] :]
            assert all(feed.closes(row) > before for row in fresh), "told after its pane had closed"
            if data.draw(st.booleans()):  # a restart; the other way reads what this one wrote
                name = data.draw(st.sampled_from(list(TRACKS)))
                feed.kernel = TRACKS[name](TRACK_MS, feed.kernel.state())
        assert feed.finish() == want
        assert sorted(feed.headings) == headings(world, points)
        assert feed.reasons.count("") == len(points)
        assert set(feed.reasons) <= {"", "duplicate"}


@given(st.data())
def test_both_ways_take_any_log(data: st.DataObject) -> None:
    """Records out of the bound too: what is late and what repeats does not depend on the way, the cuts or restarts."""
    world, points = data.draw(worlds()), data.draw(walks())
    log = data.draw(
        st.permutations(points + data.draw(st.lists(st.sampled_from(points), max_size=5)) if points else [])
    )
    ends = []
    for name in TRACKS:
        feed, left = Feed(TRACKS[name](TRACK_MS), world.plan()), list(log)
        while left:
            cut = data.draw(st.integers(1, 30))
            feed.take(left[:cut])
            left = left[cut:]
            feed.kernel = TRACKS[name](TRACK_MS, feed.kernel.state())
        ends.append((feed.finish(), feed.reasons, sorted(feed.headings)))
    assert ends[0] == ends[1]
    kept = [point for point, reason in zip(log, ends[0][1], strict=True) if not reason]
    assert ends[0][0] == truth(world, kept)
    assert ends[0][2] == headings(world, kept)


def passages_of(gates: list[Any], walk: list[tuple[float, float]]) -> list[list[int]]:
    """Passages (ms, gate, direction) of one person's walk."""
    points = [Place(0, START + 100 * i, 1, x, y) for i, (x, y) in enumerate(walk)]
    feed = Feed(TRACKS["compiled"](TRACK_MS), World(gates, [], [EVERY], [NOTHING], [0]).plan())
    feed.take(points)
    return [[ms, gate, direction] for ms, _, gate, direction in feed.finish()[0]]


@given(st.data())
def test_pieces_of_a_line_count_a_passage_once(data: st.DataObject) -> None:
    """Gates that abut, on slanted lines too and in any direction: each passage of the whole line passes one piece."""
    slope = data.draw(st.sampled_from([0, 1, -1, 3]))
    cuts = sorted(data.draw(st.lists(GRID, min_size=2, max_size=6, unique=True)))
    walk = data.draw(st.lists(CORNER, min_size=2, max_size=20))
    turned = [False] * len(cuts)
    if all(y != slope * x for x, y in walk):  # a place on the line is on side b: of one that is turned, the other one
        turned = data.draw(st.lists(st.booleans(), min_size=len(cuts), max_size=len(cuts)))
    ends = [(x, slope * x) for x in cuts]
    pieces = [(*b, *a) if back else (*a, *b) for a, b, back in zip(ends, ends[1:], turned, strict=False)]
    whole = [[ms, direction] for ms, _, direction in passages_of([(*ends[0], *ends[-1])], walk)]
    assert whole == sorted([ms, 1 - way if turned[gate] else way] for ms, gate, way in passages_of(pieces, walk))


@given(st.data())
def test_gates_around_a_zone_tell_whether_one_is_inside(data: st.DataObject) -> None:
    """Each passage of an edge leads in or out, also where a move leads through a corner or along an edge."""
    corners = data.draw(st.lists(CORNER, min_size=3, max_size=6, unique=True))
    around = [(*a, *b) for a, b in zip(corners, corners[1:] + corners[:1], strict=True)]
    on_no_line = CORNER.filter(lambda place: all(side(edge, *place) for edge in around))
    walk = data.draw(st.lists(on_no_line, min_size=1, max_size=20))
    assert len(passages_of(around, walk)) % 2 == (holds(corners, *walk[0]) != holds(corners, *walk[-1]))


@given(CORNER, CORNER, CORNER, CORNER)
def test_who_comes_and_goes_the_same_way_passes_as_often_back(a: Any, b: Any, start: Any, end: Any) -> None:
    """Also who touches an end of the gate, or stands on its line."""
    ways = [direction for *_, direction in passages_of([(*start, *end)], [a, b, a])]
    assert ways in ([], [0, 1], [1, 0])


@given(
    st.lists(GRID, min_size=3, max_size=5, unique=True), st.lists(GRID, min_size=3, max_size=5, unique=True), st.data()
)
def test_zones_that_tile_a_floor_hold_each_place_once(xs: list[float], ys: list[float], data: st.DataObject) -> None:
    xs, ys = sorted(xs), sorted(ys)
    tiles = []
    for x0, x1 in itertools.pairwise(xs):
        for y0, y1 in itertools.pairwise(ys):
            square = [(x0, y0), (x1, y0), (x1, y1), (x0, y1)]
            i, j = data.draw(st.sampled_from([(0, 2), (1, 3)]))  # each square cut along one diagonal
            halves = [square[i : j + 1], square[j:] + square[: i + 1]]
            tiles += [half if data.draw(st.booleans()) else half[::-1] for half in halves]
    walk = data.draw(st.lists(CORNER, min_size=2, max_size=20))
    points = [Place(0, START + 100 * i, 1, x, y) for i, (x, y) in enumerate(walk)]
    feed = Feed(TRACKS["compiled"](TRACK_MS), World([], tiles, [NOTHING], [EVERY], [0]).plan())
    feed.take(points)
    _, zones = feed.finish()
    on_floor = sum(xs[0] <= x < xs[-1] and ys[0] <= y < ys[-1] for x, y in walk[:-1])
    assert sum(people_ms for people_ms, *_ in zones.values()) == 100 * on_floor
