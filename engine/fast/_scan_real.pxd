# cython: language_level=3, wraparound=False, initializedcheck=False
"""Text of a JSON number -> the nearest double, ties to even: what orjson gives, and Python's float().

Nearly all numbers have up to 19 digits and go by one division, of doubles where that is exact (Clinger, "How to read
floating point numbers accurately", 1990), else of integers of 128 and 64 bits with the remainder. Of longer ones the
first 19 digits mostly decide. What is left is worked out digit by digit.

One thing is orjson's own, and kept for the sake of equal values: a number of more than 768 digits is taken for a little
more than these, also where only zeros follow. It shows where these digits lie exactly halfway between two doubles.
"""

from libc.math cimport INFINITY
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

from engine.fast._scan_number cimport exponent_of

cdef extern from *:
    """
    static const uint64_t HITO_FIVES[] = {
        1ULL, 5ULL, 25ULL, 125ULL, 625ULL, 3125ULL, 15625ULL, 78125ULL, 390625ULL, 1953125ULL, 9765625ULL,
        48828125ULL, 244140625ULL, 1220703125ULL, 6103515625ULL, 30517578125ULL, 152587890625ULL,
        762939453125ULL, 3814697265625ULL, 19073486328125ULL, 95367431640625ULL, 476837158203125ULL,
        2384185791015625ULL, 11920928955078125ULL, 59604644775390625ULL, 298023223876953125ULL,
        1490116119384765625ULL, 7450580596923828125ULL
    };
    _Static_assert(sizeof HITO_FIVES == 28 * sizeof(uint64_t), "5^0 to 5^27, the last below 2^64");
    /* w * 2^63 / d for w < 2^64 and 2^63 <= d < 2^64 */
    static inline uint64_t hito_divide(uint64_t w, uint64_t d, uint64_t* rest) {
        unsigned __int128 wide = (unsigned __int128) w << 63;
        *rest = (uint64_t) (wide % d);
        return (uint64_t) (wide / d);
    }
    """
    const uint64_t* FIVES "HITO_FIVES"
    uint64_t divide "hito_divide"(uint64_t w, uint64_t d, uint64_t* rest) noexcept nogil
    int leading_zeros "__builtin_clzll"(uint64_t word) noexcept nogil

cdef enum:
    FIVES_MOST = 27
    EXACT_FIVES = 22      # 5^22 < 2^53: an exact double
    DIGITS_KEPT = 19      # any of them fit into 64 bits
    DIGITS_READ = 768     # by orjson
    PLACES_MOST = 7       # digits before the point; no field takes more
    LIMBS = 120           # of 9 digits: a double, and what lies halfway to the next, has 1075 behind the point at most
    WORDS = 36            # of 32 bits: behind them no double is anything but 0


cdef inline double of_bits(uint64_t bits) noexcept nogil:
    cdef double value
    memcpy(&value, &bits, 8)
    return value


cdef inline double rounded(uint64_t m, bint more, int exponent) noexcept nogil:
    """The double nearest to m * 2^exponent, 2^63 <= m, or, with ``more``, to a little more: less than half of 1 in m."""
    cdef int top = exponent + 63
    cdef int drop = 11 if top >= -1022 else 11 - 1022 - top
    cdef uint64_t kept
    cdef uint64_t rest
    cdef uint64_t half
    if drop > 64:
        return 0
    half = 1ULL << (drop - 1)
    if drop == 64:
        kept, rest = 0, m
    else:
        kept = m >> drop
        rest = m & ((half << 1) - 1)
    kept += rest > half or (rest == half and (more or (kept & 1) != 0))
    # below the least normal double bits are the number itself; a carry moves into the exponent as it should
    return of_bits((<uint64_t> ((top if top > -1022 else -1022) + 1022) << 52) + kept)


cdef inline double quotient(uint64_t w, int power, bint more) noexcept nogil:
    """The double nearest to w / 10^power, 0 <= power <= FIVES_MOST, or, with ``more``, to w and a little more by it."""
    cdef int shift
    cdef int down
    cdef uint64_t rest
    cdef uint64_t m
    if not more and w <= 1ULL << 53 and power <= EXACT_FIVES:
        return <double> w / <double> FIVES[power] * of_bits(<uint64_t> (1023 - power) << 52)
    shift, down = leading_zeros(w), leading_zeros(FIVES[power])
    m = divide(w << shift, FIVES[power] << down, &rest)
    down -= shift + 63 + power
    shift = leading_zeros(m)  # 0 or 1
    return rounded(m << shift, more or rest != 0, down - shift)


cdef inline uint32_t next_word(uint32_t* limbs, int count) noexcept nogil:
    """The next 32 bits of the fraction 0.limbs; what is left of it stays."""
    cdef uint64_t carry = 0
    cdef int i
    for i in range(count - 1, -1, -1):
        carry += <uint64_t> limbs[i] << 32
        limbs[i] = <uint32_t> (carry % 1000000000)
        carry //= 1000000000
    return <uint32_t> carry


cdef inline double worked_out(const uint8_t* p, const uint8_t* end, int64_t place) noexcept nogil:
    """Any well-formed number without sign that has at least ``place`` digits from its first one that is not 0 on.

    It is 0.ddd * 10^place of these, place <= PLACES_MOST.
    """
    cdef uint32_t limbs[LIMBS]
    cdef int count = LIMBS
    cdef int words = 0
    cdef int shift
    cdef int i
    cdef int64_t at = -place  # of the next digit behind the point
    cdef uint64_t m = 0
    cdef uint32_t word
    cdef uint32_t unit
    cdef bint begun = False
    cdef bint more = False
    memset(limbs, 0, sizeof(limbs))
    while p < end and p[0] | 0x20 != c"e":
        if p[0] != c"." and (begun or p[0] != c"0"):
            begun = True
            if at < 0:
                m = m * 10 + p[0] - c"0"
            elif at < 9 * LIMBS:
                unit = 1
                for i in range(<int> (8 - at % 9)):
                    unit *= 10
                limbs[at // 9] += unit * (p[0] - c"0")
            else:
                more |= p[0] != c"0"
            at += 1
        p += 1
    more |= at + place > DIGITS_READ
    while count > 0 and limbs[count - 1] == 0:
        count -= 1
    while m >> 32 == 0:
        if words == WORDS:
            return 0
        m = m << 32 | next_word(limbs, count)
        words += 1
    shift = leading_zeros(m)
    word = next_word(limbs, count)
    m = m << shift | <uint64_t> word >> (32 - shift)
    more |= <uint32_t> (<uint64_t> word << shift) != 0
    for i in range(count):
        more |= limbs[i] != 0
    return rounded(m, more, -32 * words - shift)


cdef inline double real_value(const uint8_t* p, const uint8_t* end) noexcept nogil:
    """The double nearest to the well-formed number in p..end; an infinite one for what is 10^PLACES_MOST or more."""
    cdef bint negative = p[0] == c"-"
    cdef const uint8_t* start = p + negative
    cdef uint64_t w = 0       # its first digits
    cdef int64_t digits = 0   # from the first one that is not 0 on
    cdef int64_t place = 0    # the number is 0.ddd * 10^place
    cdef int64_t power        # w is to be divided by 10 to this
    cdef bint fraction = False
    cdef bint more = False    # another digit that is not 0 lies behind w
    cdef double value = 0
    p = start
    while p < end and p[0] | 0x20 != c"e":
        if p[0] == c".":
            fraction = True
        elif digits == 0 and p[0] == c"0":
            place -= fraction
        else:
            place += not fraction
            if digits < DIGITS_KEPT:
                w = w * 10 + p[0] - c"0"
            else:
                more |= p[0] != c"0"
            digits += 1
        p += 1
    place += exponent_of(p, end)
    if digits:
        more |= digits > DIGITS_READ
        power = min(digits, <int64_t> DIGITS_KEPT) - place
        if place > PLACES_MOST:
            value = INFINITY
        elif power <= FIVES_MOST:
            while power < 0:  # as often as there are places left
                w *= 10
                power += 1
            value = quotient(w, <int> power, more)
            if more and quotient(w + 1, <int> power, False) != value:
                value = worked_out(start, end, place)
        else:
            value = worked_out(start, end, place)
    return -value if negative else value
