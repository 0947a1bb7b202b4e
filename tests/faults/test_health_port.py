"""The health port of a live run while the store and Kafka go away and come back: real services, real processes."""

from __future__ import annotations

import contextlib
import http.client
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import loadgen
from tests.realservices.cache import ROOT, free_port
from tests.realservices.clickhouse import ClickHouse
from tests.realservices.kafka import Kafka

PATIENCE_S = 60


@pytest.fixture
def services(tmp_path: Path) -> Iterator[tuple[Kafka, ClickHouse]]:
    """A Kafka and a ClickHouse of this test alone."""
    with Kafka(tmp_path / "kafka") as kafka, ClickHouse(tmp_path / "clickhouse") as clickhouse:
        yield kafka, clickhouse


def ask(port: int, path: str) -> tuple[int, str]:
    """Status and text; (0, "") where nobody answers."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    except OSError:
        return 0, ""
    finally:
        connection.close()


def wait(port: int, want: Callable[[int, str], bool], process: subprocess.Popen[str]) -> str:
    """Ask /readyz until the answer is what is wanted."""
    until, found = time.monotonic() + PATIENCE_S, (0, "")
    while time.monotonic() < until:
        found = ask(port, "/readyz")
        if want(*found):
            return found[1]
        assert process.poll() is None, process.communicate()
        time.sleep(0.2)
    raise AssertionError(f"the last answer was {found}")


def figure(port: int, name: str) -> float:
    found = re.search(rf"^{name} (\S+)$", ask(port, "/metrics")[1], re.MULTILINE)
    assert found is not None, name
    return float(found[1])


@contextlib.contextmanager
def events(kafka: Kafka, topic: str, registry: Path) -> Iterator[None]:
    """Events of the weekday in real time while the block lasts; what Kafka refuses is dropped."""
    scenario = loadgen.SCENARIOS["weekday"](
        seconds=600, start_ms=int(time.time() * 1000), clock_of_day_s=8 * 3600, rate=50
    )
    loadgen.write_registry(scenario, registry)
    stop = threading.Event()

    def produce() -> None:
        with contextlib.suppress(ConnectionError):
            loadgen.produce(scenario, kafka.bootstrap, topic, stop=stop.is_set)

    thread = threading.Thread(target=produce)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


@pytest.mark.kafka
@pytest.mark.clickhouse
@pytest.mark.slow
def test_the_port_tells_what_is_away(services: tuple[Kafka, ClickHouse], tmp_path: Path) -> None:
    kafka, clickhouse = services
    topic = kafka.create_topic("people", 2, timestamps="LogAppendTime")
    port = free_port()
    with events(kafka, topic, tmp_path / "registry.json"):
        command = [sys.executable, "-m", "hitonami.cli", "run", "--kafka", kafka.bootstrap, "--topic", topic]
        command += ["--store", clickhouse.url("hitonami"), "--registry", str(tmp_path / "registry.json")]
        command += ["--recovery", str(tmp_path / "recovery"), "--health-port", str(port)]
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        try:
            wait(port, lambda status, _: status == 200, process)
            assert ask(port, "/healthz") == (200, "ok\n")

            clickhouse.kill()
            told = wait(port, lambda status, text: status == 503 and text.startswith("store: retrying since "), process)
            assert "does not answer" in told
            assert figure(port, "hitonami_store_retrying") == 1
            assert ask(port, "/healthz")[0] == 200
            clickhouse.restart()
            wait(port, lambda status, _: status == 200, process)
            assert figure(port, "hitonami_store_retries_total") > 0
            inserted = figure(port, "hitonami_rows_inserted_total")

            kafka.kill()
            away = "kafka: nothing comes from 2 of 2 partitions\n"  # after one of 2, for a moment
            wait(port, lambda status, text: (status, text) == (503, away), process)
            kafka.restart()
            wait(port, lambda status, _: status == 200, process)
            until = time.monotonic() + PATIENCE_S
            while figure(port, "hitonami_rows_inserted_total") <= inserted and time.monotonic() < until:
                time.sleep(0.5)
            assert figure(port, "hitonami_rows_inserted_total") > inserted
            assert figure(port, "hitonami_watermark_age_seconds") < PATIENCE_S
            assert figure(port, "hitonami_resident_memory_bytes") > 10_000_000
        finally:
            process.send_signal(signal.SIGTERM)
            _, errors = process.communicate(timeout=20)
    assert process.returncode == 0, errors
    assert re.fullmatch(
        r"hitonami: store \S+ does not answer; trying again\nhitonami: the store answers again, after \d+ s\n", errors
    )
