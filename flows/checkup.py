"""What a look at a topic tells, for ``doctor``: its settings, its replicas, how far our clock is from the broker's.

Nothing is written. The clock: the record timestamp of a topic with LogAppendTime is the broker's clock at the append.
So a record that arrives while we listen tells the difference to within its way here; a live run's ticks come every
second. Where none arrives, the newest record still says that the broker's clock is not before it.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass

from confluent_kafka import TIMESTAMP_LOG_APPEND_TIME, Consumer, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, ConfigResource  # type: ignore[attr-defined]

from engine.errors import ServiceUnreachable
from flows.kafka import Cluster

LISTEN_S = 3.0
_REACH_S = 10.0


@dataclass(frozen=True)
class Topic:
    """A topic as the brokers tell it.

    ``replicas``: least number of replicas of a partition. ``behind``: partitions with replicas that are not in sync.
    ``leaderless``: partitions nobody serves. ``ours_ahead_ms``: our clock less the broker's, None where not measured.
    ``ours_behind_ms``: what our clock is behind at least, 0 where the newest record says nothing.
    """

    partitions: int
    brokers: int
    replicas: int
    behind: int
    leaderless: int
    settings: Mapping[str, str]
    ours_ahead_ms: int | None
    ours_behind_ms: int


def look(cluster: Cluster, listen_s: float = LISTEN_S) -> Topic:
    """Look at the cluster's topic; takes up to ``listen_s`` longer. Raises ServiceUnreachable."""
    consumer = cluster.consumer()
    try:
        metadata = consumer.list_topics(cluster.topic, timeout=_REACH_S)
        found = metadata.topics[cluster.topic]
        if found.error is not None or not found.partitions:
            raise ServiceUnreachable(f"Kafka {cluster.bootstrap}: no topic {cluster.topic}")
        parts = found.partitions.values()
        settings = topic_settings(cluster)
        ahead, behind = None, 0
        if settings.get("message.timestamp.type") == "LogAppendTime":
            ahead, behind = _clock(consumer, cluster.topic, [p.id for p in parts if p.leader >= 0], listen_s)
        return Topic(
            len(parts),
            len(metadata.brokers),
            min(len(p.replicas) for p in parts),
            sum(len(p.isrs) < len(p.replicas) for p in parts),
            sum(p.leader < 0 for p in parts),
            settings,
            ahead,
            behind,
        )
    except KafkaException:
        raise ServiceUnreachable(f"Kafka {cluster.bootstrap}: no answer") from None
    finally:
        consumer.close()


def topic_settings(cluster: Cluster) -> dict[str, str]:
    """Settings of the topic as the broker tells them. Raises ServiceUnreachable."""
    resource = ConfigResource(ConfigResource.Type.TOPIC, cluster.topic)
    admin = AdminClient(cluster.settings)  # must outlive the answer
    try:
        found = admin.describe_configs([resource], request_timeout=_REACH_S)[resource].result()
    except KafkaException:
        raise ServiceUnreachable(f"Kafka {cluster.bootstrap}: no answer about {cluster.topic}") from None
    return {name: entry.value for name, entry in found.items()}


def _clock(consumer: Consumer, topic: str, partitions: list[int], listen_s: float) -> tuple[int | None, int]:
    ends = {p: consumer.get_watermark_offsets(TopicPartition(topic, p), timeout=_REACH_S) for p in partitions}
    newest, until = 0, time.monotonic() + listen_s
    # one record back: the newest one tells a bound; all behind it have come while we listen
    consumer.assign([TopicPartition(topic, p, max(low, high - 1)) for p, (low, high) in ends.items()])
    while time.monotonic() < until:
        for message in consumer.consume(100, 0.05):
            kind, stamp = message.timestamp()
            if message.error() is not None or kind != TIMESTAMP_LOG_APPEND_TIME:
                continue
            now_ms = int(time.time() * 1000)
            if int(message.offset() or 0) >= ends[int(message.partition() or 0)][1]:
                return now_ms - stamp, 0
            newest = max(newest, stamp - now_ms)
    return None, newest
