"""Payloads of signage -> Touches by the active kernel, some thousand at a time; sessions become pseudonyms here."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from engine import kernels
from engine.batch import CHUNK_ROWS
from engine.languages import LANGUAGES
from engine.model import I32, I64, Payloads, Touches
from engine.touch import COLUMNS

PSEUDONYM_BYTES = 16
SESSIONS = 32_768  # room for those that were met lately: half of them are kept, and those of one chunk
KEY_BYTES = 64  # longest key of BLAKE2b


def new_names(screens: Sequence[bytes | None] = ()) -> Any:
    """LANGUAGES and, behind them, ``screens`` (``words(len(LANGUAGES))`` of another table), for the active kernels."""
    return kernels.active().Names([*(code.encode() for code in LANGUAGES), *screens])


def pseudonyms(sessions: Sequence[bytes], key: bytes) -> I64:
    """Keyed BLAKE2b of 128 bits of each session, as two halves: shape (sessions, 2).

    RFC 7693; as little-endian words, so that they are the same on every machine. Raises ValueError for a key that is
    empty or longer than KEY_BYTES.
    """
    if not 0 < len(key) <= KEY_BYTES:
        raise ValueError(f"the key must have 1 to {KEY_BYTES} bytes")
    begin = hashlib.blake2b(digest_size=PSEUDONYM_BYTES, key=key)
    digests = bytearray()
    for session in sessions:
        of = begin.copy()
        of.update(session)
        digests += of.digest()
    return np.frombuffer(digests, "<i8").astype(np.int64).reshape(-1, 2)


class TouchChunks:
    """Touches of payloads some thousand at a time, in columns that each chunk writes anew: they stay in the cache.

    ``names``: of ``new_names``; it grows by the screens that are met. ``key``: 1 to KEY_BYTES bytes; equal sessions
    have equal pseudonyms under one key, and nobody without it can tell which session a pseudonym is of.
    """

    def __init__(self, names: Any, key: bytes) -> None:
        self.names, self._key = names, key
        self._sessions = kernels.active().Names()  # that were met lately
        self._halves: I64 = np.zeros((SESSIONS, 2), np.int64)  # of them; the last row is of what has no session
        self._known = 0
        self._columns = {name: np.empty(2 * CHUNK_ROWS, dtype) for name, dtype in COLUMNS.items()}

    def decode(self, payloads: Payloads, devices: Any, first: int, wire: int) -> tuple[int, Touches]:
        """The next message and the rows of those from ``first`` on: at least one message, CHUNK_ROWS rows and more.

        ``devices``: ``Names`` of the active kernels over the devices' ids. The columns hold until the next call.
        Raises ValueError where the arrays of ``payloads`` do not fit together.
        """
        touch = kernels.active().touch
        given = payloads.data, payloads.starts, payloads.ends, payloads.record_ts, devices
        while True:
            columns = self._columns
            behind, rows = touch(
                *given, self.names, len(LANGUAGES), self._sessions, *columns.values(), first, wire, CHUNK_ROWS
            )
            if behind > first or first == len(payloads):
                break
            larger = 2 * len(columns["kind"])  # for one message alone
            self._columns = {name: np.empty(larger, dtype) for name, dtype in COLUMNS.items()}
        found = {name: column[:rows] for name, column in columns.items()}
        return behind, Touches(**{**found, "session": self._told(found["session"])})

    def _told(self, session: I32) -> I64:
        """Pseudonyms of numbers among the sessions; each is made once while its session is kept."""
        many = len(self._sessions)
        if many >= len(self._halves):
            larger = np.zeros((2 * many, 2), np.int64)
            larger[: self._known] = self._halves[: self._known]
            self._halves = larger
        self._halves[self._known : many] = pseudonyms(self._sessions.words(self._known), self._key)
        self._known, told = many, self._halves.take(session, 0)
        if many > SESSIONS // 2:
            self._sessions.keep(0)
            self._known = 0
        return told
