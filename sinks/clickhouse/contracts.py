"""The contracts in the store: every version of every record, only ever appended (engine/contract.py reads them)."""

from __future__ import annotations

from sinks.clickhouse import once
from sinks.clickhouse.connection import Connection


def put(connection: Connection, name: str, version: int, record: str) -> bool:
    """Append a version of a contract; False where another record has that version already (somebody was faster).

    ``version`` counts from 1. The same record again is True and changes nothing.
    """
    once.append(connection, "contracts", {"id": name, "version": version, "record": record}, f"{name}/{version}")
    found = connection.rows(
        f"SELECT record FROM {connection.table('contracts')} WHERE id = {{id:String}} AND version = {{version:UInt32}}",
        {"id": name, "version": version},
    )
    return [row[0] for row in found] == [record]


def newest(connection: Connection) -> list[str]:
    """The newest record of every contract, by id."""
    found = connection.rows(
        f"SELECT argMax(record, version) FROM {connection.table('contracts')} GROUP BY id ORDER BY id"
    )
    return [str(row[0]) for row in found]
