"""The health port of a run: /healthz while the process lives, /readyz while it does its work, /metrics for Prometheus.

What it tells obeys PRIVACY.md R6 (flows/health.py), so it may be reached from the network of the machines; it binds to
loopback all the same unless told otherwise, for it has no users.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator

from prometheus_client.core import Metric
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from dashboard import metrics
from dashboard.answers import NO_STORE, told
from dashboard.serve import serve
from flows.health import LAG_STEP, Held, State


def families(state: State, now_ms: int) -> list[Metric]:
    """The figures of a run."""
    lags = {str(partition): float(lag) for partition, lag in state.lags.items()}
    since = state.store_since_ms
    return [
        *metrics.of_build(),
        metrics.gauge("ready", "1 while the run does its work (/readyz).", not state.problem()),
        metrics.gauge(
            "kafka_lag_records",
            f"Records behind the partition's end, in whole steps of {LAG_STEP}.",
            label="partition",
            values=lags,
        ),
        metrics.gauge("kafka_quiet_partitions", "Partitions nothing comes from, not even ticks.", state.quiet),
        metrics.gauge("store_retrying", "1 while work for the store is tried again.", since is not None),
        metrics.gauge(
            "store_retrying_seconds",
            "For how long it has been tried again.",
            0 if since is None else max(0, now_ms - since) / 1000,
        ),
        metrics.counter("store_retries", "Failed attempts of work for the store since the start.", state.retries),
        metrics.counter("rows_inserted", "Released rows stored since the start.", state.inserted),
        metrics.counter("alerts_sent", "Changes of alerts that the webhook took since the start.", state.alerts_sent),
        metrics.counter(
            "alerts_lost", "Changes of alerts that it never will: refused, or too many.", state.alerts_lost
        ),
        *of_consents(state.consents),
        metrics.gauge("resident_memory_bytes", "Resident memory of the run's processes.", state.memory),
        *metrics.of_run(state.run, now_ms),
    ]


def of_consents(held: Held | None) -> list[Metric]:
    """The figures of a run that needs consents."""
    if held is None:
        return []
    return [
        metrics.gauge(
            "consents_held",
            "1 while events are held because consents or contracts are not current, or a contract is nobody's.",
            held.held,
        ),
        metrics.gauge(
            "consents_lag_seconds",
            "For how long nothing is known of new consents or contracts.",
            None if held.lag_ms is None else held.lag_ms / 1000,
        ),
        metrics.gauge(
            "consents_faulty",
            "1 where records of consents could not be used since the start.",
            label="reason",
            values=dict.fromkeys(held.faults, 1.0),
        ),
    ]


def create_app(read: Callable[[], State], clock: Callable[[], float] = time.time) -> Starlette:
    """The three answers over ``read``; ``clock`` gives seconds since the epoch."""

    async def healthz(_: Request) -> Response:
        return told("ok")

    async def readyz(_: Request) -> Response:
        problem = read().problem()
        return told(problem or "ok", 503 if problem else 200)

    async def figures(_: Request) -> Response:
        body = metrics.text(families(read(), round(clock() * 1000)))
        return Response(body, 200, NO_STORE, metrics.TEXT_TYPE)

    return Starlette(routes=[Route("/healthz", healthz), Route("/readyz", readyz), Route("/metrics", figures)])


@contextlib.contextmanager
def served(host: str, port: int | None, read: Callable[[], State]) -> Iterator[str | None]:
    """Serve the health port over ``read`` for the time of the block; gives its URL. ``port`` None: do nothing.

    Raises UsageError for a port that cannot be had.
    """
    if port is None:
        yield None
        return
    server = serve(create_app(read), host, port, anywhere=True)
    try:
        yield server.url
    finally:
        server.stop()
