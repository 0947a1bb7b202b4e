"""What a peer is: how it is fetched, how it reads a topic once, and what its rows say."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.peers.compare import Semantics, Verdict, compared, read_rows
from benchmarks.peers.measure import Cost, Failed, run
from benchmarks.peers.topic import Truth
from benchmarks.services import cpu_s
from tests.realservices.clickhouse import ClickHouse
from tests.realservices.kafka import Kafka


@dataclass(frozen=True)
class Filled:
    """A topic with its truth."""

    name: str
    truth: Truth


@dataclass(frozen=True)
class Served:
    """CPU seconds of Kafka and of ClickHouse."""

    kafka_s: float
    clickhouse_s: float

    def __sub__(self, other: Served) -> Served:
        return Served(self.kafka_s - other.kafka_s, self.clickhouse_s - other.clickhouse_s)


@dataclass(frozen=True)
class Place:
    """Where the peers run: the services, a directory, and the registry's file."""

    kafka: Kafka
    clickhouse: ClickHouse | None  # None where no peer needs one
    work: Path
    registry: Path

    def served(self) -> Served:
        """What the services have used so far."""
        return Served(cpu_s(self.kafka.pid()), 0.0 if self.clickhouse is None else cpu_s(self.clickhouse.pid))

    @property
    def server(self) -> ClickHouse:
        """ClickHouse, for a peer that has said that it needs one."""
        assert self.clickhouse is not None
        return self.clickhouse


@dataclass(frozen=True)
class Turn:
    """One reading of a topic. ``whole``: from the start of the command to its end; ``start``: the same on a topic that
    holds the closing events alone. ``served``: what the services used for reading it.
    """

    whole: Cost
    start: Cost
    served: Served
    verdict: Verdict

    @property
    def reading(self) -> Cost:
        """What reading and counting took, the start told apart."""
        return self.whole - self.start


class Peer(ABC):
    """One of those that are compared. ``share``: it reads a topic with 1/share of the events."""

    name: str
    share: int = 1
    about: str  # what it is, and its version
    needs_clickhouse = False
    semantics: Semantics = Semantics()

    def prepare(self) -> None:  # noqa: B027  (most peers that fetch nothing have nothing to do)
        """Fetch and build what it needs. Raises Missing."""

    @abstractmethod
    def turn(self, place: Place, topic: Filled, closing: Filled) -> Turn:
        """Read ``topic`` once, and ``closing`` for the start. Raises Failed."""


class CommandPeer(Peer):
    """A peer that is a command: it reads the messages of a topic, writes its rows to a file and ends."""

    pinned = False

    @abstractmethod
    def command(self, place: Place, topic: Filled, rows: Path) -> Sequence[str | Path]:
        """The command that reads ``topic`` and writes ``rows``."""

    def turn(self, place: Place, topic: Filled, closing: Filled) -> Turn:
        """See Peer."""
        rows = place.work / self.name / "rows.tsv"
        before = place.served()
        start = self._run(place, closing, rows)
        between = place.served()
        whole = self._run(place, topic, rows)
        served = (place.served() - between) - (between - before)
        return Turn(whole, start, served, compared(read_rows(rows), topic.truth, self.semantics))

    def _run(self, place: Place, topic: Filled, rows: Path) -> Cost:
        rows.unlink(missing_ok=True)
        command = self.command(place, topic, rows)
        return run(command, place.work / self.name, pinned=self.pinned).cost


class WarmPeer(Peer):
    """A command that reads twice in one process, so that what is measured runs on compiled code, and times itself.

    It reads the topic, the closing one and the topic again, writes the rows of the last, and prints a line of JSON:
    ``{"whole":[seconds, cpu_s],"start":[seconds, cpu_s]}``.
    """

    readings = 2  # of the topic

    @abstractmethod
    def command(self, place: Place, topic: Filled, closing: Filled, rows: Path) -> Sequence[str | Path]:
        """The command that reads both topics and writes ``rows``."""

    def environment(self) -> dict[str, str]:
        """What is added to its environment."""
        return {}

    def turn(self, place: Place, topic: Filled, closing: Filled) -> Turn:
        """See Peer."""
        rows = place.work / self.name / "rows.tsv"
        rows.unlink(missing_ok=True)
        before = place.served()
        ended = run(self.command(place, topic, closing, rows), place.work / self.name, env=self.environment())
        served = place.served() - before
        told = [json.loads(line) for line in ended.printed.splitlines() if line.startswith('{"whole"')]
        if len(told) != 1:
            raise Failed(f"{self.name} told no figures")
        return Turn(
            Cost(*told[0]["whole"]),
            Cost(*told[0]["start"]),
            Served(served.kafka_s / self.readings, served.clickhouse_s / self.readings),
            compared(read_rows(rows), topic.truth, self.semantics),
        )
