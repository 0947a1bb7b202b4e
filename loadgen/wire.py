"""Events as Kafka messages (a JSON object each, JSON arrays, or Arrow: arrow.py), and as the lines of a file.

All messages of a step lie in one block of bytes.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from loadgen.bulk import Lines, bulk_registry
from loadgen.draw import Columns, Part
from loadgen.files import opened
from loadgen.plan import TICK_MS, Plan
from loadgen.truth import BAD_VALUE, MALFORMED, MISSING_FIELD, UNKNOWN_SENSOR, UNKNOWN_TYPE, Tally

_STEP_EVENTS = 40_000
I64 = NDArray[np.int64]


class Packed(NamedTuple):
    """Messages of one partition."""

    data: NDArray[np.uint8]
    at: I64  # of each message: where it begins in ``data``
    size: I64
    events: I64  # of each message: events up to its end
    key_at: int  # where the key lies within each message
    key_size: int  # 0 = no key


class Encoder(Protocol):
    """Makes messages of a partition's events."""

    def encode(self, events: Columns) -> Packed:
        """The messages of all events, in order."""
        ...


def encoder(part: Part) -> Encoder:
    """The encoder of a partition's plan."""
    if part.plan.format == "arrow":
        from loadgen.arrow import Streams  # pyarrow takes its time to load

        return Streams(part)
    return _Objects(part) if part.plan.format == "json" else _Arrays(part)


def steps(plan: Plan) -> int:
    """How many times 10 ms hold so many events of a partition that drawing them at once is quick."""
    return max(1, int(_STEP_EVENTS * plan.partitions / (plan.rate * TICK_MS / 1000)))


def write_plan(plan: Plan, path: str | Path, *, on_progress: Callable[[int], None] | None = None) -> Tally:
    """Write a plan of one partition, with an end, as JSON Lines in the order of arrival; the truth about it.

    The truth holds where the file is read in that order. Raises ValueError for another plan, OSError where the file
    cannot be written.
    """
    if plan.seconds is None or plan.partitions != 1 or plan.format != "json" or plan.future or plan.appended_when_due:
        raise ValueError("a file has an end, one partition, JSON Lines, and no time of arrival but the events' own")
    part, tally = Part(plan, 0), Tally(plan.gates)
    made = _Objects(part)
    with opened(path) as out:
        while not part.ended():
            events = part.step(steps(plan))
            out.write(made.encode(events).data.data)
            part.count(events, tally)
            if on_progress is not None:
                on_progress(int(tally.reasons.sum()))
    return tally


def write_plan_registry(plan: Plan, path: str | Path) -> None:
    """Write the registry a plan needs, as JSON. Raises OSError where the file cannot be written."""
    with open(path, "w", encoding="utf-8") as out:
        json.dump(bulk_registry(plan.sensors, plan.gates), out, separators=(",", ":"))
        out.write("\n")


class _Objects:
    """One JSON object a message, its key the sensor's id."""

    def __init__(self, part: Part) -> None:
        self.lines = _FaultyLines(part.ids, part.plan.first_seq(), after=b"\n")

    def encode(self, events: Columns) -> Packed:
        """See Encoder."""
        lines, many = self.lines, len(events.ts)
        data = lines.of(events).flatten()
        at, size = np.arange(many) * lines.width, np.full(many, lines.width - 1)
        return Packed(data, at, size, np.arange(1, many + 1), lines.sensor_at, lines.ids.itemsize)


class _Arrays:
    """JSON arrays of so many events; the last one of a step has what is left."""

    def __init__(self, part: Part) -> None:
        self.lines = _FaultyLines(part.ids, part.plan.first_seq(), after=b",")
        self.most = part.plan.per_array

    def encode(self, events: Columns) -> Packed:
        """See Encoder."""
        block, many, width = self.lines.of(events), len(events.ts), self.lines.width
        ends = np.append(np.arange(self.most, many, self.most), many)[:many]
        sizes = np.diff(ends, prepend=0) * width + 1
        at = np.cumsum(sizes) - sizes
        data = np.empty(int(sizes.sum()), np.uint8)
        whole = many // self.most
        rows = data[: whole * (self.most * width + 1)].reshape(whole, self.most * width + 1)
        rows[:, 1:] = block[: whole * self.most].reshape(whole, self.most * width)
        data[len(data) - (many - whole * self.most) * width :] = block[whole * self.most :].flatten()
        data[at] = ord("[")
        data[at + sizes - 1] = ord("]")  # in place of the comma behind the last event
        return Packed(data, at, sizes, ends, 0, 0)


class _FaultyLines(Lines):
    """Lines of which the bad ones have their faults."""

    spoilt: I64 = np.empty(0, np.int64)  # rows that still have the faults of the last call

    def of(self, events: Columns) -> NDArray[np.uint8]:
        """The events as rows of bytes, which hold until the next call."""
        self.block[self.spoilt] = np.frombuffer(self.text, np.uint8)
        block = self.fill(events.ts, events.sensor, events.direction, events.seq)
        self.spoilt = np.flatnonzero((events.reason >= MALFORMED) & (events.reason <= UNKNOWN_SENSOR))
        fault = events.reason[self.spoilt]
        for reason, at, wrong in (
            (MALFORMED, 0, b"["),
            (UNKNOWN_TYPE, self.text.index(b"cross"), b"crosz"),
            (MISSING_FIELD, self.text.index(b"ts"), b"tz"),
            (BAD_VALUE, self.direction_at, b'"zz"'),
            (UNKNOWN_SENSOR, self.sensor_at, b"x"),
        ):
            block[self.spoilt[fault == reason], at : at + len(wrong)] = np.frombuffer(wrong, np.uint8)
        return block
