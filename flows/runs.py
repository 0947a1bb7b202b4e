"""What the command line starts: a replay of files, a replay or a dump of a topic (a live run: flows/live.py)."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from engine.book import Book
from engine.config import Config
from engine.errors import HitonamiError, UsageError
from engine.follow import Follow
from engine.model import END, NO_TIME, REASONS
from engine.registry import Registry, parse
from engine.rejects import named
from engine.tables import Tables, longest_delay_ms
from flows import guard
from flows.dump import DumpWriter
from flows.joins import find_joins
from flows.kafka import Cluster
from flows.keeper import Maker
from flows.logs import open_logs
from flows.people import execute
from flows.reader import SafeReader, stamps
from flows.retry import retried
from flows.source import FileSource, KafkaSource, Parts
from flows.store_sink import RunRow, Span, StoreSink
from flows.streams import stream_of
from sinks.clickhouse.runs import Run
from sinks.clickhouse.store import Store
from sinks.deadletter import DeadLetters

DUMP_BEFORE_MS, DUMP_BEHIND_MS = 86_400_000, 3_600_000  # of record time around the span of a dump
_REPLAY_SHARDS = 1  # one process, nothing to hand over; the rows do not depend on it


@dataclass(frozen=True)
class Setup:
    """What all kinds of run need.

    ``past_ms``: of a live run that will not be resumed, windows that begin before it are stored many in one insert, as
    a replay's are: what such a run has to catch up with takes seconds then, not minutes. ``shards``: of a live run,
    where it is not what its gates ask for. ``events``: the stream it is a run of (flows/streams.py). ``consents``:
    where their topic is; None: in the cluster of the events.
    """

    store: Store
    registry: Registry
    config: Config
    run_id: str
    code_version: str
    letters: DeadLetters | None = None
    past_ms: int = NO_TIME
    shards: int | None = None
    events: str = "people"
    consents: Cluster | None = None


@dataclass(frozen=True)
class Summary:
    """What a replay or a stopped run tells on the terminal: exact counters (PRIVACY.md R6)."""

    run_id: str
    read: int
    accepted: int
    rejected: Mapping[str, int]
    first_ms: int | None
    last_ms: int | None
    seconds: float
    finished: bool


def replay_files(
    setup: Setup,
    paths: list[Path],
    order: str | None,
    *,
    from_ms: int = NO_TIME,
    to_ms: int = END,
    progress: Callable[[str, float], None] | None = None,
) -> Summary:
    """Replay JSON Lines and dumps into the store. Raises UsageError for a run id that exists."""
    begun = time.monotonic()
    _free(setup)
    book = book_of(setup)
    stream = stream_of(setup.events)
    opened = stream.open(setup, None, None)
    work = Path(tempfile.mkdtemp(prefix="hitonami-"))
    try:
        stamps = stream.stamps(book.tables(book.start))
        logs = open_logs(paths, order, stamps, work, progress, setup.events)
        parts = _parts(setup, book, logs[0].topic if logs else setup.events, opened.make)
        tell = progress or (lambda _what, _share: None)
        source = FileSource(parts, logs, lambda share: tell("replay", share), opened.holds)
        return _replay(setup, parts, source, len(logs), from_ms, to_ms, begun)
    finally:
        opened.close()
        shutil.rmtree(work, ignore_errors=True)


def replay_kafka(setup: Setup, cluster: Cluster, *, from_ms: int = NO_TIME, to_ms: int = END) -> Summary:
    """Replay a topic from its first message to what is its end now, or until W has passed ``to_ms``.

    The log is read from its beginning whatever ``from_ms`` is: the chains must stand as they stood live.
    """
    begun = time.monotonic()
    _free(setup)
    partitions, topic_id = cluster.partitions(), cluster.topic_id()
    ends = [high if high > low else 0 for low, high in cluster.ends(partitions)]
    book = book_of(setup)
    tables = book.tables(book.start)
    opened = stream_of(setup.events).open(setup, cluster, None)
    parts = _parts(setup, book, cluster.topic, opened.make)
    last = END if to_ms == END else to_ms + longest_delay_ms(tables)
    since = find_joins(cluster, partitions)
    source = KafkaSource(
        parts,
        cluster,
        partitions,
        topic_id=topic_id,
        tick_ms=setup.config["time", "tick_ms"],
        ends=ends,
        to_ms=last,
        since=since,
        crowded=opened.holds,
    )
    try:
        return _replay(setup, parts, source, partitions, from_ms, to_ms, begun)
    finally:
        source.close()
        opened.close()


def _parts(setup: Setup, book: Book, topic: str, make: Maker) -> Parts:
    wire = setup.config.wire(setup.events)
    return Parts(book, setup.config["time", "bound_ms"], _REPLAY_SHARDS, setup.letters, topic, wire, make)


def _replay(
    setup: Setup,
    parts: Parts,
    source: FileSource | KafkaSource,
    partitions: int,
    from_ms: int,
    to_ms: int,
    begun: float,
) -> Summary:
    tables = parts.book.tables(parts.book.start)
    # a workbench run until it has ended: only then is it known whose people these are
    stream = stream_of(setup.events)
    row = row_of(setup, new_run(setup, tables, "workbench"), parts.book)
    setup.store.start_run(row.run)
    span = None if from_ms == NO_TIME and to_ms == END else Span(tables.zone_clock, from_ms, to_ms)
    sink = StoreSink(setup.store, row, stream.keys(parts.shards), bulk=True, span=span)

    def failed() -> None:
        with contextlib.suppress(Exception):  # not judged: it stays a workbench run
            _judge(setup, row, summary_of(setup, parts, begun, finished=False))
        row.end("failed")

    if partitions:
        with guard.on_failure(failed):
            execute(stream.dataflow(source, sink, parts, partitions, setup.config), None)
            sink.settle()  # of a replay that was stopped
    summary = summary_of(setup, parts, begun, finished=not guard.stop.is_set())
    state = "finished" if summary.finished else "stopped"
    _judge(setup, row, summary)
    row.end(state)
    if row.run.kind == "replay":  # once more: what began meanwhile could not see this run as a replay
        _judge(setup, row, summary)
        if row.run.kind != "replay":
            row.end(state)
    return summary


def _judge(setup: Setup, row: RunRow, summary: Summary) -> None:
    """Class of a replay that has ended: a second release of the same people is a workbench run (PRIVACY.md R5).

    With other settings, and with the same settings from another start of the log: then the chains are cut elsewhere,
    and two cuts of the same people subtract. One that was stopped or failed is judged the same way, its rows are out:
    with the same settings and start they are a part of the same release, for each follows from the log before it. What
    hangs on consents is another release whatever its settings are: less who withdrew meanwhile, it would tell of them.
    """
    first = NO_TIME if summary.first_ms is None else summary.first_ms  # rejects alone may be of any time
    last = END if summary.last_ms is None else summary.last_ms
    others = setup.store.overlapping_runs(row.run.leaves, first, last)
    mine = (row.run.config_hash, row.run.registry_hash, row.run.first_ms)
    second = any(
        o.run_id != row.run.run_id and (o.decided_once or (o.config_hash, o.registry_hash, o.first_ms) != mine)
        for o in others
    )
    row.run = replace(row.run, kind="workbench" if second else "replay")


def dump_topic(
    cluster: Cluster,
    output: Path,
    *,
    from_ms: int = NO_TIME,
    to_ms: int = END,
    progress: Callable[[str, float], None] | None = None,
) -> int:
    """Write a topic's records, up to what is its end now, to a Parquet file; returns how many.

    With ``from_ms`` those from a day before on, with ``to_ms`` those up to an hour behind, by their record timestamps
    (docs/adr/0011): what a replay needs to close the windows between, not what the chains held before. Raises
    HitonamiError where the stop flag was set before the end: then there is no new file.
    """
    partitions = cluster.partitions()
    bounds = cluster.ends(partitions)
    if from_ms != NO_TIME:
        starts = cluster.offsets_at(partitions, max(0, from_ms - DUMP_BEFORE_MS))
        bounds = [(max(low, start), high) for (low, high), start in zip(bounds, starts, strict=True)]
    if to_ms != END:
        stops = cluster.offsets_at(partitions, max(0, to_ms + DUMP_BEHIND_MS))
        bounds = [(low, min(high, stop)) for (low, high), stop in zip(bounds, stops, strict=True)]
    reader = SafeReader(cluster)  # it has the keys
    written, total = 0, sum(max(0, high - low) for low, high in bounds)
    for number, (low, _) in enumerate(bounds):
        reader.register(number, low)
    try:
        with DumpWriter(output, cluster.topic) as writer:
            open_parts = {p for p, (low, high) in enumerate(bounds) if high > low}
            while open_parts and not guard.stop.is_set():
                idle = True
                for number in sorted(open_parts):
                    taken = reader.messages(number, 4 << 20)
                    end = bounds[number][1]
                    if not taken:
                        if reader.is_over(number, end):
                            open_parts.discard(number)
                        continue
                    idle = False
                    messages = [m for m in taken if int(m.offset() or 0) < end]
                    if messages:
                        writer.add(
                            number,
                            [int(m.offset() or 0) for m in messages],
                            stamps(messages),
                            [m.key() for m in messages],
                            [m.value() for m in messages],
                        )
                        written += len(messages)
                    if int(taken[-1].offset() or 0) >= end - 1:
                        open_parts.discard(number)
                    if progress is not None:
                        progress("dump", written / max(total, 1))
                if idle:
                    time.sleep(0.01)
            if open_parts:  # here, so that the writer throws away what it has
                raise HitonamiError("dump: stopped before the end; nothing was written")
    finally:
        reader.close()
    return written


def _free(setup: Setup) -> None:
    if setup.store.run(setup.run_id) is not None:
        raise UsageError(f"run {setup.run_id} exists in the store: take another id, or drop it")


def book_of(setup: Setup) -> Book:
    """Versions met in the log go into the store before any row that names them; other processes find them there."""

    def keep(version: Registry) -> None:
        retried(lambda: setup.store.put_registry(version.version, version.hash, version.text))

    def find(of: str) -> Registry | None:
        text = setup.store.registry(of)
        return None if text is None else parse(text.encode())

    follow = Follow(int(setup.config["points", "track_ms"]), int(setup.config["beams", "pair_ms"]))
    return Book(setup.registry, keep, find, follow)


def new_run(setup: Setup, tables: Tables, kind: str) -> Run:
    """The row of a run that begins now; its registry is kept in the store."""
    now = int(time.time() * 1000)
    setup.store.put_registry(setup.registry.version, setup.registry.hash, setup.registry.text)
    return Run(
        run_id=setup.run_id,
        kind=kind,
        config=setup.config.without_secrets(),
        config_hash=setup.config.hash(),
        registry_version=setup.registry.version,
        registry_hash=setup.registry.hash,
        code_version=setup.code_version,
        timezone=setup.registry.timezone,
        started_ms=now,
        updated_ms=now,
        **stream_of(setup.events).places(tables),
    )


def row_of(setup: Setup, run: Run, book: Book) -> RunRow:
    """The run's row in the store, kept up to date."""
    return RunRow(setup.store, run, book, stream_of(setup.events).places)


def summary_of(setup: Setup, parts: Parts, begun: float, *, finished: bool) -> Summary:
    """What the partitions of a run have counted since its beginning."""
    rejected = sum((p.rejected for p in parts.all.values()), np.zeros(len(REASONS), np.int64))
    first = min((p.first_ms for p in parts.all.values()), default=END)
    last = max((p.last_ms for p in parts.all.values()), default=NO_TIME)
    return Summary(
        setup.run_id,
        sum(p.read for p in parts.all.values()),
        sum(p.accepted for p in parts.all.values()),
        named(rejected),
        first if first != END else None,
        last if last != NO_TIME else None,
        time.monotonic() - begun,
        finished,
    )
