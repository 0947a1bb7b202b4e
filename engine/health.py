"""The product ``health``: what is known to be wrong with a sensor, a row for each change of it.

Shards judge sensors by rules (watch.py by their life and clocks, suspects.py by released rows); here, where the shards
meet, their signals become one state per sensor. A decision at line L of the 10 s grid belongs to the 1m window of the
cell that ends there, and there is at most one per sensor and window; what changes meanwhile waits for the next::

    lines      |  10  |  20  |  30  |  40  |  50  |  60 ‖  70  |
    signals        silent         ok                    ‖
    rows           silent, since 0                      ‖  ok, since 60
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from engine import units
from engine.model import CELL_MS, END, HEALTH, HEALTH_BY_WEIGHT, HEALTH_OK, LENGTH_MS, NO_TIME, WINDOWS, Released
from engine.shard_class import Switch
from engine.tables import Tables
from engine.watch import GONE, LIFE, Signal

_MINUTE = 1  # code of the window a change belongs to
_MINUTE_MS = LENGTH_MS[_MINUTE]
Change = tuple[int, str, str]  # line in ms, sensor id, state (of HEALTH; "" = nothing is expected of it any more)


class Health:
    """States of the sensors of a run. Kept are those that are not ok, and those whose minute has not passed."""

    def __init__(self) -> None:
        self._coming: dict[int, list[Signal]] = {}  # by line, until every shard has passed it
        self._found: dict[str, dict[int, int]] = {}  # sensor -> rule -> what it has found; LIFE also that all is well
        self._told: dict[str, tuple[int, int]] = {}  # sensor -> state and window of its newest row
        self._open: dict[int, set[str]] = {}  # line -> sensors whose state is to be told there

    def tell(self, signals: Iterable[Signal]) -> None:
        """Take in what the shards have found."""
        for signal in signals:
            self._coming.setdefault(signal.line_ms, []).append(signal)

    def advance(self, closed: int) -> list[Change]:
        """Changes at lines up to ``closed``, which every shard has passed, by line and sensor."""
        out: list[Change] = []
        while (line := min([*self._coming, *self._open], default=END)) <= closed and line != END:
            sensors = self._open.pop(line, set())
            # a sensor that was moved goes at one gate and comes at another
            for signal in sorted(self._coming.pop(line, []), key=lambda s: (s.sensor, s.state != GONE)):
                if signal.state == GONE:
                    out.append((line, signal.sensor, ""))
                self._take(signal)
                sensors.add(signal.sensor)
            for sensor in sorted(sensors):
                out += self._change(line, sensor)
        self._settle(closed)
        return out

    def _take(self, signal: Signal) -> None:
        if signal.state == GONE:
            self._found.pop(signal.sensor, None)
            if signal.sensor in self._told:
                self._told[signal.sensor] = GONE, self._told[signal.sensor][1]
            return
        found = self._found.setdefault(signal.sensor, {})
        if signal.state != HEALTH_OK or signal.rule == LIFE:
            found[signal.rule] = signal.state
        else:
            found.pop(signal.rule, None)

    def _change(self, line: int, sensor: str) -> list[Change]:
        found = self._found.get(sensor, {})
        state = max(found.values(), key=HEALTH_BY_WEIGHT.index, default=HEALTH_OK)
        before, last = self._told.get(sensor, (GONE, NO_TIME))
        window = window_of(line)
        if state == before or (before == GONE and not found):  # a rule that finds nothing makes no sensor known
            return []
        if window <= last:
            self._open.setdefault(last + _MINUTE_MS + CELL_MS, set()).add(sensor)
            return []
        self._told[sensor] = state, window
        return [(line, sensor, HEALTH[state])]

    def _settle(self, closed: int) -> None:
        """Forget who is ok, or gone, and free to change at the next line: their next signal will be another."""
        next_window = END if closed == END else window_of(closed + CELL_MS)
        waiting = set().union(*self._open.values())
        done = [s for s, (state, window) in self._told.items() if state in (HEALTH_OK, GONE) and window < next_window]
        for sensor in set(done) - waiting:
            del self._told[sensor]
            self._found.pop(sensor, None)

    def state(self) -> tuple[Any, ...]:
        """Everything a later ``restore`` needs."""
        return self._coming, self._found, self._told, self._open

    def restore(self, state: tuple[Any, ...]) -> None:
        """Take back what ``state()`` gave."""
        self._coming, self._found, self._told, self._open = state


def window_of(line: int) -> int:
    """Start of the 1m window to which a decision at a line belongs, in ms."""
    cell = line - CELL_MS
    return cell - cell % _MINUTE_MS


def health_rows(
    changes: list[Change], switches: list[Switch], tables: Callable[[int], Tables], by_line: bool
) -> list[Released]:
    """The product ``health`` of changes in order: a unit per line as live, or one of all; each of one version."""
    groups: dict[tuple[str, int], list[Change]] = {}
    for change in changes:
        line, _, state = change
        if state:
            unit = units.name_of_all(line if by_line else changes[-1][0])
            version = max(place for place, switch in enumerate(switches) if switch.at_ms < line)
            groups.setdefault((unit, version), []).append(change)
    return [_rows(of, f"{unit}/{v}", tables(v)) for (unit, v), of in groups.items()]


def _rows(changes: list[Change], unit: str, tables: Tables) -> Released:
    code = tables.once("health", lambda: {name: place for place, name in enumerate(tables.names)})
    since = np.array([window_of(line) for line, _, _ in changes], np.int64)
    columns: dict[str, np.ndarray] = {
        "window": np.full(len(changes), _MINUTE, np.int32),
        "window_start": since,
        "sensor": np.array([code[sensor] for _, sensor, _ in changes], np.int32),
        "state": np.array([HEALTH.index(state) for _, _, state in changes], np.int32),
        "since": since,
    }
    names = {"window": WINDOWS, "sensor": tables.names, "state": HEALTH}
    return Released("health", unit, columns, names, tables.registry.version)
