"""Sessions at the touch screens of 北2条広場: who touches what, when and in which language; and the devices."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from loadgen.sensors import APPROVED_FROM, COUNTERS, registry

I64 = NDArray[np.int64]

ZONE = "p2"
SCREENS = ("top", "map", "exits", "trains", "events", "food", "shops")
# What devices send as language, what it is by ISO 639-1, and its share of the sessions.
TAGS = (
    ("ja", "ja", 0.64),
    ("ja-JP", "ja", 0.08),
    ("en", "en", 0.08),
    ("EN", "en", 0.02),
    ("en-US", "en", 0.02),
    ("zh-Hans", "zh", 0.03),
    ("zh_TW", "zh", 0.03),
    ("ko", "ko", 0.05),
    ("th", "th", 0.02),
    ("ru", "ru", 0.01),
    ("yue", "other", 0.01),
    ("x-ainu", "other", 0.01),
)
LANGS = tuple(sorted({lang for _, lang, _ in TAGS}))
LANG_OF = np.array([LANGS.index(lang) for _, lang, _ in TAGS])
TOUCHES_A_SESSION = 9.0  # on average
_MOST_TOUCHES = 60
_GAP_MS, _LEAST_GAP_MS = 4_000, 300  # between two touches, on average, and at least
_MOVES = 0.6  # share of touches that lead to another screen
_CHANGES = 0.05  # share of sessions that change the language after their first touch


class Touched(NamedTuple):
    """Touches, one row each (n,): ts (ms), rows of devices, SCREENS (``to`` -1 = none) and TAGS, number of the session.

    Within a session no two have one ts.
    """

    ts: I64
    device: I64
    session: I64
    screen: I64
    to: I64
    tag: I64

    def take(self, rows: I64 | NDArray[np.bool_]) -> Touched:
        """Some of them."""
        return Touched._make(column[rows] for column in self)


def drawn(
    rng: np.random.Generator, sessions: int, from_ms: int, to_ms: int, devices: int, first_number: int
) -> Touched:
    """All touches of sessions that begin in [from_ms, to_ms)."""
    begin = np.sort(rng.integers(from_ms, to_ms, sessions))
    many = np.minimum(rng.geometric(1 / TOUCHES_A_SESSION, sessions), _MOST_TOUCHES)
    device = rng.integers(0, devices, sessions)
    share = np.cumsum([share for *_, share in TAGS])
    tags = np.searchsorted(share / share[-1], rng.random((2, sessions)), side="right")
    changes = rng.random(sessions) < _CHANGES
    of = np.repeat(np.arange(sessions), many)
    first = np.repeat(many.cumsum() - many, many)
    is_first = np.arange(len(of)) == first
    gap = np.where(is_first, 0, _LEAST_GAP_MS + rng.exponential(_GAP_MS - _LEAST_GAP_MS, len(of))).astype(np.int64)
    step = np.where(rng.random(len(of)) < _MOVES, rng.integers(1, len(SCREENS), len(of)), 0)
    screen = _within(step, first) % len(SCREENS)
    return Touched(
        begin[of] + _within(gap, first) + gap,
        device[of],
        first_number + of,
        screen,
        np.where(step > 0, (screen + step) % len(SCREENS), -1),
        np.where(changes[of] & ~is_first, tags[1][of], tags[0][of]),
    )


def _within(steps: I64, first: I64) -> I64:
    """Sum of the steps before each row, from the row ``first`` of its session on."""
    before = np.cumsum(steps) - steps
    return before - before[first]


def device_ids(devices: int) -> list[bytes]:
    """The devices that are approved, and behind them one that is not any more."""
    return [b"kita2-%02d" % number for number in range(1, devices + 2)]


def signage_registry(devices: int) -> dict[str, Any]:
    """The registry of `weekday` (JSON types) with signage devices in 北2条広場."""
    *approved, gone = [device.decode() for device in device_ids(devices)]
    told = [{"id": device, "zone": ZONE, "approved": [{"from": APPROVED_FROM, "to": None}]} for device in approved]
    told.append({"id": gone, "zone": ZONE, "approved": [{"from": APPROVED_FROM, "to": "2012-03-12T00:00:00Z"}]})
    return {**registry(COUNTERS), "version": "chikaho-signage-1", "devices": told}
