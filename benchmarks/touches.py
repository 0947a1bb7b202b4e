"""Touches of signage on one core: decoded, beside a Python twin with orjson, dicts and sets over the same file.

    python -m benchmarks.touches [--events 2000000] [--repeats 3] [--json]

The events are those of `hitonami load signage`, sorted by arrival. The twin counts what is published (distinct
sessions by device, screen, language and 15 minutes; moves by hour) as one would write it, without faults, watermark or
pseudonyms; its counts and what is decoded must be the truth's. Every part runs in a process of its own, pinned to one
core, in turn; medians and spreads of the repeats, ratios of neighbours in time.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from benchmarks.services import ROOT, machine, spread, tell
from engine import kernels, registry
from engine.languages import LANGUAGES
from engine.model import JSON, NO_TIME, TOUCH, Payloads
from engine.touches import TouchChunks, new_names
from loadgen import Signage, write_file, write_registry, write_signage_truth

RATE = 2_000.0  # events a second of event time
QUARTER_MS, HOUR_MS = 900_000, 3_600_000
BATCH = 1 << 20  # bytes that are decoded at once, as the flow does


def twin(path: Path, document: Path) -> dict[str, Any]:
    """Counts by the loop that one would write."""
    devices = {device["id"] for device in json.loads(document.read_text())["devices"]}
    codes = set(LANGUAGES)
    first: dict[tuple[int, str, str, str], str] = {}
    moved: dict[tuple[int, str, str, str], set[str]] = {}
    events = 0
    begun = time.monotonic()
    with path.open("rb") as file:
        for line in file:
            event = orjson.loads(line)
            events += 1
            if event["type"] != "touch" or event["device"] not in devices:
                continue
            ts, device, session, screen = event["ts"], event["device"], event["session"], event["screen"]
            lang = event["lang"].replace("_", "-").partition("-")[0].lower()
            first.setdefault((ts // QUARTER_MS, device, screen, session), lang if lang in codes else "other")
            to = event.get("to")
            if to is not None:
                moved.setdefault((ts // HOUR_MS, device, screen, to), set()).add(session)
    touches = Counter((start, device, screen, lang) for (start, device, screen, _), lang in first.items())
    seconds = time.monotonic() - begun
    sessions, moves = touches.total(), sum(map(len, moved.values()))
    return {"seconds": seconds, "events": events, "sessions": sessions, "moves": moves, "cells": len(touches)}


def decode(path: Path, document: Path) -> dict[str, Any]:
    """Every event decoded and every session a pseudonym, chunk by chunk."""
    devices = kernels.active().Names([d["id"].encode() for d in json.loads(document.read_text())["devices"]])
    registry.load(document)
    data = np.fromfile(path, np.uint8)
    ends = np.flatnonzero(data == ord("\n"))
    starts = np.append(0, ends[:-1] + 1)
    stamps = np.full(len(ends), NO_TIME)
    chunks, events, accepted, touches = TouchChunks(new_names(), os.urandom(32)), 0, 0, 0
    begun = time.monotonic()
    for at in range(0, len(ends), 1 << 14):
        part = slice(at, at + (1 << 14))
        given, first = Payloads(data, starts[part], ends[part], stamps[part], starts[part]), 0
        while first < len(given):
            first, found = chunks.decode(given, devices, first, JSON)
            events += len(found)
            accepted += int((found.reason == 0).sum())
            touches += int((found.kind == TOUCH).sum())
    return {"seconds": time.monotonic() - begun, "events": events, "accepted": accepted, "touches": touches}


PARTS: dict[str, Callable[[Path, Path], dict[str, Any]]] = {"decode": decode, "twin": twin}


def pinned(part: str, path: Path, document: Path) -> dict[str, Any]:
    """One part in a process of its own on one core."""
    command = [sys.executable, "-m", "benchmarks.touches", "--part", part, str(path), str(document)]
    core = min(os.sched_getaffinity(0))
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, preexec_fn=lambda: os.sched_setaffinity(0, {core})
    )
    if done.returncode:
        raise SystemExit(f"{part} ended with {done.returncode}: {done.stderr[-300:]}")
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def expected(truth: Path) -> dict[str, int]:
    """What the truth says, added up."""
    *rows, last = map(json.loads, truth.read_text().splitlines())
    touches, moves = ([row["n"] for row in rows if row["window"] == window] for window in ("15m", "1h"))
    totals = last["totals"]
    told = {"events": totals["events"], "accepted": totals["accepted"], "touches": totals["touches"]}
    return {**told, "sessions": sum(touches), "moves": sum(moves), "cells": len(touches)}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=2_000_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--part", nargs=3, metavar=("PART", "FILE", "REGISTRY"), help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.part:
        part, path, document = chosen.part
        print(json.dumps(PARTS[part](Path(path), Path(document))))
        return
    rates: dict[str, list[float]] = {part: [] for part in PARTS}
    with tempfile.TemporaryDirectory() as folder:
        path, document, truth = (Path(folder, name) for name in ("touches.jsonl", "registry.json", "truth.jsonl"))
        load = Signage(seconds=chosen.events / RATE, rate=RATE)
        write_file(load, path)
        write_registry(load, document)
        write_signage_truth(load, truth)
        true = expected(truth)
        for _ in range(chosen.repeats):
            for part, measured in rates.items():
                told = pinned(part, path, document)
                seconds = told.pop("seconds")
                if wrong := {name: n for name, n in told.items() if n != true[name]}:
                    raise SystemExit(f"{part} tells {wrong}, true is {true}")
                measured.append(true["events"] / seconds)
    result: dict[str, object] = {**machine(), "events": true["events"], "repeats": chosen.repeats}
    for part, measured in rates.items():
        result[f"{part}_events_per_s"] = spread(measured, 0)
    for part in rates.keys() - {"twin"}:
        result[f"{part}_to_twin"] = spread((a / b for a, b in zip(rates[part], rates["twin"], strict=True)), 2)
    tell(result, chosen.json)


if __name__ == "__main__":
    main()
