"""A dump of a span: what a replay of it needs, by the record timestamps of a real topic."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from confluent_kafka import Producer

from engine.errors import HitonamiError
from flows import guard
from flows.kafka import Cluster
from flows.runs import dump_topic
from tests.realservices.kafka import Kafka
from tests.services.test_live_replay import hitonami

HOUR = 3_600_000
START = 1_770_444_000_000  # 2026-02-07T06:00:00Z


@pytest.mark.kafka
def test_it_begins_a_day_before_and_ends_an_hour_behind(
    kafka: Kafka, topic: Callable[..., str], tmp_path: Path
) -> None:
    name = topic(partitions=2, timestamps="CreateTime")
    producer = Producer({"bootstrap.servers": kafka.bootstrap, "log_level": 0, "enable.idempotence": True})
    for hour in range(72):
        for partition in range(2):
            value = b'{"type":"tick","ts":%d}' % (START + hour * HOUR)
            producer.produce(name, value, partition=partition, timestamp=START + hour * HOUR)
    assert producer.flush(30) == 0

    def hours(*span: str) -> set[int]:
        out = tmp_path / "dump.parquet"
        hitonami("dump", "--kafka", kafka.bootstrap, "--topic", name, *span, "-o", out)
        table = pq.read_table(out)
        stamps = table.column("record_ts").cast("int64").to_pylist()
        assert sorted(stamps) == sorted([*set(stamps), *set(stamps)])  # both partitions alike
        return {(stamp - START) // HOUR for stamp in stamps}

    assert hours() == set(range(72))
    assert hours("--from", "2026-02-08T12:00:00Z") == set(range(6, 72))
    assert hours("--to", "2026-02-08T12:00:00Z") == set(range(31))
    assert hours("--from", "2026-02-08T12:00:00Z", "--to", "2026-02-08T13:00:00+00:00") == set(range(6, 32))
    assert hours("--from", "2026-03-01T00:00:00Z") == set()


@pytest.mark.kafka
def test_a_stop_before_the_end_leaves_no_short_file(
    kafka: Kafka, topic: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, stop = topic(), threading.Event()
    monkeypatch.setattr(guard, "stop", stop)
    producer = Producer(
        {"bootstrap.servers": kafka.bootstrap, "log_level": 0, "enable.idempotence": True, "linger.ms": 1000}
    )
    for number in range(12):  # more than is taken at once
        producer.produce(name, b"%d" % number + bytes(900_000))
    assert producer.flush(30) == 0
    cluster, out = Cluster(kafka.bootstrap, topic=name), tmp_path / "dump.parquet"
    with pytest.raises(HitonamiError, match=r"stopped before the end; nothing was written$") as caught:
        dump_topic(cluster, out, progress=lambda _what, _share: stop.set())
    assert caught.value.exit_code == 1 and not list(tmp_path.iterdir())
    stop.clear()
    at_end = lambda _what, share: stop.set() if share == 1 else None  # noqa: E731
    assert dump_topic(cluster, out, progress=at_end) == 12 and stop.is_set()  # all was written: it is whole
    assert pq.read_table(out).num_rows == 12
