"""In- and outflow of zones: interval sums over the flow rows of their gates.

A crossing a→b leaves zone a and enters zone b. Passages of unknown direction belong to neither flow; the rows of
``flow`` show them. A zone's figure is unknown as soon as one of its gates is: a part of a sum looks like all of it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from engine.figures import Block
from engine.model import (
    I32,
    I64,
    NULL_INT,
    RANGE_STATUS,
    RELEASED_STATUS,
    STATUS,
    SUPPRESSED_STATUS,
    UNKNOWN_STATUS,
    WINDOWS,
    Released,
)
from engine.tables import Tables

LOS_WORDS = ("unknown",)  # graded from density and speed, which come with their sensors
# inflow low and high, outflow low and high, gates told (-1 = row made), covered ms, expected ms, gates unknown, gates
# whose coverage cannot be told
_COLUMNS = 9


@dataclass(frozen=True, slots=True)
class Share:
    """What one shard tells of one window to the zones: gates (g,), their low and high (g, 3) and coverage.

    ``version`` is the place of the registry version in the run's switches (engine.shard.Switch).
    """

    version: int
    code: int
    start_ms: int
    gates: I32
    low: I64
    high: I64
    known: I64  # 1 = figures, 0 = unknown
    blind: I64  # 1 = coverage cannot be told (only on_change sensors)
    covered: I64
    expected: I64


def shares(block: Block, version: int) -> list[Share]:
    """The shares of a block's windows, for the gates that border a zone that has such windows."""
    gates, tables = block.gates, block.tables
    a, b = tables.gate_a[gates], tables.gate_b[gates]
    wanted = np.zeros(len(gates), np.bool_)
    for side in (a, b):
        wanted[side >= 0] |= tables.zone_window[side[side >= 0]] <= block.code
    if not wanted.any():
        return []
    known = (block.status[:, wanted, 0] != UNKNOWN_STATUS).astype(np.int64)
    blind = np.isnan(block.coverage[:, wanted]).astype(np.int64)
    return [
        Share(
            version,
            block.code,
            start,
            gates[wanted],
            block.low[i, wanted],
            block.high[i, wanted],
            known[i],
            blind[i],
            block.covered[i, wanted],
            block.expected[i, wanted],
        )
        for i, start in enumerate(block.starts.tolist())
    ]


@dataclass(frozen=True, slots=True)
class Done:
    """The sums of a zone's window of which every gate has told its part."""

    version: int
    code: int
    start_ms: int
    zone: int
    sums: I64


class ZoneFigures:
    """Collects shares until every gate of a zone has told its window, then makes the zone's row.

    ``tables`` of the versions by their place in the run's switches; all shares of a window name the same version.
    """

    def __init__(self, tables: Callable[[int], Tables]) -> None:
        self._tables = tables
        self._gates: dict[int, I64] = {}  # version -> gates of each zone
        self._open: dict[tuple[int, int], I64] = {}  # (code, start) -> (zones, _COLUMNS)

    def add(self, parts: list[Share]) -> list[Done]:
        """Take in shares; the zones' windows they complete, in order of window and zone."""
        done = []
        for share in parts:
            key, tables, gates = (share.code, share.start_ms), self._tables(share.version), self._count(share.version)
            sums = self._open.get(key)
            if sums is None:
                sums = self._open[key] = np.zeros((len(gates), _COLUMNS), np.int64)
            _sum(sums, share, tables)
            want = (gates > 0) & (tables.zone_window <= share.code)
            ready = want & (sums[:, 4] == gates)
            for zone in np.flatnonzero(ready).tolist():
                done.append(Done(share.version, *key, zone, sums[zone].copy()))
                sums[zone, 4] = -1  # told
            if not (want & (sums[:, 4] >= 0)).any():
                del self._open[key]
        return sorted(done, key=lambda d: (d.code, d.start_ms, d.zone))

    def _count(self, version: int) -> I64:
        if version not in self._gates:
            tables = self._tables(version)
            a, b, zones = tables.gate_a[tables.gate_here], tables.gate_b[tables.gate_here], len(tables.zone_ids)
            both = np.append(a[a >= 0], b[(b >= 0) & (a != b)])
            self._gates[version] = np.bincount(both, minlength=zones)
        return self._gates[version]

    def state(self) -> dict[tuple[int, int], I64]:
        """Windows still waiting for gates."""
        return self._open

    def restore(self, state: dict[tuple[int, int], I64]) -> None:
        """Take back what ``state()`` gave."""
        self._open = state


def _sum(sums: I64, share: Share, tables: Tables) -> None:
    """Add the figures of a share's gates to the sums of the zones they border."""
    a, b = tables.gate_a[share.gates], tables.gate_b[share.gates]
    for zone, enters, leaves in ((a, 1, 0), (b, 0, 1)):
        mine = zone >= 0
        at = zone[mine].astype(np.int64)
        np.add.at(sums[:, 0], at, share.low[mine, enters])
        np.add.at(sums[:, 1], at, share.high[mine, enters])
        np.add.at(sums[:, 2], at, share.low[mine, leaves])
        np.add.at(sums[:, 3], at, share.high[mine, leaves])
    for zone, mine in ((a, a >= 0), (b, (b >= 0) & (a != b))):
        told = np.column_stack([np.ones_like(share.known), share.covered, share.expected, 1 - share.known, share.blind])
        np.add.at(sums, (zone[mine, None], np.arange(4, _COLUMNS)), told[mine])


def zone_rows(done: list[Done], tables: Callable[[int], Tables], threshold: int, unit: str) -> list[Released]:
    """The product ``zones`` from completed sums, one block per version. Occupancy and density need other sensors."""
    versions = sorted({d.version for d in done})
    return [_rows([d for d in done if d.version == v], tables(v), threshold, f"{unit}/{v}") for v in versions]


def _rows(done: list[Done], tables: Tables, threshold: int, unit: str) -> Released:
    code, start, zone = (np.array([getattr(d, i) for d in done], np.int64) for i in ("code", "start_ms", "zone"))
    sums = np.array([d.sums for d in done])
    unknown, null = sums[:, 7] > 0, np.full(len(done), NULL_INT, np.int64)
    columns: dict[str, np.ndarray] = {
        "window": code.astype(np.int32),
        "window_start": start,
        "zone": zone.astype(np.int32),
    }
    small, exact = np.ones(len(done), np.bool_), np.ones(len(done), np.bool_)
    for place, name in enumerate(("inflow", "outflow")):
        low, high = sums[:, 2 * place], sums[:, 2 * place + 1]
        few = (high < threshold) & (threshold > 1)
        small, exact = small & few, exact & (low == high)
        columns[name] = np.where(unknown | few, null, (low + high) // 2)
        columns[f"{name}_low"] = np.where(unknown, null, low)
        columns[f"{name}_high"] = np.where(unknown, null, high)
    columns |= dict.fromkeys(("occupancy", "occupancy_low", "occupancy_high"), null)
    columns |= dict.fromkeys(("density", "speed"), np.full(len(done), np.nan))
    columns["los_scheme"] = columns["los"] = np.zeros(len(done), np.int32)
    status = np.where(exact, RELEASED_STATUS, np.where(small, SUPPRESSED_STATUS, RANGE_STATUS))
    columns["status"] = np.where(unknown, UNKNOWN_STATUS, status).astype(np.int32)
    share = sums[:, 5] / np.maximum(sums[:, 6], 1)
    share = np.where((sums[:, 8] > 0) & (share == 0), np.nan, share)
    columns["coverage"] = np.where(unknown, 0.0, share)  # with a gate unwatched the zone's sum is
    names = {
        "window": WINDOWS,
        "zone": tables.zone_ids,
        "los_scheme": ("",),
        "los": LOS_WORDS,
        "status": STATUS,
    }
    return Released("zones", unit, columns, names, tables.registry.version)
