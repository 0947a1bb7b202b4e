"""Logs that are not what they seem: aborted transactions, gaps, a topic made anew, records that are gone."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from confluent_kafka import Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from tests.faults.kafka_run import KafkaRun, until
from tests.realservices.kafka import Kafka

pytestmark = [pytest.mark.kafka, pytest.mark.clickhouse, pytest.mark.slow]
CONFIG = "[time]\ntick_ms = 300\n[flow]\nk = 1\nguard = 0\n"
BOUND_MS = 5_000
ANOTHER_LOG = "was deleted or made anew, it is another log"


@pytest.fixture
def run(kafka: Kafka, topic: Callable[..., str], clickhouse_url: str, tmp_path: Path) -> Iterator[KafkaRun]:
    start_ms = (int(time.time()) - 600) * 1000
    made = KafkaRun(kafka, topic(partitions=2), clickhouse_url, tmp_path, start_ms, CONFIG)
    yield made
    made.close()


def produce(run: KafkaRun, values: list[bytes], partitions: int = 2) -> None:
    producer = Producer({"bootstrap.servers": run.kafka.bootstrap, "log_level": 0, "enable.idempotence": True})
    for number, value in enumerate(values):
        producer.produce(run.topic, value, partition=number % partitions)
    assert producer.flush(30) == 0


def make_anew(run: KafkaRun, values: list[bytes]) -> None:
    """Delete the topic and make it again with other records."""
    admin = AdminClient({"bootstrap.servers": run.kafka.bootstrap, "log_level": 0})
    admin.delete_topics([run.topic])[run.topic].result(30)
    until(lambda: run.topic not in admin.list_topics(timeout=30).topics, "the topic is not deleted")
    run.kafka.create_topic(run.topic, 2)
    produce(run, values)


def test_what_was_aborted_is_never_counted_and_a_log_that_ends_with_it_ends(
    run: KafkaRun, record_property: Callable[..., None]
) -> None:
    producer = Producer({"bootstrap.servers": run.kafka.bootstrap, "log_level": 0, "transactional.id": run.topic})
    producer.init_transactions(30)
    events = iter(run.events(300))

    def transaction(commits: bool, partitions: tuple[int, ...] = (0, 1)) -> int:
        producer.begin_transaction()
        values = list(itertools.islice(events, 500))
        for number, value in enumerate(values):
            producer.produce(run.topic, value, partition=partitions[number % len(partitions)])
        producer.flush(30)
        if commits:
            producer.commit_transaction(30)
        else:
            producer.abort_transaction(30)
        return len(values) if commits else 0

    sent = transaction(True) + transaction(False) + transaction(True, (0,)) + transaction(False)
    run.start()
    # ticks of the run, behind the aborted records at the end of both partitions
    until(lambda: run.closed_ms() > run.start_ms + 580_000, "the run does not come to the end")
    before = run.store.run("live")
    assert before is not None and before.accepted + sum(before.rejected.values()) == sent
    producer.begin_transaction()  # while it is open nothing behind it can be read, and nothing closes
    for number, value in enumerate(itertools.islice(events, 500)):
        producer.produce(run.topic, value, partition=number % 2)
    producer.flush(30)
    held_ms = int(time.time() * 1000) - BOUND_MS  # what can close: whatever stands before it in the log is older
    time.sleep(11)  # another line of 10 s is due
    assert run.closed_ms() <= held_ms
    begun = time.monotonic()
    producer.abort_transaction(30)
    until(lambda: run.closed_ms() > held_ms, "the run stays before what was aborted")
    record_property("figures_again_s", round(time.monotonic() - begun, 2))
    producer.begin_transaction()  # and one that is neither: nobody can know what stands behind it
    producer.produce(run.topic, next(events), partition=1)
    producer.flush(30)
    told, _ = run.live.stop()
    assert told["read"] == sent
    run.equal_to_a_replay(told)
    producer.abort_transaction(30)
    run.equal_to_a_replay(told, "behind")
    assert run.said() == []


def test_a_topic_made_anew_is_another_log(run: KafkaRun) -> None:
    events = run.events(300)
    produce(run, events[:1_000])
    run.start(2)
    until(run.newest_ms, "no figures")
    make_anew(run, events[1_000:3_000])  # more than have been read: no offset is out of range
    code, lines = run.ended()
    assert code == 4 and len(lines) == 1 and lines[0].endswith(ANOTHER_LOG), lines
    run.start()  # and while it was stopped: it had no state of this one
    code, lines = run.ended()
    assert code == 4 and len(lines) == 1 and lines[0].endswith(ANOTHER_LOG), lines


def test_a_topic_made_anew_is_another_log_where_it_is_shorter_too(run: KafkaRun) -> None:
    events = run.events(300)
    produce(run, events[:3_000])
    run.start()
    until(run.newest_ms, "no figures")
    make_anew(run, events[:10])  # the stored offsets are out of range
    code, lines = run.ended()
    assert code == 4 and len(lines) == 1 and lines[0].endswith(ANOTHER_LOG), lines


def test_records_that_are_gone_before_they_are_read_end_the_run(run: KafkaRun) -> None:
    events = run.events(300)
    produce(run, events[:1_000])
    run.start()
    until(run.newest_ms, "no figures")
    worker: psutil.Process = run.live.workers()[0]
    worker.suspend()
    try:
        for first in range(1_000, 5_000, 500):  # the first of them may have been on its way
            produce(run, events[first : first + 500])
        admin = AdminClient({"bootstrap.servers": run.kafka.bootstrap, "log_level": 0})
        ends = [TopicPartition(run.topic, partition, -1) for partition in range(2)]
        for done in admin.delete_records(ends).values():
            done.result(30)
    finally:
        worker.resume()
    code, lines = run.ended()
    assert code == 4 and len(lines) == 1 and lines[0].endswith("no longer holds the stored offset"), lines
