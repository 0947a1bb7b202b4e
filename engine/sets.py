"""Records of type ``set``: an operator tells how many people are in a zone at an instant.

The same record stands in every partition and counts once. It holds from its ``ts`` on, so a partition takes it only
while the line of the 10 s grid at or before its watermark lies before that instant: what has closed stays as it is, and
whoever closes a window that ends at or behind ``ts`` has been told. A record that cannot hold changes nothing.
"""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from typing import Any, NamedTuple

import numpy as np
import orjson

from engine.decode import BadValue, integer
from engine.model import COUNT_MAX, FUTURE_MS, I64, ID_BYTES, NO_TIME, SET, Events

# ts (ms), people, bytes of the zone's id, the id itself (UTF-8, filled up with zeros)
SET_COLUMNS = 3 + ID_BYTES // 8


class Given(NamedTuple):
    """People in a zone at ``ts`` (ms)."""

    ts: int
    people: int
    zone: str

    def row(self) -> list[int]:
        """The integers (SET_COLUMNS,) of it."""
        name = self.zone.encode()
        words: list[int] = np.frombuffer(name.ljust(ID_BYTES, b"\0"), np.int64).tolist()
        return [self.ts, self.people, len(name), *words]


def given(rows: I64) -> list[Given]:
    """What rows (m, SET_COLUMNS) say."""
    return [
        Given(ts, people, np.array(words, np.int64).tobytes()[:size].decode())
        for ts, people, size, *words in rows.tolist()
    ]


def read(message: bytes, events: Events, zones: AbstractSet[str], w: int) -> tuple[list[Given], list[str]]:
    """What the ``set`` records of a message say, and why some of them cannot hold.

    ``events``: the rows of the message; ``zones``: ids of the version that holds; ``w``: the line of the watermark.
    """
    document = orjson.loads(message)
    records = [r for r in (document if isinstance(document, list) else [document]) if _is_set(r)]
    found, faults = [], []
    for record, row in zip(records, np.flatnonzero(events.kind == SET).tolist(), strict=True):
        ts = int(events.ts[row])
        fault = _fault(record, zones, ts, int(events.record_ts[row]), w)
        if fault is None:
            found.append(Given(ts, record["people"], record["zone"]))
        else:
            faults.append(fault)
    return found, faults


def _is_set(record: Any) -> bool:
    return isinstance(record, dict) and record.get("type") == "set"


def _fault(record: dict[str, Any], zones: AbstractSet[str], ts: int, record_ts: int, w: int) -> str | None:
    zone = record.get("zone")
    if not isinstance(zone, str) or zone not in zones:
        return "zone: no such zone"
    try:
        integer(record.get("people"), 0, COUNT_MAX)
    except BadValue:
        return f"people: must be a whole number from 0 to {COUNT_MAX}"
    if not isinstance(record.get("by", ""), str | None):
        return "by: must be text"
    if ts == NO_TIME:
        return "ts: must be a time"
    if ts > record_ts + FUTURE_MS:
        return "ts: too far in the future"
    return "ts: what ended then has closed" if ts <= w else None
