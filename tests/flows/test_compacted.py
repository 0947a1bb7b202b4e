"""A compacted topic: all of it is read, and what a reader does not know it does not say."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException, Producer
from confluent_kafka.admin import AdminClient  # type: ignore[attr-defined]

from engine.errors import BadInput, ServiceUnreachable
from engine.model import END, NO_TIME
from flows import compacted
from flows.checkup import topic_settings
from flows.compacted import SETTINGS, Compacted, Writer, create
from flows.kafka import Cluster, OffsetGone
from tests.realservices.kafka import Kafka

Record = tuple[bytes | None, bytes | None]
PATIENCE_S = 30


class Log(list[Record]):
    def take(self, key: bytes | None, value: bytes | None, record_ts: int) -> None:
        assert abs(record_ts - time.time() * 1000) < 60_000
        self.append((key, value))


@pytest.fixture
def log() -> Log:
    return Log()


@pytest.fixture
def reading() -> Iterator[Callable[..., Compacted]]:
    readers = []

    def make(kafka: Kafka, topic: str, log: Log, **settings: str) -> Compacted:
        readers.append(Compacted(kafka.bootstrap, settings, topic, log.take))
        return readers[-1]

    yield make
    for reader in readers:
        reader.close()


def until(reader: Compacted, condition: Callable[[], Any], what: str) -> None:
    last = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < last, what
        reader.poll()
        time.sleep(0.005)


# ------------------------------------------------------------- what it knows, without a broker
class Clock:
    def __init__(self) -> None:
        self.s, self.ahead_s = 100.0, 1_000.0

    def now(self) -> float:
        return self.s

    def wall(self) -> float:
        return self.s + self.ahead_s


class Message(SimpleNamespace):
    """A record, or with ``code`` an event of the client."""

    def error(self) -> Any:
        return None if self.code is None else KafkaError(self.code)

    def partition(self) -> int:
        return int(self.at[0])

    def offset(self) -> int:
        return int(self.at[1])

    def timestamp(self) -> tuple[int, int]:
        return 2, -1

    def key(self) -> bytes:
        return b"k"

    value = key


def record(partition: int, offset: int) -> Message:
    return Message(code=None, at=(partition, offset))


def eof(partition: int, offset: int) -> Message:
    return Message(code=KafkaError._PARTITION_EOF, at=(partition, offset))


class Broker:
    """What Compacted asks of clients, answered by hand."""

    def __init__(self) -> None:
        self.partitions, self.id = 1, "one"
        self.coming: list[Message] = []
        self.questions: list[dict[int, Future[Any]]] = []
        self.assigned: list[int] = []

    def describe_topics(self, topics: Any, request_timeout: float) -> dict[str, Future[Any]]:
        answer: Future[Any] = Future()
        if self.id:
            parts = [SimpleNamespace(id=number) for number in range(self.partitions)]
            answer.set_result(SimpleNamespace(topic_id=self.id, partitions=parts))
        else:
            answer.set_exception(KafkaException(KafkaError(KafkaError.UNKNOWN_TOPIC_OR_PART)))
        return {"t": answer}

    def list_offsets(self, asked: dict[Any, Any], isolation_level: Any, request_timeout: float) -> dict[Any, Any]:
        assert "COMMITTED" in str(isolation_level)
        answers: dict[Any, Future[Any]] = {place: Future() for place in asked}
        self.questions.append({place.partition: answer for place, answer in answers.items()})
        return answers

    def answer(self, *ends: int | None) -> None:
        for partition, end in enumerate(ends):
            future = self.questions[-1][partition]
            if end is None:
                future.set_exception(KafkaException(KafkaError(KafkaError._TIMED_OUT)))
            else:
                future.set_result(SimpleNamespace(offset=end))

    def consume(self, most: int, timeout: float) -> list[Message]:
        assert timeout == 0
        coming, self.coming = self.coming, []
        return coming

    def incremental_assign(self, places: list[Any]) -> None:
        self.assigned += [place.partition for place in places]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def broker() -> Broker:
    return Broker()


@pytest.fixture
def alone(broker: Broker, clock: Clock) -> Compacted:
    made = Compacted("127.0.0.1:1", None, "t", lambda *_: None, clock=clock.wall, now=clock.now)
    made.close()
    made._admin, made._consumer = broker, broker  # type: ignore[assignment]
    made.poll()
    made.poll()  # the topic is known, and the ends are asked for
    return made


def polls(reader: Compacted, clock: Clock, seconds: float = 0.0) -> None:
    clock.s += seconds
    for _ in range(3):
        reader.poll()


def test_it_is_current_as_of_the_question_and_not_of_the_answer(alone: Compacted, broker: Broker, clock: Clock) -> None:
    asked_ms = round(clock.wall() * 1000)
    assert alone.current_ms == NO_TIME and alone.lag_ms() == END
    broker.coming = [record(0, 0)]
    polls(alone, clock, 3)
    broker.answer(3)
    polls(alone, clock, 3)
    assert alone.current_ms == NO_TIME
    broker.coming = [record(0, 1), eof(0, 3)]  # the end lies behind marks of transactions
    polls(alone, clock, 3)
    assert alone.current_ms == asked_ms and alone.lag_ms() == 9_000


def test_silence_is_no_end(alone: Compacted, broker: Broker, clock: Clock) -> None:
    broker.coming = [eof(0, 0)]
    broker.answer(0)
    polls(alone, clock)
    current = alone.current_ms
    assert alone.lag_ms() == 0
    for _ in range(3):
        polls(alone, clock, 1)
        broker.answer(None)  # no leader answers
        polls(alone, clock, 1)
    assert alone.current_ms == current and alone.lag_ms() == 6_000
    polls(alone, clock, 1)
    broker.answer(5)  # it answers, but its records do not come
    polls(alone, clock, 1)
    assert alone.current_ms == current
    broker.coming = [record(0, number) for number in range(5)]
    polls(alone, clock)
    assert alone.lag_ms() == 2_000  # the question was asked two seconds ago


def test_all_partitions_must_be_reached(broker: Broker, clock: Clock) -> None:
    broker.partitions = 2
    reader = Compacted("127.0.0.1:1", None, "t", lambda *_: None, clock=clock.wall, now=clock.now)
    reader.close()
    reader._admin, reader._consumer = broker, broker  # type: ignore[assignment]
    polls(reader, clock)
    broker.coming = [eof(0, 0)]
    broker.answer(0, 0)
    polls(reader, clock)
    assert reader.current_ms == NO_TIME
    broker.coming = [eof(1, 0)]
    polls(reader, clock)
    assert reader.lag_ms() == 0


def test_partitions_that_come_later_count(alone: Compacted, broker: Broker, clock: Clock) -> None:
    broker.coming = [eof(0, 0)]
    broker.partitions = 2
    polls(alone, clock, 1)
    assert broker.assigned == [0, 1]
    broker.answer(0, 0)
    polls(alone, clock)
    assert alone.current_ms == NO_TIME
    broker.coming = [eof(1, 0)]
    polls(alone, clock)
    assert alone.current_ms != NO_TIME


def test_no_clock_makes_the_lag_shorter(alone: Compacted, broker: Broker, clock: Clock) -> None:
    broker.coming = [eof(0, 0)]
    broker.answer(0)
    polls(alone, clock)
    clock.s, clock.ahead_s = clock.s + 10, clock.ahead_s - 3_600  # the wall clock is set back
    assert alone.lag_ms() == 10_000
    clock.ahead_s += 7_200  # the machine slept: monotonic time stood still
    assert alone.lag_ms() == 3_610_000


def test_a_topic_made_anew_ends_it(alone: Compacted, broker: Broker, clock: Clock) -> None:
    broker.id = ""
    polls(alone, clock, 60)
    assert alone.missing  # that is no reason to end: nothing is current
    broker.id = "another"
    with pytest.raises(OffsetGone):
        polls(alone, clock, 1)


def test_what_is_gone_ends_it(alone: Compacted, broker: Broker, clock: Clock) -> None:
    broker.coming = [Message(code=KafkaError._TRANSPORT, at=(0, 0))]
    polls(alone, clock)
    broker.coming = [Message(code=KafkaError._AUTO_OFFSET_RESET, at=(0, 0))]
    with pytest.raises(OffsetGone):
        polls(alone, clock)


# --------------------------------------------------------------------------- with a broker
@pytest.mark.kafka
def test_all_records_are_read_and_kept_up_with(
    kafka: Kafka, topic: Callable[..., str], log: Log, reading: Callable[..., Compacted]
) -> None:
    name = topic(name="consents", config={"cleanup.policy": "compact"})
    reader = reading(kafka, name, log)
    reader.wait()
    assert log == [] and reader.lag_ms() < PATIENCE_S * 1000
    # far fewer than are sent: it waits until some are gone
    writer = Writer(Cluster(kafka.bootstrap, {"queue.buffering.max.messages": "1000"}, name))
    sent: list[tuple[bytes, bytes]] = [(b"%d" % (number % 700), b"%d" % number) for number in range(12_000)]
    writer.write(sent[:9_000])
    plain = Producer({"bootstrap.servers": kafka.bootstrap, "log_level": 0, "transactional.id": name})
    plain.init_transactions(30)
    plain.begin_transaction()
    plain.produce(name, b"taken back", key=b"0")
    plain.flush(30)
    plain.abort_transaction(30)
    begun_ms = time.time() * 1000
    reader.wait()
    assert log == sent[:9_000] and reader.current_ms >= begun_ms
    writer.write(sent[9_000:])
    reader.wait()
    assert log == sent
    again = Log()
    reading(kafka, name, again).wait()
    assert again == sent


@pytest.mark.kafka
def test_one_writes_at_a_time(
    kafka: Kafka, topic: Callable[..., str], log: Log, reading: Callable[..., Compacted]
) -> None:
    reader = reading(kafka, topic(name="consents"), log)
    first, second = Writer(reader.cluster), Writer(reader.cluster)
    with pytest.raises(ServiceUnreachable, match=r"another writer of .* cut in"):
        first.write([(b"k", b"first")])
    second.write([(b"k", b"second")])
    reader.wait()
    assert log == [(b"k", b"second")]


@pytest.mark.kafka
def test_a_topic_that_is_made_later(
    kafka: Kafka,
    topic: Callable[..., str],
    log: Log,
    reading: Callable[..., Compacted],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    name = topic() + "-later"  # a name of its own
    reader = reading(kafka, name, log)
    monkeypatch.setattr(compacted, "_APPEAR_S", 0.0)
    with pytest.raises(ServiceUnreachable, match=f"no topic {name}"):
        reader.wait()
    monkeypatch.undo()
    assert reader.current_ms == NO_TIME
    create(reader.cluster)
    create(reader.cluster)  # it is there
    settings = topic_settings(reader.cluster)
    assert {key: settings[key] for key in SETTINGS} == SETTINGS
    Writer(reader.cluster).write([(b"k", b"v")])
    reader.wait()
    assert log == [(b"k", b"v")]


def test_settings_that_are_refused() -> None:
    with pytest.raises(BadInput):
        Compacted("127.0.0.1:1", {"no.such": "1"}, "t", lambda *_: None)
    with pytest.raises(BadInput):
        Writer(Cluster("127.0.0.1:1", {"no.such": "1"}, "t"))


def test_a_writer_that_finds_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compacted, "_WAIT_S", 0.1)
    with pytest.raises(ServiceUnreachable, match=r"no answer, nothing was written to t$"):
        Writer(Cluster("127.0.0.1:1", topic="t"))


@pytest.mark.kafka
def test_a_topic_that_is_deleted_and_made_anew(
    kafka: Kafka, topic: Callable[..., str], log: Log, reading: Callable[..., Compacted]
) -> None:
    name = topic(name="consents")
    reader = reading(kafka, name, log)
    reader.wait()
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap})
    admin.delete_topics([name])[name].result(30)
    until(reader, lambda: reader.missing, "the topic is still known")
    known = reader.current_ms
    until(reader, lambda: reader.lag_ms() > 500, "")
    assert reader.current_ms == known
    kafka.create_topic(name)
    with pytest.raises(OffsetGone):
        until(reader, lambda: False, "it goes on in another topic")
