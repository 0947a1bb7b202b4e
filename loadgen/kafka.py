"""A scenario sent to Kafka in its own time: an event leaves when the wall clock reaches its arrival."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeVar

from confluent_kafka import KafkaError, KafkaException, Producer
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]

from loadgen.librdkafka import SettingsRefused
from loadgen.scenario import Source

Client = TypeVar("Client", AdminClient, Producer)

TOPIC = "people"
PARTITIONS = 4
_REACH_S = 10.0  # how long the broker may take to answer at all
_STOP_S = 2.0  # how long a stopped producer waits for what is still on its way
_NAP_S = 0.05  # between two looks at the stop flag
_PROGRESS_S = 0.2
_MANY = 2_000  # messages between two looks at the clock when events are due faster than they can be sent


class Sent(NamedTuple):
    """Messages the broker has confirmed, and how long it took."""

    events: int
    seconds: float


def partitions_of(bootstrap: str, topic: str, kafka_config: Mapping[str, Any] | None = None) -> int | None:
    """How many partitions a topic has; None where it is missing. Raises as create_topic does."""
    admin = made_client(AdminClient, bootstrap, kafka_config)
    try:
        found = admin.list_topics(timeout=_REACH_S).topics.get(topic)
    except KafkaException as error:
        raise ConnectionError(f"Kafka {bootstrap}: {error.args[0].str()}") from None
    return None if found is None else len(found.partitions)


def create_topic(
    bootstrap: str,
    topic: str = TOPIC,
    *,
    partitions: int = PARTITIONS,
    replication: int = 1,
    stamped: bool = False,
    kafka_config: Mapping[str, Any] | None = None,
) -> bool:
    """Create the topic where it is missing: record time = time of the append, nothing is ever removed.

    ``stamped``: record time = what the producer says. Returns True where it was created. Raises ConnectionError when
    the broker does not answer or refuses, SettingsRefused for what librdkafka does not take.
    """
    admin = made_client(AdminClient, bootstrap, kafka_config)
    try:
        if topic in admin.list_topics(timeout=_REACH_S).topics:
            return False
        config = {"message.timestamp.type": "CreateTime" if stamped else "LogAppendTime", "retention.ms": "-1"}
        wanted = NewTopic(topic, num_partitions=partitions, replication_factor=replication, config=config)
        admin.create_topics([wanted], operation_timeout=_REACH_S)[topic].result(2 * _REACH_S)
    except KafkaException as error:
        if error.args[0].code() == KafkaError.TOPIC_ALREADY_EXISTS:
            return False
        raise ConnectionError(f"Kafka {bootstrap}: {error.args[0].str()}") from None
    except TimeoutError:
        raise ConnectionError(f"Kafka {bootstrap}: no answer to the request for a topic") from None
    return True


def produce(
    scenario: Source,
    bootstrap: str,
    topic: str = TOPIC,
    *,
    partitions: int = PARTITIONS,
    paced: bool = True,
    stop: Callable[[], bool] | None = None,
    on_progress: Callable[[int], None] | None = None,
    stamped: bool = False,
    on_present: Callable[[], None] | None = None,
    kafka_config: Mapping[str, Any] | None = None,
) -> Sent:
    """Send a scenario's events, key = sensor id, to ``topic``, which is created where it is missing.

    ``paced``: an event is sent when the wall clock reaches its arrival, so a scenario whose ``start_ms`` is now runs
    in real time, and an older one is caught up with; False = as fast as the broker takes them. ``stop`` is asked
    at least every 50 ms; ``on_progress`` gets the number of events sent so far. ``stamped``: the record time of an
    event is its arrival, so that a past looks as it did when it came; ``on_present`` is called once, when all that is
    past is confirmed. ``kafka_config``: further settings of librdkafka (TLS, SASL).

    Every event is confirmed before it returns (``truth()`` may tell of one more, at which it was stopped). Raises
    ConnectionError when the broker does not answer, refuses the topic, or loses an event, SettingsRefused for what
    librdkafka does not take.
    """
    create_topic(bootstrap, topic, partitions=partitions, stamped=stamped, kafka_config=kafka_config)
    defaults = {"enable.idempotence": True, "linger.ms": 5, "queue.buffering.max.messages": 200_000}
    producer = made_client(Producer, bootstrap, {**defaults, **(kafka_config or {})})
    lost: list[str] = []

    def told(error: KafkaError | None, _message: object) -> None:
        if error is not None and not lost:
            lost.append(error.str())

    def stopped() -> bool:
        return bool(lost) or (stop is not None and stop())

    begun = reported = time.monotonic()
    sent, ended = 0, False
    for message in scenario.events():
        if on_present is not None and message.arrival_ms / 1000 > time.time() and not producer.flush(_STOP_S):
            on_present()
            on_present = None
        if paced and not _wait(message.arrival_ms, producer, stopped):
            ended = True
        while not ended:
            try:
                stamp_ms = message.arrival_ms if stamped else 0  # 0: now
                producer.produce(topic, message.value, message.key, on_delivery=told, timestamp=stamp_ms)
                sent += 1
                break
            except BufferError:
                producer.poll(_NAP_S)
                ended = stopped()
        if ended:
            break
        if paced or sent % _MANY == 0:
            producer.poll(0)
            if on_progress is not None and time.monotonic() - reported >= _PROGRESS_S:
                reported = time.monotonic()
                on_progress(sent)
            if stopped():
                ended = True
                break
    left = producer.flush(_STOP_S if ended else 3 * _REACH_S)
    if lost or left:
        raise ConnectionError(f"Kafka {bootstrap}: {lost[0] if lost else f'{left} events were not confirmed'}")
    if on_progress is not None:
        on_progress(sent)
    if on_present is not None and not ended:
        on_present()
    return Sent(sent, time.monotonic() - begun)


def _wait(arrival_ms: int, producer: Producer, stopped: Callable[[], bool]) -> bool:
    """Sleep until the wall clock reaches ``arrival_ms``; False when asked to stop meanwhile."""
    while (ahead := arrival_ms / 1000 - time.time()) > 0:
        producer.poll(0)
        if stopped():
            return False
        time.sleep(min(ahead, _NAP_S))
    return True


def made_client(kind: Callable[[dict[str, Any]], Client], bootstrap: str, config: Mapping[str, Any] | None) -> Client:
    """A client of that kind. Raises SettingsRefused."""
    # librdkafka writes to stderr by itself; what goes wrong is told by the exceptions above
    quiet = {"bootstrap.servers": bootstrap, "client.id": "hitonami-load", "log_level": 0}
    try:
        return kind({**quiet, **(config or {})})
    except KafkaException:
        raise SettingsRefused("librdkafka refuses a setting") from None
