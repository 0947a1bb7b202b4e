"""What one partition keeps of one open day of people who consented: pseudonyms and codes, nothing else.

Of profiles one row per person and provider, its least event; of places every visit, for which of them follow each other
is known only where the partitions meet. Flat arrays of integers: a snapshot is their bytes.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Collection

import numpy as np

from engine.ingress import ATTRIBUTES
from engine.ingress import ZONE as ZONE_NAME
from engine.model import I64
from engine.profile_facts import (
    HIGH,
    KIND,
    LOW,
    OF,
    PROFILE,
    PROVIDER,
    SEALED,
    TOLD,
    TS,
    VISIT,
    WIDTH,
    WITHDRAWN,
    ZONE,
)

Pseudonym = tuple[int, int]
Keeps = Callable[[int, Collection[str]], bool]  # ts (ms) and names of what is told -> whether it may stay
_PROFILE = 4 + len(ATTRIBUTES)  # numbers of a row: pseudonym, provider, ts, what is told
_VISIT = 5  # pseudonym, provider, ts, zone


class Day:
    """One day [start_ms, close_ms). ``state``: what ``state()`` gave."""

    def __init__(self, start_ms: int, close_ms: int, state: tuple[bytes, bytes] = (b"", b"")) -> None:
        self.start_ms, self.close_ms = start_ms, close_ms
        self._profiles, self._visits = array("q", state[0]), array("q", state[1])
        flat, step = self._profiles, _PROFILE
        self._at = {(flat[i], flat[i + 1], flat[i + 2]): i for i in range(0, len(flat), step)}

    def profile(self, who: Pseudonym, provider: int, ts: int, told: tuple[int, ...]) -> None:
        """Take in what a provider tells of a person: the least of all by (ts, codes) stays."""
        key, row = (*who, provider), array("q", (*who, provider, ts, *told))
        at = self._at.get(key)
        if at is None:
            self._at[key] = len(self._profiles)
            self._profiles.extend(row)
        elif row < self._profiles[at : at + _PROFILE]:
            self._profiles[at : at + _PROFILE] = row

    def visit(self, who: Pseudonym, provider: int, ts: int, zone: int) -> None:
        """Take in where a provider has seen a person."""
        self._visits.extend((*who, provider, ts, zone))

    def take_back(self, kind: int, who: Pseudonym, provider: int, keeps: Keeps) -> None:
        """Remove what a provider has told of a person, but what ``keeps``: it is not in any later snapshot."""
        if kind == PROFILE:
            self._remove((*who, provider), keeps)
            return
        visits = np.frombuffer(self._visits.tobytes(), np.int64).reshape(-1, _VISIT)
        keep = ~(visits[:, :3] == np.array([*who, provider], np.int64)).all(axis=1)
        for at in np.flatnonzero(~keep).tolist():
            keep[at] = keeps(int(visits[at, 3]), (ZONE_NAME,))
        if not keep.all():
            self._visits = array("q", visits[keep].tobytes())

    def _remove(self, key: tuple[int, int, int], keeps: Keeps) -> None:
        at = self._at.get(key)
        if at is None:
            return
        row = self._profiles[at : at + _PROFILE]
        told = [name for name, code in zip(ATTRIBUTES, row[4:], strict=True) if code]
        if keeps(row[3], told):
            return
        last = len(self._profiles) - _PROFILE
        moved = self._profiles[last:]
        self._profiles[at : at + _PROFILE] = moved
        self._at[moved[0], moved[1], moved[2]] = at
        del self._profiles[last:], self._at[key]

    def rows(self, code: int) -> I64:
        """All of it as facts (m, WIDTH); ``code`` of the length of a day."""
        profiles = np.frombuffer(self._profiles.tobytes(), np.int64).reshape(-1, _PROFILE)
        visits = np.frombuffer(self._visits.tobytes(), np.int64).reshape(-1, _VISIT)
        out = np.zeros((len(profiles) + len(visits), WIDTH), np.int64)
        out[:, :3], out[:, ZONE] = (self.close_ms, code, self.start_ms), -1
        for kind, part, to in ((PROFILE, profiles, out[: len(profiles)]), (VISIT, visits, out[len(profiles) :])):
            to[:, KIND] = kind
            to[:, [HIGH, LOW, PROVIDER, TS]] = part[:, :4]
        out[: len(profiles), TOLD:] = profiles[:, 4:]
        out[len(profiles) :, ZONE] = visits[:, 4]
        return out

    def state(self) -> tuple[bytes, bytes]:
        """Everything a later ``Day(..., state)`` needs to go on."""
        return self._profiles.tobytes(), self._visits.tobytes()


def withdrawn(day: tuple[int, int], code: int, kind: int, who: Pseudonym, provider: int) -> I64:
    """The fact (1, WIDTH) that takes back all that was told of a person on a day (start, close in ms)."""
    return _row(day, code, (WITHDRAWN, *who, provider, kind))


def sealed(day: tuple[int, int], code: int, kind: int, seal: tuple[int, int]) -> I64:
    """The fact (1, WIDTH) that tells with which key the pseudonyms of a day were made, by its digest."""
    return _row(day, code, (SEALED, *seal, -1, kind))


def _row(day: tuple[int, int], code: int, told: tuple[int, int, int, int, int]) -> I64:
    out = np.zeros((1, WIDTH), np.int64)
    out[0, :3], out[0, ZONE] = (day[1], code, day[0]), -1
    out[0, [KIND, HIGH, LOW, PROVIDER, OF]] = told
    return out
