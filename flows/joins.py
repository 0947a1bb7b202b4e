"""Partitions that are added to the topic of a live run: where their logs begin to count.

The run has closed windows before it knew of the new partition. Records of it for such windows are late, in the run and
in every replay. Nothing in the new log says so by itself, so the run that takes a partition up appends a *join* to it:
a tick with ``since``, the watermark W at which the partition begins. Records before the join count from that W on too::

    windows closed by the run   ……………………|since
    log of the new partition         a   b   c   join   d      a, b, c were produced before the run knew of it
    its W                       since……                        a is late where its window ends before ``since``

A reader must know ``since`` before the first record. A live run that has state of a partition knows it; everyone else
looks for the join first: a dump names it, in Kafka the partitions are searched that begin later than the topic.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, TopicPartition

from engine.errors import ServiceUnreachable
from flows.kafka import Cluster

BEGINS_LATER_MS = 10_000  # partitions made with the topic begin within this of the first one
_MARK = b'"since"'
_PATIENCE_S = 10.0
_FEW = {"queued.max.messages.kbytes": 1024, "fetch.queue.backoff.ms": 1}  # of a reader that wants one record each


def join_in(values: Iterable[bytes | None]) -> int | None:
    """``since`` of the first join among messages, None where there is none."""
    for value in values:
        if value is not None and _MARK in value:
            try:
                document = json.loads(value)
            except ValueError:
                continue
            if isinstance(document, dict) and document.get("type") == "tick" and type(document.get("since")) is int:
                return int(document["since"])
    return None


def write_joins(cluster: Cluster, partitions: Iterable[int], since: int, registry: Sequence[bytes] = ()) -> None:
    """Append a join to each partition, and the records of the ``registry`` version that holds in the others.

    Raises ServiceUnreachable where one cannot be written.
    """
    # as a tick it says no more than ``since`` does: the partition need not be silent
    value = json.dumps({"type": "tick", "ts": since, "since": since}, separators=(",", ":")).encode()
    producer = cluster.producer()
    failed: list[object] = []
    for partition in partitions:
        for record in (value, *registry):
            producer.produce(
                cluster.topic,
                record,
                partition=partition,
                on_delivery=lambda error, _: failed.append(error) if error else None,
            )
    if producer.flush(_PATIENCE_S) or failed:
        raise ServiceUnreachable(f"Kafka {cluster.bootstrap}: {cluster.topic} takes no ticks")


def find_joins(cluster: Cluster, partitions: int) -> dict[int, int]:
    """``since`` of the partitions that joined later than the topic began; what began with it is not searched."""
    begun = first_times(cluster, range(partitions))
    first = min(begun.values(), default=0)
    return search(cluster, [p for p, at in begun.items() if at > first + BEGINS_LATER_MS])


def first_times(cluster: Cluster, partitions: Iterable[int]) -> dict[int, int]:
    """Record time (ms) of each partition's first record; empty partitions have none."""
    return _first(cluster, partitions, lambda _value, time_ms: time_ms, _FEW)


def search(cluster: Cluster, partitions: Iterable[int]) -> dict[int, int]:
    """``since`` of the first join of each partition that holds one up to what is its end now."""
    return _first(cluster, partitions, lambda value, _time_ms: join_in([value]), {})


def _first(
    cluster: Cluster,
    partitions: Iterable[int],
    found_in: Callable[[bytes | None, int], int | None],
    settings: Mapping[str, Any],
) -> dict[int, int]:
    """What ``found_in`` gives for the first record (value, time in ms) of each partition for which it is not None."""
    out: dict[int, int] = {}
    waiting = set(partitions)
    if not waiting:
        return out
    consumer = cluster.consumer(settings)
    try:
        consumer.assign([TopicPartition(cluster.topic, p, OFFSET_BEGINNING) for p in waiting])
        for partition, value, time_ms in _records(consumer, cluster, waiting):
            if partition in waiting and (found := found_in(value, time_ms)) is not None:
                out[partition] = found
                waiting.discard(partition)
                consumer.pause([TopicPartition(cluster.topic, partition)])
    finally:
        consumer.close()
    return out


def _records(consumer: Consumer, cluster: Cluster, waiting: set[int]) -> Iterable[tuple[int, bytes | None, int]]:
    """(partition, value, time in ms) of records, until ``waiting`` is empty; a partition at its end leaves it."""
    until = time.monotonic() + _PATIENCE_S
    while waiting:
        try:
            messages = consumer.consume(10_000, 0.1)
        except KafkaException:
            raise ServiceUnreachable(f"Kafka {cluster.bootstrap}: no answer") from None
        if messages:
            until = time.monotonic() + _PATIENCE_S
        elif time.monotonic() > until:
            raise ServiceUnreachable(f"Kafka {cluster.bootstrap}: no answer")
        for message in messages:
            error, partition = message.error(), int(message.partition() or 0)
            if error is None:
                yield partition, message.value(), message.timestamp()[1]
            elif error.code() == KafkaError._PARTITION_EOF:
                waiting.discard(partition)
