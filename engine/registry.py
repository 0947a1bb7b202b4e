"""The registry: which sensors, gates and zones there are, and since when sensors are approved."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from engine import rfc3339
from engine.errors import BadInput
from engine.model import ID_BYTES, LEAVES, REPORTING
from engine.registry_fields import Fields
from engine.thresholds import Threshold, places, thresholds
from engine.timezone import TimeZone

_Approvals = tuple[tuple[int, int], ...]  # [from, to) in ms

ZONE_KINDS = ("walkway", "plaza", "queue", "shelter", "exit")
SENSOR_KINDS = (COUNTER, BEAM_PAIR, TRACKER, CAMERA) = ("counter", "beam_pair", "tracker", "occupancy")


@dataclass(frozen=True, slots=True)
class Zone:
    """A place people are in. ``area_m2``, ``width_m`` and ``polygon_m`` (x, y) are None where not told.

    ``closed``: (from, to) in minutes of the local day; from > to goes over midnight.
    """

    id: str
    name: Mapping[str, str]
    kind: str
    area_m2: float | None
    width_m: float | None
    parent: str | None = None
    polygon_m: tuple[tuple[float, float], ...] | None = None
    closed: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Gate:
    """A line people cross; ``a`` and ``b`` are zone ids, None = outside. ``leaf`` = code of its finest window.

    ``line_m``: both its ends (x, y), None where not told; side a lies left of it, seen from the first end. ``width_m``:
    of the way through it, None where not told.
    """

    id: str
    a: str | None
    b: str | None
    leaf: int
    delay_ms: int
    line_m: tuple[tuple[float, float], ...] | None = None
    width_m: float | None = None


@dataclass(frozen=True, slots=True)
class Sensor:
    """A sensor and when it was approved: intervals [from, to) in ms, ``to`` = END while it holds.

    ``group`` is a name within the sensor's gate: the same name at another gate is another group. ``relative_error``:
    its counts are within this share of the truth; None where not told.
    """

    id: str
    kind: str
    gate: str | None
    zone: str | None
    approved: _Approvals
    reporting: int
    beat_ms: int
    group: str | None
    relative_error: float | None = None


@dataclass(frozen=True, slots=True)
class Device:
    """A signage device and when it was approved, as a sensor is. ``zone``: where it stands, None where not told."""

    id: str
    zone: str | None
    approved: _Approvals


@dataclass(frozen=True)
class Registry:
    """One checked version. ``text`` is its canonical JSON, ``hash`` the SHA-256 of that.

    Who made it and when, ``by`` and ``at`` of the document, decide nothing: they are checked and stay in the text.
    """

    version: str
    timezone: str
    zones: tuple[Zone, ...]
    gates: tuple[Gate, ...]
    sensors: tuple[Sensor, ...]
    text: str
    hash: str = field(default="")
    thresholds: tuple[Threshold, ...] = ()
    devices: tuple[Device, ...] = ()


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
    same: dict[_Approvals, _Approvals] = {}
    sensors = [_sensor(s, f"sensors[{i}]", faults, same) for i, s in enumerate(_rows(document, "sensors", faults))]
    devices = [_device(d, f"devices[{i}]", faults) for i, d in enumerate(_rows(document, "devices", faults))]
    rules = thresholds(_rows(document, "thresholds", faults), places(zones, gates), ZONE_KINDS, faults)
    _signed(document, faults)
    for part, rows in (
        ("zones", zones),
        ("gates", gates),
        ("sensors", sensors),
        ("devices", devices),
        ("thresholds", rules),
    ):
        seen: set[str] = set()
        for i, row in enumerate(rows):
            if row is not None and row.id in seen:
                faults.append(f"{part}[{i}].id: stands there twice")
            seen.add(row.id if row is not None else "")
    zone_ids = {z.id for z in zones if z}
    _check_parents(zones, zone_ids, faults)
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
    for i, device in enumerate(devices):
        if device and device.zone is not None and device.zone not in zone_ids:
            faults.append(f"devices[{i}].zone: no such zone")
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
            thresholds=tuple(rule for rule in rules if rule),
            devices=tuple(d for d in devices if d),
        ),
        [],
    )


def _rows(document: Mapping[str, Any], name: str, faults: list[str]) -> Sequence[Any]:
    rows = document.get(name, [])
    if isinstance(rows, list):
        return rows
    faults.append(f"{name}: not a list")
    return []


def _signed(document: Mapping[str, Any], faults: list[str]) -> None:
    """Check who made the version and when: text and RFC 3339 with offset; either may be missing."""
    by, at = document.get("by"), document.get("at")
    if by is not None and (not isinstance(by, str) or not 0 < len(by.encode("utf-8", "surrogatepass")) <= ID_BYTES):
        faults.append(f"by: must be text of 1 to {ID_BYTES} bytes")
    if at is not None and (not isinstance(at, str) or rfc3339.parse_ms(at) is None):
        faults.append("at: must be RFC 3339 with offset")


def _zone(row: Any, place: str, faults: list[str]) -> Zone | None:
    f = Fields(row, place, faults)
    if not f.good:
        return None
    name = f.row.get("name") or {}
    if not isinstance(name, dict) or not all(isinstance(v, str) for v in name.values()):
        f.bad("name", "must be an object of texts by language")
    zone_id, kind = f.text("id", required=True), f.word("kind", ZONE_KINDS)
    area, width = f.number("area_m2", None, above=0), f.number("width_m", None, above=0)
    parent = f.text("parent")
    polygon, closed = f.points("polygon_m", 3, None), f.closed()
    return Zone(zone_id or "", name, ZONE_KINDS[kind], area, width, parent, polygon, closed) if f.good else None


def _gate(row: Any, place: str, faults: list[str]) -> Gate | None:
    f = Fields(row, place, faults)
    if not f.good:
        return None
    for side in ("a", "b"):
        if side not in f.row:
            f.bad(side, "missing (null = outside)")
    gate_id, leaf = f.text("id", required=True), f.word("leaf", LEAVES)
    a, b = f.text("a"), f.text("b")
    delay = f.number("delay_s", 0, least=0) or 0
    width = f.number("width_m", None, above=0)
    f.number("bearing_deg", None, least=0, most=360)
    line = f.points("line_m", 2, 2)
    return Gate(gate_id or "", a, b, leaf, round(delay * 1000), line, width) if f.good else None


def _sensor(row: Any, place: str, faults: list[str], same: dict[_Approvals, _Approvals]) -> Sensor | None:
    """``same``: approvals met so far; most sensors of a registry were approved at one time."""
    f = Fields(row, place, faults)
    if not f.good:
        return None
    sensor_id, kind = f.text("id", required=True), f.word("kind", SENSOR_KINDS)
    gate, zone, group = (word and sys.intern(word) for word in (f.text("gate"), f.text("zone"), f.text("group")))
    reporting = f.word("reporting", REPORTING, "on_change")
    beat = f.number("beat_s", 30, least=0.001) or 30
    error = f.number("relative_error", None, least=0, most=1)
    approved, beat_ms = f.approved(), round(beat * 1000)
    approved = same.setdefault(approved, approved)
    made = Sensor(sensor_id or "", SENSOR_KINDS[kind], gate, zone, approved, reporting, beat_ms, group, error)
    return made if f.good else None


def _device(row: Any, place: str, faults: list[str]) -> Device | None:
    f = Fields(row, place, faults)
    if not f.good:
        return None
    device_id, zone = f.text("id", required=True), f.text("zone")
    approved = f.approved()
    return Device(device_id or "", zone, approved) if f.good else None


def _check_parents(zones: Sequence[Zone | None], known: set[str], faults: list[str]) -> None:
    """Every parent is a zone, and none is its own ancestor: each zone of a circle is told."""
    parents = {zone.id: zone.parent for zone in zones if zone}
    for i, zone in enumerate(zones):
        if zone is None or zone.parent is None:
            continue
        if zone.parent not in known:
            faults.append(f"zones[{i}].parent: no such zone")
            continue
        above, steps = parents[zone.id], 0
        while above is not None and above != zone.id and steps < len(parents):
            above, steps = parents.get(above), steps + 1
        if above == zone.id:
            faults.append(f"zones[{i}].parent: leads back to the zone itself")
