"""What a partition tells a shard: one self-describing blob of integers per (partition, span of W, shard).

A pane leaves its partition once, whole, when the partition's own watermark has passed its end: later events for it are
late by definition. So a blob is a function of the log, and an empty one still tells how far the partition is.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from engine.model import I64
from engine.sets import SET_COLUMNS

VERSION = 5
# version, shard, partition, w_from, w_to, plain, persons, then the number of rows of each part
_HEAD = struct.Struct("<HHiqqqqIIIIIIIIIII")
PANE_COLUMNS = 9  # pane_ms, close_ms, sensor, ab, ba, un, cross_ab, cross_ba, cross_un
COVER_COLUMNS = 4  # pane_ms, close_ms, sensor, covered_ms
REJECT_COLUMNS = 4  # cell_ms, sensor (-1 = none), reason, n
ACTIVE_COLUMNS = 2  # first, last active cell of a span (ms)
COUNTED_COLUMNS = 2  # close_ms, sensor
VERSION_COLUMNS = 5  # W (ms) at which a registry version came to hold, the 32 bytes of its hash
# pane_ms (of 10 s), close_ms, sensor, zone, people_ms, path_um, tracks, and the ms of the pane for which readings held
# (of an occupancy camera; 0 of a tracker). Path: of all people together, by the way of tracks or by readings of speed.
STOCK_COLUMNS = 8
HEADING_COLUMNS = 6  # cell_ms (10 s, of the stay's end), close_ms, sensor, zone, sector, n
BEAT_COLUMNS = 6  # cell_ms, sensor (-1 = the partition), until_ms, heartbeats by clock: good, fast, slow (beats.py)
_COLUMNS = (
    PANE_COLUMNS, COVER_COLUMNS, REJECT_COLUMNS, ACTIVE_COLUMNS, COUNTED_COLUMNS, VERSION_COLUMNS, SET_COLUMNS,
    STOCK_COLUMNS, COVER_COLUMNS, HEADING_COLUMNS, BEAT_COLUMNS,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Partial:
    """Everything of one partition and shard that closed while W went over (w_from, w_to].

    ``panes`` (m, 9), ``covers`` (m, 4), ``rejects`` (m, 4), ``active`` (m, 2), ``counted`` (m, 2), ``versions`` (m, 5),
    ``sets`` (m, SET_COLUMNS): int64 rows, see *_COLUMNS above; sensors are numbered by the sequence of registry
    versions the partition has gone through. ``counted`` names each sensor once: when the first pane closes for which it
    sent a count.
    ``plain`` = accepted records that are not about one person (counts, heartbeats, occupancy), ``persons`` = accepted
    points and beams. Of zones, all in shard 0, where what is told of a zone meets: ``stock`` (m, 8), ``watch`` (m, 4),
    the covers of trackers and occupancy cameras whose panes are of 10 s, ``headings`` (m, 6). ``plain``, ``persons``
    and ``sets`` are told to shard 0 only too. ``beats`` (m, 6): life and clocks of the shard's sensors.
    """

    partition: int
    shard: int
    w_from: int
    w_to: int
    plain: int
    persons: int
    panes: I64
    covers: I64
    rejects: I64
    active: I64
    counted: I64
    versions: I64
    sets: I64
    stock: I64
    watch: I64
    headings: I64
    beats: I64

    def encode(self) -> bytes:
        """The blob of this partial."""
        parts = (
            self.panes, self.covers, self.rejects, self.active, self.counted, self.versions, self.sets,
            self.stock, self.watch, self.headings, self.beats,
        )  # fmt: skip
        head = _HEAD.pack(
            VERSION, self.shard, self.partition, self.w_from, self.w_to, self.plain, self.persons, *map(len, parts)
        )
        return head + b"".join(np.ascontiguousarray(p, np.int64).tobytes() for p in parts)


def version_rows(versions: Sequence[tuple[int, str]]) -> I64:
    """(W in ms, hash) of registry versions as rows (m, VERSION_COLUMNS)."""
    rows = [[at, *np.frombuffer(bytes.fromhex(of), np.int64).tolist()] for at, of in versions]
    return np.array(rows, np.int64).reshape(-1, VERSION_COLUMNS)


def decode(blob: bytes) -> Partial:
    """Read a blob. Raises ValueError for another version or length."""
    version, shard, partition, w_from, w_to, plain, persons, *sizes = _HEAD.unpack_from(blob)
    if version != VERSION:
        raise ValueError(f"partial of version {version}")
    words = np.frombuffer(blob, np.int64, offset=_HEAD.size)
    parts = []
    for rows, columns in zip(sizes, _COLUMNS, strict=True):
        parts.append(words[: rows * columns].reshape(rows, columns))
        words = words[rows * columns :]
    if len(words):
        raise ValueError("partial of another length")
    return Partial(partition, shard, w_from, w_to, plain, persons, *parts)
