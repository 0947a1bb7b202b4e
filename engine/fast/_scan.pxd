# cython: language_level=3, wraparound=False, initializedcheck=False
"""JSON grammar, byte by byte or word by word: exactly the documents that orjson.loads accepts.

Every function takes the first byte to read and the end of the message, and never reads at or beyond the end.
``X_end`` gives the byte after X, or NULL where X is not well formed.
"""

from libc.stdint cimport uint8_t, uint64_t
from libc.string cimport memcpy

cdef extern from *:
    """
    #if !defined(__BYTE_ORDER__) || __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
    #error "the scanner reads words of eight bytes and needs a little-endian machine"
    #endif
    """
    int lowest_bit "__builtin_ctzll"(uint64_t word) noexcept nogil

cdef enum:
    DEPTH_MAX = 1024  # containers open at once

# What a field holds. A null is as good as absent; OTHER is valid JSON that no field takes.
cdef enum:
    ABSENT = 0
    INTEGER = 1  # no point, no exponent, within int64
    PLAIN = 2  # string without escapes
    ESCAPED = 3  # string with escapes
    OTHER = 4
    REAL = 5  # any other number
    TRUTH = 6  # true or false


cdef inline const uint8_t* blank(const uint8_t* p, const uint8_t* end) noexcept nogil:
    while p < end and (p[0] == c" " or p[0] == c"\n" or p[0] == c"\r" or p[0] == c"\t"):
        p += 1
    return p


cdef inline uint64_t special(uint64_t word) noexcept nogil:
    """Bit 7 of every byte that is no plain ASCII of a string: quote, backslash, control, not ASCII.

    A borrow may mark bytes above a marked one wrongly, never below: the lowest mark is true.
    """
    cdef uint64_t quote = word ^ 0x2222222222222222ULL
    cdef uint64_t slash = word ^ 0x5C5C5C5C5C5C5C5CULL
    return (
        ((quote - 0x0101010101010101ULL) & ~quote)
        | ((slash - 0x0101010101010101ULL) & ~slash)
        | ((word - 0x2020202020202020ULL) & ~word)
        | word
    ) & 0x8080808080808080ULL


cdef inline const uint8_t* utf8_end(const uint8_t* p, const uint8_t* end) noexcept nogil:
    """A run of characters that are not ASCII: shortest forms only, no surrogates, up to U+10FFFF."""
    cdef uint8_t lead
    cdef uint8_t least
    cdef uint8_t most
    cdef int more
    while p < end and p[0] >= 0x80:
        lead = p[0]
        least, most = 0x80, 0xBF
        if 0xC2 <= lead <= 0xDF:
            more = 1
        elif 0xE0 <= lead <= 0xEF:
            more = 2
            if lead == 0xE0:
                least = 0xA0
            elif lead == 0xED:
                most = 0x9F
        elif 0xF0 <= lead <= 0xF4:
            more = 3
            if lead == 0xF0:
                least = 0x90
            elif lead == 0xF4:
                most = 0x8F
        else:
            return NULL
        if end - p <= more or not least <= p[1] <= most:
            return NULL
        if (more > 1 and p[2] & 0xC0 != 0x80) or (more > 2 and p[3] & 0xC0 != 0x80):
            return NULL
        p += more + 1
    return p


cdef inline int hex4(const uint8_t* p, const uint8_t* end) noexcept nogil:
    """The UTF-16 unit of four hexadecimal digits, -1 where they are not there."""
    cdef int unit = 0
    cdef int i
    cdef uint8_t c
    if end - p < 4:
        return -1
    for i in range(4):
        c = p[i]
        if c"0" <= c <= c"9":
            unit = unit * 16 + c - c"0"
        elif c"a" <= c | 0x20 <= c"f":
            unit = unit * 16 + (c | 0x20) - c"a" + 10
        else:
            return -1
    return unit


cdef inline const uint8_t* escape_end(const uint8_t* p, const uint8_t* end) noexcept nogil:
    """An escape from its backslash on; a pair of surrogates is one escape, half of one is none."""
    cdef int unit
    if end - p < 2:
        return NULL
    if p[1] == c"u":
        unit = hex4(p + 2, end)
        if unit < 0 or 0xDC00 <= unit <= 0xDFFF:
            return NULL
        if not 0xD800 <= unit <= 0xDBFF:
            return p + 6
        if end - p < 12 or p[6] != c"\\" or p[7] != c"u" or not 0xDC00 <= hex4(p + 8, end) <= 0xDFFF:
            return NULL
        return p + 12
    if (p[1] == c'"' or p[1] == c"\\" or p[1] == c"/" or p[1] == c"b"
            or p[1] == c"f" or p[1] == c"n" or p[1] == c"r" or p[1] == c"t"):
        return p + 2
    return NULL


cdef inline const uint8_t* string_close(const uint8_t* p, const uint8_t* end, int* kind) noexcept nogil:
    """The closing quote of the string whose first byte is p, or NULL; kind = PLAIN or ESCAPED."""
    cdef uint64_t word
    cdef uint64_t marks
    cdef uint8_t c
    kind[0] = PLAIN
    while True:
        while end - p >= 8:
            memcpy(&word, p, 8)
            marks = special(word)
            if marks:
                p += lowest_bit(marks) >> 3
                break
            p += 8
        if p >= end:
            return NULL
        c = p[0]
        if c == c'"':
            return p
        if c == c"\\":
            kind[0] = ESCAPED
            p = escape_end(p, end)
        elif c >= 0x80:
            p = utf8_end(p, end)
        elif c < 0x20:
            return NULL
        else:
            p += 1  # the message's last bytes, fewer than a word
        if p == NULL:
            return NULL
