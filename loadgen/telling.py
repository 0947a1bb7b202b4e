"""From what happens to what sensors tell of it: events, with their time, and the people they stand for.

Where nothing is wrong with a sensor, it tells every passage once, and a camera exactly those who are in its zone.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from loadgen import encode
from loadgen.faults import CHATTERING, IMBALANCED, SILENT, SKEWED, STUCK, Faults
from loadgen.motion import STEP_S, Path
from loadgen.people import AB, BA, DIRECTIONS
from loadgen.place import GATES, ZONE_ROW
from loadgen.sensors import BEAT_S, Sensor, gate_row
from loadgen.tracks import Seen, trackers

LEAF_MS = {"10s": 10_000, "1m": 60_000}
SPAN_MS = 60_000
_DISORDER_MS = 2_000  # an event arrives at most this much after it happened
_TRACK_MS = 200  # what a tracker sees arrives so much later
_BEAT_MS = BEAT_S * 1000
_BEAM_GAP_M, _BODY_M = 0.3, 0.35
_BEAM_SPEED_M_S = (0.8, 2.0)  # of people in a single-file gate
_STEP_MS = round(STEP_S * 1000)
_CHATTERS = ("counter", "beam_pair")

Truth = tuple[tuple[int, int, int, int], ...]  # gate, direction, start of its leaf window, people


class Passage(NamedTuple):
    """Somebody passes a gate: when (ms), row of GATES, direction, where along its line (0 to 1), how fast (m/s)."""

    at_ms: int
    gate: int
    direction: int
    lane: float
    speed: float


class Told(NamedTuple):
    """What a sensor tells; ``value`` None = it should have and does not. ``skewed``: its clock is wrong."""

    kind: str
    key: bytes
    value: bytes | None
    truth: Truth = ()
    skewed: bool = False


class Reading(NamedTuple):
    """People and their mean speed in the zones, by row of ZONES, at a time."""

    at_ms: int
    people: list[int]
    speeds: list[float]  # sums


class Teller:
    """All sensors of a scenario."""

    def __init__(self, rng: np.random.Generator, sensors: tuple[Sensor, ...], faults: Faults, start_ms: int) -> None:
        self.rng, self.sensors, self.faults = rng, sensors, faults
        self.keys = [sensor.id.encode() for sensor in sensors]
        self.seq = rng.integers(0, 100_000, len(sensors)).tolist()
        self.sound = [not faults.ever(sensor.id) for sensor in sensors]
        self.at_gate: list[list[int]] = [[] for _ in GATES]
        for row, sensor in enumerate(sensors):
            if gate_row(sensor) >= 0:
                self.at_gate[gate_row(sensor)].append(row)
        self.trackers = trackers(sensors)
        self.cameras = [row for row, sensor in enumerate(sensors) if sensor.kind == "occupancy"]
        self.read: dict[int, tuple[int, float | None]] = {}  # camera → what it told last
        self.beats = [  # (row, first heartbeat)
            (row, start_ms + int(rng.integers(0, _BEAT_MS)))
            for row, sensor in enumerate(sensors)
            if sensor.reporting == "heartbeat"
        ]
        self.spans = {  # row → start of the span that is being counted, people of it in truth and as seen
            row: (start_ms - start_ms % SPAN_MS, [0, 0, 0], [0, 0, 0])
            for row, sensor in enumerate(sensors)
            if sensor.reporting == "every_span"
        }
        self.counted: dict[int, list[int]] = {}  # row → what it told last
        self.out: list[tuple[int, Told]] = []
        self.quick: list[tuple[int, Told]] = []  # arrive at a time of their own

    def tell(
        self, passages: list[Passage], ways: list[tuple[int, Path]], read: Reading, start_ms: int, end_ms: int
    ) -> list[tuple[int, Told]]:
        """What all sensors tell of [start_ms, end_ms), with the time of its arrival.

        ``passages`` in order of time; ``ways`` of each step with its beginning (ms); ``read``: the zones at start_ms.
        """
        self.out, self.quick = [], []
        for passage in passages:
            if passage.at_ms < end_ms:
                self._passage(passage)
        for row in self.spans:
            self._close_spans(row, end_ms)
        for row, tracker in self.trackers.items():
            for step_ms, path in ways:
                self._points(row, step_ms, tracker.see(path), end_ms)
        for row in self.cameras:
            self._occupancy(row, read)
        self._chatter(start_ms, end_ms)
        for row, first in self.beats:
            for at in range(max(first, start_ms + (first - start_ms) % _BEAT_MS), end_ms, _BEAT_MS):
                self._say(row, "heartbeat", at, encode.heartbeat(self.keys[row], self._clock(row, at)))
        late = self.rng.triangular(0, 0, _DISORDER_MS, len(self.out)).astype(np.int64).tolist()
        told = [(at + ms, event) for (at, event), ms in zip(self.out, late, strict=True)]
        return told + self.quick

    # ------------------------------------------------------------------------------ passages
    def _passage(self, passage: Passage) -> None:
        gate = GATES[passage.gate]
        start = passage.at_ms - passage.at_ms % LEAF_MS[gate.leaf]
        truth: Truth = ((passage.gate, passage.direction, start, 1),)
        for row in self.at_gate[passage.gate]:
            sensor = self.sensors[row]
            if sensor.lane is not None and sensor.lane != min(int(passage.lane * gate.lanes), gate.lanes - 1):
                continue
            if row in self.spans:
                self._close_spans(row, passage.at_ms)
                self.spans[row][1][passage.direction] += 1
                if not self._misses(row, passage):
                    self.spans[row][2][passage.direction] += 1
                continue
            if sensor.kind == "tracker" or self._misses(row, passage):
                self.out.append((passage.at_ms, Told("", b"", None, truth)))
            elif sensor.kind == "beam_pair":
                self._beams(row, passage, truth)
            else:
                self._cross(row, passage.at_ms, passage.direction, truth)
            truth = ()  # redundant sensors see the same people

    def _misses(self, row: int, passage: Passage) -> bool:
        if self.sound[row]:
            return False
        sensor = self.sensors[row].id
        if self.faults.now(sensor, STUCK, passage.at_ms) or self.faults.now(sensor, SILENT, passage.at_ms):
            return True
        fault = self.faults.now(sensor, IMBALANCED, passage.at_ms)
        if fault is None or fault.direction != DIRECTIONS[passage.direction]:
            return False
        return self.rng.random() < (fault.by or 0.0)

    def _cross(self, row: int, at: int, direction: int, truth: Truth) -> None:
        self.seq[row] += 1
        value = encode.cross(self.keys[row], self._clock(row, at), direction, self.seq[row])
        self._say(row, "cross", at, value, truth)

    def _beams(self, row: int, passage: Passage, truth: Truth) -> None:
        """Who comes from side a interrupts beam a first; each beam is free again when they are past it."""
        speed = min(max(passage.speed, _BEAM_SPEED_M_S[0]), _BEAM_SPEED_M_S[1])
        gap, body = round(_BEAM_GAP_M / speed * 1000), round(_BODY_M / speed * 1000)
        first, second = (0, 1) if passage.direction == AB else (1, 0)
        for after, which, on in sorted(((0, first, 1), (body, first, 0), (gap, second, 1), (gap + body, second, 0))):
            self._beam(row, passage.at_ms + after, which, on == 1, truth)
            truth = ()

    def _beam(self, row: int, at: int, which: int, on: bool, truth: Truth = ()) -> None:
        self.seq[row] += 1
        value = encode.beam(self.keys[row], self._clock(row, at), which, on, self.seq[row])
        self._say(row, "beam", at, value, truth)

    def _close_spans(self, row: int, now_ms: int) -> None:
        """Tell the counts of all spans of a sensor that have ended at ``now_ms``, those without people too."""
        start, people, seen = self.spans[row]
        gate, sensor = gate_row(self.sensors[row]), self.sensors[row].id
        while start + SPAN_MS <= now_ms:
            if self.faults.now(sensor, STUCK, start) and row in self.counted:
                seen = self.counted[row]
            truth = tuple((gate, way, start, n) for way, n in enumerate(people))
            end = start + SPAN_MS
            value = encode.count(self.keys[row], self._clock(row, end) - SPAN_MS, SPAN_MS, *seen)
            self._say(row, "count", end, value, truth)
            self.counted[row] = seen
            start, people, seen = end, [0, 0, 0], [0, 0, 0]
        self.spans[row] = start, people, seen

    # ------------------------------------------------------------------------------ the rest
    def _points(self, row: int, step_ms: int, seen: Seen, end_ms: int) -> None:
        sensor, key = self.sensors[row].id, self.keys[row]
        if not seen.track or self.faults.now(sensor, SILENT, step_ms):
            return
        skew = self._clock(row, step_ms) - step_ms
        for after, track, x, y in zip(*seen, strict=True):
            at = step_ms + after
            if at < end_ms:
                value = encode.point(key, at + skew, track, x, y)
                self.quick.append((at + _TRACK_MS, Told("point", key, value, (), skew != 0)))

    def _occupancy(self, row: int, read: Reading) -> None:
        sensor = self.sensors[row]
        zone = ZONE_ROW[str(sensor.zone)]
        people = read.people[zone]
        now = people, round(read.speeds[zone] / people, 2) if people else None
        if self.faults.now(sensor.id, STUCK, read.at_ms):
            now = self.read.get(row, now)
        self.read[row] = now
        self.seq[row] += 1
        value = encode.occupancy(self.keys[row], self._clock(row, read.at_ms), *now, self.seq[row])
        self._say(row, "occupancy", read.at_ms, value)

    def _chatter(self, start_ms: int, end_ms: int) -> None:
        rows = {sensor.id: row for row, sensor in enumerate(self.sensors) if sensor.kind in _CHATTERS}
        for fault in self.faults.within(CHATTERING, start_ms, end_ms):
            begin, end = max(start_ms, fault.from_ms), min(end_ms, fault.to_ms)
            row = rows[fault.sensor]
            for at in np.sort(self.rng.integers(begin, end, self.rng.poisson((end - begin) / 1000 * (fault.by or 0)))):
                if self.sensors[row].kind == "beam_pair":
                    self._beam(row, int(at), 0, bool(self.rng.integers(0, 2)))
                else:
                    self._cross(row, int(at), int(self.rng.integers(AB, BA + 1)), ())

    def _clock(self, row: int, at: int) -> int:
        """What a sensor's clock says at a time."""
        fault = None if self.sound[row] else self.faults.now(self.sensors[row].id, SKEWED, at)
        return at if fault is None else at + round(fault.by or 0)

    def _say(self, row: int, kind: str, at: int, value: bytes, truth: Truth = ()) -> None:
        if self.sound[row]:
            self.out.append((at, Told(kind, self.keys[row], value, truth)))
            return
        silent = self.faults.now(self.sensors[row].id, SILENT, at) is not None
        self.out.append((at, Told(kind, self.keys[row], None if silent else value, truth, self._clock(row, at) != at)))
