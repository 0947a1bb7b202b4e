"""A load by several processes: each sends partitions of its own, all begin at one moment.

Such a process is ``python -m loadgen`` (__main__.py); it and its parent talk by a socket.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import replace
from multiprocessing import Pipe
from multiprocessing.connection import wait
from typing import TYPE_CHECKING, Any, NamedTuple

from loadgen.librdkafka import BulkProducer
from loadgen.pace import Outcome, Sender
from loadgen.plan import Plan
from loadgen.truth import Tally

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

_LEAD_MS = 500  # between all are ready and the beginning, and more for many sensors
_SENSORS_PER_MS = 1_000
_NAP_S = 0.1


class Job(NamedTuple):
    """What one process sends."""

    plan: Plan
    partitions: list[int]
    bootstrap: str
    topic: str
    kafka_config: dict[str, Any]
    paced: bool
    truth: bool

    def run(
        self,
        begin: Callable[[], int],
        stop: Callable[[], bool],
        on_progress: Callable[[int], None] | None,
    ) -> tuple[Outcome, Tally | None]:
        """Send it; ``begin`` tells the moment (ms) when asked."""
        with closing(BulkProducer(self.bootstrap, self.topic, self.kafka_config)) as producer:
            plan = replace(self.plan, start_ms=begin())
            tally = Tally(plan.gates) if self.truth else None
            return Sender(plan, self.partitions, producer, self.paced, tally).run(stop, on_progress), tally


def send(
    plan: Plan,
    bootstrap: str,
    topic: str,
    *,
    paced: bool = True,
    at_ms: int | None = None,
    processes: int = 1,
    truth: bool = True,
    kafka_config: Mapping[str, Any] | None = None,
    stop: Callable[[], bool] = bool,
    on_progress: Callable[[int], None] | None = None,
) -> tuple[Outcome, Tally]:
    """Send a plan's events to a topic that has its partitions; what was sent, and the truth about it where wanted.

    ``paced``: it begins now or, where told, at ``at_ms`` (ms since 1970), not when the plan says, and an event leaves
    when it is due. Else all leave as fast as the
    broker takes them, as if the plan's beginning were long ago. ``stop`` is asked often; what was sent by then is told.

    Every event told of is confirmed. Raises SettingsRefused for what librdkafka does not take, ConnectionError
    when events are lost.
    """
    plan = replace(plan, appended_when_due=paced)
    processes = min(processes, plan.partitions)
    jobs = [
        Job(plan, list(range(at, plan.partitions, processes)), bootstrap, topic, dict(kafka_config or {}), paced, truth)
        for at in range(processes)
    ]

    def begin() -> int:
        if paced and at_ms is not None:
            return at_ms
        lead_ms = _LEAD_MS + plan.sensors // _SENSORS_PER_MS
        return int(time.time() * 1000) + lead_ms if paced else plan.start_ms

    try:
        if processes == 1:
            sent, tally = jobs[0].run(begin, stop, on_progress)
            return sent, tally or Tally(plan.gates)
        with closing(_Children(jobs)) as children:
            return children.run(begin, stop, on_progress)
    except ConnectionError as error:
        raise ConnectionError(f"Kafka {bootstrap}: {error}") from None


class _Children:
    """The processes of a load, as their parent sees them."""

    def __init__(self, jobs: list[Job]) -> None:
        self.children: list[subprocess.Popen[bytes]] = []
        self.lines: list[Connection[Any, Any]] = []
        self.gates = jobs[0].plan.gates
        for job in jobs:
            here, there = Pipe()
            self.lines.append(here)
            with there:
                number = there.fileno()
                self.children.append(
                    subprocess.Popen(
                        [sys.executable, "-m", "loadgen", str(number)],
                        stdin=subprocess.DEVNULL,
                        pass_fds=[number],
                        start_new_session=True,  # Ctrl-C is for the parent, which says when to stop
                    )
                )
            here.send(job)

    def run(
        self, begin: Callable[[], int], stop: Callable[[], bool], on_progress: Callable[[int], None] | None
    ) -> tuple[Outcome, Tally]:
        """Let all begin, wait for their ends, add up what they have sent."""
        sent, tally = Outcome(), Tally(self.gates)
        for line in self.lines:
            self._hear(line)
        start_ms = begin()
        for line in self.lines:
            line.send(start_ms)
        going, stopping = set(self.lines), False
        events = dict.fromkeys(self.lines, 0)
        while going:
            ready = wait(list(going), _NAP_S)
            for line in [line for line in going if line in ready]:
                told = self._hear(line)
                if isinstance(told, int):
                    events[line] = told
                    continue
                going.discard(line)
                sent.merge(told[0])
                tally.merge(told[1] or Tally(self.gates))
            if on_progress is not None:
                on_progress(sum(events.values()))
            if stop() and not stopping:
                stopping = True
                for line in going:
                    line.send(None)
        return sent, tally

    def _hear(self, line: Any) -> Any:
        """What a child tells; raises what it failed with."""
        try:
            told = line.recv()
        except (EOFError, ConnectionResetError):
            raise ConnectionError("a process of the load has died") from None
        if isinstance(told, Exception):
            raise told
        return told

    def close(self) -> None:
        """End those that still live."""
        for child, line in zip(self.children, self.lines, strict=True):
            child.kill()
            child.wait()
            line.close()
