"""The page's local users: names, roles, and passwords as scrypt hashes with a salt of their own, in one sqlite file.

The file is made and changed by ``hitonami users``, also while a server uses it. Its sessions stand in it too
(sessions.py), so that a user who is removed, or gets another role or password, is out at once.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import unicodedata
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dashboard.book import Book
from dashboard.roles import GIVEN, Who
from engine.errors import UsageError

NAME_BYTES = 64  # as sinks/clickhouse/alerts.py takes it
SHORTEST, LONGEST = 12, 256  # characters of a password
_KIND = 0x48695573  # "HiUs"
_SCHEMA = """
CREATE TABLE users (
    name TEXT PRIMARY KEY, role TEXT NOT NULL, salt BLOB NOT NULL, hash BLOB NOT NULL,
    n INTEGER NOT NULL, r INTEGER NOT NULL, p INTEGER NOT NULL
) STRICT, WITHOUT ROWID;;
CREATE TABLE sessions (
    digest BLOB PRIMARY KEY, name TEXT NOT NULL REFERENCES users ON DELETE CASCADE,
    made_s REAL NOT NULL, used_s REAL NOT NULL
) STRICT, WITHOUT ROWID;;
CREATE INDEX sessions_of ON sessions (name)
"""


@dataclass(frozen=True, slots=True)
class Cost:
    """Parameters of scrypt (RFC 7914): 128 · n · r bytes of memory, time in proportion to n · r · p."""

    n: int = 2**15
    r: int = 8
    p: int = 3


COST = Cost()


class Users:
    """The users of a file; safe for threads. Methods raise UsageError for names and roles that cannot be.

    ``make``: make the file where there is none (mode 0600). ``cost`` is what new passwords are hashed with.
    """

    def __init__(self, path: Path, *, make: bool = False, cost: Cost | None = None) -> None:
        self.book = Book(path, _KIND, _SCHEMA, make=make)
        self._cost = cost or COST
        # whoever is not there is checked against this: the time must not tell which names there are
        self._nobody = secrets.token_bytes(16), secrets.token_bytes(32), self._cost.n, self._cost.r, self._cost.p

    def close(self) -> None:
        """Give the file back."""
        self.book.close()

    def listed(self) -> list[Who]:
        """All users by name."""
        return [Who(*row) for row in self.book.rows("SELECT name, role FROM users ORDER BY name")]

    def add(self, name: str, role: str, password: str) -> None:
        """Add a user. Raises UsageError where the name is taken, or a rule is broken."""
        name = _name(name)
        row = (name, _role(role), *self._hashed(password))
        with self.book.change() as connection:
            if connection.execute("SELECT 1 FROM users WHERE name = ?", (name,)).fetchone():
                raise UsageError("users: there is a user of that name")
            connection.execute("INSERT INTO users VALUES (?, ?, ?, ?, ?, ?, ?)", row)

    def remove(self, name: str) -> None:
        """Remove a user and end the sessions of it."""
        self._change(name, "DELETE FROM users WHERE name = ?", ())

    def set_role(self, name: str, role: str) -> None:
        """Give a user another role; the sessions of it end."""
        self._change(name, "UPDATE users SET role = ? WHERE name = ?", (_role(role),))

    def set_password(self, name: str, password: str) -> None:
        """Give a user another password; the sessions of it end."""
        hashed = self._hashed(password)
        self._change(name, "UPDATE users SET salt = ?, hash = ?, n = ?, r = ?, p = ? WHERE name = ?", hashed)

    def known(self, name: str) -> Who | None:
        """The user of that name, whoever asks."""
        found = self.book.rows("SELECT name, role FROM users WHERE name = ?", (normal(name),))
        return Who(*found[0]) if found else None

    def verify(self, name: str, password: str) -> Who | None:
        """The user, if it is that password. Takes as long for a name that is not there."""
        found = self.book.rows("SELECT role, salt, hash, n, r, p FROM users WHERE name = ?", (normal(name),))
        role, salt, digest, n, r, p = found[0] if found else (None, *self._nobody)
        # a password longer than any that can be set is none, but it takes its time all the same
        same = hmac.compare_digest(_scrypt(password[: LONGEST + 1], salt, Cost(n, r, p)), digest)
        return Who(normal(name), role) if same and role is not None else None

    def _change(self, name: str, statement: str, values: tuple[Any, ...]) -> None:
        name = normal(name)
        with self.book.change() as connection:
            if not connection.execute(statement, (*values, name)).rowcount:
                raise UsageError("users: there is no user of that name")
            connection.execute("DELETE FROM sessions WHERE name = ?", (name,))

    def _hashed(self, password: str) -> tuple[bytes, bytes, int, int, int]:
        if not SHORTEST <= len(password) <= LONGEST:
            raise UsageError(f"users: a password has {SHORTEST} to {LONGEST} characters")
        salt = secrets.token_bytes(16)
        return salt, _scrypt(password, salt, self._cost), self._cost.n, self._cost.r, self._cost.p


def _scrypt(password: str, salt: bytes, cost: Cost) -> bytes:
    # NFKC: keyboards and input methods write one character in several ways (NIST SP 800-63B 3.1.1.2)
    secret = unicodedata.normalize("NFKC", password).encode("utf-8", "surrogatepass")
    room = 128 * cost.r * (cost.n + cost.p + 2)
    return hashlib.scrypt(secret, salt=salt, n=cost.n, r=cost.r, p=cost.p, maxmem=room + 2**20, dklen=32)


def normal(name: str) -> str:
    """A name as it is kept and looked up: however it was typed, it is the same user."""
    return unicodedata.normalize("NFC", name).strip()


def _name(name: str) -> str:
    made = normal(name)
    if not made.isprintable() or not 0 < len(made.encode("utf-8", "surrogatepass")) <= NAME_BYTES:
        raise UsageError(f"users: a name has 1 to {NAME_BYTES} bytes, without control characters")
    return made


def _role(role: str) -> str:
    if role not in GIVEN:
        raise UsageError(f"users: no such role; there are {', '.join(GIVEN)}")
    return role
