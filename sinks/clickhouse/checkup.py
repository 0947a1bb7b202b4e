"""What a look at a store tells, for ``doctor``; nothing is written or made."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass

from engine.model import PRODUCTS
from sinks.clickhouse.connection import Connection
from sinks.clickhouse.schema import in_cluster, is_replicated, migrations

_WINDOW = re.compile(r"\b(?:non_)?replicated_deduplication_window = (\d+)")
_DELAY = re.compile(r"\bparts_to_delay_insert = (\d+)")


@dataclass(frozen=True)
class Checkup:
    """A store at one moment.

    ``missing``: migrations not applied; ``newer``: the greatest number applied that is not known here, else 0.
    ``windows``: product → inserts remembered against repeats, 0 where none; products without a table are left out.
    ``parts``: product → (most parts of a run, number from which inserts wait). ``disks``: name → (free, total) bytes.
    ``server_ahead_ms``: the server's clock less ours, give or take ``within_ms``. ``runs``: number of runs, None where
    there are no tables. ``clustered``: the server is one of a cluster; ``replicated``: the database is too.
    """

    version: tuple[int, ...]
    missing: tuple[int, ...]
    newer: int
    windows: Mapping[str, int]
    parts: Mapping[str, tuple[int, int]]
    disks: Mapping[str, tuple[int, int]]
    server_ahead_ms: float
    within_ms: float
    runs: int | None
    clustered: bool
    replicated: bool


def look(connection: Connection) -> Checkup:
    """Look at a store. Raises ServiceUnreachable when it does not answer."""
    version = str(connection.rows("SELECT version()")[0][0])
    where = {"products": list(PRODUCTS)}
    mine = f"database = {connection.database_text}"
    engines: dict[str, str] = {
        str(name): str(engine)
        for name, engine in connection.rows(
            f"SELECT name, engine_full FROM system.tables WHERE {mine} AND name IN {{products:Array(String)}}", where
        )
    }
    parts: dict[str, int] = {
        str(name): int(most)
        for name, most in connection.rows(
            "SELECT table, max(n) FROM (SELECT table, partition, count() AS n FROM system.parts"
            f" WHERE {mine} AND active AND table IN {{products:Array(String)}}"
            " GROUP BY table, partition) GROUP BY table",
            where,
        )
    }
    settings: dict[str, str] = {
        str(name): str(value)
        for name, value in connection.rows(
            "SELECT name, value FROM system.merge_tree_settings"
            " WHERE name = 'parts_to_delay_insert' OR name LIKE '%replicated_deduplication_window'"
        )
    }
    tables = {str(row[0]) for row in connection.rows(f"SELECT name FROM system.tables WHERE {mine}")}
    done: set[int] = set()
    if "schema_migrations" in tables:
        done = {int(row[0]) for row in connection.rows(f"SELECT number FROM {connection.table('schema_migrations')}")}
    runs = None
    if "runs" in tables:
        runs = int(connection.rows(f"SELECT count() FROM {connection.table('runs')} FINAL")[0][0])
    begun, asked = time.time(), time.monotonic()
    server = int(connection.rows("SELECT toUnixTimestamp64Milli(now64(3))")[0][0])
    took_ms = (time.monotonic() - asked) * 1000
    return Checkup(
        tuple(int(part) for part in re.findall(r"\d+", version)),
        tuple(number for number in migrations() if number not in done),
        max(done - migrations().keys(), default=0),
        {name: _window(engine, settings) for name, engine in engines.items()},
        {name: (parts.get(name, 0), _delay(engine, settings)) for name, engine in engines.items()},
        {
            str(name): (int(free), int(total))
            for name, free, total in connection.rows("SELECT name, free_space, total_space FROM system.disks")
        },
        server - begun * 1000 - took_ms / 2,
        took_ms / 2,
        runs,
        in_cluster(connection),
        is_replicated(connection),
    )


def _window(engine: str, settings: Mapping[str, str]) -> int:
    own = _WINDOW.search(engine)
    shared = engine.startswith(("Replicated", "Shared"))
    return int(own[1] if own else settings.get(f"{'' if shared else 'non_'}replicated_deduplication_window", "0"))


def _delay(engine: str, settings: Mapping[str, str]) -> int:
    own = _DELAY.search(engine)
    return int(own[1] if own else settings.get("parts_to_delay_insert", "0"))
