"""What a source gives to the flow: ticks in every epoch, and nothing from behind the end of its log."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import Producer

from engine.book import Book
from engine.config import Config
from engine.partition import Partition
from flows import runs
from flows.kafka import Cluster
from flows.logs import open_logs
from flows.runs import Setup, replay_files
from flows.source import FileSource, KafkaSource, Parts, is_tick, paced, shard_key, shard_number
from flows.streams import PEOPLE, Opened
from tests.realservices.kafka import Kafka
from tests.support.columns import tables
from tests.support.engine_run import payloads

SHARDS, AT = 3, 1_770_450_000_000


def parts() -> Parts:
    return Parts(Book(tables().registry), 5_000, SHARDS, None, "people")


def tick(ms: int) -> bytes:
    return b'{"type":"tick","ts":%d}' % ms


def test_in_every_epoch_every_shard_is_woken_once() -> None:
    mine = parts()
    part = mine.build(0, None)
    keys = [shard_key(s) for s in range(SHARDS)]
    assert mine.items(part, False) == []
    for _ in range(2):
        items = mine.items(part, True)  # nothing to tell: ticks, so that each shard writes a snapshot
        assert [key for key, _ in items] == keys
        assert all(is_tick(blob) and shard_key(shard_number(blob)) == key for key, blob in items)
    mine.feed(part, payloads([tick(AT)]), 0)
    items = mine.items(part, True)  # partials wake them as well
    assert [key for key, _ in items] == keys
    assert not any(is_tick(blob) for _, blob in items)


@pytest.mark.parametrize("per_line", [5_000, 60_000, 400_000, 50_000_000])
@pytest.mark.parametrize("first", [2 << 10, 8 << 10, 1 << 20])
def test_a_live_partition_comes_to_take_a_line_per_call(per_line: int, first: int) -> None:
    """``per_line``: bytes in a log that move W by one line. It was held at its first few for ever once."""
    most = first
    for _ in range(20):
        moved_ms = most * 10_000 // per_line
        most = paced(most, most, moved_ms)
    assert most == pytest.approx(min(per_line, 1 << 20), rel=0.01)


def test_little_that_was_there_says_little_of_what_may_be_taken() -> None:
    assert paced(8_000, 100, 0) == 16_000
    assert paced(8_000, 100, 10) == 16_000
    assert paced(8_000, 100, 3_600_000) == 2 << 10  # an hour in one record: nearly nothing more at once


def test_a_file_is_neither_read_nor_ended_while_it_must_wait(tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(tick(AT) + b"\n")
    mine, holds = parts(), True
    (log,) = open_logs([tmp_path / "log"], "log", PEOPLE.stamps(tables()), tmp_path, None)
    handle = FileSource(mine, [log], lambda _share: None, lambda: holds).build_part("logs", "00000", None)
    part = mine.all[0]
    for ended in (False, True):
        before = part.watermark
        for _ in range(3):
            assert handle.next_batch() == [] and handle.next_awake() is not None
        assert part.watermark == before and not part.ended
        holds = False
        handle.next_batch()
        assert part.watermark > before and part.ended == ended
        holds = True
    with pytest.raises(StopIteration):
        handle.next_batch()


def test_a_replay_of_files_waits_when_its_stream_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Asked before the files are sorted, consents may be hours old when the first event is read."""
    given: list[Any] = []

    class Source(FileSource):
        def __init__(self, *words: Any) -> None:
            super().__init__(*words)
            given.append(self._crowded)
            raise InterruptedError

    def holds() -> bool:
        return True

    (tmp_path / "log").write_bytes(tick(AT) + b"\n")
    stream = replace(PEOPLE, open=lambda *_how: Opened(Partition, holds))
    monkeypatch.setattr(runs, "stream_of", lambda _events: stream)
    monkeypatch.setattr(runs, "FileSource", Source)
    store: Any = SimpleNamespace(run=lambda _id: None, put_registry=lambda *_what: None)
    with pytest.raises(InterruptedError):
        replay_files(Setup(store, tables().registry, Config(), "again", "0"), [tmp_path / "log"], None)
    assert given == [holds]


@pytest.mark.kafka
@pytest.mark.parametrize("end", [7, 20])
def test_what_was_written_behind_the_end_is_not_read(kafka: Kafka, topic: Callable[..., str], end: int) -> None:
    name, mine = topic(), parts()
    producer = Producer({"bootstrap.servers": kafka.bootstrap, "log_level": 0, "enable.idempotence": True})
    for _ in range(20):  # one batch holds the end and what is behind it
        producer.produce(name, b"{")
    assert producer.flush(30) == 0
    cluster = Cluster(kafka.bootstrap, topic=name)
    holds = [False]
    source = KafkaSource(
        mine, cluster, 1, topic_id=cluster.topic_id(), tick_ms=1_000, ends=[end], crowded=lambda: holds[0]
    )
    try:
        handle = source.build_part("logs", "00000", None)
        while mine.all[0].read < end:
            handle.next_batch()
        holds[0] = True  # at the end of the log too: it closes windows
        for _ in range(3):
            handle.next_batch()
        assert not mine.all[0].ended
        holds[0] = False
        with pytest.raises(StopIteration):
            while True:
                handle.next_batch()
    finally:
        source.close()
    assert mine.all[0].read == end
