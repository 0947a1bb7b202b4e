# cython: language_level=3, wraparound=False, initializedcheck=False
"""FlatBuffers, as far as the metadata of Arrow needs them. Twin of engine/flat.py: what that raises is False here."""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t
from libc.string cimport memcpy

cdef struct Flat:
    const uint8_t* data
    int64_t size

cdef struct Node:      # a table
    int64_t at
    int64_t vtable
    int64_t fields     # that the vtable tells of

cdef struct Vector:
    int64_t at         # its first element
    int64_t count


cdef inline bint number(const Flat* flat, int64_t at, int size, int64_t* value) noexcept nogil:
    """A number of 1, 2, 4 or 8 bytes: with sign where it has eight, without where it has fewer."""
    cdef uint16_t two
    cdef uint32_t four
    if not 0 <= at <= flat.size - size:
        return False
    if size == 8:
        memcpy(value, flat.data + at, 8)
    elif size == 4:
        memcpy(&four, flat.data + at, 4)
        value[0] = four
    elif size == 2:
        memcpy(&two, flat.data + at, 2)
        value[0] = two
    else:
        value[0] = flat.data[at]
    return True


cdef inline bint table_at(const Flat* flat, int64_t at, Node* table) noexcept nogil:
    cdef int64_t back
    cdef int64_t size
    if not number(flat, at, 4, &back):
        return False
    table.at = at
    table.vtable = at - <int32_t> <uint32_t> back
    if not number(flat, table.vtable, 2, &size) or size < 4 or table.vtable + size > flat.size:
        return False
    table.fields = (size - 4) >> 1
    return True


cdef inline bint target_table(const Flat* flat, int64_t at, Node* table) noexcept nogil:
    """The table to which the offset at ``at`` points."""
    cdef int64_t offset
    return number(flat, at, 4, &offset) and table_at(flat, at + offset, table)


cdef inline int64_t place(const Flat* flat, const Node* table, int field) noexcept nogil:
    """Where a field lies, 0 where it is not there: no field lies there."""
    cdef int64_t offset = 0
    if field >= table.fields:
        return 0
    number(flat, table.vtable + 4 + 2 * field, 2, &offset)  # inside: table_at has seen to it
    return table.at + offset if offset else 0


cdef inline bint number_of(const Flat* flat, const Node* table, int field, int size, int64_t* value) noexcept nogil:
    """A field that is a number, 0 where it is not there."""
    cdef int64_t at = place(flat, table, field)
    value[0] = 0
    return at == 0 or number(flat, at, size, value)


cdef inline bint child_of(const Flat* flat, const Node* table, int field, Node* child) noexcept nogil:
    """A field that is a table; False also where it is not there."""
    cdef int64_t at = place(flat, table, field)
    return at != 0 and target_table(flat, at, child)


cdef inline bint vector_of(const Flat* flat, const Node* table, int field, int size, Vector* vector) noexcept nogil:
    """A field that is a vector of elements of ``size`` bytes, an empty one where it is not there."""
    cdef int64_t at = place(flat, table, field)
    cdef int64_t offset
    vector.at = vector.count = 0
    if at == 0:
        return True
    if not number(flat, at, 4, &offset) or not number(flat, at + offset, 4, &vector.count):
        return False
    vector.at = at + offset + 4
    return vector.at + vector.count * size <= flat.size
