"""What the rules of one registry version say of released rows: which limits are in force, and the verdict of each row.

A verdict is one of five: ABOVE (the alert's condition holds), BELOW (it has recovered), BAND (between recovery and
limit), UNKNOWN (nothing tells), OFF (no limit is in force there and then).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.alert_sensors import Serving
from engine.alert_values import OFF, VERDICTS, Cells, loss
from engine.model import CELL_MS, DIRECTIONS, I8, I64, LENGTH_MS, Released
from engine.registry import Zone
from engine.tables import Tables
from engine.thresholds import HEALTH, OF_GATES, Limit, Threshold, in_band

F64 = NDArray[np.float64]
Flags = NDArray[np.bool_]
_MINUTE_MS, _DAY_MS = LENGTH_MS[1], LENGTH_MS[5]
_THURSDAY = 3  # 1970-01-01


@dataclass(frozen=True, slots=True)
class Subject:
    """What one alert is about: a rule at a zone, or at a gate of it (gate "" = the zone), in windows of one length.

    ``by_health``: judged by the states of sensors, not by rows.
    """

    rule: str
    kind: str
    zone: str
    gate: str
    code: int
    by_health: bool = False


@dataclass(frozen=True, slots=True)
class Judged:
    """Verdicts of one rule on rows (r,), ordered by window; ``subjects`` by the place that each row names, and back."""

    rule: Threshold
    subjects: Mapping[int, Subject]
    places: Mapping[Subject, int]
    place: I64
    start: I64  # ms
    end: I64  # ms
    verdict: I8
    value: F64  # NaN = none
    limit: F64  # NaN = none


@dataclass(frozen=True, slots=True)
class _Place:
    """A rule where it judges: rows of zones or gates (p,), of which ``subjects`` are some."""

    rule: Threshold
    subjects: Mapping[int, Subject]
    places: Mapping[Subject, int]
    code: I64  # (p,) code of the window looked at, -1 = not judged
    width: F64  # (p,) metres, NaN = none
    limits: Sequence[tuple[Limit, Flags]]  # the rule's, each with the rows (p,) it fits


class Rules:
    """The rules of a registry version, and which zones and gates each of them judges."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self._zone_row = {zone: row for row, zone in enumerate(tables.zone_ids)}
        self._gate_row = {gate: row for row, gate in enumerate(tables.gate_ids)}
        self._here = [self._zone_row[zone.id] for zone in tables.registry.zones]
        self._places = [self._placed(rule) for rule in tables.registry.thresholds]
        self.subjects = frozenset(subject for of in self._places for subject in of.subjects.values())
        self.of_gates = any(subject.gate for subject in self.subjects)
        by_health = any(rule.by == HEALTH for rule in tables.registry.thresholds)
        self._serving = Serving(tables) if by_health else None

    def delay_ms(self, subject: Subject) -> int:
        """How much later than the watermark the subject's windows close."""
        tables = self._tables
        if subject.by_health:
            return 0
        if subject.gate:
            return int(tables.gate_delay_ms[self._gate_row[subject.gate]])
        return int(tables.zone_delay_ms[self._zone_row[subject.zone]])

    def judge(self, rows: Released) -> list[Judged]:
        """Verdicts on rows of the product ``zones``, or of ``flow`` with all three directions of a gate's window."""
        of_gates = rows.product == "flow"
        if not len(rows) or (of_gates and not self.of_gates):
            return []
        columns = _by_gate(rows) if of_gates else rows.columns
        told = [of for of in self._places if of.subjects and (of.rule.kind in OF_GATES) == of_gates]
        return [self._judge(of, columns, "gate" if of_gates else "zone") for of in told if of.rule.by != HEALTH]

    def judge_health(self, ends: I64, lost: Collection[str], held: Collection[Subject]) -> list[Judged]:
        """Verdicts on cells of 10 s that end at ``ends``, in all of which the sensors ``lost`` are.

        Of zones without a lost sensor and without an alert that is ``held`` nothing is said: nothing changes there.
        """
        serving = self._serving
        if serving is None:
            return []
        touched = serving.touched(lost) | {self._zone_row[s.zone] for s in held if s.zone in self._zone_row}
        shares = {row: serving.share(row, ends - CELL_MS, lost) for row in touched}
        return [self._judge_cells(of, ends, shares) for of in self._places if of.rule.by == HEALTH]

    def _judge_cells(self, of: _Place, ends: I64, shares: Mapping[int, F64]) -> Judged:
        rows = sorted(of.subjects.keys() & shares.keys())
        end, start = np.repeat(ends, len(rows)), np.repeat(ends - CELL_MS, len(rows))
        place = np.tile(np.array(rows, np.int64), len(ends))
        value = np.stack([shares[row] for row in rows], axis=1).ravel() if rows else np.empty(0)
        limit, recovery = self._limits(of, place, start)
        verdict = loss(value, limit, recovery)
        verdict[np.isnan(limit)] = OFF
        return Judged(of.rule, of.subjects, of.places, place, start, end, verdict, value, limit)

    def _placed(self, rule: Threshold) -> _Place:
        tables, of_gates = self._tables, rule.kind in OF_GATES
        subjects = self._gates(rule) if of_gates else self._zones(rule)
        size = len(tables.gate_ids if of_gates else tables.zone_ids)
        code, width = np.full(size, -1, np.int64), np.full(size, np.nan)
        limits = [(limit, np.zeros(size, np.bool_)) for limit in rule.limits]
        for row, subject in subjects.items():
            zone = tables.zones[self._zone_row[subject.zone]]
            own = tables.gates[row].width_m if of_gates else None
            code[row], width[row] = subject.code, own or zone.width_m or np.nan
            for limit, fit in limits:
                fit[row] = _fits(limit, zone)
        places = {subject: row for row, subject in subjects.items()}
        return _Place(rule, subjects, places, code, width, limits)

    def _zones(self, rule: Threshold) -> dict[int, Subject]:
        tables, found = self._tables, {}
        for row in self._here:
            if self._fits(rule, row):
                by_health = rule.by == HEALTH
                code = rule.window if by_health else max(rule.window, int(tables.zone_window[row]))
                found[row] = Subject(rule.id, rule.kind, tables.zone_ids[row], "", code, by_health)
        return found

    def _gates(self, rule: Threshold) -> dict[int, Subject]:
        """Gates of zones that the rule fits. One that leads from such a zone into another is told with its side a."""
        tables, found = self._tables, {}
        for row in np.flatnonzero(tables.gate_here).tolist():
            sides = [side for side in (int(tables.gate_a[row]), int(tables.gate_b[row])) if side >= 0]
            fit = [side for side in sides if self._fits(rule, side)]
            if fit:
                code = max(rule.window, min(int(tables.zone_window[side]) for side in sides))
                found[row] = Subject(rule.id, rule.kind, tables.zone_ids[fit[0]], tables.gate_ids[row], code)
        return found

    def _fits(self, rule: Threshold, zone: int) -> bool:
        return any(_fits(limit, self._tables.zones[zone]) for limit in rule.limits)

    def _judge(self, of: _Place, columns: Mapping[str, NDArray[Any]], entity: str) -> Judged:
        places, codes = columns[entity], columns["window"]
        mine = np.flatnonzero(of.code[places] == codes)
        mine = mine[np.argsort(columns["window_start"][mine], kind="stable")]
        place, start = np.asarray(places[mine], np.int64), np.asarray(columns["window_start"][mine], np.int64)
        end = np.empty_like(start)
        for code in np.unique(codes[mine]).tolist():
            of_code = codes[mine] == code
            end[of_code] = self._tables.zone_clock.next(start[of_code], code)
        cells = Cells({name: column[mine] for name, column in columns.items()}, (end - start).astype(np.float64))
        limit, recovery = self._limits(of, place, start)
        verdict, value = VERDICTS[of.rule.kind](of.rule, cells, limit, recovery, of.width[place])
        verdict[np.isnan(limit)] = OFF
        return Judged(of.rule, of.subjects, of.places, place, start, end, verdict, value, limit)

    def _limits(self, of: _Place, place: I64, start: I64) -> tuple[F64, F64]:
        """Limit and recovery in force for each row: those of the rule's first limit that fits; NaN where none does."""
        clock = self._tables.zone_clock
        local = start + clock.offsets[np.searchsorted(clock.changes, start, side="right") - 1]
        day, minute = (local // _DAY_MS + _THURSDAY) % 7, local % _DAY_MS // _MINUTE_MS
        limit, recovery = (np.full(len(place), np.nan) for _ in range(2))
        for entry, fit in of.limits:
            now = fit[place] & in_band(entry, day, minute) & np.isnan(limit)
            limit[now], recovery[now] = entry.limit, entry.recovery
        return limit, recovery


def _fits(limit: Limit, zone: Zone) -> bool:
    return (not limit.zones or zone.id in limit.zones) and (not limit.kinds or zone.kind in limit.kinds)


def _by_gate(rows: Released) -> dict[str, NDArray[Any]]:
    """Rows of ``flow`` with the three directions beside each other: ab_low, ab_high and so on."""
    direction = rows.columns["direction"]
    out: dict[str, NDArray[Any]] = {}
    for code, name in enumerate(DIRECTIONS):
        mine = direction == code
        if not out:
            out = {column: rows.columns[column][mine] for column in ("window", "window_start", "gate")}
        out |= {f"{name}_{end}": rows.columns[f"n_{end}"][mine] for end in ("low", "high")}
    return out
