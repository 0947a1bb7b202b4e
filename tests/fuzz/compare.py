"""One document, two readers: the compiled scanner, and the readable twin, whose reader is orjson."""

from __future__ import annotations

import ctypes
import mmap
import sys
from collections import Counter
from typing import Any

import numpy as np

from engine import decode as reference
from engine.decode import PLACED
from engine.model import JSON, NO_TIME
from tests.fuzz.documents import IDS
from tests.support.decoded import listed, room_for

ROOM = 1 << 20  # bytes; a document is at most that long
ROWS = 64  # of one document, at first
RECORD_TS = (NO_TIME, 1_770_450_099_000)  # the record tells its time, or the message has one


class Comparison:
    """Decodes documents by both and tells where they differ; ``compiled`` is the module to try.

    A document is laid down so that it ends where a page begins that may not be read: who reads on dies. ``memory``
    (a file of ``SIZE`` bytes) keeps the last document for whoever asks why.
    """

    SIZE = mmap.PAGESIZE + ROOM + mmap.PAGESIZE

    def __init__(self, compiled: Any, memory: int = -1) -> None:
        self._compiled = compiled
        self._pages = mmap.mmap(memory, self.SIZE)
        start = ctypes.addressof(ctypes.c_char.from_buffer(self._pages))
        guard = ctypes.c_void_p(start + self.SIZE - mmap.PAGESIZE)
        if ctypes.CDLL(None, use_errno=True).mprotect(guard, ctypes.c_size_t(mmap.PAGESIZE), 0):
            raise OSError(ctypes.get_errno(), "mprotect")
        self._data = np.frombuffer(self._pages, np.uint8, ROOM, mmap.PAGESIZE)
        self._bytes = memoryview(self._pages)[mmap.PAGESIZE : mmap.PAGESIZE + ROOM]
        self._starts, self._ends = np.zeros(1, np.int64), np.full(1, ROOM, np.int64)
        self._stamps = [np.full(1, stamp, np.int64) for stamp in RECORD_TS]
        self._begin()
        self.documents = 0
        self.reasons: Counter[int] = Counter()  # of the rows, as the reference judged them

    def _begin(self) -> None:
        self._ids = self._compiled.Ids(list(IDS)), reference.Ids(list(IDS))
        self._columns = room_for(ROWS)

    def difference(self, document: bytes, which: int = 0) -> str | None:
        """What the two say where they do not say the same; ``which`` of RECORD_TS holds."""
        self._lay(document)
        rows = reference._rows(document, RECORD_TS[which], self._ids[1], JSON)
        found = self._found(which, len(document))
        expected = [_in_bits(row) if row.kind in PLACED else tuple(row) for row in rows]
        self.documents += 1
        for row in rows:
            self.reasons[row.reason] += 1
        if found == expected:
            return None
        return f"{document!r}\n  record_ts {RECORD_TS[which]}\n  orjson  {expected}\n  scanner {found}"

    def _lay(self, document: bytes) -> None:
        size = len(document)
        self._pages[:8] = size.to_bytes(8, sys.byteorder)
        self._bytes[ROOM - size :] = document
        self._starts[0] = ROOM - size

    def _found(self, which: int, size: int) -> list[tuple[Any, ...]]:
        columns, given = self._columns, (self._data, self._starts, self._ends, self._stamps[which], self._ids[0])
        done, filled = self._compiled.decode(*given, *columns, 0, JSON)
        if not done:  # more rows than room
            columns = room_for(size + 1)
            done, filled = self._compiled.decode(*given, *columns, 0, JSON)
        assert done == 1
        kind, reason, sensor, ts, span_ms, n, seq, has_seq, x, y, record_ts, message = listed(columns, filled)
        assert not any(message)
        people = map(tuple, n)
        return list(zip(kind, reason, sensor, ts, span_ms, people, seq, has_seq, x, y, record_ts, strict=True))


def last_document(memory: bytes) -> bytes:
    """The document that was read last, from the file that the comparison worked in."""
    size = int.from_bytes(memory[:8], sys.byteorder)
    end = mmap.PAGESIZE + ROOM
    return memory[end - size : end]


def _in_bits(row: reference.Row) -> tuple[Any, ...]:
    """The row with its place as listed() tells it."""
    x, y = np.array([row.x, row.y]).view(np.int64).tolist()
    return tuple(row._replace(x=x, y=y))
