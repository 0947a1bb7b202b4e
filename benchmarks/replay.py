"""Replay of a file into the embedded ClickHouse, beside a plain Python + orjson loop over the same file.

    python -m benchmarks.replay [--events 10000000] [--json]

Events per second on one core, the first pass (is the file sorted?) included; peak memory for a tenth of the events and
for all; a shuffled file beside. Medians, and spreads from the least to the greatest. Every run's result is checked
against the truth of the generator.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import orjson

from benchmarks.services import ROOT, registry_file, tell
from loadgen import Bulk, write_bulk

# Runs the command and tells its own peak on stderr. Not ru_maxrss: that begins with the peak of this process.
MEASURED = """
import sys
from hitonami.cli import main
try:
    main()
finally:
    with open("/proc/self/status") as status:
        peak = next(line.split()[1] for line in status if line.startswith("VmHWM:"))
    print(peak, file=sys.stderr)
"""


def replay(path: Path, registry: str, work: Path, name: str) -> tuple[float, float, dict[str, object]]:
    """Wall seconds of the whole command, peak MB, and its summary; pinned to one core."""
    command = [sys.executable, "-c", MEASURED, "replay", str(path), "--store", f"chdb://{work}/{name}"]
    command += ["--registry", registry, "--run-id", name]
    begun = time.monotonic()
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, preexec_fn=lambda: os.sched_setaffinity(0, {_core()})
    )
    seconds = time.monotonic() - begun
    if done.returncode:
        raise SystemExit(f"replay ended with {done.returncode}: {done.stderr[-300:]}")
    return seconds, int(done.stderr.splitlines()[-1]) / 1024, json.loads(done.stdout.splitlines()[-1])


def naive(path: Path) -> tuple[float, int]:
    """Seconds and people counted by the loop anyone would write: per gate, direction and 10 s window, no checks."""
    os.sched_setaffinity(0, {_core()})
    counts: dict[tuple[str, str, int], int] = {}
    begun = time.monotonic()
    with path.open("rb") as file:
        for line in file:
            event = orjson.loads(line)
            key = (event["sensor"][:3], event["dir"], event["ts"] // 10_000)
            counts[key] = counts.get(key, 0) + 1
    return time.monotonic() - begun, sum(counts.values())


def _core() -> int:
    return min(os.sched_getaffinity(0))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=10_000_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    events, result = chosen.events, {"events": chosen.events, "repeats": chosen.repeats}
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        registry = registry_file(work / "registry.json")
        truth: Bulk = write_bulk(work / "all.jsonl", events)
        write_bulk(work / "tenth.jsonl", max(events // 10, 1))
        write_bulk(work / "shuffled.jsonl", events, sorted=False)
        rates, loops, memory, tenths, shuffles = [], [], [], [], []
        for number in range(chosen.repeats):
            seconds, peak, summary = replay(work / "all.jsonl", registry, work, f"all{number}")
            assert summary["accepted"] == summary["read"] == events == int(truth.counts.sum())
            rates.append(events / seconds)
            memory.append(peak)
            tenths.append(replay(work / "tenth.jsonl", registry, work, f"tenth{number}")[1])
            seconds, _, shuffled = replay(work / "shuffled.jsonl", registry, work, f"shuffled{number}")
            assert shuffled["digest"] == summary["digest"]
            shuffles.append(events / seconds)
            seconds, counted = naive(work / "all.jsonl")
            assert counted == events
            loops.append(events / seconds)
    ratios = [rate / loop for rate, loop in zip(rates, loops, strict=True)]
    for name, values, digits in (
        ("events_per_s", rates, None),
        ("unsorted_events_per_s", shuffles, None),
        ("orjson_loop_events_per_s", loops, None),
        ("ratio_to_orjson_loop", ratios, 2),  # of neighbours in time
        ("peak_mb", memory, None),
        ("peak_mb_tenth", tenths, None),
    ):
        result[name] = round(statistics.median(values), digits)
        result[f"{name}_spread"] = [round(min(values), digits), round(max(values), digits)]
    tell(result, chosen.json)


if __name__ == "__main__":
    main()
