# cython: language_level=3
"""Constants shared by the kernels; tests hold those a kernel exports equal to engine.model."""

from libc.stdint cimport int8_t, int64_t

cdef enum:
    KIND_NONE = 0
    CROSS = 1
    COUNT = 2
    HEARTBEAT = 3
    TICK = 4
    SET = 5
    REGISTRY = 6
    POINT = 7
    BEAM = 8
    OCCUPANCY = 9
    TOUCH = 10

cdef enum:
    MALFORMED = 1
    UNKNOWN_TYPE = 2
    MISSING_FIELD = 3
    BAD_VALUE = 4
    UNKNOWN_SENSOR = 5
    NOT_APPROVED = 6
    TOO_FAR_IN_FUTURE = 9
    SPAN_TOO_LONG = 10
    LATE = 11
    DUPLICATE = 12

cdef enum:
    ID_BYTES = 64
    FAR_M = 1000000
    FAST_M_S = 100
    UM = 1000000

cdef enum:
    AUTO = 0
    JSON = 1
    ARROW = 2

# Too wide for a C enum.
cdef extern from *:
    """
    #define HITO_NO_TIME INT64_MIN
    #define HITO_END (1LL << 62)
    #define HITO_TS_MIN (-2208988800000LL)
    #define HITO_TS_MAX 7258118400000LL
    #define HITO_COUNT_MAX 2147483647LL
    #define HITO_SPAN_MAX_MS (366LL * 86400000LL)
    """
    const int64_t NO_TIME "HITO_NO_TIME"
    const int64_t END "HITO_END"
    const int64_t TS_MIN "HITO_TS_MIN"
    const int64_t TS_MAX "HITO_TS_MAX"
    const int64_t COUNT_MAX "HITO_COUNT_MAX"
    const int64_t SPAN_MAX_MS "HITO_SPAN_MAX_MS"

cdef enum:
    EVERY = -1
    NOTHING = -2

cdef enum:
    ON_CHANGE = 0
    BY_HEARTBEAT = 1
    EVERY_SPAN = 2

cdef enum:
    HOUR = 4
    FUTURE_MS = 60000
    HOUR_MS = 3600000
    CELL_MS = 10000


cdef inline bint is_control(int8_t kind) noexcept nogil:
    """Whether it is an in-band control record, which is no event."""
    return TICK <= kind <= REGISTRY


cdef inline bint is_placed(int8_t kind) noexcept nogil:
    """Whether it has values in the columns x and y."""
    return kind == POINT or kind == OCCUPANCY


cdef inline int64_t floor_to(int64_t at, int64_t length) noexcept nogil:
    """Largest multiple of length (> 0) that is at most at, also for times before 1970."""
    return at - at % length  # cdivision is off: the remainder has the sign of length


cdef inline int64_t leaf_ms(int8_t leaf) noexcept nogil:
    """Length of a leaf by the epoch (10s, 1m, 5m, 15m)."""
    if leaf == 0:
        return 10000
    if leaf == 1:
        return 60000
    if leaf == 2:
        return 300000
    return 900000
