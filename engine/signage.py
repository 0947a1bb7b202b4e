"""One log of signage from messages to facts: decode, admit, who touched what; counts and snapshots.

A touch is counted in two windows: the 15m one of its screen, and, where it led to another, the 1h one of the move. Of
each window the partition keeps what distinct sessions did, never how often::

    touches   15m   session  device  screen  language of its first touch there, which that was
    screens   1h    session  device  from    to

Sessions are pseudonyms from the decoder on (engine/touches.py). Nothing here is a Python object per event.
"""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import numpy as np

from engine import facts, units
from engine.book import Book, Records
from engine.devices import devices_of
from engine.distinct import Distinct
from engine.errors import BadInput
from engine.facts import CLOSE, CODE, START, Facts
from engine.languages import LANGUAGES
from engine.line import Line
from engine.model import (
    AUTO,
    END,
    HEARTBEAT,
    HOUR,
    I32,
    I64,
    JSON,
    LENGTH_MS,
    NO_TIME,
    NOT_APPROVED,
    REASONS,
    REGISTRY,
    SET,
    TOUCH,
    U8,
    WINDOWS,
    Payloads,
    Touches,
)
from engine.partial import version_rows
from engine.partition import Fed
from engine.refused import Refused
from engine.rejects import named
from engine.touches import TouchChunks, new_names

KEY_BYTES = 32  # of the key under which sessions have their pseudonyms
LEAF = "15m"
# Columns of facts behind START: the pseudonym's halves, then codes of names. OTHER: language of a touch, or the screen
# a move led to. FIRST: the order of a session's touches, by ts and the text of the language; 0 of a move.
HIGH, LOW, DEVICE, SCREEN, OTHER, FIRST = 3, 4, 5, 6, 7, 8
COLUMNS = 9
CODED = (DEVICE, SCREEN, OTHER)
_BY = (START, HIGH, LOW, DEVICE, SCREEN)
QUARTER = WINDOWS.index(LEAF)
_QUARTER_MS = LENGTH_MS[QUARTER]
_STATE = 1  # version of the snapshot
_RANK: I64 = np.argsort(np.argsort(np.array(LANGUAGES)))  # of languages, in the order of their texts
_SPARE_NAMES = 4_096  # names that nothing uses any more before they are forgotten


class SignagePartition:
    """State of one partition of signage: a pure function of its log, however the log is cut into batches.

    The face of engine.partition.Partition; ``shards`` is 1. ``key``: under which sessions have pseudonyms, the same in
    all partitions of a run and after every restart. Counters are exact and for the terminal only (PRIVACY.md R6).
    """

    hears = False  # of anything but its log

    def __init__(
        self,
        number: int,
        book: Book,
        bound_ms: int,
        shards: int,
        state: bytes | None = None,
        since: int = NO_TIME,
        wire: int = AUTO,
        *,
        key: bytes,
    ) -> None:
        self.number, self.shards = number, shards
        self._book, self._bound_ms, self._wire, self._key = book, bound_ms, wire, key
        self.accepted, self.rejected = 0, np.zeros(len(REASONS), np.int64)
        self.first_ms, self.last_ms = END, NO_TIME  # least and greatest ts of an accepted event
        self.ended = False
        self._sequence = book.start
        self._versions: list[tuple[int, str]] = []  # (W, hash) that are not told yet
        self._records = Records()
        self._told_to = NO_TIME  # W up to which facts were told
        self._untold = 0  # accepted events not told yet
        self._refused = Refused()
        self._line = Line(bound_ms, since)
        self._touches = Distinct(COLUMNS, _BY, FIRST, CLOSE)  # of open windows
        self._moves = Distinct(COLUMNS, (*_BY, OTHER), FIRST, CLOSE)
        self._chunks = TouchChunks(new_names(), key)
        if state is not None:
            self._restore(state)
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
        self._devices = devices_of(self.tables)
        self._ids = self._devices.ids()

    def feed(self, payloads: Payloads) -> Fed:
        """Take in messages in log order; what a registry record says holds behind its message."""
        refused: list[tuple[I32, U8]] = []
        faults: list[tuple[int, str, str]] = []
        first = 0
        while first < len(payloads):
            first, events = self._chunks.decode(payloads, self._ids, first, self._wire)
            records = np.flatnonzero(events.kind == REGISTRY)
            if not len(records):
                refused.append(self._take(events))
                continue
            at = int(events.message[records[0]])
            refused.append(self._take(_first(events, int(np.searchsorted(events.message, at, "right")))))
            fault = self._registry(bytes(payloads.data[payloads.starts[at] : payloads.ends[at]]))
            faults += [] if fault is None else [(at, "registry", fault)]
            first = at + 1
        messages = np.concatenate([np.empty(0, np.int32), *(rows for rows, _ in refused)])
        reason = np.concatenate([np.empty(0, np.uint8), *(reasons for _, reasons in refused)])
        self.rejected += np.bincount(reason, minlength=len(REASONS))
        return Fed(messages, reason, faults)

    def _registry(self, message: bytes) -> str | None:
        """Let a registry record hold from here on; returns why it cannot."""
        version, fault = self._records.take(message, self.tables)
        if version is None or version.hash == self.tables.registry.hash:
            return fault
        self._book.meet(version)
        self._sequence = (*self._sequence, version.hash)
        self._versions.append((units.passed(self.watermark), version.hash))
        self._use()
        return None

    def _take(self, events: Touches) -> tuple[I32, U8]:
        """Judge and note a chunk; message and reason of what is refused."""
        kind, reason, ts = events.kind, events.reason, events.ts
        event = (kind == TOUCH) | (kind == HEARTBEAT)
        rows = np.flatnonzero(event & (reason == 0))
        start = ts[rows] - ts[rows] % _QUARTER_MS
        judged = np.where(kind[rows] == TOUCH, start, ts[rows])
        reason[rows[~self._devices.approved(events.device[rows], judged)]] = NOT_APPROVED
        close = np.full(len(ts), END, np.int64)
        close[rows] = start + _QUARTER_MS
        control = (kind == SET) | (kind == REGISTRY)
        reason[control] = NOT_APPROVED  # for a moment: they move no watermark
        before = self._line.judge(reason, ts, events.record_ts, close)
        reason[control] = 0
        good = rows[reason[rows] == 0]
        if len(good):
            self.accepted += len(good)
            self._untold += len(good)
            self.first_ms = min(self.first_ms, int(ts[good].min()))
            self.last_ms = max(self.last_ms, int(ts[good].max()))
            touches = good[kind[good] == TOUCH]
            if len(touches):
                self._note(events, touches)
        bad = np.flatnonzero(reason)
        if len(bad):
            self._refused.add(before[bad], events.device[bad], reason[bad])
        return events.message[bad].copy(), reason[bad].copy()

    def _note(self, events: Touches, rows: I64) -> None:
        """Note accepted touches in their windows."""
        ts, lang = events.ts[rows], events.lang[rows]
        out = np.empty((len(rows), COLUMNS), np.int64)
        out[:, START] = ts - ts % _QUARTER_MS
        out[:, CLOSE], out[:, CODE] = out[:, START] + _QUARTER_MS, QUARTER
        out[:, HIGH : LOW + 1] = events.session[rows]
        out[:, DEVICE], out[:, SCREEN] = events.device[rows], events.screen[rows]
        out[:, OTHER] = np.where(lang < 0, len(LANGUAGES) - 1, lang)  # not told: one of the others
        out[:, FIRST] = ts * len(_RANK) + _RANK[out[:, OTHER]]
        moved = np.flatnonzero(events.to[rows] >= 0)
        moves, clock = out[moved], self.tables.zone_clock
        moves[:, CODE], moves[:, START] = HOUR, clock.floor(ts[moved], HOUR)
        # an hour whose end lies inside a quarter (a clock of odd minutes) closes with that quarter
        moves[:, CLOSE] = -(-clock.next(ts[moved], HOUR) // _QUARTER_MS) * _QUARTER_MS
        moves[:, OTHER], moves[:, FIRST] = events.to[rows][moved], 0
        self._touches.add(out)
        self._moves.add(moves)

    def finish(self) -> None:
        """The log has ended: W = +inf closes every window."""
        self.ended = True

    def partials(self) -> list[Facts]:
        """Facts when W has passed a line of the 10 s grid since the last call, else none."""
        w = units.passed(self.watermark)
        if w <= self._told_to:
            return []
        rows = np.concatenate([self._touches.take(w), self._moves.take(w)])
        rows = rows[np.lexsort([rows[:, START], rows[:, CODE]])]
        rejects = self._refused.take(self._line.first, w).copy()
        names: tuple[str, ...] = ()
        if len(rows) or len(rejects):
            words = tuple("" if word is None else word.decode() for word in self._chunks.names.words())
            names = (*words, *self._devices.names)
            rows[:, DEVICE] += len(words)
            rejects[rejects[:, 1] >= 0, 1] += len(words)
        versions, first, last = self._take_versions(w), self._line.first, self._line.watermark
        told = Facts(
            self.number, self._told_to, w, self._untold, rejects, versions, names, rows, CODED, first, last
        )  # fmt: skip
        self._told_to, self._untold = w, 0
        if len(rows):
            self._forget_names()
        return [facts.compact(told)]

    def _take_versions(self, w: int) -> I64:
        done = [entry for entry in self._versions if entry[0] < w]
        self._versions = self._versions[len(done) :]
        return version_rows(done)

    def _forget_names(self) -> None:
        """Keep the screens of open windows only, once others have gathered: anybody may send as many as they like."""
        names, begin = self._chunks.names, len(LANGUAGES)
        screens = [self._touches.rows()[:, SCREEN], self._moves.rows()[:, SCREEN], self._moves.rows()[:, OTHER]]
        used = np.unique(np.concatenate(screens))
        if len(names) - begin < 2 * len(used) + _SPARE_NAMES:
            return
        words = names.words()
        # a screen may bear a language's name: that word stays where it is
        kept = [code for code in used.tolist() if code >= begin]
        place = np.arange(len(words))
        place[kept] = begin + np.arange(len(kept))
        for column in screens:
            column[:] = place[column]
        self._chunks = TouchChunks(new_names([words[code] for code in kept]), self._key)

    def snapshot(self) -> bytes:
        """Everything a later ``SignagePartition(..., state=)`` needs to go on as if nothing had happened."""
        counters = self.accepted, self.rejected.tolist(), self._untold
        times = self.first_ms, self.last_ms, self._told_to, self.ended
        registries = self._sequence, self._versions, self._records.pieces
        touches, moves = self._touches.state(), self._moves.state()
        rows = touches, moves, self._open_screens(touches, moves)
        return pickle.dumps((_STATE, counters, times, registries, rows, self._refused.state(), self._line.state()), 5)

    def _open_screens(self, *states: bytes) -> list[bytes | None]:
        """The screens by number, None for those of no open window: a file holds nothing of what has closed (R6)."""
        names, begin = self._chunks.names, len(LANGUAGES)
        used = np.zeros(len(names), np.bool_)
        for state in states:
            rows = np.frombuffer(state, np.int64).reshape(-1, COLUMNS)
            used[rows[:, SCREEN]] = used[rows[:, OTHER]] = True
        return [word if held else None for word, held in zip(names.words(begin), used[begin:].tolist(), strict=True)]

    def _restore(self, state: bytes) -> None:
        version, *rest = pickle.loads(state)
        if version != _STATE:
            raise BadInput("the recovery directory was written by another version")
        counters, times, registries, rows, refused, line = rest
        self.accepted, rejected, self._untold = counters
        self.rejected = np.array(rejected, np.int64)
        self.first_ms, self.last_ms, self._told_to, self.ended = times
        self._sequence, self._versions, pieces = registries
        self._records = Records(pieces)
        touches, moves, names = rows
        self._touches = Distinct(COLUMNS, _BY, FIRST, CLOSE, touches)
        self._moves = Distinct(COLUMNS, (*_BY, OTHER), FIRST, CLOSE, moves)
        self._chunks = TouchChunks(new_names(names), self._key)
        self._refused, self._line = Refused(refused), Line(self._bound_ms, state=line)

    def rejected_by_reason(self) -> Mapping[str, int]:
        """Exact rejects by reason word, without zeros."""
        return named(self.rejected)


def touch_stamps(ids: Any, lines: Payloads) -> tuple[I32, I64]:
    """Message and record time of every record of some lines; ``ids``: ``Names`` of devices."""
    chunks, first = TouchChunks(new_names(), b"no pseudonym leaves this function"), 0
    messages, times = [np.empty(0, np.int32)], [np.empty(0, np.int64)]
    while first < len(lines):
        first, events = chunks.decode(lines, ids, first, JSON)
        messages.append(events.message.copy())
        times.append(events.record_ts.copy())
    return np.concatenate(messages), np.concatenate(times)


def _first(events: Touches, count: int) -> Touches:
    return Touches(**{column.name: getattr(events, column.name)[:count] for column in fields(Touches)})
