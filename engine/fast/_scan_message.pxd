# cython: language_level=3, wraparound=False, initializedcheck=False
"""A JSON message, value by value: one object, or the elements of an array."""

from libc.stdint cimport uint8_t

from engine.fast._scan cimport blank
from engine.fast._scan_key cimport Fields
from engine.fast._scan_record cimport record_end, value_end

cdef enum:
    ONE_OBJECT  # cursor stands before an object that is the message
    AT_ELEMENT  # before an element of the array
    AT_TAIL     # behind the message's value
    NO_VALUE    # before something else

cdef enum:
    AN_OBJECT  # what next_value found
    NO_OBJECT  # an element of another kind
    FINISHED   # no more, the message is well formed
    BROKEN     # the message is malformed, what was found before is void

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


cdef inline int next_value(Cursor* cursor, bint touches, Fields* fields) noexcept nogil:
    """The next value and, of an object, its fields: those of signage (``touches``) or of people."""
    cdef const uint8_t* end = cursor.end
    cdef const uint8_t* p = cursor.p
    cdef bint is_element = cursor.state == AT_ELEMENT
    cdef bint is_object
    if cursor.state == NO_VALUE:
        return BROKEN
    if cursor.state == AT_TAIL:
        return FINISHED if blank(p, end) == end else BROKEN
    is_object = p < end and p[0] == c"{"
    p = record_end(p + 1, end, 1 + is_element, touches, fields) if is_object else value_end(p, end, 1)
    if p == NULL:
        return BROKEN
    cursor.state = AT_TAIL
    if is_element:
        p = blank(p, end)
        if p < end and p[0] == c",":
            cursor.state = AT_ELEMENT
            p = blank(p + 1, end)
        elif p < end and p[0] == c"]":
            p += 1
        else:
            return BROKEN
    cursor.p = p
    return AN_OBJECT if is_object else NO_OBJECT
