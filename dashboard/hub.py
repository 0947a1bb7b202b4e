"""Server-sent events: numbered frames in a ring, each encoded once for all clients.

An id is ``<epoch>-<seq>``. The epoch is new for every broadcast, so an id of another server, run or window is void
and its client gets a snapshot; an id that the ring still follows on gets only what is missing.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import deque
from itertools import islice

KEEP = 600  # frames in the ring: ten minutes at one a second
KEEP_BYTES = 32 * 2**20  # of them: five minutes of a city of 1,000 zones that all change each second


class Broadcast:
    """Frames of one stream. Belongs to one event loop; not thread-safe."""

    def __init__(self, keep: int = KEEP, keep_bytes: int = KEEP_BYTES) -> None:
        self.epoch = secrets.token_hex(4)
        self.seq = 0
        self.closed = False
        self._ring: deque[bytes] = deque()  # the last one has number seq
        self._keep, self._keep_bytes, self._bytes = keep, keep_bytes, 0
        self._wake: asyncio.Future[None] | None = None

    def frame(self, event: str, data: bytes) -> bytes:
        """One event as bytes under the present number; ``data`` must be one line."""
        return b"id: %s-%d\nevent: %s\ndata: %s\n\n" % (self.epoch.encode(), self.seq, event.encode(), data)

    def publish(self, event: str, data: bytes) -> None:
        """Number a frame, keep it, wake all that wait. The newest is kept however large it is."""
        self.seq += 1
        self._ring.append(self.frame(event, data))
        self._bytes += len(self._ring[-1])
        while len(self._ring) > self._keep or (self._bytes > self._keep_bytes and len(self._ring) > 1):
            self._bytes -= len(self._ring.popleft())
        self._wake_all()

    def since(self, last_id: str | None) -> int | None:
        """Number of ``last_id`` where the ring holds everything behind it; None where only a snapshot helps."""
        epoch, _, number = (last_id or "").rpartition("-")
        if epoch != self.epoch or not number.isascii() or not number.isdecimal() or len(number) > 18:
            return None
        return int(number) if self.seq - len(self._ring) <= int(number) <= self.seq else None

    def after(self, seq: int) -> list[bytes] | None:
        """Frames with a number above ``seq``, in order; None where the ring has lost some of them."""
        missing = self.seq - seq
        if missing > len(self._ring):
            return None
        return list(islice(self._ring, len(self._ring) - missing, None))

    async def changed(self) -> None:
        """Wait for the next frame, or for the end."""
        if self.closed:
            return
        if self._wake is None:
            self._wake = asyncio.get_running_loop().create_future()
        await asyncio.shield(self._wake)

    def close(self) -> None:
        """End all streams of it."""
        self.closed = True
        self._wake_all()

    def _wake_all(self) -> None:
        wake, self._wake = self._wake, None
        if wake is not None and not wake.done():
            wake.set_result(None)
