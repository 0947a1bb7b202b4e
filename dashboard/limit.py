"""How often something may be tried: buckets of tokens in a room that never grows."""

from __future__ import annotations

import hashlib
import secrets
from array import array
from collections.abc import Callable

BUCKETS = 4096


class Limit:
    """``burst`` tries at once, then one every ``refill_s`` seconds, for each key.

    Keys share BUCKETS buckets by a keyed hash: whoever comes with ever new keys fills buckets, but can neither make
    the table grow nor push another key's count out of it. Two keys in one bucket are held to the limit together.
    """

    def __init__(self, burst: int, refill_s: float, clock: Callable[[], float]) -> None:
        self._burst, self._refill_s, self._clock = float(burst), refill_s, clock
        self._secret = secrets.token_bytes(16)
        self._left = array("d", [float(burst)]) * BUCKETS
        self._at = array("d", [0.0]) * BUCKETS

    def take(self, key: str) -> float:
        """Take a token: 0.0 if there was one, else in how many seconds there is."""
        place, now = self._place(key), self._clock()
        if self._left[place] < self._burst:
            # a clock that was set back refills nothing
            gained = max(0.0, now - self._at[place]) / self._refill_s
            self._left[place] = min(self._burst, self._left[place] + gained)
        self._at[place] = now
        if self._left[place] < 1.0:
            return (1.0 - self._left[place]) * self._refill_s
        self._left[place] -= 1.0
        return 0.0

    def give_back(self, key: str) -> None:
        """The try does not count after all."""
        place = self._place(key)
        self._left[place] = min(self._burst, self._left[place] + 1.0)

    def _place(self, key: str) -> int:
        digest = hashlib.blake2b(key.encode("utf-8", "surrogatepass"), digest_size=8, key=self._secret).digest()
        return int.from_bytes(digest) % BUCKETS
