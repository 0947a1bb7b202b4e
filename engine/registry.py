"""The registry: which sensors, gates and zones there are, since when they are approved; and its tables for kernels."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from engine import rfc3339
from engine.errors import BadInput
from engine.model import END, I8, I32, I64, ID_BYTES, LEAVES, LENGTH_MS, REPORTING
from engine.timezone import TimeZone

ZONE_KINDS = ("walkway", "plaza", "queue", "shelter", "exit")
SENSOR_KINDS = ("counter", "beam_pair", "tracker", "occupancy")


@dataclass(frozen=True, slots=True)
class Zone:
    """A place people are in. ``area_m2`` and ``width_m`` are None where not told."""

    id: str
    name: Mapping[str, str]
    kind: str
    area_m2: float | None
    width_m: float | None


@dataclass(frozen=True, slots=True)
class Gate:
    """A line people cross; ``a`` and ``b`` are zone ids, None = outside. ``leaf`` = code of its finest window."""

    id: str
    a: str | None
    b: str | None
    leaf: int
    delay_ms: int


@dataclass(frozen=True, slots=True)
class Sensor:
    """A sensor and when it was approved: intervals [from, to) in ms, ``to`` = END while it holds."""

    id: str
    kind: str
    gate: str | None
    zone: str | None
    approved: tuple[tuple[int, int], ...]
    reporting: int
    beat_ms: int
    group: str | None


@dataclass(frozen=True)
class Registry:
    """One checked version. ``text`` is its canonical JSON, ``hash`` the SHA-256 of that."""

    version: str
    timezone: str
    zones: tuple[Zone, ...]
    gates: tuple[Gate, ...]
    sensors: tuple[Sensor, ...]
    text: str
    hash: str = field(default="")

    def tables(self) -> Tables:
        """The same as columns for kernels."""
        return Tables(self)


@dataclass(frozen=True, init=False)
class Tables:
    """Columns of a registry: rows of sensors (S), gates (G) and zones (Z) in the registry's order.

    ``sensor_gate`` -1 = no gate. ``approved_at[s]:approved_at[s + 1]`` are sensor s's rows in ``approved_from`` and
    ``approved_to``. ``gate_a``, ``gate_b`` -1 = outside. ``zone_window`` = code of the coarsest leaf of its gates.
    """

    registry: Registry
    zone_clock: TimeZone
    sensor_ids: tuple[str, ...]
    sensor_gate: I32
    sensor_leaf: I8
    sensor_delay_ms: I64
    sensor_reporting: I8
    sensor_beat_ms: I64
    approved_at: I32
    approved_from: I64
    approved_to: I64
    gate_ids: tuple[str, ...]
    gate_leaf: I8
    gate_delay_ms: I64
    gate_a: I32
    gate_b: I32
    zone_ids: tuple[str, ...]
    zone_window: I8
    zone_delay_ms: I64

    def __init__(self, registry: Registry) -> None:
        put = object.__setattr__
        gates, sensors, zones = registry.gates, registry.sensors, registry.zones
        gate_row = {g.id: i for i, g in enumerate(gates)}
        zone_row = {z.id: i for i, z in enumerate(zones)}
        put(self, "registry", registry)
        put(self, "zone_clock", TimeZone(registry.timezone))
        put(self, "sensor_ids", tuple(s.id for s in sensors))
        put(self, "sensor_gate", np.array([gate_row.get(s.gate or "", -1) for s in sensors], np.int32))
        leaf = [gates[gate_row[s.gate]].leaf if s.gate in gate_row else 0 for s in sensors]
        delay = [gates[gate_row[s.gate]].delay_ms if s.gate in gate_row else 0 for s in sensors]
        put(self, "sensor_leaf", np.array(leaf, np.int8))
        put(self, "sensor_delay_ms", np.array(delay, np.int64))
        put(self, "sensor_reporting", np.array([s.reporting for s in sensors], np.int8))
        put(self, "sensor_beat_ms", np.array([s.beat_ms for s in sensors], np.int64))
        put(self, "approved_at", np.cumsum([0, *(len(s.approved) for s in sensors)]).astype(np.int32))
        put(self, "approved_from", np.array([f for s in sensors for f, _ in s.approved], np.int64))
        put(self, "approved_to", np.array([t for s in sensors for _, t in s.approved], np.int64))
        put(self, "gate_ids", tuple(g.id for g in gates))
        put(self, "gate_leaf", np.array([g.leaf for g in gates], np.int8))
        put(self, "gate_delay_ms", np.array([g.delay_ms for g in gates], np.int64))
        put(self, "gate_a", np.array([zone_row.get(g.a or "", -1) for g in gates], np.int32))
        put(self, "gate_b", np.array([zone_row.get(g.b or "", -1) for g in gates], np.int32))
        put(self, "zone_ids", tuple(z.id for z in zones))
        touching = [[g for g in gates if z.id in (g.a, g.b)] for z in zones]
        put(self, "zone_window", np.array([max((g.leaf for g in t), default=0) for t in touching], np.int8))
        put(self, "zone_delay_ms", np.array([max((g.delay_ms for g in t), default=0) for t in touching], np.int64))


def load(path: str | Path) -> Registry:
    """Read and check a registry file. Raises BadInput, naming the first fault's place."""
    try:
        raw = Path(path).read_bytes()
    except OSError as error:
        raise BadInput(f"registry {path}: {error.strerror}") from None
    return parse(raw)


def parse(raw: bytes) -> Registry:
    """Parse and check registry JSON (a BOM at the start is skipped). Raises BadInput with the first fault."""
    registry, faults = check(raw)
    if registry is None:
        raise BadInput(f"registry: {faults[0]}")
    return registry


def check(raw: bytes) -> tuple[Registry | None, list[str]]:
    """All faults of a registry, each naming its place; the registry itself where there are none."""
    faults: list[str] = []
    try:
        document = orjson.loads(raw.removeprefix(b"\xef\xbb\xbf"))
    except orjson.JSONDecodeError:
        return None, ["not JSON"]
    if not isinstance(document, dict):
        return None, ["not a JSON object"]
    version, timezone = document.get("version"), document.get("timezone")
    for name, value in (("version", version), ("timezone", timezone)):
        if not isinstance(value, str) or not value:
            faults.append(f"{name}: missing or not text")
    if isinstance(timezone, str) and timezone:
        try:
            TimeZone(timezone)
        except BadInput:
            faults.append("timezone: not in the tz database")
    zones = [_zone(z, f"zones[{i}]", faults) for i, z in enumerate(_rows(document, "zones", faults))]
    gates = [_gate(g, f"gates[{i}]", faults) for i, g in enumerate(_rows(document, "gates", faults))]
    sensors = [_sensor(s, f"sensors[{i}]", faults) for i, s in enumerate(_rows(document, "sensors", faults))]
    for part, rows in (("zones", zones), ("gates", gates), ("sensors", sensors)):
        seen: set[str] = set()
        for i, row in enumerate(rows):
            if row is not None and row.id in seen:
                faults.append(f"{part}[{i}].id: stands there twice")
            seen.add(row.id if row is not None else "")
    zone_ids = {z.id for z in zones if z}
    gate_ids = {g.id for g in gates if g}
    for i, gate in enumerate(gates):
        for side in ("a", "b") if gate else ():
            if getattr(gate, side) is not None and getattr(gate, side) not in zone_ids:
                faults.append(f"gates[{i}].{side}: no such zone")
    for i, sensor in enumerate(sensors):
        if sensor and sensor.gate is not None and sensor.gate not in gate_ids:
            faults.append(f"sensors[{i}].gate: no such gate")
        if sensor and sensor.zone is not None and sensor.zone not in zone_ids:
            faults.append(f"sensors[{i}].zone: no such zone")
    if faults:
        return None, faults
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return (
        Registry(
            version=str(version),
            timezone=str(timezone),
            zones=tuple(z for z in zones if z),
            gates=tuple(g for g in gates if g),
            sensors=tuple(s for s in sensors if s),
            text=text,
            hash=hashlib.sha256(text.encode()).hexdigest(),
        ),
        [],
    )


def _rows(document: Mapping[str, Any], name: str, faults: list[str]) -> Sequence[Any]:
    rows = document.get(name, [])
    if isinstance(rows, list):
        return rows
    faults.append(f"{name}: not a list")
    return []


class _Fields:
    """Reads the fields of one row; notes what is wrong under the row's place."""

    def __init__(self, row: Any, place: str, faults: list[str]) -> None:
        self.row = row if isinstance(row, dict) else {}
        self.place, self.faults, self.good = place, faults, isinstance(row, dict)
        if not self.good:
            faults.append(f"{place}: not an object")

    def bad(self, name: str, why: str) -> None:
        self.good = False
        self.faults.append(f"{self.place}.{name}: {why}")

    def text(self, name: str, *, required: bool = False) -> str | None:
        value = self.row.get(name)
        if value is None:
            if required:
                self.bad(name, "missing")
            return None
        if not isinstance(value, str) or not value or len(value.encode("utf-8", "surrogatepass")) > ID_BYTES:
            self.bad(name, f"must be text of 1 to {ID_BYTES} bytes")
            return None
        return value

    def word(self, name: str, words: Sequence[str], default: str | None = None) -> int:
        value = self.row.get(name, default)
        value = default if value is None else value
        if not isinstance(value, str) or value not in words:
            self.bad(name, "missing" if value is None else f"must be one of {', '.join(words)}")
            return 0
        return words.index(value)

    def number(self, name: str, default: float | None, least: float) -> float | None:
        value = self.row.get(name)
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value < 1e12:
            self.bad(name, f"must be a number of at least {least:g}")
            return default
        return value


def _zone(row: Any, place: str, faults: list[str]) -> Zone | None:
    f = _Fields(row, place, faults)
    if not f.good:
        return None
    name = f.row.get("name") or {}
    if not isinstance(name, dict) or not all(isinstance(v, str) for v in name.values()):
        f.bad("name", "must be an object of texts by language")
    zone_id, kind = f.text("id", required=True), f.word("kind", ZONE_KINDS)
    area, width = f.number("area_m2", None, 0), f.number("width_m", None, 0)
    return Zone(zone_id or "", name, ZONE_KINDS[kind], area, width) if f.good else None


def _gate(row: Any, place: str, faults: list[str]) -> Gate | None:
    f = _Fields(row, place, faults)
    if not f.good:
        return None
    for side in ("a", "b"):
        if side not in f.row:
            f.bad(side, "missing (null = outside)")
    gate_id, leaf = f.text("id", required=True), f.word("leaf", LEAVES)
    a, b = f.text("a"), f.text("b")
    delay = f.number("delay_s", 0, 0) or 0
    return Gate(gate_id or "", a, b, leaf, round(delay * 1000)) if f.good else None


def _sensor(row: Any, place: str, faults: list[str]) -> Sensor | None:
    f = _Fields(row, place, faults)
    if not f.good:
        return None
    sensor_id, kind = f.text("id", required=True), f.word("kind", SENSOR_KINDS)
    gate, zone, group = f.text("gate"), f.text("zone"), f.text("group")
    reporting = f.word("reporting", REPORTING, "on_change")
    beat = f.number("beat_s", 30, 0.001) or 30
    approved = _approved(f)
    made = Sensor(sensor_id or "", SENSOR_KINDS[kind], gate, zone, approved, reporting, round(beat * 1000), group)
    return made if f.good else None


def _approved(f: _Fields) -> tuple[tuple[int, int], ...]:
    rows = f.row.get("approved")
    if not isinstance(rows, list):
        f.bad("approved", "missing or not a list")
        return ()
    out = []
    for i, row in enumerate(rows):
        since = row.get("from") if isinstance(row, dict) else None
        until = row.get("to") if isinstance(row, dict) else None
        start = rfc3339.parse_ms(since) if isinstance(since, str) else None
        end = END if until is None else rfc3339.parse_ms(until) if isinstance(until, str) else None
        if start is None or end is None or start >= end:
            f.bad(f"approved[{i}]", "needs from < to, RFC 3339 with offset (to null = still)")
            continue
        out.append((start, end))
    return tuple(sorted(out))


def classes(tables: Tables) -> dict[tuple[int, int], list[int]]:
    """Gate rows by (leaf code, delay in ms): gates of one class share their windows."""
    out: dict[tuple[int, int], list[int]] = {}
    for row, (leaf, delay) in enumerate(zip(tables.gate_leaf.tolist(), tables.gate_delay_ms.tolist(), strict=True)):
        out.setdefault((leaf, delay), []).append(row)
    return out


def longest_delay_ms(tables: Tables) -> int:
    """The largest delay among all gates: what W must pass beyond a window's end before all gates have closed it."""
    return int(tables.gate_delay_ms.max(initial=0))


def leaf_length_ms(leaf: int) -> int:
    """Nominal length of a leaf, the limit of a count's span."""
    return LENGTH_MS[leaf]
