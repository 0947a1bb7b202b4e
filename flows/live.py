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
from engine.model import NO_TIME, WINDOWS
from engine.registry import parse
from engine.shard import watermark_of
from engine.timezone import TimeZone
from flows.calls import Calls
from flows.guard import tell
from flows.health import forget, health
from flows.joins import find_joins, search, write_joins
from flows.kafka import Cluster
from flows.people import ALL, advance_of, dataflow, execute
from flows.recovery import check_writable, holds_state, lock, open_recovery, remembered, resume_epoch, states
from flows.runs import Setup, Summary, book_of, new_run, summary_of
from flows.source import KafkaSource, Parts, shard_key
from flows.store_sink import RunRow, StoreSink
from sinks.webhook import Webhook

LEAST_SHARDS, MOST_SHARDS, GATES_PER_SHARD = 8, 64, 64
LOGS = "people.logs"  # step of the flow that keeps a partition's offset and state
SHARD_STEP = "people.shards"
RUN = "people.run"  # step that keeps how far the run has come


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
    run and ``recovery`` does not, or the other way round. The caller holds the directory's lock.
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
    cluster.check_offsets({int(key): pickle.loads(state)[0] for key, state in states(recovery, LOGS).items()})
    run = new_run(setup, book.tables(book.start), "live") if known is None else known
    row = RunRow(setup.store, replace(run, state="running"), book)
    setup.store.start_run(row.run)
    # as numbers: a process that starts again before its first epoch is committed must find the same place
    starts = {p: high for p, (_, high) in enumerate(cluster.ends(partitions))} if start == "latest" else {}
    return Prepared(row, config, partitions, topic_id, starts, joined(setup, cluster, recovery, partitions))


def joined(setup: Setup, cluster: Cluster, recovery: Path, partitions: int) -> dict[int, int]:
    """W at which those partitions begin that this run has no state of; the new ones among them join now.

    Raises BadInput where a partition has joined earlier, for another run, and before windows that this one has closed.
    """
    known = {int(key) for key in states(recovery, LOGS)}
    if not known:  # this run begins: what has joined by now it knows as every replay does
        return find_joins(cluster, partitions)
    new = [partition for partition in range(partitions) if partition not in known]
    if not new:
        return {}
    told = [watermark_of(pickle.loads(state)[1]) for state in states(recovery, SHARD_STEP).values()]
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
    on_start: Callable[[], None] | None,
) -> tuple[Dataflow, KafkaSource, StoreSink, Parts]:
    """The flow of one process of a live run, its source and sink (to be closed), and the partitions it holds."""
    parts = empty_parts(setup, cluster, row.book)
    tick_ms = setup.config["time", "tick_ms"]
    keys = [shard_key(s) for s in range(parts.shards)] + [ALL]
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
        crowded=sink.crowded,
        on_start=on_start,
    )
    return dataflow(source, sink, parts, partitions, setup.config), source, sink, parts


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
        flow, source, sink, parts = live_flow(
            setup, cluster, ready.row, ready.partitions, ready.topic_id, ready.starts, ready.since, None
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
            source.close()
            sink.close()
        end_run(ready.row, recovery, "stopped")
        return summary_of(setup, parts, begun, finished=False)
    finally:
        os.close(held)


def end_run(row: RunRow, recovery: Path, state: str) -> None:
    """Store that the run has ended as ``state``, and how far it came: its last epoch is told by nobody else."""
    for told in states(recovery, RUN).values():
        advance = advance_of(told)
        row.put(advance)
    row.end(state)


def stored_summary(setup: Setup, cluster: Cluster, recovery: Path, begun: float) -> Summary:
    """The summary of a run whose processes have ended, from the state the next start goes on from."""
    parts = empty_parts(setup, cluster, book_of(setup))
    for key, state in states(recovery, LOGS).items():
        parts.build(int(key), pickle.loads(state)[1])
    return summary_of(setup, parts, begun, finished=False)


def shards_of(setup: Setup) -> int:
    """Number of shards of a live run: what ``setup`` says, else a function of its first registry, fixed for its life.

    A chain stays in its shard whatever the number of processes. Each shard is an insert per product and line of 10 s
    (docs/adr/0023), and its state is stored whole: few shards for few gates, more for many.
    """
    if setup.shards is not None:
        return setup.shards
    wanted = -(-len(setup.registry.gates) // GATES_PER_SHARD)
    return min(max(wanted, LEAST_SHARDS), MOST_SHARDS)


def empty_parts(setup: Setup, cluster: Cluster, book: Book) -> Parts:
    """The partitions of a live run before it has any."""
    bound_ms = setup.config["time", "bound_ms"]
    return Parts(book, bound_ms, shards_of(setup), setup.letters, cluster.topic, setup.config.wire("people"))
