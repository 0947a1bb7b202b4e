# cython: language_level=3, wraparound=False, initializedcheck=False
"""Arrow IPC streams -> event rows. Twin of engine/arrow.py."""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

from engine.fast._arrow_batch cimport Batch, Opened, open_batch, open_column, widen, widen_reals
from engine.fast._arrow_cells cimport BLOCK, Cells
from engine.fast._arrow_flat cimport Flat, Node, child_of, number_of, target_table
from engine.fast._arrow_rules cimport put_block
from engine.fast._arrow_schema cimport (
    BITS, NOTHING, REALS, TEXT, TIMES, UNNAMED, V4, V5, WORDS, WRONG, Column, read_schema,
)
from engine.fast._arrow_words cimport FINE, NO_MEMORY, UNREADABLE, Reader, Words, mark, read_text, take_dictionary
from engine.fast._columns cimport Columns
from engine.fast._scan cimport ABSENT, INTEGER, OTHER, REAL
from engine.fast._scan_ids cimport Table
from engine.fast._scan_key cimport F_NONE, F_SEQ

cdef enum:
    MARK = 0xFF    # first byte of every stream, and of no JSON
    SCHEMA = 1
    DICTIONARY = 2
    BATCH = 3
    SECONDS = 0    # units of time
    MICROSECONDS = 2
    NANOSECONDS = 3

cdef struct Stream:  # what is left of a message
    const uint8_t* p
    const uint8_t* end
    int64_t most     # rows that may still come: as many as the message has bytes
    bint begun       # its schema was read
    Flat flat        # metadata of the last batch

cdef inline bint look_up(const Words* words, bint nulls, int64_t rows, uint8_t* kind, int64_t* number) noexcept nogil:
    """False where an index is not in the dictionary."""
    cdef const uint8_t* kinds = words.kinds  # a store of bytes may change any other memory: without these, words is
    cdef const int64_t* numbers = words.numbers  # read anew for every row
    cdef uint64_t count = words.count
    cdef int64_t i
    cdef uint64_t at
    for i in range(rows):
        at = number[i]  # negative ones are the largest
        if nulls and kind[i] == ABSENT:
            continue
        if at >= count:
            return False
        kind[i] = kinds[at]
        number[i] = numbers[at]
    return True


cdef inline void to_ms(int unit, int64_t rows, int64_t* number) noexcept nogil:
    cdef int64_t i
    if unit == SECONDS:
        for i in range(rows):
            if -(1LL << 50) < number[i] < 1LL << 50:  # beyond, it is no time in milliseconds either
                number[i] *= 1000
    elif unit == MICROSECONDS:
        for i in range(rows):
            number[i] = number[i] // 1000
    elif unit == NANOSECONDS:
        for i in range(rows):
            number[i] = number[i] // 1000000


cdef inline bint load(
    const Reader* reader, int field, const Batch* batch, const Opened* opened, const Table* table,
    int64_t first, int64_t rows, Cells* cells,
) noexcept nogil:
    """A column's next rows; False where the stream is unreadable."""
    cdef const Column* column = &reader.columns[field]
    cdef uint8_t* kind = cells.kind[field]
    cdef int64_t* number = cells.number[field]
    cdef int64_t i
    if column.form == NOTHING:
        memset(kind, ABSENT, rows)
        return True
    mark(opened, first, rows, kind)
    if column.form == TEXT:
        read_text(field, batch, opened, column.width, reader.base, table, first, rows, kind, number)
        return True
    if column.form == WRONG:
        for i in range(rows):
            if kind[i] != ABSENT:
                kind[i] = OTHER
        return True
    if column.form == BITS:
        for i in range(first, first + rows):
            number[i - first] = opened.values[i >> 3] >> (i & 7) & 1
        return True
    if column.form == REALS:
        widen_reals(opened.values + first * column.width, column.width, rows, number)
        for i in range(rows):
            if kind[i] == INTEGER:
                kind[i] = REAL
        return True
    widen(opened.values + first * column.width, column.width, column.is_signed, rows, number)
    if column.form == WORDS:
        if opened.validity == NULL:
            return look_up(&reader.words[field], False, rows, kind, number)
        return look_up(&reader.words[field], True, rows, kind, number)
    if column.form == TIMES:
        to_ms(column.unit, rows, number)
    elif column.width == 8 and not column.is_signed:
        for i in range(rows):
            if number[i] < 0 and kind[i] != ABSENT:
                kind[i] = OTHER
    return True


cdef inline bint open_columns(const Reader* reader, const Batch* batch, Opened* opened, Cells* cells) noexcept nogil:
    """The columns of a batch (F_NONE of them); False where the stream is unreadable."""
    cdef int field
    for field in range(F_NONE):
        if reader.columns[field].form == UNNAMED:
            memset(cells.kind[field], ABSENT, BLOCK)
            if field <= F_SEQ:  # put_plain reads these whatever their kind
                memset(cells.number[field], 0, BLOCK * sizeof(int64_t))
        elif not open_column(batch, &reader.columns[field], &opened[field]):
            return False
    return True


cdef inline bint load_block(
    const Reader* reader, const Batch* batch, const Opened* opened, const Table* table,
    int64_t first, int64_t rows, Cells* cells,
) noexcept nogil:
    """The next rows of all columns; False where the stream is unreadable."""
    cdef int field
    for field in range(F_NONE):
        if reader.columns[field].form != UNNAMED:
            if not load(reader, field, batch, &opened[field], table, first, rows, cells):
                return False
    return True


cdef inline bint batch_rows(
    const Reader* reader, const Batch* batch, const Table* table, int64_t message_ts,
    const Columns* out, int64_t at, int32_t message,
) noexcept nogil:
    """The rows of a batch, from row ``at`` of the columns on; False where the stream is unreadable."""
    cdef Opened opened[F_NONE]
    cdef Cells cells
    cdef int64_t first = 0
    cdef int64_t rows
    if not open_columns(reader, batch, opened, &cells):
        return False
    while first < batch.rows:
        rows = min(batch.rows - first, <int64_t> BLOCK)
        if not load_block(reader, batch, opened, table, first, rows, &cells):
            return False
        if at + batch.rows <= out.cap:  # else the message waits, if it is readable at all
            put_block(&cells, rows, message_ts, out, at + first, message)
        first += rows
    return True


cdef inline void open_stream(Stream* stream, const uint8_t* p, const uint8_t* end) noexcept nogil:
    stream.p, stream.end, stream.most, stream.begun = p, end, end - p, False


cdef inline int next_batch(Reader* reader, Stream* stream, const Table* table, Batch* batch) noexcept nogil:
    """BATCH; FINE at the end of the message; UNREADABLE or NO_MEMORY."""
    cdef int64_t version
    cdef int64_t kind
    cdef int64_t length
    cdef uint32_t mark_
    cdef uint32_t size
    cdef int done
    cdef int field
    cdef Flat flat
    cdef Node root
    cdef Node header
    cdef const uint8_t* p
    while stream.p < stream.end:
        p = stream.p
        if stream.end - p < 8:
            return UNREADABLE
        memcpy(&mark_, p, 4)
        memcpy(&size, p + 4, 4)
        p += 8
        if mark_ != 0xFFFFFFFFUL:
            return UNREADABLE
        if size == 0 and p == stream.end:
            break
        if not 0 < size <= stream.end - p:
            return UNREADABLE
        stream.flat = Flat(p, size)
        p += size
        if not target_table(&stream.flat, 0, &root) or not child_of(&stream.flat, &root, 2, &header):
            return UNREADABLE
        if not number_of(&stream.flat, &root, 0, 2, &version) or not V4 <= version <= V5:
            return UNREADABLE
        if not number_of(&stream.flat, &root, 1, 1, &kind) or not number_of(&stream.flat, &root, 3, 8, &length):
            return UNREADABLE
        if not 0 <= length <= stream.end - p:
            return UNREADABLE
        if stream.begun == (kind == SCHEMA):
            return UNREADABLE
        stream.p = p + length
        if kind == SCHEMA:
            stream.begun = True
            for field in range(F_NONE):
                reader.words[field].count = 0
            if not read_schema(&stream.flat, &header, version, reader.columns):
                return UNREADABLE
        elif kind == DICTIONARY:
            done = take_dictionary(reader, &stream.flat, &header, length, table)
            if done != FINE:
                return done
        elif kind != BATCH or not open_batch(&stream.flat, &header, p, length, stream.most, batch):
            return UNREADABLE
        else:
            stream.most -= batch.rows
            return BATCH
    return FINE if stream.begun else UNREADABLE


cdef inline int64_t stream_rows(
    Reader* reader,
    const Table* table,     # IN  sensor ids
    const uint8_t* p,       # IN  the message
    const uint8_t* end,     # IN
    int64_t message_ts,     # IN  ms, NO_TIME = the record's own
    const Columns* out,     # OUT
    int64_t filled,         # IN  rows of messages before
    int32_t message,        # IN  index of the message
) noexcept nogil:
    """Rows in the columns behind the message's, also where there is no room for them; UNREADABLE or NO_MEMORY."""
    cdef Stream stream
    cdef Batch batch
    cdef int found
    open_stream(&stream, p, end)
    while True:
        found = next_batch(reader, &stream, table, &batch)
        if found != BATCH:
            return filled if found == FINE else found
        if not batch_rows(reader, &batch, table, message_ts, out, filled, message):
            return UNREADABLE
        filled += batch.rows
