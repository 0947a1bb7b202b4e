"""The trail of what people did at the page: appended to, never changed.

    at_ms  who  role  what  run  alert  detail  address

``what``: login, failed (a login), logout, act, undone (an act that the store did not take), refused (by the role),
download, scene, user (a user was added, removed or changed; ``who`` is then the account of the command line).
``detail``: the action, the product, the route; never a password, a note, or what else was typed.
``address``: the client's, of logins. An act is written down before it is done: none goes without its row.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from dashboard.book import Book
from dashboard.roles import Who

WHAT = ("login", "failed", "logout", "act", "undone", "refused", "download", "scene", "user")
MOST = 1_000  # rows read at once
_LONGEST = 200  # characters of a text
_COLUMNS = ("id", "at_ms", "who", "role", "what", "run", "alert", "detail", "address")
_KIND = 0x48695472  # "HiTr"
# INSERT OR REPLACE would delete without the trigger of DELETE: so the third one
_SCHEMA = f"""
CREATE TABLE trail (
    id INTEGER PRIMARY KEY, at_ms INTEGER NOT NULL, who TEXT NOT NULL, role TEXT NOT NULL,
    what TEXT NOT NULL CHECK (what IN ({", ".join(f"'{word}'" for word in WHAT)})),
    run TEXT NOT NULL, alert TEXT NOT NULL, detail TEXT NOT NULL, address TEXT NOT NULL
) STRICT;;
CREATE TRIGGER no_update BEFORE UPDATE ON trail BEGIN SELECT RAISE(ABORT, 'the trail is only appended to'); END;;
CREATE TRIGGER no_delete BEFORE DELETE ON trail BEGIN SELECT RAISE(ABORT, 'the trail is only appended to'); END;;
CREATE TRIGGER no_replace BEFORE INSERT ON trail WHEN EXISTS (SELECT 1 FROM trail WHERE id = NEW.id)
BEGIN SELECT RAISE(ABORT, 'the trail is only appended to'); END
"""


def beside(users: Path) -> Path:
    """The trail of a users' file: its name with ``.trail`` at its end."""
    return users.with_name(users.name + ".trail")


class Trail:
    """The trail in a file (mode 0600), or in memory with ``path`` None. ``clock``: seconds. Safe for threads.

    Methods raise sqlite3.Error where the file cannot be read or written.
    """

    def __init__(self, path: Path | None, clock: Callable[[], float]) -> None:
        self._book, self._clock = Book(path, _KIND, _SCHEMA, make=True), clock

    def close(self) -> None:
        """Give the file back."""
        self._book.close()

    def add(self, who: Who, what: str, *, run: str = "", alert: str = "", detail: str = "", address: str = "") -> None:
        """Append a row; it is on the disk when this returns."""
        texts = [text[:_LONGEST].encode("utf-8", "replace").decode() for text in (run, alert, detail, address)]
        with self._book.change() as connection:
            connection.execute(
                "INSERT INTO trail (at_ms, who, role, what, run, alert, detail, address) VALUES (?,?,?,?,?,?,?,?)",
                (round(self._clock() * 1000), who.name, who.role, what, *texts),
            )

    def newest(self, limit: int) -> list[dict[str, Any]]:
        """The newest rows (at most MOST), the newest first."""
        query = f"SELECT {', '.join(_COLUMNS)} FROM trail ORDER BY id DESC LIMIT ?"
        return [dict(zip(_COLUMNS, row, strict=True)) for row in self._book.rows(query, (min(limit, MOST),))]
