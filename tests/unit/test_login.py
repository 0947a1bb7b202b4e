"""Login, sessions and their end, the limits of tries, the trail, over real HTTP."""

from __future__ import annotations

import http.client
import json
import re
import sqlite3
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from dashboard.app import create_app
from dashboard.door import PER_ADDRESS, PER_NAME
from dashboard.roles import Who
from dashboard.serve import serve
from dashboard.sessions import IDLE_S, LONGEST_S
from tests.browser.fake_store import FakeRun
from tests.support.desk import PASSWORD, Desk, ended, opened
from tests.support.http import Client


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """One page for all tests that leave it as it was."""
    desk = opened(tmp_path_factory.mktemp("shared"))
    yield desk
    ended(desk)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    desk = opened(tmp_path)
    yield desk
    ended(desk)


# --------------------------------------------------------------------------- login
def test_login_gives_a_cookie_that_no_script_and_no_other_site_has(desk: Desk):
    client = Client(desk.server)
    told = client.login("operator", PASSWORD)
    assert told.json() == {
        "name": "operator", "role": "operator", "login": True, "demo": True,
        "may": ["see", "act", "workbench", "scene"],
    }  # fmt: skip
    assert re.fullmatch(r"hitonami=[\w-]{43}; HttpOnly; Path=/; SameSite=strict", told.headers["set-cookie"])
    assert client.get("/api/session").json() == told.json()
    assert told.headers["cache-control"] == "no-store"
    assert desk.what() == [("login", "operator", "")]


def test_another_login_ends_the_session_before(desk: Desk):
    client = Client(desk.server)
    client.login("operator", PASSWORD)
    before = client.cookie
    client.login("viewer", PASSWORD)
    assert client.cookie != before
    assert client.get("/api/session").json()["name"] == "viewer"
    assert Client(desk.server, before).get("/api/status").status == 401


@pytest.mark.parametrize(
    ("name", "password"), [("operator", "wrong"), ("nobody", PASSWORD), ("operator", ""), ("", ""), ("\x00", "a")]
)
def test_a_wrong_name_and_a_wrong_password_look_the_same(desk: Desk, name: str, password: str):
    told = Client(desk.server).login(name, password)
    assert (told.status, told.json()) == (401, {"error": "name or password"})
    assert "set-cookie" not in told.headers


@pytest.mark.parametrize("body", [{}, {"name": "a"}, {"name": 1, "password": "b"}, {"name": "a", "password": None}])
def test_a_login_needs_two_texts(shared: Desk, body: dict[str, Any]):
    assert Client(shared.server).post("/api/login", body).status == 400


def test_the_trail_holds_no_password_and_no_name_that_may_be_one(desk: Desk):
    client = Client(desk.server)
    client.login("operator", "CANARY-secret")
    client.login("CANARY-typed-into-the-name", "CANARY-other")
    client.login("operator", PASSWORD)
    client.post("/api/logout", {})
    assert desk.what() == [
        ("failed", "operator", ""), ("failed", "", ""), ("login", "operator", ""), ("logout", "operator", ""),
    ]  # fmt: skip
    assert {row["address"] for row in desk.trail.newest(9) if row["what"] != "logout"} == {"127.0.0.1"}
    held = b"".join(path.read_bytes() for path in desk.path.iterdir())
    assert b"CANARY" not in held and PASSWORD.encode() not in held
    assert client.cookie.encode().partition(b"=")[2] not in held  # nor what opens the page


def test_op_18_logins_are_limited_by_name_and_by_address(desk: Desk):
    client, burst = Client(desk.server), PER_NAME[0]
    assert [client.login("operator", "wrong").status for _ in range(burst + 2)] == [401] * burst + [429] * 2
    typed = (" operator", "operator\t", "\u3000operator ")  # the same user
    assert [client.login(name, "wrong").status for name in typed] == [429] * 3
    told = client.login("operator", PASSWORD)
    assert told.status == 429  # whoever guesses learns nothing more, not even from the right one
    assert 0 < int(told.headers["retry-after"]) <= PER_NAME[1] and told.json()["wait_s"] > 0
    assert client.login("viewer", PASSWORD).status == 200  # another name is not held up
    desk.clock.now += PER_NAME[1]
    assert client.login("operator", PASSWORD).status == 200
    rest = PER_ADDRESS[0] - burst + int(PER_NAME[1] / PER_ADDRESS[1])
    assert [client.login(f"x{n}", "wrong").status for n in range(rest + 1)] == [401] * rest + [429]
    assert client.login("analyst", PASSWORD).status == 429  # but the address is
    desk.clock.now += PER_ADDRESS[1]
    assert client.login("analyst", PASSWORD).status == 200
    assert [what for what, _, _ in desk.what()].count("failed") == burst + rest


def test_guesses_from_elsewhere_keep_nobody_out_who_has_been_here(desk: Desk):
    client, burst = Client(desk.server), PER_NAME[0]

    def guess() -> int:
        connection = http.client.HTTPConnection(client.host, timeout=20, source_address=("127.0.0.2", 0))
        head = {"origin": f"http://{client.host}", "content-type": "application/json"}
        connection.request("POST", "/api/login", b'{"name": "operator", "password": "guessed"}', head)
        status = connection.getresponse().status
        connection.close()
        return status

    assert client.login("operator", PASSWORD).status == 200
    assert [guess() for _ in range(burst + 1)] == [401] * burst + [429]
    assert client.login("operator", PASSWORD).status == 200
    assert [client.login("operator", "wrong").status for _ in range(burst + 1)] == [401] * burst + [429]
    assert guess() == client.login("operator", PASSWORD).status == 429


def test_logins_that_succeed_are_not_limited(desk: Desk):
    assert {Client(desk.server).login("viewer", PASSWORD).status for _ in range(PER_ADDRESS[0] + 5)} == {200}


# --------------------------------------------------------------------------- the end of a session
def test_a_session_ends_when_no_page_uses_it(desk: Desk):
    client = desk.client("viewer")
    for _ in range(3):
        desk.clock.now += IDLE_S - 1
        assert client.get("/api/status").status == 200
    desk.clock.now += IDLE_S
    assert client.get("/api/status").status == 401


def test_a_session_ends_after_a_shift_whoever_uses_it(desk: Desk):
    client, began = desk.client("viewer"), desk.clock.now
    while desk.clock.now - began + IDLE_S / 2 < LONGEST_S:
        desk.clock.now += IDLE_S / 2
        assert client.get("/api/status").status == 200
    desk.clock.now = began + LONGEST_S
    assert client.get("/api/status").status == 401


@pytest.mark.parametrize("how", ["logout", "removed", "role", "password", "age"])
def test_the_end_of_a_session_ends_its_open_streams(desk: Desk, how: str):
    client = desk.client("operator")
    other = desk.client("operator")
    connection = http.client.HTTPConnection(client.host, timeout=20)
    connection.request("GET", "/events", headers={"cookie": client.cookie})
    stream = connection.getresponse()
    assert stream.readline() == b"retry: 1000\n"
    if how == "logout":
        told = client.post("/api/logout", {})
        assert re.fullmatch(r'hitonami="?"?; .*Max-Age=0;.*', told.headers["set-cookie"])
    elif how == "removed":
        desk.users.remove("operator")
    elif how == "role":
        desk.users.set_role("operator", "supervisor")
    elif how == "password":
        desk.users.set_password("operator", PASSWORD + "!")
    else:
        desk.clock.now += LONGEST_S
    assert len(list(islice(stream, 60))) < 60, "it has not ended"  # four lines a second
    connection.close()
    assert client.get("/api/status").status == 401
    assert other.get("/api/status").status == (200 if how == "logout" else 401)


def test_a_stream_of_a_run_that_turns_out_to_be_a_workbench_s_ends_for_viewers(desk: Desk):
    """The run is asked for before it is there: nobody knows of what kind it will be."""
    streams = {}
    for role in ("viewer", "analyst"):
        client = desk.client(role)
        connection = http.client.HTTPConnection(client.host, timeout=20)
        connection.request("GET", "/events?run=w2", headers={"cookie": client.cookie})
        streams[role] = connection.getresponse()
        assert streams[role].readline() == b"retry: 1000\n"
    desk.store.by_id["w2"] = FakeRun(run_id="w2", kind="workbench")
    assert b"workbench" not in b"".join(islice(streams["viewer"], 60))
    assert any(b"workbench" in line for line in islice(streams["analyst"], 60))
    for stream in streams.values():
        stream.close()


def test_sessions_outlive_a_restart(desk: Desk):
    client = desk.client("viewer")
    desk.server.stop()
    desk.server = serve(create_app(desk.store, clock=desk.clock, users=desk.users))  # type: ignore[arg-type]
    assert Client(desk.server, client.cookie).get("/api/status").status == 200


def test_a_page_leads_to_the_login_and_back(shared: Desk):
    told = shared.client("public").get("/?run=a%26b&window=1m", accept="text/html,*/*")
    assert (told.status, told.headers["location"]) == (303, "/login?next=%2F%3Frun%3Da%2526b%26window%3D1m")
    assert shared.client("public").get("/").status == 401
    told = shared.client("public").get("/login", accept="text/html")
    assert told.status == 200 and b'id="login"' in told.body
    assert told.headers["content-security-policy"].startswith("default-src 'none'; script-src 'self';")


def test_without_the_users_file_nobody_comes_in(desk: Desk):
    client = desk.client("viewer")
    with sqlite3.connect(desk.path / "users") as connection:
        connection.execute("DROP TABLE sessions")
    told = client.get("/api/status")
    assert (told.status, told.json()) == (503, {"error": "users: the file does not answer"})


# --------------------------------------------------------------------------- the trail
def test_the_trail_comes_newest_first(desk: Desk):
    for detail in ("one", "two", "three"):
        desk.trail.add(Who("<script>alert('CANARY')</script>", "operator"), "act", run="live", alert="a", detail=detail)
    supervisor = desk.client("supervisor")
    told = supervisor.get("/api/audit?limit=2")
    assert json.loads(told.body)[0] == {
        "id": 3, "at_ms": round(desk.clock.now * 1000), "who": "<script>alert('CANARY')</script>", "role": "operator",
        "what": "act", "run": "live", "alert": "a", "detail": "three", "address": "",
    }  # fmt: skip
    assert [row["detail"] for row in told.json()] == ["three", "two"]
    assert len(supervisor.get("/api/audit").json()) == 3
    for limit in ("0", "1001", "-1", "a", "", "1e3", "99999999999", "%D9%A3"):
        assert supervisor.get(f"/api/audit?limit={limit}").status == 400, limit
