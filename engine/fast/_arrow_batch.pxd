# cython: language_level=3, wraparound=False, initializedcheck=False
"""Columns of an Arrow record batch: where their bytes lie, and their numbers read. Twin of engine/arrow.py.

Bytes are copied out, never read in place as words: no stream has to be aligned.
"""

from libc.stdint cimport int16_t, int32_t, int64_t, int8_t, uint8_t, uint16_t, uint32_t
from libc.string cimport memcpy

from engine.fast._arrow_flat cimport Flat, Node, Vector, number, number_of, place, vector_of
from engine.fast._arrow_schema cimport BITS, NOTHING, TEXT, WRONG, Column

cdef struct Batch:
    const Flat* flat
    const uint8_t* body
    int64_t size      # of the body
    int64_t rows
    Vector nodes
    Vector buffers
    Vector views      # buffers of each column of a view type

cdef struct Bytes:
    const uint8_t* at
    int64_t size

cdef struct Opened:   # a column of a batch; the rows' bytes are there
    const uint8_t* validity  # NULL: no row is null
    const uint8_t* values    # numbers, indices, bits, or (TEXT) offsets
    const uint8_t* text


cdef inline bint open_batch(
    const Flat* flat, const Node* table, const uint8_t* body, int64_t size, int64_t most, Batch* batch
) noexcept nogil:
    """A batch of at most ``most`` rows; False where the stream is unreadable."""
    batch.flat, batch.body, batch.size = flat, body, size
    if not number_of(flat, table, 0, 8, &batch.rows) or not 0 <= batch.rows <= most or place(flat, table, 3):
        return False  # field 3: it is compressed
    return (
        vector_of(flat, table, 1, 16, &batch.nodes)
        and vector_of(flat, table, 2, 16, &batch.buffers)
        and vector_of(flat, table, 4, 8, &batch.views)
    )


cdef inline bint buffer(const Batch* batch, int64_t which, Bytes* found) noexcept nogil:
    cdef int64_t at = 0
    found.size = 0
    if which >= batch.buffers.count:
        return False
    number(batch.flat, batch.buffers.at + 16 * which, 8, &at)  # inside: vector_of has seen to it
    number(batch.flat, batch.buffers.at + 16 * which + 8, 8, &found.size)
    if not (0 <= at <= batch.size and 0 <= found.size <= batch.size - at):
        return False
    found.at = batch.body + at
    return True


cdef inline int64_t offset(const uint8_t* offsets, int width, int64_t i) noexcept nogil:
    cdef int32_t narrow
    cdef int64_t wide
    if width == 4:
        memcpy(&narrow, offsets + 4 * i, 4)
        return narrow
    memcpy(&wide, offsets + 8 * i, 8)
    return wide


cdef inline bint open_text(const Batch* batch, int width, int64_t first, Opened* column) noexcept nogil:
    """Offsets that never fall and lie in the text."""
    cdef Bytes offsets
    cdef Bytes text
    cdef int64_t i
    cdef int64_t before
    cdef int64_t at
    cdef bint rising = True
    if batch.rows == 0:
        return True
    if not buffer(batch, first + 1, &offsets) or not buffer(batch, first + 2, &text):
        return False
    if offsets.size >> (2 if width == 4 else 3) <= batch.rows:
        return False
    before = offset(offsets.at, width, 0)
    if before < 0:
        return False
    for i in range(1, batch.rows + 1):
        at = offset(offsets.at, width, i)
        rising &= at >= before
        before = at
    column.values, column.text = offsets.at, text.at
    return rising and before <= text.size


cdef inline bint open_column(const Batch* batch, const Column* column, Opened* opened) noexcept nogil:
    """False where the stream is unreadable."""
    cdef Bytes found
    cdef int64_t length = 0
    cdef int64_t nulls = 0
    cdef int64_t more = 0
    cdef int64_t i
    cdef int64_t first = column.buffer
    opened.validity = NULL
    opened.values = opened.text = batch.body  # where there are no rows, nothing is read
    if column.node >= batch.nodes.count or column.views > batch.views.count:
        return False
    number(batch.flat, batch.nodes.at + 16 * column.node, 8, &length)
    number(batch.flat, batch.nodes.at + 16 * column.node + 8, 8, &nulls)
    if length != batch.rows or not 0 <= nulls <= length:
        return False
    for i in range(column.views):
        number(batch.flat, batch.views.at + 8 * i, 8, &more)
        if not 0 <= more <= batch.buffers.count:
            return False
        first += more
    if nulls and column.has_validity:
        if not buffer(batch, first, &found) or found.size < (length + 7) >> 3:
            return False
        opened.validity = found.at
    if column.form == NOTHING or column.form == WRONG:
        return True
    if column.form == TEXT:
        return open_text(batch, column.width, first, opened)
    if not buffer(batch, first + 1, &found):
        return False
    if found.size < ((length + 7) >> 3 if column.form == BITS else length * column.width):
        return False
    opened.values = found.at
    return True


cdef inline void widen(
    const uint8_t* values,  # IN  bytes of the column from the first row on
    int width,              # IN  bytes of a number: 1, 2, 4, 8
    bint is_signed,         # IN
    int64_t rows,           # IN
    int64_t* out,           # OUT (rows,) 2^63 and more come out negative
) noexcept nogil:
    cdef int64_t i
    cdef int8_t signed_1
    cdef int16_t signed_2
    cdef int32_t signed_4
    cdef uint16_t two
    cdef uint32_t four
    if width == 8:
        memcpy(out, values, 8 * rows)
    elif width == 4 and is_signed:
        for i in range(rows):
            memcpy(&signed_4, values + 4 * i, 4)
            out[i] = signed_4
    elif width == 4:
        for i in range(rows):
            memcpy(&four, values + 4 * i, 4)
            out[i] = four
    elif width == 2 and is_signed:
        for i in range(rows):
            memcpy(&signed_2, values + 2 * i, 2)
            out[i] = signed_2
    elif width == 2:
        for i in range(rows):
            memcpy(&two, values + 2 * i, 2)
            out[i] = two
    elif is_signed:
        for i in range(rows):
            memcpy(&signed_1, values + i, 1)
            out[i] = signed_1
    else:
        for i in range(rows):
            out[i] = values[i]


cdef inline void widen_reals(
    const uint8_t* values,  # IN  bytes of the column from the first row on
    int width,              # IN  bytes of a number: 4, 8
    int64_t rows,           # IN
    int64_t* out,           # OUT (rows,) the bytes of doubles
) noexcept nogil:
    cdef int64_t i
    cdef float narrow
    cdef double wide
    if width == 8:
        memcpy(out, values, 8 * rows)
        return
    for i in range(rows):
        memcpy(&narrow, values + 4 * i, 4)
        wide = narrow
        memcpy(out + i, &wide, 8)
