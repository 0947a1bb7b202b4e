# cython: language_level=3, wraparound=False, initializedcheck=False
"""A JSON message, value by value: one object, or the elements of an array."""

from libc.stdint cimport uint8_t

from engine.fast._scan cimport blank

cdef enum:
    ONE_OBJECT  # cursor stands before an object that is the message
    AT_ELEMENT  # before an element of the array
    AT_TAIL     # behind the message's value
    NO_VALUE    # before something else

cdef enum:
    ROW       # what a reader of the next value found: a row
    FINISHED  # no more rows, the message is well formed
    BROKEN    # the message is malformed, rows given before are void

cdef struct Cursor:
    const uint8_t* p
    const uint8_t* end
    int state


cdef inline void open_message(Cursor* cursor, const uint8_t* start, const uint8_t* end) noexcept nogil:
    cursor.p = blank(start, end)
    cursor.end = end
    cursor.state = NO_VALUE
    if cursor.p == end:
        cursor.state = AT_TAIL
    elif cursor.p[0] == c"{":
        cursor.state = ONE_OBJECT
    elif cursor.p[0] == c"[":
        cursor.p = blank(cursor.p + 1, end)
        cursor.state = AT_ELEMENT
        if cursor.p < end and cursor.p[0] == c"]":
            cursor.p += 1
            cursor.state = AT_TAIL


cdef inline int behind_value(Cursor* cursor, const uint8_t* p, bint is_element) noexcept nogil:
    """Move to the value after the one that ends at p; ROW, or BROKEN where nothing may follow so."""
    cursor.state = AT_TAIL
    if is_element:
        p = blank(p, cursor.end)
        if p < cursor.end and p[0] == c",":
            cursor.state = AT_ELEMENT
            p = blank(p + 1, cursor.end)
        elif p < cursor.end and p[0] == c"]":
            p += 1
        else:
            return BROKEN
    cursor.p = p
    return ROW
