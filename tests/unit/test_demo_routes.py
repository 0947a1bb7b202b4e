"""The demo's switch of scenes: who may play one, and what is no scene."""

from __future__ import annotations

import http.client
import json

import pytest

from dashboard.app import create_app
from dashboard.roles import Who
from dashboard.serve import serve
from tests.browser.fake_store import FakeStore
from tests.unit.test_dashboard_app import get


class Stage:
    """Scenes that are noted, not played."""

    names = ("weekday", "smoke")

    def __init__(self) -> None:
        self.scene = "weekday"

    def playing(self) -> tuple[str, str]:
        return self.scene, f"{self.scene}-1"

    def play(self, scene: str) -> None:
        self.scene = scene


@pytest.mark.parametrize(("role", "scene", "status"), [
    ("supervisor", "smoke", 200), ("operator", "smoke", 200), ("viewer", "smoke", 403), ("supervisor", "fire", 400),
    ("supervisor", 1, 400), ("supervisor", None, 400),
])  # fmt: skip
def test_scenes_are_played_by_those_who_may(role: str, scene: object, status: int):
    stage = Stage()
    server = serve(create_app(FakeStore(), scenes=stage, local=Who("demo", role)))  # type: ignore[arg-type]
    try:
        before = {"scenes": ["weekday", "smoke"], "scene": "weekday", "run": "weekday-1"}
        assert json.loads(get(server, "/api/demo")[2]) == before
        connection = http.client.HTTPConnection(server.url.removeprefix("http://"), timeout=10)
        headers = {"content-type": "application/json", "origin": server.url}
        connection.request("POST", "/api/demo", json.dumps({"scene": scene}), headers)
        answer = connection.getresponse()
        told = json.loads(answer.read())
        connection.close()
    finally:
        server.stop()
    assert answer.status == status
    if status == 200:
        assert told == {**before, "scene": scene, "run": f"{scene}-1"}
    else:
        assert stage.scene == "weekday"


def test_only_the_demo_has_scenes():
    server = serve(create_app(FakeStore()))  # type: ignore[arg-type]
    try:
        assert get(server, "/api/demo")[0] == 404
    finally:
        server.stop()
