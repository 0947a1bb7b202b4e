"""Release of signage: distinct sessions of closed windows in, what may be told of touches and screens out (PRIVACY.md).

touches, 15m: one tree for each (device, screen). Its cells are the languages, all of ISO 639-1 and one for the others,
listed or not; a session stands in one of them. Sessions go from screen to screen, so sums over screens are no table.

    (kita2-01, top)  total ─┬─ ja  12        told
                            ├─ en   0…4      not listed: as all of the domain that nobody used
                            └─ …

screens, 1h: sessions that went from one screen to another; one session stands in many such cells, so there are no
totals. All of a screen's moves are of sessions that are among its touches of the four quarters of the hour, so a cell
is capped by what is told of these (``tree_rules.capped``).

Only rows with ``n_low`` ≥ k are listed: what is not listed is hidden, and that somebody was there at all is not told.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from engine import kernels
from engine.config import Config
from engine.distinct import first_of
from engine.languages import LANGUAGES
from engine.model import HOUR, I64, LENGTH_MS, STATUS, WINDOWS, Released
from engine.signage import DEVICE, FIRST, HIGH, LOW, OTHER, QUARTER, SCREEN
from engine.timezone import TimeZone
from engine.tree_rules import capped, figures, unlisted

_ALL = ""  # in a name column: all of them
_QUARTER_MS = LENGTH_MS[QUARTER]


class SignageRows:
    """What may be told of windows, one after the other in the order in which they close.

    Keeps what was told of the screens' totals until the hours that hold their quarters have closed.
    """

    def __init__(self, config: Config, clock: TimeZone) -> None:
        self._k, self._guard = config["touches", "k"], config["touches", "guard"]
        self._screens_k = config["screens", "k"]
        self._clock = clock
        self._unlisted = unlisted(len(LANGUAGES), self._k, self._guard)  # of a screen that nobody touched, or a few
        self._totals: dict[tuple[int, str, str], tuple[int, int]] = {}  # (start, device, screen) -> released range

    def release(self, code: int, start_ms: int, rows: I64, names: tuple[str, ...], version: str) -> list[Released]:
        """Rows of one window from the facts of all partitions (engine/signage.py), at least one.

        ``rows`` (m, COLUMNS) in any order, codes into ``names``; a repeat of a session counts once.
        """
        unit = f"{WINDOWS[code]}/{start_ms}"
        if code == QUARTER:
            return self._touches(start_ms, rows, names, version, unit)
        return self._moves(code, start_ms, rows, names, version, unit)

    def _touches(self, start: int, rows: I64, names: tuple[str, ...], version: str, unit: str) -> list[Released]:
        # of a session the first touch of the screen counts, whichever partition holds it
        rows = first_of(rows, (DEVICE, SCREEN, HIGH, LOW), FIRST)
        cells, of_root, n = _counted(rows, len(names))
        many = len(cells)
        roots, listed = cells[np.flatnonzero(np.diff(of_root, prepend=-1)), :2], np.bincount(of_root)
        size = many + len(roots)
        parent = np.full(size, -1, np.int32)
        parent[:many] = many + of_root
        people, absent = np.zeros(size, np.int64), np.zeros(size, np.int64)
        people[:many] = n
        absent[many:] = len(LANGUAGES) - listed
        low, high = np.empty(size, np.int64), np.empty(size, np.int64)
        kernels.active().tree(parent, people, absent, self._k, self._guard, low, high)
        ends = zip(roots.tolist(), low[many:].tolist(), high[many:].tolist(), strict=True)
        told = {(start, names[d], names[s]): (least, most) for (d, s), least, most in ends}
        # that anybody touched a screen of which nothing is told is kept nowhere, in recovery files neither
        self._totals |= {key: of for key, of in told.items() if of != self._unlisted}
        words, before = (*names, _ALL), start - 2 * LENGTH_MS[HOUR]  # hours without a move are never asked for
        self._totals = {key: told for key, told in self._totals.items() if key[0] >= before}
        total = np.column_stack([roots, np.full(len(roots), len(names), np.int64)])
        keys = np.concatenate([cells, total])
        columns = ("device", "screen", "lang")
        return _told("touches", columns, keys, low, high, self._k, (QUARTER, start), words, version, unit)

    def _moves(
        self, code: int, start: int, rows: I64, names: tuple[str, ...], version: str, unit: str
    ) -> list[Released]:
        rows = first_of(rows, (DEVICE, SCREEN, OTHER, HIGH, LOW), FIRST)
        cells, _, n = _counted(rows, len(names))
        end = int(self._clock.next(np.array([start], np.int64), code)[0])
        quarters = range(start - start % _QUARTER_MS, end, _QUARTER_MS)
        ranges = np.array(
            [
                [self._totals.get((q, names[d], names[s]), self._unlisted) for q in quarters]
                for d, s, _ in cells.tolist()
            ],
            np.int64,
        )
        low, high = capped(n, self._screens_k, ranges[:, :, 0], ranges[:, :, 1], self._k)
        last = end - end % _QUARTER_MS  # a quarter that reaches into the next hour is needed there too
        self._totals = {key: told for key, told in self._totals.items() if key[0] >= last}
        columns = ("device", "from", "to")
        return _told("screens", columns, cells, low, high, self._screens_k, (code, start), names, version, unit)

    def state(self) -> object:
        """Everything a later ``restore`` needs."""
        return self._totals

    def restore(self, state: object) -> None:
        """Take back what ``state()`` gave."""
        self._totals = dict(state)  # type: ignore[call-overload]


def proven(rows: Sequence[Released]) -> int:
    """How many touches released rows prove: each session on a screen has touched it at least once."""
    out = 0
    for told in rows:
        if told.product == "touches":
            total = np.array([not word for word in told.names["lang"]], np.bool_)[told.columns["lang"]]
            out += int(np.asarray(told.columns["n_low"], np.int64)[total].sum())
    return out


def _counted(rows: I64, names: int) -> tuple[I64, I64, I64]:
    """The cells of rows: their codes (c, 3) of device, screen and other in order, the place of (device, screen), rows.

    Integers made of two codes each sort many times as fast as rows of three.
    """
    screens, of_row = np.unique(rows[:, DEVICE] * names + rows[:, SCREEN], return_inverse=True)
    cells, n = np.unique(of_row.reshape(-1) * names + rows[:, OTHER], return_counts=True)
    of_cell = cells // names
    codes = np.column_stack([screens[of_cell] // names, screens[of_cell] % names, cells % names])
    return codes, of_cell, n.astype(np.int64)


def _told(
    product: str,
    keys: tuple[str, ...],
    codes: I64,
    low: I64,
    high: I64,
    k: int,
    window: tuple[int, int],
    words: tuple[str, ...],
    version: str,
    unit: str,
) -> list[Released]:
    """Rows of one window in the order of their keys: those of which at least k people are told."""
    shown = np.flatnonzero(low >= k)
    if not len(shown):
        return []
    rank = np.argsort(np.argsort(np.array(words, object)))
    shown = shown[np.lexsort(rank[codes[shown]].T[::-1])]
    n, status = figures(low[shown], high[shown], k)
    columns: dict[str, NDArray[np.generic]] = {
        "window": np.full(len(shown), window[0], np.int32),
        "window_start": np.full(len(shown), window[1], np.int64),
        **{name: codes[shown, place].astype(np.int32) for place, name in enumerate(keys)},
        "n": n,
        "n_low": low[shown],
        "n_high": high[shown],
        "status": status,
    }
    names = {"window": WINDOWS, "status": STATUS, **dict.fromkeys(keys, words)}
    return [Released(product, unit, columns, names, version)]
