"""The load generator's own JSON: it shares no code with the engine, so that decode is not tested against itself."""

from __future__ import annotations

_DIRECTION = (b'"dir":"ab",', b'"dir":"ba",', b"")


def cross(sensor: bytes, ts: int, direction: int, seq: int) -> bytes:
    """One person: ``direction`` 0 = ab, 1 = ba, 2 = unknown (the field is left out). ``sensor`` needs no escapes."""
    return b'{"sensor":"%b","ts":%d,"type":"cross",%b"seq":%d}' % (sensor, ts, _DIRECTION[direction], seq)


def count(sensor: bytes, ts: int, span_ms: int, ab: int, ba: int, un: int) -> bytes:
    """People counted in [ts, ts + span_ms) by direction."""
    return b'{"sensor":"%b","ts":%d,"type":"count","span_ms":%d,"ab":%d,"ba":%d,"un":%d}' % (
        sensor,
        ts,
        span_ms,
        ab,
        ba,
        un,
    )


def heartbeat(sensor: bytes, ts: int) -> bytes:
    """The sensor is alive at ``ts``."""
    return b'{"sensor":"%b","ts":%d,"type":"heartbeat"}' % (sensor, ts)
