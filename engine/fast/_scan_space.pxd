# cython: language_level=3, wraparound=False, initializedcheck=False
"""The fields of tracked points, beams and readings of occupancy: the rules of engine.decode for their kinds."""

from libc.math cimport NAN
from libc.stdint cimport int8_t, int64_t, uint8_t

from engine.fast._row cimport Row, is_word
from engine.fast._scan cimport ABSENT, INTEGER, REAL, TRUTH
from engine.fast._scan_key cimport F_BEAM, F_ON, F_PEOPLE, F_SPEED, F_TRACK, F_X, F_Y, Fields, word_of
from engine.fast._scan_real cimport real_value
from engine.fast._types cimport BEAM, COUNT_MAX, FAR_M, FAST_M_S, ID_BYTES, POINT

cdef extern from *:
    """
    /* Calls a function whose name the compiler cannot see: one called once would be inlined, and its registers and stack
       would be the loop's over crosses, which is slower by a twentieth. */
    #define HITO_APART(f, a, b) __extension__ ({ \\
        __typeof__(&f) hito_at = &f; __asm__("" : "+r"(hito_at)); hito_at(a, b); })
    """
    bint apart "HITO_APART"(bint (*f)(const Fields*, Row*) noexcept nogil, const Fields* a, Row* b) noexcept nogil


cdef inline bint read_real(const Fields* fields, int field, double least, double most, double* value) noexcept nogil:
    """False where the field holds no number from least to most."""
    if fields.kind[field] == INTEGER:
        value[0] = <double> fields.number[field]
    elif fields.kind[field] == REAL:
        value[0] = real_value(fields.text[field], fields.text[field] + fields.number[field])
    else:
        return False
    return least <= value[0] <= most


cdef inline bint read_point(const Fields* fields, Row* row) noexcept nogil:
    row.seq = fields.number[F_TRACK]
    row.has_seq = 1
    return (
        fields.kind[F_TRACK] == INTEGER and row.seq >= 0
        and read_real(fields, F_X, -FAR_M, FAR_M, &row.x) and read_real(fields, F_Y, -FAR_M, FAR_M, &row.y)
    )


cdef inline bint read_beam(const Fields* fields, Row* row) noexcept nogil:
    cdef uint8_t plain[ID_BYTES]
    cdef int64_t size
    cdef const uint8_t* p = word_of(fields, F_BEAM, plain, &size)
    cdef bint is_a
    cdef bint is_b
    if p == NULL or fields.kind[F_ON] != TRUTH:
        return False
    is_a, is_b = is_word(p, size, b"a", 1), is_word(p, size, b"b", 1)
    row.ab = fields.number[F_ON] if is_a else 0
    row.ba = fields.number[F_ON] if is_b else 0
    return is_a or is_b


cdef inline bint read_occupancy(const Fields* fields, Row* row) noexcept nogil:
    row.un = fields.number[F_PEOPLE]
    row.x = row.y = NAN
    if fields.kind[F_PEOPLE] != INTEGER or not 0 <= row.un <= COUNT_MAX:
        return False
    return fields.kind[F_SPEED] == ABSENT or read_real(fields, F_SPEED, 0, FAST_M_S, &row.x)


cdef inline bint read_in_space(const Fields* fields, Row* row) noexcept nogil:
    """The values of a point, beam or occupancy."""
    if row.kind == POINT:
        return read_point(fields, row)
    return read_beam(fields, row) if row.kind == BEAM else read_occupancy(fields, row)


cdef inline bint lacks_in_space(const uint8_t* kinds, int8_t kind) noexcept nogil:
    """Whether a point, beam or occupancy lacks a field it must have; ``kinds``: of its fields, ABSENT or not."""
    if kind == POINT:
        return kinds[F_TRACK] == ABSENT or kinds[F_X] == ABSENT or kinds[F_Y] == ABSENT
    if kind == BEAM:
        return kinds[F_BEAM] == ABSENT or kinds[F_ON] == ABSENT
    return kinds[F_PEOPLE] == ABSENT
