"""Runs the engine as processes do, without Bytewax or services: partitions and shards spread over 1 to 3 of them.

Each process has a registry book of its own; what it tells another goes as bytes. Now and then an epoch ends: everything
in flight is delivered and every state is kept. Now and then all processes end, with or without an epoch before, and
other ones, as many as may be, go on from what was kept: logs are read again from there, cut and interleaved in another
way. Rows go by their unit of insertion: one that comes again must be what it was.
"""

from __future__ import annotations

import json
import pickle
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from engine import registry
from engine.book import Book
from engine.config import Config
from engine.model import NO_TIME
from engine.partition import Partition
from engine.readers import Rule
from engine.registry import Registry
from engine.shard import Shard
from flows.people import Told, _RunLogic, _ShardLogic
from flows.source import tick_item
from tests.support.engine_run import Result, payloads, to_dicts

# without the guard: it would end the process of the tests
_on_shard = _ShardLogic.on_batch.__wrapped__  # type: ignore[attr-defined]
_on_run = _RunLogic.on_batch.__wrapped__  # type: ignore[attr-defined]


@dataclass
class Kept:
    """What an epoch has kept: next place in each log, states, and which units had come by then."""

    at: list[int]
    partitions: list[bytes | None]
    shards: list[bytes | None]
    run: bytes | None = None
    units: frozenset[tuple[str, str]] = frozenset()


@dataclass
class Cluster:
    """One life after the other of a run; ``lives`` tells how many processes each had."""

    document: dict[str, Any]
    logs: Sequence[Sequence[tuple[bytes, int | None]]]
    config: Config
    shards: int
    rng: random.Random
    lives: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._first = registry.parse(json.dumps(self.document).encode())
        self._store: dict[str, Registry] = {}  # versions, as the store keeps them through every kill
        self._rows: dict[tuple[str, str], list[dict[str, Any]]] = {}
        self._kept = Kept([0] * len(self.logs), [None] * len(self.logs), [None] * self.shards)
        self._begin()

    def result(self) -> Result:
        """Run to the end of the logs, which do not end the run: windows stay open."""
        while any(at < len(log) for at, log in zip(self._at, self.logs, strict=True)):
            self._read()
            for shard in range(self.shards):
                if self.rng.random() < 0.4:
                    self._deliver(shard)
            if self.rng.random() < 0.3:
                self._tell()
            if self.rng.random() < 0.5:
                self._epoch()
            if self.rng.random() < 0.35:
                self._begin()  # a kill
        self._epoch()
        result = Result()
        for (product, _), rows in self._rows.items():
            result.rows.setdefault(product, []).extend(rows)
        result.read = sum(part.read for part in self._parts)
        result.accepted = sum(part.accepted for part in self._parts)
        for part in self._parts:
            for reason, n in part.rejected_by_reason().items():
                result.rejected[reason] = result.rejected.get(reason, 0) + n
        result.shown_accepted, result.shown_rejected = self._run._state.accepted, dict(self._run._state.rejected)
        return result

    def _begin(self) -> None:
        """New processes go on from what was kept; the rest is gone."""
        rng, bound = self.rng, self.config["time", "bound_ms"]
        processes = rng.randint(1, 3)
        self.lives.append(processes)
        books = [Book(self._first, self._keep, self._store.get) for _ in range(processes)]
        self._at, self._come = list(self._kept.at), set(self._kept.units)
        self._parts = [
            Partition(number, rng.choice(books), bound, self.shards, state)
            for number, state in enumerate(self._kept.partitions)
        ]
        self._owners = []
        for state in self._kept.shards:
            book = rng.choice(books)
            self._owners.append(_ShardLogic(lambda n, s, book=book: self._shard(book, n, s), state))  # type: ignore[misc]
        rule = Rule.of(self.config)
        self._run = _RunLogic(rng.choice(books), self.config.threshold, self.shards, self._kept.run, True, rule)
        self._waiting: list[list[bytes]] = [[] for _ in range(self.shards)]
        self._told: list[bytes] = []

    def _keep(self, version: Registry) -> None:
        self._store[version.hash] = version

    def _shard(self, book: Book, number: int, state: bytes | None) -> Shard:
        exact, headings = self.config["status", "exact"], self.config.threshold_of("headings")
        how: Any = {"exact": exact, "headings": headings, "by_line": True, "rule": Rule.of(self.config)}
        return Shard(number, self.shards, len(self.logs), book, self.config.threshold, **how, state=state)

    def _read(self) -> None:
        """A batch of one log, and what its partition tells the shards."""
        number = self.rng.choice([i for i, log in enumerate(self.logs) if self._at[i] < len(log)])
        size = self.rng.randint(1, self.rng.choice([1, 4, 15]))
        batch = self.logs[number][self._at[number] : self._at[number] + size]
        stamps = [NO_TIME if at is None else at for _, at in batch]
        self._parts[number].feed(payloads([m for m, _ in batch], stamps, self._at[number]))
        self._at[number] += len(batch)
        for part in self._parts[number].partials():
            self._waiting[part.shard].append(part.encode())

    def _deliver(self, shard: int) -> None:
        blobs, self._waiting[shard] = self._waiting[shard], []
        items, _ = _on_shard(self._owners[shard], [tick_item(shard)[1], *blobs])
        for item in items:
            if isinstance(item, Told):
                self._told.append(pickle.dumps(item))
            elif hasattr(item, "product"):
                self._come_out(item)

    def _tell(self) -> None:
        """The shards meet: zones and counters."""
        told, self._told = [pickle.loads(item) for item in self._told], []
        if told:
            items, _ = _on_run(self._run, told)
            for item in items:
                if hasattr(item, "product"):
                    self._come_out(item)

    def _come_out(self, released: Any) -> None:
        rows, unit = list(to_dicts(released)), (released.product, released.unit)
        assert unit not in self._come, f"twice in one life: {unit}"
        self._come.add(unit)
        assert self._rows.setdefault(unit, rows) == rows, f"came again as another: {unit}"

    def _epoch(self) -> None:
        for shard in range(self.shards):
            self._deliver(shard)
        self._tell()
        parts = [part.snapshot() for part in self._parts]
        owners = [owner.snapshot() for owner in self._owners]
        self._kept = Kept(list(self._at), list(parts), list(owners), self._run.snapshot(), frozenset(self._come))
