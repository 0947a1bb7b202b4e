"""Dead letters: a place to look for what was refused, without what it said (PRIVACY.md R9).

A record tells reason, schema, the *names* of known fields, how many other fields there were, length, place in the log
and a digest keyed with a random key of this process: equal messages can be told to be equal while it runs, and nobody
can try values against it. No value of a field, and no name that is not of the contract, ever leaves.

Dead letters fail closed: one that cannot be written is counted as lost and never stops the flow or a good event.
"""

from __future__ import annotations

import hashlib
import logging
import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import orjson
from confluent_kafka import KafkaException, Producer

from engine.errors import UsageError
from engine.model import NOT_DEAD_LETTERED, OF_ONE_PERSON, REASONS

# Names of the fields of each topic, in the order of the contract. Every other name is only counted.
PEOPLE_FIELDS = (
    "sensor",
    "ts",
    "type",
    "dir",
    "seq",
    "span_ms",
    "ab",
    "ba",
    "un",
    "beam",
    "on",
    "track",
    "x",
    "y",
    "people",
    "speed",
    "record_ts",
)
SIGNAGE_FIELDS = ("device", "ts", "type", "session", "screen", "to", "lang", "record_ts")
# Values of these are about one person: their names alone are told, as those of all.
PROFILE_FIELDS = (
    "provider",
    "subject",
    "ts",
    "type",
    "zone",
    "residence",
    "gender",
    "birth_year",
    "income",
    "household",
    "children",
    "occupation",
    "interests",
    "lang",
    "record_ts",
)
FIELDS = {"people": PEOPLE_FIELDS, "signage": SIGNAGE_FIELDS, "profiles": PROFILE_FIELDS}
LOOK_BYTES = 1 << 20  # a longer message is not looked into
BUFFER_BYTES = 1 << 16

_log = logging.getLogger("hitonami.deadletter")


class Target(Protocol):
    """Where records go. No method raises; ``lost`` counts the records that could not be written."""

    lost: int

    def put(self, record: bytes) -> None:
        """Take one record (JSON, without line end)."""

    def flush(self, timeout_s: float) -> None:
        """Write out what was taken, for at most ``timeout_s`` seconds."""

    def close(self, timeout_s: float) -> None:
        """Flush and give the target back; what is not written by then is lost."""


class DeadLetters:
    """Turns refused messages into records without values and hands them to a target."""

    @classmethod
    def of(cls, target: Target, events: str, *, exact: bool = False) -> DeadLetters:
        """Dead letters of a stream (people, signage, profiles); ``exact``: its people are synthetic."""
        return cls(target, f"{events}/v1", FIELDS[events], exact=exact)

    def __init__(
        self,
        target: Target,
        schema: str = "people/v1",
        fields: tuple[str, ...] = PEOPLE_FIELDS,
        *,
        exact: bool = False,
    ) -> None:
        counted = NOT_DEAD_LETTERED if exact else NOT_DEAD_LETTERED | OF_ONE_PERSON
        self._takes = frozenset(range(1, len(REASONS))) - counted
        self._target = target
        self._schema = schema
        self._fields = fields
        self._key = secrets.token_bytes(32)
        self._failed = 0
        self._seen: tuple[tuple[str, int, int, int], tuple[list[str], int, str]] | None = None
        self.written = 0

    @property
    def lost(self) -> int:
        """Number of records that could not be written."""
        return self._failed + self._target.lost

    @property
    def stuck(self) -> bool:
        """Whether the target did not take at the last flush what was put: it is kept in memory and may be lost."""
        return bool(getattr(self._target, "stuck", False))

    def takes(self, reason: int) -> bool:
        """Whether messages refused for a reason, a code of REASONS, have letters: of others there is a number only."""
        return reason in self._takes

    def put(self, reason: str, topic: str, partition: int, offset: int, payload: bytes | memoryview) -> None:
        """Record one refused message (or one refused element of it).

        ``offset``: its place in the log (Kafka offset, or byte offset of a line). Raises ValueError for a word that
        is not a reject reason, or not one that ``takes`` names, and for nothing else.
        """
        if reason not in REASONS or not self.takes(REASONS.index(reason)):
            raise ValueError("this reason is never dead-lettered")
        try:
            self._target.put(self._record(reason, topic, partition, offset, payload))
            self.written += 1
        except Exception as error:
            self._failed += 1
            _log.debug("dead letter lost: %s", type(error).__name__)

    def flush(self, timeout_s: float = 5.0) -> None:
        """Write out what was put, for at most ``timeout_s`` seconds."""
        self._target.flush(timeout_s)

    def close(self, timeout_s: float = 5.0) -> None:
        """Flush and close; what is not written by then counts as lost."""
        self._target.close(timeout_s)

    def _record(self, reason: str, topic: str, partition: int, offset: int, payload: bytes | memoryview) -> bytes:
        names, others, digest = self._looked_at((topic, partition, offset, len(payload)), payload)
        record = {
            "reason": reason,
            "schema": self._schema,
            "fields": names,
            "other_fields": others,
            "length": len(payload),
            "topic": topic,
            "partition": partition,
            "offset": offset,
            "digest": digest,
        }
        return orjson.dumps(record)

    def _looked_at(self, place: tuple[str, int, int, int], payload: bytes | memoryview) -> tuple[list[str], int, str]:
        # The refused elements of one array come one after the other with the whole message: look into it once, or a
        # message of n elements would cost n times its length.
        if self._seen is None or self._seen[0] != place:
            digest = hashlib.blake2b(payload, digest_size=16, key=self._key).hexdigest()
            self._seen = place, (*self._names(payload), digest)
        return self._seen[1]

    def _names(self, payload: bytes | memoryview) -> tuple[list[str], int]:
        """Known names found, in the contract's order, and the number of other names (of all objects together)."""
        if len(payload) > LOOK_BYTES:
            return [], 0
        try:
            value = orjson.loads(payload)
        except ValueError:
            return [], 0
        found: set[str] = set()
        for item in value if isinstance(value, list) else (value,):
            if isinstance(item, dict):
                found.update(item)
        known = [name for name in self._fields if name in found]
        return known, len(found) - len(known)


class FileTarget:
    """Appends records to a JSON Lines file (mode 0600). Raises UsageError when it cannot be opened."""

    def __init__(self, path: str | Path) -> None:
        try:
            self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise UsageError(f"dead letters: the file cannot be written: {error.strerror}") from None
        self._lines: list[bytes] = []
        self._bytes = 0
        self.lost = 0

    def put(self, record: bytes) -> None:
        """Take one record; written with its neighbours, 64 KiB at a time."""
        self._lines.append(record + b"\n")
        self._bytes += len(record) + 1
        if self._bytes >= BUFFER_BYTES:
            self.flush(0)

    def flush(self, timeout_s: float) -> None:
        """Write what is buffered; what does not fit on the disk is lost, whole lines of it."""
        lines, self._lines, self._bytes = self._lines, [], 0
        if not lines:
            return
        data, done = b"".join(lines), 0
        try:
            while done < len(data):
                done += os.write(self._file, data[done:])
        except OSError:
            # Keep only whole lines: a torn one would spoil its neighbour.
            whole = data.rfind(b"\n", 0, done) + 1
            self.lost += len(lines) - data.count(b"\n", 0, whole)
            self._cut(done - whole)

    def close(self, timeout_s: float) -> None:
        """Write what is buffered and close the file."""
        self.flush(timeout_s)
        os.close(self._file)

    def _cut(self, tail: int) -> None:
        if tail:
            try:
                os.ftruncate(self._file, os.fstat(self._file).st_size - tail)
            except OSError:
                _log.debug("dead letters: a torn line stays")


class KafkaTarget:
    """Sends records to a Kafka topic. ``config`` is librdkafka's producer configuration.

    Raises UsageError for a configuration that librdkafka refuses.
    """

    def __init__(self, config: Mapping[str, Any], topic: str) -> None:
        try:
            # With a logger of ours librdkafka's lines about brokers do not go to stderr.
            self._producer = Producer({**config, "error_cb": _quiet}, logger=_log)
        except (KafkaException, TypeError, ValueError):
            raise UsageError("dead letters: the Kafka configuration is not valid") from None
        self._topic = topic
        self.stuck = False
        self.lost = 0

    def put(self, record: bytes) -> None:
        """Hand one record to librdkafka; a full queue loses it."""
        try:
            self._producer.produce(self._topic, record, on_delivery=self._delivered)
        except (BufferError, KafkaException):
            self.lost += 1
        self._producer.poll(0)

    def flush(self, timeout_s: float) -> None:
        """Wait until the broker has all records, for at most ``timeout_s`` seconds.

        Once it did not take them in time (a topic that is missing, a broker that is away) nobody waits for it again
        before it has: figures must not stand still for dead letters.
        """
        self.stuck = self._producer.flush(0 if self.stuck else timeout_s) > 0

    def close(self, timeout_s: float) -> None:
        """Flush; what the broker has not taken by then is lost."""
        waiting = self._producer.flush(timeout_s)
        if waiting:
            self._producer.purge()  # each purged record is reported to _delivered as an error
            self._producer.flush(1)

    def _delivered(self, error: object, message: object) -> None:
        if error is not None:
            self.lost += 1


def _quiet(error: object) -> None:
    """Broker errors show in ``lost``."""
