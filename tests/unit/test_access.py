"""Who may do what, over real HTTP: every route as every role, workbench runs, host names, the rules of POST."""

from __future__ import annotations

import http.client
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.routing import Route

from dashboard.app import create_app
from dashboard.guard import BODY_BYTES
from dashboard.roles import NOTED, TABLE, Who
from dashboard.serve import Server, serve
from tests.browser.fake_store import FakeRun, FakeStore
from tests.support.desk import ALL, PASSWORD, Desk, Scenes, ended, opened
from tests.support.http import Client

EVERYBODY = set(ALL)
SEEING = EVERYBODY - {"public"}
ACTING = {"operator", "supervisor"}

# What the roles may do, written down a second time: by hand, and route by route.
MAY: dict[tuple[str, str], set[str]] = {
    ("GET", "/"): SEEING,
    ("GET", "/s/{path:path}"): EVERYBODY,
    ("GET", "/login"): EVERYBODY,
    ("GET", "/events"): SEEING,
    ("GET", "/healthz"): EVERYBODY,
    ("GET", "/readyz"): EVERYBODY,
    ("GET", "/metrics"): SEEING,
    ("GET", "/public"): EVERYBODY,
    ("GET", "/public/events"): EVERYBODY,
    ("GET", "/api/session"): EVERYBODY,
    ("POST", "/api/login"): EVERYBODY,
    ("POST", "/api/logout"): EVERYBODY,
    ("GET", "/api/status"): SEEING,
    ("GET", "/api/runs"): SEEING,
    ("GET", "/api/alerts"): SEEING,
    ("POST", "/api/alerts/{id}"): ACTING,
    ("GET", "/api/audit"): {"supervisor"},
    ("GET", "/api/why"): SEEING,
    ("GET", "/api/history"): SEEING,
    ("GET", "/api/frames"): SEEING,
    ("GET", "/api/download"): SEEING,
    ("GET", "/api/company/export"): EVERYBODY,  # whoever has a company's key
    ("GET", "/api/signage"): {"analyst", "supervisor"},
    ("GET", "/api/profiles"): {"analyst", "supervisor"},
    ("GET", "/api/trips"): {"analyst", "supervisor"},
    ("GET", "/api/consents"): {"supervisor"},
    ("GET", "/api/contracts"): {"supervisor"},
    ("GET", "/api/reads"): {"supervisor"},
    ("GET", "/api/demo"): SEEING,
    ("POST", "/api/demo"): ACTING,
}
ROUTES = [
    (method, route.path)
    for route in create_app(FakeStore(), scenes=Scenes()).routes  # type: ignore[arg-type]
    if isinstance(route, Route)
    for method in sorted(route.methods or ())
]


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


# --------------------------------------------------------------------------- roles
def test_op_18_the_table_is_what_is_written_here():
    assert set(MAY) == set(TABLE)
    assert {(method, path) for method, path in ROUTES if method != "HEAD"} <= set(MAY)


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_op_18_what_each_role_may_and_may_not_do(shared: Desk, method: str, path: str):
    may = MAY["GET" if method == "HEAD" else method, path]
    asked = path.replace("{id}", "nothing").replace("{path:path}", "nothing")
    for role in ALL:
        client = shared.client(role)
        told = client.post(asked, {}) if method == "POST" else client.ask(method, asked)
        if role in may:
            assert told.status not in (401, 403, 303) or asked == "/api/login", (role, told.status)
        else:
            assert told.status == (401 if role == "public" else 403), (role, told.status)
            assert method == "HEAD" or told.json() == {"error": "login" if role == "public" else "no such right"}


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"])
def test_no_route_answers_to_other_methods(shared: Desk, method: str):
    client = shared.client("supervisor")
    for path in ("/", "/api/alerts/a", "/api/runs", "/api/login"):
        assert client.ask(method, path).status in (403, 405), path


def test_a_route_without_an_entry_is_refused_to_everyone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("dashboard.roles.TABLE", {key: TABLE[key] for key in TABLE if key[1] != "/api/runs"})
    desk = opened(tmp_path)
    assert [desk.client(role).get("/api/runs").status for role in ALL] == [403] * 5
    ended(desk)


@pytest.mark.parametrize(
    "path",
    [
        "/api/alerts?run=w1",
        "/events?run=w1",
        "/api/alerts?run=live&run=w1",
        "/api/alerts?run=w1&run=live",
        "/api/status?run=w1",
    ],
)
def test_a_workbench_run_is_not_for_viewers(shared: Desk, path: str):
    assert shared.client("viewer").get(path).status == 403
    for role in ("operator", "supervisor", "analyst"):
        assert shared.client(role).get(path).status == 200, role


def test_a_workbench_run_is_not_listed_for_viewers(shared: Desk):
    listed = {role: {run["run_id"] for run in shared.client(role).get("/api/runs").json()} for role in SEEING}
    assert listed.pop("viewer") == {"live"}
    assert list(listed.values()) == [{"live", "w1"}] * 3


def test_a_server_that_shows_a_workbench_run_shows_viewers_nothing(tmp_path: Path):
    desk = opened(tmp_path, run_id="w1")
    assert desk.client("viewer").get("/events").status == desk.client("viewer").get("/api/status").status == 403
    assert desk.client("viewer").get("/events?run=live").status == 200
    for path in ("/api/status?run=live", "/metrics?run=live", "/events?run=live&run=", "/api/alerts?run=live&run="):
        assert desk.client("viewer").get(path).status == 403, path
    assert desk.client("analyst").get("/events").status == 200
    desk.store.broken = True
    assert desk.client("viewer").get("/events").status == 503  # nobody knows of what kind it is
    ended(desk)


def test_what_is_refused_is_written_down_but_not_for_ever(desk: Desk):
    viewer = desk.client("viewer")
    for _ in range(40):
        assert viewer.post("/api/alerts/SECRET", {}).status == 403
    assert desk.what() == [("refused", "viewer", "POST /api/alerts/{id}")] * 30
    assert desk.client("public").post("/api/alerts/a", {}).status == 401
    assert len(desk.what()) == 30  # whoever is nobody fills no file


def test_downloads_and_scenes_are_written_down(desk: Desk, monkeypatch: pytest.MonkeyPatch):
    assert NOTED == {"/api/download": "download"}
    monkeypatch.setattr("dashboard.guard.NOTED", {"/api/runs": "download"})
    assert desk.client("analyst").get("/api/runs?run=live&product=flow&format=csv").status == 200
    assert desk.client("viewer").get("/api/runs?run=" + "r" * 5_000).status == 200
    assert desk.client("operator").post("/api/demo", {"scene": "none"}).status == 400
    assert desk.client("operator").post("/api/demo", {"scene": "smoke"}).json()["scene"] == "smoke"
    assert desk.what() == [("download", "analyst", "flow"), ("download", "viewer", ""), ("scene", "operator", "smoke")]
    assert [len(row["run"]) for row in desk.trail.newest(9)] == [0, 200, 4]


# --------------------------------------------------------------------------- without users
@pytest.fixture(scope="module")
def alone() -> Iterator[Server]:
    store = FakeStore(None, FakeRun(), FakeRun(run_id="w1", kind="workbench"))
    server = serve(create_app(store))  # type: ignore[arg-type]
    yield server
    server.stop()


def test_without_users_everybody_is_the_local_operator(alone: Server):
    client = Client(alone)
    assert client.get("/api/session").json() == {
        "name": "local", "role": "operator", "login": False, "demo": False, "may": ["see", "act", "workbench", "scene"],
    }  # fmt: skip
    assert client.get("/").status == client.get("/events?run=w1").status == 200
    assert client.get("/api/audit").status == 403
    assert client.post("/api/login", {"name": "a", "password": "b"}).status == 404
    told = client.get("/login")
    assert (told.status, told.headers["location"]) == (303, "/")
    told = client.post("/api/logout", {})
    assert told.status == 200 and "set-cookie" not in told.headers


def test_the_demo_s_local_user_is_a_supervisor():
    server = serve(create_app(FakeStore(), local=Who("demo", "supervisor")))  # type: ignore[arg-type]
    assert Client(server).get("/api/session").json()["name"] == "demo"
    assert Client(server).get("/api/audit").json() == []
    server.stop()


# --------------------------------------------------------------------------- POST
@pytest.mark.parametrize(
    "origin",
    [
        None, "null", "", "http://evil.example", "https://evil.example", "http://localhost", "http://127.0.0.1",
        "http://127.0.0.1:1", "HOST", "ftp://HOST", "http://HOST.evil.example", "http://HOST/", "http://x@HOST",
        "http://HOST http://evil.example",
    ],
)  # fmt: skip
@pytest.mark.parametrize("path", ["/api/login", "/api/logout", "/api/alerts/a"])
def test_op_18_no_cross_origin_post_passes(shared: Desk, path: str, origin: str | None):
    client = shared.client("supervisor")
    asked = origin and origin.replace("HOST", client.host)
    told = client.post(path, {"name": "viewer", "password": PASSWORD}, origin=asked)
    assert (told.status, told.json()) == (403, {"error": "origin"})
    assert "set-cookie" not in told.headers
    assert client.get("/api/session").json()["name"] == "supervisor"  # nobody was logged out


def test_the_origin_of_another_scheme_of_the_same_host_is_ours_too(shared: Desk):
    client = shared.client("viewer")
    assert client.post("/api/alerts/a", {}, origin=f"https://{client.host}").json() == {"error": "no such right"}


@pytest.mark.parametrize(
    "kind", ["", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "text/json"]
)
def test_only_json_is_taken(shared: Desk, kind: str):
    assert shared.client("operator").post("/api/alerts/a", {}, content_type=kind).status == 415


@pytest.mark.parametrize("body", [b"", b"[]", b'"a"', b"1", b"null", b"{", b"{}{}", b'{"a": NaN}', b'{"a": "\xff"}'])
def test_only_an_object_is_taken(shared: Desk, body: bytes):
    told = shared.client("operator").post("/api/alerts/a", body)
    assert (told.status, told.json()) == (400, {"error": "body"})


def test_a_long_body_is_not_read_to_its_end(shared: Desk):
    client = shared.client("operator")
    just = b'{"run": "' + b"a" * (BODY_BYTES - 11) + b'"}'
    assert client.post("/api/alerts/a", just).status == 400
    assert client.post("/api/alerts/a", just + b" ").status == 413
    connection = http.client.HTTPConnection(client.host, timeout=20)  # in chunks, without a length
    head = {"cookie": client.cookie, "origin": f"http://{client.host}", "content-type": "application/json"}
    connection.request("POST", "/api/alerts/a", iter([b" " * 9_000] * 2), head, encode_chunked=True)
    assert connection.getresponse().status == 413
    connection.close()


# --------------------------------------------------------------------------- names and TLS
def test_the_page_answers_to_the_names_it_was_given(tmp_path: Path):
    desk = opened(tmp_path, names=("Crowd.example.jp",), https=True)
    client = Client(desk.server)
    origin = "https://crowd.example.jp"
    body = {"name": "viewer", "password": PASSWORD}
    told = client.post("/api/login", body, origin=origin, host="crowd.example.jp")
    assert told.status == 200
    cookie = told.headers["set-cookie"]
    assert cookie.startswith("__Host-hitonami=") and "; Secure" in cookie and "Domain" not in cookie
    assert client.post("/api/login", body, origin="http://crowd.example.jp", host="crowd.example.jp").status == 403
    assert (
        client.get("/api/session", host="crowd.example.jp:8443", cookie=cookie.partition(";")[0]).json()["name"]
        == "viewer"
    )
    assert client.get("/healthz").status == 200  # loopback still
    for host in ("example.jp", "x.crowd.example.jp", "crowd.example.jp.evil.example", "crowd.example.jp@evil.example"):
        assert client.get("/healthz", host=host).status == 421, host
    ended(desk)


def test_two_host_names_are_none(shared: Desk):
    connection = http.client.HTTPConnection(Client(shared.server).host, timeout=20)
    connection.putrequest("GET", "/healthz")
    connection.putheader("Host", "localhost")
    connection.endheaders()
    assert connection.getresponse().status in (400, 421)
    connection.close()
