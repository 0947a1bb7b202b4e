"""Backup and restore of store and recovery directory: the restored run goes on, and equals an uninterrupted replay."""

from __future__ import annotations

import re
import shutil
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.realservices.cache import free_port
from tests.realservices.clickhouse import ClickHouse
from tests.realservices.kafka import Kafka
from tests.services.test_live_replay import PARTITIONS, Live, events, hitonami, partition, produce

# the events lie in the past: a tick between two parts would make the rest of them late; lag is told record by record
CONFIG = "[time]\ntick_ms = 60000\n[status]\nexact = true\n"
PATIENCE_S = 60
SECONDS = 480  # an embedded store takes a burst of them no faster than its merges follow: enough windows are enough


class Story:
    """A run over three thirds of the events: backup after the first, lost in the second, restored, ended."""

    def __init__(self, kafka: Kafka, topic: Callable[..., str], store: str, tmp_path: Path) -> None:
        made, self.registry = events(tmp_path, SECONDS)
        self.messages = [(partition(key), value) for key, value in made]
        self.kafka, self.store = kafka, store
        self.topic = topic(partitions=PARTITIONS, timestamps="LogAppendTime")
        self.recovery, self.config = tmp_path / "recovery", tmp_path / "config.toml"
        self.config.write_text(CONFIG)
        self.port = free_port()

    def live(self) -> Live:
        more = ("--config", self.config, "--health-port", self.port)
        return Live(self.kafka, self.topic, self.store, self.registry, self.recovery, *more)

    def third(self, number: int, live: Live) -> None:
        """Produce a third of the events and wait until the run has taken all of it."""
        size = len(self.messages) // 3 + 1
        produce(self.kafka, self.topic, self.messages[number * size : (number + 1) * size], lambda _number: None)
        until, body = time.monotonic() + PATIENCE_S, ""
        while time.monotonic() < until:
            assert live.process.poll() is None, live.process.communicate()
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=5) as answer:
                    body = answer.read().decode()
            except OSError:
                body = ""
            lags = re.findall(r"^hitonami_kafka_lag_records\{\S+ (\S+)$", body, re.MULTILINE)
            if len(lags) == PARTITIONS and not any(map(float, lags)) and "hitonami_ready 1.0" in body:
                time.sleep(1.5)  # and committed its epoch
                return
            time.sleep(0.2)
        raise AssertionError(body)

    def tell(self, backup: Callable[[], object], lose: Callable[[], object], restore: Callable[[], object]) -> None:
        kept = self.recovery.with_name("recovery.bak")
        live = self.live()
        self.third(0, live)
        assert live.stop()["read"] > 0
        backup()
        shutil.copytree(self.recovery, kept)
        live.start()
        self.third(1, live)
        live.kill()
        lose()
        shutil.rmtree(self.recovery)
        restore()
        shutil.copytree(kept, self.recovery)
        assert self.windows("live")
        live.start()
        self.third(2, live)
        told = live.stop()
        assert told["read"] == told["accepted"] == len(self.messages)
        at = ("--store", self.store, "--registry", self.registry, "--config", self.config, "--run-id", "again")
        hitonami("replay", "--kafka", self.kafka.bootstrap, "--topic", self.topic, *at)
        compared = hitonami("verify", "--store", self.store, "--run-id", "live", "--against", "again").splitlines()
        both = re.fullmatch(r"(\d+) windows closed in both, 0 differ", compared[0])
        assert both is not None and int(both[1]) > 50
        # a window that is missing is in neither's digest: look for gaps, up to where the live run has closed
        stored, made = self.windows("live"), self.windows("again")
        assert stored == {start for start in made if start <= max(stored)}

    def windows(self, run: str) -> set[str]:
        """Starts of the 10 s windows of a run."""
        out = self.recovery.with_name("rows.csv")
        hitonami("export", "flow", "--store", self.store, "--run-id", run, "--window", "10s", "-o", out)
        return {line.split(",")[0] for line in out.read_text().splitlines()[1:]}


@pytest.mark.kafka
@pytest.mark.slow
def test_an_embedded_store_is_copied(kafka: Kafka, topic: Callable[..., str], tmp_path: Path) -> None:
    store, kept = tmp_path / "store", tmp_path / "store.bak"
    story = Story(kafka, topic, f"chdb://{store}", tmp_path)
    story.tell(
        lambda: shutil.copytree(store, kept, symlinks=True),
        lambda: shutil.rmtree(store),
        lambda: shutil.copytree(kept, store, symlinks=True),
    )


@pytest.mark.kafka
@pytest.mark.clickhouse
@pytest.mark.slow
def test_a_server_is_backed_up(kafka: Kafka, topic: Callable[..., str], tmp_path: Path) -> None:
    backups = tmp_path / "backups"
    backups.mkdir()
    with ClickHouse(tmp_path / "clickhouse", backups=backups) as server:
        story = Story(kafka, topic, server.url("hitonami"), tmp_path)
        story.tell(
            lambda: server.query(f"BACKUP DATABASE hitonami TO File('{backups}/one')"),
            lambda: server.query("DROP DATABASE hitonami SYNC"),
            lambda: server.query(f"RESTORE DATABASE hitonami FROM File('{backups}/one')"),
        )
