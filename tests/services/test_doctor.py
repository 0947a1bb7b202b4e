"""``doctor`` on the real Kafka and ClickHouse: what it finds, what it exits with, and that it writes nothing."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from confluent_kafka import Producer

from flows import checkup
from flows.kafka import Cluster
from sinks.clickhouse.store import Store
from tests.realservices.cache import free_port
from tests.realservices.kafka import Kafka
from tests.support.command import command


def doctor(*words: object) -> tuple[int, list[str]]:
    """Exit code and lines."""
    done = command("doctor", *words, timeout=60)
    return done.returncode, done.stdout.splitlines()


def findings(lines: list[str]) -> list[str]:
    return [line for line in lines if line.startswith("✗ ") and "GiB free" not in line]


@pytest.mark.kafka
@pytest.mark.clickhouse
def test_all_well(kafka: Kafka, topic: Callable[..., str], clickhouse_url: str) -> None:
    name = topic(partitions=2, timestamps="LogAppendTime")
    with Store.open(clickhouse_url) as store:
        store.migrate()
    _, lines = doctor("--kafka", kafka.bootstrap, "--topic", name, "--store", clickhouse_url)
    assert findings(lines) == []
    assert f"kafka {kafka.bootstrap}: {name} has 2 partitions, 1 replicas" in lines
    assert any(line.startswith("clock: within ") and line.endswith(" ms of the store's") for line in lines)
    assert any("not measurable without a write" in line for line in lines)
    assert any(line.endswith(", 0 runs") for line in lines)
    assert Cluster(kafka.bootstrap, topic=name).ends(2) == [(0, 0), (0, 0)]


@pytest.mark.kafka
@pytest.mark.clickhouse
def test_faults_are_findings(kafka: Kafka, topic: Callable[..., str], clickhouse_url: str) -> None:
    name = topic(timestamps="CreateTime", config={"retention.ms": "600000", "cleanup.policy": "compact"})
    with Store.open(clickhouse_url) as store:
        store.migrate()
        table = store._connection.table("zones")
        store._connection.command(f"ALTER TABLE {table} MODIFY SETTING non_replicated_deduplication_window = 0")
    code, lines = doctor("--kafka", kafka.bootstrap, "--topic", name, "--store", clickhouse_url)
    assert code == 1
    told = findings(lines)
    for what in ("LogAppendTime", "retention.ms is 600000", "cleanup.policy is compact", "zones remembers 0 inserts"):
        assert [line for line in told if what in line], what
    assert len(told) == 4


def test_a_store_is_looked_at_and_not_made(chdb_url: str) -> None:
    _, lines = doctor("--store", chdb_url)
    assert any(line.endswith("no tables yet") for line in lines)
    with Store.open(chdb_url) as store:
        assert store.checkup().runs is None
        store.migrate()
        found = store.checkup()
    assert (found.runs, found.missing, found.newer) == (0, (), 0)
    assert set(found.windows.values()) == {10_000}
    assert {limit for _, limit in found.parts.values()} == {60}


def test_a_newer_store_is_a_finding(chdb_url: str) -> None:
    with Store.open(chdb_url) as store:
        store.migrate()
        store._connection.command(f"INSERT INTO {store._connection.table('schema_migrations')} (number) VALUES (9999)")
    code, lines = doctor("--store", chdb_url)
    assert code == 1
    assert "✗ store: written by a newer Hitonami (schema 9999): upgrade this installation" in lines


def test_a_service_that_does_not_answer_is_exit_4(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    url = f"http://127.0.0.1:{free_port()}/db"
    code, lines = doctor("--store", url, "--recovery", tmp_path)
    assert code == 4
    assert findings(lines) == [
        f"✗ recovery {tmp_path} has mode 0755, others may look in: chmod 700 {tmp_path}",
        f"✗ store {url} does not answer",
    ]
    code, lines = doctor("--kafka", f"127.0.0.1:{free_port()}")
    assert code == 4


@pytest.mark.kafka
def test_the_clock_is_measured_by_what_arrives(kafka: Kafka, topic: Callable[..., str]) -> None:
    name = topic(partitions=2, timestamps="LogAppendTime")
    producer = Producer({"bootstrap.servers": kafka.bootstrap, "log_level": 0, "enable.idempotence": True})
    stop = threading.Event()

    def ticks() -> None:
        while not stop.wait(0.3):
            producer.produce(name, b"{}", partition=1)
            producer.flush(5)

    thread = threading.Thread(target=ticks)
    thread.start()
    try:
        time.sleep(1)
        found = checkup.look(Cluster(kafka.bootstrap, topic=name))
    finally:
        stop.set()
        thread.join()
    assert found.ours_ahead_ms is not None and -5 <= found.ours_ahead_ms < 2000  # one machine, one clock
    later = checkup.look(Cluster(kafka.bootstrap, topic=name), 0.5)
    assert (later.ours_ahead_ms, later.ours_behind_ms) == (None, 0)


@pytest.mark.kafka
def test_a_clock_behind_is_seen_in_the_newest_record(
    kafka: Kafka, topic: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    name = topic(timestamps="LogAppendTime")
    producer = Producer({"bootstrap.servers": kafka.bootstrap, "log_level": 0, "enable.idempotence": True})
    producer.produce(name, b"{}")
    producer.flush(10)
    true = time.time
    monkeypatch.setattr(checkup.time, "time", lambda: true() - 3600)
    found = checkup.look(Cluster(kafka.bootstrap, topic=name), 1.0)
    assert found.ours_ahead_ms is None
    assert 3_500_000 < found.ours_behind_ms <= 3_600_000
