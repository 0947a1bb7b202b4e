"""Who is logged in: random ids in a cookie, their digests in the users' file.

A session ends with a logout, when no page has used it for ``IDLE_S`` (an open page keeps its stream, so this means: no
page open), ``LONGEST_S`` after the login in any case, and when its user is removed or gets another role or password.
It outlives a restart of the server.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable

from dashboard.roles import Who
from dashboard.users import Users

IDLE_S = 30 * 60.0
LONGEST_S = 12 * 3600.0  # the longest shift
MOST = 20  # sessions of one user; the oldest goes first
_NOTED_S = 60.0  # how often a use is written down


class Sessions:
    """The sessions of a users' file. ``clock``: seconds since the epoch. Safe for threads; raises sqlite3.Error."""

    def __init__(self, users: Users, clock: Callable[[], float]) -> None:
        self._book, self._clock = users.book, clock

    def begin(self, who: Who) -> str:
        """A new session's id; nothing is left of those that are over."""
        made, now = secrets.token_urlsafe(32), self._clock()
        with self._book.change() as connection:
            connection.execute("DELETE FROM sessions WHERE used_s <= ? OR made_s <= ?", (now - IDLE_S, now - LONGEST_S))
            connection.execute(
                "DELETE FROM sessions WHERE digest IN"
                " (SELECT digest FROM sessions WHERE name = ? ORDER BY made_s DESC, digest LIMIT -1 OFFSET ?)",
                (who.name, MOST - 1),
            )
            connection.execute("INSERT INTO sessions VALUES (?, ?, ?, ?)", (_digest(made), who.name, now, now))
        return made

    def find(self, made: str) -> Who | None:
        """Who has that session, by the role of now; None where it is over or never was. Counts as a use."""
        digest, now = _digest(made), self._clock()
        found = self._book.rows(
            "SELECT name, role, made_s, used_s FROM sessions JOIN users USING (name) WHERE digest = ?", (digest,)
        )
        if not found:
            return None
        name, role, made_s, used_s = found[0]
        if now - used_s >= IDLE_S or now - made_s >= LONGEST_S:
            return None
        if now - used_s >= _NOTED_S:
            with self._book.change() as connection:
                connection.execute("UPDATE sessions SET used_s = ? WHERE digest = ?", (now, digest))
        return Who(name, role)

    def end(self, made: str) -> None:
        """End a session; one that is over already is no error."""
        with self._book.change() as connection:
            connection.execute("DELETE FROM sessions WHERE digest = ?", (_digest(made),))


def _digest(made: str) -> bytes:
    # the file must not hold what opens the page; the ids are random, so one round is enough
    return hashlib.sha256(made.encode("utf-8", "surrogatepass")).digest()
