"""What a source gives to the flow: ticks in every epoch, who withdraws meanwhile, nothing from behind its log's end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
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
from flows.keys import MemoryKeys
from flows.logs import open_logs
from flows.runs import Setup, replay_files
from flows.source import FileSource, KafkaSource, Parts, is_tick, paced, shard_key, shard_number
from flows.streams import PEOPLE, PROFILES, Opened
from tests.realservices.kafka import Kafka
from tests.support.columns import tables
from tests.support.engine_run import payloads
from tests.support.profile_run import FakeConsents, book, rows_of, subjects
from tests.unit.test_profile import DAY, HOUR, REGISTRY, event, partition

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


class Replay:
    """Two logs of profiles, called by hand, and the key in which they meet."""

    def __init__(self) -> None:
        of, keys = book(REGISTRY), MemoryKeys()
        self.consents = [FakeConsents(default=True) for _ in range(2)]
        self.parts = Parts(
            of, 5_000, 1, None, "profiles", make=lambda n, *_: partition(n, of=of, consents=self.consents[n], keys=keys)
        )
        limits = {"profiles": {"k": 1, "guard": 0, "providers": 1, "tables": ["gender"]}, "trips": {"k": 1, "guard": 0}}
        self.key = subjects(of, Config(limits), 2)
        self.handles: list[Any] = []

    def holds(self) -> bool:
        return not self.consents[0].is_current

    def hold(self, held: bool) -> None:
        for each in self.consents:
            each.is_current = not held

    def call(self, number: int) -> dict[str, int]:
        """People by gender that are released at one call of a log."""
        items = self.handles[number].next_batch()
        rows = rows_of(self.key.take([blob for _, blob in items if not is_tick(blob)]).rows)
        return {row["row"]: row["n"] for row in rows if row["product"] == "profiles"}

    def end(self, number: int) -> dict[str, int]:
        """Call a log until its partition has ended."""
        released: dict[str, int] = {}
        while not self.parts.all[number].ended:
            released |= self.call(number)
        return released

    def withdraws(self, released_by: Callable[[], dict[str, int]], held: bool) -> None:
        """Partition 0 has told the day, and waits for the other one, which ``released_by`` lets pass it; then all end.

        A person withdraws before, and with ``held`` consents are not current meanwhile.
        """
        if held:
            self.hold(True)
            assert self.call(0) == self.call(1) == {}  # that they wait
        self.consents[0].withdraw("acme", "u-1", DAY + HOUR)
        if held:
            self.hold(False)
            assert released_by() == {}
        else:
            assert self.call(0) == {}
        assert self.handles[0].next_awake() is not None  # however long it waits: not at once
        released = self.call(0) if held else released_by()
        assert released == {"f": 1, "m": 1, "": 2}
        for number in range(2):
            self.end(number)
        for handle in self.handles:
            with pytest.raises(StopIteration):
                for _ in range(3):
                    handle.next_batch()


TOLD = [event(DAY, "u-1", gender="f"), event(DAY, "u-2", gender="f")]
OPEN = [event(DAY, "u-3", gender="m"), tick(DAY + HOUR)]
MIDNIGHT = tick(DAY + 25 * HOUR)


@contextmanager
def of_files(logs: list[list[bytes]], at: Path) -> Iterator[Replay]:
    """A replay of files, of which nothing is read yet."""
    paths, mine = [at / str(number) for number in range(len(logs))], Replay()
    for path, log in zip(paths, logs, strict=True):
        path.write_bytes(b"\n".join(log) + b"\n")
    opened = open_logs(paths, "log", PROFILES.stamps(tables()), at, None, "profiles")
    source = FileSource(mine.parts, opened, lambda _share: None, mine.holds)
    mine.handles = [source.build_part("logs", part, None) for part in source.list_parts()]
    yield mine
    for handle in mine.handles:
        handle.close()


@pytest.mark.parametrize("held", [False, True], ids=["open", "held"])
def test_a_file_that_is_ahead_tells_who_withdraws(held: bool, tmp_path: Path) -> None:
    with of_files([[*TOLD, MIDNIGHT], [*OPEN, MIDNIGHT]], tmp_path) as mine:
        assert mine.call(0) == {}
        mine.withdraws(lambda: mine.call(1), held)


@pytest.mark.parametrize("held", [False, True], ids=["open", "held"])
def test_a_file_that_has_ended_tells_who_withdraws(held: bool, tmp_path: Path) -> None:
    with of_files([TOLD, OPEN], tmp_path) as mine:
        assert mine.call(1) == mine.end(0) == {}
        mine.withdraws(lambda: mine.end(1), held)


@pytest.mark.kafka
@pytest.mark.parametrize("held", [False, True], ids=["open", "held"])
def test_a_partition_of_a_replay_that_has_ended_tells_who_withdraws(
    kafka: Kafka, topic: Callable[..., str], held: bool
) -> None:
    name, mine = topic(partitions=2), Replay()
    producer = Producer({"bootstrap.servers": kafka.bootstrap, "log_level": 0, "enable.idempotence": True})
    for number, log in enumerate((TOLD, OPEN)):
        for message in log:
            producer.produce(name, message, partition=number)
    assert producer.flush(30) == 0
    cluster = Cluster(kafka.bootstrap, topic=name)
    how: dict[str, Any] = {"topic_id": cluster.topic_id(), "tick_ms": 1_000, "crowded": mine.holds}
    source = KafkaSource(mine.parts, cluster, 2, ends=[2, 2], **how)
    try:
        mine.handles = [source.build_part("logs", part, None) for part in source.list_parts()]
        assert mine.end(0) == {}
        mine.withdraws(lambda: mine.end(1), held)
    finally:
        source.close()


def test_a_log_of_people_that_waits_or_has_ended_is_done_with(tmp_path: Path) -> None:
    """It hears of nothing but its log: nobody has to wait for what it might tell, nor ask."""
    for number, log in enumerate(([tick(AT)], [tick(AT + HOUR)] * 2)):
        (tmp_path / str(number)).write_bytes(b"\n".join(log) + b"\n")
    mine = parts()
    logs = open_logs([tmp_path / "0", tmp_path / "1"], "log", PEOPLE.stamps(tables()), tmp_path, None)
    source = FileSource(mine, logs, lambda _share: None)
    first, second = (source.build_part("logs", part, None) for part in source.list_parts())
    assert second.next_batch()
    second.snapshot()
    assert second.next_batch() == []
    while not mine.all[0].ended:
        assert first.next_batch()
    with pytest.raises(StopIteration):
        first.next_batch()
    assert not mine.all[1].ended
