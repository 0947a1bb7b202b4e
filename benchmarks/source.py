"""Reading a topic into columns: the hot source beside the safe one, which takes an object per message.

    python -m benchmarks.source [--messages 4000000] [--repeats 3] [--json]

Only the readers, no decoding: each in a process of its own, in the order hot, safe, safe, hot …; the first tenth warms
the process and the broker up. CPU is that of all threads of the process, librdkafka's too.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.services import ROOT, machine, spread, tell
from benchmarks.stream import steady
from flows.hot import open_reader
from flows.kafka import BEGINNING, SOURCES, Cluster
from loadgen import send
from loadgen.bulk import START_MS
from tests.realservices.kafka import Kafka

PARTITIONS, TAKE_BYTES, ENOUGH = 4, 1 << 20, 10_000
PATIENCE_S = 300


def drained(source: str, bootstrap: str, topic: str, messages: int) -> dict[str, float]:
    """Read the whole topic: messages per second, and CPU µs of each."""
    reader = open_reader(Cluster(bootstrap, topic=topic, source=source), PARTITIONS)
    for partition in range(PARTITIONS):
        reader.register(partition, BEGINNING)
    read, warm = 0, messages // 10
    begun = cpu = 0.0
    until, first = time.monotonic() + PATIENCE_S, -1
    while read < messages:
        got = 0
        for partition in range(PARTITIONS):
            payloads = reader.take(partition, TAKE_BYTES)
            got += 0 if payloads is None else len(payloads)
        read += got
        if first < 0 and read >= warm:
            first, begun, cpu = read, time.monotonic(), time.process_time()
        if got < ENOUGH:  # to take few at a time costs more, and a flow that has work to do does not
            time.sleep(0.002)
            if time.monotonic() > until:
                raise SystemExit(f"{read} messages of {messages}")
    seconds, cpu = time.monotonic() - begun, time.process_time() - cpu
    reader.close()
    return {"messages_per_s": (read - first) / seconds, "cpu_us": cpu / (read - first) * 1e6, "read": read}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=4_000_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--drain", nargs=3, metavar=("SOURCE", "BOOTSTRAP", "TOPIC"), help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.drain:
        print(json.dumps(drained(*chosen.drain, chosen.messages)))
        return
    result: dict[str, object] = {**machine(), "messages": chosen.messages}
    told: dict[str, list[dict[str, float]]] = {source: [] for source in SOURCES}
    with tempfile.TemporaryDirectory() as folder, Kafka(Path(folder) / "kafka") as kafka:
        topic, rate = kafka.create_topic("people", PARTITIONS), 20_000
        plan = steady(rate, chosen.messages // rate, START_MS, partitions=PARTITIONS)
        send(plan, kafka.bootstrap, topic, paced=False, truth=False)
        order = [*SOURCES, *reversed(SOURCES)] * chosen.repeats
        for source in order[: 2 * chosen.repeats]:
            words = ["--drain", source, kafka.bootstrap, topic, "--messages", str(chosen.messages // rate * rate)]
            done = subprocess.run(
                [sys.executable, "-m", "benchmarks.source", *words], cwd=ROOT, capture_output=True, text=True
            )
            if done.returncode:
                raise SystemExit(done.stderr[-500:])
            told[source].append(json.loads(done.stdout))
    for source, measured in told.items():
        result[f"{source}_messages_per_s"] = spread((each["messages_per_s"] for each in measured), 0)
        result[f"{source}_cpu_us"] = spread((each["cpu_us"] for each in measured), 3)
    both = zip(told["hot"], told["safe"], strict=True)
    result["ratio"] = spread((hot["messages_per_s"] / safe["messages_per_s"] for hot, safe in both), 1)
    tell(result, chosen.json)


if __name__ == "__main__":
    main()
