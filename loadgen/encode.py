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


def point(sensor: bytes, ts: int, track: int, x: float, y: float) -> bytes:
    """A tracked person at (``x``, ``y``), metres of the site; finite, in the fewest digits that tell the double."""
    return b'{"sensor":"%b","ts":%d,"type":"point","track":%d,"x":%a,"y":%a}' % (sensor, ts, track, float(x), float(y))


def beam(sensor: bytes, ts: int, which: int, on: bool, seq: int | None = None) -> bytes:
    """One of two parallel beams: ``which`` 0 = a, 1 = b."""
    told = b"" if seq is None else b',"seq":%d' % seq
    return b'{"sensor":"%b","ts":%d,"type":"beam","beam":"%c","on":%b%b}' % (
        sensor,
        ts,
        b"ab"[which],
        b"true" if on else b"false",
        told,
    )


def occupancy(sensor: bytes, ts: int, people: int, speed: float | None = None, seq: int | None = None) -> bytes:
    """People in the sensor's zone at ``ts`` and their speed in m/s; None: the field is left out."""
    told = b"" if speed is None else b',"speed":%a' % float(speed)
    if seq is not None:
        told += b',"seq":%d' % seq
    return b'{"sensor":"%b","ts":%d,"type":"occupancy","people":%d%b}' % (sensor, ts, people, told)


def nobody(zone: bytes, ts: int) -> bytes:
    """The operator's word that a zone is empty at ``ts``."""
    return b'{"type":"set","zone":"%b","people":0,"by":"hitonami load","ts":%d}' % (zone, ts)


def with_record_ts(value: bytes, record_ts: int) -> bytes:
    """The same event with the time it was recorded, which a file's reader takes for Kafka's."""
    return b'%b,"record_ts":%d}' % (value[:-1], record_ts)


def touch(device: bytes, ts: int, session: bytes, screen: bytes, to: bytes | None, lang: bytes) -> bytes:
    """Somebody touches a screen of a signage device, and gets to the screen ``to`` where that is told."""
    moved = b"" if to is None else b',"to":"%b"' % to
    return b'{"device":"%b","ts":%d,"type":"touch","session":"%b","screen":"%b"%b,"lang":"%b"}' % (
        device,
        ts,
        session,
        screen,
        moved,
        lang,
    )


def device_heartbeat(device: bytes, ts: int) -> bytes:
    """The signage device is alive at ``ts``."""
    return b'{"device":"%b","ts":%d,"type":"heartbeat"}' % (device, ts)
