"""One process of a load: its partitions, each event sent when it is due whatever became of those before it.

Open loop: an event carries the moment at which it should have left, and a slow broker moves none of them. What leaves
late is told as ``behind``: how long after the end of its 10 ms.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from loadgen.draw import Columns, Part
from loadgen.librdkafka import MESSAGE, BulkProducer
from loadgen.plan import TICK_MS, Plan
from loadgen.truth import Tally
from loadgen.wire import Packed, encoder, steps

_STEP_TICKS = 10  # drawn at once when paced
_STEP_ARRAYS = 8  # or so many arrays of each partition: the last one of a step is shorter than the others
_MOST_TICKS = 100
_NAP_S = 0.05
_PROGRESS_S = 0.2
_FLUSH_S = 60.0
_MOST_BEHIND_MS = 60_000


class Outcome:
    """What left: events, messages, bytes; how far behind; how many in each second."""

    def __init__(self) -> None:
        self.events = self.messages = self.bytes = 0
        self.began = self.ended = 0.0  # seconds since 1970; the end: all is confirmed
        self.behind = np.zeros(_MOST_BEHIND_MS + 1, np.int64)  # events by ms
        self.per_second: dict[int, int] = {}

    def add(self, events: int, sizes: NDArray[np.int64], now: float, due: float) -> None:
        """Messages that left now."""
        self.events += events
        self.messages += len(sizes)
        self.bytes += int(sizes.sum())
        self.behind[min(max(int((now - due) * 1000), 0), _MOST_BEHIND_MS)] += events
        second = int(now - self.began)
        self.per_second[second] = self.per_second.get(second, 0) + events

    def merge(self, other: Outcome) -> None:
        """Add what another process has sent."""
        self.events += other.events
        self.messages += other.messages
        self.bytes += other.bytes
        self.behind += other.behind
        self.began = min(self.began or other.began, other.began)
        self.ended = max(self.ended, other.ended)
        for second, many in other.per_second.items():
            self.per_second[second] = self.per_second.get(second, 0) + many

    def report(self, plan: Plan, paced: bool) -> dict[str, Any]:
        """What was reached beside what was asked for; ``behind_ms`` by percentiles of the events.

        ``seconds`` end when the broker has confirmed all. Not paced, nothing is asked for and nothing behind.
        """
        seconds = max(self.ended - self.began, 1e-3)
        told: dict[str, Any] = {name: getattr(self, name) for name in ("events", "messages", "bytes")}
        told |= {"seconds": round(seconds, 3), "rate": round(self.events / seconds)}
        if paced:
            length = seconds if plan.seconds is None else min(seconds, plan.seconds)
            ranks = np.searchsorted(np.cumsum(self.behind), np.ceil(np.array([0.5, 0.99, 1.0]) * self.events))
            told["asked"] = round(plan.average(length))
            told["behind_ms"] = dict(zip(("p50", "p99", "max"), ranks.tolist(), strict=True))
        last = max(self.per_second, default=-1)
        return {**told, "per_second": [self.per_second.get(second, 0) for second in range(last + 1)]}


class _Batch(NamedTuple):
    """One partition's messages of one step."""

    part: Part
    columns: Columns
    packed: Packed
    messages: NDArray[np.void]
    edges: NDArray[np.int64]  # of each 10 ms, or of the whole step: its first message; at last their number

    def leave(self, slot: int, producer: BulkProducer, stopped: Callable[[], bool]) -> tuple[slice, slice]:
        """Send a slot's messages; the messages and the events that left."""
        first, last = int(self.edges[slot]), int(self.edges[slot + 1])
        if last > first:
            last = first + producer.send(self.part.partition, self.messages[first:last], stopped)
        begin = int(self.packed.events[first - 1]) if first else 0
        return slice(first, last), slice(begin, int(self.packed.events[last - 1]) if last > first else begin)


class Sender:
    """Sends some partitions of a plan.

    ``paced``: messages leave when the wall clock has reached the end of the 10 ms in which their last event is due;
    else all as fast as the broker takes them. ``tally`` gets what has left.
    """

    def __init__(
        self, plan: Plan, partitions: Sequence[int], producer: BulkProducer, paced: bool, tally: Tally | None
    ) -> None:
        self.plan, self.producer, self.paced, self.tally = plan, producer, paced, tally
        self.parts = [Part(plan, partition) for partition in partitions]
        self.encoders = [encoder(part) for part in self.parts]
        self.ticks = _ticks(plan, paced)
        self.sent = Outcome()

    def run(self, stopped: Callable[[], bool], on_progress: Callable[[int], None] | None = None) -> Outcome:
        """Send all, or until it is stopped; what is told is confirmed. Raises ConnectionError where events are lost."""
        self.sent.began = self.plan.start_ms / 1000 if self.paced else time.time()
        told = 0.0
        for slot_end in self._slots(stopped):
            self.producer.poll()
            if self.producer.lost:
                break
            if on_progress is not None and slot_end - told >= _PROGRESS_S:
                told = slot_end
                on_progress(self.sent.events)
        left = 0 if self.producer.lost else self.producer.flush(_FLUSH_S)
        if self.producer.lost or left:
            raise ConnectionError(self.producer.why or f"{left} messages were not confirmed")
        self.sent.ended = time.time()
        return self.sent

    def _slots(self, stopped: Callable[[], bool]) -> Iterator[float]:
        """Send slot by slot; while one step is sent, the next one is drawn, so that it is ready in time."""
        slots, number = self.ticks if self.paced else 1, 0
        batches = [self._drawn(at) for at in range(len(self.parts))]
        while batches:
            left = [at for at, part in enumerate(self.parts) if not part.ended()]
            following: list[_Batch] = []
            for slot in range(slots):
                due = (self.plan.start_ms + (number + slot + 1) * TICK_MS) / 1000
                if stopped() or (self.paced and not _wait(due, stopped)):
                    return
                for batch in batches:
                    self._leave(batch, slot, due, stopped)
                yield time.time()
                while len(following) * slots < len(left) * (slot + 1):
                    following.append(self._drawn(left[len(following)]))
            batches, number = following, number + self.ticks

    def _leave(self, batch: _Batch, slot: int, due: float, stopped: Callable[[], bool]) -> None:
        messages, events = batch.leave(slot, self.producer, stopped)
        if messages.stop == messages.start:
            return
        if self.tally is not None:
            batch.part.count(batch.columns.rows(events), self.tally)
        now = time.time()
        self.sent.add(events.stop - events.start, batch.packed.size[messages], now, due if self.paced else now)

    def _drawn(self, at: int) -> _Batch:
        part = self.parts[at]
        columns = part.step(self.ticks)
        packed = self.encoders[at].encode(columns)
        messages = np.zeros(len(packed.at), MESSAGE)
        messages["payload"] = packed.at + packed.data.ctypes.data
        messages["size"] = packed.size
        if packed.key_size:
            messages["key"] = messages["payload"] + np.uint64(packed.key_at)
            messages["key_size"] = packed.key_size
        if not self.paced:
            return _Batch(part, columns, packed, messages, np.array([0, len(messages)]))
        first = int(part.ticks - self.ticks) * TICK_MS
        last_due = columns.due_ms[packed.events - 1]
        edges = np.searchsorted(last_due, first + np.arange(self.ticks + 1) * TICK_MS)
        return _Batch(part, columns, packed, messages, edges)


def _ticks(plan: Plan, paced: bool) -> int:
    """How many times 10 ms are drawn at once."""
    if not paced:
        return steps(plan)
    per_tick = plan.rate * TICK_MS / 1000 / plan.partitions
    wanted = _STEP_ARRAYS * plan.per_array / per_tick if plan.format != "json" else 0
    return int(min(max(wanted, _STEP_TICKS), _MOST_TICKS))


def _wait(due: float, stopped: Callable[[], bool]) -> bool:
    """Sleep until the wall clock reaches ``due``; False when asked to stop meanwhile."""
    while (ahead := due - time.time()) > 0:
        if stopped():
            return False
        time.sleep(min(ahead, _NAP_S))
    return True
