# cython: language_level=3, wraparound=False, initializedcheck=False
"""Contents of strings that the scanner has found well formed: escapes undone, RFC 3339 read."""

from libc.stdint cimport int64_t, uint8_t

from engine.fast._scan cimport hex4
from engine.fast._types cimport NO_TIME


cdef inline int character(const uint8_t** at, const uint8_t* close) noexcept nogil:
    """The next character of a well-formed string, as code point for escapes and ASCII, else as raw byte + 2^24.

    Moves ``at`` behind it; -1 at the end.
    """
    cdef const uint8_t* p = at[0]
    cdef int unit
    if p >= close:
        return -1
    if p[0] != c"\\":
        at[0] = p + 1
        return p[0] if p[0] < 0x80 else p[0] + (1 << 24)
    if p[1] != c"u":
        at[0] = p + 2
        if p[1] == c"b":
            return 8
        if p[1] == c"f":
            return 12
        if p[1] == c"n":
            return 10
        if p[1] == c"r":
            return 13
        return 9 if p[1] == c"t" else p[1]
    unit = hex4(p + 2, close)
    if 0xD800 <= unit <= 0xDBFF:
        at[0] = p + 12
        return 0x10000 + ((unit - 0xD800) << 10) + hex4(p + 8, close) - 0xDC00
    at[0] = p + 6
    return unit


cdef inline int64_t unescape(const uint8_t* p, const uint8_t* close, uint8_t* out, int64_t room) noexcept nogil:
    """UTF-8 bytes of a well-formed string p..close written to out; their number, or -1 where room is too small."""
    cdef int64_t size = 0
    cdef int64_t need
    cdef int c
    while True:
        c = character(&p, close)
        if c < 0:
            return size
        need = 1 if c < 0x80 or c >= 1 << 24 else 2 if c < 0x800 else 3 if c < 0x10000 else 4
        if size + need > room:
            return -1
        if need == 1:
            out[size] = <uint8_t> (c & 0xFF)
        elif need == 2:
            out[size] = <uint8_t> (0xC0 | c >> 6)
        elif need == 3:
            out[size] = <uint8_t> (0xE0 | c >> 12)
        else:
            out[size] = <uint8_t> (0xF0 | c >> 18)
            out[size + 1] = <uint8_t> (0x80 | (c >> 12 & 0x3F))
        if need > 2:
            out[size + need - 2] = <uint8_t> (0x80 | (c >> 6 & 0x3F))
        if need > 1:
            out[size + need - 1] = <uint8_t> (0x80 | (c & 0x3F))
        size += need


cdef inline int digits(const uint8_t** at, const uint8_t* close, int count) noexcept nogil:
    """The number of exactly count digits, -1 where they are not there."""
    cdef int value = 0
    cdef int i
    cdef int c
    for i in range(count):
        c = character(at, close)
        if not c"0" <= c <= c"9":
            return -1
        value = value * 10 + c - c"0"
    return value


cdef inline int month_days(int year, int month) noexcept nogil:
    if month == 2:
        return 29 if year & 3 == 0 and (year % 100 != 0 or year % 400 == 0) else 28
    return 30 if month == 4 or month == 6 or month == 9 or month == 11 else 31


cdef inline int64_t epoch_day(int year, int month, int day) noexcept nogil:
    """Days since 1970-01-01 in the proleptic Gregorian calendar; years from 1 on."""
    cdef int64_t y = year - 1 if month <= 2 else year  # years begin in March: the leap day is their last
    cdef int64_t m = month + 9 if month <= 2 else month - 3
    return 365 * y + y // 4 - y // 100 + y // 400 + (153 * m + 2) // 5 + day - 1 - 719468


cdef inline int64_t rfc3339_ms(const uint8_t* p, const uint8_t* close) noexcept nogil:
    """Twin of engine.rfc3339.parse_ms on a well-formed JSON string p..close; NO_TIME where that gives None."""
    cdef int year = digits(&p, close, 4)
    cdef int month
    cdef int day
    cdef int hour
    cdef int minute
    cdef int second
    cdef int fraction = 0
    cdef int scale = 100
    cdef int offset = 0
    cdef int sign
    cdef int c
    if year < 1 or character(&p, close) != c"-":
        return NO_TIME
    month = digits(&p, close, 2)
    if not 1 <= month <= 12 or character(&p, close) != c"-":
        return NO_TIME
    day = digits(&p, close, 2)
    if not 1 <= day <= month_days(year, month):
        return NO_TIME
    c = character(&p, close)
    if c != c"T" and c != c"t" and c != c" ":
        return NO_TIME
    hour = digits(&p, close, 2)
    if not 0 <= hour <= 23 or character(&p, close) != c":":
        return NO_TIME
    minute = digits(&p, close, 2)
    if not 0 <= minute <= 59 or character(&p, close) != c":":
        return NO_TIME
    second = digits(&p, close, 2)
    if not 0 <= second <= 59:
        return NO_TIME
    c = character(&p, close)
    if c == c".":
        c = character(&p, close)
        if not c"0" <= c <= c"9":
            return NO_TIME
        while c"0" <= c <= c"9":
            fraction += scale * (c - c"0")
            scale = 10 if scale == 100 else 1 if scale == 10 else 0  # below a millisecond: cut
            c = character(&p, close)
    if c == c"+" or c == c"-":
        sign = 1 if c == c"+" else -1
        offset = digits(&p, close, 2)
        if not 0 <= offset <= 23 or character(&p, close) != c":":
            return NO_TIME
        c = digits(&p, close, 2)
        if not 0 <= c <= 59:
            return NO_TIME
        offset = sign * (offset * 60 + c)
    elif c != c"Z" and c != c"z":
        return NO_TIME
    if p != close:
        return NO_TIME
    return ((epoch_day(year, month, day) * 24 + hour) * 60 + minute - offset) * 60_000 + second * 1000 + fraction
