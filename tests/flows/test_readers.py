"""The hot reader and the safe one give the same records, ends and failures."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator

import confluent_kafka.cimpl
import numpy as np
import pytest
from confluent_kafka import Producer

from engine.errors import BadInput, HitonamiError
from engine.model import NO_TIME
from flows import hot
from flows.fast import _consumer
from flows.hot import open_reader
from flows.kafka import BEGINNING, Cluster, OffsetGone
from flows.reader import Reader
from tests.realservices.kafka import Kafka

PATIENCE_S = 60
Row = tuple[int, bytes, int]  # offset, value, record timestamp


@pytest.fixture(params=["hot", "safe"])
def source(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def opened(kafka: Kafka) -> Iterator[Callable[..., Reader]]:
    readers = []

    def make(topic: str, source: str, partitions: int = 1, **settings: str) -> Reader:
        readers.append(open_reader(Cluster(kafka.bootstrap, settings, topic, source), partitions))
        return readers[-1]

    yield make
    for reader in readers:
        reader.close()
        reader.close()


def fill(kafka: Kafka, topic: str, partitions: int, seed: int = 5, messages: int = 6_000) -> None:
    """Values of any size, also none and large ones; transactions that were aborted leave gaps."""
    rng = random.Random(seed)
    plain = Producer(
        {"bootstrap.servers": kafka.bootstrap, "log_level": 0, "enable.idempotence": True, "linger.ms": 20}
    )
    bound = Producer({"bootstrap.servers": kafka.bootstrap, "log_level": 0, "transactional.id": topic})
    bound.init_transactions(30)
    for number in range(messages):
        size = rng.choice((0, 1, 40, 75, 75, 75, 300, 3_000))
        value = None if size == 1 else rng.randbytes(size)
        plain.produce(topic, value, partition=rng.randrange(partitions), timestamp=1_770_450_000_000 + number)
        plain.poll(0)
        if number % (messages // 4) == 1:
            bound.begin_transaction()
            for partition in range(partitions):
                bound.produce(topic, b"in a transaction", partition=partition)
            if number < messages // 2:
                bound.abort_transaction(30)
            else:
                bound.commit_transaction(30)
    plain.produce(topic, rng.randbytes(900_000), partition=0)
    assert plain.flush(30) == 0


def read(reader: Reader, partition: int, max_bytes: int, end: int) -> list[Row]:
    """All rows in front of ``end``, in pieces of about ``max_bytes``."""
    rows: list[Row] = []
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until:
        taken = reader.take(partition, max_bytes)
        if taken is None:
            if reader.is_over(partition, end):
                return rows
            time.sleep(0.005)
            continue
        assert len(taken)
        data = bytes(taken.data)
        for start, stop, ts, offset in zip(taken.starts, taken.ends, taken.record_ts, taken.offsets, strict=True):
            rows.append((int(offset), data[start:stop], int(ts)))
    raise AssertionError("the end does not come")


@pytest.mark.kafka
@pytest.mark.parametrize("max_bytes", [1, 5_000, 1 << 20])
def test_both_give_the_same_records(
    kafka: Kafka, topic: Callable[..., str], opened: Callable[..., Reader], max_bytes: int
) -> None:
    name = topic(partitions=3)
    fill(kafka, name, 3, messages=600 if max_bytes == 1 else 6_000)
    ends = [high for _, high in Cluster(kafka.bootstrap, topic=name).ends(3)]
    found = {}
    for source in ("hot", "safe"):
        reader = opened(name, source, 3)
        for partition in range(3):
            reader.register(partition, BEGINNING if partition else 7)
        found[source] = [read(reader, partition, max_bytes, ends[partition]) for partition in range(3)]
        assert reader.lags() == {0: 0, 1: 0, 2: 0}
        assert [reader.end(partition) for partition in range(3)] == ends
        assert set(reader.heard()) == {0, 1, 2}
    assert found["hot"] == found["safe"]
    rows = [row for part in found["hot"] for row in part]
    assert {len(value) for _, value, _ in rows} == {0, 16, 40, 75, 300, 3_000, 900_000}
    assert found["hot"][0][0][0] >= 7
    assert sum(high for high in ends) > len(rows) + 7  # there are gaps


@pytest.mark.kafka
def test_what_comes_after_the_end_is_read_on(
    kafka: Kafka, topic: Callable[..., str], opened: Callable[..., Reader], source: str
) -> None:
    name = topic()
    reader = opened(name, source)
    reader.register(0, BEGINNING)
    producer = Producer({"bootstrap.servers": kafka.bootstrap, "log_level": 0, "enable.idempotence": True})
    assert read(reader, 0, 1_000, 0) == []
    heard = reader.heard()
    for round_ in (1, 2, 3):
        producer.produce(name, b"%d" % round_)
        assert producer.flush(30) == 0
        assert [value for _, value, _ in read(reader, 0, 1_000, round_)] == [b"%d" % round_]
    assert reader.heard()[0] > heard[0]
    before = reader.heard()
    assert reader.take(0, 1_000) is None
    assert reader.heard() == before  # the end is told once: silence is not heard


@pytest.mark.kafka
def test_an_offset_that_is_gone_is_an_error(
    kafka: Kafka, topic: Callable[..., str], opened: Callable[..., Reader], source: str
) -> None:
    reader = opened(topic(), source)
    reader.register(0, 5)
    until = time.monotonic() + PATIENCE_S
    with pytest.raises(OffsetGone):
        while time.monotonic() < until:
            reader.take(0, 1_000)


@pytest.mark.kafka
def test_what_waits_is_a_lag(
    kafka: Kafka, topic: Callable[..., str], opened: Callable[..., Reader], source: str
) -> None:
    name = topic()
    producer = Producer({"bootstrap.servers": kafka.bootstrap, "log_level": 0, "enable.idempotence": True})
    for _ in range(500):
        producer.produce(name, b"x" * 100)
    assert producer.flush(30) == 0
    reader = opened(name, source)
    assert reader.lags() == {}
    reader.register(0, BEGINNING)
    until = time.monotonic() + PATIENCE_S
    taken = None
    while taken is None and time.monotonic() < until:
        taken = reader.take(0, 1_000)
    assert taken is not None
    assert reader.lags() == {0: 500 - len(taken)}


def test_a_setting_that_librdkafka_refuses_is_bad_input(source: str) -> None:
    for settings in ({"no.such.setting": "secret"}, {"security.protocol": "sasl_ssl", "sasl.mechanism": "secret"}):
        with pytest.raises(BadInput, match="refuses a setting") as told:
            open_reader(Cluster("127.0.0.1:1", settings, "people", source), 1)
        assert "secret" not in str(told.value)


def test_another_library_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(OSError, match="has no rd_kafka_version"):
        _consumer.load(np._core._multiarray_umath.__file__)  # type: ignore[attr-defined]
    monkeypatch.setattr(confluent_kafka.cimpl, "__file__", "/no/such/library.so")
    with pytest.raises(HitonamiError, match="--source safe"):
        hot.HotReader(Cluster("127.0.0.1:1"), 1)


def test_columns_of_other_lengths_are_refused() -> None:
    _consumer.load(confluent_kafka.cimpl.__file__)
    with pytest.raises(ValueError, match="is not set"):
        _consumer.Consumer({"bootstrap.servers": "127.0.0.1:1"}, "people")
    consumer = _consumer.Consumer({"bootstrap.servers": "127.0.0.1:1", "group.id": "x"}, "people")
    try:
        consumer.assign({0: 0})
        column, short = np.empty(4, np.int64), np.empty(3, np.int64)
        with pytest.raises(ValueError, match="different lengths"):
            consumer.take(0, np.empty(9, np.uint8), column, column, short, column)
        with pytest.raises(KeyError):
            consumer.take(1, np.empty(9, np.uint8), column, column, column, column)
        assert consumer.take(0, np.empty(0, np.uint8), *(np.empty(0, np.int64),) * 4) == (0, 0, 0, -1, 0)
    finally:
        consumer.close()
    assert consumer.watermarks(0) is None


def test_no_timestamp_is_no_time() -> None:
    assert np.iinfo(np.int64).min == NO_TIME  # what the compiled reader writes
