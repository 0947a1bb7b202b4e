"""One connection to ClickHouse: embedded in this process (``chdb:///DIR``) or a server (``http(s)://…``).

Both speak through clickhouse-connect. What differs is kept here: the embedded engine is one per process and one path
at a time, wants to be told to stay small, and its directory is locked against other processes.
"""

from __future__ import annotations

import fcntl
import logging
import os
import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from typing import IO, Any
from urllib.parse import unquote, urlsplit

import clickhouse_connect
import pyarrow as pa
from clickhouse_connect.driver import exceptions as ch
from urllib3 import Timeout

from engine.errors import HitonamiError, ServiceUnreachable, UsageError

# The driver logs what we raise in one line of our own.
logging.getLogger("clickhouse_connect").addHandler(logging.NullHandler())

LOCK_NAME = ".hitonami.lock"
CONNECT_SECONDS = 5
ANSWER_SECONDS = 300
_DATABASE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")

# Start options of the embedded engine. Its defaults are those of a server with gigabytes for caches and pools.
EMBEDDED_OPTIONS: Mapping[str, str] = {
    "mark_cache_size": "4194304",
    "primary_index_cache_size": "4194304",
    "index_mark_cache_size": "1048576",
    "uncompressed_cache_size": "0",
    "query_condition_cache_size": "1048576",
    "compiled_expression_cache_size": "1048576",
    "background_pool_size": "1",
    "background_merges_mutations_concurrency_ratio": "1",
    "max_thread_pool_size": "64",
    "max_thread_pool_free_size": "4",
    "merges_mutations_memory_usage_soft_limit": "134217728",
}
# Settings of every query on the embedded engine: one thread and small read buffers.
EMBEDDED_SETTINGS: Mapping[str, str] = {
    "max_threads": "1",
    "max_insert_threads": "1",
    "max_block_size": "16384",
    "max_read_buffer_size": "131072",
    "max_memory_usage": "268435456",
    "use_uncompressed_cache": "0",
}

# ClickHouse codes of a store that may well answer later, or to another user: too busy, too many parts, no memory, no
# files, no room (243; 75 where a disk fills up in the middle of a part), read-only, going down, no quorum of replicas.
_LATER = frozenset(
    {
        74,
        75,
        76,
        159,
        164,
        173,
        202,
        203,
        209,
        210,
        225,
        236,
        241,
        242,
        243,
        252,
        279,
        285,
        319,
        394,
        439,
        473,
        745,
        999,
    }
)
_REFUSED = frozenset({192, 193, 194, 497, 516})
_NO_TABLES = frozenset({60, 81})

# A server asked to wait for a query's end before it answers keeps the answer on its disk. Where that is full it answers
# 200 and nothing, which reads as no rows. So answers to queries come as they are made: what breaks off is an error.
_AS_IT_COMES: Mapping[str, Any] = {"wait_end_of_query": 0}

_open_lock = threading.Lock()
_open_dirs: dict[str, tuple[IO[bytes], int]] = {}  # embedded directory → its lock file, connections of this process


class Connection:
    """A ClickHouse client with errors of our own kind; safe for threads.

    ``embedded``: the engine runs in this process. ``shown``: the URL without password. Every method raises
    ServiceUnreachable (one line) when the store does not answer or cannot now, HitonamiError for anything else that
    ClickHouse refuses; neither quotes the query or its values.
    """

    def __init__(self, client: Any, database: str, shown: str, release: Callable[[], None] | None) -> None:
        self._client = client
        self._release = release
        self.embedded = release is not None
        # One session of the embedded engine serves one call at a time; the HTTP client has a pool.
        self._lock: Any = threading.RLock() if self.embedded else nullcontext()
        self.database = f"`{database}`"
        self.database_text = f"'{database}'"  # as an argument of a table function
        self.shown = shown

    @classmethod
    def open(cls, url: str) -> Connection:
        """Connect; nothing is created but the directory of an embedded store.

        Raises UsageError for a URL of another form, ServiceUnreachable when nobody answers or DIR is in use.
        """
        parts = urlsplit(url)
        if parts.scheme == "chdb":
            if parts.netloc or not parts.path.strip("/"):
                raise UsageError("--store: an embedded store is chdb:///DIR")
            return _open_embedded(os.path.realpath(unquote(parts.path)))
        if parts.scheme in ("http", "https") and parts.hostname:
            return _open_server(url)
        raise UsageError("--store: expected chdb:///DIR or http(s)://user@host:8123/db")

    def table(self, name: str) -> str:
        """The qualified name of a table."""
        return f"{self.database}.`{name}`"

    def knows(self, setting: str) -> bool:
        """Whether this version of ClickHouse has a setting of that name."""
        return setting in self._client.server_settings

    def command(self, sql: str, parameters: Mapping[str, Any] | None = None) -> None:
        """Run a statement that returns no rows, and wait for its end."""
        with self._lock, self._errors():
            self._client.command(sql, parameters=dict(parameters or {}))

    def rows(self, sql: str, parameters: Mapping[str, Any] | None = None) -> Sequence[Sequence[Any]]:
        """Rows of a small result as Python values."""
        with self._lock, self._errors():
            found = self._client.query(sql, parameters=dict(parameters or {}), settings=dict(_AS_IT_COMES))
            result: Sequence[Sequence[Any]] = found.result_rows
            return result

    def arrow(self, sql: str, parameters: Mapping[str, Any] | None = None) -> pa.Table:
        """Rows of a result as a pyarrow Table."""
        with self._lock, self._errors():
            try:
                return self._client.query_arrow(sql, parameters=dict(parameters or {}), settings=dict(_AS_IT_COMES))
            except pa.ArrowInvalid:
                raise ServiceUnreachable(f"store {self.shown} does not answer in full") from None

    def insert(self, table: str, rows: pa.Table, settings: Mapping[str, Any]) -> None:
        """One INSERT of a pyarrow Table into the named columns."""
        with self._lock, self._errors():
            self._client.insert_arrow(self.table(table), rows, settings=dict(settings))

    def insert_json(self, table: str, columns: Sequence[str], lines: bytes, settings: Mapping[str, Any]) -> None:
        """One INSERT of JSON Lines into the named columns."""
        with self._lock, self._errors():
            self._client.raw_insert(self.table(table), columns, lines, settings=dict(settings), fmt="JSONEachRow")

    @contextmanager
    def answering_within(self, seconds: float) -> Iterator[None]:
        """Inside the block wait so long for connections and answers of a server, not ANSWER_SECONDS."""
        if self.embedded:
            yield
            return
        before, self._client.timeout = self._client.timeout, Timeout(connect=seconds, read=seconds)
        try:
            yield
        finally:
            self._client.timeout = before

    def close(self) -> None:
        """Close; the embedded engine ends with its last connection, and only then another DIR can be opened."""
        with self._lock:
            self._client.close()
            if self._release is not None:
                self._release()
                self._release = None

    @contextmanager
    def _errors(self) -> Iterator[None]:
        with _translated(self.shown):
            yield


@contextmanager
def _translated(shown: str) -> Iterator[None]:
    try:
        yield
    except ch.Error as error:
        code = getattr(error, "code", None)
        # A server's error without a code is not ClickHouse's: of a proxy that does not reach it.
        foreign = type(error) is ch.DatabaseError and not shown.startswith("chdb:")
        if code is None and (foreign or isinstance(error, ch.OperationalError)):
            raise ServiceUnreachable(f"store {shown} does not answer") from None
        if code in _REFUSED:
            raise ServiceUnreachable(f"store {shown} refuses this user") from None
        if code in _NO_TABLES:
            raise HitonamiError(f"store {shown} has no tables of Hitonami: run 'hitonami schema apply'") from None
        # The name of a ClickHouse error is a word of ClickHouse; its text may quote values and stays unsaid.
        what = f"ClickHouse error {code} {getattr(error, 'name', None) or ''}".rstrip()
        if code in _LATER:
            raise ServiceUnreachable(f"store {shown} cannot now: {what}") from None
        raise HitonamiError(f"store {shown}: {what}") from None
    except OSError as error:
        raise ServiceUnreachable(f"store {shown} does not answer ({type(error).__name__})") from None


def _open_server(url: str) -> Connection:
    parts = urlsplit(url)
    database = unquote(parts.path.strip("/")) or "default"
    try:
        port = parts.port or (8443 if parts.scheme == "https" else 8123)
    except ValueError:
        raise UsageError("--store: the port is not a number") from None
    if not _DATABASE.fullmatch(database):
        raise UsageError("--store: the database is one name of letters, digits and _")
    user = unquote(parts.username) if parts.username else "default"
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    shown = f"{parts.scheme}://{user + '@' if parts.username else ''}{host}:{port}/{database}"
    with _translated(shown):
        client = clickhouse_connect.get_client(
            interface=parts.scheme,
            host=parts.hostname,
            port=port,
            username=user,
            password=unquote(parts.password or ""),
            connect_timeout=CONNECT_SECONDS,
            send_receive_timeout=ANSWER_SECONDS,
            autogenerate_session_id=False,  # a session would allow one query at a time
        )
    return Connection(client, database, shown, None)


def _open_embedded(directory: str) -> Connection:
    shown = f"chdb://{directory}"
    with _open_lock:
        _lock_directory(directory, shown)
        try:
            with _translated(shown):
                client = clickhouse_connect.get_client(
                    interface="chdb",
                    path=directory,
                    chdb_options=dict(EMBEDDED_OPTIONS),
                    settings=dict(EMBEDDED_SETTINGS),
                )
        except BaseException:
            _unlock_directory(directory)
            raise
    return Connection(client, "default", shown, lambda: _release(directory))


def _release(directory: str) -> None:
    with _open_lock:
        _unlock_directory(directory)


def _lock_directory(directory: str, shown: str) -> None:
    held = _open_dirs.get(directory)
    if held is not None:
        _open_dirs[directory] = (held[0], held[1] + 1)
        return
    if _open_dirs:
        raise ServiceUnreachable(f"store {shown}: this process has another embedded store open, and can have only one")
    try:
        os.makedirs(directory, mode=0o700, exist_ok=True)
        # Not removed at the end: a lock file that comes and goes can be held twice.
        lock = open(os.path.join(directory, LOCK_NAME), "ab")  # noqa: SIM115
    except OSError as error:
        raise ServiceUnreachable(f"store {shown} cannot be used: {error.strerror}") from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.close()
        raise ServiceUnreachable(f"store {shown} is in use by another process: one process owns it") from None
    _open_dirs[directory] = (lock, 1)


def _unlock_directory(directory: str) -> None:
    lock, connections = _open_dirs.pop(directory)
    if connections > 1:
        _open_dirs[directory] = (lock, connections - 1)
    else:
        lock.close()
