"""Loads by plan sent to the real Kafka: all of it once, in order, when it was due, by one process and by two."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

import loadgen
from loadgen.librdkafka import MESSAGE, BulkProducer
from loadgen.truth import Tally
from tests.unit.test_loadgen_kafka import messages
from tests.unit.test_loadgen_plan import drawn, gates, judged

if TYPE_CHECKING:
    from tests.realservices.kafka import Kafka

pytestmark = pytest.mark.kafka
ODD = {"late": 0.02, "duplicate": 0.02, "bad": 0.02, "skewed": 0.02}


@pytest.mark.parametrize(("processes", "format"), [(1, "json"), (2, "array")])
def test_all_arrives_once_and_in_order(kafka: Kafka, topic: Callable[..., str], processes: int, format: str) -> None:
    plan = loadgen.planned("city", rate=5_000, seconds=2, partitions=3, format=format, appended_when_due=False, **ODD)
    name = topic(partitions=3)
    sent, tally = loadgen.send(plan, kafka.bootstrap, name, paced=False, processes=processes)
    want = Tally(plan.gates)
    read = messages(kafka, name, 3)
    for partition in range(3):
        log = drawn(plan, partition, 100_000, want)
        here = [message for message in read if message.partition() == partition]
        assert [message.value() for message in here] == [message for message, _ in log]
        if format == "json":
            assert {message.key() == message.value().split(b'"')[3] for message in here} == {True}
    assert sent.events == plan.events() == 10_000 and sent.messages == len(read)
    assert sent.bytes == sum(len(message.value()) for message in read)
    assert list(tally.rows()) == list(want.rows()) and tally.totals() == want.totals()
    told = sent.report(plan, paced=False)
    assert told["events"] == sum(told["per_second"]) and "behind_ms" not in told


def test_paced_nothing_leaves_before_it_is_due_and_the_truth_holds(kafka: Kafka, topic: Callable[..., str]) -> None:
    plan = loadgen.planned("city", rate=2_000, seconds=1, disorder_ms=0, **ODD)
    name, before = topic(partitions=4), int(time.time() * 1000)
    counted: list[int] = []
    sent, tally = loadgen.send(plan, kafka.bootstrap, name, processes=2, on_progress=counted.append)
    read = messages(kafka, name, 4)
    people: Counter[object] = Counter()
    for partition in range(4):
        here = [(m.value(), m.timestamp()[1] - plan.start_ms) for m in read if m.partition() == partition]
        for (value, appended), (reason, place) in zip(here, judged(plan, here, gates(plan)), strict=True):
            people[place] += reason == "accepted"
            if reason == "accepted":
                assert before - plan.skew_ms <= json.loads(value)["ts"] <= plan.start_ms + appended + plan.skew_ms
    told = sent.report(plan, paced=True)
    assert told["asked"] == 2_000 and told["events"] == 2_000 == len(read) == sum(told["per_second"])
    assert 0 <= told["behind_ms"]["p50"] <= told["behind_ms"]["p99"] <= told["behind_ms"]["max"]
    assert counted == sorted(counted) and counted[-1] <= 2_000
    assert {(r["start_ms"], r["gate"], r["direction"]): r["n"] for r in tally.rows()} == +people


@pytest.mark.parametrize("processes", [1, 2])
def test_paced_it_begins_when_told(kafka: Kafka, topic: Callable[..., str], processes: int) -> None:
    plan, name = loadgen.Plan(rate=1_000, seconds=1, disorder_ms=0), topic(partitions=4)
    at_ms = int(time.time() * 1000) // 1_000 * 1_000 + 2_000
    sent, _ = loadgen.send(plan, kafka.bootstrap, name, at_ms=at_ms, processes=processes, truth=False)
    read = messages(kafka, name, 4)
    times = sorted(json.loads(message.value())["ts"] for message in read)
    assert len(read) == sent.events == 1_000 and sent.began == at_ms / 1000
    assert times[0] == at_ms and at_ms + 990 <= times[-1] < at_ms + 1_000
    assert all(message.timestamp()[1] >= json.loads(message.value())["ts"] for message in read)


def test_stopped_it_tells_what_was_sent(kafka: Kafka, topic: Callable[..., str]) -> None:
    plan, name = loadgen.planned("city", rate=3_000), topic(partitions=4)
    until = time.monotonic() + 1
    sent, tally = loadgen.send(plan, kafka.bootstrap, name, stop=lambda: time.monotonic() > until)
    assert 0 < sent.events == len(messages(kafka, name, 4)) == tally.totals()["events"] < 3_000


def test_a_partition_that_is_not_there_is_a_loss(kafka: Kafka, topic: Callable[..., str]) -> None:
    plan, name = loadgen.planned("city", rate=1_000, seconds=1), topic(partitions=1)
    with pytest.raises(ConnectionError, match=r"^Kafka 127.*[Uu]nknown partition"):
        loadgen.send(plan, kafka.bootstrap, name, paced=False)
    with pytest.raises(ConnectionError, match=r"^Kafka 127.*[Uu]nknown partition"):
        loadgen.send(plan, kafka.bootstrap, name, paced=False, processes=2)


def test_a_setting_that_is_refused_is_told_without_its_value() -> None:
    with pytest.raises(ValueError, match=r"^librdkafka refuses the setting linger\.ms$"):
        BulkProducer("127.0.0.1:9", "people", {"linger.ms": "secret"})
    assert MESSAGE.itemsize == 72
