# cython: language_level=3
"""The keys of fields that events use, each as the word that the scanner compares with what stands in a message."""

from libc.stdint cimport uint64_t

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
    #define HITO_TRACK HITO_WORD('t', 'r', 'a', 'c', 'k', '"', 0, 0)
    #define HITO_X HITO_WORD('x', '"', 0, 0, 0, 0, 0, 0)
    #define HITO_Y HITO_WORD('y', '"', 0, 0, 0, 0, 0, 0)
    #define HITO_BEAM HITO_WORD('b', 'e', 'a', 'm', '"', 0, 0, 0)
    #define HITO_ON HITO_WORD('o', 'n', '"', 0, 0, 0, 0, 0)
    #define HITO_PEOPLE HITO_WORD('p', 'e', 'o', 'p', 'l', 'e', '"', 0)
    #define HITO_SPEED HITO_WORD('s', 'p', 'e', 'e', 'd', '"', 0, 0)
    #define HITO_DEVICE HITO_WORD('d', 'e', 'v', 'i', 'c', 'e', '"', 0)
    #define HITO_SESSION HITO_WORD('s', 'e', 's', 's', 'i', 'o', 'n', '"')
    #define HITO_SCREEN HITO_WORD('s', 'c', 'r', 'e', 'e', 'n', '"', 0)
    #define HITO_TO HITO_WORD('t', 'o', '"', 0, 0, 0, 0, 0)
    #define HITO_LANG HITO_WORD('l', 'a', 'n', 'g', '"', 0, 0, 0)
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
    const uint64_t W_TRACK "HITO_TRACK"
    const uint64_t W_X "HITO_X"
    const uint64_t W_Y "HITO_Y"
    const uint64_t W_BEAM "HITO_BEAM"
    const uint64_t W_ON "HITO_ON"
    const uint64_t W_PEOPLE "HITO_PEOPLE"
    const uint64_t W_SPEED "HITO_SPEED"
    const uint64_t W_DEVICE "HITO_DEVICE"
    const uint64_t W_SESSION "HITO_SESSION"
    const uint64_t W_SCREEN "HITO_SCREEN"
    const uint64_t W_TO "HITO_TO"
    const uint64_t W_LANG "HITO_LANG"
