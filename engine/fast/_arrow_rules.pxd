# cython: language_level=3, wraparound=False, initializedcheck=False
"""Cells of an Arrow row -> an event row: the rules of engine.decode, as _scan_rules.pxd has them for JSON."""

from libc.stdint cimport int8_t, int32_t, int64_t, uint8_t

from engine.fast._scan cimport ABSENT, INTEGER, OTHER
from engine.fast._scan_key cimport (
    F_AB, F_BA, F_DIR, F_NONE, F_RECORD_TS, F_SENSOR, F_SEQ, F_SPAN_MS, F_TS, F_TYPE, F_UN,
)
from engine.fast._scan_rules cimport Row, blank_row
from engine.fast._types cimport (
    BAD_VALUE, COUNT, COUNT_MAX, CROSS, KIND_NONE, MISSING_FIELD, NO_TIME, SPAN_MAX_MS, TICK, TS_MAX, TS_MIN,
    UNKNOWN_TYPE,
)

cdef enum:
    BLOCK = 256  # rows at a time: small enough for the first cache

cdef struct Cells:  # a block of rows, column by column
    uint8_t kind[F_NONE][BLOCK]    # ABSENT, INTEGER, OTHER
    int64_t number[F_NONE][BLOCK]  # INTEGER: see text_value


cdef inline bint cell_time(const Cells* cells, int field, int64_t i, int64_t* at) noexcept nogil:
    """False, and ``at`` as it was, where the cell holds no time from TS_MIN to before TS_MAX."""
    if cells.kind[field][i] != INTEGER or not TS_MIN <= cells.number[field][i] < TS_MAX:
        return False
    at[0] = cells.number[field][i]
    return True


cdef inline bint cell_count(const Cells* cells, int field, int64_t i, int64_t* people) noexcept nogil:
    if cells.kind[field][i] == INTEGER and 0 <= cells.number[field][i] <= COUNT_MAX:
        people[0] = cells.number[field][i]
        return True
    return cells.kind[field][i] == ABSENT


cdef inline bint cell_values(const Cells* cells, int64_t i, Row* row) noexcept nogil:
    """The cells of an event that are its kind's own, and seq."""
    if cells.kind[F_SEQ][i] == INTEGER:
        row.seq = cells.number[F_SEQ][i]
        row.has_seq = 1
    elif cells.kind[F_SEQ][i] != ABSENT:
        return False
    if row.kind == CROSS:
        if cells.kind[F_DIR][i] == INTEGER:
            row.ba = cells.number[F_DIR][i]
            row.ab = 1 - row.ba
        else:
            row.un = cells.kind[F_DIR][i] == ABSENT
        return cells.kind[F_DIR][i] != OTHER
    if row.kind != COUNT:
        return True
    if cells.kind[F_SPAN_MS][i] != INTEGER or not 1 <= cells.number[F_SPAN_MS][i] <= SPAN_MAX_MS:
        return False
    row.span_ms = cells.number[F_SPAN_MS][i]
    return (
        cell_count(cells, F_AB, i, &row.ab)
        and cell_count(cells, F_BA, i, &row.ba)
        and cell_count(cells, F_UN, i, &row.un)
    )


cdef inline bint cell_missing(const Cells* cells, int64_t i, int8_t kind) noexcept nogil:
    """Whether a cell that the kind requires is null or not there."""
    if cells.kind[F_TS][i] == ABSENT or (kind != TICK and cells.kind[F_SENSOR][i] == ABSENT):
        return True
    return kind == COUNT and (
        cells.kind[F_SPAN_MS][i] == ABSENT
        or (cells.kind[F_AB][i] == ABSENT and cells.kind[F_BA][i] == ABSENT and cells.kind[F_UN][i] == ABSENT)
    )


cdef inline void judge_cells(const Cells* cells, int64_t i, int64_t message_ts, Row* row) noexcept nogil:
    """The rules of _scan_rules.judge on the cells of one row."""
    cdef bint good
    blank_row(row, 0, message_ts)
    if cells.kind[F_TYPE][i] == INTEGER:
        row.kind = <int8_t> cells.number[F_TYPE][i]
    good = cell_time(cells, F_TS, i, &row.ts)
    if message_ts == NO_TIME and not cell_time(cells, F_RECORD_TS, i, &row.record_ts):
        good = good and cells.kind[F_RECORD_TS][i] == ABSENT
    if row.kind != TICK:
        if cells.kind[F_SENSOR][i] == INTEGER:
            row.sensor = <int32_t> cells.number[F_SENSOR][i]
        else:
            good = False
    if row.kind == KIND_NONE:
        row.reason = MISSING_FIELD if cells.kind[F_TYPE][i] == ABSENT else UNKNOWN_TYPE
        return
    if cell_missing(cells, i, row.kind):
        row.reason = MISSING_FIELD
        return
    if row.kind != TICK and not cell_values(cells, i, row):
        good = False
    if not good:
        row.reason = BAD_VALUE
        row.has_seq = 0
        row.span_ms = row.ab = row.ba = row.un = row.seq = 0
    elif row.record_ts == NO_TIME:
        row.record_ts = row.ts + row.span_ms
