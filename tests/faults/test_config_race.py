"""Registry versions race with events: published before, between and after them, into a live run that is killed once.

The partitions run at clocks of their own, some far behind, so each meets a version at another time of its watermark;
events of old times come behind a version, events of new ones before it. What is stored is compared with a replay, and
with a telling of the rules over the log as the broker kept it. ``python -m tests.faults.test_config_race --races 20``
is the long form.
"""

from __future__ import annotations

import argparse
import copy
import json
import random
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer

from sinks.clickhouse.store import Store
from tests.faults.kills import Live, Report, await_closed, compare
from tests.realservices.clickhouse import ClickHouse
from tests.realservices.kafka import Kafka
from tests.services.test_registry_publish import contents
from tests.support.command import COMMAND, ROOT, command
from tests.support.naive import DIRECTIONS, approved, window

PARTITIONS, PROCESSES = 4, 2
STEPS, STEP_MS = 100, 3_000  # five minutes of event time
BOUND_MS = 5_000
ALWAYS = [{"from": "2020-01-01T00:00:00Z", "to": None}]
Change = Callable[[dict[str, Any]], None]


def first_version() -> dict[str, Any]:
    gates = (("g0", "c1", None, 0), ("g1", "c2", "c1", 20), ("g2", None, "c2", 0))
    return {
        "version": "v0",
        "timezone": "Asia/Tokyo",
        "zones": [{"id": "c1", "kind": "walkway"}, {"id": "c2", "kind": "plaza"}],
        "gates": [{"id": g, "a": a, "b": b, "leaf": "10s", "delay_s": d} for g, a, b, d in gates],
        "sensors": [sensor(n, f"g{n % 3}") for n in range(8)],
    }


def sensor(number: int, gate: str) -> dict[str, Any]:
    reporting = ("on_change", "heartbeat", "every_span")[number % 3]
    known = {"id": f"s{number}", "kind": "counter", "gate": gate, "approved": ALWAYS}
    return known | {"reporting": reporting, "beat_s": 15}


def moves(document: dict[str, Any]) -> None:
    document["sensors"][0]["gate"] = "g1"


def goes(document: dict[str, Any]) -> None:
    document["sensors"] = [s for s in document["sensors"] if s["id"] != "s3"]


def comes(document: dict[str, Any]) -> None:
    document["gates"].append({"id": "g3", "a": "c1", "b": "c2", "leaf": "10s"})
    document["sensors"].append(sensor(8, "g3"))


def gate_goes(document: dict[str, Any]) -> None:
    document["gates"] = [g for g in document["gates"] if g["id"] != "g2"]
    document["sensors"] = [s for s in document["sensors"] if s["gate"] != "g2"]


def ends(document: dict[str, Any]) -> None:
    document["sensors"][1]["approved"] = [{"from": "2020-01-01T00:00:00Z", "to": "2021-01-01T00:00:00Z"}]


CHANGES: tuple[Change, ...] = (moves, goes, comes, gate_goes, ends)


@dataclass
class Told:
    """What the rules make of a log."""

    accepted: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    people: Counter[tuple[str, str, int]] = field(default_factory=Counter)  # per gate, direction, end of the pane
    met: dict[str, list[int]] = field(default_factory=dict)  # version -> W of each partition when it came, in order

    def version(self, end: int) -> str:
        """The one that holds for a window: the newest that some partition met before W had passed its end."""
        return [name for name, marks in self.met.items() if min(marks) < end][-1]


def told(first: dict[str, Any], logs: list[list[bytes]]) -> Told:
    """Every record judged by the version that holds at its place in its partition."""
    out = Told(met={first["version"]: [0]})
    for log in logs:
        held, w, seen = first, 0, set[Any]()
        for value in log:
            event = json.loads(value)
            if event["type"] == "registry":
                held = event["registry"]
                out.met.setdefault(held["version"], []).append(w)
                continue
            at, span = event["ts"], event.get("span_ms", 0)
            if event["type"] != "tick":
                reason = judged(held, event, w, seen)
                if reason:
                    out.rejected[reason] += 1
                    continue
                out.accepted += 1
                gate = next(s["gate"] for s in held["sensors"] if s["id"] == event["sensor"])
                end = window(at + span // 2, "10s", held["timezone"])[1]
                if event["type"] == "cross":
                    out.people[gate, event["dir"], end] += 1
                for direction, name in zip(DIRECTIONS, ("ab", "ba", "un"), strict=True):
                    out.people[gate, direction, end] += event.get(name, 0)
            w = max(w, at + span - BOUND_MS)
    return out


def judged(held: dict[str, Any], event: dict[str, Any], w: int, seen: set[Any]) -> str:
    """Why an event is refused; "" = it is not."""
    known = next((s for s in held["sensors"] if s["id"] == event["sensor"]), None)
    if known is None:
        return "unknown_sensor"
    start, end = window(event["ts"] + event.get("span_ms", 0) // 2, "10s", held["timezone"])
    if not approved(known, event["ts"] if event["type"] == "heartbeat" else start):
        return "not_approved"
    delay_s = next(g.get("delay_s", 0) for g in held["gates"] if g["id"] == known["gate"])
    if end + delay_s * 1000 <= w:
        return "late"
    key = (event["sensor"], event["ts"])
    if event["type"] == "count" and key in seen:
        return "duplicate"
    seen |= {key} if event["type"] == "count" else set()
    return ""


class Feed:
    """Random events of past times; each partition has a clock that is behind by its own lag."""

    def __init__(self, kafka: Kafka, topic: str, rng: random.Random, start_ms: int) -> None:
        self._producer = Producer({"bootstrap.servers": kafka.bootstrap, "log_level": 0, "enable.idempotence": True})
        self._topic, self._rng, self.now_ms = topic, rng, start_ms
        self._lags = rng.sample((0, 7_000, 35_000, 90_000), PARTITIONS)
        self._counts: list[tuple[int, bytes]] = []
        self.sent = 0

    def step(self) -> None:
        """Some events into every partition."""
        self.now_ms += STEP_MS
        for partition, lag in enumerate(self._lags):
            for _ in range(self._rng.randint(1, 4)):
                self._send(partition, self._event(partition, self.now_ms - lag))
        if self._counts and self._rng.random() < 0.2:
            self._send(*self._counts[-1])  # told again
        self._producer.poll(0)

    def _event(self, partition: int, now: int) -> bytes:
        rng = self._rng
        number = partition + PARTITIONS * rng.randint(0, 2) if rng.random() < 0.9 else rng.randint(0, 8)
        late = rng.choice((0, 0, 0, 0, 3_000, 20_000, 60_000))
        event: dict[str, Any] = {"sensor": f"s{number % 9}", "ts": now - late - rng.randint(0, 999)}
        kind = rng.choice(("cross", "cross", "cross", "count", "heartbeat"))
        event["type"] = kind
        if kind == "cross":
            event["dir"] = rng.choice(("ab", "ba"))
        if kind == "count":
            event |= {"ts": event["ts"] // 10_000 * 10_000, "span_ms": 10_000, "ab": rng.randint(0, 9), "un": 1}
            self._counts.append((partition, json.dumps(event).encode()))
        return json.dumps(event).encode()

    def _send(self, partition: int, value: bytes) -> None:
        self._producer.produce(self._topic, value, partition=partition)
        self.sent += 1

    def tick(self, ts: int) -> None:
        """A tick into every partition."""
        for partition in range(PARTITIONS):
            self._producer.produce(self._topic, json.dumps({"type": "tick", "ts": ts}).encode(), partition=partition)
        assert self._producer.flush(30) == 0


class Publisher:
    """Versions in random order, one ``hitonami registry publish`` at a time, while events flow."""

    def __init__(self, kafka: Kafka, topic: str, rng: random.Random, work: Path) -> None:
        self._on = ["--kafka", kafka.bootstrap, "--topic", topic, "--after", str(work / "v0.json")]
        self._rng, self._work = rng, work
        self._running: subprocess.Popen[str] | None = None
        self.published = 0
        (work / "v0.json").write_text(json.dumps(first_version()))

    def publish(self) -> None:
        """Begin to publish another version; it reaches the partitions some time later."""
        self.wait()
        self.published += 1
        document = copy.deepcopy(first_version()) | {"version": f"v{self.published}"}
        for change in self._rng.sample(CHANGES, self._rng.randint(1, 3)):
            change(document)
        path = self._work / f"v{self.published}.json"
        path.write_text(json.dumps(document))
        command = [*COMMAND, "registry", "publish", str(path), *self._on]
        self._running = subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )

    def wait(self) -> None:
        """Until the version is in the log."""
        if self._running is not None:
            _, said = self._running.communicate(timeout=60)
            assert self._running.returncode == 0, said
            self._running = None


def race(kafka: Kafka, topic: str, store_url: str, work: Path, seed: int) -> None:
    """One race: publish, feed, kill once, replay, compare. Asserts all the way."""
    rng = random.Random(seed)
    work.mkdir(parents=True, exist_ok=True)
    start_ms = (int(time.time()) - 10_800) // 3_600 * 3_600_000
    feed, publisher = Feed(kafka, topic, rng, start_ms), Publisher(kafka, topic, rng, work)
    # the feed ticks, in event time; exact figures: every person is in one run of one gate
    (work / "config.toml").write_text("[time]\ntick_ms = 1000000000\n[flow]\nk = 1\nguard = 0\n")
    at = ["--store", store_url, "--registry", str(work / "v0.json"), "--config", str(work / "config.toml")]
    where = ["--kafka", kafka.bootstrap, "--topic", topic]
    live = Live([*COMMAND, "run", *where, *at, "--recovery", str(work / "recovery")], 200, work / "errors.txt")
    between = [rng.randrange(part, part + STEPS // 4) for part in (0, STEPS // 3, STEPS * 2 // 3)]
    kill = rng.randrange(STEPS // 4, STEPS)
    with Store.open(store_url) as store:
        store.migrate()
        publisher.publish()  # before all events
        publisher.wait()
        live.start(PROCESSES)
        try:
            for step in range(STEPS):
                feed.step()
                if step in between:
                    publisher.publish()
                if step == kill:
                    await_process(live)
                    live.kill_one_or_all(rng, rng.random() < 0.5)
                time.sleep(rng.choice((0, 0, 0.02, 0.1)))
            publisher.publish()  # behind all events, before their windows close
            publisher.wait()
            feed.tick(feed.now_ms + 3_600_000)
            publisher.publish()  # behind everything
            publisher.wait()
            await_closed(store, feed.now_ms + 3_580_000)
            summary, _ = live.stop()
        finally:
            if live.process is not None and live.process.poll() is None:
                live.kill_supervisor(True)
        replayed = json.loads(output("replay", *where, *at, "--run-id", "replay").splitlines()[-1])
        told_apart = output("verify", "--store", store_url, "--run-id", "live", "--against", "replay")
        found = re.search(r"(\d+) windows closed in both, (\d+) differ", told_apart)
        assert found is not None and int(found[1]) > 50 and int(found[2]) == 0, told_apart
        report = Report()
        compare(store, report)
        assert (report.lost, report.double, report.differ) == (0, 0, 0), report
        want = told(first_version(), contents(kafka, topic, PARTITIONS))
        for counters in (summary, replayed):
            assert counters["read"] == feed.sent
            assert (counters["accepted"], counters["rejected"]) == (want.accepted, dict(want.rejected))
        for run in ("live", "replay"):
            check_rows(store, run, want)
    # a race it was: versions met at other times, people before and behind them
    assert all(len(marks) == PARTITIONS for name, marks in want.met.items() if name != "v0")
    assert len({want.version(start_ms + at) for at in range(0, STEPS * STEP_MS, 10_000)}) > 2
    assert any(max(marks) - min(marks) > 30_000 for marks in want.met.values())
    assert min(want.rejected[reason] for reason in ("unknown_sensor", "late")) > 10


def check_rows(store: Store, run: str, want: Told) -> None:
    """Each person stands in the gate of the version that judged them, each row names the version of its window."""
    flow, runs = (store.rows(product, run).to_pylist() for product in ("flow", "runs_of_flow"))
    people: Counter[tuple[str, str, int]] = Counter()
    for row in runs:
        end = round(row["run_end"].timestamp() * 1000)
        people[row["gate"], row["direction"], end] += row["n"]
        assert row["registry_version"] == want.version(end), row
    assert people == +want.people
    for row in flow:
        start = round(row["window_start"].timestamp() * 1000)
        if row["window"] != "1d":  # still open in the live run
            assert row["registry_version"] == want.version(window(start, row["window"], "Asia/Tokyo")[1]), row


def await_process(live: Live) -> None:
    """Until the run has processes of its own that could be killed."""
    until = time.monotonic() + 60
    while not live.workers() and time.monotonic() < until:
        time.sleep(0.05)


def output(*words: str) -> str:
    done = command(*words)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.kafka
@pytest.mark.clickhouse
@pytest.mark.slow
def test_versions_that_race_with_events_give_the_same_rows_live_and_replayed(
    kafka: Kafka, topic: Callable[..., str], clickhouse_url: str, tmp_path: Path
) -> None:
    race(kafka, topic(partitions=PARTITIONS), clickhouse_url, tmp_path / "race", seed=4)


def main() -> None:
    """The long form."""
    parser = argparse.ArgumentParser(prog="config-race")
    parser.add_argument("--races", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="hitonami-race-") as directory:
        work = Path(directory)
        with Kafka(work / "kafka") as kafka, ClickHouse(work / "clickhouse") as clickhouse:
            for seed in range(options.seed, options.seed + options.races):
                clickhouse.query(f"CREATE DATABASE race_{seed}")
                topic = kafka.create_topic(f"people-{seed}", PARTITIONS)
                race(kafka, topic, clickhouse.url(f"race_{seed}"), work / f"{seed}", seed)
                sys.stdout.write(f"race {seed}: rows equal the replay's and the rules'\n")
                sys.stdout.flush()


if __name__ == "__main__":
    main()
