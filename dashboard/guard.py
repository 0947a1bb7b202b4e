"""Stands before every route: host names, the role table, the rules of POST, the fixed headers.

A request comes through if it is for a host name of ours, its route stands in roles.py and who asks has the permission
for it, and for the run it is about. A POST must come from a page of this server (Origin) and bring one JSON object of
at most ``BODY_BYTES``, which routes find in ``request.state.body``. They find who asks in ``request.state.who``, and in
``request.state.still_allowed`` what a stream asks before it goes on.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

import orjson
from starlette.datastructures import MutableHeaders
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dashboard.answers import NO_STORE, refused
from dashboard.asked import LONGEST
from dashboard.door import LOOPBACK, Door
from dashboard.roles import NOBODY, NOTED, OWN_RUN, WITHOUT_RUN, WORKBENCH, Who, needed

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
BODY_BYTES = 16_384  # the longest note (2,000 bytes), every character of it escaped, and the rest
BODY_S = 10.0  # how long a body may take


class Guard:
    """The middleware; ``routes`` are those of the app, ``run_id`` is the run shown where a request names none."""

    def __init__(self, app: ASGIApp, routes: Sequence[BaseRoute], door: Door, run_id: str | None) -> None:
        self.app, self._routes, self._door, self._run_id = app, routes, door, run_id

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer in place of the app, or let it."""
        if scope["type"] == "websocket":  # there are none
            await send({"type": "websocket.close", "code": 1008})
            return
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        request = Request(scope, receive)
        try:
            answer = await self._turned_away(request)
        except sqlite3.Error:  # the disk is full, or the file is gone: without it nobody is known
            answer = refused("users: the file does not answer", 503)
        await (answer or self.app)(scope, receive, with_headers)

    async def _turned_away(self, request: Request) -> Response | None:
        host = request.headers.get("host", "")
        if _host_name(host) not in self._door.hosts or len(request.headers.getlist("host")) != 1:
            return PlainTextResponse("this page does not answer to that host name", 421)
        path = self._route(request)
        if path is None:
            return None  # the app says 404 or 405
        permission = needed(request.method, path)
        if permission is None:
            return refused("no such right", 403)
        if request.method == "POST" and (answer := await self._bad_post(request, host)):
            return answer
        who = await self._door.who(request)
        request.state.who = who
        request.state.still_allowed = lambda: self._still(request, who)
        if not who.may(permission):
            return await self._refused(request, who, path)
        if path not in WITHOUT_RUN and not who.may(WORKBENCH) and (answer := await self._bad_run(request, who, path)):
            return answer
        if path in NOTED:
            asked = request.query_params
            await self._door.note(who, NOTED[path], run=asked.get("run", ""), detail=asked.get("product", ""))
        return None

    def _route(self, request: Request) -> str | None:
        """The path of the request's route as it is written there, "" if it has none; None where there is no route."""
        for route in self._routes:
            if route.matches(request.scope)[0] == Match.FULL:
                return getattr(route, "path", "")
        return None

    async def _still(self, request: Request, who: Who) -> bool:
        if who == NOBODY:
            return True
        try:
            return await self._door.who(request) == who
        except sqlite3.Error:
            return False

    async def _refused(self, request: Request, who: Who, path: str) -> Response:
        if who == NOBODY:
            if request.method == "GET" and "text/html" in request.headers.get("accept", ""):
                asked = request.url.path + ("?" + request.url.query if request.url.query else "")
                return RedirectResponse("/login?next=" + quote(asked, safe=""), 303, NO_STORE)
            return refused("login", 401)
        await self._door.note_refused(who, f"{request.method} {path}")
        return refused("no such right", 403)

    async def _bad_post(self, request: Request, host: str) -> Response | None:
        if not self._own_origin(request, host):
            return refused("origin", 403)
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
            return refused("content type", 415)
        try:
            async with asyncio.timeout(BODY_S):
                body = await _body(request)
        except (TimeoutError, ClientDisconnect):
            return refused("body", 408)
        if body is None:
            return refused("body too long", 413)
        try:
            told: Any = orjson.loads(body)
        except orjson.JSONDecodeError:
            return refused("body", 400)
        if not isinstance(told, dict):
            return refused("body", 400)
        request.state.body = told
        return None

    def _own_origin(self, request: Request, host: str) -> bool:
        """Whether a page of this server asks: the Origin is the host asked, over TLS where it has to be."""
        given = request.headers.getlist("origin")
        scheme, _, authority = given[0].partition("://") if len(given) == 1 else ("", "", "")
        allowed = ("https",) if self._door.https and _host_name(host) not in LOOPBACK else ("http", "https")
        return scheme in allowed and authority.lower() == host.lower()

    async def _bad_run(self, request: Request, who: Who, path: str) -> Response | None:
        """A workbench run is another release of the same people: not for everyone (PRIVACY.md R5)."""
        body = getattr(request.state, "body", {})
        asked = request.query_params.getlist("run")
        named = [run for run in (*asked, body.get("run")) if run]
        # of several ?run= a route takes the last; where that is empty it shows the server's own run
        if self._run_id and (path in OWN_RUN or not (asked[-1] if asked else body.get("run"))):
            named.append(self._run_id)
        if not named:
            return None
        if any(not isinstance(run, str) or len(run) > LONGEST for run in named):
            return refused("run", 400)
        try:
            found = await request.app.state.feed.call(lambda store: [store.run(run) for run in named])
        except Exception:  # the store's trouble, whatever it is
            return refused("the store does not answer", 503)
        if any(run is not None and run.kind == "workbench" for run in found):
            return await self._refused(request, who, path)
        return None


async def _body(request: Request) -> bytes | None:
    """The body; None where it is too long. Raises ClientDisconnect."""
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > BODY_BYTES:
            return None
    return bytes(body)


def _host_name(host: str) -> str:
    name, _, port = host.rpartition(":")
    return (name if name and port.isdecimal() else host).lower()
