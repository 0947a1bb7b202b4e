"""What people do with alerts, over an embedded store: what one does, another sees, also after restarts."""

from __future__ import annotations

import http.client
import json
import time
from pathlib import Path
from typing import Any

from dashboard.app import create_app
from dashboard.serve import Server, serve
from dashboard.trail import Trail, beside
from dashboard.users import Cost, Users
from sinks.clickhouse.store import Store
from tests.services.released import T0, alert_row, alerts, run
from tests.support.http import Client

PASSWORD = "three words and more"


class Opened:
    """Store, users and server of one process's life."""

    def __init__(self, url: str, path: Path) -> None:
        self.store = Store.open(url)
        self.store.migrate()
        self.users = Users(path, make=True, cost=Cost(n=16, r=1, p=1))
        self.trail = Trail(beside(path), time.time)
        self.server: Server = serve(create_app(self.store, users=self.users, trail=self.trail))

    def close(self) -> None:
        self.server.stop()
        self.trail.close()
        self.users.close()
        self.store.close()


def told(stream: http.client.HTTPResponse, state: str) -> dict[str, Any]:
    """The alert of the stream once it is in that state."""
    while True:
        line = stream.readline()
        assert line, "the stream has ended"
        if line.startswith(b"data: "):
            found: list[dict[str, Any]] = json.loads(line.removeprefix(b"data: ")).get("alerts", [])
            if found and found[0]["state"] == state:
                return found[0]


def listening(client: Client) -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection(client.host, timeout=20)
    connection.request("GET", "/events", headers={"cookie": client.cookie})
    return connection.getresponse()


def test_op_06_an_acknowledgement_reaches_the_second_operator_and_outlives_a_restart(chdb_url: str, tmp_path: Path):
    first = Opened(chdb_url, tmp_path / "users")
    first.store.start_run(run("live", kind="live"))
    first.store.insert(alerts("u", alert_row("a", T0, severity="critical")), "live")
    first.users.add("佐藤", "operator", PASSWORD)
    first.users.add("伊藤", "operator", PASSWORD)
    one, two = Client(first.server), Client(first.server)
    assert one.login("佐藤", PASSWORD).status == two.login("伊藤", PASSWORD).status == 200
    stream = listening(two)
    assert told(stream, "new")["owner"] == ""
    assert one.post("/api/alerts/a", {"run": "live", "action": "assign", "owner": "佐藤"}).status == 200
    assert one.post("/api/alerts/a", {"run": "live", "action": "acknowledge"}).status == 200
    assert told(stream, "acknowledged")["owner"] == "佐藤"
    stream.close()
    first.close()

    second = Opened(chdb_url, tmp_path / "users")
    two = Client(second.server, two.cookie)  # still logged in
    assert told(listening(two), "acknowledged")["owner"] == "佐藤"
    (alert,) = two.get("/api/alerts?run=live").json()
    assert [(action["action"], action["by"]) for action in alert["actions"]] == [
        ("assign", "佐藤"), ("acknowledge", "佐藤"),
    ]  # fmt: skip
    assert two.post("/api/alerts/none", {"run": "live", "action": "acknowledge"}).status == 404
    second.users.set_role("伊藤", "supervisor")
    two.login("伊藤", PASSWORD)
    assert [(row["what"], row["who"], row["alert"]) for row in reversed(two.get("/api/audit").json())] == [
        ("login", "佐藤", ""), ("login", "伊藤", ""), ("act", "佐藤", "a"), ("act", "佐藤", "a"),
        ("act", "伊藤", "none"), ("undone", "伊藤", "none"), ("login", "伊藤", ""),
    ]  # fmt: skip
    second.close()
