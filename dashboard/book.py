"""A small sqlite file of the page's own (users.py, trail.py): in WAL, for its owner's eyes only."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import stat
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from engine.errors import BadInput, UsageError

BUSY_S = 5.0  # how long a writer waits for another process that writes
OTHERS = stat.S_IRWXG | stat.S_IRWXO


class Book:
    """One connection, safe for threads. ``path`` None: in memory, gone at the end.

    ``kind`` is written into the file (its application id), so that one file is not taken for another. ``make``: make
    the file where there is none. Raises UsageError for a file that is not there, that others may read, or that cannot
    be opened, and BadInput for one of another kind.
    """

    def __init__(self, path: Path | None, kind: int, schema: str, *, make: bool) -> None:
        self._lock = threading.RLock()
        if path is not None:
            _private(path, make)
        try:
            self._connection = sqlite3.connect(
                ":memory:" if path is None else path, timeout=BUSY_S, isolation_level=None, check_same_thread=False
            )
            self._prepare(kind, schema)
        except sqlite3.OperationalError:
            raise UsageError(f"{path}: the file cannot be opened, or is in use") from None
        except sqlite3.DatabaseError:
            raise BadInput(f"{path}: not a file of this kind") from None

    def _prepare(self, kind: int, schema: str) -> None:
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = FULL")  # what was said to be done is on the disk
        self._connection.execute("PRAGMA foreign_keys = ON")
        with self.change() as connection:
            found = connection.execute("PRAGMA application_id").fetchone()[0]
            empty = not connection.execute("SELECT 1 FROM sqlite_master").fetchone()
            if empty and found == 0:
                for statement in schema.split(";;"):
                    connection.execute(statement)
                connection.execute(f"PRAGMA application_id = {kind}")
            elif found != kind:
                raise sqlite3.DatabaseError

    def rows(self, query: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """What a query gives. Raises sqlite3.Error."""
        with self._lock:
            return self._connection.execute(query, values).fetchall()

    @contextlib.contextmanager
    def change(self) -> Iterator[sqlite3.Connection]:
        """A transaction: all that is done in the block, or nothing. Raises sqlite3.Error."""
        with self._lock:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")

    def close(self) -> None:
        """Give the file back."""
        with self._lock:
            self._connection.close()


def _private(path: Path, make: bool) -> None:
    try:
        # the mode counts from the first byte on, whatever the umask
        os.close(os.open(path, os.O_RDWR | (os.O_CREAT if make else 0), 0o600))
        mode = path.stat().st_mode
    except OSError as error:
        raise UsageError(f"{path}: cannot be opened: {error.strerror}") from None
    if mode & OTHERS:
        raise UsageError(f"{path}: others may read it: chmod 600 it first")
