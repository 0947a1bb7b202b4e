"""The cluster of consents stands still, or a contract is nobody's: events are held, none passes and none is lost.

::

    consents' broker   ············|SIGSTOP ──────────────── SIGCONT|··········
    gate               open        |  limit  | shut                | open
    offsets, W         moves ··············· | stand               | move, in the order of the log
    ticks              t t t t t t t t t t t |  none               | t t t t

HITONAMI_CONSENTS_AWAY_S=90 is the long form with the limit of life (``make soak-consents``).
"""

from __future__ import annotations

import os
import pickle
import signal
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer

from flows import consents, contracts
from flows.kafka import Cluster
from flows.recovery import states
from sinks.clickhouse.store import Store
from tests.faults.kafka_run import until
from tests.faults.kills import COMMAND, Live
from tests.realservices.cache import free_port
from tests.realservices.kafka import Kafka
from tests.support.consenting import Consenting, Feed, allow, settle
from tests.support.topics import ticks

pytestmark = [pytest.mark.kafka, pytest.mark.clickhouse, pytest.mark.slow]
AWAY_S = float(os.environ.get("HITONAMI_CONSENTS_AWAY_S", "5"))
LIMIT_S = consents.LIMIT_MS / 1000 if AWAY_S > 60 else 2.0
RATE = 200
ALLOWED = [f"u-{number}" for number in range(40)]
ENDED = [f"w-{number}" for number in range(5)]  # withdraw before the broker is away
NEVER = [f"n-{number}" for number in range(5)]


def readiness(port: int) -> str:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5) as answer:
            return str(answer.read().decode()).strip()
    except urllib.error.HTTPError as error:
        return error.read().decode().strip()
    except OSError:
        return "not there"


def test_events_are_held_while_consents_are_away(
    kafka: Kafka,
    topic: Callable[..., str],
    clickhouse_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    record_property: Callable[..., None],
) -> None:
    monkeypatch.setenv(consents.LIMIT_VARIABLE, str(int(LIMIT_S * 1000)))
    name, port = topic(2, name="profiles"), free_port()
    allow(kafka.bootstrap)
    with Kafka(tmp_path / "kafka") as away, Store.open(clickhouse_url) as store:
        store.migrate()
        consenting = Consenting(away.bootstrap)
        begun_ms = int(time.time() * 1000)
        consenting.say([*ALLOWED, *ENDED], "granted", begun_ms)
        words = ["--kafka", kafka.bootstrap, "--topic", name, "--events", "profiles", "--consents", away.bootstrap]
        words += ["--store", clickhouse_url, "--health-port", str(port), *settle(tmp_path)]
        words += ["--dead-letters", str(tmp_path / "letters.jsonl")]
        errors = tmp_path / "errors.txt"
        live = Live([*COMMAND, "run", *words], 300, errors)
        feed = Feed(kafka.bootstrap, name, [*ALLOWED, *ENDED, *NEVER], RATE, [1])  # partition 0 is silent
        cluster = Cluster(kafka.bootstrap, None, name)

        def offsets() -> dict[str, int]:
            found = states(tmp_path / "recovery", "profiles.logs")
            return {key: pickle.loads(state)[0] for key, state in found.items()}

        def closed_ms() -> int:
            run = store.run("live")
            return run.closed_ms if run is not None else 0

        try:
            live.start(1)
            until(lambda: readiness(port) == "ok", "the run does not get ready")
            feed.start()
            until(lambda: offsets().get("00001", 0) > RATE and closed_ms() > begun_ms, "nothing is read")
            consenting.say(ENDED, "withdrawn")
            time.sleep(1.5)
            os.kill(away.pid(), signal.SIGSTOP)
            stopped_ms = int(time.time() * 1000)
            try:
                until(lambda: readiness(port) == "consents: not current, events are held", "nothing is held")
                time.sleep(1)  # what had been read is committed
                held_ms, held_at, closed = int(time.time() * 1000), offsets(), closed_ms()
                assert held_ms - stopped_ms > LIMIT_S * 1000 - 1_000
                time.sleep(max(2.0, AWAY_S - (held_ms - stopped_ms) / 1000))
                assert offsets() == held_at, "events were read"
                assert closed_ms() == closed, "windows closed behind held events"
                assert cluster.ends(2)[1][1] > held_at["00001"] + RATE
                assert live.workers()  # it waits, it does not end
            finally:
                os.kill(away.pid(), signal.SIGCONT)
            back_ms = int(time.time() * 1000)
            until(lambda: readiness(port) == "ok", "it does not go on")
            record_property("went_on_s", round(time.time() - back_ms / 1000, 2))
            until(lambda: offsets()["00001"] > held_at["00001"] + RATE, "what was held is not read")
            stray = Producer({"bootstrap.servers": kafka.bootstrap, "log_level": 0})
            try:
                stray.produce(contracts.TOPIC, b"{", "typo")
                assert stray.flush(30) == 0
                until(lambda: readiness(port) == "contracts: a record is nobody's, events are held", "it bars all")
                time.sleep(1)
                held_at = offsets()
                time.sleep(1)
                assert offsets() == held_at, "events were read"
            finally:  # for other tests too
                stray.produce(contracts.TOPIC, None, "typo")
                assert stray.flush(30) == 0
            until(lambda: readiness(port) == "ok", "it does not go on when the record is gone")
            sent = feed.finish()
            until(lambda: offsets()["00001"] > max(place[1] for place in feed.places), "not all is read")
            time.sleep(1)
            told: dict[str, Any] = live.stop()[0]
        finally:
            feed.enough.set()
            live.end()
    assert told["read"] == sent and sum(told["rejected"].values()) + told["accepted"] == sent
    assert set(told["rejected"]) == {"no_consent"}  # nothing was late, nor without a contract
    passed = {of: sum(feed.sent[subject] for subject in of) for of in (tuple(ALLOWED), tuple(ENDED), tuple(NEVER))}
    assert passed[tuple(ALLOWED)] <= told["accepted"] < passed[tuple(ALLOWED)] + passed[tuple(ENDED)]
    # those who withdrew before passed then, and not while the broker was away or later
    before = sum(place[0] in ENDED and place[1] < stopped_ms for place in feed.places.values())
    assert told["accepted"] - passed[tuple(ALLOWED)] <= before
    silent = ticks(kafka, name, 0)
    assert min(silent) < stopped_ms and max(silent) > back_ms
    assert not [ts for ts in silent if held_ms < ts < back_ms]
    said = errors.read_text().splitlines()
    assert [line.split(",")[0].split(":")[1].strip() for line in said] == [
        "consents are not current", "consents are current again",
        "contracts hold a record that cannot be read and is nobody's", "contracts are current again",
    ]  # fmt: skip
