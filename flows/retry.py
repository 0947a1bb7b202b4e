"""Work for the store, again and again while it does not answer."""

from __future__ import annotations

from collections.abc import Callable

from engine.errors import ServiceUnreachable
from flows.guard import stop
from flows.health import health

_BACK_OFF_S = (0.1, 0.2, 0.5, 1.0, 2.0)


def retried(work: Callable[[], None]) -> None:
    """Do ``work``; while the store is unreachable wait and try again, until the process is asked to stop."""
    attempt = 0
    while True:
        try:
            work()
            if attempt:
                health.store_answered()
            return
        except ServiceUnreachable as error:
            if stop.is_set():
                raise
            health.store_failed(str(error), again=attempt > 0)
            if stop.wait(_BACK_OFF_S[min(attempt, len(_BACK_OFF_S) - 1)]):
                raise
            attempt += 1
