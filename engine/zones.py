"""Zones: in- and outflow, occupancy, density, speed and level of service, from their gates or from what reads them.

Flows are interval sums over the rows of the gates: a crossing a→b leaves zone a and enters zone b. Passages of unknown
direction belong to neither flow; the rows of ``flow`` show them. A zone's figure is unknown as soon as one of its gates
is: a part of a sum looks like all of it. Occupancy: engine/occupancy.py; a zone with gates has it from them alone, one
without has it and a speed from readings (engine/stock.py). With ``[zones] beside_gates`` a zone with gates has both,
and a reading that is known is what its row tells.
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
from engine.occupancy import NULL, Flags, Held, Occupancy, Told, unknown
from engine.readers import Rule, have_readings
from engine.sets import Given
from engine.tables import Tables
from engine.zone_reading import Reading, of_zones, together

# inflow low and high, outflow low and high, gates told and readings (-1 = row made), covered ms, expected ms, gates
# unknown, gates whose coverage cannot be told
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
    """Zones (n,) of which all is told of a window: the sums (n, _COLUMNS) of their gates, who is inside by these, and
    what was read. ``gated``: which have gates; nothing is known of the others by them."""

    version: int
    code: int
    start_ms: int
    end_ms: int
    zones: I64
    sums: I64
    gated: Flags
    held: Held
    read: Reading


@dataclass(slots=True)
class _Open:
    """A window of which some gates or readings have told: sums of the zones, the shares, and what was read."""

    version: int
    end_ms: int
    sums: I64
    shares: list[Share]
    readings: list[Reading]


class ZoneFigures:
    """Collects shares and readings until all of a zone's window is told, then makes the zone's figures.

    ``tables`` of the versions by their place in the run's switches; all shares of a window name the same version.
    ``rule``: how readings are published, None: none are.
    """

    def __init__(self, tables: Callable[[int], Tables], rule: Rule | None = None) -> None:
        self._tables, self._rule = tables, rule
        self._parts: dict[int, tuple[I64, I64]] = {}  # version -> gates of each zone; those and readings
        self._open: dict[tuple[int, int], _Open] = {}  # (code, start)
        self._occupancy = Occupancy()

    def tell(self, sets: Sequence[Given]) -> None:
        """Take in ``set`` records, before the shares of any window that they hold for."""
        self._occupancy.tell(sets)

    def add(self, parts: Sequence[Share | Reading]) -> list[Done]:
        """Take in all shares of one line, lines in order; what they complete, in order of window length and start."""
        touched, done = set(), []
        for share in parts:
            key = (share.code, share.start_ms)
            if isinstance(share, Reading):
                gated = self._wanted(share.version)[0][share.zones] > 0
                if not gated.all():
                    done.append(_read(share, share.zones[~gated]))
                if not gated.any():
                    continue
            window = self._open.get(key)
            if window is None:
                sums = np.zeros((len(self._wanted(share.version)[0]), _COLUMNS), np.int64)
                window = self._open[key] = _Open(share.version, share.end_ms, sums, [], [])
            if isinstance(share, Reading):
                window.sums[share.zones[gated], 4] += 1
                window.readings.append(share)
            else:
                _sum(window.sums, share, self._tables(share.version))
                window.shares.append(share)
            touched.add((share.end_ms, *key))
        for _, code, start in sorted(touched):
            done += self._complete(code, start)
        return sorted(done, key=lambda d: (d.code, d.start_ms))

    def _complete(self, code: int, start: int) -> list[Done]:
        """The zones with gates of a window that are complete now, in order; empty where there is none."""
        window = self._open[code, start]
        tables, (gates, parts), sums = self._tables(window.version), self._wanted(window.version), window.sums
        want = (gates > 0) & (tables.zone_window <= code)
        zones = np.flatnonzero(want & (sums[:, 4] == parts))
        if not len(zones):
            return []
        told = _told(window.shares, len(tables.gate_ids))
        mine = sums[zones]
        of = window.version, code, start, window.end_ms
        held = self._occupancy.step(tables, *of, zones, mine[:, 7] == 0, told)
        sums[zones, 4] = -1  # told
        if not (want & (sums[:, 4] >= 0)).any():
            del self._open[code, start]
        return [Done(*of, zones, mine, np.ones(len(zones), np.bool_), held, of_zones(window.readings, zones, *of))]

    def _wanted(self, version: int) -> tuple[I64, I64]:
        """By zone row how many gates have to tell a window, and how many parts with its readings."""
        if version not in self._parts:
            tables = self._tables(version)
            a, b, zones = tables.gate_a[tables.gate_here], tables.gate_b[tables.gate_here], len(tables.zone_ids)
            both = np.append(a[a >= 0], b[(b >= 0) & (a != b)])
            gates = np.bincount(both, minlength=zones)
            self._parts[version] = gates, gates + have_readings(tables, self._rule)
        return self._parts[version]

    def state(self) -> tuple[Any, ...]:
        """Windows still waiting for gates, and the count of every zone."""
        return self._open, self._occupancy.state()

    def restore(self, state: tuple[Any, ...]) -> None:
        """Take back what ``state()`` gave."""
        self._open, occupancy = state
        self._occupancy.restore(occupancy)


def _read(reading: Reading, zones: I64) -> Done:
    """Zones without gates: nothing but what was read."""
    window = reading.version, reading.code, reading.start_ms, reading.end_ms
    sums, gated = np.zeros((len(zones), _COLUMNS), np.int64), np.zeros(len(zones), np.bool_)
    return Done(*window, zones, sums, gated, unknown(len(zones)), of_zones([reading], zones, *window))


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
    zone, sums, gated = (np.concatenate([getattr(d, name) for d in done]) for name in ("zones", "sums", "gated"))
    held = Held(*(np.concatenate([getattr(d.held, name) for d in done]) for name in Held.__slots__))
    read = together([d.read for d in done])
    unknown, null = np.where(gated, sums[:, 7] > 0, read.unknown), np.full(len(zone), NULL_INT, np.int64)
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
        columns[name] = np.where(unknown | few | ~gated, null, (low + high) // 2)
        columns[f"{name}_low"] = np.where(unknown | ~gated, null, low)
        columns[f"{name}_high"] = np.where(unknown | ~gated, null, high)
    passing = np.where(
        unknown | (code < _MINUTE) | ~gated,
        np.nan,
        np.maximum(sums[:, 0], sums[:, 2]) / ((end - start) / 60_000),
    )
    columns |= _inside(held, read, zone, passing, tables)
    small, exact = np.where(gated, small, read.few), np.where(gated, exact, read.low == read.high)
    status = np.where(exact, RELEASED_STATUS, np.where(small, SUPPRESSED_STATUS, RANGE_STATUS))
    columns["status"] = np.where(unknown, UNKNOWN_STATUS, status).astype(np.int32)
    covered, expected = np.where(gated, sums[:, 5], read.covered), np.where(gated, sums[:, 6], read.expected)
    share = covered / np.maximum(expected, 1)
    share = np.where(np.where(gated, sums[:, 8] > 0, read.blind) & (share == 0), np.nan, share)
    columns["coverage"] = np.where(unknown, 0.0, share)  # with a gate unwatched the zone's sum is
    names = {
        "window": WINDOWS,
        "zone": tables.zone_ids,
        "los_scheme": _SCHEMES,
        "los": LOS,
        "status": STATUS,
    }
    order = np.lexsort((zone, start, code))  # zones with gates and without came one behind the other
    columns = {name: column[order] for name, column in columns.items()}
    return Released("zones", unit, columns, names, tables.registry.version)


def _inside(held: Held, read: Reading, zone: I64, passing: F64, tables: Tables) -> dict[str, np.ndarray]:
    """Columns of who is inside; ``passing``: people a minute that certainly went in, or out where that are more."""
    area, width = (
        np.array([np.nan if getattr(z, name) is None else getattr(z, name) for z in tables.zones], np.float64)[zone]
        for name in ("area_m2", "width_m")
    )
    seen, have = ~read.unknown, held.low != NULL
    counted = [np.where(have, end, np.nan) for end in (held.low, (held.low + held.high) // 2, held.high)]
    people = np.where(read.few, np.nan, read.low)  # rounded down; of few people the range alone is told
    low, shown, high = (np.where(seen, *of) for of in zip((read.low, people, read.high), counted, strict=True))
    error = np.where(seen, read.error, held.error)
    wrong = np.maximum(error, 0)  # where sensors tell none, what they say is taken as it is
    least, most = low - wrong, np.where(seen, read.most, high) + wrong
    of_zone = np.array([_SCHEMES.index(los.OF_KIND[z.kind].name) for z in tables.zones], np.int32)[zone]
    grades, before = (np.zeros(len(zone), np.int32) for _ in range(2))
    for place, scheme in enumerate(los.SCHEMES, 1):
        mine = of_zone == place
        # what was there before is asked of readings alone
        for out, people, rows in ((grades, most, mine), (before, np.maximum(most, read.gone + wrong), mine & seen)):
            if rows.any():  # a call takes as long for no rows as for many
                rest = (passing / width)[rows], read.speed[rows]
                out[rows] = los.grade_range(scheme, (least / area)[rows], (people / area)[rows], *rest)
    grades[seen & (~read.sure | (grades != before))] = los.UNKNOWN
    return {
        "occupancy": shown,
        "occupancy_low": low,
        "occupancy_high": high,
        "density": np.where(read.few, (low + high) / 2, shown) / area,  # of few too: what was dense is not any more
        "speed": read.speed,
        "los_scheme": of_zone,
        "los": grades,
        "drift_low": held.drift_low,
        "drift_high": held.drift_high,
        "error": error,
    }
