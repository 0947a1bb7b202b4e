# cython: language_level=3, wraparound=False, initializedcheck=False
"""The columns that a decoder of signage fills, and the messages that fill them: JSON and Arrow."""

from libc.stdint cimport int8_t, int32_t, int64_t, uint8_t

from engine.fast._arrow_batch cimport Batch, Opened
from engine.fast._arrow_cells cimport BLOCK, Cells
from engine.fast._arrow_rows cimport BATCH, Stream, load_block, next_batch, open_columns, open_stream
from engine.fast._arrow_words cimport FINE, NO_MEMORY, SIZE_BITS, UNREADABLE, Reader
from engine.fast._names cimport Book, number_of_word
from engine.fast._scan cimport PLAIN, blank
from engine.fast._scan_ids cimport Slot, Table, slot_of
from engine.fast._scan_key cimport (
    F_DEVICE, F_LANG, F_NONE, F_RECORD_TS, F_SCREEN, F_SESSION, F_TO, F_TS, F_TYPE, Fields,
)
from engine.fast._scan_message cimport AT_ELEMENT, AT_TAIL, BROKEN, FINISHED, NO_VALUE, Cursor, behind_value, open_message
from engine.fast._scan_record cimport record_end, value_end
from engine.fast._touch_row cimport NO_TEXT, Text, TouchRow, blank_touch, judge_touch
from engine.fast._types cimport MALFORMED, TOUCH, is_control

cdef struct Touches:
    int8_t* kind            # (cap,) each, as in engine.model.Touches
    uint8_t* reason
    int32_t* device
    int64_t* ts
    int32_t* session
    int32_t* screen
    int32_t* to
    int32_t* lang
    int64_t* record_ts
    int32_t* message
    int64_t cap
    const Table* devices
    Book* names             # of screens and, first of all, languages
    Book* sessions
    int32_t languages


cdef inline bint put_word(Book* book, const Text* text, int32_t* code) noexcept nogil:
    """False where there is no memory for one more word."""
    code[0] = -1
    if text.size == NO_TEXT:
        return True
    code[0] = number_of_word(book, text.p, text.size, text.end)
    return code[0] >= 0


cdef inline bint put_touch(Touches* to, int64_t at, const TouchRow* row, int32_t message) noexcept nogil:
    """Write row ``at``, where there is room for it; False where there is no memory for its words."""
    cdef Slot key
    cdef int32_t lang
    if at >= to.cap:
        return True
    to.kind[at] = row.kind
    to.reason[at] = row.reason
    to.device[at] = row.device
    to.ts[at] = row.ts
    to.record_ts[at] = row.record_ts
    to.message[at] = message
    to.session[at] = to.screen[at] = to.to[at] = to.lang[at] = -1
    if row.kind != TOUCH or row.reason:
        return True
    if row.lang.size != NO_TEXT:
        lang = slot_of(&to.names.table, row.lang.p, row.lang.size, row.lang.end, &key).row
        to.lang[at] = lang if 0 <= lang < to.languages else to.languages - 1
    return (
        put_word(to.sessions, &row.session, &to.session[at])
        and put_word(to.names, &row.screen, &to.screen[at])
        and put_word(to.names, &row.to, &to.to[at])
    )


cdef inline int next_touch(Cursor* cursor, const Table* devices, int64_t message_ts, TouchRow* row) noexcept nogil:
    cdef Fields fields
    cdef const uint8_t* end = cursor.end
    cdef const uint8_t* p = cursor.p
    cdef bint is_element = cursor.state == AT_ELEMENT
    if cursor.state == NO_VALUE:
        return BROKEN
    if cursor.state == AT_TAIL:
        return FINISHED if blank(p, end) == end else BROKEN
    if p < end and p[0] == c"{":
        p = record_end(p + 1, end, 1 + is_element, &fields)
        if p == NULL:
            return BROKEN
        judge_touch(&fields, devices, end, message_ts, row)
    else:
        p = value_end(p, end, 1)
        if p == NULL:
            return BROKEN
        blank_touch(row, MALFORMED, message_ts)
    return behind_value(cursor, p, is_element)


cdef inline int64_t json_touches(
    const uint8_t* p, const uint8_t* end, int64_t message_ts, Touches* out, int64_t filled, int32_t message, bint control,
) noexcept nogil:
    """Rows in the columns behind the message's, also where there is no room for them; UNREADABLE or NO_MEMORY.

    ``control``: only messages of control records are taken.
    """
    cdef Cursor cursor
    cdef TouchRow row
    cdef int state
    open_message(&cursor, p, end)
    while True:
        state = next_touch(&cursor, out.devices, message_ts, &row)
        if state == FINISHED:
            return filled
        if state == BROKEN or (control and not is_control(row.kind)):
            return UNREADABLE
        if not put_touch(out, filled, &row, message):
            return NO_MEMORY
        filled += 1


cdef inline void fields_of(const Cells* cells, int64_t i, const uint8_t* base, Fields* fields) noexcept nogil:
    """One row of a block, as if it had been an object."""
    cdef int[8] used = [F_DEVICE, F_TS, F_TYPE, F_SESSION, F_SCREEN, F_TO, F_LANG, F_RECORD_TS]
    cdef int k
    cdef int field
    for k in range(8):
        field = used[k]
        fields.kind[field] = cells.kind[field][i]
        fields.number[field] = cells.number[field][i]
        if cells.kind[field][i] == PLAIN:
            fields.text[field] = base + (cells.number[field][i] >> SIZE_BITS)
            fields.number[field] &= 127


cdef inline int64_t arrow_touches(
    Reader* reader, const uint8_t* p, const uint8_t* end, int64_t message_ts, Touches* out, int64_t filled, int32_t message,
) noexcept nogil:
    """As json_touches; a stream's texts lie in the message, like those of JSON."""
    cdef Opened opened[F_NONE]
    cdef Cells cells
    cdef Fields fields
    cdef TouchRow row
    cdef Stream stream
    cdef Batch batch
    cdef int64_t first
    cdef int64_t rows
    cdef int64_t i
    cdef int found
    reader.base = p
    open_stream(&stream, p, end)
    while True:
        found = next_batch(reader, &stream, out.devices, &batch)
        if found != BATCH:
            return filled if found == FINE else found
        if not open_columns(reader, &batch, opened, &cells):
            return UNREADABLE
        first = 0
        while first < batch.rows:
            rows = min(batch.rows - first, <int64_t> BLOCK)
            if not load_block(reader, &batch, opened, out.devices, first, rows, &cells):
                return UNREADABLE
            for i in range(rows):
                fields_of(&cells, i, p, &fields)
                judge_touch(&fields, out.devices, end, message_ts, &row)
                if not put_touch(out, filled + first + i, &row, message):
                    return NO_MEMORY
            first += rows
        filled += batch.rows
