"""``hitonami consent``: what subjects allow providers, written into the compacted topic and read from it.

One writer at a time: it fences an earlier one, reads all that stands, and writes what follows from it.
"""

from __future__ import annotations

import csv
import io
import itertools
import json
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from engine import consent as consents
from engine.consent import Consent, Consents, Fault
from engine.errors import BadInput, CheckFailed, UsageError
from engine.model import NO_TIME
from engine.rfc3339 import format_ms
from flows.compacted import Compacted, Writer, create
from flows.consents import TOPIC
from hitonami.common import kafka_settings, out, progress, say, time_of

consent = typer.Typer(help="Consents of subjects.", no_args_is_help=True, rich_markup_mode=None)

Provider = Annotated[str, typer.Argument(metavar="PROVIDER", help="The provider's id.")]
Subject = Annotated[
    str, typer.Argument(metavar="SUBJECT", help="The subject's id at that provider; -: read from stdin.")
]
KafkaOption = Annotated[str, typer.Option("--kafka", metavar="HOST:PORT", help="Bootstrap server of Kafka.")]
KafkaConfig = Annotated[
    Path | None, typer.Option("--kafka-config", help="librdkafka settings, key = value per line (TLS, SASL).")
]
TopicOption = Annotated[str, typer.Option("--topic", help="The compacted topic; made where it is not there.")]
AtOption = Annotated[str | None, typer.Option("--at", metavar="T", help="When, RFC 3339 with offset; else now.")]
COLUMNS = ("provider", "subject", "state", "ts", "purposes", "attributes", "terms_version", "terms_lang", "given")
_NEEDED = COLUMNS[:4]
_BATCH = 5_000  # records of a transaction
_LINES = 20  # places of refused records that are told
_WHY = {
    "missing_field": "a field is missing",
    "bad_value": "a value is none of those there are, or too long",
    "malformed": "it is no text",
    "too_far_in_future": "--at lies in the future",
    "stale": "--at is no later than what stands",
}


@consent.command("grant")
def grant(
    provider: Provider,
    subject: Subject,
    kafka: KafkaOption,
    purpose: Annotated[list[str], typer.Option("--purpose", help="disaster_support or policy; may be repeated.")],
    terms: Annotated[str, typer.Option("--terms", metavar="VERSION", help="Version of the terms agreed to.")],
    attribute: Annotated[
        list[str] | None, typer.Option("--attribute", help="A field of the provider's events; may be repeated.")
    ] = None,
    lang: Annotated[str, typer.Option("--lang", help="Language of the terms.")] = "ja",
    given: Annotated[str, typer.Option("--given", help="id_creation, or use: at the first use.")] = "use",
    at: AtOption = None,
    topic: TopicOption = TOPIC,
    kafka_config: KafkaConfig = None,
) -> None:
    """Write that a subject consents; it replaces what the subject allowed before.

    Example: hitonami consent grant acme u-1 --kafka 127.0.0.1:9092 --purpose policy --attribute gender --terms 2026-01
    """
    document = {
        "provider": provider,
        "subject": _subject(subject),
        "state": consents.GRANTED,
        "ts": _at(at),
        "purposes": purpose,
        "attributes": attribute or [],
        "terms": {"version": terms, "lang": lang},
        "given": given,
    }
    record = _record(document)
    with _ledger(kafka, kafka_config, topic, record.key) as ledger:
        if _repeats(ledger.consents, record):
            say("it stands already")
            return
        ledger.writer.write([(record.key, record.encode())])
    say("granted")


@consent.command("withdraw")
def withdraw(
    provider: Provider,
    subject: Subject,
    kafka: KafkaOption,
    purpose: Annotated[
        list[str] | None, typer.Option("--purpose", help="Only this purpose; may be repeated. Else all of it.")
    ] = None,
    at: AtOption = None,
    topic: TopicOption = TOPIC,
    kafka_config: KafkaConfig = None,
) -> None:
    """Write that a subject no longer consents; it counts as soon as it is read, for what came before it too.

    Example: hitonami consent withdraw acme u-1 --kafka 127.0.0.1:9092
    """
    unknown = set(purpose or ()) - set(consents.PURPOSES)
    if unknown:
        raise UsageError(f"--purpose: {' or '.join(consents.PURPOSES)}")
    name = _subject(subject)
    ended = _record({"provider": provider, "subject": name, "state": consents.WITHDRAWN, "ts": _at(at)})
    with _ledger(kafka, kafka_config, topic, ended.key) as ledger:
        if _repeats(ledger.consents, ended):
            say("it is withdrawn already")
            return
        # no record may be older than one before it (docs/adr/0047)
        ts, record = max(ended.ts, ledger.consents.newest(provider, name)), ended
        stood = ledger.last
        left = stood.scope.purposes - set(purpose or consents.PURPOSES) if stood is not None else frozenset()
        if stood is not None and left:
            if left == stood.scope.purposes:
                say("it is withdrawn already")
                return
            record = Consent(
                provider, name, stood.state, ts + 1, stood.scope._replace(purposes=left),
                stood.version, stood.lang, stood.given,
            )  # fmt: skip
        else:
            record = Consent(provider, name, consents.WITHDRAWN, ts)
        ledger.writer.write([(record.key, record.encode())])
    say("withdrawn")


@consent.command("show")
def show(
    provider: Provider,
    subject: Subject,
    kafka: KafkaOption,
    topic: TopicOption = TOPIC,
    kafka_config: KafkaConfig = None,
) -> None:
    """Print what a subject allows a provider, as JSON; nothing of it is kept.

    Example: hitonami consent show acme u-1 --kafka 127.0.0.1:9092
    """
    name = _subject(subject)
    key = _record({"provider": provider, "subject": name, "state": consents.WITHDRAWN, "ts": 0}).key
    known = _Known(key)
    topic_read = Compacted(kafka, kafka_settings(kafka_config), topic, known.take)
    try:
        topic_read.wait()
    finally:
        topic_read.close()
    last = known.last
    told: dict[str, Any] = {"state": "none"}
    if known.consents.stands(provider, name) and last is not None:
        told = {
            "state": last.state,
            "since": format_ms(last.ts),
            "purposes": sorted(last.scope.purposes),
            "attributes": sorted(last.scope.attributes),
            "terms": {"version": last.version, "lang": last.lang},
            "given": last.given,
        }
    elif known.records:
        told = {"state": consents.WITHDRAWN if last is not None else "unreadable"}
    out.print(json.dumps(told, ensure_ascii=False), markup=False)


@consent.command("import")
def import_(
    path: Annotated[Path, typer.Argument(metavar="FILE", help="JSON Lines, or CSV where it ends in .csv.")],
    kafka: KafkaOption,
    topic: TopicOption = TOPIC,
    kafka_config: KafkaConfig = None,
) -> None:
    """Write the records of a file, in its order; prints a summary, exit 1 where some were refused.

    Example: hitonami consent import consents.csv --kafka 127.0.0.1:9092
    """
    counts, refused = Counter({"read": 0, "written": 0, "unchanged": 0}), Counter[str]()
    places: list[int] = []
    values = _values(path)
    begin = list(itertools.islice(values, 1))  # a file that cannot be used is refused before Kafka is asked
    with _ledger(kafka, kafka_config, topic, None) as ledger, progress() as tell:
        batch: list[tuple[bytes, bytes]] = []
        for number, value, share in itertools.chain(begin, values):
            counts["read"] += 1
            try:
                record = consents.parse(value)
                if ledger.consents.repeats(record, _now_ms()):
                    counts["unchanged"] += 1
                    continue
            except Fault as fault:
                refused[fault.reason] += 1
                places.append(number)
                continue
            if record.state == consents.WITHDRAWN:
                record = replace(record, ts=max(record.ts, ledger.consents.newest(record.provider, record.subject)))
            line = record.encode()
            ledger.consents.take(line, NO_TIME)
            batch.append((record.key, line))
            counts["written"] += 1
            if len(batch) == _BATCH:
                ledger.writer.write(batch)
                ledger.consents.forget(ledger.consents.serial)
                batch = []
                tell("import", share)
        if batch:
            ledger.writer.write(batch)
    summary = {**counts, "refused": dict(sorted(refused.items())), "refused_lines": places[:_LINES]}
    out.print(json.dumps(summary), markup=False)
    if places:
        raise CheckFailed(f"import: {len(places)} of {counts['read']} records were refused")


class _Known:
    """What stands, of all keys or of one. ``last``: its newest record, None where that cannot be read."""

    def __init__(self, key: bytes | None) -> None:
        self._key = key
        self.consents = Consents(b"")
        self.last: Consent | None = None
        self.records = 0  # of the key

    def take(self, key: bytes | None, value: bytes | None, record_ts: int) -> None:
        """A record of the topic."""
        if self._key is not None and key != self._key:
            return
        self.consents.take(value, record_ts, key)
        self.consents.forget(self.consents.serial)
        if self._key is not None:
            self.records += 1
            try:
                self.last = consents.parse(value or b"")
            except Fault:
                self.last = None


class _Ledger:
    """The topic, for who reads it first and then writes."""

    def __init__(self, known: _Known, writer: Writer) -> None:
        self.consents, self.last, self.writer = known.consents, known.last, writer


@contextmanager
def _ledger(kafka: str, kafka_config: Path | None, topic: str, key: bytes | None) -> Iterator[_Ledger]:
    """All that stands of a key (None: of all), and the only writer."""
    known = _Known(key)
    read = Compacted(kafka, kafka_settings(kafka_config), topic, known.take)
    try:
        create(read.cluster)
        writer = Writer(read.cluster)  # first, so that nobody else writes behind what is read
        read.wait()
        yield _Ledger(known, writer)
    finally:
        read.close()


def _values(path: Path) -> Iterator[tuple[int, bytes, float]]:
    """Line number, record as JSON and share of the file that was read. Raises BadInput."""
    try:
        size = max(1, path.stat().st_size)
        if path.suffix.lower() == ".csv":
            yield from _rows(path, size)
            return
        at = 0
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                at += len(line)
                if line.strip():
                    yield number, line, at / size
    except OSError as error:
        raise BadInput(f"{path}: cannot be read ({error.strerror})") from None


def _rows(path: Path, size: int) -> Iterator[tuple[int, bytes, float]]:
    with path.open("rb") as raw, io.TextIOWrapper(raw, encoding="utf-8-sig", newline="") as file:
        try:
            rows = csv.DictReader(file, strict=True)
            lacking = [name for name in _NEEDED if name not in (rows.fieldnames or ())]
            if lacking:
                raise BadInput(f"{path}: its header lacks {', '.join(lacking)}")
            for row in rows:
                yield rows.line_num, _json_of(row), raw.tell() / size
        except UnicodeDecodeError:
            raise BadInput(f"{path}: cannot be read as UTF-8") from None
        except csv.Error:
            raise BadInput(f"{path}: line {rows.reader.line_num} is no CSV") from None


def _json_of(row: dict[str, str | None]) -> bytes:
    """A row of a CSV as a record; an empty cell is a missing field, lists are parted by ``;``."""
    told = {name: value for name in COLUMNS if (value := (row.get(name) or "").strip())}
    terms = {"version": told.pop("terms_version", None), "lang": told.pop("terms_lang", None)}
    document: dict[str, Any] = {**told, "terms": terms, "attributes": _words(told.get("attributes", ""))}
    if "purposes" in told:
        document["purposes"] = _words(told["purposes"])
    if told.get("ts", "").lstrip("-").isdecimal():
        document["ts"] = int(told["ts"])
    return json.dumps(document).encode()


def _words(cell: str) -> list[str]:
    return [word.strip() for word in cell.split(";") if word.strip()]


def _record(document: dict[str, Any]) -> Consent:
    try:
        return consents.parse(json.dumps(document).encode())
    except Fault as fault:
        raise UsageError(f"consent: {_WHY[fault.reason]}") from None


def _repeats(known: Consents, record: Consent) -> bool:
    try:
        return known.repeats(record, _now_ms())
    except Fault as fault:
        raise UsageError(f"consent: {_WHY[fault.reason]}") from None


def _subject(word: str) -> str:
    """A subject's id; from stdin it stands neither in the shell's history nor in the list of processes."""
    return sys.stdin.readline().rstrip("\r\n") if word == "-" else word


def _at(text: str | None) -> int:
    return time_of(text, "--at", _now_ms())


def _now_ms() -> int:
    return int(time.time() * 1000)
