"""Where the partitions of a stream beside people meet: facts in, windows closed in time order, what may be told out.

A window closes when the least W over all partitions has passed its close. It is then released whole, by what the stream
hands in, from rows that are in one order under names that are in one order. What comes out is a function of the
partitions' logs: not of the order in which their facts arrive, nor of how they were cut, nor of who counted them.

    W of partition 0   ───────────▶ 10:15 ───────────────▶ 10:30
    W of partition 1   ─────────────────────▶ 10:15 ──────────────▶
    closed                                   [10:00, 10:15) of 15m
"""

from __future__ import annotations

import pickle
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

from engine import facts, units
from engine.book import Book, Versions
from engine.errors import BadInput
from engine.facts import CLOSE, CODE, START, Facts
from engine.model import CELL_MS, END, HOUR, I64, MALFORMED, NO_TIME, REASONS, UNKNOWN_TYPE, Released
from engine.partial import REJECT_COLUMNS
from engine.registry import Registry
from engine.rejects import Rejects, named
from engine.timezone import TimeZone

_STATE = 1  # version of the snapshot
# Of messages in which nobody was read. Behind any other reason may stand one person or session, however many events
# there are: those are told by nothing but the exact summary (docs/adr/0045).
_OF_NOBODY = (MALFORMED, UNKNOWN_TYPE)
# window code, window_start (ms), rows of the window (m, c), names, registry version -> what may be told of it
Release = Callable[[int, int, I64, tuple[str, ...], str], list[Released]]
Proven = Callable[[list[Released]], int]


@dataclass(slots=True)
class Outcome:
    """What there is to give on. ``sequence``: the registry versions of the run so far, the one that holds last.

    ``accepted``, ``rejected``: by how much live counters may grow. ``first_ms``, ``last_ms``: cells of 10 s that the
    watermarks have reached first and last (NO_TIME: none yet), which ticks move too: they tell nothing of people.
    """

    watermark: int
    sequence: Versions
    rows: list[Released] = field(default_factory=list)
    accepted: int = 0
    rejected: dict[str, int] = field(default_factory=dict)
    first_ms: int = NO_TIME
    last_ms: int = NO_TIME


@dataclass
class _Sources:
    """Those whose rejects are counted (devices, providers), as ``Rejects`` wants them."""

    zone_clock: TimeZone
    registry: Registry
    names: tuple[str, ...] = ()
    sensor_name: I64 = field(default_factory=lambda: np.empty(0, np.int64))

    def rows(self, names: tuple[str, ...]) -> I64:
        """The row of each name, the last for -1; new ones get theirs."""
        known = {name: row for row, name in enumerate(self.names)}
        out = [known.setdefault(name, len(known)) for name in names]
        self.names, self.sensor_name = tuple(known), np.arange(len(known))
        return np.array([*out, -1], np.int64)


class Subjects:
    """State of the one key of a stream over ``partitions`` partitions.

    ``release`` is called once for each window in which any partition has rows, in order of (close, code, start); what
    it keeps from one call to the next is its ``release_state``'s. ``proven`` tells how many accepted events the rows
    it returned prove: by no more the live counter may grow (docs/adr/0045), but with ``exact`` by all of them.
    ``threshold``: K of the carry by which rejects are released, those that are about nobody.

    Facts of no span (w_from = w_to) change what waits and nothing else: withdrawals. With ``hears`` a key that goes on
    from ``state`` closes nothing before each partition has told something since: then it has told what was withdrawn.
    Nor does a key while a partition ``waits``, until it tells again.
    """

    def __init__(
        self,
        partitions: int,
        book: Book,
        release: Release,
        state: bytes | None = None,
        *,
        threshold: int,
        proven: Proven = lambda _rows: 0,
        exact: bool = False,
        hears: bool = False,
        keep: Callable[[], object] = lambda: None,
        restore: Callable[[object], None] = lambda _state: None,
    ) -> None:
        self._book, self._release, self._proven, self._exact, self._keep = book, release, proven, exact, keep
        self._told = dict.fromkeys(range(partitions), NO_TIME)  # W of each partition
        self._met = dict.fromkeys(range(partitions), 1)  # how many versions each partition has gone through
        self._coming: list[tuple[int, int, str]] = []  # (W, its place in the partition's sequence, hash)
        self._sequence, self._rank = book.start, (0, "")
        self._names: dict[str, int] = {}  # of rows that wait
        self._waiting: dict[tuple[int, int, int], list[I64]] = {}  # (close, code, start) -> rows of partitions
        self._coded: tuple[int, ...] = ()
        self._refused: I64 = np.empty((0, REJECT_COLUMNS), np.int64)  # rejects of cells that some W has not passed
        first = book.version(book.first)
        self._sources = _Sources(TimeZone(first.timezone), first)
        self._rejects = Rejects(self._sources, threshold)
        self.watermark, self._first, self._last = NO_TIME, END, NO_TIME
        self._unheard = set(self._told) if hears and state is not None else set()
        if state is not None:
            restore(self._restore(state))

    def take(self, blobs: list[bytes]) -> Outcome:
        """Take in facts in any order; close what all partitions have passed."""
        accepted = 0
        for blob in blobs:
            told = facts.decode(blob)
            before = self._told.get(told.partition, NO_TIME)
            if told.w_to <= before and told.w_from < told.w_to:
                continue  # a repeat: identical by construction
            if told.w_from != before:
                raise BadInput(f"a gap in the facts of partition {told.partition}")
            self._add(told)
            self._unheard.discard(told.partition)
            if told.waits:
                self._unheard.add(told.partition)
            accepted += told.accepted
        out = Outcome(self.watermark, self._sequence, accepted=accepted if self._exact else 0)
        low = min(self._told.values(), default=NO_TIME)
        if low > self.watermark and not self._unheard:
            self._close(low, out)
            self.watermark = out.watermark = low
        out.sequence = self._sequence
        if self._first != END and self.watermark != NO_TIME:
            out.first_ms = self._first - self._first % CELL_MS
            out.last_ms = self._last - self._last % CELL_MS if self.watermark == END else self.watermark
        return out

    def _add(self, told: Facts) -> None:
        self._told[told.partition] = told.w_to
        self._first = min(self._first, told.first_ms if told.first_ms != NO_TIME else END)
        self._last = max(self._last, told.last_ms)
        for at, *words in told.versions.tolist():
            self._coming.append((at, self._met[told.partition], np.array(words, np.int64).tobytes().hex()))
            self._met[told.partition] += 1
        if len(told.rejects):
            rejects = told.rejects.copy()
            rejects[:, 1] = self._sources.rows(told.names)[rejects[:, 1]]
            self._refused = np.concatenate([self._refused, rejects])
        if len(told.rows):
            rows, self._coded = told.rows.copy(), told.coded
            codes = [self._names.setdefault(name, len(self._names)) for name in told.names]
            place = np.array([*codes, -1], np.int64)
            for column in told.coded:
                rows[:, column] = place[rows[:, column]]
            cuts = np.flatnonzero((rows[1:, : START + 1] != rows[:-1, : START + 1]).any(axis=1)) + 1
            for part in np.split(rows, cuts):
                close, code, start = part[0, : START + 1].tolist()
                if close > self.watermark:  # else a withdrawal for what has closed: told once, for good
                    self._waiting.setdefault((close, code, start), []).append(part)

    def _close(self, w: int, out: Outcome) -> None:
        """Windows and hours of rejects up to ``w`` in the order of their ends: versions come early to none."""
        for key in sorted(key for key in self._waiting if key[CLOSE] <= w):
            self._close_rejects(key[CLOSE], out)
            self._adopt(key[CLOSE])
            rows, names = self._ordered(np.concatenate(self._waiting.pop(key)))
            told = self._release(key[CODE], key[START], rows, names, self._version())
            out.rows += told
            if not self._exact:
                out.accepted += self._proven(told)
        self._close_rejects(w, out)
        self._adopt(w)
        self._forget_names()

    def _ordered(self, rows: I64) -> tuple[I64, tuple[str, ...]]:
        """Rows of a window in their order, with codes into the texts they use, in theirs."""
        texts = list(self._names)
        used = np.unique(np.concatenate([np.empty(0, np.int64), *(rows[:, column] for column in self._coded)]))
        order = sorted(used[used >= 0].tolist(), key=texts.__getitem__)
        place = np.full(len(texts) + 1, -1, np.int64)
        place[order] = np.arange(len(order))
        for column in self._coded:
            rows[:, column] = place[rows[:, column]]
        return rows[np.lexsort(rows.T[:START:-1])], tuple(texts[code] for code in order)

    def _adopt(self, until_ms: int) -> None:
        """Let versions hold that a partition met before ``until_ms``; of several the newest: the later in the logs."""
        now = sorted(entry for entry in self._coming if entry[0] < until_ms)
        self._coming = [entry for entry in self._coming if entry[0] >= until_ms]
        for _, place, of in now:
            rank = (place, self._book.version(of).version)
            if rank > self._rank:
                self._rank, self._sequence = rank, (*self._sequence, of)
        self._sources.registry = self._book.version(self._sequence[-1])

    def _version(self) -> str:
        return self._sources.registry.version

    def _close_rejects(self, w: int, out: Outcome) -> None:
        """Hour by hour, so that the rows of an hour are one unit whatever ``w`` is."""
        clock = self._sources.zone_clock
        while True:
            waiting = self._refused[:, 0]
            ends = clock.next(waiting, HOUR) if len(waiting) else waiting
            hour = units.line(min(int(ends.min(initial=END)), self._rejects.due()))
            if hour > w or hour == END:
                break
            self._add_rejects(hour, out)
            self._adopt(hour)
            self._give_rejects(hour, out)
        self._add_rejects(w, out)

    def _add_rejects(self, w: int, out: Outcome) -> None:
        done = self._refused[:, 0] <= w - CELL_MS
        rows, self._refused = self._refused[done], self._refused[~done]
        rows = rows[np.lexsort(rows.T[:3][::-1])]
        shown = self._rejects.add(rows[np.isin(rows[:, 2], _OF_NOBODY)])
        if self._exact:
            counts = np.zeros(len(REASONS), np.int64)
            np.add.at(counts, rows[:, 2], rows[:, 3])
            shown = named(counts)
        for reason, n in shown.items():
            out.rejected[reason] = out.rejected.get(reason, 0) + n

    def _give_rejects(self, w: int, out: Outcome) -> None:
        hours = self._rejects.close(w, "")
        if hours is not None:
            last = int(np.asarray(hours.columns["hour"], np.int64).max())
            out.rows.append(replace(hours, unit=f"rejects/{last}"))

    def _forget_names(self) -> None:
        """Keep the names of rows that wait only: anybody may send as many as they like."""
        kept = [rows for parts in self._waiting.values() for rows in parts]
        used = np.unique(np.concatenate([np.empty(0, np.int64), *(r[:, c] for r in kept for c in self._coded)]))
        codes = used[used >= 0].tolist()
        if len(codes) == len(self._names):
            return
        texts = list(self._names)
        place = np.full(len(texts) + 1, -1, np.int64)
        place[codes] = np.arange(len(codes))
        for rows in kept:
            for column in self._coded:
                rows[:, column] = place[rows[:, column]]
        self._names = {texts[code]: new for new, code in enumerate(codes)}

    def snapshot(self) -> bytes:
        """Everything a later ``Subjects(..., state=)`` needs, one bytes object."""
        versions = self._met, self._coming, self._sequence, self._rank
        waiting = list(self._names), self._waiting, self._coded
        rejects = self._refused, self._sources.names, self._rejects.state()
        times = self._first, self._last
        return pickle.dumps((_STATE, self.watermark, self._told, versions, waiting, rejects, times, self._keep()), 5)

    def _restore(self, state: bytes) -> object:
        version, *rest = pickle.loads(state)
        if version != _STATE:
            raise BadInput("the recovery directory was written by another version")
        self.watermark, told, versions, waiting, rejects, times, kept = rest
        self._told |= told
        met, self._coming, self._sequence, self._rank = versions
        self._met |= met
        names, self._waiting, self._coded = waiting
        self._names = {name: code for code, name in enumerate(names)}
        self._refused, sources, chains = rejects
        self._sources.rows(sources)
        self._sources.registry = self._book.version(self._sequence[-1])
        self._rejects.restore(chains)
        self._first, self._last = times
        return kept


def closed_of(state: bytes) -> int:
    """The watermark up to which windows had closed, from a snapshot."""
    return int(pickle.loads(state)[1])
