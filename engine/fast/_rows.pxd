# Growable rows of int64 words and hash indexes over rows: the storage of the kernels' state.
from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.stdint cimport int32_t, int64_t, uint64_t
from libc.stdlib cimport free, malloc, realloc
from libc.string cimport memcpy, memmove, memset


cdef struct Rows:
    int64_t* data  # `width` words a row
    Py_ssize_t size, room, width


cdef inline void* room_for_one(
    void* data, Py_ssize_t size, Py_ssize_t* room, Py_ssize_t more, size_t width
) noexcept nogil:
    """``data`` with room for an item of ``width`` bytes behind ``size`` others; NULL without memory, data as it was."""
    cdef void* larger
    if size < room[0]:
        return data
    larger = realloc(data, (2 * room[0] + more) * width)
    if larger != NULL:
        room[0] = 2 * room[0] + more
    return larger


cdef inline int64_t* push(Rows* rows) noexcept nogil:
    cdef void* data = room_for_one(rows.data, rows.size, &rows.room, 64, rows.width * sizeof(int64_t))
    if data == NULL:
        return NULL
    rows.data = <int64_t*> data
    rows.size += 1
    return rows.data + (rows.size - 1) * rows.width


cdef inline bytes packed(const Rows* rows):
    return PyBytes_FromStringAndSize(<char*> rows.data, rows.size * rows.width * sizeof(int64_t))


cdef inline int load(Rows* rows, bytes packed_rows) except -1:
    """Fill rows from what packed() gave."""
    rows.size = rows.room = len(packed_rows) // (rows.width * sizeof(int64_t))
    rows.data = <int64_t*> malloc((rows.size + 1) * rows.width * sizeof(int64_t))
    if rows.data == NULL:
        raise MemoryError()
    memcpy(rows.data, <const char*> packed_rows, rows.size * rows.width * sizeof(int64_t))
    return 0


cdef inline void drop(Rows* rows, int64_t until_ms) noexcept nogil:
    """Keep the rows whose close time, in front, lies behind until_ms, in their order."""
    cdef Py_ssize_t i, kept = 0
    cdef int64_t* row
    for i in range(rows.size):
        row = rows.data + i * rows.width
        if row[0] > until_ms:
            memmove(rows.data + kept * rows.width, row, rows.width * sizeof(int64_t))
            kept += 1
    rows.size = kept


cdef enum:
    PANE_WIDTH = 9  # pane, close, sensor, 3 people, 3 of them by cross
    KEY_WIDTH = 6  # close, sensor, kind, ts, x, pane
    COVER_WIDTH = 3


cdef struct Index:
    int32_t* slot  # row + 1, 0 = free; a power of two of them
    Py_ssize_t mask


cdef inline uint64_t mixed(uint64_t a, uint64_t b, uint64_t c) noexcept nogil:
    cdef uint64_t h = a * <uint64_t> 0x9E3779B97F4A7C15 ^ b * <uint64_t> 0xC2B2AE3D27D4EB4F ^ c
    h = (h ^ (h >> 32)) * <uint64_t> 0xD6E8FEB86659FD93
    return h ^ (h >> 32)


cdef inline uint64_t pane_hash(const int64_t* row) noexcept nogil:
    return mixed(<uint64_t> row[0], <uint64_t> row[2], 0)


cdef inline uint64_t key_hash(const int64_t* row) noexcept nogil:
    return mixed(<uint64_t> row[3], <uint64_t> row[4], <uint64_t> (row[1] * 16 + row[2]))


cdef inline int clear(Index* index, Py_ssize_t rows) noexcept nogil:
    """Room for so many rows in a table at most half full, all free; -1 without memory."""
    cdef Py_ssize_t size = 64
    while size < 4 * (rows + 1):
        size *= 2
    if size != index.mask + 1 or index.slot == NULL:
        free(index.slot)
        index.slot = <int32_t*> malloc(size * sizeof(int32_t))
        if index.slot == NULL:
            return -1
        index.mask = size - 1
    memset(index.slot, 0, size * sizeof(int32_t))
    return 0


cdef inline void seat(Index* index, uint64_t h, Py_ssize_t row) noexcept nogil:
    """Note a row under its hash."""
    cdef Py_ssize_t at = h & index.mask
    while index.slot[at] != 0:
        at = (at + 1) & index.mask
    index.slot[at] = <int32_t> (row + 1)


cdef inline int rebuild(Index* index, Rows* rows, bint keys) noexcept nogil:
    """Index all rows anew; -1 without memory."""
    cdef Py_ssize_t i
    if clear(index, rows.size):
        return -1
    for i in range(rows.size):
        seat(index, key_hash(rows.data + i * KEY_WIDTH) if keys else pane_hash(rows.data + i * PANE_WIDTH), i)
    return 0
