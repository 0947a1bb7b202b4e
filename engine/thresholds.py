"""Thresholds: when to raise an alert. They stand in the registry, so each edit is a version in the log::

    "thresholds": [{"id": "dense", "kind": "density", "severity": "critical", "window": "10s",
                    "on_delay_s": 30, "off_delay_s": 60,
                    "limits": [{"zones": ["c1"], "days": ["sat", "sun"], "from": "10:00", "to": "18:00", "limit": 3.0},
                               {"zone_kinds": ["walkway"], "limit": 2.0, "recovery": 1.7}]}]

The first limit that fits zone and time holds; where none fits, the rule asks for nothing. Times are local times of
the window's start; a band over midnight belongs to the day on which it begins. Other fields are faults: a slip of the
pen must not become a default.

| kind | the alert stands while | limit in |
|---|---|---|
| density | density ≥ limit | people/m² |
| flow | people through a gate of the zone ≥ limit | people per metre of width and minute |
| speed | speed < limit, with at least ``people`` in the zone | m/s |
| counterflow | min(n1, n2) / (n1 + n2) at a gate ≥ limit, with at least ``people_per_minute`` | 0 to 0.5 |
| stopped | the zone is full (density ≥ limit, or ``rise`` more come than go per minute) and nobody moves | people/m² |
| sensor_loss by coverage | the zone is unknown, or its coverage < limit | 0 to 1 |
| sensor_loss by health | the share of its sensors that are not lost < limit; also while nobody is heard | 0 to 1 |
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from engine.model import WINDOWS
from engine.registry_fields import Fields

KINDS = ("density", "flow", "speed", "counterflow", "stopped", "sensor_loss")
FALLING = ("speed", "sensor_loss")  # their alert stands below the limit
OF_GATES = ("flow", "counterflow")  # judged gate by gate: both directions must cross the same line
BY = COVERAGE, HEALTH = "coverage", "health"  # rows of zones, or each sensor's state
SEVERITIES = ("info", "warning", "critical")
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
RECOVERY = 0.9  # of the limit, where no recovery is told: noise of ±5 % stays inside

_COMMON = ("id", "kind", "severity", "window", "on_delay_s", "off_delay_s", "limits")
# kind -> its own fields and their defaults
_OWN: Mapping[str, Mapping[str, float | None]] = {
    "speed": {"people": 10},
    "counterflow": {"people_per_minute": 30},
    "stopped": {"speed": 0.2, "flow": 5.0, "rise": None},
}
_LIMIT_FIELDS = ("zones", "zone_kinds", "days", "from", "to", "limit", "recovery")
_MOST_OF = {"counterflow": 0.5, "sensor_loss": 1.0}


@dataclass(frozen=True, slots=True)
class Limit:
    """One limit and where it holds. ``zones``, ``kinds`` empty = all; minutes of the local day, [from, to).

    ``days``: 0 = Monday. from = to = 0 is the whole day.
    """

    zones: frozenset[str]
    kinds: frozenset[str]
    days: frozenset[int]
    from_minute: int
    to_minute: int
    limit: float
    recovery: float


@dataclass(frozen=True, slots=True)
class Threshold:
    """One rule. ``window`` = code of the shortest window it looks at; a zone without such rows is judged by its finest.

    ``people``, ``people_per_minute``, ``speed`` (m/s), ``flow`` (people per metre and minute), ``rise`` (people per
    minute, None = not asked for), ``by`` (COVERAGE or HEALTH) belong to some kinds only.
    """

    id: str
    kind: str
    severity: str
    window: int
    on_delay_ms: int
    off_delay_ms: int
    limits: tuple[Limit, ...]
    people: float = 0
    people_per_minute: float = 0
    speed: float = 0
    flow: float = 0
    rise: float | None = None
    by: str = ""


@dataclass(frozen=True, slots=True)
class Place:
    """What a limit must know of the zone in ``row``: whether what it measures can be had there at all."""

    row: int
    kind: str
    area: bool
    gates: int
    narrow: bool  # every gate has a width, its own or the zone's


def places(zones: Sequence[Any], gates: Sequence[Any]) -> dict[str, Place]:
    """The zones by id, from checked zones and gates of a registry (None = a row with a fault)."""
    of_zone: dict[str, list[Any]] = {}
    for gate in gates:
        for side in {gate.a, gate.b} if gate is not None else ():
            of_zone.setdefault(side, []).append(gate)
    found = {}
    for row, zone in enumerate(zones):
        if zone is not None:
            mine = of_zone.get(zone.id, [])
            narrow = all(gate.width_m is not None or zone.width_m is not None for gate in mine)
            found[zone.id] = Place(row, zone.kind, zone.area_m2 is not None, len(mine), narrow)
    return found


def thresholds(rows: Sequence[Any], known: Mapping[str, Place], kinds: Sequence[str], faults: list[str]) -> list[Any]:
    """The rules of ``rows``, None for one with a fault; faults name their place. ``kinds``: the kinds of zones.

    A limit of a zone where it can never be reached (a density without area) is a fault: that is found out when the
    version is published, not in the night.
    """
    return [_threshold(row, f"thresholds[{i}]", known, kinds, faults) for i, row in enumerate(rows)]


def _threshold(
    row: Any, place: str, known: Mapping[str, Place], kinds: Sequence[str], faults: list[str]
) -> Threshold | None:
    f = Fields(row, place, faults)
    if not f.good:
        return None
    rule_id, kind = f.text("id", required=True), KINDS[f.word("kind", KINDS)]
    severity = SEVERITIES[f.word("severity", SEVERITIES, "warning")]
    by = BY[f.word("by", BY, COVERAGE)] if kind == "sensor_loss" else ""
    window = f.word("window", WINDOWS[:1] if by == HEALTH else WINDOWS, WINDOWS[0])
    on, off = (f.number(name, default, least=0) or 0 for name, default in (("on_delay_s", 20), ("off_delay_s", 60)))
    own = {name: f.number(name, default, least=0) for name, default in _OWN.get(kind, {}).items()}
    _only(f, (*_COMMON, *own, *(("by",) if by else ())))
    limits = f.row.get("limits")
    if not isinstance(limits, list) or not limits:
        f.bad("limits", "must be a list with a limit at least")
        return None
    made = [_limit(entry, f"{place}.limits[{i}]", kind, known, kinds, faults) for i, entry in enumerate(limits)]
    if not f.good or None in made:
        return None
    told = tuple(limit for limit in made if limit is not None)
    delays = round(on * 1000), round(off * 1000)
    return Threshold(rule_id or "", kind, severity, window, *delays, told, by=by, **own)  # type: ignore[arg-type]


def _limit(
    row: Any, place: str, kind: str, known: Mapping[str, Place], kinds: Sequence[str], faults: list[str]
) -> Limit | None:
    f = Fields(row, place, faults)
    if not f.good:
        return None
    _only(f, _LIMIT_FIELDS)
    zones, of_kinds, days = f.words("zones", tuple(known)), f.words("zone_kinds", kinds), f.words("days", DAYS)
    start, end = f.minute("from"), f.minute("to")
    if (start is None) != (end is None) or (start is not None and start == end):
        f.bad("from", "needs two different times from and to, 00:00 to 23:59")
    if f.row.get("limit") is None:
        f.bad("limit", "missing")
    most = _MOST_OF.get(kind)
    limit = f.number("limit", None, above=0, most=most) or 1.0
    usual = (
        limit * RECOVERY if kind not in FALLING else limit / RECOVERY if most is None else min(most, limit / RECOVERY)
    )
    recovery = f.number("recovery", usual, above=0, most=most) or usual
    if (recovery < limit) if kind in FALLING else (recovery > limit):
        f.bad("recovery", f"must be {'at least' if kind in FALLING else 'at most'} the limit")
    for zone, at in known.items():
        if (not zones or zone in zones) and (not of_kinds or at.kind in of_kinds):
            _reachable(f, kind, at, named=bool(zones))
    made_days = frozenset(DAYS.index(day) for day in days) or frozenset(range(7))
    made = Limit(zones, of_kinds, made_days, start or 0, end or 0, float(limit), float(recovery))
    return made if f.good else None


def _reachable(f: Fields, kind: str, place: Place, *, named: bool) -> None:
    if kind in ("density", "stopped") and not place.area:
        f.bad("limit", f"zones[{place.row}] has no area_m2")
    if kind in OF_GATES and named and not place.gates:
        f.bad("zones", f"zones[{place.row}] has no gates")
    if kind == "flow" and not place.narrow:
        f.bad("limit", f"zones[{place.row}] has no width_m, nor have all its gates")


def _only(f: Fields, names: Sequence[str]) -> None:
    if not set(f.row) <= set(names):  # its name is not told: messages quote no input
        f.good = False
        f.faults.append(f"{f.place}: has a field that is none of {', '.join(names)}")


def in_band(limit: Limit, day: Any, minute: Any) -> Any:
    """Whether local times lie in the limit's band: ``day`` (0 = Monday), ``minute`` of the day; arrays of one shape."""
    on = _on(limit.days, day)
    if limit.from_minute == limit.to_minute:
        return on
    if limit.from_minute < limit.to_minute:
        return on & (minute >= limit.from_minute) & (minute < limit.to_minute)
    before = _on(limit.days, (day - 1) % 7)
    return (on & (minute >= limit.from_minute)) | (before & (minute < limit.to_minute))


def _on(days: frozenset[int], day: Any) -> Any:
    held = day == -1
    for wanted in days:
        held = held | (day == wanted)
    return held
