"""The kit itself: the services are the real ones, keep what they acknowledged, and say why they do not start."""

from __future__ import annotations

import http.server
import threading
import time
import urllib.error
from collections.abc import Callable
from pathlib import Path

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from playwright.sync_api import Page

from tests.realservices.cache import ServiceError, fetched
from tests.realservices.clickhouse import ClickHouse
from tests.realservices.kafka import LOADED, Kafka
from tests.realservices.process import Process

OLD_MS = 1_770_450_000_000


def produce(bootstrap: str, topic: str, count: int, first: int = 0) -> None:
    failed = []
    producer = Producer({"bootstrap.servers": bootstrap, "acks": "all", "linger.ms": 5})
    for i in range(first, first + count):
        producer.produce(
            topic,
            b"%d" % i,
            key=b"k%d" % (i % 50),
            timestamp=OLD_MS + i,
            on_delivery=lambda e, _: e and failed.append(e),
        )
    assert producer.flush(60) == 0
    assert failed == []


def consume(bootstrap: str, topic: str, partitions: int, count: int) -> list[tuple[bytes, tuple[int, int]]]:
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "unused", "enable.auto.commit": False})
    consumer.assign([TopicPartition(topic, p, 0) for p in range(partitions)])
    messages: list[tuple[bytes, tuple[int, int]]] = []
    deadline = time.monotonic() + 30
    while len(messages) < count and time.monotonic() < deadline:
        messages += [(m.value(), m.timestamp()) for m in consumer.consume(1000, 0.2) if m.error() is None]
    consumer.close()
    return messages


@pytest.mark.kafka
def test_kafka_keeps_old_event_times(kafka: Kafka, topic: Callable[..., str]) -> None:
    name = topic(partitions=2, timestamps="CreateTime")
    produce(kafka.bootstrap, name, 1000)
    messages = consume(kafka.bootstrap, name, 2, 1000)
    assert sorted(int(value) for value, _ in messages) == list(range(1000))
    assert {time_ms - OLD_MS - int(value) for value, (_, time_ms) in messages} == {0}


@pytest.mark.kafka
def test_kafka_stamps_records_itself_by_default(kafka: Kafka, topic: Callable[..., str]) -> None:
    name = topic()
    produce(kafka.bootstrap, name, 10)
    kinds = {stamp for _, stamp in consume(kafka.bootstrap, name, 1, 10)}
    assert {kind for kind, _ in kinds} == {2}  # TIMESTAMP_LOG_APPEND_TIME
    assert min(time_ms for _, time_ms in kinds) != OLD_MS


@pytest.mark.kafka
def test_kafka_starts_with_its_classes_loaded(kafka: Kafka) -> None:
    assert LOADED in Path(f"/proc/{kafka.pid()}/maps").read_text()  # else Java does without, and takes thrice the CPU


@pytest.mark.kafka
def test_kafka_keeps_what_it_acknowledged_when_killed(tmp_path: Path) -> None:
    with Kafka(tmp_path / "kafka") as service:
        name = service.create_topic("people", 2)
        produce(service.bootstrap, name, 500)
        service.kill()
        service.restart()
        produce(service.bootstrap, name, 500, first=500)
        messages = consume(service.bootstrap, name, 2, 1000)
        assert sorted(int(value) for value, _ in messages) == list(range(1000))
        service.stop()


@pytest.mark.kafka
@pytest.mark.slow
def test_three_nodes_go_on_when_one_is_killed(tmp_path: Path) -> None:
    with Kafka(tmp_path / "kafka", nodes=3) as service:
        name = service.create_topic("people", 2, replicas=3)
        produce(service.bootstrap, name, 500)
        service.kill(2)
        produce(service.bootstrap, name, 500, first=500)
        assert len(consume(service.bootstrap, name, 2, 1000)) == 1000


@pytest.mark.clickhouse
def test_clickhouse_is_a_server_with_dedupe(clickhouse: ClickHouse, clickhouse_url: str) -> None:
    import clickhouse_connect

    with clickhouse_connect.get_client(dsn=clickhouse_url) as client:
        client.command(
            "CREATE TABLE t (a Int64) ENGINE = MergeTree ORDER BY a SETTINGS non_replicated_deduplication_window = 100"
        )
        for _ in range(2):
            client.insert("t", [[1], [2]], ["a"], settings={"insert_deduplication_token": "once", "async_insert": 0})
        assert client.query("SELECT count() FROM t").result_rows == [(2,)]
        assert client.query("SELECT currentDatabase()").result_rows[0][0] == clickhouse_url.rsplit("/", 1)[1]


@pytest.mark.clickhouse
def test_clickhouse_keeps_rows_when_killed(tmp_path: Path) -> None:
    with ClickHouse(tmp_path) as service:
        service.query("CREATE TABLE default.t (a Int64) ENGINE = MergeTree ORDER BY a")
        service.query("INSERT INTO default.t SELECT number FROM numbers(1000)")
        service.kill()
        with pytest.raises((urllib.error.URLError, OSError)):
            service.query("SELECT 1")
        service.restart()
        assert service.query("SELECT sum(a) FROM default.t") == "499500\n"
        service.stop()


def test_a_service_that_dies_shows_its_log(tmp_path: Path) -> None:
    process = Process("Thing", ["/bin/sh", "-c", "echo no luck; exit 3"], tmp_path / "log")
    with pytest.raises(ServiceError, match=r"(?s)Thing ended with 3 at its start:.*no luck"):
        process.start(lambda: False, 10)
    assert not process.alive


def test_a_fetch_that_fails_says_so_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HITONAMI_CACHE", str(tmp_path))
    monkeypatch.setattr("tests.realservices.cache.time.sleep", lambda _: None)
    tries = []

    def broken(part: Path) -> None:
        (part / "half").write_text("x")
        tries.append(part)
        raise OSError("no route to host")

    with pytest.raises(ServiceError, match=r"jars could not be fetched from there: OSError: no route to host"):
        fetched("thing/1", broken, "jars could not be fetched from there")
    assert len(tries) == 3
    assert list((tmp_path / "thing").iterdir()) == []


def test_a_fetch_happens_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HITONAMI_CACHE", str(tmp_path))
    for _ in range(2):
        path = fetched("thing/1", lambda part: (part / "done").touch(exist_ok=False), "never")
    assert (path / "done").exists()


@pytest.mark.browser
def test_the_browser_reaches_this_machine_only(page: Page, foreign_urls: list[str]) -> None:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Quiet)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        page.goto(f"http://127.0.0.1:{server.server_port}/")
        assert page.evaluate("fetch('/').then(r => r.status)") == 200
        assert page.evaluate("fetch('https://example.org/a').then(() => 'reached', () => 'refused')") == "refused"
        assert page.evaluate("document.fonts.check('16px sans-serif', '人波')")
    finally:
        server.shutdown()
        server.server_close()
    assert foreign_urls == ["https://example.org/a"]
    foreign_urls.clear()


class Quiet(http.server.BaseHTTPRequestHandler):
    """Answers every request with an empty page, and logs nothing."""

    def do_GET(self) -> None:
        body = b"<!doctype html><title>empty</title>"
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass
