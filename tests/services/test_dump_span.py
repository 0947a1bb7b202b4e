"""A dump of a span: what a replay of it needs, by the record timestamps of a real topic."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from confluent_kafka import Producer

from tests.realservices.kafka import Kafka
from tests.services.test_live_replay import hitonami

HOUR = 3_600_000
START = 1_770_444_000_000  # 2026-02-07T06:00:00Z


@pytest.mark.kafka
def test_it_begins_a_day_before_and_ends_an_hour_behind(
    kafka: Kafka, topic: Callable[..., str], tmp_path: Path
) -> None:
    name = topic(partitions=2, timestamps="CreateTime")
    producer = Producer({"bootstrap.servers": kafka.bootstrap, "log_level": 0})
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
