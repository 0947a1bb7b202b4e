"""What a partition of a stream beside people tells the key where they meet: one self-describing blob per span of W.

A window leaves its partition once, whole, when the partition's own watermark has passed its close: what comes later
for it is late by definition. So a blob is a function of the log, a repeat is identical, and an empty one still tells
how far the partition is. Texts stand in the blob, once each: partitions number what they meet as they meet it.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace

import numpy as np

from engine.model import I64, NO_TIME
from engine.partial import REJECT_COLUMNS, VERSION_COLUMNS

VERSION = 2
CLOSE, CODE, START = 0, 1, 2  # first columns of rows: close_ms, code of the window's length, window_start in ms
# version, partition, waits, w_from, w_to, first, last, accepted; then columns and number of rows, of coded columns,
# rejects, versions, names
_HEAD = struct.Struct("<Hi?qqqqqqqqqqq")


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything of one partition that closed while W went over (w_from, w_to].

    ``accepted``: events accepted since the facts before. ``rejects`` (m, 4): cell_ms, code of the source's name (-1 =
    none is known), reason, n. ``versions`` (m, 5): W at which a registry version came to hold, its hash as four words.
    ``rows`` (m, c): CLOSE, CODE, START, then what the stream likes; columns ``coded`` of it hold codes into ``names``,
    -1 = none. ``first_ms``, ``last_ms``: the first watermark the partition had, and its last while it had not ended.
    ``waits``: it does not know what else must be taken back, so until it tells again nothing may close.
    """

    partition: int
    w_from: int
    w_to: int
    accepted: int
    rejects: I64
    versions: I64
    names: tuple[str, ...]
    rows: I64
    coded: tuple[int, ...] = ()
    first_ms: int = NO_TIME
    last_ms: int = NO_TIME
    waits: bool = False

    @property
    def shard(self) -> int:
        """Where the partitions of such a stream meet: they have one key."""
        return 0

    def encode(self) -> bytes:
        """The blob of these facts."""
        words = [name.encode() for name in self.names]
        sizes = np.array([len(word) for word in words], np.int64)
        head = _HEAD.pack(
            VERSION, self.partition, self.waits, self.w_from, self.w_to, self.first_ms, self.last_ms, self.accepted,
            self.rows.shape[1], len(self.rows), len(self.coded), len(self.rejects), len(self.versions), len(words),
        )  # fmt: skip
        parts = (self.rows, np.array(self.coded, np.int64), self.rejects, self.versions, sizes)
        return head + b"".join([*(np.ascontiguousarray(p, np.int64).tobytes() for p in parts), *words])


def decode(blob: bytes) -> Facts:
    """Read a blob. Raises ValueError for another version or length."""
    version, partition, waits, w_from, w_to, first, last, accepted, width, count, coded, rejects, versions, names = (
        _HEAD.unpack_from(blob)
    )
    if version != VERSION:
        raise ValueError(f"facts of version {version}")
    at, parts = _HEAD.size, []
    for rows, columns in (
        (count, width), (coded, 1), (rejects, REJECT_COLUMNS), (versions, VERSION_COLUMNS), (names, 1)
    ):  # fmt: skip
        parts.append(np.frombuffer(blob, np.int64, rows * columns, at).reshape(rows, columns))
        at += 8 * rows * columns
    ends = at + np.cumsum(parts[4][:, 0])
    if len(blob) != (int(ends[-1]) if names else at):
        raise ValueError("facts of another length")
    words = [blob[end - size : end].decode() for end, size in zip(ends.tolist(), parts[4][:, 0].tolist(), strict=True)]
    columns_of_codes = tuple(parts[1][:, 0].tolist())
    return Facts(
        partition,
        w_from,
        w_to,
        accepted,
        parts[2],
        parts[3],
        tuple(words),
        parts[0],
        columns_of_codes,
        first,
        last,
        waits,
    )


def compact(facts: Facts) -> Facts:
    """The same with only the names that rows and rejects use, in the order of the texts: a function of the log."""
    used = [facts.rejects[:, 1], *(facts.rows[:, column] for column in facts.coded)]
    codes = np.unique(np.concatenate(used))
    codes = codes[codes >= 0]
    order = sorted(codes.tolist(), key=facts.names.__getitem__)
    place = np.full(len(facts.names) + 1, -1, np.int64)  # the last for -1
    place[order] = np.arange(len(order))
    rejects, rows = facts.rejects.copy(), facts.rows.copy()
    rejects[:, 1] = place[rejects[:, 1]]
    for column in facts.coded:
        rows[:, column] = place[rows[:, column]]
    return replace(facts, rejects=rejects, rows=rows, names=tuple(facts.names[code] for code in order))
