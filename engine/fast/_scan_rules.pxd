# cython: language_level=3, wraparound=False, initializedcheck=False
"""Raw fields of an object -> one row: the rules of engine.decode in the order of the checks."""

from libc.stdint cimport int8_t, int32_t, int64_t, uint8_t

from engine.fast._row cimport Row, blank_row, is_word, kind_of_word, no_values
from engine.fast._scan cimport ABSENT, ESCAPED, INTEGER, PLAIN
from engine.fast._scan_ids cimport Slot, Table, slot_of
from engine.fast._scan_key cimport (
    F_AB, F_BA, F_DIR, F_RECORD_TS, F_SENSOR, F_SEQ, F_SPAN_MS, F_TS, F_TYPE, F_UN, Fields, word_of,
)
from engine.fast._scan_space cimport apart, lacks_in_space, read_in_space
from engine.fast._scan_text cimport rfc3339_ms, unescape
from engine.fast._types cimport (
    BAD_VALUE, COUNT, COUNT_MAX, CROSS, HEARTBEAT, ID_BYTES, KIND_NONE, MISSING_FIELD, NO_TIME, POINT, REGISTRY, SET,
    SPAN_MAX_MS, TICK, TS_MAX, TS_MIN, UNKNOWN_TYPE,
)


cdef inline int8_t kind_of(const Fields* fields) noexcept nogil:
    cdef uint8_t plain[ID_BYTES]
    cdef int64_t size
    cdef const uint8_t* p = word_of(fields, F_TYPE, plain, &size)
    return KIND_NONE if p == NULL else kind_of_word(p, size)


cdef inline bint read_sensor(const Fields* fields, const Table* table, const uint8_t* end, int32_t* row) noexcept nogil:
    """False where the field holds anything but a string of at most ID_BYTES bytes."""
    cdef uint8_t plain[ID_BYTES]
    cdef Slot key
    cdef const uint8_t* p = fields.text[F_SENSOR]
    cdef int64_t size = fields.number[F_SENSOR]
    if fields.kind[F_SENSOR] == ESCAPED:
        size = unescape(p, p + size, plain, ID_BYTES)
        p = plain
        end = plain + ID_BYTES
    elif fields.kind[F_SENSOR] != PLAIN:
        return False
    if not 0 <= size <= ID_BYTES:
        return False
    row[0] = slot_of(table, p, size, end, &key).row
    return True


cdef inline bint read_time(const Fields* fields, int field, int64_t* at) noexcept nogil:
    """False, and ``at`` as it was, where the field holds no time from TS_MIN to before TS_MAX."""
    cdef int64_t ms = fields.number[field]
    if fields.kind[field] == PLAIN or fields.kind[field] == ESCAPED:
        ms = rfc3339_ms(fields.text[field], fields.text[field] + fields.number[field])
    elif fields.kind[field] != INTEGER:
        return False
    if not TS_MIN <= ms < TS_MAX:
        return False
    at[0] = ms
    return True


cdef inline bint read_count(const Fields* fields, int field, int64_t* people) noexcept nogil:
    if fields.kind[field] == INTEGER and 0 <= fields.number[field] <= COUNT_MAX:
        people[0] = fields.number[field]
        return True
    return fields.kind[field] == ABSENT


cdef inline bint read_direction(const Fields* fields, Row* row) noexcept nogil:
    cdef uint8_t plain[ID_BYTES]
    cdef int64_t size
    cdef const uint8_t* p = word_of(fields, F_DIR, plain, &size)
    if p == NULL:
        row.un = fields.kind[F_DIR] == ABSENT
        return fields.kind[F_DIR] == ABSENT
    row.ab = is_word(p, size, b"ab", 2)
    row.ba = is_word(p, size, b"ba", 2)
    return row.ab + row.ba == 1


cdef inline bint read_values(const Fields* fields, Row* row) noexcept nogil:
    """The fields of an event that are its kind's own, and seq."""
    if fields.kind[F_SEQ] == INTEGER:
        row.seq = fields.number[F_SEQ]
        row.has_seq = 1
    elif fields.kind[F_SEQ] != ABSENT:
        return False
    if row.kind == CROSS:
        return read_direction(fields, row)
    if row.kind == HEARTBEAT:
        return True
    if row.kind != COUNT:
        return apart(read_in_space, fields, row)
    row.span_ms = fields.number[F_SPAN_MS]
    return (
        fields.kind[F_SPAN_MS] == INTEGER and 1 <= row.span_ms <= SPAN_MAX_MS
        and read_count(fields, F_AB, &row.ab) and read_count(fields, F_BA, &row.ba) and read_count(fields, F_UN, &row.un)
    )


cdef inline bint is_missing(const Fields* fields, int8_t kind) noexcept nogil:
    """Whether a field that the kind requires is absent or null."""
    if fields.kind[F_TS] == ABSENT or (kind != TICK and fields.kind[F_SENSOR] == ABSENT):
        return True
    if kind == COUNT:
        return fields.kind[F_SPAN_MS] == ABSENT or (
            fields.kind[F_AB] == ABSENT and fields.kind[F_BA] == ABSENT and fields.kind[F_UN] == ABSENT
        )
    return kind >= POINT and lacks_in_space(fields.kind, kind)


cdef inline void judge(
    const Fields* fields,   # IN  of one object
    const Table* table,     # IN  sensor ids
    const uint8_t* end,     # IN  end of the message
    int64_t message_ts,     # IN  ms, NO_TIME = the record's own
    Row* row,               # OUT
) noexcept nogil:
    cdef bint good
    blank_row(row, 0, message_ts)
    row.kind = kind_of(fields)
    good = read_time(fields, F_TS, &row.ts)
    if message_ts == NO_TIME and not read_time(fields, F_RECORD_TS, &row.record_ts):
        good = good and fields.kind[F_RECORD_TS] == ABSENT
    if row.kind == SET or row.kind == REGISTRY:
        if row.record_ts == NO_TIME:
            row.record_ts = row.ts
        return
    if row.kind != TICK:
        good = read_sensor(fields, table, end, &row.sensor) and good
    if row.kind == KIND_NONE:
        row.reason = MISSING_FIELD if fields.kind[F_TYPE] == ABSENT else UNKNOWN_TYPE
        return
    if is_missing(fields, row.kind):
        row.reason = MISSING_FIELD
        return
    if row.kind != TICK and not read_values(fields, row):
        good = False
    if not good:
        row.reason = BAD_VALUE
        no_values(row)
    elif row.record_ts == NO_TIME:
        row.record_ts = row.ts + row.span_ms
