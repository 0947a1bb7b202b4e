"""What sources need of a partition, whatever stream it is of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from engine.book import Book
from engine.model import I64, Payloads
from engine.partition import Fed

Item = tuple[str, bytes]  # shard key, partial or tick


class Told(Protocol):
    """What a partition tells one key of the flow."""

    @property
    def shard(self) -> int:
        """The key it is for."""
        ...

    def encode(self) -> bytes:
        """The blob that is sent."""
        ...


class Keeper(Protocol):
    """One partition of any stream: engine.partition.Partition, and what stands for it in streams beside people."""

    number: int
    hears: bool  # of something beside its log: it may have something to tell while W stands, and after its end
    ended: bool
    accepted: int
    rejected: I64
    first_ms: int
    last_ms: int

    @property
    def watermark(self) -> int:
        """W in ms."""
        ...

    @property
    def untold_ms(self) -> int:
        """How far W has moved since partials were made."""
        ...

    @property
    def read(self) -> int:
        """Events read so far."""
        ...

    def feed(self, payloads: Payloads) -> Fed:
        """Take in messages in log order."""
        ...

    def partials(self) -> Sequence[Told]:
        """What W has passed since the last call."""
        ...

    def finish(self) -> None:
        """The log has ended."""
        ...

    def snapshot(self) -> bytes:
        """All that is needed to go on."""
        ...


# number, book, bound_ms, shards, snapshot, W before the first record, what messages may be
Maker = Callable[[int, Book, int, int, "bytes | None", int, int], Keeper]
