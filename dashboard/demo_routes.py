"""The demo's switch: which scene plays.

    GET /api/demo   {"scenes": [name…], "scene": name, "run": id}: what there is; what plays, or will in a moment
    POST /api/demo  {"scene": name}: play it, as a new run; the same answer. 400 where there is no such scene

Only the demo's server has them; /api/session tells the page whether there are any.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from dashboard.answers import answer, refused


class Scenes(Protocol):
    """Who plays the scenes; safe for threads."""

    @property
    def names(self) -> Sequence[str]:
        """All scenes."""
        ...

    def playing(self) -> tuple[str, str]:
        """The scene that plays or will in a moment, and the id of its run."""
        ...

    def play(self, scene: str) -> None:
        """Play another scene, one of ``names``, or the same from its beginning; does not wait for it."""
        ...


async def _told(request: Request) -> Response:
    return _state(request.app.state.scenes)


async def _play(request: Request) -> Response:
    scenes: Scenes = request.app.state.scenes
    scene = request.state.body.get("scene")
    if not isinstance(scene, str) or scene not in scenes.names:
        return refused("scene", 400)
    await request.app.state.door.note(request.state.who, "scene", detail=scene)
    scenes.play(scene)
    return _state(scenes)


def _state(scenes: Scenes) -> Response:
    scene, run = scenes.playing()
    return answer({"scenes": list(scenes.names), "scene": scene, "run": run})


ROUTES = [Route("/api/demo", _told, methods=["GET"]), Route("/api/demo", _play, methods=["POST"])]
