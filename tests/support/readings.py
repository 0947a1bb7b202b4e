"""Readings of zones by hand: what partials tell of panes, through engine.stock as a shard would take it."""

from __future__ import annotations

import json
import pickle
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, NamedTuple

import numpy as np

from engine import partial, registry
from engine.book import Book
from engine.model import CELL_MS, END, GAP_MS, I64, NO_TIME, WINDOWS
from engine.partial import Partial
from engine.readers import Rule
from engine.rows import joined
from engine.shard_class import Switch
from engine.stock import Stock
from engine.zone_reading import Reading

T0 = 1_769_997_600_000  # 2026-02-02T02:00:00Z
ALWAYS = [{"from": "2020-01-01T00:00:00Z", "to": None}]
_PARTS = [field.name for field in fields(Partial)][6:]  # behind the numbers
SQUARE = [[0, 0], [10, 0], [10, 10], [0, 10]]


def zone(name: str = "hall", **more: Any) -> dict[str, Any]:
    return {"id": name, "kind": "walkway", "area_m2": 100, "width_m": 10, "polygon_m": SQUARE} | more


def sensor(name: str, kind: str, zone: str | None = "hall", **more: Any) -> dict[str, Any]:
    return {
        "id": name, "kind": kind, "gate": None, "zone": zone, "approved": ALWAYS,
        "reporting": "heartbeat", "beat_s": 10, "relative_error": 0.1,
    } | more  # fmt: skip


def world(*sensors: dict[str, Any], zones: Sequence[dict[str, Any]] = (), **more: Any) -> dict[str, Any]:
    return {
        "version": "v1", "timezone": "Asia/Tokyo", "gates": [], "zones": list(zones) or [zone()],
        "sensors": list(sensors),
    } | more  # fmt: skip


class Read(NamedTuple):
    """People a tracker saw in a pane (number from T0): their time in ms, way in mm, tracks. Of a camera ``told``."""

    pane: int
    sensor: str
    people_ms: int
    way_mm: int = 0
    tracks: int = 0
    told: int = 0
    zone: str = "hall"


class Heard(NamedTuple):
    """Heartbeats covered so many ms of a pane."""

    pane: int
    sensor: str
    ms: int = CELL_MS


@dataclass
class Log:
    """What one partition tells. ``active``: panes with an accepted record; None: all from 0 to the last told."""

    told: Sequence[Read | Heard] = ()
    active: Iterable[int] | None = None
    versions: Mapping[int, int] = field(default_factory=dict)  # ms from T0 -> place among the run's versions


def _rows(told: Sequence[Read | Heard], tables: Any) -> tuple[I64, I64]:
    stock, watch = [], []
    for one in told:
        if one.sensor not in tables.sensor_ids:
            continue  # no version has it: its records are refused
        start, row = T0 + one.pane * CELL_MS, tables.sensor_ids.index(one.sensor)
        of = tables.sensors[row]
        close = start + CELL_MS + int(tables.sensor_delay_ms[row])
        if isinstance(one, Heard):
            watch.append([start, close, row, one.ms])
        else:
            if of.kind == "tracker":
                close = start + CELL_MS + int(tables.sensor_wait_ms[row]) + tables.follow.track_ms
            place = tables.zone_ids.index(one.zone)
            stock.append([start, close, row, place, one.people_ms, one.way_mm * 1000, one.tracks, one.told])
    return np.array(stock, np.int64).reshape(-1, 8), np.array(watch, np.int64).reshape(-1, 4)


def _empty(columns: int) -> I64:
    return np.empty((0, columns), np.int64)


def readings(
    documents: Sequence[dict[str, Any]],
    logs: Sequence[Log],
    rule: Rule,
    *,
    steps: Sequence[int] = (),
    switched: Sequence[int] = (),
    restart: bool = False,
) -> list[tuple[int, Reading]]:
    """All readings as (line, reading) in the order told, after closing at ``steps`` (ms from T0) and at the end.

    ``switched``: ms from T0 at which the versions after the first begin to hold. Every partition tells its rows by the
    numbers of all versions, as one that has gone through them.
    """
    book = Book(registry.parse(json.dumps(documents[0]).encode()))
    sequence: tuple[str, ...] = book.start
    switches = [Switch(NO_TIME, sequence)]
    for document, at in zip(documents[1:], switched, strict=True):
        later = registry.parse(json.dumps(document).encode())
        book.meet(later)
        sequence = (*sequence, later.hash)
        switches.append(Switch(T0 + at, sequence))
    tables = book.tables(sequence)
    rows = [_rows(log.told, tables) for log in logs]
    cells = sorted({T0 + p * CELL_MS for log in logs for p in _active(log)})
    stock, known, before = Stock(rule), _empty(2), NO_TIME
    out: list[tuple[int, Reading]] = []
    for w in [*(T0 + s // CELL_MS * CELL_MS for s in sorted(set(steps))), END]:
        if w <= before:
            continue
        for number, (told, watch) in enumerate(rows):
            now = [some[(some[:, 1] > before) & (some[:, 1] <= w)] for some in (told, watch)]
            parts = {name: _empty(columns) for name, columns in zip(_PARTS, partial._COLUMNS, strict=True)}
            parts |= dict(zip(("stock", "watch"), now, strict=True))
            stock.add(Partial(number, 0, before, w, 0, 0, **parts))
        news = np.array([[c, c] for c in cells if before <= c < w], np.int64).reshape(-1, 2)
        found = stock.close(
            w, known, joined(news, CELL_MS), [s for s in switches if s.at_ms < w], book, _same, _same
        )  # fmt: skip
        out += [(line, reading) for line, some in sorted(found.items()) for reading in some]
        known, before = joined(np.concatenate([known, news]), GAP_MS), w
        if restart:
            state, stock = pickle.dumps(stock.state()), Stock(rule)
            stock.restore(pickle.loads(state))
    return out


def _active(log: Log) -> Iterable[int]:
    if log.active is not None:
        return log.active
    return range(max((one.pane for one in log.told), default=-1) + 1)


def _same(_partition: int) -> None:
    return None


def told(found: list[tuple[int, Reading]], zones: Sequence[str] = ("hall",)) -> dict[tuple[str, int, str], Any]:
    """Figures by (window, start in panes from T0, zone)."""
    out = {}
    for line, r in found:
        for i, place in enumerate(r.zones.tolist()):
            key = WINDOWS[r.code], (r.start_ms - T0) // CELL_MS, zones[place]
            assert key not in out, f"twice: {key}"
            out[key] = {
                name: _plain(getattr(r, name)[i])
                for name in ("low", "high", "most", "gone", "speed", "sure", "error", "covered", "expected", "blind")
            } | {"version": r.version, "line": line}
    return out


def _plain(value: Any) -> Any:
    value = value.item()
    return None if value != value else value
