"""GET /api/download: rows of a product over a span, in the bytes that ``hitonami export`` writes.

    ?product= flow, zones, headings, health, alerts or rejects &format= csv (default) or parquet
    ?run= (default: as /events) &window= (default: all lengths, with the column ``window``) &from= &to= (ms, optional)

Windows that start at ``from`` or later and have ended by ``to``. Rows leave the store slice by slice, each when the
one before has gone out: neither the server nor the live page waits for a long file. Who may read runs of the class
workbench is asked before (guard.py), as of every route with ?run=. At most ``MOST`` files go out at once,
and whoever takes less than ``PIECE`` bytes of one in ``PIECE_S`` gets no more of it: a client that has stalled must not
keep others waiting.
"""

from __future__ import annotations

import asyncio
import io
import logging
import re
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Message, Receive, Scope, Send

from dashboard import asked
from dashboard.answers import NO_STORE
from dashboard.asked import Refused
from dashboard.snapshot import choose
from engine.model import PRODUCTS
from engine.rfc3339 import format_ms
from engine.timezone import TimeZone
from sinks.files import WRITERS, shaped

if TYPE_CHECKING:
    from dashboard.feed import Feed
    from sinks.clickhouse.store import Run, Store

SHOWN = ("flow", "zones", "headings", "health", "alerts", "rejects")
MOST = 2  # files at once: each makes the live page wait for a slice now and then
PIECE, PIECE_S = 65_536, 20.0
MEDIA_TYPES = {"csv": "text/csv; charset=utf-8", "parquet": "application/vnd.apache.parquet"}
log = logging.getLogger("hitonami.dashboard")
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")


class _Drain(io.RawIOBase):
    """What a writer has written and nobody has taken yet."""

    def __init__(self) -> None:
        self._written = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._written += data
        return len(data)

    def take(self) -> bytes:
        """All of it; from then on it is empty."""
        taken = bytes(self._written)
        self._written.clear()
        return taken


def named(run_id: str, product: str, window: str | None, span: tuple[int | None, int | None], format: str) -> str:
    """The file's name, of characters that need no quoting anywhere."""
    times = ["" if at is None else format_ms(at)[:19].replace(":", "") + "Z" for at in span]
    parts = [product, run_id, window or "", *times]
    return "-".join(["hitonami", *(_UNSAFE.sub("_", part)[:80] for part in parts if part)]) + "." + format


def _slices(
    store: Store, run_id: str | None, product: str, window: str | None, start: int | None, end: int | None
) -> tuple[Run, Iterator[pa.Table], pa.Table]:
    """The run, and its rows slice by slice, of which the first is read. Raises Refused for no such run."""
    run = choose(store, run_id)
    if run is None:
        raise Refused("run", 404)
    before = None if end is None else TimeZone(run.timezone).holding(end)
    rows = store.slices(product, run.run_id, window=window, start_ms=start, end_ms=end, before=before)
    return run, rows, next(rows)


async def _download(request: Request) -> Response:
    feed: Feed = request.app.state.feed
    try:
        product, format = request.query_params.get("product"), request.query_params.get("format") or "csv"
        if product not in SHOWN:
            raise Refused("product")
        if format not in WRITERS:
            raise Refused("format")
        window, run_id = asked.window(request), asked.ident(request, "run") or feed.run_id
        if window is not None and "window" not in PRODUCTS[product][1]:
            raise Refused("window")
        start, end = asked.instant(request, "from"), asked.instant(request, "to")
        if start is not None and end is not None and start >= end:
            raise Refused("from")
        if feed.downloads >= MOST:
            raise Refused("busy", 503)
    except Refused as refused:
        return asked.refusal(refused)
    feed.downloads += 1
    file: SentFile | None = None

    async def begun() -> None:
        nonlocal file
        run, rows, first = await feed.call(lambda store: _slices(store, run_id, product, window, start, end))
        name = named(run.run_id, product, window, (start, end), format)
        headers = {**NO_STORE, "content-disposition": f'attachment; filename="{name}"'}
        body = _written(feed, rows, first, product, format, window is None)
        file = SentFile(feed, body, headers, MEDIA_TYPES[format])

    try:
        answer = await asked.told(begun())
    finally:
        if file is None:
            feed.downloads -= 1
    return file or answer


class SentFile(StreamingResponse):
    """A file on its way; it counts as one until it has gone out, or whoever asked for it is gone or has stalled."""

    def __init__(self, feed: Feed, body: AsyncIterator[bytes], headers: Mapping[str, str], kind: str) -> None:
        super().__init__(body, 200, headers, kind)
        self._feed = feed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it, as Starlette asks for."""

        async def taken(message: Message) -> None:
            # a server's send waits until the client has taken most of what was sent before
            async with asyncio.timeout(PIECE_S):
                await send(message)

        try:
            await super().__call__(scope, receive, taken)
        except (TimeoutError, ClientDisconnect):
            log.info("a download was given up: whoever asked for it is gone or does not take it")
        finally:
            self._feed.downloads -= 1


async def _written(
    feed: Feed, rows: Iterator[pa.Table], first: pa.Table, product: str, format: str, window_column: bool
) -> AsyncIterator[bytes]:
    """The file, piece by piece."""
    drain = _Drain()

    def pieces() -> Iterator[bytes]:
        written = memoryview(drain.take())
        return (bytes(written[at : at + PIECE]) for at in range(0, len(written), PIECE))

    out = WRITERS[format](drain)  # type: ignore[arg-type]  # a raw file is all that writers need
    table: pa.Table | None = first
    while table is not None:
        await asyncio.to_thread(out.write, shaped(table, product, window_column))
        for piece in pieces():
            yield piece
        table = await feed.call(lambda _: next(rows, None))
    await asyncio.to_thread(out.close)
    for piece in pieces():
        yield piece


ROUTES = [Route("/api/download", _download)]
