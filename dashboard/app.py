"""The page's app: routes of all parts, put together behind the guard.

    /               the page, /login the login, /public the page for everybody; their files under /s/<hash of them all>/
    reads.py        the stream, counters, runs, probes
    login.py        session, login, logout
    acts.py         alerts and what people do with them, the trail
    frames.py       a stored span as the page showed it
    why.py          what a figure rests on
    attributes.py   signage and consenting people, for analysts
    governance.py   consents, contracts and reads, for supervisors
    downloads.py    rows as files
    company.py      the same for companies, by contract
    history.py      figures over time, what is usual then, what comes next
    public.py       what everybody may see: /public and its stream
    demo_routes.py  the switch of the demo, where there is one

Who may do what stands in roles.py, and guard.py sees to it. Without a users' file the server binds to loopback only
(serve.py) and answers to loopback names only, so that no foreign site can read it through a name of its own that points
here; everybody there is ``local``.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Sequence
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from dashboard import (
    acts,
    assets,
    attributes,
    company,
    demo_routes,
    downloads,
    frames,
    governance,
    history,
    login,
    public,
    reads,
    why,
)
from dashboard.answers import NO_STORE, refused
from dashboard.demo_routes import Scenes
from dashboard.door import Door
from dashboard.feed import Feed
from dashboard.guard import Guard
from dashboard.roles import LOCAL, Who
from dashboard.trail import Trail
from dashboard.users import Users

if TYPE_CHECKING:
    from sinks.clickhouse.store import Store


def create_app(
    store: Store,
    *,
    run_id: str | None = None,
    clock: Callable[[], float] = time.time,
    poll_s: float = 0.5,
    users: Users | None = None,
    trail: Trail | None = None,
    local: Who = LOCAL,
    names: Sequence[str] = (),
    https: bool = False,
    scenes: Scenes | None = None,
) -> Starlette:
    """The page over ``store``.

    ``run_id`` = the run to show where the browser asks for none (None: the newest live run, else the newest replay).
    ``clock`` gives seconds since the epoch; all ages count from it. ``poll_s`` = pause between two looks at the store.
    ``users``: who can log in; None: everybody is ``local``. ``trail``: where acts are written down (None: in memory).
    ``names``: host names beside loopback that the page answers to. ``https``: browsers come through TLS.
    The caller closes ``users`` and ``trail``.
    ``scenes``: the demo's, which has a switch for them.
    """
    door = Door(users, trail or Trail(None, clock), clock, local=local, names=names, https=https)
    routes = [
        *_pages(assets.load(), door),
        *reads.ROUTES,
        *login.ROUTES,
        *acts.ROUTES,
        *frames.ROUTES,
        *history.ROUTES,
        *downloads.ROUTES,
        *company.ROUTES,
        *why.ROUTES,
        *attributes.ROUTES,
        *governance.ROUTES,
        *public.ROUTES,
    ]
    routes += [] if scenes is None else demo_routes.ROUTES

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        app.state.feed = feed = Feed(store, run_id, clock, poll_s)
        app.state.public, app.state.kept = public.Public(feed), history.Kept()
        task = asyncio.create_task(feed.run())
        yield
        feed.close()
        task.cancel()

    app = Starlette(
        routes=routes,
        lifespan=lifespan,
        middleware=[Middleware(Guard, routes, door, run_id)],
        exception_handlers={sqlite3.Error: _file_away},
    )
    app.state.door, app.state.scenes = door, scenes
    return app


def _file_away(_: Request, __: Exception) -> Response:
    return refused("the file of users or of the trail does not answer", 503)


def _pages(found: assets.Assets, door: Door) -> list[Route]:
    def page(name: str) -> Response:
        return Response(found.pages[name], media_type="text/html; charset=utf-8", headers=NO_STORE)

    async def index(_: Request) -> Response:
        return page("index")

    async def log_in(_: Request) -> Response:
        return page("login") if door.users is not None else RedirectResponse("/", 303, NO_STORE)

    async def for_everybody(_: Request) -> Response:
        return page("public")

    async def static(request: Request) -> Response:
        asked = found.files.get(request.url.path)
        if asked is None:
            return PlainTextResponse("not found", 404)
        body, kind = asked
        return Response(body, media_type=kind, headers={"cache-control": "public, max-age=31536000, immutable"})

    return [
        Route("/", index),
        Route("/login", log_in),
        Route("/public", for_everybody),
        Route("/s/{path:path}", static),
    ]
