# cython: language_level=3, wraparound=False, initializedcheck=False
"""Cells of an Arrow row -> an event row: the rules of engine.decode, as _scan_rules.pxd has them for JSON."""

from libc.stdint cimport int8_t, int32_t, int64_t, uint8_t
from libc.string cimport memcpy, memset

from engine.fast._arrow_cells cimport (
    BLOCK, Cells, cell_count, cell_time, cells_in_space, cells_lack_in_space,
)
from engine.fast._columns cimport Columns, put
from engine.fast._row cimport Row, blank_row, no_values
from engine.fast._scan cimport ABSENT, INTEGER, OTHER
from engine.fast._scan_key cimport (
    F_AB, F_BA, F_DIR, F_RECORD_TS, F_SENSOR, F_SEQ, F_SPAN_MS, F_TS, F_TYPE, F_UN,
)
from engine.fast._types cimport (
    BAD_VALUE, COUNT, CROSS, HEARTBEAT, KIND_NONE, MISSING_FIELD, NO_TIME, POINT, SPAN_MAX_MS, TICK, TS_MAX, TS_MIN,
    UNKNOWN_TYPE,
)


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
    if row.kind == HEARTBEAT:
        return True
    if row.kind != COUNT:
        return cells_in_space(cells, i, row)
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
    if kind == COUNT:
        return cells.kind[F_SPAN_MS][i] == ABSENT or (
            cells.kind[F_AB][i] == ABSENT and cells.kind[F_BA][i] == ABSENT and cells.kind[F_UN][i] == ABSENT
        )
    return kind >= POINT and cells_lack_in_space(cells, i, kind)


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
        no_values(row)
    elif row.record_ts == NO_TIME:
        row.record_ts = row.ts + row.span_ms


cdef inline void mark_plain(const Cells* cells, int64_t rows, const int8_t* kind, uint8_t* plain) noexcept nogil:
    """1 for a cross or heartbeat that has all it needs and nothing wrong in the columns of a cross, else 0."""
    cdef const int64_t* ts = cells.number[F_TS]
    cdef int64_t i
    for i in range(rows):
        plain[i] = (
            (cells.kind[F_TYPE][i] == INTEGER) & (cells.kind[F_SENSOR][i] == INTEGER)
            & (cells.kind[F_TS][i] == INTEGER) & (cells.kind[F_SEQ][i] != OTHER) & (cells.kind[F_DIR][i] != OTHER)
            & ((kind[i] == CROSS) | (kind[i] == HEARTBEAT))
        )
    for i in range(rows):
        plain[i] &= (ts[i] >= TS_MIN) & (ts[i] < TS_MAX)


cdef inline void put_plain(
    const Cells* cells, int64_t rows, int64_t message_ts, const Columns* out, int64_t at, int32_t message
) noexcept nogil:
    """Write a block's rows, column by column, as if all of them were plain."""
    cdef int8_t* kind = out.kind + at  # a store of bytes may change any other memory: without these, out is read anew
    cdef uint8_t* has_seq = out.has_seq + at
    cdef int32_t* sensor = out.sensor + at
    cdef int32_t* messages = out.message + at
    cdef int64_t* record_ts = out.record_ts + at
    cdef int64_t* seq = out.seq + at
    cdef int64_t* n = out.n + 3 * at
    cdef int64_t direction
    cdef int64_t i
    memcpy(out.ts + at, cells.number[F_TS], rows * sizeof(int64_t))
    memset(out.reason + at, 0, rows)
    memset(out.span_ms + at, 0, rows * sizeof(int64_t))
    memset(n, 0, 3 * rows * sizeof(int64_t))
    for i in range(rows):
        kind[i] = <int8_t> cells.number[F_TYPE][i]
    for i in range(rows):
        sensor[i] = <int32_t> cells.number[F_SENSOR][i]
    for i in range(rows):
        messages[i] = message
    for i in range(rows):
        record_ts[i] = message_ts
    for i in range(rows):
        has_seq[i] = cells.kind[F_SEQ][i] == INTEGER
    for i in range(rows):
        seq[i] = cells.number[F_SEQ][i] if cells.kind[F_SEQ][i] == INTEGER else 0
    for i in range(rows):
        direction = cells.number[F_DIR][i] if cells.kind[F_DIR][i] == INTEGER else 2
        n[3 * i + direction] = kind[i] == CROSS


cdef inline void put_block(
    const Cells* cells,     # IN
    int64_t rows,           # IN
    int64_t message_ts,     # IN
    const Columns* out,     # OUT there is room for the rows
    int64_t at,             # IN  place of the first
    int32_t message,        # IN
) noexcept nogil:
    """Judge a block's rows. Nearly all are plain: these are written column by column, the others one by one."""
    cdef uint8_t plain[BLOCK]
    cdef int64_t i
    cdef Row row
    memset(plain, 0, rows)
    if message_ts != NO_TIME:
        put_plain(cells, rows, message_ts, out, at, message)
        mark_plain(cells, rows, out.kind + at, plain)
    for i in range(rows):
        if not plain[i]:
            judge_cells(cells, i, message_ts, &row)
            put(out, at + i, &row, message)
