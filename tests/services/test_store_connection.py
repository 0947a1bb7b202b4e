"""Opening, migrating, locks, and stores that are not there."""

from __future__ import annotations

import subprocess
import sys
import traceback
from pathlib import Path

import pytest

from engine.errors import HitonamiError, ServiceUnreachable, UsageError
from sinks.clickhouse import schema
from sinks.clickhouse.store import Store
from tests.realservices.cache import ROOT, free_port
from tests.realservices.clickhouse import ClickHouse
from tests.services.released import T0, flow, run

ROW = ("10s", T0, "j1", "ab", 7, 7, 7, "released", None)


def child(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )


def only_line(error: BaseException) -> str:
    """The message, which is one line, as is what the interpreter would print below its traceback."""
    text = str(error)
    assert "\n" not in text
    assert error.__cause__ is None and (error.__context__ is None or error.__suppress_context__)
    assert "".join(traceback.format_exception_only(error)).count("\n") == 1
    return text


def test_migrations_are_applied_once(store_url: str) -> None:
    with Store.open(store_url) as store:
        with pytest.raises(HitonamiError, match="schema apply"):
            store.runs()
        assert store.migrate() == list(schema.migrations())
        assert store.migrate() == []
        store.insert(flow("u", ROW), "r1")
    with Store.open(store_url) as store:
        assert store.migrate() == []
        assert store.rows("flow", "r1").num_rows == 1


def test_a_migration_that_was_cut_off_is_finished(store_url: str) -> None:
    with Store.open(store_url) as store:
        store.migrate()
        store._connection.command(f"DROP TABLE {store._connection.table('zones')}")
        store._connection.command(f"TRUNCATE TABLE {store._connection.table('schema_migrations')}")
        store.insert(flow("u", ROW), "r1")
        assert store.migrate() == list(schema.migrations())
        assert store.rows("zones", "r1").num_rows == 0
        assert store.rows("flow", "r1").num_rows == 1


def test_a_newer_store_is_refused(store: Store) -> None:
    store._connection.command(f"INSERT INTO {store._connection.table('schema_migrations')} (number) VALUES (9999)")
    with pytest.raises(HitonamiError, match="newer"):
        store.migrate()


def test_the_database_is_made(clickhouse: ClickHouse) -> None:
    with Store.open(clickhouse.url("made_by_migrate")) as store:
        with pytest.raises(HitonamiError, match="schema apply"):
            store.run("r1")
        store.migrate()
        store.start_run(run("r1"))
        assert store.run("r1") is not None
        assert not store.embedded
    clickhouse.query("DROP DATABASE made_by_migrate SYNC")


def test_the_password_is_not_shown(clickhouse: ClickHouse) -> None:
    url = f"http://default:s%40cret@127.0.0.1:{clickhouse.port}/x"
    with pytest.raises(ServiceUnreachable) as caught:
        Store.open(url)
    line = only_line(caught.value)
    assert line == f"store http://default@127.0.0.1:{clickhouse.port}/x refuses this user"


def test_a_server_that_is_not_there(capfd: pytest.CaptureFixture[str]) -> None:
    port = free_port()
    with pytest.raises(ServiceUnreachable) as caught:
        Store.open(f"http://someone:secret@127.0.0.1:{port}/db")
    assert only_line(caught.value) == f"store http://someone@127.0.0.1:{port}/db does not answer"
    assert capfd.readouterr() == ("", "")


def test_a_server_that_goes_and_comes_back(tmp_path: Path) -> None:
    with ClickHouse(tmp_path) as server, Store.open(server.url()) as store:
        store.migrate()
        store.insert(flow("u", ROW), "r1")
        server.kill()
        with pytest.raises(ServiceUnreachable) as caught:
            store.insert(flow("v", ("10s", T0 + 10_000, *ROW[2:])), "r1")
        only_line(caught.value)
        with pytest.raises(ServiceUnreachable):
            store.runs()
        server.restart()
        store.insert(flow("u", ROW), "r1")
        store.insert(flow("v", ("10s", T0 + 10_000, *ROW[2:])), "r1")
        table = store._connection.table("flow")
        assert store._connection.rows(f"SELECT count() FROM {table}")[0][0] == 2


@pytest.mark.parametrize(
    "url", ["", "chdb:", "chdb://", "chdb:///", "chdb://host/dir", "mysql://h/db", "http:///db", "/tmp/x",
            "http://h/a/b", "http://h/a%60b", "http://h:port/db"],
)  # fmt: skip
def test_urls_of_another_form(url: str) -> None:
    with pytest.raises(UsageError, match="--store"):
        Store.open(url)


def test_a_second_process_gets_one_line(chdb_url: str) -> None:
    code = """
import sys
from engine.errors import ServiceUnreachable
from sinks.clickhouse.store import Store
try:
    Store.open(sys.argv[1])
except ServiceUnreachable as error:
    sys.exit(str(error))
"""
    with Store.open(chdb_url) as store:
        store.migrate()
        done = child(code, chdb_url)
        assert (done.returncode, done.stdout) == (1, "")
        assert (
            done.stderr
            == f"{chdb_url.replace('chdb', 'store chdb', 1)} is in use by another process: one process owns it\n"
        )
    assert child(code, chdb_url).returncode == 0


def test_the_lock_ends_with_a_killed_process(chdb_url: str) -> None:
    code = """
import os, signal, sys
from sinks.clickhouse.store import Store
store = Store.open(sys.argv[1])
store.migrate()
os.kill(os.getpid(), signal.SIGKILL)
"""
    assert child(code, chdb_url).returncode == -9
    with Store.open(chdb_url) as store:
        assert store.migrate() == []


def test_one_process_one_directory_at_a_time(tmp_path: Path) -> None:
    one, two = f"chdb://{tmp_path}/one", f"chdb://{tmp_path}/two"
    with Store.open(one) as first, Store.open(f"{one}/") as again:
        assert first.embedded and again.url_shown == one
        first.migrate()
        first.insert(flow("u", ROW), "r1")
        assert again.rows("flow", "r1").num_rows == 1
        with pytest.raises(ServiceUnreachable) as caught:
            Store.open(two)
        only_line(caught.value)
        first.close()
        assert again.rows("flow", "r1").num_rows == 1
    with Store.open(two) as other:
        other.migrate()
        assert other.rows("flow", "r1").num_rows == 0
    with Store.open(one) as first:
        assert first.rows("flow", "r1").num_rows == 1


def test_a_directory_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ServiceUnreachable) as caught:
        Store.open(f"chdb://{tmp_path}/file/store")
    only_line(caught.value)
    with Store.open(f"chdb://{tmp_path}/good") as store:
        store.migrate()


def test_the_embedded_store_is_private_and_told_to_stay_small(chdb_url: str) -> None:
    from sinks.clickhouse.connection import EMBEDDED_OPTIONS, EMBEDDED_SETTINGS

    with Store.open(chdb_url) as store:
        directory = Path(chdb_url.removeprefix("chdb://"))
        assert directory.stat().st_mode & 0o077 == 0
        options = dict(store._connection.rows("SELECT name, value FROM system.server_settings"))
        settings = dict(store._connection.rows("SELECT name, value FROM system.settings"))
        assert {name: float(options[name]) for name in EMBEDDED_OPTIONS} == {
            name: float(value) for name, value in EMBEDDED_OPTIONS.items()
        }
        assert {name: settings[name] for name in EMBEDDED_SETTINGS} == dict(EMBEDDED_SETTINGS)


def test_embedded_inserts_need_little_memory(chdb_url: str) -> None:
    code = """
import sys
import numpy as np
from engine.model import DIRECTIONS, STATUS, WINDOWS, Released
from sinks.clickhouse.store import Run, Store
N, T0 = 30_000, 1_770_447_600_000
def peak():  # MB. Not ru_maxrss: that begins with the peak of the process that started this one, pytest's own.
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) // 1024 for line in status if line.startswith("VmHWM:"))
at = np.arange(N)
names = {"window": WINDOWS, "gate": tuple(f"g{i}" for i in range(100)), "direction": DIRECTIONS, "status": STATUS}
with Store.open(sys.argv[1]) as store:
    store.migrate()
    store.start_run(Run("r1", "replay", "{}", "c", "v", "h", "0", "UTC"))
    for i in range(int(sys.argv[2])):
        columns = {
            "window": np.zeros(N, np.int32), "window_start": (at // 300 + i * 100) * 10_000 + T0,
            "gate": (at % 300 // 3).astype(np.int32), "direction": (at % 3).astype(np.int32),
            "n": at % 50 - 1, "n_low": at % 50, "n_high": at % 50 + 5,
            "status": (at % 4).astype(np.int32), "coverage": at / N,
        }
        store.insert(Released("flow", f"u{i}", columns, names, "v"), "r1")
    inserted = peak()
    assert len(store.window_digests("r1")) == int(sys.argv[2]) * 100
    print(inserted, peak())
"""
    done = child(code, chdb_url, "34")
    assert done.returncode == 0, done.stderr
    inserted, digested = map(int, done.stdout.split())
    # A million rows. Of these some 200 MB are there after opening, most of them pages of the library; merges that fall
    # behind (a busy machine) add up to 30 to the digest, which has buffers for each part.
    assert inserted <= 340 and digested <= 390, done.stdout


def test_a_writer_that_outruns_the_merges_is_held_back(chdb_url: str) -> None:
    """Reading needs memory for each part: 150 unmerged ones are more than a query may have."""
    with Store.open(chdb_url) as store:
        store.migrate()
        store._connection.command("SYSTEM STOP MERGES")
        delayed = "SELECT ifNull(sum(value), 0) FROM system.events WHERE event = 'DelayedInserts'"
        for i in range(schema.EMBEDDED_PARTS):
            store.insert(flow(f"u{i}", ("10s", T0 + 10_000 * i, *ROW[2:])), "r1")
        before = store._connection.rows(delayed)[0][0]
        store.insert(flow("v", ("10s", T0 - 10_000, *ROW[2:])), "r1")
        assert store._connection.rows(delayed)[0][0] == before + 1
        assert store.rows("flow", "r1").num_rows == schema.EMBEDDED_PARTS + 1
