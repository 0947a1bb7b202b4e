"""Touches of signage on one core, beside a Python twin with orjson, dicts and sets over the same file.

    python -m benchmarks.touches [--events 2000000] [--repeats 3] [--json]

The events are those of `hitonami load signage`, in order of arrival; sessions touch a screen every 4 s. Events a second
of: ``decode``, sessions made pseudonyms; ``partition``, decode and all that is judged and kept of open windows;
``replay`` of the file into the embedded store, and ``kafka``, replay of a topic of as many partitions as cores, the
start of the command left out (``start_s``). The twin counts what is published (distinct sessions by device, screen,
language and 15 minutes; moves by hour) as one would write it, without faults, watermark, pseudonyms or store. What
each of them counts must be the truth's: replays publish all, by k = 1 and guard = 0. Every part runs in a process of
its own, pinned to one core, in turn; medians and spreads of the repeats, ratios of neighbours in time.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
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

from benchmarks.services import HITONAMI, ROOT, machine, spread, tell
from engine import kernels, registry
from engine.book import Book
from engine.languages import LANGUAGES
from engine.model import JSON, NO_TIME, TOUCH, Payloads
from engine.signage import SignagePartition
from engine.touches import TouchChunks, new_names
from loadgen import Signage, produce, write_file, write_registry, write_signage_truth
from sinks.clickhouse.store import Store
from tests.realservices.kafka import Kafka

RATE = 2_000.0  # events a second of event time
QUARTER_MS, HOUR_MS = 900_000, 3_600_000
LINES = 1 << 14  # given to a partition at once
EXACT = "".join(f"[{product}]\nk = 1\nguard = 0\n" for product in ("touches", "screens"))


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


def lines_of(path: Path) -> list[Payloads]:
    """The lines of a file, some thousand at a time."""
    data = np.fromfile(path, np.uint8)
    ends = np.flatnonzero(data == ord("\n"))
    starts, stamps = np.append(0, ends[:-1] + 1), np.full(len(ends), NO_TIME)
    parts = [slice(at, at + LINES) for at in range(0, len(ends), LINES)]
    return [Payloads(data, starts[part], ends[part], stamps[part], starts[part]) for part in parts]


def decode(path: Path, document: Path) -> dict[str, Any]:
    """Every event decoded and every session a pseudonym, chunk by chunk."""
    devices = kernels.active().Names([d["id"].encode() for d in json.loads(document.read_text())["devices"]])
    chunks, events, accepted, touches = TouchChunks(new_names(), os.urandom(32)), 0, 0, 0
    given_all = lines_of(path)
    begun = time.monotonic()
    for given in given_all:
        first = 0
        while first < len(given):
            first, found = chunks.decode(given, devices, first, JSON)
            events += len(found)
            accepted += int((found.reason == 0).sum())
            touches += int((found.kind == TOUCH).sum())
    return {"seconds": time.monotonic() - begun, "events": events, "accepted": accepted, "touches": touches}


def partition(path: Path, document: Path) -> dict[str, Any]:
    """One partition reads them all and tells what has closed."""
    book = Book(registry.load(document))
    reads = SignagePartition(0, book, 5_000, 1, wire=JSON, key=os.urandom(32))
    given_all = lines_of(path)
    begun = time.monotonic()
    for given in given_all:
        reads.feed(given)
        reads.partials()
    reads.finish()
    reads.partials()
    return {"seconds": time.monotonic() - begun, "events": reads.read, "accepted": reads.accepted}


PARTS: dict[str, Callable[[Path, Path], dict[str, Any]]] = {"decode": decode, "partition": partition, "twin": twin}


def on_one_core(command: list[str]) -> tuple[str, float, float]:
    """What a command prints, its wall and CPU seconds; ends this where it fails."""
    core, before, begun = min(os.sched_getaffinity(0)), _children_s(), time.monotonic()
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, preexec_fn=lambda: os.sched_setaffinity(0, {core})
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(command[2:5])} ended with {done.returncode}: {done.stderr[-300:]}")
    return done.stdout, time.monotonic() - begun, _children_s() - before


def _children_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def pinned(part: str, path: Path, document: Path) -> dict[str, Any]:
    """One part in a process of its own."""
    words = ["-m", "benchmarks.touches", "--part", part, str(path), str(document)]
    told: dict[str, Any] = json.loads(on_one_core([sys.executable, *words])[0])
    return told


class Replays:
    """Replays into the embedded store, one after the other."""

    def __init__(self, work: Path, document: Path) -> None:
        self._work, self._number = work, 0
        config = work / "exact.toml"
        config.write_text(EXACT)
        self._more = ["--events", "signage", "--registry", str(document), "--config", str(config), "--run-id", "a"]

    def __call__(self, words: list[str]) -> dict[str, Any]:
        """Seconds, wall and CPU, and what was published of it."""
        self._number += 1
        store = f"chdb://{self._work}/store{self._number}"
        printed, seconds, cpu_s = on_one_core([*HITONAMI, "replay", *words, "--store", store, *self._more])
        summary = json.loads(printed.splitlines()[-1])
        with Store.open(store) as opened:
            touches = opened.rows("touches", "a").to_pydict()
            moves = sum(opened.rows("screens", "a").to_pydict()["n"])
        cells = [n for n, lang in zip(touches["n"], touches["lang"], strict=True) if lang]
        counts = {"events": summary["read"], "accepted": summary["accepted"]}
        counted = {**counts, "sessions": sum(cells), "moves": moves, "cells": len(cells)}
        return {"seconds": seconds, "cpu_s": cpu_s, **counted}


def checked(name: str, told: dict[str, Any], true: dict[str, int]) -> dict[str, Any]:
    """What was told, where it is the truth; ends this where it is not."""
    wrong = {what: n for what, n in told.items() if what in true and n != true[what]}
    if wrong:
        raise SystemExit(f"{name} tells {wrong}, true is {true}")
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
    rates: dict[str, list[float]] = {part: [] for part in (*PARTS, "replay", "kafka")}
    starts: list[float] = []
    cpu: dict[str, list[float]] = {"replay": [], "kafka": []}
    with tempfile.TemporaryDirectory() as folder, Kafka(Path(folder) / "kafka") as kafka:
        work = Path(folder)
        path, few, document, truth = (
            work / name for name in ("all.jsonl", "few.jsonl", "registry.json", "truth.jsonl")
        )
        load, short = (Signage(seconds=seconds, rate=RATE) for seconds in (chosen.events / RATE, 1))
        write_file(load, path)
        write_file(short, few)
        write_registry(load, document)
        write_signage_truth(load, truth)
        true = expected(truth)
        again, cores = Signage(seconds=chosen.events / RATE, rate=RATE), len(os.sched_getaffinity(0))
        produce(again, kafka.bootstrap, "signage", partitions=cores, paced=False)
        replay = Replays(work, document)
        ways = {"replay": [str(path), "--order", "log"], "kafka": ["--kafka", kafka.bootstrap, "--topic", "signage"]}
        for _ in range(chosen.repeats):
            starts.append(replay([str(few), "--order", "log"])["seconds"])
            for part in PARTS:
                rates[part].append(true["events"] / checked(part, pinned(part, path, document), true)["seconds"])
            for way, words in ways.items():
                told = checked(way, replay(words), true)
                rates[way].append(true["events"] / max(told["seconds"] - starts[-1], 1e-3))
                cpu[way].append(told["cpu_s"] / true["events"] * 1e6)
    result: dict[str, object] = {
        **machine(),
        "events": chosen.events,
        "sent": true["events"],
        "repeats": chosen.repeats,
    }
    for part, measured in rates.items():
        result[f"{part}_events_per_s"] = spread(measured, 0)
    for way, used in cpu.items():
        result[f"{way}_cpu_us"] = spread(used)  # its start among it
    result["start_s"] = spread(starts)
    for part in [part for part in rates if part != "twin"]:
        result[f"{part}_to_twin"] = spread((a / b for a, b in zip(rates[part], rates["twin"], strict=True)), 2)
    tell(result, chosen.json)


if __name__ == "__main__":
    main()
