"""One process of a live run; started by flows/cluster.py, which it talks to over its standard streams.

In come one line of JSON (a ``Job``; it may hold passwords, so it is never on the command line), then a line when all
processes are ready, then nothing until the supervisor goes: its end of the pipe closes, and this process ends too.
Out go the words of ``cluster``: READY, STARTED, STOPPING. What libraries print goes to stderr with the errors.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from bytewax.recovery import RecoveryConfig

from engine import registry as registries
from engine.config import Config
from engine.errors import HitonamiError
from flows import guard
from flows.consents import TOPIC as CONSENTS
from flows.health import health
from flows.kafka import Cluster
from flows.live import live_flow
from flows.people import execute
from flows.recovery import check_writable
from flows.runs import Setup, book_of, row_of
from sinks.clickhouse.store import Store
from sinks.deadletter import DeadLetters, FileTarget, KafkaTarget

READY, STARTED, STOPPING = b"ready\n", b"started\n", b"stopping\n"
PEER_ENDED = 75  # exit code of a process that ends because another one did: it has nothing to say
DEAD_LETTERS = "rejects"  # their topic


@dataclass(frozen=True)
class Job:
    """What one process of a live run needs to know."""

    kafka: str
    kafka_settings: dict[str, str]
    topic: str
    source: str
    store: str
    registry: str
    config: str
    run_id: str
    code_version: str
    recovery: str
    events: str = "people"
    consents: str | None = None
    dead_letters: str | None = None
    partitions: int = 0
    topic_id: str = ""
    starts: list[tuple[int, int]] = field(default_factory=list)
    since: list[tuple[int, int]] = field(default_factory=list)
    addresses: list[str] = field(default_factory=list)
    number: int = 0

    def encode(self) -> bytes:
        """The line that ``decode`` reads."""
        return json.dumps(asdict(self)).encode() + b"\n"

    @classmethod
    def decode(cls, line: bytes) -> Job:
        """Read the line of ``encode``."""
        return cls(**json.loads(line))

    def cluster(self) -> Cluster:
        """Where the topic is."""
        return Cluster(self.kafka, self.kafka_settings, self.topic, self.source)

    def setup(self, store: Store) -> Setup:
        """Registry, configuration and dead letters of the run."""
        target = FileTarget(self.dead_letters) if self.dead_letters else KafkaTarget(self._producer(), DEAD_LETTERS)
        registry = registries.parse(self.registry.encode())
        config = Config(json.loads(self.config))
        letters = DeadLetters.of(target, self.events, exact=config["status", "exact"])
        consents = None if self.consents is None else Cluster(self.consents, self.kafka_settings, CONSENTS)
        more: Any = {"events": self.events, "consents": consents}
        return Setup(store, registry, config, self.run_id, self.code_version, letters, **more)

    def _producer(self) -> dict[str, str]:
        return {"bootstrap.servers": self.kafka, **self.kafka_settings}


def main() -> None:
    """Be one process of a live run; ends the process."""
    words = os.dup(1)
    os.dup2(2, 1)
    guard.on_signals()
    supervisor = sys.stdin.buffer
    line = supervisor.readline()
    if not line:
        os._exit(PEER_ENDED)
    job = Job.decode(line)
    guard.notes_to_supervisor()

    def say(word: bytes) -> None:
        try:
            os.write(words, word)
        except OSError:
            os._exit(PEER_ENDED)

    def tell_of_stop() -> None:
        guard.stop.wait()
        say(STOPPING)

    def end_with_supervisor() -> None:
        supervisor.read()
        os._exit(PEER_ENDED)

    try:
        store = Store.open(job.store)
        setup, cluster = job.setup(store), job.cluster()
        run = store.run(job.run_id)
        if run is None:
            raise HitonamiError(f"run {job.run_id} is no longer in the store")
        health.begin(tick_ms=setup.config["time", "tick_ms"], exact=setup.config["status", "exact"])
        health.stored(run)
        row, starts, since = row_of(setup, run, book_of(setup)), dict(job.starts), dict(job.since)
        recovery = Path(job.recovery)
        flow, close, _ = live_flow(
            setup, cluster, row, job.partitions, job.topic_id, starts, since, recovery, lambda: say(STARTED)
        )
    except Exception as error:
        guard.fail(error)
        return
    say(READY)
    if not supervisor.readline():
        os._exit(PEER_ENDED)
    for work in (tell_of_stop, end_with_supervisor):
        threading.Thread(target=work, daemon=True).start()
    try:
        config = RecoveryConfig(str(Path(job.recovery)), timedelta(0))  # type: ignore[no-untyped-call]
        with health.told_in(Path(job.recovery), job.number):
            execute(flow, config, job.addresses, job.number)
        close()
        if setup.letters is not None:
            setup.letters.close()
        store.close()
    except BaseException:
        # our own failures have ended the process already (flows/guard.py): this is Bytewax, about a peer or its disk
        try:
            check_writable(Path(job.recovery))
        except HitonamiError as error:
            guard.fail(error)
        os._exit(PEER_ENDED)
    os._exit(0)


if __name__ == "__main__":
    main()
