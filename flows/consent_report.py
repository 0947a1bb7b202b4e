"""What supervisors are told of the consents of a run: a row a minute, by the process that has partition 0.

A thread of its own asks and writes the store: while it waits for one, consents are read on and judged. A start first
asks what was told last and goes on from it (engine/standing.py), so nothing is told before the store has answered::

    store   what was told last?        row ── a minute ── row ── …
    topics  ····· being read ·····▶ at their end
    told    nothing   as before        as before until ten people of a provider have moved
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Protocol

from engine.errors import HitonamiError
from engine.standing import Standing
from flows.consents import Gate
from flows.guard import guarded
from sinks.clickhouse.consents import STEP_MS, ConsentState

_LAST_S = 1.0  # that an end waits for the store to take what was told last


class Kept(Protocol):
    """The store; its methods may raise HitonamiError."""

    def consents_told(self, run_id: str) -> ConsentState | None:
        """What the run goes on from, None where it is nothing."""

    def put_consents(self, run_id: str, state: ConsentState) -> None:
        """Keep it."""


class Reporter:
    """Has the state of ``gate``'s consents kept in ``store`` as a run's. ``now``, ``clock``: see Gate.

    All of it is called by the thread that polls the gate.
    """

    def __init__(
        self,
        gate: Gate,
        store: Kept,
        run_id: str,
        *,
        now: Callable[[], float] = time.monotonic,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._gate, self._store, self._run_id = gate, store, run_id
        self._now, self._clock = now, clock
        self._reports = self._counts = False
        self._knows = False  # whether the store has said what was told before
        self._before: ConsentState | None = None
        self._asked_s = self._kept_s = float("-inf")
        self._thread: threading.Thread | None = None

    def begin(self) -> None:
        """This process is the one that tells."""
        self._reports = True

    def report(self) -> None:
        """Have the state kept where a minute has passed; not while the store has not taken the one before."""
        busy = self._thread is not None and self._thread.is_alive()
        if not self._reports or busy:
            return
        now_s = self._now()
        if now_s - (self._kept_s if self._knows else self._asked_s) < STEP_MS / 1000:
            return
        work: Callable[[], None]
        if self._knows:
            # made here: consents are this thread's
            self._kept_s, work = now_s, partial(self._store.put_consents, self._run_id, self._state())
        else:
            self._asked_s, work = now_s, self._recall
        self._thread = threading.Thread(target=_tried, args=(work,), name="consents", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Let the store take what was told last."""
        if self._thread is not None:
            self._thread.join(_LAST_S)

    def _recall(self) -> None:
        self._before = self._store.consents_told(self._run_id)
        self._knows = True

    def _state(self) -> ConsentState:
        """What supervisors may be told (PRIVACY.md R6): no subject, no count below ten."""
        held, standings = self._gate.held(), self._gate.consents.standings
        before = [] if self._before is None else _standings(self._before)
        if not self._counts and held.lag_ms is not None:  # topics were read to their end
            self._counts = True
            standings.begin(None if self._before is None else before)
        told = standings.told() if self._counts else before
        return ConsentState(
            at_ms=int(self._clock() * 1000),
            lag_ms=held.lag_ms,
            held=held.held,
            faults=held.faults,
            subjects={each.provider: each.low for each in told},
            terms={each.provider: list(each.terms) for each in told},
        )


def _standings(state: ConsentState) -> list[Standing]:
    return [Standing(provider, low, tuple(state.terms.get(provider, ()))) for provider, low in state.subjects.items()]


@guarded
def _tried(work: Callable[[], None]) -> None:
    with contextlib.suppress(HitonamiError):  # a store that is away: the next minute tells it
        work()
