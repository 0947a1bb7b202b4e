"""The chain of reads by companies (PRIVACY.md R7): a row for each, refused or not, with the hash of the row before it.

    seq  at  contract company purpose product run window from to  rows  outcome reason  nonce  prev  hash

``hash`` = SHA-256 over the canonical JSON of all other columns (keys sorted, times in ms, null where there is none),
``prev`` = the hash of row seq − 1 (64 zeros for the first), ``nonce`` = random, so that two reads alike are two rows.
A row holds words of the contract, the product and the run; nothing of people, nothing that somebody typed.

Who appends reads the head and inserts its successor under the token seq: of those who do so at once ClickHouse keeps
one row, the others find it there and go on behind it (``once.py``). So the chain does not fork.
"""

from __future__ import annotations

import hashlib
import json
import random
import secrets
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from engine.errors import CheckFailed, HitonamiError, ServiceUnreachable
from engine.rfc3339 import format_ms
from sinks.clickhouse import once
from sinks.clickhouse.connection import Connection
from sinks.clickhouse.reader import clamp

GENESIS = "0" * 64
GIVEN, REFUSED = "given", "refused"
SLICE = 10_000  # rows read at once
_PATIENCE_S = 60.0
_TRIES = 3  # looks at an empty place before its token is held to be used up
_TIMES = ("at", "from", "to")


@dataclass(frozen=True, slots=True)
class Read:
    """A read of a company. Times in ms: ``at_ms`` wall clock; ``from_ms``, ``to_ms`` as asked for, None: no bound.

    ``window`` "": all. ``rows``: how many were handed out. ``reason`` "" where it was given. What was asked for and is
    not known (a contract, a run, a purpose) is "".
    """

    at_ms: int
    contract: str
    company: str
    purpose: str
    product: str
    run: str
    window: str
    from_ms: int | None
    to_ms: int | None
    rows: int
    outcome: str
    reason: str


@dataclass(frozen=True, slots=True)
class Link(Read):
    """A row of the chain."""

    seq: int
    nonce: str
    prev: str
    hash: str = ""

    def columns(self) -> dict[str, Any]:
        """Column → value, times in ms."""
        return {column: getattr(self, name) for column, name in zip(_COLUMNS, _FIELDS, strict=True)}

    def digest(self) -> str:
        """What its hash must be."""
        told = self.columns()
        del told["hash"]
        # a byte that is no text any more comes as bytes; any form of it will do, for the hash is another one anyway
        text = json.dumps(told, ensure_ascii=False, sort_keys=True, separators=(",", ":"), default=repr)
        return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()

    @property
    def mark(self) -> str:
        """``seq:hash``: who keeps it can later tell whether the chain still holds the row."""
        return f"{self.seq}:{self.hash}"


_FIELDS = tuple(field.name for field in fields(Link))
_COLUMNS = tuple(name.removesuffix("_ms") for name in _FIELDS)


def append(connection: Connection, read: Read) -> Link:
    """Append a read to the chain. Raises ServiceUnreachable where it is not taken: nothing may be read then."""
    last_s = time.monotonic() + _PATIENCE_S
    nonce = secrets.token_hex(16)
    place = empty = 0
    while True:
        seq, prev = _head(connection)
        place, empty = seq + 1, empty if place == seq + 1 else 0
        link = Link(**_values(read), seq=place, nonce=nonce, prev=prev)
        link = replace(link, hash=link.digest())
        row = {name: _written(name, value) for name, value in link.columns().items()}
        # The token of a row that was removed, or got lost in a crash, takes no other row: the next one does.
        once.append(connection, "reads", row, f"{place}/{empty // _TRIES}")
        there = connection.rows(
            f"SELECT hash FROM {connection.table('reads')} WHERE seq = {{seq:UInt64}}", {"seq": place}
        )
        hashes = [str(found[0]) for found in there]
        if link.hash in hashes:
            if len(hashes) > 1:
                raise HitonamiError(f"chain of reads: row {place} stands there twice")
            return link
        empty = 0 if hashes else empty + 1
        if time.monotonic() > last_s:
            raise ServiceUnreachable(f"store {connection.shown}: the chain of reads takes no row")
        time.sleep(random.uniform(0.002, 0.05))  # those who met do not meet again


def follow(connection: Connection, head: str = "") -> Iterator[Link]:
    """All rows of the chain, each verified before it is given.

    ``head``: a ``mark`` that was told before, which the chain must still hold. Raises CheckFailed, naming the first bad
    row, where one was changed, removed or put in; the last rows, removed together, are missed by a ``head`` only.
    """
    told_seq, _, told_hash = head.partition(":")
    wanted = int(told_seq) if told_seq.isdecimal() else 0
    count, least, most = _extent(connection)
    place, prev = 1, GENESIS
    if count and least < 1:
        raise CheckFailed(f"chain of reads: row {least} stands before the first")
    while place <= most:
        slice_ = _rows(connection, place, place + SLICE)
        for link in slice_:
            _check(link, place, prev)
            if place == wanted and link.hash != told_hash:
                raise CheckFailed(f"chain of reads: row {place} is another one than the head told before")
            yield link
            place, prev = place + 1, link.hash
        if not slice_ and place <= most:
            raise CheckFailed(f"chain of reads: row {place} is missing")
    if wanted >= place:
        raise CheckFailed(f"chain of reads: row {place} is missing")


def _check(link: Link, place: int, prev: str) -> None:
    if link.seq != place:
        what = "is missing" if link.seq > place else "stands there twice"
        raise CheckFailed(f"chain of reads: row {min(link.seq, place)} {what}")
    if link.digest() != link.hash:
        raise CheckFailed(f"chain of reads: row {place} was changed")
    if link.prev != prev:
        raise CheckFailed(f"chain of reads: row {place} does not follow the row before")


def _head(connection: Connection) -> tuple[int, str]:
    """Number and hash of the last row."""
    found = connection.rows(f"SELECT seq, hash FROM {connection.table('reads')} ORDER BY seq DESC LIMIT 1")
    return (int(found[0][0]), str(found[0][1])) if found else (0, GENESIS)


def _extent(connection: Connection) -> tuple[int, int, int]:
    """Number of rows, least and greatest seq."""
    count, least, most = connection.rows(f"SELECT count(), min(seq), max(seq) FROM {connection.table('reads')}")[0]
    return int(count), int(least), int(most)


def _rows(connection: Connection, first: int, end: int) -> list[Link]:
    columns = ", ".join(f"toUnixTimestamp64Milli(`{name}`)" if name in _TIMES else f"`{name}`" for name in _COLUMNS)
    found: Sequence[Sequence[Any]] = connection.rows(
        f"SELECT {columns} FROM {connection.table('reads')}"
        " WHERE seq >= {first:UInt64} AND seq < {end:UInt64} ORDER BY seq, hash",
        {"first": first, "end": end},
    )
    return [Link(**dict(zip(_FIELDS, row, strict=True))) for row in found]


def _values(read: Read) -> dict[str, Any]:
    values = asdict(read)
    for name in ("from_ms", "to_ms"):  # what the column can hold is what is hashed
        values[name] = None if values[name] is None else clamp(values[name])
    return values


def _written(name: str, value: Any) -> Any:
    return format_ms(value) if name in _TIMES and value is not None else value
