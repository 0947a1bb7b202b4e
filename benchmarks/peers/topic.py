"""The topic that all peers read, and what is true about it.

Single-event JSON of 1,000 sensors at 250 gates, up to 2 s out of order, and of each hundred events one late, one sent
twice and one bad (docs/adr/0032). A gate's sensors share a partition and a key, so a peer that groups by gate can do so
without sending events on. At the end each gate and direction has one event a minute later, in the largest time of its
key and of its partition: what lies before can be closed by every rule of watermarks.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from loadgen.bulk import START_MS, Lines, bulk_registry, by_time, sensor_ids
from loadgen.kafka import create_topic
from loadgen.librdkafka import MESSAGE, BulkProducer

SENSORS, GATES, PARTITIONS = 1_000, 250, 4
PANE_MS, LATE_MS = 10_000, 3_600_000
DIRECTIONS = ("ab", "ba")
_RATE = 20_000  # events per second of event time; fewer where that would be less than a minute of it
_LEAST_S = 60
_DISORDER_MS = 2_000
_NO_LATE_MS = 20_000  # from the beginning: then no rule calls anything late yet
_BEHIND = 20  # events between one and its duplicate
_LAST_PANES = 6  # between the last events and those that close
_LATE, _TWICE, _BAD = 0.01, 0.02, 0.03  # a number below: which kind an event is
_SEQ_DIGITS = 10
_FLUSH_S = 300.0
_KEY_SIZE = 3
_KEYS = np.frombuffer(b"".join(b"%03d" % gate for gate in range(GATES)), np.uint8)


@dataclass
class Truth:
    """What a topic holds. The arrays are (panes, gates, directions); pane p begins at ``START_MS + PANE_MS * p``.

    ``counts``: events to be counted; ``twice``: duplicates among them, not counted; ``late``: late ones, which lie in
    panes an hour earlier; ``due``: panes that end before the closing events, so that every peer must tell of them.
    """

    counts: NDArray[np.int64]
    twice: NDArray[np.int64]
    late: NDArray[np.int64]
    due: int
    messages: int = 0
    bad: dict[str, int] = field(default_factory=lambda: {reason: 0 for reason, _ in _SPOILT})

    def rejected(self) -> dict[str, int]:
        """Reason → events, as Hitonami names them."""
        told = {**self.bad, "late": int(self.late.sum()), "duplicate": int(self.twice.sum())}
        return {reason: n for reason, n in told.items() if n}


def _without_end(line: bytes) -> bytes:
    return line[: len(line) // 2]


def _without_ts(line: bytes) -> bytes:
    return line.replace(b'"ts":', b'"at":')


def _with_words_for_ts(line: bytes) -> bytes:
    at = line.index(b'"ts":') + 5
    return line[:at] + b'"noon"' + line[at + 13 :]


def _of_nobody(line: bytes) -> bytes:
    at = line.index(b'"sensor":"') + 10
    return line[:at] + b"x" + line[at + 1 :]


_SPOILT = (
    ("malformed", _without_end),
    ("missing_field", _without_ts),
    ("bad_value", _with_words_for_ts),
    ("unknown_sensor", _of_nobody),
)


class Stream:
    """The messages of a topic of so many events, by ``seed``; ``truth`` is whole when they have been read.

    Raises ValueError for an hour of event time and more.
    """

    def __init__(self, events: int, seed: int = 1) -> None:
        self.events, self.seed = events, seed
        self.rate = min(_RATE, max(1, events // _LEAST_S))
        due = -(-(events * 1000 // self.rate + 1) // PANE_MS)
        if due + _LAST_PANES >= LATE_MS // PANE_MS:
            raise ValueError("a topic must be shorter than its late events are late")
        shape = (due + _LAST_PANES + 1, GATES, 2)
        self.truth = Truth(*(np.zeros(shape, np.int64) for _ in range(3)), due=due)
        self._lines = Lines(sensor_ids(SENSORS, GATES), first_seq=10 ** (_SEQ_DIGITS - 1))

    def __iter__(self) -> Iterator[tuple[list[bytes], list[int]]]:
        """Chunks of messages and the gate of each."""
        draw = np.random.default_rng(self.seed + 1)
        rng = np.random.default_rng(self.seed)
        for offset_ms, sensor, direction, seq in by_time(rng, self.events, SENSORS, self.rate, self._lines.first_seq):
            yield self._told(self._chunk(draw, offset_ms, sensor, direction, seq))
        yield self._told(self._closing())

    def _chunk(
        self,
        draw: np.random.Generator,
        offset_ms: NDArray[np.int64],
        sensor: NDArray[np.int64],
        direction: NDArray[np.int64],
        seq: NDArray[np.int64],
    ) -> tuple[list[bytes], NDArray[np.int64]]:
        kind = draw.random(len(seq))
        is_late = (kind < _LATE) & (offset_ms >= _NO_LATE_MS)
        is_twice = (kind >= _LATE) & (kind < _TWICE)
        is_bad = (kind >= _TWICE) & (kind < _BAD)
        happened = np.maximum(0, offset_ms - draw.integers(0, _DISORDER_MS, len(seq)))
        gate, pane = sensor % GATES, happened // PANE_MS
        for into, rows in (
            (self.truth.counts, ~is_late & ~is_bad),
            (self.truth.twice, is_twice),
            (self.truth.late, is_late),
        ):
            np.add.at(into, (pane[rows], gate[rows], direction[rows]), 1)
        lines = self._lines.encode(START_MS + happened - LATE_MS * is_late, sensor, direction, seq).splitlines()
        for number, row in enumerate(np.flatnonzero(is_bad)):
            reason, spoil = _SPOILT[number % len(_SPOILT)]
            lines[row] = spoil(lines[row])
            self.truth.bad[reason] += 1
        copies = np.flatnonzero(is_twice)
        places = np.concatenate((np.arange(len(seq)), copies + _BEHIND + 0.5))
        order = np.argsort(places, kind="stable")
        rows = np.concatenate((np.arange(len(seq)), copies))[order]
        return [lines[row] for row in rows.tolist()], gate[rows]

    def _closing(self) -> tuple[list[bytes], NDArray[np.int64]]:
        pane = self.truth.due + _LAST_PANES
        self.truth.counts[pane] += 1
        gate = np.repeat(np.arange(GATES), 2)
        direction = np.tile(np.arange(2), GATES)
        ts = np.full(len(gate), START_MS + pane * PANE_MS)
        seq = np.full(len(gate), 10**_SEQ_DIGITS - 2) + direction
        return self._lines.encode(ts, gate, direction, seq).splitlines(), gate

    def _told(self, chunk: tuple[list[bytes], NDArray[np.int64]]) -> tuple[list[bytes], list[int]]:
        lines, gates = chunk
        self.truth.messages += len(lines)
        return lines, gates.tolist()


def fill(bootstrap: str, topic: str, events: int, seed: int = 1) -> Truth:
    """Make ``topic`` and send it ``events`` events (0: those that close alone), the duplicates besides; the truth.

    Raises ConnectionError where a message is lost.
    """
    create_topic(bootstrap, topic, partitions=PARTITIONS)
    stream = Stream(events, seed)
    with closing(BulkProducer(bootstrap, topic, {"linger.ms": 50, "batch.size": 1 << 20})) as producer:
        for lines, gates in stream:
            _send(producer, lines, np.array(gates))
        left = 0 if producer.lost else producer.flush(_FLUSH_S)
        if producer.lost or left:
            raise ConnectionError(f"Kafka {bootstrap}: {producer.why or f'{left} messages were not confirmed'}")
    return stream.truth


def _send(producer: BulkProducer, lines: list[bytes], gates: NDArray[np.int64]) -> None:
    """Hand over a chunk, each partition's messages in their order; a message's key is its gate."""
    data = np.frombuffer(b"".join(lines), np.uint8)
    messages = np.zeros(len(lines), MESSAGE)
    messages["size"] = [len(line) for line in lines]
    ends = np.cumsum(messages["size"])
    messages["payload"] = ends - messages["size"] + np.uint64(data.ctypes.data)
    messages["key"] = gates.astype(np.uint64) * np.uint64(_KEY_SIZE) + np.uint64(_KEYS.ctypes.data)
    messages["key_size"] = _KEY_SIZE
    for partition in range(PARTITIONS):
        producer.send(partition, messages[gates % PARTITIONS == partition], bool)


def registry() -> dict[str, object]:
    """The registry of the topic's sensors."""
    return bulk_registry(SENSORS, GATES)
