"""Logs to replay: each is one partition, read in its order, without a Python object per message."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from engine.errors import BadInput, UsageError
from engine.model import JSON, NO_TIME, Payloads
from flows.dump import DumpReader
from flows.external_sort import SortedLines, Stamps, is_sorted, sort_lines
from flows.files import PARQUET, LineReader, open_raw, sniff

ORDERS = ("ts", "log")

Progress = Callable[[str, float], None]


class Log(Protocol):
    """One partition's messages in log order.

    ``name`` is the file, for messages; ``partition`` counts up from 0 over all logs of a replay;
    ``source_partition`` is Kafka's number in a dump, 0 in other files. ``since`` is W before the first message:
    NO_TIME but for a partition that was added to its topic later (flows/joins.py). ``wire``: what its messages may be;
    None: what those of its topic may be.
    """

    name: str
    partition: int
    source_partition: int
    topic: str
    since: int
    wire: int | None

    def read(self, max_bytes: int) -> Payloads | None:
        """The next messages of at most ``max_bytes`` together (at least one); None at the end.

        What is returned stays valid. The messages do not depend on ``max_bytes``. Raises BadInput for a file that
        is damaged or cannot be read.
        """
        ...

    def fraction(self) -> float:
        """How far it has been read, 0 to 1."""
        ...

    def close(self) -> None:
        """Release file and temporary space; a second call does nothing."""
        ...


class FileLog:
    """A JSON Lines file as a log."""

    def __init__(self, name: str, partition: int, lines: LineReader | SortedLines, topic: str) -> None:
        self.name = name
        self.partition = partition
        self.source_partition = 0
        self.topic = topic
        self.since = NO_TIME
        self.wire: int | None = JSON
        self._lines = lines

    def read(self, max_bytes: int) -> Payloads | None:
        """See Log."""
        return self._lines.read(max_bytes)

    def fraction(self) -> float:
        """See Log."""
        return self._lines.fraction()

    def close(self) -> None:
        """See Log."""
        self._lines.close()


def open_logs(
    paths: list[Path],
    order: str | None,
    stamps: Stamps,
    workdir: Path,
    progress: Progress | None,
    topic: str = "people",
) -> list[Log]:
    """Open files as logs: JSON Lines (plain, gzip, zstd) as one each, a dump as one per partition.

    ``order`` is that of JSON Lines: "ts" (also None) sorts each file by record time where it is not sorted, in
    temporary space in ``workdir``; "log" keeps the file's order. Dumps always keep their log's order. ``stamps``
    tells the times of their records; ``topic`` is theirs, for they do not tell it; ``progress`` hears (what is being
    done, 0 to 1) before this returns.
    Raises UsageError for another order, "ts" asked for with a dump, a file given twice; BadInput for a missing,
    unreadable or damaged file; HitonamiError where the temporary space does not suffice.
    """
    if order is not None and order not in ORDERS:
        raise UsageError(f"--order must be one of {', '.join(ORDERS)}")
    kinds = _kinds(paths)
    if order == "ts" and PARQUET in kinds:
        raise UsageError(f"--order ts is for JSON Lines; {paths[kinds.index(PARQUET)]} is a dump and keeps its order")
    logs: list[Log] = []
    try:
        for path, kind in zip(paths, kinds, strict=True):
            if kind == PARQUET:
                reader = DumpReader(path)
                for source in reader.partitions:
                    logs.append(reader.log(source, len(logs)))
            else:
                reader_or_sorted = _open_lines(path, kind, order != "log", stamps, workdir, progress)
                logs.append(FileLog(str(path), len(logs), reader_or_sorted, topic))
    except BaseException:
        for log in logs:
            log.close()
        raise
    return logs


def _kinds(paths: list[Path]) -> list[str]:
    """What each file is. All are looked at first: a wrong name must not be found out after an hour of sorting."""
    kinds = []
    seen = set()
    for path in paths:
        with open_raw(path) as raw:
            status = os.fstat(raw.fileno())
            if (status.st_dev, status.st_ino) in seen:
                raise UsageError(f"{path}: is given twice")
            seen.add((status.st_dev, status.st_ino))
            try:
                kinds.append(sniff(raw.read(4) or b""))
            except OSError as error:
                raise BadInput(f"{path}: cannot be read ({error.strerror})") from None
    return kinds


def _open_lines(
    path: Path, kind: str, by_time: bool, stamps: Stamps, workdir: Path, progress: Progress | None
) -> LineReader | SortedLines:
    """The lines of a file, in record time order where asked for."""
    reader = LineReader(path, kind)
    try:
        if not by_time:
            return reader

        def report(what: str) -> Callable[[float], None]:
            return (lambda share: None) if progress is None else (lambda share: progress(f"{what} {path.name}", share))

        found = is_sorted(reader, stamps, report("checking the order of"))
        reader.rewind()
        if found:
            return reader
        lines = sort_lines(reader, stamps, workdir, report("sorting"))
    except BaseException:
        reader.close()
        raise
    reader.close()
    return lines


def topic_of(path: Path) -> str:
    """The topic that a file says its records are of: a dump's; JSON Lines say none (""). Raises BadInput as above."""
    with open_raw(path) as raw:
        kind = sniff(raw.read(4) or b"")
    return DumpReader(path).topic if kind == PARQUET else ""
