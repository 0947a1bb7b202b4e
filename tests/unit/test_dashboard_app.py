"""Routes, headers, stream and start and stop of the page's server, over real sockets."""

from __future__ import annotations

import contextlib
import http.client
import json
import re
import resource
import socket
import threading
import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from dashboard.app import create_app
from dashboard.serve import FILES, Server, serve
from engine.errors import UsageError
from tests.browser.fake_store import FakeRun, FakeStore

NOW = 1_770_450_020_000
T = NOW - 15_000


@pytest.fixture
def store() -> FakeStore:
    rejected = {"late": 2, "malformed": 1}
    store = FakeStore(None, FakeRun(read=10, accepted=7, rejected=rejected, closed_ms=NOW - 4_000))
    store.put("j1", "ab", T, (14, 14))
    return store


@pytest.fixture
def server(store: FakeStore) -> Iterator[Server]:
    server = serve(create_app(store, clock=lambda: NOW / 1000, poll_s=0.1))  # type: ignore[arg-type]
    yield server
    server.stop()


def get(server: Server, path: str, **headers: str) -> tuple[int, http.client.HTTPMessage, bytes]:
    connection = http.client.HTTPConnection(server.url.removeprefix("http://"), timeout=10)
    connection.request("GET", path, headers=headers)
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer.status, answer.headers, body


class Events:
    """Reads a stream event by event."""

    def __init__(self, server: Server, path: str = "/events", **headers: str) -> None:
        self.connection = http.client.HTTPConnection(server.url.removeprefix("http://"), timeout=10)
        self.connection.request("GET", path, headers=headers)
        self.answer = self.connection.getresponse()
        assert self.answer.status == 200

    def next(self) -> tuple[str, str, Any]:
        fields: dict[str, str] = {}
        while True:
            line = self.answer.readline().decode()
            if not line:
                raise EOFError
            if line == "\n":
                if "data" in fields:
                    return fields["id"], fields["event"], json.loads(fields["data"])
                fields = {}
                continue
            name, _, value = line.rstrip("\n").partition(": ")
            fields[name] = value

    def close(self) -> None:
        self.answer.close()
        self.connection.close()


def test_status_is_the_runs_row_and_the_watermarks_age(server: Server):
    status, headers, body = get(server, "/api/status")
    assert (status, headers["cache-control"]) == (200, "no-store")
    assert json.loads(body) == {
        "read": 10,
        "accepted": 7,
        "rejected": {"malformed": 1, "late": 2},
        "run_id": "live",
        "kind": "live",
        "state": "running",
        "watermark_age_ms": 4_000,
    }


def test_readiness_and_figures_follow_the_store(server: Server, store: FakeStore):
    assert get(server, "/readyz")[::2] == (200, b"ok\n")
    status, headers, body = get(server, "/metrics")
    assert status == 200 and headers["content-type"].startswith("text/plain; version=0.0.4")
    told = body.decode().splitlines()
    for line in (
        "hitonami_store_answers 1.0",
        "hitonami_events_read_total 10.0",
        'hitonami_events_rejected_total{reason="late"} 2.0',
        "hitonami_watermark_age_seconds 4.0",
    ):
        assert line in told
    store.broken = True
    assert get(server, "/readyz")[::2] == (503, b"store: does not answer\n")
    status, _, body = get(server, "/metrics")
    assert status == 200 and b"hitonami_store_answers 0.0\n" in body and b"gone" not in body


def test_a_store_without_answer_is_said_so(server: Server, store: FakeStore):
    store.broken = True
    for asked in ("status", "runs", "frames?from=1&to=2", "why?zone=c1", "download?product=flow"):
        status, _, body = get(server, f"/api/{asked}")
        assert status == 503 and b"gone" not in body, asked


def test_runs_newest_first(server: Server, store: FakeStore):
    store.by_id["r2"] = FakeRun(run_id="r2", kind="replay", state="finished", started_ms=5)
    assert json.loads(get(server, "/api/runs")[2]) == [
        {"run_id": "r2", "kind": "replay", "state": "finished", "started_ms": 5, "from_ms": None, "to_ms": None},
        # of windows, not of people
        {"run_id": "live", "kind": "live", "state": "running", "started_ms": 1, "from_ms": T, "to_ms": T + 5_000},
    ]


def test_every_answer_carries_a_strict_policy(server: Server):
    page = get(server, "/")[2].decode()
    asset = re.findall(r'"(/s/[0-9a-f]{16}/main\.js)"', page)[0]
    for path in ("/", asset, "/api/status", "/healthz", "/nothing", "/s/../app.py"):
        headers = get(server, path)[1]
        policy = headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self';"), path
        assert "unsafe" not in policy and "frame-ancestors 'none'" in policy
        assert headers["x-content-type-options"] == "nosniff"


def test_files_are_immutable_under_their_hash_and_nowhere_else(server: Server):
    status, headers, body = get(server, "/")
    assert (status, headers["cache-control"]) == (200, "no-store")
    page = body.decode()
    paths = set(re.findall(r'(?:href|src)="(/s/[^"]+)"', page))
    assert {path.rsplit("/", 1)[1] for path in paths} >= {"style.css", "main.js", "i18n.js", "store.js", "stream.js"}
    for path in paths:
        status, headers, _ = get(server, path)
        assert (status, headers["cache-control"]) == (200, "public, max-age=31536000, immutable"), path
    assert 'rel="modulepreload"' in page and "HASH" not in page and "<!--" not in page
    root = next(iter(paths)).rsplit("/", 1)[0]
    for path in ("/s/0123456789abcdef/main.js", root + "/jsconfig.json", root + "/../../app.py", root + "/index.html"):
        assert get(server, path)[0] == 404, path


def test_foreign_host_names_are_turned_away(server: Server):
    for host in ("evil.example", "evil.example:80", "127.0.0.1.evil.example", "", "localhost:x"):
        assert get(server, "/api/status", Host=host)[0] == 421, host
    for host in ("localhost", "LOCALHOST:8123", "127.0.0.1:1", "[::1]:80", "[::1]"):
        assert get(server, "/api/status", Host=host)[0] == 200, host


def test_a_stream_is_a_snapshot_then_changes_only(server: Server, store: FakeStore):
    events = Events(server)
    first, kind, told = events.next()
    assert kind == "snapshot" and told["now"] == NOW and told["closed"] == NOW - 4_000 and told["problem"] is None
    assert told["flow"]["n"][0] == 14 and told["layout"]["window"] == "10s" and told["status"]["read"] == 10
    store.put("j2", "ba", T, (12, 22))
    store.update(read=11, accepted=8)
    while True:
        event, kind, told = events.next()
        assert kind == "delta"
        if "flow" in told:
            break
        assert set(told) == {"now", "problem", "closed", "timing"}
    assert event.partition("-")[0] == first.partition("-")[0]
    assert told["flow"] == {"i": [4], "t": [T], "n": [17], "lo": [12], "hi": [22], "s": [3], "c": [0.95]}
    assert told["status"]["read"] == 11 and "zones" not in told
    events.close()


def test_ticks_come_about_once_a_second_and_number_on(server: Server):
    events = Events(server)
    numbers = [int(events.next()[0].rpartition("-")[2]) for _ in range(4)]
    assert numbers == list(range(numbers[0], numbers[0] + 4))
    events.close()


@pytest.mark.parametrize("how", ["header", "query"])
def test_a_client_resumes_with_only_what_it_misses(server: Server, how: str):
    events = Events(server)
    last = events.next()[0]
    events.next()
    events.next()
    again = Events(server, **{"Last-Event-ID": last}) if how == "header" else Events(server, f"/events?last={last}")
    epoch, _, number = last.rpartition("-")
    told = [again.next() for _ in range(3)]
    assert [(event, kind) for event, kind, _ in told] == [(f"{epoch}-{int(number) + i}", "delta") for i in (1, 2, 3)]
    events.close()
    again.close()


def test_an_id_of_another_view_or_server_gets_a_snapshot(server: Server):
    events = Events(server)
    last = events.next()[0]
    other = Events(server, f"/events?window=1m&last={last}")
    assert other.next()[1] == "snapshot"
    events.close()
    other.close()


def test_a_new_gate_gives_a_snapshot_within_the_stream(server: Server, store: FakeStore):
    events = Events(server)
    first = events.next()
    store.put("zz", "ab", T, (9, 9))
    event, kind, told = events.next()
    while kind == "delta":
        event, kind, told = events.next()
    assert event.partition("-")[0] == first[0].partition("-")[0]
    assert [gate["id"] for gate in told["layout"]["gates"]] == ["j1", "j2", "j3", "zz"]
    events.close()


def test_a_broken_store_keeps_the_figures_and_says_so_then_goes_on(server: Server, store: FakeStore):
    events = Events(server)
    events.next()
    store.broken = True
    while (told := events.next())[2]["problem"] is None:
        pass
    assert told[1] == "delta" and told[2]["problem"] == "store" and "flow" not in told[2]
    store.broken = False
    while (told := events.next())[2]["problem"] is not None:
        pass
    assert told[1] == "delta"
    events.close()


def test_no_run_is_a_state_not_an_error(server: Server, store: FakeStore):
    events = Events(server, "/events?run=nope")
    _, kind, told = events.next()
    assert (kind, told["problem"], told["layout"]) == ("snapshot", "no_run", None)
    events.close()


def test_nobody_listens_nobody_reads(server: Server, store: FakeStore):
    events = Events(server)
    events.next()
    events.close()
    deadline = time.monotonic() + 10
    before = -1
    while before != store.reads:  # until the server has noticed that the client left
        assert time.monotonic() < deadline
        before = store.reads
        time.sleep(0.5)


def test_wrong_windows_and_endless_names_are_refused(server: Server):
    assert get(server, "/events?window=7s")[0] == 400
    assert get(server, "/events?run=" + "x" * 1000)[0] == 400


def test_streams_are_bounded(server: Server, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("dashboard.feed.CHANNELS", 2)
    one, two = Events(server, "/events?run=a"), Events(server, "/events?run=b")
    one.next(), two.next()
    assert get(server, "/events?run=c")[0] == 503
    one.close()
    two.close()


def test_the_public_leaves_operators_half_of_the_files(server: Server, monkeypatch: pytest.MonkeyPatch):
    """Each stream is an open file: a crowd with phones must not take the operators' too."""
    few = SimpleNamespace(RLIMIT_NOFILE=0, RLIM_INFINITY=-1, getrlimit=lambda _: (4, 4))
    monkeypatch.setattr("dashboard.public.resource", few)
    held = [http.client.HTTPConnection(server.url.removeprefix("http://"), timeout=20) for _ in range(4)]
    told = []
    for connection, path in zip(held, ["/public/events"] * 3 + ["/events"], strict=True):
        connection.request("GET", path)
        answer = connection.getresponse()
        told.append((answer.status, answer.readline()))
    assert told == [(200, b"retry: 1000\n")] * 2 + [(503, b"too many streams"), (200, b"retry: 1000\n")]
    for connection in held:
        connection.close()


def test_a_server_has_room_for_many_streams(store: FakeStore):
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = min(FILES, before[1] % 2**63)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most - 1, before[1]))  # as many as this process may have open already
    try:
        serve(create_app(store)).stop()  # type: ignore[arg-type]
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (most, before[1])
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_stop_ends_open_streams_at_once_and_twice_is_fine(store: FakeStore, caplog: pytest.LogCaptureFixture):
    server = serve(create_app(store))  # type: ignore[arg-type]
    events = Events(server)
    events.next()
    ended = threading.Event()

    def read() -> None:
        try:
            while True:
                events.next()
        except (EOFError, OSError, http.client.HTTPException):
            ended.set()

    reader = threading.Thread(target=read)
    reader.start()
    server.stop()
    assert ended.wait(5)
    reader.join()
    assert "Cancel" not in caplog.text  # ended by us, not given up on by uvicorn
    server.stop()
    with pytest.raises(OSError):
        get(server, "/healthz")
    assert "dashboard" not in [thread.name for thread in threading.enumerate()]


def test_a_port_can_be_served_again_after_a_stop(store: FakeStore):
    first = serve(create_app(store))  # type: ignore[arg-type]
    port = int(first.url.rpartition(":")[2])
    first.stop()
    second = serve(create_app(store), port=port)  # type: ignore[arg-type]
    assert second.url == first.url
    assert get(second, "/healthz")[2] == b"ok"
    second.stop()


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.org", "", "127.0.0.2"])
def test_only_loopback_is_served(store: FakeStore, host: str):
    with pytest.raises(UsageError):
        serve(create_app(store), host)  # type: ignore[arg-type]


def test_a_port_in_use_is_one_line(store: FakeStore):
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(UsageError, match="port"):
        serve(create_app(store), port=taken.getsockname()[1])  # type: ignore[arg-type]


def test_the_stop_does_not_wait_for_a_store_that_hangs(store: FakeStore):
    release = threading.Event()
    store.runs = lambda: release.wait(60) or []  # type: ignore[method-assign, return-value]
    server = serve(create_app(store))  # type: ignore[arg-type]
    opened = threading.Event()

    def ask() -> None:
        connection = http.client.HTTPConnection(server.url.removeprefix("http://"), timeout=30)
        connection.request("GET", "/events")
        opened.set()
        with contextlib.suppress(OSError, http.client.HTTPException):
            connection.getresponse().read()

    asker = threading.Thread(target=ask)
    asker.start()
    assert opened.wait(10)
    server.stop(timeout_s=10)
    assert "dashboard" not in [thread.name for thread in threading.enumerate()]
    release.set()
    asker.join(10)
