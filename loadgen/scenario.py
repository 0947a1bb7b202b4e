"""A scenario: its events in order of arrival, and what is true about them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from loadgen import encode, people, place
from loadgen.control import Control, Order
from loadgen.crowd import Crowd
from loadgen.faults import Fault, Faults
from loadgen.motion import STEP_S
from loadgen.people import Stream
from loadgen.sensors import Sensor
from loadgen.telling import Passage, Reading, Teller, Told

WINDOW_MS = 10_000  # people are drawn, events put in order, and zones told so many ms at a time
_STEP_MS = round(STEP_S * 1000)


class Message(NamedTuple):
    """One message: when it arrives (ms), its Kafka key (sensor or zone), its JSON; ``skewed``: by a wrong clock."""

    arrival_ms: int
    key: bytes
    value: bytes
    skewed: bool = False


class Source(Protocol):
    """What can be written to a file or sent: a registry document, and messages in order of arrival."""

    registry: dict[str, Any]
    end_ms: int | None  # None = without end

    def events(self) -> Iterator[Message]:
        """The messages; they may be read once."""
        ...


class TruthRow(NamedTuple):
    """People who passed one gate in one direction (ab, ba, unknown) in its leaf window that begins at ``start_ms``."""

    gate: str
    direction: str
    leaf: str
    start_ms: int
    n: int


class ZoneRow(NamedTuple):
    """People in a zone at ``start_ms``; in the 10 s that begin there, their mean number and mean speed (m/s).

    People of a zone that is part of another are people of both. ``speed`` None = there was nobody.
    """

    zone: str
    start_ms: int
    people: int
    mean: float
    speed: float | None


class Cast(NamedTuple):
    """What makes a scenario: who comes, what happens (clock times), what watches, what is wrong with it (ms).

    ``empty``: somebody has looked, so the first messages are ``set`` records that tell of nobody in any zone.
    """

    name: str
    streams: Sequence[Stream]
    orders: Sequence[Order]
    sensors: tuple[Sensor, ...]
    registry: dict[str, Any]
    faults: Sequence[Fault]
    empty: bool = False


class _Window(NamedTuple):
    start_ms: int
    people: NDArray[np.int64]
    mean: NDArray[np.float64]
    speed: NDArray[np.float64]


class Scenario:
    """Events of a registry in order of arrival, and what is true about them.

    ``events()`` may be read once, lazily and to any point; ``truth()``, ``zones()`` and ``totals()`` tell of what was
    read so far. Equal arguments give equal bytes. Every passage is told by the sensor that saw it, but for ``faults``;
    a counter that tells whole minutes never tells the minute that is unfinished at the end. The place is empty at
    ``start_ms``; ``seconds`` None = without end. ``scale`` = how many people come for one of an ordinary weekday.
    ``passages`` gets all passages, in order of time, of each 10 s that are drawn, where it is a list.
    """

    def __init__(
        self,
        cast: Cast,
        seed: int,
        seconds: float | None,
        scale: float,
        start_ms: int,
        clock_of_day_s: float,
    ) -> None:
        self.cast, self.name = cast, cast.name
        self.seed, self.seconds, self.scale = seed, seconds, scale
        self.start_ms, self.clock_of_day_s = start_ms, clock_of_day_s
        self.end_ms = None if seconds is None else start_ms + round(seconds * 1000)
        self.registry, self.faults = cast.registry, tuple(cast.faults)
        self.passages: list[Passage] | None = None
        self._truth: dict[tuple[int, int, int], int] = defaultdict(int)
        self._totals = {"cross": 0, "count": 0, "heartbeat": 0}
        self._windows: list[_Window] = []
        self._arrived_ms = start_ms
        self._read = False

    def events(self) -> Iterator[Message]:
        """The messages in order of arrival. Raises RuntimeError when read a second time."""
        if self._read:
            raise RuntimeError("the events of a scenario can be read once")
        self._read = True
        rng = np.random.default_rng([self.seed, 0])
        others = np.random.default_rng([self.seed, 1])  # people are the same, whatever watches them
        teller = Teller(others, self.cast.sensors, Faults(self.faults), self.start_ms)
        crowd = Crowd(rng, self.scale, Control(self.cast.orders))
        waiting: list[tuple[int, int, Told]] = []
        for zone in self.registry["zones"] if self.cast.empty else ():
            name = zone["id"].encode()
            yield Message(self.start_ms, name, encode.nobody(name, self.start_ms))
        number, window_ms = 0, self.start_ms - self.start_ms % WINDOW_MS
        while self.end_ms is None or window_ms < self.end_ms:
            until = window_ms + WINDOW_MS
            for arrival, told in self._window(rng, crowd, teller, window_ms):
                waiting.append((arrival, number, told))
                number += 1
            waiting.sort(key=_by_arrival)
            ready = sum(1 for arrival, _, _ in waiting if arrival < until)
            yield from self._tell(waiting[:ready])
            del waiting[:ready]
            window_ms = until
        yield from self._tell(waiting)
        self._arrived_ms = window_ms

    def truth(self) -> list[TruthRow]:
        """People per gate, direction and leaf window, of what was read so far; windows without people are left out.

        Ordered by gate (as in the registry), direction, time.
        """
        return [
            TruthRow(place.GATES[gate].id, people.DIRECTIONS[direction], place.GATES[gate].leaf, start, n)
            for (gate, direction, start), n in sorted(self._truth.items())
        ]

    def zones(self) -> Iterator[ZoneRow]:
        """A row for each 10 s that have passed and each zone of the registry, in this order."""
        told = [place.ZONE_ROW[zone["id"]] for zone in self.registry["zones"]]
        for window in self._windows:
            if window.start_ms + WINDOW_MS > self._arrived_ms:
                return
            for row in told:
                mean, speed = float(window.mean[row]), float(window.speed[row])
                yield ZoneRow(
                    place.ZONES[row].id,
                    window.start_ms,
                    int(window.people[row]),
                    round(mean, 2),
                    round(speed, 3) if mean else None,
                )

    def totals(self) -> dict[str, int]:
        """Events read so far by type, their sum (``events``) and the people who passed gates meanwhile (``people``)."""
        return {**self._totals, "events": sum(self._totals.values()), "people": sum(self._truth.values())}

    def _window(self, rng: np.random.Generator, crowd: Crowd, teller: Teller, window_ms: int) -> list[tuple[int, Told]]:
        """Move people through 10 s; what is told of them, with the time of its arrival."""
        begin, until = max(window_ms, self.start_ms), window_ms + WINDOW_MS
        end = until if self.end_ms is None else min(until, self.end_ms)
        clock = self.clock_of_day_s - self.start_ms / 1000
        drawn = [s.draw(rng, clock + begin / 1000, clock + until / 1000, self.scale) for s in self.cast.streams]
        coming = people.together(drawn)
        coming = coming.take(np.argsort(coming.enter_s, kind="stable"))
        read = Reading(begin, crowd.people.tolist(), crowd.speeds.tolist())
        found: list[Passage] = []
        ways, persons, speeds = [], [crowd.people], [crowd.speeds]
        for step_ms in range(window_ms, until, _STEP_MS):
            passed, path = crowd.step(clock + step_ms / 1000, coming)
            coming = people.NOBODY
            at = np.maximum(step_ms + (passed.share * _STEP_MS).astype(np.int64), begin)
            found += map(Passage._make, zip(at.tolist(), *(column.tolist() for column in passed[1:]), strict=True))
            ways.append((step_ms, path))
            persons.append(crowd.people)
            speeds.append(crowd.speeds)
        weights = np.full(len(persons), 1.0 / (len(persons) - 1))
        weights[[0, -1]] /= 2
        mean = weights @ np.array(persons)
        speed = (weights @ np.array(speeds)) / np.maximum(mean, 1e-9)
        self._windows.append(_Window(window_ms, persons[0], mean, speed))
        found.sort()
        if self.passages is not None:
            self.passages += found
        return teller.tell(found, ways, read, begin, end)

    def _tell(self, told: list[tuple[int, int, Told]]) -> Iterator[Message]:
        for arrival, _, (kind, key, value, truth, skewed) in told:
            self._arrived_ms = max(self._arrived_ms, arrival)
            for gate, direction, start, n in truth:
                if n:
                    self._truth[gate, direction, start] += n
            if value is not None:
                self._totals[kind] = self._totals.get(kind, 0) + 1
                yield Message(arrival, key, value, skewed)


def _by_arrival(row: tuple[int, int, Told]) -> tuple[int, int]:
    return row[0], row[1]
