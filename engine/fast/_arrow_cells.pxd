# cython: language_level=3, wraparound=False, initializedcheck=False
"""A block of Arrow rows, column by column, and what one cell of it says."""

from libc.math cimport NAN
from libc.stdint cimport int8_t, int64_t, uint8_t, uint64_t

from engine.fast._row cimport Row
from engine.fast._scan cimport ABSENT, INTEGER, REAL
from engine.fast._scan_key cimport F_BEAM, F_NONE, F_ON, F_PEOPLE, F_SPEED, F_TRACK, F_X, F_Y
from engine.fast._scan_real cimport of_bits
from engine.fast._types cimport BEAM, COUNT_MAX, FAR_M, FAST_M_S, POINT, TS_MAX, TS_MIN

cdef enum:
    BLOCK = 256  # rows at a time: small enough for the first cache

cdef struct Cells:  # a block of rows, column by column
    uint8_t kind[F_NONE][BLOCK]    # ABSENT, INTEGER, REAL, OTHER
    int64_t number[F_NONE][BLOCK]  # INTEGER: see text_value; REAL: the bytes of the double


cdef inline bint cell_time(const Cells* cells, int field, int64_t i, int64_t* at) noexcept nogil:
    """False, and ``at`` as it was, where the cell holds no time from TS_MIN to before TS_MAX."""
    if cells.kind[field][i] != INTEGER or not TS_MIN <= cells.number[field][i] < TS_MAX:
        return False
    at[0] = cells.number[field][i]
    return True


cdef inline bint cell_count(const Cells* cells, int field, int64_t i, int64_t* people) noexcept nogil:
    if cells.kind[field][i] == INTEGER and 0 <= cells.number[field][i] <= COUNT_MAX:
        people[0] = cells.number[field][i]
        return True
    return cells.kind[field][i] == ABSENT


cdef inline bint cell_real(
    const Cells* cells, int field, int64_t i, double least, double most, double* value
) noexcept nogil:
    """False where the cell holds no number from least to most."""
    if cells.kind[field][i] == INTEGER:
        value[0] = <double> cells.number[field][i]
    elif cells.kind[field][i] == REAL:
        value[0] = of_bits(<uint64_t> cells.number[field][i])
    else:
        return False
    return least <= value[0] <= most


cdef inline bint cells_in_space(const Cells* cells, int64_t i, Row* row) noexcept nogil:
    """The values of a point, beam or occupancy: the rules of _scan_space.read_in_space."""
    if row.kind == POINT:
        row.seq, row.has_seq = cells.number[F_TRACK][i], 1
        return (
            cells.kind[F_TRACK][i] == INTEGER and row.seq >= 0
            and cell_real(cells, F_X, i, -FAR_M, FAR_M, &row.x) and cell_real(cells, F_Y, i, -FAR_M, FAR_M, &row.y)
        )
    if row.kind == BEAM:
        if cells.kind[F_BEAM][i] != INTEGER or cells.kind[F_ON][i] != INTEGER:
            return False
        row.ba = cells.number[F_BEAM][i] & cells.number[F_ON][i]
        row.ab = cells.number[F_ON][i] - row.ba
        return True
    row.x = row.y = NAN
    if cells.kind[F_PEOPLE][i] != INTEGER or not cell_count(cells, F_PEOPLE, i, &row.un):
        return False
    return cells.kind[F_SPEED][i] == ABSENT or cell_real(cells, F_SPEED, i, 0, FAST_M_S, &row.x)


cdef inline bint cells_lack_in_space(const Cells* cells, int64_t i, int8_t kind) noexcept nogil:
    """Whether a point, beam or occupancy lacks a cell it must have."""
    if kind == POINT:
        return cells.kind[F_TRACK][i] == ABSENT or cells.kind[F_X][i] == ABSENT or cells.kind[F_Y][i] == ABSENT
    if kind == BEAM:
        return cells.kind[F_BEAM][i] == ABSENT or cells.kind[F_ON][i] == ABSENT
    return cells.kind[F_PEOPLE][i] == ABSENT
