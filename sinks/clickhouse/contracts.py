"""The contracts in the store: every version of every record, only ever appended (engine/contract.py reads them)."""

from __future__ import annotations

import random
import time

from engine.contract import Contracts
from engine.errors import ServiceUnreachable
from sinks.clickhouse import once
from sinks.clickhouse.connection import Connection

_TRIES = 3  # looks at an empty place before its token is held to be used up
_TOKENS = 30  # that may be used up in one place


def put(connection: Connection, name: str, version: int, record: str) -> bool:
    """Append a version of a contract; False where another record has that version already (somebody was faster).

    ``version`` counts from 1. The same record again is True and changes nothing. Raises ServiceUnreachable where the
    store takes neither.
    """
    values = {"id": name, "version": version, "record": record}
    for turn in range(_TRIES * _TOKENS):
        # The token of a row that was removed, or got lost in a crash, takes no other row: the next one does.
        used = turn // _TRIES
        once.append(connection, "contracts", values, f"{name}/{version}" + (f" {used}" if used else ""))
        found = connection.rows(
            f"SELECT record FROM {connection.table('contracts')}"
            " WHERE id = {id:String} AND version = {version:UInt32}",
            {"id": name, "version": version},
        )
        if found:
            return [row[0] for row in found] == [record]
        time.sleep(random.uniform(0.002, 0.05))
    raise ServiceUnreachable(f"store {connection.shown}: the contracts take no row")


def known(connection: Connection) -> Contracts:
    """What they allow; a record that is not of the id it stands under is none that can be read."""
    made = Contracts()
    for name, record in connection.rows(
        f"SELECT id, argMax(record, version) FROM {connection.table('contracts')} GROUP BY id"
    ):
        made.take(str(record).encode("utf-8", "surrogatepass"), str(name))
    return made
