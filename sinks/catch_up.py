"""Which changes of alerts are posted while a run catches up with its logs: of what is over by then, nothing.

Somebody who is called goes there; so what came and went hours ago, and is read only now, calls nobody. A new alert
whose time is past is held until the run has caught up, and posted if it still stands then::

    W               ~~~ 3 h behind the clock ~~~▶ 2 h ~~~▶ now
    a    new ─────────▶ resolved                                 no post
    b            new ───────────────────────────────▶ |          one post, as soon as the run has caught up
    c                                              new           at once: it has just begun

A run catches up while W gains more than twice the time that passes. One whose events always come late gains no more
than that: what it tells is the newest that is known, so it is posted at once.

A process that begins posts again what stands in the store, but for what lies on the shelf or was resolved by hand: the
one before may have held it, or had no time to post it. What it had stored is not taken as unknown to the receiver, so
its end is posted in any case.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence

from sinks.webhook import Change

FRESH_MS = 60_000  # a change that old, or a W that far behind the clock, is of now
PACE_S = 20.0  # over which it is measured how fast W moves: twice the grid on which it is told
PACE = 2.0  # a run whose W moves faster catches up


class CatchUp:
    """Gives on to ``post`` what may be posted; ``clock`` (Unix time) and ``now`` (monotonic) in seconds."""

    def __init__(
        self,
        post: Callable[[Sequence[Change]], None],
        clock: Callable[[], float] = time.time,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._post, self._clock, self._now = post, clock, now
        self._held: dict[str, Change] = {}
        self._known: frozenset[str] = frozenset()
        self._posted: set[str] = set()  # new ones that this process has posted, and no end since
        self._told: deque[tuple[float, int]] = deque()  # when W was told, and W
        self._racing = True

    def resume(self, standing: Iterable[Change], known: Iterable[str]) -> None:
        """Begin with alerts that stand in the store, and the ids of those that a receiver may have been told of."""
        self._held = {change.id: change for change in standing}
        self._known = frozenset(known)

    def come(self, w_ms: int) -> None:
        """The run comes to W = ``w_ms``: before ``take`` is given the changes up to there."""
        now = self._now()
        self._told.append((now, w_ms))
        while len(self._told) > 1 and self._told[1][0] <= now - PACE_S:
            self._told.popleft()
        since, w = self._told[0]
        self._racing = since > now - PACE_S or w_ms - w > PACE * PACE_S * 1000

    def take(self, changes: Sequence[Change]) -> None:
        """Post changes that are stored, or hold them."""
        now_ms = self._clock() * 1000
        out = []
        for change in changes:
            if change.firing and change.id in self._posted:
                continue  # it stood in the store, and its row has come again
            held = self._held.pop(change.id, None)
            if change.firing and self._racing and now_ms - change.changed_ms > FRESH_MS:
                self._held[change.id] = change
            elif change.firing or held is None or change.id in self._known:
                out.append(change)
        self._give(out)

    def settle(self) -> None:
        """All changes up to W are taken: where the run has caught up, post what is still held."""
        current = bool(self._told) and self._clock() * 1000 - self._told[-1][1] <= FRESH_MS
        if self._held and (current or not self._racing):
            held, self._held = sorted(self._held.values(), key=lambda change: (change.changed_ms, change.id)), {}
            self._give(held)

    def _give(self, changes: Sequence[Change]) -> None:
        if not changes:
            return
        for change in changes:
            (self._posted.add if change.firing else self._posted.discard)(change.id)
        self._post(changes)
