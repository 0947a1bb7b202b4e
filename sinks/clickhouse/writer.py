"""Writes Released rows, exactly once.

Rows are a function of the log, so they are inserted at once and a repeat after a restart is harmless:

1. **Token.** Each INSERT is one block with ``insert_deduplication_token`` = run, product, unit and the SHA-256 of its
   content. ClickHouse drops a block whose token it has seen among the last 10,000 of the table. As the content is
   part of the token, the same token with other rows cannot be.
2. **Key.** Outside that window, or when a restart cuts the units differently, ReplacingMergeTree with FINAL makes one
   of rows with the same key, which are identical.
3. **Check.** That they are identical is not believed but looked at, before the insert, where it can be otherwise:

   - in this process: the last 10,000 units are remembered with their hash. A unit that comes again with another hash
     is compared row by row with what is stored (the hash is over codes and names, so equal rows can differ in it);
   - from earlier processes: on the first insert into (run, product) the greatest key time stored is read: the
     *horizon*. A later key cannot be stored. Rows up to the horizon are compared with the stored rows of the same
     keys; that costs one query per insert until a restarted run is past it, and nothing after, nor in a new run.

   A stored row of the same key with other values raises HitonamiError and nothing of that INSERT is written. This is
   exact as long as a key has one writer at a time, which the flow's shards give.
4. **Look.** A token is no proof of its rows: ClickHouse writes it down before the part is in its place, and a server
   that is killed between the two drops the repeat in silence. So an INSERT that may have begun before is looked at
   when it is done, and rows that are not there are inserted without a token. It may have begun in this process, if it
   failed; in an earlier one, as long as its group (what stands before the first / of the unit's name: a shard, whose
   units come one after the other) has stored none behind the horizon. A run without rows is a new one.

The hash is of each slice: rows beyond SLICE_ROWS go in several INSERTs (memory), each whole by itself.
"""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from engine.errors import HitonamiError
from engine.model import PRODUCTS, Released
from sinks.clickhouse import arrow
from sinks.clickhouse.connection import Connection
from sinks.clickhouse.schema import KEY_TIME, check, plain, quoted, to_arrow

SLICE_ROWS = 50_000
REMEMBERED_UNITS = 10_000
_NOTHING = -(2**63)


class Writer:
    """Inserts Released rows through one connection; safe for threads, of which one at a time inserts a unit."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._lock = threading.Lock()
        self._hashes: OrderedDict[tuple[str, str, str], bytes] = OrderedDict()
        self._horizons: dict[tuple[str, str], int] = {}
        self._begun: dict[tuple[str, str, str], bytes] = {}  # hashes of units whose INSERT may have failed half-way
        self._behind: set[tuple[str, str, str]] = set()  # (run, product, group) with a unit stored behind the horizon

    def insert(self, rows: Released, run_id: str) -> None:
        """Store rows under their unit; see the module. Retrying after ServiceUnreachable is safe and the caller's.

        Raises ValueError for columns that are not the product's, HitonamiError for a unit stored with other rows.
        """
        check(rows)
        for first in range(0, len(rows), SLICE_ROWS):
            last = min(first + SLICE_ROWS, len(rows))
            unit = rows.unit if len(rows) <= SLICE_ROWS else f"{rows.unit}#{first // SLICE_ROWS}"
            self._insert_slice(rows, run_id, unit, first, last)

    def forget(self, run_id: str) -> None:
        """Drop what is remembered of a run: its rows are gone from the store."""
        with self._lock:
            for unit in [key for key in self._hashes if key[0] == run_id]:
                del self._hashes[unit]
            self._begun = {key: digest for key, digest in self._begun.items() if key[0] != run_id}
            self._behind = {key for key in self._behind if key[0] != run_id}
            for product in PRODUCTS:
                self._horizons.pop((run_id, product), None)

    def _insert_slice(self, rows: Released, run_id: str, unit: str, first: int, last: int) -> None:
        product = rows.product
        table = to_arrow(rows, run_id, first, last)
        digest = content_hash(rows, first, last)
        times = rows.columns[KEY_TIME[product]][first:last].astype(np.int64, copy=False)
        key, group = (run_id, product, unit), (run_id, product, unit.partition("/")[0])
        with self._lock:
            seen, doubtful = self._begun.get(key, self._hashes.get(key)), key in self._begun
        if seen is not None and seen != digest:
            suspects = table
        else:
            horizon = self._horizon(run_id, product)
            suspects = table.filter(arrow.booleans(times <= horizon))
            with self._lock:
                doubtful |= horizon != _NOTHING and group not in self._behind
        missing = table.num_rows - suspects.num_rows
        if suspects.num_rows:
            differs, lacking = self._compared(product, run_id, suspects)
            if differs:
                raise HitonamiError(f"run {run_id} product {product} unit {unit} was stored with other rows")
            missing += lacking
        if missing:
            with self._lock:
                self._begun[key] = digest
            self._connection.insert(product, table, self._settings(run_id, product, unit, digest))
            if doubtful and self._compared(product, run_id, table)[1]:
                self._connection.insert(product, table, self._settings(run_id, product, unit, None))
        with self._lock:
            self._begun.pop(key, None)
            if not suspects.num_rows:
                self._behind.add(group)
            self._hashes[key] = digest
            self._hashes.move_to_end(key)
            if len(self._hashes) > REMEMBERED_UNITS:
                self._hashes.popitem(last=False)

    def _settings(self, run_id: str, product: str, unit: str, digest: bytes | None) -> dict[str, Any]:
        """Settings of an INSERT; without a digest it has no token and is not dropped whatever came before."""
        # Every related setting is sent: their defaults have changed between versions of ClickHouse.
        rows, size = 4 * SLICE_ROWS, 1 << 30
        settings: dict[str, Any] = {
            "insert_deduplication_token": "" if digest is None else f"{run_id}/{product}/{unit}/{digest.hex()}",
            "insert_deduplicate": int(digest is not None),
            "deduplicate_blocks_in_dependent_materialized_views": 0,
            "async_insert": 0,
            "wait_for_async_insert": 1,
            "wait_end_of_query": 1,
            "optimize_on_insert": 1,
            # One INSERT is one block: the token names a whole one.
            "max_insert_block_size": rows,
            "min_insert_block_size_rows": rows,
            "min_insert_block_size_bytes": size,
            "max_insert_threads": 1,
            "input_format_parallel_parsing": 0,
        }
        if self._connection.knows("deduplicate_insert"):
            settings["deduplicate_insert"] = "disable" if digest is None else "enable"
        return settings

    def _horizon(self, run_id: str, product: str) -> int:
        with self._lock:  # one thread asks, before any of them inserts: later the store holds rows of ours
            horizon = self._horizons.get((run_id, product))
            if horizon is not None:
                return horizon
            found = self._connection.rows(
                f"SELECT toUnixTimestamp64Milli(maxOrNull({KEY_TIME[product]}))"
                f" FROM {self._connection.table(product)} WHERE run_id = {{run:String}}",
                {"run": run_id},
            )
            horizon = _NOTHING if found[0][0] is None else int(found[0][0])
            self._horizons[run_id, product] = horizon
            return horizon

    def _compared(self, product: str, run_id: str, rows: pa.Table) -> tuple[bool, int]:
        """Whether the store, or ``rows`` itself, has a key of ``rows`` with other values; how many keys it lacks."""
        key, kinds = PRODUCTS[product]
        columns = [*kinds, "registry_version"]
        new = plain(rows.select(columns))
        where, parameters = _region(product, new)
        found = self._connection.arrow(
            f"SELECT {', '.join(map(quoted, columns))} FROM {self._connection.table(product)} FINAL"
            f" WHERE run_id = {{run:String}} AND ({where})",
            {"run": run_id, **parameters},
        )
        # Rows of the store that repeat no key of ours count once on both sides.
        both = pa.concat_tables([new, plain(found).cast(new.schema)])
        distinct = both.group_by(columns).aggregate([]).num_rows
        keys = both.group_by(list(key)).aggregate([]).num_rows
        return distinct > keys, keys - found.num_rows


def _region(product: str, new: pa.Table) -> tuple[str, dict[str, Any]]:
    """A condition that holds for the keys of ``new`` and few others, for the primary key to work with."""
    time = KEY_TIME[product]
    key, kinds = PRODUCTS[product]
    entity = next(name for name in key if kinds[name] == "d" and name != "window")
    parameters: dict[str, Any] = {"entities": pc.unique(new[entity]).to_pylist()}
    labels = pc.unique(new["window"]).to_pylist() if "window" in kinds else [None]
    spans = []
    for i, label in enumerate(labels):
        part = new if label is None else new.filter(pc.equal(new["window"], label))
        ends = pc.min_max(part[time].cast(pa.int64())).as_py()
        parameters |= {f"lo{i}": ends["min"], f"hi{i}": ends["max"]}
        # The column itself stands alone: a function of it would not use the primary key.
        lo, hi = (f"fromUnixTimestamp64Milli({{{end}{i}:Int64}}, 'UTC')" for end in ("lo", "hi"))
        span = f"{time} BETWEEN {lo} AND {hi}"
        if label is not None:
            parameters[f"window{i}"] = label
            span = f"window = {{window{i}:String}} AND {span}"
        spans.append(f"({span})")
    return f"({' OR '.join(spans)}) AND {quoted(entity)} IN {{entities:Array(String)}}", parameters


def content_hash(rows: Released, first: int, last: int) -> bytes:
    """SHA-256 of rows ``[first, last)``: product, registry version, and of each column its values and names."""
    digest = hashlib.sha256()

    def put(part: bytes) -> None:
        digest.update(len(part).to_bytes(8, "little"))
        digest.update(part)

    put(rows.product.encode())
    put(rows.registry_version.encode())
    for name, kind in PRODUCTS[rows.product][1].items():
        dtype = {"d": np.int32, "f": np.float64}.get(kind, np.int64)
        put(np.ascontiguousarray(rows.columns[name][first:last], dtype).tobytes())
        if kind == "d":
            for word in rows.names[name]:
                put(word.encode())
    return digest.digest()
