"""The routes that only read: the stream, the run's counters, the runs, and what probes ask.

/events         the stream (feed.py): ?run= (default: the newest live run, else the newest replay) &window= &last=
/api/status     read, accepted, rejected by reason, watermark_age_ms, as the run's row tells them
/api/runs       the runs in the store
/healthz        ok while the server answers
/readyz         ok while the store answers; else 503 and why
/metrics        figures of the shown run's row for Prometheus (metrics.py)
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Any

from sse_starlette.sse import EventSourceResponse
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from dashboard import metrics
from dashboard.answers import NO_STORE, from_store, told
from dashboard.asked import LONGEST
from dashboard.feed import Channel, Feed, TooManyStreams
from dashboard.roles import WORKBENCH
from engine.model import WINDOWS


async def _events(request: Request) -> Response:
    feed: Feed = request.app.state.feed
    run, window = request.query_params.get("run") or None, request.query_params.get("window") or None
    if window is not None and window not in WINDOWS:
        return PlainTextResponse("no such window", 400)
    if run is not None and len(run) > LONGEST:
        return PlainTextResponse("no such run", 400)
    # EventSource sends the header only when it reconnects by itself; the page reopens it with ?last=
    last = request.headers.get("last-event-id") or request.query_params.get("last")
    try:
        channel = feed.channel(run, window)
    except TooManyStreams:
        return PlainTextResponse("too many streams", 503)
    return EventSourceResponse(_while_allowed(request, channel, feed.listen(channel, last)), ping=0)


async def _while_allowed(
    request: Request, channel: Channel, frames: AsyncGenerator[bytes, None]
) -> AsyncIterator[bytes]:
    """``frames`` until the session ends: by a logout, its age, another role, the user's removal.

    Or the run turns out to be a workbench's, for those it is not for: it may have begun after the stream.
    """
    async with aclosing(frames):
        async for frame in frames:
            if not await request.state.still_allowed():
                return
            view = channel.view
            if view is not None and view.status["kind"] == "workbench" and not request.state.who.may(WORKBENCH):
                return
            yield frame


async def _status(request: Request) -> Response:
    return await from_store(request.app.state.feed.status)


async def _runs(request: Request) -> Response:
    async def listed() -> list[dict[str, Any]]:
        runs: list[dict[str, Any]] = await request.app.state.feed.runs()
        return [run for run in runs if run["kind"] != "workbench" or request.state.who.may(WORKBENCH)]

    return await from_store(listed)


async def _healthz(_: Request) -> Response:
    return PlainTextResponse("ok", headers=NO_STORE)


async def _readyz(request: Request) -> Response:
    try:
        await request.app.state.feed.run_shown()
    except Exception:  # the store's trouble, whatever it is
        return told("store: does not answer", 503)
    return told("ok")


async def _metrics(request: Request) -> Response:
    feed: Feed = request.app.state.feed
    try:
        run, answers = await feed.run_shown(), True
    except Exception:  # the store's trouble is a figure of its own
        run, answers = None, False
    families = [*metrics.of_build(), metrics.gauge("store_answers", "1 while the store answers.", answers)]
    return Response(metrics.text([*families, *metrics.of_run(run, feed.now_ms())]), 200, NO_STORE, metrics.TEXT_TYPE)


ROUTES = [
    Route("/events", _events),
    Route("/api/status", _status),
    Route("/api/runs", _runs),
    Route("/healthz", _healthz),
    Route("/readyz", _readyz),
    Route("/metrics", _metrics),
]
