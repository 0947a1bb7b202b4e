"""The flow of a stream beside people, on one page: logs → facts → one key (close, release) → store."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import bytewax.operators as op
from bytewax.dataflow import Dataflow
from bytewax.operators import KeyedStream, StatefulBatchLogic

from engine import subjects
from engine.book import Versions
from engine.model import END, NO_TIME, Progress
from engine.subjects import Subjects
from flows.guard import guarded
from flows.source import FileSource, KafkaSource, is_tick, shard_key
from flows.store_sink import END_OF_RUN, TICK, Advance, StoreSink

Make = Callable[["bytes | None"], Subjects]


@dataclass
class _State:
    """What the key keeps beside its windows: what live counters show."""

    subjects: bytes = b""
    watermark: int = NO_TIME
    accepted: int = 0
    rejected: dict[str, int] = field(default_factory=dict)
    first_ms: int = NO_TIME
    last_ms: int = NO_TIME
    sequence: Versions = ()

    def advance(self) -> Advance:
        progress = Progress(self.watermark, self.accepted, dict(self.rejected))
        known = self.first_ms != NO_TIME
        return Advance(progress, self.first_ms if known else None, self.last_ms if known else None, self.sequence)


class _Logic(StatefulBatchLogic[bytes, object, bytes]):
    def __init__(self, make: Make, state: bytes | None) -> None:
        self._state = _State() if state is None else pickle.loads(state)
        self._subjects = make(None if state is None else self._state.subjects)

    @guarded
    def on_batch(self, values: list[bytes]) -> tuple[Iterable[object], bool]:
        kept, before = self._state, self._state.advance()
        out = self._subjects.take([blob for blob in values if not is_tick(blob)])
        kept.watermark, kept.sequence = out.watermark, out.sequence
        kept.first_ms, kept.last_ms = out.first_ms, out.last_ms
        kept.accepted += out.accepted
        for reason, n in out.rejected.items():
            kept.rejected[reason] = kept.rejected.get(reason, 0) + n
        advance: Any = kept.advance()
        told = [advance] if advance != before else []
        return [*out.rows, *told, END_OF_RUN if out.watermark == END else TICK], False

    @guarded
    def snapshot(self) -> bytes:
        self._state.subjects = self._subjects.snapshot()
        return pickle.dumps(self._state, 5)


def closed_of(state: bytes) -> int:
    """The watermark up to which windows had closed, from the key's state."""
    return subjects.closed_of(pickle.loads(state).subjects)


def advance_of(state: bytes) -> Advance:
    """How far a run had come, from the key's state."""
    kept: _State = pickle.loads(state)
    return kept.advance()


def keys(_shards: int) -> list[str]:
    """The one key of such a flow."""
    return [shard_key(0)]


def flow_of(
    name: str,
    source: FileSource | KafkaSource,
    sink: StoreSink,
    make: Make,
    then: Callable[[KeyedStream[object]], KeyedStream[object]] = lambda rows: rows,
) -> Dataflow:
    """The flow of one run; ``make`` makes what closes and releases its windows, from a snapshot or anew.

    ``then``: a step between that and the store.
    """
    flow = Dataflow(name)
    facts = op.input("logs", flow, source)
    rows = op.stateful_batch("subjects", facts, guarded(lambda state: _Logic(make, state)))
    op.output("store", then(rows), sink)
    return flow
