"""A store that takes a third of a second for every answer: sources wait, memory stays, a stop works, rows are right."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from confluent_kafka import Producer

from sinks.clickhouse.store import Store
from tests.faults.kills import Live, await_closed
from tests.faults.relay import Relay
from tests.faults.storing import await_that
from tests.realservices.clickhouse import ClickHouse
from tests.realservices.kafka import Kafka
from tests.support.command import COMMAND

pytestmark = [pytest.mark.kafka, pytest.mark.clickhouse, pytest.mark.slow]

SENSORS, PARTITIONS = 8, 4
LINES, PER_LINE = 24, 4_000  # cells of 10 s, and passages of each sensor in one: 57 MB of events
MB = 1 << 20
MOST_GROWTH = 96 * MB  # of both processes, whose buffers fill and stay full


def write_registry(path: Path) -> None:
    """A gate and a counter for each sensor, all of one plaza."""
    gates = [{"id": f"g{i}", "a": "z", "b": None, "leaf": "10s"} for i in range(SENSORS)]
    always = [{"from": "2020-01-01T00:00:00Z", "to": None}]
    sensors = [{"id": f"s{i}", "kind": "counter", "gate": f"g{i}", "approved": always} for i in range(SENSORS)]
    zones = [{"id": "z", "kind": "plaza", "area_m2": 1000}]
    told = {"version": "1", "timezone": "Asia/Tokyo", "zones": zones, "gates": gates, "sensors": sensors, "devices": []}
    path.write_text(json.dumps(told))


def produce(kafka: Kafka, topic: str, start_ms: int) -> int:
    """LINES cells of passages, each cell whole in every partition before the next; the number of events."""
    producer = Producer(
        {
            "bootstrap.servers": kafka.bootstrap,
            "log_level": 0,
            "enable.idempotence": True,
            "queue.buffering.max.kbytes": 1 << 20,
        }
    )
    for line in range(LINES):
        for sensor in range(SENSORS):
            head = f'{{"sensor":"s{sensor}","type":"cross","dir":"{"ab" if sensor % 3 else "ba"}","ts":'
            ts = start_ms + line * 10_000
            for first in range(0, PER_LINE, 500):
                numbers = range(first, first + 500)
                told = ",".join(f'{head}{ts + i * 2},"seq":{line * PER_LINE + i}}}' for i in numbers)
                producer.produce(topic, f"[{told}]".encode(), partition=sensor % PARTITIONS)
        producer.poll(0)
    end = json.dumps({"type": "tick", "ts": start_ms + LINES * 10_000 + 3_600_000}).encode()
    for partition in range(PARTITIONS):
        producer.produce(topic, end, partition=partition)
    assert producer.flush(60) == 0
    return LINES * SENSORS * PER_LINE


def test_a_slow_store_is_waited_for(
    kafka: Kafka,
    topic: Callable[..., str],
    clickhouse: ClickHouse,
    clickhouse_url: str,
    tmp_path: Path,
    record_property: Callable[[str, object], None],
) -> None:
    database = clickhouse_url.rsplit("/", 1)[1]
    relay = Relay(clickhouse.port)
    name, start_ms = topic(partitions=PARTITIONS), (int(time.time()) // 3600 - 3) * 3_600_000
    events = produce(kafka, name, start_ms)
    write_registry(tmp_path / "registry.json")
    (tmp_path / "config.toml").write_text("[time]\ntick_ms = 1000000000\n")
    words = [*COMMAND, "run", "--kafka", kafka.bootstrap, "--topic", name, "--store", relay.url(database)]
    words += ["--registry", str(tmp_path / "registry.json"), "--config", str(tmp_path / "config.toml")]
    live = Live([*words, "--recovery", str(tmp_path / "recovery")], 1_000, tmp_path / "errors.txt")
    with Store.open(clickhouse_url) as store:
        store.migrate()
        try:
            live.start(2)
            relay.delay_s, relay.bytes_per_s = 0.3, 200_000
            await_that(lambda: bool(store.newest_windows("live")), "the first row is stored")
            sizes = []
            begun = relay.passed
            while relay.passed < begun + 24:  # each takes a third of a second, and one at a time of each process
                sizes.append(sum(worker.memory_info().rss for worker in live.workers()))
                time.sleep(0.1)
            assert max(sizes) - sizes[0] < MOST_GROWTH, [size // MB for size in sizes[::10]]
            record_property("rss_mb", f"{sizes[0] // MB} to {max(sizes) // MB}")
            told, seconds = live.stop()
            record_property("stop_s", round(seconds, 1))
            assert told["read"] < events * 3 / 4  # sources waited: a good part of it is still Kafka's
            relay.delay_s, relay.bytes_per_s = 0, None
            before, begun_s = store.newest_windows("live"), time.monotonic()
            live.start(2)
            await_that(lambda: store.newest_windows("live") != before, "figures flow again")
            record_property("figures_again_s", round(time.monotonic() - begun_s, 2))
            await_closed(store, start_ms + LINES * 10_000 + 3_500_000)
            told, _ = live.stop()
        finally:
            live.end()
            relay.stop()
        assert told["read"] == told["accepted"] == events, told
        flow = store._connection.table("flow")
        found = store._connection.rows(
            f"SELECT count(), sum(n), min(n), max(n) FROM {flow} FINAL"
            " WHERE run_id = 'live' AND window = '10s' AND direction != 'unknown' AND status = 'released' AND n > 0"
        )
        assert found == [(LINES * SENSORS, events, PER_LINE, PER_LINE)]
    assert not (tmp_path / "errors.txt").read_text()
