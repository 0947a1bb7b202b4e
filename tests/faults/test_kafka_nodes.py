"""Three nodes of Kafka, of which one fails: a new leader takes over, or its partitions wait while others go on."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient

from tests.faults.kafka_run import KafkaRun, until
from tests.faults.kills import Feed, await_closed
from tests.faults.test_kafka_away import AHEAD_MS, CONFIG, away, now_ms
from tests.realservices.kafka import Kafka

pytestmark = [pytest.mark.kafka, pytest.mark.clickhouse, pytest.mark.slow]
FED = "[time]\ntick_ms = 1000000000\n"  # the feed ticks, in event time


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kafka]:
    with Kafka(tmp_path_factory.mktemp("three"), nodes=3) as kafka:
        yield kafka


def leaders(kafka: Kafka, topic: str) -> dict[int, int]:
    """The node that leads each partition."""
    found = AdminClient({"bootstrap.servers": kafka.bootstrap, "log_level": 0}).list_topics(topic, timeout=30)
    return {number: part.leader for number, part in found.topics[topic].partitions.items()}


def test_a_partition_that_cannot_be_reached_waits_while_others_go_on(
    three: Kafka, clickhouse_url: str, tmp_path: Path, record_property: Callable[..., None]
) -> None:
    topic = three.create_topic("spread", 3, replicas=1, config={"min.insync.replicas": "1"})
    lead = leaders(three, topic)
    assert len(set(lead.values())) == 3
    run = KafkaRun(three, topic, clickhouse_url, tmp_path, now_ms() - AHEAD_MS, CONFIG)
    frozen = three.pid(lead[0])
    try:
        left_ms, back_ms = away(
            run,
            lambda: os.kill(frozen, signal.SIGSTOP),  # its sockets stay open and take what is sent to them
            lambda: os.kill(frozen, signal.SIGCONT),
            record_property,
        )
        # one question may be under way when it stops, and one may be answered when it goes on: within their second
        assert not [ts for ts in run.ticks(0) if left_ms + 1_000 < ts < back_ms - 2_000]
        assert len([ts for ts in run.ticks(2) if left_ms < ts < back_ms]) >= 3  # it is silent and can be reached
    finally:
        os.kill(frozen, signal.SIGCONT)
        run.close()


def test_a_new_leader_takes_over_without_loss(
    three: Kafka, clickhouse_url: str, tmp_path: Path, record_property: Callable[..., None]
) -> None:
    topic = three.create_topic("replicated", 4, replicas=3)
    start_ms = now_ms() - 7_200_000
    run = KafkaRun(three, topic, clickhouse_url, tmp_path, start_ms, FED)
    feed = Feed(three, topic, 4, run.scenario, start_ms)
    # a repeat after a lost answer would be an event more
    feed._producer = Producer({"bootstrap.servers": three.bootstrap, "log_level": 0, "enable.idempotence": True})
    feed.start()
    run.start(2)
    killed = leaders(three, topic)[1]
    try:
        until(run.newest_ms, "no figures")
        reached_ms = feed.now_ms
        begun = time.monotonic()
        three.kill(killed)
        until(lambda: run.newest_ms() >= reached_ms, "figures do not flow again")
        record_property("figures_again_s", round(time.monotonic() - begun, 2))
        now = leaders(three, topic)
        assert killed not in now.values() and set(now.values()) - {-1}
        feed.finish()
        await_closed(run.store, feed.now_ms + 3_580_000)
        told, _ = run.live.stop()
        assert told["read"] == feed.sent
        assert run.said() == []
        run.equal_to_a_replay(told)
    finally:
        feed.enough.set()
        run.close()
        three.restart(killed)
