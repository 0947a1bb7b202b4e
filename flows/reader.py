"""Readers of a topic: one consumer per process, shared by all its partitions. What all do, and the safe one.

The safe reader takes messages as Python objects from confluent_kafka: what flows/hot.py does faster, readable.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Sequence

import numpy as np
from confluent_kafka import KafkaError, KafkaException, Message, TopicPartition

from engine.errors import ServiceUnreachable
from engine.model import I64, NO_TIME, Payloads
from flows.kafka import Cluster

_POLL = 20_000  # messages per poll
_HELD_BYTES = 32 << 20  # polled and not yet taken, all partitions together


class Reader(ABC):
    """Reads partitions from where they register on; they are assigned when something is taken next."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self._new: dict[int, int] = {}  # partition -> offset; registered, not assigned yet
        self._from: dict[int, int] = {}  # partition -> where it was to go on from; of those assigned
        self._end: dict[int, int | None] = {}  # partition -> its end, where read to it and nothing since
        self._next: dict[int, int] = {}  # partition -> offset behind the last message
        self._heard: dict[int, float] = {}  # partition -> monotonic second of the last message or end

    def register(self, partition: int, offset: int) -> None:
        """Read ``partition`` from ``offset`` on (OFFSET_BEGINNING: from its first message)."""
        self._new[partition] = offset
        self._end[partition] = None

    def _assigned(self) -> None:
        self._from |= self._new
        self._new = {}

    @abstractmethod
    def take(self, partition: int, max_bytes: int) -> Payloads | None:
        """The next messages of a partition, about ``max_bytes`` of them; None where there are none now. Never waits.

        They hold until the next call. A message without value is empty. Raises OffsetGone, and ServiceUnreachable where
        another try is no help.
        """

    def end(self, partition: int) -> int | None:
        """The partition's end as it was when last heard, where it was read to there and everything has been taken.

        Aborted records and marks of transactions lie before it, too: the next record may be far behind the last one.
        """
        return self._end[partition]

    def is_over(self, partition: int, end: int) -> bool:
        """Whether all in front of ``end`` was taken. A new leader may end earlier for a moment: that is no end."""
        found = self.end(partition)
        return found is not None and found >= end

    def heard(self) -> dict[int, float]:
        """Partition → monotonic second in which a message or its end came last. Of any thread."""
        return dict(self._heard)

    def lags(self) -> dict[int, int]:
        """Partition → messages behind its end, as last told; empty before the assignment. Of any thread."""
        return {p: self._lag(p) for p in list(self._from)}

    def _lag(self, partition: int) -> int:
        waiting = self._waits(partition)
        if self._end[partition] is not None:
            return waiting  # offsets have gaps: the end is where the broker says it is
        told = self._watermarks(partition)
        if told is None:
            return waiting
        following = self._next.get(partition, max(self._from[partition], told[0]))
        return max(0, told[1] - following) + waiting

    def _waits(self, partition: int) -> int:
        """Messages in front of ``_next`` that have not been taken."""
        return 0

    @abstractmethod
    def _watermarks(self, partition: int) -> tuple[int, int] | None:
        """First offset and end of a partition as the client last heard of them."""

    @abstractmethod
    def close(self) -> None:
        """Leave the broker."""


class SafeReader(Reader):
    """Reads by the Python client."""

    def __init__(self, cluster: Cluster) -> None:
        super().__init__(cluster)
        self._consumer = cluster.consumer()
        self._waiting: dict[int, deque[Message]] = {}
        self._held = 0

    def register(self, partition: int, offset: int) -> None:
        """See Reader."""
        super().register(partition, offset)
        self._waiting[partition] = deque()

    def end(self, partition: int) -> int | None:
        """See Reader."""
        return None if self._waiting[partition] else self._end[partition]

    def take(self, partition: int, max_bytes: int) -> Payloads | None:
        """See Reader."""
        messages = self.messages(partition, max_bytes)
        if not messages:
            return None
        values = [m.value() or b"" for m in messages]
        lengths = np.fromiter(map(len, values), np.int64, len(values))
        ends = np.cumsum(lengths)
        offsets: I64 = np.fromiter((m.offset() for m in messages), np.int64, len(values))
        return Payloads(b"".join(values), ends - lengths, ends, stamps(messages), offsets)

    def messages(self, partition: int, max_bytes: int) -> Sequence[Message]:
        """The same as messages, with their keys."""
        waiting = self._waiting[partition]
        if not waiting:
            self._poll()
        out, size = [], 0
        while waiting and size < max_bytes:
            message = waiting.popleft()
            size += len(message)
            out.append(message)
        self._held -= size
        return out

    def _poll(self) -> None:
        if self._new:
            topic = self.cluster.topic
            self._consumer.incremental_assign([TopicPartition(topic, p, at) for p, at in self._new.items()])
            self._assigned()
        if self._held > _HELD_BYTES:
            return
        now = time.monotonic()
        for message in self._consumer.consume(_POLL, 0):
            error = message.error()
            number = int(message.partition() or 0)
            if error is None:
                self._waiting[number].append(message)
                self._held += len(message)
                self._end[number] = None
                self._next[number] = int(message.offset() or 0) + 1
                self._heard[number] = now
            elif error.code() == KafkaError._PARTITION_EOF:
                self._end[number] = int(message.offset() or 0)
                self._heard[number] = now
            elif error.code() in (KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE):
                raise self.cluster.gone(number)
            elif error.fatal():
                raise ServiceUnreachable(f"Kafka {self.cluster.bootstrap}: {error.name()}")

    def _waits(self, partition: int) -> int:
        return len(self._waiting[partition])

    def _watermarks(self, partition: int) -> tuple[int, int] | None:
        try:
            place = TopicPartition(self.cluster.topic, partition)
            return self._consumer.get_watermark_offsets(place, cached=True)
        except (KafkaException, RuntimeError):  # the consumer is being closed
            return None

    def close(self) -> None:
        """See Reader."""
        self._consumer.close()


def stamps(messages: Sequence[Message]) -> I64:
    """Record timestamps (ms), NO_TIME of a record that has none."""
    told = (m.timestamp()[1] for m in messages)
    return np.fromiter((NO_TIME if ms < 0 else ms for ms in told), np.int64, len(messages))
