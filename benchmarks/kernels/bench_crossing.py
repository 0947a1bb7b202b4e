"""Tracked points at 25 Hz past four gates and through four zones: the kernel, its twin on fewer, and numpy at once."""

import itertools
from functools import partial

import numpy as np
import pytest

from engine.model import CELL_MS, END, EVERY, UM
from tests.support.walks import TRACK_MS, TRACKS, World, rows_of

START, BOUND_MS, STEP_MS, SIDE_M = 1_770_450_000_000, 5_000, 40, 40
# a square of 40 m: gates through its middle, end to end, and a zone in each quarter, one of eight corners
WORLD = World(
    [(-20, 0, 0, 0), (0, 0, 20, 0), (0, -20, 0, 0), (0, 0, 0, 20)],
    [
        [(0, 0), (18, 0), (18, 18), (0, 18)],
        [(-18, 0), (0, 0), (0, 18), (-18, 18)],
        [(-18, -18), (0, -18), (0, 0), (-18, 0)],
        [(0, -14), (4, -18), (14, -18), (18, -14), (18, -4), (14, 0), (4, 0), (0, -4)],
    ],
    [EVERY],
    [EVERY],
    [0],
)


def walks(tracks: int, steps: int) -> tuple[np.ndarray, ...]:
    """ts, track, x, y in the order of time: people who wander at 1.3 m/s inside the square, seen every 40 ms."""
    rng = np.random.default_rng(1)
    heading = rng.uniform(0, 2 * np.pi, tracks) + np.cumsum(rng.normal(0, 0.05, (steps, tracks)), axis=0)
    start = rng.uniform(0, 4 * SIDE_M, (2, 1, tracks))
    way = start + 0.052 * np.cumsum(np.stack([np.cos(heading), np.sin(heading)]), axis=1)
    x, y = np.round(np.abs(way % (2 * SIDE_M) - SIDE_M) - SIDE_M / 2, 3)  # walls turn them back
    ts = START + STEP_MS * np.arange(steps)[:, None] + np.arange(tracks) % STEP_MS
    track = np.broadcast_to(np.arange(tracks, dtype=np.int64), ts.shape)
    order = np.argsort(ts, axis=None, kind="stable")
    return tuple(np.ascontiguousarray(column.ravel()[order]) for column in (ts, track, x, y))


def crossing(name: str, ts, track, x, y):
    """Passages and zones of a kernel, in batches as a live run has them."""
    tracks, passages, zones = TRACKS[name](TRACK_MS), [], []
    sensor, repeat, plan = np.zeros(20_000, np.int32), np.zeros(20_000, np.uint8), WORLD.plan()
    for first in range(0, len(ts), 20_000):
        batch = [column[first : first + 20_000] for column in (ts, track, x, y)]
        m = len(batch[0])
        tracks.add(np.arange(m), sensor[:m], *batch, repeat[:m])
        watermark = int(batch[0][-1]) - BOUND_MS
        passages.append(tracks.settle(watermark, *plan))
        zones.append(tracks.take(watermark))
    passages.append(tracks.settle(END, *plan))
    zones.append(tracks.take(END))
    assert not repeat.any()
    return told(rows_of(b"".join(passages), 4), rows_of(b"".join(zones), 7))


def told(passages, zones):
    """Passages (ms, gate, direction) in order; by pane and zone people_ms, path_um, tracks."""
    return sorted([ms, gate, way] for ms, _, gate, way in passages), {(z[0], z[3]): z[4:] for z in zones}


def area(line, x, y):
    x0, y0, x1, y1 = line
    return (x1 - x0) * (y - y0) - (y1 - y0) * (x - x0)


def numpy_crossing(ts, track, x, y):
    """The same of a whole log at once: no batches, no bound, nothing that repeats, moves of one pane each."""
    order = np.lexsort((ts, track))
    ts, track, x, y = ts[order], track[order], *(np.rint(c[order] * UM).astype(np.int64) for c in (x, y))
    whole = np.flatnonzero((np.diff(track) == 0) & (np.diff(ts) <= TRACK_MS))
    ta, tb, xa, xb, ya, yb = ts[whole], ts[whole + 1], x[whole], x[whole + 1], y[whole], y[whole + 1]
    _, *_, lines, corner_at, corners = WORLD.plan()
    passages = []
    for gate, line in enumerate(lines):
        a, b = area(line, xa, ya), area(line, xb, yb)
        at = np.flatnonzero((a > 0) != (b > 0))
        way = (xb[at] > xa[at]) | ((xb[at] == xa[at]) & (yb[at] > ya[at]))
        move = [np.where(way, p[at], q[at]) for p, q in ((xa, xb), (ya, yb), (xb, xa), (yb, ya))]
        at = at[(area(move, *line[:2]) > 0) != (area(move, *line[2:]) > 0)]
        after = (tb[at] - ta[at]) * np.abs(a[at]) // (np.abs(a[at]) + np.abs(b[at]))
        passages += np.column_stack([ta[at] + after, 0 * at, 0 * at + gate, a[at] <= 0]).tolist()
    zones = []
    cut = ta // CELL_MS * CELL_MS + CELL_MS
    path = np.sqrt((xb - xa) ** 2 + (yb - ya) ** 2).astype(np.int64)
    for zone, (first, end) in enumerate(itertools.pairwise(corner_at)):
        odd = np.zeros(len(ta), bool)
        for (x0, y0), (x1, y1) in zip(corners[first:end], np.roll(corners[first:end], 1, axis=0), strict=False):
            low, high = ((x0, y0), (x1, y1)) if y0 < y1 else ((x1, y1), (x0, y0))
            odd ^= (low[1] <= ya) & (ya < high[1]) & (area((*low, *high), xa, ya) > 0)
        at = np.flatnonzero(odd)
        ms, own = tb[at] - ta[at], np.minimum(tb[at], cut[at]) - ta[at]
        mine = path[at] * own // ms
        over = np.flatnonzero(own < ms)  # moves into the next pane
        pane = np.append(cut[at], cut[at][over] + CELL_MS) - CELL_MS
        sums = np.append(own, (ms - own)[over]), np.append(mine, (path[at] - mine)[over])
        person = np.append(track[whole][at], track[whole][at][over])
        cells, where = np.unique(pane, return_inverse=True)
        totals = [np.bincount(where, s).astype(np.int64) for s in sums]
        people = np.unique(np.column_stack([where, person]), axis=0)[:, 0]
        totals.append(np.bincount(people, minlength=len(cells)))
        zones += [[int(c), 0, 0, zone, *t] for c, t in zip(cells, np.column_stack(totals).tolist(), strict=False)]
    return told(passages, zones)


@pytest.mark.parametrize("name", [*TRACKS, "numpy"])
def test_crossing(benchmark, scale, name):
    steps = scale(20 if name == "reference" else 2_000, 20)
    made = walks(500, steps)
    way = partial(crossing, name) if name in TRACKS else numpy_crossing
    passages, zones = benchmark(way, *made)
    benchmark.extra_info["events"] = len(made[0])
    assert (passages, zones) == numpy_crossing(*made) == crossing("compiled", *made)
    assert len(zones) >= 4 and (len(passages) > 100 or steps < 100)
    assert sum(people_ms for people_ms, *_ in zones.values()) > 0.7 * STEP_MS * 500 * (steps - 1)
