"""One log of service providers' data, from messages to facts: ingress, consent, contract, pseudonym (PRIVACY.md R1-R3).

The checks behind engine.ingress's, in their order: unknown_sensor (the zone is not in the registry), no_consent,
no_contract, too_far_in_future, late.

Which products an event counts for is engine.profile_gate's to say. What the person has not consented to have told is as
if it had not been told.

A subject is one person on all platforms, so the pseudonym is of the subject alone: BLAKE2b-128, keyed by product and
day (the registry's day, which in Japan is JST's). A visit late in a day is kept for the next day too, under that day's
key, for the trip that may arrive then: no pseudonym of one day says which one it is of another.

What is kept: codes, and pseudonyms while their day is open, with a digest of the key they were made with
(engine/profile_keys.py). A withdrawal removes the person from every open day at once; for days this partition has told,
but others have not, it tells the withdrawal, without waiting for its watermark. While consents are not current it tells
that it waits, and afterwards something, and so does one that goes on, for it has not heard what ended meanwhile: so no
day closes before (engine/subjects.py).

Messages are JSON, whatever the topic's format: nobody sends attributes of people by the thousand a second.
"""

from __future__ import annotations

import pickle
from collections.abc import Collection, Mapping
from functools import cache, partial
from typing import Any

import numpy as np

from engine import facts, ingress, units
from engine.book import Book, Records
from engine.errors import BadInput
from engine.facts import Facts
from engine.ingress import ATTRIBUTES, ZONE, Record
from engine.ingress import PROFILE as EVENT
from engine.line import Line
from engine.model import (
    DAY,
    END,
    I64,
    NO_TIME,
    REASONS,
    REGISTRY,
    SET,
    UNKNOWN_SENSOR,
    Payloads,
)
from engine.partial import REJECT_COLUMNS, version_rows
from engine.partition import Fed
from engine.profile_day import Day, withdrawn
from engine.profile_facts import CODED, PRODUCTS, PROFILE, WIDTH
from engine.profile_gate import Gate, Keys
from engine.profile_keys import Seals, pseudonym
from engine.refused import Refused
from engine.rejects import named

_STATE = 2  # version of the snapshot


class _Batch:
    """Records that wait to be judged by the watermark, in log order; texts of people only until then."""

    def __init__(self) -> None:
        self.message: list[int] = []
        self.reason: list[int] = []
        self.ts: list[int] = []
        self.record_ts: list[int] = []
        self.close_ms: list[int] = []
        self.events: list[tuple[Record, tuple[int, int], list[tuple[int, frozenset[str]]]] | None] = []


class ProfilePartition:
    """State of one partition of topic ``profiles``; the same face as engine.partition.Partition.

    ``number`` names it in facts; ``state`` what ``snapshot()`` gave; ``since``: W before the first record, for a
    partition that was added to its topic later. Raises BadInput where the key of an open day is not the one that
    ``state`` knows.
    """

    hears = True  # of withdrawals

    def __init__(
        self, number: int, book: Book, bound_ms: int, gate: Gate, state: bytes | None = None, since: int = NO_TIME
    ) -> None:
        self.number, self._book, self._bound_ms, self._gate = number, book, bound_ms, gate
        self._sequence = book.start
        self._versions: list[tuple[int, str]] = []  # (W, hash) not told yet
        self._records, self._refused, self._line = Records(), Refused(), Line(bound_ms, since)
        self.accepted, self.rejected = 0, np.zeros(len(REASONS), np.int64)
        self.first_ms, self.last_ms = END, NO_TIME
        self._told_to, self._untold = NO_TIME, 0
        self._names: dict[str, int] = {}  # providers and zones of accepted events
        self._open: dict[int, Day] = {}
        self._told: list[tuple[int, int]] = []  # (start, close) of days told that may be open elsewhere
        self._gone: list[I64] = []  # withdrawals for them
        self._seals = Seals(gate.keys)  # of days open or told
        self._waits = state is not None  # and has not told since which withdrawals there are
        self.ended = False
        self._edge = (0, 0)  # the day of the last event
        if state is not None:
            self._restore(state)
            self._seals.check(self._open)  # before an event can be given another key
        self._use()

    @property
    def watermark(self) -> int:
        """W in ms: NO_TIME before the first admitted record, END after ``finish()``."""
        return END if self.ended else self._line.watermark

    @property
    def untold_ms(self) -> int:
        """How far W has moved since facts were told."""
        return self.watermark - self._told_to

    @property
    def read(self) -> int:
        """Events read so far: accepted + rejected, always."""
        return self.accepted + int(self.rejected.sum())

    def _use(self) -> None:
        self.tables = self._book.tables(self._sequence)
        self._clock = self.tables.zone_clock
        self._zones = frozenset(zone.id for zone in self.tables.registry.zones)

    def feed(self, payloads: Payloads) -> Fed:
        """Take in messages in log order; what a registry record says holds behind its message."""
        self._take_back()
        faults: list[tuple[int, str, str]] = []
        refused: list[tuple[I64, I64]] = []
        batch, data = _Batch(), payloads.data
        bounds = zip(payloads.starts.tolist(), payloads.ends.tolist(), payloads.record_ts.tolist(), strict=True)
        for message, (start, end, record_ts) in enumerate(bounds):
            payload = bytes(data[start:end])
            records = ingress.read(payload, record_ts)
            for record in records:
                if record.kind not in (SET, REGISTRY):
                    self._add(batch, message, record)
            if any(record.kind == REGISTRY for record in records):
                refused.append(self._settle(batch))
                batch = _Batch()
                fault = self._registry(payload)
                faults += [] if fault is None else [(message, "registry", fault)]
        refused.append(self._settle(batch))
        messages, reasons = (np.concatenate([part[side] for part in refused]) for side in (0, 1))
        self.rejected += np.bincount(reasons, minlength=len(REASONS))
        return Fed(messages.astype(np.int32), reasons.astype(np.uint8), faults)

    def _add(self, batch: _Batch, message: int, record: Record) -> None:
        """Judge a record as far as the watermark does not come into it."""
        reason, close_ms, event = record.reason, END, None
        if not reason and record.kind == EVENT:
            day = self._day_of(record.ts)
            close_ms = day[1]
            if record.zone is not None and record.zone not in self._zones:
                reason = UNKNOWN_SENSOR
            else:
                reason, counts = self._gate.judge(record)
                if not reason:
                    event = (record, day, counts)
        batch.message.append(message)
        batch.reason.append(reason)
        batch.ts.append(record.ts)
        batch.record_ts.append(record.record_ts)
        batch.close_ms.append(close_ms)
        batch.events.append(event)

    def _settle(self, batch: _Batch) -> tuple[I64, I64]:
        """Move the watermark over a batch and count what is good; message and reason of what is refused."""
        reason = np.array(batch.reason, np.uint8)
        ts, record_ts, close_ms = (np.array(c, np.int64) for c in (batch.ts, batch.record_ts, batch.close_ms))
        before = self._line.judge(reason, ts, record_ts, close_ms)
        for place in np.flatnonzero(reason == 0).tolist():
            event = batch.events[place]
            if event is not None:
                self._count(*event)
        bad = np.flatnonzero(reason)
        if len(bad):
            # no provider's: what may be told of rejects is about messages that name none
            self._refused.add(before[bad], np.full(len(bad), -1, np.int32), reason[bad])
        return np.array(batch.message, np.int64)[bad], reason[bad].astype(np.int64)

    def _count(self, record: Record, day: tuple[int, int], counts: list[tuple[int, frozenset[str]]]) -> None:
        provider = self._name(record.provider)
        for kind, allowed in counts:
            if kind == PROFILE:
                told = tuple(code if name in allowed else 0 for name, code in zip(ATTRIBUTES, record.told, strict=True))
                self._day(day).profile(self._seals.pseudonym(kind, day[0], record.subject), provider, record.ts, told)
            elif record.zone is not None and ZONE in allowed:
                zone = self._name(record.zone)
                late = record.ts + self._gate.gap_ms >= day[1]  # it may be where a trip of the next day begins
                for of in (day, self._next_day(day)) if late else (day,):
                    self._day(of).visit(self._seals.pseudonym(kind, of[0], record.subject), provider, record.ts, zone)
        self.accepted += 1
        self._untold += 1
        self.first_ms, self.last_ms = min(self.first_ms, record.ts), max(self.last_ms, record.ts)

    def _key(self, kind: int, day_ms: int) -> bytes | None:
        return self._seals.key(kind, day_ms, is_open=day_ms in self._open)

    def _name(self, text: str) -> int:
        return self._names.setdefault(text, len(self._names))

    def _day(self, day: tuple[int, int]) -> Day:
        known = self._open.get(day[0])
        if known is None:
            known = self._open[day[0]] = Day(*day)
        return known

    def _day_of(self, ts: int) -> tuple[int, int]:
        """Start and end (ms) of the day that holds an instant."""
        if not self._edge[0] <= ts < self._edge[1]:
            at = np.array([ts], np.int64)
            self._edge = int(self._clock.floor(at, DAY)[0]), int(self._clock.next(at, DAY)[0])
        return self._edge

    def _next_day(self, day: tuple[int, int]) -> tuple[int, int]:
        return day[1], int(self._clock.next(np.array([day[1]], np.int64), DAY)[0])

    def _registry(self, message: bytes) -> str | None:
        """Let a registry record hold from here on; returns why it cannot."""
        version, fault = self._records.take(message, self.tables)
        if version is None or version.hash == self.tables.registry.hash:
            return fault
        self._book.meet(version)
        self._sequence = (*self._sequence, version.hash)
        self._use()
        self._versions.append((units.passed(self.watermark), version.hash))
        return None

    def _take_back(self) -> None:
        """Remove from open days what may no longer be told: every event is asked about anew.

        A process that starts hears of all that ever ended, also of people who have consented again since.
        """
        gate = self._gate
        key_of = cache(self._key)  # at a start all that ever ended comes at once, and keys may stand in a file
        for provider, subject, _, purposes in gate.consents.withdrawn():
            place = self._names.get(provider)
            if place is None:  # this partition has nothing of any of its users
                continue
            for kind, product in enumerate(PRODUCTS):
                if gate.purposes[product] not in purposes:
                    continue
                keeps = partial(self._may_stay, provider, subject, gate.purposes[product])
                for start in [*self._open, *(start for start, _ in self._told)]:
                    key = key_of(kind, start)
                    if key is None:
                        continue
                    who, day = pseudonym(subject, key), self._open.get(start)
                    if day is not None:
                        day.take_back(kind, who, place, keeps)
                    else:
                        self._gone.append(withdrawn((start, dict(self._told)[start]), DAY, kind, who, place))

    def _may_stay(self, provider: str, subject: str, purpose: str, ts: int, told: Collection[str]) -> bool:
        allowed = self._gate.consents.allowed(provider, subject, purpose, ts)
        return allowed is not None and allowed.issuperset(told)

    def finish(self) -> None:
        """The log has ended: W = +inf closes every day."""
        self.ended = True

    def partials(self) -> list[Facts]:
        """Facts when W has passed a line of the 10 s grid since the last call; else withdrawals alone, else none."""
        self._take_back()
        if not self._gate.consents.current():
            waited, self._waits = self._waits, True
            return [] if waited else [self._of_no_span([], waits=True)]
        w = units.passed(self.watermark)
        if w <= self._told_to:
            return self._withdrawals()
        done = sorted(start for start, day in self._open.items() if day.close_ms <= w)
        days = [self._open.pop(start) for start in done]
        seals = [fact for day in days for fact in self._seals.facts(day.start_ms, day.close_ms)]
        parts = [np.empty((0, WIDTH), np.int64), *(day.rows(DAY) for day in days), *seals, *self._gone]
        if days:
            ended = [*self._told, *((day.start_ms, day.close_ms) for day in days)]
            self._told = [day for day in ended if not self._gate.keys.destroyed(day[0])]
        self._seals.keep({*self._open, *(start for start, _ in self._told)})
        versions = [entry for entry in self._versions if entry[0] < w]
        self._versions = self._versions[len(versions) :]
        told = Facts(
            self.number,
            self._told_to,
            w,
            self._untold,
            self._refused.take(self._line.first, w),
            version_rows(versions),
            tuple(self._names),
            np.concatenate(parts),
            CODED,
            self._line.first,
            self._line.watermark,
        )
        self._told_to, self._untold, self._gone, self._waits = w, 0, [], False
        return [facts.compact(told)]

    def _withdrawals(self) -> list[Facts]:
        """What is taken back of days told, at the W of the facts before: nothing of the log."""
        if not self._gone and not self._waits:
            return []
        gone, self._gone, self._waits = self._gone, [], False
        return [self._of_no_span(gone)]

    def _of_no_span(self, gone: list[I64], *, waits: bool = False) -> Facts:
        at, none = self._told_to, np.empty((0, REJECT_COLUMNS), np.int64)
        rows = np.concatenate([np.empty((0, WIDTH), np.int64), *gone])
        told = Facts(self.number, at, at, 0, none, version_rows([]), tuple(self._names), rows, CODED, waits=waits)
        return facts.compact(told)

    def snapshot(self) -> bytes:
        """Everything a later ``ProfilePartition(..., state=)`` needs to go on as if nothing had happened."""
        counters = self.accepted, self.rejected.tolist(), self.first_ms, self.last_ms
        gone = [rows.tobytes() for rows in self._gone]
        told = self._told_to, self._untold, self.ended, self._told, gone, self._seals.state()
        days = [(day.start_ms, day.close_ms, day.state()) for day in self._open.values()]
        versions = self._sequence, self._versions, self._records.pieces
        rest = self._line.state(), self._refused.state(), list(self._names)
        return pickle.dumps((_STATE, counters, told, days, versions, rest), 5)

    def _restore(self, state: bytes) -> None:
        counters, told, days, versions, (line, refused, names) = _opened(state)
        self.accepted, rejected, self.first_ms, self.last_ms = counters
        self.rejected = np.array(rejected, np.int64)
        self._told_to, self._untold, self.ended, self._told, gone, seals = told
        self._seals = Seals(self._gate.keys, seals)
        self._gone = [np.frombuffer(rows, np.int64).reshape(-1, WIDTH) for rows in gone]
        self._open = {start: Day(start, close, kept) for start, close, kept in days}
        self._sequence, self._versions, pieces = versions
        self._records, self._refused = Records(pieces), Refused(refused)
        self._line = Line(self._bound_ms, state=line)
        self._names = {name: code for code, name in enumerate(names)}

    def rejected_by_reason(self) -> Mapping[str, int]:
        """Exact rejects by reason word, without zeros."""
        return named(self.rejected)


def check_keys(state: bytes, keys: Keys) -> None:
    """Raise BadInput where a key that a snapshot of a partition needs is lost, or another one."""
    _, told, days, *_ = _opened(state)
    Seals(keys, told[-1]).check({start for start, *_ in days})


def _opened(state: bytes) -> Any:
    """What a snapshot holds. Raises BadInput for one of another version."""
    version, *rest = pickle.loads(state)
    if version != _STATE:
        raise BadInput("the recovery directory was written by another version")
    return rest
