"""A registry document from a spreadsheet: one row per sensor, gates and zones follow from the rows.

    gate,sensor,kind,leaf,a,b,approved_from,reporting,beat_s
    j1,j1-01,counter,10s,c1,,2026-01-01,heartbeat,10
    j1,j1-02,,,,,2026-01-01,heartbeat,10

Columns may stand in any order; only ``gate`` and ``sensor`` must be there, an empty cell takes the default:
kind counter, leaf 10s, a and b outside, reporting on_change, beat_s 30. ``approved_from`` is an RFC 3339 time with
offset, or a date = the first instant of that day in the registry's time zone; empty = not approved, so the sensor's
events are refused until somebody writes since when it may count (PRIVACY.md R2). The first row of a gate says its
leaf, a and b; further rows of it repeat them or leave the cells empty. Zones are those named by a and b, as
walkways: areas, widths and names are for the operator to add.
"""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from engine import rfc3339
from engine.errors import BadInput
from engine.model import ID_BYTES, LEAVES, REPORTING
from engine.registry import SENSOR_KINDS
from engine.timezone import TimeZone

COLUMNS = ("gate", "sensor", "kind", "leaf", "a", "b", "approved_from", "reporting", "beat_s")
_REQUIRED = ("gate", "sensor")
_DATE = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})")
_MOST_BEAT_S = 1e9


def from_csv(text: str, *, version: str = "1", timezone: str = "Asia/Tokyo") -> dict[str, Any]:
    """The registry document (JSON types) that a CSV text describes; rows keep their order.

    Raises BadInput for the first fault, naming its line and column name but no value; also for an unknown time zone.
    """
    TimeZone(timezone)
    zones: dict[str, dict[str, Any]] = {}
    gates: dict[str, dict[str, Any]] = {}
    sensors: dict[str, dict[str, Any]] = {}
    for row in _rows(text):
        gate, told = row.id("gate"), {"leaf": row.word("leaf", LEAVES), "a": row.zone("a"), "b": row.zone("b")}
        if gate not in gates:
            gates[gate] = {"id": gate, "a": told["a"], "b": told["b"], "leaf": told["leaf"] or LEAVES[0], "delay_s": 0}
        for column, value in told.items():
            if value is not None and value != gates[gate][column]:
                raise row.fault(column, "differs from the gate's first row")
        for zone in (told["a"], told["b"]):
            if zone is not None:
                zones.setdefault(zone, {"id": zone, "kind": "walkway"})
        sensor = row.id("sensor")
        if sensor in sensors:
            raise row.fault("sensor", "stands there twice")
        since = row.since("approved_from", timezone)
        sensors[sensor] = {
            "id": sensor,
            "kind": row.word("kind", SENSOR_KINDS) or "counter",
            "gate": gate,
            "zone": None,
            "approved": [] if since is None else [{"from": since, "to": None}],
            "reporting": row.word("reporting", REPORTING) or "on_change",
            "beat_s": row.seconds("beat_s"),
        }
    return {
        "version": version,
        "timezone": timezone,
        "zones": list(zones.values()),
        "gates": list(gates.values()),
        "sensors": list(sensors.values()),
    }


class _Row:
    """One line's cells by column name, read with checks that raise BadInput with the line's number."""

    def __init__(self, line: int, cells: dict[str, str]) -> None:
        self.line, self.cells = line, cells

    def fault(self, column: str, why: str) -> BadInput:
        return BadInput(f"registry CSV, line {self.line}: {column} {why}")

    def text(self, column: str) -> str | None:
        return self.cells.get(column, "").strip() or None

    def zone(self, column: str) -> str | None:
        value = self.text(column)
        try:
            too_long = value is not None and len(value.encode()) > ID_BYTES
        except UnicodeEncodeError:
            raise self.fault(column, "is not valid text") from None
        if too_long:
            raise self.fault(column, f"is longer than {ID_BYTES} bytes")
        return value

    def id(self, column: str) -> str:
        value = self.zone(column)
        if value is None:
            raise self.fault(column, "is empty")
        return value

    def word(self, column: str, words: Sequence[str]) -> str | None:
        value = self.text(column)
        if value is not None and value not in words:
            raise self.fault(column, f"must be one of {', '.join(words)}")
        return value

    def seconds(self, column: str) -> float:
        value = self.text(column)
        try:
            number = 30.0 if value is None else float(value)
        except ValueError:
            number = math.nan
        if not 0.001 <= number <= _MOST_BEAT_S:
            raise self.fault(column, "must be a number of at least 0.001")
        return int(number) if number.is_integer() else number

    def since(self, column: str, timezone: str) -> str | None:
        value = self.text(column)
        if value is None:
            return None
        why = "must be a date, or an RFC 3339 time with offset"
        if (date := _DATE.fullmatch(value)) is None:
            ms = rfc3339.parse_ms(value)
        else:
            try:
                at = datetime(int(date[1]), int(date[2]), int(date[3]), tzinfo=ZoneInfo(timezone))
                ms = round(at.astimezone(UTC).timestamp()) * 1000
            except (ValueError, OverflowError):
                ms = None
        if ms is None:
            raise self.fault(column, why)
        return rfc3339.format_ms(ms)


def _rows(text: str) -> list[_Row]:
    reader = csv.reader(io.StringIO(text.removeprefix("\ufeff"), newline=""), strict=True)
    header: list[str] | None = None
    rows: list[_Row] = []
    try:
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                continue
            if header is None:
                header = _header(cells, reader.line_num)
                continue
            if len(cells) > len(header):
                raise BadInput(f"registry CSV, line {reader.line_num}: has more cells than the header")
            rows.append(_Row(reader.line_num, dict(zip(header, cells, strict=False))))
    except csv.Error:
        raise BadInput(f"registry CSV, line {reader.line_num}: not CSV") from None
    if not rows:
        raise BadInput("registry CSV: needs a header and a row for each sensor")
    return rows


def _header(cells: list[str], line: int) -> list[str]:
    header = [cell.strip() for cell in cells]
    for number, column in enumerate(header, 1):
        if column not in COLUMNS:
            raise BadInput(f"registry CSV, line {line}: column {number} must be one of {', '.join(COLUMNS)}")
    for column in COLUMNS:
        if header.count(column) > 1:
            raise BadInput(f"registry CSV, line {line}: column {column} stands there twice")
    for column in _REQUIRED:
        if column not in header:
            raise BadInput(f"registry CSV, line {line}: column {column} is missing")
    return header
