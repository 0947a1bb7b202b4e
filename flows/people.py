"""The people flow, on one page: logs → partials → shards (close, release, figures) → zones and progress → store."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import bytewax.operators as op
from bytewax._bytewax import cluster_main
from bytewax.dataflow import Dataflow
from bytewax.operators import StatefulBatchLogic
from bytewax.recovery import RecoveryConfig

from engine.book import Book
from engine.config import Config
from engine.model import END, NO_TIME, Progress
from engine.shard import Outcome, Shard
from engine.shard_class import Switch
from engine.tables import Tables
from engine.zones import Share, ZoneFigures, zone_rows
from flows.guard import guarded
from flows.source import FileSource, KafkaSource, Parts, is_tick, shard_number
from flows.store_sink import END_OF_RUN, TICK, Advance, StoreSink

ALL = "all"  # the key in which the shards meet
_EPOCH = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Told:
    """What a shard tells the figures of the whole run."""

    shard: int
    watermark: int
    switches: list[Switch]
    shares: list[Share]
    accepted: int
    rejected: Mapping[str, int]
    first_ms: int
    last_ms: int


class _ShardLogic(StatefulBatchLogic[bytes, object, bytes]):
    """A shard; which one it is stands in its items, for Bytewax does not tell the key."""

    def __init__(self, make: Callable[[int, bytes | None], Shard], state: bytes | None) -> None:
        self._make, self._shard = make, None if state is None else make(*pickle.loads(state))

    @guarded
    def on_batch(self, values: list[bytes]) -> tuple[Iterable[object], bool]:
        if self._shard is None:
            self._shard = self._make(shard_number(values[0]), None)
        out: Outcome = self._shard.take([blob for blob in values if not is_tick(blob)])
        told = Told(
            self._shard.number, out.watermark, out.switches, out.shares,
            out.accepted, out.rejected, out.first_ms, out.last_ms,
        )  # fmt: skip
        return [*out.rows, told, END_OF_RUN if out.watermark == END else TICK], False

    @guarded
    def snapshot(self) -> bytes:
        assert self._shard is not None
        return pickle.dumps((self._shard.number, self._shard.snapshot()), 5)


@dataclass
class _RunState:
    watermark: dict[int, int]
    zones: Any
    switches: list[Switch] = field(default_factory=list)
    accepted: int = 0
    rejected: dict[str, int] = field(default_factory=dict)
    first_ms: int = END
    last_ms: int = NO_TIME


class _RunLogic(StatefulBatchLogic[Told, object, bytes]):
    """Zones and progress of the whole run."""

    def __init__(self, book: Book, threshold: int, shards: int, state: bytes | None) -> None:
        self._book, self._threshold = book, threshold
        self._zones = ZoneFigures(self._tables)
        self._state = _RunState(dict.fromkeys(range(shards), NO_TIME), None)
        if state is not None:
            self._state = pickle.loads(state)
            self._zones.restore(self._state.zones)

    def _tables(self, version: int) -> Tables:
        return self._book.tables(self._state.switches[version].sequence)

    @guarded
    def on_batch(self, values: list[Told]) -> tuple[Iterable[object], bool]:
        run, before = self._state, self._shown()
        done = []
        for told in values:
            run.watermark[told.shard] = told.watermark
            run.switches = max(run.switches, told.switches, key=len)  # all shards have the same, some not all yet
            run.accepted += told.accepted
            for reason, n in told.rejected.items():
                run.rejected[reason] = run.rejected.get(reason, 0) + n
            run.first_ms, run.last_ms = min(run.first_ms, told.first_ms), max(run.last_ms, told.last_ms)
            done += self._zones.add(told.shares)
        closed = min(run.watermark.values())
        out: list[object] = []
        if done:
            unit = f"all/{done[0].code}-{done[0].start_ms}/{done[-1].code}-{done[-1].start_ms}"
            out += zone_rows(done, self._tables, self._threshold, unit)
        if self._shown() != before:
            known = run.last_ms != NO_TIME
            progress = Progress(closed, run.accepted, dict(run.rejected))
            sequence = run.switches[-1].sequence if run.switches else self._book.start
            out.append(Advance(progress, run.first_ms if known else None, run.last_ms if known else None, sequence))
        return [*out, TICK], False

    def _shown(self) -> tuple[object, ...]:
        """What the live counters are made of: a change of any of it is told at once, be it rejects alone.

        Shards come one by one: the slowest, which moves ``closed``, may be far behind the rejects of the others.
        """
        run = self._state
        return min(run.watermark.values()), run.accepted, dict(run.rejected)

    @guarded
    def snapshot(self) -> bytes:
        self._state.zones = self._zones.state()
        return pickle.dumps(self._state, 5)


def dataflow(
    source: FileSource | KafkaSource, sink: StoreSink, parts: Parts, partitions: int, config: Config
) -> Dataflow:
    """The flow of one run."""
    book, shards = parts.book, parts.shards
    threshold, exact = config.threshold, config["status", "exact"]

    def make(number: int, state: bytes | None) -> Shard:
        return Shard(number, shards, partitions, book, threshold, exact=exact, state=state)

    flow = Dataflow("people")
    partials = op.input("logs", flow, source)
    closed = op.stateful_batch("shards", partials, guarded(lambda state: _ShardLogic(make, state)))
    rows = op.flat_map_batch("rows", closed, lambda items: [i for i in items if not isinstance(i[1], Told)])
    told = op.flat_map_batch("told", closed, lambda items: [(ALL, v) for _, v in items if isinstance(v, Told)])
    run = op.stateful_batch("run", told, guarded(lambda state: _RunLogic(book, threshold, shards, state)))
    op.output("store", op.merge("out", rows, run), sink)
    return flow


def execute(flow: Dataflow, recovery: RecoveryConfig | None) -> None:
    """Run a flow in this process until its logs end or the stop flag is set."""
    cluster_main(flow, [], 0, epoch_interval=_EPOCH, recovery_config=recovery)  # type: ignore[no-untyped-call]
