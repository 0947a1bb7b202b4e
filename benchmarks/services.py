"""What benchmarks of a live run share: the real services, a run, the CPU each of them takes, percentiles."""

from __future__ import annotations

import json
import os
import signal
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import psutil

from loadgen import bulk_registry
from sinks.clickhouse.store import Store
from tests.realservices.cache import free_port
from tests.realservices.clickhouse import ClickHouse
from tests.realservices.kafka import Kafka

ROOT = Path(__file__).resolve().parent.parent
READY_S = 60
HITONAMI = [sys.executable, "-m", "hitonami.cli", "-q"]


class Run:
    """``hitonami run`` as a child, with its processes."""

    def __init__(self, words: list[str]) -> None:
        self.port = free_port()
        command = [*HITONAMI, "run", *words, "--health-port", str(self.port)]
        self.child = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)

    def wait_until_ready(self) -> None:
        """Wait until all partitions are read."""
        until = time.monotonic() + READY_S
        while time.monotonic() < until and self.child.poll() is None:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{self.port}/readyz", timeout=5).close()
                return
            except OSError:
                time.sleep(0.1)
        raise SystemExit("the run does not get ready")

    def stop(self) -> dict[str, Any]:
        """SIGTERM; the summary it prints."""
        self.child.send_signal(signal.SIGTERM)
        printed, _ = self.child.communicate(timeout=60)
        if self.child.returncode:
            raise SystemExit(f"the run ended with {self.child.returncode}")
        summary: dict[str, Any] = json.loads(printed.splitlines()[-1])
        return summary

    def cpu_s(self) -> float:
        """CPU seconds of the supervisor and its living processes, all threads."""
        return cpu_s(self.child.pid)

    def memory_mb(self) -> float:
        """Resident memory of its processes, without the supervisor."""
        return sum(child.memory_info().rss for child in psutil.Process(self.child.pid).children()) / (1 << 20)


def cpu_s(pid: int) -> float:
    """CPU seconds of a process and its living children, user and system, all threads."""
    process = psutil.Process(pid)
    return sum(sum(each.cpu_times()[:2]) for each in (process, *process.children(recursive=True)))


def cpu_of(kafka: Kafka, server: ClickHouse, run: Run | None = None) -> dict[str, float]:
    """CPU seconds so far of all that share the machine; of a run that has not begun: none."""
    return {"kafka": cpu_s(kafka.pid()), "clickhouse": cpu_s(server.pid), "run": 0.0 if run is None else run.cpu_s()}


def new_store(server: ClickHouse, database: str) -> str:
    """The URL of a new database with its tables."""
    server.query(f"CREATE DATABASE {database}")
    with Store.open(server.url(database)) as store:
        store.migrate()
    return server.url(database)


def registry_file(path: Path, sensors: int = 1_000) -> str:
    """Write the registry of a stream of so many sensors to ``path``; the path as a word of a command."""
    path.write_text(json.dumps(bulk_registry(sensors)))
    return str(path)


def stream(kafka: Kafka, topic: str, start_ms: int, **options: int) -> subprocess.Popen[str]:
    """``python -m benchmarks.stream`` in a process of its own; ``options`` with _ for the - of their names."""
    words = [word for name, value in options.items() for word in (f"--{name.replace('_', '-')}", str(value))]
    command = [sys.executable, "-m", "benchmarks.stream", kafka.bootstrap, topic, "--start-ms", str(start_ms), *words]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def tell(result: Mapping[str, object], as_json: bool) -> None:
    """Print what was measured: one line of JSON, or a line for each figure."""
    if as_json:
        print(json.dumps(result))
        return
    width = max(map(len, result))
    for name, value in result.items():
        print(f"{name:>{width}} {value}")


def machine() -> dict[str, object]:
    """On what it was measured."""
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        model = next((line.split(":", 1)[1].strip() for line in file if line.startswith("model name")), "unknown")
    return {"cpu": model, "cores": len(os.sched_getaffinity(0)), "python": sys.version.split()[0]}


def spread(values: Iterable[float], digits: int = 2) -> dict[str, float]:
    """Median, least and greatest."""
    told = sorted(values)
    return {
        "median": round(statistics.median(told), digits),
        "least": round(told[0], digits),
        "greatest": round(told[-1], digits),
    }


def percentiles(values: Iterable[float], digits: int = 3) -> dict[str, float]:
    """p50, p90, p99, p100 by the nearest rank."""
    told = sorted(values)
    return {f"p{p}": round(told[max(0, -(-len(told) * p // 100) - 1)], digits) for p in (50, 90, 99, 100)}
