"""A compacted topic: read from its first record on and kept up with, and written by one writer at a time.

Compaction keeps the newest record of a key, so each record says everything about its key, and a reader begins at the
beginning. How much of it a reader knows is asked of the leaders, never guessed from silence::

    leaders are asked for their ends  ── at instant A ──▶ ends e
    our positions                     ········▶ reach e ▶ everything written before A is known: ``current_ms`` = A

A leader that does not answer, or whose records do not come, moves nothing: the lag grows with the clock.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from typing import Any

from confluent_kafka import (
    Consumer,
    IsolationLevel,
    KafkaError,
    KafkaException,
    Message,
    Producer,
    TopicCollection,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient, NewTopic, OffsetSpec  # type: ignore[attr-defined]

from engine.errors import HitonamiError, ServiceUnreachable
from engine.model import END, NO_TIME
from flows.kafka import BEGINNING, Cluster, refused

Take = Callable[[bytes | None, bytes | None, int], None]
Record = tuple[str, int, bytes, bytes | None]  # topic, partition, value, key
_ASK_S = 0.5  # between two questions for the ends, and about the topic
_ANSWER_S = 1.0  # a leader that takes longer for an answer is not reachable
_MOST = 10_000  # records taken in one poll
_PAUSE_S = 0.005
_APPEAR_S = 5.0  # a topic that was just made may not be known to each broker yet
_WAIT_S = 30.0
_OF_KEY = -1  # the partition that the key tells
# Longer than the longest window and all that is late in it: a reader that was away for less sees that a key changed
# twice, not only what came of it.
LEAST_COMPACTION_LAG_MS = 2 * 86_400_000
SETTINGS: Mapping[str, str] = {
    "cleanup.policy": "compact",
    "message.timestamp.type": "LogAppendTime",
    "min.compaction.lag.ms": str(LEAST_COMPACTION_LAG_MS),
}


class Compacted:
    """Reads ``topic`` of the cluster at ``bootstrap`` (HOST:PORT), of which ``settings`` are librdkafka's.

    ``take(key, value, record_ts)`` is given every committed record in the order of its partition; value None: the key
    was deleted; record_ts in ms, NO_TIME where it has none. Nothing is asked of Kafka before the first ``poll``.
    A topic that is not there, or not yet, is one that is never current. Not safe for threads.

    ``clock``: seconds since the epoch; ``now``: monotonic seconds. Raises BadInput for settings librdkafka refuses.
    """

    def __init__(
        self,
        bootstrap: str,
        settings: Mapping[str, str] | None,
        topic: str,
        take: Take,
        *,
        clock: Callable[[], float] = time.time,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.cluster = Cluster(bootstrap, settings, topic)
        self._take, self._clock, self._now = take, clock, now
        self._admin: AdminClient = self.cluster.admin()
        self._consumer: Consumer = self.cluster.consumer()
        self._id = ""  # the topic's, once known
        self._described: Future[Any] | None = None
        self._looked_s = self._asked_s = float("-inf")
        self._position: dict[int, int] = {}  # partition -> offset behind what was taken, -1 before anything was heard
        self._asked: tuple[float, int, dict[int, Future[Any]]] | None = None  # when, and the answers to come
        self._due: tuple[float, int, dict[int, int]] | None = None  # when, and the ends that are to be reached
        self._current_s = float("-inf")
        self.current_ms = NO_TIME  # wall clock; see above
        self.missing = False  # whether the brokers said last that there is no such topic

    def lag_ms(self) -> int:
        """For how long this reader may not know what was written; END before it was current for the first time.

        By the clock that goes slower: neither a clock that is set back nor a machine that slept makes it shorter.
        """
        if self.current_ms == NO_TIME:
            return END
        since_s = max(self._now() - self._current_s, self._clock() - self.current_ms / 1000)
        return max(0, round(since_s * 1000))

    def poll(self) -> None:
        """Take what has come. Never waits.

        Raises OffsetGone when the topic was made anew, or no longer holds what was to come next, ServiceUnreachable
        where another try is no help.
        """
        self._look()
        if self._position:
            self._read()
            self._ask()

    def wait(self, seconds: float = _WAIT_S) -> None:
        """Take all that was written before this call. Raises ServiceUnreachable when that takes longer, or as poll."""
        begun = self._now()
        while self._current_s < begun:
            self.poll()
            waited_s = self._now() - begun
            if self.missing and waited_s > _APPEAR_S:
                raise ServiceUnreachable(f"Kafka {self.cluster.bootstrap}: no topic {self.cluster.topic}")
            if waited_s > seconds:
                raise ServiceUnreachable(f"Kafka {self.cluster.bootstrap}: no answer about {self.cluster.topic}")
            time.sleep(_PAUSE_S)

    def close(self) -> None:
        """Leave the broker."""
        self._consumer.close()

    def _look(self) -> None:
        """Ask now and then whether the topic is still the one it was, and how many partitions it has."""
        now_s, topic = self._now(), self.cluster.topic
        if self._described is None:
            if now_s - self._looked_s >= _ASK_S:
                self._looked_s = now_s
                found = self._admin.describe_topics(TopicCollection([topic]), request_timeout=_ANSWER_S)
                self._described = found[topic]
        elif self._described.done():
            answer, self._described = self._described, None
            try:
                self._known(answer.result())
            except KafkaException as error:
                # no reason to end: what is not there is not current
                self.missing = error.args[0].code() == KafkaError.UNKNOWN_TOPIC_OR_PART

    def _known(self, told: Any) -> None:
        self.missing = False
        self._id = self._id or str(told.topic_id)
        if str(told.topic_id) != self._id:
            raise self.cluster.made_anew()
        new = sorted({int(part.id) for part in told.partitions} - self._position.keys())
        if new:
            self._consumer.incremental_assign([TopicPartition(self.cluster.topic, p, BEGINNING) for p in new])
            self._position |= dict.fromkeys(new, -1)
            self._asked = self._due = None  # they asked for fewer ends

    def _read(self) -> None:
        for message in self._consumer.consume(_MOST, 0):
            error, partition, offset = message.error(), int(message.partition() or 0), int(message.offset() or 0)
            if error is None:
                stamp = message.timestamp()[1]
                self._take(message.key(), message.value(), NO_TIME if stamp < 0 else stamp)
                self._position[partition] = offset + 1
            elif error.code() == KafkaError._PARTITION_EOF:  # offsets have gaps: the end may be far behind a record
                self._position[partition] = max(offset, self._position[partition])
            elif error.code() in (KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE):
                raise self.cluster.gone(partition)
            elif error.fatal():
                raise ServiceUnreachable(f"Kafka {self.cluster.bootstrap}: {error.name()}")
        if self._due is not None and all(self._position[p] >= end for p, end in self._due[2].items()):
            self._current_s, self.current_ms, _ = self._due
            self._due = None

    def _ask(self) -> None:
        if self._asked is not None:
            asked_s, asked_ms, answers = self._asked
            if all(answer.done() for answer in answers.values()):
                ends = {p: _end(answer) for p, answer in answers.items()}
                self._asked = None
                if all(end >= 0 for end in ends.values()):
                    self._due = asked_s, asked_ms, ends
        elif self._due is None and self._now() - self._asked_s >= _ASK_S:
            self._asked_s, asked_ms = self._now(), int(self._clock() * 1000)
            latest = OffsetSpec.latest()  # type: ignore[no-untyped-call]
            told = self._admin.list_offsets(
                {TopicPartition(self.cluster.topic, p): latest for p in self._position},
                isolation_level=IsolationLevel.READ_COMMITTED,
                request_timeout=_ANSWER_S,
            )
            self._asked = self._asked_s, asked_ms, {place.partition: answer for place, answer in told.items()}


def _end(answer: Future[Any]) -> int:
    """The end that a leader told, -1 where none did."""
    try:
        return int(answer.result().offset)
    except KafkaException:
        return -1


def create(cluster: Cluster) -> None:
    """Make the cluster's topic, compacted and of one partition, where it is not there.

    One partition for ever: with another number the records of a key lie in two, in no order. Raises ServiceUnreachable.
    """
    made = NewTopic(cluster.topic, 1, config=dict(SETTINGS))
    admin = AdminClient(cluster.settings)  # must outlive the answer
    try:
        admin.create_topics([made], request_timeout=_WAIT_S)[cluster.topic].result()
    except KafkaException as error:
        if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
            raise ServiceUnreachable(f"Kafka {cluster.bootstrap}: cannot make the topic {cluster.topic}") from None


class Writer:
    """The one writer of its name: a later one fences an earlier one, so who makes a writer, then reads and then writes
    does so without another in between.

    ``name``: what it writes, the cluster's topic where not given. Raises BadInput for settings librdkafka refuses,
    ServiceUnreachable where Kafka does not answer.
    """

    def __init__(self, cluster: Cluster, name: str | None = None) -> None:
        self._cluster = cluster
        settings = {
            **cluster.settings,
            "transactional.id": f"hitonami-{name or cluster.topic}",  # acks=all and idempotence with it
            "partitioner": "murmur2_random",  # that of Java's clients: a key has one partition, whoever writes
        }
        try:
            self._producer = Producer(settings)
        except (KafkaException, ValueError, TypeError):
            raise refused() from None
        try:
            self._producer.init_transactions(_WAIT_S)
        except KafkaException as error:
            raise self._failed(error) from None

    def write(self, records: Iterable[tuple[bytes, bytes]]) -> None:
        """Write records (key, value) into the cluster's topic, each where its key belongs; the rest as ``place``."""
        self.place((self._cluster.topic, _OF_KEY, value, key) for key, value in records)

    def place(self, records: Iterable[Record], judge: Callable[[list[int]], None] | None = None) -> None:
        """Write records: all of them, in all replicas in sync, or none.

        ``judge`` is given their record timestamps (ms) before any of them counts; where it raises, none does.
        Raises ServiceUnreachable; where no answer came to the last question, all may have been written nevertheless.
        """
        stamps: list[int] = []
        sent, asked = 0, False

        def taken(error: KafkaError | None, message: Message) -> None:
            if error is None:
                stamps.append(message.timestamp()[1])

        try:
            self._producer.begin_transaction()
            for record in records:
                self._produce(record, taken)
                sent += 1
            if judge is not None:
                if self._producer.flush(_WAIT_S):
                    raise KafkaException(KafkaError(KafkaError._TIMED_OUT))
                if len(stamps) == sent:  # else the commit tells what failed
                    self._judge(judge, stamps)
            asked = True
            self._producer.commit_transaction(_WAIT_S)
        except KafkaException as error:
            raise self._failed(error, asked) from None

    def _produce(self, record: Record, taken: Callable[[KafkaError | None, Message], None]) -> None:
        topic, partition, value, key = record
        while True:
            try:
                self._producer.produce(topic, value, key=key, partition=partition, on_delivery=taken)
                return
            except BufferError:  # full: some must be gone first
                self._producer.poll(0.1)

    def _judge(self, judge: Callable[[list[int]], None], stamps: list[int]) -> None:
        try:
            judge(stamps)
        except HitonamiError:
            self._producer.abort_transaction(_WAIT_S)  # readers would wait for the end of it
            raise

    def _failed(self, error: KafkaException, asked: bool = False) -> ServiceUnreachable:
        """``asked``: whether Kafka was asked to make the records count."""
        where = f"Kafka {self._cluster.bootstrap}"
        if error.args[0].code() in (KafkaError._FENCED, KafkaError.INVALID_PRODUCER_EPOCH):
            return ServiceUnreachable(f"{where}: another writer of {self._cluster.topic} cut in, nothing was written")
        if asked:
            return ServiceUnreachable(f"{where}: no answer, look what was written to {self._cluster.topic}")
        return ServiceUnreachable(f"{where}: no answer, nothing was written to {self._cluster.topic}")
