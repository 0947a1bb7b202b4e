"""Resident memory of a live run over time: with 1,000 and with 100,000 sensors, all events with a sequence number.

    python -m benchmarks.memory [--rate 20000] [--seconds 180] [--json]

The process is looked at once a second; told are the medians of its second and its last quarter. What it keeps is the
open windows, so the two differ by the noise of allocators, and the sensors cost what their registry and keys cost.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

from benchmarks.services import Run, machine, new_store, registry_file, stream, tell
from tests.realservices.clickhouse import ClickHouse
from tests.realservices.kafka import Kafka


def measured(kafka: Kafka, server: ClickHouse, work: Path, sensors: int, rate: int, seconds: int) -> dict[str, object]:
    """One run: its memory in MB."""
    name = f"sensors_{sensors}"
    topic = kafka.create_topic(name, 4)
    words = ["--kafka", kafka.bootstrap, "--topic", topic, "--store", new_store(server, name)]
    words += ["--registry", registry_file(work / f"{name}.json", sensors), "--recovery", str(work / name)]
    run = Run(words)
    run.wait_until_ready()
    start_ms = int(time.time()) // 10 * 10_000 + 10_000
    sender = stream(kafka, topic, start_ms, rate=rate, seconds=seconds, sensors=sensors, per_message=10)
    seen = []
    while sender.poll() is None:
        seen.append(run.memory_mb())
        time.sleep(1)
    if sender.returncode:
        raise SystemExit("the stream failed")
    summary = run.stop()
    if any(summary["rejected"].values()):
        raise SystemExit(f"rejected: {summary['rejected']}")
    quarter = len(seen) // 4
    second, last = statistics.median(seen[quarter : 2 * quarter]), statistics.median(seen[-quarter:])
    return {"second_quarter_mb": round(second), "last_quarter_mb": round(last), "greatest_mb": round(max(seen))}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=int, default=20_000)
    parser.add_argument("--seconds", type=int, default=180)
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    result: dict[str, object] = {**machine(), "rate": chosen.rate, "seconds": chosen.seconds}
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        with Kafka(work / "kafka") as kafka, ClickHouse(work / "clickhouse") as server:
            for sensors in (1_000, 100_000):
                told = measured(kafka, server, work, sensors, chosen.rate, chosen.seconds)
                result[f"sensors_{sensors}"] = told
    tell(result, chosen.json)


if __name__ == "__main__":
    main()
