"""What a figure of a zone or gate rests on: its inputs with their ranges, what decided the grade, and the limits.

All by the engine's own rules (engine/los.py, thresholds.py, alert_values.py), from one row as it was released.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dashboard.layout import Register, fits, kind_of, told
from engine.los import OF_KIND, SCHEMES, UNKNOWN, WORST, Scheme, grade, grade_range
from engine.model import DIRECTIONS, LENGTH_MS, LOS, MINUTE, WINDOWS
from engine.thresholds import HEALTH, OF_GATES, Threshold, in_band
from engine.timezone import TimeZone

_NONE = float("nan")
_DAY_MS = 86_400_000
LOST = ("silent", "stuck", "skewed")  # states in which a sensor is not believed (engine/alert_sensors.py)
Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Figure:
    """A zone's row, or the rows of a gate by direction (one of them empty), of one window ``[start_ms, end_ms)``."""

    window: str
    start_ms: int
    end_ms: int
    zone: Row
    gates: Mapping[str, Mapping[str, Row]]  # of the zone, or the gate alone: id → direction → row of flow

    @property
    def minutes(self) -> float:
        """Length of the window."""
        return (self.end_ms - self.start_ms) / LENGTH_MS[MINUTE]


def inputs(figure: Figure, place: Row, register: Register) -> list[dict[str, Any]]:
    """The figures with their ranges and units; null = not told. ``place``: the zone's row of the registry."""
    made: list[dict[str, Any]] = []

    def put(what: str, unit: str, value: Any, low: Any = None, high: Any = None, **more: str) -> None:
        cells = {"value": value, "low": low, "high": high}
        rounded: dict[str, Any] = {name: None if _missing(each) else round(each, 4) for name, each in cells.items()}
        made.append({"what": what, **rounded, "unit": unit, **more})

    row = figure.zone
    if row:
        for what in ("inflow", "outflow", "occupancy"):
            put(what, "people", *(row[f"{what}{end}"] for end in ("", "_low", "_high")))
        put("density", "people/m²", row["density"], *_density(row, place))
        put("flow", "people/m/min", None, _passing(figure, place))  # what certainly passes: more may
        put("speed", "m/s", row["speed"])
        put("error", "people", row["error"])
        put("drift", "people", None, row["drift_low"], row["drift_high"])
    for gate, rows in figure.gates.items():
        for direction, told_of in rows.items() if not row else ():
            put(direction, "people", *(told_of[name] for name in ("n", "n_low", "n_high")), gate=gate)
        width = gate_width(register, gate)
        if width is not None:
            low, high = (_sum(rows, end) / figure.minutes / width for end in ("n_low", "n_high"))
            put("gate_flow", "people/m/min", (low + high) / 2, low, high, gate=gate)
    return made


def graded(figure: Figure, place: Row) -> dict[str, Any]:
    """The grade, its scheme with source and edges, and what decided it.

    ``because``: density, flow or speed (a flow grades with the density, or in its place with the speed; slow people
    in a dense place are a breakdown); of an unknown grade unknown_status (the zone is not watched), unknown_area,
    unknown_people, unknown_range (it may be every grade) or unknown_readings (what read the zone was not sure).
    """
    row = figure.zone
    kind = kind_of(place)
    by_name = {scheme.name: scheme for scheme in SCHEMES}
    scheme = by_name.get(row["los_scheme"]) or (OF_KIND[kind] if kind is not None else None)
    if scheme is None:
        return {
            "los": row["los"],
            "scheme": None,
            "source": None,
            "density": [],
            "flow": None,
            "because": "unknown_status",
        }
    return {
        "los": row["los"],
        "scheme": scheme.name,
        "source": scheme.source,
        "density": list(scheme.density),
        "flow": None if scheme.flow is None else list(scheme.flow),
        "because": _because(figure, place, scheme),
    }


def _because(figure: Figure, place: Row, scheme: Scheme) -> str:
    row = figure.zone
    given, speed = LOS.index(row["los"]), _number(row["speed"])
    low, high = (_number(end) for end in _density(row, place))
    if given == UNKNOWN:
        if row["status"] == "unknown":
            return "unknown_status"
        if not place.get("area_m2"):
            return "unknown_area"
        if np.isnan(high):
            return "unknown_people"
        flow = _number(_passing(figure, place))
        told_here = grade_range(scheme, *(np.array([each]) for each in (low, high, flow, speed)))
        return "unknown_range" if told_here[0] == UNKNOWN else "unknown_readings"
    if int(grade(scheme, high)) >= given:
        return "density"
    broken_down = given == WORST and high > scheme.slow_from and speed < scheme.slow_m_s
    return "speed" if broken_down else "flow"


def thresholds(
    figure: Figure | None,
    at_ms: int,
    zones: Sequence[str],
    gate: str | None,
    register: Register,
    timezone: str,
    share: Any,
) -> list[dict[str, Any]]:
    """Every limit that fits a zone, or one of the zones of ``gate``, with the value it is compared with.

    ``at_ms``: the instant whose time band counts; ``share``: of the zone's sensors those that are not lost. ``holds``:
    the limit is in force then. The value is null where the row is not of the rule's window, or nothing tells it.
    """
    local = TimeZone(timezone).local(at_ms)
    day, minute = (local // _DAY_MS + 3) % 7, local % _DAY_MS // LENGTH_MS[MINUTE]  # 1970-01-01 was a Thursday
    found = []
    for rule in register.rules:
        if gate is not None and rule.kind not in OF_GATES:
            continue
        in_force = False
        for limit in rule.limits:
            if not any(fits(limit, zone, kind_of(register.zones.get(zone, {}))) for zone in zones):
                continue
            if rule.kind in OF_GATES and gate is None and not register.touching(zones[0]):
                continue
            holds = not in_force and bool(in_band(limit, day, minute))
            in_force = in_force or holds
            value = _compared(rule, figure, register, share)
            found.append(
                {
                    "id": rule.id,
                    "kind": rule.kind,
                    "severity": rule.severity,
                    "window": WINDOWS[rule.window],
                    "on_delay_s": rule.on_delay_ms / 1000,
                    "off_delay_s": rule.off_delay_ms / 1000,
                    **told(limit),
                    "holds": holds,
                    "value": None if _missing(value) else round(value, 4),
                }
            )
    return found


def _compared(rule: Threshold, figure: Figure | None, register: Register, share: float | None) -> Any:
    """What a rule compares with its limit (engine/alert_values.py): of several gates the worst."""
    if rule.by == HEALTH:
        return share
    if figure is None or figure.window != WINDOWS[rule.window]:
        return None
    if rule.kind in OF_GATES:
        of = _gate_flows if rule.kind == "flow" else _counterflows
        return max((value for value in of(figure, register) if not _missing(value)), default=None)
    row = figure.zone
    if rule.kind == "sensor_loss":
        return 0.0 if row["status"] == "unknown" else row["coverage"]
    return None if row["status"] == "unknown" else row["speed" if rule.kind == "speed" else "density"]


def _gate_flows(figure: Figure, register: Register) -> Iterator[float]:
    for gate, rows in figure.gates.items():
        width = gate_width(register, gate)
        yield _NONE if width is None else (_sum(rows, "n_low") + _sum(rows, "n_high")) / 2 / figure.minutes / width


def _counterflows(figure: Figure, _: Register) -> Iterator[float]:
    for rows in figure.gates.values():
        one, other = (_middle(rows.get(direction, {})) for direction in DIRECTIONS[:2])
        yield min(one, other) / (one + other) if one + other > 0 else _NONE


def gate_width(register: Register, gate: str) -> float | None:
    """Metres of the way through a gate: its own, else that of the first of its zones that has one."""
    row = register.gates.get(gate, {})
    widths = [row, *(register.zones.get(row.get(side) or "", {}) for side in ("a", "b"))]
    return next((each["width_m"] for each in widths if each.get("width_m")), None)


def _density(row: Row, place: Row) -> tuple[float | None, float | None]:
    """Both ends of the density that is graded: of the people that may be inside, with the error of the count."""
    area, wrong = place.get("area_m2"), max(row["error"] or 0, 0)
    if not area or row["occupancy_high"] is None or row["occupancy_low"] is None:
        return None, None
    return (row["occupancy_low"] - wrong) / area, (row["occupancy_high"] + wrong) / area


def _passing(figure: Figure, place: Row) -> float | None:
    """People a metre and minute that certainly go in, or out where that are more; only windows of a minute tell it."""
    row, width = figure.zone, place.get("width_m")
    if not width or WINDOWS.index(figure.window) < MINUTE or row["inflow_low"] is None or row["outflow_low"] is None:
        return None
    return float(max(row["inflow_low"], row["outflow_low"]) / figure.minutes / width)


def _sum(rows: Mapping[str, Row], end: str) -> float:
    return float(sum(_number(rows.get(direction, {}).get(end)) for direction in DIRECTIONS))


def _middle(row: Row) -> float:
    return (_number(row.get("n_low")) + _number(row.get("n_high"))) / 2


def _number(value: Any) -> float:
    return _NONE if value is None else float(value)


def _missing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and np.isnan(value))
