"""Scenarios read to their end, and what their events tell of passages, counted without the engine."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import loadgen
from loadgen.place import GATES
from loadgen.scenario import Scenario
from loadgen.telling import LEAF_MS, Passage

Event = dict[str, Any]
WAYS = ("ab", "ba", "unknown")


class Played:
    """A scenario read to its end, with all passages."""

    def __init__(self, scenario: Scenario) -> None:
        scenario.passages = []
        self.scenario = scenario
        told = list(scenario.events())
        self.words = [m for m in told if m.value.startswith(b'{"type":"set"')]  # of operators: no events
        self.messages = told[len(self.words) :]
        self.passages: list[Passage] = [p for p in scenario.passages if p.at_ms < (scenario.end_ms or 0)]
        self.zones: dict[str, list[loadgen.ZoneRow]] = defaultdict(list)
        for row in scenario.zones():
            self.zones[row.zone].append(row)

    def events(self) -> Iterator[Event]:
        """All events, in order of arrival."""
        return (json.loads(message.value) for message in self.messages)

    def clock(self, hour: int, minute: float) -> int:
        """A clock time in ms of the event time."""
        seconds = hour * 3600 + minute * 60 - self.scenario.clock_of_day_s
        return self.scenario.start_ms + round(seconds * 1000)

    def flow(self, gate: str, way: str, from_ms: int, to_ms: int) -> int:
        """People who truly passed a gate."""
        return sum(
            1
            for p in self.passages
            if GATES[p.gate].id == gate and WAYS[p.direction] == way and from_ms <= p.at_ms < to_ms
        )


def left_of(line: list[list[float]], x: float, y: float) -> float:
    """Positive left of a line."""
    (x0, y0), (x1, y1) = line
    return (x1 - x0) * (y - y0) - (y1 - y0) * (x - x0)


def told_by(played: Played) -> Counter:
    """People by (gate, direction, leaf, start of the window), from events alone; of twins the first one counts."""
    document = played.scenario.registry
    gates = {gate["id"]: gate for gate in document["gates"]}
    sensors = {sensor["id"]: sensor for sensor in document["sensors"]}
    first = {group: next(s["id"] for s in sensors.values() if s["group"] == group) for group in ("e3", "k1")}
    told: Counter = Counter()
    beams: dict[str, list[tuple[int, str]]] = defaultdict(list)
    tracks: dict[tuple[str, int], list[tuple[int, float, float]]] = defaultdict(list)

    def count(gate: str, way: str, at: float, people: int = 1) -> None:
        leaf = gates[gate]["leaf"]
        told[gate, way, leaf, int(at - at % LEAF_MS[leaf])] += people

    for event in played.events():
        sensor = sensors[event["sensor"]]
        if sensor["group"] and first[sensor["group"]] != sensor["id"]:
            continue
        if event["type"] == "cross":
            count(sensor["gate"], event.get("dir", "unknown"), event["ts"])
        elif event["type"] == "count":
            for field, way in (("ab", "ab"), ("ba", "ba"), ("un", "unknown")):
                count(sensor["gate"], way, event["ts"], event[field])
        elif event["type"] == "beam" and event["on"]:
            beams[sensor["gate"]].append((event["ts"], event["beam"]))
        elif event["type"] == "point" and sensor["gate"]:
            tracks[sensor["gate"], event["track"]].append((event["ts"], event["x"], event["y"]))
    for gate, on in beams.items():
        on.sort()
        assert len(on) % 2 == 0
        for (at, one), (behind, other) in zip(on[::2], on[1::2], strict=True):
            assert {one, other} == {"a", "b"} and behind - at < 1_500
            count(gate, one + other, behind)
    for (gate, _), points in tracks.items():
        points.sort()
        line = gates[gate]["line_m"]
        for (early, x0, y0), (late, x1, y1) in pairwise(points):
            assert late - early < 2_000
            before, after = left_of(line, x0, y0), left_of(line, x1, y1)
            if (before > 0) != (after > 0):
                at = early + (late - early) * before / (before - after)
                count(gate, "ab" if before > 0 else "ba", at)
    return +told
