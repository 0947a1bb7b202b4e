"""Who is inside, told once more from what is published: runs of flow, the statuses of flow's rows, the registry's JSON,
sensor time and operators' words. One zone and one window at a time, with nothing of the engine.

Where the engine keeps a running least number, every stretch of windows is gone through here.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any, NamedTuple

from tests.support.naive import DAY, DIRECTIONS, LABELS, Naive, local

INTO = {"a": ("ba", "ab"), "b": ("ab", "ba")}  # by the side on which the zone lies: in, out
MINUTE = 60_000


class Given(NamedTuple):
    """An operator's word."""

    ts: int
    people: int
    zone: str


class Range(NamedTuple):
    low: int
    high: int


Bounds = dict[tuple[str, str], Range]  # of everybody counted up to an instant, by gate and direction


@dataclass
class Count:
    """A zone's count since an anchor: its instant, people and bounds then, the drift, sensor time since by gate."""

    at: int
    people: int
    base: Bounds
    drift: Range | None
    time: dict[str, tuple[float, float]] = field(default_factory=dict)  # covered, expected


@dataclass
class Zone:
    """One zone of one run of one registry version: its published rows and what they imply."""

    naive: Naive
    rows: dict[str, list[dict[str, Any]]]
    id: str
    given: list[Given] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.of = {z["id"]: z for z in self.naive.registry["zones"]}[self.id]
        self.ways = [  # gate, direction in, direction out
            (gate["id"], *INTO[side])
            for gate in self.naive.registry["gates"]
            for side in "ab"
            if gate[side] == self.id and gate["a"] != gate["b"]
        ]
        self.touching = [g["id"] for g in self.naive.registry["gates"] if self.id in (g["a"], g["b"])]
        self.finest = max((self.naive.gates[gate]["leaf"] for gate in self.touching), key=LABELS.index)
        self.errors = {gate: self._error(gate) for gate, *_ in self.ways}
        self.runs: dict[tuple[str, str], list[tuple[int, int]]] = {}
        for row in sorted(self.rows.get("runs_of_flow", []), key=lambda r: r["run_end"]):
            self.runs.setdefault((row["gate"], row["direction"]), []).append((row["run_end"], row["n"]))
        flow = self.rows.get("flow", [])
        self.least = {(r["window"], r["window_start"], r["gate"], r["direction"]): r["n_low"] for r in flow}
        self.unseen = {(r["window"], r["window_start"], r["gate"]) for r in flow if r["status"] == "unknown"}

    def _error(self, gate: str) -> float | None:
        told = [sensor.get("relative_error") for sensor in self.naive.registry["sensors"] if sensor["gate"] == gate]
        return None if not told or None in told else max(told)

    def bounds(self, at: int) -> Bounds:
        """At the end of a window."""
        out = {}
        for chain in ((gate, direction) for gate, *_ in self.ways for direction in DIRECTIONS):
            runs = self.runs.get(chain, [])
            ended = bisect_right(runs, (at, math.inf))
            low = sum(n for _, n in runs[:ended])
            exact = ended and runs[ended - 1][0] == at
            out[chain] = Range(low, low + (0 if exact else self.naive.threshold - 1))
        return out

    def known(self, label: str, start: int) -> bool:
        return not any((label, start, gate) in self.unseen for gate in self.touching)

    # ------------------------------------------------------------------------ what a count says
    def inside(self, count: Count, now: Bounds) -> Range:
        low = high = count.people
        for gate, into, out in self.ways:
            came, went = (passed(count.base[gate, d], now[gate, d]) for d in (into, out))
            low, high = low + came.low - went.high, high + came.high - went.low
        return Range(low, high)

    def wrong(self, count: Count, now: Bounds) -> int | None:
        """People by which the sensors may be wrong; None where one that has counted tells no error."""
        sum_ = 0.0
        for gate, into, out in self.ways:
            people = sum(passed(count.base[gate, d], now[gate, d]).high for d in (into, out))
            error, (covered, expected) = self.errors[gate], count.time[gate]
            if people and error is None:
                return None
            sum_ += people * ((error or 0) + ((expected - covered) / covered if covered else 0))
            if now[gate, "unknown"].low:
                sum_ += passed(count.base[gate, "unknown"], now[gate, "unknown"]).high
        return math.ceil(round(sum_, 6))

    def more(self, since: Bounds, now: Bounds) -> float:
        """How many more certainly came in than went out between two instants, a sensor without error taken as 10 %."""
        more = 0.0
        for gate, into, out in self.ways:
            error = self.errors[gate]
            error = 0.1 if error is None else error
            for way, sign in ((into, 1), (out, -1)):
                least, most = now[gate, way].low - since[gate, way].high, now[gate, way].high - since[gate, way].low
                more += (least if sign == 1 else -most) - error * most
            more -= now[gate, "unknown"].high if now[gate, "unknown"].low else 0
            more += since[gate, "unknown"].low
        return more

    # ------------------------------------------------------------------------ window by window
    def counts(self) -> Iterator[tuple[int, int, Count | None, Bounds]]:
        """Start and end of each of the zone's finest windows, and at its end the count that holds and the bounds."""
        held: Count | None = None
        stretch: list[tuple[int, Bounds]] = []  # instants from which on people stayed: how many were there, bounds
        before, begun, unseen, waiting, last_given = -math.inf, False, -math.inf, sorted(self.given), -math.inf
        then = dict.fromkeys(self.bounds(0), Range(0, 0))
        rows = self.rows.get("zones", [])
        for start in sorted(r["window_start"] for r in rows if (r["window"], r["zone"]) == (self.finest, self.id)):
            end = self.naive.window(start, self.finest)[1]
            now, known = self.bounds(end), self.known(self.finest, start)
            if begun and (not known or start > before):
                held, stretch, unseen = None, [], start if known else end
            begun = begun or known
            time = {gate: self.naive._time(gate, start, end)[:2] for gate, *_ in self.ways}
            if held is not None:
                held.time = {gate: (c + time[gate][0], e + time[gate][1]) for gate, (c, e) in held.time.items()}
            due, waiting = [g for g in waiting if g.ts <= end], [g for g in waiting if g.ts > end]
            last_given = max([last_given, *(g.ts for g in due)])
            if known and self.ends_empty(end, unseen, last_given):
                most = max((people + self.more(since, now) for people, since in stretch), default=-math.inf)
                if most <= (0 if all(error == 0 for error in self.errors.values()) else 5):
                    drift = None if held is None else self.inside(held, now)
                    held, stretch = Count(end, 0, now, drift, dict.fromkeys(time, (0, 0))), [(0, now)]
            first = start - MINUTE if before == -math.inf else max(before, start)
            if known and due and due[-1].ts >= max(first, -math.inf if held is None else held.at):
                ts, people, _ = due[-1]
                base = now
                if ts < end:
                    base = {chain: Range(then[chain].low, now[chain].high) for chain in now}
                if ts <= start:  # those who passed in this window had not
                    for chain, (low, high) in base.items():
                        n = self.least.get((self.finest, start, *chain)) or 0
                        base[chain] = Range(low, max(low, high - n))
                drift = None
                if held is not None:
                    low, high = self.inside(held, base)
                    drift = Range(low - people, high - people)
                held = Count(ts, people, base, drift, dict.fromkeys(time, (0, 0)) if ts == end else dict(time))
                stretch = [(people, base)]
            if known:
                stretch.append((0, now))
            before, then = end, now
            yield start, end, held if known else None, now

    def ends_empty(self, end: int, unseen: float, last_given: float) -> bool:
        """Whether closing hours end in the window behind ``end`` or now, and nothing but counts speaks against 0."""
        behind = self.naive.window(end, self.finest)[1]
        return self.of["kind"] != "shelter" and any(
            begins < end <= ends < behind and unseen <= ends - DAY and not begins <= last_given <= ends
            for begins, ends in self.closings(end)
        )

    def closings(self, at: int) -> list[Range]:
        """Closing hours about an instant; those that meet are one."""
        zone = self.naive.registry["timezone"]
        found, today = list[Range](), local(at, zone).date()
        for day in range(-3, 4):
            for span in self.of.get("closed", []):
                begins, ends = (today + timedelta(day + late) for late in (0, span["to"] < span["from"]))
                found.append(Range(clock(f"{begins}T{span['from']}", zone), clock(f"{ends}T{span['to']}", zone)))
        joined = list[Range]()
        for span in sorted(span for span in found if span.low < span.high):
            if joined and span.low <= joined[-1].high:
                joined[-1] = Range(joined[-1].low, max(joined[-1].high, span.high))
            else:
                joined.append(span)
        return [span for span in joined if span.high - span.low < 2 * DAY]

    def row(self, count: Count | None, now: Bounds) -> dict[str, Any]:
        """The columns of a row of ``zones`` that tell who is inside."""
        names = ("occupancy", "occupancy_low", "occupancy_high", "density", "drift_low", "drift_high", "error")
        if count is None:
            return dict.fromkeys(names)
        low, high = self.inside(count, now)
        middle, area = (low + high) // 2, self.of.get("area_m2")
        drift = (None, None) if count.drift is None else count.drift
        density = None if area is None else middle / area
        return dict(zip(names, (middle, low, high, density, *drift, self.wrong(count, now)), strict=True))


def passed(since: Range, now: Range) -> Range:
    return Range(max(0, now.low - since.high), max(0, now.high - since.low))


@lru_cache(maxsize=10_000)
def clock(text: str, zone: str) -> int:
    """The first instant at which the clock shows a local minute, or leaps over it."""
    target = datetime.fromisoformat(text)
    at = int((target - datetime(1970, 1, 1)).total_seconds()) * 1000 - 16 * 3_600_000
    while local(at, zone).replace(tzinfo=None) < target:
        at += 15 * MINUTE  # no clock is changed between quarters of hours
    while local(at - MINUTE, zone).replace(tzinfo=None) >= target:
        at -= MINUTE
    return at
