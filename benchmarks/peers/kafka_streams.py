"""Kafka Streams, with a thread for each of two cores, in one JVM (programs/StreamsCount.java)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from benchmarks.peers.compare import Semantics
from benchmarks.peers.fetch import PROGRAMS, classes, jars
from benchmarks.peers.peer import Filled, Place, WarmPeer
from tests.realservices.kafka import java

VERSION = "4.3.1"
COORDINATES = (
    f"org.apache.kafka:kafka-streams:{VERSION}",
    "com.fasterxml.jackson.core:jackson-databind:2.21.3",
    "org.slf4j:slf4j-simple:1.7.36",
)
LEAST_JARS = 7


class KafkaStreams(WarmPeer):
    """The topic's key is the gate: it groups without sending events on. Its state is logged to Kafka, as by default."""

    name = "kafka-streams"
    share = 16
    threads = 2
    about = f"Kafka Streams {VERSION}, two threads"
    semantics = Semantics(
        duplicates="counted", unknown="dropped", bad="dropped", rows_go="to a file, state at least once in Kafka"
    )

    def prepare(self) -> None:
        """See Peer."""
        self._jars = jars("kafka-streams", COORDINATES, LEAST_JARS)
        self._classes = classes("kafka-streams", PROGRAMS / "StreamsCount.java", self._jars)

    def command(self, place: Place, topic: Filled, closing: Filled, rows: Path) -> Sequence[str | Path]:
        """See WarmPeer."""
        options = ["-Xmx1g", "-XX:+UseParallelGC", "-Dorg.slf4j.simpleLogger.defaultLogLevel=off"]
        words = [place.kafka.bootstrap, topic.name, str(topic.truth.messages)]
        words += [closing.name, str(closing.truth.messages), str(self.threads)]
        state = place.work / self.name / "state"
        return [java(), *options, "-cp", f"{self._jars}/*:{self._classes}", "StreamsCount", *words, state, rows]
