"""The tables: numbered migrations, and the way from Released rows to the Arrow rows of an insert."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from importlib import resources

import numpy as np
import pyarrow as pa

from engine.errors import HitonamiError
from engine.model import NO_TIME, NULL_INT, PRODUCTS, TS_MAX, TS_MIN, Released
from sinks.clickhouse import arrow
from sinks.clickhouse.connection import Connection

COMMON = ("run_id", "registry_version", "revision")  # last columns of every row
ACTIONS_TABLE = "alert_actions"
CONSENTS_TABLE = "consent_states"
# by run; runs last, so that a half-dropped run is still listed
RUN_TABLES = (*PRODUCTS, ACTIONS_TABLE, CONSENTS_TABLE, "runs")
# The time in each product's key.
KEY_TIME: Mapping[str, str] = {
    product: next(name for name in key if columns[name] == "t") for product, (key, columns) in PRODUCTS.items()
}
# Tables of the embedded engine: parts of one file up to 256 MB, merged row by row. A merge with a buffer per column and
# part would need some 40 MB more, for a speed of reading that a store of this size does not miss. Reading takes 1 to
# 2 MB for each part of a run: from EMBEDDED_PARTS on an insert waits a little, so that merges keep up. A live window
# closes with up to one part per shard; that is below.
EMBEDDED_PARTS = 60
EMBEDDED_TABLES = (
    "min_bytes_for_wide_part = 268435456, enable_vertical_merge_algorithm = 0,"
    f" parts_to_delay_insert = {EMBEDDED_PARTS}, min_delay_to_insert_ms = 50"
)
DATETIME_MAX = 10_413_791_999_999  # 2299-12-31T23:59:59.999Z, last instant of DateTime64(3)
# A server of a cluster names its shard and its replica. What one replica has, all have; Keeper keeps tables and tokens.
# A token is kept for a week: by default it is an hour, and a run may be stopped for longer.
CLUSTER_MACROS = ("shard", "replica")
_ENGINE = re.compile(r"ENGINE = (\w*MergeTree)")
_ALONE = "non_replicated_deduplication_window = 10000"
_SHARED = "replicated_deduplication_window = 10000, replicated_deduplication_window_seconds = 604800"
_FILE = re.compile(r"(\d{4})_\w+\.sql")
_TTL = re.compile(r" TTL (.*?)(?: SETTINGS |$)")
_TIME = pa.timestamp("ms", "UTC")


def quoted(name: str) -> str:
    """A column's name as SQL takes it, whatever word of SQL it is too (``from``, ``table``)."""
    return f"`{name}`"


def migrations() -> dict[int, Sequence[str]]:
    """Number → statements of every migration of this version, ascending."""
    found = {}
    for file in resources.files("sinks.clickhouse").joinpath("migrations").iterdir():
        named = _FILE.fullmatch(file.name)
        if named:
            lines = file.read_text("utf-8").splitlines()
            text = "\n".join(line for line in lines if not line.lstrip().startswith("--"))
            found[int(named[1])] = [part.strip() for part in text.split(";") if part.strip()]
    return dict(sorted(found.items()))


def migrate(connection: Connection) -> list[int]:
    """Apply what is missing, in order; returns the numbers applied now ([] when the store is up to date).

    Safe to repeat, and to run twice at once: every statement is IF NOT EXISTS or its like. A server of a cluster gets
    a replicated database: on the first server the tables are made, on the others they come with it (docs/adr/0049).
    Raises HitonamiError when the store was written by a newer version.
    """
    database = connection.database
    engine = ""
    if in_cluster(connection):
        path = connection.database_text[1:-1]
        engine = f" ENGINE = Replicated('/hitonami/{path}', '{{shard}}', '{{replica}}')"
    connection.command(f"CREATE DATABASE IF NOT EXISTS {database}{engine}")
    made = replicated if is_replicated(connection) else str
    numbers = (
        f"CREATE TABLE IF NOT EXISTS {database}.schema_migrations"
        " (number UInt32, applied_at DateTime64(3, 'UTC') DEFAULT now64(3)) ENGINE = ReplacingMergeTree ORDER BY number"
    )
    connection.command(made(numbers))
    known = migrations()
    done = {int(row[0]) for row in connection.rows(f"SELECT DISTINCT number FROM {database}.schema_migrations")}
    if done - known.keys():
        raise HitonamiError(f"store {connection.shown} was written by a newer Hitonami (schema {max(done)})")
    applied = [number for number in known if number not in done]
    for number in applied:
        for statement in known[number]:
            connection.command(made(statement.replace("{database}", database)))
        if connection.embedded:
            for product in _made_by(known[number]):
                connection.command(f"ALTER TABLE {connection.table(product)} MODIFY SETTING {EMBEDDED_TABLES}")
        connection.insert_json(
            # told again where it is lost, so it waits for no other replica: there may be none yet
            "schema_migrations",
            ["number"],
            b'{"number":%d}\n' % number,
            {"async_insert": 0, "insert_deduplicate": 0, "insert_quorum": 0},
        )
    return applied


def in_cluster(connection: Connection) -> bool:
    """Whether the server is one of a cluster: it names its shard and its replica (macros of its configuration)."""
    found = connection.rows(
        "SELECT count() FROM system.macros WHERE macro IN {names:Array(String)}", {"names": list(CLUSTER_MACROS)}
    )
    return int(found[0][0]) == len(CLUSTER_MACROS)


def is_replicated(connection: Connection) -> bool:
    """Whether what stands in the database stands on every replica."""
    found = connection.rows(f"SELECT engine FROM system.databases WHERE name = {connection.database_text}")
    return [str(row[0]) for row in found] == ["Replicated"]


def replicated(statement: str) -> str:
    """A statement of a migration for a replicated database: its table is on every replica, and so are its tokens."""
    return _ENGINE.sub(r"ENGINE = Replicated\1", statement).replace(_ALONE, _SHARED)


def _made_by(statements: Sequence[str]) -> list[str]:
    """The products whose tables these statements make."""
    return [p for p in PRODUCTS if any(f"CREATE TABLE IF NOT EXISTS {{database}}.{p}\n" in s for s in statements)]


def keep(connection: Connection, days: Mapping[str, int]) -> list[str]:
    """Let ClickHouse remove rows older than ``days`` of their product (0: never); returns the products changed now.

    The age is that of the time in the key; what operators did with alerts goes with these. Runs and registries stay.
    Rows go when ClickHouse next merges their part.
    """
    changed = []
    tables = [(product, product, KEY_TIME[product], number) for product, number in days.items()]
    if "alerts" in days:
        tables.append(("alerts", ACTIONS_TABLE, "at", days["alerts"]))
    for product, table, time, number in tables:
        told = connection.rows(
            "SELECT engine_full FROM system.tables"
            f" WHERE database = {connection.database_text} AND name = {{name:String}}",
            {"name": table},
        )
        now = _TTL.search(str(told[0][0]))
        wanted = f"{time} + toIntervalDay({number})" if number else ""
        if (now[1] if now else "") == wanted:
            continue
        change = f"MODIFY TTL {wanted}" if wanted else "REMOVE TTL"
        connection.command(f"ALTER TABLE {connection.table(table)} {change}")
        changed.append(product)
    return list(dict.fromkeys(changed))


def check(rows: Released) -> None:
    """Raise ValueError unless the columns are the product's, of one length, codes in their names, times storable."""
    if rows.product not in PRODUCTS:
        raise ValueError(f"no product {rows.product}")
    kinds = PRODUCTS[rows.product][1]
    if set(rows.columns) != set(kinds):
        raise ValueError(f"{rows.product}: columns are {sorted(rows.columns)}, not {sorted(kinds)}")
    for name, kind in kinds.items():
        column = rows.columns[name]
        if column.shape != (len(rows),):
            raise ValueError(f"{rows.product}: column {name} has shape {column.shape}, not ({len(rows)},)")
        if not len(column):
            continue
        least, most = column.min(), column.max()
        if kind == "d" and (least < 0 or most >= len(rows.names.get(name, ()))):
            raise ValueError(f"{rows.product}: a code of {name} is outside its names")
        if kind == "t" and (least < TS_MIN - 86_400_000 or most > TS_MAX + 86_400_000):
            raise ValueError(f"{rows.product}: a time of {name} is outside 1900 to 2200")


def to_arrow(rows: Released, run_id: str, first: int, last: int) -> pa.Table:
    """Rows ``[first, last)`` as one record batch: run_id, the product's columns, registry_version.

    Names stay dictionaries: no Python object per row. NULL_INT, NO_TIME and NaN become null.
    """
    n = last - first
    arrays = {"run_id": _constant(run_id, n)}
    for name, kind in PRODUCTS[rows.product][1].items():
        column = rows.columns[name][first:last]
        if kind == "d":
            codes = arrow.numbers(column.astype(np.int32, copy=False), pa.int32())
            arrays[name] = pa.DictionaryArray.from_arrays(codes, arrow.strings(rows.names[name]))
        elif kind == "t":
            arrays[name] = arrow.numbers(column.astype(np.int64, copy=False), _TIME)
        elif kind in "in":
            whole = column.astype(np.int64, copy=False)
            arrays[name] = arrow.numbers(whole, pa.int64(), whole == (NULL_INT if kind == "i" else NO_TIME))
        else:
            # + 0.0 makes -0.0 zero: one value, one text, one digest.
            real = column.astype(np.float64, copy=False) + 0.0
            arrays[name] = arrow.numbers(real, pa.float64(), np.isnan(real))
    arrays["registry_version"] = _constant(rows.registry_version, n)
    return pa.table(arrays)


def _constant(word: str, n: int) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(arrow.numbers(np.zeros(n, np.int32), pa.int32()), arrow.strings([word]))


def plain(table: pa.Table) -> pa.Table:
    """The same rows with strings instead of dictionaries and every column nullable, in one chunk per column.

    So that rows of any origin can be compared and put together.
    """
    fields = []
    for field in table.schema:
        kind = field.type.value_type if pa.types.is_dictionary(field.type) else field.type
        if pa.types.is_binary(kind) or pa.types.is_large_string(kind):
            kind = pa.string()
        elif pa.types.is_timestamp(kind):
            kind = _TIME
        fields.append(pa.field(field.name, kind))
    return table.cast(pa.schema(fields)).combine_chunks()
