# cython: language_level=3, wraparound=False, initializedcheck=False
"""One JSON object -> the raw fields an event may use, in one pass; everything else is validated and skipped."""

from libc.stdint cimport int64_t, uint8_t, uint64_t
from libc.string cimport memcmp, memset

from engine.fast._scan cimport ABSENT, DEPTH_MAX, ESCAPED, OTHER, REAL, TRUTH, blank, string_close
from engine.fast._scan_key cimport F_NONE, FIELDS, Fields, colon_end, escaped_key, field_at, key_end
from engine.fast._scan_number cimport is_digit, number_end


cdef inline const uint8_t* word_end(const uint8_t* p, const uint8_t* end) noexcept nogil:
    """null, true or false."""
    if end - p >= 4 and (memcmp(p, b"null", 4) == 0 or memcmp(p, b"true", 4) == 0):
        return p + 4
    if end - p >= 5 and memcmp(p, b"false", 5) == 0:
        return p + 5
    return NULL


cdef inline const uint8_t* scalar_end(const uint8_t* p, const uint8_t* end) noexcept nogil:
    """A string, number, null, true or false that no field takes."""
    cdef int kind
    cdef uint8_t number_kind
    cdef int64_t value
    if p[0] == c'"':
        p = string_close(p + 1, end, &kind)
        if p == NULL:
            return NULL
        return p + 1
    if p[0] == c"-" or is_digit(p[0]):
        return number_end(p, end, &number_kind, &value)
    return word_end(p, end)


cdef inline const uint8_t* value_end(const uint8_t* p, const uint8_t* end, int depth) noexcept nogil:
    """Any value, at p < end inside ``depth`` open containers; without recursion."""
    cdef uint64_t objects[DEPTH_MAX >> 6]  # bit d - 1: container d is an object
    cdef int outside = depth
    cdef uint8_t c
    cdef bint is_object
    while True:
        if p >= end:
            return NULL
        c = p[0]
        if c == c"{" or c == c"[":
            if depth == DEPTH_MAX:
                return NULL
            if depth == outside or depth & 63 == 0:
                objects[depth >> 6] = 0
            objects[depth >> 6] &= ~(1ULL << (depth & 63))
            objects[depth >> 6] |= <uint64_t> (c == c"{") << (depth & 63)
            depth += 1
            p = blank(p + 1, end)
            if p < end and p[0] == c + 2:  # closed at once: in ASCII the closing bracket is two further
                p += 1
                depth -= 1
            elif c == c"[":
                continue
            else:
                p = key_end(p, end)
                if p == NULL:
                    return NULL
                continue
        else:
            p = scalar_end(p, end)
            if p == NULL:
                return NULL
        while depth > outside:
            p = blank(p, end)
            if p >= end:
                return NULL
            c = p[0]
            p += 1
            is_object = objects[(depth - 1) >> 6] >> ((depth - 1) & 63) & 1
            if c == c",":
                p = blank(p, end)
                if is_object:
                    p = key_end(p, end)
                    if p == NULL:
                        return NULL
                break
            if c != (c"}" if is_object else c"]"):
                return NULL
            depth -= 1
        else:
            return p


cdef inline const uint8_t* field_end(
    const uint8_t* p, const uint8_t* end, int depth, Fields* fields, int field
) noexcept nogil:
    """The value of a field, at p < end, kept in fields: the last of several stays."""
    cdef int kind
    cdef const uint8_t* start = p + 1
    if p[0] == c'"':
        p = string_close(start, end, &kind)
        if p == NULL:
            return NULL
        fields.kind[field] = <uint8_t> kind
        fields.text[field] = start
        fields.number[field] = p - start
        return p + 1
    if p[0] == c"-" or is_digit(p[0]):
        start = p
        p = number_end(p, end, &fields.kind[field], &fields.number[field])
        if p != NULL and fields.kind[field] == OTHER:
            fields.kind[field] = REAL
            fields.text[field] = start
            fields.number[field] = p - start
        return p
    # well formed, these letters can only begin null, true, false
    fields.kind[field] = ABSENT if p[0] == c"n" else TRUTH if p[0] == c"t" or p[0] == c"f" else OTHER
    fields.number[field] = p[0] == c"t"
    return value_end(p, end, depth)


cdef inline const uint8_t* record_end(const uint8_t* p, const uint8_t* end, int depth, Fields* fields) noexcept nogil:
    """An object whose opening brace lies before p, itself the ``depth``-th open container; its fields."""
    cdef int field
    cdef int kind
    cdef int length
    cdef const uint8_t* start
    cdef uint8_t c
    memset(fields.kind, ABSENT, FIELDS)
    p = blank(p, end)
    if p < end and p[0] == c"}":
        return p + 1
    while True:
        if p >= end or p[0] != c'"':
            return NULL
        p += 1
        field = field_at(p, end, &length)
        if field != F_NONE:
            p += length
        else:
            start = p
            p = string_close(p, end, &kind)
            if p == NULL:
                return NULL
            if kind == ESCAPED:
                field = escaped_key(start, p)
        p = colon_end(p + 1, end)
        if p == NULL or p >= end:
            return NULL
        if field != F_NONE:
            p = field_end(p, end, depth, fields, field)
        else:
            p = value_end(p, end, depth)
        if p == NULL:
            return NULL
        if p < end and p[0] <= c" ":
            p = blank(p, end)
        if p >= end:
            return NULL
        c = p[0]
        p += 1
        if c == c"}":
            return p
        if c != c",":
            return NULL
        if p < end and p[0] <= c" ":
            p = blank(p, end)
