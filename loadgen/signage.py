"""Scenario `signage`: touches and heartbeats of the devices in 北2条広場, with faults, and what is true about them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from loadgen import encode
from loadgen.files import opened
from loadgen.scenario import WINDOW_MS, Message
from loadgen.sessions import (
    I64,
    LANG_OF,
    LANGS,
    SCREENS,
    TAGS,
    TOUCHES_A_SESSION,
    Touched,
    device_ids,
    drawn,
    signage_registry,
)

START_MS = 1_770_450_000_000
TOPIC = "signage"
RATE = 20.0
BEAT_MS = 30_000
TOUCHES_MS, SCREENS_MS = 900_000, 3_600_000  # windows of the two products
_ON_ITS_WAY_MS = 1_500  # at most
_BEFORE_MS = 240_000  # so long before the beginning the first sessions began
_REPEATED_MS = 1_000  # a repetition comes so much later, at most
# A late event happened so long ago. Its 15 minutes ended a minute ago; every device has been alive since then.
_LATE_MS = (960_000, 1_800_000)
_MOST_SHARE = 0.45
_MANY = 1_000_000  # touches that are kept until they are counted
_TAGS = [tag.encode() for tag, *_ in TAGS]
_SCREENS = [screen.encode() for screen in SCREENS]
_NOBODY = b"kita2-00"  # no device of the registry

# What the rules say of an event. Those from MALFORMED on are bad ones.
REASONS = (
    "accepted",
    "late",
    "malformed",
    "unknown_type",
    "missing_field",
    "bad_value",
    "unknown_sensor",
    "not_approved",
)
ACCEPTED, LATE, MALFORMED, UNKNOWN_TYPE, MISSING_FIELD, BAD_VALUE, UNKNOWN_SENSOR, NOT_APPROVED = range(len(REASONS))


class Signage:
    """Events of signage in order of arrival, and what is true about those read so far.

    ``rate``: events a second on average, heartbeats and bad ones included; ``late``, ``duplicate``, ``bad``: shares of
    them. ``devices`` are approved, one more is not. ``seconds`` None = without end. Equal arguments give equal bytes.
    ``events()`` may be read once. Raises ValueError for shares that are more than 0.45 together, for a length that is
    not positive and a rate too low for the heartbeats.
    """

    def __init__(
        self,
        seed: int = 1,
        seconds: float | None = None,
        rate: float | None = None,
        start_ms: int = START_MS,
        devices: int = 12,
        late: float = 0.0,
        duplicate: float = 0.0,
        bad: float = 0.0,
    ) -> None:
        rate = RATE if rate is None else rate
        shares = (late, duplicate, bad)
        if seconds is not None and seconds <= 0:
            raise ValueError("seconds must be positive")
        if devices < 1 or min(shares) < 0 or sum(shares) > _MOST_SHARE:
            raise ValueError(f"--late, --duplicate, --bad must be 0 to {_MOST_SHARE} together, of at least one device")
        beats = devices * 1000 / BEAT_MS
        touches = rate * (1 - sum(shares)) - beats
        if touches <= max(shares) * rate:  # a late, repeated or bad event has a sound one beside it
            raise ValueError(f"--rate is too low: {beats:.1f} events/s are heartbeats")
        self.start_ms, self.end_ms = start_ms, None if seconds is None else start_ms + round(seconds * 1000)
        self.registry: dict[str, Any] = signage_registry(devices)
        self.devices = devices
        self._ids = device_ids(devices)
        self._rng = np.random.default_rng([seed, 2])
        self._sessions_a_ms = touches / TOUCHES_A_SESSION / 1000
        # of each touch that is as it should be, how many are late, repeated or bad besides
        self._more = [share * rate / touches for share in shares]
        self._numbered = 0
        self._truth = _Truth()
        self._told: tuple[_Rows, int] | None = None  # the rows being read, and how many were
        self._read = False

    def events(self) -> Iterator[Message]:
        """The messages in order of arrival. Raises RuntimeError when read a second time."""
        if self._read:
            raise RuntimeError("the events of a scenario can be read once")
        self._read = True
        waiting, window_ms = _Rows.none(), self.start_ms
        while self.end_ms is None or window_ms < self.end_ms:
            until = window_ms + WINDOW_MS
            rows = _Rows.joined([waiting, *self._window(window_ms, until)])
            rows = rows.take(np.argsort(rows.arrival, kind="stable"))
            ready = int(np.searchsorted(rows.arrival, until))
            waiting = rows.take(np.arange(ready, len(rows.arrival)))
            yield from self._tell(rows.take(np.arange(ready)))
            window_ms = until
        yield from self._tell(waiting)

    def truth(self) -> Iterator[dict[str, object]]:
        """What is true about the events read so far, row by row.

        ``{"device","screen","lang","window":"15m","start_ms","n"}``: sessions that touched the screen in the window, in
        the language of the first of these touches; ``{"device","from","to","window":"1h","start_ms","n"}``: sessions
        that went from one screen to another; ``{"totals":{"events","accepted","touches","heartbeats","rejected"}}``.
        """
        truth = self._truth.copy()
        if self._told is not None:
            truth.add(self._told[0], self._told[1])
        names = [device.decode() for device in self._ids]
        for (start, device, screen, lang), n in sorted(truth.touches().items()):
            row = {"device": names[device], "screen": SCREENS[screen], "lang": LANGS[lang]}
            yield {**row, "window": "15m", "start_ms": start, "n": n}
        for (start, device, screen, to), n in sorted(truth.screens().items()):
            row = {"device": names[device], "from": SCREENS[screen], "to": SCREENS[to]}
            yield {**row, "window": "1h", "start_ms": start, "n": n}
        yield {"totals": truth.totals()}

    def _window(self, from_ms: int, to_ms: int) -> Iterator[_Rows]:
        """Rows of heartbeats, of sessions that begin in a window, and of what is wrong besides."""
        rng, end = self._rng, to_ms if self.end_ms is None else min(to_ms, self.end_ms)
        yield _Rows.beats(self._beats(from_ms, end))
        begin = from_ms - _BEFORE_MS if from_ms == self.start_ms else from_ms
        sessions = int(rng.poisson(self._sessions_a_ms * (end - begin)))
        good = drawn(rng, sessions, begin, end, self.devices, self._numbered)
        self._numbered += sessions
        inside = good.ts >= self.start_ms
        good = good.take(inside if self.end_ms is None else inside & (good.ts < self.end_ms))
        arrival = good.ts + rng.integers(0, _ON_ITS_WAY_MS, len(good.ts))
        accepted = np.zeros(len(good.ts), np.int64)
        yield _Rows(good, arrival, accepted)
        late, repeated, bad = (rng.random(len(good.ts)) < share for share in self._more)
        ago = rng.integers(*_LATE_MS, int(late.sum()))
        old = good.take(late)
        yield _Rows(old._replace(ts=old.ts - ago), arrival[late], accepted[late] + LATE)
        again = arrival[repeated] + rng.integers(0, _REPEATED_MS, int(repeated.sum()))
        yield _Rows(good.take(repeated), again, accepted[repeated])
        yield _Rows(good.take(bad), arrival[bad], rng.integers(MALFORMED, len(REASONS), int(bad.sum())))

    def _beats(self, from_ms: int, to_ms: int) -> tuple[I64, I64]:
        """When and whose: all at the beginning, so that every log begins with one, then in turn."""
        devices = np.arange(self.devices)
        offset = devices * BEAT_MS // self.devices
        first = -(-(from_ms - self.start_ms - offset) // BEAT_MS)
        at = self.start_ms + offset + np.maximum(first, 0) * BEAT_MS
        if from_ms == self.start_ms:
            at = np.concatenate([np.full(self.devices, from_ms), at[1:]])
            devices = np.concatenate([devices, devices[1:]])
        return at[at < to_ms], devices[at < to_ms]

    def _tell(self, rows: _Rows) -> Iterator[Message]:
        touched, ids = rows.touched, self._ids
        columns = [column.tolist() for column in (rows.arrival, rows.reason, *touched)]
        for told, (arrival, reason, ts, device, session, screen, to, tag) in enumerate(zip(*columns, strict=True), 1):
            self._told = rows, told
            key = ids[device]
            if screen < 0:
                yield Message(arrival, key, encode.device_heartbeat(key, ts))
                continue
            if reason >= UNKNOWN_SENSOR:
                key = _NOBODY if reason == UNKNOWN_SENSOR else ids[-1]
            name = b"%08x" % (session * 2_654_435_761 & 0xFFFF_FFFF)  # one to one: the factor is odd
            value = encode.touch(key, ts, name, _SCREENS[screen], _SCREENS[to] if to >= 0 else None, _TAGS[tag])
            yield Message(arrival, key, value if reason < MALFORMED else _spoilt(value, name, reason))
        self._told = None
        self._truth.add(rows, len(rows.arrival))


def _spoilt(value: bytes, session: bytes, reason: int) -> bytes:
    """A touch with the fault that the rules find first."""
    if reason == MALFORMED:
        return value[:-1]
    if reason == UNKNOWN_TYPE:
        return value.replace(b'"touch"', b'"tuoch"')
    if reason == MISSING_FIELD:
        return value.replace(b'"screen"', b'"scream"')
    return value.replace(b'"%b"' % session, b"17") if reason == BAD_VALUE else value


class _Rows:
    """Events with the time of their arrival (ms) and what the rules say of them; ``screen`` -1: a heartbeat."""

    def __init__(self, touched: Touched, arrival: I64, reason: I64) -> None:
        self.touched, self.arrival, self.reason = touched, arrival, reason

    @classmethod
    def none(cls) -> _Rows:
        """Nothing."""
        empty: I64 = np.empty(0, np.int64)
        return cls(Touched(*[empty] * len(Touched._fields)), empty, empty)

    @classmethod
    def beats(cls, beats: tuple[I64, I64]) -> _Rows:
        """Heartbeats of devices."""
        at, device = beats
        none = np.full(len(at), -1, np.int64)
        return cls(Touched(at, device, none, none, none, none), at, none * 0)

    @classmethod
    def joined(cls, parts: list[_Rows]) -> _Rows:
        """All of them, in that order."""
        touched = Touched._make(map(np.concatenate, zip(*(part.touched for part in parts), strict=True)))
        arrival = np.concatenate([part.arrival for part in parts])
        return cls(touched, arrival, np.concatenate([part.reason for part in parts]))

    def take(self, rows: I64 | NDArray[np.bool_]) -> _Rows:
        """Some of them."""
        return _Rows(self.touched.take(rows), self.arrival[rows], self.reason[rows])


class _Truth:
    """Counts of windows; touches of windows that may still get some wait to be counted."""

    def __init__(self) -> None:
        self._waiting: list[Touched] = [_Rows.none().touched]
        self._kept = 0
        self._touches: Counter[tuple[int, ...]] = Counter()
        self._screens: Counter[tuple[int, ...]] = Counter()
        self._reasons = np.zeros(len(REASONS), np.int64)
        self._heartbeats = 0

    def copy(self) -> _Truth:
        """Another one that tells the same."""
        other = _Truth()
        other._waiting, other._kept, other._heartbeats = list(self._waiting), self._kept, self._heartbeats
        other._touches, other._screens = self._touches.copy(), self._screens.copy()
        other._reasons = self._reasons.copy()
        return other

    def add(self, rows: _Rows, many: int) -> None:
        """Take in the first ``many`` rows."""
        part = rows.take(np.arange(many))
        self._reasons += np.bincount(part.reason, minlength=len(REASONS))
        self._heartbeats += int((part.touched.screen < 0).sum())
        touched = part.touched.take((part.reason == ACCEPTED) & (part.touched.screen >= 0))
        self._waiting.append(touched)
        self._kept += len(touched.ts)
        if self._kept > _MANY:
            self._settle(int(touched.ts.max()) // SCREENS_MS * SCREENS_MS - SCREENS_MS)

    def _settle(self, until_ms: int) -> None:
        """Count what happened before ``until_ms``, an edge of windows."""
        rows = Touched._make(map(np.concatenate, zip(*self._waiting, strict=True)))
        done = rows.ts < until_ms
        self._count(rows.take(done))
        self._waiting = [rows.take(~done)]
        self._kept = min(len(self._waiting[0].ts), _MANY // 2)  # not again at once where one window has so many

    def _count(self, rows: Touched) -> None:
        order = np.lexsort((rows.ts, rows.session, rows.screen, rows.device, rows.ts // TOUCHES_MS))
        ordered = rows.take(order)
        group = np.stack([ordered.ts // TOUCHES_MS, ordered.device, ordered.screen, ordered.session])
        first = np.append(True, (group[:, 1:] != group[:, :-1]).any(axis=0))[: len(order)]
        of = np.stack([group[0] * TOUCHES_MS, group[1], group[2], LANG_OF[ordered.tag]])[:, first]
        self._touches += _counted(of)
        moved = rows.take(rows.to >= 0)
        who = np.stack([moved.ts // SCREENS_MS * SCREENS_MS, moved.device, moved.screen, moved.to, moved.session])
        self._screens += _counted(np.unique(who, axis=1)[:-1])

    def touches(self) -> Counter[tuple[int, ...]]:
        """Sessions by (start, device, screen, language)."""
        self._settle(1 << 62)
        return self._touches

    def screens(self) -> Counter[tuple[int, ...]]:
        """Sessions by (start, device, from, to)."""
        self._settle(1 << 62)
        return self._screens

    def totals(self) -> dict[str, object]:
        """All events, the accepted ones and their kinds, the rejected ones by reason."""
        told = self._reasons.tolist()
        rejected = {reason: many for reason, many in zip(REASONS[1:], told[1:], strict=True) if many}
        touches = told[ACCEPTED] - self._heartbeats
        kinds = {"accepted": told[ACCEPTED], "touches": touches, "heartbeats": self._heartbeats}
        return {"events": sum(told), **kinds, "rejected": rejected}


def _counted(columns: I64) -> Counter[tuple[int, ...]]:
    """How often each column stands there."""
    found, many = np.unique(columns, axis=1, return_counts=True)
    return Counter(dict(zip(map(tuple, found.T.tolist()), many.tolist(), strict=True)))


def write_signage_truth(signage: Signage, path: str | Path) -> None:
    """Write the truth as JSON Lines (compressed by suffix), the totals last. Raises OSError."""
    with opened(path) as out:
        for row in signage.truth():
            out.write(json.dumps(row, separators=(",", ":")).encode() + b"\n")
