"""Who comes in: users, sessions and the limit of logins behind one object, ``request.app.state.door``."""

from __future__ import annotations

import asyncio
import ipaddress
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request

from dashboard.limit import Limit
from dashboard.roles import LOCAL, NOBODY, Who
from dashboard.sessions import Sessions
from dashboard.trail import Trail
from dashboard.users import Users, normal
from engine.errors import UsageError

LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
_EVERYWHERE = ("0.0.0.0", "::", "")
PER_NAME = (10, 30.0)  # failed logins at once, and seconds until there may be one more
PER_ADDRESS = (20, 15.0)
PER_REFUSED = (30, 20.0)  # rows of the trail about what one user was refused
PROVEN = 1_000  # users and addresses of logins that succeeded, kept for the limit
_WAITING = 8  # passwords that wait for being checked, one at a time: each takes 32 MiB and a core


@dataclass(frozen=True, slots=True)
class Wait:
    """Too many logins: in so many seconds again."""

    seconds: float


class Door:
    """``names``: host names the page answers to beside loopback. ``https``: browsers reach it through TLS only.

    Without ``users`` everybody is ``local``.
    """

    def __init__(
        self,
        users: Users | None,
        trail: Trail,
        clock: Callable[[], float],
        *,
        local: Who = LOCAL,
        names: Sequence[str] = (),
        https: bool = False,
    ) -> None:
        self.users, self.trail, self.https = users, trail, https
        self.hosts = frozenset((*LOOPBACK, *(name.lower() for name in names)))
        # __Host-: such a cookie can only be set over TLS, by this host, for all of it
        self.cookie = "__Host-hitonami" if https else "hitonami"
        self._sessions = None if users is None else Sessions(users, clock)
        self._local = local
        self._per_name, self._per_address = Limit(*PER_NAME, clock), Limit(*PER_ADDRESS, clock)
        self._per_refused = Limit(*PER_REFUSED, clock)
        self._per_key = Limit(*PER_ADDRESS, clock)
        self._proven: dict[tuple[str, str], None] = {}  # the oldest first
        self._checking = asyncio.Lock()
        self._waiting = 0

    async def who(self, request: Request) -> Who:
        """Who asks. Raises sqlite3.Error."""
        if self._sessions is None:
            return self._local
        made = request.cookies.get(self.cookie)
        return (await asyncio.to_thread(self._sessions.find, made) if made else None) or NOBODY

    async def login(self, name: str, password: str, request: Request) -> tuple[Who, str] | Wait | None:
        """Who it is and the id of a new session; None for a wrong name or password. Raises sqlite3.Error.

        Only tries that fail count towards the limits; those beyond are not looked at, so they cost nothing. Whoever has
        logged in from an address before is counted apart there: guesses from elsewhere keep nobody out of a shift.
        """
        if self.users is None or self._sessions is None:
            return None
        address = address_of(request)
        user = normal(name), _neighbours(address)
        counted = "\0".join(user) if user in self._proven else user[0]
        keys = ((self._per_name, counted), (self._per_address, user[1]))
        waits = [limit.take(key) for limit, key in keys]
        if any(waits) or self._waiting >= _WAITING:
            for (limit, key), wait in zip(keys, waits, strict=True):
                if not wait:
                    limit.give_back(key)
            return Wait(max(1.0, *waits))
        self._waiting += 1
        try:
            async with self._checking:
                who = await asyncio.to_thread(self.users.verify, name, password)
        finally:
            self._waiting -= 1
        if who is None:
            # what is typed as a name may be a password: only names that are there are written down
            known = await asyncio.to_thread(self.users.known, name)
            await self.note(known or NOBODY, "failed", address=address)
            return None
        for limit, key in keys:
            limit.give_back(key)
        self._proven.pop(user, None)
        self._proven[user] = None
        if len(self._proven) > PROVEN:
            del self._proven[next(iter(self._proven))]
        await self.logout(request)
        made = await asyncio.to_thread(self._sessions.begin, who)
        await self.note(who, "login", address=address)
        return who, made

    async def logout(self, request: Request) -> None:
        """End the session of the request, if there is one. Raises sqlite3.Error."""
        made = request.cookies.get(self.cookie)
        if self._sessions is None or not made:
            return
        who = await asyncio.to_thread(self._sessions.find, made)
        await asyncio.to_thread(self._sessions.end, made)
        if who is not None:
            await self.note(who, "logout")

    async def note(
        self, who: Who, what: str, *, run: str = "", alert: str = "", detail: str = "", address: str = ""
    ) -> None:
        """Append to the trail. Raises sqlite3.Error."""
        await asyncio.to_thread(self.trail.add, who, what, run=run, alert=alert, detail=detail, address=address)

    def try_key(self, request: Request) -> Wait | None:
        """Count a try of a company's key against its address; Wait where there were too many wrong ones."""
        wait = self._per_key.take(_neighbours(address_of(request)))
        return Wait(max(1.0, wait)) if wait else None

    def right_key(self, request: Request) -> None:
        """That try does not count: the key is right."""
        self._per_key.give_back(_neighbours(address_of(request)))

    async def newest(self, limit: int) -> list[dict[str, Any]]:
        """The newest rows of the trail, the newest first. Raises sqlite3.Error."""
        return await asyncio.to_thread(self.trail.newest, limit)

    async def note_refused(self, who: Who, route: str) -> None:
        """Append that a role has not sufficed; a user who is refused all the time is not written down each time."""
        if not self._per_refused.take(who.name):
            await self.note(who, "refused", detail=route)


def own_names(host: str, names: Sequence[str], https: bool) -> tuple[str, ...]:
    """The host names of a page that listens on ``host``: those given, and ``host`` where it is one address.

    Raises UsageError where passwords would go over a network as they are, and for names that are none.
    """
    address = f"[{host}]" if ":" in host else host.lower()
    if address not in LOOPBACK and not https:
        raise UsageError("passwords need TLS: a --host that is not loopback needs --https and a proxy in front")
    if any(not re.fullmatch(r"[A-Za-z0-9._-]+|\[[0-9A-Fa-f:]+\]", name) for name in names):
        raise UsageError("--name: a host name as it stands in the browser, without scheme and port")
    return tuple(names) if host in _EVERYWHERE else (*names, address)


def address_of(request: Request) -> str:
    """The client's address, "" where it is not known."""
    return request.client.host if request.client else ""


def _neighbours(address: str) -> str:
    """What one client can take turns with: the address, of IPv6 its network of 64 bits."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return address
    if ip.version == 4:
        return str(ip)
    return str(ip.ipv4_mapped or ipaddress.ip_network((ip, 64), strict=False))
