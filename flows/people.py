"""The people flow, on one page: logs → partials → shards (close, release, figures) → zones and progress → store."""

from __future__ import annotations

import gc
import os
import pickle
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import bytewax.operators as op
from bytewax._bytewax import cluster_main
from bytewax.dataflow import Dataflow
from bytewax.operators import StatefulBatchLogic
from bytewax.recovery import RecoveryConfig

from engine import units
from engine.alerts import Alerts
from engine.book import Book, Versions
from engine.config import Config
from engine.gates import gate_rows
from engine.health import Health, health_rows
from engine.model import END, NO_TIME, Progress, Released
from engine.readers import Rule
from engine.registry import Registry
from engine.sets import Given
from engine.shard import Outcome, Shard, watermark_of
from engine.shard_class import Switch
from engine.tables import Tables
from engine.watch import Signal
from engine.zone_reading import Reading
from engine.zones import Done, Share, ZoneFigures, zone_rows
from flows.guard import guarded
from flows.source import FileSource, KafkaSource, Parts, is_tick, shard_key, shard_number
from flows.store_sink import END_OF_RUN, TICK, Advance, StoreSink

ALL = "all"  # the key in which the shards meet
LEAST_SHARDS, MOST_SHARDS, GATES_PER_SHARD = 8, 64, 64
_EPOCH_MS = 1_000
_EPOCH_VARIABLE = "HITONAMI_EPOCH_MS"  # for tests: what is right at 1 s must be right at any length


@dataclass(frozen=True, slots=True)
class Told:
    """What a shard tells the figures of the whole run."""

    shard: int
    watermark: int
    switches: list[Switch]
    shares: Mapping[int, list[Share | Reading]]
    sets: list[Given]
    health: list[Signal]
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
            self._shard.number, out.watermark, out.switches, out.shares, out.sets, out.health,
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
    health: Any = None
    switches: list[Switch] = field(default_factory=list)
    shares: dict[int, list[Share | Reading]] = field(default_factory=dict)  # by line, until every shard has passed it
    accepted: int = 0
    rejected: dict[str, int] = field(default_factory=dict)
    first_ms: int = END
    last_ms: int = NO_TIME
    alerts: Any = None

    def advance(self, start: Versions = ()) -> Advance:
        """How far the run has come; ``start``: the registry versions before any switch is told."""
        known = self.last_ms != NO_TIME
        progress = Progress(min(self.watermark.values()), self.accepted, dict(self.rejected))
        sequence = self.switches[-1].sequence if self.switches else start
        return Advance(progress, self.first_ms if known else None, self.last_ms if known else None, sequence)


def shards_of(registry: Registry) -> int:
    """Number of shards of a live run, from its first registry, fixed for its life.

    A chain stays in its shard whatever the number of processes. Each shard is an insert per product and line of 10 s
    (docs/adr/0023), and its state is stored whole: few shards for few gates, more for many.
    """
    return min(max(-(-len(registry.gates) // GATES_PER_SHARD), LEAST_SHARDS), MOST_SHARDS)


def keys(shards: int) -> list[str]:
    """Keys whose rows the sink takes."""
    return [*map(shard_key, range(shards)), ALL]


def closed_of(state: bytes) -> int:
    """The watermark up to which a shard had closed, from its state."""
    return watermark_of(pickle.loads(state)[1])


def advance_of(state: bytes) -> Advance:
    """How far a run had come, from the state of its key ALL."""
    run: _RunState = pickle.loads(state)
    return run.advance()


class _RunLogic(StatefulBatchLogic[Told, object, bytes]):
    """Zones, health of sensors, alerts and progress of the whole run."""

    def __init__(
        self,
        book: Book,
        threshold: int,
        shards: int,
        state: bytes | None,
        by_line: bool = False,
        rule: Rule | None = None,
    ) -> None:
        self._book, self._threshold, self._by_line = book, threshold, by_line
        self._zones, self._health = ZoneFigures(self._tables, rule), Health()
        self._alerts = Alerts(self._tables, self._since, lambda: len(self._state.switches))
        self._state = _RunState(dict.fromkeys(range(shards), NO_TIME), None)
        if state is not None:
            self._state = pickle.loads(state)
            self._zones.restore(self._state.zones)
            if self._state.health is not None:
                self._health.restore(self._state.health)
            if self._state.alerts is not None:
                self._alerts.restore(self._state.alerts)

    def _tables(self, version: int) -> Tables:
        return self._book.tables(self._state.switches[version].sequence)

    def _since(self, version: int) -> int:
        return self._state.switches[version].at_ms

    @guarded
    def on_batch(self, values: list[Told]) -> tuple[Iterable[object], bool]:
        run, before = self._state, self._shown()
        for told in values:
            run.watermark[told.shard] = told.watermark
            run.switches = max(run.switches, told.switches, key=len)  # all shards have the same, some not all yet
            run.accepted += told.accepted
            for reason, n in told.rejected.items():
                run.rejected[reason] = run.rejected.get(reason, 0) + n
            run.first_ms, run.last_ms = min(run.first_ms, told.first_ms), max(run.last_ms, told.last_ms)
            self._zones.tell(told.sets)
            self._health.tell(told.health)
            for line, shares in told.shares.items():
                run.shares.setdefault(line, []).extend(shares)
        closed = min(run.watermark.values())
        changes = self._health.advance(closed)
        out: list[object] = [*health_rows(changes, run.switches, self._tables, self._by_line)]
        out += self._zone_rows(closed)
        out += self._alerts.watch(closed, changes, units.name_of_all)
        if self._shown() != before:
            out.append(run.advance(self._book.start))
        return [*out, TICK], False

    def _zone_rows(self, closed: int) -> list[Released]:
        """Rows of the lines that every shard has passed: one unit per line, in bulk one for all of them."""
        held = self._state.shares
        lines = sorted(line for line in held if line <= closed)
        told = [(line, shares, self._zones.add(shares)) for line in lines for shares in [held.pop(line)]]
        if told and not self._by_line:
            every_share = [share for _, shares, _ in told for share in shares]
            told = [(told[-1][0], every_share, [one for _, _, done in told for one in done])]
        return [rows for line, shares, done in told for rows in self._line_rows(line, shares, done)]

    def _line_rows(self, line: int, shares: list[Share | Reading], done: list[Done]) -> list[Released]:
        if not shares and not done:  # where nobody tells anything depends on how the logs were cut
            return []
        unit, alerts = units.name_of_all(line), self._alerts
        zones = zone_rows(done, self._tables, self._threshold, unit)
        versions = sorted({d.version for d in done})
        watched = [share for share in shares if alerts.rules(share.version).of_gates]
        gates = gate_rows(watched, self._tables, self._threshold, unit)
        return zones + alerts.take(line, [*zip(versions, zones, strict=True), *gates], unit)

    def _shown(self) -> tuple[object, ...]:
        """What the live counters are made of: a change of any of it is told at once, be it rejects alone.

        Shards come one by one: the slowest, which moves ``closed``, may be far behind the rejects of the others.
        """
        run = self._state
        return min(run.watermark.values()), run.accepted, dict(run.rejected)

    @guarded
    def snapshot(self) -> bytes:
        self._state.zones, self._state.alerts = self._zones.state(), self._alerts.state()
        self._state.health = self._health.state()
        return pickle.dumps(self._state, 5)


def dataflow(
    source: FileSource | KafkaSource, sink: StoreSink, parts: Parts, partitions: int, config: Config
) -> Dataflow:
    """The flow of one run; a live one (a sink that is not bulk) gives its rows in units that follow from the logs."""
    book, shards, by_line = parts.book, parts.shards, not sink.bulk
    threshold, exact, headings = config.threshold, config["status", "exact"], config.threshold_of("headings")
    rule = Rule.of(config)

    def make(number: int, state: bytes | None) -> Shard:
        how: dict[str, Any] = {"exact": exact, "headings": headings, "by_line": by_line, "rule": rule}
        return Shard(number, shards, partitions, book, threshold, **how, state=state)

    flow = Dataflow("people")
    partials = op.input("logs", flow, source)
    closed = op.stateful_batch("shards", partials, guarded(lambda state: _ShardLogic(make, state)))
    rows = op.flat_map_batch("rows", closed, lambda items: [i for i in items if not isinstance(i[1], Told)])
    told = op.flat_map_batch("told", closed, lambda items: [(ALL, v) for _, v in items if isinstance(v, Told)])
    make_run = guarded(lambda state: _RunLogic(book, threshold, shards, state, by_line, rule))
    run = op.stateful_batch("run", told, make_run)
    op.output("store", op.merge("out", rows, run), sink)
    return flow


def execute(flow: Dataflow, recovery: RecoveryConfig | None, addresses: Sequence[str] = (), number: int = 0) -> None:
    """Run a flow until its logs end or the stop flag is set: alone, or as process ``number`` of ``addresses``."""
    gc.freeze()  # what is loaded by now stays: not to be looked through again and again
    epoch = timedelta(milliseconds=int(os.environ.get(_EPOCH_VARIABLE, _EPOCH_MS)))
    cluster_main(flow, list(addresses), number, epoch_interval=epoch, recovery_config=recovery)  # type: ignore[no-untyped-call]
