"""Coverage: the union of the spans in which a sensor is known to have been alive, cut into panes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engine.model import END, HOUR, I64, LENGTH_MS
from engine.partial import COVER_COLUMNS
from engine.rows import cut, joined, repeated, summed
from engine.tables import Tables


def union(spans: I64) -> I64:
    """Union of spans (m, 3) = sensor, start_ms, end_ms: disjoint, sorted by sensor and start."""
    if len(spans) < 2:
        return spans[spans[:, 1] < spans[:, 2]]
    spans = spans[np.lexsort((spans[:, 1], spans[:, 0]))]
    sensor, start, end = spans.T
    first_of_sensor = np.append(True, sensor[1:] != sensor[:-1])
    # running maximum of the ends within each sensor: shift every sensor's times into a range of its own
    base = int(min(start.min(), end.min()))
    step = int(end.max()) - base + 1
    group = np.cumsum(first_of_sensor) - 1
    if (int(group[-1]) + 1) * step > 2**62:  # wild times: the shift would overflow, go sensor by sensor
        return np.concatenate([_union_of_one(spans[group == g]) for g in range(int(group[-1]) + 1)])
    reach = np.maximum.accumulate(end - base + group * step) - group * step + base
    opens = first_of_sensor | np.append(True, start[1:] > reach[:-1])
    heads = np.flatnonzero(opens)
    tails = np.append(heads[1:], len(spans)) - 1
    out = np.column_stack([sensor[heads], start[heads], reach[tails]])
    return out[out[:, 1] < out[:, 2]]


def _union_of_one(spans: I64) -> I64:
    one = joined(spans[:, 1:], 0)
    one = one[one[:, 0] < one[:, 1]]
    return np.column_stack([np.full(len(one), spans[0, 0]), one])


def at_gates(spans: I64, tables: Tables) -> I64:
    """The spans (m, 3) of trackers that serve all gates, once more under their rows at each gate."""
    own, at_gate = tables.roaming[np.argsort(tables.roaming[:, 0], kind="stable")].T
    first, behind = (np.searchsorted(own, spans[:, 0], side) for side in ("left", "right"))
    span, place = repeated(behind - first)
    return np.column_stack([at_gate[first[span] + place], spans[span, 1:]])


def split(spans: I64, tables: Tables, w: int) -> tuple[I64, I64]:
    """Cut spans (m, 3) at W.

    Returns what lies in panes still open at ``w`` (spans again) and what lies in closed ones: rows (pane_ms, close_ms,
    sensor, covered_ms), one per sensor and pane, ordered by sensor and pane. Panes at whose start the sensor was not
    approved are left out: nothing is expected of it there, so it must not stand in for another.
    """
    empty = np.empty((0, COVER_COLUMNS), np.int64)
    if not len(spans):
        return spans, empty
    spans = union(spans)
    sensor = spans[:, 0]
    still_open = open_from(sensor, tables, w)
    behind = spans.copy()
    behind[:, 2] = np.minimum(behind[:, 2], still_open)
    ahead = spans.copy()
    ahead[:, 1] = np.maximum(ahead[:, 1], still_open)
    behind, ahead = behind[behind[:, 1] < behind[:, 2]], ahead[ahead[:, 1] < ahead[:, 2]]
    if not len(behind):
        return ahead, empty
    leaf = tables.sensor_leaf[behind[:, 0]]
    parts = []
    for code in np.unique(leaf).tolist():
        parts.append(_by_pane(behind[leaf == code], code, tables))
    rows = np.concatenate(parts)
    return ahead, summed(rows[approved(rows, tables)], (2, 0), 3)


def approved(rows: I64, tables: Tables) -> NDArray[np.bool_]:
    """(m,) Which rows (pane_ms, …, sensor at 2, …) lie in panes at whose start their sensor was approved."""
    pane, first, behind = rows[:, 0], tables.approved_at[rows[:, 2]], tables.approved_at[rows[:, 2] + 1]
    out = np.zeros(len(rows), np.bool_)
    for number in range(int((behind - first).max(initial=0))):
        has = np.flatnonzero(first + number < behind)
        span = first[has] + number
        out[has] |= (tables.approved_from[span] <= pane[has]) & (pane[has] < tables.approved_to[span])
    return out


def open_from(sensor: I64, tables: Tables, w: int) -> I64:
    """For each sensor row: the first leaf edge whose pane is still open at ``w``."""
    if w == END:
        return np.full(len(sensor), END, np.int64)
    # a pane is closed when end + delay <= w, so the pane holding w - delay is the first open one
    return tables.zone_clock.floors(w - tables.sensor_delay_ms[sensor], tables.sensor_leaf[sensor])


def close_of(pane_ms: I64, sensor: I64, tables: Tables) -> I64:
    """When panes of 10 s (m,) of sensors close: with the leaf window that holds them, later by the sensor's delay."""
    return tables.zone_clock.nexts(pane_ms, tables.sensor_leaf[sensor]) + tables.sensor_delay_ms[sensor]


def _by_pane(spans: I64, code: int, tables: Tables) -> I64:
    sensor, start, end = spans.T
    delay = tables.sensor_delay_ms[sensor]
    if code < HOUR:
        length = LENGTH_MS[code]
        row, pane, covered = cut(start, end, length)
        return np.column_stack([pane, pane + length + delay[row], sensor[row], covered])
    parts = []
    while len(start):
        pane, edge = tables.zone_clock.floor(start, code), tables.zone_clock.next(start, code)
        parts.append(np.column_stack([pane, edge + delay, sensor, np.minimum(end, edge) - start]))
        more = edge < end
        sensor, start, end, delay = sensor[more], edge[more], end[more], delay[more]
    return np.concatenate(parts)
