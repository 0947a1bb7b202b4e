"""Passages and time in zones from tracked points of one partition. Twin: fast/_crossing.pyx.

Records come in any order within the bound, so they wait until the watermark W has passed them (their sensor's wait
added) and are worked off in the order of their time. What is final does not depend on how the log came::

    W - wait   ─────────────────────────┤ 31
    points       ●10   ●14   ●18  ●26   │  ●34   ●38      of one track, ms
    moves         ╰─────┴─────┴────┘    │                 each in the zone and from the side of its first point

All is exact: positions are integer micrometres, so that gates which abut count a passage once, and zones which tile a
floor hold a person once. Sides are half-open: a point on a line is not left of it.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Collection, Iterable, Sequence

import numpy as np

from engine.model import CELL_MS, EVERY, F64, FAR_M, I32, I64, NO_TIME, U8, UM
from engine.tracks import Point, Stay, Track, pack, unpack

AB, BA, UNKNOWN = 0, 1, 2  # model.DIRECTIONS
PATH_MOST_UM = 1_000 * UM  # longest path one move adds: a leap of the tracker is no walk, and sums stay inside int64
ZONE_COLUMNS = ("pane_ms", "close_ms", "sensor", "zone", "people_ms", "path_um", "tracks")
Place = tuple[int, int]  # x, y in micrometres


class Tracks:
    """Points of one partition → passages of gates, time and path in zones.

    ``track_ms``: a track unseen for longer is forgotten; the same id is another person then.
    ``state``: what ``state()`` gave.
    """

    def __init__(self, track_ms: int, state: tuple[bytes, ...] | None = None) -> None:
        self.track_ms = track_ms
        self._tracks: dict[tuple[int, int], Track] = {}  # (sensor, id)
        self._zones: dict[tuple[int, int, int], list[int]] = {}  # (pane, sensor, zone) -> close, then ZONE_COLUMNS[4:]
        self._headings: list[list[int]] = []
        if state is not None:
            self._tracks = {(track.sensor, track.id): track for track in unpack(state[0])}
            for pane, close, sensor, zone, *sums in np.frombuffer(state[1], np.int64).reshape(-1, 7).tolist():
                self._zones[pane, sensor, zone] = [close, *sums]

    def add(self, rows: I64, sensor: I32, ts: I64, track: I64, x: F64, y: F64, repeat: U8) -> None:
        """Keep the points of a batch until they are final.

        IN  rows (m,): which rows of the columns are points to keep, in log order; sensor, ts (ms), track, x, y (m):
            the columns of the batch.
        OUT repeat (rows of the batch,): 1 where the point (sensor, ts, track) stands here already, else 0; rows not
            named stay as they are. Such a point changes nothing, whatever its place.

        Raises ValueError where columns differ in length, a row does not exist, or has no sensor or a place further
        off than FAR_M.
        """
        check(rows, sensor, ts, track, x, y, repeat)
        for i in rows.tolist():
            if not (-FAR_M <= x[i] <= FAR_M and -FAR_M <= y[i] <= FAR_M):
                raise ValueError("a point too far off")
        for i in rows.tolist():
            key = int(sensor[i]), int(track[i])
            ahead = self._tracks.setdefault(key, Track(*key)).ahead
            at = bisect_left(ahead, int(ts[i]), key=_ts)
            repeat[i] = at < len(ahead) and ahead[at].ts == ts[i]
            if not repeat[i]:
                ahead.insert(at, Point(int(ts[i]), round(float(x[i]) * UM), round(float(y[i]) * UM)))

    def drop(self, rows: I64, sensor: I32, ts: I64, track: I64) -> None:
        """Take out points that were too late after all: rows of the batch added last, no repeats among them."""
        check(rows, sensor, ts, track)
        for i in rows.tolist():
            found = self._tracks.get((int(sensor[i]), int(track[i])))
            at = -1 if found is None else bisect_left(found.ahead, int(ts[i]), key=_ts)
            if found is not None and at < len(found.ahead) and found.ahead[at].ts == ts[i]:
                del found.ahead[at]

    def settle(
        self,
        watermark_ms: int,
        sensor_wait_ms: I64,
        sensor_gate: I32,
        sensor_zone: I32,
        line_um: I64,
        corner_at: I32,
        corner_um: I64,
    ) -> bytes:
        """Work off the points with ts + wait < W, track by track in the order of their time.

        IN  sensor_wait_ms, sensor_gate, sensor_zone (S,): how much later than W the sensor's records are final, and
            the gate and the zone it serves (EVERY, NOTHING); line_um (G, 4): x, y of both ends of each gate's line,
            both the same = no line; corner_at (Z + 1,), corner_um (C, 2): zone z's polygon is
            ``corner_um[corner_at[z]:corner_at[z + 1]]``.

        A move leads from a point to the next one of its track, at most track_ms later. It passes a gate where its ends
        lie on different sides of the line and it meets the line between its ends; side a is left of the line. Its time
        and path count in the zones that hold its first point, split at the panes of 10 s by time.

        Returns the passages as int64 rows (ms, sensor, gate, direction), in no order. Raises ValueError where columns
        differ in length, a sensor row does not exist, or a line or corner lies further off than FAR_M.
        """
        check_plan((s for s, _ in self._tracks), sensor_wait_ms, sensor_gate, sensor_zone)
        if line_um.shape[1:] != (4,) or corner_um.shape[1:] != (2,) or not len(corner_at):
            raise ValueError("columns differ in length")
        if np.any(np.diff(corner_at) < 0) or corner_at[0] != 0 or corner_at[-1] != len(corner_um):
            raise ValueError("columns differ in length")
        for served, count in ((sensor_gate, len(line_um)), (sensor_zone, len(corner_at) - 1)):
            if np.any(served >= count):
                raise ValueError("no such gate or zone row")
        if any(np.any((v < -FAR_M * UM) | (v > FAR_M * UM)) for v in (line_um, corner_um)):
            raise ValueError("a line or corner too far off")
        if watermark_ms == NO_TIME:
            return b""
        out: list[list[int]] = []
        lines = [((x0, y0), (x1, y1)) for x0, y0, x1, y1 in line_um.tolist()]
        polygons = [
            [(x, y) for x, y in corner_um[a:b].tolist()]
            for a, b in zip(corner_at[:-1].tolist(), corner_at[1:].tolist(), strict=True)
        ]
        for track in list(self._tracks.values()):
            s = track.sensor
            final_ms = watermark_ms - int(sensor_wait_ms[s])
            done = bisect_left(track.ahead, final_ms, key=_ts)
            for point in track.ahead[:done]:
                if track.last is not None and point.ts - track.last.ts <= self.track_ms:
                    for gate in _served(int(sensor_gate[s]), len(lines)):
                        found = passage(track.last, point, *lines[gate])
                        if found is not None:
                            out.append([found[0], s, gate, found[1]])
                    zones = _served(int(sensor_zone[s]), len(polygons))
                    within = [zone for zone in zones if inside(track.last[1:], polygons[zone])]
                    for zone in within:
                        self._stay(track, point, zone, int(sensor_wait_ms[s]))
                    self._left(track, within)
                else:
                    self._left(track, ())
                    track.stays.clear()
                track.last = point
            del track.ahead[:done]
            if track.last is not None and track.last.ts + self.track_ms < final_ms:  # nothing can follow on it
                self._left(track, ())
                track.stays.clear()
                track.last = None
            if track.last is None and not track.ahead:
                del self._tracks[s, track.id]
        return np.array(out, np.int64).tobytes()

    def _stay(self, track: Track, to: Point, zone: int, wait_ms: int) -> None:
        """Count the move from the track's last point in a zone, pane by pane."""
        last = track.last
        if last is None:
            return
        stay = track.stays.setdefault(zone, Stay(NO_TIME, last[1:]))
        start, whole, path = last.ts, to.ts - last.ts, path_um(last[1:], to[1:])
        while start < to.ts:
            pane = start // CELL_MS * CELL_MS
            end = min(to.ts, pane + CELL_MS)
            close = pane + CELL_MS + wait_ms + self.track_ms
            row = self._zones.setdefault((pane, track.sensor, zone), [close, 0, 0, 0])
            row[1] += end - start
            row[2] += path * (end - last.ts) // whole - path * (start - last.ts) // whole
            row[3] += stay.pane != pane
            stay.pane = pane
            start = end

    def _left(self, track: Track, within: Collection[int]) -> None:
        """Tell the headings of first stays that end with the track's last point: in zones other than ``within``."""
        for zone, stay in track.stays.items():
            if stay.entry is not None and zone not in within and track.last is not None:
                way = sector(track.last.x - stay.entry[0], track.last.y - stay.entry[1])
                if way is not None:
                    self._headings.append([track.last.ts, track.sensor, zone, way])
                stay.entry = None

    def headings(self) -> bytes:
        """Remove and return the headings since the last call: int64 rows (ms, sensor, zone, sector), in no order.

        Each track has one per zone: at the end of its first stay there, by the way from the point at which it came in
        (or was seen first) to the point at which it is outside (or was seen last); none where both are one place. Call
        it behind each ``settle``.
        """
        out, self._headings = self._headings, []
        return np.array(out, np.int64).tobytes()

    def take(self, until_ms: int) -> bytes:
        """Remove what was counted in zones in panes that close (end + wait + track_ms) at or before ``until_ms``.

        Returns int64 rows of ZONE_COLUMNS, in no order. Call ``settle`` with this watermark before.
        """
        done = [(key, row) for key, row in self._zones.items() if row[0] <= until_ms]
        for key, _ in done:
            del self._zones[key]
        return _zone_rows(done)

    def state(self) -> tuple[bytes, ...]:
        """All that a later ``Tracks(track_ms, state)`` needs to go on: tracks (engine/tracks.py), rows of zones."""
        return pack(self._tracks.values()), _zone_rows(self._zones.items())


def side(start: Place, end: Place, at: Place) -> int:
    """Twice the area of the triangle: above 0 where a place lies left of the line start → end, seen from its start."""
    return (end[0] - start[0]) * (at[1] - start[1]) - (end[1] - start[1]) * (at[0] - start[0])


def passage(a: Point, b: Point, start: Place, end: Place) -> tuple[int, int] | None:
    """When (ms, rounded down) and in which direction a move from a to b passes the line start → end; None = not.

    A place on the line is not left of it, and an end of the line on the way of the move is not left of that, taken
    from its lesser end (x, then y) for there and back alike. So of lines that meet in a point the move passes the same
    ones as if it led past that point, and who turns round there passes as often back.
    """
    of_a, of_b = side(start, end, a[1:]), side(start, end, b[1:])
    less, greater = sorted((a[1:], b[1:]))
    if (of_a > 0) == (of_b > 0) or (side(less, greater, start) > 0) == (side(less, greater, end) > 0):
        return None
    return a.ts + (b.ts - a.ts) * abs(of_a) // (abs(of_a) + abs(of_b)), AB if of_a > 0 else BA


def inside(at: Place, corners: Sequence[Place]) -> bool:
    """Whether a polygon holds a place (even-odd rule): each edge holds its lower end and the places to its right.

    A ray to greater x is counted against the edges; an edge is taken from its lower end to its upper one, so that
    polygons on both of its sides agree on which of them holds a place on it.
    """
    odd = False
    for i, end in enumerate(corners):
        low, high = sorted((corners[i - 1], end), key=lambda corner: corner[1])
        odd ^= low[1] <= at[1] < high[1] and side(low, high, at) > 0
    return odd


def sector(dx: int, dy: int) -> int | None:
    """The eighth of the compass around which a way leads: 0 = north (+y), clockwise, each 45 degrees with its wind in
    the middle; None where there is no way.

    tan(22.5 deg) = sqrt(2) - 1, so the way is nearest to an axis where (|dx| + |dy|)^2 < 2 max(|dx|, |dy|)^2; whole
    numbers never lie between two sectors.
    """
    ax, ay = abs(dx), abs(dy)
    if ax == ay == 0:
        return None
    if (ax + ay) ** 2 < 2 * max(ax, ay) ** 2:
        return (0 if dy > 0 else 4) if ay > ax else 2 if dx > 0 else 6
    return (1 if dy > 0 else 3) if dx > 0 else 7 if dy > 0 else 5


def path_um(a: Place, b: Place) -> int:
    """Length of a straight path in micrometres, rounded down, PATH_MOST_UM at most."""
    dx, dy = abs(b[0] - a[0]), abs(b[1] - a[1])
    if max(dx, dy) >= PATH_MOST_UM:
        return PATH_MOST_UM
    return min(PATH_MOST_UM, int(math.sqrt(dx * dx + dy * dy)))


def _ts(point: Point) -> int:
    return point.ts


def _served(row: int, count: int) -> Sequence[int]:
    if row == EVERY:
        return range(count)
    return (row,) if row >= 0 else ()


def _zone_rows(rows: Iterable[tuple[tuple[int, int, int], list[int]]]) -> bytes:
    return np.array([[pane, row[0], s, zone, *row[1:]] for (pane, s, zone), row in rows], np.int64).tobytes()


def check(rows: I64, sensor: I32, *columns: I64 | F64 | U8) -> None:
    """Columns of one batch, and rows of it that have a sensor. Raises ValueError."""
    if any(len(column) != len(sensor) for column in columns):
        raise ValueError("columns differ in length")
    if len(rows) and not 0 <= rows.min() <= rows.max() < len(sensor):
        raise ValueError("no such row")
    if np.any(sensor[rows] < 0):
        raise ValueError("a row without sensor")


def check_plan(sensors: Iterable[int], sensor_wait_ms: I64, *columns: I32) -> None:
    """Columns of all sensors. Raises ValueError, also where there is no row for a sensor."""
    if any(len(column) != len(sensor_wait_ms) for column in columns):
        raise ValueError("columns differ in length")
    if any(sensor >= len(sensor_wait_ms) for sensor in sensors):
        raise ValueError("no such sensor row")
