"""Scenarios and their truth as files: JSON Lines, plain or compressed by suffix (.gz, .zst)."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, cast

import zstandard

from loadgen.encode import with_record_ts
from loadgen.scenario import Scenario, Source

_BLOCK = 1 << 20


@contextmanager
def opened(path: str | Path) -> Iterator[IO[bytes]]:
    """A binary file to write to, compressed where the name ends in .gz or .zst; raises OSError as open does."""
    name = str(path)
    if name.endswith(".gz"):
        # mtime 0 and no name inside: equal scenarios give equal bytes
        with open(path, "wb") as raw, gzip.GzipFile("", "wb", compresslevel=5, fileobj=raw, mtime=0) as packed:
            yield cast(IO[bytes], packed)
    elif name.endswith(".zst"):
        with open(path, "wb") as raw, zstandard.ZstdCompressor(level=3).stream_writer(raw) as packed:
            yield packed
    else:
        with open(path, "wb") as raw:
            yield raw


def write_file(
    scenario: Source,
    path: str | Path,
    *,
    stop: Callable[[], bool] | None = None,
    on_progress: Callable[[int], None] | None = None,
) -> int:
    """Write a scenario's events to ``path`` in order of arrival, one JSON object a line, as fast as possible.

    A sensor whose clock is wrong has ``record_ts`` in its events, which is otherwise taken to be their own time.
    ``stop`` is asked now and then, ``on_progress`` gets the number of events so far. Returns the number of events.
    Raises ValueError for a scenario without end that nothing can stop, OSError where the file cannot be written.
    """
    if scenario.end_ms is None and stop is None:
        raise ValueError("a scenario without end needs seconds to be written to a file")
    written = 0
    with opened(path) as out:
        block = bytearray()
        for message in scenario.events():
            block += with_record_ts(message.value, message.arrival_ms) if message.skewed else message.value
            block += b"\n"
            written += 1
            if len(block) >= _BLOCK:
                out.write(block)
                block.clear()
                if on_progress is not None:
                    on_progress(written)
                if stop is not None and stop():
                    break
        out.write(block)
    if on_progress is not None:
        on_progress(written)
    return written


def write_truth(scenario: Scenario, path: str | Path) -> None:
    """Write what is true about the events read so far, as JSON Lines (compressed by suffix).

    One line per gate, direction and leaf window that had people, one per zone and 10 s, one per fault of a sensor:
    ``{"gate":"j1","direction":"ab","leaf":"10s","start_ms":1770148800000,"n":3}``
    ``{"zone":"c1","start_ms":1770148800000,"people":37,"mean":36.2,"speed":1.21}``
    ``{"sensor":"j4-02","kind":"silent","from_ms":1770163200000,"to_ms":1770164388000,"by":null,"direction":null}``
    and at the end one line ``{"totals":{"cross":…,"count":…,"heartbeat":…,"events":…,"people":…}}``.
    Raises OSError where the file cannot be written.
    """
    with opened(path) as out:
        for rows in (scenario.truth(), scenario.zones(), scenario.faults):
            for row in rows:
                out.write(json.dumps(row._asdict(), separators=(",", ":")).encode() + b"\n")
        out.write(json.dumps({"totals": scenario.totals()}, separators=(",", ":")).encode() + b"\n")


def write_registry(scenario: Source, path: str | Path) -> None:
    """Write the registry a scenario needs, as indented JSON. Raises OSError where the file cannot be written."""
    Path(path).write_text(json.dumps(scenario.registry, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
