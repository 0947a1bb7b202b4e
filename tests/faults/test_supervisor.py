"""The supervisor of a live run: what it says, how it ends, and that nothing outlives it."""

from __future__ import annotations

import json
import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from confluent_kafka import Producer, TopicPartition
from confluent_kafka.admin import AdminClient

import loadgen
from engine import registry as registries
from engine.config import Config
from flows import cluster as supervisor
from flows.live import prepare
from flows.recovery import lock
from flows.runs import Setup
from flows.worker import Job
from sinks.clickhouse.store import Store
from tests.faults.kills import STOP_S, Live, await_closed
from tests.realservices.kafka import Kafka
from tests.support.command import COMMAND, command

START_MS = (int(time.time()) - 7_200) * 1000


class World:
    """A topic with ten minutes of events, and how to run live on it."""

    def __init__(self, kafka: Kafka, topic: str, store: str, work: Path) -> None:
        self.kafka, self.topic, self.store, self.work = kafka, topic, store, work
        scenario = loadgen.SCENARIOS["weekday"](
            seed=4, seconds=600, start_ms=START_MS, clock_of_day_s=8 * 3600, rate=50
        )
        loadgen.write_registry(scenario, work / "registry.json")
        # the events are of the past: a tick of the run's own would close everything up to now
        (work / "config.toml").write_text("[time]\ntick_ms = 600000\n")
        self.producer = Producer(
            {"bootstrap.servers": self.kafka.bootstrap, "log_level": 0, "enable.idempotence": True}
        )
        self.events = [(sum(m.key) % 4, m.value) for m in scenario.events()]
        with Store.open(store) as opened:
            opened.migrate()

    def produce(self, times: int = 1) -> int:
        """All events, ``times`` over; how many records that is."""
        for _ in range(times):
            for partition, value in self.events:
                self.producer.produce(self.topic, value, partition=partition)
            assert self.producer.flush(60) == 0  # its queue holds 100,000
        return times * len(self.events)

    def tick(self, ts: int) -> None:
        """A tick into every partition, which closes what was open before it."""
        for partition in range(4):
            self.producer.produce(self.topic, json.dumps({"type": "tick", "ts": ts}).encode(), partition=partition)
        assert self.producer.flush(10) == 0

    def live(self) -> Live:
        words = ["run", "--kafka", self.kafka.bootstrap, "--topic", self.topic, "--store", self.store]
        words += ["--registry", str(self.work / "registry.json"), "--recovery", str(self.work / "recovery")]
        words += ["--config", str(self.work / "config.toml")]
        return Live([*COMMAND, *words], 1_000, self.work / "errors.txt")

    def started(self, live: Live, processes: int) -> None:
        """Wait until ``processes`` processes have stored rows and committed an epoch: its row tells that they did."""
        until = time.monotonic() + 120
        with Store.open(self.store) as store:
            while time.monotonic() < until:
                run = store.run("live")
                if len(live.workers()) == processes and run is not None and run.closed_ms > START_MS:
                    return
                time.sleep(0.1)
        raise AssertionError("the run stores nothing")


@pytest.fixture
def world(kafka: Kafka, topic: Callable[..., str], clickhouse_url: str, tmp_path: Path) -> World:
    return World(kafka, topic(partitions=4), clickhouse_url, tmp_path)


@pytest.fixture
def live(world: World) -> Iterator[Live]:
    live = world.live()
    yield live
    live.end()


pytestmark = [pytest.mark.kafka, pytest.mark.clickhouse, pytest.mark.slow]


def test_it_stops_under_load_with_its_windows_open(world: World, live: Live) -> None:
    world.produce(times=10)
    live.start(2)
    world.started(live, 2)
    told, seconds = live.stop()
    assert seconds <= STOP_S
    assert 0 < told["read"] == told["accepted"] + sum(told["rejected"].values())
    with Store.open(world.store) as store:
        run = store.run("live")
        assert run is not None and run.state == "stopped"
        # what is stored is what had closed; the day's window stays open in the recovery directory
        assert "10s" in store.newest_windows("live") and "1d" not in store.newest_windows("live")
    newest = max(json.loads(value)["ts"] for _, value in world.events)
    world.tick(newest + 60_000)  # past all that the first run can have closed
    live.start(3)
    with Store.open(world.store) as store:
        await_closed(store, newest + 30_000)
    world.produce(times=10)  # late by now, and still the load under which it stops
    more, seconds = live.stop()
    assert seconds <= STOP_S
    assert told["read"] < more["read"] == more["accepted"] + sum(more["rejected"].values())  # it went on


def test_nothing_outlives_a_supervisor_that_is_killed(world: World, live: Live) -> None:
    world.produce()
    live.start(2)
    world.started(live, 2)
    assert live.kill_supervisor(False) == 0


def test_a_process_asked_to_stop_stops_the_run(world: World, live: Live) -> None:
    world.produce()
    live.start(2)
    world.started(live, 2)
    live.workers()[1].terminate()
    assert live.process is not None
    printed, _ = live.process.communicate(timeout=20)
    assert live.process.returncode == 0 and json.loads(printed.splitlines()[-1])["read"] > 0


def test_a_note_of_a_process_is_told_and_no_failure(world: World, live: Live) -> None:
    world.produce()
    world.producer.produce(world.topic, b'{"type":"registry","registry":{}}', partition=1)
    assert world.producer.flush(10) == 0
    live.start(2)
    newest = max(json.loads(value)["ts"] for _, value in world.events)
    with Store.open(world.store) as store:
        await_closed(store, newest - 30_000)
    workers = {worker.pid for worker in live.workers()}
    os.kill(min(workers), signal.SIGKILL)  # a failure behind a note is told as what it is
    until = time.monotonic() + 60
    while workers & {worker.pid for worker in live.workers()} and time.monotonic() < until:
        time.sleep(0.05)  # the supervisor has not seen it yet
    world.started(live, 2)
    live.stop()
    told = (world.work / "errors.txt").read_text().splitlines()
    notes = [line for line in told if "no valid registry: version: missing or not text" in line]
    assert notes and all(line.startswith(f"hitonami: {world.topic}/1 offset ") for line in notes)
    assert [line for line in told if line not in notes] == ["hitonami: a process was ended by signal 9; starting again"]


def test_figures_flow_again_after_a_crash(
    world: World, live: Live, record_property: Callable[[str, object], None]
) -> None:
    world.produce()
    live.start(2)
    newest = max(json.loads(value)["ts"] for _, value in world.events)
    with Store.open(world.store) as store:
        await_closed(store, newest - 30_000)
        before, stored = {worker.pid for worker in live.workers()}, max(store.newest_windows("live").values())
        os.kill(min(before), signal.SIGKILL)
        killed = time.monotonic()
        world.tick(newest + 60_000)
        until = killed + 120
        while max(store.newest_windows("live").values()) <= stored:
            assert time.monotonic() < until
            time.sleep(0.02)
        record_property("figures_again_s", time.monotonic() - killed)
        await_closed(store, newest + 30_000)
    assert not before & {worker.pid for worker in live.workers()}
    assert live.stop()[0]["read"] == len(world.events)


def test_a_stored_offset_that_is_gone_ends_it_with_one_line(world: World, live: Live) -> None:
    world.produce()
    live.start(2)
    world.started(live, 2)
    live.stop()
    world.produce()
    admin = AdminClient({"bootstrap.servers": world.kafka.bootstrap})
    counted = Counter(partition for partition, _ in world.events)
    for done in admin.delete_records([TopicPartition(world.topic, p, 2 * n) for p, n in counted.items()]).values():
        done.result()
    live.start(2)
    assert live.process is not None
    live.process.communicate(timeout=60)
    assert live.process.returncode == 4
    lines = (world.work / "errors.txt").read_text().splitlines()
    assert len(lines) == 1 and lines[0].endswith("no longer holds the stored offset"), lines


def test_processes_that_do_not_find_each_other_are_killed(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that ends while they connect leaves the others waiting for ever."""
    monkeypatch.setattr(supervisor, "START_S", 2.0)
    version, config = registries.load(world.work / "registry.json"), Config.load(world.work / "config.toml")
    directory = world.work / "recovery"
    job = Job(
        kafka=world.kafka.bootstrap,
        kafka_settings={},
        topic=world.topic,
        source="hot",
        store=world.store,
        registry=version.text,
        config=config.as_json(),
        run_id="live",
        code_version="1",
        recovery=str(directory),
    )
    held = lock(directory)
    try:
        with Store.open(world.store) as store:
            made = prepare(Setup(store, version, config, "live", "1"), job.cluster(), directory, "stored")
        whole = replace(job, partitions=made.partitions, topic_id=made.topic_id)
        two = supervisor.Generation(whole, 2, held)
        del two._jobs[1]  # the other one is gone
        assert two.run() == supervisor.Failure("the processes did not find each other within 2 s", 1)
        assert [worker.code for worker in two._workers] == [-signal.SIGKILL]
    finally:
        os.close(held)


def test_wrong_options_end_it_at_once(world: World, tmp_path: Path) -> None:
    def run(*words: str) -> tuple[int, list[str]]:
        done = command("run", *words, timeout=60)
        return done.returncode, done.stderr.splitlines()

    more = ["--topic", world.topic, "--registry", str(world.work / "registry.json"), "--recovery", str(tmp_path / "x")]
    embedded = ["--store", f"chdb://{tmp_path}/chdb", "--kafka", world.kafka.bootstrap, "--processes", "2"]
    code, lines = run(*embedded, *more)
    assert (code, lines) == (2, ["hitonami: --processes: an embedded store is owned by one process"])
    code, lines = run("--store", world.store, "--kafka", "127.0.0.1:9", *more)
    assert code == 4 and len(lines) == 1
    letters = ["--dead-letters", str(tmp_path / "no" / "such" / "place")]
    code, lines = run("--store", world.store, "--kafka", world.kafka.bootstrap, *more, *letters)
    assert code == 2 and len(lines) == 1
    assert not [p for p in psutil.Process().children(recursive=True) if "flows.worker" in " ".join(p.cmdline())]
