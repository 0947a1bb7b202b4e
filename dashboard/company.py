"""GET /api/company/export: rows for a company, by its contract (PRIVACY.md R7), in the bytes of ``hitonami export``.

    ?contract= &purpose= &product=  &run= (default: the run that is shown, of products of another stream that stream's
    newest)  &window= &from= &to= (ms) &format= as of /api/download; Authorization: Bearer KEY (``hitonami contract
    token``)

A wrong key is 401 and stands in no chain: who has none is nobody's company. What the contract does not allow is 403
with the reason. All rows are read into a file without a name before the chain is told of them, and before the first
goes out (sinks/clickhouse/company.py).
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import logging
import math
import tempfile
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import IO, TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from dashboard import asked
from dashboard.answers import NO_STORE
from dashboard.asked import Refused
from dashboard.downloads import MEDIA_TYPES, MOST, SentFile, named
from dashboard.snapshot import choose
from engine.model import PRODUCTS
from engine.timezone import TimeZone
from sinks.clickhouse.company import Ask, CompanyRead, ReadRefused
from sinks.clickhouse.runs import stream_of
from sinks.files import WRITERS, shaped

if TYPE_CHECKING:
    from dashboard.door import Door
    from dashboard.feed import Feed
    from sinks.clickhouse.store import Store

_CHUNK = 1 << 16
log = logging.getLogger("hitonami.dashboard")


async def _export(request: Request) -> Response:
    feed: Feed = request.app.state.feed
    counted = False
    try:
        ask, format = _ask(request)
        if feed.downloads >= MOST:
            raise Refused("busy", 503)
        feed.downloads += 1
        counted = True
        answer = await _answer(request, feed, ask, format)
        counted = False  # from here on the file counts itself
        return answer
    except Refused as refused:
        return asked.refusal(refused)
    except ReadRefused as refused:
        return asked.refusal(Refused(refused.reason, 403))
    except Exception as error:  # the store's trouble, whatever it is
        log.warning("a company's answer could not be had from the store (%s)", type(error).__name__)
        return asked.refusal(Refused("the store does not answer", 503))
    finally:
        if counted:
            feed.downloads -= 1


def _ask(request: Request) -> tuple[Ask, str]:
    """What is asked for, and the format. Raises Refused."""
    words = {}
    for name in ("contract", "purpose", "product"):
        word = asked.ident(request, name)
        if word is None:
            raise Refused(name)
        words[name] = word
    format = request.query_params.get("format") or "csv"
    if words["product"] not in PRODUCTS:
        raise Refused("product")
    if format not in WRITERS:
        raise Refused("format")
    window, run_id = asked.window(request), asked.ident(request, "run") or ""
    if window is not None and "window" not in PRODUCTS[words["product"]][1]:
        raise Refused("window")
    start, end = asked.instant(request, "from"), asked.instant(request, "to")
    if start is not None and end is not None and start >= end:
        raise Refused("from")
    return Ask(words["contract"], words["purpose"], words["product"], run_id, window, start, end), format


async def _answer(request: Request, feed: Feed, ask: Ask, format: str) -> Response:
    """The file. Raises Refused, ReadRefused, and what the store raises."""
    door: Door = request.app.state.door
    wait = door.try_key(request)
    if wait is not None:
        raise Refused("too many", 429, wait_s=math.ceil(wait.seconds))
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not await feed.call(lambda store: _is_key(store, ask.contract, key.strip())):
        raise Refused("key", 401)
    door.right_key(request)
    read = await feed.call(lambda store: _begun(store, ask, feed))
    file = await asyncio.to_thread(tempfile.TemporaryFile)
    try:
        rows = await _filled(file, feed, ask, read, format)
        await feed.call(lambda _: read.given(rows))
    except BaseException:
        file.close()
        raise
    name = named(read.run.run_id, ask.product, ask.window, (ask.from_ms, ask.to_ms), format)
    headers = {**NO_STORE, "content-disposition": f'attachment; filename="{name}"'}
    return SentFile(feed, _sent(file), headers, MEDIA_TYPES[format])


def _is_key(store: Store, contract: str, key: str) -> bool:
    known = store.contracts().get(contract)
    digest = hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()
    return known is not None and known.token != "" and hmac.compare_digest(digest, known.token)


def _begun(store: Store, ask: Ask, feed: Feed) -> CompanyRead:
    if not ask.run_id:
        stream = stream_of(ask.product)
        run = choose(store, feed.run_id, stream)
        if run is not None and run.events != stream:  # the page shows one run of another stream
            run = choose(store, None, stream)
        ask = replace(ask, run_id="" if run is None else run.run_id)
    return store.company_read(ask, feed.now_ms)


async def _filled(file: IO[bytes], feed: Feed, ask: Ask, read: CompanyRead, format: str) -> int:
    """Write all rows into the file; returns their number."""
    before = None if ask.to_ms is None else TimeZone(read.run.timezone).holding(ask.to_ms)
    tables = await feed.call(
        lambda store: store.slices(
            ask.product,
            read.run.run_id,
            window=ask.window,
            start_ms=ask.from_ms,
            end_ms=ask.to_ms,
            before=before,
        )
    )
    out, rows = WRITERS[format](file), 0
    while (table := await feed.call(lambda _: next(tables, None))) is not None:
        rows += len(table)
        await asyncio.to_thread(out.write, shaped(table, ask.product, ask.window is None))
    await asyncio.to_thread(out.close)
    return rows


async def _sent(file: IO[bytes]) -> AsyncIterator[bytes]:
    """The file, piece by piece."""
    with file:
        file.seek(0)
        while piece := await asyncio.to_thread(file.read, _CHUNK):
            yield piece


ROUTES = [Route("/api/company/export", _export)]
