"""The store when an answer gets lost, a request breaks off, a token has no rows: a real server behind a relay."""

from __future__ import annotations

import contextlib
import http.server
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.errors import HitonamiError, ServiceUnreachable
from sinks.clickhouse.store import Store
from tests.faults.relay import INSERT, Relay
from tests.realservices.clickhouse import ClickHouse
from tests.services.released import day, flow, run

pytestmark = pytest.mark.clickhouse

ROWS = day(gates=2, windows=20)
LATER = [(row[0], row[1] + 86_400_000, *row[2:]) for row in ROWS]


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


def test_other_rows_behind_a_lost_answer_are_found(relay: Relay, behind: Store, clickhouse_url: str) -> None:
    """In this process the unit is not known as stored, and it may come with another content."""
    changed = [*ROWS[:-1], (*ROWS[-1][:4], 99, 99, 99, "released", None)]
    relay.lose_answers(INSERT)
    with pytest.raises(ServiceUnreachable):
        behind.insert(flow("s0/a", *ROWS), "r1")
    with pytest.raises(HitonamiError, match=r"was stored with other rows$"):
        behind.insert(flow("s0/a", *changed), "r1")
    with Store.open(clickhouse_url) as another, pytest.raises(HitonamiError, match=r"was stored with other rows$"):
        another.insert(flow("s0/a", *changed), "r1")
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


def test_answers_to_queries_are_not_kept_on_the_server_s_disk(relay: Relay, behind: Store) -> None:
    """One that is kept where the disk is full comes as 200 and nothing: no run, no rows."""
    behind.insert(flow("s0/a", *ROWS), "r1")
    behind.start_run(run("r1"))
    asked: list[str] = []

    def keep(path: str, _: dict[str, str]) -> str:
        asked.append(path)
        return path

    relay.rewrite = keep
    assert behind.run("r1") is not None and behind.rows("flow", "r1").num_rows == len(ROWS)
    assert len(asked) == 2 and all("wait_end_of_query=0" in path for path in asked)


UNSHARE = ["unshare", "--user", "--map-root-user", "--mount", "--"]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[ClickHouse]:
    """A server whose data are on a disk of 120 MB of its own, where the kernel gives a mount namespace without root."""
    server = ClickHouse(tmp_path)
    if _can_mount(tmp_path):
        shell = 'mount -t tmpfs -o size=120m tmpfs "$0" && exec "$@"'
        server.run_through([*UNSHARE, "sh", "-c", shell, str(tmp_path / "data")])
        (tmp_path / "data").mkdir()
    with server:
        yield server


def _can_mount(directory: Path) -> bool:
    try:
        return not subprocess.run(
            [*UNSHARE, "mount", "-t", "tmpfs", "tmpfs", directory], capture_output=True
        ).returncode
    except OSError:
        return False


@contextlib.contextmanager
def full(server: ClickHouse) -> Iterator[None]:
    """Inside the block the server's disk is full to its last block; on a large disk it takes it for full."""
    if not _can_mount(server.directory):
        server.query(f"ALTER TABLE flow MODIFY SETTING min_free_disk_bytes_to_perform_insert = {1 << 60}")
        yield
        server.query("ALTER TABLE flow RESET SETTING min_free_disk_bytes_to_perform_insert")
        return
    path = Path(f"/proc/{server.pid}/root{server.directory}/data/fill")
    with contextlib.suppress(OSError), open(path, "wb", buffering=0) as file:
        for size in (1 << 20, 1 << 12):
            with contextlib.suppress(OSError):
                while file.write(bytes(size)):
                    pass
    yield
    path.unlink()


def test_a_full_disk_hides_nothing(small_disk: ClickHouse) -> None:
    with Store.open(small_disk.url()) as store:
        store.migrate()
        store.insert(flow("s0/a", *ROWS), "r1")
        store.start_run(run("r1"))
        with full(small_disk):
            with pytest.raises(ServiceUnreachable, match=r"cannot now: ClickHouse error 243 NOT_ENOUGH_SPACE$"):
                store.insert(flow("s0/b", *LATER), "r1")
            found = store.run("r1")
            assert found is not None and found.run_id == "r1"
            assert store.rows("flow", "r1").num_rows == len(ROWS)
        store.insert(flow("s0/b", *LATER), "r1")
        assert counted(store) == (len(ROWS) + len(LATER), len(ROWS) + len(LATER))


@pytest.mark.parametrize("at", ["in this process", "behind the horizon", "up to the horizon"])
def test_a_token_without_its_rows_loses_nothing(tmp_path: Path, at: str) -> None:
    """ClickHouse writes a token down before the part is in its place, and drops the repeat of one it knows.

    The state of a server that is killed between the two: the token in its log, the part under its temporary name.
    """
    with ClickHouse(tmp_path) as server:
        relay = Relay(server.port)
        with Store.open(relay.url("default")) as store, Store.open(server.url()) as fresh:
            store.migrate()
            if at != "in this process":
                store.insert(flow("s0/a", *ROWS), "r1")
            if at == "up to the horizon":
                store.insert(flow("s1/b", *[(*row[:2], "z" + row[2], *row[3:]) for row in LATER]), "r1")
            others = counted(store)[0]
            relay.lose_answers(INSERT)
            with pytest.raises(ServiceUnreachable):
                store.insert(flow("s0/b", *LATER), "r1")
            _lose_the_newest_part(server, store)
            assert counted(fresh) == (others, others)
            again = store if at == "in this process" else fresh
            for _ in range(2):
                again.insert(flow("s0/b", *LATER), "r1")
                assert counted(again) == (others + len(LATER), others + len(LATER))
        relay.stop()


def _lose_the_newest_part(server: ClickHouse, store: Store) -> None:
    """Kill the server and give the newest part of flow its temporary name."""
    table = "database = 'default' AND table = 'flow' AND active"
    path = store._connection.rows(f"SELECT path FROM system.parts WHERE {table} ORDER BY max_block_number")[-1][0]
    server.kill()
    part = Path(str(path))
    part.rename(part.with_name(f"tmp_insert_{part.name}"))
    server.restart()
