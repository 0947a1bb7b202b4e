# cython: language_level=3, wraparound=False, initializedcheck=False
"""Compiled twin of engine/admit.py: same name, same arguments, same outcome."""

from libc.stdint cimport int8_t, int32_t, int64_t, uint8_t

from engine.fast._types cimport (
    BEAM, FUTURE_MS, HEARTBEAT, HOUR, HOUR_MS, KIND_NONE, NOT_APPROVED, NO_TIME, OCCUPANCY, POINT, SPAN_TOO_LONG, TICK,
    TOO_FAR_IN_FUTURE, UNKNOWN_SENSOR, floor_to, is_control, leaf_ms,
)


cdef struct Pane:
    int64_t start
    int64_t end


cdef Pane hour_pane(int64_t at, const int64_t[::1] changes, const int64_t[::1] offsets) noexcept nogil:
    # last change of offset at or before `at`; changes[0] lies before all event times
    cdef Py_ssize_t low = 0, high = changes.shape[0], middle
    cdef Pane pane
    while high - low > 1:
        middle = (low + high) >> 1
        if changes[middle] <= at:
            low = middle
        else:
            high = middle
    pane.start = floor_to(at + offsets[low], HOUR_MS) - offsets[low]
    pane.end = pane.start + HOUR_MS
    if pane.start < changes[low]:
        pane.start = changes[low]
    if low + 1 < changes.shape[0] and pane.end > changes[low + 1]:
        pane.end = changes[low + 1]
    return pane


def admit(
    const int8_t[::1] kind,            # IN    (rows,)
    uint8_t[::1] reason,               # INOUT (rows,)
    const int32_t[::1] sensor,         # IN    (rows,) row of the sensor table, -1 unknown
    const int64_t[::1] ts,             # IN    (rows,) ms
    const int64_t[::1] span_ms,        # IN    (rows,)
    const int64_t[::1] record_ts,      # IN    (rows,) ms
    const int32_t[::1] sensor_gate,    # IN    (S,)
    const int8_t[::1] sensor_leaf,     # IN    (S,)
    const int32_t[::1] approved_at,    # IN    (S + 1,)
    const int64_t[::1] approved_from,  # IN    (A,) ms
    const int64_t[::1] approved_to,    # IN    (A,) ms
    const int64_t[::1] changes,        # IN    (m,) ms
    const int64_t[::1] offsets,        # IN    (m,) ms
    int64_t[::1] pane_ms,              # OUT   (rows,)
    int64_t[::1] pane_end_ms,          # OUT   (rows,)
    int64_t[::1] mark_ms,              # OUT   (rows,)
):
    """Judge every row that decode let through (see engine/admit.py)."""
    cdef Py_ssize_t rows = kind.shape[0], sensors = sensor_gate.shape[0], i
    if not (reason.shape[0] == sensor.shape[0] == ts.shape[0] == span_ms.shape[0] == record_ts.shape[0] == rows
            and pane_ms.shape[0] == pane_end_ms.shape[0] == mark_ms.shape[0] == rows
            and approved_at.shape[0] == sensors + 1 and sensor_leaf.shape[0] == sensors
            and changes.shape[0] == offsets.shape[0] and changes.shape[0] > 0):
        raise ValueError("columns differ in length")
    if approved_at[sensors] > approved_from.shape[0] or approved_at[sensors] > approved_to.shape[0]:
        raise ValueError("columns differ in length")
    for i in range(rows):
        if sensor[i] >= sensors:
            raise ValueError("no such sensor row")
    with nogil:
        judge(kind, reason, sensor, ts, span_ms, record_ts, sensor_gate, sensor_leaf, approved_at, approved_from,
              approved_to, changes, offsets, pane_ms, pane_end_ms, mark_ms)


cdef void judge(
    const int8_t[::1] kind, uint8_t[::1] reason, const int32_t[::1] sensor, const int64_t[::1] ts,
    const int64_t[::1] span_ms, const int64_t[::1] record_ts, const int32_t[::1] sensor_gate,
    const int8_t[::1] sensor_leaf, const int32_t[::1] approved_at, const int64_t[::1] approved_from,
    const int64_t[::1] approved_to, const int64_t[::1] changes, const int64_t[::1] offsets,
    int64_t[::1] pane_ms, int64_t[::1] pane_end_ms, int64_t[::1] mark_ms,
) noexcept nogil:
    cdef Py_ssize_t i
    cdef int32_t s, j
    cdef int8_t k, leaf
    cdef int64_t at, end, judged, length
    cdef bint approved
    cdef Pane pane, cached
    cached.start, cached.end = 0, 0  # the hour last used: consecutive events mostly share it
    for i in range(kind.shape[0]):
        pane_ms[i] = NO_TIME
        pane_end_ms[i] = NO_TIME
        mark_ms[i] = NO_TIME
        if reason[i] != 0:
            continue
        k = kind[i]
        if k == TICK:
            mark_ms[i] = ts[i] if ts[i] < record_ts[i] else record_ts[i]
            continue
        if k == KIND_NONE or is_control(k):
            continue
        s = sensor[i]
        if s < 0 or (sensor_gate[s] < 0 and k != HEARTBEAT and k != POINT and k != OCCUPANCY):
            reason[i] = UNKNOWN_SENSOR
            continue
        end = ts[i] + span_ms[i]
        at = ts[i] + (span_ms[i] >> 1)
        leaf = sensor_leaf[s]
        if leaf < HOUR:
            length = leaf_ms(leaf)
            pane.start = floor_to(at, length)
            pane.end = pane.start + length
        else:
            length = HOUR_MS
            if not (cached.start <= at < cached.end):
                cached = hour_pane(at, changes, offsets)
            pane = cached
        judged = ts[i] if k == HEARTBEAT or k == POINT else pane.start
        approved = False
        for j in range(approved_at[s], approved_at[s + 1]):
            if approved_from[j] <= judged < approved_to[j]:
                approved = True
                break
        if not approved:
            reason[i] = NOT_APPROVED
        elif end - FUTURE_MS > record_ts[i]:  # in this order the sum stays inside int64, whatever a record time is
            reason[i] = TOO_FAR_IN_FUTURE
        elif span_ms[i] > length:
            reason[i] = SPAN_TOO_LONG
        else:
            pane_ms[i] = pane.start
            pane_end_ms[i] = pane.end
            if k == POINT or k == BEAM:
                pane_ms[i], pane_end_ms[i] = ts[i], ts[i] + 1
            mark_ms[i] = end if end < record_ts[i] else record_ts[i]
