"""Kafka for the flows: one consumer per process shared by all partitions, ticks into silent ones, topic facts."""

from __future__ import annotations

import json
import logging
import time
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from confluent_kafka import (
    OFFSET_BEGINNING,
    OFFSET_END,
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    Producer,
    TopicPartition,
)

from engine.errors import BadInput, ServiceUnreachable
from engine.model import I64, Payloads

TOPIC = "people"
BEGINNING, LATEST = OFFSET_BEGINNING, OFFSET_END  # offsets of no number: the first record, the next one to come
_REACH_S = 10.0
_POLL = 20_000  # messages per poll
_HELD_BYTES = 32 << 20  # polled and not yet taken, all partitions together
_log = logging.getLogger("hitonami.kafka")  # librdkafka's own lines would be a second message to every error
_log.addHandler(logging.NullHandler())
_log.propagate = False


class OffsetGone(ServiceUnreachable):
    """The topic no longer holds (or, made anew, never held) the offset a run goes on from: another try is no help."""


class Cluster:
    """Where the topic is: ``bootstrap`` (HOST:PORT), further librdkafka settings (TLS, SASL), the topic's name."""

    def __init__(self, bootstrap: str, settings: Mapping[str, str] | None = None, topic: str = TOPIC) -> None:
        self.bootstrap, self.topic = bootstrap, topic
        self.settings: dict[str, Any] = {
            "bootstrap.servers": bootstrap,
            "log_level": 2,
            "logger": _log,
            "error_cb": lambda _error: None,
            **(settings or {}),
        }

    def consumer(self) -> Consumer:
        """A consumer for ``assign``; its group is never used. Raises BadInput for settings librdkafka refuses."""
        made: Consumer = _made(
            Consumer,
            {
                "group.id": "hitonami",
                "enable.auto.commit": False,
                "enable.auto.offset.store": False,
                "auto.offset.reset": "error",
                "enable.partition.eof": True,
                "isolation.level": "read_committed",
                "fetch.wait.max.ms": 50,
                "queued.max.messages.kbytes": 65536,
                **self.settings,
            },
        )
        return made

    def producer(self) -> Producer:
        """A producer. Raises BadInput for settings librdkafka refuses."""
        made: Producer = _made(Producer, {"linger.ms": 0, "message.timeout.ms": 5000, **self.settings})
        return made

    def partitions(self) -> int:
        """Number of partitions of the topic. Raises ServiceUnreachable when Kafka or the topic is not there."""
        consumer = self.consumer()
        try:
            found = consumer.list_topics(self.topic, timeout=_REACH_S).topics[self.topic]
            if found.error is not None or not found.partitions:
                raise ServiceUnreachable(f"Kafka {self.bootstrap}: no topic {self.topic}")
            return len(found.partitions)
        except KafkaException:
            raise ServiceUnreachable(f"Kafka {self.bootstrap}: no answer") from None
        finally:
            consumer.close()

    def gone(self, partition: int) -> OffsetGone:
        """The error of an offset out of range."""
        return OffsetGone(f"Kafka {self.bootstrap}: {self.topic}/{partition} no longer holds the stored offset")

    def check_offsets(self, offsets: Mapping[int, int]) -> None:
        """Raises OffsetGone where a partition does not hold the offset to go on from."""
        ends = self.ends(max(offsets, default=-1) + 1)
        for partition, offset in sorted(offsets.items()):
            if offset >= 0 and not ends[partition][0] <= offset <= ends[partition][1]:
                raise self.gone(partition)

    def ends(self, partitions: int) -> list[tuple[int, int]]:
        """First offset and end of each partition."""
        consumer = self.consumer()
        try:
            return [
                consumer.get_watermark_offsets(TopicPartition(self.topic, p), timeout=_REACH_S)
                for p in range(partitions)
            ]
        except KafkaException:
            raise ServiceUnreachable(f"Kafka {self.bootstrap}: no answer") from None
        finally:
            consumer.close()

    def offsets_at(self, partitions: int, ms: int) -> list[int]:
        """First offset of each partition whose record timestamp is at least ``ms``; its end where there is none."""
        consumer = self.consumer()
        try:
            asked = [TopicPartition(self.topic, p, ms) for p in range(partitions)]
            found = consumer.offsets_for_times(asked, timeout=_REACH_S)
            return [
                place.offset if place.offset >= 0 else consumer.get_watermark_offsets(place, timeout=_REACH_S)[1]
                for place in found
            ]
        except KafkaException:
            raise ServiceUnreachable(f"Kafka {self.bootstrap}: no answer") from None
        finally:
            consumer.close()


class Batch:
    """Messages of one partition as they came: values, record timestamps, offsets."""

    __slots__ = ("messages",)

    def __init__(self, messages: Sequence[Message]) -> None:
        self.messages = messages

    def payloads(self) -> Payloads:
        """The same as one buffer and columns; a message without value is empty."""
        values = [m.value() or b"" for m in self.messages]
        lengths = np.fromiter(map(len, values), np.int64, len(values))
        ends = np.cumsum(lengths)
        stamps: I64 = np.fromiter((m.timestamp()[1] for m in self.messages), np.int64, len(values))
        offsets: I64 = np.fromiter((m.offset() for m in self.messages), np.int64, len(values))
        return Payloads(b"".join(values), ends - lengths, ends, stamps, offsets)


class Reader:
    """The shared consumer. Partitions register where they go on from; they are assigned at the next poll."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self._consumer = cluster.consumer()
        self._new: list[TopicPartition] = []  # registered, not assigned yet
        self._from: dict[int, int] = {}  # partition -> where it was to go on from; of those assigned
        self._waiting: dict[int, deque[Message]] = {}
        self._held = 0
        self._at_end: dict[int, bool] = {}  # partition -> polled to its end, nothing since
        self._next: dict[int, int] = {}  # partition -> offset behind the last message polled
        self._heard: dict[int, float] = {}  # partition -> monotonic second of the last message or end

    def register(self, partition: int, offset: int) -> None:
        """Read ``partition`` from ``offset`` on (OFFSET_BEGINNING: from its first message)."""
        self._new.append(TopicPartition(self.cluster.topic, partition, offset))
        self._waiting[partition] = deque()
        self._at_end[partition] = False

    def at_end(self, partition: int) -> bool:
        """Whether the partition was read to its end and everything of it has been taken."""
        return self._at_end[partition] and not self._waiting[partition]

    def heard(self) -> dict[int, float]:
        """Partition → monotonic second in which a message or its end came last. Of any thread."""
        return dict(self._heard)

    def lags(self) -> dict[int, int]:
        """Partition → messages behind its end, as last told; empty before the assignment. Of any thread."""
        return {p: self._lag(p) for p in list(self._from)}

    def _lag(self, partition: int) -> int:
        waiting = len(self._waiting[partition])
        if self._at_end[partition]:
            return waiting  # offsets have gaps: the end is where the broker says it is
        try:
            low, high = self._consumer.get_watermark_offsets(TopicPartition(self.cluster.topic, partition), cached=True)
        except (KafkaException, RuntimeError):  # the consumer is being closed
            return waiting
        following = self._next.get(partition, max(self._from[partition], low))
        return max(0, high - following) + waiting

    def take(self, partition: int, max_bytes: int) -> Batch | None:
        """The next messages of a partition, about ``max_bytes`` of them; None where there are none now."""
        waiting = self._waiting[partition]
        if not waiting:
            self._poll()
        out, size = [], 0
        while waiting and size < max_bytes:
            message = waiting.popleft()
            size += len(message)
            out.append(message)
        self._held -= size
        return Batch(out) if out else None

    def _poll(self) -> None:
        if self._new:
            self._consumer.incremental_assign(self._new)
            self._from |= {int(place.partition): int(place.offset) for place in self._new}
            self._new = []
        if self._held > _HELD_BYTES:
            return
        now = time.monotonic()
        for message in self._consumer.consume(_POLL, 0):
            error = message.error()
            number = int(message.partition() or 0)
            if error is None:
                self._waiting[number].append(message)
                self._held += len(message)
                self._at_end[number] = False
                self._next[number] = int(message.offset() or 0) + 1
                self._heard[number] = now
            elif error.code() == KafkaError._PARTITION_EOF:
                self._at_end[number] = True
                self._heard[number] = now
            elif error.code() in (KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE):
                raise self.cluster.gone(number)
            elif error.fatal():
                raise ServiceUnreachable(f"Kafka {self.cluster.bootstrap}: {error.name()}")

    def close(self) -> None:
        """Leave the broker."""
        self._consumer.close()


class Ticker:
    """Appends ticks to partitions that are read to their end and silent: the decision to go on stands in the log."""

    def __init__(self, cluster: Cluster, tick_ms: int) -> None:
        self._cluster, self._tick_s = cluster, tick_ms / 1000
        self._producer = cluster.producer()
        self._quiet_since: dict[int, float] = {}

    def heard(self, partition: int) -> None:
        """Messages came: the partition is not silent."""
        self._quiet_since.pop(partition, None)

    def silent(self, partition: int, now_s: float) -> None:
        """The partition is at its end and had nothing at ``now_s`` (monotonic); appends a tick when it is time."""
        since = self._quiet_since.setdefault(partition, now_s)
        self._producer.poll(0)
        if now_s - since >= self._tick_s:
            self._quiet_since[partition] = now_s
            value = json.dumps({"type": "tick", "ts": int(time.time() * 1000)}, separators=(",", ":")).encode()
            self._producer.produce(self._cluster.topic, value, partition=partition)

    def close(self) -> None:
        """Give ticks on their way a moment."""
        self._producer.flush(1.0)


def _made(kind: Any, settings: dict[str, Any]) -> Any:
    try:
        return kind(settings)
    except (KafkaException, ValueError, TypeError):
        raise BadInput("Kafka: the client refuses a setting of --kafka-config") from None
