"""What a partition keeps of tracked people, and its bytes in a snapshot (engine/crossing.py).

A track: sensor, id, 1 and the last point worked off or 0, the number of zones and of each its row, the last pane the
track was counted in, and 1 and x, y where its first stay there goes on or 0; then the number of points ahead and these,
each as differences to the point before. Every number is a zigzag varint as in engine/keys.py: a point of a person who
walks takes eight bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from engine.keys import next_of, numbers_of, signed, varint


class Point(NamedTuple):
    """Where a tracked person was: ms, and micrometres in the site's plane."""

    ts: int
    x: int
    y: int


@dataclass(slots=True)
class Stay:
    """A track in a zone: start of the last pane (ms) that counted it, and where its first stay began while it lasts."""

    pane: int
    entry: tuple[int, int] | None


@dataclass(slots=True)
class Track:
    """One track of one sensor: the last point worked off, and those ahead that may still get company, in order.

    ``stays``: zone row -> what is known of the track there.
    """

    sensor: int
    id: int
    last: Point | None = None
    stays: dict[int, Stay] = field(default_factory=dict)
    ahead: list[Point] = field(default_factory=list)


def pack(tracks: Iterable[Track]) -> bytes:
    """The bytes of tracks, in the order given."""
    out = bytearray()
    for track in tracks:
        out += join(track.sensor, track.id, int(track.last is not None), *(track.last or ()), len(track.stays))
        for zone, stay in track.stays.items():
            out += join(zone, stay.pane, int(stay.entry is not None), *(stay.entry or ()))
        out += varint(len(track.ahead))
        before = track.last or Point(0, 0, 0)
        for point in track.ahead:
            out += join(point.ts - before.ts, point.x - before.x, point.y - before.y)
            before = point
    return bytes(out)


def unpack(data: bytes) -> list[Track]:
    """The tracks of ``pack``. Raises ValueError where the bytes end early."""
    numbers, out = numbers_of(data), []
    for sensor in numbers:
        track = Track(sensor, next_of(numbers))
        if next_of(numbers):
            track.last = Point(*take(numbers, 3))
        for _ in range(next_of(numbers)):
            zone, pane, goes_on = take(numbers, 3)
            x_y = take(numbers, 2 if goes_on else 0)
            track.stays[zone] = Stay(pane, (x_y[0], x_y[1]) if goes_on else None)
        before = track.last or Point(0, 0, 0)
        for _ in range(next_of(numbers)):
            before = Point(*(signed(a + b) for a, b in zip(before, take(numbers, 3), strict=True)))
            track.ahead.append(before)
        out.append(track)
    return out


def renamed(data: bytes, moved: Mapping[int, int]) -> bytes:
    """The same tracks, those of a sensor row in ``moved`` under the row it became."""
    return pack(replace(t, sensor=moved.get(t.sensor, t.sensor)) for t in unpack(data))


def join(*numbers: int) -> bytes:
    """Numbers as varints."""
    return b"".join(map(varint, numbers))


def take(numbers: Iterator[int], count: int) -> list[int]:
    """The next numbers. Raises ValueError where there are too few."""
    return [next_of(numbers) for _ in range(count)]
