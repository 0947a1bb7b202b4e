"""``hitonami load``: what a load says is true is what the engine stores of it; its options, and how it is stopped."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import loadgen
from engine.errors import BadInput, UsageError
from hitonami.cli import app
from sinks.clickhouse.store import Store
from tests.services.test_live_replay import hitonami
from tests.support.command import COMMAND

if TYPE_CHECKING:
    from tests.realservices.kafka import Kafka

ODD = ("--late", "0.02", "--duplicate", "0.02", "--bad", "0.02", "--skewed", "0.02", "--hot", "0.7")


def told(path: Path) -> tuple[dict[tuple[int, str, str], int], dict[str, Any]]:
    """A truth file: people by window, gate and direction; the totals."""
    *rows, last = map(json.loads, path.read_text().splitlines())
    return {(row["start_ms"], row["gate"], row["direction"]): row["n"] for row in rows}, last["totals"]


@pytest.mark.kafka
def test_the_truth_is_what_the_engine_stores(
    kafka: Kafka, topic: Callable[..., str], tmp_path: Path, chdb_url: str
) -> None:
    name, truth, registry, report = topic(partitions=4), *(tmp_path / name for name in "trp")
    files = ("--truth", truth, "--registry-out", registry, "--report", report)
    load = ("load", "city", "--kafka", kafka.bootstrap, "--topic", name, "--rate", 1_000, "--seconds", 25, *files, *ODD)
    said = hitonami(*load, "--unpaced", "--processes", 2)
    people, totals = told(truth)
    assert said.startswith("25000 events in ") and json.loads(report.read_text())["events"] == 25_000
    (tmp_path / "k1.toml").write_text("[flow]\nk = 1\nguard = 0\n")
    into = ("--store", chdb_url, "--registry", registry, "--config", tmp_path / "k1.toml", "--run-id", "a")
    summary = json.loads(hitonami("replay", "--kafka", kafka.bootstrap, "--topic", name, *into).splitlines()[-1])
    assert {what: summary[what] for what in ("accepted", "rejected")} == {
        "accepted": totals["accepted"],
        "rejected": totals["rejected"],
    }
    assert summary["read"] == totals["events"] == 25_000 and len(totals["rejected"]) == 8
    with Store.open(chdb_url) as store:
        rows = store.rows("flow", "a", window="10s").to_pylist()
    stored = {(round(r["window_start"].timestamp() * 1000), r["gate"], r["direction"]): r["n"] for r in rows if r["n"]}
    assert stored == people


@pytest.mark.kafka
def test_ctrl_c_ends_it_and_the_truth_is_what_was_sent(kafka: Kafka, topic: Callable[..., str], tmp_path: Path) -> None:
    name = topic(partitions=2)
    words = ["load", "city", "--kafka", kafka.bootstrap, "--topic", name, "--seed", "7"]
    words += ["--rate", "1000", "--truth", "t", "--report", "r", "--processes", "2", *ODD]
    child = subprocess.Popen([*COMMAND, *words], cwd=tmp_path, stdout=subprocess.PIPE, text=True)
    while not (sent := end_of(kafka, name)):
        assert child.poll() is None
    child.send_signal(signal.SIGINT)
    said, _ = child.communicate(timeout=30)
    people, totals = told(tmp_path / "t")
    reached = json.loads((tmp_path / "r").read_text())
    assert child.returncode == 0 and said.startswith(f"{reached['events']} events in ")
    assert sent <= reached["events"] == totals["events"] == end_of(kafka, name)
    assert sum(people.values()) == totals["accepted"]


def end_of(kafka: Kafka, topic: str) -> int:
    """How many messages a topic has."""
    from confluent_kafka import Consumer, TopicPartition

    many = loadgen.partitions_of(kafka.bootstrap, topic) or 0
    consumer = Consumer({"bootstrap.servers": kafka.bootstrap, "group.id": "ends"})
    ends = [consumer.get_watermark_offsets(TopicPartition(topic, at), timeout=10)[1] for at in range(many)]
    consumer.close()
    return sum(ends)


def load(*words: object) -> None:
    app(["load", *map(str, words)], standalone_mode=False)


def test_a_file_of_a_plan(tmp_path: Path) -> None:
    load("city", "-o", tmp_path / "e", "--truth", tmp_path / "t", "--rate", 200, "--seconds", 10, *ODD)
    assert told(tmp_path / "t")[1]["events"] == len((tmp_path / "e").read_bytes().splitlines()) == 2_000


@pytest.mark.parametrize(
    ("words", "wrong"),
    [
        (("weekday", "--late", "0.1", "--skew-ms", "5"), "--late, --skew-ms: not of weekday"),
        (
            ("village",),
            "no scenario village; there is weekday, .*, blackout, signage, profiles, city, nation",
        ),
        (("city", "--processes", "2", "--format", "array"), "--format, --processes: only with --kafka"),
        (("city", "--late", "2"), "--late, --duplicate, --bad, --skewed must be"),
        (("city", "--kafka", "x"), "give --kafka or -o"),
    ],
)
def test_what_cannot_be_is_a_usage_error(words: tuple[str, ...], wrong: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=f"^load: {wrong}"):
        load(*words, "-o", tmp_path / "e")
    assert not list(tmp_path.iterdir())


@pytest.mark.kafka
def test_what_cannot_be_sent_is_told(kafka: Kafka, topic: Callable[..., str], tmp_path: Path) -> None:
    there = ("city", "--kafka", kafka.bootstrap, "--topic", topic(partitions=2))
    with pytest.raises(UsageError, match=r"^load: --partitions: topic \S+ has 2$"):
        load(*there, "--partitions", 3)
    with pytest.raises(UsageError, match=r"^load: --unpaced needs --seconds$"):
        load(*there, "--unpaced")
    (tmp_path / "conf").write_text("linger.ms = secret\n")
    for words in (there, ("weekday", *there[1:])):
        with pytest.raises(BadInput, match=r"^Kafka: the client refuses a setting of --kafka-config$"):
            load(*words, "--kafka-config", tmp_path / "conf")
