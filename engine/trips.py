"""Product trips: how many people went from zone to zone in a day, one person's places in the order of time.

A trip is two places of one person that follow each other, other zones and at most ``gap_ms`` apart; it belongs to the
day of its arrival, whatever the day of its departure and whichever providers told of the two. A person who makes a trip
twice is one. Cells overlap, for a person makes many trips, so there are no totals; a cell is shown by the rule about
providers from k people on, and what is not listed is hidden.

Beside the day's table of profiles (PRIVACY.md: tables over the same people do not narrow each other): where its grand
total is a range [low, high], a cell of n people with low <= n <= high would narrow it. Such a cell is that range; where
low < k it is hidden too, for its row alone would tell that there are k.
"""

from __future__ import annotations

import numpy as np

from engine.model import DAY, I64, STATUS, WINDOWS, Released
from engine.profile_facts import PROVIDER, TS, VISIT, ZONE, of_kind, people
from engine.providers import kept
from engine.tree_rules import figures


def trips(rows: I64, start_ms: int, gap_ms: int) -> tuple[I64, I64]:
    """Trips that arrive at or behind ``start_ms``: cells (c, 2) of zones from and to, in order; who is in which.

    ``rows`` (m, WIDTH): facts of the day. The second is (t, 3): cell, person, provider; of each provider that told of
    one of the two places.
    """
    visits = of_kind(rows, VISIT)
    person = people(visits)
    ts, zone, provider = visits[:, TS], visits[:, ZONE], visits[:, PROVIDER]
    moved = (person[1:] == person[:-1]) & (zone[1:] != zone[:-1])
    at = np.flatnonzero(moved & (ts[1:] - ts[:-1] <= gap_ms) & (ts[1:] >= start_ms))
    pairs = np.column_stack([zone[at], zone[at + 1]])
    cells, cell = np.unique(pairs, axis=0, return_inverse=True)
    cell = cell.reshape(-1)
    who = [np.column_stack([cell, person[at], provider[place]]) for place in (at, at + 1)]
    return cells.reshape(-1, 2), np.concatenate(who)


def trip_rows(
    rows: I64,
    start_ms: int,
    names: tuple[str, ...],
    version: str,
    *,
    gap_ms: int,
    k: int,
    providers: int,
    total: tuple[int, int] | None,
) -> Released | None:
    """What is published of a day's trips, None where nothing is. ``total``: the released total of the day's table."""
    cells, who = trips(rows, start_ms, gap_ms)
    n = kept(who[:, 0], who[:, 1], who[:, 2], len(cells), k, providers)
    low, high = n.copy(), n.copy()
    shown = n >= k
    if total is not None and total[0] < total[1]:
        near = shown & (total[0] <= n) & (n <= total[1])
        low[near], high[near] = total
        shown &= ~near | (total[0] >= k)
    if not shown.any():
        return None
    low, high = low[shown], high[shown]
    count, (people_of, status) = len(low), figures(low, high, k)
    return Released(
        "trips",
        f"trips/{start_ms}",
        {
            "window": np.full(count, DAY, np.int32),
            "window_start": np.full(count, start_ms, np.int64),
            "from": cells[shown, 0].astype(np.int32),
            "to": cells[shown, 1].astype(np.int32),
            "n": people_of,
            "n_low": low,
            "n_high": high,
            "status": status,
        },
        {"window": WINDOWS, "from": names, "to": names, "status": STATUS},
        version,
    )
