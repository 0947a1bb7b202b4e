"""Digests: whether two runs published the same, window by window.

A row becomes a text that can be read one way only: words as ``length:bytes``, integers as decimal digits with ``;``,
floats as the integer of their bits, null as ``N``. It holds all columns but run_id and inserted_at. Per product and
window ClickHouse hashes each row's text, sorts the hashes and hashes them again, so neither the order of inserts nor
their batches matter. A window's digest is the SHA-256 over the products that have rows in it, in the order of
``DIGESTED``; a run's digest is over its windows, by length and then start.

A row of runs_of_flow belongs to the leaf window of its gate that ends at run_end. Where the leaf is 1h, windows follow
the clock of the run's time zone: the start is then taken from the 1h rows of flow, which has one for every pane. A
change of an alert belongs to the 1m window that ends with it, or in which it lies.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from engine.errors import HitonamiError, UsageError
from engine.model import DIGESTED, HOUR, LEAVES, LENGTH_MS, PRODUCTS, WINDOWS
from sinks.clickhouse.connection import Connection
from sinks.clickhouse.reader import at, check_window, clamp, starts_before, window_of
from sinks.clickhouse.runs import Run, read_runs
from sinks.clickhouse.schema import quoted

WindowKey = tuple[str, int]  # window label, start in ms

# Groups come in the order of the primary key and are given away as soon as they are whole.
_SETTINGS = (
    " SETTINGS optimize_aggregation_in_order = 1, aggregation_in_order_max_block_bytes = 1000000,"
    " max_bytes_before_external_group_by = 67108864, do_not_merge_across_partitions_select_final = 1"
)
_TEXT = {
    "d": "toString(length({0})), ':', {0}",
    "t": "toString(toUnixTimestamp64Milli({0})), ';'",
    "i": "ifNull(toString({0}), 'N'), ';'",
    "n": "ifNull(toString({0}), 'N'), ';'",
    "f": "ifNull(toString(reinterpretAsUInt64({0})), 'N'), ';'",
}


def _hashed(product: str) -> str:
    columns = {**PRODUCTS[product][1], "registry_version": "d", "revision": "i"}
    text = ", ".join(_TEXT[kind].format(quoted(name)) for name, kind in columns.items())
    return f"lower(hex(SHA256(arrayStringConcat(arraySort(groupArray(SHA256(concat({text}))))))))"


def _source(connection: Connection, product: str, odd: Mapping[int, int]) -> str:
    """A subquery of a product's rows of one run with the window they belong to as ``in_window``, ``in_start``.

    ``odd``: end → start (ms) of the 1h windows that are not an hour long.
    """
    table = connection.table(product)
    if product != "runs_of_flow":
        label, start = window_of(product)
        return f"SELECT *, {label} AS in_window, {start} AS in_start FROM {table} FINAL WHERE run_id = {{run:String}}"
    labels, lengths = list(LEAVES), list(LENGTH_MS[: len(LEAVES)])
    leaf = (
        f"SELECT *, (SELECT leaves FROM {connection.table('runs')} FINAL WHERE run_id = {{run:String}})[gate]"
        f" AS in_window FROM {table} FINAL WHERE run_id = {{run:String}}"
    )
    end = "toUnixTimestamp64Milli(run_end)"
    start = f"{end} - toInt64(transform(in_window, {labels}, {lengths}, 0))"
    if odd:
        clock = f"transform({end}, {list(odd)}, {list(odd.values())}, {start})"
        start = f"if(in_window = '{WINDOWS[HOUR]}', {clock}, {start})"
    return f"SELECT *, fromUnixTimestamp64Milli({start}, 'UTC') AS in_start FROM ({leaf})"


def _odd_hours(connection: Connection, run: Run) -> dict[int, int]:
    """End → start (ms) of the 1h windows that end with a run of flow and are not an hour long.

    A zone whose clocks change by part of an hour has them. Their starts are those of the 1h rows of flow.
    """
    gates = [gate for gate, leaf in run.leaves.items() if leaf == WINDOWS[HOUR]]
    if not gates:
        return {}
    starts, ends = (
        np.array(
            [
                row[0]
                for row in connection.rows(
                    f"SELECT DISTINCT toUnixTimestamp64Milli({time}) AS t FROM {connection.table(product)}"
                    f" WHERE run_id = {{run:String}} AND {condition} ORDER BY t",
                    {"run": run.run_id, "hour": WINDOWS[HOUR], "gates": gates},
                )
            ],
            np.int64,
        )
        for product, time, condition in (
            ("flow", "window_start", "window = {hour:String}"),
            ("runs_of_flow", "run_end", "gate IN {gates:Array(String)}"),
        )
    )
    place = np.searchsorted(starts, ends) - 1
    ends, place = ends[place >= 0], place[place >= 0]
    length = ends - starts[place]
    # Longer than an hour and more is no window: it is the last one before a gap, or a run without its row of flow.
    odd = (length != LENGTH_MS[HOUR]) & (length < 2 * LENGTH_MS[HOUR])
    return dict(zip(ends[odd].tolist(), starts[place][odd].tolist(), strict=True))


def window_digests(
    connection: Connection,
    run_id: str,
    start_ms: int | None = None,
    end_ms: int | None = None,
    before: Mapping[str, int] | None = None,
) -> dict[WindowKey, str]:
    """(label, start in ms) → hex SHA-256 of every window of a run that has rows, by length and start.

    ``start_ms``, ``end_ms``: only windows that start in ``[start_ms, end_ms)``; ``before``: label → start (ms) of the
    first window of that length left out. Raises UsageError for a run that is not stored,
    HitonamiError when a stored run of flow has a gate that the run's ``leaves`` do not tell.
    """
    odd = _odd_hours(connection, _run(connection, run_id))
    bounds, parameters = [], {"run": run_id}
    values: dict[str, Any] = parameters
    if start_ms is not None:
        bounds.append(f"in_start >= {at('start')}")
        values["start"] = clamp(start_ms)
    if end_ms is not None:
        bounds.append(f"in_start < {at('end')}")
        values["end"] = clamp(end_ms)
    if before is not None:
        bounds.append(starts_before("in_window", "in_start", before))
    parts: dict[WindowKey, list[str]] = {}
    for product in DIGESTED:
        found = connection.arrow(
            "SELECT toString(in_window) AS label, toUnixTimestamp64Milli(in_start) AS start,"
            f" {_hashed(product)} AS digest"
            f" FROM ({_source(connection, product, odd)}) WHERE {' AND '.join(bounds) or '1'}"
            f" GROUP BY in_window, in_start{_SETTINGS}",
            values,
        )
        for label, start, digest in zip(
            *(found[name].to_pylist() for name in ("label", "start", "digest")), strict=True
        ):
            parts.setdefault((label, start), []).append(f"{product}:{digest}\n")
    if any(label not in WINDOWS for label, _ in parts):
        raise HitonamiError(f"run {run_id}: a run of flow has a gate whose leaf is not known")
    ordered = sorted(parts, key=lambda window: (WINDOWS.index(window[0]), window[1]))
    return {window: hashlib.sha256("".join(parts[window]).encode()).hexdigest() for window in ordered}


def run_digest(digests: Mapping[WindowKey, str]) -> str:
    """Hex SHA-256 over the digests of windows, by length and then start."""
    whole = hashlib.sha256()
    for label, start in sorted(digests, key=lambda window: (WINDOWS.index(window[0]), window[1])):
        whole.update(f"{label} {start} {digests[label, start]}\n".encode())
    return whole.hexdigest()


def first_difference(connection: Connection, run_a: str, run_b: str, window: str, start_ms: int) -> str:
    """In one line, the first cell in which a window of two runs differs: table, key, column, both values.

    "" when the window is the same in both. Raises UsageError for an unknown window or a run that is not stored.
    """
    check_window(window)
    for product in DIGESTED:
        a, b = (dict(_keyed(connection, product, run, window, start_ms)) for run in (run_a, run_b))
        for key in sorted(a.keys() | b.keys()):
            where = f"{product} {_spoken(product, key)}"
            if key not in a or key not in b:
                return f"{where}: only in {run_a if key in a else run_b}"
            for column, value in a[key].items():
                if value != b[key][column]:
                    kind = PRODUCTS[product][1].get(column, "")
                    left, right = _value(value, kind), _value(b[key][column], kind)
                    return f"{where}: {column} is {left} in {run_a}, {right} in {run_b}"
    return ""


def _keyed(
    connection: Connection, product: str, run_id: str, window: str, start_ms: int
) -> Iterator[tuple[tuple[Any, ...], dict[str, Any]]]:
    key, kinds = PRODUCTS[product]
    odd = _odd_hours(connection, _run(connection, run_id))
    columns = [*kinds, "registry_version", "revision"]
    shown = [("toUnixTimestamp64Milli({})" if kinds.get(n) == "t" else "{}").format(quoted(n)) for n in columns]
    found = connection.rows(
        f"SELECT {', '.join(shown)} FROM ({_source(connection, product, odd)})"
        f" WHERE in_window = {{window:String}} AND in_start = {at('start')}{_SETTINGS}",
        {"run": run_id, "window": window, "start": clamp(start_ms)},
    )
    for row in found:
        values = dict(zip(columns, row, strict=True))
        yield tuple(values[name] for name in key), values


def _run(connection: Connection, run_id: str) -> Run:
    found = read_runs(connection, run_id)
    if not found:
        raise UsageError(f"no run {run_id} in store {connection.shown}")
    return found[0]


def _spoken(product: str, key: tuple[Any, ...]) -> str:
    names, kinds = PRODUCTS[product]
    return " ".join(f"{name}={_value(value, kinds[name])}" for name, value in zip(names, key, strict=True))


def _value(value: Any, kind: str) -> str:
    if value is None:
        return "null"
    if kind == "t":
        return f"{np.datetime_as_string(np.datetime64(value, 'ms'))}Z"
    return str(value)
