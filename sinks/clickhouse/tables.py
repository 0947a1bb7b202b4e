"""Reads the tables of distinct people (products touches, screens, profiles, trips) as the page asks for them."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from engine.model import PRODUCTS
from sinks.clickhouse.connection import Connection
from sinks.clickhouse.reader import at, clamp, select
from sinks.clickhouse.schema import quoted


def runs_with(connection: Connection, products: Sequence[str]) -> list[str]:
    """Ids of the runs that have rows of any of the products, sorted."""
    parts = [f"SELECT DISTINCT run_id FROM {connection.table(product)}" for product in products]
    return sorted({str(row[0]) for row in connection.rows(" UNION ALL ".join(parts), {})})


def starts(connection: Connection, product: str, run_id: str, most: int) -> list[int]:
    """Starts (ms) of the newest windows of a run that have rows, the newest first, at most so many."""
    found = connection.rows(
        f"SELECT DISTINCT toUnixTimestamp64Milli(window_start) AS start FROM {connection.table(product)}"
        " WHERE run_id = {run:String} ORDER BY start DESC LIMIT {most:UInt32}",
        {"run": run_id, "most": most},
    )
    return [int(row[0]) for row in found]


def devices(connection: Connection, run_id: str, start_ms: int, end_ms: int) -> list[str]:
    """Devices with rows of touches or screens whose window starts in ``[start_ms, end_ms)``, sorted."""
    where = f"run_id = {{run:String}} AND window_start >= {at('start')} AND window_start < {at('end')}"
    parts = [
        f"SELECT DISTINCT toString(device) FROM {connection.table(product)} WHERE {where}"
        for product in ("touches", "screens")
    ]
    found = connection.rows(" UNION ALL ".join(parts), {"run": run_id, "start": clamp(start_ms), "end": clamp(end_ms)})
    return sorted({str(row[0]) for row in found})


def table_rows(
    connection: Connection,
    product: str,
    run_id: str,
    start_ms: int,
    end_ms: int,
    most: int,
    device: str | None = None,
) -> pa.Table:
    """Rows whose window starts in ``[start_ms, end_ms)``, by key, the first ``most`` of them; of one device if named.

    Types as ``reader.schema_of``.
    """
    conditions = ["run_id = {run:String}", f"window_start >= {at('start')}", f"window_start < {at('end')}"]
    values: dict[str, object] = {"run": run_id, "start": clamp(start_ms), "end": clamp(end_ms), "most": most}
    if device is not None:
        conditions.append("device = {device:String}")
        values["device"] = device
    key = ", ".join(map(quoted, PRODUCTS[product][0]))
    return select(connection, product, " AND ".join(conditions), f"ORDER BY {key} LIMIT {{most:UInt32}}", values)
