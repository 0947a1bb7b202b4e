"""The page's routes and headers.

    /               the page (fresh), its files under /s/<hash of them all>/ (kept for ever by the browser)
    /events         the stream (feed.py): ?run= (default: the newest live run, else the newest replay) &window= &last=
    /api/status     read, accepted, rejected by reason, watermark_age_ms, as the run's row tells them
    /api/runs       the runs in the store
    /healthz        ok while the server answers
    /readyz         ok while the store answers; else 503 and why
    /metrics        figures of the shown run's row for Prometheus (metrics.py)

There are no users yet: the server binds to loopback only (serve.py), and only answers to loopback names, so that no
foreign site can read it through a name of its own that points here.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import time
from collections.abc import AsyncIterator, Callable, Mapping
from importlib import resources
from typing import TYPE_CHECKING, Any

import orjson
from sse_starlette.sse import EventSourceResponse
from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dashboard import metrics
from dashboard.feed import Feed, TooManyStreams
from engine.model import WINDOWS

if TYPE_CHECKING:
    from sinks.clickhouse.store import Store

HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "worker-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}
NO_STORE = {"cache-control": "no-store"}
_TYPES = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8"}
_HOSTS = ("127.0.0.1", "localhost", "[::1]")
_LONGEST = 200  # characters of a run id in a request


def create_app(
    store: Store, *, run_id: str | None = None, clock: Callable[[], float] = time.time, poll_s: float = 0.5
) -> Starlette:
    """The page over ``store``.

    ``run_id`` = the run to show where the browser asks for none (None: the newest live run, else the newest replay).
    ``clock`` gives seconds since the epoch; all ages count from it. ``poll_s`` = pause between two looks at the store.
    """
    page, files = _assets()

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        app.state.feed = feed = Feed(store, run_id, clock, poll_s)
        task = asyncio.create_task(feed.run())
        yield
        feed.close()
        task.cancel()

    async def index(_: Request) -> Response:
        return Response(page, media_type="text/html; charset=utf-8", headers=NO_STORE)

    async def static(request: Request) -> Response:
        found = files.get(request.url.path)
        if found is None:
            return PlainTextResponse("not found", 404)
        body, kind = found
        return Response(body, media_type=kind, headers={"cache-control": "public, max-age=31536000, immutable"})

    routes = [
        Route("/", index),
        Route("/s/{path:path}", static),
        Route("/events", _events),
        Route("/api/status", _status),
        Route("/api/runs", _runs),
        Route("/healthz", _healthz),
        Route("/readyz", _readyz),
        Route("/metrics", _metrics),
    ]
    return Starlette(routes=routes, lifespan=lifespan, middleware=[Middleware(_Guard)])


async def _events(request: Request) -> Response:
    feed: Feed = request.app.state.feed
    run, window = request.query_params.get("run") or None, request.query_params.get("window") or None
    if window is not None and window not in WINDOWS:
        return PlainTextResponse("no such window", 400)
    if run is not None and len(run) > _LONGEST:
        return PlainTextResponse("no such run", 400)
    # EventSource sends the header only when it reconnects by itself; the page reopens it with ?last=
    last = request.headers.get("last-event-id") or request.query_params.get("last")
    try:
        channel = feed.channel(run, window)
    except TooManyStreams:
        return PlainTextResponse("too many streams", 503)
    return EventSourceResponse(feed.listen(channel, last), ping=0)


async def _status(request: Request) -> Response:
    return await _from_store(request.app.state.feed.status)


async def _runs(request: Request) -> Response:
    return await _from_store(request.app.state.feed.runs)


async def _from_store(read: Callable[[], Any]) -> Response:
    try:
        return _json(await read())
    except Exception:  # the store's trouble, whatever it is; feed.py logs it
        return _json({"error": "the store does not answer"}, 503)


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


def told(words: str, status: int = 200) -> Response:
    """A short answer for people and probes."""
    return PlainTextResponse(words + "\n", status, headers=NO_STORE)


def _json(body: Any, status: int = 200) -> Response:
    return Response(orjson.dumps(body), status, NO_STORE, "application/json")


def _assets() -> tuple[bytes, Mapping[str, tuple[bytes, str]]]:
    """The page, and its files by path; the hash in the paths changes with any of them."""
    sources: dict[str, bytes] = {}
    for entry in sorted(resources.files("dashboard").joinpath("static").iterdir(), key=lambda e: e.name):
        if entry.is_file():
            sources[entry.name] = entry.read_bytes()
    page = sources.pop("index.html")
    served = {name: body for name, body in sources.items() if name[name.rfind(".") :] in _TYPES}
    digest = hashlib.sha256()
    for name, body in served.items():
        digest.update(b"%d %s %d\n" % (len(name), name.encode(), len(body)) + body)
    root = f"/s/{digest.hexdigest()[:16]}/"
    preload = "\n".join(
        f'<link rel="modulepreload" href="{root}{name}">'
        for name in served
        if name.endswith(".js") and not name.endswith("-worker.js")
    )
    page = page.replace(b"<!--preload-->", preload.encode()).replace(b"/s/HASH/", root.encode())
    return page, {root + name: (body, _TYPES[name[name.rfind(".") :]]) for name, body in served.items()}


class _Guard:
    """Puts the fixed headers on every response; turns away requests under foreign host names."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        host = next((value.decode("latin-1") for name, value in scope["headers"] if name == b"host"), "")
        name, _, port = host.rpartition(":")
        if (name if name and port.isdecimal() else host).lower() not in _HOSTS:
            await PlainTextResponse("this page answers to 127.0.0.1 and localhost only", 421)(
                scope, receive, with_headers
            )
            return
        await self.app(scope, receive, with_headers)
