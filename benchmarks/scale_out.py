"""One process and two on the same topic of four partitions: events per second while a live run catches up.

    python -m benchmarks.scale_out [--events 6000000] [--repeats 2] [--json]

The topic is filled before; each run has its own database and recovery directory, in the order 1, 2, 2, 1 …. Counted is
from the first row that a run stores to its last one, by the server's own times: the start of processes is left out. The
CPU of Kafka, of ClickHouse and of the run stands beside, for all share this machine: two processes cannot take more
than what the broker and the store leave.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

from benchmarks.services import Run, cpu_of, machine, new_store, registry_file, spread, tell
from benchmarks.stream import steady
from loadgen import send
from tests.realservices.clickhouse import ClickHouse
from tests.realservices.kafka import Kafka

CELL_MS = 10_000
PATIENCE_S = 600


def caught_up(server: ClickHouse, database: str, last_ms: int) -> tuple[int, float]:
    """Wait for rows of the 10 s window that starts at ``last_ms``; windows and seconds since the first row of all."""
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until:
        told = server.query(
            "SELECT toUnixTimestamp64Milli(min(window_start)), toUnixTimestamp64Milli(max(window_start)),"
            " toUnixTimestamp64Milli(min(inserted_at)), toUnixTimestamp64Milli(max(inserted_at))"
            f" FROM {database}.flow WHERE window = '10s' HAVING count() > 0"
        )
        if told:
            first, last, begun, ended = map(int, told.split("\t"))
            if last >= last_ms:
                return (last - first) // CELL_MS, (ended - begun) / 1000
        time.sleep(0.5)
    raise SystemExit("the run does not catch up")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=6_000_000)
    parser.add_argument("--rate", type=int, default=20_000, help="events per second of event time")
    parser.add_argument("--per-message", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    seconds = chosen.events // chosen.rate
    result: dict[str, object] = {**machine(), "events": chosen.events, "per_message": chosen.per_message}
    rates: dict[int, list[float]] = {1: [], 2: []}
    cores: dict[int, list[dict[str, float]]] = {1: [], 2: []}
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        registry, config = registry_file(work / "registry.json"), work / "config.toml"
        config.write_text("[time]\ntick_ms = 1000000000\n")  # a tick of today would close a log of yesterday
        with Kafka(work / "kafka") as kafka, ClickHouse(work / "clickhouse") as server:
            topic = kafka.create_topic("people", 4)
            start_ms = (int(time.time()) - 86_400) // 10 * CELL_MS
            plan = steady(chosen.rate, seconds, start_ms, per_message=chosen.per_message)
            send(plan, kafka.bootstrap, topic, paced=False, truth=False)
            # 5 s of bound, and the window that has not ended
            last_ms = start_ms + (seconds * 1000 - 5_000 - 1) // CELL_MS * CELL_MS - CELL_MS
            for number, processes in enumerate(([1, 2, 2, 1] * chosen.repeats)[: 2 * chosen.repeats]):
                database = f"bench_{number}"
                words = ["--kafka", kafka.bootstrap, "--store", new_store(server, database), "--registry", registry]
                words += ["--recovery", str(work / database), "--config", str(config)]
                begun = time.monotonic()
                before = cpu_of(kafka, server)
                run = Run([*words, "--processes", str(processes)])
                windows, took = caught_up(server, database, last_ms)
                wall = time.monotonic() - begun
                after = cpu_of(kafka, server, run)
                summary = run.stop()
                if summary["rejected"] or summary["read"] < windows * chosen.rate * CELL_MS / 1000:
                    raise SystemExit(f"read {summary['read']}, rejected: {summary['rejected']}")
                rates[processes].append(windows * chosen.rate * CELL_MS / 1000 / took)
                cores[processes].append({name: (after[name] - before[name]) / wall for name in after})
    for processes, measured in rates.items():
        result[f"events_per_s_{processes}"] = spread(measured, 0)
        for name in ("kafka", "clickhouse", "run"):
            result[f"cores_busy_{processes}_{name}"] = spread(each[name] for each in cores[processes])
    result["ratio"] = spread(two / one for one, two in zip(rates[1], rates[2], strict=True))
    tell(result, chosen.json)


if __name__ == "__main__":
    main()
