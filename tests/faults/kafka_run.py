"""What the tests of Kafka's faults share: a scenario, a live run on one topic, its log, a replay to compare with."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from confluent_kafka import Message, Producer

import loadgen
from engine.model import LENGTH_MS, WINDOWS
from sinks.clickhouse.store import Store
from tests.faults.kills import Live, Report, compare, replayed
from tests.realservices.kafka import Kafka
from tests.support import topics
from tests.support.command import COMMAND

PATIENCE_S = 90  # a slow machine is no fault


def until(condition: Callable[[], Any], what: str) -> Any:
    """Wait for a condition and give its value."""
    last = time.monotonic() + PATIENCE_S
    while not (found := condition()):
        assert time.monotonic() < last, what
        time.sleep(0.1)
    return found


class KafkaRun:
    """A live run ``live`` on ``topic``, and what it leaves in the store."""

    def __init__(self, kafka: Kafka, topic: str, store_url: str, work: Path, start_ms: int, config: str) -> None:
        self.kafka, self.topic, self.work, self.start_ms = kafka, topic, work, start_ms
        self.scenario = loadgen.SCENARIOS["weekday"](
            seed=6, seconds=3_600, start_ms=start_ms, clock_of_day_s=8 * 3600, rate=20
        )
        loadgen.write_registry(self.scenario, work / "registry.json")
        (work / "config.toml").write_text(config)
        self._at = ["--kafka", kafka.bootstrap, "--topic", topic, "--store", store_url]
        self._at += ["--registry", str(work / "registry.json"), "--config", str(work / "config.toml")]
        self.store = Store.open(store_url)
        self.store.migrate()
        self._errors = work / "errors.txt"
        self.live = Live([*COMMAND, "run", *self._at, "--recovery", str(work / "recovery")], 500, self._errors)

    def start(self, processes: int = 1) -> None:
        """Start the run, or start it again."""
        self.live.start(processes)

    def close(self) -> None:
        """Leave nothing behind."""
        self.live.end()
        self.store.close()

    def said(self) -> list[str]:
        """The lines of the run on stderr."""
        return self._errors.read_text().splitlines() if self._errors.exists() else []

    def events(self, seconds: int) -> list[bytes]:
        """The first ``seconds`` of the scenario."""
        end_ms = self.start_ms + seconds * 1000
        return [m.value for m in itertools.takewhile(lambda m: m.arrival_ms < end_ms, self.scenario.events())]

    def closed_ms(self) -> int:
        """Up to where the run says that it has closed."""
        run = self.store.run("live")
        return run.closed_ms if run is not None else 0

    def newest_ms(self) -> int:
        """Start of the newest stored 10 s window, 0 where there is none."""
        return self.store.newest_windows("live").get("10s", 0)

    def ended(self) -> tuple[int, list[str]]:
        """Wait until the run has ended by itself: exit code, and what it said since the last call."""
        assert self.live.process is not None
        self.live.process.communicate(timeout=PATIENCE_S)
        lines = self.said()
        self._errors.unlink()
        return self.live.process.returncode, lines

    def log(self, partition: int) -> list[Message]:
        """The partition's records that a run reads."""
        return topics.log(self.kafka, self.topic, partition)

    def ticks(self, partition: int) -> list[int]:
        """``ts`` of the ticks in a partition's log."""
        return topics.ticks(self.kafka, self.topic, partition)

    def equal_to_a_replay(self, told: dict[str, Any], run_id: str = "replay") -> None:
        """Replay the topic and compare: same counters, same rows, none twice."""
        again = replayed(self._at, run_id)
        counted = [{key: summary[key] for key in ("read", "accepted", "rejected")} for summary in (told, again)]
        assert counted[0] == counted[1]
        report = Report()
        compare(self.store, report, run_id)
        assert report.windows > 0 and (report.lost, report.differ, report.double) == (0, 0, 0), report

    def newest_end_ms(self) -> int:
        """End of the newest stored 10 s window."""
        return self.newest_ms() + LENGTH_MS[WINDOWS.index("10s")]


class RealTime(threading.Thread):
    """Produces a scenario's events as they come, into ``partitions``; what cannot be delivered waits."""

    def __init__(self, run: KafkaRun, partitions: list[int], **settings: Any) -> None:
        super().__init__(daemon=True)
        self._events: Iterator[Any] = iter(run.scenario.events())
        self._topic, self._partitions = run.topic, partitions
        self._producer = Producer(
            {
                "bootstrap.servers": run.kafka.bootstrap,
                "log_level": 0,
                "enable.idempotence": True,
                "reconnect.backoff.max.ms": 500,
                **settings,
            }
        )
        self.sent = 0
        self.enough = threading.Event()

    def run(self) -> None:
        """Produce until told that it is enough."""
        message = next(self._events)
        while not self.enough.wait(0.05):
            while message.arrival_ms <= time.time() * 1000:
                partition = self._partitions[sum(message.key) % len(self._partitions)]
                self._producer.produce(self._topic, message.value, partition=partition)
                self.sent += 1
                message = next(self._events)
            self._producer.poll(0)

    def finish(self) -> int:
        """End the feed; how many events it has delivered."""
        self.enough.set()
        self.join()
        assert self._producer.flush(PATIENCE_S) == 0
        return self.sent
