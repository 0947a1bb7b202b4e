"""Reading a topic in tests: all records of a partition, and the ticks among them."""

from __future__ import annotations

import json
import time

from confluent_kafka import Consumer, KafkaError, Message, TopicPartition

from tests.realservices.kafka import Kafka

PATIENCE_S = 90


def log(kafka: Kafka, topic: str, partition: int) -> list[Message]:
    """The committed records of a partition, up to its end now."""
    consumer = Consumer(
        {
            "bootstrap.servers": kafka.bootstrap,
            "group.id": "look",
            "fetch.wait.max.ms": 20,  # its end is heard between two ticks
            "enable.partition.eof": True,
            "isolation.level": "read_committed",
        }
    )
    found: list[Message] = []
    try:
        consumer.assign([TopicPartition(topic, partition, 0)])
        last = time.monotonic() + PATIENCE_S
        while True:
            for message in consumer.consume(10_000, 0.2):
                error = message.error()
                if error is None:
                    found.append(message)
                elif error.code() == KafkaError._PARTITION_EOF:
                    return found
            assert time.monotonic() < last, "the log does not end"
    finally:
        consumer.close()


def ticks(kafka: Kafka, topic: str, partition: int) -> list[int]:
    """``ts`` of the ticks in a partition."""
    documents = [json.loads(message.value() or b"{}") for message in log(kafka, topic, partition)]
    return [document["ts"] for document in documents if document.get("type") == "tick"]
