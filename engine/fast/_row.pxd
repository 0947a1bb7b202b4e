# cython: language_level=3, wraparound=False, initializedcheck=False
"""One decoded row, and the words that name its kind."""

from libc.stdint cimport int8_t, int32_t, int64_t, uint8_t
from libc.string cimport memcmp

from engine.fast._types cimport (
    BEAM, COUNT, CROSS, HEARTBEAT, KIND_NONE, NO_TIME, OCCUPANCY, POINT, REGISTRY, SET, TICK,
)


cdef struct Row:
    int8_t kind
    uint8_t reason
    uint8_t has_seq
    int32_t sensor
    int64_t ts
    int64_t span_ms
    int64_t ab
    int64_t ba
    int64_t un
    int64_t seq
    int64_t record_ts
    double x  # of kinds with a place (is_placed): else they hold nothing
    double y


cdef inline void no_values(Row* row) noexcept nogil:
    row.has_seq = 0
    row.span_ms = row.ab = row.ba = row.un = row.seq = 0
    row.x = row.y = 0


cdef inline void blank_row(Row* row, uint8_t reason, int64_t message_ts) noexcept nogil:
    row.kind = KIND_NONE
    row.sensor = -1
    row.ts = NO_TIME
    row.record_ts = message_ts
    row.reason = reason
    no_values(row)


cdef inline bint is_word(const uint8_t* p, int64_t size, const char* word, int64_t word_size) noexcept nogil:
    return size == word_size and memcmp(p, word, word_size) == 0


cdef inline int8_t kind_of_word(const uint8_t* p, int64_t size) noexcept nogil:
    if is_word(p, size, b"cross", 5):
        return CROSS
    if is_word(p, size, b"count", 5):
        return COUNT
    if is_word(p, size, b"point", 5):
        return POINT
    if is_word(p, size, b"heartbeat", 9):
        return HEARTBEAT
    if is_word(p, size, b"tick", 4):
        return TICK
    if is_word(p, size, b"beam", 4):
        return BEAM
    if is_word(p, size, b"occupancy", 9):
        return OCCUPANCY
    if is_word(p, size, b"set", 3):
        return SET
    return REGISTRY if is_word(p, size, b"registry", 8) else KIND_NONE
