"""Control records in a live topic: versions, of which a killed run equals every replay, and operators' words."""

from __future__ import annotations

import copy
import csv
import json
import re
import subprocess
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition

from engine import book
from engine.errors import ServiceUnreachable
from engine.registry import Registry, parse
from flows import compacted
from flows import publish as publishing
from flows.health import State
from flows.kafka import Cluster
from tests.realservices.kafka import Kafka
from tests.services.test_live_replay import PARTITIONS, Live, events, hitonami, partition, produce, tick
from tests.services.test_verify import REGISTRY
from tests.support.command import command


def later(path: Path, name: str, change: Callable[[dict[str, Any]], None]) -> Path:
    """A later version of a registry file, written beside it."""
    document = json.loads(path.read_text())
    change(document)
    document["version"] = name
    made = path.with_name(f"{name}.json")
    made.write_text(json.dumps(document))
    return made


def without_last_sensor(document: dict[str, Any]) -> None:
    document["sensors"] = document["sensors"][:-1]


def with_new_gate(document: dict[str, Any]) -> None:
    gate = copy.deepcopy(document["gates"][0]) | {"id": "new-gate"}
    document["gates"].append(gate)
    document["sensors"][0]["gate"] = "new-gate"  # the sensor moves


def closed_ms(recovery: Path) -> int:
    """Up to where a live run has closed, as it tells its health port; 0 before it does."""
    path = recovery / "health-0.json"
    told = State.decode(path.read_bytes()).run if path.exists() else None
    return told.closed_ms if told is not None else 0


@pytest.mark.kafka
@pytest.mark.slow
def test_a_live_run_with_versions_equals_its_replays(kafka: Kafka, topic: Callable[..., str], tmp_path: Path) -> None:
    made, registry = events(tmp_path, 480)
    messages = [(partition(key), value) for key, value in made]
    versions = [
        later(registry, "second", without_last_sensor),
        later(registry, "third", with_new_gate),
        later(registry, "fourth", lambda _document: None),
    ]
    store, name = f"chdb://{tmp_path}/store", topic(partitions=PARTITIONS, timestamps="LogAppendTime")
    (tmp_path / "config.toml").write_text("[time]\ntick_ms = 1000000000\n")  # the events lie in the past
    config = ("--config", tmp_path / "config.toml")
    on = ("--kafka", kafka.bootstrap, "--topic", name)
    assert "published to 4 partitions" in hitonami("registry", "publish", versions[0], *on, "--after", registry)
    live = Live(kafka, name, store, registry, tmp_path / "recovery", *config)
    published = [0]

    def pause(number: int) -> None:
        time.sleep(0.05)
        if number == len(messages) // 3 // 500 * 500:
            hitonami("registry", "publish", versions[1], *on)
            published[0] += 1
        if number == len(messages) // 2 // 500 * 500:
            live.kill()
            live.start()
        if number == len(messages) * 2 // 3 // 500 * 500:
            hitonami("registry", "publish", versions[2], *on)
            published[0] += 1

    produce(kafka, name, messages, pause)
    assert published == [2]
    newest = max(json.loads(value)["ts"] for _, value in messages)
    tick(kafka, name)
    until = time.monotonic() + 200
    while closed_ms(tmp_path / "recovery") < newest:
        assert time.monotonic() < until
        time.sleep(0.2)
    told = live.stop()

    assert told["read"] == len(messages) and set(told["rejected"]) == {"unknown_sensor"}

    at = ("--store", store, "--registry", registry, *config, "--run-id")
    replayed = json.loads(hitonami("replay", *on, *at, "topic"))
    assert (replayed["accepted"], replayed["rejected"]) == (told["accepted"], told["rejected"])
    hitonami("dump", *on, "-o", tmp_path / "dump.parquet")
    hitonami("replay", tmp_path / "dump.parquet", *at, "dump")
    for run in ("topic", "dump"):
        assert "0 differ" in hitonami("verify", "--store", store, "--run-id", "live", "--against", run)
    hitonami("export", "flow", "--store", store, "--run-id", "live", "--window", "10s", "-o", tmp_path / "flow.csv")
    lines = (tmp_path / "flow.csv").read_text().splitlines()
    assert {line.split(",")[1] for line in lines[1:]} >= {"new-gate"}
    hitonami("audit", "--store", store, "--run-id", "live")


@pytest.mark.kafka
def test_what_cannot_follow_is_refused_and_nothing_is_written(
    kafka: Kafka, topic: Callable[..., str], tmp_path: Path
) -> None:
    _, registry = events(tmp_path)
    name = topic(partitions=2, timestamps="LogAppendTime")

    def other_leaf(document: dict[str, Any]) -> None:
        document["gates"][0]["leaf"] = "1h"

    bad = later(registry, "bad", other_leaf)
    refused = publish(bad, kafka, name, "--after", registry)
    assert (
        refused.returncode == 3 and refused.stderr == "hitonami: registry bad: gates[0].leaf: changes, take a new id\n"
    )
    assert publish(registry, kafka, name).returncode == 0
    assert publish(bad, kafka, name).returncode == 3  # now checked against what was published
    assert [len(values) for values in contents(kafka, name, 2)] == [1, 1]
    assert publish(registry, kafka, "no-such-topic").returncode == 4


@pytest.mark.kafka
def test_a_large_version_goes_out_in_pieces(kafka: Kafka, topic: Callable[..., str], tmp_path: Path) -> None:
    _, registry = events(tmp_path)
    name = topic(partitions=2, timestamps="LogAppendTime")

    def many_sensors(document: dict[str, Any]) -> None:
        one = document["sensors"][0]
        document["sensors"] = [one | {"id": f"s{i}"} for i in range(12_000)]

    large = later(registry, "large", many_sensors)
    assert large.stat().st_size > 2 * 1024 * 1024  # more than a broker takes in one message
    assert publish(large, kafka, name).returncode == 0
    pieces = contents(kafka, name, 2)
    assert pieces[0] == pieces[1] and len(pieces[0]) > 2
    records, found = book.Records(), None
    for piece in pieces[0]:
        found, fault = records.take(piece, None)
        assert fault is None
    assert found is not None and len(found.sensors) == 12_000


@pytest.mark.kafka
def test_a_publish_that_dies_before_its_end_leaves_nothing(
    kafka: Kafka, topic: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In every partition or in none: what stands in the log of it is no version, and the next publish goes on."""

    class Dying(Producer):  # type: ignore[misc]
        def commit_transaction(self, *_: object) -> None:
            assert self.flush(10) == 0
            raise KafkaException(KafkaError(KafkaError._TIMED_OUT))

    name = topic(partitions=2, timestamps="LogAppendTime")
    zones = [{"id": "c1", "kind": "plaza"}]
    cluster = Cluster(kafka.bootstrap, topic=name)
    version = parse(json.dumps({**REGISTRY, "zones": zones}).encode())
    with monkeypatch.context() as dies:
        dies.setattr(compacted, "Producer", Dying)
        # it may stand there for all that is known here
        with pytest.raises(ServiceUnreachable, match=f"no answer, look what was written to {name}$"):
            publishing.publish(cluster, version)
    assert contents(kafka, name, 2) == [[], []]
    assert publishing.publish(cluster, version) == 2
    assert [len(values) for values in contents(kafka, name, 2)] == [1, 1]
    assert cluster.ends(2) == [(0, 4), (0, 4)]  # that of the first, that it is void, that of the second, that it holds

    read = publishing.published

    def between(of: Cluster) -> list[Registry]:
        found = read(of)
        with monkeypatch.context() as once:
            once.setattr(publishing, "published", read)
            assert publishing.publish(cluster, version) == 2
        return found

    monkeypatch.setattr(publishing, "published", between)
    with pytest.raises(ServiceUnreachable, match=r"another writer of .* cut in, nothing was written"):
        publishing.publish(cluster, version)  # it has not been checked against the one in between
    assert [len(values) for values in contents(kafka, name, 2)] == [2, 2]
    monkeypatch.setattr(publishing, "published", read)
    told = publishing.tell(cluster, "c1", 3, "ito")
    newest = [json.loads(values[-1]) for values in contents(kafka, name, 2)]
    assert newest == 2 * [{"type": "set", "zone": "c1", "people": 3, "by": "ito", "ts": told.ts}]
    assert told.partitions == 2 and abs(told.age_ms) < 60_000  # now, by this machine's clock and Kafka's


@pytest.mark.kafka
@pytest.mark.clickhouse
def test_an_operators_word_anchors_a_zone(
    kafka: Kafka, topic: Callable[..., str], clickhouse_url: str, tmp_path: Path
) -> None:
    """Told by the command into every partition, it counts once, in a replay of the log."""
    start = int(time.time() - 7_200) // 3_600 * 3_600_000
    zones = [{"id": "c1", "kind": "plaza"}]
    gates = [{"id": "g", "a": None, "b": "c1", "leaf": "10s"}]
    (tmp_path / "r.json").write_text(json.dumps({**REGISTRY, "zones": zones, "gates": gates}))
    (tmp_path / "c.toml").write_text("[flow]\nk = 1\nguard = 0\n")
    name = topic(partitions=2, timestamps="LogAppendTime")
    on = ("--kafka", kafka.bootstrap, "--topic", name)

    def crosses(*seconds: int) -> None:
        made = [{"sensor": "s", "type": "cross", "dir": "ab", "ts": start + 1_000 * at} for at in seconds]
        ticks = [{"type": "tick", "ts": start + 1_000 * seconds[-1]}] * 2
        values = [json.dumps(event).encode() for event in (*made, *ticks)]
        produce(kafka, name, [(number % 2, value) for number, value in enumerate(values)], lambda _number: None)

    def told(zone: str, *more: object, second: float = 30) -> subprocess.CompletedProcess[str]:
        at = datetime.fromtimestamp(start / 1000 + second, UTC).isoformat()
        return command("registry", "set", zone, 40, "--by", "佐藤", "--at", at, *on, *more, timeout=60)

    crosses(1, 12)
    assert told("c1").returncode == 3  # nobody knows its zones
    done = told("nowhere", "--after", tmp_path / "r.json")
    assert (done.returncode, done.stderr) == (3, "hitonami: registry v1: no such zone\n")
    done = told("c1", "--after", tmp_path / "r.json")
    assert done.returncode == 0 and "told to 2 partitions" in done.stdout, done
    assert re.search(r"^\d{4,} s old by Kafka's clock: it holds only where", done.stdout, re.MULTILINE), done
    done = told("c1", "--after", tmp_path / "r.json", second=time.time() - start / 1000 + 90)  # every run refuses it
    assert (done.returncode, done.stdout) == (2, ""), done
    assert done.stderr == "hitonami: --at: over 60 s ahead of Kafka's clock, nothing was written\n"
    crosses(45, 48, 120)
    records = [[json.loads(value) for value in log] for log in contents(kafka, name, 2)]
    words = [[record for record in log if record["type"] == "set"] for log in records]
    assert words == 2 * [[{"type": "set", "zone": "c1", "people": 40, "by": "佐藤", "ts": start + 30_000}]]
    store = ("--store", clickhouse_url, "--run-id", "one")
    hitonami("replay", *on, *store, "--registry", tmp_path / "r.json", "--config", tmp_path / "c.toml")
    hitonami("export", "zones", *store, "--window", "10s", "-o", tmp_path / "zones.csv")
    with (tmp_path / "zones.csv").open(newline="") as file:
        found = [row["occupancy"] for row in csv.DictReader(file)]
    assert found[:6] == ["", "", "40", "40", "42", "42"]  # at the end of each window, once


def publish(path: Path, kafka: Kafka, topic: str, *more: object) -> subprocess.CompletedProcess[str]:
    return command("registry", "publish", path, "--kafka", kafka.bootstrap, "--topic", topic, *more, timeout=60)


def contents(kafka: Kafka, topic: str, partitions: int) -> list[list[bytes]]:
    """Committed values of each partition."""
    consumer = Consumer({"bootstrap.servers": kafka.bootstrap, "group.id": "t", "enable.partition.eof": True})
    consumer.assign([TopicPartition(topic, p, 0) for p in range(partitions)])
    out: list[list[bytes]] = [[] for _ in range(partitions)]
    ended = 0
    while ended < partitions:
        message = consumer.poll(10)
        assert message is not None
        if message.error():
            ended += 1
        else:
            out[int(message.partition() or 0)].append(message.value() or b"")
    consumer.close()
    return out
