"""Signage live = replay: the real Kafka, the real ClickHouse, two processes, a kill -9 in mid-stream.

And no word of an event stands in what such a run writes, tells or answers, but the screens that may be told.
"""

from __future__ import annotations

import csv
import json
import random
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import loadgen
from engine.model import NOT_DEAD_LETTERED, REASONS
from tests.realservices.cache import free_port
from tests.realservices.clickhouse import ClickHouse
from tests.realservices.kafka import Kafka
from tests.services.test_live_replay import PARTITIONS, Live, differing, partition, produce, read_of, told_of
from tests.support import in_process, looked
from tests.support.command import command
from tests.support.signage_run import HOUR, REGISTRY, touch
from tests.support.topics import log

SCREENS = ("kamome", "tsubame")  # no part of one is met in the other: files are packed
# Words of their own, for other tests' words may stand in the session's server. The first may stand nowhere; the second
# are screens that only few touch: recovery files hold them while their windows are open (PRIVACY.md R6), nothing else.
WORD, SELDOM = "uguisu-canary", "hototogisu-screen"
CANARY, UNTOLD = re.compile(b"uguisu", re.IGNORECASE), re.compile(b"hototogisu", re.IGNORECASE)
EVENTS = 6_000


def touches(events: int) -> list[tuple[int, bytes]]:
    """Some sessions at some devices over two and a half hours, the last a minute ago; (partition, message)."""
    rng, end = random.Random(11), int(time.time() * 1000) - 60_000
    out = []
    for number in range(events):
        ts = end - (events - 1 - number) * (5 * HOUR // 2) // events
        device, few = rng.choice(["d1", "d2"]), number % 400 == 0
        record = touch(ts, f"{WORD}-{number // 40}-{rng.randrange(25)}", device, SELDOM if few else rng.choice(SCREENS))
        record |= {"lang": rng.choice(["ja", "ja", "en", "ko", WORD]), "to": SELDOM if few else rng.choice(SCREENS)}
        record |= {"name": WORD, WORD: 1, "home": {"address": [WORD]}}  # as a careless maker of signage sends it
        out.append((partition(device.encode()), json.dumps(record).encode()))
    return out


def traps(at_ms: int) -> Iterator[tuple[tuple[str, ...], bytes]]:
    """Messages with a canary in every field and the reasons for which their events are refused; of others none are."""
    good: dict[str, Any] = {**touch(at_ms, WORD, "d1", WORD), "to": WORD, "lang": WORD, WORD: WORD}
    others: tuple[Any, ...] = ([WORD], {WORD: WORD})
    odd = [{**good, name: bad} for name in ("device", "session", "screen", "to", "lang") for bad in (*others, 9 * WORD)]
    odd += [{**good, "ts": bad} for bad in (*others, WORD)]
    yield from ((("bad_value",), json.dumps(record).encode()) for record in odd)
    for name in ("device", "ts", "type", "session", "screen"):
        yield ("missing_field",), json.dumps({**good, name: None}).encode()
    yield from ((("unknown_type",), json.dumps({**good, "type": bad}).encode()) for bad in (*others, WORD))
    yield ("unknown_sensor",), json.dumps({**good, "device": WORD}).encode()
    yield ("not_approved",), json.dumps({**good, "device": "old"}).encode()
    yield ("late",), json.dumps({**good, "ts": at_ms - 9 * HOUR}).encode()
    yield ("too_far_in_future",), json.dumps({**good, "ts": at_ms + 9 * HOUR}).encode()
    word = WORD.encode()
    for broken in (b'{"device":"d1","session":"' + word, b'"' + word + b'"', word, b"\xff\xff\xff\xff" + word):
        yield ("malformed",), broken
    yield ("malformed", "unknown_type"), json.dumps([WORD, {**good, "type": WORD}]).encode()
    device = {"id": WORD, "zone": WORD, "approved": [{"from": WORD, "to": WORD}], WORD: WORD}
    limit = {"id": WORD, "kind": "density", WORD: WORD, "limits": [{"limit": 1, WORD: WORD}]}
    for version in (
        {"timezone": WORD},
        {"version": WORD, "devices": [device]},
        {"thresholds": [limit]},
        {"zones": WORD},
    ):
        yield (), json.dumps({"type": "registry", "registry": {**REGISTRY, **version}}).encode()
    yield (), json.dumps({"type": "registry", "registry": WORD}).encode()
    for part in (1, 0):  # pieces of no version
        yield (), json.dumps({"type": "registry", "hash": WORD, "part": part, "parts": 2, "text": WORD}).encode()
    yield (), json.dumps({"type": "set", "zone": WORD, "ts": at_ms, "people": WORD, WORD: WORD}).encode()


def trapped(messages: list[tuple[int, bytes]]) -> tuple[list[tuple[int, bytes]], Counter[str]]:
    """The messages with traps among them, before the run is killed and behind; events that are refused, by reason."""
    out, refused = [], Counter[str]()
    for number, message in enumerate(messages):
        if number in (EVENTS // 4, 3 * EVENTS // 4):
            for reasons, trap in traps(json.loads(message[1])["ts"]):
                out.append((partition(b"d1"), trap))
                refused.update(reasons)
        out.append(message)
    return out, refused


def read_by_a_company(contract: str, bootstrap: str, store: str, work: Path, said: list[str]) -> dict[str, bytes]:
    """What the page answers of the run, a company's export among it; files of the same into ``work``."""

    def spoken(*words: object) -> str:
        said.append(in_process.hitonami(*words))
        return said[-1]

    mask, both = {"purpose": "policy", "product": "touches"}, ("--kafka", bootstrap, "--store", store)
    span = ("--from", "2020-01-01T00:00:00+09:00", "--to", "2120-01-01T00:00:00+09:00", "--report-months", 120)
    spoken(
        "contract", "add", contract, "--company", "acme", "--purpose", "policy", "--product", "touches", *span, *both
    )
    key = spoken("contract", "token", contract, *both).splitlines()[-1]
    of_live, by = ("--store", store, "--run-id", "live"), ("--contract", contract, "--purpose", "policy")
    for product, file, more in (
        ("touches", "company.csv", by),
        ("touches", "company.parquet", (*by, "--format", "parquet")),
        ("screens", "screens.csv", ()),
        ("rejects", "rejects.csv", ()),
    ):
        spoken("export", product, *of_live, *more, "-o", work / file)
    answers = looked.page(store, "live", key, contract=contract, **mask)
    assert answers["/api/company/export"].endswith((work / "company.csv").read_bytes())
    usage = json.loads(spoken("report", "usage", "--store", store, "--contract", contract, "--json"))
    assert (usage["given"], usage["refused"]) == (3, 0)
    return answers


@pytest.mark.kafka
@pytest.mark.clickhouse
@pytest.mark.slow
def test_signage_killed_in_mid_stream_equals_every_replay(
    kafka: Kafka, topic: Callable[..., str], clickhouse: ClickHouse, clickhouse_url: str, tmp_path: Path
) -> None:
    messages, refused = trapped(touches(EVENTS))
    name, registry = topic(partitions=PARTITIONS, name="signage", timestamps="LogAppendTime"), tmp_path / "r.json"
    loadgen.create_topic(kafka.bootstrap, "rejects", partitions=1)  # where it is missing
    registry.write_text(json.dumps(REGISTRY))
    # the events lie in the past: a tick while the producer pauses would make the rest of them late
    (tmp_path / "config.toml").write_text("[time]\ntick_ms = 3000\n[status]\nexact = true\n")
    config, port = ("--config", tmp_path / "config.toml", "--events", "signage"), free_port()
    more = (*config, "--processes", 2, "--health-port", port)
    live = Live(kafka, name, clickhouse_url, registry, tmp_path / "recovery", *more)
    killed = []
    found: dict[str, bytes] = {}

    def pause(number: int) -> None:
        time.sleep(0.1)
        if number >= len(messages) // 2 and not killed:
            killed.append(number)
            until = time.monotonic() + 60
            while read_of(port) == 0 and time.monotonic() < until:
                time.sleep(0.1)
            live.kill()
            found.update((f"killed: {path}", held) for path, held in looked.files(tmp_path / "recovery").items())
            live.start()

    produce(kafka, name, messages, pause)
    assert killed
    until = time.monotonic() + 90
    # ticks close the last quarters, in the partitions without a device too; the run's row tells an epoch later
    while (told_of(port, "hitonami_watermark_age_seconds") or 99) > 50 and time.monotonic() < until:
        time.sleep(0.2)
    found |= {
        f"port {path}": looked.got(f"http://127.0.0.1:{port}{path}") for path in ("/metrics", "/readyz", "/healthz")
    }
    told = live.stop()
    assert told["read"] == EVENTS + refused.total() and told["accepted"] > EVENTS // 2 and told["released"] > 20
    assert {**told["rejected"], "late": 2} == refused  # all for the reason that was meant

    def hitonami(*words: object) -> str:
        done = command(*words)
        assert done.returncode == 0, (words[0], done.stdout[-500:], done.stderr[-500:])
        live.said += (done.stdout, done.stderr)
        return done.stdout

    at = ("--store", clickhouse_url, "--registry", registry, *config, "--run-id")
    letters = ("--dead-letters", tmp_path / "letters.jsonl")
    replayed = json.loads(hitonami("replay", "--kafka", kafka.bootstrap, "--topic", name, *letters, *at, "topic"))
    assert (replayed["read"], replayed["accepted"]) == (told["read"], told["accepted"])
    hitonami("dump", "--kafka", kafka.bootstrap, "--topic", name, "-o", tmp_path / "dump.parquet")
    dumped = json.loads(hitonami("replay", tmp_path / "dump.parquet", *at, "dump"))
    assert dumped["digest"] == replayed["digest"]
    verified = hitonami("verify", "--store", clickhouse_url, "--run-id", "live", "--against", "topic")
    assert differing(verified) == 0 and not verified.startswith("0 "), verified

    out = tmp_path / "touches.csv"
    hitonami("export", "touches", "--store", clickhouse_url, "--run-id", "live", "-o", out)
    rows = list(csv.DictReader(out.read_text().splitlines()))
    assert {(row["device"], row["screen"]) for row in rows} == {(d, s) for d in ("d1", "d2") for s in SCREENS}
    assert all(int(row["n_low"]) >= 5 for row in rows) and {"", "ja"} <= {row["lang"] for row in rows}

    answers = read_by_a_company(name, kafka.bootstrap, clickhouse_url, tmp_path, live.said)
    (tmp_path / "dump.parquet").unlink()  # the log itself
    found |= looked.files(tmp_path)
    found |= {"rows of company.parquet": looked.rows(tmp_path / "company.parquet")}
    found |= {f"said {place}": line.encode() for place, line in enumerate(live.said)}
    found |= {f"page {route}": body for route, body in answers.items()}
    found |= {f"server {path}": held for path, held in looked.files(clickhouse.directory).items()}
    found |= {f"table {table}": held for table, held in looked.stored(clickhouse_url).items()}
    buried = [message.value() or b"" for message in log(kafka, "rejects", 0)]
    found |= {f"letter {place}": letter for place, letter in enumerate(buried)}
    given = {message for _, message in messages}
    for number in range(PARTITIONS):
        values = [message.value() or b"" for message in log(kafka, name, number)]
        found[f"own of {number}"] = b"\n".join(value for value in values if value not in given)
    assert [place for place, held in found.items() if CANARY.search(held)] == []
    untold = [place for place, held in found.items() if UNTOLD.search(held)]
    assert untold and all("/recovery/" in place for place in untold), untold

    # and all these places hold what may stand there, so that a word would have been found
    of_registry = sum(message.startswith(b'{"type": "registry"') for _, message in messages)
    counted = {REASONS[code] for code in NOT_DEAD_LETTERED}
    dead = sum(n for reason, n in refused.items() if reason not in counted)
    assert len((tmp_path / "letters.jsonl").read_text().splitlines()) == dead
    assert sum(name.encode() in letter for letter in buried) >= dead
    assert sum(line.count("no valid registry") for line in live.said) >= 2 * of_registry
    screens = [place for place, held in found.items() if SCREENS[0].encode() in held]
    for part in ("killed: ", "server ", "table ", "page /api/signage", "page /api/company/export", "rows of company"):
        assert any(place.startswith(part) for place in screens), part
    assert len(answers) > 25 and all(b'"tick"' in found[f"own of {number}"] for number in range(PARTITIONS))
