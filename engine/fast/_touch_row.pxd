# cython: language_level=3, wraparound=False, initializedcheck=False
"""Raw fields of an object -> one row of signage: the rules of engine.touch in the order of the checks."""

from libc.stdint cimport int8_t, int32_t, int64_t, uint8_t

from engine.fast._row cimport is_word, kind_of_word
from engine.fast._scan cimport ABSENT, ESCAPED, PLAIN
from engine.fast._scan_ids cimport Slot, Table, slot_of
from engine.fast._scan_key cimport (
    F_DEVICE, F_LANG, F_RECORD_TS, F_SCREEN, F_SESSION, F_TO, F_TS, F_TYPE, Fields, word_of,
)
from engine.fast._scan_rules cimport read_time
from engine.fast._scan_text cimport unescape
from engine.fast._types cimport (
    BAD_VALUE, HEARTBEAT, ID_BYTES, KIND_NONE, MISSING_FIELD, NO_TIME, REGISTRY, SET, TICK, TOUCH, UNKNOWN_SENSOR,
    UNKNOWN_TYPE, is_control,
)

cdef enum:
    NO_TEXT = -1  # size of a text that is not there

cdef struct Text:
    const uint8_t* p
    int64_t size
    const uint8_t* end       # of what may be read
    uint8_t plain[ID_BYTES]  # the text itself where it was written with escapes

cdef struct TouchRow:
    int8_t kind
    uint8_t reason
    int32_t device
    int64_t ts
    int64_t record_ts
    Text session  # of an accepted touch, like the following
    Text screen
    Text to
    Text lang     # the primary subtag in lower case


cdef inline void blank_touch(TouchRow* row, uint8_t reason, int64_t message_ts) noexcept nogil:
    row.kind, row.reason, row.device = KIND_NONE, reason, -1
    row.ts, row.record_ts = NO_TIME, message_ts


cdef inline int8_t touch_kind(const Fields* fields) noexcept nogil:
    """The kind that ``type`` names; of people's only those that signage has too."""
    cdef uint8_t plain[ID_BYTES]
    cdef int64_t size
    cdef const uint8_t* p = word_of(fields, F_TYPE, plain, &size)
    cdef int8_t kind
    if p == NULL:
        return KIND_NONE
    if is_word(p, size, b"touch", 5):
        return TOUCH
    kind = kind_of_word(p, size)
    return kind if kind == HEARTBEAT or is_control(kind) else KIND_NONE


cdef inline bint read_word(const Fields* fields, int field, const uint8_t* end, int64_t least, Text* text) noexcept nogil:
    """False where the field holds anything but a string of ``least`` to ID_BYTES bytes."""
    text.p, text.size, text.end = fields.text[field], fields.number[field], end
    if fields.kind[field] == ESCAPED:
        text.size = unescape(text.p, text.p + text.size, text.plain, ID_BYTES)
        text.p, text.end = text.plain, text.plain + ID_BYTES
    elif fields.kind[field] != PLAIN:
        return False
    return least <= text.size <= ID_BYTES


cdef inline bint read_lang(const Fields* fields, const uint8_t* end, Text* text) noexcept nogil:
    """The primary subtag of a language tag, in lower case."""
    cdef int64_t size = 0
    cdef uint8_t c
    if not read_word(fields, F_LANG, end, 0, text):
        return False
    while size < text.size and text.p[size] != c"-" and text.p[size] != c"_":
        c = text.p[size]
        text.plain[size] = c | 0x20 if c"A" <= c <= c"Z" else c
        size += 1
    text.p, text.size, text.end = text.plain, size, text.plain + ID_BYTES
    return True


cdef inline bint read_touch(const Fields* fields, const uint8_t* end, TouchRow* row) noexcept nogil:
    """The fields that a touch alone has."""
    row.to.size = row.lang.size = NO_TEXT
    return (
        read_word(fields, F_SESSION, end, 1, &row.session)
        and read_word(fields, F_SCREEN, end, 1, &row.screen)
        and (fields.kind[F_TO] == ABSENT or read_word(fields, F_TO, end, 1, &row.to))
        and (fields.kind[F_LANG] == ABSENT or read_lang(fields, end, &row.lang))
    )


cdef inline bint lacks(const Fields* fields, int8_t kind) noexcept nogil:
    """Whether a field that the kind requires is absent or null."""
    if fields.kind[F_TS] == ABSENT or (kind != TICK and fields.kind[F_DEVICE] == ABSENT):
        return True
    return kind == TOUCH and (fields.kind[F_SESSION] == ABSENT or fields.kind[F_SCREEN] == ABSENT)


cdef inline void judge_touch(
    const Fields* fields,   # IN  of one object
    const Table* devices,   # IN  their ids
    const uint8_t* end,     # IN  end of the message
    int64_t message_ts,     # IN  ms, NO_TIME = the record's own
    TouchRow* row,          # OUT
) noexcept nogil:
    cdef bint good
    cdef Slot key
    cdef Text id
    blank_touch(row, 0, message_ts)
    row.kind = touch_kind(fields)
    good = read_time(fields, F_TS, &row.ts)
    if message_ts == NO_TIME and not read_time(fields, F_RECORD_TS, &row.record_ts):
        good = good and fields.kind[F_RECORD_TS] == ABSENT
    if row.kind == SET or row.kind == REGISTRY:
        if row.record_ts == NO_TIME:
            row.record_ts = row.ts
        return
    if row.kind != TICK:
        if read_word(fields, F_DEVICE, end, 0, &id):
            row.device = slot_of(devices, id.p, id.size, id.end, &key).row
        else:
            good = False
    if row.kind == KIND_NONE:
        row.reason = MISSING_FIELD if fields.kind[F_TYPE] == ABSENT else UNKNOWN_TYPE
        return
    if lacks(fields, row.kind):
        row.reason = MISSING_FIELD
        return
    if row.kind == TOUCH and not read_touch(fields, end, row):
        good = False
    if not good:
        row.reason = BAD_VALUE
        return
    if row.record_ts == NO_TIME:
        row.record_ts = row.ts
    if row.kind != TICK and row.device < 0:
        row.reason = UNKNOWN_SENSOR
