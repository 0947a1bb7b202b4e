"""JSON of what beams, trackers and cameras see; passages and heartbeats are told by encode.py."""

from __future__ import annotations

_ON = (b"false", b"true")


def beam(sensor: bytes, ts: int, which: bytes, on: bool, seq: int) -> bytes:
    """Beam ``which`` (a or b) is interrupted (on) or free again."""
    return b'{"sensor":"%b","ts":%d,"type":"beam","beam":"%b","on":%b,"seq":%d}' % (sensor, ts, which, _ON[on], seq)


def point(sensor: bytes, ts: int, track: int, x: float, y: float) -> bytes:
    """A tracked person at (x, y), metres, told to the millimetre."""
    return b'{"sensor":"%b","ts":%d,"type":"point","track":%d,"x":%.3f,"y":%.3f}' % (sensor, ts, track, x, y)


def occupancy(sensor: bytes, ts: int, people: int, speed: float | None, seq: int) -> bytes:
    """People in the sensor's zone at ``ts``; ``speed`` (m/s) is left out where there is nobody."""
    moving = b"" if speed is None else b'"speed":%.2f,' % speed
    return b'{"sensor":"%b","ts":%d,"type":"occupancy","people":%d,%b"seq":%d}' % (sensor, ts, people, moving, seq)


def with_record_ts(value: bytes, record_ts: int) -> bytes:
    """The same event with the time it was recorded, which a file's reader takes for Kafka's."""
    return b'%b,"record_ts":%d}' % (value[:-1], record_ts)
