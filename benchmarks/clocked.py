"""`hitonami replay --kafka …` with clocks around its stages, for benchmarks/stages.py.

    python -m benchmarks.clocked RESULT replay --kafka …

A clock reads the CPU time of its own thread when a stage begins and ends, and gives a stage what the stages inside it
did not take: each ns belongs to one stage. Stages begin some times for thousands of events, so the clocks themselves
cost little; how little is seen beside a replay without them. librdkafka's threads are looked at from outside.
``rest`` is all other CPU of the process between the first take and the reader's end: what Bytewax does, what Python
does between the stages, the collection of garbage.

RESULT gets JSON: stage → ns.
"""

from __future__ import annotations

import contextlib
import json
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

STAGES = (
    "librdkafka", "take", "decode", "admit", "window", "counts", "turns",
    "figures", "release", "zones", "store", "rest",
)  # fmt: skip
_TASKS = Path("/proc/self/task")
_OF_THREAD = 6  # the kind of clock that Linux calls CPUCLOCK_PERTHREAD_MASK | CPUCLOCK_SCHED


class Clocks:
    """CPU ns by stage, of all threads."""

    def __init__(self) -> None:
        self._here = threading.local()
        self._all: list[dict[str, int]] = []
        self._begin = self._librdkafka = 0

    def around(self, stage: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """``function`` with a clock: its time, less that of what it calls which has a clock too, is ``stage``'s."""

        def clocked(*arguments: Any, **options: Any) -> Any:
            here = self._here
            if not hasattr(here, "ns"):
                here.ns, here.inner = dict.fromkeys(STAGES, 0), [0]
                self._all.append(here.ns)
            here.inner.append(0)
            begun = time.thread_time_ns()
            try:
                return function(*arguments, **options)
            finally:
                took = time.thread_time_ns() - begun
                here.ns[stage] += took - here.inner.pop()
                here.inner[-1] += took

        return clocked

    def begin(self) -> None:
        """Forget all before now."""
        for ns in self._all:
            ns.update(dict.fromkeys(STAGES, 0))
        self._begin, self._librdkafka = time.process_time_ns(), librdkafka_ns()

    def told(self) -> dict[str, int]:
        """The stages since the beginning; their sum is the CPU of the process."""
        whole = time.process_time_ns() - self._begin
        ns = {stage: sum(each[stage] for each in self._all) for stage in STAGES}
        ns["librdkafka"] = librdkafka_ns() - self._librdkafka
        ns["rest"] = whole - sum(ns.values())
        return ns


def librdkafka_ns() -> int:
    """CPU time of librdkafka's living threads, which it names rdk:…"""
    found = 0
    for task in _TASKS.iterdir():
        with contextlib.suppress(OSError):  # it has ended meanwhile
            if (task / "comm").read_text().startswith("rdk:"):
                found += time.clock_gettime_ns(~int(task.name) << 3 | _OF_THREAD)
    return found


def install(clocks: Clocks, told: Callable[[dict[str, int]], None]) -> None:
    """Put the clocks around the stages of this process; ``told`` hears of them before the reader leaves the broker."""
    from engine import kernels
    from engine.batch import Chunks
    from engine.partial import Partial
    from engine.partition import Partition
    from flows import people, source, store_sink
    from flows.hot import HotReader
    from sinks.clickhouse.store import Store

    around, active = clocks.around, kernels.active()
    panes = {name: around("window", getattr(active.PaneTable, name)) for name in ("add", "cells", "covers", "take")}
    kernels._active = active._replace(  # for this process alone
        admit=around("admit", active.admit),
        carry=around("release", active.carry),
        PaneTable=type("PaneTable", (active.PaneTable,), panes),
    )
    for owner, name, stage in (
        (Chunks, "decode", "decode"),
        (Partition, "feed", "counts"),
        (Partition, "partials", "counts"),
        (Partial, "encode", "counts"),
        (source._KafkaHandle, "next_batch", "turns"),
        (people._ShardLogic, "on_batch", "figures"),
        (people._RunLogic, "on_batch", "zones"),
        (store_sink._Part, "write_batch", "store"),
        (Store, "insert", "store"),
    ):
        setattr(owner, name, around(stage, getattr(owner, name)))
    take, close, begun = around("take", HotReader.take), HotReader.close, []

    def first_or_next(reader: HotReader, number: int, max_bytes: int) -> Any:
        if not begun:
            begun.append(True)
            clocks.begin()
        return take(reader, number, max_bytes)

    def last(reader: HotReader) -> None:
        told(clocks.told())  # while librdkafka's threads live
        close(reader)

    HotReader.take, HotReader.close = first_or_next, last  # type: ignore[method-assign]


def main() -> None:
    """Run the command."""
    from hitonami import cli

    result = Path(sys.argv[1])
    install(Clocks(), lambda ns: result.write_text(json.dumps(ns)) and None)
    sys.argv = ["hitonami", *sys.argv[2:]]
    cli.main()


if __name__ == "__main__":
    main()
