"""Sources: each part is one partition of a topic or one log of a file; it gives partials, never single events."""

from __future__ import annotations

import pickle
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta

from bytewax.inputs import FixedPartitionedSource, StatefulSourcePartition

from engine.book import Book
from engine.model import AUTO, CELL_MS, END, NO_TIME, REASONS, Payloads
from engine.partial import decode
from engine.partition import Fed, Partition
from flows.guard import guarded, stop, tell
from flows.health import health
from flows.hot import open_reader
from flows.kafka import BEGINNING, Cluster, OffsetGone, Ticker, Watch
from flows.keeper import Item, Keeper, Maker
from flows.logs import Log
from flows.reader import Reader
from sinks.deadletter import DeadLetters

_FILE_BYTES = 8 << 20  # of a file per call: rows of many windows close together, so their figures come in bulk
_LIVE_BYTES = 1 << 20  # of a live partition per call
_REPLAY_BYTES = 4 << 20  # of another partition of a topic per call: windows that close together cost less
_FIRST_BYTES, _LEAST_BYTES = 8 << 10, 2 << 10  # of a live partition per call, see paced
_EPOCH_BYTES = 8 << 20  # that a partition gives in an epoch, about: bounds what is queued inside Bytewax
_REPLAY_STEP_MS = 60_000  # of W between two partials of a partition of another topic's replay: the same reason
_AWAKE = timedelta(milliseconds=15)
_REPLAY_AWAKE = timedelta(milliseconds=2)  # all is there: what is waited for is on its way
_ENDED_AWAKE = timedelta(milliseconds=50)  # of a log that has ended before others: it hears, and reads no more
_LETTERS_S = 1.0  # longest wait of an epoch for dead letters to be taken


def shard_key(number: int) -> str:
    """Key of a shard in the flow."""
    return f"{number:02d}"


def tick_item(number: int) -> Item:
    """A tick for a shard: wakes it so that it writes a snapshot in this epoch."""
    return shard_key(number), number.to_bytes(2, "little")


def is_tick(blob: bytes) -> bool:
    """Whether an item is a tick, not a partial."""
    return len(blob) == 2


def shard_number(blob: bytes) -> int:
    """The shard that an item, tick or partial, is for."""
    return int.from_bytes(blob, "little") if is_tick(blob) else decode(blob).shard


class Parts:
    """The partitions of this process, for the summary and for sources that advance together.

    ``wire``: what messages of the topic may be, AUTO, JSON or ARROW. ``make`` makes a partition of the stream.
    """

    def __init__(
        self,
        book: Book,
        bound_ms: int,
        shards: int,
        letters: DeadLetters | None,
        topic: str,
        wire: int = AUTO,
        make: Maker = Partition,
    ) -> None:
        self.book, self.bound_ms, self.shards, self.wire = book, bound_ms, shards, wire
        self.letters, self.topic, self._make = letters, topic, make
        self.all: dict[int, Keeper] = {}
        self._stuck = False

    def build(self, number: int, state: bytes | None, since: int = NO_TIME, wire: int | None = None) -> Keeper:
        """Partition ``number``, from its snapshot where there is one, else from W = ``since``.

        ``wire``: of a log that is not the topic's own, what its messages may be.
        """
        wire = self.wire if wire is None else wire
        part = self.all[number] = self._make(number, self.book, self.bound_ms, self.shards, state, since, wire)
        return part

    def feed(self, part: Keeper, payloads: Payloads, source_partition: int) -> None:
        """Give a batch to a partition; its refused messages go to the dead letters."""
        fed = part.feed(payloads)
        for message, of, why in fed.faults:
            tell(f"{self.topic}/{source_partition} offset {int(payloads.offsets[message])}: no valid {of}: {why}")
        if self.letters is not None:
            self._bury(self.letters, payloads, fed, source_partition)

    def _bury(self, letters: DeadLetters, payloads: Payloads, fed: Fed, partition: int) -> None:
        data = memoryview(payloads.data)  # type: ignore[arg-type]
        for i, reason in zip(fed.message.tolist(), fed.reason.tolist(), strict=True):
            if not letters.takes(reason):
                continue
            start, end = int(payloads.starts[i]), int(payloads.ends[i])
            letters.put(REASONS[reason], self.topic, partition, int(payloads.offsets[i]), data[start:end])

    def flush_letters(self) -> None:
        """Write out the dead letters of an epoch, as far as their topic or file takes them: figures do not wait."""
        if self.letters is None:
            return
        self.letters.flush(_LETTERS_S)
        if self.letters.stuck and not self._stuck:
            tell("the dead letters' topic takes no records (is it there?): they wait in memory and may be lost")
        self._stuck = self.letters.stuck

    def items(self, part: Keeper, tick: bool) -> list[Item]:
        """What a partition has to tell, and in a new epoch a tick for every shard."""
        out = [(shard_key(p.shard), p.encode()) for p in part.partials()]
        return out + [tick_item(s) for s in range(self.shards)] if tick and not out else out


class _Handle(StatefulSourcePartition[Item, bytes]):
    """What file and Kafka handles share: ticks per epoch, the byte budget, stopping."""

    def __init__(self, parts: Parts, part: Keeper) -> None:
        self._parts, self._part = parts, part
        self._fresh_epoch, self._left, self._busy, self._awake = True, _EPOCH_BYTES, True, _AWAKE
        self._is_last_call = False

    def next_awake(self) -> datetime | None:
        """At once while there is something to read, else soon."""
        return None if self._busy else datetime.now(UTC) + self._awake

    def _give(self, least_ms: int = 0) -> list[Item]:
        """What there is to tell; inside an epoch not before W has moved on by ``least_ms``."""
        if not self._fresh_epoch and self._part.untold_ms < least_ms:
            return []
        tick, self._fresh_epoch = self._fresh_epoch, False
        items = self._parts.items(self._part, tick)
        self._left -= sum(len(blob) for _, blob in items)
        return items

    def _finish(self) -> list[Item]:
        """End the log, which closes windows; called again until there is nothing to come of it: then StopIteration.

        Of a partition that hears there is until all have ended: it can take back what it has told, and where it has
        said that it waits, nothing closes before it has told again.
        """
        if self._is_last_call:
            raise StopIteration
        self._part.finish()
        self._is_last_call = not self._part.hears or all(part.ended for part in self._parts.all.values())
        self._busy, self._awake = self._is_last_call, _ENDED_AWAKE
        return self._give()

    def _new_epoch(self) -> None:
        self._fresh_epoch, self._left = True, _EPOCH_BYTES
        self._parts.flush_letters()


class _FileHandle(_Handle):
    def __init__(
        self, parts: Parts, part: Keeper, log: Log, on_read: Callable[[], None], crowded: Callable[[], bool]
    ) -> None:
        super().__init__(parts, part)
        self._log, self._on_read, self._crowded = log, on_read, crowded

    @guarded
    def next_batch(self) -> list[Item]:
        if stop.is_set():
            raise StopIteration
        if self._part.ended:
            return self._finish()
        others = [p.watermark for p in self._parts.all.values() if not p.ended]
        if self._part.watermark > min(others) or self._crowded():  # at the end of the log too: it closes windows
            self._busy = False
            return self._give() if self._part.hears else []
        self._busy = True
        payloads = self._log.read(_FILE_BYTES)
        self._on_read()
        if payloads is None:
            return self._finish()
        self._parts.feed(self._part, payloads, self._log.source_partition)
        return self._give()

    @guarded
    def snapshot(self) -> bytes:
        self._new_epoch()
        return b""  # a file replay is not resumed: it is run again

    def close(self) -> None:
        self._log.close()


class FileSource(FixedPartitionedSource[Item, bytes]):
    """Logs of files; ``on_read(fraction)`` hears how far they have been read. While ``crowded()``, none is read."""

    def __init__(
        self,
        parts: Parts,
        logs: list[Log],
        on_read: Callable[[float], None],
        crowded: Callable[[], bool] = lambda: False,
    ) -> None:
        self._parts, self._logs = parts, {f"{log.partition:05d}": log for log in logs}
        self._on_read, self._crowded = on_read, crowded
        for log in logs:  # all of them, before the first reads: they advance together
            parts.build(log.partition, None, log.since, log.wire)

    def list_parts(self) -> list[str]:
        """One part per log."""
        return sorted(self._logs)

    @guarded
    def build_part(self, step_id: str, for_part: str, resume_state: bytes | None) -> _FileHandle:
        """The handle of one log."""
        log = self._logs[for_part]
        return _FileHandle(self._parts, self._parts.all[log.partition], log, self._read, self._crowded)

    def _read(self) -> None:
        self._on_read(sum(log.fraction() for log in self._logs.values()) / len(self._logs))


def paced(most: int, taken: int, moved_ms: int) -> int:
    """Bytes of a live partition to take at the next call, where ``most`` were allowed and ``taken`` moved W so far.

    About as much as moves W by one line, for each line is an insert per shard and product: what is read is closed and
    stored in the same epoch, and a stop waits for it. More than before by a factor of two at most.
    """
    one_line = taken * CELL_MS // moved_ms if moved_ms else _LIVE_BYTES
    return max(_LEAST_BYTES, min(_LIVE_BYTES, 2 * most, one_line))


class _KafkaHandle(_Handle):
    def __init__(
        self,
        parts: Parts,
        part: Keeper,
        reader: Reader,
        ticker: Ticker | None,
        watch: Watch,
        offset: int,
        end: int | None,
        to_ms: int,
        crowded: Callable[[], bool],
    ) -> None:
        super().__init__(parts, part)
        self._reader, self._ticker, self._watch = reader, ticker, watch
        self._end, self._to_ms, self._crowded = end, to_ms, crowded
        self._most = _REPLAY_BYTES if end is not None else _FIRST_BYTES  # to take at the next call
        if end is not None:
            self._awake = _REPLAY_AWAKE
        self._offset = offset
        reader.register(part.number, offset)
        if end is not None and (end == 0 or (offset >= 0 and offset >= end)):
            self._end = -1  # nothing to read at all

    @guarded
    def next_batch(self) -> list[Item]:
        if stop.is_set():
            raise StopIteration
        if self._part.ended:
            return self._finish()
        must_wait = self._crowded()
        if self._over() and not must_wait:  # the end of the log closes windows too
            return self._finish()
        self._watch.look()
        may_read = self._left > 0 and not must_wait
        payloads = self._read() if may_read else None
        self._busy = payloads is not None
        if payloads is not None:
            before = self._part.watermark
            self._take(payloads)
            if self._end is None and before != NO_TIME:
                self._most = paced(self._most, len(payloads.data), self._part.watermark - before)
        elif self._ticker is not None and may_read:
            end = self._reader.end(self._part.number)
            if end is not None:
                self._ticker.silent(self._part.number, end, time.monotonic())
        return self._give(_REPLAY_STEP_MS if self._end is not None else 0)

    def _read(self) -> Payloads | None:
        try:
            return self._reader.take(self._part.number, self._most)
        except OffsetGone as gone:
            raise self._watch.explain(gone) from None

    def _take(self, payloads: Payloads) -> None:
        if self._ticker is not None:
            self._ticker.heard(self._part.number)
        if self._end is not None and 0 <= self._end <= payloads.offsets[-1]:
            keep = int(payloads.offsets.searchsorted(self._end))  # written since the replay began: not its log
            payloads = Payloads(
                payloads.data,
                payloads.starts[:keep],
                payloads.ends[:keep],
                payloads.record_ts[:keep],
                payloads.offsets[:keep],
            )
        if len(payloads):
            self._offset = int(payloads.offsets[-1]) + 1
            self._parts.feed(self._part, payloads, self._part.number)

    def _over(self) -> bool:
        if self._end is None:
            return False
        if self._part.watermark >= self._to_ms:
            return True
        # offsets have gaps (transactions): the broker's word that the end was reached counts too
        return self._end < 0 or self._offset >= self._end or self._reader.is_over(self._part.number, self._end)

    @guarded
    def snapshot(self) -> bytes:
        self._new_epoch()
        if self._end is not None:
            return b""  # a replay is not resumed: it is run again
        return pickle.dumps((self._offset, self._part.snapshot()), 5)


class KafkaSource(FixedPartitionedSource[Item, bytes]):
    """Partitions of a topic.

    ``ends`` None: live, ticks go into silent partitions; else the offset at which each partition ends, and ``to_ms``
    the watermark at which it may end before (END: never). ``topic_id``: of the topic that is meant, should another one
    come to bear its name. ``starts``: offset of a partition without a snapshot, where
    it is not its beginning. ``since``: W at which a partition begins that has joined later. ``crowded`` tells that the
    sink has enough for now. ``on_start`` is called once the processes of the flow are joined.
    """

    def __init__(
        self,
        parts: Parts,
        cluster: Cluster,
        partitions: int,
        *,
        topic_id: str,
        tick_ms: int,
        ends: list[int] | None = None,
        to_ms: int = END,
        starts: Mapping[int, int] | None = None,
        since: Mapping[int, int] | None = None,
        crowded: Callable[[], bool] = lambda: False,
        on_start: Callable[[], None] | None = None,
    ) -> None:
        self._parts, self._partitions, self._ends, self._to_ms = parts, partitions, ends, to_ms
        self._starts, self._since, self._on_start = starts or {}, since or {}, on_start
        self._crowded = crowded
        admin = cluster.admin()  # one client asks for all: it has threads and connections of its own
        self._reader, self._watch = open_reader(cluster, partitions), Watch(cluster, admin, topic_id)
        self._ticker = Ticker(cluster, admin, tick_ms) if ends is None else None
        if ends is None:
            health.watch(self._reader, partitions)

    def list_parts(self) -> list[str]:
        """One part per partition."""
        if self._on_start is not None:
            self._on_start()
        return [f"{p:05d}" for p in range(self._partitions)]

    @guarded
    def build_part(self, step_id: str, for_part: str, resume_state: bytes | None) -> _KafkaHandle:
        """The handle of one partition, from its snapshot where there is one."""
        number = int(for_part)
        offset, state = pickle.loads(resume_state) if resume_state else (self._starts.get(number, BEGINNING), None)
        end = self._ends[number] if self._ends is not None else None
        part = self._parts.build(number, state, self._since.get(number, NO_TIME))
        return _KafkaHandle(
            self._parts, part, self._reader, self._ticker, self._watch, offset, end, self._to_ms, self._crowded
        )

    def close(self) -> None:
        """Leave the broker, after the flow has ended."""
        if self._ticker is not None:
            self._ticker.close()
        self._reader.close()
