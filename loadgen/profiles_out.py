"""A load of profiles as files and as Kafka's messages: events, consents, registry, and the truth."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from confluent_kafka import KafkaException, Producer

from loadgen.files import opened
from loadgen.kafka import create_topic, made_client
from loadgen.profiles import ATTRIBUTES, Known, ProfileLoad

PARTITIONS = 2
TABLES = ("prefecture", "municipality", *(name for name in ATTRIBUTES if name != "residence"))  # one-way, in the truth
_SEND_S = 60.0


def write_profiles(load: ProfileLoad, path: str | Path) -> int:
    """Write the events, one JSON object a line; returns how many. Raises OSError where the file cannot be written."""
    return _write_lines(path, (value for _, value in load.events()))


def write_profile_consents(load: ProfileLoad, path: str | Path) -> int:
    """Write the records of topic consents, as ``hitonami consent import`` reads them. Raises as write_profiles."""
    return _write_lines(path, (value for _, value in load.consents()))


def write_profile_registry(load: ProfileLoad, path: str | Path) -> None:
    """Write the registry the events need, as JSON. Raises as write_profiles."""
    Path(path).write_text(json.dumps(load.registry(), separators=(",", ":")) + "\n", encoding="utf-8")


def write_profile_truth(load: ProfileLoad, path: str | Path) -> None:
    """Write how many people who consented are in each cell and whom each provider knows. Raises as write_profiles.

    A line for each day, table of one attribute and category; one for each trip; then the totals.
    """
    _write_lines(path, (json.dumps(row, separators=(",", ":")).encode() for row in _truth(load)))


def send_profiles(
    load: ProfileLoad, bootstrap: str, topic: str = "profiles", kafka_config: Mapping[str, Any] | None = None
) -> int:
    """Send all events at once, key = provider; the topic is made where it is missing. Returns how many were taken.

    Raises ConnectionError when the broker does not answer, SettingsRefused for what librdkafka does not take.
    """
    create_topic(bootstrap, topic, partitions=PARTITIONS, kafka_config=kafka_config)
    producer = made_client(Producer, bootstrap, {"enable.idempotence": True, **(kafka_config or {})})
    many = 0
    try:
        for key, value in load.events():
            many += 1
            while True:
                try:
                    producer.produce(topic, value, key)
                    break
                except BufferError:
                    producer.poll(0.1)
    except KafkaException as error:
        raise ConnectionError(f"Kafka {bootstrap}: {error.args[0].str()}") from None
    if producer.flush(_SEND_S):
        raise ConnectionError(f"Kafka {bootstrap}: no answer")
    return many


def _truth(load: ProfileLoad) -> Iterator[dict[str, object]]:
    for day, start_ms in enumerate(load.starts()):
        for table in TABLES:
            for (word,), known in sorted(load.cells(day, (table,)).items()):
                yield {"start_ms": start_ms, "table": table, "row": word, **_people(known)}
        for (before, behind), known in sorted(load.trips(day).items()):
            yield {"start_ms": start_ms, "from": before, "to": behind, **_people(known)}
    yield {"totals": {"events": len(load.visits), "accepted": load.accepted(), "people": len(load.people)}}


def _people(known: Known) -> dict[str, object]:
    shares = {provider: len(people) for provider, people in sorted(known.by_provider.items())}
    return {"n": len(known.people), "providers": shares}


def _write_lines(path: str | Path, lines: Iterator[bytes]) -> int:
    many = 0
    with opened(path) as out:
        for line in lines:
            out.write(line + b"\n")
            many += 1
    return many
