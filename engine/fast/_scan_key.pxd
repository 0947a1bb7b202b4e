# cython: language_level=3, wraparound=False, initializedcheck=False
"""Keys: which of the fields an event may use they name."""

from libc.stdint cimport int64_t, uint8_t, uint64_t
from libc.string cimport memcpy

from engine.fast._scan cimport blank, string_close
from engine.fast._scan_text cimport unescape

cdef enum:
    F_SENSOR = 0
    F_TS = 1
    F_TYPE = 2
    F_DIR = 3
    F_SEQ = 4
    F_SPAN_MS = 5
    F_AB = 6
    F_BA = 7
    F_UN = 8
    F_RECORD_TS = 9
    F_NONE = 10  # a key no event uses
    FIELDS = 16  # room in Fields
    KEY_BYTES = 9  # longest of the keys

# A key with its closing quote, as the little-endian word it is read as.
cdef extern from *:
    """
    #define HITO_WORD(a, b, c, d, e, f, g, h) \
        ((uint64_t)(a) | (uint64_t)(b) << 8 | (uint64_t)(c) << 16 | (uint64_t)(d) << 24 | (uint64_t)(e) << 32 \
         | (uint64_t)(f) << 40 | (uint64_t)(g) << 48 | (uint64_t)(h) << 56)
    #define HITO_SENSOR HITO_WORD('s', 'e', 'n', 's', 'o', 'r', '"', 0)
    #define HITO_TS HITO_WORD('t', 's', '"', 0, 0, 0, 0, 0)
    #define HITO_TYPE HITO_WORD('t', 'y', 'p', 'e', '"', 0, 0, 0)
    #define HITO_DIR HITO_WORD('d', 'i', 'r', '"', 0, 0, 0, 0)
    #define HITO_SEQ HITO_WORD('s', 'e', 'q', '"', 0, 0, 0, 0)
    #define HITO_SPAN HITO_WORD('s', 'p', 'a', 'n', '_', 'm', 's', '"')
    #define HITO_AB HITO_WORD('a', 'b', '"', 0, 0, 0, 0, 0)
    #define HITO_BA HITO_WORD('b', 'a', '"', 0, 0, 0, 0, 0)
    #define HITO_UN HITO_WORD('u', 'n', '"', 0, 0, 0, 0, 0)
    #define HITO_RECORD_T HITO_WORD('r', 'e', 'c', 'o', 'r', 'd', '_', 't')
    """
    const uint64_t W_SENSOR "HITO_SENSOR"
    const uint64_t W_TS "HITO_TS"
    const uint64_t W_TYPE "HITO_TYPE"
    const uint64_t W_DIR "HITO_DIR"
    const uint64_t W_SEQ "HITO_SEQ"
    const uint64_t W_SPAN_MS "HITO_SPAN"
    const uint64_t W_AB "HITO_AB"
    const uint64_t W_BA "HITO_BA"
    const uint64_t W_UN "HITO_UN"
    const uint64_t W_RECORD_T "HITO_RECORD_T"

cdef struct Fields:
    uint8_t kind[FIELDS]       # ABSENT, INTEGER, PLAIN, ESCAPED, OTHER
    int64_t number[FIELDS]     # INTEGER: its value; strings: bytes between the quotes
    const uint8_t* text[FIELDS]  # strings: first byte after the opening quote


cdef inline uint64_t head(const uint8_t* p, const uint8_t* end) noexcept nogil:
    """The next eight bytes, zeros for those at or beyond the end."""
    cdef uint64_t word = 0
    cdef int i
    if end - p >= 8:
        memcpy(&word, p, 8)
    else:
        for i in range(<int> (end - p)):
            word |= <uint64_t> p[i] << 8 * i
    return word


cdef inline int key_field(const uint8_t* p, const uint8_t* end, int* length) noexcept nogil:
    """The field whose key and closing quote stand at p, with its length without quote; F_NONE where there is none."""
    cdef uint64_t word = head(p, end)
    if word & 0xFFFFFFULL == W_TS:
        length[0] = 2
        return F_TS
    if word & 0xFFFFFFFFFFFFFFULL == W_SENSOR:
        length[0] = 6
        return F_SENSOR
    if word & 0xFFFFFFFFFFULL == W_TYPE:
        length[0] = 4
        return F_TYPE
    if word & 0xFFFFFFFFULL == W_DIR:
        length[0] = 3
        return F_DIR
    if word & 0xFFFFFFFFULL == W_SEQ:
        length[0] = 3
        return F_SEQ
    if word & 0xFFFFFFULL == W_AB:
        length[0] = 2
        return F_AB
    if word & 0xFFFFFFULL == W_BA:
        length[0] = 2
        return F_BA
    if word & 0xFFFFFFULL == W_UN:
        length[0] = 2
        return F_UN
    if word == W_SPAN_MS:
        length[0] = 7
        return F_SPAN_MS
    if word == W_RECORD_T and end - p >= 10 and p[8] == c"s" and p[9] == c'"':
        length[0] = 9
        return F_RECORD_TS
    return F_NONE


cdef inline int escaped_key(const uint8_t* p, const uint8_t* close) noexcept nogil:
    """The field of a key that is written with escapes."""
    cdef uint8_t plain[KEY_BYTES + 1]
    cdef int length
    cdef int64_t size = unescape(p, close, plain, KEY_BYTES)
    cdef int field
    if size < 0:
        return F_NONE
    plain[size] = c'"'  # an unescaped quote inside would end the key early: the length tells
    field = key_field(plain, plain + size + 1, &length)
    return field if field != F_NONE and length == size else F_NONE


cdef inline const uint8_t* colon_end(const uint8_t* p, const uint8_t* end) noexcept nogil:
    """The value after a key's closing quote."""
    if p < end and p[0] <= c" ":
        p = blank(p, end)
    if p >= end or p[0] != c":":
        return NULL
    p += 1
    if p < end and p[0] <= c" ":
        p = blank(p, end)
    return p


cdef inline const uint8_t* key_end(const uint8_t* p, const uint8_t* end) noexcept nogil:
    """The value after a key that no event uses."""
    cdef int kind
    if p >= end or p[0] != c'"':
        return NULL
    p = string_close(p + 1, end, &kind)
    if p == NULL:
        return NULL
    return colon_end(p + 1, end)
