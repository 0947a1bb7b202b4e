"""Under which keys one partition knows people, and the proof that a day has one key (PRIVACY.md R1).

A key lies in a file, which can be lost or put back from an older copy while pseudonyms made with it are kept in
snapshots. Under another key a person would count again, and could not be withdrawn. So a partition keeps the **seal**
of each key it has used, a digest that says no more than that the key is the same, for as long as the day is open, or
told but perhaps open elsewhere. ``Seals`` gives out no other key for such a day.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping

import numpy as np

from engine.errors import BadInput
from engine.model import DAY, I64
from engine.profile_day import Pseudonym, sealed
from engine.profile_facts import PRODUCTS
from engine.profile_gate import Keys

PSEUDONYM_BYTES = 16


class Seals:
    """The seals of one partition, by kind (place in PRODUCTS) and day (its start, ms).

    ``state``: what ``state()`` gave.
    """

    def __init__(self, keys: Keys, state: Mapping[tuple[int, int], bytes] | None = None) -> None:
        self._keys, self._seals = keys, dict(state or {})

    def pseudonym(self, kind: int, day_ms: int, subject: str) -> Pseudonym:
        """That of a subject who counts on a day; its key is made where there is none."""
        key = self._keys.key(PRODUCTS[kind], day_ms)
        if (kind, day_ms) not in self._seals:
            self._seals[kind, day_ms] = _seal(key)
        return pseudonym(subject, key)

    def key(self, kind: int, day_ms: int, *, is_open: bool) -> bytes | None:
        """The key of what is kept or told of a day; None: there is nothing of that kind, or the day has closed for all.

        ``is_open``: for this partition, so that it cannot have closed for all. Raises BadInput where the key is lost,
        or another one.
        """
        seal = self._seals.get((kind, day_ms))
        if seal is None:
            return None
        key = self._keys.find(PRODUCTS[kind], day_ms)
        if key is None and not is_open and self._keys.destroyed(day_ms):
            return None
        if key is None or _seal(key) != seal:
            raise BadInput("[profiles] key_file: the key of an open day is lost, or another one")
        return key

    def check(self, opened: Collection[int]) -> None:
        """Raise BadInput where a key is lost, or another one. ``opened``: the days that are open for this partition."""
        for kind, day_ms in self._seals:
            self.key(kind, day_ms, is_open=day_ms in opened)

    def facts(self, start_ms: int, close_ms: int) -> list[I64]:
        """The facts (1, WIDTH) that tell with which keys the pseudonyms of a day were made, one for each."""
        kinds = [kind for kind in range(len(PRODUCTS)) if (kind, start_ms) in self._seals]
        return [sealed((start_ms, close_ms), DAY, kind, _words(self._seals[kind, start_ms])) for kind in kinds]

    def keep(self, days: Collection[int]) -> None:
        """Forget those of all other days."""
        self._seals = {name: seal for name, seal in self._seals.items() if name[1] in days}

    def state(self) -> dict[tuple[int, int], bytes]:
        """Everything a later ``Seals(..., state)`` needs to go on; of a key no more than that it is the same."""
        return dict(self._seals)


def pseudonym(subject: str, key: bytes) -> Pseudonym:
    """Keyed BLAKE2b of 128 bits of a subject (RFC 7693), as two little-endian words."""
    return _words(hashlib.blake2b(subject.encode(), digest_size=PSEUDONYM_BYTES, key=key).digest())


def _words(digest: bytes) -> tuple[int, int]:
    high, low = np.frombuffer(digest, "<i8").tolist()
    return high, low


def _seal(key: bytes) -> bytes:
    return hashlib.blake2b(key, digest_size=PSEUDONYM_BYTES).digest()
