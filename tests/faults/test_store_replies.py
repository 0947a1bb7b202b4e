"""The store when an answer gets lost, a request breaks off, half an answer comes: a real server behind a relay."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator

import pytest

from engine.errors import ServiceUnreachable
from sinks.clickhouse.store import Store
from tests.faults.relay import INSERT, Relay
from tests.realservices.clickhouse import ClickHouse
from tests.services.released import day, flow, run

pytestmark = pytest.mark.clickhouse

ROWS = day(gates=2, windows=20)


@pytest.fixture
def relay(clickhouse: ClickHouse) -> Iterator[Relay]:
    relay = Relay(clickhouse.port)
    yield relay
    relay.stop()


@pytest.fixture
def behind(relay: Relay, clickhouse_url: str) -> Iterator[Store]:
    """A store behind the relay, whose parts are not merged: a row that is stored twice is seen."""
    with Store.open(relay.url(clickhouse_url.rsplit("/", 1)[1])) as store:
        store.migrate()
        store._connection.command(f"SYSTEM STOP MERGES {store._connection.table('flow')}")
        yield store


def counted(store: Store) -> tuple[int, int]:
    """Rows of flow before and after FINAL."""
    table = store._connection.table("flow")
    plain, final = (store._connection.rows(f"SELECT count() FROM {table} {word}")[0][0] for word in ("", "FINAL"))
    return int(plain), int(final)


@pytest.mark.parametrize("times", [1, 3])
def test_an_insert_whose_answer_got_lost_is_repeated_and_is_one(relay: Relay, behind: Store, times: int) -> None:
    relay.lose_answers(INSERT, times)
    for _ in range(times):
        with pytest.raises(ServiceUnreachable, match=r"does not answer$"):
            behind.insert(flow("s0/a", *ROWS), "r1")
    assert relay.hits == times
    assert counted(behind) == (len(ROWS), len(ROWS))  # it was carried out
    behind.insert(flow("s0/a", *ROWS), "r1")
    assert counted(behind) == (len(ROWS), len(ROWS))


def test_an_insert_that_broke_off_is_stored_by_its_repeat(relay: Relay, behind: Store) -> None:
    relay.cut_requests(INSERT)
    with pytest.raises(ServiceUnreachable, match=r"does not answer$"):
        behind.insert(flow("s0/a", *ROWS), "r1")
    assert relay.hits == 1 and counted(behind) == (0, 0)
    behind.insert(flow("s0/a", *ROWS), "r1")
    assert counted(behind) == (len(ROWS), len(ROWS))


def test_half_an_answer_is_no_answer(relay: Relay, behind: Store) -> None:
    behind.insert(flow("s0/a", *ROWS), "r1")
    behind.start_run(run("r1"))
    for ask in (
        lambda: behind.run("r1"),
        lambda: behind.rows("flow", "r1"),
        lambda: behind.window_counts("r1"),
        lambda: behind.window_digests("r1"),
    ):
        relay.cut_answers("r1")
        with pytest.raises(ServiceUnreachable):
            ask()
        relay.cut_answers("r1", 0)
        assert ask()


def test_a_proxy_that_does_not_reach_it_is_a_store_that_does_not_answer() -> None:
    class BadGateway(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.send_error(502)

        do_GET = do_POST

        def log_message(self, *_: object) -> None: ...

    with http.server.HTTPServer(("127.0.0.1", 0), BadGateway) as proxy:
        threading.Thread(target=proxy.serve_forever, args=(0.05,), daemon=True).start()
        with pytest.raises(ServiceUnreachable, match=r"^store \S+ does not answer$"):
            Store.open(f"http://127.0.0.1:{proxy.server_address[1]}/x")
        proxy.shutdown()
