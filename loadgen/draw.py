"""The events of one partition, drawn in columns, and which of them the rules accept."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from loadgen.bulk import sensor_ids
from loadgen.plan import TICK_MS, Plan
from loadgen.truth import (
    ACCEPTED,
    DUPLICATE,
    LATE,
    MALFORMED,
    PANE_MS,
    TOO_FAR_IN_FUTURE,
    UNKNOWN_SENSOR,
    UNKNOWN_TYPE,
    Tally,
)

BOUND_MS = 5_000  # the watermark of the truth, as `[time] bound_ms` has it by default
_LATE_MS = 60_000  # late events are once to twice so late
_YEARS_MS = 10 * 365 * 86_400_000
_SECONDS_AGO = 1.0  # how far back the original of a duplicate may lie
_MOST_AGO = 1_000  # events, likewise
_NEVER = np.iinfo(np.int64).min // 2

I64 = NDArray[np.int64]


class Columns(NamedTuple):
    """Events of one partition in the order of its log."""

    due_ms: I64  # when it is to leave, after the beginning
    ts: I64
    sensor: I64  # n-th sensor of this partition
    direction: I64  # 0 = ab, 1 = ba, 2 = unknown
    seq: I64
    reason: I64  # what the rules say; a fault up to UNKNOWN_SENSOR is one of the event's text

    def rows(self, which: slice) -> Columns:
        """Some of the events."""
        return Columns(*(column[which] for column in self))


class Part:
    """One partition of a plan. Its events do not depend on the steps in which they are drawn."""

    def __init__(self, plan: Plan, partition: int) -> None:
        self.plan, self.partition = plan, partition
        self.numbers = np.arange(partition, plan.sensors, plan.partitions)  # of its sensors
        self.ids = sensor_ids(plan.sensors, plan.gates, self.numbers)
        self.share = float(plan.parts()[partition])
        self._bits = np.random.SFC64(np.random.SeedSequence((plan.seed, partition)))
        self._next_seq = np.full(len(self.numbers), plan.first_seq(), np.int64)
        self._hot = None if plan.hot == 0 else np.cumsum(plan.weights()[self.numbers])
        self.ticks = 0  # drawn so far
        self._watermark = _NEVER
        per_second = plan.average(plan.seconds or 3_600.0) * len(self.numbers) / plan.sensors
        self._ago = int(min(max(per_second * _SECONDS_AGO, 1), _MOST_AGO))
        self._earlier = Columns(*(np.empty(0, np.int64) for _ in Columns._fields))
        self._bounds = np.cumsum(plan.shares())

    def ended(self) -> bool:
        """Whether all events of the plan are drawn."""
        seconds = self.plan.seconds
        return seconds is not None and self.ticks * TICK_MS >= seconds * 1000

    def step(self, ticks: int) -> Columns:
        """The events that are due in the next ``ticks`` times 10 ms."""
        at_ms = np.arange(self.ticks, self.ticks + ticks + 1, dtype=np.float64) * TICK_MS
        if self.plan.seconds is not None:
            at_ms = np.minimum(at_ms, self.plan.seconds * 1000)
        self.ticks += ticks
        many = self._due(at_ms)
        first, last = int(many[0]), int(many[-1])
        numbers = np.arange(first, last)
        due = np.interp(numbers, many, at_ms).astype(np.int64)
        raw = self._bits.random_raw(2 * len(numbers)).reshape(-1, 2)
        who, what = raw[:, 0], raw[:, 1].astype(np.int64) & np.iinfo(np.int64).max
        sensor = self._sensors(who >> np.uint64(32))
        ts = self.plan.start_ms + due - ((what >> 8 & 0xFFFF) * (self.plan.disorder_ms + 1) >> 16)
        direction = np.where(what & 127 == 0, 2, what >> 7 & 1)
        events = Columns(due, ts, sensor, direction, self._seqs(sensor), np.zeros(len(due), np.int64))
        self._spoil(events, (who & np.uint64(0xFFFFFFFF)).astype(np.int64), what, first == 0)
        self._judge(events)
        return events

    def count(self, events: Columns, tally: Tally) -> None:
        """Enter events of this partition in the truth."""
        good = events.reason == ACCEPTED
        sensor, gates = self.numbers[events.sensor[good]], self.plan.gates
        tally.add(events.ts[good] // PANE_MS, sensor % gates, events.direction[good])
        tally.reasons += np.bincount(events.reason, minlength=len(tally.reasons))

    def _due(self, at_ms: NDArray[np.float64]) -> NDArray[np.float64]:
        """Whole events due by each moment, not falling."""
        due = self.plan.due(at_ms / 1000)
        if self.plan.seconds is None:
            return np.floor(due * self.share)
        return np.floor(due / self.plan.due(np.array([self.plan.seconds])) * self.share)

    def _sensors(self, drawn: NDArray[np.uint64]) -> I64:
        if self._hot is None:
            return (drawn * np.uint64(len(self.numbers)) >> np.uint64(32)).astype(np.int64)
        found = np.searchsorted(self._hot, drawn * (self._hot[-1] / 2.0**32), side="right")
        return np.minimum(found, len(self.numbers) - 1)

    def _seqs(self, sensor: I64) -> I64:
        """The next seq of each event's sensor."""
        small = sensor.astype(np.uint16) if len(self.numbers) <= 1 << 16 else sensor  # sorted by radix
        order = np.argsort(small, kind="stable")
        many = np.bincount(sensor, minlength=len(self.numbers))
        before = np.empty(len(sensor), np.int64)
        before[order] = np.arange(len(sensor)) - np.repeat(many.cumsum() - many, many)
        seq = self._next_seq[sensor] + before
        self._next_seq += many
        return seq

    def _spoil(self, events: Columns, drawn: I64, what: I64, at_start: bool) -> None:
        """Make some events late, bad, skewed, or a repetition of an earlier one."""
        fate = drawn / 2.0**32
        if at_start:
            fate[:1] = 1.0  # the first one is plain: the watermark begins with it, and repetitions have an original
        odd = np.flatnonzero(fate < self._bounds[-1])
        kind = np.searchsorted(self._bounds, fate[odd], side="right")
        part, pick = what[odd] >> 24 & 0xFFFF, what[odd] >> 40
        late, repeated, bad, skewed = (kind == number for number in range(4))
        events.ts[odd[late]] -= _LATE_MS + (part[late] * _LATE_MS >> 16)
        least = MALFORMED if self.plan.format == "json" else UNKNOWN_TYPE  # one malformed event spoils its array
        events.reason[odd[bad]] = least + pick[bad] % (UNKNOWN_SENSOR + 1 - least)
        off = part * (self.plan.skew_ms + 1) >> 16
        turn = pick % (3 if self.plan.future else 2)  # slow, fast, years ahead
        events.ts[odd[skewed & (turn == 0)]] -= off[skewed & (turn == 0)]
        events.ts[odd[skewed & (turn == 1)]] += off[skewed & (turn == 1)]
        ahead = odd[skewed & (turn == 2)]
        events.ts[ahead] += _YEARS_MS
        events.reason[ahead] = TOO_FAR_IN_FUTURE
        if self.plan.duplicate > 0:
            self._repeat(events, odd[repeated], pick[repeated], np.concatenate([odd[late], odd[repeated]]))

    def _repeat(self, events: Columns, rows: I64, pick: I64, not_these: I64) -> None:
        """Make ``rows`` repetitions of events shortly before; never of late ones or of repetitions."""
        fit = events.reason == ACCEPTED
        fit[not_these] = False
        known = len(self._earlier.ts)
        places = np.concatenate([np.arange(-known, 0), np.flatnonzero(fit)])  # below 0: in an earlier step
        before = np.searchsorted(places, rows)
        source, last = places[np.maximum(before - 1 - pick % self._ago, 0)], places[-self._ago :]
        earlier = []
        for column, old in zip(events, self._earlier, strict=True):
            if column is not events.due_ms:
                column[rows[source < 0]] = old[source[source < 0]]
                column[rows[source >= 0]] = column[source[source >= 0]]
            earlier.append(np.concatenate([old[last[last < 0]], column[last[last >= 0]]]))
        events.reason[rows] = DUPLICATE
        self._earlier = Columns(*earlier)

    def _judge(self, events: Columns) -> None:
        """Say of each sound event whether the watermark has passed its window; accepted ones move it."""
        accepted = events.reason == ACCEPTED  # or late: those lie too far back to move it
        sound = accepted | (events.reason == DUPLICATE)
        moved = events.ts
        if self.plan.appended_when_due:  # a clock that runs fast does not move it beyond the append
            moved = np.minimum(moved, self.plan.start_ms + events.due_ms)
        marks = np.maximum.accumulate(np.concatenate([[self._watermark], np.where(accepted, moved, _NEVER)]))
        self._watermark = int(marks[-1])
        ends = events.ts // PANE_MS * PANE_MS + PANE_MS
        events.reason[sound & (ends <= marks[:-1] - BOUND_MS)] = LATE
