"""How long after the watermark has passed a row is seen in the ClickHouse server, under a steady stream of events.

    python -m benchmarks.latency [--rate 200000] [--seconds 120] [--per-message 1] [--json]

Everything is on this machine: Kafka, ClickHouse, the stream, the run and the reader that looks every 20 ms. Events are
stamped with when they were due, so the watermark of a log without delay passes a window's end `bound` after it. A row's
latency is the moment at which the reader saw it, less that moment: it holds the way through producer, broker, consumer,
engine, insert and reader, and the wait of what left late.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections import Counter
from pathlib import Path

from benchmarks.services import Run, cpu_of, machine, new_store, percentiles, registry_file, stream, tell
from tests.realservices.clickhouse import ClickHouse
from tests.realservices.kafka import Kafka

LOOK_S, PATIENCE_S = 0.02, 60
ROWS = 750  # of a window: 250 gates, two directions and people of unknown direction
CELL_MS, BOUND_MS = 10_000, 5_000
STEPS_MS = (50, 100, 150, 200, 300, 400, 500, 750, 1000, 2000, 5000)


def watch(server: ClickHouse, database: str, first_ms: int, last_ms: int) -> dict[tuple[int, str, str], float]:
    """When each row of the 10 s windows that start in [first_ms, last_ms) was seen first (Unix seconds)."""
    seen: dict[tuple[int, str, str], float] = {}
    rows: Counter[int] = Counter()
    until, at = (last_ms + CELL_MS) / 1000 + PATIENCE_S, first_ms
    while at < last_ms:
        if time.time() > until:
            raise SystemExit("rows are missing")
        text = server.query(
            f"SELECT toUnixTimestamp64Milli(window_start), gate, direction FROM {database}.flow WHERE run_id = 'live'"
            f" AND window = '10s' AND window_start >= fromUnixTimestamp64Milli({at}) FORMAT TabSeparated"
        )
        now = time.time()
        for line in text.splitlines():
            start, gate, direction = line.split("\t")
            if (int(start), gate, direction) not in seen:
                seen[int(start), gate, direction] = now
                rows[int(start)] += 1
        if rows[at] == ROWS:  # the window is whole
            at += CELL_MS
        time.sleep(LOOK_S)
    return {row: moment for row, moment in seen.items() if row[0] < last_ms}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=int, default=200_000)
    parser.add_argument("--seconds", type=int, default=120)
    parser.add_argument("--per-message", type=int, default=1)
    parser.add_argument("--partitions", type=int, default=4)
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    result: dict[str, object] = {**machine(), **{k: v for k, v in vars(chosen).items() if k != "json"}}
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        with Kafka(work / "kafka") as kafka, ClickHouse(work / "clickhouse") as server:
            topic = kafka.create_topic("people", chosen.partitions)
            words = ["--kafka", kafka.bootstrap, "--store", new_store(server, "bench")]
            words += ["--registry", registry_file(work / "registry.json"), "--recovery", str(work / "state")]
            run = Run([*words, "--processes", str(chosen.processes)])
            run.wait_until_ready()
            start_ms = (int(time.time()) + 15) // 10 * CELL_MS
            sender = stream(
                kafka,
                topic,
                start_ms,
                rate=chosen.rate,
                seconds=chosen.seconds,
                partitions=chosen.partitions,
                per_message=chosen.per_message,
            )
            first_ms = start_ms + (CELL_MS if chosen.seconds >= 60 else 0)  # the first window warms everything up
            time.sleep(max(0.0, first_ms / 1000 - time.time()))
            before = cpu_of(kafka, server, run)
            begun = time.time()
            seen = watch(server, "bench", first_ms, start_ms + chosen.seconds * 1000 - CELL_MS)
            wall = time.time() - begun
            load = cpu_of(kafka, server, run)
            printed, _ = sender.communicate(timeout=120)
            sent = json.loads(printed)
            memory = run.memory_mb()
            summary = run.stop()
    if sum(summary["rejected"].values()):
        raise SystemExit(f"rejected: {summary['rejected']}")
    waits = [at - (start + CELL_MS + BOUND_MS) / 1000 for (start, _, _), at in seen.items()]
    steps = {f"<= {ms} ms": sum(wait * 1000 <= ms for wait in waits) for ms in STEPS_MS}
    result |= {
        "windows": len({start for start, _, _ in seen}),
        "rows": len(seen),
        "latency_s": percentiles(waits),
        "rows_until": steps,
        "stream_latest_ms": sent["behind_ms"]["max"],
        "cores_busy": {name: round((load[name] - before[name]) / wall, 2) for name in load},
        "run_memory_mb": round(memory),
    }
    tell(result, chosen.json)


if __name__ == "__main__":
    main()
