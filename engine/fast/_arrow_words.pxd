# cython: language_level=3, wraparound=False, initializedcheck=False
"""Text of an Arrow stream -> what it stands for, and dictionaries of it, looked up once per entry.

Producers send the same sensors in every message: as long as the bytes of that dictionary stay the same, so does what
was found in it.
"""

from libc.stdint cimport int64_t, uint8_t
from libc.stdlib cimport free, realloc
from libc.string cimport memchr, memcmp, memcpy

from engine.fast._arrow_batch cimport Batch, Opened, offset, open_batch, open_column
from engine.fast._arrow_flat cimport Flat, Node, child_of, number_of
from engine.fast._arrow_schema cimport TEXT, WORDS, Column
from engine.fast._row cimport is_word, kind_of_word
from engine.fast._scan cimport ABSENT, INTEGER, OTHER, PLAIN, utf8_end
from engine.fast._scan_ids cimport Slot, Table, slot_of
from engine.fast._scan_key cimport F_BEAM, F_DIR, F_NONE, F_RECORD_TS, F_SENSOR, F_TS, F_TYPE, TOUCHES
from engine.fast._scan_text cimport rfc3339_ms
from engine.fast._types cimport ID_BYTES, KIND_NONE, NO_TIME, REGISTRY, SET

cdef enum:
    FINE
    UNREADABLE = -1
    NO_MEMORY = -2
    SIZE_BITS = 7  # of a text: below them its bytes, at most ID_BYTES, above them where it lies in the message

cdef struct Words:     # a column's dictionary
    uint8_t* kinds     # ABSENT, INTEGER, PLAIN, OTHER
    int64_t* numbers   # what the entry stands for
    int64_t count
    int64_t room

cdef struct Known:     # the last whole dictionary of sensors: its entries are the first of their Words
    uint8_t* message   # metadata and body
    int64_t size       # 0: none
    int64_t room
    int64_t count      # entries
    int text_width

cdef struct Reader:    # state between messages of one log
    Column columns[F_NONE]
    Words words[F_NONE]
    Known known
    const uint8_t* base  # of signage, where texts are told by their place: the message's first byte


cdef inline void release(Reader* reader) noexcept nogil:
    cdef int field
    for field in range(F_NONE):
        free(reader.words[field].kinds)
        free(reader.words[field].numbers)
    free(reader.known.message)


cdef inline bint is_utf8(const uint8_t* p, const uint8_t* end) noexcept nogil:
    while p < end:
        if p[0] < 0x80:
            p += 1
            continue
        p = utf8_end(p, end)
        if p == NULL:
            return False
    return True


cdef inline uint8_t text_value(
    int field,
    const uint8_t* p,      # IN  (size,)
    int64_t size,          # IN
    const uint8_t* end,    # IN  of what may be read
    const uint8_t* base,   # IN  see Reader
    const Table* table,    # IN  sensor ids; of signage not used
    int64_t* value,        # OUT row of the sensor, kind, direction or beam 0 or 1, ms; PLAIN: size and place
) noexcept nogil:
    """INTEGER, of signage PLAIN, or OTHER where the field does not take this text."""
    cdef Slot key
    if TOUCHES and field != F_TS and field != F_RECORD_TS:
        value[0] = (p - base) << SIZE_BITS | (size & 127)
        if field == F_TYPE and (kind_of_word(p, size) == SET or kind_of_word(p, size) == REGISTRY):
            return OTHER
        return PLAIN if size <= ID_BYTES and is_utf8(p, p + size) else OTHER
    if field == F_SENSOR:
        if size > ID_BYTES:
            return OTHER
        value[0] = slot_of(table, p, size, end, &key).row
        return INTEGER if value[0] >= 0 or is_utf8(p, p + size) else OTHER
    if field == F_TYPE:
        value[0] = kind_of_word(p, size)
        if value[0] == SET or value[0] == REGISTRY:  # these records hold objects: they come as JSON
            value[0] = KIND_NONE
        return INTEGER
    if field == F_DIR:
        value[0] = is_word(p, size, b"ba", 2)
        return INTEGER if value[0] or is_word(p, size, b"ab", 2) else OTHER
    if field == F_BEAM:
        value[0] = is_word(p, size, b"b", 1)
        return INTEGER if value[0] or is_word(p, size, b"a", 1) else OTHER
    if size and memchr(p, c"\\", size) != NULL:  # the scanner of times would take it for an escape of JSON
        return OTHER
    value[0] = rfc3339_ms(p, p + size)
    return OTHER if value[0] == NO_TIME else INTEGER


cdef inline void mark(const Opened* column, int64_t first, int64_t rows, uint8_t* kinds) noexcept nogil:
    """INTEGER for rows that are not null, ABSENT for those that are."""
    cdef int64_t i
    if column.validity == NULL:
        for i in range(rows):
            kinds[i] = INTEGER
        return
    for i in range(first, first + rows):
        kinds[i - first] = INTEGER if column.validity[i >> 3] >> (i & 7) & 1 else ABSENT


cdef inline void read_text(
    int field, const Batch* batch, const Opened* column, int width, const uint8_t* base, const Table* table,
    int64_t first, int64_t rows, uint8_t* kinds, int64_t* numbers,
) noexcept nogil:
    cdef int64_t at = 0
    cdef int64_t end
    cdef int64_t i
    if rows:
        at = offset(column.values, width, first)
    for i in range(rows):
        end = offset(column.values, width, first + i + 1)
        if kinds[i] != ABSENT:
            kinds[i] = text_value(
                field, column.text + at, end - at, batch.body + batch.size, base, table, &numbers[i]
            )
        at = end


cdef inline bint reserve(Words* words, int64_t count) noexcept nogil:
    cdef int64_t room = 2 * count + 16
    cdef void* larger
    if count <= words.room:
        return True
    larger = realloc(words.kinds, room)
    if larger == NULL:
        return False
    words.kinds = <uint8_t*> larger
    larger = realloc(words.numbers, room * sizeof(int64_t))
    if larger == NULL:
        return False
    words.numbers = <int64_t*> larger
    words.room = room
    return True


cdef inline bint keep(Known* known, const uint8_t* message, int64_t size, int64_t count, int text_width) noexcept nogil:
    cdef void* larger
    if size > known.room:
        larger = realloc(known.message, size)
        if larger == NULL:
            return False
        known.message = <uint8_t*> larger
        known.room = size
    memcpy(known.message, message, size)
    known.size, known.count, known.text_width = size, count, text_width
    return True


cdef inline int read_words(
    Reader* reader, int field, const Flat* flat, const Node* header, int64_t body_size, const Table* table
) noexcept nogil:
    """Put a dictionary in the place of the one before, or a delta behind it; the body lies behind the metadata."""
    cdef Words* words = &reader.words[field]
    cdef int width = reader.columns[field].text_width
    cdef int64_t size = flat.size + body_size
    cdef int64_t before = 0
    cdef int64_t is_delta
    cdef Node data
    cdef Batch batch
    cdef Opened opened
    cdef Column column
    cdef Known* known = &reader.known
    cdef bint kept = field == F_SENSOR and not TOUCHES  # places are of one message alone
    if (kept and known.size == size and known.text_width == width
            and memcmp(known.message, flat.data, size) == 0):
        words.count = known.count
        return FINE
    if not number_of(flat, header, 2, 1, &is_delta) or not child_of(flat, header, 1, &data):
        return UNREADABLE
    column.form, column.width, column.has_validity = TEXT, width, True
    column.node = column.buffer = column.views = 0
    if not open_batch(flat, &data, flat.data + flat.size, body_size, body_size, &batch):
        return UNREADABLE
    if not open_column(&batch, &column, &opened):
        return UNREADABLE
    if is_delta:
        before = words.count
    elif kept:
        known.size = 0
    if not reserve(words, before + batch.rows):
        return NO_MEMORY
    mark(&opened, 0, batch.rows, words.kinds + before)
    read_text(
        field, &batch, &opened, width, reader.base, table, 0, batch.rows, words.kinds + before, words.numbers + before
    )
    words.count = before + batch.rows
    if kept and not is_delta and not keep(known, flat.data, size, words.count, width):
        return NO_MEMORY
    return FINE


cdef inline int take_dictionary(
    Reader* reader, const Flat* flat, const Node* header, int64_t body_size, const Table* table
) noexcept nogil:
    """FINE, UNREADABLE or NO_MEMORY; a dictionary of columns that no field names is passed over."""
    cdef int64_t number
    cdef int field
    cdef int done = FINE
    if not number_of(flat, header, 0, 8, &number):
        return UNREADABLE
    for field in range(F_NONE):
        if reader.columns[field].form == WORDS and reader.columns[field].dictionary == number and done == FINE:
            done = read_words(reader, field, flat, header, body_size, table)
    return done
