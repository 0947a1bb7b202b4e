"""``hitonami consent``: written, read, withdrawn, imported, with the real Kafka."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from engine.consent import Consents, parse
from engine.errors import BadInput, CheckFailed, ServiceUnreachable, UsageError
from engine.model import NO_TIME
from flows.checkup import topic_settings
from flows.compacted import SETTINGS, Compacted, Writer
from flows.kafka import Cluster
from hitonami.cli import app
from tests.realservices.cache import free_port
from tests.realservices.kafka import Kafka
from tests.support.consents import Word, document

CANARY = "CANARY-9c41"
GRANT = ("--purpose", "policy", "--purpose", "disaster_support", "--attribute", "gender", "--terms", "2026-01")


class Command:
    """The command on a topic of its own, and the topic."""

    def __init__(self, bootstrap: str, topic: str) -> None:
        self.bootstrap, self.topic = bootstrap, topic
        self.printed = ""

    def __call__(self, *words: object, stdin: str = "") -> str:
        at = ("--kafka", self.bootstrap, "--topic", self.topic)
        done = CliRunner().invoke(app, ["consent", *map(str, words), *at], input=stdin)
        self.printed = done.stdout
        assert CANARY not in done.output
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        assert done.exit_code == 0, done.output
        return done.stdout

    def shown(self, subject: str = "u-1") -> dict[str, Any]:
        told: dict[str, Any] = json.loads(self("show", "acme", subject))
        return told

    def log(self) -> list[tuple[bytes, bytes]]:
        found: list[Any] = []
        reader = Compacted(self.bootstrap, None, self.topic, lambda key, value, _: found.append((key, value)))
        reader.wait()
        reader.close()
        return found

    def known(self) -> Consents:
        made = Consents(b"key")
        for key, value in self.log():
            made.take(value, NO_TIME, key)
        return made


@pytest.fixture
def consent(kafka: Kafka, topic: Callable[..., str]) -> Command:
    return Command(kafka.bootstrap, topic(name="consents", config=SETTINGS))


@pytest.fixture
def nowhere() -> Command:
    """Nobody is asked: it would take its time and fail."""
    return Command(f"127.0.0.1:{free_port()}", "consents")


@pytest.mark.kafka
def test_granted_withdrawn_in_part_and_whole_and_granted_again(consent: Command) -> None:
    assert consent.shown() == {"state": "none"}
    assert consent("grant", "acme", "u-1", *GRANT, "--at", "2026-02-07T08:00:00+09:00") == "granted\n"
    stands = {
        "state": "granted",
        "since": "2026-02-06T23:00:00.000Z",
        "purposes": ["disaster_support", "policy"],
        "attributes": ["gender"],
        "terms": {"version": "2026-01", "lang": "ja"},
        "given": "use",
    }
    assert consent.shown() == stands and consent.shown("u-2") == {"state": "none"}
    assert "already" in consent("grant", "acme", "u-1", *GRANT, "--at", "2026-02-07T08:00:00+09:00")
    assert consent("withdraw", "acme", "u-1", "--purpose", "policy") == "withdrawn\n"
    left = consent.shown()
    assert left.pop("since") > "2026-02-07" and left == {
        key: value for key, value in stands.items() if key != "since"
    } | {"purposes": ["disaster_support"]}
    assert "already" in consent("withdraw", "acme", "u-1", "--purpose", "policy")
    assert consent("withdraw", "acme", "-", stdin="u-1\n") == "withdrawn\n"
    assert consent.shown() == {"state": "withdrawn"}
    assert "already" in consent("withdraw", "acme", "u-1")
    with pytest.raises(UsageError, match="lies in the future"):
        consent("grant", "acme", "u-1", *GRANT, "--at", "2199-01-01T00:00:00Z")
    with pytest.raises(UsageError, match="no later than what stands"):  # it may have waited on its way
        consent("grant", "acme", "u-1", *GRANT, "--at", "2026-02-07T08:00:01+09:00")
    assert consent("grant", "acme", "u-1", *GRANT, "--lang", "en", "--given", "id_creation") == "granted\n"
    assert consent.shown()["terms"] == {"version": "2026-01", "lang": "en"}
    assert consent("withdraw", "acme", "nobody") == "withdrawn\n"  # what is granted later is judged by it
    log = consent.log()
    assert [key for key, _ in log] == [b"acme/u-1"] * 4 + [b"acme/nobody"]
    assert [parse(value).state for _, value in log] == ["granted", "granted", "withdrawn", "granted", "withdrawn"]
    times = [parse(value).ts for _, value in log[:4]]
    assert times == sorted(times)


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("grant", "a/b", "u-1", *GRANT), "none of those there are, or too long"),
        (("grant", "acme", "u" * 65, *GRANT), "too long"),
        (("grant", "acme", "u-1", *GRANT, "--attribute", CANARY), "none of those"),
        (("grant", "acme", "u-1", *GRANT, "--purpose", CANARY), "none of those"),
        (("grant", "acme", "u-1", *GRANT, "--given", CANARY), "none of those"),
        (("grant", "acme", "u-1", *GRANT, "--at", CANARY), "--at: needs RFC 3339"),
        (("withdraw", "acme", "u-1", "--purpose", CANARY), "--purpose: disaster_support or policy"),
    ],
)
def test_words_that_are_none(nowhere: Command, words: tuple[str, ...], why: str) -> None:
    with pytest.raises(UsageError, match=why) as caught:
        nowhere(*words)
    assert CANARY not in str(caught.value)


@pytest.mark.kafka
def test_the_topic_is_made(kafka: Kafka, topic: Callable[..., str]) -> None:
    consent = Command(kafka.bootstrap, topic() + "-consents")  # a name of its own
    consent("grant", "acme", "u-1", *GRANT)
    settings = topic_settings(Cluster(kafka.bootstrap, topic=consent.topic))
    assert {key: settings[key] for key in SETTINGS} == SETTINGS


def test_kafka_is_away(nowhere: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flows.compacted._WAIT_S", 0.5)
    with pytest.raises(ServiceUnreachable):
        nowhere("grant", "acme", "u-1", *GRANT)


@pytest.mark.kafka
def test_a_record_that_cannot_be_read_is_shown_as_that(consent: Command) -> None:
    Writer(Cluster(consent.bootstrap, topic=consent.topic)).write([(b"acme/u-1", CANARY.encode())])
    assert consent.shown() == {"state": "unreadable"}


@pytest.mark.kafka
def test_import_of_json_lines(consent: Command, tmp_path: Path) -> None:
    consent("withdraw", "acme", "u-2")
    scope = frozenset({"policy"}), frozenset({"gender"})
    at = int(time.time() * 1000) - 60_000
    lines: list[Any] = [document("acme", f"u-{number}", Word("granted", at, *scope)) for number in range(5)]
    lines[3]["purposes"] = [CANARY]
    lines += [document("acme", "u-0", Word("withdrawn", at + 1)), CANARY, {"subject": CANARY}]
    lines += [document("acme", "u-4", Word("granted", at + 10**9, *scope))]
    path = tmp_path / "consents.jsonl"
    path.write_text("\n\n".join(json.dumps(line) for line in lines))
    refused = {"bad_value": 1, "malformed": 1, "missing_field": 1, "stale": 1, "too_far_in_future": 1}
    with pytest.raises(CheckFailed, match=r"^import: 5 of 9 records were refused$"):
        consent("import", path)
    assert json.loads(consent.printed) == {
        "read": 9, "written": 4, "unchanged": 0, "refused": refused, "refused_lines": [5, 7, 13, 15, 17],
    }  # fmt: skip
    with pytest.raises(CheckFailed):  # once more: who was granted before the withdrawal is stale now
        consent("import", path)
    told = json.loads(consent.printed)
    assert (told["written"], told["unchanged"], told["refused"]) == (0, 3, refused | {"stale": 2})
    known = consent.known()
    assert [known.stands("acme", f"u-{number}") for number in range(5)] == [False, True, False, False, True]


@pytest.mark.kafka
def test_import_of_csv(consent: Command, tmp_path: Path) -> None:
    path = tmp_path / "consents.csv"
    path.write_text(
        "\ufeffprovider,subject,state,ts,purposes,attributes,terms_version,terms_lang,given,more\r\n"
        'acme,"u,1",granted,1770450000000,policy;disaster_support,gender; lang,2026-01,ja,use,x\r\n'
        "acme,u-2,granted,2026-02-07T16:40:00+09:00,policy,,2026-01,ja,id_creation\r\n"
        "acme,u-2,withdrawn,1770450000001\r\n"
        "acme,u-3,granted,soon,policy,,2026-01,ja,use\r\n",
        encoding="utf-8",
    )
    with pytest.raises(CheckFailed):
        consent("import", path)
    told = json.loads(consent.printed)
    assert told == {"read": 4, "written": 3, "unchanged": 0, "refused": {"bad_value": 1}, "refused_lines": [5]}
    known = consent.known()
    assert known.allowed("acme", "u,1", "policy", 1_770_450_000_000) == {"gender", "lang"}
    assert not known.stands("acme", "u-2") and not known.faults


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"provider,subject,state\na,b,c\n", "its header lacks ts$"),
        (b"", "its header lacks provider, subject, state, ts$"),
        (b"provider,subject,state,ts\n\xff,b,c,d\n", "cannot be read as UTF-8$"),
        (b'provider,subject,state,ts\na,"b"b,c,d\n', "line 2 is no CSV$"),
        (None, "No such file"),
    ],
)
def test_files_that_are_no_csv(nowhere: Command, tmp_path: Path, content: bytes | None, why: str) -> None:
    path = tmp_path / "consents.csv"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(BadInput, match=why):
        nowhere("import", path)
