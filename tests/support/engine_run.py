"""Runs the pure engine (no Bytewax, no services) over logs, cut and interleaved at will, for property tests."""

from __future__ import annotations

import json
import pickle
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from engine import registry, units
from engine.alerts import Alerts
from engine.book import Book
from engine.config import Config
from engine.gates import gate_rows
from engine.health import Change, Health, health_rows
from engine.model import END, NO_TIME, NULL_INT, PRODUCTS, Payloads, Released
from engine.partition import Fed, Partition
from engine.readers import Rule
from engine.shard import Outcome, Shard
from engine.shard_class import Switch
from engine.tables import Tables
from engine.zone_reading import Reading
from engine.zones import Share, ZoneFigures, zone_rows


def payloads(messages: Sequence[bytes], record_ts: Sequence[int] | None = None, first_offset: int = 0) -> Payloads:
    """Messages as one batch; without record_ts as in a file."""
    lengths = np.array([len(m) for m in messages], np.int64)
    ends = np.cumsum(lengths)
    stamps = np.full(len(messages), NO_TIME, np.int64) if record_ts is None else np.array(record_ts, np.int64)
    offsets = np.arange(first_offset, first_offset + len(messages), dtype=np.int64)
    return Payloads(b"".join(messages) + b" ", ends - lengths, ends, stamps, offsets)


def outcomes(fed: Fed, messages: int) -> list[int]:
    """What became of each of so many messages of one record: 0 or the reason it was refused for."""
    out = [0] * messages
    for message, reason in zip(fed.message.tolist(), fed.reason.tolist(), strict=True):
        assert not out[message], "one outcome each"
        out[message] = reason
    return out


@dataclass
class Result:
    """Rows of all products as dicts, and the partitions' exact counters."""

    rows: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    read: int = 0
    accepted: int = 0
    rejected: dict[str, int] = field(default_factory=dict)
    shown_accepted: int = 0
    shown_rejected: dict[str, int] = field(default_factory=dict)
    units: dict[tuple[str, str], list[dict[str, Any]]] = field(default_factory=dict)  # (product, unit) -> its rows
    gates: list[Released] = field(default_factory=list)  # rows of flow as zones and alerts are told of them
    parts: list[Partition] = field(default_factory=list)  # and shards: what is not released yet
    owners: list[Shard] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)  # of the health of sensors

    def flow(self, window: str) -> dict[tuple[int, str, str], dict[str, Any]]:
        """Flow rows of one window length by (start, gate, direction)."""
        out = {}
        for row in self.rows.get("flow", []):
            if row["window"] == window:
                key = (row["window_start"], row["gate"], row["direction"])
                assert key not in out, f"twice: {key}"
                out[key] = row
        return out

    def canonical(self) -> dict[str, list[str]]:
        """Rows in an order of their own, to compare two runs."""
        return {p: sorted(json.dumps(r, sort_keys=True) for r in rows) for p, rows in self.rows.items() if rows}


class _Shard(Shard):
    """A shard that, going line by line, tells shares at the line at which it stands: as it says in bulk."""

    def _close(self, w: int, out: Outcome) -> None:
        before = set(out.shares)
        super()._close(w, out)
        assert not self.by_line or set(out.shares) - before <= {w}


def to_dicts(rows: Released) -> list[dict[str, Any]]:
    """One dict per row, names resolved, nulls as None."""
    columns: dict[str, list[Any]] = {}
    for name, column in rows.columns.items():
        values: list[Any] = column.tolist()
        if name in rows.names:
            values = [rows.names[name][v] for v in values]
        elif column.dtype == np.float64:
            values = [None if v != v else v for v in values]
        elif PRODUCTS[rows.product][1][name] == "n":
            values = [None if v == NO_TIME else v for v in values]
        elif not name.endswith(("_start", "_end", "hour")):
            values = [None if v == NULL_INT else v for v in values]
        columns[name] = values
    columns["registry_version"] = [rows.registry_version] * len(rows)
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def run(
    document: dict[str, Any],
    logs: Sequence[Sequence[tuple[bytes, int | None]]],
    config: Config | None = None,
    *,
    shards: int = 1,
    seed: int | None = None,
    finish: bool = True,
    restart: bool = False,
    by_line: bool = False,
) -> Result:
    """Run logs of (message, record_ts or None = file) through the engine.

    ``seed`` cuts and interleaves at random; None: each log in one batch, one after the other. ``restart`` puts every
    state through its snapshot now and then. ``by_line``: rows in units as live, each of which may come only once.
    """
    config = config or Config()
    book = Book(registry.parse(json.dumps(document).encode()))
    bound = config["time", "bound_ms"]
    parts = [Partition(i, book, bound, shards) for i in range(len(logs))]
    threshold = config.threshold
    how: Any = {"exact": config["status", "exact"], "headings": config.threshold_of("headings"), "by_line": by_line}
    how["rule"] = rule = Rule.of(config)
    owners = [_Shard(s, shards, len(logs), book, threshold, **how) for s in range(shards)]
    switches: list[Switch] = []

    def of(version: int) -> Tables:
        return book.tables(switches[version].sequence)

    zones, health = ZoneFigures(of, rule), Health()
    held: dict[int, list[Share | Reading]] = {}  # by line, until every shard has passed it
    alerts = Alerts(of, lambda version: switches[version].at_ms, lambda: len(switches))
    rng = random.Random(seed)
    result = Result()
    at = [0] * len(logs)
    waiting: list[list[bytes]] = [[] for _ in range(shards)]

    def deliver(shard: int) -> None:
        nonlocal zones, health
        blobs, waiting[shard] = waiting[shard], []
        out = owners[shard].take(blobs)
        result.shown_accepted += out.accepted
        for reason, n in out.rejected.items():
            result.shown_rejected[reason] = result.shown_rejected.get(reason, 0) + n
        switches.extend(out.switches[len(switches) :])
        zones.tell(out.sets)
        for line, shares in out.shares.items():
            held.setdefault(line, []).extend(shares)
        for line in sorted(line for line in held if line <= min(owner.watermark for owner in owners)):
            told = held.pop(line)
            done = zones.add(told)
            rows_of_zones = zone_rows(done, of, threshold, "z")
            gates = gate_rows(told, of, threshold, "g")
            result.gates += [rows for _, rows in gates]
            versions = [*zip(sorted({d.version for d in done}), rows_of_zones, strict=True), *gates]
            out.rows += rows_of_zones + alerts.take(line, versions, "z")
        health.tell(out.health)
        changes = health.advance(min(owner.watermark for owner in owners))
        result.changes += changes
        out.rows += alerts.watch(min(owner.watermark for owner in owners), changes, units.name_of_all)
        out.rows += health_rows(changes, switches, of, by_line)
        for rows in out.rows:
            dicts = to_dicts(rows)
            if by_line and rows.product not in ("zones", "alerts"):
                assert (rows.product, rows.unit) not in result.units
                result.units[rows.product, rows.unit] = [dict(row) for row in dicts]
            result.rows.setdefault(rows.product, []).extend(dicts)
        if restart and rng.random() < 0.3:
            state = pickle.dumps(zones.state())
            zones = ZoneFigures(of, rule)
            zones.restore(pickle.loads(state))
            state = pickle.dumps(health.state())
            health = Health()
            health.restore(pickle.loads(state))

    def told(number: int) -> None:
        for part in parts[number].partials():
            waiting[part.shard].append(part.encode())

    while any(at[i] < len(logs[i]) for i in range(len(logs))):
        number = (
            rng.choice([i for i in range(len(logs)) if at[i] < len(logs[i])])
            if seed is not None
            else min(i for i in range(len(logs)) if at[i] < len(logs[i]))
        )
        size = rng.randint(1, rng.choice([2, 8, 40])) if seed is not None else len(logs[number])
        batch = logs[number][at[number] : at[number] + size]
        at[number] += len(batch)
        stamps = [NO_TIME if s is None else s for _, s in batch]
        parts[number].feed(payloads([m for m, _ in batch], stamps))
        told(number)
        if restart and rng.random() < 0.3:
            parts[number] = Partition(number, book, bound, shards, parts[number].snapshot())
        for shard in range(shards):
            if seed is None or rng.random() < 0.5:
                deliver(shard)
            if restart and rng.random() < 0.3:
                kept = pickle.dumps(alerts.state())
                alerts = Alerts(of, lambda version: switches[version].at_ms, lambda: len(switches))
                alerts.restore(pickle.loads(kept))
                state = owners[shard].snapshot()
                owners[shard] = _Shard(shard, shards, len(logs), book, threshold, **how, state=state)
    if finish:
        for number, part in enumerate(parts):
            part.finish()
            told(number)
    for shard in range(shards):
        deliver(shard)
    result.parts, result.owners = parts, owners
    result.read, result.accepted = sum(p.read for p in parts), sum(p.accepted for p in parts)
    for part in parts:
        for reason, n in part.rejected_by_reason().items():
            result.rejected[reason] = result.rejected.get(reason, 0) + n
    assert not finish or all(owner.watermark == END for owner in owners)
    return result
