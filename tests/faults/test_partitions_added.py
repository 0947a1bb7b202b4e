"""Partitions added to the topic are taken up at the next start, and every replay refuses what the run had to refuse."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewPartitions

import loadgen
from sinks.clickhouse.store import Store
from tests.faults.kills import Live, Report, await_closed, compare
from tests.realservices.kafka import Kafka
from tests.support.command import COMMAND, command

START_MS = (int(time.time()) - 7_200) * 1000


class Feed:
    """Events of the past with their own time as the record's, so that a partition can begin long after another."""

    def __init__(self, kafka: Kafka, topic: str, events: Any) -> None:
        self._bootstrap, self._topic, self._events = kafka.bootstrap, topic, iter(events)
        self.sent = 0

    def until(self, seconds: int, partitions: int, ticked: int, *, later_ms: int = 0) -> int:
        """Produce up to ``seconds`` after the start over ``partitions``, then ticks into the first ``ticked``.

        The ticks lie ``later_ms`` behind the events; returns their time.
        """
        end_ms = START_MS + seconds * 1000
        producer = Producer(
            {"bootstrap.servers": self._bootstrap, "log_level": 0, "enable.idempotence": True}
        )  # one that knows all partitions
        for message in self._events:
            ts = json.loads(message.value)["ts"]
            partition = sum(message.key) % partitions
            producer.produce(self._topic, message.value, partition=partition, timestamp=ts)
            self.sent += 1
            if ts >= end_ms:
                break
        end_ms += later_ms
        tick = json.dumps({"type": "tick", "ts": end_ms}).encode()
        for partition in range(ticked):
            producer.produce(self._topic, tick, partition=partition, timestamp=end_ms)
        assert producer.flush(30) == 0
        return end_ms


@pytest.mark.kafka
@pytest.mark.clickhouse
@pytest.mark.slow
def test_partitions_added_while_it_runs_are_taken_up_at_the_next_start(
    kafka: Kafka, topic: Callable[..., str], clickhouse_url: str, tmp_path: Path
) -> None:
    scenario = loadgen.SCENARIOS["weekday"](seed=5, seconds=1_000, start_ms=START_MS, clock_of_day_s=8 * 3600, rate=20)
    loadgen.write_registry(scenario, tmp_path / "registry.json")
    (tmp_path / "config.toml").write_text("[time]\ntick_ms = 1000000000\n")
    name = topic(partitions=2, timestamps="CreateTime")
    at = ["--store", clickhouse_url, "--registry", str(tmp_path / "registry.json")]
    at += ["--config", str(tmp_path / "config.toml")]
    where = ["--kafka", kafka.bootstrap, "--topic", name]
    with Store.open(clickhouse_url) as store:
        store.migrate()
        live = Live([*COMMAND, "run", *where, *at, "--recovery", str(tmp_path / "r")], 200, tmp_path / "errors.txt")
        try:
            live.start(1)
            feed = Feed(kafka, name, scenario.events())
            await_closed(store, feed.until(120, 2, 2) - 30_000)
            admin = AdminClient({"bootstrap.servers": kafka.bootstrap})
            admin.create_partitions([NewPartitions(name, 4)])[name].result()
            time.sleep(1)
            # the run does not know of partitions 2 and 3: it closes the windows of what comes there without it
            await_closed(store, feed.until(240, 4, 2) - 30_000)
            live.stop()
            live.start(2)
            time.sleep(3)
            await_closed(store, feed.until(480, 4, 4, later_ms=60_000) - 30_000)  # all is read by then
            told, _ = live.stop()
            assert told["read"] == feed.sent and told["rejected"]["late"] > 100
        finally:
            live.end()

        def replayed(*words: str) -> None:
            done = command("replay", *words, *at)
            assert done.returncode == 0, done.stderr
            summary = json.loads(done.stdout.splitlines()[-1])
            assert [summary[key] for key in ("read", "accepted", "rejected")] == [
                told[key] for key in ("read", "accepted", "rejected")
            ]
            report = Report()
            compare(store, report, summary["run_id"])
            assert report.windows > 50 and (report.lost, report.differ, report.double) == (0, 0, 0), report

        replayed(*where, "--run-id", "topic")
        dump = str(tmp_path / "dump.parquet")
        assert command("dump", *where, "-o", dump, timeout=60).returncode == 0
        replayed(dump, "--run-id", "dump")
