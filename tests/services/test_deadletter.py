"""Dead letters: names and places, never a value; losing one stops nothing."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest
from confluent_kafka import Consumer, TopicPartition

from engine.errors import UsageError
from engine.model import NOT_DEAD_LETTERED, REASONS
from sinks.deadletter import PEOPLE_FIELDS, DeadLetters, FileTarget, KafkaTarget
from tests.realservices.cache import ROOT, free_port
from tests.realservices.kafka import Kafka

CANARY = "kanarienvogel-zwitschert"  # no part of it can be met in a hex digest by chance
EVENT = {"type": "cross", "ts": 1, "sensor": CANARY, "dir": CANARY, CANARY: CANARY, "extra": {"dir": CANARY, "x": 1}}


def records(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def one(tmp_path: Path, payload: bytes | memoryview, reason: str = "bad_value") -> dict[str, Any]:
    path = tmp_path / "letters.jsonl"
    path.unlink(missing_ok=True)
    letters = DeadLetters(FileTarget(path))
    letters.put(reason, "people", 3, 42, payload)
    letters.close()
    assert (letters.written, letters.lost) == (1, 0)
    return records(path)[0]


def test_a_record_names_fields_and_place(tmp_path: Path) -> None:
    payload = orjson.dumps(EVENT)
    record = one(tmp_path, payload)
    digest = record.pop("digest")
    assert record == {
        "reason": "bad_value",
        "schema": "people/v1",
        "fields": ["sensor", "ts", "type", "dir"],
        "other_fields": 2,
        "length": len(payload),
        "topic": "people",
        "partition": 3,
        "offset": 42,
    }
    assert len(bytes.fromhex(digest)) == 16
    assert record == {key: value for key, value in one(tmp_path, memoryview(payload)).items() if key != "digest"}


def test_fields_are_those_of_the_contract(tmp_path: Path) -> None:
    payload = orjson.dumps(dict.fromkeys(reversed([*PEOPLE_FIELDS, "Sensor", "residence"])))
    record = one(tmp_path, payload)
    assert record["fields"] == list(PEOPLE_FIELDS)
    assert record["other_fields"] == 2


@pytest.mark.parametrize(
    ("payload", "fields", "others"),
    [
        (b'[{"ts":1},{"sensor":"a","q":1},7,["un"]]', ["sensor", "ts"], 1),
        (b'{"ts":1,', [], 0),
        (b"", [], 0),
        (b"\xff\xfe", [], 0),
        (b"17", [], 0),
        (b'"sensor"', [], 0),
        (b"[" * 100_000, [], 0),
        (b'{"ts":' + b" " * (1 << 20) + b"1}", [], 0),
    ],
)
def test_messages_of_other_shapes(tmp_path: Path, payload: bytes, fields: list[str], others: int) -> None:
    record = one(tmp_path, payload, "malformed")
    assert (record["fields"], record["other_fields"], record["length"]) == (fields, others, len(payload))


def test_a_message_is_looked_into_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An array's refused elements each come with the whole message."""
    path, looked = tmp_path / "letters.jsonl", []
    letters = DeadLetters(FileTarget(path))
    names = letters._names
    monkeypatch.setattr(letters, "_names", lambda payload: looked.append(1) or names(payload))
    for offset, payload in enumerate([b'[{"ts":1},{"un":2}]', b'{"ab":3}']):
        for reason in ("bad_value", "unknown_type", "bad_value"):
            letters.put(reason, "people", 0, offset, payload)
    letters.close()
    assert len(looked) == 2
    assert [record["fields"] for record in records(path)] == [["ts", "un"]] * 3 + [["ab"]] * 3
    assert [record["reason"] for record in records(path)][:3] == ["bad_value", "unknown_type", "bad_value"]


def test_no_value_is_in_any_letter(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "letters.jsonl"
    letters = DeadLetters(FileTarget(path), exact=True)
    whole = orjson.dumps(EVENT)
    payloads = [whole, whole[:-1], b"[" + whole + b"]", CANARY.encode(), b'"' + CANARY.encode() + b'"', whole + whole]
    payloads += [orjson.dumps({name: CANARY}) for name in PEOPLE_FIELDS]
    for reason in set(REASONS[1:]) - {REASONS[code] for code in NOT_DEAD_LETTERED}:
        for i, payload in enumerate(payloads):
            letters.put(reason, "people", 0, i, payload)
    letters.close()
    text = path.read_text()
    assert text.count("\n") == letters.written > 100
    assert "kanarienvogel" not in text and "zwitschert" not in text
    assert capfd.readouterr() == ("", "")


def test_the_digest_is_keyed_by_process(tmp_path: Path) -> None:
    path = tmp_path / "letters.jsonl"
    first, second = DeadLetters(FileTarget(path)), DeadLetters(FileTarget(path))
    for i, letters in enumerate((first, first, second)):
        letters.put("malformed", "people", 0, i, b"the same")
    first.put("malformed", "people", 0, 9, b"another")
    first.close()
    second.close()
    a, b, d, c = [record["digest"] for record in records(path)]  # each has written at its close
    assert a == b
    assert len({a, c, d}) == 3


@pytest.mark.parametrize(
    "reason", ["late", "duplicate", "not_approved", "no_consent", "no_contract", "", "nonsense", CANARY]
)
def test_what_is_only_counted_is_refused(tmp_path: Path, reason: str) -> None:
    letters = DeadLetters(FileTarget(tmp_path / "letters.jsonl"))
    with pytest.raises(ValueError) as caught:
        letters.put(reason, "people", 0, 0, b"{}")
    assert CANARY not in str(caught.value)
    letters.close()
    assert letters.written == 0


def test_synthetic_people_have_letters_of_what_they_consent_to(tmp_path: Path) -> None:
    path = tmp_path / "letters.jsonl"
    letters = DeadLetters.of(FileTarget(path), "profiles", exact=True)
    assert [REASONS[code] for code in range(len(REASONS)) if not letters.takes(code)] == [
        "", "not_approved", "late", "duplicate",
    ]  # fmt: skip
    letters.put("no_consent", "profiles", 0, 1, b'{"provider":"acme","subject":"u"}')
    letters.close()
    (record,) = records(path)
    assert (record["reason"], record["schema"], record["fields"]) == (
        "no_consent", "profiles/v1", ["provider", "subject"],
    )  # fmt: skip


def test_the_file_is_private_and_appended_to(tmp_path: Path) -> None:
    one(tmp_path, b"{}")
    path = tmp_path / "letters.jsonl"
    assert path.stat().st_mode & 0o077 == 0
    letters = DeadLetters(FileTarget(path))
    for i in range(1000):
        letters.put("malformed", "people", 0, i, b"{")
    assert len(records(path)) > 100  # most are on disk before the flush
    letters.flush()
    assert [record["offset"] for record in records(path)[1:]] == list(range(1000))
    letters.close()
    with pytest.raises(UsageError, match="dead letters"):
        FileTarget(tmp_path)


def test_a_full_disk_loses_whole_letters_and_nothing_else(tmp_path: Path) -> None:
    code = """
import json, resource, signal, sys
from sinks.deadletter import DeadLetters, FileTarget
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
letters = DeadLetters(FileTarget(sys.argv[1]))
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY))
for i in range(2000):
    letters.put("malformed", "people", 0, i, b"{")
letters.flush()
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
letters.put("malformed", "people", 0, 7, b"{")
letters.close()
print(json.dumps([letters.written, letters.lost]))
"""
    path = tmp_path / "letters.jsonl"
    done = subprocess.run(
        [sys.executable, "-c", code, path], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    written, lost = json.loads(done.stdout)
    kept = records(path)
    assert (written, len(kept) + lost) == (2001, 2001)
    assert 0 < lost < 2000
    assert kept[-1]["offset"] == 7


def test_a_target_that_fails_loses_only_the_letter() -> None:
    class Broken:
        lost = 0

        def put(self, record: bytes) -> None:
            raise RuntimeError(CANARY)

        def flush(self, timeout_s: float) -> None: ...

        def close(self, timeout_s: float) -> None: ...

    letters = DeadLetters(Broken())
    letters.put("malformed", "people", 0, 0, b"{")
    letters.close()
    assert (letters.written, letters.lost) == (0, 1)


@pytest.mark.kafka
def test_letters_go_to_a_topic(kafka: Kafka, topic: Callable[..., str]) -> None:
    name = topic(1, name="rejects")
    letters = DeadLetters(KafkaTarget({"bootstrap.servers": kafka.bootstrap}, name))
    for i in range(50):
        letters.put("bad_value", "people", 1, i, orjson.dumps(EVENT))
    letters.close(20)
    assert (letters.written, letters.lost) == (50, 0)
    consumer = Consumer({"bootstrap.servers": kafka.bootstrap, "group.id": "t", "enable.auto.commit": False})
    consumer.assign([TopicPartition(name, 0, 0)])
    messages = consumer.consume(50, 20)
    consumer.close()
    found = [message.value() for message in messages]
    assert [orjson.loads(value)["offset"] for value in found] == list(range(50))
    assert all(b"kanarienvogel" not in value for value in found)
    assert all(message.key() is None for message in messages)


def test_a_broker_that_is_not_there_loses_letters_quietly(capfd: pytest.CaptureFixture[str]) -> None:
    config = {"bootstrap.servers": f"127.0.0.1:{free_port()}", "queue.buffering.max.messages": 5}
    letters = DeadLetters(KafkaTarget(config, "rejects"))
    for i in range(8):
        letters.put("malformed", "people", 0, i, b"{")
    letters.flush(0.3)
    assert letters.lost == 3  # the queue is full; the others still wait
    letters.close(0.3)
    assert letters.lost == 8
    assert capfd.readouterr() == ("", "")


@pytest.mark.kafka
def test_a_topic_that_is_missing_is_waited_for_once(kafka: Kafka) -> None:
    # an epoch flushes: a run must not stand still in each of them
    letters = DeadLetters(KafkaTarget({"bootstrap.servers": kafka.bootstrap}, "no-such-topic"))
    letters.put("malformed", "people", 0, 1, b"{")
    assert not letters.stuck
    letters.flush(0.2)
    assert letters.stuck
    for _ in range(20):
        letters.put("malformed", "people", 0, 1, b"{")
        letters.flush(30)  # twenty of these would not end before the test is given up
    assert letters.stuck
    letters.close(0.2)
    assert letters.lost == 21


def test_a_wrong_configuration_is_said() -> None:
    with pytest.raises(UsageError, match="Kafka configuration"):
        KafkaTarget({"bootstrap.servers": "127.0.0.1:1", "no.such.key": CANARY}, "rejects")
