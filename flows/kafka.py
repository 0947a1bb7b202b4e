"""Kafka for the flows: where the topic is and facts about it, ticks into silent partitions."""

from __future__ import annotations

import contextlib
import json
import logging
import time
from collections.abc import Mapping
from concurrent.futures import Future
from typing import Any

from confluent_kafka import (
    OFFSET_BEGINNING,
    OFFSET_END,
    Consumer,
    IsolationLevel,
    KafkaError,
    KafkaException,
    Producer,
    TopicCollection,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient, OffsetSpec  # type: ignore[attr-defined]

from engine.errors import BadInput, ServiceUnreachable, UsageError

TOPIC = "people"
SOURCES = ("hot", "safe")  # flows/hot.py, flows/reader.py
BEGINNING, LATEST = OFFSET_BEGINNING, OFFSET_END  # offsets of no number: the first record, the next one to come
_REACH_S = 10.0
_ASK_S = 1.0  # for answers about ends and ids: a broker that takes longer is not reachable
_LOOK_S = 1.0  # between two looks at the topic's id
_MISSED_S = 15.0  # the brokers may not know a topic for a moment, when they start
_log = logging.getLogger("hitonami.kafka")  # librdkafka's own lines would be a second message to every error
_log.addHandler(logging.NullHandler())
_log.propagate = False


class OffsetGone(ServiceUnreachable):
    """The topic no longer holds (or, made anew, never held) the offset a run goes on from: another try is no help."""

    lasting = True


class Cluster:
    """Where the topic is: ``bootstrap`` (HOST:PORT), further librdkafka settings (TLS, SASL), the topic's name.

    ``source``, one of SOURCES: what reads its records. Raises UsageError for another word.
    """

    def __init__(
        self, bootstrap: str, settings: Mapping[str, str] | None = None, topic: str = TOPIC, source: str = "hot"
    ) -> None:
        if source not in SOURCES:
            raise UsageError(f"--source: {' or '.join(SOURCES)}")
        self.bootstrap, self.topic, self.source, self.given = bootstrap, topic, source, dict(settings or {})
        self.settings: dict[str, Any] = {
            "bootstrap.servers": bootstrap,
            "log_level": 2,
            "logger": _log,
            "error_cb": lambda _error: None,
            "reconnect.backoff.max.ms": 1000,  # 10 s would be added to every outage
            "socket.timeout.ms": 10_000,  # a leader that is gone without a word: the others have a new one by then
            "socket.connection.setup.timeout.ms": 5_000,
            **(settings or {}),
        }

    def consumer(self, settings: Mapping[str, Any] | None = None) -> Consumer:
        """A consumer for ``assign``; its group is never used. Raises BadInput for settings librdkafka refuses."""
        made: Consumer = _made(Consumer, {**self.reading(), **(settings or {})})
        return made

    def reading(self) -> dict[str, Any]:
        """The settings of a consumer."""
        return {
            "group.id": "hitonami",
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            "auto.offset.reset": "error",
            "enable.partition.eof": True,
            "isolation.level": "read_committed",
            "fetch.wait.max.ms": 50,
            "queued.max.messages.kbytes": 65536,
            **self.settings,
        }

    def producer(self) -> Producer:
        """A producer. Raises BadInput for settings librdkafka refuses."""
        made: Producer = _made(Producer, {"linger.ms": 0, "message.timeout.ms": 5000, **self.settings})
        return made

    def admin(self) -> AdminClient:
        """A client for questions; it must outlive the answers. Raises BadInput for settings librdkafka refuses."""
        # what it knows of leaders must age: librdkafka goes on with a leader that is gone (or its former epoch)
        aging = {"metadata.max.age.ms": 1000, "topic.metadata.refresh.interval.ms": 1000}
        # and it asks a broker about the others that is stopped itself
        settings = {**self.settings, **aging, "socket.timeout.ms": 2_000}
        made: AdminClient = _made(AdminClient, settings)
        return made

    def topic_id(self) -> str:
        """The id Kafka gave the topic when it was made. Raises ServiceUnreachable when it cannot be told."""
        admin = self.admin()
        try:
            found = admin.describe_topics(TopicCollection([self.topic]), request_timeout=_REACH_S)
            return str(found[self.topic].result().topic_id)
        except KafkaException:
            raise ServiceUnreachable(f"Kafka {self.bootstrap}: no answer about {self.topic}") from None

    def partitions(self) -> int:
        """Number of partitions of the topic. Raises ServiceUnreachable when Kafka or the topic is not there."""
        consumer = self.consumer()
        try:
            found = consumer.list_topics(self.topic, timeout=_REACH_S).topics[self.topic]
            if found.error is not None or not found.partitions:
                raise ServiceUnreachable(f"Kafka {self.bootstrap}: no topic {self.topic}")
            return len(found.partitions)
        except KafkaException:
            raise ServiceUnreachable(f"Kafka {self.bootstrap}: no answer") from None
        finally:
            consumer.close()

    def gone(self, partition: int) -> OffsetGone:
        """The error of an offset out of range."""
        return OffsetGone(f"Kafka {self.bootstrap}: {self.topic}/{partition} no longer holds the stored offset")

    def made_anew(self) -> OffsetGone:
        """The error of a topic that is no longer the one the run has read: its offsets mean other records."""
        return OffsetGone(f"Kafka {self.bootstrap}: {self.topic} was deleted or made anew, it is another log")

    def check_offsets(self, offsets: Mapping[int, int]) -> None:
        """Raises OffsetGone where a partition does not hold the offset to go on from."""
        ends = self.ends(max(offsets, default=-1) + 1)
        for partition, offset in sorted(offsets.items()):
            if offset >= 0 and not ends[partition][0] <= offset <= ends[partition][1]:
                raise self.gone(partition)

    def ends(self, partitions: int) -> list[tuple[int, int]]:
        """First offset and end of each partition."""
        consumer = self.consumer()
        try:
            return [
                consumer.get_watermark_offsets(TopicPartition(self.topic, p), timeout=_REACH_S)
                for p in range(partitions)
            ]
        except KafkaException:
            raise ServiceUnreachable(f"Kafka {self.bootstrap}: no answer") from None
        finally:
            consumer.close()

    def offsets_at(self, partitions: int, ms: int) -> list[int]:
        """First offset of each partition whose record timestamp is at least ``ms``; its end where there is none."""
        consumer = self.consumer()
        try:
            asked = [TopicPartition(self.topic, p, ms) for p in range(partitions)]
            found = consumer.offsets_for_times(asked, timeout=_REACH_S)
            return [
                place.offset if place.offset >= 0 else consumer.get_watermark_offsets(place, timeout=_REACH_S)[1]
                for place in found
            ]
        except KafkaException:
            raise ServiceUnreachable(f"Kafka {self.bootstrap}: no answer") from None
        finally:
            consumer.close()


class Ticker:
    """Appends ticks to partitions that are read to their end and silent: the decision to go on stands in the log.

    Only the partition's leader knows its end. So it is asked first, and the tick carries the time of the question: a
    partition that cannot be reached gets none, and one that is delivered late says nothing of the time after it.
    """

    def __init__(self, cluster: Cluster, admin: AdminClient, tick_ms: int) -> None:
        self._cluster, self._admin, self._tick_s = cluster, admin, tick_ms / 1000
        self._producer = cluster.producer()
        self._quiet_since: dict[int, float] = {}
        self._asked: dict[int, tuple[int, Future[Any]]] = {}  # when (ms), and the answer to come
        self._doubtful: set[int] = set()  # could not be reached the last time

    def heard(self, partition: int) -> None:
        """Messages came: the partition is not silent."""
        self._quiet_since.pop(partition, None)
        self._asked.pop(partition, None)
        self._doubtful.discard(partition)

    def silent(self, partition: int, end: int, now_s: float) -> None:
        """The partition was read to ``end`` and had nothing at ``now_s`` (monotonic); a tick when it is time."""
        since = self._quiet_since.setdefault(partition, now_s)
        self._producer.poll(0)
        asked = self._asked.get(partition)
        if asked is None:
            if now_s - since >= self._tick_s:
                self._ask(now_s)
        elif asked[1].done():
            del self._asked[partition]
            if not _ends_by(asked[1], end):  # it cannot be reached, or there is more
                self._doubtful.add(partition)
                self._quiet_since[partition] = now_s
            elif partition in self._doubtful:  # only now its silence begins: its producers were away like this process
                self._doubtful.discard(partition)
            else:
                self._tick(partition, asked[0])

    def _ask(self, now_s: float) -> None:
        """Ask for the ends of all partitions whose tick is due; their next one is due a tick's time from now."""
        due = [p for p, since in self._quiet_since.items() if now_s - since >= self._tick_s and p not in self._asked]
        asked_ms = int(time.time() * 1000)
        latest = OffsetSpec.latest()  # type: ignore[no-untyped-call]
        answers = self._admin.list_offsets(
            {TopicPartition(self._cluster.topic, p): latest for p in due},
            isolation_level=IsolationLevel.READ_COMMITTED,
            request_timeout=_ASK_S,
        )
        for place, answer in answers.items():
            self._asked[place.partition] = asked_ms, answer
            self._quiet_since[place.partition] = now_s

    def _tick(self, partition: int, ts: int) -> None:
        value = json.dumps({"type": "tick", "ts": ts}, separators=(",", ":")).encode()
        with contextlib.suppress(BufferError, KafkaException):  # the topic is gone: Watch tells
            self._producer.produce(self._cluster.topic, value, partition=partition)

    def close(self) -> None:
        """Give ticks on their way a moment."""
        self._producer.flush(1.0)


def _ends_by(answer: Future[Any], end: int) -> bool:
    """Whether a leader has answered that its partition ends at ``end``; none answers with an error or below zero."""
    try:
        return 0 <= int(answer.result().offset) <= end
    except KafkaException:
        return False


class Watch:
    """Looks every second whether the topic is still the one with the id ``topic_id``.

    A topic that is deleted and made anew under its name goes on, for librdkafka, where the old one was: nothing else
    tells that the records are others.
    """

    def __init__(self, cluster: Cluster, admin: AdminClient, topic_id: str) -> None:
        self._cluster, self._admin, self._topic_id = cluster, admin, topic_id
        self._answer: Future[Any] | None = None
        self._looked_s = self._known_s = time.monotonic()

    def look(self) -> None:
        """Never waits. Raises OffsetGone when the topic is another one, or has been unknown for a while."""
        now_s = time.monotonic()
        if self._answer is None:
            if now_s - self._looked_s >= _LOOK_S:
                self._looked_s = now_s
                topics = TopicCollection([self._cluster.topic])
                self._answer = self._admin.describe_topics(topics, request_timeout=_ASK_S)[self._cluster.topic]
        elif self._answer.done():
            answer, self._answer = self._answer, None
            self._judge(answer, now_s)

    def explain(self, gone: OffsetGone) -> OffsetGone:
        """Why an offset is gone: a topic made anew may end before it and tell so before the next look. Waits."""
        try:
            same = self._cluster.topic_id() == self._topic_id
        except ServiceUnreachable:
            return gone
        return gone if same else self._cluster.made_anew()

    def _judge(self, answer: Future[Any], now_s: float) -> None:
        try:
            same = str(answer.result().topic_id) == self._topic_id
        except KafkaException as error:
            unknown = error.args[0].code() == KafkaError.UNKNOWN_TOPIC_OR_PART
            same = not unknown or now_s - self._known_s < _MISSED_S
            if not unknown:  # nobody says that it is gone
                self._known_s = now_s
        else:
            self._known_s = now_s
        if not same:
            raise self._cluster.made_anew()


def _made(kind: Any, settings: dict[str, Any]) -> Any:
    try:
        return kind(settings)
    except (KafkaException, ValueError, TypeError):
        raise refused() from None


def refused() -> BadInput:
    """The error of settings that librdkafka does not take; its own words could hold a password."""
    return BadInput("Kafka: the client refuses a setting of --kafka-config")
