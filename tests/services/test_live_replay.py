"""Live = replay, through the real Kafka and the real command line, with a kill -9 in mid-stream."""

from __future__ import annotations

import itertools
import json
import os
import re
import signal
import subprocess
import time
import urllib.request
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer

import loadgen
from tests.realservices.cache import free_port
from tests.realservices.kafka import Kafka
from tests.support.command import COMMAND, ROOT, command

PARTITIONS = 4


def hitonami(*words: object, code: int = 0) -> str:
    """Run the command; its standard output."""
    done = command(*words)
    assert done.returncode == code, (words[0], done.returncode, done.stdout[-500:], done.stderr[-500:])
    return done.stdout


def differing(verified: str) -> int:
    """How many windows differ, as ``verify`` tells it."""
    found = re.search(r"(\d+) windows closed in both, (\d+) differ", verified)
    assert found is not None, verified
    return int(found[2])


def events(tmp_path: Path, seconds: int = 840) -> tuple[list[tuple[bytes, bytes]], Path]:
    """That much of the weekday, until a minute ago, of all kinds of sensors; and the registry's path."""
    start = (int(time.time()) - 60 - seconds) * 1000
    scenario = loadgen.weekday(seed=3, seconds=seconds, start_ms=start, clock_of_day_s=8 * 3600, equipment="all")
    loadgen.write_registry(scenario, tmp_path / "registry.json")
    return [(m.key, m.value) for m in scenario.events()], tmp_path / "registry.json"


def rfc3339(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds")


def partition(key: bytes) -> int:
    """The same in both topics, whatever the messages are cut into."""
    return sum(key) % PARTITIONS


def produce(kafka: Kafka, topic: str, messages: Sequence[tuple[int, bytes]], pause: Callable[[int], None]) -> None:
    producer = Producer({"bootstrap.servers": kafka.bootstrap, "log_level": 0, "enable.idempotence": True})
    for number, (part, value) in enumerate(messages):
        producer.produce(topic, value=value, partition=part)
        if number % 500 == 0:
            producer.poll(0)
            pause(number)
    assert producer.flush(30) == 0


def tick(kafka: Kafka, topic: str) -> None:
    """A tick of now into every partition: what has ended closes, without waiting for one of the run's own."""
    told = json.dumps({"type": "tick", "ts": int(time.time() * 1000)}).encode()
    produce(kafka, topic, [(part, told) for part in range(PARTITIONS)], lambda _number: None)


def in_arrays(messages: list[tuple[int, bytes]]) -> list[tuple[int, bytes]]:
    """The same records in the same order per partition, cut into arrays of 1 to 7."""
    out = []
    for part in range(PARTITIONS):
        mine = iter([value for p, value in messages if p == part])
        for size in itertools.cycle((1, 7, 3)):
            chunk = list(itertools.islice(mine, size))
            if not chunk:
                break
            out.append((part, chunk[0] if len(chunk) == 1 else b"[" + b",".join(chunk) + b"]"))
    return out


def read_of(port: int) -> float:
    """Events that the run with this health port tells as read; 0 where it does not answer."""
    return told_of(port, "hitonami_events_read_total") or 0


def told_of(port: int, metric: str) -> float | None:
    """What the run with this health port tells of itself; None where it does not."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
            found = re.search(rf"^{metric}(?:\{{\S*)? (\S+)$", answer.read().decode(), re.MULTILINE)
    except OSError:
        return None
    return float(found[1]) if found else None


class Live:
    """``hitonami run`` as a process of its own. ``said``: what all that have ended have said, on both streams."""

    def __init__(self, kafka: Kafka, topic: str, store: str, registry: Path, recovery: Path, *more: object) -> None:
        self._command = [*COMMAND, "run", "--kafka", kafka.bootstrap, "--topic", topic, "--store", store]
        self._command += ["--registry", str(registry), "--recovery", str(recovery), *map(str, more)]
        self.said: list[str] = []
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(
            self._command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def kill(self) -> None:
        self.process.kill()
        self.said += self.process.communicate()

    def stop(self) -> dict[str, Any]:
        self.process.send_signal(signal.SIGTERM)
        printed, errors = self.process.communicate(timeout=20)
        self.said += (printed, errors)
        assert self.process.returncode == 0, errors[-500:]
        return dict(json.loads(printed.splitlines()[-1]))


@pytest.mark.kafka
@pytest.mark.slow
def test_live_killed_in_mid_stream_equals_every_replay(kafka: Kafka, topic: Callable[..., str], tmp_path: Path) -> None:
    made, registry = events(tmp_path)
    messages = [(partition(key), value) for key, value in made]
    store, name = f"chdb://{tmp_path}/store", topic(partitions=PARTITIONS, timestamps="LogAppendTime")
    # the events lie in the past: a tick while the producer pauses would make the rest of them late
    (tmp_path / "config.toml").write_text("[time]\ntick_ms = 1000000000\n[status]\nexact = true\n")
    config, port = ("--config", tmp_path / "config.toml"), free_port()
    live = Live(kafka, name, store, registry, tmp_path / "recovery", *config, "--health-port", port)
    killed = []

    def pause(number: int) -> None:
        time.sleep(0.1)
        if number >= len(messages) // 2 and not killed:
            killed.append(number)
            time.sleep(1.5)
            live.kill()
            live.start()

    produce(kafka, name, messages, pause)
    assert killed
    tick(kafka, name)  # closes the last windows; the run's row tells an epoch later
    until = time.monotonic() + 180
    while read_of(port) < len(messages) and time.monotonic() < until:
        time.sleep(0.2)
    told = live.stop()
    assert told["read"] == told["accepted"] == len(messages)

    at = ("--store", store, "--registry", registry, *config, "--run-id")
    replayed = json.loads(hitonami("replay", "--kafka", kafka.bootstrap, "--topic", name, *at, "topic"))
    assert (replayed["read"], replayed["accepted"]) == (told["read"], told["accepted"])
    hitonami("dump", "--kafka", kafka.bootstrap, "--topic", name, "-o", tmp_path / "dump.parquet")
    dumped = json.loads(hitonami("replay", tmp_path / "dump.parquet", *at, "dump"))
    assert dumped["digest"] == replayed["digest"]

    other = topic(partitions=PARTITIONS, timestamps="LogAppendTime")
    produce(kafka, other, in_arrays(messages), lambda _number: None)
    hitonami("replay", "--kafka", kafka.bootstrap, "--topic", other, *at, "arrays")
    for run in ("topic", "dump", "arrays"):
        assert differing(hitonami("verify", "--store", store, "--run-id", "live", "--against", run)) == 0

    # a span in its middle: chains stand as they stood live, and no row outside the span is stored
    first = min(json.loads(value)["ts"] for _, value in messages)
    inside = ("--from", rfc3339(first + 300_000), "--to", rfc3339(first + 600_000))
    hitonami("replay", "--kafka", kafka.bootstrap, "--topic", name, *inside, *at, "span")
    hitonami("export", "flow", "--store", store, "--run-id", "span", "--window", "10s", "-o", tmp_path / "span.csv")
    starts = {line.split(",")[0] for line in (tmp_path / "span.csv").read_text().splitlines()[1:]}
    assert len(starts) == (first + 600_000) // 10_000 - -(-(first + 300_000) // 10_000)  # whole windows inside
    verified = hitonami("verify", "--store", store, "--run-id", "live", "--against", "span", *inside)
    assert differing(verified) == 0 and not verified.startswith("0 ")

    third = topic(partitions=PARTITIONS, timestamps="LogAppendTime")
    place = next(i for i, (_, v) in enumerate(messages) if b'"count"' in v)
    document = json.loads(messages[place][1])
    document["ab"] = document.get("ab", 0) + 9
    produce(
        kafka,
        third,
        [*messages[:place], (messages[place][0], json.dumps(document).encode()), *messages[place + 1 :]],
        lambda _n: None,
    )
    hitonami("replay", "--kafka", kafka.bootstrap, "--topic", third, *at, "changed")
    told_difference = hitonami("verify", "--store", store, "--run-id", "live", "--against", "changed", code=1)
    assert differing(told_difference) > 0


@pytest.mark.kafka
@pytest.mark.clickhouse
def test_run_into_a_server_stops_within_five_seconds(
    kafka: Kafka, topic: Callable[..., str], clickhouse_url: str, tmp_path: Path
) -> None:
    made, registry = events(tmp_path)
    name = topic(partitions=PARTITIONS, timestamps="LogAppendTime")
    produce(kafka, name, [(partition(key), value) for key, value in made[:4000]], lambda _number: None)
    live = Live(kafka, name, clickhouse_url, registry, tmp_path / "recovery")
    deadline = time.monotonic() + 60
    rows = 0
    while rows == 0 and time.monotonic() < deadline:
        time.sleep(1)
        done = command("export", "flow", "--store", clickhouse_url, "--run-id", "live", "-o", tmp_path / "f.csv")
        if done.returncode == 0:  # else the run is not in the store yet
            rows = len((tmp_path / "f.csv").read_text().splitlines()) - 1
    assert rows > 0
    assert live.stop()["read"] > 0
    assert os.stat(tmp_path / "recovery").st_mode & 0o777 == 0o700
