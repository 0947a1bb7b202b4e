"""Flink SQL with two slots, in one JVM (programs/FlinkSql.java)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from benchmarks.peers.compare import Semantics
from benchmarks.peers.fetch import PROGRAMS, classes, jars
from benchmarks.peers.peer import Filled, Place, WarmPeer
from tests.realservices.kafka import java

VERSION, CONNECTOR = "2.2.1", "5.0.0-2.2"
# All of Flink that is needed, by name: what the connector asks for is of an older version.
_MODULES = (
    "annotations clients connector-base connector-datagen core core-api datastream datastream-api file-sink-common"
    " hadoop-fs json metrics-core queryable-state-client-java rpc-akka-loader rpc-core runtime streaming-java"
    " table-api-bridge-base table-api-java table-api-java-bridge table-common table-planner-loader table-runtime"
)
COORDINATES = (
    *(f"org.apache.flink:flink-{module}:{VERSION}" for module in _MODULES.split()),
    f"org.apache.flink:flink-sql-connector-kafka:{CONNECTOR}",
    "org.slf4j:slf4j-simple:1.7.36",
)
LEAST_JARS = 30
_OPENS = ("java.util", "java.lang", "java.util.concurrent", "java.net", "java.time")


class Flink(WarmPeer):
    """Checkpoints off; watermarks of partitions merge in front of the windows, every 200 ms."""

    name = "flink"
    share = 4
    slots = 2
    about = f"Flink SQL {VERSION}, two slots"
    semantics = Semantics(
        late="by progress",
        duplicates="counted",
        unknown="counted",
        bad="dropped",
        rows_go="to the caller, at most once",
    )

    def prepare(self) -> None:
        """See Peer."""
        self._jars = jars("flink", COORDINATES, LEAST_JARS)
        self._classes = classes("flink", PROGRAMS / "FlinkSql.java", self._jars)

    def command(self, place: Place, topic: Filled, closing: Filled, rows: Path) -> Sequence[str | Path]:
        """See WarmPeer."""
        opens = [f"--add-opens=java.base/{package}=ALL-UNNAMED" for package in _OPENS]
        options = ["-Xmx2g", "-XX:+UseParallelGC", "-Dorg.slf4j.simpleLogger.defaultLogLevel=error", *opens]
        words = [place.kafka.bootstrap, topic.name, closing.name, str(self.slots), rows]
        return [java(), *options, "-cp", f"{self._jars}/*:{self._classes}", "FlinkSql", *words]
