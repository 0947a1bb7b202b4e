"""A served page with a user of every role, a clock that a test moves, and its trail."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dashboard.app import create_app
from dashboard.roles import GIVEN, Who
from dashboard.serve import Server, serve
from dashboard.sessions import Sessions
from dashboard.trail import Trail
from dashboard.users import Cost, Users
from tests.browser.fake_store import FakeRun, FakeStore
from tests.support.http import Client

CHEAP = Cost(n=16, r=1, p=1)  # how costly a guess is, is no matter of these tests
PASSWORD = "three words and more"
ALL = ("analyst", "operator", "public", "supervisor", "viewer")


class Clock:
    def __init__(self) -> None:
        self.now = 1_770_450_020.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Desk:
    server: Server
    store: FakeStore
    users: Users
    trail: Trail
    clock: Clock
    path: Path

    def client(self, role: str) -> Client:
        """Somebody of that role, logged in by the back door."""
        client = Client(self.server)
        if role != "public":
            client.cookie = "hitonami=" + Sessions(self.users, self.clock).begin(Who(role, role))
        return client

    def what(self) -> list[tuple[str, str, str]]:
        """The trail from its beginning: what, who, detail."""
        return [(row["what"], row["who"], row["detail"]) for row in reversed(self.trail.newest(1000))]


class Scenes:
    """A demo's scenes that play nothing."""

    names = ("weekday", "smoke")

    def __init__(self) -> None:
        self.scene = "weekday"

    def playing(self) -> tuple[str, str]:
        return self.scene, "live"

    def play(self, scene: str) -> None:
        self.scene = scene


def opened(tmp_path: Path, **options: Any) -> Desk:
    store, clock = FakeStore(None, FakeRun(), FakeRun(run_id="w1", kind="workbench")), Clock()
    users = Users(tmp_path / "users", make=True, cost=CHEAP)
    for role in GIVEN:
        users.add(role, role, PASSWORD)
    trail = Trail(tmp_path / "trail", clock)
    app = create_app(store, clock=clock, users=users, trail=trail, **{"poll_s": 0.1, "scenes": Scenes(), **options})  # type: ignore[arg-type]
    return Desk(serve(app), store, users, trail, clock, tmp_path)


def ended(desk: Desk) -> None:
    desk.server.stop()
    desk.users.close()
    desk.trail.close()
