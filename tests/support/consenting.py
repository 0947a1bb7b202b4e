"""What a run of events about people needs: registry, settings with a key file, a contract, consents, a feed."""

from __future__ import annotations

import json
import random
import threading
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from confluent_kafka import Producer

from engine.contract import Contract, Step
from flows import contracts
from flows.compacted import Writer, create
from flows.consents import TOPIC as CONSENTS
from flows.kafka import Cluster
from tests.support.consents import Word, value

PROVIDER = "acme"
REGISTRY = {"version": "people-1", "timezone": "Asia/Tokyo", "zones": [{"id": "odori", "kind": "plaza"}]}
CONFIG = """
[time]
bound_ms = 1000
tick_ms = 300
[status]
exact = true
[privacy]
phase = "self_sustaining"
[profiles]
k = 1
guard = 0
providers = 1
tables = ["gender"]
key_file = "{keys}"
"""


def settle(work: Path) -> list[str]:
    """Write registry and settings below ``work``; the words of a command that name them and a recovery directory."""
    (work / "registry.json").write_text(json.dumps({**REGISTRY, "gates": [], "sensors": []}))
    (work / "config.toml").write_text(CONFIG.format(keys=work / "keys.json"))
    words = ["--registry", str(work / "registry.json"), "--config", str(work / "config.toml")]
    return [*words, "--recovery", str(work / "recovery")]


def allow(bootstrap: str) -> None:
    """A contract of PROVIDER for all of this decade."""
    since = "2020-01-01T00:00:00+09:00"
    steps = (Step("add", 1_577_800_000_000),)
    made = Contract(
        "acme-1", PROVIDER, ("policy",), ("profiles", "trips"), since, "2032-01-01T00:00:00+09:00", 60, "months", steps
    )
    contracts.publish(bootstrap, None, made.id, made.text)


class Consenting:
    """The one writer of consents at a broker."""

    def __init__(self, bootstrap: str) -> None:
        cluster = Cluster(bootstrap, None, CONSENTS)
        create(cluster)
        self._writer = Writer(cluster)

    def say(self, subjects: Sequence[str], state: str, ts: int | None = None) -> None:
        """All of them grant or withdraw, as of ``ts`` (now)."""
        at = int(time.time() * 1000) if ts is None else ts
        scope = (frozenset({"policy"}), frozenset({"gender"})) if state == "granted" else ()
        words = ((f"{PROVIDER}/{name}".encode(), value(PROVIDER, name, Word(state, at, *scope))) for name in subjects)
        self._writer.write((key, word) for key, word in words if word is not None)


class Feed(threading.Thread):
    """Events of subjects in turn, ``rate`` a second, as they happen, into the partitions given."""

    def __init__(
        self, bootstrap: str, topic: str, subjects: Sequence[str], rate: int, partitions: Sequence[int]
    ) -> None:
        super().__init__(daemon=True)
        self._topic, self._rate, self._partitions = topic, rate, list(partitions)
        self._subjects = list(subjects)
        random.Random(3).shuffle(self._subjects)
        self._producer = Producer({"bootstrap.servers": bootstrap, "log_level": 0, "enable.idempotence": True})
        self.enough = threading.Event()
        self.sent: Counter[str] = Counter()
        self.places: dict[tuple[int, int], tuple[str, int]] = {}  # partition, offset -> subject, ms at the broker

    def run(self) -> None:
        """Produce until it is enough."""
        begun, number = time.monotonic(), 0
        while not self.enough.wait(0.005):
            while number < (time.monotonic() - begun) * self._rate:
                subject = self._subjects[number % len(self._subjects)]
                event = {"provider": PROVIDER, "subject": subject, "ts": int(time.time() * 1000)}
                text = json.dumps({**event, "zone": "odori", "gender": "f"})
                partition = self._partitions[number % len(self._partitions)]
                self._producer.produce(self._topic, text, PROVIDER, partition, self._heard(subject))
                self.sent[subject] += 1
                number += 1
            self._producer.poll(0)

    def _heard(self, subject: str):  # type: ignore[no-untyped-def]
        def delivered(error: object, message: object) -> None:
            assert error is None
            place = message.partition(), message.offset()  # type: ignore[attr-defined]
            self.places[place] = subject, message.timestamp()[1]  # type: ignore[attr-defined]

        return delivered

    def finish(self) -> int:
        """End it; the number of events that were delivered."""
        self.enough.set()
        self.join()
        assert self._producer.flush(60) == 0
        return self.sent.total()
