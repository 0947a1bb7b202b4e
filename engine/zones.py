"""Zones: in- and outflow, occupancy, density and level of service, from the flow of their gates.

Flows are interval sums over the rows of the gates: a crossing a→b leaves zone a and enters zone b. Passages of unknown
direction belong to neither flow; the rows of ``flow`` show them. A zone's figure is unknown as soon as one of its gates
is: a part of a sum looks like all of it. Occupancy: engine/occupancy.py; a zone with gates has it from them alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from engine import los
from engine.figures import Block
from engine.model import (
    DIRECTION_COUNT,
    F64,
    I32,
    I64,
    LOS,
    NULL_INT,
    RANGE_STATUS,
    RELEASED_STATUS,
    STATUS,
    SUPPRESSED_STATUS,
    UNKNOWN_STATUS,
    WINDOWS,
    Released,
)
from engine.occupancy import NULL, Held, Occupancy, Told
from engine.sets import Given
from engine.tables import Tables

# inflow low and high, outflow low and high, gates told (-1 = row made), covered ms, expected ms, gates unknown, gates
# whose coverage cannot be told
_COLUMNS = 9
_MINUTE = 1  # code of the shortest window by whose flow a zone is graded: of less a group's passing makes a crowd
_SCHEMES = ("", *(scheme.name for scheme in los.SCHEMES))


@dataclass(frozen=True, slots=True)
class Share:
    """What one shard tells of one window to the zones: gates (g,), their low and high (g, 3) and coverage.

    ``version`` is the place of the registry version in the run's switches (engine.shard.Switch). ``total_low``,
    ``total_high`` (g, 3): bounds of all who were counted up to the window's end.
    """

    version: int
    code: int
    start_ms: int
    end_ms: int
    gates: I32
    low: I64
    high: I64
    known: I64  # 1 = figures, 0 = unknown
    blind: I64  # 1 = coverage cannot be told (only on_change sensors)
    covered: I64
    expected: I64
    total_low: I64
    total_high: I64


def shares(block: Block, version: int) -> list[Share]:
    """The shares of a block's windows, for the gates that border a zone that has such windows."""
    gates, tables = block.places, block.tables
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
            end,
            gates[wanted],
            block.low[i, wanted],
            block.high[i, wanted],
            known[i],
            blind[i],
            block.covered[i, wanted],
            block.expected[i, wanted],
            block.total_low[i, wanted],
            block.total_high[i, wanted],
        )
        for i, (start, end) in enumerate(zip(block.starts.tolist(), block.ends.tolist(), strict=True))
    ]


@dataclass(frozen=True, slots=True)
class Done:
    """Zones (n,) whose gates have all told their part of a window: the sums (n, _COLUMNS), and who is inside."""

    version: int
    code: int
    start_ms: int
    end_ms: int
    zones: I64
    sums: I64
    held: Held


@dataclass(slots=True)
class _Open:
    """A window of which some gates have told: sums of the zones, and the shares."""

    version: int
    end_ms: int
    sums: I64
    shares: list[Share]


class ZoneFigures:
    """Collects shares until every gate of a zone has told its window, then makes the zone's figures.

    ``tables`` of the versions by their place in the run's switches; all shares of a window name the same version.
    """

    def __init__(self, tables: Callable[[int], Tables]) -> None:
        self._tables = tables
        self._gates: dict[int, I64] = {}  # version -> gates of each zone
        self._open: dict[tuple[int, int], _Open] = {}  # (code, start)
        self._occupancy = Occupancy()

    def tell(self, sets: Sequence[Given]) -> None:
        """Take in ``set`` records, before the shares of any window that they hold for."""
        self._occupancy.tell(sets)

    def add(self, parts: Sequence[Share]) -> list[Done]:
        """Take in all shares of one line, lines in order; what they complete, in order of window length and start."""
        touched = set()
        for share in parts:
            key = (share.code, share.start_ms)
            window = self._open.get(key)
            if window is None:
                sums = np.zeros((len(self._count(share.version)), _COLUMNS), np.int64)
                window = self._open[key] = _Open(share.version, share.end_ms, sums, [])
            _sum(window.sums, share, self._tables(share.version))
            window.shares.append(share)
            touched.add((share.end_ms, *key))
        done = [self._complete(code, start) for _, code, start in sorted(touched)]
        return sorted((d for d in done if d is not None), key=lambda d: (d.code, d.start_ms))

    def _complete(self, code: int, start: int) -> Done | None:
        """The zones of a window that are complete now, in order; None where there is none."""
        window = self._open[code, start]
        tables, gates, sums = self._tables(window.version), self._count(window.version), window.sums
        want = (gates > 0) & (tables.zone_window <= code)
        zones = np.flatnonzero(want & (sums[:, 4] == gates))
        if not len(zones):
            return None
        told = _told(window.shares, len(tables.gate_ids))
        mine = sums[zones]
        held = self._occupancy.step(
            tables, window.version, code, start, window.end_ms, zones, mine[:, 7] == 0, told
        )  # fmt: skip
        sums[zones, 4] = -1  # told
        if not (want & (sums[:, 4] >= 0)).any():
            del self._open[code, start]
        return Done(window.version, code, start, window.end_ms, zones, mine, held)

    def _count(self, version: int) -> I64:
        if version not in self._gates:
            tables = self._tables(version)
            a, b, zones = tables.gate_a[tables.gate_here], tables.gate_b[tables.gate_here], len(tables.zone_ids)
            both = np.append(a[a >= 0], b[(b >= 0) & (a != b)])
            self._gates[version] = np.bincount(both, minlength=zones)
        return self._gates[version]

    def state(self) -> tuple[Any, ...]:
        """Windows still waiting for gates, and the count of every zone."""
        return self._open, self._occupancy.state()

    def restore(self, state: tuple[Any, ...]) -> None:
        """Take back what ``state()`` gave."""
        self._open, occupancy = state
        self._occupancy.restore(occupancy)


def _told(shares: list[Share], gates: int) -> Told:
    """What all shares of a window tell, by gate row."""
    totals, times = np.zeros((3, gates, DIRECTION_COUNT), np.int64), np.zeros((2, gates), np.int64)
    for share in shares:
        for place, of in enumerate((share.total_low, share.total_high, share.low)):
            totals[place, share.gates] = of
        times[0, share.gates], times[1, share.gates] = share.covered, share.expected
    return Told(*totals, *times)


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
    """The product ``zones`` from completed sums, one block per version, ordered by window and zone."""
    versions = sorted({d.version for d in done})
    return [_rows([d for d in done if d.version == v], tables(v), threshold, f"{unit}/{v}") for v in versions]


def _rows(done: list[Done], tables: Tables, threshold: int, unit: str) -> Released:
    count = [len(d.zones) for d in done]
    code, start, end = (np.repeat([getattr(d, i) for d in done], count) for i in ("code", "start_ms", "end_ms"))
    zone, sums = np.concatenate([d.zones for d in done]), np.concatenate([d.sums for d in done])
    held = Held(*(np.concatenate([getattr(d.held, name) for d in done]) for name in Held.__slots__))
    unknown, null = sums[:, 7] > 0, np.full(len(zone), NULL_INT, np.int64)
    columns: dict[str, np.ndarray] = {
        "window": code.astype(np.int32),
        "window_start": start,
        "zone": zone.astype(np.int32),
    }
    small, exact = np.ones(len(zone), np.bool_), np.ones(len(zone), np.bool_)
    for place, name in enumerate(("inflow", "outflow")):
        low, high = sums[:, 2 * place], sums[:, 2 * place + 1]
        few = (high < threshold) & (threshold > 1)
        small, exact = small & few, exact & (low == high)
        columns[name] = np.where(unknown | few, null, (low + high) // 2)
        columns[f"{name}_low"] = np.where(unknown, null, low)
        columns[f"{name}_high"] = np.where(unknown, null, high)
    passing = np.where(
        unknown | (code < _MINUTE), np.nan, np.maximum(sums[:, 0], sums[:, 2]) / ((end - start) / 60_000)
    )
    columns |= _held(held, zone, passing, tables)
    status = np.where(exact, RELEASED_STATUS, np.where(small, SUPPRESSED_STATUS, RANGE_STATUS))
    columns["status"] = np.where(unknown, UNKNOWN_STATUS, status).astype(np.int32)
    share = sums[:, 5] / np.maximum(sums[:, 6], 1)
    share = np.where((sums[:, 8] > 0) & (share == 0), np.nan, share)
    columns["coverage"] = np.where(unknown, 0.0, share)  # with a gate unwatched the zone's sum is
    names = {
        "window": WINDOWS,
        "zone": tables.zone_ids,
        "los_scheme": _SCHEMES,
        "los": LOS,
        "status": STATUS,
    }
    return Released("zones", unit, columns, names, tables.registry.version)


def _held(held: Held, zone: I64, passing: F64, tables: Tables) -> dict[str, np.ndarray]:
    """Columns of who is inside; ``passing``: people a minute that certainly went in, or out where that are more."""
    area, width = (
        np.array([np.nan if getattr(z, name) is None else getattr(z, name) for z in tables.zones], np.float64)[zone]
        for name in ("area_m2", "width_m")
    )
    have = held.low != NULL
    low, high = (np.where(have, end, 0) for end in (held.low, held.high))
    middle = (low + high) // 2
    error = np.maximum(held.error, 0)  # where sensors tell none, the counts are taken as they are
    of_zone = np.array([_SCHEMES.index(los.OF_KIND[z.kind].name) for z in tables.zones], np.int32)[zone]
    grades = np.zeros(len(zone), np.int32)
    for place, scheme in enumerate(los.SCHEMES, 1):
        mine = of_zone == place
        least, most = (np.where(have, people, np.nan)[mine] / area[mine] for people in (low - error, high + error))
        grades[mine] = los.grade_range(scheme, least, most, (passing / width)[mine])
    return {
        "occupancy": np.where(have, middle, NULL),
        "occupancy_low": held.low,
        "occupancy_high": held.high,
        "density": np.where(have, middle, np.nan) / area,
        "speed": np.full(len(zone), np.nan),
        "los_scheme": of_zone,
        "los": grades,
        "drift_low": held.drift_low,
        "drift_high": held.drift_high,
        "error": held.error,
    }
