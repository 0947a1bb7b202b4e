"""Scenarios sent to the real Kafka: every event once, under its sensor's key, in its own time."""

from __future__ import annotations

import json
import time
from collections import Counter
from typing import TYPE_CHECKING

import pytest
from confluent_kafka import Consumer, Message, TopicPartition
from confluent_kafka.admin import AdminClient, ConfigResource, ResourceType

import loadgen

if TYPE_CHECKING:
    from tests.realservices.kafka import Kafka

pytestmark = pytest.mark.kafka
LOG_APPEND_TIME = 2


def messages(kafka: Kafka, topic: str, partitions: int) -> list[Message]:
    """All messages of a topic, partition by partition."""
    settings = {"bootstrap.servers": kafka.bootstrap, "group.id": "reader", "enable.auto.commit": False}
    consumer = Consumer({**settings, "fetch.wait.max.ms": 10})
    places = [TopicPartition(topic, partition, 0) for partition in range(partitions)]
    left = sum(consumer.get_watermark_offsets(place, timeout=10)[1] for place in places)
    consumer.assign(places)
    out: list[Message] = []
    while len(out) < left:
        got = consumer.consume(left - len(out), timeout=0.2)
        assert all(message.error() is None for message in got)
        out += got
    consumer.close()
    return sorted(out, key=lambda message: (message.partition(), message.offset()))


def test_every_event_arrives_once_under_its_sensors_key(kafka: Kafka) -> None:
    scenario = loadgen.weekday(seed=1, seconds=120, rate=100)
    sent = loadgen.produce(scenario, kafka.bootstrap, "load-fast", paced=False)
    got = messages(kafka, "load-fast", 4)
    assert sent.events == len(got) == scenario.totals()["events"]
    expected = [(m.key, m.value) for m in loadgen.weekday(seed=1, seconds=120, rate=100).events()]
    assert Counter((m.key(), m.value()) for m in got) == Counter(expected)
    assert {m.timestamp()[0] for m in got} == {LOG_APPEND_TIME}
    assert len({m.partition() for m in got}) > 1
    # a sensor keeps to one partition, and to its order of arrival
    for sensor in {key for key, _ in expected}:
        mine = [m for m in got if m.key() == sensor]
        assert len({m.partition() for m in mine}) == 1
        assert [m.value() for m in mine] == [value for key, value in expected if key == sensor]


def test_the_topic_is_made_once_and_keeps_everything(kafka: Kafka) -> None:
    assert loadgen.create_topic(kafka.bootstrap, "load-made", partitions=3)
    assert not loadgen.create_topic(kafka.bootstrap, "load-made", partitions=5)
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap})
    assert len(admin.list_topics("load-made", timeout=10).topics["load-made"].partitions) == 3
    resource = ConfigResource(ResourceType.TOPIC, "load-made")
    config = admin.describe_configs([resource])[resource].result(10)
    assert config["message.timestamp.type"].value == "LogAppendTime"
    assert config["retention.ms"].value == "-1"


def test_in_real_time_nothing_is_sent_before_it_happened(kafka: Kafka) -> None:
    start = int(time.time() * 1000)
    scenario = loadgen.weekday(seconds=3, rate=60, start_ms=start, clock_of_day_s=8 * 3600)
    told: list[int] = []
    sent = loadgen.produce(scenario, kafka.bootstrap, "load-paced", on_progress=told.append)
    got = messages(kafka, "load-paced", 4)
    assert sent.events == len(got) == told[-1]
    for message in got:
        event = json.loads(message.value())
        assert message.timestamp()[1] >= event["ts"] + event.get("span_ms", 0) >= start
    assert int(time.time() * 1000) >= start + 3_000


def test_it_stops_when_told_and_the_truth_is_what_was_sent(kafka: Kafka) -> None:
    now = int(time.time() * 1000)
    scenario = loadgen.weekday(seconds=None, start_ms=now - 60_000, clock_of_day_s=8 * 3600)
    sent = loadgen.produce(scenario, kafka.bootstrap, "load-stopped", stop=lambda: time.time() * 1000 > now + 1_000)
    assert sent.events == len(messages(kafka, "load-stopped", 4))
    assert scenario.totals()["events"] - sent.events in (0, 1)  # the one it was waiting for


def test_a_broker_that_is_not_there_is_a_connection_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("loadgen.kafka._REACH_S", 0.5)
    with pytest.raises(ConnectionError, match=r"^Kafka 127\.0\.0\.1:9: "):
        loadgen.produce(loadgen.weekday(seconds=10), "127.0.0.1:9", paced=False)


def test_a_past_is_stamped_as_it_came_and_told_when_it_is_there(kafka: Kafka) -> None:
    start = int(time.time() * 1000) - 57_000
    scenario = loadgen.weekday(seconds=62, start_ms=start, clock_of_day_s=8 * 3600, equipment="all")
    there: list[int] = []

    def present() -> None:
        there.append(len(messages(kafka, "load-stamped", 4)))

    loadgen.produce(scenario, kafka.bootstrap, "load-stamped", stamped=True, on_present=present)
    again = loadgen.weekday(seconds=62, start_ms=start, clock_of_day_s=8 * 3600, equipment="all")
    arrivals = sorted((m.arrival_ms, m.value) for m in again.events())
    got = messages(kafka, "load-stamped", 4)
    assert sorted((m.timestamp()[1], m.value()) for m in got) == arrivals
    (many,) = there
    assert sum(1 for arrival, _ in arrivals if arrival <= start + 57_000) <= many < len(arrivals)
