"""Scenario `weekday`: a working day in チ・カ・ホ, with the registry it needs and the truth it was made from."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from loadgen import encode, people, place

WEEKDAY_S = 72_000  # 5:00 to 1:00: everyone who enters has left
START_MS = 1_770_148_800_000  # Tuesday 2026-02-03 05:00 in Sapporo, the place still closed
BUSY_START_MS = START_MS + 3 * 3_600_000  # 08:00, for shorter scenarios
_JST_MS = 32_400_000
_STEP_S = 10  # people are drawn and events put in order this many seconds at a time
_DISORDER_MS = 2_000  # an event arrives at most this much after it happened
_SPAN_MS = 60_000


class Message(NamedTuple):
    """One message: when it arrives (ms), its Kafka key (the sensor id) and its JSON."""

    arrival_ms: int
    key: bytes
    value: bytes


class TruthRow(NamedTuple):
    """People who passed one gate in one direction (ab, ba, unknown) in its leaf window that begins at ``start_ms``."""

    gate: str
    direction: str
    leaf: str
    start_ms: int
    n: int


class Scenario:
    """Events of a registry in order of arrival, and what is true about them.

    ``events()`` may be read once, lazily and to any point; ``truth()`` and ``totals()`` tell of what was read so far.
    Equal arguments give equal bytes. Every passage is told by the sensor that saw it; a counter that tells whole
    minutes never tells the minute that is unfinished at the end. The place is empty at ``start_ms``; ``seconds``
    None = without end. ``scale`` = how many people come for one of an ordinary weekday.
    """

    def __init__(
        self,
        seed: int,
        seconds: float | None,
        scale: float,
        start_ms: int,
        clock_of_day_s: float,
        name: str = "weekday",
    ) -> None:
        self.name = name
        self.seed, self.seconds, self.scale = seed, seconds, scale
        self.start_ms, self.clock_of_day_s = start_ms, clock_of_day_s
        self.end_ms = None if seconds is None else start_ms + round(seconds * 1000)
        self.registry: dict[str, Any] = place.registry()
        self._truth: dict[tuple[int, int, int], int] = defaultdict(int)
        self._totals = {"cross": 0, "count": 0, "heartbeat": 0}
        self._read = False

    def events(self) -> Iterator[Message]:
        """The messages in order of arrival. Raises RuntimeError when read a second time."""
        if self._read:
            raise RuntimeError("the events of a scenario can be read once")
        self._read = True
        steps = _Steps(self)
        waiting: list[tuple[int, int, _Told]] = []
        number, step_ms = 0, self.start_ms
        while self.end_ms is None or step_ms < self.end_ms:
            until = step_ms + _STEP_S * 1000
            for arrival, told in steps.step(step_ms, until if self.end_ms is None else min(until, self.end_ms)):
                waiting.append((arrival, number, told))
                number += 1
            waiting.sort(key=_by_arrival)
            ready = sum(1 for arrival, _, _ in waiting if arrival < until)
            yield from self._tell(waiting[:ready])
            del waiting[:ready]
            step_ms = until
        yield from self._tell(waiting)

    def truth(self) -> list[TruthRow]:
        """People per gate, direction and leaf window, of the events read so far; windows without people are left out.

        Ordered by gate (as in the registry), direction, time.
        """
        return [
            TruthRow(place.GATES[gate].id, people.DIRECTIONS[direction], place.GATES[gate].leaf, start, n)
            for (gate, direction, start), n in sorted(self._truth.items())
        ]

    def totals(self) -> dict[str, int]:
        """Events read so far by type, their sum (``events``) and the people they tell of (``people``)."""
        return {**self._totals, "events": sum(self._totals.values()), "people": sum(self._truth.values())}

    def _tell(self, told: list[tuple[int, int, _Told]]) -> Iterator[Message]:
        for arrival, _, (kind, gate, start, n, key, value) in told:
            self._totals[kind] += 1
            for direction, passed in n:
                if passed:
                    self._truth[gate, direction, start] += passed
            yield Message(arrival, key, value)


class _Told(NamedTuple):
    kind: str
    gate: int
    start_ms: int  # leaf window the people belong to
    n: tuple[tuple[int, int], ...]  # (direction, people)
    key: bytes
    value: bytes


def _by_arrival(row: tuple[int, int, _Told]) -> tuple[int, int]:
    return row[0], row[1]


class _Steps:
    """Draws people and turns their passages into events, one step of time after the other."""

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        self.rng = np.random.default_rng(scenario.seed)
        self.later = people.Passages(*(np.empty(0, np.int64) for _ in range(3)))
        self.ids = [[s.encode() for s in place.sensor_ids(gate)] for gate in place.GATES]
        self.lanes = np.array([gate.lanes for gate in place.GATES])
        self.seq: dict[bytes, int] = {sensor: int(self.rng.integers(0, 100_000)) for ids in self.ids for sensor in ids}
        beat_ms = place.BEAT_S * 1000
        self.beats = [  # (sensor, first heartbeat)
            (sensor, row, scenario.start_ms + int(self.rng.integers(0, beat_ms)))
            for row, gate in enumerate(place.GATES)
            if gate.reporting == "heartbeat"
            for sensor in self.ids[row]
        ]
        self.span_start: dict[int, int] = {}  # gate row -> start of that span
        self.open = {  # gate row -> people of the span that is being counted
            row: [0, 0, 0] for row, gate in enumerate(place.GATES) if gate.reporting == "every_span"
        }

    def step(self, start_ms: int, end_ms: int) -> list[tuple[int, _Told]]:
        """Events that happen in [start_ms, end_ms) with their arrival; a count happens when its span has ended."""
        out: list[tuple[int, _Told]] = []
        passed = self._passages(start_ms, end_ms)
        lanes = (self.rng.random(len(passed.gate)) * self.lanes[passed.gate]).astype(np.int64)
        for at, row, direction, lane in zip(
            passed.at_ms.tolist(),
            passed.gate.tolist(),
            passed.direction.tolist(),
            lanes.tolist(),
            strict=True,
        ):
            if row in self.open:
                self._close_spans(row, at, out)
                self.open[row][direction] += 1
                continue
            sensor = self.ids[row][lane]
            self.seq[sensor] += 1
            leaf_ms = place.LEAF_MS[place.GATES[row].leaf]
            value = encode.cross(sensor, at, direction, self.seq[sensor])
            out.append((at, _Told("cross", row, at - at % leaf_ms, ((direction, 1),), sensor, value)))
        for row in self.open:
            self._close_spans(row, end_ms, out)
        beat_ms = place.BEAT_S * 1000
        for sensor, row, first in self.beats:
            for at in range(max(first, start_ms + (first - start_ms) % beat_ms), end_ms, beat_ms):
                out.append((at, _Told("heartbeat", row, at, (), sensor, encode.heartbeat(sensor, at))))
        late = self.rng.triangular(0, 0, _DISORDER_MS, len(out)).astype(np.int64).tolist()
        return [(at + ms, told) for (at, told), ms in zip(out, late, strict=True)]

    def _passages(self, start_ms: int, end_ms: int) -> people.Passages:
        """Passages of [start_ms, end_ms) in order of time; later ones are kept."""
        seconds = (end_ms - start_ms) / 1000
        clock = self.scenario.clock_of_day_s + (start_ms - self.scenario.start_ms) / 1000
        expected = float(people.busy(np.array([clock + seconds / 2]))[0]) * seconds * self.scenario.scale
        enter_s = self.rng.random(int(self.rng.poisson(expected))) * seconds
        new = people.walk(self.rng, start_ms + (enter_s * 1000.0).astype(np.int64), clock + enter_s)
        found = people.Passages(*(np.concatenate(columns) for columns in zip(self.later, new, strict=True)))
        self.later = _take(found, np.flatnonzero(found.at_ms >= end_ms))
        now = np.flatnonzero(found.at_ms < end_ms)
        return _take(found, now[np.argsort(found.at_ms[now], kind="stable")])

    def _close_spans(self, row: int, now_ms: int, out: list[tuple[int, _Told]]) -> None:
        """Tell the counts of all spans of a gate that have ended at ``now_ms``, those without people too."""
        started = self.span_start.setdefault(row, self.scenario.start_ms - self.scenario.start_ms % _SPAN_MS)
        while started + _SPAN_MS <= now_ms:
            ab, ba, un = self.open[row]
            sensor = self.ids[row][0]
            value = encode.count(sensor, started, _SPAN_MS, ab, ba, un)
            told = _Told("count", row, started, ((0, ab), (1, ba), (2, un)), sensor, value)
            out.append((started + _SPAN_MS, told))
            self.open[row] = [0, 0, 0]
            started += _SPAN_MS
        self.span_start[row] = started


def _take(passages: people.Passages, rows: NDArray[np.int64]) -> people.Passages:
    return people.Passages(*(column[rows] for column in passages))


def weekday(
    seed: int = 1,
    seconds: float | None = WEEKDAY_S,
    rate: float | None = None,
    start_ms: int | None = None,
    clock_of_day_s: float | None = None,
) -> Scenario:
    """A weekday in the walkway: 55,000 to 70,000 passages of each cross-section, peaks at 8:30, 12:20 and 18:00.

    ``seconds``: how long (None = without end). ``rate``: events per second on average over ``seconds`` (over the
    first hour where there is no end); it scales the number of people, None = an ordinary day. ``start_ms``: event
    time of the beginning, default Tuesday 2026-02-03 in Sapporo at 08:00, or at 05:00 for a whole weekday.
    ``clock_of_day_s``: what the clock on the wall says then, default the true one; a demo that starts at night
    passes 8 * 3600. Raises ValueError for a rate that the heartbeats alone exceed, and for a length that is not
    positive.
    """
    if seconds is not None and seconds <= 0:
        raise ValueError("seconds must be positive")
    whole = seconds is not None and seconds >= WEEKDAY_S
    start = start_ms if start_ms is not None else START_MS if whole else BUSY_START_MS
    clock = (start + _JST_MS) / 1000 % people.DAY_S if clock_of_day_s is None else clock_of_day_s
    scale = 1.0 if rate is None else _scale(rate, 3600.0 if seconds is None else seconds, clock)
    return Scenario(seed, seconds, scale, start, clock)


def _scale(rate: float, seconds: float, clock_s: float) -> float:
    beating = sum(gate.lanes for gate in place.GATES if gate.reporting == "heartbeat") / place.BEAT_S
    counting = sum(1 for gate in place.GATES if gate.reporting == "every_span") / (_SPAN_MS / 1000)
    passing = rate - beating - counting
    expected = people.expected_passages(clock_s, seconds) / seconds
    if passing <= 0:
        raise ValueError(f"rate must be above {beating + counting:.1f} events/s: so many are heartbeats and counts")
    if expected <= 0:
        raise ValueError("nobody is there at that time of the day")
    return passing / expected
