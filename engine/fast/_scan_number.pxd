# cython: language_level=3, wraparound=False, initializedcheck=False
"""Numbers: the grammar of JSON, integers within int64, and the line beyond which orjson sees infinity."""

from libc.stdint cimport int64_t, uint8_t, uint64_t
from libc.string cimport memcpy

from engine.fast._scan cimport INTEGER, OTHER

cdef extern from *:
    """
    /* 2^1024 - 2^970, the least number that rounds to infinity as a double: 309 digits */
    static const char HITO_INFINITE[] =
        "1797693134862315807937289714053034150799341327100378269361737789804449682927647509466490179775872070963"
        "3028641669288791094655554785194040263065748867150582068190890200070838367627385484581771153176447573027"
        "0069855571366959622842914819860834936475292719074168444365510704342711559699508093042880177904174497792";
    _Static_assert(sizeof HITO_INFINITE == 309 + 1, "309 digits and the NUL");
    """
    const char* INFINITE "HITO_INFINITE"

cdef enum:
    INFINITE_DIGITS = 309


cdef inline bint is_digit(uint8_t c) noexcept nogil:
    return c"0" <= c <= c"9"


cdef inline const uint8_t* digits_end(const uint8_t* p, const uint8_t* end) noexcept nogil:
    while p < end and is_digit(p[0]):
        p += 1
    return p


cdef inline int64_t exponent_of(const uint8_t* p, const uint8_t* end) noexcept nogil:
    """The exponent of a well-formed number whose e stands at p; 0 where the number ends there."""
    cdef int64_t exponent = 0
    cdef bint negative
    if p == end:
        return 0
    p += 1
    negative = p[0] == c"-"
    if negative or p[0] == c"+":
        p += 1
    while p < end and exponent < 100000000000000000LL:  # no message is that long: further digits decide nothing
        exponent = exponent * 10 + p[0] - c"0"
        p += 1
    return -exponent if negative else exponent


cdef inline bint finite(const uint8_t* p, const uint8_t* end) noexcept nogil:
    """Whether the well-formed number without sign in p..end is not infinite as a double."""
    cdef const uint8_t* first = NULL  # first digit that is not 0: the number is 0.ddd * 10^place
    cdef int64_t place = 0
    cdef bint fraction = False
    cdef int i
    while p < end and p[0] | 0x20 != c"e":
        if p[0] == c".":
            fraction = True
        elif first == NULL and p[0] == c"0":
            place -= fraction
        else:
            if first == NULL:
                first = p
            place += not fraction
        p += 1
    if first == NULL:
        return True
    place += exponent_of(p, end)
    if place != INFINITE_DIGITS:
        return place < INFINITE_DIGITS
    for i in range(INFINITE_DIGITS):
        if first < end and first[0] == c".":
            first += 1
        if first < end and is_digit(first[0]):
            if first[0] != INFINITE[i]:
                return first[0] < INFINITE[i]
            first += 1
        elif INFINITE[i] != c"0":
            return True
    return False


cdef inline const uint8_t* real_end(const uint8_t* start, const uint8_t* p, const uint8_t* end) noexcept nogil:
    """A number with point or exponent: start is its first digit, p the point or the e."""
    cdef bint large = p - start >= INFINITE_DIGITS
    if p[0] == c".":
        p += 1
        if p >= end or not is_digit(p[0]):
            return NULL
        p = digits_end(p, end)
    if p < end and p[0] | 0x20 == c"e":
        large = True
        p += 1
        if p < end and (p[0] == c"+" or p[0] == c"-"):
            p += 1
        if p >= end or not is_digit(p[0]):
            return NULL
        p = digits_end(p, end)
    if large and not finite(start, p):  # all others are small enough by their length
        return NULL
    return p


cdef inline const uint8_t* number_end(const uint8_t* p, const uint8_t* end, uint8_t* kind, int64_t* value) noexcept nogil:
    """A number; kind = INTEGER with its value, or OTHER."""
    cdef bint negative = p[0] == c"-"
    cdef const uint8_t* start = p + negative
    cdef uint64_t word
    cdef uint64_t sum = 0  # wraps beyond 19 digits, where it is not used
    cdef int64_t size
    p = start
    while end - p >= 8:
        memcpy(&word, p, 8)
        if ((word & 0xF0F0F0F0F0F0F0F0ULL)
                | ((word + 0x0606060606060606ULL) & 0xF0F0F0F0F0F0F0F0ULL) >> 4) != 0x3333333333333333ULL:
            break
        # eight digits at once: pairs, fours, all
        word = (word & 0x0F0F0F0F0F0F0F0FULL) * 2561 >> 8
        word = (word & 0x00FF00FF00FF00FFULL) * 6553601 >> 16
        sum = sum * 100000000 + ((word & 0x0000FFFF0000FFFFULL) * 42949672960001ULL >> 32)
        p += 8
    while p < end and is_digit(p[0]):
        sum = sum * 10 + p[0] - c"0"
        p += 1
    size = p - start
    if size == 0 or (size > 1 and start[0] == c"0"):
        return NULL
    kind[0] = OTHER
    if p < end and (p[0] == c"." or p[0] | 0x20 == c"e"):
        return real_end(start, p, end)
    if size < 19 or (size == 19 and sum <= 0x7FFFFFFFFFFFFFFFULL + negative):
        kind[0] = INTEGER
        value[0] = <int64_t> (0 - sum if negative else sum)
    if size >= INFINITE_DIGITS and not finite(start, p):
        return NULL
    return p
