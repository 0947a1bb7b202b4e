"""Calls: the alerts of a live run to its webhook, after they are stored, and only those that are of now."""

from __future__ import annotations

import time
from collections.abc import Callable

from engine.model import LENGTH_MS, NO_TIME, Released
from flows.retry import retried
from sinks.catch_up import CatchUp
from sinks.clickhouse.alerts import Alert
from sinks.clickhouse.store import Store
from sinks.webhook import Change, Webhook, changes_of

_KNOWN_MS = LENGTH_MS[5]  # alerts that began so long before the run's last W may come again after a crash


class Calls:
    """What of a run's alerts is posted to ``webhook``; of one thread, in the order in which rows are stored.

    ``clock`` (Unix time) and ``now`` (monotonic) in seconds.
    """

    def __init__(
        self,
        store: Store,
        run_id: str,
        webhook: Webhook,
        clock: Callable[[], float] = time.time,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store, self._run_id, self._webhook, self._clock = store, run_id, webhook, clock
        self._catch_up = CatchUp(webhook.put, clock, now)
        self._begun = False

    def begin(self) -> None:
        """Read what stands in the store, once: before the first alerts of this process are stored."""
        if self._begun:
            return
        self._begun = True
        retried(self._read)

    def _read(self) -> None:
        run, now_ms = self._store.run(self._run_id), self._clock() * 1000
        standing = self._store.alerts(self._run_id, standing=True)
        closed = NO_TIME if run is None else run.closed_ms
        recent = [] if closed == NO_TIME else self._store.alerts(self._run_id, since_ms=closed - _KNOWN_MS)
        calling = [a for a in standing if a.state != "resolved" and (a.shelved_until_ms or 0) <= now_ms]
        self._catch_up.resume(map(_change, calling), {alert.id for alert in [*standing, *recent]})

    def come(self, w_ms: int) -> None:
        """The run comes to W = ``w_ms``: before ``put`` is given the rows up to there."""
        self.begin()
        if w_ms != NO_TIME:
            self._catch_up.come(w_ms)

    def put(self, rows: Released) -> None:
        """Take rows of ``alerts`` that are stored."""
        self._catch_up.take(list(changes_of(rows)))

    def settle(self) -> None:
        """All rows up to W are stored."""
        self._catch_up.settle()

    def close(self) -> None:
        """Post what waits, for a moment; what is held is posted by the next process, if it still stands."""
        self._webhook.close()


def _change(alert: Alert) -> Change:
    where = alert.rule, alert.kind, alert.severity, alert.zone, alert.gate
    return Change(alert.id, True, *where, alert.registry_version, alert.threshold, alert.began_ms, alert.began_ms)
