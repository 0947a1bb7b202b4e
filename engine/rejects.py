"""The product ``rejects``: how many events of a sensor were refused and why, released by the carry as people are."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from engine import kernels
from engine.model import CELL_MS, END, HOUR, I64, REASONS, Released
from engine.registry import Registry
from engine.rows import summed
from engine.timezone import TimeZone

_NO_SENSOR = ""  # rejects of no known sensor: an id that is not in the registry is never stored


class Sources(Protocol):
    """Those whose rejects are counted: ``sensor_name`` is the place of each row's id in ``names``."""

    @property
    def names(self) -> tuple[str, ...]:
        """Every id once."""
        ...

    @property
    def sensor_name(self) -> NDArray[Any]:
        """Place in ``names`` of each row (integers)."""
        ...

    @property
    def zone_clock(self) -> TimeZone:
        """Whose hours the rows are."""
        ...

    @property
    def registry(self) -> Registry:
        """The version that rows name."""
        ...


class Rejects:
    """Chains sensor × reason of one shard; panes are the 10 s cells of the partitions' watermarks.

    A row (hour, sensor, reason) holds the runs that ended in that hour, written when it has closed.
    """

    def __init__(self, tables: Sources, threshold: int) -> None:
        self.tables, self.threshold = tables, threshold
        self._chains: dict[tuple[int, int], int] = {}  # (sensor, reason) -> chain
        self._rest = self._since = np.empty(0, np.int64)
        self._hours: dict[tuple[int, int, int], int] = {}  # (hour, sensor, reason) -> n of ended runs

    def add(self, rows: I64) -> dict[str, int]:
        """Take in closed cells, rows (cell_ms, sensor, reason, n) in time order; returns what may be shown now."""
        if not len(rows):
            return {}
        rows = rows.copy()  # by id: a sensor that was moved is one sensor still
        rows[:, 1] = np.append(self.tables.sensor_name, np.int32(-1))[rows[:, 1]]
        rows = summed(rows, (0, 1, 2), 3)  # of several partitions: one pane of a chain is one entry
        chain = np.array([self._chain(s, r) for s, r in rows[:, 1:3].tolist()], np.int32)
        m = len(rows)
        start, n = np.ascontiguousarray(rows[:, 0]), np.ascontiguousarray(rows[:, 3])
        run_chain, out = np.empty(m, np.int32), [np.empty(m, np.int64) for _ in range(4)]
        runs = kernels.active().carry(
            chain, start, start + CELL_MS, n, np.zeros(m, np.int64), self.threshold,
            self._rest, self._since, np.zeros(len(self._rest), np.int64), run_chain, *out,
        )  # fmt: skip
        keys = list(self._chains)
        shown: dict[str, int] = {}
        hours = self.tables.zone_clock.floor(out[1][:runs] - 1, HOUR)
        for c, hour, people in zip(run_chain[:runs].tolist(), hours.tolist(), out[2][:runs].tolist(), strict=True):
            sensor, reason = keys[c]
            self._hours[hour, sensor, reason] = self._hours.get((hour, sensor, reason), 0) + people
            shown[REASONS[reason]] = shown.get(REASONS[reason], 0) + people
        return shown

    def _chain(self, sensor: int, reason: int) -> int:
        known = self._chains.get((sensor, reason))
        if known is None:
            known = self._chains[sensor, reason] = len(self._chains)
            self._rest = np.append(self._rest, 0)
            self._since = np.append(self._since, np.int64(-END))  # only the ends of these runs are published
        return known

    def due(self) -> int:
        """The end of the first hour whose rows wait for it; END where none does."""
        hours = np.array([key[0] for key in self._hours], np.int64)
        return int(self.tables.zone_clock.next(hours, HOUR).min(initial=END))

    def close(self, w: int, unit: str) -> Released | None:
        """The rows of the hours that have closed at ``w``; None where there are none."""
        hours = np.array(sorted({key[0] for key in self._hours}), np.int64)
        done = set(hours[self.tables.zone_clock.next(hours, HOUR) <= w].tolist()) if len(hours) else set()
        words = (*self.tables.names, _NO_SENSOR)
        # by name, not by row: rows may be numbered in the order in which partitions were heard
        rows = sorted((key for key in self._hours if key[0] in done), key=lambda k: (k[0], words[k[1]], k[2]))
        if not rows:
            return None
        hour, sensor, reason = (np.array([row[i] for row in rows], np.int64) for i in range(3))
        n = np.array([self._hours.pop(row) for row in rows], np.int64)
        columns: dict[str, NDArray[np.generic]] = {
            "hour": hour,
            "sensor": np.where(sensor < 0, len(self.tables.names), sensor).astype(np.int32),
            "reason": reason.astype(np.int32),
            "n": n,
        }
        names = {"sensor": words, "reason": REASONS}
        return Released("rejects", unit, columns, names, self.tables.registry.version)

    def state(self) -> tuple[object, ...]:
        """Everything a later ``restore`` needs."""
        return self._chains, self._rest, self._since, self._hours

    def restore(self, state: tuple[object, ...]) -> None:
        """Take back what ``state()`` gave."""
        self._chains, self._rest, self._since, self._hours = state  # type: ignore[assignment]


def named(counts: I64) -> dict[str, int]:
    """Counts by reason code, one per REASONS, as counts by reason word, without zeros."""
    return {REASONS[code]: n for code, n in enumerate(counts.tolist()) if n}
