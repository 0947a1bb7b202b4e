"""Keys against duplicates as bytes: what a snapshot of a partition holds of them.

Groups of one pane, sensor and kind: pane_ms, close_ms, sensor, kind, number of keys, then of each key its differences
to the key before it, ts and x (x is the span_ms of a count, the track of a point, else the seq); before the first one
ts is pane_ms and x is 0. Every number is a zigzag varint (LEB128, 7 bits a byte, lowest first), differences modulo
2^64. Passages in the order of their ts and seq take two to four bytes each, and so do points as their frames come.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from typing import NamedTuple

_WORD = 1 << 64


class Key(NamedTuple):
    """One key of a pane that closes when W reaches ``close_ms``."""

    pane_ms: int
    close_ms: int
    sensor: int
    kind: int
    ts: int
    x: int


def pack(keys: Iterable[Key]) -> bytes:
    """The bytes of keys, in the order given."""
    out = bytearray()
    for group, members in groupby(keys, lambda key: key[:4]):
        told = list(members)
        for number in (*group, len(told)):
            out += varint(number)
        ts, x = group[0], 0
        for key in told:
            out += varint(key.ts - ts) + varint(key.x - x)
            ts, x = key.ts, key.x
    return bytes(out)


def unpack(data: bytes) -> list[Key]:
    """The keys of ``pack``. Raises ValueError where the bytes end early."""
    numbers, out = numbers_of(data), []
    for pane in numbers:
        close, sensor, kind, count = (next_of(numbers) for _ in range(4))
        ts, x = pane, 0
        for _ in range(count):
            ts, x = signed(ts + next_of(numbers)), signed(x + next_of(numbers))
            out.append(Key(pane, close, sensor, kind, ts, x))
    return out


def renamed(data: bytes, moved: Mapping[int, int]) -> bytes:
    """The same keys, those of a sensor row in ``moved`` under the row it became."""
    return pack(key._replace(sensor=moved.get(key.sensor, key.sensor)) for key in unpack(data))


def signed(value: int) -> int:
    """A number modulo 2^64 as int64."""
    return (value + _WORD // 2) % _WORD - _WORD // 2


def varint(value: int) -> bytes:
    """A number modulo 2^64 as a zigzag varint."""
    value = signed(value)
    left = 2 * value if value >= 0 else -2 * value - 1
    out = bytearray()
    while left >= 0x80:
        out.append(left & 0x7F | 0x80)
        left >>= 7
    out.append(left)
    return bytes(out)


def numbers_of(data: bytes) -> Iterator[int]:
    """The numbers of joined varints. Raises ValueError where the last one is cut off."""
    value = shift = 0
    for byte in data:
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            yield -(value + 1) // 2 if value & 1 else value // 2
            value = shift = 0
    if shift:
        raise ValueError("numbers that end early")


def next_of(numbers: Iterator[int]) -> int:
    """The next number. Raises ValueError where there is none."""
    for number in numbers:
        return number
    raise ValueError("numbers that end early")
