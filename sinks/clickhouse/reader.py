"""Reads stored rows: whole products, the newest figures, counts."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from engine.errors import UsageError
from engine.model import LENGTH_MS, PRODUCTS, WINDOWS
from sinks.clickhouse.connection import Connection
from sinks.clickhouse.schema import COMMON, DATETIME_MAX, KEY_TIME, plain

_TIME_MIN = -2_208_988_800_000  # 1900-01-01, first instant of DateTime64(3)
_TYPES = {"d": pa.string(), "t": pa.timestamp("ms", "UTC"), "i": pa.int64(), "f": pa.float64()}


def schema_of(product: str) -> pa.Schema:
    """Types of a product's rows as read: its columns, then run_id, registry_version, revision (int64)."""
    fields = [pa.field(name, _TYPES[kind]) for name, kind in PRODUCTS[product][1].items()]
    return pa.schema([*fields, ("run_id", pa.string()), ("registry_version", pa.string()), ("revision", pa.int64())])


def at(parameter: str) -> str:
    """SQL of the instant that an Int64 parameter holds in ms."""
    return f"fromUnixTimestamp64Milli({{{parameter}:Int64}}, 'UTC')"


def clamp(time_ms: int) -> int:
    """The nearest time (ms) that DateTime64(3) can hold, so that NO_TIME and END can be asked for."""
    return max(_TIME_MIN, min(time_ms, DATETIME_MAX))


def read_rows(
    connection: Connection,
    product: str,
    run_id: str,
    window: str | None = None,
    start_ms: int | None = None,
    end_ms: int | None = None,
) -> pa.Table:
    """Rows of one product and run, ordered by key, repeated rows once (FINAL); types as ``schema_of``.

    ``window``: only that length. ``start_ms``, ``end_ms``: rows whose window_start (hour) lies in
    ``[start_ms, end_ms)``; of runs_of_flow, which stand for the people up to their end, those whose run_end lies in
    ``(start_ms, end_ms]``. Raises UsageError for an unknown product or window, or a window for a product without.
    """
    if product not in PRODUCTS:
        raise UsageError(f"no product {product}: one of {', '.join(PRODUCTS)}")
    key, kinds = PRODUCTS[product]
    conditions, parameters = ["run_id = {run:String}"], {"run": run_id}
    values: dict[str, Any] = parameters
    if window is not None:
        check_window(window)
        if "window" not in kinds:
            raise UsageError(f"{product} has no windows")
        conditions.append("window = {window:String}")
        values["window"] = window
    by_end = product == "runs_of_flow"
    time = "run_end" if by_end else KEY_TIME[product]
    if start_ms is not None:
        conditions.append(f"{time} {'>' if by_end else '>='} {at('start')}")
        values["start"] = clamp(start_ms)
    if end_ms is not None:
        conditions.append(f"{time} {'<=' if by_end else '<'} {at('end')}")
        values["end"] = clamp(end_ms)
    return select(connection, product, " AND ".join(conditions), f"ORDER BY {', '.join(key)}", values)


def select(connection: Connection, product: str, where: str, tail: str, parameters: dict[str, Any]) -> pa.Table:
    """Rows of a product under a condition, in the types of ``schema_of``."""
    columns = ", ".join([*PRODUCTS[product][1], *COMMON])
    found = connection.arrow(
        f"SELECT {columns} FROM {connection.table(product)} FINAL WHERE {where} {tail}"
        " SETTINGS do_not_merge_across_partitions_select_final = 1",
        parameters,
    )
    return plain(found).cast(schema_of(product))


def check_window(window: str) -> None:
    """Raise UsageError unless ``window`` is a label of a window length."""
    if window not in WINDOWS:
        raise UsageError(f"no window {window}: one of {', '.join(WINDOWS)}")


def latest(connection: Connection, product: str, run_id: str, window: str, gate_delay_ms: int) -> pa.Table:
    """The newest row per gate and direction (flow) or zone (zones) of one window length; empty when there is none.

    Looks back from the newest window by the largest delay and two windows: what is open no longer than it may be is
    found, and a gate that was removed disappears.
    """
    check_window(window)
    parameters: dict[str, Any] = {"run": run_id, "window": window}
    newest = connection.rows(
        f"SELECT toUnixTimestamp64Milli(window_start) FROM {connection.table(product)}"
        " WHERE run_id = {run:String} AND window = {window:String}"
        " ORDER BY run_id DESC, window DESC, window_start DESC LIMIT 1",
        parameters,
    )
    entity = [name for name in PRODUCTS[product][0] if name not in ("window", "window_start")]
    since = (int(newest[0][0]) if newest else 0) - gate_delay_ms - 2 * LENGTH_MS[WINDOWS.index(window)]
    names = ", ".join(entity)
    return select(
        connection,
        product,
        f"run_id = {{run:String}} AND window = {{window:String}} AND window_start >= {at('since')}",
        f"ORDER BY {names}, window_start DESC LIMIT 1 BY {names}",
        {**parameters, "since": clamp(since)},
    )


def window_counts(connection: Connection, run_id: str) -> dict[str, int]:
    """Label → number of distinct windows that have a row of flow or zones, shortest first, only those with any."""
    parts = " UNION DISTINCT ".join(
        f"SELECT window, window_start FROM {connection.table(product)} WHERE run_id = {{run:String}}"
        " GROUP BY window, window_start"
        for product in ("flow", "zones")
    )
    found = connection.rows(f"SELECT window, count() FROM ({parts}) GROUP BY window", {"run": run_id})
    counts = {str(label): int(n) for label, n in found}
    return {label: counts[label] for label in WINDOWS if label in counts}


def newest_windows(connection: Connection, run_id: str) -> dict[str, int]:
    """Window label → start (ms) of the newest window with flow rows."""
    found = connection.rows(
        f"SELECT window, toUnixTimestamp64Milli(max(window_start)) FROM {connection.table('flow')}"
        " WHERE run_id = {run:String} GROUP BY window",
        {"run": run_id},
    )
    return {str(window): int(start) for window, start in found}


def flow_status_counts(connection: Connection, run_id: str) -> dict[str, int]:
    """Status → number of flow rows of a run."""
    found = connection.rows(
        f"SELECT status, count() FROM {connection.table('flow')} FINAL WHERE run_id = {{run:String}}"
        " GROUP BY status ORDER BY status",
        {"run": run_id},
    )
    return {str(status): int(n) for status, n in found}
