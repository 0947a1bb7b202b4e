"""What stays on the page while only figures change: the run, its places, gates, sensors and limits, by the registry.

The registry's rows may carry more than the engine reads. The page takes from them the optional list ``places``
(``{"id", "name": {"ja", "en"}}``) and the optional field ``place`` of a zone.
"""

from __future__ import annotations

import bisect
import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from engine.follow import Follow
from engine.los import OF_KIND
from engine.model import END, LENGTH_MS, MINUTE, WINDOWS
from engine.registry import CAMERA, TRACKER, ZONE_KINDS, check
from engine.rfc3339 import parse_ms
from engine.thresholds import DAYS, OF_GATES, Limit

if TYPE_CHECKING:
    from sinks.clickhouse.store import Run

GRACE_MS = 10_000  # what a row may be late beyond window, delay and bound before it counts as unknown
# Sensors a layout names at most: of a registry with more it names none, or every client would be sent megabytes of them
# at each change. /api/why names those of one zone or gate.
SENSORS = 20_000

Rows = dict[str, Mapping[str, Any]]  # of a registry, by id


class Register:
    """One registry version as the page needs it, from its text ("" = not known); rows with faults count as absent.

    ``rules``: its thresholds, checked by the engine, of which ``limits_of`` tells those that fit a zone.
    """

    def __init__(self, text: str = "") -> None:
        document = json.loads(text) if text else {}
        document = document if isinstance(document, dict) else {}
        self.version: str | None = document.get("version")
        self.zones, self.gates, self.sensors, self.places, self.devices = (
            _named(document, part) for part in ("zones", "gates", "sensors", "places", "devices")
        )
        checked = check(text.encode())[0] if document.get("thresholds") else None
        self.rules = () if checked is None else checked.thresholds
        self._spans = {sensor: _spans(row) for sensor, row in self.sensors.items()}
        self._touching: dict[Any, list[str]] = {}
        for gate, row in self.gates.items():
            for side in {row.get("a"), row.get("b")}:
                self._touching.setdefault(side, []).append(gate)
        self._turns = sorted({edge for spans in self._spans.values() for span in spans for edge in span})
        self._place_of = _places(self)

    def approved(self, at_ms: int | None) -> Rows:
        """The sensors that are approved at an instant (None: at any time), in the registry's order."""
        if at_ms is None:
            return self.sensors
        return {
            sensor: self.sensors[sensor]
            for sensor, spans in self._spans.items()
            if any(start <= at_ms < end for start, end in spans)
        }

    def approvals_turn(self, after_ms: int, until_ms: int) -> bool:
        """Whether the approval of a sensor begins or ends in ``(after_ms, until_ms]``."""
        at = bisect.bisect_right(self._turns, after_ms)
        return at < len(self._turns) and self._turns[at] <= until_ms

    def place_of(self, zone: str) -> str:
        """Id of the place a zone belongs to; one that the registry does not know is a place of its own."""
        return self._place_of.get(zone, f"zone:{zone}")

    def place_name(self, place: str) -> dict[str, str]:
        """A place's name in both languages: its own, or that of the zone it is named after."""
        if place in self.places:
            return name_of(self.places[place], place)
        zone = place.removeprefix("zone:")
        return name_of(self.zones.get(zone, {}), zone)

    def touching(self, zone: str) -> Sequence[str]:
        """The gates of a zone, in the registry's order."""
        return self._touching.get(zone, ())

    def limits_of(self, zone: str) -> list[dict[str, Any]]:
        """Every limit that fits a zone at some time: rule, kind, severity, limit, recovery, days, from, to.

        ``days``: [] = every day; ``from``, ``to``: local HH:MM, null = the whole day. Of a rule's limits the first
        that fits zone and time holds (engine/thresholds.py); they come in the registry's order.
        """
        row = self.zones.get(zone)
        if row is None:
            return []
        gated = bool(self.touching(zone))
        return [
            {"rule": rule.id, "kind": rule.kind, "severity": rule.severity, **told(limit)}
            for rule in self.rules
            if gated or rule.kind not in OF_GATES
            for limit in rule.limits
            if fits(limit, zone, kind_of(row))
        ]


def fits(limit: Limit, zone: str, kind: str | None) -> bool:
    """Whether a limit is one of a zone of that kind."""
    return (not limit.zones or zone in limit.zones) and (not limit.kinds or kind in limit.kinds)


def told(limit: Limit) -> dict[str, Any]:
    """A limit with its band, as the page shows it."""
    whole = limit.from_minute == limit.to_minute
    return {
        "limit": limit.limit,
        "recovery": round(limit.recovery, 6),
        "days": [] if len(limit.days) == len(DAYS) else [DAYS[day] for day in sorted(limit.days)],
        "from": None if whole else _hour_minute(limit.from_minute),
        "to": None if whole else _hour_minute(limit.to_minute),
    }


def kind_of(zone: Mapping[str, Any]) -> str | None:
    """A zone's kind, None where it is not told."""
    kind = zone.get("kind")
    return kind if kind in ZONE_KINDS else None


def name_of(row: Mapping[str, Any], otherwise: str) -> dict[str, str]:
    """A row's name in both languages; ``otherwise`` where it has none."""
    name = row.get("name")
    given = {k: v for k, v in name.items() if isinstance(v, str) and v} if isinstance(name, dict) else {}
    first = next(iter(given.values()), otherwise)
    return {language: given.get(language, first) for language in ("ja", "en")}


def finest(run: Run) -> str:
    """The shortest window any gate of a run has rows of."""
    return min((leaf for leaf in run.leaves.values() if leaf in WINDOWS), key=WINDOWS.index, default=WINDOWS[0])


def heading_window(window: str) -> str:
    """Headings have no shorter windows than a minute."""
    return WINDOWS[max(MINUTE, WINDOWS.index(window))]


def bound_of(config: Mapping[str, Any]) -> int:
    """How far (ms) a run's watermark stays behind its events, by its configuration."""
    return int(config.get("time", {}).get("bound_ms", 5000))


def k_of(config: Mapping[str, Any], section: str) -> int:
    """The least number of people that a run tells, of its flow or headings: k and what its config adds to it."""
    of = config.get(section, {})
    return int(of.get("k", 5)) + int(of.get("guard", 1))


def delay_of(layout: Mapping[str, Any], row: Mapping[str, Any]) -> int:
    """How much later (ms) than its end a window of a row of the layout may close."""
    return int(row["limit_ms"]) - int(row["length_ms"]) - int(layout["bound_ms"]) - GRACE_MS


def delays_of(layout: Mapping[str, Any]) -> dict[str, dict[str, int]]:
    """The delays (ms) of all rows of a layout: part (gates, zones, headings) → id → delay."""
    parts = {"gates": layout["gates"], "zones": layout["zones"], "headings": layout["headings"]["zones"]}
    return {part: {row["id"]: delay_of(layout, row) for row in rows} for part, rows in parts.items()}


def windows_of(layout: Mapping[str, Any], product: str) -> dict[str, str]:
    """Id → label of the windows in which a gate (of flow) or a zone of a layout is shown."""
    of = layout["headings"]["zones"] if product == "headings" else layout["gates" if product == "flow" else "zones"]
    return {row["id"]: row["window"] for row in of}


def layout_of(
    run: Run,
    window: str | None,
    register: Register,
    sensors: Rows,
    seen_gates: Sequence[str],
    seen_zones: Sequence[str],
    ways: Sequence[str],
) -> dict[str, Any]:
    """The layout of a run's view in windows of one length; None: of each gate and zone in its finest.

    ``sensors``: those approved; ``seen_gates``, ``seen_zones``, ``ways``: of which there are rows of flow, zones and
    headings, so that what the registry does not know any more is shown under its id.
    """
    config = json.loads(run.config) if run.config else {}
    own, window = window is None, window or finest(run)
    length, bound = LENGTH_MS[WINDOWS.index(window)], bound_of(config)
    slack = bound + GRACE_MS
    of_ways = LENGTH_MS[WINDOWS.index(heading_window(window))]
    follow = Follow(
        int(config.get("points", {}).get("track_ms", 2000)), int(config.get("beams", {}).get("pair_ms", 1500))
    )
    beside_gates = bool(config.get("zones", {}).get("beside_gates", False))
    zones, gates = register.zones, register.gates
    gate_ids = list(dict.fromkeys([*gates, *sorted(run.leaves), *sorted(seen_gates)]))
    zone_ids = list(dict.fromkeys([*zones, *sorted([*seen_zones, *ways])]))
    paired = {row.get("gate") for row in register.sensors.values() if row.get("kind") == "beam_pair"}
    shown = sensors if len(sensors) <= SENSORS else {}
    at_gate: dict[Any, list[str]] = {}
    for sensor, row in shown.items():
        at_gate.setdefault(row.get("gate"), []).append(sensor)

    def delay(gate: str) -> int:
        if gate not in gates:
            return run.gate_delay_ms
        row = gates[gate]
        behind = follow.behind_ms(lined=bool(row.get("line_m")), paired=gate in paired)
        return round(float(row.get("delay_s") or 0) * 1000) + behind

    outlined = [zone for zone, row in zones.items() if row.get("polygon_m")]
    by_readers: dict[Any, list[int]] = {}  # of sensors that read a zone: by how much later they do
    for row in register.sensors.values():
        kind, gate = row.get("kind"), row.get("gate")
        heard = delay(gate) if gate in gates else 0
        if kind == TRACKER:
            held = round(float(gates[gate].get("delay_s") or 0) * 1000) if gate in gates else 0
            heard = max(heard, held + follow.track_ms)
        if kind == CAMERA or row.get("zone") is not None:
            by_readers.setdefault(row.get("zone"), []).append(heard)
        elif kind == TRACKER and gate is None:
            for zone in outlined:
                by_readers.setdefault(zone, []).append(heard)

    def side_name(zone: str | None) -> dict[str, str] | None:
        return None if zone is None else name_of(zones.get(zone, {}), zone)

    def late_by(zone: str) -> int:
        """As the engine tells a zone: by its gates, by sensors that read it where it has none (engine/readers.py)."""
        if zone not in zones:
            return run.gate_delay_ms
        of_gates = [delay(gate) for gate in register.touching(zone)]
        read = by_readers.get(zone, []) if beside_gates or not of_gates else []
        return max([*of_gates, *read], default=0)

    def coarsest(zone: str) -> str:
        leaves = [run.leaves.get(gate, gates[gate].get("leaf", WINDOWS[0])) for gate in register.touching(zone)]
        return max(leaves, key=WINDOWS.index, default=WINDOWS[0])

    def shown_in(leaf: str | None) -> dict[str, Any]:
        label = max(window, leaf, key=WINDOWS.index) if own and leaf in WINDOWS else window
        return {"window": label, "length_ms": LENGTH_MS[WINDOWS.index(label)]}

    def gate_row(gate: str) -> dict[str, Any]:
        row = gates.get(gate, {})
        leaf = run.leaves.get(gate) or row.get("leaf")
        frame = shown_in(leaf)
        return {
            "id": gate,
            "name": name_of(row, gate),
            "a": side_name(row.get("a")),
            "b": side_name(row.get("b")),
            "zones": [row.get("a"), row.get("b")],
            "leaf": leaf,
            **frame,
            "limit_ms": frame["length_ms"] + slack + delay(gate),
            "line": row.get("line_m"),
            "bearing": row.get("bearing_deg"),
            "width_m": row.get("width_m"),
            "sensors": at_gate.get(gate, []),
        }

    def zone_row(zone: str) -> dict[str, Any]:
        row = zones.get(zone, {})
        kind = kind_of(row)
        scheme = None if kind is None else OF_KIND[kind]
        frame = shown_in(coarsest(zone))
        return {
            "id": zone,
            "name": name_of(row, zone),
            "leaf": coarsest(zone),
            **frame,
            "limit_ms": frame["length_ms"] + slack + late_by(zone),
            "kind": kind,
            "place": register.place_of(zone),
            "parent": row.get("parent"),
            "area_m2": row.get("area_m2"),
            "polygon": row.get("polygon_m"),
            "scheme": None if scheme is None else scheme.name,
            "edges": [] if scheme is None else list(scheme.density),
            "limits": register.limits_of(zone),
        }

    with_ways = set(ways)
    return {
        "run": {
            "id": run.run_id,
            "kind": run.kind,
            "timezone": run.timezone,
            "registry_version": register.version or run.registry_version,
            "code_version": run.code_version,
            "config_hash": run.config_hash,
        },
        "window": window,
        "length_ms": length,
        "bound_ms": bound,
        "exact": bool(config.get("status", {}).get("exact", False)),
        "k": k_of(config, "flow"),
        "places": [
            {"id": place, "name": register.place_name(place)}
            for place in dict.fromkeys([*register.places, *map(register.place_of, zone_ids)])
        ],
        "gates": [gate_row(gate) for gate in gate_ids],
        "zones": [zone_row(zone) for zone in zone_ids],
        "sensors": [
            {"id": sensor, "kind": row.get("kind"), "gate": row.get("gate"), "zone": row.get("zone")}
            for sensor, row in shown.items()
        ],
        "headings": {
            "window": heading_window(window),
            "length_ms": of_ways,
            "k": k_of(config, "headings"),
            "zones": [
                {
                    "id": zone,
                    "name": name_of(zones.get(zone, {}), zone),
                    "leaf": None,
                    "window": heading_window(window),
                    "length_ms": of_ways,
                    "limit_ms": slack + of_ways + follow.track_ms,
                }
                for zone in zone_ids
                if zone in with_ways
            ],
        },
    }


def _hour_minute(minute: int) -> str:
    return f"{minute // 60:02d}:{minute % 60:02d}"


def _named(document: Mapping[str, Any], part: str) -> Rows:
    rows = document.get(part)
    return {row["id"]: row for row in rows if isinstance(row, dict) and "id" in row} if isinstance(rows, list) else {}


def _spans(sensor: Mapping[str, Any]) -> list[tuple[int, int]]:
    """When a sensor is approved: [from, to) in ms."""
    found = []
    for span in sensor.get("approved") or ():
        start, end = parse_ms(span["from"]), span.get("to")
        if start is not None:
            found.append((start, END if end is None else parse_ms(end) or END))
    return found


def _places(register: Register) -> dict[str, str]:
    """Zone → place: its own or its nearest ancestor's; else those joined by gates or parents make one place.

    Such a place is ``zone:`` and the id of its largest zone, of equals the registry's first.
    """
    zones = register.zones
    found: dict[str, str] = {}
    for zone in zones:
        above: str | None = zone
        for _ in range(len(zones)):  # a circle of parents is a fault of the registry, not a reason to hang
            if above is None or above not in zones or zones[above].get("place") in register.places:
                break
            above = zones[above].get("parent")
        if above in zones and zones[above].get("place") in register.places:
            found[zone] = zones[above]["place"]
    group = {zone: zone for zone in zones if zone not in found}

    def root(zone: str) -> str:
        while group[zone] != zone:
            group[zone] = zone = group[group[zone]]
        return zone

    joined = [(zone, row.get("parent")) for zone, row in zones.items()]
    for one, other in [*joined, *((row.get("a"), row.get("b")) for row in register.gates.values())]:
        if one in group and other in group:
            group[root(other)] = root(one)
    largest: dict[str, str] = {}
    for zone in group:
        held = largest.setdefault(root(zone), zone)
        if (zones[zone].get("area_m2") or 0) > (zones[held].get("area_m2") or 0):
            largest[root(zone)] = zone
    return found | {zone: f"zone:{largest[root(zone)]}" for zone in group}
