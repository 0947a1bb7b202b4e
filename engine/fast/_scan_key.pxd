# cython: language_level=3, wraparound=False, initializedcheck=False
"""Keys: which of the fields an event may use they name; and what was found in these fields.

A module is compiled for people or, with HITO_TOUCHES at the head of its .pyx, for signage: a parameter would cost the
loop over crosses a twentieth.
"""

from libc.stdint cimport int64_t, uint8_t, uint64_t
from libc.string cimport memcpy

from engine.fast._scan cimport ESCAPED, PLAIN, blank, string_close
from engine.fast._scan_text cimport unescape
from engine.fast._scan_words cimport (
    W_SENSOR, W_TS, W_TYPE, W_DIR, W_SEQ, W_SPAN_MS, W_AB, W_BA, W_UN, W_RECORD_T, W_TRACK, W_X, W_Y, W_BEAM, W_ON,
    W_PEOPLE, W_SPEED, W_DEVICE, W_SESSION, W_SCREEN, W_TO, W_LANG,
)
from engine.fast._types cimport ID_BYTES

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
    F_TRACK = 10
    F_X = 11
    F_Y = 12
    F_BEAM = 13
    F_ON = 14
    F_PEOPLE = 15
    F_SPEED = 16
    F_NONE = 17  # a key no event uses
    FIELDS = 24  # room in Fields
    KEY_BYTES = 9  # longest of the keys

# Signage has F_TS, F_TYPE, F_RECORD_TS, and others in the places of what people alone have.
cdef enum:
    F_DEVICE = 0
    F_SESSION = 3
    F_SCREEN = 4
    F_TO = 5
    F_LANG = 6

cdef extern from *:
    """
    #ifndef HITO_TOUCHES
    #define HITO_TOUCHES 0
    #endif
    """
    const bint TOUCHES "HITO_TOUCHES"

cdef struct Fields:
    uint8_t kind[FIELDS]       # ABSENT, INTEGER, PLAIN, ESCAPED, OTHER, REAL, TRUTH
    int64_t number[FIELDS]     # INTEGER: its value; strings: bytes between the quotes; REAL: bytes; TRUTH: 0 or 1
    const uint8_t* text[FIELDS]  # strings: first byte after the opening quote; REAL: first byte


cdef inline const uint8_t* word_of(const Fields* fields, int field, uint8_t* plain, int64_t* size) noexcept nogil:
    """The string of a field without escapes, as bytes of UTF-8; NULL where it holds no string.

    ``plain`` (ID_BYTES,) is room for a string with escapes; one that does not fit, longer than any word, has size -1.
    """
    size[0] = fields.number[field]
    if fields.kind[field] == PLAIN:
        return fields.text[field]
    if fields.kind[field] != ESCAPED:
        return NULL
    size[0] = unescape(fields.text[field], fields.text[field] + fields.number[field], plain, ID_BYTES)
    return plain


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
    if word & 0xFFFFULL == W_X:
        length[0] = 1
        return F_X
    if word & 0xFFFFULL == W_Y:
        length[0] = 1
        return F_Y
    if word & 0xFFFFFFFFFFFFULL == W_TRACK:
        length[0] = 5
        return F_TRACK
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
    if word & 0xFFFFFFFFFFULL == W_BEAM:
        length[0] = 4
        return F_BEAM
    if word & 0xFFFFFFULL == W_ON:
        length[0] = 2
        return F_ON
    if word & 0xFFFFFFFFFFFFFFULL == W_PEOPLE:
        length[0] = 6
        return F_PEOPLE
    if word & 0xFFFFFFFFFFFFULL == W_SPEED:
        length[0] = 5
        return F_SPEED
    if word == W_RECORD_T and end - p >= 10 and p[8] == c"s" and p[9] == c'"':
        length[0] = 9
        return F_RECORD_TS
    return F_NONE


cdef inline int touch_field(const uint8_t* p, const uint8_t* end, int* length) noexcept nogil:
    """key_field of signage."""
    cdef uint64_t word = head(p, end)
    if word & 0xFFFFFFFFFFFFFFULL == W_DEVICE:
        length[0] = 6
        return F_DEVICE
    if word & 0xFFFFFFULL == W_TS:
        length[0] = 2
        return F_TS
    if word & 0xFFFFFFFFFFULL == W_TYPE:
        length[0] = 4
        return F_TYPE
    if word == W_SESSION:
        length[0] = 7
        return F_SESSION
    if word & 0xFFFFFFFFFFFFFFULL == W_SCREEN:
        length[0] = 6
        return F_SCREEN
    if word & 0xFFFFFFULL == W_TO:
        length[0] = 2
        return F_TO
    if word & 0xFFFFFFFFFFULL == W_LANG:
        length[0] = 4
        return F_LANG
    if word == W_RECORD_T and end - p >= 10 and p[8] == c"s" and p[9] == c'"':
        length[0] = 9
        return F_RECORD_TS
    return F_NONE


cdef inline int field_at(const uint8_t* p, const uint8_t* end, int* length) noexcept nogil:
    """key_field of the stream that the module reads."""
    return touch_field(p, end, length) if TOUCHES else key_field(p, end, length)


cdef inline int escaped_key(const uint8_t* p, const uint8_t* close) noexcept nogil:
    """The field of a key that is written with escapes."""
    cdef uint8_t plain[KEY_BYTES + 1]
    cdef int length
    cdef int64_t size = unescape(p, close, plain, KEY_BYTES)
    cdef int field
    if size < 0:
        return F_NONE
    plain[size] = c'"'  # an unescaped quote inside would end the key early: the length tells
    field = field_at(plain, plain + size + 1, &length)
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
