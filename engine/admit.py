"""Which decoded events count at all, and in which pane (one leaf window of one gate). Twin: fast/_admit.pyx.

The checks of DESIGN.md that need no state, in their order: unknown_sensor, not_approved, too_far_in_future,
span_too_long. ``late`` and ``duplicate`` need the watermark: window.py.
"""

from __future__ import annotations

from bisect import bisect_right

from engine.model import (
    BEAM,
    COUNT,
    CROSS,
    FUTURE_MS,
    HEARTBEAT,
    HOUR,
    I8,
    I32,
    I64,
    LENGTH_MS,
    NO_TIME,
    NOT_APPROVED,
    OCCUPANCY,
    POINT,
    SPAN_TOO_LONG,
    TICK,
    TOO_FAR_IN_FUTURE,
    U8,
    UNKNOWN_SENSOR,
)

EVENTS = (CROSS, COUNT, HEARTBEAT, POINT, BEAM, OCCUPANCY)
AT_GATES = (CROSS, COUNT, BEAM)  # tell of passages, which somebody must count
BY_TS = (HEARTBEAT, POINT)  # approved or not at their ts, the others at the start of their leaf window
ALONE = (POINT, BEAM)  # worked off in the order of time, each its own pane of one millisecond: docs/adr/0033


def admit(
    kind: I8,
    reason: U8,
    sensor: I32,
    ts: I64,
    span_ms: I64,
    record_ts: I64,
    sensor_gate: I32,
    sensor_leaf: I8,
    approved_at: I32,
    approved_from: I64,
    approved_to: I64,
    changes: I64,
    offsets: I64,
    pane_ms: I64,
    pane_end_ms: I64,
    mark_ms: I64,
) -> None:
    """Judge every row that decode let through.

    IN  kind, sensor, ts, span_ms, record_ts (rows,): model.Events; sensor_gate, sensor_leaf (S,), approved_at (S + 1,),
        approved_from, approved_to: registry.Tables; changes, offsets: TimeZone.
    INOUT reason (rows,): rows other than 0 stay as they are; a row refused here gets its reason.
    OUT pane_ms, pane_end_ms (rows,): the leaf window that holds the event (ts, or the middle of a count's span; of a
        point or beam, which wait for the watermark alone, the millisecond of their ts); mark_ms (rows,):
        min(ts + span_ms, record_ts), what the row moves the watermark to; NO_TIME where refused.

    A sensor without a gate may not tell of passages: nobody could count them, so they are unknown_sensor.
    Raises ValueError where columns differ in length or a sensor row does not exist.
    """
    rows = len(kind)
    columns = (reason, sensor, ts, span_ms, record_ts, pane_ms, pane_end_ms, mark_ms)
    if any(len(c) != rows for c in columns) or len(approved_at) != len(sensor_gate) + 1:
        raise ValueError("columns differ in length")
    if rows and int(sensor.max()) >= len(sensor_gate):
        raise ValueError("no such sensor row")
    starts, shift = changes.tolist(), offsets.tolist()
    for i in range(rows):
        pane_ms[i] = pane_end_ms[i] = mark_ms[i] = NO_TIME
        if reason[i]:
            continue
        if kind[i] == TICK:
            mark_ms[i] = min(int(ts[i]), int(record_ts[i]))
        elif kind[i] in EVENTS:
            s, at, span = int(sensor[i]), int(ts[i]), int(span_ms[i])
            if s < 0 or (sensor_gate[s] < 0 and kind[i] in AT_GATES):
                reason[i] = UNKNOWN_SENSOR
                continue
            leaf = int(sensor_leaf[s])
            start, end = _pane(at + span // 2, leaf, starts, shift)
            judged = at if kind[i] in BY_TS else start
            spans = range(approved_at[s], approved_at[s + 1])
            if not any(approved_from[j] <= judged < approved_to[j] for j in spans):
                reason[i] = NOT_APPROVED
            elif at + span > int(record_ts[i]) + FUTURE_MS:
                reason[i] = TOO_FAR_IN_FUTURE
            elif span > LENGTH_MS[leaf]:
                reason[i] = SPAN_TOO_LONG
            else:
                pane_ms[i], pane_end_ms[i] = (at, at + 1) if kind[i] in ALONE else (start, end)
                mark_ms[i] = min(at + span, int(record_ts[i]))


def _pane(at: int, leaf: int, changes: list[int], offsets: list[int]) -> tuple[int, int]:
    length = LENGTH_MS[leaf]
    if leaf < HOUR:
        return at // length * length, at // length * length + length
    piece = bisect_right(changes, at) - 1
    offset = offsets[piece]
    start = (at + offset) // length * length - offset
    end = start + length
    if piece + 1 < len(changes):
        end = min(end, changes[piece + 1])
    return max(start, changes[piece]), end
