"""How a run is doing: what the health port tells, and nothing that stands for fewer people than may be shown.

One per process, like the stop flag: sources and sink tell it what they meet. Once a second it is written as a small
file into the run's recovery directory; the health port reads the files of all processes. PRIVACY.md R6 holds: counters
are those of the run's row; a partition's lag is told in whole thousands of records (how far it moves tells how many
came), but for runs of ``[status] exact``.
"""

from __future__ import annotations

import contextlib
import json
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Protocol

from engine.model import END
from engine.rfc3339 import format_ms
from flows.guard import tell
from sinks.clickhouse.runs import Run

LAG_STEP = 1000
TELL_S = 1.0
SILENT_S = 5.0  # a file that old is of a process that hangs or is gone
_AGAIN_S = 5.0  # a store that comes and goes is told of so often at most
_QUIET_S = 10.0  # a partition has a tick in every tick_ms without records: without even those Kafka is away


class Watched(Protocol):
    """What is asked of the shared consumer (flows/kafka.py Reader)."""

    def lags(self) -> Mapping[int, int]:
        """Partition → records behind its end; empty before the assignment."""
        ...

    def heard(self) -> Mapping[int, float]:
        """Partition → monotonic second in which a record or its end came last; missing where none has come."""
        ...


class Posts(Protocol):
    """What is asked of the webhook (sinks/webhook.py): alerts that were taken, and that were not and never will be."""

    sent: int
    lost: int


@dataclass(frozen=True)
class Held:
    """How it stands with consents (flows/consents.py). ``lag_ms``: None before they were read to their end.

    ``held``: whether events wait for them. ``faults``: reasons for which records could not be used. ``topic``: the one
    that is known least, consents or what is asked beside them. ``stray``: it is known, and holds a record of which
    nobody knows whose it is: that is what events wait for.
    """

    lag_ms: int | None = None
    held: bool = True
    faults: tuple[str, ...] = ()
    topic: str = "consents"
    stray: bool = False


@dataclass(frozen=True)
class State:
    """A process at one moment. ``lags``: partition → records, as may be shown.

    ``quiet``: number of partitions from which nothing comes, not even ticks. ``store_since_ms``: since when the store
    is tried again in vain, None where it answers; ``store_why`` in words. ``run``: the run's row as stored last.
    ``silent``: number of processes that do not tell how they are. ``alerts_sent``, ``alerts_lost``: by the webhook.
    ``consents``: None of a run that needs none, and of a process that has no partition. ``partitions``: of the topic.
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
    silent: int = 0
    alerts_sent: int = 0
    alerts_lost: int = 0
    consents: Held | None = None
    partitions: int = 0

    def problem(self) -> str:
        """Why the run is not ready, in one line; "" where it is."""
        if self.silent:
            return f"run: {self.silent} of its processes do not tell how they are"
        if self.store_since_ms is not None:
            return f"store: retrying since {format_ms(self.store_since_ms)}: {self.store_why}"
        if self.consents is not None and self.consents.held:
            why = "a record is nobody's" if self.consents.stray else "not current"
            return f"{self.consents.topic}: {why}, events are held"
        if not self.assigned:
            return "kafka: no partition is assigned yet"
        if self.quiet:
            return f"kafka: nothing comes from {self.quiet} of {len(self.lags)} partitions"
        return ""

    def encode(self) -> bytes:
        """What ``decode`` reads; of the run's row without what the health port does not tell."""
        run = None if self.run is None else asdict(replace(self.run, config="", leaves={}, first_ms=None, last_ms=None))
        return json.dumps({**asdict(self), "lags": list(self.lags.items()), "run": run}).encode()

    @classmethod
    def decode(cls, line: bytes) -> State:
        """Read what ``encode`` made."""
        told = json.loads(line)
        run = None if told["run"] is None else Run(**told["run"])
        held = told["consents"]
        consents = None if held is None else Held(**{**held, "faults": tuple(held["faults"])})
        return cls(**{**told, "lags": {int(p): int(lag) for p, lag in told["lags"]}, "run": run, "consents": consents})


class Health:
    """Collects what sources and sink tell; safe for threads."""

    def __init__(self, clock: Callable[[], float] = time.time, now: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._now = clock, now
        self._lock = threading.Lock()
        self._begin()

    def _begin(self) -> None:
        self._source: Watched | None = None
        self._partitions = 0
        self._posts: Posts | None = None
        self._consents: Callable[[], Held] | None = None
        self._quiet_s, self._step = _QUIET_S, LAG_STEP
        self._retrying = 0
        self._back = 0.0  # monotonic second in which the store answered again
        self._told, self._telling = float("-inf"), False  # second in which a failure was told last; is it still so?
        self._state = State()

    def begin(self, *, tick_ms: int = 1000, exact: bool = False) -> None:
        """A run begins in this process: forget what was before."""
        with self._lock:
            self._begin()
            self._quiet_s = max(_QUIET_S, 3 * tick_ms / 1000)
            self._step = 1 if exact else LAG_STEP

    def watch(self, source: Watched, partitions: int) -> None:
        """The consumer whose partitions count; how many the topic has."""
        with self._lock:
            self._source, self._partitions = source, partitions

    def posts(self, webhook: Posts) -> None:
        """The webhook whose posts count."""
        with self._lock:
            self._posts = webhook

    def consents(self, held: Callable[[], Held]) -> None:
        """How it stands with the consents is told by this."""
        with self._lock:
            self._consents = held

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
            tells = not self._telling and self._now() - self._told >= _AGAIN_S
            if tells:
                self._told, self._telling = self._now(), True
        if tells:
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
            told, self._telling = self._telling, False
        if told:
            tell(f"the store answers again, after {seconds:.0f} s")

    def state(self) -> State:
        """How this process is doing now."""
        with self._lock:
            state, source, posts, told = self._state, self._source, self._posts, self._consents
            partitions = self._partitions
            consents = None if told is None else told()
            if consents is not None and consents.held:
                self._back = self._now()  # nobody reads
            back = self._back
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
            alerts_sent=0 if posts is None else posts.sent,
            alerts_lost=0 if posts is None else posts.lost,
            consents=consents,
            partitions=partitions,
        )

    @contextlib.contextmanager
    def told_in(self, directory: Path, number: int = 0) -> Iterator[None]:
        """Write the state of process ``number`` into ``directory`` every second for the time of the block."""
        ended = threading.Event()

        def write() -> None:
            while True:
                with contextlib.suppress(OSError):  # a full disk is told by others; silence is seen by ``gathered``
                    part = directory / f".health-{number}.part"
                    part.write_bytes(self.state().encode())
                    os.replace(part, _file(directory, number))
                if ended.wait(TELL_S):
                    return

        thread = threading.Thread(target=write, name="health", daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()


def gathered(directory: Path, processes: int, clock: Callable[[], float] = time.time) -> State:
    """How a run of so many processes is doing, as they tell in ``directory``."""
    return merged(_read(directory, number, clock()) for number in range(processes))


def forget(directory: Path) -> None:
    """Remove what processes of an earlier start told: it says nothing of the one that begins."""
    for path in directory.glob("health-*.json"):
        path.unlink(missing_ok=True)


def _file(directory: Path, number: int) -> Path:
    return directory / f"health-{number}.json"


def _read(directory: Path, number: int, now_s: float) -> State:
    path = _file(directory, number)
    try:
        if now_s - path.stat().st_mtime <= SILENT_S:
            return State.decode(path.read_bytes())
    except (OSError, ValueError, KeyError, TypeError):  # not there yet, or of another version
        pass
    return State(silent=1)


def merged(states: Iterable[State]) -> State:
    """The processes of one run as one."""
    told = list(states)
    trouble = [s for s in told if s.store_since_ms is not None]
    first = min(trouble, key=lambda s: s.store_since_ms or 0, default=State())
    rows = [s.run for s in told if s.run is not None]
    lags = {p: lag for s in told for p, lag in s.lags.items()}
    # of more processes than partitions some have none: then the others have them all
    assigned = (s.assigned or (not s.lags and 0 < s.partitions <= len(lags)) for s in told)
    return State(
        bool(told) and all(assigned),
        lags,
        sum(s.quiet for s in told),
        first.store_since_ms,
        first.store_why,
        sum(s.retries for s in told),
        sum(s.inserted for s in told),
        sum(s.memory for s in told),
        max(rows, key=lambda run: run.updated_ms, default=None),
        sum(s.silent for s in told),
        sum(s.alerts_sent for s in told),
        sum(s.alerts_lost for s in told),
        _slowest([s.consents for s in told if s.consents is not None]),
    )


def _slowest(told: list[Held]) -> Held | None:
    """Each process reads the consents for itself: the run is as far as the last of them."""
    if not told:
        return None

    def lag(held: Held) -> int:
        return END if held.lag_ms is None else held.lag_ms

    last, holds = max(told, key=lag), max(told, key=lambda held: (held.held, lag(held)))
    faults = tuple(sorted({reason for held in told for reason in held.faults}))
    return replace(holds, lag_ms=last.lag_ms, faults=faults)


def resident_bytes() -> int:
    """Resident memory of this process."""
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


health = Health()
