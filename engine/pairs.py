"""What a partition keeps of beams, and its bytes in a snapshot (engine/beam.py).

A pair: sensor, the number of starts that wait for the other beam and these, the number of records ahead and these
(ts, beam, has_seq, seq). A ts is the difference to the one before; numbers are written as in engine/keys.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from engine.keys import next_of, numbers_of, signed, varint
from engine.tracks import join, take

FREE, BROKEN_A, BROKEN_B = 0, 1, 2  # Start.beam


class Start(NamedTuple):
    """A beam was broken or let free."""

    ts: int
    beam: int
    has_seq: int
    seq: int


@dataclass(slots=True)
class BeamPair:
    """The two beams of one sensor: starts of one beam that wait for the other, and records not worked off yet."""

    sensor: int
    waiting: list[Start] = field(default_factory=list)
    ahead: list[Start] = field(default_factory=list)


def pack(pairs: Iterable[BeamPair]) -> bytes:
    """The bytes of beam pairs, in the order given."""
    out = bytearray()
    for pair in pairs:
        out += varint(pair.sensor)
        ts = 0
        for starts in (pair.waiting, pair.ahead):
            out += varint(len(starts))
            for start in starts:
                out += join(start.ts - ts, *start[1:])
                ts = start.ts
    return bytes(out)


def unpack(data: bytes) -> list[BeamPair]:
    """The beam pairs of ``pack``. Raises ValueError where the bytes end early."""
    numbers, out = numbers_of(data), []
    for sensor in numbers:
        pair = BeamPair(sensor)
        ts = 0
        for starts in (pair.waiting, pair.ahead):
            for _ in range(next_of(numbers)):
                ts = signed(ts + next_of(numbers))
                starts.append(Start(ts, *take(numbers, 3)))
        out.append(pair)
    return out


def renamed(data: bytes, moved: Mapping[int, int]) -> bytes:
    """The same beam pairs, those of a sensor row in ``moved`` under the row it became."""
    return pack(replace(p, sensor=moved.get(p.sensor, p.sensor)) for p in unpack(data))
