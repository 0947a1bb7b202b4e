"""What was stored of zones over time: spans of one run, and what is usual at an hour over the runs of many days."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from engine.model import I64, LENGTH_MS, WINDOWS
from sinks.clickhouse.connection import Connection
from sinks.clickhouse.reader import at, check_window, clamp
from sinks.clickhouse.schema import plain

USUAL_WINDOW = "15m"  # windows that tell what is usual: every zone has them but those with a leaf of 1h
USUAL_MS = LENGTH_MS[WINDOWS.index(USUAL_WINDOW)]
SHARES = (0.1, 0.5, 0.9)

SPAN = pa.schema(
    [
        ("zone", pa.string()),
        ("t", pa.int64()),
        ("occupancy", pa.float64()),
        ("occupancy_low", pa.float64()),
        ("occupancy_high", pa.float64()),
        ("error", pa.float64()),
        ("density", pa.float64()),
        ("status", pa.string()),
        ("los", pa.string()),
    ]
)
DENSITIES = pa.schema([("zone", pa.string()), ("t", pa.int64()), ("density", pa.float64())])
USUAL = pa.schema(
    [
        ("zone", pa.string()),
        ("days", pa.int64()),
        *((f"{of}_{share}", pa.float64()) for of in ("density", "occupancy") for share in ("low", "middle", "high")),
    ]
)


def zone_span(
    connection: Connection, run_id: str, window: str, start_ms: int, end_ms: int, zones: Sequence[str] | None
) -> pa.Table:
    """Rows (SPAN) of zones whose window of that length starts in ``[start_ms, end_ms)``, by zone and time.

    ``zones`` None = all. ``t`` = start of the window in ms. Raises UsageError for a window that is none.
    """
    check_window(window)
    values = {"run": run_id, "window": window, "start": clamp(start_ms), "end": clamp(end_ms)}
    where = f"run_id = {{run:String}} AND window = {{window:String}} AND window_start >= {at('start')}"
    where += f" AND window_start < {at('end')}"
    if zones is not None:
        where += " AND zone IN {zones:Array(String)}"
        values["zones"] = list(zones)
    names = ", ".join(SPAN.names[2:])
    found = connection.arrow(
        f"SELECT zone, toUnixTimestamp64Milli(window_start) AS t, {names} FROM {connection.table('zones')} FINAL"
        f" WHERE {where} ORDER BY zone, window_start SETTINGS do_not_merge_across_partitions_select_final = 1",
        values,
    )
    return plain(found).cast(SPAN)


def zone_densities(connection: Connection, run_id: str, window: str, start_ms: int, end_ms: int) -> pa.Table:
    """Densities (DENSITIES) of all zones in windows that start in ``[start_ms, end_ms)``, in no order.

    To put 1,000 zones and six hours of minutes in order takes ten times as long as to read them.
    """
    check_window(window)
    found = connection.arrow(
        "SELECT zone, toUnixTimestamp64Milli(window_start) AS t, density"
        f" FROM {connection.table('zones')} FINAL WHERE run_id = {{run:String}} AND window = {{window:String}}"
        f" AND window_start >= {at('start')} AND window_start < {at('end')}"
        " SETTINGS do_not_merge_across_partitions_select_final = 1",
        {"run": run_id, "window": window, "start": clamp(start_ms), "end": clamp(end_ms)},
    )
    return plain(found).cast(DENSITIES)


def usual_zones(connection: Connection, runs: Sequence[str], starts: I64, days: I64) -> pa.Table:
    """What is usual of each zone (USUAL): P10, P50, P90 of density and occupancy, and over how many days.

    ``starts`` (n,): starts (ms) of windows of USUAL_WINDOW, ascending; ``days`` (n,): to which each counts.
    ``runs``: the first of them that knows a zone's occupancy in a window tells it, the others do not, so that no span
    counts twice. Rows without an occupancy (unknown, or of few people) are left out; of a range its middle counts.
    Shares as ``numpy.quantile`` finds them by default (ClickHouse's ``quantiles`` do, up to 8,192 values). Only a few
    numbers per zone leave the store.
    """
    if not len(starts) or not runs:
        return USUAL.empty_table()
    share = ", ".join(str(each) for each in SHARES)
    found = connection.arrow(
        "SELECT zone,"
        " toInt64(uniqExact(transform(t, {starts:Array(Int64)}, {days:Array(Int64)}, toInt64(-1)))) AS days,"
        f" quantiles({share})(told.1) AS d, quantiles({share})(told.2) AS o,"
        " d[1] AS density_low, d[2] AS density_middle, d[3] AS density_high,"
        " o[1] AS occupancy_low, o[2] AS occupancy_middle, o[3] AS occupancy_high"
        " FROM (SELECT zone, toUnixTimestamp64Milli(window_start) AS t,"
        " argMin((density, occupancy), indexOf({runs:Array(String)}, run_id)) AS told"
        f" FROM {connection.table('zones')} WHERE run_id IN {{runs:Array(String)}} AND window = {{window:String}}"
        f" AND ({_within(starts)}) AND occupancy IS NOT NULL GROUP BY zone, window_start)"
        " GROUP BY zone ORDER BY zone",
        {
            "runs": list(runs),
            "window": USUAL_WINDOW,
            "starts": starts.tolist(),
            "days": days.tolist(),
        },
    )
    return plain(found.select(USUAL.names)).cast(USUAL)


def _within(starts: I64) -> str:
    """SQL: a window starts at one of the ascending ``starts``; as few ranges as there are, for the index sees those."""
    cut = np.flatnonzero(np.diff(starts) != USUAL_MS)
    firsts, lasts = starts[np.r_[0, cut + 1]], starts[np.r_[cut, len(starts) - 1]]
    return " OR ".join(
        f"(window_start >= fromUnixTimestamp64Milli({first}, 'UTC')"
        f" AND window_start <= fromUnixTimestamp64Milli({last}, 'UTC'))"
        for first, last in zip(firsts.tolist(), lasts.tolist(), strict=True)
    )
