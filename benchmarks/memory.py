"""Resident memory of a live run over time: with 1,000 and with 100,000 sensors, all events with a sequence number.

    python -m benchmarks.memory [--rate 20000] [--seconds 1800] [--every 5] [--sensors 1000,100000] [--json]

The process is looked at every so many seconds, from the first event to the last one. Told are the medians of its second
and its last quarter, the greatest, all that was seen, and the slope over the last two thirds by least squares, with its
standard error (neighbours are alike, so the true error is larger). What a run keeps is the open windows, so the slope
is the noise of allocators, and the sensors cost what their registry and keys cost. Each number of sensors has its own
run, Kafka and ClickHouse, all at the same time; all that was sent must have been read, and nothing refused.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from benchmarks.services import Run, machine, new_store, registry_file, stream, tell
from tests.realservices.clickhouse import ClickHouse
from tests.realservices.kafka import Kafka

REST_S = 5  # after the last event, until all is read


def measured(
    kafka: Kafka, server: ClickHouse, work: Path, sensors: int, rate: int, seconds: int, every_s: float
) -> dict[str, object]:
    """One run: its memory in MB."""
    topic = kafka.create_topic("people", 4)
    words = ["--kafka", kafka.bootstrap, "--topic", topic, "--store", new_store(server, "memory")]
    words += ["--registry", registry_file(work / "registry.json", sensors), "--recovery", str(work / "state")]
    run = Run(words)
    run.wait_until_ready()
    start_ms = int(time.time()) // 10 * 10_000 + 10_000
    sender = stream(kafka, topic, start_ms, rate=rate, seconds=seconds, sensors=sensors, per_message=10)
    seen: list[float] = []
    while sender.poll() is None and len(seen) * every_s < seconds:
        time.sleep(max(0.0, start_ms / 1000 + len(seen) * every_s - time.time()))
        seen.append(run.memory_mb())
    printed, _ = sender.communicate(timeout=120)
    if sender.returncode:
        raise SystemExit("the stream failed")
    time.sleep(REST_S)
    summary, sent = run.stop(), json.loads(printed)["events"]
    if any(summary["rejected"].values()) or summary["read"] != sent:
        raise SystemExit(f"read {summary['read']} of {sent}, rejected: {summary['rejected']}")
    return told(seen, every_s)


def told(seen: Sequence[float], every_s: float) -> dict[str, object]:
    """What is told of memory in MB that was seen every so many seconds (twelve times at least)."""
    quarter, third = len(seen) // 4, len(seen) // 3
    second, last = statistics.median(seen[quarter : 2 * quarter]), statistics.median(seen[-quarter:])
    slope, error = line(seen[third:], every_s / 3_600)
    return {
        "second_quarter_mb": round(second),
        "last_quarter_mb": round(last),
        "greatest_mb": round(max(seen)),
        "slope_mb_per_hour": {"slope": round(slope, 2), "error": round(error, 2)},
        "every_s": every_s,
        "over_time_mb": [round(mb, 1) for mb in seen],
    }


def line(values: Sequence[float], step: float) -> tuple[float, float]:
    """Slope of the least-squares line through values that lie ``step`` apart, and its standard error.

    slope = Σ (x - x̄)(y - ȳ) / Σ (x - x̄)², error = √(Σ r² / (n - 2) / Σ (x - x̄)²) with the residuals r; n ≥ 3.
    """
    y = np.array(values)
    x = (np.arange(len(y)) - (len(y) - 1) / 2) * step
    slope = float(x @ (y - y.mean()) / (x @ x))
    residuals = y - y.mean() - slope * x
    return slope, float(np.sqrt(residuals @ residuals / (len(y) - 2) / (x @ x)))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rate", type=int, default=20_000)
    parser.add_argument("--seconds", type=int, default=1_800)
    parser.add_argument("--every", type=float, default=5, help="seconds between two looks")
    parser.add_argument("--sensors", default="1000,100000", help="numbers of sensors, joined by commas")
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    if chosen.seconds < 12 * chosen.every:
        parser.error("--seconds must be 12 times --every at least")
    result: dict[str, object] = {**machine(), "rate": chosen.rate, "seconds": chosen.seconds}
    numbers = [int(word) for word in chosen.sensors.split(",")]

    def measure(sensors: int) -> dict[str, object]:
        with tempfile.TemporaryDirectory() as folder:
            work = Path(folder)
            with Kafka(work / "kafka") as kafka, ClickHouse(work / "clickhouse") as server:
                return measured(kafka, server, work, sensors, chosen.rate, chosen.seconds, chosen.every)

    with ThreadPoolExecutor(len(numbers)) as pool:
        for sensors, of in zip(numbers, pool.map(measure, numbers), strict=True):
            result[f"sensors_{sensors}"] = of
    tell(result, chosen.json)


if __name__ == "__main__":
    main()
