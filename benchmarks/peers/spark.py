"""Spark Structured Streaming with two cores (programs/spark_count.py), in an environment of its own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from benchmarks.peers.compare import Semantics
from benchmarks.peers.fetch import PROGRAMS, jars, made, python_of
from benchmarks.peers.peer import Filled, Place, WarmPeer
from tests.realservices.kafka import java

VERSION = "4.2.0"
COORDINATES = (f"org.apache.spark:spark-sql-kafka-0-10_2.13:{VERSION}",)
LEAST_JARS = 5
# Spark asks for an incubating module that the Java of Python's packages lacks, and only its linear algebra uses.
_WITHOUT_VECTOR = """#!/bin/sh
for word; do
  shift
  [ "$word" = --add-modules=jdk.incubator.vector ] || set -- "$@" "$word"
done
exec "$PEERS_JAVA" "$@"
"""


def _java(target: Path) -> None:
    program = target / "bin" / "java"
    program.parent.mkdir()
    program.write_text(_WITHOUT_VECTOR)
    program.chmod(0o755)


class Spark(WarmPeer):
    """Micro-batches of a million events; its watermark moves between them, so the late of the first batch count."""

    name = "spark"
    share = 16
    about = f"Spark {VERSION}, local[2], availableNow"
    semantics = Semantics(
        late="by progress",
        duplicates="counted",
        unknown="counted",
        bad="dropped",
        rows_go="to a callback, at least once",
    )

    def prepare(self) -> None:
        """See Peer."""
        self._python = python_of("spark", [f"pyspark=={VERSION}"])
        self._jars = jars("spark", COORDINATES, LEAST_JARS)
        self._java = made("spark-java", _java, "Java for Spark could not be written")

    def environment(self) -> dict[str, str]:
        """See WarmPeer."""
        return {"JAVA_HOME": str(self._java), "PEERS_JAVA": str(java())}

    def command(self, place: Place, topic: Filled, closing: Filled, rows: Path) -> Sequence[str | Path]:
        """See WarmPeer."""
        words = [place.kafka.bootstrap, topic.name, closing.name, self._jars, place.work / self.name / "state"]
        return [self._python, PROGRAMS / "spark_count.py", *words, rows]
