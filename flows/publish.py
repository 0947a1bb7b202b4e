"""Publishing a registry version, or an operator's word: one record in every partition, all of them or none.

The compacted topic ``registries`` keeps what was published, so that the next version can be checked against it before
it stands in the log, where it can no longer be taken back.
"""

from __future__ import annotations

import json
import time
from typing import NamedTuple

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]

from engine.book import Records, fault_of_change, records_of
from engine.errors import BadInput, ServiceUnreachable, UsageError
from engine.model import COUNT_MAX, FUTURE_MS, ID_BYTES, TS_MAX, TS_MIN
from engine.registry import Registry, parse
from engine.rfc3339 import format_ms
from engine.tables import Tables
from engine.text import is_text
from flows.compacted import Record, Writer
from flows.kafka import Cluster

TOPIC = "registries"
_WAIT_S = 30.0


class Told(NamedTuple):
    """An operator's word that was written: partitions it stands in, its instant (ms), its age by Kafka's clock (ms)."""

    partitions: int
    ts: int
    age_ms: int


def publish(cluster: Cluster, version: Registry, after: Registry | None = None) -> int:
    """Write ``version`` into every partition of the cluster's topic in one transaction; returns their number.

    ``after``: the version runs begin with (--registry), for the check of the first one. Raises BadInput where the
    version cannot follow those before it, ServiceUnreachable where Kafka does not answer or another publish cuts in.
    """
    partitions = cluster.partitions()
    _create(cluster)
    writer = _writer(cluster)
    before = None if after is None else Tables(after)
    for earlier in published(cluster):
        before = Tables(earlier, before)
    fault = None if before is None else fault_of_change(before, version)
    if fault is not None:
        raise BadInput(f"registry {version.version}: {fault}")
    records: list[Record] = []
    for piece, record in enumerate(records_of(version)):
        records += [(cluster.topic, partition, record, None) for partition in range(partitions)]
        records.append((TOPIC, 0, record, f"{cluster.topic}/{version.hash}/{piece}".encode()))
    writer.place(records)
    return partitions


def tell(
    cluster: Cluster, zone: str, people: int, by: str, ts: int | None = None, first: Registry | None = None
) -> Told:
    """Write how many people are in a zone at ``ts`` (ms; None: now) into every partition in one transaction.

    ``first``: the version runs begin with, for the zones where none was published. Raises BadInput for a zone or a
    number that cannot be, UsageError for a name that cannot be and a ``ts`` that every run would refuse,
    ServiceUnreachable as ``publish`` does.
    """
    _check_name(by)
    if not 0 <= people <= COUNT_MAX:
        raise BadInput(f"people: must be a whole number from 0 to {COUNT_MAX}")
    if ts is not None and not TS_MIN <= ts < TS_MAX:
        raise UsageError("--at: must lie between 1900 and 2200")
    partitions = cluster.partitions()
    _create(cluster)
    writer = _writer(cluster)
    versions = [*([] if first is None else [first]), *published(cluster)]
    if not versions:
        raise BadInput("no registry was published to this topic: --after tells the zones")
    if zone not in {known.id for known in versions[-1].zones}:
        raise BadInput(f"registry {versions[-1].version}: no such zone")
    at = round(time.time() * 1000) if ts is None else ts
    record = json.dumps({"type": "set", "zone": zone, "people": people, "by": by, "ts": at}, ensure_ascii=False)
    value = record.encode()
    stamps: list[int] = []

    def judge(given: list[int]) -> None:
        # by the stamps that runs go by: this machine's clock may be wrong
        if at > min(given) + FUTURE_MS:
            raise UsageError(f"--at: over {FUTURE_MS // 1000} s ahead of Kafka's clock, nothing was written")
        stamps.extend(given)

    writer.place([(cluster.topic, partition, value, None) for partition in range(partitions)], judge)
    return Told(partitions, at, max(stamps) - at)


def _writer(cluster: Cluster) -> Writer:
    """The one writer of versions and words: partitions see all of them in one order."""
    return Writer(cluster, f"registry-{cluster.topic}")


def signed(version: Registry, by: str, at_ms: int) -> Registry:
    """The version with who published it and when (wall clock) in its text. Raises UsageError for no such name."""
    _check_name(by)
    document = {**json.loads(version.text), "by": by, "at": format_ms(at_ms)}
    return parse(json.dumps(document, ensure_ascii=False).encode())


def _check_name(by: str) -> None:
    """Raises UsageError for what is no name: it stands in the log for good, and people read it."""
    if not by.strip() or not is_text(by, ID_BYTES):
        raise UsageError(f"--by: must be text of 1 to {ID_BYTES} bytes, without control characters")


def published(cluster: Cluster) -> list[Registry]:
    """The versions published to the cluster's topic, in order. Raises ServiceUnreachable."""
    consumer = cluster.consumer()
    place = TopicPartition(TOPIC, 0, 0)
    try:
        low, high = _ends(consumer, place)
        place.offset = low
        consumer.assign([place])
        return _read(consumer, cluster, high) if high > low else []
    except KafkaException:
        raise ServiceUnreachable(f"Kafka {cluster.bootstrap}: no answer about {TOPIC}") from None
    finally:
        consumer.close()


def _ends(consumer: Consumer, place: TopicPartition) -> tuple[int, int]:
    """First offset and end of a topic that may just have been made: it has no leader for a moment."""
    last = time.monotonic() + _WAIT_S
    while True:
        try:
            low, high = consumer.get_watermark_offsets(place, timeout=_WAIT_S)
            return low, high
        except KafkaException:
            if time.monotonic() > last:
                raise
            time.sleep(0.1)


def _read(consumer: Consumer, cluster: Cluster, end: int) -> list[Registry]:
    records, last = Records(), time.monotonic() + _WAIT_S
    found: list[Registry] = []
    tables: Tables | None = None
    while time.monotonic() < last:
        for message in consumer.consume(100, 0.5):
            error = message.error()
            if error is not None and error.code() == KafkaError._PARTITION_EOF:
                return found
            if error is not None:
                raise KafkaException(error)
            if (message.key() or b"").startswith(f"{cluster.topic}/".encode()):
                version, _ = records.take(message.value() or b"", tables)
                if version is not None:
                    found.append(version)
                    tables = Tables(version, tables)
            if int(message.offset() or 0) >= end - 1:
                return found
    raise ServiceUnreachable(f"Kafka {cluster.bootstrap}: no answer about {TOPIC}")


def _create(cluster: Cluster) -> None:
    made = NewTopic(TOPIC, 1, config={"cleanup.policy": "compact"})
    admin = AdminClient(cluster.settings)  # must outlive the answer
    try:
        admin.create_topics([made], request_timeout=_WAIT_S)[TOPIC].result()
    except KafkaException as error:
        if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
            raise ServiceUnreachable(f"Kafka {cluster.bootstrap}: cannot make the topic {TOPIC}") from None
