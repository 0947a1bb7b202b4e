"""The kill matrix: a live run through the real Kafka into a real ClickHouse server, killed at random times.

What stands in the store at the end is compared with an uninterrupted replay, before and after FINAL; merges are
stopped, so that nothing hides a row that was stored twice. ``python -m tests.faults.kills --kills 100`` is the long
form (``make soak-kills``); tests/faults/test_kills.py runs short ones.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
from confluent_kafka import Producer

import loadgen
from engine.model import DIGESTED, HOUR, LENGTH_MS, WINDOWS
from flows.recovery import resume_epoch
from sinks.clickhouse.store import Store
from tests.realservices.clickhouse import ClickHouse
from tests.realservices.kafka import Kafka
from tests.support.command import COMMAND, ROOT, command

CHUNK_S, STEP_MS = 0.1, 1_000  # every 0.1 s comes 1 s of events: 10 times as fast as life


# A stop under load ends within 5 s on a quiet machine, as `make soak-kills` checks. Beside other tests it takes longer;
# only one that hangs must fail them.
STOP_S = 25.0
QUIET_STOP_S = 5.0
REFUSED = {"malformed", "unknown_sensor", "late", "duplicate"}  # what a feed has refused where it is asked to


@dataclass
class Report:
    """What a matrix found. ``double``: rows stored more than once; ``lost``: rows of the replay that live lacks."""

    kills: int = 0
    starts: int = 0
    events: int = 0
    read: int = 0
    replayed: int = 0
    rows: int = 0
    double: int = 0
    lost: int = 0
    differ: int = 0
    miscounted: int = 0  # counters of the two summaries that are not equal
    windows: int = 0
    refused: int = 0  # rows of rejects that were compared
    rejected: dict[str, int] = field(default_factory=dict)
    orphans: int = 0  # processes that outlived their supervisor
    stop_s: list[float] = field(default_factory=list)
    by_kind: dict[str, int] = field(default_factory=dict)
    said: list[str] = field(default_factory=list)

    def faults(self) -> dict[str, int]:
        """What must be zero."""
        return {
            "double": self.double,
            "lost": self.lost,
            "differ": self.differ,
            "miscounted": self.miscounted,
            "orphans": self.orphans,
            "unread": self.events - self.read,
        }

    def count(self, sent: int, live: dict[str, Any], replay: dict[str, Any]) -> None:
        """Take the summaries of the live run, into which ``sent`` events went, and of its replay."""
        self.events, self.read, self.replayed = sent, live["read"], replay["read"]
        self.rejected = live["rejected"]
        self.miscounted = sum(live[name] != replay[name] for name in ("read", "accepted", "rejected"))


class Feed(threading.Thread):
    """Produces a scenario's past events at a steady pace, each chunk with a tick into every partition.

    ``refused``: behind every tick comes what a run has to refuse, for the reasons ``REFUSED``.
    """

    def __init__(
        self, kafka: Kafka, topic: str, partitions: int, scenario: Any, start_ms: int, *, refused: bool = False
    ) -> None:
        super().__init__(daemon=True)
        self._producer = Producer({"bootstrap.servers": kafka.bootstrap, "log_level": 0, "enable.idempotence": True})
        self.topic, self.partitions = topic, partitions
        self._events = iter(scenario.events())
        self.now_ms = start_ms
        self.sent = 0
        self.enough = threading.Event()
        self._refused = refused
        self._count: Any = None  # the newest message of the scenario that is a count

    def run(self) -> None:
        """Produce until told that it is enough."""
        message = next(self._events)
        while not self.enough.wait(CHUNK_S):
            self.now_ms += STEP_MS
            while json.loads(message.value)["ts"] < self.now_ms:
                self._send(message.key, message.value)
                if b'"count"' in message.value:
                    self._count = message
                message = next(self._events)
            self.tick(self.now_ms - 1_000)
            if self._refused and self._count is not None:
                self._refuse()

    def _send(self, key: bytes, value: bytes) -> None:
        self._producer.produce(self.topic, value, partition=sum(key) % self.partitions)
        self.sent += 1

    def _refuse(self) -> None:
        """What is no event, what is nobody's, what is hours late, and what has been told before."""
        key = self._count.key
        late = {"sensor": key.decode(), "type": "heartbeat", "ts": self.now_ms - 7_200_000}
        stranger = {"sensor": "nobody", "type": "heartbeat", "ts": self.now_ms}
        self._send(str(self.sent).encode(), b'{"sensor":')
        self._send(b"nobody", json.dumps(stranger).encode())
        self._send(key, json.dumps(late).encode())
        self._send(key, self._count.value)

    def tick(self, ts: int) -> None:
        """A tick into every partition."""
        for partition in range(self.partitions):
            self._producer.produce(self.topic, json.dumps({"type": "tick", "ts": ts}).encode(), partition=partition)
        self._producer.poll(0)

    def finish(self) -> None:
        """End the feed; a tick an hour later closes what an hour closes."""
        self.enough.set()
        self.join()
        self.tick(self.now_ms + 3_600_000)
        assert self._producer.flush(30) == 0


class Live:
    """``hitonami run`` with its processes."""

    def __init__(self, words: list[str], epoch_ms: int, errors: Path) -> None:
        self._words, self._errors = words, errors
        self._environment = {**os.environ, "HITONAMI_EPOCH_MS": str(epoch_ms)}
        self.process: subprocess.Popen[str] | None = None

    def start(self, processes: int) -> None:
        with open(self._errors, "a") as errors:
            self.process = subprocess.Popen(
                [*self._words, "--processes", str(processes)],
                cwd=ROOT,
                env=self._environment,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )

    def workers(self) -> list[psutil.Process]:
        assert self.process is not None
        try:
            return psutil.Process(self.process.pid).children()
        except psutil.NoSuchProcess:
            return []

    def kill_one_or_all(self, rng: random.Random, all_of_them: bool) -> bool:
        """kill -9 of workers; whether there was one."""
        workers = self.workers()
        for worker in workers if all_of_them else rng.sample(workers, min(1, len(workers))):
            _kill(worker)
        return bool(workers)

    def kill_supervisor(self, with_workers: bool) -> int:
        """kill -9; returns how many workers outlived it by 2 s."""
        assert self.process is not None
        workers = self.workers()
        self.process.kill()
        for worker in workers if with_workers else []:
            _kill(worker)
        self.process.communicate()
        _, alive = psutil.wait_procs(workers, timeout=2)
        return sum(worker.is_running() and worker.status() != psutil.STATUS_ZOMBIE for worker in alive)

    def stop(self) -> tuple[dict[str, Any], float]:
        """SIGTERM; the summary, and how long it took until it was printed and all was gone."""
        assert self.process is not None
        until = time.monotonic() + 60
        while not self.workers():  # one that still imports has no handler yet and would die of the signal
            assert self.process.poll() is None and time.monotonic() < until, self._errors.read_text()[-2000:]
            time.sleep(0.02)
        begun = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        printed, _ = self.process.communicate(timeout=30)
        assert self.process.returncode == 0, self._errors.read_text()[-2000:]
        return json.loads(printed.splitlines()[-1]), time.monotonic() - begun

    def end(self) -> None:
        """Leave nothing behind, wherever a test ended."""
        if self.process is not None and self.process.poll() is None:
            self.kill_supervisor(True)


def replayed(at: list[str], run_id: str = "replay") -> dict[str, Any]:
    """Replay the topic of ``at`` (--kafka, --topic, --store, …) to its end; the summary."""
    done = command("replay", *at, "--run-id", run_id, timeout=300)
    assert done.returncode == 0, done.stderr
    summary: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return summary


def _kill(process: psutil.Process) -> None:
    with contextlib.suppress(psutil.NoSuchProcess):
        process.kill()


def matrix(
    kafka: Kafka, topic: str, partitions: int, store_url: str, work: Path, *, kills: int, epoch_ms: int, seed: int
) -> Report:
    """Kill a live run ``kills`` times, let it finish, and compare it with a replay."""
    rng, report = random.Random(seed), Report()
    length_s = 60 + kills * 240
    # an hour ends while it is killed: rows of rejects and of the hour come then, the next hour's at the end
    start_ms = (int(time.time()) - length_s - 7_200) // 3_600 * 3_600_000 - 100_000
    scenario = loadgen.weekday(seed=seed, seconds=length_s, start_ms=start_ms, clock_of_day_s=8 * 3600, equipment="all")
    work.mkdir(parents=True, exist_ok=True)
    loadgen.write_registry(scenario, work / "registry.json")
    (work / "config.toml").write_text("[time]\ntick_ms = 1000000000\n")  # the feed ticks, in event time
    at = ["--kafka", kafka.bootstrap, "--topic", topic, "--store", store_url]
    at += ["--registry", str(work / "registry.json"), "--config", str(work / "config.toml")]
    kept = ["--recovery", str(work / "recovery"), "--dead-letters", str(work / "letters.jsonl")]
    live = Live([*COMMAND, "run", *at, *kept], epoch_ms, work / "errors.txt")
    with Store.open(store_url) as store:
        store.migrate()
    feed = Feed(kafka, topic, partitions, scenario, start_ms, refused=True)
    feed.start()
    live.start(rng.randint(1, 3))
    report.starts += 1
    try:
        while report.kills < kills:
            # every other one hits a run that has something to lose: on a busy machine all would hit it while it starts
            if report.kills % 2:
                await_epochs(work / "recovery", 2)
            time.sleep(rng.uniform(0.2, 1.5))
            kind = rng.choice(("one", "one", "all", "supervisor", "supervisor", "everything", "stop"))
            if kind in ("one", "all"):
                if not live.kill_one_or_all(rng, kind == "all"):
                    continue
            elif kind == "stop":
                if not live.workers():
                    continue  # it is still importing and takes no signal
                report.stop_s.append(live.stop()[1])
            else:
                report.orphans += live.kill_supervisor(kind == "everything")
            report.kills += kind != "stop"
            report.by_kind[kind] = report.by_kind.get(kind, 0) + 1
            if live.process is not None and live.process.poll() is not None:
                live.start(rng.randint(1, 3))
                report.starts += 1
        feed.finish()
        with Store.open(store_url) as store:
            await_closed(store, feed.now_ms + 3_580_000)
        summary, seconds = live.stop()
    finally:
        feed.enough.set()
        live.end()
    report.stop_s.append(seconds)
    report.count(feed.sent, summary, replayed(at))
    report.said = (work / "errors.txt").read_text().splitlines()
    with Store.open(store_url) as store:
        compare(store, report)
    return report


def await_epochs(recovery: Path, number: int) -> None:
    """Wait until a live run has committed so many epochs more."""
    last, until = None, time.monotonic() + 60
    while time.monotonic() < until:
        with contextlib.suppress(sqlite3.OperationalError):  # it is being written
            now = resume_epoch(recovery)
            last = now + number if last is None else last
            if now >= last:
                return
        time.sleep(0.1)
    raise AssertionError("the run commits nothing")


def await_closed(store: Store, closed_ms: int) -> None:
    """Wait until the live run tells that it has closed everything up to ``closed_ms``."""
    until = time.monotonic() + 180
    while time.monotonic() < until:
        run = store.run("live")
        if run is not None and run.closed_ms >= closed_ms:
            return
        time.sleep(0.2)
    raise AssertionError(f"the run has not caught up: {store.run('live')}")


def compare(store: Store, report: Report, run_id: str = "replay") -> None:
    """Count in the report what differs between the live run and its replay."""
    run = store.run("live")
    assert run is not None
    connection = store._connection
    for product in (*DIGESTED, "rejects"):
        table = connection.table(product)
        plain, final = (
            connection.rows(f"SELECT count() FROM {table} {word} WHERE run_id = 'live'")[0][0] for word in ("", "FINAL")
        )
        report.rows += plain
        report.double += plain - final
    live, replay = store.window_digests("live"), store.window_digests(run_id)
    # windows that the replay closed at its end, and live has not yet
    closed = {key for key in replay if key[1] + LENGTH_MS[WINDOWS.index(key[0])] + run.gate_delay_ms <= run.closed_ms}
    report.windows = len(closed)
    report.lost = len(closed - live.keys()) + len(live.keys() - replay.keys())
    report.differ = sum(live[key] != replay[key] for key in live.keys() & replay.keys() & closed)
    told, again = refusals(store, "live"), refusals(store, run_id)  # which are in no digest
    due = {key for key in again if key[0] + LENGTH_MS[HOUR] <= run.closed_ms}
    report.refused = len(due)
    report.lost += len(due - told.keys()) + len(told.keys() - again.keys())
    report.differ += sum(told[key] != again[key] for key in told.keys() & again.keys())


def refusals(store: Store, run_id: str) -> dict[tuple[int, str, str], int]:
    """The rows of rejects: hour (ms), sensor and reason → how many."""
    rows = store.rows("rejects", run_id).to_pylist()
    return {(round(row["hour"].timestamp() * 1000), row["sensor"], row["reason"]): row["n"] for row in rows}


def main() -> None:
    """The long form."""
    parser = argparse.ArgumentParser(prog="soak-kills")
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    shapes = list(itertools.product((4, 16), (200, 1_000)))
    failed = False
    with tempfile.TemporaryDirectory(prefix="hitonami-soak-") as directory:
        work = Path(directory)
        with Kafka(work / "kafka") as kafka, ClickHouse(work / "clickhouse") as clickhouse:
            for number, (partitions, epoch_ms) in enumerate(shapes):
                database = f"soak_{number}"
                clickhouse.query(f"CREATE DATABASE {database}")
                clickhouse.query("SYSTEM STOP MERGES")
                topic = kafka.create_topic(f"people-{number}", partitions)
                report = matrix(
                    kafka,
                    topic,
                    partitions,
                    clickhouse.url(database),
                    work / database,
                    kills=-(-options.kills // len(shapes)),
                    epoch_ms=epoch_ms,
                    seed=options.seed * 1000 + number,
                )
                failed |= any(report.faults().values()) or report.rejected.keys() != REFUSED or not report.refused
                failed |= max(report.stop_s) > QUIET_STOP_S
                sys.stdout.write(f"{partitions} partitions, epoch {epoch_ms} ms: {report}\n")
                sys.stdout.flush()
    sys.exit(int(failed))


if __name__ == "__main__":
    main()
