"""How a run is doing: what the health port tells, and nothing that stands for fewer people than may be shown.

One per process, like the stop flag: sources and sink tell it what they meet, the server of the health port reads it
from another thread. PRIVACY.md R6 holds: counters are those of the run's row; a partition's lag is told in whole
thousands of records (how far it moves tells how many came), but for runs of ``[status] exact``.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol

from engine.rfc3339 import format_ms
from flows.guard import tell
from sinks.clickhouse.runs import Run

LAG_STEP = 1000
_QUIET_S = 10.0  # a partition has a tick in every tick_ms without records: without even those Kafka is away


class Watched(Protocol):
    """What is asked of the shared consumer (flows/kafka.py Reader)."""

    def lags(self) -> Mapping[int, int]:
        """Partition → records behind its end; empty before the assignment."""
        ...

    def heard(self) -> Mapping[int, float]:
        """Partition → monotonic second in which a record or its end came last; missing where none has come."""
        ...


@dataclass(frozen=True)
class State:
    """A process at one moment. ``lags``: partition → records, as may be shown.

    ``quiet``: number of partitions from which nothing comes, not even ticks. ``store_since_ms``: since when the store
    is tried again in vain, None where it answers; ``store_why`` in words. ``run``: the run's row as stored last.
    """

    assigned: bool = False
    lags: Mapping[int, int] = field(default_factory=dict)
    quiet: int = 0
    store_since_ms: int | None = None
    store_why: str = ""
    retries: int = 0
    inserted: int = 0
    memory: int = 0
    run: Run | None = None

    def problem(self) -> str:
        """Why the run is not ready, in one line; "" where it is."""
        if self.store_since_ms is not None:
            return f"store: retrying since {format_ms(self.store_since_ms)}: {self.store_why}"
        if not self.assigned:
            return "kafka: no partition is assigned yet"
        if self.quiet:
            return f"kafka: nothing comes from {self.quiet} of {len(self.lags)} partitions"
        return ""


class Health:
    """Collects what sources and sink tell; safe for threads."""

    def __init__(self, clock: Callable[[], float] = time.time, now: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._now = clock, now
        self._lock = threading.Lock()
        self._begin()

    def _begin(self) -> None:
        self._source: Watched | None = None
        self._quiet_s, self._step = _QUIET_S, LAG_STEP
        self._retrying = 0
        self._back = 0.0  # monotonic second in which the store answered again
        self._state = State()

    def begin(self, *, tick_ms: int = 1000, exact: bool = False) -> None:
        """A run begins in this process: forget what was before."""
        with self._lock:
            self._begin()
            self._quiet_s = max(_QUIET_S, 3 * tick_ms / 1000)
            self._step = 1 if exact else LAG_STEP

    def watch(self, source: Watched) -> None:
        """The consumer whose partitions count."""
        with self._lock:
            self._source = source

    def stored(self, run: Run) -> None:
        """The run's row is stored as this."""
        with self._lock:
            self._state = replace(self._state, run=run)

    def inserted(self, rows: int) -> None:
        """So many released rows are stored."""
        with self._lock:
            self._state = replace(self._state, inserted=self._state.inserted + rows)

    def store_failed(self, why: str, *, again: bool) -> None:
        """A piece of work for the store has failed and will be tried again; ``again``: not for the first time."""
        with self._lock:
            first = self._retrying == 0
            self._retrying += not again
            since = round(self._clock() * 1000) if first else self._state.store_since_ms
            self._state = replace(self._state, store_since_ms=since, store_why=why, retries=self._state.retries + 1)
        if first:
            tell(f"{why}; trying again")

    def store_answered(self) -> None:
        """A piece of work that had failed is done."""
        with self._lock:
            self._retrying -= 1
            if self._retrying:
                return
            seconds = self._clock() - (self._state.store_since_ms or 0) / 1000
            self._state = replace(self._state, store_since_ms=None, store_why="")
            self._back = self._now()
        tell(f"the store answers again, after {seconds:.0f} s")

    def state(self) -> State:
        """How this process is doing now."""
        with self._lock:
            state, source, back = self._state, self._source, self._back
        lags = dict(source.lags()) if source is not None else {}
        heard = source.heard() if source is not None else {}
        since = self._now() - self._quiet_s
        # while the sink waits for the store the flow stands still, and nobody reads
        waits = state.store_since_ms is not None or back > since
        quiet = 0 if waits else sum(heard[p] < since for p in lags if p in heard)
        return replace(
            state,
            assigned=bool(lags) and all(p in heard for p in lags),
            lags={p: lag // self._step * self._step for p, lag in sorted(lags.items())},
            quiet=quiet,
            memory=resident_bytes(),
        )


def merged(states: Iterable[State]) -> State:
    """The processes of one run as one."""
    told = list(states)
    trouble = [s for s in told if s.store_since_ms is not None]
    first = min(trouble, key=lambda s: s.store_since_ms or 0, default=State())
    rows = [s.run for s in told if s.run is not None]
    return State(
        bool(told) and all(s.assigned for s in told),
        {p: lag for s in told for p, lag in s.lags.items()},
        sum(s.quiet for s in told),
        first.store_since_ms,
        first.store_why,
        sum(s.retries for s in told),
        sum(s.inserted for s in told),
        sum(s.memory for s in told),
        max(rows, key=lambda run: run.updated_ms, default=None),
    )


def resident_bytes() -> int:
    """Resident memory of this process."""
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


health = Health()
