"""The routes of the login: who am I, in and out.

GET  /api/session   {"name", "role", "login": are there users, "demo": are there scenes to play, "may": [permission…]}
POST /api/login     {"name", "password"} → the session and its cookie; 401; 429 with Retry-After
POST /api/logout    {} → the session is over, also its open streams
"""

from __future__ import annotations

import math
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from dashboard.answers import answer, refused
from dashboard.door import Door, Wait
from dashboard.roles import OPEN, PERMISSIONS, Who


def _told(who: Who, request: Request) -> dict[str, Any]:
    may = [permission for permission in PERMISSIONS if permission != OPEN and who.may(permission)]
    of = request.app.state
    login, demo = of.door.users is not None, of.scenes is not None
    return {"name": who.name, "role": who.role, "login": login, "demo": demo, "may": may}


async def _session(request: Request) -> Response:
    return answer(_told(request.state.who, request))


async def _login(request: Request) -> Response:
    door: Door = request.app.state.door
    if door.users is None:
        return refused("there are no users", 404)
    name, password = request.state.body.get("name"), request.state.body.get("password")
    if not isinstance(name, str) or not isinstance(password, str):
        return refused("name and password", 400)
    found = await door.login(name, password, request)
    if isinstance(found, Wait):
        wait = math.ceil(found.seconds)
        response = answer({"error": "too many", "wait_s": wait}, 429)
        response.headers["retry-after"] = str(wait)
        return response
    if found is None:
        return refused("name or password", 401)
    who, made = found
    response = answer(_told(who, request))
    _set(response, door, made)
    return response


async def _logout(request: Request) -> Response:
    door: Door = request.app.state.door
    await door.logout(request)
    response = answer({"ok": True})
    if door.users is not None:
        _set(response, door, "")
    return response


def _set(response: Response, door: Door, made: str) -> None:
    """No Max-Age: the browser forgets it at its end, the server before (sessions.py)."""
    response.set_cookie(
        door.cookie, made, max_age=None if made else 0, path="/", secure=door.https, httponly=True, samesite="strict"
    )


ROUTES = [
    Route("/api/session", _session),
    Route("/api/login", _login, methods=["POST"]),
    Route("/api/logout", _logout, methods=["POST"]),
]
