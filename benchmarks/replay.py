"""Replay of a file into the embedded ClickHouse, beside a plain Python + orjson loop over the same file.

    python benchmarks/replay.py [--events 10000000] [--json]

Events per second on one core, the first pass (is the file sorted?) included; peak memory for a tenth of the events and
for all; a shuffled file beside. Every run's result is checked against the truth of the generator.
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

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from loadgen import Bulk, bulk_registry, write_bulk  # noqa: E402


def replay(path: Path, registry: Path, work: Path, name: str) -> tuple[float, float, dict[str, object]]:
    """Wall seconds of the whole command, peak MB, and its summary; pinned to one core."""
    command = [sys.executable, "-m", "hitonami.cli", "replay", str(path), "--store", f"chdb://{work}/{name}"]
    command += ["--registry", str(registry), "--run-id", name]
    begun = time.monotonic()
    process = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, preexec_fn=lambda: os.sched_setaffinity(0, {_core()})
    )
    assert process.stdout is not None
    printed = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"replay ended with {status}")
    return time.monotonic() - begun, usage.ru_maxrss / 1024, json.loads(printed.splitlines()[-1])


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
        registry = work / "registry.json"
        registry.write_text(json.dumps(bulk_registry()))
        truth: Bulk = write_bulk(work / "all.jsonl", events)
        write_bulk(work / "tenth.jsonl", max(events // 10, 1))
        write_bulk(work / "shuffled.jsonl", events, sorted=False)
        rates, loops, memory = [], [], []
        for number in range(chosen.repeats):
            seconds, peak, summary = replay(work / "all.jsonl", registry, work, f"all{number}")
            assert summary["accepted"] == summary["read"] == events == int(truth.counts.sum())
            rates.append(events / seconds)
            memory.append(peak)
            if number == 0:
                _, tenth, _ = replay(work / "tenth.jsonl", registry, work, "tenth")
                seconds, _, shuffled = replay(work / "shuffled.jsonl", registry, work, "shuffled")
                assert shuffled["digest"] == summary["digest"]
                result |= {"peak_mb_tenth": round(tenth), "unsorted_events_per_s": round(events / seconds)}
        seconds, counted = naive(work / "all.jsonl")
        assert counted == events
        loops.append(events / seconds)
    result |= {
        "events_per_s": round(statistics.median(rates)),
        "events_per_s_spread": [round(min(rates)), round(max(rates))],
        "peak_mb": round(max(memory)),
        "orjson_loop_events_per_s": round(loops[0]),
        "ratio_to_orjson_loop": round(statistics.median(rates) / loops[0], 2),
    }
    if chosen.json:
        print(json.dumps(result))
    else:
        for name, value in result.items():
            print(f"{name:>26} {value}")


if __name__ == "__main__":
    main()
