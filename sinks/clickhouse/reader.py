"""Reads stored rows: whole products, the newest figures, counts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypedDict, Unpack

import pyarrow as pa

from engine.errors import UsageError
from engine.model import HOUR, LENGTH_MS, MINUTE, PRODUCTS, WINDOWS
from sinks.clickhouse.connection import Connection
from sinks.clickhouse.schema import COMMON, DATETIME_MAX, KEY_TIME, plain, quoted

_TIME_MIN = -2_208_988_800_000  # 1900-01-01, first instant of DateTime64(3)
SLICE_ROWS = 65_536
COUNTED = ("flow", "touches", "screens", "profiles", "trips")  # what runs count; a run is of one stream
_TYPES = {"d": pa.string(), "t": pa.timestamp("ms", "UTC"), "i": pa.int64(), "n": pa.int64(), "f": pa.float64()}


class Asked(TypedDict, total=False):
    """Which rows of a product and run are asked for; what is left out or None does not select.

    ``window``: only that length. ``start_ms``, ``end_ms``: rows whose window_start (hour) lies in
    ``[start_ms, end_ms)``; of runs_of_flow, which stand for the people up to their end, those whose run_end lies in
    ``(start_ms, end_ms]``; of alerts those whose change belongs to a 1m window that starts there. ``before``: window
    label → start (ms) of the first window of that length left out, so that the caller can cut at the ends of windows
    (hours of rejects are 1h windows, changes of alerts stand in 1m windows).
    """

    window: str | None
    start_ms: int | None
    end_ms: int | None
    before: Mapping[str, int] | None


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


# A change stands at the end of what led to it: one at 12:00:00 belongs to the minute before.
_CHANGE_MS = "(toUnixTimestamp64Milli(changed) - 1)"
_CHANGE_MINUTE = f"fromUnixTimestamp64Milli({_CHANGE_MS} - positiveModulo({_CHANGE_MS}, {LENGTH_MS[MINUTE]}), 'UTC')"


def window_of(product: str) -> tuple[str, str]:
    """SQL of the label and of the start of the window that a row belongs to; not of runs_of_flow, see ``digest``."""
    if "window" in PRODUCTS[product][1]:
        return "window", "window_start"
    if product == "alerts":
        return f"'{WINDOWS[MINUTE]}'", _CHANGE_MINUTE
    return f"'{WINDOWS[HOUR]}'", KEY_TIME[product]


def read_rows(
    connection: Connection,
    product: str,
    run_id: str,
    **asked: Unpack[Asked],
) -> pa.Table:
    """Rows of one product and run, ordered by key, repeated rows once (FINAL); types as ``schema_of``.

    Raises UsageError for an unknown product or window, or a window for a product without.
    """
    where, values = _condition(product, run_id, **asked)
    return select(connection, product, where, _by_key(product), values)


def read_slices(
    connection: Connection,
    product: str,
    run_id: str,
    **asked: Unpack[Asked],
) -> Iterator[pa.Table]:
    """The rows of ``read_rows``, in tables of some SLICE_ROWS rows one after the other; at least one table.

    Each is a query of its own over a range of keys: neither the driver nor ClickHouse holds more than that, however
    many parts the table has (a query over all of them has buffers for each). Raises as ``read_rows``, at once.
    """
    where, values = _condition(product, run_id, **asked)
    edges = _edges(connection, product, values)
    return _slices(connection, product, where, values, edges)


def _slices(
    connection: Connection, product: str, where: str, values: dict[str, Any], edges: list[dict[str, Any]]
) -> Iterator[pa.Table]:
    key = PRODUCTS[product][0]
    empty = True
    for low, high in zip([None, *edges], [*edges, None], strict=True):
        conditions, parameters = [where], dict(values)
        if low is not None:
            conditions.append(_beyond(product, "low", ">"))
            parameters |= {f"low_{name}": low[name] for name in key}
        if high is not None:
            conditions.append(_beyond(product, "high", "<"))
            parameters |= {f"high_{name}": high[name] for name in key}
        rows = select(connection, product, " AND ".join(conditions), _by_key(product), parameters)
        if rows.num_rows or (empty and high is None):
            empty = False
            yield rows


def _edges(connection: Connection, product: str, values: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Ascending keys that cut rows into slices, from the primary index: one entry for 8,192 rows.

    ``values``: run, and window, start and end where they are asked for. Between edges beyond these there is nothing to
    read, and each slice is a query: an hour of a month of a city would be thousands of them, all for no rows.
    The index may leave out the last columns of a key (then they are empty): an edge need not be the key of a row.
    """
    key, kinds = PRODUCTS[product]
    label, time = window_of(product) if product != "runs_of_flow" else ("", "")
    bounds = [
        ("window", label, "= {window:String}"),
        ("start", time, f">= {at('start')}"),
        ("end", time, f"<= {at('end')}"),
    ]
    within = "".join(f" AND {of} {bound}" for name, of, bound in bounds if name in values and of in key)
    as_text = {"t": "toUnixTimestamp64Milli({})", "i": "{}"}
    shown = [as_text.get(kinds[name], "toString({})").format(quoted(name)) for name in key]
    marks = connection.rows(
        f"SELECT rows_in_granule, {', '.join(shown)}"
        f" FROM mergeTreeIndex({connection.database_text}, '{product}') WHERE run_id = {{run:String}}{within}"
        f" ORDER BY {', '.join(map(quoted, key))}",
        values,
    )
    edges: list[dict[str, Any]] = []
    last, size = None, 0
    for rows, *cells in marks:
        if size >= SLICE_ROWS and cells != last:
            edges.append(dict(zip(key, cells, strict=True)))
            last, size = cells, 0
        size += int(rows)
    return edges


def _beyond(product: str, edge: str, sign: str) -> str:
    """SQL: the key is ≥ (``sign`` ">") or < an edge. Column by column, for ClickHouse's index does not see tuples."""
    key, kinds = PRODUCTS[product]
    condition = "1" if sign == ">" else "0"
    for name in reversed(key):
        value = {"t": at(f"{edge}_{name}"), "i": f"{{{edge}_{name}:Int64}}"}.get(
            kinds[name], f"{{{edge}_{name}:String}}"
        )
        column = quoted(name)
        condition = f"({column} {sign}= {value} AND ({column} {sign} {value} OR {condition}))"
    return condition


def _by_key(product: str) -> str:
    return f"ORDER BY {', '.join(map(quoted, PRODUCTS[product][0]))}"


def _condition(
    product: str,
    run_id: str,
    window: str | None = None,
    start_ms: int | None = None,
    end_ms: int | None = None,
    before: Mapping[str, int] | None = None,
) -> tuple[str, dict[str, Any]]:
    """The condition of ``read_rows`` and its parameters."""
    if product not in PRODUCTS:
        raise UsageError(f"no product {product}: one of {', '.join(PRODUCTS)}")
    kinds = PRODUCTS[product][1]
    conditions = ["run_id = {run:String}"]
    values: dict[str, Any] = {"run": run_id}
    if window is not None:
        check_window(window)
        if "window" not in kinds:
            raise UsageError(f"{product} has no windows")
        conditions.append("window = {window:String}")
        values["window"] = window
    by_end = product == "runs_of_flow"
    label, time = ("", "run_end") if by_end else window_of(product)
    if start_ms is not None:
        conditions.append(f"{time} {'>' if by_end else '>='} {at('start')}")
        values["start"] = clamp(start_ms)
    if end_ms is not None:
        conditions.append(f"{time} {'<=' if by_end else '<'} {at('end')}")
        values["end"] = clamp(end_ms)
    if before is not None and not by_end:
        conditions.append(starts_before(label, time, before))
    return " AND ".join(conditions), values


def starts_before(label: str, time: str, before: Mapping[str, int]) -> str:
    """SQL: ``time`` lies before the instant (ms) that ``before`` has for the label; labels it lacks have no bound."""
    names, starts = [repr(name) for name in before], [str(clamp(start)) for start in before.values()]
    bound = f"transform({label}, [{', '.join(names)}], [{', '.join(starts)}], toInt64({DATETIME_MAX}))"
    return f"toUnixTimestamp64Milli({time}) < {bound}"


def select(
    connection: Connection, product: str, where: str, tail: str, parameters: dict[str, Any], *, inserted: bool = False
) -> pa.Table:
    """Rows of a product under a condition, in the types of ``schema_of``.

    ``inserted``: with inserted_at too, when the store took each row by its own clock.
    """
    columns = ", ".join(map(quoted, [*PRODUCTS[product][1], *COMMON, *(["inserted_at"] if inserted else [])]))
    found = connection.arrow(
        f"SELECT {columns} FROM {connection.table(product)} FINAL WHERE {where} {tail}"
        " SETTINGS do_not_merge_across_partitions_select_final = 1",
        parameters,
    )
    schema = schema_of(product)
    return plain(found).cast(schema.append(pa.field("inserted_at", _TYPES["t"])) if inserted else schema)


def check_window(window: str) -> None:
    """Raise UsageError unless ``window`` is a label of a window length."""
    if window not in WINDOWS:
        raise UsageError(f"no window {window}: one of {', '.join(WINDOWS)}")


def latest(connection: Connection, product: str, run_id: str, window: str, gate_delay_ms: int) -> pa.Table:
    """The newest row of one window length per gate and direction (flow), zone (zones) or zone and sector (headings).

    Empty when there is none. With inserted_at, when the store took the row.

    Looks back from the newest window by the largest delay and two windows: what is open no longer than it may be is
    found, and a gate that was removed disappears.
    """
    check_window(window)
    newest = newest_start(connection, product, run_id, window)
    entity = [name for name in PRODUCTS[product][0] if name not in ("window", "window_start")]
    since = (newest or 0) - gate_delay_ms - 2 * LENGTH_MS[WINDOWS.index(window)]
    names = ", ".join(map(quoted, entity))
    return select(
        connection,
        product,
        f"run_id = {{run:String}} AND window = {{window:String}} AND window_start >= {at('since')}",
        f"ORDER BY {names}, window_start DESC LIMIT 1 BY {names}",
        {"run": run_id, "window": window, "since": clamp(since)},
        inserted=True,
    )


def newest_start(
    connection: Connection,
    product: str,
    run_id: str,
    window: str,
    until_ms: int = DATETIME_MAX,
    *,
    oldest: bool = False,
) -> int | None:
    """Start (ms) of the newest window of that length with rows that starts at ``until_ms`` or before; None without any.

    ``oldest``: of the oldest. Both are one look into the primary index.
    """
    check_window(window)
    way = "ASC" if oldest else "DESC"
    found = connection.rows(
        f"SELECT toUnixTimestamp64Milli(window_start) FROM {connection.table(product)}"
        f" WHERE run_id = {{run:String}} AND window = {{window:String}} AND window_start <= {at('until')}"
        f" ORDER BY run_id {way}, window {way}, window_start {way} LIMIT 1",
        {"run": run_id, "window": window, "until": clamp(until_ms)},
    )
    return int(found[0][0]) if found else None


def sensor_states(connection: Connection, run_id: str, before_ms: int | None = None) -> list[tuple[str, str, int]]:
    """(sensor, state, since in ms) by the newest row of health of every sensor that has one, by sensor.

    ``before_ms``: only rows whose window starts before it count.
    """
    found = connection.rows(
        "SELECT sensor, argMax(state, window_start), toUnixTimestamp64Milli(argMax(since, window_start))"
        f" FROM {connection.table('health')} WHERE run_id = {{run:String}} AND window_start < {at('before')}"
        " GROUP BY sensor ORDER BY sensor",
        {"run": run_id, "before": DATETIME_MAX if before_ms is None else clamp(before_ms)},
    )
    return [(str(sensor), str(state), int(since)) for sensor, state, since in found]


def window_counts(connection: Connection, run_id: str) -> dict[str, int]:
    """Label → number of distinct windows with a row of a product with windows but health, shortest first."""
    parts = " UNION DISTINCT ".join(
        f"SELECT window, window_start FROM {connection.table(product)} WHERE run_id = {{run:String}}"
        " GROUP BY window, window_start"
        for product, (_, kinds) in PRODUCTS.items()
        if "window" in kinds and product != "health"
    )
    found = connection.rows(f"SELECT window, count() FROM ({parts}) GROUP BY window", {"run": run_id})
    counts = {str(label): int(n) for label, n in found}
    return {label: counts[label] for label in WINDOWS if label in counts}


def newest_windows(connection: Connection, run_id: str) -> dict[str, int]:
    """Window label → start (ms) of the newest window with rows of what the run counts."""
    parts = " UNION ALL ".join(
        f"SELECT window, max(window_start) AS newest FROM {connection.table(product)} WHERE run_id = {{run:String}}"
        " GROUP BY window"
        for product in COUNTED
    )
    found = connection.rows(
        f"SELECT window, toUnixTimestamp64Milli(max(newest)) FROM ({parts}) GROUP BY window",
        {"run": run_id},
    )
    return {str(window): int(start) for window, start in found}


def status_counts(connection: Connection, run_id: str) -> dict[str, int]:
    """Status → number of rows of what a run counts."""
    parts = " UNION ALL ".join(
        f"SELECT status FROM {connection.table(product)} FINAL WHERE run_id = {{run:String}}" for product in COUNTED
    )
    found = connection.rows(
        f"SELECT status, count() FROM ({parts}) GROUP BY status ORDER BY status",
        {"run": run_id},
    )
    return {str(status): int(n) for status, n in found}
