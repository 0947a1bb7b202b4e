"""Gates and zones whose released rows show that a sensor is stuck, chatters or misses one direction.

Arithmetic on rows of ``flow`` and ``zones`` alone (PRIVACY.md R6), so it is told of a gate or zone: of all its sensors,
where it has several.
A rule finds what it looks for in a row and keeps to it until a row shows otherwise; docs/adr/0037 has the reasons.

chattering  more people for sure than can pass: 82 a minute and metre of width, plus what chance adds
stuck       nobody, by day, for three times as long as is usual; or the same number in window after window; a camera:
            the same people at the same speed
imbalanced  at the only gate of a zone, over a day: more came in than went out, or the other way round
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import isnan, sqrt
from typing import Any

from engine.figures import Block
from engine.model import (
    DAY,
    DIRECTION_COUNT,
    END,
    HEALTH_CHATTERING,
    HEALTH_IMBALANCED,
    HEALTH_OK,
    HEALTH_STUCK,
    LENGTH_MS,
    NO_TIME,
)
from engine.occupancy import ALLOWED, ASSUMED_ERROR
from engine.tables import Tables
from engine.watch import Signal
from engine.zone_reading import Reading

_MINUTE, _FIVE = 1, 2  # codes of the shortest windows that are looked at
MOST_PER_MINUTE_M = 82  # people a minute and metre of width that a walkway can carry (Fruin; OPERATORS.md)
_CHANCE = 3  # standard deviations of a Poisson count that chance may add
_WATCHED = 0.5  # coverage from which a gate was watched
_DAY_MS, _HOUR_MS = LENGTH_MS[DAY], 3_600_000
_BY_DAY = (6 * _HOUR_MS, 22 * _HOUR_MS)  # local times between which a gate without anybody is looked at
_GAPS, _BUSY = 3, 36  # times the longest gap; windows with people that must have been seen
_FIRST_DAY = 6  # times the hour that a gap must last where no evening was seen yet
# Of the same number again and again: windows, people, and these for the square of what the bounds leave open.
_SAME_WINDOWS, _SAME_PEOPLE, _SAME_BAND = 10, 150, 8
_SAME_READINGS = 5  # minutes in which a camera tells the same people at the same speed
_BALANCE = 0.1  # share of a day's passages that those who stay over midnight may make


@dataclass(slots=True)
class _Gate:
    """What is kept of one gate, in windows and people."""

    since: int = END  # start of the first window that was seen, in ms
    people: int = 0  # total of all directions, lower bound
    quiet: int = 0  # windows since the last with people, or since the night
    gap: int = 0  # the most of them between people of one day, forgotten slowly
    morning: int = -1  # the most of them between a night and its day's first people; -1 = none was seen
    nobody: bool = False  # that was far longer than usual, and nobody has passed since
    busy: int = 0  # windows with people
    awake: bool = False  # somebody has passed since the night
    night: bool = False  # the last window was of a night
    slept: bool = False  # there was a night after people
    runs: list[_Same] = field(default_factory=lambda: [_Same() for _ in range(DIRECTION_COUNT)])
    found: set[int] = field(default_factory=set)


@dataclass(slots=True)
class _Same:
    """A direction counted since a window: whether one number per window, always the same, explains the bounds."""

    low: int = 0
    high: int = -1  # no window yet
    windows: int = 0
    least: int = 0
    most: int = END

    def step(self, low: int, high: int, watched: bool) -> int:
        """Take in the bounds at a window's end; people told by the same number again and again, 0 = it changes."""
        if watched and self.high >= 0:
            self.windows += 1
            self.least = max(self.least, -((self.high - low) // self.windows))
            self.most = min(self.most, (high - self.low) // self.windows)
            if self.least <= self.most and self.most > 0:
                return self.windows * self.least if self.windows >= _SAME_WINDOWS else 0
        self.low, self.high, self.windows, self.least, self.most = low, high if watched else -1, 0, 0, END
        return 0


@dataclass(slots=True)
class _Zone:
    """What was read of one zone in its newest minute, and for how many minutes it was that."""

    read: tuple[float, ...] = ()
    end_ms: int = NO_TIME
    minutes: int = 0
    found: bool = False


class Suspects:
    """The gates of one shard, in shard 0 the zones too; ``threshold`` = K of the product flow."""

    def __init__(self, threshold: int) -> None:
        self._threshold = threshold
        self._gates: dict[int, _Gate] = {}
        self._zones: dict[int, _Zone] = {}

    def read(self, reading: Reading, tables: Tables, line: int) -> list[Signal]:
        """Take in what readings tell of zones in one window, told at ``line``; windows of a length in their order.

        Nobody moves for minutes at exactly the same speed; that people stand, or are as many as before, is no fault.
        """
        out: list[Signal] = []
        if reading.code != _MINUTE:
            return out
        told = zip(reading.low.tolist(), reading.high.tolist(), reading.speed.tolist(), strict=True)
        for zone, now in zip(reading.zones.tolist(), told, strict=True):
            kept = self._zones.setdefault(zone, _Zone())
            again = now == kept.read and reading.start_ms == kept.end_ms
            kept.read, kept.end_ms, kept.minutes = now, reading.end_ms, kept.minutes + 1 if again else 1
            found = now[2] > 0 and kept.minutes >= _SAME_READINGS
            if found != kept.found:
                kept.found, state = found, HEALTH_STUCK if found else HEALTH_OK
                names = _sensors(tables, "zone", tables.zone_ids[zone], reading.start_ms)
                out += [Signal(line, name, HEALTH_STUCK, state) for name in names]
        return out

    def add(self, block: Block, lines: Sequence[int]) -> list[Signal]:
        """Take in a block, whose windows come out at ``lines`` (w,) in ms; what is found in it, or found no longer."""
        leaf = int(block.tables.gate_leaf[block.places[0]]) if len(block.places) else 0
        out: list[Signal] = []
        if block.code == max(leaf, _MINUTE):
            self._chattering(block, lines, out)
        if block.code == max(leaf, _FIVE):
            self._stuck(block, lines, out)
        if block.code == DAY:
            self._imbalanced(block, lines, out)
        return out

    def _find(
        self, block: Block, place: int, window: int, rule: int, found: bool, line: int, out: list[Signal]
    ) -> None:
        gate = int(block.places[place])
        kept = self._gates.get(gate)
        if found == (kept is not None and rule in kept.found):
            return
        kept = self._gates.setdefault(gate, _Gate())
        kept.found.symmetric_difference_update({rule})
        state = rule if found else HEALTH_OK
        names = _sensors(block.tables, "gate", block.tables.gate_ids[gate], int(block.starts[window]))
        out += [Signal(line, name, rule, state) for name in names]

    def _chattering(self, block: Block, lines: Sequence[int], out: list[Signal]) -> None:
        tables, least = block.tables, block.low.sum(axis=2)
        for place, gate in enumerate(block.places.tolist()):
            width = tables.gates[gate].width_m
            if width is None:
                continue
            most = MOST_PER_MINUTE_M * width * LENGTH_MS[block.code] / 60_000
            most += _error(tables, gate) * most + _CHANCE * sqrt(most)
            for window, found in enumerate((least[:, place] > most).tolist()):
                self._find(block, place, window, HEALTH_CHATTERING, found, lines[window], out)

    def _stuck(self, block: Block, lines: Sequence[int], out: list[Signal]) -> None:
        clock, hour = block.tables.zone_clock, max(1, _HOUR_MS // LENGTH_MS[block.code])
        low, high, coverage = block.total_low.tolist(), block.total_high.tolist(), block.coverage.tolist()
        for window, start in enumerate(block.starts.tolist()):
            local = clock.local(start) % _DAY_MS
            for place, gate in enumerate(block.places.tolist()):
                day = _BY_DAY[0] <= local < _BY_DAY[1] and not _closed(block.tables, gate, local)
                kept = self._gates.setdefault(gate, _Gate())
                kept.since = min(kept.since, start)
                watched = coverage[window][place] >= _WATCHED  # false where nothing tells
                same = _same(kept, low[window][place], high[window][place], watched)
                found = _nobody(kept, sum(low[window][place]), watched, day, hour)
                found |= same >= _SAME_PEOPLE + _SAME_BAND * (2 * (self._threshold - 1)) ** 2
                self._find(block, place, window, HEALTH_STUCK, found, lines[window], out)

    def _imbalanced(self, block: Block, lines: Sequence[int], out: list[Signal]) -> None:
        tables, low, high = block.tables, block.low.tolist(), block.high.tolist()
        for place, gate in enumerate(block.places.tolist()):
            if not _leads_alone(tables, gate):
                continue
            kept = self._gates.setdefault(gate, _Gate())
            for window, coverage in enumerate(block.coverage[:, place].tolist()):
                half = (int(block.starts[window]) + int(block.ends[window])) // 2
                if kept.since > half or not (isnan(coverage) or coverage >= _WATCHED):
                    continue
                (ab, ba, _), (most_ab, most_ba, undirected) = low[window][place], high[window][place]
                certain, people = max(ab - most_ba, ba - most_ab) - undirected, most_ab + most_ba
                allowed = (_error(tables, gate) + _BALANCE) * people + _CHANCE * sqrt(people) + ALLOWED
                self._find(block, place, window, HEALTH_IMBALANCED, certain > allowed, lines[window], out)

    def state(self) -> tuple[dict[int, _Gate], dict[int, _Zone]]:
        """Everything a later ``restore`` needs."""
        return self._gates, self._zones

    def restore(self, state: Any) -> None:
        """Take back what ``state()`` gave."""
        self._gates, self._zones = state


def _nobody(kept: _Gate, people: int, watched: bool, day: bool, hour: int) -> bool:
    """Whether nobody has passed for far longer than usual; ``people``: all so far, ``hour``: windows of an hour.

    What was found holds until somebody passes, in the night too.
    """
    passed, kept.people = people > kept.people, people
    if watched and day and not passed:
        kept.night = False
        kept.quiet += 1
        usual = kept.gap if kept.awake else kept.morning
        least = hour if kept.slept else _FIRST_DAY * hour
        kept.nobody |= kept.busy >= _BUSY and usual >= 0 and kept.quiet >= max(least, _GAPS * usual)
        return kept.nobody
    if kept.awake:
        kept.gap = max(kept.gap, kept.quiet)
    elif kept.slept and watched and not kept.night:
        kept.morning = max(kept.morning, kept.quiet)
    if not day and not kept.night:
        kept.gap -= kept.gap // 8
        kept.morning -= max(kept.morning, 0) // 8
        kept.slept = kept.busy > 0
    kept.night, kept.awake = not day, day and (passed or kept.awake)
    kept.quiet, kept.busy, kept.nobody = 0, kept.busy + passed, kept.nobody and not passed
    return kept.nobody


def _closed(tables: Tables, gate: int, local_ms: int) -> bool:
    """Whether a zone of the gate is closed at a local time of the day."""
    minute = local_ms // 60_000
    zones = [tables.zones[z] for z in (int(tables.gate_a[gate]), int(tables.gate_b[gate])) if z >= 0]
    return any(
        a <= minute < b if a < b else minute >= a or minute < b  # over midnight
        for zone in zones
        for a, b in zone.closed
    )


def _same(kept: _Gate, low: list[int], high: list[int], watched: bool) -> int:
    """The most people that a direction has told by the same number again and again."""
    return max(run.step(least, most, watched) for run, least, most in zip(kept.runs, low, high, strict=True))


def _error(tables: Tables, gate: int) -> float:
    told = float(tables.gate_error[gate])
    return ASSUMED_ERROR if isnan(told) else told


def _leads_alone(tables: Tables, gate: int) -> bool:
    """Whether a zone, not a shelter, has this gate only: who went in must come out of it."""

    def alone() -> list[int]:
        sides = [(tables.gate_a, tables.gate_b), (tables.gate_b, tables.gate_a)]
        gates = [[g for of, _ in sides for g in (of == zone).nonzero()[0].tolist() if tables.gate_here[g]]
                 for zone in range(len(tables.zone_ids))]  # fmt: skip
        return [of[0] for zone, of in zip(tables.zones, gates, strict=True) if len(of) == 1 and zone.kind != "shelter"]

    return gate in tables.once("gates that lead alone", alone)


def _sensors(tables: Tables, part: str, of: str, at: int) -> list[str]:
    """Ids of the sensors of a gate or zone (``part``) that were approved at an instant."""
    sensors = tables.registry.sensors

    def by_place() -> dict[str | None, list[int]]:
        out: dict[str | None, list[int]] = {}
        for row, sensor in enumerate(sensors):
            out.setdefault(getattr(sensor, part), []).append(row)
        return out

    there = (sensors[row] for row in tables.once(f"sensors by {part}", by_place).get(of, ()))
    return [sensor.id for sensor in there if any(since <= at < to for since, to in sensor.approved)]
