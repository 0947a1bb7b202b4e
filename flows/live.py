"""A live run: what is checked and made ready before its processes start, and a run of one process.

Several processes, and the restarts of a crashed one, are flows/cluster.py's.
"""

from __future__ import annotations

import os
import pickle
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from bytewax.dataflow import Dataflow
from bytewax.recovery import RecoveryConfig

from engine import units
from engine.book import Book, records_of
from engine.errors import BadInput, UsageError
from engine.model import CELL_MS, DAY, END, NO_TIME, WINDOWS
from engine.registry import parse
from engine.timezone import TimeZone
from flows.calls import Calls
from flows.guard import tell
from flows.health import forget, health
from flows.joins import find_joins, search, write_joins
from flows.kafka import Cluster
from flows.keeper import Maker
from flows.people import execute
from flows.recovery import check_writable, holds_state, lock, open_recovery, remembered, resume_epoch, states
from flows.runs import Setup, Summary, book_of, new_run, row_of, summary_of
from flows.source import KafkaSource, Parts
from flows.store_sink import RunRow, StoreSink
from flows.streams import PEOPLE, stream_of
from sinks.clickhouse.runs import Run, overlapping
from sinks.webhook import Webhook


@dataclass(frozen=True)
class Prepared:
    """What a start of a live run goes on from. ``starts``: offset of partitions without state (else the beginning)."""

    row: RunRow
    recovery: RecoveryConfig
    partitions: int
    topic_id: str
    starts: Mapping[int, int]
    since: Mapping[int, int]  # W of partitions that have joined later


def prepare(setup: Setup, cluster: Cluster, recovery: Path, start: str) -> Prepared:
    """Check that store, recovery directory and options belong together; drop what was never committed.

    ``start``: "stored" (else from the beginning), "earliest", "latest". Raises UsageError when the store knows the
    run and ``recovery`` does not, or the other way round, or where ``check_alone`` does. The caller holds the
    directory's lock.
    """
    book = book_of(setup)
    partitions = cluster.partitions()
    owner = {
        "run id": setup.run_id,
        "configuration": setup.config.hash(),
        "registry": setup.registry.hash,
        "topic": cluster.topic,
        "number of shards": str(shards_of(setup)),
    }
    stream = stream_of(setup.events)
    if stream is not PEOPLE:  # directories of runs of people do not say so
        owner["stream"] = stream.name
    topic_id = cluster.topic_id()
    known = setup.store.run(setup.run_id)
    if known is not None and not holds_state(recovery):
        raise UsageError(f"run {setup.run_id} is in the store, but {recovery} holds no state of it: take another id")
    config, resumes = open_recovery(recovery, owner)
    forget(recovery)
    # without a committed epoch it may be a start that was killed before the run was in the store
    if resumes and known is None and resume_epoch(recovery) > 1:
        raise UsageError(f"{recovery} holds the state of run {setup.run_id}, which this store does not know")
    if resumes and start != "stored" and known is not None:
        raise UsageError(f"{recovery} holds the state of run {setup.run_id}: --start {start} would count twice")
    if remembered(recovery, "topic id", topic_id) != topic_id:
        raise cluster.made_anew()
    cluster.check_offsets({int(key): pickle.loads(state)[0] for key, state in states(recovery, stream.logs).items()})
    try:
        stream.begin(setup, recovery)
    except BadInput:
        if known is not None and known.state == "running":  # it has not ended in order, and may be unable to go on
            end_run(setup, row_of(setup, known, book), recovery, "failed")
        raise
    run = new_run(setup, book.tables(book.start), "live") if known is None else known
    since_ms = check_alone(setup, run, is_new=known is None, start=start)
    row = row_of(setup, replace(run, state="running"), book)
    setup.store.start_run(row.run)
    try:
        check_alone(setup, run, is_new=known is None, start=start)  # of two that start at once, neither saw the other
    except UsageError:
        row.end("failed" if known is None else known.state)
        raise
    # as numbers: a process that starts again before its first epoch is committed must find the same place
    starts = {p: high for p, (_, high) in enumerate(cluster.ends(partitions))} if start == "latest" else {}
    since = joined(setup, cluster, recovery, partitions)
    if since_ms != NO_TIME:
        since = {p: max(since_ms, since.get(p, NO_TIME)) for p in range(partitions)}
    return Prepared(row, config, partitions, topic_id, starts, since)


def check_alone(setup: Setup, run: Run, *, is_new: bool, start: str) -> int:
    """Raise UsageError where ``run`` is of consenting people, and another live run has told of a day it will tell of.

    Both are shown, and two releases of the same people subtract (PRIVACY.md R5). Of a run that is not new only what
    it has still to close counts; one that ``start``s at the end of its topic tells of nothing before now. A run that
    did not end in order says that it runs, for it may.

    Returns W at which ``run`` begins where others have told before it (else NO_TIME): what comes late is not told of
    once more. That is where the last of them ended, or the day on which the run began: replays of days between stay.
    """
    if not run.decided_once:
        return NO_TIME
    since = run.closed_ms
    if since == NO_TIME and (start == "latest" or not is_new):
        since = run.started_ms
    # a run's end is that of its last day, and `overlapping` counts in cells: who begins there follows
    behind = since if since == NO_TIME else since + CELL_MS
    told_ms = NO_TIME
    for other in setup.store.overlapping_runs(run.leaves, NO_TIME, END):
        if other.kind != "live" or not other.decided_once or other.run_id == run.run_id:
            continue
        if overlapping([other], run.leaves, behind, END):
            raise UsageError(f"run {other.run_id} is live and tells of the same consenting people: one run has a day")
        told_ms = max(told_ms, NO_TIME if other.last_ms is None else other.last_ms)
    day_ms = int(TimeZone(run.timezone).floor(np.array([run.started_ms], np.int64), DAY)[0])
    return NO_TIME if told_ms == NO_TIME else max(told_ms, day_ms)


def joined(setup: Setup, cluster: Cluster, recovery: Path, partitions: int) -> dict[int, int]:
    """W at which those partitions begin that this run has no state of; the new ones among them join now.

    Raises BadInput where a partition has joined earlier, for another run, and before windows that this one has closed.
    """
    stream = stream_of(setup.events)
    known = {int(key) for key in states(recovery, stream.logs)}
    if not known:  # this run begins: what has joined by now it knows as every replay does
        return find_joins(cluster, partitions)
    new = [partition for partition in range(partitions) if partition not in known]
    if not new:
        return {}
    told = [stream.closed(state) for state in states(recovery, stream.closed_step).values()]
    closed = max(told, default=NO_TIME)
    found = search(cluster, new)
    behind = [partition for partition, since in found.items() if since < closed]
    if behind:
        raise BadInput(f"partition {behind[0]} joined before this run went on without it: take another run id")
    write = [partition for partition in new if partition not in found]
    if write and closed != NO_TIME:
        # rows of an epoch that was not committed may be stored: the run has closed their windows all the same
        since = max(closed, _stored_until(setup))
        write_joins(cluster, write, since, _newest_version(setup))
        found |= dict.fromkeys(write, since)
    return found


def _newest_version(setup: Setup) -> list[bytes]:
    """Records of the newest registry version the run has met in its log; none where it is still the first."""
    run = setup.store.run(setup.run_id)
    text = setup.store.registry(run.versions[-1]) if run is not None and run.versions else None
    return [] if text is None else records_of(parse(text.encode()))


def _stored_until(setup: Setup) -> int:
    """W that the newest stored rows of the run need."""
    clock, run = TimeZone(setup.registry.timezone), setup.store.run(setup.run_id)
    ends = [
        int(clock.next(np.array([start], np.int64), WINDOWS.index(window))[0])
        for window, start in setup.store.newest_windows(setup.run_id).items()
    ]
    return units.line(max(ends) + run.gate_delay_ms) if ends and run is not None else NO_TIME


def live_flow(
    setup: Setup,
    cluster: Cluster,
    row: RunRow,
    partitions: int,
    topic_id: str,
    starts: Mapping[int, int],
    since: Mapping[int, int],
    recovery: Path,
    on_start: Callable[[], None] | None,
) -> tuple[Dataflow, Callable[[], None], Parts]:
    """The flow of one process of a live run, what closes it, and the partitions it holds."""
    stream = stream_of(setup.events)
    opened = stream.open(setup, cluster, recovery)
    parts = empty_parts(setup, cluster, row.book, opened.make)
    tick_ms = setup.config["time", "tick_ms"]
    keys = stream.keys(parts.shards)
    url = setup.config["alerts", "webhook"]
    calls = None
    if url:
        webhook = Webhook(url, setup.run_id, tell)
        health.posts(webhook)
        calls = Calls(setup.store, setup.run_id, webhook)
    sink = StoreSink(setup.store, row, keys, bulk=False, span=None, calls=calls, past_ms=setup.past_ms)
    source = KafkaSource(
        parts,
        cluster,
        partitions,
        topic_id=topic_id,
        tick_ms=tick_ms,
        starts=starts,
        since=since,
        crowded=lambda: opened.holds() or sink.crowded(),  # the one must be asked all the time
        on_start=on_start,
    )

    def close() -> None:
        source.close()
        sink.close()
        opened.close()

    return stream.dataflow(source, sink, parts, partitions, setup.config), close, parts


def run_live(
    setup: Setup, cluster: Cluster, recovery: Path, start: str, *, on_start: Callable[[], None] | None = None
) -> Summary:
    """Run in this process until SIGTERM or SIGINT; goes on from ``recovery`` where that holds this run's state."""
    begun = time.monotonic()
    held = lock(recovery)
    try:
        ready = prepare(setup, cluster, recovery, start)
        health.begin(tick_ms=setup.config["time", "tick_ms"], exact=setup.config["status", "exact"])
        health.stored(ready.row.run)
        flow, close, parts = live_flow(
            setup, cluster, ready.row, ready.partitions, ready.topic_id, ready.starts, ready.since, recovery, None
        )
        if on_start is not None:
            on_start()
        try:
            with health.told_in(recovery):
                execute(flow, ready.recovery)
        except Exception:  # our own failures have ended the process already: this is Bytewax about its recovery
            check_writable(recovery)
            raise
        finally:
            close()
        end_run(setup, ready.row, recovery, "stopped")
        return summary_of(setup, parts, begun, finished=False)
    finally:
        os.close(held)


def end_run(setup: Setup, row: RunRow, recovery: Path, state: str) -> None:
    """Store that the run has ended as ``state``, and how far it came: its last epoch is told by nobody else."""
    stream = stream_of(setup.events)
    for told in states(recovery, stream.advance_step).values():
        row.put(stream.advance(told))
    row.end(state)


def stored_summary(setup: Setup, cluster: Cluster, recovery: Path, begun: float) -> Summary:
    """The summary of a run whose processes have ended, from the state the next start goes on from."""
    stream = stream_of(setup.events)
    opened = stream.open(setup, cluster, recovery)
    try:
        parts = empty_parts(setup, cluster, book_of(setup), opened.make)
        for key, state in states(recovery, stream.logs).items():
            parts.build(int(key), pickle.loads(state)[1])
        return summary_of(setup, parts, begun, finished=False)
    finally:
        opened.close()


def shards_of(setup: Setup) -> int:
    """Number of shards of a live run: what ``setup`` says, else what its stream makes of its first registry."""
    return setup.shards if setup.shards is not None else stream_of(setup.events).shards(setup.registry)


def empty_parts(setup: Setup, cluster: Cluster, book: Book, make: Maker) -> Parts:
    """The partitions of a live run before it has any."""
    bound_ms, wire = setup.config["time", "bound_ms"], setup.config.wire(setup.events)
    return Parts(book, bound_ms, shards_of(setup), setup.letters, cluster.topic, wire, make)
