"""The chain of reads: one row a read however many write at once, and nothing in it can be changed unseen."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from engine.errors import CheckFailed, HitonamiError
from sinks.clickhouse import reads
from sinks.clickhouse.connection import Connection
from sinks.clickhouse.reads import Link, Read
from sinks.clickhouse.store import Store
from tests.services.released import T0
from tests.services.test_live_replay import ROOT

# every column has a value, so that each has a byte to flip
READ = Read(
    T0 + 123, "acme-2026", "株式会社", "policy", "flow", "live", "1h", T0, T0 + 3_600_000, 17, "refused", "suspended"
)


@pytest.fixture
def connection(store_url: str) -> Iterator[Connection]:
    with Store.open(store_url) as store:
        store.migrate()
    opened = Connection.open(store_url)
    yield opened
    opened.close()


def fill(connection: Connection, rows: int) -> list[Link]:
    return [reads.append(connection, READ) for _ in range(rows)]


def fault(connection: Connection, head: str = "") -> str:
    with pytest.raises(CheckFailed) as found:
        list(reads.follow(connection, head))
    return str(found.value).removeprefix("chain of reads: ")


def delete(connection: Connection, where: str) -> None:
    connection.command(f"ALTER TABLE {connection.table('reads')} DELETE WHERE {where} SETTINGS mutations_sync = 2")


def test_rows_follow_each_other(connection: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    assert list(reads.follow(connection)) == []
    made = fill(connection, 7)
    made.append(reads.append(connection, Read(T0, "", "", "", "flow", "", "", None, None, 0, "given", "")))
    monkeypatch.setattr(reads, "SLICE", 3)
    assert list(reads.follow(connection)) == made
    assert [link.seq for link in made] == list(range(1, 9))
    assert [link.prev for link in made] == [reads.GENESIS, *(link.hash for link in made[:-1])]
    assert len({link.hash for link in made}) == 8  # though seven reads are alike
    for link in made:
        assert list(reads.follow(connection, link.mark)) == made


def flipped(name: str, value: Any, bit: int) -> str:
    """SQL of a value with one bit of one byte flipped."""
    if isinstance(value, str):
        raw = value.encode()
        return f"unhex('{bytes([raw[0] ^ bit, *raw[1:]]).hex()}')"
    return f"fromUnixTimestamp64Milli({value ^ bit}, 'UTC')" if name in reads._TIMES else f"toUInt64({value ^ bit})"


def test_a_flipped_byte_in_any_column_is_found_and_its_row_named(connection: Connection) -> None:
    second = fill(connection, 3)[1].columns()
    names = connection.rows(
        f"SELECT name FROM system.columns WHERE database = {connection.database_text} AND table = 'reads'"
    )
    assert {name for (name,) in names} == set(second)
    table, whole = connection.table("reads"), connection.table("whole")
    connection.command(f"RENAME TABLE {table} TO {whole}")
    connection.command(f"CREATE TABLE {table} AS {whole}")
    for name, value in second.items():
        for bit in (1, 128) if isinstance(value, str) else (1,):  # 128: it is no UTF-8 any more
            connection.command(f"TRUNCATE TABLE {table}")
            connection.command(
                f"INSERT INTO {table} SELECT * REPLACE (if(seq = 2, {flipped(name, value, bit)}, `{name}`) AS `{name}`)"
                f" FROM {whole}"
            )
            told = fault(connection)
            assert told == ("row 2 is missing" if name == "seq" else "row 2 was changed"), (name, told)
    connection.command(f"TRUNCATE TABLE {table}")
    connection.command(f"INSERT INTO {table} SELECT * FROM {whole}")
    assert len(list(reads.follow(connection))) == 3


def test_rows_removed_put_in_or_made_anew_are_found(connection: Connection) -> None:
    made = fill(connection, 5)
    table = connection.table("reads")
    connection.command(f"INSERT INTO {table} SELECT * FROM {table} WHERE seq = 3")
    assert fault(connection) == "row 3 stands there twice"
    delete(connection, "seq = 3")
    assert fault(connection) == "row 3 is missing"
    forged = reads.replace(made[2], rows=1)
    forged = reads.replace(forged, hash=forged.digest())  # by somebody who knows how
    reads.once.append(connection, "reads", {n: reads._written(n, v) for n, v in forged.columns().items()})
    assert fault(connection) == "row 4 does not follow the row before"
    delete(connection, "seq >= 3")
    assert len(list(reads.follow(connection))) == 2  # the end is gone: only who kept a head can tell
    assert fault(connection, made[4].mark) == "row 3 is missing"
    assert fault(connection, f"2:{'0' * 64}") == "row 2 is another one than the head told before"
    connection.command(f"INSERT INTO {table} SELECT * REPLACE (toUInt64(0) AS seq) FROM {table} LIMIT 1")
    assert fault(connection) == "row 0 stands before the first"
    delete(connection, "seq IN (0, 1)")
    assert fault(connection) == "row 1 is missing"


def test_a_chain_that_lost_its_end_goes_on_and_a_kept_head_tells(connection: Connection) -> None:
    made = fill(connection, 3)
    delete(connection, "seq = 3")
    again = reads.append(connection, READ)  # though the token of row 3 was used
    assert (again.seq, again.prev) == (3, made[1].hash)
    assert len(list(reads.follow(connection))) == 3
    assert fault(connection, made[2].mark) == "row 3 is another one than the head told before"


def test_a_row_that_stands_twice_is_not_taken_for_appended(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(connection, 1)
    rows = connection.rows

    def twice(sql: str, *more: object) -> object:
        found = rows(sql, *more)  # type: ignore[arg-type]
        return [*found, ("another",)] if sql.startswith("SELECT hash") else found

    monkeypatch.setattr(connection, "rows", twice)
    with pytest.raises(HitonamiError, match="row 2 stands there twice"):
        reads.append(connection, READ)


WRITER = """
import sys
from sinks.clickhouse import reads
from sinks.clickhouse.connection import Connection
from tests.services.test_reads import READ
connection = Connection.open(sys.argv[1])
for _ in range(int(sys.argv[2])):
    reads.append(connection, READ)
connection.close()
"""


@pytest.mark.clickhouse
def test_processes_that_append_at_once_do_not_fork_the_chain(clickhouse_url: str) -> None:
    with Store.open(clickhouse_url) as store:
        store.migrate()
        command = [sys.executable, "-c", WRITER, clickhouse_url, "12"]
        writers = [subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE) for _ in range(2)]
        for writer in writers:
            told = writer.communicate(timeout=120)[1]
            assert writer.returncode == 0, told.decode()[-500:]
        assert [link.seq for link in store.reads()] == list(range(1, 25))


def test_threads_that_append_at_once_do_not_fork_the_chain(chdb_url: str) -> None:
    """The embedded store belongs to one process; in it everybody has a connection."""
    with Store.open(chdb_url) as store:
        store.migrate()
        opened = [Connection.open(chdb_url) for _ in range(3)]
        threads = [threading.Thread(target=fill, args=(connection, 6)) for connection in opened]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        for connection in opened:
            connection.close()
        assert [link.seq for link in store.reads()] == list(range(1, 19))
